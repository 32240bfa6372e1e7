//! The kernel suite: runs the built `kscope` against the running kernel with known loads, and
//! compares with what the loads did. Needs root. The same binary runs on the machine and, alone
//! in an initramfs, in the virtual machines.
//!
//! `kernel-suite [FILTER]` runs the cases whose name contains FILTER; `kernel-suite work KIND …`
//! is a load; `kernel-suite script` prints the script of `OBJECTS/suite.o`. `KSCOPE` names the binary under test (default: the one beside this one),
//! `OBJECTS` a folder of objects built on another kernel.

mod cases;
mod harness;
mod static_probes;
mod terminal;
mod tracer;
mod work;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == "work" => work::work(rest),
        Some((first, _)) if first == "script" => {
            println!("{}", cases::OBJECT_SCRIPT);
            ExitCode::SUCCESS
        }
        _ => harness::run(&cases::all(), arguments.first().map_or("", String::as_str)),
    }
}
