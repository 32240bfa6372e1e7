//! `(type)value`

use super::literals::int_value;
use super::stmts::Body;
use super::{infer, operators};
use crate::ast;
use crate::diagnostic::Diagnostic;
use crate::hir::{self, ExprKind};
use crate::layout;
use crate::source::Span;
use crate::ty::Ty;

impl<'a> Body<'_, 'a> {
    /// `(type)operand`
    pub(super) fn cast(&mut self, name: &'a ast::TypeName, operand: &'a ast::Expr, span: Span) -> hir::Expr {
        let to = self.type_of(name);
        let value = self.value(operand);
        if to == Ty::Error || value.ty == Ty::Error {
            return self.unknown(span);
        }
        if let (Ty::Enum(id), Some(n)) = (&to, int_value(&value)) {
            let def = self.cx.types.enum_def(*id);
            if !def.variants.iter().any(|it| i128::from(it.1) == n) {
                let message = format!("`enum {}` has no value {n}", def.name);
                return self.fail(Diagnostic::error(value.span, message));
            }
        }
        let to = match (&to, &value.ty) {
            // A pointer keeps the memory that it points into.
            (Ty::Ptr(to, _), Ty::Ptr(_, space)) => Ty::Ptr(to.clone(), *space),
            _ => to,
        };
        if value.ty == to {
            return hir::Expr { span, ..value };
        }
        if let Some(value) = self.between_array_and_int(&value, &to, span) {
            return value;
        }
        if !castable(&value.ty, &to) {
            return self.no_cast(&value, &to, span);
        }
        match to {
            // Through the integer: what `as_int` knows of addresses and symbols holds here too.
            Ty::Int(_) => match self.as_int(value) {
                Ok(value) => forced(value, to, span),
                Err(value) => forced(infer::coerce(value, &Ty::U64), to, span),
            },
            to => forced(value, to, span),
        }
    }

    /// An integer's bytes as an array of numbers, or such an array's bytes as an integer.
    fn between_array_and_int(&mut self, value: &hir::Expr, to: &Ty, span: Span) -> Option<hir::Expr> {
        let holds_numbers = |ty: &Ty| matches!(ty, Ty::Array(of, _) if matches!(**of, Ty::Int(_) | Ty::Bool));
        let (array, int) = match (&value.ty, to) {
            (from, to @ Ty::Int(_)) if holds_numbers(from) => (from, to),
            (from @ Ty::Int(_), to) if holds_numbers(to) => (to, from),
            _ => return None,
        };
        let n_array = layout::size_of(array, &self.cx.types);
        let n_int = layout::size_of(int, &self.cx.types);
        // An integer may be extended to the array, as to a wider integer; nothing is ever cut.
        let fits = if array == to { (n_int..=8).contains(&n_array) } else { n_int == n_array };
        if !fits {
            let hint = format!("the array has {n_array} bytes, the integer {n_int}");
            let (from, to) = (self.cx.name_of(&value.ty), self.cx.name_of(to));
            let message = format!("`{from}` cannot be cast to `{to}`");
            return Some(self.fail(Diagnostic::error(span, message).hint(hint)));
        }
        Some(forced(value.clone(), to.clone(), span))
    }

    fn no_cast(&mut self, value: &hir::Expr, to: &Ty, span: Span) -> hir::Expr {
        let (from, to) = (self.cx.name_of(&value.ty), self.cx.name_of(to));
        self.fail(Diagnostic::error(span, format!("`{from}` cannot be cast to `{to}`")))
    }

    /// An integer or pointer as a pointer to bytes, in the memory that the probe's plain
    /// addresses point into.
    pub(super) fn as_pointer(&mut self, value: hir::Expr) -> Result<hir::Expr, hir::Expr> {
        match &value.ty {
            Ty::Ptr(..) => Ok(value),
            Ty::Int(_) => {
                let ty = operators::pointer(Ty::I8, self.probe.space());
                let span = value.span;
                Ok(forced(value, ty, span))
            }
            _ => Err(value),
        }
    }
}

/// A cast that stays one: unlike a literal, its value has exactly this type.
pub(super) fn forced(value: hir::Expr, ty: Ty, span: Span) -> hir::Expr {
    if value.ty == ty && !matches!(value.kind, ExprKind::Const(_)) {
        return hir::Expr { span, ..value };
    }
    hir::Expr { kind: ExprKind::Cast(Box::new(value)), ty, span }
}

fn castable(from: &Ty, to: &Ty) -> bool {
    use Ty::{Bool, Enum, Int, Ipv4, Ksym, Ptr, Str, Timestamp, Tuple};
    match (from, to) {
        (Int(_) | Bool | Enum(_) | Ptr(..) | Ksym | Timestamp(_) | Ipv4, Int(_)) => true,
        (Int(_) | Enum(_) | Ptr(..), Bool) => true,
        (Int(_) | Ptr(..), Ptr(..)) => true,
        (Int(_) | Enum(_), Enum(_)) => true,
        (Int(_), Ipv4) => true,
        (Str(_), Str(_)) => true,
        (Tuple(from), Tuple(to)) => {
            from.len() == to.len() && from.iter().zip(to).all(|(from, to)| from == to || castable(from, to))
        }
        _ => false,
    }
}
