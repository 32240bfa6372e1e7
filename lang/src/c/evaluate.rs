//! Constant expressions: conditions of `#if`, sizes of arrays, widths of bit-fields, enumerators.
//!
//! Comes in: tokens whose macros are expanded, and what names mean. Goes out: a number. Numbers
//! have 64 bits and a sign, as in scripts; one that C calls unsigned keeps its width.

use super::cursor::Cursor;
use super::token::{Kind, Token};
use super::{Faulty, fault};
use crate::parse::literal;

/// What names in an expression mean.
pub(super) trait Names {
    /// The value of a constant.
    fn constant(&mut self, name: &str) -> Option<i128>;

    /// Whether a type begins at the cursor.
    fn begins_type(&mut self, cursor: &Cursor) -> bool;

    /// The size and the alignment of the type at the cursor, which is behind it afterwards.
    fn size_of_type(&mut self, cursor: &mut Cursor) -> Faulty<Value>;
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub number: i128,
    /// Bytes of an unsigned one.
    pub unsigned: Option<u8>,
}

impl Value {
    /// A number with a sign.
    pub fn signed(number: i128) -> Self {
        Value { number, unsigned: None }
    }

    /// The number in its type, if it fits there.
    fn wrapped(self, token: &Token) -> Faulty<Value> {
        let number = match self.unsigned {
            Some(size) => self.number & ((1i128 << (u32::from(size) * 8)) - 1),
            None => self.number,
        };
        match (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&number) {
            true => Ok(Value { number, ..self }),
            false => Err(fault(token, "the result does not fit in 64 bits")),
        }
    }
}

/// Operators between two operands, and how strongly they bind.
const OPERATORS: [(&str, u8); 18] = [
    ("||", 1),
    ("&&", 2),
    ("|", 3),
    ("^", 4),
    ("&", 5),
    ("==", 6),
    ("!=", 6),
    ("<", 7),
    (">", 7),
    ("<=", 7),
    (">=", 7),
    ("<<", 8),
    (">>", 8),
    ("+", 9),
    ("-", 9),
    ("*", 10),
    ("/", 10),
    ("%", 10),
];

/// The value of the expression at the cursor, which is behind it afterwards.
pub(super) fn evaluate(cursor: &mut Cursor, names: &mut dyn Names) -> Faulty<Value> {
    let condition = binary(cursor, names, 1)?;
    if !cursor.eat("?") {
        return Ok(condition);
    }
    cursor.nested(|cursor| {
        let then = evaluate(cursor, names)?;
        cursor.expect(":")?;
        let otherwise = evaluate(cursor, names)?;
        Ok(if condition.number != 0 { then } else { otherwise })
    })
}

fn binary(cursor: &mut Cursor, names: &mut dyn Names, weakest: u8) -> Faulty<Value> {
    let mut left = unary(cursor, names)?;
    loop {
        let operator = cursor.token().clone();
        let Some((text, strength)) = OPERATORS.iter().find(|it| operator.is(it.0)) else { return Ok(left) };
        if *strength < weakest {
            return Ok(left);
        }
        cursor.bump();
        let right = binary(cursor, names, strength + 1)?;
        left = apply(text, left, right, &operator)?;
    }
}

fn apply(operator: &str, a: Value, b: Value, token: &Token) -> Faulty<Value> {
    let unsigned = match (a.unsigned, b.unsigned) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (Some(size), None) | (None, Some(size)) => Some(size),
        (None, None) => None,
    };
    let (x, y) = (a.number, b.number);
    let truth = |it: bool| Ok(Value::signed(it.into()));
    let number = match operator {
        "||" => return truth(x != 0 || y != 0),
        "&&" => return truth(x != 0 && y != 0),
        "==" => return truth(x == y),
        "!=" => return truth(x != y),
        "<" => return truth(x < y),
        ">" => return truth(x > y),
        "<=" => return truth(x <= y),
        ">=" => return truth(x >= y),
        "<<" | ">>" if !(0..64).contains(&y) => return Err(fault(token, "the shift is not in 0 to 63")),
        "<<" => return Value { number: x << y, unsigned: a.unsigned }.wrapped(token),
        ">>" => return Value { number: x >> y, unsigned: a.unsigned }.wrapped(token),
        "|" => x | y,
        "^" => x ^ y,
        "&" => x & y,
        "+" => x + y,
        "-" => x - y,
        "*" => x.checked_mul(y).ok_or_else(|| fault(token, "the result does not fit in 64 bits"))?,
        "/" => x.checked_div(y).ok_or_else(|| fault(token, "division by zero"))?,
        _ => x.checked_rem(y).ok_or_else(|| fault(token, "division by zero"))?,
    };
    Value { number, unsigned }.wrapped(token)
}

