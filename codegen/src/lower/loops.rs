//! Loops: `while`, `for` over a range, `for` over a map.
//!
//! A loop over few numbers between constants is a loop that the verifier follows round by round.
//! Others are bounded by what the target has: `may_goto` (Linux 6.9) at their head, or rounds that
//! are calls ([`super::callback`], Linux 5.17); either ends after [`MOST_ROUNDS`]. Before that the
//! verifier follows every round, as far as it will. Loops over a map are always calls.

use super::builder::Variable;
use super::memory::Memory;
use super::stmt::Loop;
use super::uses::{self, Parts};
use super::{Body, Local};
use crate::failure::FailureKind;
use crate::helpers::Helper;
use crate::ir::{BinOp, Block, Cond, Map, Op, Region, Type, Value};
use crate::storage::{Place, SHORT_KEY};
use crate::target::KernelVersion;
use lang::Span;
use lang::hir::{Expr, ExprKind, LocalId, MapId, Stmt};
use lang::layout;
use lang::ty::Ty;

/// The most rounds that the kernel lets a loop take (`BPF_MAX_LOOPS`).
const MOST_ROUNDS: i64 = 1 << 23;
/// Loops of so many rounds between constants are followed one by one.
pub const FEW_ROUNDS: i64 = 128;

impl Body<'_, '_> {
    /// Whether the target has `may_goto`.
    pub fn has_loop_guard(&self) -> bool {
        self.cx.target.kernel >= KernelVersion(6, 9)
    }

    /// Whether rounds are calls: that is what the target has to bound a loop.
    fn calls_rounds(&self) -> bool {
        !self.has_loop_guard() && self.cx.target.kernel >= Helper::Loop.since()
    }

    /// `while`
    pub fn while_loop(&mut self, condition: &Expr, body: &[Stmt]) {
        let parts = Parts { condition: Some(condition), var: None, body };
        if self.calls_rounds() {
            return self.while_by_calls(condition, parts);
        }
        let [head, test, round, next, done] = std::array::from_fn(|_| self.b.block());
        self.blur_guarded(parts, None);
        self.b.jump(head, &[]);
        self.b.start_unsealed(head);
        self.guard(test, done);
        self.b.start(test);
        self.condition(condition, round, done);
        self.b.start(round);
        self.in_loop(Loop { next, done }, body);
        self.b.jump(next, &[]);
        self.b.start(next);
        self.blur_guarded(parts, None);
        self.b.jump(head, &[]);
        self.b.seal(head);
        self.b.start(done);
    }

    fn while_by_calls(&mut self, condition: &Expr, parts: Parts<'_>) {
        let most = self.b.constant(MOST_ROUNDS);
        self.repeat(
            parts,
            &[Type::I64],
            &[],
            |inner, _, _| {
                let Some(&Loop { done, .. }) = inner.loops.last() else { return };
                let round = inner.b.block();
                inner.condition(condition, round, done);
                inner.b.start(round);
                inner.stmts(parts.body);
            },
            |outer, func, words| {
                outer.call_rounds(most, func, words);
                // Its condition ends such a loop by a `break`.
                outer.unless_broken(words, Self::report_cut);
            },
        );
    }

    /// The head of a loop whose bound the verifier may not see.
    fn guard(&mut self, body: Block, done: Block) {
        if !self.has_loop_guard() {
            return self.b.jump(body, &[]);
        }
        let cut = self.b.block();
        self.b.loop_guard(body, cut);
        self.b.start(cut);
        self.report_cut();
        self.b.jump(done, &[]);
    }

    /// Reports that the kernel's limit ended the loop.
    fn report_cut(&mut self) {
        let zero = self.b.constant(0);
        self.report(FailureKind::TooManyRounds, zero);
    }

    /// [`Body::blur_assigned`] of a loop with a guard. Without one the verifier must follow rounds.
    fn blur_guarded(&mut self, parts: Parts<'_>, counter: Option<Variable>) {
        if self.has_loop_guard() {
            self.blur_assigned(parts, counter);
        }
    }

    /// Hides from the verifier what the variables are that a loop assigns, before its first round
    /// and behind each. It would follow a known counter round by round, and a comparison makes one
    /// known; of unknown ones it sees that a round changes nothing.
    pub fn blur_assigned(&mut self, parts: Parts<'_>, counter: Option<Variable>) {
        let assigned = uses::assigned(parts).into_iter().filter_map(|it| match self.locals[it.0 as usize] {
            Local::Variable(variable) => Some(variable),
            Local::Memory(_) => None,
        });
        let variables: Vec<Variable> = assigned.chain(counter).collect();
        if variables.is_empty() {
            return;
        }
        let zero = self.unknown_zero();
        for variable in variables {
            let value = self.b.read(variable);
            let value = self.b.binary(BinOp::Add, value, zero);
            self.b.write(variable, value);
        }
    }

