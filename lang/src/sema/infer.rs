//! What is known of a type, and how two uses of one thing agree.
//!
//! Types form an order in which a map's or a variable's type only ever moves up, so that rounds of
//! inference end: integers and strings get wider, everything else must be equal.

use super::Context;
use crate::hir;
use crate::layout;
use crate::source::Span;
use crate::ty::{Agg, IntTy, Ty, TypeTable};

/// Values above this size are refused: only a value that contains itself grows that far.
const LARGEST_VALUE: u32 = 1 << 20;

/// A type, and whether it is only that of literals.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    /// [`Ty::Error`] while nothing is known.
    pub ty: Ty,
    /// Only non-negative integer literals so far: the sign is still open.
    pub literal: bool,
}

/// The type of a map's key or value or of a variable, as far as uses have told.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// What is known.
    pub known: Known,
    /// Declared by the script: uses do not widen it.
    pub declared: bool,
    /// The declaration or the use that first told.
    pub span: Span,
}

/// How a slot took a further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// It fits as it is.
    Fits,
    /// The slot became wider.
    Widened,
    /// The slot became int64 to hold both uint64 and negative values.
    LostSign,
    /// It does not go together with what is known.
    Conflict,
}

impl Known {
    /// Nothing yet.
    pub const NOTHING: Known = Known { ty: Ty::Error, literal: false };

    /// What an expression tells.
    pub fn of(expr: &hir::Expr) -> Self {
        Known { ty: expr.ty.clone(), literal: is_open_literal(expr) }
    }

    /// A type that stands.
    pub fn ty(ty: Ty) -> Self {
        Known { ty, literal: false }
    }
}

impl Slot {
    /// A slot of which nothing is known.
    pub fn open(span: Span) -> Self {
        Slot { known: Known::NOTHING, declared: false, span }
    }

    /// A slot of a declared type.
    pub fn declared(ty: Ty, span: Span) -> Self {
        Slot { known: Known::ty(ty), declared: true, span }
    }

    /// The type so far.
    pub fn ty(&self) -> &Ty {
        &self.known.ty
    }

    /// Takes a use at `span`.
    pub fn admit(&mut self, new: Known, span: Span, types: &TypeTable) -> Admitted {
        if new.ty == Ty::Error {
            return Admitted::Fits;
        }
        if self.known.ty == Ty::Error {
            *self = Slot { known: new, declared: false, span };
            return Admitted::Widened;
        }
        let Some(joined) = join(&self.known, &new, types) else {
            // The same use in a later round: what it points to has become wider.
            if !self.declared
                && span == self.span
                && matches!((self.ty(), &new.ty), (Ty::Ptr(..), Ty::Ptr(..)))
            {
                self.known = new;
                return Admitted::Widened;
            }
            return if self.declared && converts(&new.ty, self.ty()) {
                Admitted::Fits
            } else {
                Admitted::Conflict
            };
        };
        if self.declared {
            let fits = joined.ty == *self.ty() || converts(&new.ty, self.ty());
            return if fits { Admitted::Fits } else { Admitted::Conflict };
        }
        if joined == self.known {
            return Admitted::Fits;
        }
        if layout::size_of(&joined.ty, types) > LARGEST_VALUE {
            return Admitted::Conflict;
        }
        let lost = loses_sign(&self.known, &new);
        self.known = joined;
        if lost { Admitted::LostSign } else { Admitted::Widened }
    }

    /// Takes a step or a sum: 64 bits, the sign left as it is.
    pub fn admit_sum(&mut self, new: Known, span: Span, types: &TypeTable) -> Admitted {
        let wide = |known: &Known| match known.ty {
            Ty::Int(int) => Known { ty: Ty::Int(IntTy::new(8, int.signed)), literal: known.literal },
            _ => known.clone(),
        };
        let mut admitted = self.admit(wide(&new), span, types);
        if !self.declared && wide(&self.known) != self.known {
            self.known = wide(&self.known);
            admitted = Admitted::Widened;
        }
        admitted
    }
}

impl Context<'_> {
    /// Notes that a round changed something.
    pub(super) fn note(&mut self, admitted: Admitted) -> Admitted {
        self.changed |= matches!(admitted, Admitted::Widened | Admitted::LostSign);
        admitted
    }
}

/// A non-negative integer literal, which takes the sign of what it meets.
pub(super) fn is_open_literal(expr: &hir::Expr) -> bool {
    matches!((&expr.kind, &expr.ty), (hir::ExprKind::Const(0..), Ty::Int(it)) if it.signed)
}

