//! The printed form of the IR, as `build --emit=ir` and the snapshot tests show it.

use super::Module;
use lang::Sources;

/// Prints a module.
pub fn print(module: &Module, sources: &Sources) -> String {
    let _ = (module, sources);
    todo!("ir helper")
}
