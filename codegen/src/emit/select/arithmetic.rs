//! Arithmetic: two-address forms, immediates, 32-bit forms, and what older instruction sets lack.

use super::*;

impl Selector<'_> {
    /// `dst = f(a)` for an `f` that changes its register.
    pub(super) fn unary(&mut self, dst: VReg, a: Value, f: impl FnOnce(VReg) -> Kind) {
        let start = self.start(dst, a);
        self.push([start, f(dst)]);
    }

    /// `dst = a op b`, in 64 or 32 bits by `class`.
    pub(super) fn binary(&mut self, op: BinOp, a: Value, b: Value, dst: VReg, class: u8) {
        let (a, b) = if self.is_better_swapped(op, a, b) { (b, a) } else { (a, b) };
        match op {
            BinOp::UDiv | BinOp::UMod | BinOp::SDiv | BinOp::SMod if self.constant(b) == Some(0) => {
                self.divide_by_zero(op, a, dst)
            }
            BinOp::SDiv | BinOp::SMod if self.isa < Isa::V4 => self.signed_divide(op, a, b, dst),
            BinOp::Sub => self.subtract(a, b, dst, class),
            BinOp::And if class == ALU64 && self.is_low_mask(b) => self.mask_low(a, b, dst),
            _ => {
                let start = self.start(dst, a);
                let src = self.operand(op, b, class);
                let (code, off) = alu_code(op);
                self.push([start, Kind::Modify { code: class | code, dst, src, off }]);
            }
        }
    }

    /// Whether the operation gives the same with its operands exchanged, and better code: the
    /// first is overwritten, so it should not be needed later; the second may be an immediate.
    fn is_better_swapped(&self, op: BinOp, a: Value, b: Value) -> bool {
        let commutes = matches!(op, BinOp::Add | BinOp::Mul | BinOp::And | BinOp::Or | BinOp::Xor);
        if !commutes || self.remat(b).is_some() {
            return false;
        }
        self.remat(a).is_some_and(|it| matches!(it, Remat::Const(_) | Remat::Field(_)))
            || self.is_used_later(a) && !self.is_used_later(b)
    }

    /// The second operand of arithmetic: shift counts and 32-bit constants as they count.
    fn operand(&mut self, op: BinOp, b: Value, class: u8) -> Source {
        if let Some(number) = self.constant(b) {
            if matches!(op, BinOp::Shl | BinOp::LShr | BinOp::AShr) {
                return Source::Imm((number & 63) as i32);
            }
            if class == ALU32 {
                return Source::Imm(number as i32);
            }
        }
        match self.remat(b) {
            Some(Remat::Field(access)) => Source::Field(access),
            _ => self.source(b),
        }
    }

    fn subtract(&mut self, a: Value, b: Value, dst: VReg, class: u8) {
        let start = self.start(dst, a);
        let negated = self.constant(b).and_then(|it| i32::try_from(it.wrapping_neg()).ok());
        let (code, src) = match negated {
            Some(number) => (ADD, Source::Imm(number)),
            None => (SUB, self.operand(BinOp::Sub, b, class)),
        };
        self.push([start, modify(class | code, dst, src)]);
    }

    /// What eBPF defines: 0 for a quotient, the dividend for a remainder. As an immediate the
    /// kernel would refuse the divisor.
    fn divide_by_zero(&mut self, op: BinOp, a: Value, dst: VReg) {
        let kind = match op {
            BinOp::UDiv | BinOp::SDiv => Kind::Make { dst, what: Remat::Const(0) },
            _ => self.start(dst, a),
        };
        self.push([kind]);
    }

    fn is_low_mask(&self, b: Value) -> bool {
        let wide = |it: i64| i32::try_from(it).is_err() && u32::try_from(it).is_ok();
        self.isa >= Isa::V3 && self.constant(b).is_some_and(wide)
    }

    /// `a & mask` where the mask clears the upper half but is no 64-bit immediate.
    fn mask_low(&mut self, a: Value, b: Value, dst: VReg) {
        match self.constant(b) {
            Some(mask) if mask != 0xffff_ffff => {
                let start = self.start(dst, a);
                self.push([start, modify(ALU32 | AND, dst, Source::Imm(mask as i32))]);
            }
            _ => self.zero_extend(32, a, dst),
        }
    }

    pub(super) fn zero_extend(&mut self, bits: u8, a: Value, dst: VReg) {
        if bits < 32 {
            let mask = Source::Imm((1 << bits) - 1);
            return self.unary(dst, a, |dst| modify(ALU64 | AND, dst, mask));
        }
        if self.isa < Isa::V3 {
            let start = self.start(dst, a);
            let count = Source::Imm(32);
            return self.push([start, modify(ALU64 | LSH, dst, count), modify(ALU64 | RSH, dst, count)]);
        }
        if self.narrow(a, dst) {
            return;
        }
        let src = self.reg(a);
        self.push([Kind::Extend { code: ALU32 | MOV | X, dst, src, off: 0 }]);
    }

    /// Computes only the low half of `a` where that is all that is asked for.
    fn narrow(&mut self, a: Value, dst: VReg) -> bool {
        if !self.is_only_used_here(a) {
            return false;
        }
        match self.definitions[a.index()] {
            Some(Op::Binary(op, x, y)) if self.is_narrow(*op, *y) => self.binary(*op, *x, *y, dst, ALU32),
            Some(Op::Neg(x)) => self.unary(dst, *x, |dst| modify(ALU32 | NEG, dst, Source::Imm(0))),
            Some(Op::Not(x)) => self.unary(dst, *x, |dst| modify(ALU32 | XOR, dst, Source::Imm(-1))),
            _ => return false,
        }
        true
    }

    /// Whether the low half of the result comes from the low halves of the operands alone.
    fn is_narrow(&self, op: BinOp, b: Value) -> bool {
        match op {
            BinOp::Add | BinOp::Sub | BinOp::Mul | BinOp::And | BinOp::Or | BinOp::Xor => true,
            BinOp::Shl => self.constant(b).is_some_and(|it| it & 63 < 32),
            _ => false,
        }
    }

    pub(super) fn sign_extend(&mut self, bits: u8, a: Value, dst: VReg) {
        if self.isa >= Isa::V4 {
            let src = self.reg(a);
            return self.push([Kind::Extend { code: ALU64 | MOV | X, dst, src, off: i16::from(bits) }]);
        }
        let start = self.start(dst, a);
        let count = Source::Imm(64 - i32::from(bits));
        self.push([start, modify(ALU64 | LSH, dst, count), modify(ALU64 | ARSH, dst, count)]);
    }

    pub(super) fn swap(&mut self, bits: u8, a: Value, dst: VReg) {
        let code = if self.isa >= Isa::V4 { BSWAP } else { TO_BE };
        self.unary(dst, a, |dst| modify(code, dst, Source::Imm(i32::from(bits))));
    }

    /// Signed division without an instruction for it: unsigned division of magnitudes, with
    /// `(x ^ sign) - sign` to drop and to give back the sign (`sign` is 0 or -1).
    fn signed_divide(&mut self, op: BinOp, a: Value, b: Value, dst: VReg) {
        let (sign, divisor, divisor_sign) = (self.new_vreg(None), self.new_vreg(None), self.new_vreg(None));
        let (start_a, start_b) = (self.start(dst, a), self.start(divisor, b));
        let code = if op == BinOp::SDiv { DIV } else { MOD };
        let by = |code, dst, src| modify(ALU64 | code, dst, Source::Reg(src));
        let spread = |dst| modify(ALU64 | ARSH, dst, Source::Imm(63));
        // A quotient is negative when the signs differ, a remainder when the dividend is.
        let result_sign = (op == BinOp::SDiv).then(|| by(XOR, sign, divisor_sign));
        let divide = [
            start_a,
            Kind::Copy { dst: sign, src: dst },
            spread(sign),
            start_b,
            Kind::Copy { dst: divisor_sign, src: divisor },
            spread(divisor_sign),
            by(XOR, divisor, divisor_sign),
            by(SUB, divisor, divisor_sign),
            by(XOR, dst, sign),
            by(SUB, dst, sign),
            by(code, dst, divisor),
        ];
        let restore = [by(XOR, dst, sign), by(SUB, dst, sign)];
        self.push(divide.into_iter().chain(result_sign).chain(restore));
    }
}

fn alu_code(op: BinOp) -> (u8, i16) {
    match op {
        BinOp::Add => (ADD, 0),
        BinOp::Sub => (SUB, 0),
        BinOp::Mul => (MUL, 0),
        BinOp::UDiv => (DIV, 0),
        BinOp::SDiv => (DIV, 1),
        BinOp::UMod => (MOD, 0),
        BinOp::SMod => (MOD, 1),
        BinOp::And => (AND, 0),
        BinOp::Or => (OR, 0),
        BinOp::Xor => (XOR, 0),
        BinOp::Shl => (LSH, 0),
        BinOp::LShr => (RSH, 0),
        BinOp::AShr => (ARSH, 0),
    }
}
