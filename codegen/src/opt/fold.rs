//! Constant folding, algebraic simplification, strength reduction.
//!
//! Division by zero does not reach here as such: lowering branches around it. eBPF's own rule
//! (0, or the dividend for a remainder) is used where it does.

use super::common::constants;
use super::rewrite::Rewrite;
use crate::ir::{BinOp, Cond, Function, InstId, Op, Value};
use std::collections::HashMap;

/// What an operation turns into.
enum Folded {
    /// A constant.
    Constant(i64),
    /// One of its operands.
    Value(Value),
    /// A binary operation with a constant right side.
    WithConstant(BinOp, Value, i64),
    /// Another operation.
    Op(Op),
}

/// Folds every instruction that can be.
pub fn fold_constants(function: &mut Function) -> bool {
    let mut known = constants(function);
    let defined = definitions(function);
    let mut rewrite = Rewrite::new(function);
    let mut changed = false;
    for block in 0..function.blocks.len() {
        let mut position = 0;
        while position < function.blocks[block].insts.len() {
            let id = function.blocks[block].insts[position];
            position += 1;
            let inst = function.inst(id);
            let Some(result) = inst.result else { continue };
            let mut op = inst.op.clone();
            op.operands_mut(|it| *it = rewrite.resolve(*it));
            match fold(&op, &known, |value| defined.get(&value).map(|id| &function.inst(*id).op)) {
                None => continue,
                Some(Folded::Constant(number)) => {
                    known.insert(result, number);
                    set(function, id, Op::Const(number));
                }
                Some(Folded::Value(value)) => rewrite.replace(result, value),
                Some(Folded::Op(op)) => set(function, id, op),
                Some(Folded::WithConstant(kind, value, number)) => {
                    let constant = add_constant(function, block, position - 1, number, id);
                    known.insert(constant, number);
                    position += 1;
                    set(function, id, Op::Binary(kind, value, constant));
                }
            }
            changed = true;
        }
    }
    rewrite.apply(function) | changed
}

fn set(function: &mut Function, id: InstId, op: Op) {
    function.insts[id.0 as usize].op = op;
}

/// A new constant before the instruction at `position`.
fn add_constant(function: &mut Function, block: usize, position: usize, number: i64, near: InstId) -> Value {
    let value = Value(function.values.len() as u32);
    function.values.push(crate::ir::ValueData { ty: crate::ir::Type::I64 });
    let span = function.inst(near).span;
    let id = InstId(function.insts.len() as u32);
    function.insts.push(crate::ir::InstData { op: Op::Const(number), result: Some(value), span });
    function.blocks[block].insts.insert(position, id);
    value
}

fn definitions(function: &Function) -> HashMap<Value, InstId> {
    let ids = (0..function.insts.len() as u32).map(InstId);
    ids.filter_map(|id| Some((function.inst(id).result?, id))).collect()
}