    /// A zero that the verifier does not know.
    pub fn unknown_zero(&mut self) -> Value {
        let zeros = self.zeros();
        self.b.load(8, false, zeros, 0)
    }

    /// `for` over a range
    pub fn range_loop(&mut self, var: LocalId, start: &Expr, end: &Expr, body: &[Stmt]) {
        let (start, end) = (self.number(start), self.number(end));
        let rounds = match (self.b.as_const(start), self.b.as_const(end)) {
            (Some(start), Some(end)) => Some(end.saturating_sub(start)),
            _ => None,
        };
        let bounded = rounds.is_some_and(|it| it <= FEW_ROUNDS);
        let parts = Parts { condition: None, var: Some(var), body };
        if bounded || !self.calls_rounds() {
            self.range_in_place(parts, start, end, bounded);
        } else {
            self.range_by_calls(parts, start, end, rounds);
        }
    }

    fn range_in_place(&mut self, parts: Parts<'_>, start: Value, end: Value, bounded: bool) {
        let counter = self.b.variable(Type::I64);
        self.b.write(counter, start);
        if !bounded {
            self.blur_guarded(parts, Some(counter));
        }
        let [head, test, round, next, done] = std::array::from_fn(|_| self.b.block());
        self.b.jump(head, &[]);
        self.b.start_unsealed(head);
        if bounded {
            self.b.jump(test, &[])
        } else {
            self.guard(test, done)
        }
        self.b.start(test);
        let value = self.b.read(counter);
        self.b.branch(Cond::SLt, value, end, round, done);
        self.b.start(round);
        // The body may assign the variable; the rounds go on as before.
        self.set_loop_variable(parts, value);
        self.in_loop(Loop { next, done }, parts.body);
        self.b.jump(next, &[]);
        self.b.start(next);
        let value = self.b.read(counter);
        let following = self.b.binary_const(BinOp::Add, value, 1);
        self.b.write(counter, following);
        if !bounded {
            self.blur_guarded(parts, Some(counter));
        }
        self.b.jump(head, &[]);
        self.b.seal(head);
        self.b.start(done);
    }

    fn set_loop_variable(&mut self, parts: Parts<'_>, value: Value) {
        if let Some(LocalId(idx)) = parts.var
            && let Local::Variable(variable) = self.locals[idx as usize]
        {
            self.b.write(variable, value);
        }
    }

    /// `rounds` is how many there are, when that is known.
    fn range_by_calls(&mut self, parts: Parts<'_>, start: Value, end: Value, rounds: Option<i64>) {
        let distance = self.distance(start, end);
        // Of more rounds the kernel would run none.
        let (counted, count) = self.b.block_with_number();
        let most = self.b.constant(MOST_ROUNDS);
        self.b.branch_with(Cond::ULe, distance, most, (counted, &[distance]), (counted, &[most]));
        self.b.start(counted);
        self.repeat(
            parts,
            &[Type::I64],
            &[start],
            |inner, params, inputs| {
                // The kernel counts in 32 bits, and says nothing of the others.
                let round = inner.b.op(Op::Zext(32, params[0]));
                let value = inner.b.binary(BinOp::Add, inputs[0], round);
                inner.set_loop_variable(parts, value);
                inner.stmts(parts.body);
            },
            |outer, func, words| {
                outer.call_rounds(count, func, words);
                if rounds.is_some_and(|it| it <= MOST_ROUNDS) {
                    return;
                }
                let (cut, done) = (outer.b.block(), outer.b.block());
                let most = outer.b.constant(MOST_ROUNDS);
                outer.b.branch(Cond::UGt, distance, most, cut, done);
                outer.b.start(cut);
                outer.unless_broken(words, Self::report_cut);
                outer.b.jump(done, &[]);
                outer.b.start(done);
            },
        );
    }

    /// How many numbers there are from `start` to below `end`.
    fn distance(&mut self, start: Value, end: Value) -> Value {
        let (done, distance) = self.b.block_with_number();
        let some = self.b.block();
        let zero = self.b.constant(0);
        self.b.branch_with(Cond::SLt, start, end, (some, &[]), (done, &[zero]));
        self.b.start(some);
        let difference = self.b.binary(BinOp::Sub, end, start);
        self.b.jump(done, &[difference]);
        self.b.start(done);
        distance
    }

