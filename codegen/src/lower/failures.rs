//! Reports of what goes wrong while a program runs: helpers that refuse, divisions by 0, indices
//! behind the end of an array.
//!
//! A report is one call of a subprogram that all programs share, so that what never happens takes
//! three instructions. Helper calls are looked at only when the configuration asks for it.

use super::{Body, Builder, Context};
use crate::failure::{Failure, FailureKind};
use crate::helpers::Helper;
use crate::ir::{Cond, Func, Function, Op, Type, Value};
use lang::Span;

/// What deleting gives when there is no such entry: an answer, not a failure.
const ENOENT: i64 = -2;

impl Context<'_> {
    /// The id of a failure's records: behind those of the actions.
    fn failure(&mut self, failure: Failure) -> i64 {
        let next = self.failures.len();
        let idx = *self.failure_ids.entry(failure).or_insert(next);
        if idx == next {
            self.failures.push(failure);
        }
        (self.program.actions.len() + idx) as i64
    }

    /// The subprogram that sends a failure's record; none when nothing receives records.
    fn reporter(&mut self) -> Option<Func> {
        if self.reporter.is_none() {
            let function = self.report_function()?;
            self.reporter = Some(self.add_subprogram(function));
        }
        self.reporter
    }

    fn report_function(&self) -> Option<Function> {
        let (events, lost) = (self.plan.events?, self.plan.lost?);
        let bss = self.plan.globals.bss?;
        let span = self.program.probes.first().map_or(Span::default(), |it| it.span);
        let mut b = Builder::new("report_failure".to_owned(), None, vec![Type::I64, Type::I64], span);
        b.start_entry();
        let record = b.slot(16, 8);
        let record = b.op(Op::SlotAddr(record));
        for (idx, word) in b.params().to_vec().into_iter().enumerate() {
            b.store(8, record, 8 * idx as i32, word);
        }
        let (full, done) = (b.block(), b.block());
        let ring = b.op(Op::MapAddr(events));
        let (size, zero) = (b.constant(16), b.constant(0));
        let status = b.call(Helper::RingbufOutput, &[ring, record, size, zero]);
        b.branch(Cond::Eq, status, zero, done, full);
        b.start(full);
        let ptr = b.op(Op::MapValueAddr(bss, lost));
        let value = b.constant(1);
        b.effect(Op::AtomicAdd { width: 8, ptr, offset: 0, value, fetch: false });
        b.jump(done, &[]);
        b.start(done);
        let zero = b.constant(0);
        b.ret(zero);
        Some(Function { cold: true, ..b.finish() })
    }
}

impl Body<'_, '_> {
    /// Whether failures of helpers are reported.
    pub fn reports_helpers(&self) -> bool {
        self.cx.program.config.report_failures
    }

    /// Reports a failure of the current script text. `code` is what a helper returned, else 0.
    pub fn report(&mut self, kind: FailureKind, code: Value) {
        let Some(reporter) = self.cx.reporter() else { return };
        let id = self.cx.failure(Failure { kind, span: self.b.span() });
        let id = self.b.constant(id);
        self.b.effect(Op::CallFunc(reporter, vec![id, code]));
    }

    /// A helper call, reported when it gives a negative number.
    pub fn call_reported(&mut self, helper: Helper, args: &[Value]) -> Value {
        let status = self.b.call(helper, args);
        self.report_below(0, status, helper);
        status
    }

    /// [`Body::call_reported`] of a helper whose result is not used otherwise.
    pub fn effect_reported(&mut self, helper: Helper, args: &[Value]) {
        if self.reports_helpers() {
            self.call_reported(helper, args);
        } else {
            self.b.call_for_effect(helper, args);
        }
    }

    /// Reports that an entry was not removed, though it is there.
    pub fn report_delete(&mut self, status: Value) {
        self.report_below(ENOENT, status, Helper::MapDeleteElem);
    }

    /// Reports a helper's result that is less than `limit`.
    fn report_below(&mut self, limit: i64, status: Value, helper: Helper) {
        if !self.reports_helpers() {
            return;
        }
        let (failed, done) = (self.b.block(), self.b.block());
        let limit = self.b.constant(limit);
        self.b.branch(Cond::SLt, status, limit, failed, done);
        self.b.start(failed);
        self.report(FailureKind::Helper(helper), status);
        self.b.jump(done, &[]);
        self.b.start(done);
    }

    /// Reports that an update was refused with this result.
    pub fn report_update(&mut self, status: Value) {
        if self.reports_helpers() {
            self.report(FailureKind::Helper(Helper::MapUpdateElem), status);
        }
    }

    /// Reports that a look-up found no entry.
    pub fn report_missing(&mut self, helper: Helper) {
        if self.reports_helpers() {
            let code = self.b.constant(0);
            self.report(FailureKind::Helper(helper), code);
        }
    }
}
