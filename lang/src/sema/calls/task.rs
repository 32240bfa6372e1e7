//! Builtins about the current task: ids in namespaces, registers, control groups.

use crate::ast;
use crate::builtins::Builtin;
use crate::diagnostic::{Diagnostic, nearest};
use crate::hir::{self, ExprKind};
use crate::registers;
use crate::sema::infer;
use crate::sema::literals;
use crate::sema::stmts::Body;
use crate::source::Span;
use crate::ty::Ty;

impl<'a> Body<'_, 'a> {
    /// `pid(curr_ns|init)`, `tid(curr_ns|init)`
    pub(super) fn id_in_namespace(
        &mut self,
        builtin: Builtin,
        namespace: &'a ast::Expr,
        span: Span,
    ) -> hir::Expr {
        let word = match &namespace.kind {
            ast::ExprKind::Word(word) => word.as_str(),
            _ => "",
        };
        match word {
            "curr_ns" => self.plain(builtin, span),
            "init" => match self.unavailable(builtin, span) {
                Some(diagnostic) => self.fail(diagnostic),
                None => {
                    let init = infer::coerce(literals::int(1, namespace.span), &Ty::I64);
                    hir::Expr { kind: ExprKind::Builtin(builtin, vec![init]), ty: Ty::U32, span }
                }
            },
            _ => self.fail(
                Diagnostic::error(namespace.span, "unknown namespace").hint("there are `curr_ns` and `init`"),
            ),
        }
    }

    /// `reg(name)`
    pub(super) fn register_named(&mut self, name: &'a ast::Expr, span: Span) -> hir::Expr {
        let Some(text) = self.text(name, "the register") else { return self.unknown(span) };
        if let Some(diagnostic) = self.unavailable(Builtin::Reg, span) {
            return self.fail(diagnostic);
        }
        if !registers::names().any(|it| it == text) {
            let near = nearest(&text, registers::names()).map(|near| format!("did you mean `{near}`?"));
            return self.fail(
                Diagnostic::error(name.span, format!("there is no register `{text}`")).maybe_hint(near),
            );
        }
        let name = literals::str(text.as_bytes(), name.span);
        hir::Expr { kind: ExprKind::Builtin(Builtin::Reg, vec![name]), ty: Ty::U64, span }
    }

    /// `cgroupid(path)`
    pub(super) fn cgroupid(&mut self, path: &'a ast::Expr, span: Span) -> hir::Expr {
        let Some(text) = self.text(path, "the path") else { return self.unknown(span) };
        match self.cx.host.cgroup_id(&text) {
            Some(id) => hir::Expr { kind: ExprKind::Const(id as i64), ty: Ty::U64, span },
            None => self.fail(Diagnostic::error(path.span, format!("`{text}` is no control group's folder"))),
        }
    }

    /// `cgroup_path(id[, pattern])`
    pub(super) fn cgroup_path(&mut self, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let id = self.int64(args[0]);
        let pattern = match args.get(1) {
            Some(pattern) => self.text(pattern, "the pattern"),
            None => Some(String::new()),
        };
        let Some(pattern) = pattern.filter(|_| id.ty != Ty::Error) else { return self.unknown(span) };
        let kind = ExprKind::Builtin(Builtin::CgroupPath, vec![id]);
        hir::Expr { kind, ty: Ty::CgroupPath(pattern), span }
    }
}
