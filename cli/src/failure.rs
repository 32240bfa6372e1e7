//! Why a command failed: who is at fault decides the exit code.

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
                eprintln!("ERROR: {message}");
                if let Some(hint) = hint {
                    eprintln!("HINT: {hint}");
                }
                2
            }
        }
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
            _ => Failure::machine(error.to_string()),
        }
    }
}
