//! Arithmetic: division by the language's rules, casts between scalars.

use super::Body;
use crate::failure::FailureKind;
use crate::ir::{BinOp, Cond, Op, Type, Value};
use crate::target::Isa;
use lang::hir::{BinaryOp, CompareOp};
use lang::ty::{IntTy, Ty};

impl Body<'_, '_> {
    /// A 64-bit operation; `signed` decides division and right shift.
    pub fn arithmetic(&mut self, op: BinaryOp, left: Value, right: Value, signed: bool) -> Value {
        let op = match op {
            BinaryOp::Add => BinOp::Add,
            BinaryOp::Sub => BinOp::Sub,
            BinaryOp::Mul => BinOp::Mul,
            BinaryOp::Div | BinaryOp::Mod => return self.division(op == BinaryOp::Mod, left, right, signed),
            BinaryOp::Shl => return self.shift(BinOp::Shl, left, right),
            BinaryOp::Shr if signed => return self.shift(BinOp::AShr, left, right),
            BinaryOp::Shr => return self.shift(BinOp::LShr, left, right),
            BinaryOp::And => BinOp::And,
            BinaryOp::Or => BinOp::Or,
            BinaryOp::Xor => BinOp::Xor,
        };
        self.b.binary(op, left, right)
    }

    fn shift(&mut self, op: BinOp, left: Value, right: Value) -> Value {
        match self.b.as_const(right) {
            Some(count) => self.b.binary_const(op, left, count & 63),
            None => self.b.binary(op, left, right),
        }
    }

    /// A quotient or remainder; 1 when the divisor is 0, which is reported.
    fn division(&mut self, remainder: bool, left: Value, right: Value, signed: bool) -> Value {
        if let Some(divisor) = self.b.as_const(right) {
            if divisor == 0 {
                self.report(FailureKind::DivisionByZero, right);
                return self.b.constant(1);
            }
            return self.divide(remainder, left, right, signed);
        }
        let [failed, divide] = std::array::from_fn(|_| self.b.block());
        let (done, result) = self.b.block_with_number();
        let zero = self.b.constant(0);
        self.b.branch(Cond::Eq, right, zero, failed, divide);
        self.b.start(failed);
        let zero = self.b.constant(0);
        self.report(FailureKind::DivisionByZero, zero);
        let one = self.b.constant(1);
        self.b.jump(done, &[one]);
        self.b.start(divide);
        let value = self.divide(remainder, left, right, signed);
        self.b.jump(done, &[value]);
        self.b.start(done);
        result
    }

    /// A quotient or remainder by a divisor that is not 0.
    pub fn divide(&mut self, remainder: bool, left: Value, right: Value, signed: bool) -> Value {
        let native = self.cx.target.isa >= Isa::V4;
        match (signed, remainder) {
            (false, false) => self.b.binary(BinOp::UDiv, left, right),
            (false, true) => self.b.binary(BinOp::UMod, left, right),
            (true, false) if native => self.b.binary(BinOp::SDiv, left, right),
            (true, true) if native => self.b.binary(BinOp::SMod, left, right),
            (true, _) => self.divide_magnitudes(remainder, left, right),
        }
    }

    /// Signed division before instruction set v4: the magnitudes are divided, the sign follows.
    fn divide_magnitudes(&mut self, remainder: bool, left: Value, right: Value) -> Value {
        let (a, a_sign) = self.magnitude(left);
        let (b, b_sign) = self.magnitude(right);
        let op = if remainder { BinOp::UMod } else { BinOp::UDiv };
        let result = self.b.binary(op, a, b);
        // The remainder has the dividend's sign, the quotient the product's.
        let sign = if remainder { a_sign } else { self.b.binary(BinOp::Xor, a_sign, b_sign) };
        self.negate_if(result, sign)
    }

    /// The absolute value as an unsigned number, and -1 for negative numbers or else 0.
    fn magnitude(&mut self, value: Value) -> (Value, Value) {
        let sign = self.b.binary_const(BinOp::AShr, value, 63);
        (self.negate_if(value, sign), sign)
    }

