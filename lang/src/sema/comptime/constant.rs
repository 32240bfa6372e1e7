//! Values that are known before the script runs.
//!
//! Comes in: a typed expression. Goes out: a literal of the same type that means the same, if
//! everything in it is known. The rules are those of generated code.

use super::super::literals;
use crate::hir::{BinaryOp, CompareOp, Expr, ExprKind, UnaryOp};
use crate::ty::{IntTy, Ty, TypeTable};

/// The expression as a literal.
pub(in crate::sema) fn known(expr: Expr, types: &TypeTable) -> Option<Expr> {
    let known = |it: Expr| self::known(it, types);
    let number = |it: Expr| self::known(it, types).and_then(|it| constant(&it));
    let kind = match expr.kind {
        ExprKind::Const(_) | ExprKind::Str(_) | ExprKind::Bytes(_) => return Some(expr),
        ExprKind::Cast(of) => {
            let of = known(*of)?;
            match (of.kind, &expr.ty) {
                (ExprKind::Const(value), Ty::Int(int)) => ExprKind::Const(wrapped(value, *int)),
                (ExprKind::Const(value), Ty::Enum(id)) => {
                    ExprKind::Const(wrapped(value, types.enum_def(*id).int))
                }
                (ExprKind::Const(value), Ty::Bool) => ExprKind::Const((value != 0).into()),
                (ExprKind::Const(value), Ty::Ptr(..) | Ty::Ipv4) => ExprKind::Const(value),
                (ExprKind::Str(text), Ty::Str(capacity)) if text.len() < *capacity as usize => {
                    ExprKind::Str(text)
                }
                _ => return None,
            }
        }
        ExprKind::Unary(op, of) => {
            let value = number(*of)?;
            match op {
                UnaryOp::Neg => ExprKind::Const(value.wrapping_neg()),
                UnaryOp::BitNot => ExprKind::Const(!value),
                UnaryOp::Not => ExprKind::Const((value == 0).into()),
            }
        }
        ExprKind::Binary(op, left, right) => {
            let (left, right) = (number(*left)?, number(*right)?);
            ExprKind::Const(arithmetic(op, left, right, &expr.ty)?)
        }
        ExprKind::Compare(op, left, right) => {
            ExprKind::Const(compare(op, &known(*left)?, &known(*right)?)?.into())
        }
        ExprKind::And(left, right) => match number(*left)? {
            0 => ExprKind::Const(0),
            _ => ExprKind::Const((number(*right)? != 0).into()),
        },
        ExprKind::Or(left, right) => match number(*left)? {
            0 => ExprKind::Const((number(*right)? != 0).into()),
            _ => ExprKind::Const(1),
        },
        ExprKind::Cond(condition, then, otherwise) => {
            return known(if number(*condition)? != 0 { *then } else { *otherwise });
        }
        ExprKind::Tuple(items) => ExprKind::Tuple(items.into_iter().map(known).collect::<Option<_>>()?),
        ExprKind::TupleField(base, idx) => match known(*base)?.kind {
            ExprKind::Tuple(mut items) => items.swap_remove(idx as usize).kind,
            _ => return None,
        },
        _ => return None,
    };
    Some(Expr { kind, ..expr })
}

fn constant(expr: &Expr) -> Option<i64> {
    match expr.kind {
        ExprKind::Const(value) => Some(value),
        _ => None,
    }
}

/// The value in an integer of that width, as a 64-bit register holds it.
fn wrapped(value: i64, int: IntTy) -> i64 {
    let unused = 64 - 8 * u32::from(int.size);
    let top = value << unused;
    if int.signed { top >> unused } else { (top as u64 >> unused) as i64 }
}

fn arithmetic(op: BinaryOp, left: i64, right: i64, ty: &Ty) -> Option<i64> {
    let exact = |value: i64| match ty {
        Ty::Int(IntTy { signed: false, .. }) => i128::from(value as u64),
        _ => i128::from(value),
    };
    // A shift's distance is cut to 6 bits and a product to 64, as registers do.
    match op {
        BinaryOp::Mul => Some(left.wrapping_mul(right)),
        BinaryOp::Shl => Some(left.wrapping_shl(right as u32)),
        BinaryOp::Shr => Some((exact(left) >> (right & 63)) as i64),
        BinaryOp::Add => Some(left.wrapping_add(right)),
        BinaryOp::Sub => Some(left.wrapping_sub(right)),
        _ => literals::fold(op, exact(left), exact(right)).ok().map(|it| it as i64),
    }
}

fn compare(op: CompareOp, left: &Expr, right: &Expr) -> Option<bool> {
    let ordering = match (&left.kind, &right.kind) {
        (ExprKind::Str(left), ExprKind::Str(right)) => left.cmp(right),
        (ExprKind::Const(a), ExprKind::Const(b)) => match &left.ty {
            Ty::Int(int) if !int.signed => (*a as u64).cmp(&(*b as u64)),
            Ty::Ptr(..) => (*a as u64).cmp(&(*b as u64)),
            _ => a.cmp(b),
        },
        (ExprKind::Tuple(a), ExprKind::Tuple(b)) => {
            let mut pairs = a.iter().zip(b);
            let equal = pairs.try_fold(true, |equal, (a, b)| Some(equal && compare(CompareOp::Eq, a, b)?))?;
            if equal { std::cmp::Ordering::Equal } else { std::cmp::Ordering::Less }
        }
        _ => return None,
    };
    Some(op.holds(ordering))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_wrap_as_registers_do() {
        let cases = [
            (300, IntTy::new(1, true), 44),
            (200, IntTy::new(1, true), -56),
            (-1, IntTy::new(1, false), 255),
            (-1, IntTy::new(4, false), 0xffff_ffff),
            (0xffff_ffff, IntTy::new(4, true), -1),
            (-1, IntTy::new(8, false), -1),
        ];
        for (value, int, expected) in cases {
            assert_eq!(wrapped(value, int), expected, "{value} as {int:?}");
        }
    }

    #[test]
    fn arithmetic_goes_by_the_sign_of_its_type() {
        let cases = [
            (BinaryOp::Shr, -16, 1, Ty::I64, Some(-8)),
            (BinaryOp::Shr, -16, 60, Ty::U64, Some(15)),
            (BinaryOp::Div, -7, 2, Ty::I64, Some(-3)),
            (BinaryOp::Div, -1, 2, Ty::U64, Some(i64::MAX)),
            (BinaryOp::Div, 1, 0, Ty::U64, None),
            (BinaryOp::Mul, i64::MAX, 2, Ty::I64, Some(-2)),
            (BinaryOp::Xor, -1, 1, Ty::U64, Some(-2)),
        ];
        for (op, a, b, ty, expected) in cases {
            assert_eq!(arithmetic(op, a, b, &ty), expected, "{a} {op:?} {b}");
        }
    }
}
