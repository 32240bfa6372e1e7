//! Common subexpressions: what was computed on every way here is not computed again.
//!
//! Constants and addresses are left alone: making one again is cheaper than keeping it.

use super::clean;
use crate::helpers::Helper;
use crate::ir::flow::Flow;
use crate::ir::{BinOp, Block, Cond, Function, Op, Value};
use std::collections::HashMap;

/// Whether a helper gives the same value whenever one event's program calls it.
pub fn is_constant_during_event(helper: Helper) -> bool {
    use Helper::*;
    matches!(
        helper,
        GetCurrentPidTgid
            | GetCurrentUidGid
            | GetCurrentTask
            | GetCurrentTaskBtf
            | GetCurrentCgroupId
            | GetSmpProcessorId
            | GetFuncIp
            | GetAttachCookie
    )
}

/// Replaces repeated computations by the first one's value.
pub fn eliminate(function: &mut Function) -> bool {
    let flow = Flow::new(function);
    let mut known: HashMap<Op, Vec<(Block, Value)>> = HashMap::new();
    let mut same: HashMap<Value, Value> = HashMap::new();
    for &block in &flow.order {
        let mut kept = Vec::new();
        for inst in std::mem::take(&mut function.blocks[block.index()].insts) {
            let data = &mut function.insts[inst.0 as usize];
            data.op.operands_mut(|value| {
                while let Some(first) = same.get(value) {
                    *value = *first;
                }
            });
            if let (Some(result), Some(op)) = (data.result, key(&data.op)) {
                let found = known.entry(op).or_default();
                if let Some((_, first)) = found.iter().find(|(above, _)| flow.dominates(*above, block)) {
                    same.insert(result, *first);
                    continue;
                }
                found.push((block, result));
            }
            kept.push(inst);
        }
        function.blocks[block.index()].insts = kept;
    }
    clean::replace(function, &same);
    !same.is_empty()
}

/// The form by which equal computations are found; `None` for those that are not shared.
fn key(op: &Op) -> Option<Op> {
    match op {
        Op::Binary(kind @ (BinOp::Add | BinOp::Mul | BinOp::And | BinOp::Or | BinOp::Xor), a, b) => {
            Some(Op::Binary(*kind, *a.min(b), *a.max(b)))
        }
        Op::Compare(kind @ (Cond::Eq | Cond::Ne | Cond::Test), a, b) => {
            Some(Op::Compare(*kind, *a.min(b), *a.max(b)))
        }
        Op::Binary(..)
        | Op::Compare(..)
        | Op::Neg(_)
        | Op::Not(_)
        | Op::Bswap(..)
        | Op::Zext(..)
        | Op::Sext(..)
        | Op::NonNull(_) => Some(op.clone()),
        Op::Call(helper, _) if is_constant_during_event(*helper) => Some(op.clone()),
        Op::Const(_)
        | Op::SlotAddr(_)
        | Op::MapAddr(_)
        | Op::MapValueAddr(..)
        | Op::FieldOffset(_)
        | Op::FuncAddr(_)
        | Op::PtrAdd(..)
        | Op::Load { .. }
        | Op::Store { .. }
        | Op::AtomicAdd { .. }
        | Op::AtomicSwap { .. }
        | Op::Call(..)
        | Op::CallFunc(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn repeated_values_are_shared() {
        for (body, expected) in [
            (
                "b0:\nv0 = call get_current_pid_tgid()\nv1 = call get_current_pid_tgid()\nv2 = add v0, v1\nv3 = add v1, v0\nv4 = mul v2, v3\nreturn v4",
                "b0:\nv0 = call get_current_pid_tgid()\nv2 = add v0, v0\nv4 = mul v2, v2\nreturn v4",
            ),
            (
                "b0:\nv0 = call ktime_get_ns()\nv1 = call ktime_get_ns()\nv2 = sub v1, v0\nreturn v2",
                "b0:\nv0 = call ktime_get_ns()\nv1 = call ktime_get_ns()\nv2 = sub v1, v0\nreturn v2",
            ),
            (
                // Neither arm dominates the other; the block before both does.
                "b0(v0: i64):\nv1 = neg v0\nbranch eq v0, v1, b1, b2\nb1:\nv2 = neg v0\nv3 = not v0\nreturn v3\nb2:\nv4 = not v0\nreturn v4",
                "b0(v0: i64):\nv1 = neg v0\nbranch eq v0, v1, b1, b2\nb1:\nv3 = not v0\nreturn v3\nb2:\nv4 = not v0\nreturn v4",
            ),
        ] {
            check(super::eliminate, body, expected);
        }
    }
}
