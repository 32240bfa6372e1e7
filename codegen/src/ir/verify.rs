//! The rules of the IR, and a check of them that runs between passes in tests and debug builds.

use super::Module;

/// Checks a module; the error names function, block and rule.
pub fn verify(module: &Module) -> Result<(), String> {
    let _ = module;
    todo!("ir helper")
}
