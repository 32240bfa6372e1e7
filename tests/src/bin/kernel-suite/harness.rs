//! Runs cases one after the other and counts.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// What a case gives: nothing, or how what it saw differs from the truth.
pub type Outcome = Result<(), String>;

/// A case.
pub struct Case {
    /// What is shown, from a user's side.
    pub name: &'static str,
    /// What the kernel must offer, else the case is skipped.
    pub needs: &'static [Need],
    /// The case itself.
    pub run: fn() -> Outcome,
}

/// Something that not every machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// kprobes.
    Kprobes,
    /// BPF trampolines: fentry, fexit.
    Trampolines,
    /// Virtual Ethernet pairs and `ip`.
    Veth,
    /// Pseudo-terminals.
    Terminals,
    /// A disk below this program's file.
    Disk,
    /// Objects built on another kernel.
    Objects,
    /// A program of the system.
    Program(&'static str),
}

impl Need {
    /// Whether the need is not met here.
    pub fn is_missing(self) -> bool {
        self.missing().is_some()
    }

    /// Why the need is not met, if it is not.
    pub fn missing(self) -> Option<String> {
        match self {
            Need::Kprobes => (!Path::new("/sys/bus/event_source/devices/kprobe").exists())
                .then(|| "this kernel has no kprobes (CONFIG_KPROBES)".to_owned()),
            // Trampolines and kprobes are both text patching, which this project's host forbids.
            Need::Trampolines => (!Path::new("/sys/bus/event_source/devices/kprobe").exists())
                .then(|| "this kernel refuses BPF trampolines".to_owned()),
            Need::Terminals => crate::terminal::open().err(),
            Need::Veth => Need::Program("ip").missing(),
            Need::Disk => (!on_disk()).then(|| "this program's file is on no disk".to_owned()),
            Need::Objects => std::env::var_os("OBJECTS")
                .is_none()
                .then(|| "no objects from another kernel here".to_owned()),
            Need::Program(name) => {
                find_program(name).is_none().then(|| format!("no program `{name}` on this machine"))
            }
        }
    }
}

/// Whether this program's file is on a block device that the kernel lists.
fn on_disk() -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = std::env::current_exe().and_then(std::fs::metadata).map_or(0, |it| it.dev());
    Path::new(&format!("/sys/dev/block/{}:{}", libc::major(device), libc::minor(device))).exists()
}

/// Where programs are beside the `PATH`. Debian's `llvm-19` keeps those without a version in their names apart.
const FOLDERS: &str = ":/usr/sbin:/sbin:/usr/bin:/bin:/usr/lib/llvm-19/bin";

/// The path of a program, by `PATH` and the system's folders.
pub fn find_program(name: &str) -> Option<String> {
    let path = std::env::var("PATH").unwrap_or_default() + FOLDERS;
    path.split(':').map(|folder| format!("{folder}/{name}")).find(|it| Path::new(it).is_file())
}

/// Runs all cases whose name contains `filter`.
pub fn run(cases: &[Case], filter: &str) -> ExitCode {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for case in cases.iter().filter(|it| it.name.contains(filter)) {
        if let Some(reason) = case.needs.iter().find_map(|it| it.missing()) {
            println!("skipped: {}: {reason}", case.name);
            skipped += 1;
            continue;
        }
        let start = Instant::now();
        match (case.run)() {
            Ok(()) => {
                println!("ok: {} ({} ms)", case.name, start.elapsed().as_millis());
                passed += 1;
            }
            Err(reason) => {
                println!("FAILED: {}\n    {}", case.name, reason.replace('\n', "\n    "));
                failed += 1;
            }
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
