//! Statements: assignments, branches, copies. Loops that run are in [`super::loops`].

use super::packet::{XDP_DROP, XDP_PASS};
use super::{Body, Local};
use crate::ir::Block;
use crate::visit;
use lang::hir::{Expr, ExprKind, LocalId, Stmt, StmtKind, Verdict};
use std::collections::BTreeSet;

/// Where `continue` and `break` of the innermost loop go.
#[derive(Clone, Copy)]
pub struct Loop {
    pub next: Block,
    pub done: Block,
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
                self.leave(match verdict {
                    Verdict::Pass => XDP_PASS,
                    Verdict::Drop => XDP_DROP,
                });
            }
            StmtKind::If { condition, then, otherwise } => self.branch(condition, then, otherwise),
            StmtKind::While { condition, body } => self.while_loop(condition, body),
            StmtKind::ForRange { var, start, end, body } => self.range_loop(*var, start, end, body),
            StmtKind::ForMap { var, map, body } => self.map_loop(*var, *map, body, stmt.span),
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
            StmtKind::ReturnValue(value) => self.return_value(value),
            StmtKind::End => self.end_program(),
        }
    }

    fn set_local(&mut self, local: LocalId, value: &Expr) {
        match self.locals[local.0 as usize] {
            Local::Variable(variable) => {
                let value = self.number(value);
                self.b.write(variable, value);
            }
            Local::Memory(memory)
                if value.ty.is_scalar() && self.declared[local.0 as usize].ty.is_scalar() =>
            {
                self.lower_into(value, memory);
            }
            Local::Memory(memory) if mentions(value, local) => {
                let temporary = self.allocate_for(&value.ty);
                self.lower_into(value, temporary);
                self.copy(memory, temporary, self.cx.size_of(&value.ty));
            }
            Local::Memory(memory) => match &value.kind {
                // A bare `let` assigns zero whatever the type.
                ExprKind::Const(_) => {
                    let size = self.cx.size_of(&self.declared[local.0 as usize].ty);
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

    /// The body of a loop.
    pub fn in_loop(&mut self, targets: Loop, body: &[Stmt]) {
        self.loops.push(targets);
        self.stmts(body);
        self.loops.pop();
    }
}

/// Variables that `&` is applied to: they have a place in memory. The counter of a range does not;
/// its address is that of a copy.
pub fn addressed(body: &[Stmt]) -> BTreeSet<LocalId> {
    let (mut addressed, mut counters) = (BTreeSet::new(), BTreeSet::new());
    let mut on_stmt = |stmt: &Stmt| {
        if let StmtKind::ForRange { var, .. } = stmt.kind {
            counters.insert(var);
        }
    };
    let mut on_expr = |expr: &Expr| {
        if let ExprKind::AddressOf(place) = &expr.kind
            && let ExprKind::Local(local) = place.kind
        {
            addressed.insert(local);
        }
    };
    visit::each_stmt(body, &mut on_stmt, &mut on_expr);
    addressed.difference(&counters).copied().collect()
}

/// Whether evaluating an expression reads a variable.
fn mentions(expr: &Expr, local: LocalId) -> bool {
    let mut found = false;
    visit::each_part(expr, &mut |it| {
        found |= matches!(&it.kind, ExprKind::Local(other) if *other == local);
    });
    found
}
