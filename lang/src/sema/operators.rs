//! Operators: arithmetic in 64 bits, comparisons in one type, pointers by their pointee's size.

use super::infer::{self, Known};
use super::literals::{self, int_value};
use super::stmts::Body;
use crate::ast;
use crate::diagnostic::Diagnostic;
use crate::hir::{self, BinaryOp, CompareOp, ExprKind};
use crate::source::Span;
use crate::ty::{IntTy, Space, Ty};

/// The three families of operators between two operands.
enum Family {
    Logic(Logic),
    Compare(CompareOp),
    Arithmetic(BinaryOp),
}

#[derive(Clone, Copy)]
enum Logic {
    And,
    Or,
}

fn family(op: ast::BinaryOp) -> Family {
    use ast::BinaryOp as Op;
    match op {
        Op::LogAnd => Family::Logic(Logic::And),
        Op::LogOr => Family::Logic(Logic::Or),
        Op::Eq => Family::Compare(CompareOp::Eq),
        Op::Ne => Family::Compare(CompareOp::Ne),
        Op::Lt => Family::Compare(CompareOp::Lt),
        Op::Le => Family::Compare(CompareOp::Le),
        Op::Gt => Family::Compare(CompareOp::Gt),
        Op::Ge => Family::Compare(CompareOp::Ge),
        Op::Add => Family::Arithmetic(BinaryOp::Add),
        Op::Sub => Family::Arithmetic(BinaryOp::Sub),
        Op::Mul => Family::Arithmetic(BinaryOp::Mul),
        Op::Div => Family::Arithmetic(BinaryOp::Div),
        Op::Mod => Family::Arithmetic(BinaryOp::Mod),
        Op::Shl => Family::Arithmetic(BinaryOp::Shl),
        Op::Shr => Family::Arithmetic(BinaryOp::Shr),
        Op::And => Family::Arithmetic(BinaryOp::And),
        Op::Or => Family::Arithmetic(BinaryOp::Or),
        Op::Xor => Family::Arithmetic(BinaryOp::Xor),
    }
}

