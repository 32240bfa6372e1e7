//! Control flow: constant branches, comparisons fused into branches, jumps to jumps, blocks in a
//! row, blocks that nothing reaches.

use super::common::constants;
use super::fold::holds;
use super::rewrite::Rewrite;
use crate::ir::flow::Flow;
use crate::ir::{Block, BlockData, Cond, Edge, Function, Op, Terminator, Value};
use std::collections::HashMap;

/// Simplifies all branches.
pub fn simplify_branches(function: &mut Function) -> bool {
    let mut changed = fuse_comparisons(function);
    changed |= fold_branches(function);
    changed |= thread_jumps(function);
    changed |= join_blocks(function);
    changed | remove_unreached(function)
}

/// `if (a < b) != 0` becomes `if a < b`.
fn fuse_comparisons(function: &mut Function) -> bool {
    let known = constants(function);
    let compares: HashMap<Value, (Cond, Value, Value)> = function
        .insts
        .iter()
        .filter_map(|inst| match (&inst.op, inst.result) {
            (Op::Compare(cond, a, b), Some(result)) => Some((result, (*cond, *a, *b))),
            _ => None,
        })
        .collect();
    let mut changed = false;
    for block in &mut function.blocks {
        let Terminator::Branch { cond, left, right, .. } = &mut block.terminator else { continue };
        if known.get(right) != Some(&0) {
            continue;
        }
        let Some((inner, a, b)) = compares.get(left) else { continue };
        let fused = match cond {
            Cond::Ne => Some(*inner),
            Cond::Eq => inner.inverse(),
            _ => None,
        };
        if let Some(fused) = fused {
            (*cond, *left, *right) = (fused, *a, *b);
            changed = true;
        }
    }
    changed
}

/// A branch whose outcome is known, or whose edges are the same, is a jump.
fn fold_branches(function: &mut Function) -> bool {
    let known = constants(function);
    let mut changed = false;
    for block in &mut function.blocks {
        let Terminator::Branch { cond, left, right, then, otherwise } = &block.terminator else { continue };
        let taken = match (known.get(left), known.get(right)) {
            (Some(a), Some(b)) => Some(if holds(*cond, *a, *b) { then } else { otherwise }),
            _ if then == otherwise => Some(then),
            _ => None,
        };
        if let Some(taken) = taken.cloned() {
            block.terminator = Terminator::Jump(taken);
            changed = true;
        }
    }
    changed
}

/// An edge to a block that does nothing but jump on goes there at once.
fn thread_jumps(function: &mut Function) -> bool {
    let known = constants(function);
    let mut changed = false;
    for index in 0..function.blocks.len() {
        let mut terminator = function.blocks[index].terminator.clone();
        for edge in terminator.edges_mut() {
            // A loop of empty blocks would be followed for ever.
            for _ in 0..8 {
                let Some(next) = through(function, edge, &known) else { break };
                *edge = next;
                changed = true;
            }
        }
        function.blocks[index].terminator = terminator;
    }
    changed
}

/// Where control ends up behind an edge into an empty block, with arguments for that place.
fn through(function: &Function, edge: &Edge, known: &HashMap<Value, i64>) -> Option<Edge> {
    let block = function.block(edge.block);
    if !block.insts.is_empty() {
        return None;
    }
    let stands_for = |value: &Value| match block.params.iter().position(|it| it == value) {
        Some(index) => edge.args[index],
        None => *value,
    };
    let next = match &block.terminator {
        Terminator::Jump(next) => next,
        Terminator::Branch { cond, left, right, then, otherwise } => {
            let (a, b) = (known.get(&stands_for(left))?, known.get(&stands_for(right))?);
            if holds(*cond, *a, *b) { then } else { otherwise }
        }
        Terminator::LoopGuard { .. } | Terminator::Return(_) => return None,
    };
    // The block's parameters may be used further on only if it dominates the uses; skipping it
    // would leave those uses without a definition.
    let escapes = !block.params.is_empty() && uses_outside(function, edge.block);
    if next.block == edge.block || escapes {
        return None;
    }
    Some(Edge { block: next.block, args: next.args.iter().map(stands_for).collect() })
}

/// Whether a block's parameters are read anywhere but in its own terminator.
fn uses_outside(function: &Function, block: Block) -> bool {
    let params = &function.block(block).params;
    let reads = |value: &Value| params.contains(value);
    function.blocks.iter().enumerate().any(|(index, other)| {
        let in_insts = other.insts.iter().any(|it| function.inst(*it).op.operands().iter().any(reads));
        let in_edges = || other.terminator.edges().iter().any(|it| it.args.iter().any(reads));
        let in_end = || other.terminator.operands().iter().any(reads) || in_edges();
        in_insts || (index != block.index() && in_end())
    })
}

/// A block whose only way in is a jump continues the block that jumps.
fn join_blocks(function: &mut Function) -> bool {
    let flow = Flow::new(function);
    let mut joined = vec![false; function.blocks.len()];
    let mut rewrite = Rewrite::new(function);
    for &block in flow.order.iter() {
        if joined[block.index()] {
            continue;
        }
        while let Terminator::Jump(edge) = &function.block(block).terminator {
            let next = edge.block;
            // Joining changes which block is the one predecessor, never how many there are.
            if next == block || next == Block(0) || flow.predecessors[next.index()].len() != 1 {
                break;
            }
            for (parameter, argument) in function.block(next).params.iter().zip(&edge.args) {
                rewrite.replace(*parameter, *argument);
            }
            joined[next.index()] = true;
            append(function, block, next);
        }
    }
    rewrite.apply(function);
    joined.contains(&true)
}

/// Moves what `next` holds behind `block`; `next` is left as a loop that nothing reaches.
fn append(function: &mut Function, block: Block, next: Block) {
    let span = function.block(next).span;
    let to_itself = Terminator::Jump(Edge { block: next, args: Vec::new() });
    let empty = BlockData { params: Vec::new(), insts: Vec::new(), terminator: to_itself, span };
    let next = std::mem::replace(&mut function.blocks[next.index()], empty);
    let first = &mut function.blocks[block.index()];
    first.insts.extend(next.insts);
    first.terminator = next.terminator;
    first.span = next.span;
}

/// Blocks that the entry does not reach go; the others keep their order and get new numbers.
fn remove_unreached(function: &mut Function) -> bool {
    let flow = Flow::new(function);
    let kept: Vec<bool> = (0..function.blocks.len()).map(|it| flow.reaches(Block(it as u32))).collect();
    if kept.iter().all(|it| *it) {
        return false;
    }
    let mut count = 0;
    let number: Vec<u32> = kept
        .iter()
        .map(|kept| {
            let number = count;
            count += u32::from(*kept);
            number
        })
        .collect();
    let mut keep = kept.iter();
    function.blocks.retain(|_| *keep.next().unwrap_or(&true));
    for block in &mut function.blocks {
        for edge in block.terminator.edges_mut() {
            edge.block = Block(number[edge.block.index()]);
        }
    }
    true
}
