//! Addresses of symbols, known before the script runs: `kaddr`, `percpu_kaddr`, `uaddr`.

use crate::ast;
use crate::attach::Target;
use crate::builtins::Builtin;
use crate::diagnostic::Diagnostic;
use crate::hir::{self, BinaryOp, ExprKind};
use crate::probes::ProbeKind;
use crate::sema::stmts::Body;
use crate::sema::{infer, operators};
use crate::source::Span;
use crate::ty::{IntTy, Space, Ty};

/// The kernel's array of distances from a per-CPU variable to each processor's copy of it.
const DISTANCES: &str = "__per_cpu_offset";

impl<'a> Body<'_, 'a> {
    /// `kaddr(name)`
    pub(super) fn kaddr(&mut self, name: &'a ast::Expr, span: Span) -> hir::Expr {
        let Some(name) = self.text(name, "the symbol") else { return self.unknown(span) };
        match self.cx.host.kernel_symbol(&name) {
            Some(address) => hir::Expr { kind: ExprKind::Const(address as i64), ty: Ty::U64, span },
            None => self.fail(Diagnostic::error(span, format!("the kernel has no symbol `{name}`"))),
        }
    }

    /// `percpu_kaddr(name[, cpu])`: the variable's address and the processor's distance.
    pub(super) fn percpu_kaddr(&mut self, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let variable = self.kaddr(args[0], span);
        let cpu = match args.get(1) {
            Some(cpu) => self.int64(cpu),
            None => {
                let cpu = hir::Expr { kind: ExprKind::Builtin(Builtin::Cpu, Vec::new()), ty: Ty::U64, span };
                infer::coerce(cpu, &Ty::I64)
            }
        };
        if variable.ty == Ty::Error || cpu.ty == Ty::Error {
            return self.unknown(span);
        }
        let Some(distances) = self.cx.host.kernel_symbol(DISTANCES) else {
            let message = format!("the kernel has no symbol `{DISTANCES}`");
            return self.fail(Diagnostic::error(span, message));
        };
        let ty = operators::pointer(Ty::U64, Space::Kernel);
        let first = hir::Expr { kind: ExprKind::Const(distances as i64), ty: ty.clone(), span };
        let place = hir::Expr { kind: ExprKind::Offset(Box::new(first), Box::new(cpu)), ty, span };
        let distance = hir::Expr { kind: ExprKind::Deref(Box::new(place)), ty: Ty::U64, span };
        let kind = ExprKind::Binary(BinaryOp::Add, Box::new(variable), Box::new(distance));
        hir::Expr { kind, ty: Ty::U64, span }
    }

    /// `uaddr(name)`: a pointer to an unsigned integer of the symbol's size.
    pub(super) fn uaddr(&mut self, name: &'a ast::Expr, span: Span) -> hir::Expr {
        let Some(text) = self.text(name, "the symbol") else { return self.unknown(span) };
        let kind = self.probe.kind;
        let path = match &self.probe.points[0].target {
            Target::User { path, .. } if matches!(kind, ProbeKind::Uprobe | ProbeKind::Uretprobe) => {
                path.clone()
            }
            _ => {
                let message = format!("`uaddr` is not available in a `{}` probe", kind.name());
                return self
                    .fail(Diagnostic::error(span, message).hint("a `uprobe` names the program to look in"));
            }
        };
        let Some((address, size)) = self.cx.host.program_symbol(&path, &text) else {
            return self.fail(Diagnostic::error(name.span, format!("`{path}` has no symbol `{text}`")));
        };
        let size = if matches!(size, 1 | 2 | 4) { size as u8 } else { 8 };
        let ty = operators::pointer(Ty::Int(IntTy::new(size, false)), Space::User);
        hir::Expr { kind: ExprKind::Const(address as i64), ty, span }
    }
}
