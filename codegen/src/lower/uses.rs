//! What the rounds of a loop use of the function that they are in: its variables, packet headers.

use crate::visit;
use lang::hir::{Expr, ExprKind, Header, HeaderField, LocalId, PACKET_LENGTH, Stmt, StmtKind};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// What runs in each round of a loop.
#[derive(Clone, Copy)]
pub struct Parts<'s> {
    /// Before the body.
    pub condition: Option<&'s Expr>,
    /// What the loop itself assigns before the body.
    pub var: Option<LocalId>,
    /// The body.
    pub body: &'s [Stmt],
}

impl<'s> Parts<'s> {
    /// All of a function.
    pub fn body(body: &'s [Stmt]) -> Self {
        Parts { condition: None, var: None, body }
    }

    fn each(self, on_stmt: &mut impl FnMut(&'s Stmt), on_expr: &mut impl FnMut(&'s Expr)) {
        if let Some(condition) = self.condition {
            visit::each_within(condition, on_stmt, on_expr);
        }
        visit::each_stmt(self.body, on_stmt, on_expr);
    }
}

/// Headers and fields of packets.
#[derive(Default)]
pub struct Headers {
    /// Those that fields are in, too.
    pub headers: BTreeSet<Header>,
    /// `pkt.len` is one of them.
    pub fields: BTreeSet<HeaderField>,
}

/// The headers and fields that rounds look at.
pub fn headers(parts: Parts<'_>) -> Headers {
    let mut found = Headers::default();
    parts.each(&mut |_| {}, &mut |expr| match expr.kind {
        ExprKind::HasHeader(header) => {
            found.headers.insert(header);
        }
        ExprKind::HeaderField(PACKET_LENGTH) => {
            found.fields.insert(PACKET_LENGTH);
        }
        ExprKind::HeaderField(field) => {
            found.headers.insert(field.header);
            found.fields.insert(field);
        }
        _ => {}
    });
    found
}

/// The variables that rounds assign in their own statements.
pub fn assigned(parts: Parts<'_>) -> BTreeSet<LocalId> {
    let found: RefCell<BTreeSet<LocalId>> = RefCell::default();
    parts.each(&mut |stmt| found.borrow_mut().extend(assigned_by(stmt)), &mut |expr| {
        if let ExprKind::StepLocal { local, .. } = expr.kind {
            found.borrow_mut().insert(local);
        }
    });
    found.into_inner()
}

/// How often rounds mention each variable.
pub fn mentions(parts: Parts<'_>) -> BTreeMap<LocalId, usize> {
    let found: RefCell<BTreeMap<LocalId, usize>> = RefCell::default();
    let note = |local: LocalId| *found.borrow_mut().entry(local).or_default() += 1;
    parts.var.into_iter().for_each(note);
    parts.each(&mut |stmt| assigned_by(stmt).into_iter().for_each(note), &mut |expr| {
        if let ExprKind::Local(local) | ExprKind::StepLocal { local, .. } = expr.kind {
            note(local);
        }
    });
    found.into_inner()
}

/// The variable that a statement assigns, not counting what is in it.
fn assigned_by(stmt: &Stmt) -> Option<LocalId> {
    match stmt.kind {
        StmtKind::SetLocal(local, _)
        | StmtKind::ForRange { var: local, .. }
        | StmtKind::ForMap { var: local, .. } => Some(local),
        StmtKind::Expr(_)
        | StmtKind::SetMap { .. }
        | StmtKind::AddMap { .. }
        | StmtKind::Aggregate { .. }
        | StmtKind::Action(..)
        | StmtKind::Verdict(_)
        | StmtKind::If { .. }
        | StmtKind::While { .. }
        | StmtKind::Unroll { .. }
        | StmtKind::Break
        | StmtKind::Continue
        | StmtKind::Return
        | StmtKind::ReturnValue(_)
        | StmtKind::End => None,
    }
}
