//! Comparisons: for branches, fused with what they compare, and as values.

use super::*;
use crate::ir::Cond;

/// A jump; `inverted` when it is taken where the comparison does not hold.
pub(super) struct Test {
    pub(super) jump: Jump,
    pub(super) inverted: bool,
}

impl Selector<'_> {
    /// The jump of a branch.
    pub(super) fn test(&mut self, cond: Cond, left: Value, right: Value) -> Test {
        if self.constant(right) == Some(0) && matches!(cond, Cond::Eq | Cond::Ne) {
            let fused = match self.definitions[left.index()] {
                Some(Op::Compare(inner, a, b)) => Some((*inner, *a, *b)),
                Some(Op::Binary(BinOp::And, a, b)) => Some((Cond::Test, *a, *b)),
                _ => None,
            };
            if let Some((inner, a, b)) = fused.filter(|_| self.is_only_used_here(left)) {
                let test = self.test(inner, a, b);
                return Test { inverted: test.inverted != (cond == Cond::Eq), ..test };
            }
        }
        self.plain_test(cond, left, right)
    }

    fn plain_test(&mut self, cond: Cond, left: Value, right: Value) -> Test {
        // Only the second operand can be an immediate.
        if self.constant(left).is_some() && self.constant(right).is_none() {
            return self.plain_test(swapped(cond), right, left);
        }
        if let Some(test) = self.narrow_test(cond, left, right) {
            return test;
        }
        let (code, inverted) = self.jump_code(cond);
        let (left, right) = (self.reg(left), self.source(right));
        Test { jump: Jump { code: JMP | code, left, right }, inverted }
    }

    /// Compares 32 bits with a number that is too large for a 64-bit comparison's immediate.
    fn narrow_test(&mut self, cond: Cond, left: Value, right: Value) -> Option<Test> {
        let number = u32::try_from(self.constant(right)?).ok()?;
        let narrow = self.isa >= Isa::V3 && self.known_bits(left) <= 32 && i32::try_from(number).is_err();
        if !narrow {
            return None;
        }
        let (code, inverted) = self.jump_code(unsigned(cond));
        let jump = Jump { code: JMP32 | code, left: self.reg(left), right: Source::Imm(number as i32) };
        Some(Test { jump, inverted })
    }

    /// The operation of a jump, or of its opposite.
    fn jump_code(&self, cond: Cond) -> (u8, bool) {
        let has_less = self.isa >= Isa::V2;
        match cond {
            Cond::Eq => (JEQ, false),
            Cond::Ne => (JNE, false),
            Cond::UGt => (JGT, false),
            Cond::UGe => (JGE, false),
            Cond::SGt => (JSGT, false),
            Cond::SGe => (JSGE, false),
            Cond::Test => (JSET, false),
            Cond::ULt if has_less => (JLT, false),
            Cond::ULe if has_less => (JLE, false),
            Cond::SLt if has_less => (JSLT, false),
            Cond::SLe if has_less => (JSLE, false),
            Cond::ULt => (JGE, true),
            Cond::ULe => (JGT, true),
            Cond::SLt => (JSGE, true),
            Cond::SLe => (JSGT, true),
        }
    }

    /// A comparison's result as 0 or 1.
    pub(super) fn compare(&mut self, cond: Cond, left: Value, right: Value, dst: VReg) {
        if cond == Cond::SLt && self.constant(right) == Some(0) {
            let start = self.start(dst, left);
            return self.push([start, modify(ALU64 | RSH, dst, Source::Imm(63))]);
        }
        let Test { jump, inverted } = self.plain_test(cond, left, right);
        let taken = i64::from(!inverted);
        let make = Kind::Make { dst, what: Remat::Const(taken) };
        self.push([make, Kind::Unless { jump, dst, imm: i32::from(inverted) }]);
    }
}

/// The condition with its operands exchanged.
fn swapped(cond: Cond) -> Cond {
    match cond {
        Cond::Eq | Cond::Ne | Cond::Test => cond,
        Cond::ULt => Cond::UGt,
        Cond::ULe => Cond::UGe,
        Cond::UGt => Cond::ULt,
        Cond::UGe => Cond::ULe,
        Cond::SLt => Cond::SGt,
        Cond::SLe => Cond::SGe,
        Cond::SGt => Cond::SLt,
        Cond::SGe => Cond::SLe,
    }
}

/// The condition on numbers that are not negative.
fn unsigned(cond: Cond) -> Cond {
    match cond {
        Cond::SLt => Cond::ULt,
        Cond::SLe => Cond::ULe,
        Cond::SGt => Cond::UGt,
        Cond::SGe => Cond::UGe,
        _ => cond,
    }
}
