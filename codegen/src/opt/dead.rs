//! Dead code: operations and parameters whose value nothing needs, stores that nothing reads.

use super::clean;
use crate::helpers::Helper;
use crate::ir::{Function, Op, Slot, Value};
use std::collections::{HashMap, HashSet};

/// Removes them.
pub fn remove(function: &mut Function) -> bool {
    let unread = unread_memory(function);
    let live = live_values(function, &unread);
    let dead = |value: Value| !live[value.index()];
    let mut changed = false;
    let mut blocks = std::mem::take(&mut function.blocks);
    for block in &mut blocks {
        let before = block.insts.len();
        block.insts.retain(|&inst| {
            let inst = function.inst(inst);
            has_effect(&inst.op, &unread) || inst.result.is_some_and(|it| !dead(it))
        });
        changed |= block.insts.len() != before;
        for &inst in &block.insts {
            let inst = &mut function.insts[inst.0 as usize];
            // A call for its effect, or an addition whose old value nobody looks at.
            if inst.result.is_some_and(dead) {
                if let Op::AtomicAdd { fetch, .. } = &mut inst.op {
                    *fetch = false;
                }
                inst.result = None;
            }
        }
    }
    function.blocks = blocks;
    let mut params = function.blocks.iter().skip(1).flat_map(|it| &it.params);
    if params.any(|it| dead(*it)) {
        let entry = function.blocks[0].params.clone();
        clean::remove_params(function, |it| dead(it) && !entry.contains(&it));
        changed = true;
    }
    changed
}

/// Whether an operation must stay even when its result is not used.
fn has_effect(op: &Op, unread: &HashSet<Value>) -> bool {
    match op {
        Op::Call(helper, _) => !is_pure(*helper),
        Op::Store { ptr, .. } => !unread.contains(ptr),
        op => op.has_effect(),
    }
}

/// Helpers that only give a value.
pub fn is_pure(helper: Helper) -> bool {
    use Helper::*;
    super::common::is_constant_during_event(helper)
        || matches!(helper, KtimeGetNs | KtimeGetBootNs | KtimeGetTaiNs | GetPrandomU32)
}

/// The addresses of stack objects to which something is stored at most.
fn unread_memory(function: &Function) -> HashSet<Value> {
    let insts = || function.blocks.iter().flat_map(|it| &it.insts).map(|it| function.inst(*it));
    let addresses: HashMap<Value, Slot> = insts()
        .filter_map(|inst| match inst.op {
            Op::SlotAddr(slot) => Some((inst.result?, slot)),
            _ => None,
        })
        .collect();
    let mut used: HashSet<Slot> = HashSet::new();
    for inst in insts() {
        match &inst.op {
            Op::Store { value, .. } => used.extend(addresses.get(value)),
            op => used.extend(op.operands().iter().filter_map(|it| addresses.get(it))),
        }
    }
    for block in &function.blocks {
        used.extend(block.terminator.operands().iter().filter_map(|it| addresses.get(it)));
        let edges = block.terminator.edges();
        used.extend(edges.iter().flat_map(|it| &it.args).filter_map(|it| addresses.get(it)));
    }
    addresses.iter().filter(|(_, slot)| !used.contains(slot)).map(|(address, _)| *address).collect()
}

/// For every value whether something that stays needs it.
fn live_values(function: &Function, unread: &HashSet<Value>) -> Vec<bool> {
    let mut live = vec![false; function.values.len()];
    let mut definitions: HashMap<Value, Vec<Value>> = HashMap::new();
    let mut open = Vec::new();
    for block in &function.blocks {
        for &inst in &block.insts {
            let inst = function.inst(inst);
            if has_effect(&inst.op, unread) {
                open.extend(inst.op.operands());
            }
            if let Some(result) = inst.result {
                definitions.entry(result).or_default().extend(inst.op.operands());
            }
        }
        open.extend(block.terminator.operands());
        for edge in block.terminator.edges() {
            for (&param, &arg) in function.block(edge.block).params.iter().zip(&edge.args) {
                definitions.entry(param).or_default().push(arg);
            }
        }
    }
    while let Some(value) = open.pop() {
        if !std::mem::replace(&mut live[value.index()], true) {
            open.extend(definitions.get(&value).into_iter().flatten());
        }
    }
    live
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn what_nothing_needs_goes() {
        for (body, expected) in [
            ("b0:\nv0 = const 1\nv1 = neg v0\nv2 = const 2\nreturn v2", "b0:\nv2 = const 2\nreturn v2"),
            (
                "b0:\nv0 = call ktime_get_ns()\nv1 = call map_delete_elem(v0, v0)\nv2 = const 0\nreturn v2",
                "b0:\nv0 = call ktime_get_ns()\ncall map_delete_elem(v0, v0)\nv2 = const 0\nreturn v2",
            ),
            (
                "b0:\nv0 = call ktime_get_ns()\njump b1(v0)\nb1(v1: i64):\nv2 = const 0\nreturn v2",
                "b0:\njump b1\nb1:\nv2 = const 0\nreturn v2",
            ),
            (
                "slot s0 8 align 8\nslot s1 8 align 8\nb0:\nv0 = const 7\nv1 = slot_addr s0\nstore.64 v1+0, v0\nv2 = slot_addr s1\nstore.64 v2+0, v0\nv3 = load.u64 v2+0\nreturn v3",
                "slot s0 8 align 8\nslot s1 8 align 8\nb0:\nv0 = const 7\nv2 = slot_addr s1\nstore.64 v2+0, v0\nv3 = load.u64 v2+0\nreturn v3",
            ),
            (
                // A loop that only feeds itself.
                "b0:\nv0 = const 0\njump b1(v0)\nb1(v1: i64):\nv2 = const 1\nv3 = add v1, v2\nbranch eq v2, v0, b1(v3), b2\nb2:\nreturn v0",
                "b0:\nv0 = const 0\njump b1\nb1:\nv2 = const 1\nbranch eq v2, v0, b1, b2\nb2:\nreturn v0",
            ),
        ] {
            check(super::remove, body, expected);
        }
    }
}
