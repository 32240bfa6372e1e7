//! Statements: assignments, branches, loops.

use super::builder::Variable;
use super::packet::{XDP_DROP, XDP_PASS};
use super::{Body, Local};
use crate::ir::{BinOp, Block, Cond, Type, Value};
use crate::target::KernelVersion;
use crate::visit;
use lang::hir::{Expr, ExprKind, LocalId, Stmt, StmtKind, Verdict};
use std::collections::BTreeSet;

/// Where `continue` and `break` of the innermost loop go.
#[derive(Clone, Copy)]
pub struct Loop {
    next: Block,
    done: Block,
}

impl Body<'_, '_> {
    /// Lowers a body.
    pub fn stmts(&mut self, body: &[Stmt]) {
        for stmt in body {
            self.stmt(stmt);
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        let temporaries = self.scratch_used;
        self.at(stmt.span, |body| body.stmt_at(stmt));
        self.scratch_used = temporaries;
    }

    fn stmt_at(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Expr(expr) => self.effect(expr),
            StmtKind::SetLocal(local, value) => self.set_local(*local, value),
            StmtKind::SetMap { map, key, value } => self.set_map(*map, key.as_ref(), value),
            StmtKind::AddMap { map, key, value } => {
                let by = self.number(value);
                self.add_to_map(*map, key.as_ref(), by, None);
            }
            StmtKind::Aggregate { map, key, value } => self.aggregate(*map, key.as_ref(), value.as_ref()),
            StmtKind::Action(action, args) => self.action(*action, args),
            StmtKind::Verdict(verdict) => {
                let code = match verdict {
                    Verdict::Pass => XDP_PASS,
                    Verdict::Drop => XDP_DROP,
                };
                let code = self.b.constant(code);
                self.b.ret(code);
            }
            StmtKind::If { condition, then, otherwise } => self.branch(condition, then, otherwise),
            StmtKind::While { condition, body } => self.while_loop(condition, body),
            StmtKind::ForRange { var, start, end, body } => self.range_loop(*var, start, end, body),
            StmtKind::Unroll { count, body } => self.unroll(*count, body),
            StmtKind::Break => {
                if let Some(Loop { done, .. }) = self.loops.last().copied() {
                    self.b.jump(done, &[]);
                }
            }
            StmtKind::Continue => {
                if let Some(Loop { next, .. }) = self.loops.last().copied() {
                    self.b.jump(next, &[]);
                }
            }
            StmtKind::Return => self.return_default(),
        }
    }

    fn set_local(&mut self, local: LocalId, value: &Expr) {
        match self.locals[local.0 as usize] {
            Local::Variable(variable) => {
                let value = self.number(value);
                self.b.write(variable, value);
            }
            Local::Memory(memory) if mentions(value, local) => {
                let temporary = self.allocate_for(&value.ty);
                self.lower_into(value, temporary);
                self.copy(memory, temporary, self.cx.size_of(&value.ty));
            }
            Local::Memory(memory) => match &value.kind {
                // A bare `let` assigns zero whatever the type.
                ExprKind::Const(_) => {
                    let size = self.cx.size_of(&self.probe.locals[local.0 as usize].ty);
                    self.zero(memory, size);
                }
                _ => self.lower_into(value, memory),
            },
        }
    }

    fn branch(&mut self, condition: &Expr, then: &[Stmt], otherwise: &[Stmt]) {
        let [yes, no, done] = std::array::from_fn(|_| self.b.block());
        self.condition(condition, yes, if otherwise.is_empty() { done } else { no });
        self.b.start(yes);
        self.stmts(then);
        self.b.jump(done, &[]);
        if !otherwise.is_empty() {
            self.b.start(no);
            self.stmts(otherwise);
            self.b.jump(done, &[]);
        }
        self.b.start(done);
    }

    /// Whether the target has `may_goto`.
    pub fn has_loop_guard(&self) -> bool {
        self.cx.target.kernel >= KernelVersion(6, 9)
    }

    fn while_loop(&mut self, condition: &Expr, body: &[Stmt]) {
        let [head, test, round, done] = std::array::from_fn(|_| self.b.block());
        self.blur_assigned(Some(condition), body);
        self.b.jump(head, &[]);
        self.b.start_unsealed(head);
        self.guard(test, done);
        self.b.start(test);
        self.condition(condition, round, done);
        self.b.start(round);
        self.in_loop(Loop { next: head, done }, body);
        self.b.jump(head, &[]);
        self.b.seal(head);
        self.b.start(done);
    }

