//! Aggregations: `count sum min max avg stats hist lhist`, and their values as integers.

use super::Body;
use crate::ir::{BinOp, Cond, Op, Type, Value};
use crate::storage::Place;
use lang::Span;
use lang::hir::{Expr, MapId};
use lang::layout::{hist_buckets, lhist_buckets, rank_mask};
use lang::ty::{Agg, Ty};

/// How often an extreme is put in place of another: each further time, another run came between.
const SWAPS: i64 = 8;

impl Body<'_, '_> {
    /// `@m[k] = count()` and the others.
    pub fn aggregate(&mut self, map: MapId, key: Option<&Expr>, value: Option<&Expr>) {
        let entry = self.entry(map);
        let Some(agg) = self.cx.program.maps[map.0 as usize].agg().cloned() else { return };
        let atomic = self.cx.needs_atomic(map);
        let value = value.map(|it| self.number(it));
        let value = value.unwrap_or_else(|| self.b.constant(1));
        let (lost, done) = (self.b.block(), self.b.block());
        let ptr = self.aggregation_entry(map, key, lost);
        self.update_aggregation(&agg, ptr, value, atomic);
        self.b.jump(done, &[]);
        self.b.start(lost);
        self.count(entry.full);
        self.b.jump(done, &[]);
        self.b.start(done);
    }

    fn update_aggregation(&mut self, agg: &Agg, ptr: Value, value: Value, atomic: bool) {
        match agg {
            Agg::Count | Agg::Sum { .. } => self.add_word(ptr, 0, value, atomic),
            Agg::Min { .. } | Agg::Max { .. } => self.keep_extreme(ptr, value, rank_mask(agg), atomic),
            Agg::Avg { .. } | Agg::Stats { .. } => {
                self.add_word(ptr, 0, value, atomic);
                let one = self.b.constant(1);
                self.add_word(ptr, 8, one, atomic);
            }
            Agg::Hist { bits } => {
                let bucket = self.hist_bucket(value, *bits);
                self.add_bucket(ptr, bucket, hist_buckets(*bits), atomic);
            }
            Agg::Tseries { interval, count, kept, signed } => {
                self.update_series((*interval, *count), *kept, *signed, ptr, value);
            }
            Agg::Lhist { min, max, step } => {
                let bucket = self.lhist_bucket(value, *min, *max, *step);
                self.add_bucket(ptr, bucket, lhist_buckets(*min, *max, *step), atomic);
            }
        }
    }

    fn add_word(&mut self, ptr: Value, offset: i32, value: Value, atomic: bool) {
        if atomic {
            return self.b.effect(Op::AtomicAdd { width: 8, ptr, offset, value, fetch: false });
        }
        let old = self.b.load(8, false, ptr, offset);
        let new = self.b.binary(BinOp::Add, old, value);
        self.b.store(8, ptr, offset, new);
    }

    /// {rank, is-set}: the greatest rank is kept.
    fn keep_extreme(&mut self, ptr: Value, value: Value, mask: u64, atomic: bool) {
        let rank = self.b.binary_const(BinOp::Xor, value, mask as i64);
        let one = self.b.constant(1);
        self.b.store(8, ptr, 8, one);
        if atomic {
            return self.swap_extreme(ptr, rank);
        }
        let (keep, done) = (self.b.block(), self.b.block());
        let old = self.b.load(8, false, ptr, 0);
        self.b.branch(Cond::UGt, rank, old, keep, done);
        self.b.start(keep);
        self.b.store(8, ptr, 0, rank);
        self.b.jump(done, &[]);
        self.b.start(done);
    }

    /// Puts a rank in place of a lower one. When what comes out is higher after all, because
    /// another run came between, that is put back in the same way.
    fn swap_extreme(&mut self, ptr: Value, rank: Value) {
        self.require_swap();
        let [attempt, swap, again, next, lost, done] = std::array::from_fn(|_| self.b.block());
        let hand = self.b.param(attempt, Type::I64);
        let round = self.b.param(attempt, Type::I64);
        let zero = self.b.constant(0);
        self.b.jump(attempt, &[rank, zero]);
        self.b.start_unsealed(attempt);
        let old = self.b.load(8, false, ptr, 0);
        self.b.branch(Cond::UGt, hand, old, swap, done);
        self.b.start(swap);
        let out = self.b.op(Op::AtomicSwap { width: 8, ptr, offset: 0, value: hand });
        self.b.branch(Cond::UGt, out, hand, again, done);
        self.b.start(again);
        let following = self.b.binary_const(BinOp::Add, round, 1);
        let limit = self.b.constant(SWAPS);
        self.b.branch(Cond::ULt, following, limit, next, lost);
        self.b.start(next);
        self.b.jump(attempt, &[out, following]);
        self.b.seal(attempt);
        self.b.start(lost);
        self.count(self.cx.plan.lost);
        self.b.jump(done, &[]);
        self.b.start(done);
    }

