//! Literals: their types, positional parameters, and arithmetic on constants.

use super::infer;
use super::stmts::Body;
use crate::diagnostic::Diagnostic;
use crate::hir::{self, BinaryOp};
use crate::source::Span;
use crate::ty::{IntTy, Ty};

/// An integer literal of the smallest signed type that holds it, uint64 above those.
pub(super) fn int(value: i128, span: Span) -> hir::Expr {
    let signed = [1, 2, 4, 8].map(|size| IntTy::new(size, true));
    let ty = signed.into_iter().find(|it| infer::int_range(*it).contains(&value));
    let ty = Ty::Int(ty.unwrap_or(IntTy::new(8, false)));
    hir::Expr { kind: hir::ExprKind::Const(value as i64), ty, span }
}

/// An int64 of that value.
pub(super) fn int64(value: i64, span: Span) -> hir::Expr {
    hir::Expr { kind: hir::ExprKind::Const(value), ty: Ty::I64, span }
}

/// `true`, `false`
pub(super) fn bool(value: bool, span: Span) -> hir::Expr {
    hir::Expr { kind: hir::ExprKind::Const(value.into()), ty: Ty::Bool, span }
}

/// A string literal with room for its NUL.
pub(super) fn str(text: &[u8], span: Span) -> hir::Expr {
    hir::Expr { ty: Ty::Str(text.len() as u32 + 1), kind: hir::ExprKind::Str(text.to_vec()), span }
}

/// The value of an integer literal.
pub(super) fn int_value(expr: &hir::Expr) -> Option<i128> {
    match (&expr.kind, &expr.ty) {
        (hir::ExprKind::Const(value), Ty::Int(IntTy { size: 8, signed: false })) => {
            Some(i128::from(*value as u64))
        }
        (hir::ExprKind::Const(value), Ty::Int(_)) => Some(i128::from(*value)),
        _ => None,
    }
}

/// Arithmetic on two literals; `Err` says what is wrong with it.
pub(super) fn fold(op: BinaryOp, a: i128, b: i128) -> Result<i128, &'static str> {
    let value = match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a.checked_mul(b).ok_or("the result does not fit in 64 bits")?,
        BinaryOp::Div => a.checked_div(b).ok_or("division by zero")?,
        BinaryOp::Mod => a.checked_rem(b).ok_or("division by zero")?,
        BinaryOp::Shl | BinaryOp::Shr if !(0..64).contains(&b) => return Err("the shift is not in 0 to 63"),
        BinaryOp::Shl => a << b,
        BinaryOp::Shr => a >> b,
        BinaryOp::And => a & b,
        BinaryOp::Or => a | b,
        BinaryOp::Xor => a ^ b,
    };
    let fits = (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value);
    fits.then_some(value).ok_or("the result does not fit in 64 bits")
}

impl Body<'_, '_> {
    /// `$1`: a number when it looks like one, else a string; 0 when it is missing.
    pub(super) fn positional(&mut self, n: u32, span: Span) -> hir::Expr {
        let Some(text) = self.param(n) else {
            self.warn_missing_param(n, span);
            return int(0, span);
        };
        match parse_int(text) {
            Some(value) => int(value, span),
            None => str(text.as_bytes(), span),
        }
    }

    /// `str($1)`: the parameter as text; empty when it is missing.
    pub(super) fn positional_str(&mut self, n: u32, span: Span) -> hir::Expr {
        let Some(text) = self.param(n) else {
            self.warn_missing_param(n, span);
            return str(b"", span);
        };
        str(text.as_bytes(), span)
    }

    fn param(&self, n: u32) -> Option<&str> {
        let idx = (n as usize).checked_sub(1)?;
        self.cx.options.params.get(idx).map(String::as_str)
    }

    fn warn_missing_param(&mut self, n: u32, span: Span) {
        let given = match self.cx.options.params.len() {
            0 => "none is".to_owned(),
            1 => "1 parameter is".to_owned(),
            given => format!("{given} parameters are"),
        };
        let message = format!("`${n}` is not given ({given}), so it is 0 or an empty string");
        self.cx.report(Diagnostic::warning(span, message));
    }

    /// A string literal of the script.
    pub(super) fn string(&mut self, text: &[u8], span: Span) -> hir::Expr {
        let most = self.cx.config.max_strlen;
        if text.len() as u64 > u64::from(most) {
            let message = format!("the string has {} bytes, `max_strlen` allows {most}", text.len());
            return self.fail(
                Diagnostic::error(span, message).hint(format!("config = {{ max_strlen = {}; }}", text.len())),
            );
        }
        str(text, span)
    }
}

/// A decimal, hexadecimal or octal number with an optional sign, as a parameter gives it.
pub(super) fn parse_int(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let value = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(digits, 8),
        None => digits.parse(),
    };
    // `from_str_radix` takes a sign of its own.
    let value = value.ok().filter(|_| !digits.contains(['+', '-']))?;
    match negative {
        true => i64::try_from(-i128::from(value)).ok().map(i128::from),
        false => Some(i128::from(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_that_are_numbers() {
        let cases = [
            ("42", Some(42)),
            ("-7", Some(-7)),
            ("0x1f", Some(31)),
            ("010", Some(8)),
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX as i128)),
            ("-9223372036854775809", None),
            ("+1", None),
            ("--1", None),
            ("bash", None),
            ("", None),
        ];
        for (text, value) in cases {
            assert_eq!(parse_int(text), value, "{text}");
        }
    }

    #[test]
    fn literals_fold_with_signs() {
        let cases = [
            (BinaryOp::Div, -7, 2, Ok(-3)),
            (BinaryOp::Mod, -7, 2, Ok(-1)),
            (BinaryOp::Shr, -16, 1, Ok(-8)),
            (BinaryOp::Shl, 1, 63, Ok(1 << 63)),
            (BinaryOp::Shl, 1, 64, Err("the shift is not in 0 to 63")),
            (BinaryOp::Div, 7, 0, Err("division by zero")),
            (BinaryOp::Add, u64::MAX as i128, 1, Err("the result does not fit in 64 bits")),
        ];
        for (op, a, b, result) in cases {
            assert_eq!(fold(op, a, b), result, "{op:?} {a} {b}");
        }
    }

    #[test]
    fn literals_take_the_smallest_signed_type() {
        let cases = [(1, Ty::I8), (-128, Ty::I8), (256, Ty::Int(IntTy::new(2, true))), (1 << 63, Ty::U64)];
        for (value, ty) in cases {
            assert_eq!(int(value, Span::default()).ty, ty, "{value}");
        }
    }
}