fn unary(cursor: &mut Cursor, names: &mut dyn Names) -> Faulty<Value> {
    let token = cursor.token().clone();
    let operators = ["-", "+", "!", "~", "("];
    if !operators.iter().any(|it| token.is(it)) {
        return primary(cursor, names);
    }
    cursor.bump();
    cursor.nested(|cursor| match &*token.text {
        "(" if names.begins_type(cursor) => {
            let size = names.size_of_type(cursor)?;
            cursor.expect(")")?;
            let value = unary(cursor, names)?;
            Ok(cast(value, size))
        }
        "(" => {
            let value = evaluate(cursor, names)?;
            cursor.expect(")")?;
            Ok(value)
        }
        operator => {
            let value = unary(cursor, names)?;
            let number = match operator {
                "-" => -value.number,
                "!" => return Ok(Value::signed((value.number == 0).into())),
                "~" => !value.number,
                _ => value.number,
            };
            Value { number, ..value }.wrapped(&token)
        }
    })
}

/// A value as a type of that many bytes, whose sign is that of `size`.
fn cast(value: Value, size: Value) -> Value {
    let bits = (size.number.clamp(1, 8) * 8) as u32;
    let low = value.number & ((1i128 << bits) - 1);
    match size.unsigned {
        Some(_) => Value { number: low, unsigned: Some((bits / 8) as u8) },
        None if low >> (bits - 1) == 1 => Value::signed(low - (1i128 << bits)),
        None => Value::signed(low),
    }
}

fn primary(cursor: &mut Cursor, names: &mut dyn Names) -> Faulty<Value> {
    let token = cursor.token().clone();
    cursor.bump();
    match token.kind {
        Kind::Number => number(&token),
        Kind::Character => character(&token),
        Kind::Word if ["sizeof", "_Alignof", "__alignof__"].iter().any(|it| token.is(it)) => {
            cursor.expect("(")?;
            if !names.begins_type(cursor) {
                return Err(fault(cursor.token(), "expected a type"));
            }
            let start = cursor.position();
            let size = names.size_of_type(cursor)?;
            cursor.expect(")")?;
            match token.is("sizeof") {
                true => Ok(Value { number: size.number, unsigned: Some(8) }),
                false => Err(fault(cursor.at(start), "`_Alignof` is not supported yet")),
            }
        }
        Kind::Word => match names.constant(&token.text) {
            Some(number) => Ok(Value::signed(number)),
            None => Err(fault(&token, format!("`{}` is no constant", token.text))),
        },
        _ => Err(fault(&token, "expected a constant")),
    }
}

fn number(token: &Token) -> Faulty<Value> {
    let text = token.text.trim_end_matches(['u', 'U', 'l', 'L']);
    let suffix = token.text[text.len()..].to_ascii_lowercase();
    let value = literal::number(text).map_err(|message| fault(token, message))?;
    if value.is_duration {
        return Err(fault(token, "C has no durations"));
    }
    let wide = suffix.contains('l') || value.value > u64::from(u32::MAX);
    let unsigned = suffix.contains('u').then_some(if wide { 8 } else { 4 });
    Ok(Value { number: value.value.into(), unsigned })
}

fn character(token: &Token) -> Faulty<Value> {
    let body = token.text.strip_prefix('\'').and_then(|it| it.strip_suffix('\'')).unwrap_or("");
    // A string of one character, but for the quotes.
    let (bytes, wrong) = match body {
        "\\'" => (vec![b'\''], Vec::new()),
        body => literal::string(&format!("\"{body}\"")),
    };
    match bytes.as_slice() {
        [byte] if wrong.is_empty() => Ok(Value::signed((*byte as i8).into())),
        _ => Err(fault(token, format!("{} is no character", token.text))),
    }
}
