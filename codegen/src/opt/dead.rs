//! Dead code: instructions and block parameters whose values nobody uses.

use super::common::is_event_constant;
use crate::ir::{Block, Function, Op, Value};

/// Removes what has no use and no effect.
pub fn eliminate_dead(function: &mut Function) -> bool {
    let live = live_values(function);
    let dead_result = |op: &Op, result: Option<Value>| {
        let pure = !op.has_effect() || matches!(op, Op::Call(helper, _) if is_event_constant(*helper));
        pure && result.is_none_or(|it| !live[it.index()])
    };
    let mut changed = false;
    for block in &mut function.blocks {
        let before = block.insts.len();
        block.insts.retain(|it| {
            let inst = &function.insts[it.0 as usize];
            !dead_result(&inst.op, inst.result)
        });
        changed |= block.insts.len() != before;
    }
    changed | remove_parameters(function, &live)
}

/// A value is live when an effect or a terminator needs it, directly or through others.
fn live_values(function: &Function) -> Vec<bool> {
    let mut makers = vec![None; function.values.len()];
    let mut sources: Vec<Vec<Value>> = vec![Vec::new(); function.values.len()];
    let mut work: Vec<Value> = Vec::new();
    for block in &function.blocks {
        for id in &block.insts {
            let inst = function.inst(*id);
            if let Some(result) = inst.result {
                makers[result.index()] = Some(*id);
            }
            let removable = matches!(&inst.op, Op::Call(helper, _) if is_event_constant(*helper));
            if inst.op.has_effect() && !removable {
                work.extend(inst.op.operands());
            }
        }
        work.extend(block.terminator.operands());
        for edge in block.terminator.edges() {
            for (parameter, argument) in function.block(edge.block).params.iter().zip(&edge.args) {
                sources[parameter.index()].push(*argument);
            }
        }
    }
    let mut live = vec![false; function.values.len()];
    while let Some(value) = work.pop() {
        if std::mem::replace(&mut live[value.index()], true) {
            continue;
        }
        if let Some(id) = makers[value.index()] {
            work.extend(function.inst(id).op.operands());
        }
        work.extend(&sources[value.index()]);
    }
    live
}

/// Drops dead parameters of all blocks but the entry, with the arguments passed for them.
fn remove_parameters(function: &mut Function, live: &[bool]) -> bool {
    let mut changed = false;
    for index in 1..function.blocks.len() {
        let kept: Vec<bool> = function.blocks[index].params.iter().map(|it| live[it.index()]).collect();
        if kept.iter().all(|it| *it) {
            continue;
        }
        changed = true;
        retain(&mut function.blocks[index].params, &kept);
        for block in &mut function.blocks {
            for edge in block.terminator.edges_mut() {
                if edge.block == Block(index as u32) {
                    retain(&mut edge.args, &kept);
                }
            }
        }
    }
    changed
}

fn retain(list: &mut Vec<Value>, kept: &[bool]) {
    let mut kept = kept.iter();
    list.retain(|_| *kept.next().unwrap_or(&true));
}
