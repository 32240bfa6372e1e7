//! Walks over typed trees: a body comes in, every expression in it goes to a closure, outer ones
//! before the ones they are made of. Nothing is changed.

use lang::hir::{Expr, ExprKind, Program, Stmt, StmtKind};
use std::collections::HashSet;

/// Calls `f` for every expression of a body.
pub fn each_expr<'a>(body: &'a [Stmt], f: &mut impl FnMut(&'a Expr)) {
    each_stmt(body, &mut |_| {}, f);
}

/// Calls `on_stmt` for every statement and `on_expr` for every expression of a body.
pub fn each_stmt<'a>(
    body: &'a [Stmt],
    on_stmt: &mut impl FnMut(&'a Stmt),
    on_expr: &mut impl FnMut(&'a Expr),
) {
    for stmt in body {
        on_stmt(stmt);
        for it in operands(stmt) {
            each_within(it, on_stmt, on_expr);
        }
        for it in bodies(stmt) {
            each_stmt(it, on_stmt, on_expr);
        }
    }
}

/// Calls `f` for an expression and every expression in it.
pub fn each_part<'a>(it: &'a Expr, f: &mut impl FnMut(&'a Expr)) {
    each_within(it, &mut |_| {}, f);
}

/// The bodies that run when this one does: itself, and those of the functions that it calls.
pub fn reached<'a>(program: &'a Program, body: &'a [Stmt]) -> Vec<&'a [Stmt]> {
    let mut bodies = vec![body];
    let mut seen = HashSet::new();
    let mut next = 0;
    while let Some(&body) = bodies.get(next) {
        each_expr(body, &mut |it| {
            if let ExprKind::Call(function, _) = it.kind
                && seen.insert(function)
            {
                bodies.push(&program.functions[function.0 as usize].body);
            }
        });
        next += 1;
    }
    bodies
}

/// Calls `on_stmt` for every statement in an expression, `on_expr` for it and every one in it.
pub fn each_within<'a>(it: &'a Expr, on_stmt: &mut impl FnMut(&'a Stmt), on_expr: &mut impl FnMut(&'a Expr)) {
    on_expr(it);
    if let ExprKind::Block(body, _) = &it.kind {
        each_stmt(body, on_stmt, on_expr);
    }
    it.for_each_operand(&mut |operand| each_within(operand, on_stmt, on_expr));
}

/// The expressions that stand directly in a statement.
fn operands(stmt: &Stmt) -> Vec<&Expr> {
    match &stmt.kind {
        StmtKind::Expr(it) | StmtKind::SetLocal(_, it) | StmtKind::ReturnValue(it) => vec![it],
        StmtKind::SetMap { key, value, .. } | StmtKind::AddMap { key, value, .. } => {
            key.iter().chain([value]).collect()
        }
        StmtKind::Aggregate { key, value, .. } => key.iter().chain(value).collect(),
        StmtKind::Action(_, args) => args.iter().collect(),
        StmtKind::If { condition, .. } | StmtKind::While { condition, .. } => vec![condition],
        StmtKind::ForRange { start, end, .. } => vec![start, end],
        StmtKind::Verdict(_)
        | StmtKind::ForMap { .. }
        | StmtKind::Unroll { .. }
        | StmtKind::Break
        | StmtKind::Continue
        | StmtKind::Return
        | StmtKind::End => vec![],
    }
}

/// The bodies that stand directly in a statement.
fn bodies(stmt: &Stmt) -> Vec<&[Stmt]> {
    match &stmt.kind {
        StmtKind::If { then, otherwise, .. } => vec![then, otherwise],
        StmtKind::While { body, .. }
        | StmtKind::ForRange { body, .. }
        | StmtKind::ForMap { body, .. }
        | StmtKind::Unroll { body, .. } => vec![body],
        _ => vec![],
    }
}
