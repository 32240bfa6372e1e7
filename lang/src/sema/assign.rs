//! Assignments to variables and map elements.

use super::aggregations;
use super::infer::Known;
use super::maps::Element;
use super::operators::{negated, wide};
use super::stmts::Body;
use crate::ast;
use crate::diagnostic::Diagnostic;
use crate::hir::{self, LocalId, StmtKind};
use crate::source::Span;
use crate::ty::Ty;

impl<'a> Body<'_, 'a> {
    /// `target = value`, `target op= value`
    pub(super) fn assign(
        &mut self,
        target: &'a ast::Expr,
        op: Option<ast::BinaryOp>,
        value: &'a ast::Expr,
        span: Span,
        out: &mut Vec<hir::Stmt>,
    ) {
        match &target.kind {
            ast::ExprKind::Var(name) => self.assign_local(name, target.span, op, value, span, out),
            ast::ExprKind::Map { name, key } => {
                if let (None, Some((agg, args))) = (op, aggregations::call(value)) {
                    let stmt = self.aggregate(name, key, target.span, agg, args, value.span);
                    return out.extend(stmt.map(|kind| hir::Stmt { kind, span }));
                }
                let value = self.value(value);
                let element = self.element(name, key, target.span);
                let stmt = match op {
                    None => self.set_map(element, value),
                    Some(op) => self.change_map(element, op, value, span),
                };
                out.extend(stmt.map(|kind| hir::Stmt { kind, span }));
            }
            _ => {
                self.value(value);
                self.expr(target);
                self.cx.report(
                    Diagnostic::error(target.span, "this cannot be assigned")
                        .hint("assign a variable (`$x = …`) or a map (`@x = …`)"),
                );
            }
        }
    }

    fn assign_local(
        &mut self,
        name: &'a str,
        name_span: Span,
        op: Option<ast::BinaryOp>,
        value: &'a ast::Expr,
        span: Span,
        out: &mut Vec<hir::Stmt>,
    ) {
        // The value comes first: `$x = $x` does not see a `$x` that it declares itself.
        let value = self.value(value);
        match (self.local(name, name_span), op) {
            (Some(id), None) => self.store_local(id, value, span, out),
            (Some(id), Some(op)) => self.change_local(id, op, value, name_span, span, out),
            (None, None) => {
                let id = self.declare(name, name_span, None);
                self.store_local(id, value, span, out);
            }
            (None, Some(_)) => {
                self.undefined_local(name, name_span);
            }
        }
    }

    /// `$x = value` of a declared variable.
    pub(super) fn store_local(
        &mut self,
        id: LocalId,
        value: hir::Expr,
        span: Span,
        out: &mut Vec<hir::Stmt>,
    ) {
        if let Some(value) = self.admit_local(id, value, false) {
            out.push(hir::Stmt { kind: StmtKind::SetLocal(id, value), span });
        }
    }

    /// `$x op= value`: an integer variable gets the sign of the result, but never loses its own.
    fn change_local(
        &mut self,
        id: LocalId,
        op: ast::BinaryOp,
        value: hir::Expr,
        name_span: Span,
        span: Span,
        out: &mut Vec<hir::Stmt>,
    ) {
        let old = hir::Expr { kind: hir::ExprKind::Local(id), ty: self.local_type(id), span: name_span };
        if matches!(old.ty, Ty::Int(_)) {
            // A difference has a sign, whatever it is of.
            let sign = match op {
                ast::BinaryOp::Sub => hir::Expr { kind: hir::ExprKind::Const(-1), ty: Ty::I64, span },
                _ => old.clone(),
            };
            if self.admit_local(id, sign, true).is_none() {
                return;
            }
        }
        let old = hir::Expr { ty: self.local_type(id), ..old };
        let ty = old.ty.clone();
        let result = self.binary(op, old, value, span);
        let result = match (&ty, &result.ty) {
            (Ty::Int(held), Ty::Int(made)) if held.signed || !made.signed => {
                super::infer::coerce(result, &ty)
            }
            _ => result,
        };
        self.store_local(id, result, span, out);
    }

    fn set_map(&mut self, element: Element<'a>, value: hir::Expr) -> Option<StmtKind> {
        let value = self.admit_value(&element, value, false)?;
        Some(StmtKind::SetMap { map: element.id, key: element.key, value })
    }

    /// `@m[k] op= value`: sums of integers are one atomic addition, all else reads and writes.
    fn change_map(
        &mut self,
        element: Element<'a>,
        op: ast::BinaryOp,
        value: hir::Expr,
        span: Span,
    ) -> Option<StmtKind> {
        let held = self.value_type(&element);
        let sum = matches!(op, ast::BinaryOp::Add | ast::BinaryOp::Sub);
        if sum && matches!(held, Ty::Int(_) | Ty::Error) && !matches!(value.ty, Ty::Ptr(..)) {
            let value = match self.as_int(value) {
                Ok(value) => value,
                Err(value) => {
                    self.not_a(&value, "an integer");
                    return None;
                }
            };
            if op == ast::BinaryOp::Sub {
                // A difference has a sign, whatever it is of.
                self.admit_value_type(&element, Known::ty(Ty::I64), span, true)?;
            }
            let value = self.admit_value(&element, value, true)?;
            let ty = wide(&value.ty);
            let value = super::infer::coerce(value, &ty);
            let value = if op == ast::BinaryOp::Sub { negated(value) } else { value };
            return Some(StmtKind::AddMap { map: element.id, key: element.key, value });
        }
        if held == Ty::Error && matches!(value.ty, Ty::Int(_)) {
            // The first that is heard of the map: it starts from zero.
            self.admit_value_type(&element, Known::of(&value), value.span, true)?;
        }
        let old = Element { key: element.key.clone(), ..element };
        let read = self.read_element(Element { key: old.key.clone(), ..old });
        let result = self.binary(op, read, value, span);
        self.set_map(old, result)
    }
}
