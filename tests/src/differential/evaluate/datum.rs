//! What an expression gives.

use lang::ty::{IntTy, Ty};
use runtime::value::Value;

/// A value, without its type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Datum {
    /// A scalar, extended to 64 bits by the sign of its type.
    Number(i64),
    /// Text, without its NUL.
    Text(Vec<u8>),
    /// A tuple or record.
    Tuple(Vec<Datum>),
}

impl Datum {
    /// What nobody has written yet.
    pub fn zero(ty: &Ty) -> Datum {
        match ty {
            Ty::Str(_) => Datum::Text(Vec::new()),
            Ty::Tuple(members) => Datum::Tuple(members.iter().map(Datum::zero).collect()),
            Ty::Record(members) => Datum::Tuple(members.iter().map(|(_, ty)| Datum::zero(ty)).collect()),
            _ => Datum::Number(0),
        }
    }

    /// The number of a scalar.
    pub fn number(&self) -> i64 {
        match self {
            Datum::Number(number) => *number,
            Datum::Text(_) | Datum::Tuple(_) => 0,
        }
    }

    /// The value in another type.
    pub fn cast(self, ty: &Ty) -> Datum {
        match (self, ty) {
            (Datum::Number(number), Ty::Bool) => Datum::Number((number != 0).into()),
            (Datum::Number(number), Ty::Int(int)) => Datum::Number(wrap(number, *int)),
            (Datum::Text(mut text), Ty::Str(capacity)) => {
                text.truncate((*capacity as usize).saturating_sub(1));
                Datum::Text(text)
            }
            (Datum::Tuple(members), Ty::Tuple(types)) => {
                Datum::Tuple(members.into_iter().zip(types).map(|(member, ty)| member.cast(ty)).collect())
            }
            (Datum::Tuple(members), Ty::Record(types)) => Datum::Tuple(
                members.into_iter().zip(types).map(|(member, (_, ty))| member.cast(ty)).collect(),
            ),
            (datum, _) => datum,
        }
    }

    /// What user space shows of a value of that type.
    pub fn shown(&self, ty: &Ty) -> Value {
        match (self, ty) {
            (Datum::Number(number), Ty::Bool) => Value::Bool(*number != 0),
            (Datum::Number(number), Ty::Int(int)) if int.signed => Value::Int(*number, int.size),
            (Datum::Number(number), Ty::Int(int)) => Value::Uint(*number as u64, int.size),
            (Datum::Number(number), _) => Value::Int(*number, 8),
            (Datum::Text(text), _) => Value::text(text.as_slice()),
            (Datum::Tuple(members), Ty::Record(types)) => {
                let members = members.iter().zip(types);
                Value::Record(members.map(|(it, (name, ty))| (name.clone(), it.shown(ty))).collect())
            }
            (Datum::Tuple(members), Ty::Tuple(types)) => {
                Value::Tuple(members.iter().zip(types).map(|(it, ty)| it.shown(ty)).collect())
            }
            (Datum::Tuple(_), _) => Value::Tuple(Vec::new()),
        }
    }
}

/// The low bytes of a number, extended by the type's sign.
pub fn wrap(number: i64, int: IntTy) -> i64 {
    match (int.size, int.signed) {
        (1, true) => (number as i8).into(),
        (1, false) => (number as u8).into(),
        (2, true) => (number as i16).into(),
        (2, false) => (number as u16).into(),
        (4, true) => (number as i32).into(),
        (4, false) => (number as u32).into(),
        _ => number,
    }
}
