//! The series of one map brought to one end, and their times.

use super::Entry;
use crate::clock::{Clock, Dialect, strftime};
use crate::value::{Series, Start, Value};

const SECOND: i64 = 1_000_000_000;

/// Lets all series of a map end with its last interval, and tells when their intervals began. What is
/// older than the intervals that are kept is left out.
pub(super) fn align(entries: &mut [Entry], clock: &dyn Clock) {
    let end = |series: &Series| series.first + series.values.len() as u64;
    let all = entries.iter().filter_map(|(_, value)| match value {
        Value::Series(series) if !series.values.is_empty() => Some(end(series)),
        _ => None,
    });
    let Some(last) = all.max() else { return };
    for (_, value) in entries {
        if let Value::Series(series) = value {
            let oldest = last.saturating_sub(series.count.into());
            let over = oldest.saturating_sub(series.first).min(series.values.len() as u64);
            series.values.drain(..over as usize);
            series.first += over;
            let missing = series.values.iter().position(Option::is_some).unwrap_or(series.values.len());
            series.values.drain(..missing);
            series.first += missing as u64;
            if !series.values.is_empty() {
                series.values.resize((last - series.first) as usize, None);
            }
            series.starts = (0..series.values.len() as u64).map(|idx| start(series, idx, clock)).collect();
        }
    }
}

fn start(series: &Series, idx: u64, clock: &dyn Clock) -> Start {
    let tai = (series.first + idx).saturating_mul(series.interval);
    let wall = (tai as i64).wrapping_add(clock.tai_to_wall());
    let text = |format| strftime(format, wall, Dialect::C, clock);
    Start { date: text("%Y-%m-%d"), time: text("%H:%M:%S"), nanoseconds: wall.rem_euclid(SECOND) as u32 }
}
