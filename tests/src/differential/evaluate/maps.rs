//! The maps of an evaluated program. An aggregation keeps every number that it was given, and what
//! it shows is computed from them in the end.

use super::datum::{Datum, wrap};
use lang::hir::{Map, MapId};
use lang::ty::{Agg, Ty};
use runtime::maps::Entry;
use runtime::value::{Bucket, Histogram, Scale, Value};
use std::collections::BTreeMap;

/// All maps.
pub struct Maps<'a> {
    maps: &'a [Map],
    entries: Vec<BTreeMap<Option<Datum>, Held>>,
}

/// What is under a key.
enum Held {
    One(Datum),
    /// The numbers that an aggregation was given, in order.
    Many(Vec<i64>),
}

impl<'a> Maps<'a> {
    /// All maps are empty.
    pub fn new(maps: &'a [Map]) -> Maps<'a> {
        Maps { maps, entries: maps.iter().map(|_| BTreeMap::new()).collect() }
    }

    /// A value; zero when there is none.
    pub fn get(&self, map: MapId, key: &Option<Datum>) -> Datum {
        match self.entries[map.0 as usize].get(key) {
            Some(Held::One(datum)) => datum.clone(),
            Some(Held::Many(_)) | None => Datum::zero(&self.maps[map.0 as usize].value),
        }
    }

    /// Replaces a value.
    pub fn set(&mut self, map: MapId, key: Option<Datum>, value: Datum) {
        self.entries[map.0 as usize].insert(key, Held::One(value));
    }

    /// Adds to an integer; what was there, and what is there now.
    pub fn add(&mut self, map: MapId, key: Option<Datum>, by: i64) -> (i64, i64) {
        let old = self.get(map, &key).number();
        let new = match self.maps[map.0 as usize].value {
            Ty::Int(int) => wrap(old.wrapping_add(by), int),
            _ => old.wrapping_add(by),
        };
        self.set(map, key, Datum::Number(new));
        (old, new)
    }

    /// Gives a number to an aggregation.
    pub fn aggregate(&mut self, map: MapId, key: Option<Datum>, number: i64) {
        let held = self.entries[map.0 as usize].entry(key).or_insert_with(|| Held::Many(Vec::new()));
        if let Held::Many(numbers) = held {
            numbers.push(number);
        }
    }

    /// An aggregation read as a number.
    pub fn aggregated(&self, map: MapId, key: &Option<Datum>) -> i64 {
        let numbers = match self.entries[map.0 as usize].get(key) {
            Some(Held::Many(numbers)) => numbers.as_slice(),
            Some(Held::One(_)) | None => &[],
        };
        let Some(agg) = self.maps[map.0 as usize].agg() else { return 0 };
        match aggregate(agg, numbers) {
            Value::Avg(average) => average as i64,
            value => value.bits() as i64,
        }
    }

    /// Whether there is such an entry.
    pub fn has(&self, map: MapId, key: &Option<Datum>) -> bool {
        self.entries[map.0 as usize].contains_key(key)
    }

    /// Removes an entry; whether there was one.
    pub fn delete(&mut self, map: MapId, key: &Option<Datum>) -> bool {
        self.entries[map.0 as usize].remove(key).is_some()
    }

    /// Number of entries.
    pub fn len(&self, map: MapId) -> i64 {
        self.entries[map.0 as usize].len() as i64
    }

    /// All entries as user space shows them.
    pub fn entries(&self) -> Vec<Vec<Entry>> {
        let shown = self.maps.iter().zip(&self.entries).map(|(map, entries)| {
            let shown = entries.iter().map(|(key, held)| {
                let key = key.as_ref().zip(map.key.as_ref()).map(|(key, ty)| key.shown(ty));
                let value = match (held, map.agg()) {
                    (Held::Many(numbers), Some(agg)) => aggregate(agg, numbers),
                    (Held::One(datum), _) => datum.shown(&map.value),
                    (Held::Many(_), None) => Value::Tuple(Vec::new()),
                };
                (key, value)
            });
            shown.collect()
        });
        shown.collect()
    }
}

/// What an aggregation makes of its numbers.
fn aggregate(agg: &Agg, numbers: &[i64]) -> Value {
    let count = numbers.len() as u64;
    let total = |signed: bool| widened(numbers.iter().fold(0i64, |sum, it| sum.wrapping_add(*it)), signed);
    let shown = |number: i128, signed: bool| match signed {
        true => Value::Int(number as i64, 8),
        false => Value::Uint(number as u64, 8),
    };
    let average = |signed: bool| if count == 0 { 0 } else { total(signed) / i128::from(count) };
    let all = |signed: bool| numbers.iter().map(move |it| widened(*it, signed));
    match *agg {
        Agg::Count => Value::Uint(count, 8),
        Agg::Sum { signed } => shown(total(signed), signed),
        Agg::Min { signed } => shown(all(signed).min().unwrap_or(0), signed),
        Agg::Max { signed } => shown(all(signed).max().unwrap_or(0), signed),
        Agg::Avg { signed } => Value::Avg(average(signed)),
        Agg::Stats { signed } => Value::Stats { count, average: average(signed), total: total(signed) },
        Agg::Hist { bits } => histogram(numbers, Scale::Power { bits }, |it| power_bounds(it, bits)),
        Agg::Lhist { min, max, step } => {
            histogram(numbers, Scale::Linear { step }, |it| linear_bounds(it, min, max, step))
        }
        Agg::Tseries { .. } => unreachable!("it depends on the clock, so no program is generated with it"),
    }
}

/// The number as its sign has it.
fn widened(number: i64, signed: bool) -> i128 {
    if signed { number.into() } else { (number as u64).into() }
}

type Bounds = (Option<i64>, Option<i64>);

/// A histogram of numbers, by the bounds of the bucket that each falls into.
fn histogram(numbers: &[i64], scale: Scale, bounds: impl Fn(i64) -> Bounds) -> Value {
    let mut buckets = Vec::new();
    let smallest = numbers.iter().min();
    let mut next = smallest.map(|it| bounds(*it));
    while let Some((min, max)) = next {
        let is_inside = |it: &&i64| min.is_none_or(|min| **it >= min) && max.is_none_or(|max| **it <= max);
        buckets.push(Bucket { min, max, count: numbers.iter().filter(is_inside).count() as u64 });
        let is_above = |max: i64| numbers.iter().any(|it| *it > max);
        next = max.filter(|max| is_above(*max)).map(|max| bounds(max + 1));
    }
    Value::Hist(Histogram { buckets, scale })
}

/// The bucket of `hist(number, bits)`: all negative ones; each number below 2^bits by itself; then
/// each power of two cut in 2^bits.
fn power_bounds(number: i64, bits: u8) -> Bounds {
    if number < 0 {
        return (None, Some(-1));
    }
    let log2 = 63 - (number.max(1) as u64).leading_zeros();
    let width = 1i64 << log2.saturating_sub(bits.into());
    let min = number / width * width;
    (Some(min), Some(min + (width - 1)))
}

/// The bucket of `lhist(number, min, max, step)`; a last step that is only partial is open above.
fn linear_bounds(number: i64, min: i64, max: i64, step: i64) -> Bounds {
    if number < min {
        return (None, Some(min - 1));
    }
    let last = min + (max - min) / step * step;
    if number >= last {
        return (Some(last), None);
    }
    let low = min + (number - min) / step * step;
    (Some(low), Some(low + step - 1))
}
