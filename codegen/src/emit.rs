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
#[cfg(test)]
mod tests;

use crate::bpf::{self, opcode};
use crate::ir;
use crate::target::{Isa, Target};
use lang::Diagnostic;
use std::collections::BTreeSet;

/// What the kernel gives a program and the subprograms it calls.
const STACK_LIMIT: u32 = 512;
/// The most functions that run at once, the program included.
const FRAME_LIMIT: usize = 8;
/// What the kernel keeps for itself in a function with a `may_goto`.
const MAY_GOTO_STACK: u32 = 16;

/// Emits a module. Diagnostics are about limits of eBPF (stack size).
pub fn emit(module: &ir::Module, target: &Target) -> Result<bpf::Module, Vec<Diagnostic>> {
    let functions: Vec<bpf::Function> =
        module.functions.iter().map(|it| emit_function(module, it, target.isa)).collect();
    let diagnostics = check_stack(module, &functions);
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

/// Finds programs that need more stack than there is, with the subprograms that they call.
fn check_stack(module: &ir::Module, functions: &[bpf::Function]) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    for (idx, function) in functions.iter().enumerate() {
        if function.probe.is_some() && call_depth(functions, idx, 1) > FRAME_LIMIT {
            let message = format!("the program calls more than {FRAME_LIMIT} functions deep");
            let hint = "a loop over a map, or on kernels before 6.9 over a range, calls one in each round";
            diagnostics.push(Diagnostic::error(module.functions[idx].span, message).hint(hint));
            continue;
        }
        // A subprogram alone may fit and still be too deep below a program, which says so.
        let need = stack_need(functions, idx, 0);
        if need > STACK_LIMIT && (function.probe.is_some() || function.stack > STACK_LIMIT) {
            let message = format!("the program needs {need} bytes of stack, eBPF has {STACK_LIMIT}");
            let hint = "lower the config setting `on_stack_limit`, or use fewer or shorter strings";
            diagnostics.push(Diagnostic::error(module.functions[idx].span, message).hint(hint));
        }
    }
    diagnostics
}

/// How many functions run at once below a call, itself and `depth - 1` above it included.
fn call_depth(functions: &[bpf::Function], idx: usize, depth: usize) -> usize {
    let Some(function) = functions.get(idx).filter(|_| depth <= FRAME_LIMIT) else { return depth };
    callees(function).into_iter().map(|it| call_depth(functions, it, depth + 1)).max().unwrap_or(depth)
}

/// The functions that one calls, or names for a helper to call.
fn callees(function: &bpf::Function) -> BTreeSet<usize> {
    let named = function.insns.iter().filter_map(|it| match it.reloc {
        Some(bpf::Reloc::Func(func)) => Some(func.index()),
        _ => None,
    });
    named.collect()
}

/// The stack that a function needs with everything it calls.
fn stack_need(functions: &[bpf::Function], idx: usize, depth: usize) -> u32 {
    let Some(function) = functions.get(idx).filter(|_| depth < FRAME_LIMIT) else { return 0 };
    let guard = function.insns.iter().any(|it| it.code == opcode::MAY_GOTO);
    let own = function.stack + if guard { MAY_GOTO_STACK } else { 0 };
    let below = callees(function).into_iter().map(|it| stack_need(functions, it, depth + 1)).max();
    match below {
        // The verifier counts frames of a call chain in steps of 32.
        Some(below) => own.max(1).next_multiple_of(32) + below.max(1).next_multiple_of(32),
        None => own,
    }
}
