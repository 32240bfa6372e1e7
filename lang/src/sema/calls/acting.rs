//! Builtins that change the machine, or write to its log: refused unless they are allowed.

use crate::ast;
use crate::builtins::Builtin;
use crate::c;
use crate::diagnostic::Diagnostic;
use crate::format;
use crate::hir::{self, ExprKind};
use crate::probes::ProbeKind;
use crate::sema::literals::{self, int_value};
use crate::sema::stmts::Body;
use crate::sema::{infer, operators};
use crate::source::Span;
use crate::ty::{Space, Ty};

/// Signals have numbers from 1 to this.
const LAST_SIGNAL: i128 = 64;

impl<'a> Body<'_, 'a> {
    /// Whether an action is allowed; refuses it when it is not.
    pub(in crate::sema) fn allowed(
        &mut self,
        allowed: bool,
        builtin: Builtin,
        flag: &str,
        span: Span,
    ) -> bool {
        if !allowed {
            let message = format!("`{}` changes what the machine does, which is not allowed", builtin.name());
            self.cx.report(Diagnostic::error(span, message).hint(format!("run with `--allow {flag}`")));
        }
        allowed
    }

    /// `signal(number or name)`, `signal_thread(number or name)`
    pub(super) fn signal(&mut self, builtin: Builtin, signal: &'a ast::Expr, span: Span) -> hir::Expr {
        let allowed = self.allowed(self.cx.options.allow.signal, builtin, "signal", span);
        let kind = self.probe.kind;
        if matches!(kind, ProbeKind::Begin | ProbeKind::End | ProbeKind::Interval | ProbeKind::Xdp) {
            let message = format!(
                "`{}` is not available in a `{}` probe, where no process is to be meant",
                builtin.name(),
                kind.name()
            );
            return self.fail(Diagnostic::error(span, message));
        }
        let value = self.value(signal);
        let number = match &value.kind {
            ExprKind::Str(name) => match signal_number(&String::from_utf8_lossy(name)) {
                Some(number) => literals::int(number.into(), value.span),
                None => {
                    let message = "there is no signal of that name";
                    let hint = "for example \"KILL\" or \"SIGUSR1\"";
                    return self.fail(Diagnostic::error(value.span, message).hint(hint));
                }
            },
            _ => match self.as_int(value) {
                Ok(number) => number,
                Err(wrong) => return self.not_a(&wrong, "a signal's number or name"),
            },
        };
        if let Some(n) = int_value(&number).filter(|n| !(1..=LAST_SIGNAL).contains(n)) {
            let message = format!("signals have numbers from 1 to {LAST_SIGNAL}, not {n}");
            return self.fail(Diagnostic::error(number.span, message));
        }
        if !allowed || number.ty == Ty::Error {
            return self.unknown(span);
        }
        let number = infer::coerce(number, &Ty::I64);
        hir::Expr { kind: ExprKind::Builtin(builtin, vec![number]), ty: Ty::Void, span }
    }

    /// `override(value)`
    pub(super) fn override_result(&mut self, value: &'a ast::Expr, span: Span) -> hir::Expr {
        let builtin = Builtin::Override;
        let allowed = self.allowed(self.cx.options.allow.override_result, builtin, "override", span);
        if self.probe.kind != ProbeKind::Kprobe {
            let message = format!("`override` is not available in a `{}` probe", self.probe.kind.name());
            return self.fail(Diagnostic::error(span, message).hint("use a `kprobe` at the function"));
        }
        let value = self.int64(value);
        if !allowed || value.ty == Ty::Error {
            return self.unknown(span);
        }
        hir::Expr { kind: ExprKind::Builtin(builtin, vec![value]), ty: Ty::Void, span }
    }

    /// `write_user(to, from, length)`
    pub(super) fn write_user(&mut self, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let allowed = self.allowed(self.cx.options.allow.write, Builtin::WriteUser, "write", span);
        let (to, from) = (self.value(args[0]), self.bytes_argument(args[1]));
        let length = self.int64(args[2]);
        let to = match self.as_pointer(to) {
            Ok(to) => to,
            Err(wrong) => return self.not_a(&wrong, "an address"),
        };
        let Some((from, room)) = from else { return self.unknown(span) };
        let most = self.cx.config.max_strlen;
        let limit = room.unwrap_or(most).min(most);
        match int_value(&length) {
            Some(n) if !(1..=i128::from(limit)).contains(&n) => {
                let message = format!("the length must be from 1 to {limit}");
                return self.fail(Diagnostic::error(length.span, message));
            }
            _ if !allowed || length.ty == Ty::Error => return self.unknown(span),
            _ => {}
        }
        let ty = operators::pointer(Ty::I8, Space::User);
        let to = hir::Expr { span: to.span, kind: ExprKind::Cast(Box::new(to)), ty };
        let kind = ExprKind::Builtin(Builtin::WriteUser, vec![to, from, length]);
        hir::Expr { kind, ty: Ty::Bool, span }
    }

    /// `debugf(format, …)`
    pub(super) fn debugf(&mut self, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let text = self.text(args[0], "the format");
        let values: Vec<_> = args[1..].iter().map(|it| self.value(it)).collect();
        let Some(text) = text else { return self.unknown(span) };
        let format = format::parse(&text);
        let wanted = format::conversions(&format).count();
        if wanted != values.len() {
            let message = format!("the format wants {wanted} arguments, {} are given", values.len());
            return self.fail(Diagnostic::error(args[0].span, message));
        }
        let mut checked = vec![literals::str(text.as_bytes(), args[0].span)];
        for (conversion, value) in format::conversions(&format).zip(values) {
            let value = match (conversion.letter.as_str(), &value.ty) {
                (_, Ty::Error) => return self.unknown(span),
                ("s", Ty::Str(_)) => value,
                ("d" | "i" | "u" | "x" | "X" | "p" | "c", Ty::Ptr(..)) => value,
                ("d" | "i" | "u" | "x" | "X" | "p" | "c", _) => match self.as_int(value) {
                    Ok(value) => value,
                    Err(wrong) => return self.not_a(&wrong, "an integer"),
                },
                ("s", _) => return self.not_a(&value, "a string"),
                _ => {
                    let text = format::conversion_text(conversion);
                    let message = format!("the kernel does not print `{text}`");
                    return self.fail(Diagnostic::error(args[0].span, message));
                }
            };
            checked.push(value);
        }
        hir::Expr { kind: ExprKind::Builtin(Builtin::Debugf, checked), ty: Ty::Void, span }
    }
}

/// The number of `KILL`, `SIGKILL` or `kill`.
fn signal_number(name: &str) -> Option<i64> {
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    // `SIG_IGN` and its kin are no signals.
    if short.starts_with('_') || short.is_empty() {
        return None;
    }
    c::constants::value(&format!("SIG{short}")).filter(|n| (1..=LAST_SIGNAL as i64).contains(n))
}

#[cfg(test)]
mod tests {
    use super::signal_number;

    #[test]
    fn signals_have_three_spellings() {
        let cases = [
            ("KILL", Some(9)),
            ("SIGKILL", Some(9)),
            ("kill", Some(9)),
            ("SIGUSR1", Some(10)),
            ("SIG_IGN", None),
            ("", None),
            ("SIG", None),
            ("XYZ", None),
        ];
        for (name, number) in cases {
            assert_eq!(signal_number(name), number, "{name}");
        }
    }
}
