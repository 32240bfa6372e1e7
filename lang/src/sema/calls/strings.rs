//! Builtins that look into strings, or copy bytes.

use crate::ast;
use crate::builtins::Builtin;
use crate::diagnostic::Diagnostic;
use crate::hir::{self, ExprKind};
use crate::layout;
use crate::pattern;
use crate::sema::infer;
use crate::sema::literals::{self, int_value};
use crate::sema::stmts::Body;
use crate::source::Span;
use crate::ty::Ty;

impl<'a> Body<'_, 'a> {
    /// `default_str_length`
    pub(in crate::sema) fn default_str_length(&mut self, span: Span) -> hir::Expr {
        literals::int(self.cx.config.max_strlen.into(), span)
    }

    /// `strlen(string)`
    pub(super) fn strlen(&mut self, text: &'a ast::Expr, span: Span) -> hir::Expr {
        let Some(text) = self.string_argument(text) else { return self.unknown(span) };
        match &text.kind {
            ExprKind::Str(bytes) => {
                let n = bytes.iter().position(|it| *it == 0).unwrap_or(bytes.len());
                literals::int(n as i128, span)
            }
            _ => hir::Expr { kind: ExprKind::Builtin(Builtin::Strlen, vec![text]), ty: Ty::U64, span },
        }
    }

    /// `strcap(string)`
    pub(super) fn strcap(&mut self, text: &'a ast::Expr, span: Span) -> hir::Expr {
        let Some(text) = self.string_argument(text) else { return self.unknown(span) };
        literals::int(layout::size_of(&text.ty, &self.cx.types).into(), span)
    }

    /// `strncmp(string, string, n)`
    pub(super) fn strncmp(&mut self, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let texts = (self.string_argument(args[0]), self.string_argument(args[1]));
        let n = self.literal_length(args[2], "the number of bytes");
        let ((Some(a), Some(b)), Some(n)) = (texts, n) else { return self.unknown(span) };
        let kind = ExprKind::Builtin(Builtin::Strncmp, vec![a, b, n]);
        hir::Expr { kind, ty: Ty::U64, span }
    }

    /// `strstr(string, string)`, `strcontains(string, string)`
    pub(super) fn text_in_text(&mut self, builtin: Builtin, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let (text, wanted) = (self.string_argument(args[0]), self.string_argument(args[1]));
        let (Some(text), Some(wanted)) = (text, wanted) else { return self.unknown(span) };
        let ty = if builtin == Builtin::Strstr { Ty::I64 } else { Ty::Bool };
        hir::Expr { kind: ExprKind::Builtin(builtin, vec![text, wanted]), ty, span }
    }

    /// `starts_with(string, literal)`, `ends_with(string, literal)`, `strmatch(string, pattern)`
    pub(super) fn text_like(&mut self, builtin: Builtin, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let text = self.string_argument(args[0]);
        let what = if builtin == Builtin::Strmatch { "the pattern" } else { "the text to look for" };
        let wanted = self.text(args[1], what);
        let (Some(text), Some(wanted)) = (text, wanted) else { return self.unknown(span) };
        if builtin == Builtin::Strmatch
            && let Err(at) = pattern::parse(wanted.as_bytes())
        {
            let message = match wanted.as_bytes()[at] {
                b'[' => "sets of characters are not supported in patterns",
                _ => "the pattern ends with a `\\` that has nothing behind it",
            };
            return self.fail(
                Diagnostic::error(args[1].span, message)
                    .hint("for the character itself write `\\\\[` or `\\\\\\\\`"),
            );
        }
        let wanted = literals::str(wanted.as_bytes(), args[1].span);
        hir::Expr { kind: ExprKind::Builtin(builtin, vec![text, wanted]), ty: Ty::Bool, span }
    }

    /// `str_concat(string, string)`
    pub(super) fn str_concat(&mut self, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let (a, b) = (self.string_argument(args[0]), self.string_argument(args[1]));
        let (Some(a), Some(b)) = (a, b) else { return self.unknown(span) };
        if let (ExprKind::Str(first), ExprKind::Str(second)) = (&a.kind, &b.kind) {
            return self.string(&[first.as_slice(), second].concat(), span);
        }
        let size = |it: &hir::Expr| layout::size_of(&it.ty, &self.cx.types);
        // The longest string that `str` makes has a NUL behind `max_strlen` bytes.
        let capacity = (size(&a) + size(&b) - 1).min(self.cx.config.max_strlen + 1);
        let kind = ExprKind::Builtin(Builtin::StrConcat, vec![a, b]);
        hir::Expr { kind, ty: Ty::Str(capacity), span }
    }

    /// `buf(pointer or array[, length])`
    pub(super) fn buf(&mut self, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let Some((from, room)) = self.bytes_argument(args[0]) else { return self.unknown(span) };
        let length = args.get(1).map(|it| self.int64(it));
        let most = self.cx.config.max_strlen;
        let known = match (&length, room) {
            (Some(length), _) if length.ty == Ty::Error => return self.unknown(span),
            (Some(length), _) => int_value(length),
            (None, Some(room)) if !matches!(from.ty, Ty::Str(_)) => Some(room.into()),
            (None, _) => {
                let found = self.cx.name_of(&from.ty);
                let message = format!("`buf` needs a length, `{found}` does not say how long it is");
                return self
                    .fail(Diagnostic::error(args[0].span, message).hint("write `buf(pointer, length)`"));
            }
        };
        let capacity = match known {
            Some(n) if n < 0 => {
                let at = args.get(1).map_or(span, |it| it.span);
                return self.fail(Diagnostic::error(at, "the length is negative"));
            }
            Some(n) if n > i128::from(most) => {
                let message =
                    format!("{n} bytes are more than `max_strlen` allows ({most}), the rest is cut off");
                self.cx.report(Diagnostic::warning(args.last().map_or(span, |it| it.span), message));
                most
            }
            Some(n) => n as u32,
            None => most,
        };
        let capacity = room.map_or(capacity, |room| capacity.min(room));
        let length = length.filter(|_| known.is_none());
        let args = [Some(from), length].into_iter().flatten().collect();
        hir::Expr { kind: ExprKind::Builtin(Builtin::Buf, args), ty: Ty::Buf(capacity), span }
    }

    /// `memcmp(memory, memory, n)`
    pub(super) fn memcmp(&mut self, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let (a, b) = (self.bytes_argument(args[0]), self.bytes_argument(args[1]));
        let n = self.literal_length(args[2], "the number of bytes");
        let (Some((a, a_room)), Some((b, b_room)), Some(n)) = (a, b, n) else { return self.unknown(span) };
        let wanted = int_value(&n).unwrap_or(0);
        for (room, arg) in [(a_room, args[0]), (b_room, args[1])] {
            if let Some(room) = room.filter(|room| i128::from(*room) < wanted) {
                let message = format!("this has {room} bytes, {wanted} are compared");
                return self.fail(Diagnostic::error(arg.span, message));
            }
        }
        hir::Expr { kind: ExprKind::Builtin(Builtin::Memcmp, vec![a, b, n]), ty: Ty::I64, span }
    }

    /// A string, or what points to one as `str` reads it.
    pub(super) fn string_argument(&mut self, arg: &'a ast::Expr) -> Option<hir::Expr> {
        let value = match arg.kind {
            ast::ExprKind::Positional(n) => self.positional_str(n, arg.span),
            _ => self.value(arg),
        };
        let span = value.span;
        let pointer = match &value.ty {
            Ty::Error => return None,
            Ty::Str(_) => return Some(value),
            Ty::Array(of, n) if matches!(**of, Ty::I8 | Ty::U8) => {
                let ty = Ty::Str(*n);
                return Some(hir::Expr { kind: ExprKind::Cast(Box::new(value)), ty, span });
            }
            Ty::Ptr(to, _) if matches!(**to, Ty::I8 | Ty::U8 | Ty::Void) => value,
            _ => {
                self.not_a(&value, "a string");
                return None;
            }
        };
        let ty = Ty::Str(self.cx.config.max_strlen + 1);
        Some(hir::Expr { kind: ExprKind::Builtin(Builtin::Str, vec![pointer]), ty, span })
    }

    /// An array, a string or a pointer, and the bytes that are there as far as the type tells. Arrays in
    /// the program's own memory stay places; the rest are pointers.
    pub(super) fn bytes_argument(&mut self, arg: &'a ast::Expr) -> Option<(hir::Expr, Option<u32>)> {
        let value = self.value(arg);
        let room = layout::size_of(&value.ty, &self.cx.types);
        match &value.ty {
            Ty::Error => None,
            Ty::Str(_) | Ty::Array(..) | Ty::Mac | Ty::Ipv6 => Some((value, Some(room))),
            _ => match self.as_pointer(value) {
                Ok(pointer) => Some((pointer, None)),
                Err(wrong) => {
                    self.not_a(&wrong, "an array or a pointer");
                    None
                }
            },
        }
    }

    /// A length that must be known before the script runs.
    fn literal_length(&mut self, arg: &'a ast::Expr, what: &str) -> Option<hir::Expr> {
        let n = self.literal(arg, what)?;
        let most = i128::from(self.cx.config.max_strlen);
        if !(0..=most).contains(&n) {
            self.cx.report(Diagnostic::error(arg.span, format!("{what} must be from 0 to {most}")));
            return None;
        }
        Some(infer::coerce(literals::int(n, arg.span), &Ty::I64))
    }
}