impl<'a> Body<'_, 'a> {
    /// `a op b`
    pub(super) fn binary_expr(
        &mut self,
        op: ast::BinaryOp,
        left: &'a ast::Expr,
        right: &'a ast::Expr,
        span: Span,
    ) -> hir::Expr {
        if let Family::Logic(logic) = family(op) {
            let (left, right) = (self.condition(left), self.condition(right));
            if left.ty == Ty::Error || right.ty == Ty::Error {
                return self.unknown_bool(span);
            }
            let (left, right) = (Box::new(left), Box::new(right));
            let kind = match logic {
                Logic::And => ExprKind::And(left, right),
                Logic::Or => ExprKind::Or(left, right),
            };
            return hir::Expr { kind, ty: Ty::Bool, span };
        }
        let (left, right) = (self.value(left), self.value(right));
        self.binary(op, left, right, span)
    }

    /// `a op b` of two typed operands, not for `&&` and `||`.
    pub(super) fn binary(
        &mut self,
        op: ast::BinaryOp,
        left: hir::Expr,
        right: hir::Expr,
        span: Span,
    ) -> hir::Expr {
        let unknown = left.ty == Ty::Error || right.ty == Ty::Error;
        match family(op) {
            Family::Compare(_) if unknown => self.unknown_bool(span),
            Family::Compare(op) => self.compare(op, left, right, span),
            Family::Arithmetic(_) | Family::Logic(_) if unknown => self.unknown(span),
            Family::Arithmetic(op) => self.arithmetic(op, left, right, span),
            Family::Logic(_) => unreachable!("`&&` and `||` take conditions"),
        }
    }

    /// Stands in for a condition that failed: its type is known all the same.
    fn unknown_bool(&self, span: Span) -> hir::Expr {
        literals::bool(false, span)
    }

    fn arithmetic(&mut self, op: BinaryOp, left: hir::Expr, right: hir::Expr, span: Span) -> hir::Expr {
        if matches!(left.ty, Ty::Ptr(..)) || matches!(right.ty, Ty::Ptr(..)) {
            return self.pointer_arithmetic(op, left, right, span);
        }
        let (left, right) = match (self.as_int(left), self.as_int(right)) {
            (Ok(left), Ok(right)) => (left, right),
            (Err(wrong), _) | (_, Err(wrong)) => {
                let found = self.cx.name_of(&wrong.ty);
                let message = format!("`{}` works on integers, not on `{found}`", op.symbol());
                return self.fail(Diagnostic::error(wrong.span, message));
            }
        };
        if let (Some(a), Some(b)) = (int_value(&left), int_value(&right)) {
            return match literals::fold(op, a, b) {
                Ok(value) => literals::int(value, span),
                Err(wrong) => self.fail(Diagnostic::error(span, wrong)),
            };
        }
        match (op, int_value(&right)) {
            (BinaryOp::Div | BinaryOp::Mod, Some(0)) => {
                let message = "division by zero: the result is 1";
                self.cx.report(Diagnostic::warning(right.span, message));
            }
            (BinaryOp::Shl | BinaryOp::Shr, Some(n)) if !(0..64).contains(&n) => {
                return self.fail(Diagnostic::error(right.span, "the shift is not in 0 to 63"));
            }
            _ => {}
        }
        let ty = arithmetic_type(op, &left, &right);
        // A shift's distance is a plain number.
        let (left, right) = (infer::coerce(left, &ty), infer::coerce(right, &ty));
        hir::Expr { kind: ExprKind::Binary(op, Box::new(left), Box::new(right)), ty, span }
    }

    fn pointer_arithmetic(
        &mut self,
        op: BinaryOp,
        left: hir::Expr,
        right: hir::Expr,
        span: Span,
    ) -> hir::Expr {
        let both = matches!((&left.ty, &right.ty), (Ty::Ptr(..), Ty::Ptr(..)));
        match op {
            BinaryOp::Sub if both => {
                let (left, right) = (infer::coerce(left, &Ty::I64), infer::coerce(right, &Ty::I64));
                let kind = ExprKind::Binary(op, Box::new(left), Box::new(right));
                hir::Expr { kind, ty: Ty::I64, span }
            }
            BinaryOp::Add | BinaryOp::Sub if !both => {
                let (pointer, by) =
                    if matches!(left.ty, Ty::Ptr(..)) { (left, right) } else { (right, left) };
                if op == BinaryOp::Sub && pointer.span.start > by.span.start {
                    return self
                        .fail(Diagnostic::error(span, "a pointer cannot be subtracted from an integer"));
                }
                let by = match self.as_int(by) {
                    Ok(by) => infer::coerce(by, &Ty::I64),
                    Err(by) => return self.not_a(&by, "an integer"),
                };
                let by = if op == BinaryOp::Sub { negated(by) } else { by };
                self.offset(pointer, by, span)
            }
            _ => {
                // Masks and the like work on the address.
                let (left, right) = (address(left), address(right));
                self.arithmetic(op, left, right, span)
            }
        }
    }

    /// Pointer plus so many pointees.
    pub(super) fn offset(&mut self, pointer: hir::Expr, by: hir::Expr, span: Span) -> hir::Expr {
        let ty = match &pointer.ty {
            Ty::Ptr(to, space) => match **to {
                Ty::Struct(id) => self::pointer(Ty::Struct(self.cx.complete(id).unwrap_or(id)), *space),
                // As in C's dialects, what is unknown has one byte.
                Ty::Void => self::pointer(Ty::I8, *space),
                _ => pointer.ty.clone(),
            },
            _ => return self.unknown(span),
        };
        let pointer = infer::coerce(pointer, &ty);
        hir::Expr { kind: ExprKind::Offset(Box::new(pointer), Box::new(by)), ty, span }
    }

    /// `-e`, `!e`, `~e`
    pub(super) fn unary(&mut self, op: ast::UnaryOp, operand: &'a ast::Expr, span: Span) -> hir::Expr {
        if op == ast::UnaryOp::Not {
            let operand = self.condition(operand);
            return match operand.kind {
                _ if operand.ty == Ty::Error => self.unknown_bool(span),
                ExprKind::Const(value) => literals::bool(value == 0, span),
                _ => {
                    let kind = ExprKind::Unary(hir::UnaryOp::Not, Box::new(operand));
                    hir::Expr { kind, ty: Ty::Bool, span }
                }
            };
        }
        let operand = self.value(operand);
        if operand.ty == Ty::Error {
            return self.unknown(span);
        }
        let sign = if op == ast::UnaryOp::Neg { "-" } else { "~" };
        let operand = match self.as_int(operand) {
            Ok(operand) => operand,
            Err(wrong) => {
                let found = self.cx.name_of(&wrong.ty);
                let message = format!("`{sign}` works on integers, not on `{found}`");
                return self.fail(Diagnostic::error(wrong.span, message));
            }
        };
        match (op, int_value(&operand)) {
            (ast::UnaryOp::Neg, Some(value)) if -value < i128::from(i64::MIN) => {
                self.fail(Diagnostic::error(span, "the result does not fit in 64 bits"))
            }
            (ast::UnaryOp::Neg, Some(value)) => literals::int(-value, span),
            // Complements are bit patterns: `~5` is unsigned (inventory §5.2).
            (_, Some(value)) => {
                let kind = ExprKind::Const(!(value as i64));
                hir::Expr { kind, ty: Ty::U64, span }
            }
            (op, None) => {
                let ty = wide(&operand.ty);
                let operand = Box::new(infer::coerce(operand, &ty));
                let op = if op == ast::UnaryOp::Neg { hir::UnaryOp::Neg } else { hir::UnaryOp::BitNot };
                hir::Expr { kind: ExprKind::Unary(op, operand), ty, span }
            }
        }
    }

    fn compare(&mut self, op: CompareOp, left: hir::Expr, right: hir::Expr, span: Span) -> hir::Expr {
        if let Some(folded) = fold_comparison(op, &left, &right, span) {
            return folded;
        }
        let equality = matches!(op, CompareOp::Eq | CompareOp::Ne);
        let types = (left.ty.clone(), right.ty.clone());
        let pair = match left.ty.is_scalar() && right.ty.is_scalar() {
            true => self.one_scalar_type(left, right, span),
            false if equality => self.one_memory_type(left, right),
            false => None,
        };
        match pair {
            Some((left, right)) => {
                hir::Expr { kind: ExprKind::Compare(op, Box::new(left), Box::new(right)), ty: Ty::Bool, span }
            }
            None => {
                let (a, b) = self.cx.names_of(&types.0, &types.1);
                let message = match equality {
                    true => format!("`{a}` and `{b}` cannot be compared"),
                    false => format!("`{a}` and `{b}` have no order"),
                };
                let strings = matches!(types, (Ty::Str(_), Ty::Str(_)));
                let hint = strings.then(|| "strings compare with `==` and `!=` only".to_owned());
                self.cx.report(Diagnostic::error(span, message).maybe_hint(hint));
                self.unknown_bool(span)
            }
        }
    }

    /// Two scalars in the type that they are compared in.
    fn one_scalar_type(&mut self, left: hir::Expr, right: hir::Expr, span: Span) -> Pair {
        if left.ty == right.ty {
            return Some((left, right));
        }
        if let (Ty::Ptr(..), _) | (_, Ty::Ptr(..)) = (&left.ty, &right.ty) {
            return Some((address(left), address(right)));
        }
        let (left, right) = (self.as_int(left).ok()?, self.as_int(right).ok()?);
        // A literal takes the other side's type when it fits.
        if let Some(ty) = literal_type(&left, &right).or_else(|| literal_type(&right, &left)) {
            return Some((infer::coerce(left, &ty), infer::coerce(right, &ty)));
        }
        let (a, b) = (Known::of(&left), Known::of(&right));
        if infer::loses_sign(&a, &b) {
            let message = "`uint64` is compared with a signed value, both as `int64`";
            self.cx.report(Diagnostic::warning(span, message).hint("cast one side, for example `(uint64)…`"));
        }
        let ty = infer::join(&a, &b, &self.cx.types).map_or(Ty::I64, |it| wide(&it.ty));
        Some((infer::coerce(left, &ty), infer::coerce(right, &ty)))
    }

    /// Two strings, tuples, addresses or stacks in one type.
    fn one_memory_type(&mut self, left: hir::Expr, right: hir::Expr) -> Pair {
        use Ty::{Array, Bool, Inet, Int, Ipv6, Mac, Network, Record, Stack, Str, Tuple, Usym};
        let comparable = |ty: &Ty| match ty {
            Array(of, _) => matches!(**of, Int(_) | Bool),
            ty => matches!(ty, Str(_) | Tuple(_) | Record(_) | Ipv6 | Mac | Inet | Network | Usym | Stack(_)),
        };
        let joined = infer::join(&Known::of(&left), &Known::of(&right), &self.cx.types);
        let ty = joined.map(|it| it.ty).filter(comparable)?;
        Some((infer::coerce(left, &ty), infer::coerce(right, &ty)))
    }

    /// The value as an integer: booleans, enums and IPv4 addresses are integers too.
    pub(super) fn as_int(&self, value: hir::Expr) -> Result<hir::Expr, hir::Expr> {
        let int = match &value.ty {
            Ty::Int(_) => return Ok(value),
            Ty::Bool => IntTy::new(1, false),
            Ty::Enum(id) => self.cx.types.enum_def(*id).int,
            Ty::Ipv4 => IntTy::new(4, false),
            Ty::Ksym | Ty::Timestamp(_) => IntTy::new(8, false),
            _ => return Err(value),
        };
        Ok(infer::coerce(value, &Ty::Int(int)))
    }

    /// `e++`, `--e`, …
    pub(super) fn step(
        &mut self,
        increment: bool,
        prefix: bool,
        target: &'a ast::Expr,
        span: Span,
    ) -> hir::Expr {
        let by = if increment { 1 } else { -1 };
        // What is added is known to be 64 bits wide, its sign is not known; a difference has a sign.
        let one = Known { ty: Ty::I64, literal: increment };
        match &target.kind {
            ast::ExprKind::Var(name) => {
                let Some(local) = self.local(name, target.span) else {
                    return self.undefined_local(name, target.span);
                };
                if let Ty::Ptr(to, _) = self.local_type(local) {
                    let by = by * i64::from(self.pointee_size(&to, target.span));
                    let ty = self.local_type(local);
                    return hir::Expr { kind: ExprKind::StepLocal { local, by, prefix }, ty, span };
                }
                let one = hir::Expr { kind: ExprKind::Const(by), ty: one.ty, span };
                if self.admit_local(local, one, true).is_none() {
                    return self.unknown(span);
                }
                let ty = self.local_type(local);
                hir::Expr { kind: ExprKind::StepLocal { local, by, prefix }, ty, span }
            }
            ast::ExprKind::Map { name, key } => {
                let element = self.element(name, key, target.span);
                let Some(ty) = self.admit_value_type(&element, one, span, true) else {
                    return self.unknown(span);
                };
                if !matches!(ty, Ty::Int(_)) {
                    let found = self.cx.name_of(&ty);
                    return self
                        .fail(Diagnostic::error(span, format!("`{name}` holds `{found}`, not integers")));
                }
                let kind = ExprKind::StepMap { map: element.id, key: element.key.map(Box::new), by, prefix };
                hir::Expr { kind, ty, span }
            }
            _ => {
                self.expr(target);
                let sign = if increment { "++" } else { "--" };
                self.fail(Diagnostic::error(target.span, format!("`{sign}` needs a variable or a map")))
            }
        }
    }
}