    /// The head of a loop whose bound the verifier may not see.
    pub fn guard(&mut self, body: Block, done: Block) {
        if self.has_loop_guard() { self.b.loop_guard(body, done) } else { self.b.jump(body, &[]) }
    }

    /// Hides from the verifier what the variables are that a guarded loop assigns. It would follow
    /// a known counter round by round; of unknown ones it sees that a round changes nothing.
    fn blur_assigned(&mut self, condition: Option<&Expr>, body: &[Stmt]) {
        for local in assigned(condition, body) {
            if let Local::Variable(variable) = self.locals[local.0 as usize] {
                self.blur(variable);
            }
        }
    }

    /// Adds a zero that the verifier does not know.
    fn blur(&mut self, variable: Variable) {
        if self.has_loop_guard() {
            let value = self.b.read(variable);
            let value = self.blurred(value);
            self.b.write(variable, value);
        }
    }

    /// The value as one that the verifier does not know, where loops are guarded.
    pub fn blurred(&mut self, value: Value) -> Value {
        if !self.has_loop_guard() {
            return value;
        }
        let zeros = self.zeros();
        let zero = self.b.load(8, false, zeros, 0);
        self.b.binary(BinOp::Add, value, zero)
    }

    fn range_loop(&mut self, var: LocalId, start: &Expr, end: &Expr, body: &[Stmt]) {
        let Local::Variable(var) = self.locals[var.0 as usize] else { return };
        let counter = self.b.variable(Type::I64);
        let (start, end) = (self.number(start), self.number(end));
        // Few rounds between constants are followed one by one.
        let rounds = match (self.b.as_const(start), self.b.as_const(end)) {
            (Some(start), Some(end)) => Some(end.saturating_sub(start)),
            _ => None,
        };
        let bounded = rounds.is_some_and(|it| it <= 128);
        self.b.write(counter, start);
        if !bounded {
            self.blur_assigned(None, body);
            self.blur(counter);
        }
        let [head, test, round, next, done] = std::array::from_fn(|_| self.b.block());
        self.b.jump(head, &[]);
        self.b.start_unsealed(head);
        if bounded {
            self.b.jump(test, &[])
        } else {
            self.guard(test, done)
        }
        self.b.start(test);
        let value = self.b.read(counter);
        self.b.branch(Cond::SLt, value, end, round, done);
        self.b.start(round);
        // The body may assign the variable; the rounds go on as before.
        self.b.write(var, value);
        self.in_loop(Loop { next, done }, body);
        self.b.jump(next, &[]);
        self.b.start(next);
        let value = self.b.read(counter);
        let following = self.b.binary_const(BinOp::Add, value, 1);
        self.b.write(counter, following);
        self.b.jump(head, &[]);
        self.b.seal(head);
        self.b.start(done);
    }

    fn unroll(&mut self, count: u32, body: &[Stmt]) {
        let done = self.b.block();
        for _ in 0..count {
            // Copies of copies of copies are quickly more than there is memory for.
            if self.b.n_insts() > super::MOST_INSTRUCTIONS {
                break;
            }
            let next = self.b.block();
            self.in_loop(Loop { next, done }, body);
            self.b.jump(next, &[]);
            self.b.start(next);
        }
        self.b.jump(done, &[]);
        self.b.start(done);
    }

    fn in_loop(&mut self, targets: Loop, body: &[Stmt]) {
        self.loops.push(targets);
        self.stmts(body);
        self.loops.pop();
    }
}

/// The variables that a loop assigns.
fn assigned(condition: Option<&Expr>, body: &[Stmt]) -> BTreeSet<LocalId> {
    let (mut by_stmt, mut by_expr) = (BTreeSet::new(), BTreeSet::new());
    let mut on_expr = |expr: &Expr| {
        if let ExprKind::StepLocal { local, .. } = expr.kind {
            by_expr.insert(local);
        }
    };
    let mut on_stmt = |stmt: &Stmt| {
        if let StmtKind::SetLocal(local, _) | StmtKind::ForRange { var: local, .. } = stmt.kind {
            by_stmt.insert(local);
        }
    };
    if let Some(condition) = condition {
        visit::each_part(condition, &mut on_expr);
    }
    visit::each_stmt(body, &mut on_stmt, &mut on_expr);
    by_stmt.union(&by_expr).copied().collect()
}

/// Whether evaluating an expression reads a variable.
fn mentions(expr: &Expr, local: LocalId) -> bool {
    let mut found = false;
    visit::each_part(expr, &mut |it| {
        found |= matches!(&it.kind, ExprKind::Local(other) if *other == local);
    });
    found
}