fn fold<'a>(
    op: &Op,
    known: &HashMap<Value, i64>,
    definition: impl Fn(Value) -> Option<&'a Op>,
) -> Option<Folded> {
    let constant = |value: &Value| known.get(value).copied();
    match op {
        Op::Neg(a) => constant(a).map(|a| Folded::Constant(a.wrapping_neg())),
        Op::Not(a) => constant(a).map(|a| Folded::Constant(!a)),
        Op::Bswap(bits, a) => constant(a).map(|a| Folded::Constant(swap(*bits, a))),
        Op::Zext(bits, a) => match (constant(a), definition(*a)) {
            (Some(a), _) => Some(Folded::Constant(zero_extend(*bits, a))),
            (_, Some(inner)) if fits(inner, *bits, known) => Some(Folded::Value(*a)),
            (_, Some(Op::Zext(inner, b) | Op::Sext(inner, b))) if inner >= bits => {
                Some(Folded::Op(Op::Zext(*bits, *b)))
            }
            _ => None,
        },
        Op::Sext(bits, a) => match (constant(a), definition(*a)) {
            (Some(a), _) => Some(Folded::Constant(sign_extend(*bits, a))),
            (_, Some(Op::Load { width, signed: true, .. })) if width * 8 <= *bits => Some(Folded::Value(*a)),
            (_, Some(inner)) if *bits > 1 && fits(inner, bits - 1, known) => Some(Folded::Value(*a)),
            (_, Some(Op::Zext(inner, b) | Op::Sext(inner, b))) if inner >= bits => {
                Some(Folded::Op(Op::Sext(*bits, *b)))
            }
            _ => None,
        },
        Op::Compare(cond, a, b) => match (constant(a), constant(b)) {
            (Some(a), Some(b)) => Some(Folded::Constant(holds(*cond, a, b).into())),
            // A comparison is 0 or 1 already: comparing it with 0 only keeps or turns it.
            (None, Some(0)) if *cond == Cond::Ne => {
                matches!(definition(*a), Some(Op::Compare(..))).then_some(Folded::Value(*a))
            }
            (None, Some(0)) if *cond == Cond::Eq => match definition(*a) {
                Some(Op::Compare(inner, x, y)) => Some(Folded::Op(Op::Compare(inner.inverse()?, *x, *y))),
                _ => None,
            },
            _ => None,
        },
        Op::Binary(kind, a, b) => match (constant(a), constant(b)) {
            (Some(x), Some(y)) => Some(Folded::Constant(binary(*kind, x, y))),
            (None, Some(y)) => with_constant(*kind, *a, y, known, definition),
            (Some(_), None) if commutes(*kind) => Some(Folded::Op(Op::Binary(*kind, *b, *a))),
            _ => None,
        },
        Op::PtrAdd(base, by) if constant(by) == Some(0) => Some(Folded::Value(*base)),
        _ => None,
    }
}

/// Whether an operation's result is known to fit so many bits, unsigned.
fn fits(op: &Op, bits: u8, known: &HashMap<Value, i64>) -> bool {
    match op {
        Op::Load { width, signed: false, .. } => width * 8 <= bits,
        Op::Zext(inner, _) | Op::Bswap(inner, _) => *inner <= bits,
        Op::Compare(..) => true,
        Op::Binary(BinOp::And, _, mask) => {
            known.get(mask).is_some_and(|it| *it >= 0 && (bits >= 63 || *it < 1 << bits))
        }
        Op::Binary(BinOp::LShr, _, by) => known.get(by).is_some_and(|it| 64 - (it & 63) <= bits.into()),
        _ => false,
    }
}

fn commutes(kind: BinOp) -> bool {
    matches!(kind, BinOp::Add | BinOp::Mul | BinOp::And | BinOp::Or | BinOp::Xor)
}

/// `a kind y`, where only y is constant.
fn with_constant<'a>(
    kind: BinOp,
    a: Value,
    y: i64,
    known: &HashMap<Value, i64>,
    definition: impl Fn(Value) -> Option<&'a Op>,
) -> Option<Folded> {
    let power = (y > 1 && y.count_ones() == 1).then(|| i64::from(y.trailing_zeros()));
    match (kind, y, power) {
        (BinOp::Add | BinOp::Sub | BinOp::Or | BinOp::Xor, 0, _) => Some(Folded::Value(a)),
        (BinOp::Shl | BinOp::LShr | BinOp::AShr, by, _) if by & 63 == 0 => Some(Folded::Value(a)),
        (BinOp::Mul | BinOp::UDiv | BinOp::SDiv, 1, _) | (BinOp::And, -1, _) => Some(Folded::Value(a)),
        (BinOp::Mul | BinOp::And, 0, _) | (BinOp::UMod | BinOp::SMod, 1, _) => Some(Folded::Constant(0)),
        (BinOp::Mul, _, Some(power)) => Some(Folded::WithConstant(BinOp::Shl, a, power)),
        (BinOp::UDiv, _, Some(power)) => Some(Folded::WithConstant(BinOp::LShr, a, power)),
        (BinOp::UMod, _, Some(_)) => Some(Folded::WithConstant(BinOp::And, a, y - 1)),
        (BinOp::Sub, y, _) if y != i64::MIN => Some(Folded::WithConstant(BinOp::Add, a, -y)),
        // (x + c) + y, (x & c) & y, …: one operation with both constants.
        (BinOp::Add | BinOp::And | BinOp::Or | BinOp::Xor, ..) => match definition(a) {
            Some(Op::Binary(inner, x, c)) if *inner == kind => {
                let c = known.get(c)?;
                Some(Folded::WithConstant(kind, *x, binary(kind, *c, y)))
            }
            _ => None,
        },
        _ => None,
    }
}

