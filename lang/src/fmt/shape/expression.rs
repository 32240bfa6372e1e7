//! Expressions and types: what their operators and brackets are, and where a line that grew too
//! long may be broken.
//!
//! A line is broken behind operators and commas, at the outermost of them that helps: each place
//! carries its depth. Nothing is broken right behind an opening parenthesis.

use super::super::piece::Role;
use super::Shape;
use crate::ast::{Arg, BinaryOp, Expr, ExprKind, TypeBase, TypeName, TypeOrExpr};

impl Shape<'_, '_> {
    /// An expression that lies `depth` levels deep in its statement, which is at `level`.
    pub(super) fn expression(&mut self, expr: &Expr, depth: u32, level: usize) {
        match &expr.kind {
            ExprKind::Map { key, .. } => self.list(key, depth, level),
            ExprKind::Tuple(parts) => self.list(parts, depth, level),
            ExprKind::Record(fields) => {
                for (number, (name, value)) in fields.iter().enumerate() {
                    if number > 0 {
                        self.soft(name.span, depth);
                    }
                    self.expression(value, depth + 1, level);
                }
            }
            ExprKind::Call { name, args } => {
                let name = self.first(name.span);
                self.pieces[name + 1].role = Role::Suffix;
                self.arguments(args, depth, level);
            }
            ExprKind::Unary(_, operand) => self.prefixed(operand, depth, level),
            ExprKind::Step { prefix: true, target, .. } => self.prefixed(target, depth, level),
            ExprKind::Step { prefix: false, target, .. } => {
                let last = self.last(target.span);
                self.pieces[last + 1].role = Role::Suffix;
                self.expression(target, depth, level);
            }
            ExprKind::Cast(ty, operand) => {
                self.type_name(ty, level);
                self.prefixed(operand, depth, level);
            }
            ExprKind::Binary(op, left, right) => {
                self.soft(right.span, depth);
                let same = continues(left, precedence(*op));
                self.expression(left, if same { depth } else { depth + 1 }, level);
                self.expression(right, depth + 1, level);
            }
            ExprKind::Ternary(condition, then, otherwise) => {
                self.expression(condition, depth + 1, level);
                match then {
                    Some(then) => {
                        self.soft(then.span, depth);
                        self.expression(then, depth + 1, level);
                    }
                    None => self.role_before(otherwise.span, Role::Suffix),
                }
                self.soft(otherwise.span, depth);
                self.expression(otherwise, depth + 1, level);
            }
            ExprKind::Index(base, index) | ExprKind::In(base, index) => {
                self.expression(base, depth, level);
                self.expression(index, depth + 1, level);
            }
            ExprKind::If(condition, then, otherwise) => {
                self.expression(condition, depth + 1, level);
                self.branches(then, Some(otherwise), level);
            }
            ExprKind::Block(block) => self.block(block, level),
            ExprKind::Field { base: inner, .. }
            | ExprKind::TupleIndex(inner, _)
            | ExprKind::Comptime(inner) => self.expression(inner, depth, level),
            ExprKind::Sizeof(of) | ExprKind::Offsetof(of, _) => self.type_or_expression(of, depth, level),
            ExprKind::Cidr4(..) => self.join_network(expr),
            ExprKind::Error
            | ExprKind::Int(_)
            | ExprKind::Bool(_)
            | ExprKind::Str(_)
            | ExprKind::Ipv4(_)
            | ExprKind::Mac(_)
            | ExprKind::Var(_)
            | ExprKind::Positional(_)
            | ExprKind::PositionalCount
            | ExprKind::Word(_) => {}
        }
    }

    /// What an operator or a cast stands before.
    fn prefixed(&mut self, operand: &Expr, depth: u32, level: usize) {
        self.role_before(operand.span, Role::Prefix);
        self.expression(operand, depth, level);
    }

    fn list(&mut self, parts: &[Expr], depth: u32, level: usize) {
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                self.soft(part.span, depth);
            }
            self.expression(part, depth + 1, level);
        }
    }

    fn arguments(&mut self, args: &[Arg], depth: u32, level: usize) {
        for (number, arg) in args.iter().enumerate() {
            let span = match arg {
                Arg::Expr(value) => value.span,
                Arg::Type(ty) => ty.span,
            };
            if number > 0 {
                self.soft(span, depth);
            }
            match arg {
                Arg::Expr(value) => self.expression(value, depth + 1, level),
                Arg::Type(ty) => self.type_name(ty, level),
            }
        }
    }

    /// What stands in the parentheses of `sizeof`, `offsetof` and `typeof`.
    fn type_or_expression(&mut self, of: &TypeOrExpr, depth: u32, level: usize) {
        match of {
            TypeOrExpr::Type(ty) => {
                self.role_before(ty.span, Role::Suffix);
                self.type_name(ty, level);
            }
            TypeOrExpr::Expr(value) => {
                self.role_before(value.span, Role::Suffix);
                self.expression(value, depth, level);
            }
        }
    }

    /// A type in a statement at `level`.
    pub(super) fn type_name(&mut self, ty: &TypeName, level: usize) {
        let (first, last) = self.ends(ty.span);
        let mut brackets = 0_u32;
        for piece in &mut self.pieces[first..=last] {
            if piece.is("(") || piece.is("[") || piece.is("{") {
                brackets += 1;
            } else if piece.is(")") || piece.is("]") || piece.is("}") {
                brackets = brackets.saturating_sub(1);
            } else if brackets == 0 && piece.is("*") {
                piece.role = Role::Suffix;
            }
        }
        match &ty.base {
            TypeBase::Tuple(parts) => parts.iter().for_each(|it| self.type_name(it, level)),
            TypeBase::Typeof(of) => self.type_or_expression(of, 1, level),
            TypeBase::Name(_) | TypeBase::Struct(_) | TypeBase::Union(_) | TypeBase::Enum(_) => {}
        }
        ty.arrays.iter().for_each(|it| self.expression(it, 1, level));
    }

    /// `10.0.0.0/8` is a network only without spaces around the slash.
    fn join_network(&mut self, network: &Expr) {
        let (first, last) = self.ends(network.span);
        for piece in self.pieces[first..=last].iter_mut().filter(|it| it.is("/")) {
            piece.role = Role::Joint;
        }
    }
}

/// Whether `left`, not in parentheses, is of operators that bind as tightly as `precedence`.
fn continues(left: &Expr, precedence: u8) -> bool {
    let ExprKind::Binary(op, first, last) = &left.kind else { return false };
    let is_bare = first.span.start == left.span.start && last.span.end == left.span.end;
    is_bare && self::precedence(*op) == precedence
}

/// How tightly an operator binds.
fn precedence(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::LogOr => 1,
        BinaryOp::LogAnd => 2,
        BinaryOp::Or => 3,
        BinaryOp::Xor => 4,
        BinaryOp::And => 5,
        BinaryOp::Eq | BinaryOp::Ne => 6,
        BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => 7,
        BinaryOp::Shl | BinaryOp::Shr => 8,
        BinaryOp::Add | BinaryOp::Sub => 9,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod => 10,
    }
}
