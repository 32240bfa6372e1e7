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

/// Parameters (but the entry's) for which every edge passes the same value or themselves, with
/// that value.
///
/// Optimistic: a parameter stands for what is passed for it until two values differ; then it
/// stands for itself, for good. So chains of parameters fall in one go, and circles too.
fn trivial_params(function: &Function) -> HashMap<Value, Value> {
    let mut stands_for: Vec<Option<Value>> =
        (0..function.values.len()).map(|it| Some(Value(it as u32))).collect();
    let params = function.blocks.iter().skip(1).flat_map(|it| &it.params);
    params.clone().for_each(|it| stands_for[it.index()] = None);
    let mut changed = true;
    while changed {
        changed = false;
        for block in &function.blocks {
            for edge in block.terminator.edges() {
                if edge.block == Block(0) {
                    continue;
                }
                for (&param, arg) in function.block(edge.block).params.iter().zip(&edge.args) {
                    let known = stands_for[param.index()];
                    let passed = stands_for[arg.index()];
                    let new = match (known, passed) {
                        (Some(itself), _) if itself == param => known,
                        (_, None) => known,
                        (None, passed) => passed,
                        (Some(known), Some(passed)) if known == passed || passed == param => Some(known),
                        (Some(_), Some(_)) => Some(param),
                    };
                    changed |= new != known;
                    stands_for[param.index()] = new;
                }
            }
        }
    }
    let found = params.filter_map(|&param| Some((param, stands_for[param.index()]?)));
    found.filter(|(param, value)| param != value).collect()
}
