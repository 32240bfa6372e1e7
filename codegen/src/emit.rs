//! IR to eBPF: instruction selection, register allocation, stack layout.
//!
//! Comes in: a verified IR module and the instruction set to use. Goes out: instructions in which
//! only names are left for link to resolve; or diagnostics where a program needs more stack than
//! eBPF has. Nothing here changes what a program does, asks the kernel, or looks at the script.
//!
//! One function at a time:
//!
//! ```text
//! ir::Function ─order─► edges split, blocks ordered
//!              ─select─► Code: instructions on virtual registers
//!              ─live─► where each virtual register is live
//!              ─allocate─► registers, spill slots
//!              ─rewrite─► instructions on registers, moves between them     (check proves it)
//!              ─frame─► stack offsets
//!              ─assemble─► bpf::Insn
//! ```

mod allocate;
mod assemble;
mod bits;
mod check;
mod frame;
mod index_set;
mod live;
mod machine;
mod moves;
mod order;
mod rewrite;
mod select;
mod stack;
#[cfg(test)]
mod tests;

use crate::bpf;
use crate::ir;
use crate::target::{Isa, Target};
use lang::Diagnostic;

/// Emits a module. Diagnostics are about limits of eBPF (stack size, calls in one another).
pub fn emit(module: &ir::Module, target: &Target) -> Result<bpf::Module, Vec<Diagnostic>> {
    let functions: Vec<bpf::Function> =
        module.functions.iter().map(|it| emit_function(module, it, target.isa)).collect();
    let diagnostics = stack::check(&functions);
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    Ok(bpf::Module {
        functions,
        maps: module.maps.clone(),
        accesses: module.accesses.clone(),
        failures: module.failures.clone(),
        globals: module.globals.clone(),
    })
}

fn emit_function(module: &ir::Module, function: &ir::Function, isa: Isa) -> bpf::Function {
    let mut function = function.clone();
    order::return_early(&mut function);
    order::split_edges(&mut function);
    let order = order::order(&function);
    let code = select::select(module, &function, isa, order);
    let liveness = live::Liveness::new(&code);
    let allocation = allocate::allocate(&code, &liveness);
    let rewritten = rewrite::rewrite(&code, &liveness, &allocation);
    if cfg!(debug_assertions)
        && let Err(error) = check::check(&code, &liveness, &allocation, &rewritten)
    {
        panic!("bug in register allocation of {}: {error}", function.name);
    }
    let spills = &allocation.spill_ranges;
    let frame = frame::lay_out(&code, &liveness.layout, &function.slots, spills, &rewritten.read);
    let insns = assemble::assemble(&code, &liveness, &allocation, &rewritten, &frame, &module.accesses);
    bpf::Function {
        name: function.name,
        probe: function.probe,
        arity: function.params.len(),
        insns,
        stack: frame.size,
        span: function.span,
    }
}
