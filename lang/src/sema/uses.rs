//! What a probe's text uses of the place that it is attached to: targets that do not differ in it
//! share one program.

use super::words::arg_number;
use crate::ast::{Arg, Block, Expr, ExprKind, Probe, Stmt, StmtKind, TypeBase, TypeName, TypeOrExpr};
use crate::c;
use std::collections::BTreeSet;

/// What differs between targets and is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Uses {
    /// The target's name.
    pub name: bool,
    /// `args` as a whole.
    pub all_args: bool,
    /// `args.NAME`
    pub args: BTreeSet<String>,
    /// `retval`
    pub retval: bool,
    /// `arg0`, `arg1`, …
    pub numbered: bool,
}

impl Uses {
    /// What a probe uses.
    pub fn of(probe: &Probe, block: &c::Block) -> Self {
        let mut walk = Walk { uses: Uses::default(), block, macros: BTreeSet::new() };
        probe.predicate.iter().for_each(|it| walk.expr(it));
        walk.block(&probe.body);
        walk.uses
    }

    /// Whether the types of arguments matter.
    pub fn any_args(&self) -> bool {
        self.all_args || !self.args.is_empty()
    }
}

/// A walk through a probe and through the macros that it names.
struct Walk<'a> {
    uses: Uses,
    block: &'a c::Block,
    /// Macros that were walked through.
    macros: BTreeSet<&'a str>,
}

impl<'a> Walk<'a> {
    fn word(&mut self, word: &str) {
        match word {
            "probe" => self.uses.name = true,
            "args" => self.uses.all_args = true,
            "retval" => self.uses.retval = true,
            word if arg_number(word).is_some() => self.uses.numbered = true,
            word => self.within_macro(word),
        }
    }

    fn within_macro(&mut self, word: &str) {
        let block: &'a c::Block = self.block;
        let Some((name, meaning)) = block.macro_named(word) else { return };
        if !self.macros.insert(name) {
            return;
        }
        match meaning {
            c::Meaning::Expr(expr) | c::Meaning::Function(_, expr) => self.expr(expr),
            c::Meaning::Word(word) => self.word(word),
            _ => {}
        }
    }

    fn block(&mut self, block: &Block) {
        block.stmts.iter().for_each(|it| self.stmt(it));
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Expr(expr) | StmtKind::Value(expr) | StmtKind::Discard(expr) => self.expr(expr),
            StmtKind::Assign { target, op: _, value } => {
                self.expr(target);
                self.expr(value);
            }
            StmtKind::Let { name: _, ty, value } => {
                ty.iter().for_each(|it| self.type_name(it));
                value.iter().for_each(|it| self.expr(it));
            }
            StmtKind::If { comptime: _, condition, then, otherwise } => {
                self.expr(condition);
                self.block(then);
                otherwise.iter().for_each(|it| self.block(it));
            }
            StmtKind::While { condition, body } => {
                self.expr(condition);
                self.block(body);
            }
            StmtKind::ForRange { var: _, start, end, body } => {
                self.expr(start);
                self.expr(end);
                self.block(body);
            }
            StmtKind::ForMap { var: _, map, body } => {
                self.expr(map);
                self.block(body);
            }
            StmtKind::Unroll { count, body } => {
                self.expr(count);
                self.block(body);
            }
            StmtKind::Block(block) => self.block(block),
            StmtKind::Break | StmtKind::Continue => {}
            StmtKind::Return(value) => value.iter().for_each(|it| self.expr(it)),
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Error
            | ExprKind::Int(_)
            | ExprKind::Bool(_)
            | ExprKind::Str(_)
            | ExprKind::Ipv4(_)
            | ExprKind::Cidr4(..)
            | ExprKind::Mac(_)
            | ExprKind::Var(_)
            | ExprKind::Positional(_)
            | ExprKind::PositionalCount => {}
            ExprKind::Word(word) => self.word(word),
            ExprKind::Call { name, args } => {
                self.word(&name.text);
                args.iter().for_each(|arg| match arg {
                    Arg::Expr(expr) => self.expr(expr),
                    Arg::Type(name) => self.type_name(name),
                });
            }
            ExprKind::Map { name: _, key: items } | ExprKind::Tuple(items) => {
                items.iter().for_each(|it| self.expr(it))
            }
            ExprKind::Record(items) => items.iter().for_each(|(_, it)| self.expr(it)),
            ExprKind::Field { base, name, arrow: _ } => match &base.kind {
                ExprKind::Word(word) if word == "args" => {
                    self.uses.args.insert(name.text.clone());
                }
                _ => self.expr(base),
            },
            ExprKind::Unary(_, it)
            | ExprKind::Step { target: it, .. }
            | ExprKind::TupleIndex(it, _)
            | ExprKind::Comptime(it) => self.expr(it),
            ExprKind::Cast(name, it) => {
                self.type_name(name);
                self.expr(it);
            }
            ExprKind::Binary(_, a, b) | ExprKind::In(a, b) | ExprKind::Index(a, b) => {
                self.expr(a);
                self.expr(b);
            }
            ExprKind::Ternary(condition, then, otherwise) => {
                self.expr(condition);
                then.iter().for_each(|it| self.expr(it));
                self.expr(otherwise);
            }
            ExprKind::If(condition, then, otherwise) => {
                self.expr(condition);
                self.block(then);
                self.block(otherwise);
            }
            ExprKind::Block(block) => self.block(block),
            ExprKind::Sizeof(of) | ExprKind::Offsetof(of, _) => self.type_or_expr(of),
        }
    }

    /// A type names what the probe receives only inside `typeof`.
    fn type_name(&mut self, name: &TypeName) {
        match &name.base {
            TypeBase::Typeof(of) => self.type_or_expr(of),
            TypeBase::Tuple(items) => items.iter().for_each(|it| self.type_name(it)),
            TypeBase::Name(_) | TypeBase::Struct(_) | TypeBase::Union(_) | TypeBase::Enum(_) => {}
        }
    }

    fn type_or_expr(&mut self, of: &TypeOrExpr) {
        match of {
            TypeOrExpr::Expr(expr) => self.expr(expr),
            TypeOrExpr::Type(name) => self.type_name(name),
        }
    }
}
