//! Sizes, alignments and offsets of values in the program's own memory: map keys, map values,
//! event records. Code generation writes by these rules and the runtime reads by them.
//!
//! Invariant: padding bytes in keys are zero, so equal keys are equal bytes.

use crate::ty::{Agg, Ty, TypeTable};

/// Bytes that a value takes.
pub fn size_of(ty: &Ty, types: &TypeTable) -> u32 {
    match ty {
        Ty::Error | Ty::Void => 0,
        Ty::Bool => 1,
        Ty::Int(it) => it.size.into(),
        Ty::Str(n) => *n,
        Ty::Buf(n) => 4 + n,
        Ty::Ptr(..) | Ty::Ksym | Ty::Timestamp(_) => 8,
        Ty::Array(of, n) => size_of(of, types) * n,
        Ty::Struct(id) => types.struct_def(*id).size,
        Ty::Enum(id) => types.enum_def(*id).int.size.into(),
        Ty::Tuple(items) => fields(items.iter(), types).1,
        Ty::Record(items) => fields(items.iter().map(|(_, ty)| ty), types).1,
        Ty::Stack(stack) => 8 * stack.limit + if stack.user { 8 } else { 0 },
        Ty::Usym | Ty::Ipv6 => 16,
        Ty::Ipv4 => 4,
        Ty::Inet => 20,
        Ty::Mac => 6,
        Ty::Network => 8,
        Ty::Agg(agg) => 8 * agg_words(agg),
    }
}

/// Alignment in bytes, as C would choose it.
pub fn align_of(ty: &Ty, types: &TypeTable) -> u32 {
    match ty {
        Ty::Error | Ty::Void | Ty::Bool | Ty::Str(_) | Ty::Mac | Ty::Ipv6 => 1,
        Ty::Int(it) => it.size.into(),
        Ty::Enum(id) => types.enum_def(*id).int.size.into(),
        Ty::Buf(_) | Ty::Ipv4 | Ty::Inet | Ty::Network => 4,
        Ty::Array(of, _) => align_of(of, types),
        Ty::Tuple(items) => items.iter().map(|it| align_of(it, types)).max().unwrap_or(1),
        Ty::Record(items) => items.iter().map(|(_, it)| align_of(it, types)).max().unwrap_or(1),
        // Copies of foreign structs are moved by 8-byte words.
        Ty::Struct(_) | Ty::Ptr(..) | Ty::Ksym | Ty::Usym | Ty::Timestamp(_) | Ty::Stack(_) | Ty::Agg(_) => 8,
    }
}

/// The offsets of consecutive members laid out as a C struct, and the struct's size.
pub fn fields<'a>(items: impl Iterator<Item = &'a Ty>, types: &TypeTable) -> (Vec<u32>, u32) {
    let (mut at, mut align, mut offsets) = (0u32, 1, Vec::new());
    for ty in items {
        let wanted = align_of(ty, types);
        at = at.next_multiple_of(wanted);
        offsets.push(at);
        at += size_of(ty, types);
        align = align.max(wanted);
    }
    (offsets, at.next_multiple_of(align))
}

/// Number of 8-byte words in an aggregation's value.
pub fn agg_words(agg: &Agg) -> u32 {
    match agg {
        Agg::Count | Agg::Sum { .. } => 1,
        Agg::Min { .. } | Agg::Max { .. } | Agg::Avg { .. } | Agg::Stats { .. } => 2,
        Agg::Hist { bits } => hist_buckets(*bits),
        Agg::Lhist { min, max, step } => lhist_buckets(*min, *max, *step),
    }
}

/// What turns a value of `min` or `max` into its rank, and back, by exclusive or. Ranks are unsigned;
/// the highest is kept, and 0 is the lowest: memory that is all zero needs no first value.
pub fn rank_mask(agg: &Agg) -> u64 {
    match agg {
        Agg::Min { signed: true } => i64::MAX as u64,
        Agg::Min { signed: false } => u64::MAX,
        Agg::Max { signed: true } => i64::MIN as u64,
        _ => 0,
    }
}

/// Buckets of `hist(n, bits)`: bucket 0 holds negative values, bucket 1 + n holds n for n < 2^bits,
/// then each power of two has 2^bits buckets (inventory §5.7).
pub fn hist_buckets(bits: u8) -> u32 {
    let bits = u32::from(bits);
    1 + (1 << bits) + ((63 - bits) << bits)
}

/// The bucket of `n` in `hist(n, bits)`. Generated code computes the same.
pub fn hist_bucket(n: i64, bits: u8) -> u32 {
    if n < 0 {
        return 0;
    }
    let bits = u32::from(bits);
    if n < 1 << bits {
        return 1 + n as u32;
    }
    let log2 = 63 - (n as u64).leading_zeros();
    let sub = (n as u64 >> (log2 - bits)) as u32 - (1 << bits);
    1 + (1 << bits) + ((log2 - bits) << bits) + sub
}

/// Buckets of `lhist`: one below, one for each step (the last may be partial and is then the one
/// above), one above.
pub fn lhist_buckets(min: i64, max: i64, step: i64) -> u32 {
    ((max - min) / step) as u32 + 2
}

/// The bucket of `n` in `lhist(n, min, max, step)`. Generated code computes the same.
pub fn lhist_bucket(n: i64, min: i64, max: i64, step: i64) -> u32 {
    if n < min {
        0
    } else if n >= max {
        lhist_buckets(min, max, step) - 1
    } else {
        1 + ((n - min) / step) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_values_have_higher_ranks() {
        for (agg, ascending) in [
            (Agg::Max { signed: false }, [0, 1, -1]),
            (Agg::Max { signed: true }, [i64::MIN, -1, 1]),
            (Agg::Min { signed: false }, [-1, 1, 0]),
            (Agg::Min { signed: true }, [i64::MAX, 0, -1]),
        ] {
            let ranks = ascending.map(|it| it as u64 ^ rank_mask(&agg));
            assert!(ranks[0] == 0 && ranks.is_sorted(), "{agg:?}: {ranks:?}");
        }
    }

    #[test]
    fn hist_buckets_are_consecutive() {
        for bits in 0..=5 {
            let mut last = hist_bucket(0, bits);
            assert_eq!(last, 1);
            for n in 1..100_000i64 {
                let bucket = hist_bucket(n, bits);
                assert!(bucket == last || bucket == last + 1, "{n} in {bucket} after {last}, bits {bits}");
                last = bucket;
            }
            assert_eq!(hist_bucket(i64::MAX, bits), hist_buckets(bits) - 1);
            assert_eq!(hist_bucket(-1, bits), 0);
        }
    }
}