    fn call_rounds(&mut self, count: Value, func: Value, words: Value) {
        let flags = self.b.constant(0);
        self.b.call_for_effect(Helper::Loop, &[count, func, words, flags]);
    }

    /// `for` over a map
    pub fn map_loop(&mut self, var: LocalId, map: MapId, body: &[Stmt], span: Span) {
        let Place::Keyed { map: whole, short, .. } = self.entry(map).place else { return };
        self.require(Helper::ForEachMapElem, "for", span);
        let parts = Parts { condition: None, var: Some(var), body };
        // How long the keys are that are visited, where there are two kernel maps.
        let key_size = self.b.slot(8, 8);
        let key_size = self.b.op(Op::SlotAddr(key_size));
        self.repeat(
            parts,
            &[Type::Ptr(Region::Map), Type::Ptr(Region::MapValue), Type::Ptr(Region::MapValue)],
            &[key_size],
            |inner, params, inputs| {
                let &[_, key, value, ..] = params else { return };
                let key_size = short.map(|_| inputs[0]);
                inner.read_entry(var, map, Visited { key, value, key_size }, span);
                inner.stmts(body);
            },
            |outer, func, words| {
                let Some(short) = short else { return outer.visit_entries(whole, func, words) };
                let size = outer.b.constant(SHORT_KEY.into());
                outer.b.store(8, key_size, 0, size);
                outer.visit_entries(short, func, words);
                outer.unless_broken(words, |outer| {
                    let size = outer.b.constant(outer.cx.plan.maps[whole.index()].key_size.into());
                    outer.b.store(8, key_size, 0, size);
                    outer.visit_entries(whole, func, words);
                });
            },
        );
    }

    fn visit_entries(&mut self, map: Map, func: Value, words: Value) {
        let map = self.b.op(Op::MapAddr(map));
        let flags = self.b.constant(0);
        self.b.call_for_effect(Helper::ForEachMapElem, &[map, func, words, flags]);
    }

    /// Sets a loop's variable to the entry that is visited. Key and value are copied: the body may
    /// remove the entry, and another one may take its memory.
    fn read_entry(&mut self, var: LocalId, map: MapId, entry: Visited, span: Span) {
        let (Local::Memory(to), Ty::Tuple(types)) =
            (self.locals[var.0 as usize], &self.declared[var.0 as usize].ty)
        else {
            return;
        };
        let types: Vec<&Ty> = types.iter().collect();
        self.zero_gaps(&types, to);
        let (offsets, _) = layout::fields(types.iter().copied(), &self.cx.program.types);
        let (&[key_ty, value_ty], &[key_at, value_at]) = (types.as_slice(), offsets.as_slice()) else {
            return;
        };
        let at = |ptr| Memory { ptr, offset: 0, align: 8 };
        match entry.key_size {
            None => self.copy(to.at(key_at), at(entry.key), self.cx.size_of(key_ty)),
            Some(size) => self.copy_key(to.at(key_at), self.cx.size_of(key_ty), entry.key, size),
        }
        if self.cx.program.maps[map.0 as usize].agg().is_none() {
            return self.copy(to.at(value_at), at(entry.value), self.cx.size_of(value_ty));
        }
        // What the kernel shows is this CPU's part of it.
        let tuple = self.declared[var.0 as usize].ty.clone();
        let tuple = Expr { kind: ExprKind::Local(var), ty: tuple, span };
        let key = Expr { kind: ExprKind::TupleField(Box::new(tuple), 0), ty: key_ty.clone(), span };
        let value = self.aggregate_value(map, Some(&key), span);
        let to = to.at(value_at);
        self.b.store(8, to.ptr, to.offset, value);
    }

    /// Copies a key whose size is in memory.
    fn copy_key(&mut self, to: Memory, capacity: u32, key: Value, size: Value) {
        self.zero(to, capacity);
        let size = self.b.load(8, false, size, 0);
        let size = self.at_most(size, capacity);
        let to = self.address(to);
        self.b.call_for_effect(Helper::ProbeReadKernel, &[to, size, key]);
    }
}

/// An entry as the kernel shows it.
struct Visited {
    key: Value,
    value: Value,
    /// The address of the key's size, when it is not that of the script's keys.
    key_size: Option<Value>,
}
