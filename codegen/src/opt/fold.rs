//! Constant folding, algebraic simplification, strength reduction, fusion of comparisons with
//! branches, offsets into loads and stores.
//!
//! Sums of sums are left alone: a bound on the inner one must stay visible.

use super::clean;
use crate::ir::{BinOp, Cond, Function, InstData, InstId, Op, Terminator, Type, Value};
use std::collections::HashMap;

/// Offsets that fit an instruction.
const OFFSETS: std::ops::RangeInclusive<i64> = i16::MIN as i64..=i16::MAX as i64;

/// Simplifies every operation and branch.
pub fn fold(function: &mut Function) -> bool {
    let mut folder = Folder::new(function);
    for idx in 0..folder.function.blocks.len() {
        folder.block(idx);
    }
    let Folder { same, mut changed, .. } = folder;
    clean::replace(function, &same);
    changed |= fold_params(function);
    changed || !same.is_empty()
}

struct Folder<'a> {
    function: &'a mut Function,
    /// What defines each value; changed along.
    definitions: Vec<Option<Op>>,
    same: HashMap<Value, Value>,
    changed: bool,
}

/// What an operation turned out to be.
enum Simpler {
    /// A value that exists.
    Value(Value),
    /// Another operation.
    Op(Op),
    /// Another operation on a new constant, which is given.
    WithConst(BinOp, Value, i64),
    /// A pointer plus a new constant.
    PtrAdd(Value, i64),
}

