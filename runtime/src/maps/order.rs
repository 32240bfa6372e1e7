//! The order in which a map's entries are printed: numbers, averages and histograms ascending by
//! value (a histogram's is its number of samples), everything else by key. Equal values are in
//! the order of their keys, so that two runs print the same.

use super::Entry;
use crate::value::Value;
use std::cmp::Ordering;

/// Sorts entries of one map.
pub(super) fn sort(entries: &mut [Entry]) {
    entries.sort_by(|(key, value), (other_key, other_value)| {
        weight(value).cmp(&weight(other_value)).then_with(|| match (key, other_key) {
            (Some(key), Some(other)) => compare(key, other),
            _ => key.is_some().cmp(&other_key.is_some()),
        })
    });
}

/// What entries are sorted by before their keys; the same for all that are sorted by key alone.
fn weight(value: &Value) -> i128 {
    match value {
        Value::Int(n, _) | Value::Enum(n, _) => (*n).into(),
        Value::Uint(n, _) => (*n).into(),
        Value::Avg(average) | Value::Stats { average, .. } => *average,
        Value::Hist(histogram) => histogram.total() as i128,
        Value::Bool(_)
        | Value::Pointer(_)
        | Value::Str { .. }
        | Value::Buf(_)
        | Value::Text(_)
        | Value::Address { .. }
        | Value::Stack(_)
        | Value::Tuple(_)
        | Value::Record(_)
        | Value::Array(_) => 0,
    }
}

/// Compares two keys of one map: numbers by value, text by bytes, compound ones member by member.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Str { bytes: a, .. }, Value::Str { bytes: b, .. }) | (Value::Buf(a), Value::Buf(b)) => {
            a.cmp(b)
        }
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Address { text: a, .. }, Value::Address { text: b, .. }) => a.cmp(b),
        (Value::Stack(a), Value::Stack(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Pointer(a), Value::Pointer(b)) => a.cmp(b),
        (Value::Tuple(a), Value::Tuple(b)) | (Value::Array(a), Value::Array(b)) => {
            in_order(a.iter(), b.iter())
        }
        (Value::Record(a), Value::Record(b)) => {
            in_order(a.iter().map(|(_, value)| value), b.iter().map(|(_, value)| value))
        }
        _ => weight(a).cmp(&weight(b)),
    }
}

fn in_order<'a>(a: impl Iterator<Item = &'a Value>, b: impl Iterator<Item = &'a Value>) -> Ordering {
    a.zip(b).map(|(a, b)| compare(a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Bucket, Histogram, Scale};

    fn check(entries: Vec<(Value, Value)>, expected: &[usize]) {
        let tagged: Vec<Entry> = entries.into_iter().map(|(key, value)| (Some(key), value)).collect();
        let mut sorted = tagged.clone();
        sort(&mut sorted);
        let expected: Vec<Entry> = expected.iter().map(|&idx| tagged[idx].clone()).collect();
        assert_eq!(sorted, expected);
    }

    fn text(text: &str) -> Value {
        Value::text(text)
    }

    fn byte(n: i64) -> Value {
        Value::Int(n, 1)
    }

    #[test]
    fn numbers_are_sorted_by_value_then_key() {
        check(vec![(byte(1), byte(5)), (byte(2), byte(7)), (byte(3), byte(1))], &[2, 0, 1]);
        check(vec![(text("b"), byte(5)), (text("a"), byte(5)), (text("c"), byte(-1))], &[2, 1, 0]);
        let large = Value::Uint(u64::MAX, 8);
        check(vec![(byte(1), large), (byte(2), Value::Uint(3, 8))], &[1, 0]);
        let stats = |average| Value::Stats { count: 1, average, total: 0 };
        check(vec![(byte(1), stats(5)), (byte(2), stats(-5))], &[1, 0]);
        check(vec![(byte(1), Value::Avg(5)), (byte(2), Value::Avg(4))], &[1, 0]);
        let hist = |count| {
            let buckets = vec![Bucket { min: None, max: None, count }];
            Value::Hist(Histogram { buckets, scale: Scale::Power { bits: 0 } })
        };
        check(vec![(byte(1), hist(5)), (byte(2), hist(2))], &[1, 0]);
    }

    #[test]
    fn other_values_are_sorted_by_key() {
        let x = || text("x");
        check(vec![(byte(-1), x()), (byte(3), x()), (byte(-128), x())], &[2, 0, 1]);
        check(vec![(text("b"), x()), (text("a"), text("z")), (text("aa"), x())], &[1, 2, 0]);
        let pair = |n, s| Value::Tuple(vec![byte(n), text(s)]);
        check(vec![(pair(2, "a"), x()), (pair(1, "z"), x()), (pair(1, "b"), x())], &[2, 1, 0]);
        check(vec![(Value::Bool(true), x()), (Value::Bool(false), x())], &[1, 0]);
        check(vec![(byte(1), Value::Pointer(9)), (byte(0), Value::Pointer(10))], &[1, 0]);
        check(vec![(byte(1), Value::Bool(false)), (byte(0), Value::Bool(true))], &[1, 0]);
    }
}
