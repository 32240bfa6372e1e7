//! Bytes of one type to bytes of another: the widening that types of maps go through as uses of
//! them are added.

use crate::decode::unsigned;
use lang::layout;
use lang::ty::{Agg, IntTy, Ty, TypeTable};
use std::mem::discriminant;

/// A type and the table that its C types are in.
#[derive(Clone, Copy)]
pub struct Typed<'a>(pub &'a Ty, pub &'a TypeTable);

/// The same value in another type; `None` when that type cannot hold it. Padding is zero.
pub fn relayout(bytes: &[u8], from: Typed<'_>, to: Typed<'_>) -> Option<Vec<u8>> {
    match (from.0, to.0) {
        (Ty::Int(a), Ty::Int(b)) => integer(bytes, *a, *b),
        (Ty::Enum(id), Ty::Int(int)) => integer(bytes, from.1.enum_def(*id).int, *int),
        (Ty::Str(_), Ty::Str(capacity)) => string(bytes, *capacity),
        (Ty::Buf(_), Ty::Buf(capacity)) => {
            let len = unsigned(bytes, 4) as u32;
            let used = bytes.get(..4 + len as usize).filter(|_| len <= *capacity)?;
            Some(padded(used, to))
        }
        (Ty::Array(a, n), Ty::Array(b, m)) if n == m => {
            members(bytes, from, to, vec![&**a; *n as usize], vec![&**b; *m as usize])
        }
        (Ty::Tuple(a), Ty::Tuple(b)) => members(bytes, from, to, a.iter().collect(), b.iter().collect()),
        (Ty::Record(a), Ty::Record(b)) if a.iter().map(|it| &it.0).eq(b.iter().map(|it| &it.0)) => {
            members(bytes, from, to, a.iter().map(|it| &it.1).collect(), b.iter().map(|it| &it.1).collect())
        }
        // The word behind a scalar aggregation belongs to it.
        (Ty::Agg(a), Ty::Agg(b)) => continues(a, b).then(|| aggregation(bytes, a, b)),
        (a, b) => (discriminant(a) == discriminant(b) && size(from) == size(to)).then(|| bytes.to_vec()),
    }
}

fn size(ty: Typed<'_>) -> u32 {
    layout::size_of(ty.0, ty.1)
}

/// The bytes, with zeros up to the type's size.
fn padded(bytes: &[u8], to: Typed<'_>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(size(to) as usize, 0);
    bytes
}

fn integer(bytes: &[u8], from: IntTy, to: IntTy) -> Option<Vec<u8>> {
    let unused = 64 - 8 * u32::from(from.size.clamp(1, 8));
    let bits = unsigned(bytes, from.size) << unused;
    let bits = if from.signed { (bits as i64 >> unused) as u64 } else { bits >> unused };
    (from.size <= to.size).then(|| bits.to_le_bytes()[..to.size.into()].to_vec())
}

/// A string without a NUL was cut; a last byte of 0xff only marks that and has no place in a longer
/// buffer.
fn string(bytes: &[u8], capacity: u32) -> Option<Vec<u8>> {
    let capacity = capacity as usize;
    if bytes.len() == capacity {
        return Some(bytes.to_vec());
    }
    let text = match bytes.iter().position(|&byte| byte == 0) {
        Some(end) => &bytes[..end],
        None => bytes.strip_suffix(&[0xff]).unwrap_or(bytes),
    };
    let mut longer = text.to_vec();
    longer.resize(capacity, 0);
    (text.len() < capacity).then_some(longer)
}

fn members(bytes: &[u8], from: Typed<'_>, to: Typed<'_>, old: Vec<&Ty>, new: Vec<&Ty>) -> Option<Vec<u8>> {
    if old.len() != new.len() {
        return None;
    }
    let (sources, _) = layout::fields(old.iter().copied(), from.1);
    let (targets, _) = layout::fields(new.iter().copied(), to.1);
    let mut result = padded(&[], to);
    for ((old, source), (new, target)) in old.into_iter().zip(sources).zip(new.into_iter().zip(targets)) {
        let (old, new) = (Typed(old, from.1), Typed(new, to.1));
        let own = bytes.get(source as usize..(source + size(old)) as usize)?;
        let own = relayout(own, old, new)?;
        result.get_mut(target as usize..)?.get_mut(..own.len())?.copy_from_slice(&own);
    }
    Some(result)
}

