//! Tree to typed program: names, types over the whole script, casts, constants, probes.

use crate::ast;
use crate::diagnostic::Diagnostic;
use crate::hir;
use crate::host::Host;
use crate::source::Sources;

/// What the command line adds to a script.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `$1`, `$2`, …
    pub params: Vec<String>,
    /// `-p`: programs of kernel-wide probes only act in this process.
    pub pid: Option<u32>,
    /// Configuration from the environment: name (lower case) and value; wins over the script.
    pub environment: Vec<(String, String)>,
    /// What the script may do beyond observing.
    pub allow: Allow,
}

/// What a script may do beyond observing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    /// Verdicts other than the default one.
    pub verdict: bool,
}

/// Types a script. The program is there exactly when no diagnostic is an error.
pub fn analyze(
    script: &ast::Script,
    sources: &Sources,
    options: &Options,
    host: &dyn Host,
) -> (Option<hir::Program>, Vec<Diagnostic>) {
    let _ = (script, sources, options, host);
    todo!("sema helper")
}
