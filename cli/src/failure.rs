//! Why a command failed: who is at fault decides the exit code.

use crate::terminal;
use lang::{Diagnostic, Sources};
use runtime::linux::reason;
use std::io;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// The script; its diagnostics are already printed.
    Script,
    /// The machine lacks what the script needs; the diagnostics are already printed.
    Unavailable,
    /// The machine or the arguments: a message and what may help.
    Machine {
        /// Understandable alone.
        message: String,
        /// Something to do.
        hint: Option<String>,
    },
    /// The reader of our output went away: not worth a word.
    ClosedPipe,
}

impl Failure {
    /// A failure of the machine, or wrong arguments.
    pub fn machine(message: impl Into<String>) -> Self {
        Failure::Machine { message: message.into(), hint: None }
    }

    /// Prints the message on stderr and gives the exit code.
    pub fn report(self) -> u8 {
        match self {
            Failure::Script => 1,
            Failure::Unavailable => 2,
            Failure::ClosedPipe => 0,
            Failure::Machine { message, hint } => {
                terminal::error(&message);
                if let Some(hint) = hint {
                    terminal::hint(&hint);
                }
                2
            }
        }
    }
}

impl Failure {
    /// What the runtime says of an object: a refused program is shown at the script's line, with
    /// the part of the kernel's log that matters, or all of it when `verbose`.
    pub fn of_run(error: runtime::backend::Error, sources: &Sources, verbose: bool) -> Failure {
        let Some(refusal) = &error.refusal else { return error.into() };
        let shown = Diagnostic::error(refusal.span, &error.message).maybe_hint(error.hint);
        terminal::diagnostic(&shown, sources);
        let log = if verbose { refusal.log.lines().collect() } else { refusal.excerpt() };
        log.iter().for_each(|line| terminal::line(&format!("KERNEL: {line}")));
        if !verbose {
            terminal::hint("-v shows the kernel's whole log");
        }
        Failure::Unavailable
    }
}

impl From<runtime::backend::Error> for Failure {
    fn from(error: runtime::backend::Error) -> Self {
        Failure::Machine { message: error.message, hint: error.hint }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::ClosedPipe,
            _ => Failure::machine(reason::of(&error)),
        }
    }
}