/// The words of one aggregation as the other's: a sign changes how they are read, and the ranks of
/// extremes that are there.
fn aggregation(bytes: &[u8], from: &Agg, to: &Agg) -> Vec<u8> {
    let mut words = bytes.to_vec();
    let change = layout::rank_mask(from) ^ layout::rank_mask(to);
    if change != 0 && bytes.get(8..16).is_some_and(|set| set != [0; 8]) {
        let rank = unsigned(bytes, 8) ^ change;
        words[..8].copy_from_slice(&rank.to_le_bytes());
    }
    words
}

/// Whether one aggregation can go on from the other's words.
fn continues(a: &Agg, b: &Agg) -> bool {
    match (a, b) {
        (Agg::Hist { .. } | Agg::Lhist { .. }, _) => a == b,
        _ => discriminant(a) == discriminant(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes, their type, another type, the bytes in that one.
    type Case<'a> = (&'a [u8], Ty, Ty, Option<&'a [u8]>);

    #[test]
    fn widens() {
        let int = |size, signed| Ty::Int(IntTy::new(size, signed));
        let tuple = |items: &[Ty]| Ty::Tuple(items.to_vec());
        let cases: [Case<'_>; 16] = [
            (&[0xfe], Ty::I8, int(4, true), Some(&[0xfe, 0xff, 0xff, 0xff])),
            (&[0xfe], Ty::U8, int(4, true), Some(&[0xfe, 0, 0, 0])),
            (&[1, 2], int(2, false), Ty::U8, None),
            (b"ab\0", Ty::Str(3), Ty::Str(5), Some(b"ab\0\0\0")),
            (b"a\0b", Ty::Str(3), Ty::Str(4), Some(b"a\0\0\0")),
            (b"abc\xff", Ty::Str(4), Ty::Str(6), Some(b"abc\0\0\0")),
            (b"ab\0\0", Ty::Str(4), Ty::Str(3), Some(b"ab\0")),
            (b"abc\0", Ty::Str(4), Ty::Str(3), None),
            (&[2, 0, 0, 0, 7, 8, 9], Ty::Buf(3), Ty::Buf(4), Some(&[2, 0, 0, 0, 7, 8, 0, 0])),
            (
                &[5, b'a', 0],
                tuple(&[Ty::U8, Ty::Str(2)]),
                tuple(&[int(4, false), Ty::Str(3)]),
                Some(&[5, 0, 0, 0, b'a', 0, 0, 0]),
            ),
            (&[5], tuple(&[Ty::U8]), tuple(&[Ty::U8, Ty::U8]), None),
            (&[1, 2], Ty::Array(Box::new(Ty::U8), 2), Ty::Array(Box::new(Ty::U16), 2), Some(&[1, 0, 2, 0])),
            (&[1], Ty::Bool, Ty::U8, None),
            (
                &[3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
                Ty::Agg(Agg::Sum { signed: false }),
                Ty::Agg(Agg::Sum { signed: true }),
                Some(&[3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
            ),
            (
                &[3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
                Ty::Agg(Agg::Max { signed: false }),
                Ty::Agg(Agg::Max { signed: true }),
                Some(&[3, 0, 0, 0, 0, 0, 0, 0x80, 1, 0, 0, 0, 0, 0, 0, 0]),
            ),
            (
                &[0; 16],
                Ty::Agg(Agg::Min { signed: false }),
                Ty::Agg(Agg::Min { signed: true }),
                Some(&[0; 16]),
            ),
        ];
        let types = TypeTable::default();
        for (bytes, from, to, expected) in cases {
            let seen = relayout(bytes, Typed(&from, &types), Typed(&to, &types));
            assert_eq!(seen.as_deref(), expected, "{from:?} to {to:?}");
        }
    }
}