    /// `-value` when `sign` is -1, `value` when it is 0.
    fn negate_if(&mut self, value: Value, sign: Value) -> Value {
        let flipped = self.b.binary(BinOp::Xor, value, sign);
        self.b.binary(BinOp::Sub, flipped, sign)
    }

    /// A scalar of one type as another.
    pub fn cast_value(&mut self, value: Value, from: &Ty, to: &Ty) -> Value {
        if self.b.ty(value) != Type::I64 {
            return match to {
                Ty::Ptr(..) => value,
                _ => self.launder(value),
            };
        }
        if *to == Ty::Bool {
            return match from {
                Ty::Bool => value,
                _ => self.truth(value),
            };
        }
        let (from, to) = (self.int_ty(from), self.int_ty(to));
        if holds(to, from) { value } else { self.extend(value, to) }
    }

    /// 1 when the value is not 0.
    pub fn truth(&mut self, value: Value) -> Value {
        let zero = self.b.constant(0);
        self.b.op(Op::Compare(Cond::Ne, value, zero))
    }

    /// Cuts a number to an integer type and extends it by that type's sign.
    pub fn extend(&mut self, value: Value, to: IntTy) -> Value {
        if to.size == 8 {
            return value;
        }
        if let Some(number) = self.b.as_const(value) {
            return self.b.constant(extended(number, to));
        }
        let bits = 8 * to.size;
        self.b.op(if to.signed { Op::Sext(bits, value) } else { Op::Zext(bits, value) })
    }

    /// The integer that a scalar type is in memory.
    pub fn int_ty(&self, ty: &Ty) -> IntTy {
        match ty {
            Ty::Int(it) => *it,
            Ty::Bool => IntTy::new(1, false),
            Ty::Enum(id) => self.cx.program.types.enum_def(*id).int,
            Ty::Ipv4 => IntTy::new(4, false),
            _ => IntTy::new(8, false),
        }
    }
}

/// Whether every number of `from` is the same number in `to`.
fn holds(to: IntTy, from: IntTy) -> bool {
    match (to.signed, from.signed) {
        _ if to.size == 8 => true,
        (true, true) | (false, false) => to.size >= from.size,
        (true, false) => to.size > from.size,
        (false, true) => false,
    }
}

fn extended(number: i64, to: IntTy) -> i64 {
    let unused = 64 - 8 * u32::from(to.size);
    let top = number << unused;
    if to.signed { top >> unused } else { (top as u64 >> unused) as i64 }
}

/// The condition of a comparison of numbers.
pub fn condition(op: CompareOp, signed: bool) -> Cond {
    match (op, signed) {
        (CompareOp::Eq, _) => Cond::Eq,
        (CompareOp::Ne, _) => Cond::Ne,
        (CompareOp::Lt, false) => Cond::ULt,
        (CompareOp::Le, false) => Cond::ULe,
        (CompareOp::Gt, false) => Cond::UGt,
        (CompareOp::Ge, false) => Cond::UGe,
        (CompareOp::Lt, true) => Cond::SLt,
        (CompareOp::Le, true) => Cond::SLe,
        (CompareOp::Gt, true) => Cond::SGt,
        (CompareOp::Ge, true) => Cond::SGe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_cut_and_extended() {
        for (number, size, signed, expected) in [
            (-1, 1, false, 255),
            (255, 1, true, -1),
            (0x1_2345, 2, false, 0x2345),
            (0x8000_0000, 4, true, -0x8000_0000),
            (-1, 8, false, -1),
        ] {
            assert_eq!(extended(number, IntTy::new(size, signed)), expected, "{number} {size} {signed}");
        }
    }

    #[test]
    fn only_lossy_casts_need_code() {
        let ty = IntTy::new;
        for (to, from, expected) in [
            (ty(4, false), ty(1, false), true),
            (ty(4, true), ty(2, false), true),
            (ty(4, true), ty(4, false), false),
            (ty(4, false), ty(1, true), false),
            (ty(8, false), ty(4, true), true),
            (ty(2, true), ty(4, true), false),
        ] {
            assert_eq!(holds(to, from), expected, "{to:?} {from:?}");
        }
    }
}
