//! Probes, blocks and statements.

use super::Context;
use super::probes::Instance;
use super::scopes::Scopes;
use crate::ast;
use crate::builtins::Builtin;
use crate::diagnostic::Diagnostic;
use crate::hir;
use crate::source::Span;
use crate::ty::Ty;

/// Most copies that `unroll` makes.
const MOST_COPIES: i128 = 100;

/// What is known while one body is walked: a probe's, or a function's.
pub(super) struct Body<'c, 'a> {
    pub cx: &'c mut Context<'a>,
    /// Rank of the body: its variables are kept under it.
    pub idx: usize,
    pub probe: &'c Instance<'a>,
    pub scopes: Scopes<'a>,
    /// The function whose body it is; none in a probe.
    pub function: Option<usize>,
    /// The loops around this place, innermost last.
    loops: Vec<Loop>,
}

/// A loop as `break` and `continue` see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loop {
    Real,
    Unrolled,
}

/// Types one probe.
pub(super) fn probe<'a>(cx: &mut Context<'a>, idx: usize, probe: &Instance<'a>) -> hir::Probe {
    let mut body = Body::new(cx, idx, probe, None);
    body.scopes.enter();
    let mut out = Vec::new();
    body.filter_process(&mut out);
    match probe.predicate {
        None => body.block_into(probe.body, &mut out),
        Some(predicate) => {
            let condition = body.condition(predicate);
            let condition = body.require_headers(condition);
            let then = body.block(probe.body);
            let kind = hir::StmtKind::If { condition, then, otherwise: Vec::new() };
            out.push(hir::Stmt { kind, span: predicate.span });
        }
    }
    hir::Probe { points: probe.points.clone(), span: probe.span, locals: body.finish_locals(), body: out }
}

impl<'c, 'a> Body<'c, 'a> {
    /// Before anything was seen of a probe's or a function's body.
    pub fn new(
        cx: &'c mut Context<'a>,
        idx: usize,
        probe: &'c Instance<'a>,
        function: Option<usize>,
    ) -> Self {
        Body { cx, idx, probe, scopes: Scopes::default(), function, loops: Vec::new() }
    }
}

