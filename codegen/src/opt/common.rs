//! Common subexpressions: a value computed again where an equal one is at hand is that one.
//!
//! Pure operations count, and so do helper calls that give the same answer for the whole event:
//! the current task and CPU cannot change under a program. Clocks and random numbers do change.

use super::rewrite::Rewrite;
use crate::helpers::Helper;
use crate::ir::flow::Flow;
use crate::ir::{Block, Function, Op, Value};
use std::collections::HashMap;

/// Whether a helper's result is the same throughout one event, and the call has no other effect.
pub fn is_event_constant(helper: Helper) -> bool {
    matches!(
        helper,
        Helper::GetCurrentPidTgid
            | Helper::GetCurrentUidGid
            | Helper::GetCurrentTask
            | Helper::GetCurrentTaskBtf
            | Helper::GetCurrentCgroupId
            | Helper::GetSmpProcessorId
            | Helper::GetFuncIp
            | Helper::GetAttachCookie
    )
}

/// What makes two computations equal: operation, its details, operands.
#[derive(PartialEq, Eq, Hash)]
struct Key(std::mem::Discriminant<Op>, String, Vec<Operand>);

/// Equal constants are equal operands, whichever instruction made them.
#[derive(PartialEq, Eq, Hash)]
enum Operand {
    Constant(i64),
    Value(Value),
}

/// Replaces repeated computations by the first one that dominates them.
pub fn eliminate_common(function: &mut Function) -> bool {
    let flow = Flow::new(function);
    let constants = constants(function);
    let mut rewrite = Rewrite::new(function);
    let mut known: HashMap<Key, Vec<(Block, Value)>> = HashMap::new();
    for &block in &flow.order {
        for id in &function.block(block).insts {
            let inst = function.inst(*id);
            let Some(result) = inst.result.filter(|_| is_repeatable(&inst.op)) else { continue };
            let earlier = known.entry(key(&inst.op, &rewrite, &constants)).or_default();
            match earlier.iter().find(|(maker, _)| flow.dominates(*maker, block)) {
                Some((_, value)) => rewrite.replace(result, *value),
                None => earlier.push((block, result)),
            }
        }
    }
    rewrite.apply(function)
}

/// Constants and addresses are left alone: the back end makes them anew where they are used,
/// which is cheaper than keeping a register.
fn is_repeatable(op: &Op) -> bool {
    match op {
        Op::Binary(..)
        | Op::Neg(_)
        | Op::Not(_)
        | Op::Bswap(..)
        | Op::Zext(..)
        | Op::Sext(..)
        | Op::Compare(..)
        | Op::FieldOffset(_) => true,
        Op::Call(helper, _) => is_event_constant(*helper),
        // Pointers are left alone, so that what the verifier saw checked is what is used.
        Op::Const(_)
        | Op::SlotAddr(_)
        | Op::MapAddr(_)
        | Op::MapValueAddr(..)
        | Op::FuncAddr(_)
        | Op::PtrAdd(..)
        | Op::NonNull(_)
        | Op::Load { .. }
        | Op::Store { .. }
        | Op::AtomicAdd { .. }
        | Op::CallFunc(..) => false,
    }
}

fn key(op: &Op, rewrite: &Rewrite, constants: &HashMap<Value, i64>) -> Key {
    let detail = match op {
        Op::Binary(kind, ..) => format!("{kind:?}"),
        Op::Compare(kind, ..) => format!("{kind:?}"),
        Op::Bswap(bits, _) | Op::Zext(bits, _) | Op::Sext(bits, _) => bits.to_string(),
        Op::FieldOffset(access) => access.to_string(),
        Op::Call(helper, _) => helper.name().to_owned(),
        _ => String::new(),
    };
    let operand = |value: Value| match constants.get(&value) {
        Some(constant) => Operand::Constant(*constant),
        None => Operand::Value(rewrite.resolve(value)),
    };
    let operands = op.operands().into_iter().map(operand).collect();
    Key(std::mem::discriminant(op), detail, operands)
}

/// The values that are constants.
pub fn constants(function: &Function) -> HashMap<Value, i64> {
    let made = function.insts.iter().filter_map(|inst| match (&inst.op, inst.result) {
        (Op::Const(number), Some(result)) => Some((result, *number)),
        _ => None,
    });
    made.collect()
}
