//! Names of numbers: `strerror`, `signal_name`, `syscall_name`.

use crate::ast;
use crate::builtins::Builtin;
use crate::hir::{self, ExprKind};
use crate::names;
use crate::sema::stmts::Body;
use crate::source::Span;
use crate::ty::Ty;

impl<'a> Body<'_, 'a> {
    /// `strerror(n)` and its kin: the names are in the program's own data.
    pub(super) fn name_of_number(&mut self, builtin: Builtin, n: &'a ast::Expr, span: Span) -> hir::Expr {
        let n = self.int64(n);
        if n.ty == Ty::Error {
            return self.unknown(span);
        }
        hir::Expr { kind: ExprKind::Builtin(builtin, vec![n]), ty: Ty::Str(names::CAPACITY), span }
    }
}
