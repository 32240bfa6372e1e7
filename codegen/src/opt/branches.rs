//! Control flow: jumps that only lead to jumps, branches whose outcome the way there decides,
//! blocks that only one jump leads to.

use super::clean;
use super::fold::holds;
use crate::ir::flow::Flow;
use crate::ir::{
    Block, Cond, Edge, Function, InstData, InstId, Op, Region, Terminator, Type, Value, ValueData,
};
use std::collections::{HashMap, HashSet};

/// Simplifies the control flow.
pub fn simplify(function: &mut Function) -> bool {
    let mut changed = decide(function);
    changed |= thread(function);
    changed |= clean::remove_unreachable(function);
    changed |= merge(function);
    changed |= clean::remove_trivial_params(function);
    changed
}

/// Null checks of pointers that a check above has told from null, or found to be null, go on
/// without a check.
fn decide(function: &mut Function) -> bool {
    let flow = Flow::new(function);
    let mut changed = false;
    for &block in &flow.order {
        if let Some((pointer, null, found)) = null_check(function, block)
            && let Some(is_null) = outcome(function, &flow, pointer, block)
        {
            let edge = if is_null { null } else { found }.clone();
            function.blocks[block.index()].terminator = Terminator::Jump(edge);
            changed = true;
        }
    }
    changed
}