/// Both operands in one type, if there is one.
type Pair = Option<(hir::Expr, hir::Expr)>;

/// 64 bits: int64 if either side is signed or for a difference, else uint64. Shifts keep the
/// sign of what is shifted. A literal takes the other side's sign.
fn arithmetic_type(op: BinaryOp, left: &hir::Expr, right: &hir::Expr) -> Ty {
    let signed =
        |expr: &hir::Expr| matches!(expr.ty, Ty::Int(it) if it.signed) && !infer::is_open_literal(expr);
    let signed = match op {
        BinaryOp::Sub => true,
        BinaryOp::Shl | BinaryOp::Shr if infer::is_open_literal(left) => signed(right),
        BinaryOp::Shl | BinaryOp::Shr => signed(left),
        _ => signed(left) || signed(right),
    };
    if signed { Ty::I64 } else { Ty::U64 }
}

/// The other side's type, when `literal` is one and fits in it.
fn literal_type(literal: &hir::Expr, other: &hir::Expr) -> Option<Ty> {
    let value = int_value(literal)?;
    let Ty::Int(int) = other.ty else { return None };
    infer::int_range(int).contains(&value).then_some(Ty::Int(int))
}

fn fold_comparison(op: CompareOp, left: &hir::Expr, right: &hir::Expr, span: Span) -> Option<hir::Expr> {
    let ordering = match (&left.kind, &right.kind) {
        (ExprKind::Str(a), ExprKind::Str(b)) => a.cmp(b),
        _ => int_value(left)?.cmp(&int_value(right)?),
    };
    Some(literals::bool(op.holds(ordering), span))
}

/// A pointer or integer as a plain 64-bit number.
fn address(value: hir::Expr) -> hir::Expr {
    infer::coerce(value, &Ty::U64)
}

/// The int64 with the other sign.
pub(super) fn negated(value: hir::Expr) -> hir::Expr {
    let (span, ty) = (value.span, value.ty.clone());
    let kind = match value.kind {
        ExprKind::Const(by) => ExprKind::Const(by.wrapping_neg()),
        _ => ExprKind::Unary(hir::UnaryOp::Neg, Box::new(value)),
    };
    hir::Expr { kind, ty, span }
}

/// The 64-bit integer of the same sign.
pub(super) fn wide(ty: &Ty) -> Ty {
    match ty {
        Ty::Int(int) if int.signed => Ty::I64,
        _ => Ty::U64,
    }
}

/// A pointer into memory of this kind.
pub(super) fn pointer(to: Ty, space: Space) -> Ty {
    Ty::Ptr(Box::new(to), space)
}