impl<'a> Folder<'a> {
    fn new(function: &'a mut Function) -> Folder<'a> {
        let mut definitions = vec![None; function.values.len()];
        for block in &function.blocks {
            for &inst in &block.insts {
                let inst = function.inst(inst);
                if let Some(result) = inst.result {
                    definitions[result.index()] = Some(inst.op.clone());
                }
            }
        }
        Folder { function, definitions, same: HashMap::new(), changed: false }
    }

    fn block(&mut self, idx: usize) {
        let insts = std::mem::take(&mut self.function.blocks[idx].insts);
        let mut kept = Vec::with_capacity(insts.len());
        for inst in insts {
            self.inst(inst, &mut kept);
        }
        self.function.blocks[idx].insts = kept;
        let mut terminator = self.function.blocks[idx].terminator.clone();
        if self.terminator(&mut terminator) {
            self.function.blocks[idx].terminator = terminator;
            self.changed = true;
        }
    }

    fn inst(&mut self, inst: InstId, kept: &mut Vec<InstId>) {
        let mut data = self.function.inst(inst).clone();
        data.op.operands_mut(|value| *value = self.known(*value));
        for absorb in [Self::absorb_offset, Self::absorb_extension] {
            if let Some(op) = absorb(self, &data.op) {
                data.op = op;
                self.changed = true;
            }
        }
        match self.simpler(&data.op) {
            None => {}
            Some(Simpler::Value(value)) => {
                if let Some(result) = data.result {
                    self.same.insert(result, value);
                    return;
                }
            }
            Some(Simpler::Op(op)) => {
                data.op = op;
                self.changed = true;
            }
            Some(Simpler::WithConst(op, value, number)) => {
                let number = self.constant(number, &data, kept);
                data.op = Op::Binary(op, value, number);
                self.changed = true;
            }
            Some(Simpler::PtrAdd(ptr, number)) => {
                let number = self.constant(number, &data, kept);
                data.op = Op::PtrAdd(ptr, number);
                self.changed = true;
            }
        }
        if let Some(result) = data.result {
            self.definitions[result.index()] = Some(data.op.clone());
        }
        self.function.insts[inst.0 as usize] = data;
        kept.push(inst);
    }

    fn known(&self, mut value: Value) -> Value {
        while let Some(same) = self.same.get(&value) {
            value = *same;
        }
        value
    }

    /// A new constant before an instruction.
    fn constant(&mut self, number: i64, before: &InstData, kept: &mut Vec<InstId>) -> Value {
        let op = Op::Const(number);
        self.function.values.push(crate::ir::ValueData { ty: Type::I64 });
        let value = Value((self.function.values.len() - 1) as u32);
        self.definitions.push(Some(op.clone()));
        kept.push(InstId(self.function.insts.len() as u32));
        self.function.insts.push(InstData { op, result: Some(value), span: before.span });
        value
    }

    fn definition(&self, value: Value) -> Option<&Op> {
        self.definitions[value.index()].as_ref()
    }

    fn number(&self, value: Value) -> Option<i64> {
        match self.definition(value)? {
            Op::Const(number) => Some(*number),
            _ => None,
        }
    }

    fn simpler(&self, op: &Op) -> Option<Simpler> {
        match op {
            Op::Binary(op, a, b) => self.binary(*op, *a, *b),
            Op::Neg(a) => Some(constant(self.number(*a)?.wrapping_neg())),
            Op::Not(a) => Some(constant(!self.number(*a)?)),
            Op::Bswap(bits, a) => Some(constant(byte_swapped(self.number(*a)?, *bits))),
            Op::Zext(bits, a) => self.zext(*bits, *a),
            Op::Sext(bits, a) => self.sext(*bits, *a),
            Op::Compare(cond, a, b) => self.compare(*cond, *a, *b),
            Op::PtrAdd(ptr, offset) => self.ptr_add(*ptr, self.number(*offset)?),
            _ => None,
        }
    }

    fn binary(&self, op: BinOp, a: Value, b: Value) -> Option<Simpler> {
        use BinOp::*;
        let Some(right) = self.number(b) else {
            let left = self.number(a)?;
            let commutes = matches!(op, Add | Mul | And | Or | Xor);
            return commutes.then(|| self.with_const(op, b, left)).flatten().or(match (op, commutes) {
                (_, true) => Some(Simpler::Op(Op::Binary(op, b, a))),
                (Sub, _) if left == 0 => Some(Simpler::Op(Op::Neg(b))),
                _ => None,
            });
        };
        match self.number(a) {
            Some(left) => Some(constant(computed(op, left, right)?)),
            None => self.with_const(op, a, right),
        }
    }

    /// `a op number`
    fn with_const(&self, op: BinOp, a: Value, number: i64) -> Option<Simpler> {
        use BinOp::*;
        let power = (number as u64).is_power_of_two().then(|| i64::from(number.trailing_zeros()));
        Some(match (op, number) {
            (Add | Sub | Or | Xor | Shl | LShr | AShr, 0) | (Mul | UDiv | SDiv, 1) | (And, -1) => {
                Simpler::Value(a)
            }
            (Mul | And, 0) | (UMod, 1) | (SMod, 1 | -1) => constant(0),
            (Or, -1) => constant(-1),
            (Xor, -1) => Simpler::Op(Op::Not(a)),
            (Sub, _) => Simpler::WithConst(Add, a, number.wrapping_neg()),
            (Mul, _) => Simpler::WithConst(Shl, a, power?),
            (UDiv, _) => Simpler::WithConst(LShr, a, power?),
            (UMod, _) => Simpler::WithConst(And, a, power.map(|_| number.wrapping_sub(1))?),
            _ => return None,
        })
    }

    fn zext(&self, bits: u8, a: Value) -> Option<Simpler> {
        if let Some(number) = self.number(a) {
            return Some(constant(number & low_bits(bits)));
        }
        (self.width(a) <= u32::from(bits)).then_some(Simpler::Value(a))
    }

    fn sext(&self, bits: u8, a: Value) -> Option<Simpler> {
        if let Some(number) = self.number(a) {
            let unused = 64 - u32::from(bits);
            return Some(constant(number << unused >> unused));
        }
        let extended = match self.definition(a)? {
            Op::Load { width, signed: true, .. } => 8 * u32::from(*width) <= u32::from(bits),
            Op::Sext(from, _) => from <= &bits,
            _ => self.width(a) < u32::from(bits),
        };
        extended.then_some(Simpler::Value(a))
    }

    /// All bits above so many are known to be 0.
    fn width(&self, value: Value) -> u32 {
        match self.definition(value) {
            Some(Op::Load { width, signed: false, .. }) => 8 * u32::from(*width),
            Some(Op::Zext(bits, _) | Op::Bswap(bits, _)) => (*bits).into(),
            Some(Op::Compare(..)) => 1,
            Some(Op::Binary(BinOp::And, _, mask)) => match self.number(*mask) {
                Some(mask) => 64 - mask.leading_zeros(),
                None => 64,
            },
            Some(Op::Binary(BinOp::LShr, _, count)) => match self.number(*count) {
                Some(count) => 64 - (count & 63) as u32,
                None => 64,
            },
            _ => 64,
        }
    }

    fn compare(&self, cond: Cond, a: Value, b: Value) -> Option<Simpler> {
        if let (Some(left), Some(right)) = (self.number(a), self.number(b)) {
            return Some(constant(holds(cond, left, right).into()));
        }
        let Some(Op::Compare(inner, left, right)) = self.definition(a) else { return None };
        match (cond, self.number(b)?) {
            (Cond::Ne, 0) | (Cond::Eq, 1) => Some(Simpler::Value(a)),
            (Cond::Eq, 0) | (Cond::Ne, 1) => Some(Simpler::Op(Op::Compare(inner.inverse()?, *left, *right))),
            _ => None,
        }
    }

    fn ptr_add(&self, ptr: Value, number: i64) -> Option<Simpler> {
        if number == 0 {
            return Some(Simpler::Value(ptr));
        }
        let Some(Op::PtrAdd(base, before)) = self.definition(ptr) else { return None };
        Some(Simpler::PtrAdd(*base, self.number(*before)?.wrapping_add(number)))
    }

    /// An access through `ptr + number` as an access at an offset.
    fn absorb_offset(&self, op: &Op) -> Option<Op> {
        let mut op = op.clone();
        let (Op::Load { ptr, offset, .. }
        | Op::Store { ptr, offset, .. }
        | Op::AtomicAdd { ptr, offset, .. }
        | Op::AtomicSwap { ptr, offset, .. }) = &mut op
        else {
            return None;
        };
        let Some(Op::PtrAdd(base, number)) = self.definition(*ptr) else { return None };
        let sum = self.number(*number)?.checked_add((*offset).into())?;
        if !OFFSETS.contains(&sum) {
            return None;
        }
        (*ptr, *offset) = (*base, sum as i32);
        Some(op)
    }

    /// A store of an extended number as one of the number: it writes no more than was extended.
    fn absorb_extension(&self, op: &Op) -> Option<Op> {
        let Op::Store { width, ptr, offset, value } = *op else { return None };
        match self.definition(value)? {
            Op::Zext(bits, inner) | Op::Sext(bits, inner) if *bits >= 8 * width => {
                Some(Op::Store { width, ptr, offset, value: self.known(*inner) })
            }
            _ => None,
        }
    }

    fn terminator(&self, terminator: &mut Terminator) -> bool {
        let Terminator::Branch { cond, left, right, then, otherwise } = terminator else { return false };
        (*left, *right) = (self.known(*left), self.known(*right));
        if then == otherwise {
            *terminator = Terminator::Jump(then.clone());
            return true;
        }
        if let (Some(a), Some(b)) = (self.number(*left), self.number(*right)) {
            let edge = if holds(*cond, a, b) { then } else { otherwise };
            *terminator = Terminator::Jump(edge.clone());
            return true;
        }
        let Some(Op::Compare(inner, a, b)) = self.definition(*left) else { return false };
        match (*cond, self.number(*right)) {
            (Cond::Ne, Some(0)) | (Cond::Eq, Some(1)) => {}
            (Cond::Eq, Some(0)) | (Cond::Ne, Some(1)) => std::mem::swap(then, otherwise),
            _ => return false,
        }
        (*cond, *left, *right) = (*inner, *a, *b);
        true
    }
}

/// Parameters for which every edge passes the same number become constants.
fn fold_params(function: &mut Function) -> bool {
    let mut numbers = HashMap::new();
    for inst in &function.insts {
        if let (Op::Const(number), Some(result)) = (&inst.op, inst.result) {
            numbers.insert(result, *number);
        }
    }
    let mut only: HashMap<Value, Option<i64>> = HashMap::new();
    for block in &function.blocks {
        for edge in block.terminator.edges() {
            for (&param, arg) in function.block(edge.block).params.iter().zip(&edge.args) {
                let number = numbers.get(arg).copied();
                let seen = only.entry(param).or_insert(number);
                *seen = seen.filter(|it| Some(*it) == number);
            }
        }
    }
    only.retain(|_, number| number.is_some());
    for idx in 0..function.blocks.len() {
        for param in function.blocks[idx].params.clone() {
            if let Some(Some(number)) = only.get(&param) {
                let span = function.blocks[idx].span;
                let inst = InstId(function.insts.len() as u32);
                function.insts.push(InstData { op: Op::Const(*number), result: Some(param), span });
                function.blocks[idx].insts.insert(0, inst);
            }
        }
    }
    clean::remove_params(function, |it| only.contains_key(&it));
    !only.is_empty()
}

fn constant(number: i64) -> Simpler {
    Simpler::Op(Op::Const(number))
}

fn low_bits(bits: u8) -> i64 {
    (u64::MAX >> (64 - u32::from(bits))) as i64
}

fn byte_swapped(number: i64, bits: u8) -> i64 {
    ((number as u64).swap_bytes() >> (64 - u32::from(bits))) as i64
}

/// What the kernel computes; `None` for a division by zero, which lowering excludes.
fn computed(op: BinOp, a: i64, b: i64) -> Option<i64> {
    let (ua, ub) = (a as u64, b as u64);
    let count = b as u32 & 63;
    Some(match op {
        BinOp::Add => a.wrapping_add(b),
        BinOp::Sub => a.wrapping_sub(b),
        BinOp::Mul => a.wrapping_mul(b),
        BinOp::UDiv => ua.checked_div(ub)? as i64,
        BinOp::UMod => ua.checked_rem(ub)? as i64,
        BinOp::SDiv => (b != 0).then(|| a.wrapping_div(b))?,
        BinOp::SMod => (b != 0).then(|| a.wrapping_rem(b))?,
        BinOp::And => a & b,
        BinOp::Or => a | b,
        BinOp::Xor => a ^ b,
        BinOp::Shl => a << count,
        BinOp::LShr => (ua >> count) as i64,
        BinOp::AShr => a >> count,
    })
}

/// Whether a comparison of numbers holds.
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

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn operations_become_simpler() {
        for (op, expected) in [
            ("v2 = const 6\nv3 = const 7\nv4 = mul v2, v3", "v2 = const 6\nv3 = const 7\nv4 = const 42"),
            ("v3 = const 8\nv4 = mul v0, v3", "v3 = const 8\nv5 = const 3\nv4 = shl v0, v5"),
            ("v3 = const 8\nv4 = umod v0, v3", "v3 = const 8\nv5 = const 7\nv4 = and v0, v5"),
            ("v3 = const 8\nv4 = sub v0, v3", "v3 = const 8\nv5 = const -8\nv4 = add v0, v5"),
            ("v3 = const 0\nv4 = sub v3, v0", "v3 = const 0\nv4 = neg v0"),
            ("v3 = const 300\nv4 = zext8 v3", "v3 = const 300\nv4 = const 44"),
            ("v3 = const -1\nv4 = bswap16 v3", "v3 = const -1\nv4 = const 65535"),
            (
                "v2 = compare slt v0, v1\nv3 = const 0\nv4 = compare eq v2, v3",
                "v2 = compare slt v0, v1\nv3 = const 0\nv4 = compare sge v0, v1",
            ),
        ] {
            let wrap = |op: &str| format!("b0(v0: i64, v1: i64):\n{op}\nreturn v4");
            check(fold, &wrap(op), &wrap(expected));
        }
    }

