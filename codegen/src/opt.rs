//! Passes over the IR. Each is a free function from module to module; [`optimize`] is their list.

use crate::ir::Module;
use crate::target::Target;

/// Runs all passes.
pub fn optimize(module: Module, target: &Target) -> Module {
    let _ = target;
    module
}
