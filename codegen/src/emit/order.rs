//! Blocks before selection: edges split where moves need a place, order, frequency.
//!
//! Comes in: an IR function. Goes out: the same function in which only plain jumps pass
//! arguments and no edge leads from a block with several ways out to one with several ways in;
//! the order to lay its blocks out, loops in one piece; and a guess at how often each runs.

use crate::ir::flow::{Flow, successors};
use crate::ir::{
    Block, BlockData, Edge, Function, InstData, InstId, Op, Region, Terminator, Type, Value, ValueData,
};

/// Splits edges, so that every edge has a block of its own where moves can be placed.
pub fn split_edges(function: &mut Function) {
    let mut n_entries = vec![0_usize; function.blocks.len()];
    for block in &function.blocks {
        for edge in block.terminator.edges() {
            n_entries[edge.block.index()] += 1;
        }
    }
    let mut added = Vec::new();
    let n_blocks = function.blocks.len();
    for block in &mut function.blocks {
        let span = block.span;
        let mut edges = block.terminator.edges_mut();
        if edges.len() < 2 {
            continue;
        }
        for edge in &mut edges {
            if n_entries[edge.block.index()] > 1 || !edge.args.is_empty() {
                let split = Block((n_blocks + added.len()) as u32);
                let target = std::mem::replace(*edge, Edge { block: split, args: Vec::new() });
                let terminator = Terminator::Jump(target);
                added.push(BlockData { params: Vec::new(), insts: Vec::new(), terminator, span });
            }
        }
    }
    function.blocks.extend(added);
}

/// Puts returns in place of jumps to blocks that do nothing else than return.
pub fn return_early(function: &mut Function) {
    for idx in 0..function.blocks.len() {
        let Terminator::Jump(edge) = &function.blocks[idx].terminator else { continue };
        let target = function.block(edge.block);
        let Terminator::Return(value) = target.terminator else { continue };
        if target.insts.is_empty() {
            // What is no parameter is defined above the target, so above every jump to it too.
            let param = target.params.iter().position(|&it| it == value);
            let value = param.map_or(value, |place| edge.args[place]);
            function.blocks[idx].terminator = Terminator::Return(value);
        } else if let [inst] = target.insts[..]
            && let InstData { op: Op::Const(number), result, span } = *function.inst(inst)
            && result == Some(value)
        {
            // The constant is made anew, as the other does not dominate.
            let constant = Value(function.values.len() as u32);
            function.values.push(ValueData { ty: Type::I64 });
            function.blocks[idx].insts.push(InstId(function.insts.len() as u32));
            function.insts.push(InstData { op: Op::Const(number), result: Some(constant), span });
            function.blocks[idx].terminator = Terminator::Return(constant);
        }
    }
}

/// An order of blocks.
pub struct Order {
    /// Reached blocks; each after its dominators, a loop's blocks together.
    pub blocks: Vec<Block>,
    /// For each block how often it runs, roughly; 1 for the entry.
    pub frequency: Vec<f32>,
}

/// Orders the blocks of a function.
pub fn order(function: &Function) -> Order {
    let flow = Flow::new(function);
    let depth = loop_depths(function, &flow);
    let cold = cold_blocks(function, &flow);
    let frequency = depth
        .iter()
        .zip(&cold)
        .map(|(&depth, cold)| 8_f32.powi(depth.min(4) as i32) * if cold.is_some() { 0.1 } else { 1.0 })
        .collect();
    let blocks = arrange(function, &depth, &cold);
    Order { blocks, frequency }
}

/// For each block the number of loops around it.
fn loop_depths(function: &Function, flow: &Flow) -> Vec<u32> {
    let mut depths = vec![0; function.blocks.len()];
    for &header in &flow.order {
        let back_edges = flow.predecessors[header.index()].iter().filter(|&&it| flow.dominates(header, it));
        let mut work: Vec<Block> = back_edges.copied().collect();
        if work.is_empty() {
            continue;
        }
        let mut inside = vec![false; function.blocks.len()];
        inside[header.index()] = true;
        while let Some(block) = work.pop() {
            if !std::mem::replace(&mut inside[block.index()], true) {
                work.extend(&flow.predecessors[block.index()]);
            }
        }
        for (depth, inside) in depths.iter_mut().zip(inside) {
            *depth += u32::from(inside);
        }
    }
    depths
}

/// For each block the first of its dominators that runs only after a look-up found nothing,
/// which settles down in a running script.
fn cold_blocks(function: &Function, flow: &Flow) -> Vec<Option<Block>> {
    let mut cold = vec![None; function.blocks.len()];
    for &block in &flow.order {
        let Some(dominator) = flow.immediate_dominator(block) else { continue };
        let null = flow.predecessors[block.index()].iter().any(|&it| is_null_edge(function, it, block));
        cold[block.index()] = cold[dominator.index()].or(null.then_some(block));
    }
    cold
}

fn is_null_edge(function: &Function, from: Block, to: Block) -> bool {
    let Terminator::Branch { cond, left, then, otherwise, .. } = &function.block(from).terminator else {
        return false;
    };
    let null = match cond {
        crate::ir::Cond::Eq => then,
        crate::ir::Cond::Ne => otherwise,
        _ => return false,
    };
    function.ty(*left) == Type::Ptr(Region::MaybeNull) && null.block == to && then.block != otherwise.block
}

/// Reverse post-order in which the ways out of loops and into cold blocks are taken last.
fn arrange(function: &Function, depth: &[u32], cold: &[Option<Block>]) -> Vec<Block> {
    let visit = |block: Block| {
        let mut next = successors(function, block);
        // The stack below takes from the end, and what is finished first is laid out last.
        next.sort_by_key(|it| (std::cmp::Reverse(depth[it.index()]), cold[it.index()].is_some()));
        (block, next)
    };
    let mut seen = vec![false; function.blocks.len()];
    let mut stack = Vec::new();
    if !seen.is_empty() {
        seen[0] = true;
        stack.push(visit(Block(0)));
    }
    let mut order = Vec::new();
    while let Some((block, rest)) = stack.last_mut() {
        match rest.pop() {
            Some(next) if !std::mem::replace(&mut seen[next.index()], true) => stack.push(visit(next)),
            Some(_) => {}
            None => {
                order.push(*block);
                stack.pop();
            }
        }
    }
    order.reverse();
    // Cold blocks outside of loops go behind everything else, with all that they dominate.
    let stays = |it: &Block| cold[it.index()].is_none_or(|root| depth[root.index()] > 0);
    let (mut blocks, last): (Vec<_>, Vec<_>) = order.into_iter().partition(stays);
    blocks.extend(last);
    blocks
}

/// For each value the operation that defines it.
pub fn definitions(function: &Function) -> Vec<Option<&Op>> {
    let mut found = vec![None; function.values.len()];
    for block in &function.blocks {
        for &inst in &block.insts {
            let inst = function.inst(inst);
            if let Some(Value(result)) = inst.result {
                found[result as usize] = Some(&inst.op);
            }
        }
    }
    found
}
