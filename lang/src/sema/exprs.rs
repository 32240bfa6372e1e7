//! Expressions: one arm for each kind, the longer ones in modules of their own.

use super::infer::{self, Known};
use super::literals;
use super::stmts::Body;
use crate::ast::{self, ExprKind};
use crate::diagnostic::Diagnostic;
use crate::hir;
use crate::layout;
use crate::source::Span;
use crate::ty::Ty;

/// Most values in a tuple or a record with all that is in it: such values are copied member by member.
const MOST_PARTS: usize = 1024;

impl<'a> Body<'_, 'a> {
    /// Types an expression; it may have no value ([`Ty::Void`]).
    pub(super) fn expr(&mut self, expr: &'a ast::Expr) -> hir::Expr {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Error => self.unknown(span),
            ExprKind::Int(value) => literals::int((*value).into(), span),
            ExprKind::Bool(value) => literals::bool(*value, span),
            ExprKind::Str(text) => self.string(text, span),
            ExprKind::Ipv4(address) => {
                hir::Expr { kind: hir::ExprKind::Const((*address).into()), ty: Ty::Ipv4, span }
            }
            ExprKind::Cidr4(network, prefix) => self.network_literal(*network, *prefix, span),
            ExprKind::Mac(bytes) => {
                hir::Expr { kind: hir::ExprKind::Bytes(bytes.to_vec()), ty: Ty::Mac, span }
            }
            ExprKind::Var(name) => self.read_local(name, span),
            ExprKind::Map { name, key } => {
                let element = self.element(name, key, span);
                self.read_element(element)
            }
            ExprKind::Positional(n) => self.positional(*n, span),
            ExprKind::PositionalCount => literals::int(self.cx.options.params.len() as i128, span),
            ExprKind::Word(word) => self.word(word, span),
            ExprKind::Call { name, args } => self.call(name, args, span),
            ExprKind::Unary(ast::UnaryOp::AddressOf, operand) => self.address_of(operand, span),
            ExprKind::Unary(ast::UnaryOp::Deref, operand) => {
                let operand = self.value(operand);
                self.deref(operand, span)
            }
            ExprKind::Unary(op, operand) => self.unary(*op, operand, span),
            ExprKind::Step { increment, prefix, target } => self.step(*increment, *prefix, target, span),
            ExprKind::Binary(op, left, right) => self.binary_expr(*op, left, right, span),
            ExprKind::In(value, set) => self.member_of(value, set, span),
            ExprKind::Ternary(condition, then, otherwise) => {
                self.ternary(condition, then.as_deref(), otherwise, span)
            }
            ExprKind::If(condition, then, otherwise) => {
                let comptime = matches!(condition.kind, ExprKind::Comptime(_));
                let condition = self.condition(condition);
                if comptime {
                    return match self.decided(condition) {
                        Some(true) => self.value_block(then, then.span),
                        Some(false) => self.value_block(otherwise, otherwise.span),
                        None => self.unknown(span),
                    };
                }
                let (then, otherwise) =
                    (self.value_block(then, then.span), self.value_block(otherwise, otherwise.span));
                self.choose(condition, then, otherwise, span)
            }
            ExprKind::Block(block) => self.value_block(block, span),
            ExprKind::Cast(ty, operand) => self.cast(ty, operand, span),
            ExprKind::Field { base, name, .. } => self.field(base, name, span),
            ExprKind::TupleIndex(base, idx) => self.tuple_index(base, *idx, span),
            ExprKind::Index(base, idx) => self.index(base, idx, span),
            ExprKind::Tuple(items) => {
                let items = items.iter().map(|it| self.value(it)).collect();
                self.tuple(items, span)
            }
            ExprKind::Record(items) => self.record(items, span),
            ExprKind::Sizeof(of) => {
                let Some(ty) = self.type_or_expr(of) else { return self.unknown(span) };
                literals::int(layout::size_of(&ty, &self.cx.types).into(), span)
            }
            ExprKind::Offsetof(of, path) => self.offset_of(of, path, span),
            ExprKind::Comptime(operand) => {
                let value = self.expr(operand);
                self.comptime(value, span)
            }
        }
    }

    /// Types an expression that must have a value.
    pub(super) fn value(&mut self, expr: &'a ast::Expr) -> hir::Expr {
        let value = self.expr(expr);
        if value.ty == Ty::Void {
            return self.fail(Diagnostic::error(value.span, "this has no value"));
        }
        value
    }

    /// Types an expression that must be an integer, as 64 bits with its sign (int64 for literals
    /// that fit).
    pub(super) fn int64(&mut self, expr: &'a ast::Expr) -> hir::Expr {
        let value = self.value(expr);
        match self.as_int(value) {
            Ok(value) => infer::coerce(value, &Ty::I64),
            Err(value) => self.not_a(&value, "an integer"),
        }
    }

    /// Types a condition: anything that is zero or not.
    pub(super) fn condition(&mut self, expr: &'a ast::Expr) -> hir::Expr {
        let value = self.value(expr);
        self.truth(value)
    }

    /// Checks that a value can be a condition.
    pub(super) fn truth(&mut self, value: hir::Expr) -> hir::Expr {
        if value.ty.is_scalar() || value.ty == Ty::Error {
            return value;
        }
        let found = self.cx.name_of(&value.ty);
        let hint =
            matches!(value.ty, Ty::Str(_)).then(|| "compare it, for example with `!= \"\"`".to_owned());
        self.fail(
            Diagnostic::error(value.span, format!("`{found}` is neither true nor false")).maybe_hint(hint),
        )
    }

    /// Reports that a value has the wrong type.
    pub(super) fn not_a(&mut self, value: &hir::Expr, expected: &str) -> hir::Expr {
        if value.ty == Ty::Error {
            return self.unknown(value.span);
        }
        let found = self.cx.name_of(&value.ty);
        self.fail(Diagnostic::error(value.span, format!("expected {expected}, found `{found}`")))
    }

    /// Several values as one.
    pub(super) fn tuple(&mut self, items: Vec<hir::Expr>, span: Span) -> hir::Expr {
        if items.iter().any(|it| it.ty == Ty::Error) {
            return self.unknown(span);
        }
        if items.iter().map(|it| parts(&it.ty)).sum::<usize>() > MOST_PARTS {
            return self.fail(Diagnostic::error(span, format!("a tuple of more than {MOST_PARTS} values")));
        }
        let ty = Ty::Tuple(items.iter().map(|it| it.ty.clone()).collect());
        hir::Expr { kind: hir::ExprKind::Tuple(items), ty, span }
    }

    fn record(&mut self, items: &'a [(ast::Ident, ast::Expr)], span: Span) -> hir::Expr {
        for (idx, (name, _)) in items.iter().enumerate() {
            if let Some((earlier, _)) = items[..idx].iter().find(|it| it.0.text == name.text) {
                let diagnostic = Diagnostic::error(name.span, format!("`{}` is given twice", name.text));
                self.cx.report(diagnostic.label(earlier.span, "first given here"));
            }
        }
        let values: Vec<_> = items.iter().map(|(_, value)| self.value(value)).collect();
        if values.iter().any(|it| it.ty == Ty::Error) {
            return self.unknown(span);
        }
        if values.iter().map(|it| parts(&it.ty)).sum::<usize>() > MOST_PARTS {
            return self.fail(Diagnostic::error(span, format!("a record of more than {MOST_PARTS} values")));
        }
        let fields =
            items.iter().zip(&values).map(|((name, _), value)| (name.text.clone(), value.ty.clone()));
        hir::Expr { ty: Ty::Record(fields.collect()), kind: hir::ExprKind::Tuple(values), span }
    }

    /// `c ? t : e`; `c ?: e` is `c ? c : e`.
    fn ternary(
        &mut self,
        condition: &'a ast::Expr,
        then: Option<&'a ast::Expr>,
        otherwise: &'a ast::Expr,
        span: Span,
    ) -> hir::Expr {
        let then = self.expr(then.unwrap_or(condition));
        let condition = self.condition(condition);
        let otherwise = self.expr(otherwise);
        self.choose(condition, then, otherwise, span)
    }

    pub(super) fn choose(
        &mut self,
        condition: hir::Expr,
        then: hir::Expr,
        otherwise: hir::Expr,
        span: Span,
    ) -> hir::Expr {
        let joined = infer::join(&Known::of(&then), &Known::of(&otherwise), &self.cx.types);
        let Some(Known { ty, .. }) = joined else {
            let (first, second) = self.cx.names_of(&then.ty, &otherwise.ty);
            let message = format!("the two sides differ: `{first}` and `{second}`");
            return self.fail(
                Diagnostic::error(span, message)
                    .label(then.span, format!("`{first}`"))
                    .label(otherwise.span, format!("`{second}`")),
            );
        };
        if ty == Ty::Error {
            return self.unknown(span);
        }
        let (then, otherwise) = (infer::coerce(then, &ty), infer::coerce(otherwise, &ty));
        let kind = hir::ExprKind::Cond(Box::new(condition), Box::new(then), Box::new(otherwise));
        hir::Expr { kind, ty, span }
    }
}

/// How many values a value consists of.
fn parts(ty: &Ty) -> usize {
    match ty {
        Ty::Tuple(items) => items.iter().map(parts).sum(),
        Ty::Record(fields) => fields.iter().map(|(_, ty)| parts(ty)).sum(),
        _ => 1,
    }
}
