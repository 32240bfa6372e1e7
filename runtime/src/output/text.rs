//! bpftrace's text form of values and maps.

use super::{histogram, put};
use crate::value::Value;

/// Appends a value. `trailer` goes behind strings that were cut.
pub fn value(out: &mut Vec<u8>, value: &Value, trailer: &str) {
    match value {
        Value::Bool(is) => put(out, is),
        Value::Int(n, _) => put(out, n),
        Value::Uint(n, _) => put(out, n),
        Value::Enum(_, Some(name)) => put(out, name),
        Value::Enum(n, None) => put(out, n),
        Value::Pointer(address) => put(out, format_args!("{address:#x}")),
        Value::Str { bytes, cut } => {
            out.extend_from_slice(bytes);
            if *cut {
                put(out, trailer);
            }
        }
        Value::Buf(bytes) => out.extend(escaped(bytes)),
        Value::Text(text) | Value::Address { text, .. } => put(out, text),
        Value::Stack(lines) => {
            out.push(b'\n');
            lines.iter().for_each(|line| put(out, format_args!("{line}\n")));
        }
        Value::Tuple(items) => {
            out.push(b'(');
            list(out, items, ", ", trailer);
            out.push(b')');
        }
        Value::Record(members) => {
            put(out, "{");
            for (idx, (name, member)) in members.iter().enumerate() {
                put(out, format_args!("{} .{name} = ", if idx == 0 { "" } else { "," }));
                self::value(out, member, trailer);
            }
            put(out, " }");
        }
        Value::Array(items) => {
            out.push(b'[');
            list(out, items, ",", trailer);
            out.push(b']');
        }
        Value::Avg(average) => put(out, average),
        Value::Stats { count, average, total } => {
            put(out, format_args!("{{ .count = {count}, .average = {average}, .total = {total} }}"));
        }
        Value::Hist(histogram) => histogram::text(out, histogram),
    }
}

/// Appends a map's entries; those of a histogram take several lines and end with an empty one.
pub fn map(out: &mut Vec<u8>, name: &str, entries: &[(Option<Value>, Value)], trailer: &str) {
    for (key, value) in entries {
        put(out, name);
        if let Some(key) = key {
            out.push(b'[');
            match key {
                Value::Tuple(items) => list(out, items, ", ", trailer),
                _ => self::value(out, key, trailer),
            }
            out.push(b']');
        }
        put(out, if matches!(value, Value::Hist(_)) { ":\n" } else { ": " });
        self::value(out, value, trailer);
        out.push(b'\n');
    }
}

/// A buffer's bytes: what is printable ASCII as it is, the rest as `\x01`.
pub fn escaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b' '..=b'~' => out.push(byte),
            _ => put(&mut out, format_args!("\\x{byte:02x}")),
        }
    }
    out
}

fn list(out: &mut Vec<u8>, items: &[Value], between: &str, trailer: &str) {
    for (idx, item) in items.iter().enumerate() {
        put(out, if idx == 0 { "" } else { between });
        value(out, item, trailer);
    }
}
