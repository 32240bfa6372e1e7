//! The run loop: load, begin, attach, events, detach, end, drain, print.

use crate::backend::Result;
use crate::dispatch::Dispatcher;
use crate::linux::LinuxBackend;
use codegen::Object;

/// How to run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `-c`: the command to start and trace.
    pub command: Option<String>,
    /// `-p`: end when this process does, and attach process-wide probes to it.
    pub pid: Option<u32>,
    /// `-v`: say what is attached and how.
    pub verbose: bool,
    /// `-q`: do not say how many probes are attached.
    pub quiet: bool,
}

/// Runs an object until it ends; the result is the process's exit code.
pub fn run(object: &Object, options: &Options, backend: LinuxBackend, dispatcher: Dispatcher) -> Result<u8> {
    let _ = (object, options, backend, dispatcher);
    todo!("linux helper")
}
