//! What the kernel tells of its own objects: the path of a file, the number of a socket. It only does so
//! where it knows that a pointer is right, which is at the entry and the end of functions by `fentry` and
//! `fexit`.

use crate::ast;
use crate::builtins::Builtin;
use crate::diagnostic::Diagnostic;
use crate::hir::{self, ExprKind};
use crate::probes::ProbeKind;
use crate::sema::literals::int_value;
use crate::sema::operators;
use crate::sema::stmts::Body;
use crate::source::Span;
use crate::ty::{Space, Ty};

impl<'a> Body<'_, 'a> {
    /// `path(path[, length])`
    pub(super) fn path(&mut self, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let most = self.cx.config.max_strlen;
        let capacity = match args.get(1).map(|it| self.int64(it)) {
            None => most,
            Some(length) if length.ty == Ty::Error => return self.unknown(span),
            Some(length) => match int_value(&length) {
                Some(n) if (1..=i128::from(most)).contains(&n) => n as u32,
                _ => {
                    let message =
                        format!("the length must be a literal from 1 to `max_strlen`, which is {most}");
                    return self.fail(Diagnostic::error(length.span, message));
                }
            },
        };
        let Some(path) = self.trusted(Builtin::Path, args[0], "path", span) else {
            return self.unknown(span);
        };
        hir::Expr { kind: ExprKind::Builtin(Builtin::Path, vec![path]), ty: Ty::Str(capacity), span }
    }

    /// `socket_cookie(sock)`
    pub(super) fn socket_cookie(&mut self, sock: &'a ast::Expr, span: Span) -> hir::Expr {
        let Some(sock) = self.trusted(Builtin::SocketCookie, sock, "sock", span) else {
            return self.unknown(span);
        };
        hir::Expr { kind: ExprKind::Builtin(Builtin::SocketCookie, vec![sock]), ty: Ty::U64, span }
    }

    /// A pointer to a kernel's `struct` of that name, from the struct itself too.
    fn trusted(
        &mut self,
        builtin: Builtin,
        object: &'a ast::Expr,
        name: &str,
        span: Span,
    ) -> Option<hir::Expr> {
        if !matches!(self.probe.kind, ProbeKind::Fentry | ProbeKind::Fexit) {
            let message =
                format!("`{}` is not available in a `{}` probe", builtin.name(), self.probe.kind.name());
            let hint = "the kernel allows it in `fentry` and `fexit` probes";
            self.fail(Diagnostic::error(span, message).hint(hint));
            return None;
        }
        let object = self.value(object);
        let is_struct = |ty: &Ty| matches!(ty, Ty::Struct(id) if self.cx.types.struct_def(*id).name == name);
        let pointer = match &object.ty {
            Ty::Error => return None,
            Ty::Ptr(to, Space::Kernel) if is_struct(to) => object,
            ty if is_struct(ty) => {
                let ty = operators::pointer(ty.clone(), Space::Kernel);
                hir::Expr { span: object.span, kind: ExprKind::AddressOf(Box::new(object)), ty }
            }
            _ => {
                self.not_a(&object, &format!("a `struct {name}` of the kernel, or a pointer to one"));
                return None;
            }
        };
        if !is_trusted(&pointer) {
            let message = format!(
                "`{}` takes an argument of the probed function, or a member of what one points to",
                builtin.name()
            );
            let diagnostic = Diagnostic::error(pointer.span, message);
            self.fail(
                diagnostic.hint("for example `args.file->f_path`: what was read elsewhere is only a number"),
            );
            return None;
        }
        Some(pointer)
    }
}

/// Whether the kernel still knows what a pointer points to: an argument, or a place in what it points to.
fn is_trusted(pointer: &hir::Expr) -> bool {
    match &pointer.kind {
        ExprKind::Argument(_) => true,
        ExprKind::AddressOf(place) => is_trusted_place(place),
        _ => false,
    }
}

fn is_trusted_place(place: &hir::Expr) -> bool {
    match &place.kind {
        ExprKind::Deref(pointer) => is_trusted(pointer),
        ExprKind::Member { base, .. } => is_trusted_place(base),
        _ => false,
    }
}
