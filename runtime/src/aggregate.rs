//! Merging of per-CPU aggregation values.
//!
//! Comes in: what a map aggregates, and the bytes of one entry on each CPU. Goes out: one
//! [`Value`]. Sums wrap at 64 bits as they do in the kernel; averages are divided once, by the
//! argument's sign, and truncated toward zero. Bytes that are missing count as zero.

use crate::value::{Bucket, Histogram, Scale, Value};
use lang::layout;
use lang::ty::Agg;

/// One entry's value from its bytes on each CPU.
pub fn merge(agg: &Agg, cpus: &[Vec<u8>]) -> Value {
    match agg {
        Agg::Count => Value::Uint(sum(cpus, 0), 8),
        Agg::Sum { signed } => integer(sum(cpus, 0), *signed),
        Agg::Min { signed } | Agg::Max { signed } => integer(extreme(cpus, layout::rank_mask(agg)), *signed),
        Agg::Avg { signed } => {
            let (total, count) = (wide(sum(cpus, 0), *signed), sum(cpus, 1));
            Value::Avg(average(total, count))
        }
        Agg::Stats { signed } => {
            let (total, count) = (wide(sum(cpus, 0), *signed), sum(cpus, 1));
            Value::Stats { count, average: average(total, count), total }
        }
        Agg::Hist { bits } => {
            Value::Hist(histogram(agg, cpus, Scale::Power { bits: *bits }, |idx| hist_bounds(idx, *bits)))
        }
        Agg::Lhist { min, max, step } => {
            let last = layout::lhist_buckets(*min, *max, *step) - 1;
            let bounds = |idx| lhist_bounds(idx, last, *min, *step);
            Value::Hist(histogram(agg, cpus, Scale::Linear { step: *step }, bounds))
        }
    }
}

/// The little-endian word `idx` of `bytes`.
pub(crate) fn word(bytes: &[u8], idx: usize) -> u64 {
    let tail = bytes.get(8 * idx..).unwrap_or_default();
    let mut word = [0; 8];
    let len = tail.len().min(8);
    word[..len].copy_from_slice(&tail[..len]);
    u64::from_le_bytes(word)
}

fn sum(cpus: &[Vec<u8>], idx: usize) -> u64 {
    cpus.iter().fold(0, |sum, bytes| sum.wrapping_add(word(bytes, idx)))
}

/// The value of the highest rank among the CPUs that have one; 0 when none has.
fn extreme(cpus: &[Vec<u8>], mask: u64) -> u64 {
    let ranks = cpus.iter().filter(|bytes| word(bytes, 1) != 0).map(|bytes| word(bytes, 0));
    ranks.max().map_or(0, |rank| rank ^ mask)
}

fn average(total: i128, count: u64) -> i128 {
    if count == 0 { 0 } else { total / i128::from(count) }
}

fn wide(word: u64, signed: bool) -> i128 {
    if signed { (word as i64).into() } else { word.into() }
}

fn integer(word: u64, signed: bool) -> Value {
    if signed { Value::Int(word as i64, 8) } else { Value::Uint(word, 8) }
}

fn histogram(
    agg: &Agg,
    cpus: &[Vec<u8>],
    scale: Scale,
    bounds: impl Fn(u32) -> (Option<i64>, Option<i64>),
) -> Histogram {
    let counts: Vec<u64> = (0..layout::agg_words(agg)).map(|idx| sum(cpus, idx as usize)).collect();
    let first = counts.iter().position(|&count| count != 0);
    let last = counts.iter().rposition(|&count| count != 0);
    let buckets = match (first, last) {
        (Some(first), Some(last)) => (first..=last)
            .map(|idx| {
                let (min, max) = bounds(idx as u32);
                Bucket { min, max, count: counts[idx] }
            })
            .collect(),
        _ => Vec::new(),
    };
    Histogram { buckets, scale }
}

/// Smallest and largest value of bucket `idx`: the inverse of [`layout::hist_bucket`].
fn hist_bounds(idx: u32, bits: u8) -> (Option<i64>, Option<i64>) {
    let Some(n) = idx.checked_sub(1) else { return (None, Some(-1)) };
    let bits = u32::from(bits);
    if n < 1 << bits {
        return (Some(n.into()), Some(n.into()));
    }
    let (power, part) = ((n - (1 << bits)) >> bits, n & ((1 << bits) - 1));
    let min = i64::from((1 << bits) + part) << power;
    (Some(min), Some(min + ((1i64 << power) - 1)))
}

