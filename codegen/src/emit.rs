//! IR to eBPF: instruction selection, register allocation, stack layout.

use crate::bpf;
use crate::ir;
use crate::target::Target;
use lang::Diagnostic;

/// Emits a module. Diagnostics are about limits of eBPF (stack size).
pub fn emit(module: &ir::Module, target: &Target) -> Result<bpf::Module, Vec<Diagnostic>> {
    let _ = (module, target);
    todo!("emit helper")
}