    fn add_bucket(&mut self, ptr: Value, bucket: Value, n_buckets: u32, atomic: bool) {
        let (inside, done) = (self.b.block(), self.b.block());
        let limit = self.b.constant(n_buckets.into());
        // Always true; it is the verifier that does not know.
        self.b.branch(Cond::ULt, bucket, limit, inside, done);
        self.b.start(inside);
        let offset = self.b.binary_const(BinOp::Shl, bucket, 3);
        let ptr = self.b.op(Op::PtrAdd(ptr, offset));
        let one = self.b.constant(1);
        self.add_word(ptr, 0, one, atomic);
        self.b.jump(done, &[]);
        self.b.start(done);
    }

    /// [`lang::layout::hist_bucket`]
    fn hist_bucket(&mut self, value: Value, bits: u8) -> Value {
        let [natural, large] = std::array::from_fn(|_| self.b.block());
        let (done, bucket) = self.b.block_with_number();
        let zero = self.b.constant(0);
        self.b.branch_with(Cond::SLt, value, zero, (done, &[zero]), (natural, &[]));
        self.b.start(natural);
        // Below 1 there is only 0.
        let exact = if bits == 0 { self.b.constant(1) } else { self.b.binary_const(BinOp::Add, value, 1) };
        let limit = self.b.constant(1 << bits);
        self.b.branch_with(Cond::ULt, value, limit, (done, &[exact]), (large, &[]));
        self.b.start(large);
        let group = self.log2(value);
        let bits = i64::from(bits);
        if bits == 0 {
            let place = self.b.binary_const(BinOp::Add, group, 2);
            self.b.jump(done, &[place]);
            self.b.start(done);
            return bucket;
        }
        // 1 + 2^bits + (group - bits) * 2^bits + (value >> (group - bits)) - 2^bits
        let group = self.b.binary_const(BinOp::Sub, group, bits);
        let top = self.b.binary(BinOp::LShr, value, group);
        let start = self.b.binary_const(BinOp::Shl, group, bits);
        let place = self.b.binary(BinOp::Add, start, top);
        let place = self.b.binary_const(BinOp::Add, place, 1);
        self.b.jump(done, &[place]);
        self.b.start(done);
        bucket
    }

    /// The place of the highest bit of a positive number, without branches: each would double
    /// the ways that the verifier follows.
    fn log2(&mut self, value: Value) -> Value {
        let (mut rest, mut log2) = (value, None);
        for step in [32, 16, 8, 4, 2] {
            // `step` when anything is left above `step` bits, else 0: a bit of the sign of what
            // such a number is subtracted from.
            let sign = match step {
                32 => {
                    let high = self.b.binary_const(BinOp::LShr, rest, step);
                    self.b.op(Op::Neg(high))
                }
                _ => {
                    let most = self.b.constant((1 << step) - 1);
                    self.b.binary(BinOp::Sub, most, rest)
                }
            };
            let sign = self.b.binary_const(BinOp::LShr, sign, 63 - i64::from(step.trailing_zeros()));
            let shift = self.b.binary_const(BinOp::And, sign, step);
            rest = self.b.binary(BinOp::LShr, rest, shift);
            log2 = Some(match log2 {
                None => shift,
                Some(sum) => self.b.binary(BinOp::Or, sum, shift),
            });
        }
        let last = self.b.binary_const(BinOp::LShr, rest, 1);
        match log2 {
            None => last,
            Some(sum) => self.b.binary(BinOp::Or, sum, last),
        }
    }

    /// [`lang::layout::lhist_bucket`]
    fn lhist_bucket(&mut self, value: Value, min: i64, max: i64, step: i64) -> Value {
        let [above_min, inside] = std::array::from_fn(|_| self.b.block());
        let (done, bucket) = self.b.block_with_number();
        let (zero, low) = (self.b.constant(0), self.b.constant(min));
        self.b.branch_with(Cond::SLt, value, low, (done, &[zero]), (above_min, &[]));
        self.b.start(above_min);
        let high = self.b.constant(max);
        let last = self.b.constant(i64::from(lhist_buckets(min, max, step)) - 1);
        self.b.branch_with(Cond::SGe, value, high, (done, &[last]), (inside, &[]));
        self.b.start(inside);
        let distance = if min == 0 { value } else { self.b.binary_const(BinOp::Sub, value, min) };
        let steps = if step == 1 { distance } else { self.b.binary_const(BinOp::UDiv, distance, step) };
        let place = self.b.binary_const(BinOp::Add, steps, 1);
        self.b.jump(done, &[place]);
        self.b.start(done);
        bucket
    }