impl<'a> Body<'_, 'a> {
    /// Reports, and stands in for the expression that failed.
    pub(super) fn fail(&mut self, diagnostic: Diagnostic) -> hir::Expr {
        let span = diagnostic.span;
        self.cx.report(diagnostic);
        self.unknown(span)
    }

    /// Stands in for an expression whose type is not known.
    pub(super) fn unknown(&self, span: Span) -> hir::Expr {
        hir::Expr { kind: hir::ExprKind::Const(0), ty: Ty::Error, span }
    }

    /// `-p PID`: ends the program in any other process.
    fn filter_process(&mut self, out: &mut Vec<hir::Stmt>) {
        let Some(pid) = self.cx.options.pid.filter(|_| self.probe.is_kernel_wide()) else { return };
        let span = self.probe.span;
        let this = hir::Expr { kind: hir::ExprKind::Builtin(Builtin::Pid, Vec::new()), ty: Ty::U32, span };
        let wanted = hir::Expr { kind: hir::ExprKind::Const(i64::from(pid)), ty: Ty::U32, span };
        let kind = hir::ExprKind::Compare(hir::CompareOp::Ne, Box::new(this), Box::new(wanted));
        let condition = hir::Expr { kind, ty: Ty::Bool, span };
        let then = vec![hir::Stmt { kind: hir::StmtKind::Return, span }];
        out.push(hir::Stmt { kind: hir::StmtKind::If { condition, then, otherwise: Vec::new() }, span });
    }

    /// The statements of a block in a scope of their own.
    pub(super) fn block(&mut self, block: &'a ast::Block) -> Vec<hir::Stmt> {
        let mut out = Vec::new();
        self.block_into(block, &mut out);
        out
    }

    fn block_into(&mut self, block: &'a ast::Block, out: &mut Vec<hir::Stmt>) {
        self.scopes.enter();
        for stmt in &block.stmts {
            self.stmt(stmt, out);
        }
        self.scopes.leave();
    }

    /// A block as a value: what comes before the value, and the value. `span` is that of what the block
    /// stands for, which may be a macro's call.
    pub(super) fn value_block(&mut self, block: &'a ast::Block, span: Span) -> hir::Expr {
        self.scopes.enter();
        let mut out = Vec::new();
        let value = match block.stmts.split_last() {
            Some((last, before)) if gives_value(last) => {
                before.iter().for_each(|it| self.stmt(it, &mut out));
                self.last_value(last)
            }
            _ => {
                block.stmts.iter().for_each(|it| self.stmt(it, &mut out));
                void(span)
            }
        };
        self.scopes.leave();
        if out.is_empty() {
            return value;
        }
        let ty = value.ty.clone();
        hir::Expr { kind: hir::ExprKind::Block(out, Box::new(value)), ty, span }
    }

    /// The value of a statement that [`gives_value`].
    fn last_value(&mut self, stmt: &'a ast::Stmt) -> hir::Expr {
        match &stmt.kind {
            ast::StmtKind::Value(value) => self.expr(value),
            ast::StmtKind::Block(block) => self.value_block(block, stmt.span),
            ast::StmtKind::If { comptime, condition, then, otherwise: Some(otherwise) } => {
                let condition = self.condition(condition);
                let known = match condition.kind {
                    hir::ExprKind::Const(known) if *comptime => Some(known),
                    _ => None,
                };
                match known {
                    Some(0) => self.value_block(otherwise, stmt.span),
                    Some(_) => self.value_block(then, stmt.span),
                    None if *comptime => self.fail(not_constant(condition.span)),
                    None => {
                        let then = self.value_block(then, then.span);
                        let otherwise = self.value_block(otherwise, otherwise.span);
                        self.choose(condition, then, otherwise, stmt.span)
                    }
                }
            }
            _ => void(stmt.span),
        }
    }

    pub(super) fn stmt(&mut self, stmt: &'a ast::Stmt, out: &mut Vec<hir::Stmt>) {
        use ast::StmtKind::*;
        let span = stmt.span;
        let kind = match &stmt.kind {
            Expr(expr) | Value(expr) | Discard(expr) => return self.effect(expr, span, out),
            Assign { target, op, value } => return self.assign(target, *op, value, span, out),
            Let { name, ty, value } => return self.let_stmt(name, ty.as_ref(), value.as_ref(), span, out),
            If { comptime, condition, then, otherwise } => {
                return self.if_stmt(*comptime, condition, then, otherwise.as_ref(), span, out);
            }
            While { condition, body } => {
                let condition = self.condition(condition);
                hir::StmtKind::While { condition, body: self.loop_body(Loop::Real, body) }
            }
            ForRange { var, start, end, body } => return self.for_range(var, start, end, body, span, out),
            ForMap { var, map, body } => return self.for_map(var, map, body, span, out),
            Unroll { count, body } => {
                let count = self.copies(count);
                hir::StmtKind::Unroll { count, body: self.loop_body(Loop::Unrolled, body) }
            }
            Block(block) => return self.block_into(block, out),
            Break => {
                self.in_loop("break", span);
                hir::StmtKind::Break
            }
            Continue => {
                self.in_loop("continue", span);
                hir::StmtKind::Continue
            }
            Return(value) => match self.return_stmt(value.as_ref(), span) {
                Some(kind) => kind,
                None => return,
            },
        };
        out.push(hir::Stmt { kind, span });
    }

    /// An expression for its effect.
    fn effect(&mut self, expr: &'a ast::Expr, span: Span, out: &mut Vec<hir::Stmt>) {
        let value = self.expr(expr);
        effect(value, span, out);
    }

    fn let_stmt(
        &mut self,
        name: &'a ast::Ident,
        ty: Option<&'a ast::TypeName>,
        value: Option<&'a ast::Expr>,
        span: Span,
        out: &mut Vec<hir::Stmt>,
    ) {
        let mut ty = ty.map(|ty| self.type_of(ty));
        // The new variable is not visible in its own first value.
        let value = value.map(|value| self.value(value));
        if let Some(earlier) = self.local(&name.text, name.span) {
            let earlier = self.declaration(earlier);
            return self.cx.report(
                Diagnostic::error(name.span, format!("`{}` exists already", name.text))
                    .label(earlier, "declared here")
                    .hint("give one of them another name, or assign without `let`"),
            );
        }
        // A written pointer type does not say whose memory it points into, its first value does.
        if let (Some(Ty::Ptr(_, space)), Some(Ty::Ptr(_, of_value))) =
            (&mut ty, value.as_ref().map(|it| &it.ty))
        {
            *space = *of_value;
        }
        let id = self.declare(&name.text, name.span, ty);
        match value {
            Some(value) => self.store_local(id, value, span, out),
            None => {
                let ty = self.local_type(id);
                let value = self.zero(&ty, span);
                out.push(hir::Stmt { kind: hir::StmtKind::SetLocal(id, value), span });
            }
        }
    }

    fn if_stmt(
        &mut self,
        comptime: bool,
        condition: &'a ast::Expr,
        then: &'a ast::Block,
        otherwise: Option<&'a ast::Block>,
        span: Span,
        out: &mut Vec<hir::Stmt>,
    ) {
        let condition = self.condition(condition);
        if comptime {
            match self.decided(condition) {
                Some(true) => self.block_into(then, out),
                Some(false) => otherwise.into_iter().for_each(|it| self.block_into(it, out)),
                None => {}
            }
            return;
        }
        let then = self.block(then);
        let otherwise = otherwise.map_or(Vec::new(), |it| self.block(it));
        out.push(hir::Stmt { kind: hir::StmtKind::If { condition, then, otherwise }, span });
    }

    fn for_range(
        &mut self,
        var: &'a ast::Ident,
        start: &'a ast::Expr,
        end: &'a ast::Expr,
        body: &'a ast::Block,
        span: Span,
        out: &mut Vec<hir::Stmt>,
    ) {
        let start = self.int64(start);
        let end = self.int64(end);
        self.new_loop_variable(var);
        self.scopes.enter();
        let id = self.declare(&var.text, var.span, Some(Ty::I64));
        let body = self.loop_body(Loop::Real, body);
        self.scopes.leave();
        out.push(hir::Stmt { kind: hir::StmtKind::ForRange { var: id, start, end, body }, span });
    }

    fn for_map(
        &mut self,
        var: &'a ast::Ident,
        map: &'a ast::Expr,
        body: &'a ast::Block,
        span: Span,
        out: &mut Vec<hir::Stmt>,
    ) {
        let entries = self.entries(map);
        self.new_loop_variable(var);
        self.scopes.enter();
        let ty = entries.as_ref().map_or(Ty::Error, |it| it.1.clone());
        let id = self.declare_as(&var.text, var.span, ty);
        let body = self.loop_body(Loop::Real, body);
        self.scopes.leave();
        if let Some((map, _)) = entries {
            out.push(hir::Stmt { kind: hir::StmtKind::ForMap { var: id, map, body }, span });
        }
    }

    fn new_loop_variable(&mut self, var: &ast::Ident) {
        if let Some(earlier) = self.local(&var.text, var.span) {
            let earlier = self.declaration(earlier);
            self.cx.report(
                Diagnostic::error(var.span, format!("`{}` exists already", var.text))
                    .label(earlier, "declared here")
                    .hint("give the loop's variable another name"),
            );
        }
    }

    fn loop_body(&mut self, kind: Loop, body: &'a ast::Block) -> Vec<hir::Stmt> {
        self.loops.push(kind);
        let body = self.block(body);
        self.loops.pop();
        body
    }

    /// The literal between the parentheses of `unroll`.
    fn copies(&mut self, count: &'a ast::Expr) -> u32 {
        let count = self.expr(count);
        if count.ty == Ty::Error {
            return 1;
        }
        match super::literals::int_value(&count) {
            Some(n) if (1..=MOST_COPIES).contains(&n) => n as u32,
            Some(n) => {
                let message = format!("`unroll` takes 1 to {MOST_COPIES} copies, not {n}");
                self.cx.report(Diagnostic::error(count.span, message).hint("write `for $i : 0..n { … }`"));
                1
            }
            None => {
                self.cx.report(
                    Diagnostic::error(count.span, "`unroll` takes a number known before the script runs")
                        .hint("write `for $i : 0..n { … }`"),
                );
                1
            }
        }
    }

    fn in_loop(&mut self, word: &str, span: Span) {
        match self.loops.last() {
            Some(Loop::Real) => {}
            Some(Loop::Unrolled) => {
                self.cx.report(
                    Diagnostic::error(span, format!("`{word}` cannot leave an `unroll`"))
                        .hint("write `for $i : 0..n { … }`"),
                );
            }
            None => self.cx.report(Diagnostic::error(span, format!("`{word}` outside a loop"))),
        }
    }

    /// All bytes zero, as a value of the type.
    pub(super) fn zero(&self, ty: &Ty, span: Span) -> hir::Expr {
        let kind = match ty {
            Ty::Str(_) => hir::ExprKind::Str(Vec::new()),
            Ty::Tuple(items) => hir::ExprKind::Tuple(items.iter().map(|ty| self.zero(ty, span)).collect()),
            Ty::Record(items) => {
                hir::ExprKind::Tuple(items.iter().map(|(_, ty)| self.zero(ty, span)).collect())
            }
            Ty::Error | Ty::Void => hir::ExprKind::Const(0),
            ty if ty.is_scalar() => hir::ExprKind::Const(0),
            ty => hir::ExprKind::Bytes(vec![0; crate::layout::size_of(ty, &self.cx.types) as usize]),
        };
        // A variable that nothing gives a type is an int64 (see `finish_locals`).
        let ty = if *ty == Ty::Error { Ty::I64 } else { ty.clone() };
        hir::Expr { kind, ty, span }
    }
}

