//! Time series: `tseries` keeps a value for each of the last intervals.

use super::Body;
use crate::helpers::Helper;
use crate::ir::{BinOp, Cond, Op, Value};
use lang::layout::SERIES_WORDS;
use lang::ty::Kept;

/// Bytes of an interval's slot, and where its words are in it.
const SLOT: i64 = 8 * SERIES_WORDS as i64;
const NUMBER: i32 = 0;
const VALUE: i32 = 8;
const COMPANION: i32 = 16;

impl Body<'_, '_> {
    /// Adds a value to the slot of this moment's interval ([`lang::layout::series_slot`]), which is taken
    /// from the interval that had it before. A program that interrupts another one here may make it lose
    /// its value.
    pub fn update_series(
        &mut self,
        (interval, count): (u64, u32),
        kept: Kept,
        signed: bool,
        ptr: Value,
        value: Value,
    ) {
        let now = self.call_new(Helper::KtimeGetTaiNs, &[], "tseries", self.b.span());
        let interval = self.b.constant(interval as i64);
        let number = self.b.binary(BinOp::UDiv, now, interval);
        let number = self.b.binary_const(BinOp::Add, number, 1);
        let slot = self.b.binary_const(BinOp::UMod, number, count.into());
        let [inside, first, again, done] = std::array::from_fn(|_| self.b.block());
        let limit = self.b.constant(count.into());
        // Always true; it is the verifier that does not know.
        self.b.branch(Cond::ULt, slot, limit, inside, done);
        self.b.start(inside);
        let offset = self.b.binary_const(BinOp::Mul, slot, SLOT);
        let slot = self.b.op(Op::PtrAdd(ptr, offset));
        let before = self.b.load(8, false, slot, NUMBER);
        self.b.branch(Cond::Eq, before, number, again, first);
        self.b.start(first);
        self.b.store(8, slot, NUMBER, number);
        self.b.store(8, slot, VALUE, value);
        let companion = if kept == Kept::Last { now } else { self.b.constant(1) };
        self.b.store(8, slot, COMPANION, companion);
        self.b.jump(done, &[]);
        self.b.start(again);
        self.update_slot(kept, signed, slot, value, now);
        self.b.jump(done, &[]);
        self.b.start(done);
    }

    /// A further value of an interval.
    fn update_slot(&mut self, kept: Kept, signed: bool, slot: Value, value: Value, now: Value) {
        let old = self.b.load(8, false, slot, VALUE);
        let better = match (kept, signed) {
            (Kept::Last, _) => {
                self.b.store(8, slot, COMPANION, now);
                return self.b.store(8, slot, VALUE, value);
            }
            (Kept::Avg | Kept::Sum, _) => {
                let sum = self.b.binary(BinOp::Add, old, value);
                self.b.store(8, slot, VALUE, sum);
                let before = self.b.load(8, false, slot, COMPANION);
                let n = self.b.binary_const(BinOp::Add, before, 1);
                return self.b.store(8, slot, COMPANION, n);
            }
            (Kept::Max, true) => Cond::SGt,
            (Kept::Max, false) => Cond::UGt,
            (Kept::Min, true) => Cond::SLt,
            (Kept::Min, false) => Cond::ULt,
        };
        let [keep, done] = std::array::from_fn(|_| self.b.block());
        self.b.branch(better, value, old, keep, done);
        self.b.start(keep);
        self.b.store(8, slot, VALUE, value);
        self.b.jump(done, &[]);
        self.b.start(done);
    }
}