/// Whether values of one scalar type may be stored in a declared other one, cut if need be.
fn converts(from: &Ty, to: &Ty) -> bool {
    match (from, to) {
        (Ty::Int(_) | Ty::Bool | Ty::Enum(_), Ty::Int(_)) => true,
        (Ty::Str(from), Ty::Str(to)) => from <= to,
        (Ty::Ptr(_, from), Ty::Ptr(to, space)) => from == space && **to == Ty::Void,
        _ => false,
    }
}

/// Whether 64 unsigned bits meet a sign.
pub(super) fn loses_sign(a: &Known, b: &Known) -> bool {
    let lost = |unsigned: &Known, signed: &Known| {
        unsigned.ty == Ty::U64 && !signed.literal && matches!(signed.ty, Ty::Int(it) if it.signed)
    };
    lost(a, b) || lost(b, a)
}

/// The smallest type that holds both, when the two go together.
pub(super) fn join(a: &Known, b: &Known, types: &TypeTable) -> Option<Known> {
    if let (Ty::Int(x), Ty::Int(y)) = (&a.ty, &b.ty) {
        let ty = Ty::Int(join_ints((*x, a.literal), (*y, b.literal)));
        return Some(Known { ty, literal: a.literal && b.literal });
    }
    // A literal 0 is the null pointer.
    match (a, b) {
        (Known { literal: true, .. }, Known { ty: Ty::Ptr(..), .. }) => return Some(b.clone()),
        (Known { ty: Ty::Ptr(..), .. }, Known { literal: true, .. }) => return Some(a.clone()),
        _ => {}
    }
    join_types(&a.ty, &b.ty, types).map(Known::ty)
}

/// [`join`] for types that are not those of literals.
pub(super) fn join_types(a: &Ty, b: &Ty, types: &TypeTable) -> Option<Ty> {
    Some(match (a, b) {
        (a, b) if a == b => a.clone(),
        (Ty::Error, other) | (other, Ty::Error) => other.clone(),
        (Ty::Int(a), Ty::Int(b)) => Ty::Int(join_ints((*a, false), (*b, false))),
        (Ty::Enum(id), Ty::Int(int)) | (Ty::Int(int), Ty::Enum(id)) => {
            Ty::Int(join_ints((types.enum_def(*id).int, false), (*int, false)))
        }
        (Ty::Enum(a), Ty::Enum(b)) => {
            Ty::Int(join_ints((types.enum_def(*a).int, false), (types.enum_def(*b).int, false)))
        }
        (Ty::Str(a), Ty::Str(b)) => Ty::Str(*a.max(b)),
        (Ty::Buf(a), Ty::Buf(b)) => Ty::Buf(*a.max(b)),
        (Ty::Ptr(_, a), Ty::Ptr(_, b)) if a != b => return None,
        (Ty::Ptr(..), Ty::Ptr(to, _)) if **to == Ty::Void => a.clone(),
        (Ty::Ptr(to, _), Ty::Ptr(..)) if **to == Ty::Void => b.clone(),
        (Ty::Tuple(a), Ty::Tuple(b)) if a.len() == b.len() => {
            Ty::Tuple(a.iter().zip(b).map(|(a, b)| join_types(a, b, types)).collect::<Option<_>>()?)
        }
        (Ty::Record(a), Ty::Record(b)) if a.iter().map(|it| &it.0).eq(b.iter().map(|it| &it.0)) => {
            let fields = a.iter().zip(b);
            Ty::Record(
                fields
                    .map(|((name, a), (_, b))| Some((name.clone(), join_types(a, b, types)?)))
                    .collect::<Option<_>>()?,
            )
        }
        (Ty::Agg(a), Ty::Agg(b)) => Ty::Agg(join_aggregations(a, b)?),
        _ => return None,
    })
}

/// The smallest integer that holds both: the larger of one sign, else the next wider signed one.
fn join_ints((a, a_literal): (IntTy, bool), (b, b_literal): (IntTy, bool)) -> IntTy {
    let size = a.size.max(b.size);
    if a.signed == b.signed {
        return IntTy::new(size, a.signed);
    }
    // A non-negative literal fits the unsigned type of its size.
    if (a_literal && a.signed) || (b_literal && b.signed) {
        return IntTy::new(size, false);
    }
    let unsigned = if a.signed { b.size } else { a.size };
    IntTy::new(size.max((unsigned * 2).min(8)), true)
}