/// The pointer that a block compares with null at its end, and where it goes on.
fn null_check(function: &Function, block: Block) -> Option<(Value, &Edge, &Edge)> {
    match &function.block(block).terminator {
        Terminator::Branch { cond, left, then, otherwise, .. }
            if function.ty(*left) == Type::Ptr(Region::MaybeNull) && then.block != otherwise.block =>
        {
            match cond {
                Cond::Eq => Some((*left, then, otherwise)),
                Cond::Ne => Some((*left, otherwise, then)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether a pointer is null in `block`, where a check above says so.
fn outcome(function: &Function, flow: &Flow, pointer: Value, block: Block) -> Option<bool> {
    let mut below = block;
    while let Some(above) = flow.immediate_dominator(below) {
        let only_way = flow.predecessors[below.index()] == [above];
        match null_check(function, above) {
            Some((it, null, found)) if it == pointer && only_way => {
                return Some(null.block == below).filter(|is_null| *is_null || found.block == below);
            }
            _ => below = above,
        }
    }
    None
}

/// Sends edges past blocks that do nothing but decide where to go on.
fn thread(function: &mut Function) -> bool {
    let mut numbers = numbers(function);
    let passable = passable(function, &numbers);
    let mut changed = false;
    for idx in 0..function.blocks.len() {
        let mut terminator = function.blocks[idx].terminator.clone();
        let mut constants = Vec::new();
        let mut any = false;
        for edge in terminator.edges_mut() {
            // Every step leaves a block behind; a circle of them ends with the limit.
            for _ in 0..8 {
                let Some(next) = (passable[edge.block.index()] && edge.block.index() != idx)
                    .then(|| pass(function, &numbers, edge, &mut constants))
                    .flatten()
                else {
                    break;
                };
                *edge = next;
                any = true;
            }
        }
        if any {
            add_constants(function, idx, &mut terminator, &constants, &mut numbers);
            function.blocks[idx].terminator = terminator;
            changed = true;
        }
    }
    changed
}

/// The numbers that values are, where they are constants.
fn numbers(function: &Function) -> HashMap<Value, i64> {
    let placed = function.blocks.iter().flat_map(|it| &it.insts).map(|it| function.inst(*it));
    let constants = placed.filter_map(|inst| match inst.op {
        Op::Const(number) => Some((inst.result?, number)),
        _ => None,
    });
    constants.collect()
}

/// For each block whether it holds only constants and its values are not used in other blocks.
fn passable(function: &Function, numbers: &HashMap<Value, i64>) -> Vec<bool> {
    let mut foreign = HashSet::new();
    for block in &function.blocks {
        let own: HashSet<Value> = block
            .insts
            .iter()
            .filter_map(|it| function.inst(*it).result)
            .chain(block.params.clone())
            .collect();
        let insts = block.insts.iter().flat_map(|it| function.inst(*it).op.operands());
        let edges = block.terminator.edges();
        let args = edges.iter().flat_map(|it| it.args.iter().copied());
        let used = insts.chain(block.terminator.operands()).chain(args);
        foreign.extend(used.filter(|it| !own.contains(it)));
    }
    let simple = |block: &crate::ir::BlockData| {
        let mut results = block.insts.iter().map(|it| function.inst(*it).result);
        results.all(|it| it.is_some_and(|it| numbers.contains_key(&it) && !foreign.contains(&it)))
            && block.params.iter().all(|it| !foreign.contains(it))
            && matches!(block.terminator, Terminator::Jump(_) | Terminator::Branch { .. })
    };
    function.blocks.iter().enumerate().map(|(idx, block)| idx > 0 && simple(block)).collect()
}

/// Where an edge to a passable block ends up; constants of that block are noted, and stand for
/// values that do not exist yet.
fn pass(
    function: &Function,
    numbers: &HashMap<Value, i64>,
    edge: &Edge,
    constants: &mut Vec<(Value, i64)>,
) -> Option<Edge> {
    let block = function.block(edge.block);
    let arg = |value: Value| match block.params.iter().position(|it| *it == value) {
        Some(idx) => edge.args[idx],
        None => value,
    };
    let number = |value: Value| {
        let value = arg(value);
        numbers.get(&value).copied()
    };
    let next = match &block.terminator {
        Terminator::Jump(next) => next,
        Terminator::Branch { cond, left, right, then, otherwise } => {
            if holds(*cond, number(*left)?, number(*right)?) { then } else { otherwise }
        }
        _ => return None,
    };
    if next.block == edge.block {
        return None;
    }
    let own: Vec<Value> = block.insts.iter().filter_map(|it| function.inst(*it).result).collect();
    let args = next.args.iter().map(|&value| {
        if own.contains(&value)
            && let Some(number) = numbers.get(&value)
        {
            constants.push((value, *number));
        }
        arg(value)
    });
    Some(Edge { block: next.block, args: args.collect() })
}

/// Makes the constants of passed blocks again at the end of block `idx`.
fn add_constants(
    function: &mut Function,
    idx: usize,
    terminator: &mut Terminator,
    constants: &[(Value, i64)],
    numbers: &mut HashMap<Value, i64>,
) {
    let mut copies = HashMap::new();
    for &(value, number) in constants {
        if copies.contains_key(&value) {
            continue;
        }
        function.values.push(ValueData { ty: Type::I64 });
        let copy = Value((function.values.len() - 1) as u32);
        copies.insert(value, copy);
        // The block may be passed itself later on.
        numbers.insert(copy, number);
        let span = function.blocks[idx].span;
        function.insts.push(InstData { op: Op::Const(number), result: Some(copy), span });
        function.blocks[idx].insts.push(InstId((function.insts.len() - 1) as u32));
    }
    for edge in terminator.edges_mut() {
        for arg in &mut edge.args {
            *arg = copies.get(arg).copied().unwrap_or(*arg);
        }
    }
}

/// Appends blocks to the only block that leads to them, by a jump.
fn merge(function: &mut Function) -> bool {
    let mut n_edges = vec![0; function.blocks.len()];
    for block in &function.blocks {
        for edge in block.terminator.edges() {
            n_edges[edge.block.index()] += 1;
        }
    }
    let mut same = HashMap::new();
    for idx in 0..function.blocks.len() {
        while let Terminator::Jump(edge) = &function.blocks[idx].terminator {
            let next = edge.block.index();
            if next == idx || next == 0 || n_edges[next] != 1 {
                break;
            }
            let args = edge.args.clone();
            let target = &mut function.blocks[next];
            same.extend(std::mem::take(&mut target.params).into_iter().zip(args));
            let insts = std::mem::take(&mut target.insts);
            // What is left of the block leads nowhere and nothing leads to it.
            let empty = Terminator::Jump(Edge { block: Block(next as u32), args: vec![] });
            let terminator = std::mem::replace(&mut target.terminator, empty);
            let span = target.span;
            n_edges[next] = usize::MAX;
            function.blocks[idx].insts.extend(insts);
            function.blocks[idx].terminator = terminator;
            function.blocks[idx].span = span;
        }
    }
    clean::replace(function, &same);
    clean::remove_unreachable(function)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn control_flow_becomes_straight() {
        for (body, expected) in [
            (
                "b0(v0: i64):\njump b1(v0)\nb1(v1: i64):\nv2 = neg v1\njump b2\nb2:\nreturn v2",
                "b0(v0: i64):\nv2 = neg v0\nreturn v2",
            ),
            (
                // A condition made a value, and tested again.
                "b0(v0: i64):\nv1 = const 1\nv2 = const 0\nbranch slt v0, v1, b1(v1), b1(v2)\nb1(v3: i64):\nv4 = const 0\nbranch ne v3, v4, b2, b3\nb2:\nreturn v0\nb3:\nv5 = const 9\nreturn v5",
                "b0(v0: i64):\nv1 = const 1\nv2 = const 0\nbranch slt v0, v1, b1, b2\nb1:\nreturn v0\nb2:\nv5 = const 9\nreturn v5",
            ),
            (
                "b0(v0: i64):\nv1 = const 3\nbranch eq v0, v1, b1, b2\nb1:\nv2 = const 7\njump b3(v2)\nb2:\njump b3(v0)\nb3(v3: i64):\nreturn v3",
                "b0(v0: i64):\nv1 = const 3\nv4 = const 7\nbranch eq v0, v1, b1(v4), b1(v0)\nb1(v3: i64):\nreturn v3",
            ),
            (
                // b1 takes the constant of b3 over, and is passed itself on the way from b2.
                "b0(v0: i64):\nv1 = const 3\nbranch eq v0, v1, b2, b4(v0)\nb1:\njump b3\nb2:\nv5 = call ktime_get_ns()\njump b1\nb3:\nv2 = const 7\njump b4(v2)\nb4(v3: i64):\nreturn v3",
                "b0(v0: i64):\nv1 = const 3\nbranch eq v0, v1, b1, b2(v0)\nb1:\nv5 = call ktime_get_ns()\nv7 = const 7\njump b2(v7)\nb2(v3: i64):\nreturn v3",
            ),
        ] {
            check(super::simplify, body, expected);
        }
    }

    #[test]
    fn null_checks_stay() {
        let body = "b0(v0: stack):\nv1 = map_addr m\nv2 = call map_lookup_elem(v1, v0)\nv3 = const 0\nbranch eq v2, v3, b1, b2\nb1:\nreturn v3\nb2:\nv4 = non_null v2\nv5 = load.u64 v4+0\nreturn v5";
        check(super::simplify, body, body);
    }
}
