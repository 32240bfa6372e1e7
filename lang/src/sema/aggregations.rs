//! `@m[k] = count()` and its kin.

use super::infer::{self, Known};
use super::literals::int_value;
use super::operators::wide;
use super::stmts::Body;
use crate::ast;
use crate::builtins::{Builtin, Kind};
use crate::diagnostic::Diagnostic;
use crate::hir::{self, StmtKind, Unstable};
use crate::source::Span;
use crate::ty::{Agg, Kept, Ty};

/// Most steps of a linear histogram.
const MOST_STEPS: i128 = 1000;

/// Most intervals of a time series: the kernel lets each processor have 32 KiB of one value.
const MOST_INTERVALS: i128 = 1300;

/// Most sub-buckets of a power of two, as a power of two.
const MOST_BITS: i128 = 5;

/// The aggregation that an expression calls; its parentheses may be left away.
pub(super) fn call(value: &ast::Expr) -> Option<(Builtin, &[ast::Arg])> {
    let (name, args) = match &value.kind {
        ast::ExprKind::Call { name, args } => (&name.text, args.as_slice()),
        ast::ExprKind::Word(name) => (name, [].as_slice()),
        _ => return None,
    };
    let builtin = Builtin::from_name(name).filter(|it| it.kind() == Kind::Aggregation)?;
    Some((builtin, args))
}

