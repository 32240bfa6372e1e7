//! Histograms as rows of bars, and the labels of their buckets.

use super::put;
use crate::value::{Bucket, Histogram, Scale};

/// Columns of the longest bar.
const BAR: usize = 52;
const UNITS: &str = "KMGTPE";

/// Appends one row for each bucket; the longest bar belongs to the largest count.
pub fn text(out: &mut Vec<u8>, histogram: &Histogram) {
    let largest = histogram.buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0);
    for bucket in &histogram.buckets {
        let filled = match largest {
            0 => 0,
            _ => (BAR as u128 * u128::from(bucket.count) / u128::from(largest)) as usize,
        };
        let label = label(bucket, histogram.scale);
        let bar = "@".repeat(filled);
        put(out, format_args!("{label:<16}{count:>8} |{bar:<BAR$}|\n", count = bucket.count));
    }
}

/// The bucket that holds the value which so many thousandths of a percent of all values do not exceed;
/// empty without values.
pub fn percentile(histogram: &Histogram, thousandths: u32) -> String {
    let rank = (histogram.total() * u128::from(thousandths)).div_ceil(100_000);
    let mut below = 0;
    let holds = histogram.buckets.iter().find(|bucket| {
        below += u128::from(bucket.count);
        below >= rank
    });
    holds.map_or(String::new(), |bucket| label(bucket, histogram.scale))
}

/// The numbers between which the sum of all values is: each is at least its bucket's smallest value
/// and at most its largest.
pub fn total(histogram: &Histogram) -> String {
    let (least, most) = bounds(histogram);
    between(least, most)
}

/// The numbers between which the average is, truncated toward zero like that of `avg`; empty without
/// values.
pub fn average(histogram: &Histogram) -> String {
    let Some(count) = i128::try_from(histogram.total()).ok().filter(|it| *it > 0) else {
        return String::new();
    };
    let (least, most) = bounds(histogram);
    between(least.map(|it| it / count), most.map(|it| it / count))
}

/// The smallest and the largest sum that values of these buckets can have; nothing where a bucket is
/// open, or where it cannot be computed.
fn bounds(histogram: &Histogram) -> (Option<i128>, Option<i128>) {
    let sum = |end: fn(&Bucket) -> Option<i64>| {
        let used = histogram.buckets.iter().filter(|it| it.count > 0);
        used.map(|it| i128::from(end(it)?).checked_mul(it.count.into()))
            .try_fold(0i128, |sum, part| sum.checked_add(part?))
    };
    (sum(|it| it.min), sum(|it| it.max))
}

/// `[2, 5]` with both ends, `[5]`, `(..., 5]`, `[2, ...)`
fn between(least: Option<i128>, most: Option<i128>) -> String {
    match (least, most) {
        (Some(least), Some(most)) if least == most => format!("[{least}]"),
        (Some(least), Some(most)) => format!("[{least}, {most}]"),
        (Some(least), None) => format!("[{least}, ...)"),
        (None, Some(most)) => format!("(..., {most}]"),
        (None, None) => "(..., ...)".to_owned(),
    }
}

/// `[2, 4)`, `[5]`, `(..., 0)`, `[10, ...)`
fn label(bucket: &Bucket, scale: Scale) -> String {
    let bound = |n: i64| number(n.into(), scale);
    // What is excluded may be one more than the largest integer.
    let end = |n: i64| number(i128::from(n) + 1, scale);
    match (bucket.min, bucket.max) {
        (Some(min), Some(max)) if min == max => format!("[{}]", bound(min)),
        (Some(min), Some(max)) => format!("[{}, {})", bound(min), end(max)),
        (Some(min), None) => format!("[{}, ...)", bound(min)),
        (None, Some(max)) => format!("(..., {})", end(max)),
        (None, None) => "(..., ...)".to_owned(),
    }
}

/// A bound in the largest unit that its bucket's width allows.
fn number(n: i128, scale: Scale) -> String {
    let power = match scale {
        Scale::Power { bits } => {
            n.unsigned_abs().checked_ilog2().map_or(0, |log2| log2.saturating_sub(bits.into()) / 10)
        }
        Scale::Linear { step } if step % 1024 == 0 && n != 0 => n.trailing_zeros() / 10,
        Scale::Linear { .. } => 0,
    };
    let power = power.min(UNITS.len() as u32);
    let unit = power.checked_sub(1).map_or("", |at| &UNITS[at as usize..power as usize]);
    format!("{}{unit}", n >> (10 * power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_units_where_bpftrace_has_them() {
        let power = |bits| Scale::Power { bits };
        let linear = |step| Scale::Linear { step };
        for (scale, min, max, expected) in [
            (power(0), None, Some(-1), "(..., 0)"),
            (power(0), Some(0), Some(0), "[0]"),
            (power(0), Some(2), Some(3), "[2, 4)"),
            (power(0), Some(512), Some(1023), "[512, 1K)"),
            (power(0), Some(1 << 20), Some((1 << 21) - 1), "[1M, 2M)"),
            (power(0), Some(1 << 62), Some(i64::MAX), "[4E, 8E)"),
            (power(1), Some(768), Some(1023), "[768, 1024)"),
            (power(1), Some(1536), Some(2047), "[1536, 2K)"),
            (power(1), Some(786_432), Some(1_048_575), "[768K, 1024K)"),
            (power(2), Some(1024), Some(1279), "[1024, 1280)"),
            (power(2), Some(3584), Some(4095), "[3584, 4K)"),
            (power(3), Some(7_864_320), Some(8_388_607), "[7680K, 8M)"),
            (power(5), Some(32_256), Some(32_767), "[32256, 32K)"),
            (linear(1), Some(5), Some(5), "[5]"),
            (linear(1), None, Some(-1), "(..., 0)"),
            (linear(1), Some(10), None, "[10, ...)"),
            (linear(30), Some(60), Some(89), "[60, 90)"),
            (linear(1024), Some(2048), Some(3071), "[2K, 3K)"),
            (linear(512), Some(2048), Some(2559), "[2048, 2560)"),
            (linear(2048), Some(0), Some(2047), "[0, 2K)"),
            (linear(2048), Some(10), Some(2057), "[10, 2058)"),
            (linear(102_400), Some(921_600), Some(1_023_999), "[900K, 1000K)"),
            (linear(524_288), Some(524_288), Some(1_048_575), "[512K, 1M)"),
            (linear(524_288), Some(1_048_576), Some(1_572_863), "[1M, 1536K)"),
            (linear(25), Some(-50), Some(-26), "[-50, -25)"),
        ] {
            assert_eq!(label(&Bucket { min, max, count: 0 }, scale), expected);
        }
    }

    #[test]
    fn rows_are_scaled_to_the_largest_count() {
        let bucket = |n, count| Bucket { min: Some(n), max: Some(n), count };
        let scale = Scale::Linear { step: 1 };
        let rows = |buckets| {
            let mut out = Vec::new();
            text(&mut out, &Histogram { buckets, scale });
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            rows(vec![bucket(1, 1), bucket(2, 0), bucket(3, 3)]),
            "[1]                    1 |@@@@@@@@@@@@@@@@@                                   |\n\
             [2]                    0 |                                                    |\n\
             [3]                    3 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n"
        );
        assert_eq!(rows(vec![bucket(1, 0)]), format!("[1]                    0 |{}|\n", " ".repeat(52)));
        assert_eq!(rows(Vec::new()), "");
    }
}