    #[test]
    fn operations_that_change_nothing_go() {
        for (op, expected) in [
            ("v3 = const 0\nv4 = add v0, v3", "v3 = const 0"),
            ("v3 = const 1\nv4 = sdiv v0, v3", "v3 = const 1"),
        ] {
            let wrap = |op: &str, value| format!("b0(v0: i64, v1: i64):\n{op}\nreturn {value}");
            check(fold, &wrap(op, "v4"), &wrap(expected, "v0"));
        }
    }

    #[test]
    fn branches_take_over_comparisons() {
        check(
            fold,
            "b0(v0: i64, v1: i64):\nv2 = compare ult v0, v1\nv3 = const 0\nbranch eq v2, v3, b1, b2\nb1:\nreturn v0\nb2:\nreturn v1",
            "b0(v0: i64, v1: i64):\nv2 = compare ult v0, v1\nv3 = const 0\nbranch ult v0, v1, b2, b1\nb1:\nreturn v0\nb2:\nreturn v1",
        );
        check(
            fold,
            "b0:\nv0 = const 1\nv1 = const 2\nbranch slt v0, v1, b1, b2\nb1:\nreturn v0\nb2:\nreturn v1",
            "b0:\nv0 = const 1\nv1 = const 2\njump b1\nb1:\nreturn v0\nb2:\nreturn v1",
        );
    }

    #[test]
    fn offsets_go_into_accesses() {
        check(
            fold,
            "b0(v0: map_value):\nv1 = const 8\nv2 = ptr_add v0, v1\nv3 = load.u32 v2+4\nreturn v3",
            "b0(v0: map_value):\nv1 = const 8\nv2 = ptr_add v0, v1\nv3 = load.u32 v0+12\nreturn v3",
        );
    }

    #[test]
    fn arithmetic_is_the_kernels() {
        for (op, a, b, expected) in [
            (BinOp::SDiv, i64::MIN, -1, Some(i64::MIN)),
            (BinOp::SMod, -7, 2, Some(-1)),
            (BinOp::UDiv, -1, 2, Some(i64::MAX)),
            (BinOp::UDiv, 1, 0, None),
            (BinOp::Shl, 1, 65, Some(2)),
            (BinOp::AShr, -8, 1, Some(-4)),
        ] {
            assert_eq!(computed(op, a, b), expected, "{op:?} {a} {b}");
        }
    }
}