/// What the machine computes.
pub fn binary(kind: BinOp, a: i64, b: i64) -> i64 {
    let (ua, ub) = (a as u64, b as u64);
    match kind {
        BinOp::Add => a.wrapping_add(b),
        BinOp::Sub => a.wrapping_sub(b),
        BinOp::Mul => a.wrapping_mul(b),
        BinOp::UDiv => ua.checked_div(ub).unwrap_or(0) as i64,
        BinOp::SDiv => {
            if b == 0 {
                0
            } else {
                a.wrapping_div(b)
            }
        }
        BinOp::UMod => ua.checked_rem(ub).unwrap_or(ua) as i64,
        BinOp::SMod => {
            if b == 0 {
                a
            } else {
                a.wrapping_rem(b)
            }
        }
        BinOp::And => a & b,
        BinOp::Or => a | b,
        BinOp::Xor => a ^ b,
        BinOp::Shl => ((ua) << (ub & 63)) as i64,
        BinOp::LShr => (ua >> (ub & 63)) as i64,
        BinOp::AShr => a >> (ub & 63),
    }
}

/// Whether a comparison of two numbers holds.
pub fn holds(cond: Cond, a: i64, b: i64) -> bool {
    let (ua, ub) = (a as u64, b as u64);
    match cond {
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::ULt => ua < ub,
        Cond::ULe => ua <= ub,
        Cond::UGt => ua > ub,
        Cond::UGe => ua >= ub,
        Cond::SLt => a < b,
        Cond::SLe => a <= b,
        Cond::SGt => a > b,
        Cond::SGe => a >= b,
        Cond::Test => a & b != 0,
    }
}

fn zero_extend(bits: u8, a: i64) -> i64 {
    (((a as u64) << (64 - bits)) >> (64 - bits)) as i64
}

fn sign_extend(bits: u8, a: i64) -> i64 {
    (a << (64 - bits)) >> (64 - bits)
}

fn swap(bits: u8, a: i64) -> i64 {
    match bits {
        16 => i64::from((a as u16).swap_bytes()),
        32 => i64::from((a as u32).swap_bytes()),
        _ => a.swap_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_computes_what_the_machine_does() {
        let table = [
            (BinOp::SDiv, -7, 2, -3),
            (BinOp::SMod, -7, 2, -1),
            (BinOp::UDiv, -7, 2, 0x7fff_ffff_ffff_fffc),
            (BinOp::SDiv, i64::MIN, -1, i64::MIN),
            (BinOp::UDiv, 5, 0, 0),
            (BinOp::UMod, 5, 0, 5),
            (BinOp::AShr, -16, 1, -8),
            (BinOp::LShr, -16, 60, 15),
            (BinOp::Shl, 1, 65, 2),
        ];
        for (kind, a, b, expected) in table {
            assert_eq!(binary(kind, a, b), expected, "{kind:?} {a} {b}");
        }
        assert_eq!(zero_extend(8, -1), 255);
        assert_eq!(sign_extend(8, 255), -1);
        assert_eq!(swap(16, 0x1234), 0x3412);
    }
}
