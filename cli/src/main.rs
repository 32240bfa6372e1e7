//! The command line: parses arguments, calls the stages, maps the outcome to an exit code.
//!
//! Exit codes: 0 good, 1 the script is wrong, 2 usage or the machine, 70 our bug; a script's
//! `exit(n)` wins.

mod build;
mod check;
mod cli;
mod failure;
mod fmt;
mod info;
mod list;
mod parameters;
mod repl;
mod run;
mod script;
mod terminal;
mod trace;
mod unsupported;

use clap::Parser;
use cli::{Cli, Command};
use failure::Failure;
use std::process::ExitCode;

/// `sysexits.h`'s "internal software error".
const EXIT_BUG: i32 = 70;

fn main() -> ExitCode {
    report_bugs();
    let cli = Cli::parse();
    let outcome = match &cli.command {
        None => trace::trace(&cli.trace),
        Some(Command::Repl(args)) => repl::repl(args),
        Some(Command::Check(args)) => check::check(args),
        Some(Command::Fmt(args)) => fmt::fmt(args),
        Some(Command::Build(args)) => build::build(args),
        Some(Command::Run(args)) => run::run(args),
        Some(Command::List(args)) => list::list(args.pattern.as_deref(), args.verbose),
        Some(Command::Info) => info::info(),
    };
    ExitCode::from(outcome.unwrap_or_else(Failure::report))
}

/// A panic is our bug: says so in one line, with what a report needs, and exits with 70.
fn report_bugs() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or(String::new(), |it| format!(" at {}:{}", it.file(), it.line()));
        let payload = panic.payload();
        let reason = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("panic");
        terminal::line(&format!("kscope: bug in kscope {}{place}: {reason}", env!("CARGO_PKG_VERSION")));
        std::process::exit(EXIT_BUG);
    }));
}