/// Smallest and largest value of bucket `idx`: the inverse of [`layout::lhist_bucket`]. A last
/// step that is only partial is open above.
fn lhist_bounds(idx: u32, last: u32, min: i64, step: i64) -> (Option<i64>, Option<i64>) {
    let Some(n) = idx.checked_sub(1) else { return (None, min.checked_sub(1)) };
    let low = min.saturating_add(step.saturating_mul(n.into()));
    let high = (idx < last).then(|| low.saturating_add(step - 1));
    (Some(low), high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpus(words: &[&[i64]]) -> Vec<Vec<u8>> {
        words.iter().map(|cpu| cpu.iter().flat_map(|word| word.to_le_bytes()).collect()).collect()
    }

    #[test]
    fn scalars_are_merged_by_the_sign_of_their_argument() {
        const MIN: i64 = i64::MIN;
        const MAX: i64 = i64::MAX;
        let (signed, unsigned) = (true, false);
        for (agg, words, expected) in [
            (Agg::Count, &[&[3][..], &[4]][..], Value::Uint(7, 8)),
            (Agg::Sum { signed }, &[&[-5], &[2]], Value::Int(-3, 8)),
            (Agg::Sum { signed: unsigned }, &[&[-1], &[2]], Value::Uint(1, 8)),
            (Agg::Min { signed }, &[&[0, 0], &[7 ^ MAX, 1], &[-2 ^ MAX, 1]], Value::Int(-2, 8)),
            (Agg::Min { signed: unsigned }, &[&[0, 0], &[!7, 1], &[!-2, 1]], Value::Uint(7, 8)),
            (Agg::Max { signed }, &[&[0, 0], &[-7 ^ MIN, 1], &[-2 ^ MIN, 1]], Value::Int(-2, 8)),
            (Agg::Max { signed: unsigned }, &[&[0, 0], &[7, 1], &[-2, 1]], Value::Uint(-2i64 as u64, 8)),
            (Agg::Max { signed }, &[&[0, 0], &[0, 0]], Value::Int(0, 8)),
            (Agg::Avg { signed }, &[&[-7, 1], &[-8, 1]], Value::Avg(-7)),
            (Agg::Avg { signed }, &[&[0, 0], &[0, 0]], Value::Avg(0)),
            (Agg::Avg { signed: unsigned }, &[&[-1, 1]], Value::Avg(u64::MAX.into())),
            (Agg::Stats { signed }, &[&[-3, 1], &[-4, 1]], Value::Stats { count: 2, average: -3, total: -7 }),
        ] {
            assert_eq!(merge(&agg, &cpus(words)), expected, "{agg:?}");
        }
        assert_eq!(merge(&Agg::Count, &[vec![5], vec![]]), Value::Uint(5, 8));
    }

    #[test]
    fn hist_bounds_are_those_of_the_buckets() {
        for bits in 0..=5 {
            for idx in 1..layout::hist_buckets(bits) {
                let (Some(min), Some(max)) = hist_bounds(idx, bits) else { panic!("open bucket {idx}") };
                assert_eq!(layout::hist_bucket(min, bits), idx);
                assert_eq!(layout::hist_bucket(max, bits), idx);
                if max < i64::MAX {
                    assert_eq!(layout::hist_bucket(max + 1, bits), idx + 1);
                }
            }
        }
    }

    #[test]
    fn lhist_bounds_are_those_of_the_buckets() {
        for (min, max, step) in [(0, 10, 1), (0, 100, 30), (100, 200, 25), (-50, 50, 7)] {
            let last = layout::lhist_buckets(min, max, step) - 1;
            for idx in 0..=last {
                let (low, high) = lhist_bounds(idx, last, min, step);
                for n in [low, high].into_iter().flatten() {
                    assert_eq!(layout::lhist_bucket(n, min, max, step), idx, "{n} in {min},{max},{step}");
                }
            }
        }
    }

    #[test]
    fn histograms_run_from_the_first_to_the_last_bucket_in_use() {
        let mut one = [0; 64];
        (one[0], one[3]) = (1, 4);
        let merged = merge(&Agg::Hist { bits: 0 }, &cpus(&[&one, &one]));
        let bucket = |min, max, count| Bucket { min, max, count };
        let buckets = vec![
            bucket(None, Some(-1), 2),
            bucket(Some(0), Some(0), 0),
            bucket(Some(1), Some(1), 0),
            bucket(Some(2), Some(3), 8),
        ];
        assert_eq!(merged, Value::Hist(Histogram { buckets, scale: Scale::Power { bits: 0 } }));

        let merged = merge(&Agg::Lhist { min: 0, max: 100, step: 30 }, &cpus(&[&[0, 0, 0, 1, 2]]));
        let buckets = vec![bucket(Some(60), Some(89), 1), bucket(Some(90), None, 2)];
        assert_eq!(merged, Value::Hist(Histogram { buckets, scale: Scale::Linear { step: 30 } }));

        let scale = Scale::Power { bits: 2 };
        assert_eq!(merge(&Agg::Hist { bits: 2 }, &[]), Value::Hist(Histogram { buckets: Vec::new(), scale }));
    }
}
