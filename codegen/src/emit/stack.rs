//! The stack over calls: what the kernel counts of a program and the subprograms that it calls.
//!
//! Comes in: all functions, emitted. Goes out: a diagnostic for each program that the kernel would
//! refuse, which names the calls that take it there.

use crate::bpf::{Function, Reloc, opcode};
use lang::Diagnostic;
use std::collections::BTreeSet;

/// What the kernel gives a program and the subprograms it calls.
const LIMIT: u32 = 512;
/// How many functions the kernel lets be in one another, the program among them.
const MOST_FRAMES: usize = 8;
/// What the kernel keeps for itself in a function with a `may_goto`.
const MAY_GOTO: u32 = 16;

/// The calls below a function that need most.
#[derive(Clone, Default)]
struct Need {
    bytes: u32,
    /// The functions, the outermost first.
    chain: Vec<usize>,
}

/// Finds what needs more than there is.
pub fn check(functions: &[Function]) -> Vec<Diagnostic> {
    let mut chains =
        Chains { functions, needs: vec![None; functions.len()], depths: vec![None; functions.len()] };
    let mut diagnostics = Vec::new();
    for (idx, function) in functions.iter().enumerate() {
        let need = chains.need(idx);
        // A subprogram alone may fit and still be too deep below a program, which says so.
        if need.bytes > LIMIT && (function.probe.is_some() || function.stack > LIMIT) {
            diagnostics.push(too_much(functions, &need));
        }
        let depth = chains.depth(idx);
        if depth.len() > MOST_FRAMES && function.probe.is_some() {
            diagnostics.push(too_deep(functions, &depth));
        }
    }
    diagnostics
}

struct Chains<'a> {
    functions: &'a [Function],
    /// By function, once known.
    needs: Vec<Option<Need>>,
    /// The longest chain from each function.
    depths: Vec<Option<Vec<usize>>>,
}

impl Chains<'_> {
    fn callees(&self, idx: usize) -> BTreeSet<usize> {
        let calls = self.functions[idx].insns.iter().filter_map(|it| match it.reloc {
            Some(Reloc::Func(func)) => Some(func.index()),
            _ => None,
        });
        calls.collect()
    }

    /// The stack that a function needs with everything it calls. Nothing calls itself.
    fn need(&mut self, idx: usize) -> Need {
        if let Some(known) = &self.needs[idx] {
            return known.clone();
        }
        let function = &self.functions[idx];
        let guard = function.insns.iter().any(|it| it.code == opcode::MAY_GOTO);
        let own = function.stack + if guard { MAY_GOTO } else { 0 };
        let below = self.callees(idx).into_iter().map(|it| self.need(it)).max_by_key(|it| it.bytes);
        let bytes = match &below {
            // The verifier counts frames of a call chain in steps of 32.
            Some(below) => own.max(1).next_multiple_of(32) + below.bytes.max(1).next_multiple_of(32),
            None => own,
        };
        let chain = [idx].into_iter().chain(below.into_iter().flat_map(|it| it.chain)).collect();
        self.needs[idx].insert(Need { bytes, chain }).clone()
    }

    fn depth(&mut self, idx: usize) -> Vec<usize> {
        if let Some(known) = &self.depths[idx] {
            return known.clone();
        }
        let below = self.callees(idx).into_iter().map(|it| self.depth(it)).max_by_key(Vec::len);
        let chain = [idx].into_iter().chain(below.into_iter().flatten()).collect();
        self.depths[idx].insert(chain).clone()
    }
}

fn too_much(functions: &[Function], need: &Need) -> Diagnostic {
    let hint = "lower the config setting `on_stack_limit`, or use fewer or shorter strings";
    let message = format!("the program needs {} bytes of stack, eBPF has {LIMIT}", need.bytes);
    let diagnostic = Diagnostic::error(functions[need.chain[0]].span, message).hint(hint);
    need.chain.iter().skip(1).fold(diagnostic, |diagnostic, &it| {
        diagnostic.label(functions[it].span, format!("this function takes {} of them", functions[it].stack))
    })
}

fn too_deep(functions: &[Function], chain: &[usize]) -> Diagnostic {
    let message = format!("the program calls more than {MOST_FRAMES} functions deep");
    let hint = "a loop over a map, or on kernels before 6.9 over a range, calls one in each round";
    let diagnostic = Diagnostic::error(functions[chain[0]].span, message).hint(hint);
    chain
        .iter()
        .skip(1)
        .fold(diagnostic, |diagnostic, &it| diagnostic.label(functions[it].span, "it calls this function"))
}