    /// An aggregation's value over all CPUs.
    pub fn aggregate_value(&mut self, map: MapId, key: Option<&Expr>, span: Span) -> Value {
        let place = self.entry(map).place;
        if let Place::Global { .. } = place {
            return self.b.constant(0);
        }
        let Ty::Agg(agg) = self.cx.program.maps[map.0 as usize].value.clone() else {
            return self.b.constant(0);
        };
        match agg {
            Agg::Count | Agg::Sum { .. } => self.totals::<1>(place, key, span)[0],
            Agg::Min { .. } | Agg::Max { .. } => self.extreme(place, key, span, rank_mask(&agg)),
            Agg::Avg { signed } | Agg::Stats { signed } => {
                let [total, count] = self.totals(place, key, span);
                self.average(total, count, signed)
            }
            Agg::Hist { .. } | Agg::Lhist { .. } | Agg::Tseries { .. } => {
                self.cx.error(span, "this aggregation has no value as a number");
                self.b.constant(0)
            }
        }
    }

    /// The first `N` words of an entry, summed over all CPUs.
    fn totals<const N: usize>(&mut self, place: Place, key: Option<&Expr>, span: Span) -> [Value; N] {
        let sums = std::array::from_fn(|_| self.b.variable(Type::I64));
        let zero = self.b.constant(0);
        sums.into_iter().for_each(|sum| self.b.write(sum, zero));
        self.each_cpu(place, key, span, |body, ptr| {
            for (idx, sum) in sums.into_iter().enumerate() {
                let part = body.b.load(8, false, ptr, 8 * idx as i32);
                let before = body.b.read(sum);
                let after = body.b.binary(BinOp::Add, before, part);
                body.b.write(sum, after);
            }
        });
        sums.map(|sum| self.b.read(sum))
    }

    /// The value of the highest rank of all CPUs; 0 when none has one. There are no branches in the
    /// loop: kernels whose verifier follows every round would follow every combination of them.
    fn extreme(&mut self, place: Place, key: Option<&Expr>, span: Span, mask: u64) -> Value {
        let (best, any) = (self.b.variable(Type::I64), self.b.variable(Type::I64));
        let zero = self.b.constant(0);
        self.b.write(best, zero);
        self.b.write(any, zero);
        self.each_cpu(place, key, span, |body, ptr| {
            let (rank, set) = (body.b.load(8, false, ptr, 0), body.b.load(8, false, ptr, 8));
            let (before, had) = (body.b.read(best), body.b.read(any));
            let is_better = body.less_bit(before, rank);
            let change = body.b.binary(BinOp::Xor, before, rank);
            let mask = body.b.op(Op::Neg(is_better));
            let change = body.b.binary(BinOp::And, change, mask);
            let after = body.b.binary(BinOp::Xor, before, change);
            body.b.write(best, after);
            let has = body.b.binary(BinOp::Or, had, set);
            body.b.write(any, has);
        });
        let (rank, any) = (self.b.read(best), self.b.read(any));
        let value = self.b.binary_const(BinOp::Xor, rank, mask as i64);
        let mask = self.b.op(Op::Neg(any));
        self.b.binary(BinOp::And, value, mask)
    }

    /// 1 when `a` is less than `b`, both unsigned, else 0: the borrow of their difference.
    fn less_bit(&mut self, a: Value, b: Value) -> Value {
        let difference = self.b.binary(BinOp::Sub, a, b);
        let differ = self.b.binary(BinOp::Xor, a, b);
        let alike = self.b.op(Op::Not(differ));
        let if_alike = self.b.binary(BinOp::And, alike, difference);
        let if_differ = self.b.binary(BinOp::And, differ, b);
        let sign = self.b.binary(BinOp::Or, if_alike, if_differ);
        self.b.binary_const(BinOp::LShr, sign, 63)
    }

    /// 0 while nothing was counted.
    fn average(&mut self, total: Value, count: Value, signed: bool) -> Value {
        let divide = self.b.block();
        let (done, value) = self.b.block_with_number();
        let zero = self.b.constant(0);
        self.b.branch_with(Cond::Eq, count, zero, (done, &[zero]), (divide, &[]));
        self.b.start(divide);
        let quotient = self.divide(false, total, count, signed);
        self.b.jump(done, &[quotient]);
        self.b.start(done);
        value
    }
}
