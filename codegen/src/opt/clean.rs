//! Removes what control flow leaves behind: unreachable blocks, parameters that are always the
//! same value. Lowering ends with it too.

use crate::ir::{Block, Function, Terminator, Value};
use std::collections::HashMap;

/// Removes blocks that the entry does not reach and closes the gaps in the numbering.
pub fn remove_unreachable(function: &mut Function) -> bool {
    let mut reached = vec![false; function.blocks.len()];
    let mut open = vec![Block(0)];
    reached[0] = true;
    while let Some(block) = open.pop() {
        for edge in function.block(block).terminator.edges() {
            if !std::mem::replace(&mut reached[edge.block.index()], true) {
                open.push(edge.block);
            }
        }
    }
    if reached.iter().all(|it| *it) {
        return false;
    }
    let mut names = vec![Block(0); reached.len()];
    for (name, (idx, _)) in reached.iter().enumerate().filter(|(_, it)| **it).enumerate() {
        names[idx] = Block(name as u32);
    }
    let mut kept = reached.iter();
    function.blocks.retain(|_| kept.next().is_some_and(|it| *it));
    for block in &mut function.blocks {
        for edge in block.terminator.edges_mut() {
            edge.block = names[edge.block.index()];
        }
    }
    true
}

/// Removes parameters that are always the same value; removing one may make others so.
pub fn remove_trivial_params(function: &mut Function) -> bool {
    let mut changed = false;
    loop {
        let trivial = trivial_params(function);
        if trivial.is_empty() {
            return changed;
        }
        changed = true;
        remove_params(function, |param| trivial.contains_key(&param));
        replace(function, &trivial);
    }
}

/// Removes the parameters that `f` names, and what edges pass for them.
pub fn remove_params(function: &mut Function, f: impl Fn(Value) -> bool) {
    let kept: Vec<Vec<bool>> =
        function.blocks.iter().map(|block| block.params.iter().map(|it| !f(*it)).collect()).collect();
    for block in &mut function.blocks {
        block.params.retain(|it| !f(*it));
        for edge in block.terminator.edges_mut() {
            let mut kept = kept[edge.block.index()].iter();
            edge.args.retain(|_| kept.next().is_some_and(|it| *it));
        }
    }
}

/// Replaces values everywhere; what a replacement is replaced by is followed.
pub fn replace(function: &mut Function, by: &HashMap<Value, Value>) {
    if by.is_empty() {
        return;
    }
    let swap = |value: &mut Value| {
        while let Some(new) = by.get(value) {
            *value = *new;
        }
    };
    for inst in &mut function.insts {
        inst.op.operands_mut(swap);
    }
    for block in &mut function.blocks {
        match &mut block.terminator {
            Terminator::Branch { left, right, .. } => {
                swap(left);
                swap(right);
            }
            Terminator::Return(value) => swap(value),
            Terminator::Jump(_) | Terminator::LoopGuard { .. } => {}
        }
        for edge in block.terminator.edges_mut() {
            edge.args.iter_mut().for_each(swap);
        }
    }
}

/// Parameters (but the entry's) with the value that every edge passes, or themselves.
fn trivial_params(function: &Function) -> HashMap<Value, Value> {
    let mut only: HashMap<Value, Option<Value>> = HashMap::new();
    for block in &function.blocks {
        for edge in block.terminator.edges() {
            for (&param, &arg) in function.block(edge.block).params.iter().zip(&edge.args) {
                if arg != param {
                    let seen = only.entry(param).or_insert(Some(arg));
                    *seen = seen.filter(|it| *it == arg);
                }
            }
        }
    }
    let trivial: HashMap<Value, Value> =
        only.into_iter().filter_map(|(param, it)| Some((param, it?))).collect();
    let mut ends = HashMap::new();
    for &param in trivial.keys() {
        follow(param, &trivial, &mut ends);
    }
    // Two parameters may be each other's only value; such a circle is left alone.
    ends.into_iter().filter_map(|(param, end)| Some((param, end?))).collect()
}

/// Notes for a parameter, and for those on the way, where the way of replacements ends; `None` when
/// it goes in a circle.
fn follow(param: Value, trivial: &HashMap<Value, Value>, ends: &mut HashMap<Value, Option<Value>>) {
    let mut way = Vec::new();
    let mut at = param;
    let end = loop {
        if let Some(end) = ends.get(&at) {
            break *end;
        }
        let Some(&next) = trivial.get(&at) else { break Some(at) };
        // Until the end is known, who comes by again has gone in a circle.
        ends.insert(at, None);
        way.push(at);
        at = next;
    };
    ends.extend(way.into_iter().map(|it| (it, end)));
}
