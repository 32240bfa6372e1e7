//! Time series as graphs: a row for each interval, time running down, values to the right.

use super::{json, put};
use crate::value::{Series, Start};

/// Columns from the smallest to the largest value, both sides' lines among them.
const COLUMNS: usize = 53;

/// Units of time: nanoseconds, the name behind the seconds, digits.
const UNITS: [(u64, &str, usize); 4] =
    [(1_000_000_000, "", 0), (1_000_000, ".ms", 3), (1_000, ".us", 6), (1, ".ns", 9)];

/// Appends the graph.
pub fn text(out: &mut Vec<u8>, series: &Series) {
    let values = || series.values.iter().flatten().copied();
    let (Some(least), Some(most)) = (values().min(), values().max()) else {
        return put(out, "<no data>\n");
    };
    // A single value stands in the middle.
    let (least, most) = if least == most { (least - 1, most + 1) } else { (least, most) };
    let (_, unit, digits) = unit(series);
    let head = format!("hh:mm:ss{unit}");
    let width = (8 + if digits > 0 { digits + 1 } else { 0 }).max(head.len());
    let bounds = |out: &mut Vec<u8>| {
        let (least, most) = (least.to_string(), most.to_string());
        let gap = COLUMNS.saturating_sub(least.len() + most.len()).max(1);
        put(out, format_args!("{:width$} {least}{:gap$}{most}\n", "", ""));
    };
    let line = "_".repeat(COLUMNS - 2);
    bounds(out);
    put(out, format_args!("{head:<width$} |{line}|\n"));
    for (value, start) in series.values.iter().zip(&series.starts) {
        let row = row(*value, least, most);
        let shown = value.map_or("-".to_owned(), |it| it.to_string());
        put(out, format_args!("{:<width$} {row} {shown}\n", time(start, digits)));
    }
    put(out, format_args!("{:width$} v{line}v\n", ""));
    bounds(out);
}

/// The coarsest unit that tells intervals apart; a single interval is told exactly.
fn unit(series: &Series) -> (u64, &'static str, usize) {
    let exact = UNITS[UNITS.len() - 1];
    if series.values.len() == 1 {
        return exact;
    }
    UNITS.into_iter().find(|(size, ..)| series.interval.is_multiple_of(*size)).unwrap_or(exact)
}

fn time(start: &Start, digits: usize) -> String {
    match digits {
        0 => start.time.clone(),
        _ => format!("{}.{}", start.time, &format!("{:09}", start.nanoseconds)[..digits]),
    }
}

/// A row between its lines: a star for the value, and where zero is inside of the graph a point for it.
fn row(value: Option<i128>, least: i128, most: i128) -> String {
    let column = |n: i128| ((n - least) * (COLUMNS as i128 - 1) / (most - least)) as usize;
    let mut cells = vec![' '; COLUMNS];
    cells[0] = '|';
    cells[COLUMNS - 1] = '|';
    if least < 0 && most > 0 {
        cells[column(0)] = '.';
    }
    if let Some(value) = value {
        cells[column(value)] = '*';
    }
    cells.into_iter().collect()
}

/// Appends the intervals that have a value.
pub fn json(out: &mut Vec<u8>, series: &Series) {
    let intervals = series.values.iter().zip(&series.starts);
    put(out, "[");
    let mut first = true;
    for (value, start) in intervals {
        let Some(value) = value else { continue };
        put(out, if first { "" } else { "," });
        first = false;
        let Start { date, time, nanoseconds } = start;
        put(out, format_args!("{{\"interval_start\":\"{date} {time}.{nanoseconds:09}\",\"value\":"));
        json::number(out, *value);
        put(out, "}");
    }
    put(out, "]");
}
