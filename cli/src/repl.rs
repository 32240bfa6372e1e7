//! `kscope repl`: enter a probe, watch it run, Ctrl-C back to the prompt.

use crate::cli::ReplArgs;
use crate::failure::Failure;

/// Runs the prompt until end of input.
pub fn repl(_args: &ReplArgs) -> Result<u8, Failure> {
    Err(Failure::machine("the prompt is not supported yet"))
}
