//! `kstack([mode][, limit])`, `ustack([mode][, limit])`

use super::stmts::Body;
use crate::ast;
use crate::builtins::Builtin;
use crate::diagnostic::{Diagnostic, nearest};
use crate::hir::{self, ExprKind};
use crate::source::Span;
use crate::ty::{StackMode, StackTy, Ty};

/// Frames kept when the script does not say.
const DEFAULT_LIMIT: u32 = 127;

/// Most frames.
const MOST_FRAMES: i128 = 1024;

/// The ways to print a stack.
pub(super) const MODES: [(&str, StackMode); 4] = [
    ("bpftrace", StackMode::Bpftrace),
    ("perf", StackMode::Perf),
    ("raw", StackMode::Raw),
    ("build_id", StackMode::BuildId),
];

/// The mode of that name.
fn mode(name: &str) -> Option<StackMode> {
    MODES.into_iter().find(|it| it.0 == name).map(|it| it.1)
}

/// Names of all modes.
pub(super) fn modes() -> [&'static str; 4] {
    MODES.map(|it| it.0)
}

impl<'a> Body<'_, 'a> {
    /// A stack of the current task.
    pub(super) fn stack(&mut self, builtin: Builtin, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        if let Some(diagnostic) = self.unavailable(builtin, span) {
            return self.fail(diagnostic);
        }
        let mut args = args.iter().copied().peekable();
        let mut stack = StackTy {
            user: builtin == Builtin::Ustack,
            mode: self.cx.config.stack_mode,
            limit: DEFAULT_LIMIT,
        };
        if let Some(ast::Expr { kind: ast::ExprKind::Word(word), span }) = args.peek()
            && Builtin::from_name(word).is_none()
        {
            let Some(mode) = mode(word) else {
                let near = nearest(word, modes()).map(|it| format!("did you mean `{it}`?"));
                let near = near.unwrap_or_else(|| format!("there are {}", modes().join(", ")));
                return self
                    .fail(Diagnostic::error(*span, format!("unknown stack mode `{word}`")).hint(near));
            };
            stack.mode = mode;
            args.next();
        }
        if let Some(limit) = args.next() {
            let Some(n) = self.literal(limit, "the number of frames") else { return self.unknown(span) };
            if !(0..=MOST_FRAMES).contains(&n) {
                let message = format!("a stack has at most {MOST_FRAMES} frames, not {n}");
                return self.fail(Diagnostic::error(limit.span, message));
            }
            stack.limit = n as u32;
        }
        if let Some(further) = args.next() {
            return self
                .fail(Diagnostic::error(further.span, "the mode comes first, then the number of frames"));
        }
        hir::Expr { kind: ExprKind::Builtin(builtin, Vec::new()), ty: Ty::Stack(stack), span }
    }
}
