//! `find(@map, key, $variable)`: a look-up that tells whether there was something.

use crate::ast;
use crate::diagnostic::Diagnostic;
use crate::hir::{self, ExprKind, MapOp, StmtKind};
use crate::sema::stmts::Body;
use crate::source::Span;
use crate::ty::Ty;

impl<'a> Body<'_, 'a> {
    /// Becomes `{ let $key = key; let $found = has_key(@map, $key); if ($found) { $variable = @map[$key]; } $found }`.
    pub(super) fn find(&mut self, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let (ast::ExprKind::Map { name, key: inner }, ast::ExprKind::Var(variable)) =
            (&args[0].kind, &args[2].kind)
        else {
            let wrong = if matches!(args[0].kind, ast::ExprKind::Map { .. }) { args[2] } else { args[0] };
            let message = "`find` takes a map, a key and the variable that gets the value";
            return self.fail(Diagnostic::error(wrong.span, message).hint("write `find(@map, key, $value)`"));
        };
        if !inner.is_empty() {
            let hint = format!("write `find({name}, key, {variable})`");
            return self.fail(Diagnostic::error(args[0].span, "`find` takes the map as a whole").hint(hint));
        }
        let mut before = Vec::new();
        let key = self.value(args[1]);
        // The variable may be new; it then belongs to the block around the call.
        let target = match self.local(variable, args[2].span) {
            Some(target) => target,
            None => self.declare(variable, args[2].span, None),
        };
        self.scopes.enter();
        // Typed once, the key is an element's of the map's key type.
        let element = self.element_with(name, Some(key), args[0].span);
        let Some(key) = element.key.clone().filter(|it| it.ty != Ty::Error) else {
            self.scopes.leave();
            return self.unknown(span);
        };
        let key = self.kept("$key", args[1].span, key, &mut before);
        let kind = ExprKind::MapOp { op: MapOp::HasKey, map: element.id, key: Some(Box::new(key.clone())) };
        let found = self.kept("$found", args[0].span, hir::Expr { kind, ty: Ty::Bool, span }, &mut before);
        let mut then = Vec::new();
        let value = self.read_element(crate::sema::maps::Element { key: Some(key), ..element });
        if value.ty != Ty::Error {
            self.store_local(target, value, span, &mut then);
        }
        self.scopes.leave();
        let kind = StmtKind::If { condition: found.clone(), then, otherwise: Vec::new() };
        before.push(hir::Stmt { kind, span });
        hir::Expr { kind: ExprKind::Block(before, Box::new(found)), ty: Ty::Bool, span }
    }

    /// A value in a variable of its own, as an expression that can be read again.
    fn kept(
        &mut self,
        name: &'static str,
        at: Span,
        value: hir::Expr,
        out: &mut Vec<hir::Stmt>,
    ) -> hir::Expr {
        if matches!(value.kind, ExprKind::Const(_) | ExprKind::Str(_)) {
            return value;
        }
        let span = value.span;
        let id = self.declare(name, at, None);
        self.store_local(id, value, span, out);
        hir::Expr { kind: ExprKind::Local(id), ty: self.local_type(id), span }
    }
}
