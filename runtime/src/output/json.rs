//! bpftrace's JSON form of messages, one object a line.
//!
//! Bytes that are not UTF-8 become U+FFFD, integers that a double cannot hold become strings.

use super::{put, text};
use crate::value::{Bucket, Value};

/// `{"type": "KIND", "data": DATA}` and the end of the line.
pub fn line(out: &mut Vec<u8>, kind: &str, data: impl FnOnce(&mut Vec<u8>)) {
    put(out, format_args!("{{\"type\": \"{kind}\", \"data\": "));
    data(out);
    put(out, "}\n");
}

/// A whole map. Histograms, and averages with `stats`, have a type of their own.
pub fn map(out: &mut Vec<u8>, name: &str, entries: &[(Option<Value>, Value)], trailer: &str) {
    let kind = match entries.first() {
        Some((_, Value::Hist(_))) => "hist",
        Some((_, Value::Avg(_) | Value::Stats { .. })) => "stats",
        _ => "map",
    };
    line(out, kind, |out| {
        put(out, "{");
        string(out, name.as_bytes());
        put(out, ": ");
        match entries {
            [(None, only)] => value(out, only, trailer),
            _ => keyed(out, entries, trailer),
        }
        put(out, "}");
    });
}

fn keyed(out: &mut Vec<u8>, entries: &[(Option<Value>, Value)], trailer: &str) {
    put(out, "{");
    for (idx, (key, entry)) in entries.iter().enumerate() {
        put(out, if idx == 0 { "" } else { ", " });
        let mut label = Vec::new();
        match key {
            Some(Value::Tuple(items)) => key_list(&mut label, items, trailer),
            Some(key) => self::key(&mut label, key, trailer),
            None => {}
        }
        string(out, &label);
        put(out, ": ");
        value(out, entry, trailer);
    }
    put(out, "}");
}

/// Appends a value.
pub fn value(out: &mut Vec<u8>, value: &Value, trailer: &str) {
    match value {
        Value::Bool(is) => put(out, is),
        Value::Int(n, _) | Value::Enum(n, _) => number(out, (*n).into()),
        Value::Uint(n, _) | Value::Pointer(n) => number(out, (*n).into()),
        Value::Avg(average) => number(out, *average),
        Value::Buf(bytes) => list(out, bytes, |out, byte| put(out, byte)),
        Value::Str { .. } | Value::Text(_) | Value::Address { .. } | Value::Stack(_) => {
            let mut plain = Vec::new();
            text::value(&mut plain, value, trailer);
            string(out, &plain);
        }
        Value::Tuple(items) | Value::Array(items) => {
            list(out, items, |out, item| self::value(out, item, trailer));
        }
        Value::Record(members) => {
            put(out, "{");
            for (idx, (name, member)) in members.iter().enumerate() {
                put(out, if idx == 0 { "" } else { ", " });
                string(out, name.as_bytes());
                put(out, ": ");
                self::value(out, member, trailer);
            }
            put(out, "}");
        }
        Value::Stats { count, average, total } => {
            put(out, "{\"count\": ");
            number(out, (*count).into());
            put(out, ", \"average\": ");
            number(out, *average);
            put(out, ", \"total\": ");
            number(out, *total);
            put(out, "}");
        }
        Value::Hist(histogram) => list(out, &histogram.buckets, bucket),
    }
}

/// `{"min": 2, "max": 3, "count": 1}`; an open end is left out.
fn bucket(out: &mut Vec<u8>, bucket: &Bucket) {
    put(out, "{");
    for (name, bound) in [("min", bucket.min), ("max", bucket.max)] {
        if let Some(bound) = bound {
            put(out, format_args!("\"{name}\": "));
            number(out, bound.into());
            put(out, ", ");
        }
    }
    put(out, "\"count\": ");
    number(out, bucket.count.into());
    put(out, "}");
}

/// A key's text: as in text output, but without spaces between its parts and before frames.
fn key(out: &mut Vec<u8>, value: &Value, trailer: &str) {
    match value {
        Value::Tuple(items) => {
            put(out, "(");
            key_list(out, items, trailer);
            put(out, ")");
        }
        Value::Array(items) => {
            put(out, "[");
            key_list(out, items, trailer);
            put(out, "]");
        }
        Value::Record(members) => {
            put(out, "{");
            for (idx, (name, member)) in members.iter().enumerate() {
                put(out, format_args!("{}.{name}=", if idx == 0 { "" } else { "," }));
                key(out, member, trailer);
            }
            put(out, "}");
        }
        Value::Stack(lines) => {
            put(out, "\n");
            for line in lines {
                // Also the blanks between the columns of `perf`'s mode are left out.
                let columns = if line.starts_with('\t') { 3 } else { 0 };
                put(out, format_args!("{}\n", line.trim_start_matches(' ').replacen(' ', "", columns)));
            }
        }
        _ => text::value(out, value, trailer),
    }
}

fn key_list(out: &mut Vec<u8>, items: &[Value], trailer: &str) {
    for (idx, item) in items.iter().enumerate() {
        put(out, if idx == 0 { "" } else { "," });
        key(out, item, trailer);
    }
}

/// A string in quotes.
pub fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, "\"");
    for character in String::from_utf8_lossy(bytes).chars() {
        match character {
            '"' => put(out, "\\\""),
            '\\' => put(out, "\\\\"),
            '\n' => put(out, "\\n"),
            '\r' => put(out, "\\r"),
            '\t' => put(out, "\\t"),
            '\0'..' ' => put(out, format_args!("\\u{:04x}", u32::from(character))),
            _ => put(out, character),
        }
    }
    put(out, "\"");
}

/// A number when it survives a reader that keeps numbers as doubles, else a string.
fn number(out: &mut Vec<u8>, n: i128) {
    if n as f64 as i128 == n { put(out, n) } else { put(out, format_args!("\"{n}\"")) }
}

fn list<T>(out: &mut Vec<u8>, items: &[T], each: impl Fn(&mut Vec<u8>, &T)) {
    put(out, "[");
    for (idx, item) in items.iter().enumerate() {
        put(out, if idx == 0 { "" } else { "," });
        each(out, item);
    }
    put(out, "]");
}