/// Aggregations of one kind; a sign on either side is a sign of both.
fn join_aggregations(a: &Agg, b: &Agg) -> Option<Agg> {
    Some(match (a, b) {
        (Agg::Sum { signed: a }, Agg::Sum { signed: b }) => Agg::Sum { signed: a | b },
        (Agg::Min { signed: a }, Agg::Min { signed: b }) => Agg::Min { signed: a | b },
        (Agg::Max { signed: a }, Agg::Max { signed: b }) => Agg::Max { signed: a | b },
        (Agg::Avg { signed: a }, Agg::Avg { signed: b }) => Agg::Avg { signed: a | b },
        (Agg::Stats { signed: a }, Agg::Stats { signed: b }) => Agg::Stats { signed: a | b },
        (a, b) if a == b => a.clone(),
        _ => return None,
    })
}

/// Makes `expr` one of `ty`, which must have come from joining its type with others.
pub(super) fn coerce(expr: hir::Expr, ty: &Ty) -> hir::Expr {
    if expr.ty == *ty || expr.ty == Ty::Error || *ty == Ty::Error {
        return expr;
    }
    let span = expr.span;
    let kind = match (expr.kind, &expr.ty, ty) {
        (hir::ExprKind::Const(value), Ty::Int(_), Ty::Int(_) | Ty::Ptr(..)) if fits(value, &expr.ty, ty) => {
            hir::ExprKind::Const(value)
        }
        (hir::ExprKind::Str(text), _, Ty::Str(_)) => hir::ExprKind::Str(text),
        (hir::ExprKind::Tuple(items), _, Ty::Tuple(types)) => {
            hir::ExprKind::Tuple(items.into_iter().zip(types).map(|(item, ty)| coerce(item, ty)).collect())
        }
        (hir::ExprKind::Tuple(items), _, Ty::Record(types)) => hir::ExprKind::Tuple(
            items.into_iter().zip(types).map(|(item, (_, ty))| coerce(item, ty)).collect(),
        ),
        (kind, _, _) => hir::ExprKind::Cast(Box::new(hir::Expr { kind, ty: expr.ty, span })),
    };
    hir::Expr { kind, ty: ty.clone(), span }
}

/// Whether the constant means the same in the other type.
fn fits(value: i64, from: &Ty, to: &Ty) -> bool {
    let exact = match from {
        Ty::Int(IntTy { size: 8, signed: false }) => i128::from(value as u64),
        _ => i128::from(value),
    };
    match to {
        Ty::Int(int) => int_range(*int).contains(&exact),
        _ => exact >= 0,
    }
}

/// The values of an integer type.
pub(super) fn int_range(int: IntTy) -> std::ops::RangeInclusive<i128> {
    let bits = u32::from(int.size) * 8;
    if int.signed { -(1i128 << (bits - 1))..=(1i128 << (bits - 1)) - 1 } else { 0..=(1i128 << bits) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const I16: Ty = Ty::Int(IntTy::new(2, true));

    #[test]
    fn integers_join_to_the_smallest_type_that_holds_both() {
        let open = |ty| Known { ty, literal: true };
        let cases = [
            (Known::ty(Ty::U8), Known::ty(Ty::U32), Ty::U32),
            (Known::ty(Ty::I8), Known::ty(Ty::I32), Ty::I32),
            (Known::ty(Ty::U8), Known::ty(Ty::I8), I16),
            (Known::ty(Ty::U8), Known::ty(I16), I16),
            (Known::ty(Ty::U32), Known::ty(Ty::I8), Ty::I64),
            (Known::ty(Ty::U64), Known::ty(Ty::I64), Ty::I64),
            (Known::ty(Ty::U32), open(Ty::I8), Ty::U32),
            (Known::ty(Ty::U8), open(I16), Ty::U16),
            (open(Ty::I8), open(I16), I16),
        ];
        for (a, b, joined) in cases {
            for (a, b) in [(&a, &b), (&b, &a)] {
                let known = join(a, b, &TypeTable::default()).expect("integers always join");
                assert_eq!(known.ty, joined, "{a:?} and {b:?}");
            }
        }
    }

    #[test]
    fn members_of_tuples_join_one_by_one() {
        let types = TypeTable::default();
        let a = Ty::Tuple(vec![Ty::I8, Ty::Str(4)]);
        let b = Ty::Tuple(vec![Ty::I64, Ty::Str(16)]);
        assert_eq!(join_types(&a, &b, &types), Some(Ty::Tuple(vec![Ty::I64, Ty::Str(16)])));
        assert_eq!(join_types(&a, &Ty::Tuple(vec![Ty::I8]), &types), None);
        assert_eq!(join_types(&Ty::Str(4), &Ty::I8, &types), None);
    }
}
