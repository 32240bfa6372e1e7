//! Typed tree to IR: every language construct becomes SSA, helper calls and maps.

use crate::ir;
use crate::target::Target;
use lang::{Diagnostic, hir};

/// Lowers a program.
pub fn lower(program: &hir::Program, target: &Target) -> Result<ir::Module, Vec<Diagnostic>> {
    let _ = (program, target);
    todo!("lower helper")
}