impl Instance<'_> {
    /// Fires in any process, so that `-p` must be tested in the program.
    fn is_kernel_wide(&self) -> bool {
        use crate::probes::ProbeKind::*;
        matches!(self.kind, Kprobe | Kretprobe | Fentry | Fexit | Tracepoint | RawTracepoint)
    }
}

/// Whether the last statement of a block is its value: an expression without `;`, or an `if` or a
/// block that ends in such ones.
fn gives_value(stmt: &ast::Stmt) -> bool {
    let ends_in_value = |block: &ast::Block| block.stmts.last().is_some_and(gives_value);
    match &stmt.kind {
        ast::StmtKind::Value(_) => true,
        ast::StmtKind::Block(block) => ends_in_value(block),
        ast::StmtKind::If { then, otherwise: Some(otherwise), .. } => {
            ends_in_value(then) && ends_in_value(otherwise)
        }
        _ => false,
    }
}

/// No value.
pub(super) fn void(span: Span) -> hir::Expr {
    hir::Expr { kind: hir::ExprKind::Const(0), ty: Ty::Void, span }
}

/// A statement where an expression is expected.
pub(super) fn effect_expr(stmts: Vec<hir::Stmt>, span: Span) -> hir::Expr {
    hir::Expr { kind: hir::ExprKind::Block(stmts, Box::new(void(span))), ty: Ty::Void, span }
}

/// The statements that an expression without value stands for, or the expression as one.
fn effect(value: hir::Expr, span: Span, out: &mut Vec<hir::Stmt>) {
    let kind = match value.kind {
        hir::ExprKind::Block(stmts, last) if last.ty == Ty::Void => {
            out.extend(stmts);
            return effect(*last, span, out);
        }
        hir::ExprKind::Cond(condition, then, otherwise) if value.ty == Ty::Void => {
            let [mut yes, mut no] = [Vec::new(), Vec::new()];
            effect(*then, span, &mut yes);
            effect(*otherwise, span, &mut no);
            hir::StmtKind::If { condition: *condition, then: yes, otherwise: no }
        }
        _ if value.ty == Ty::Error => return,
        hir::ExprKind::Const(_) if value.ty == Ty::Void => return,
        kind => hir::StmtKind::Expr(hir::Expr { kind, ..value }),
    };
    out.push(hir::Stmt { kind, span });
}

/// Something that must be known before the script runs is not.
pub(super) fn not_constant(span: Span) -> Diagnostic {
    Diagnostic::error(span, "this is not known before the script runs")
}