impl<'a> Body<'_, 'a> {
    /// `@name[key] = builtin(args)`
    pub(super) fn aggregate(
        &mut self,
        name: &'a str,
        key: &'a [ast::Expr],
        map: Span,
        builtin: Builtin,
        args: &'a [ast::Arg],
        call: Span,
    ) -> Option<StmtKind> {
        let element = self.element(name, key, map);
        // Whatever is wrong with the call, the map is meant to get a value.
        self.admit_value_type(&element, Known::NOTHING, call, false)?;
        let args = self.arguments(builtin, args, call)?;
        let value = match args.first() {
            None => None,
            Some(arg) => {
                let value = self.value(arg);
                match self.as_int(value) {
                    // A first value computed from the map itself: its sign comes to light in the next round.
                    Err(wrong) if wrong.ty == Ty::Error => Some(wrong),
                    Ok(value) => {
                        let ty = wide(&value.ty);
                        Some(infer::coerce(value, &ty))
                    }
                    Err(wrong) => {
                        self.not_a(&wrong, "an integer");
                        return None;
                    }
                }
            }
        };
        let signed = value.as_ref().is_some_and(|it| it.ty == Ty::I64);
        let agg = match builtin {
            Builtin::Count => Agg::Count,
            Builtin::Sum => Agg::Sum { signed },
            Builtin::Min => Agg::Min { signed },
            Builtin::Max => Agg::Max { signed },
            Builtin::Avg => Agg::Avg { signed },
            Builtin::Stats => Agg::Stats { signed },
            Builtin::Hist => Agg::Hist { bits: self.hist_bits(args.get(1).copied())? },
            Builtin::Lhist => self.lhist(&args[1..], call)?,
            Builtin::Tseries => self.tseries(&args[1..], signed, call)?,
            _ => unreachable!("only aggregations are called here"),
        };
        self.admit_value_type(&element, Known::ty(Ty::Agg(agg)), call, false)?;
        Some(StmtKind::Aggregate { map: element.id, key: element.key, value })
    }

    fn hist_bits(&mut self, bits: Option<&'a ast::Expr>) -> Option<u8> {
        let Some(bits) = bits else { return Some(0) };
        let n = self.literal(bits, "the number of bits")?;
        if !(0..=MOST_BITS).contains(&n) {
            self.cx
                .report(Diagnostic::error(bits.span, format!("`hist` takes 0 to {MOST_BITS} bits, not {n}")));
            return None;
        }
        Some(n as u8)
    }

    fn lhist(&mut self, args: &[&'a ast::Expr], call: Span) -> Option<Agg> {
        let &[min, max, step] = args else { return None };
        let low = self.literal(min, "the smallest value");
        let high = self.literal(max, "the largest value");
        let width = self.literal(step, "the step");
        let (low, high, width) = (low?, high?, width?);
        let wrong = if width <= 0 {
            Diagnostic::error(step.span, "the step must be positive")
        } else if high <= low {
            Diagnostic::error(max.span, format!("the largest value must be above the smallest one, {low}"))
        } else if (high - low) / width > MOST_STEPS {
            let message = format!("{} steps are too many, {MOST_STEPS} are possible", (high - low) / width);
            let enough = (high - low + MOST_STEPS - 1) / MOST_STEPS;
            Diagnostic::error(call, message).hint(format!("use a step of {enough} or more"))
        } else if let (Ok(min), Ok(max), Ok(step)) = (low.try_into(), high.try_into(), width.try_into()) {
            return Some(Agg::Lhist { min, max, step });
        } else {
            Diagnostic::error(call, "the values must fit in int64")
        };
        self.cx.report(wrong);
        None
    }

    /// `tseries(n, interval, count[, kept])`, without the first argument.
    fn tseries(&mut self, args: &[&'a ast::Expr], signed: bool, call: Span) -> Option<Agg> {
        // It stays as it is here, so only who forbids it hears of it.
        let setting = self.cx.config.unstable_tseries;
        if setting == Unstable::Error && !self.cx.may_use("tseries", setting, call) {
            return None;
        }
        let (interval, count) = (*args.first()?, *args.get(1)?);
        let length = self.literal(interval, "the interval");
        let intervals = self.literal(count, "the number of intervals");
        let kept = match args.get(2) {
            None => Some(Kept::Last),
            Some(kept) => self.kept_of_interval(kept),
        };
        let (length, intervals, kept) = (length?, intervals?, kept?);
        let wrong = if length < 1 {
            Diagnostic::error(interval.span, "the interval must be at least 1 nanosecond")
        } else if !(1..=MOST_INTERVALS).contains(&intervals) {
            let message = format!("a time series keeps 1 to {MOST_INTERVALS} intervals, not {intervals}");
            Diagnostic::error(count.span, message)
        } else if let Ok(interval) = length.try_into() {
            return Some(Agg::Tseries { interval, count: intervals as u32, kept, signed });
        } else {
            Diagnostic::error(interval.span, "the interval must fit in uint64")
        };
        self.cx.report(wrong);
        None
    }

    fn kept_of_interval(&mut self, kept: &'a ast::Expr) -> Option<Kept> {
        let name = self.text(kept, "what is kept of an interval")?;
        let names = [("avg", Kept::Avg), ("max", Kept::Max), ("min", Kept::Min), ("sum", Kept::Sum)];
        let found = names.into_iter().find(|it| it.0 == name).map(|it| it.1);
        if found.is_none() {
            let hint = "there are \"avg\", \"max\", \"min\", \"sum\"; without any the last value is kept";
            let message = format!("a time series does not keep `{name}`");
            self.cx.report(Diagnostic::error(kept.span, message).hint(hint));
        }
        found
    }

    /// An argument that must be known before the script runs.
    pub(super) fn literal(&mut self, expr: &'a ast::Expr, what: &str) -> Option<i128> {
        let value = self.value(expr);
        if value.ty == Ty::Error {
            return None;
        }
        let n = int_value(&value);
        if n.is_none() {
            self.cx.report(Diagnostic::error(
                value.span,
                format!("{what} must be a number known before the script runs"),
            ));
        }
        n
    }

    /// An aggregation where there is no map to keep it.
    pub(super) fn stray_aggregation(&mut self, builtin: Builtin, span: Span) -> hir::Expr {
        let name = builtin.name();
        self.fail(
            Diagnostic::error(span, format!("`{name}` only works as the value of a map"))
                .hint(format!("write `@ = {name}{}`", builtin.signature())),
        )
    }
}
