//! What happens when a record arrives, and at the end: actions are carried out, maps printed.

use crate::backend::{Backend, Result};
use crate::output::Output;
use crate::symbols::Symbols;
use codegen::Manifest;

/// Carries out a program's actions.
pub struct Dispatcher {
    manifest: Manifest,
    output: Output,
    symbols: Box<dyn Symbols>,
    exit: Option<u8>,
}

impl Dispatcher {
    /// For one run of a program.
    pub fn new(manifest: Manifest, output: Output, symbols: Box<dyn Symbols>) -> Self {
        Dispatcher { manifest, output, symbols, exit: None }
    }

    /// The exit code, once the script called `exit`.
    pub fn exit_code(&self) -> Option<u8> {
        self.exit
    }

    /// Takes note of a process whose addresses may be printed after it has ended.
    pub fn remember(&mut self, pid: u32) {
        self.symbols.remember(pid);
    }

    /// Says how many probes are attached (JSON on the script's output, text on stderr).
    pub fn attached(&mut self, probes: usize) -> Result<()> {
        let _ = probes;
        todo!("output helper")
    }

    /// Drains the backend's records and carries each one out.
    pub fn drain(&mut self, backend: &mut dyn Backend) -> Result<()> {
        let _ = (backend, &mut self.output, &mut self.symbols, &self.manifest);
        todo!("output helper")
    }

    /// Reports lost records and full maps that were not reported yet.
    pub fn report_losses(&mut self, backend: &mut dyn Backend) -> Result<()> {
        let _ = backend;
        todo!("output helper")
    }

    /// The end of the run: the last records, losses, then all maps as the configuration says.
    pub fn finish(&mut self, backend: &mut dyn Backend) -> Result<()> {
        let _ = backend;
        todo!("output helper")
    }
}
