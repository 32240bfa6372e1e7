//! What `errorf` and `warnf` say, in bpftrace's forms: text with its place, JSON as `errorf` and `warnf`.

use super::{json, printf, put};
use crate::value::Value;
use lang::diagnostic::expanded_from;
use lang::hir::Format;
use lang::source::{Sources, Span};

/// Whether it is an error, the format, the arguments.
type Said<'a> = (bool, &'a Format, &'a [Value]);

/// Appends `FILE:LINE:COLUMN-COLUMN: ERROR: …` and the end of the line, should it have none; for a call in
/// a macro also where that was used.
pub fn text(out: &mut Vec<u8>, said: Said<'_>, span: Span, sources: &Sources, trailer: &str) {
    let (error, format, args) = said;
    let source = sources.get(span.file);
    let (from, to) = (source.position(span.start), source.position(span.end));
    put(out, format_args!("{}:{}:{}-", source.name, from.line, from.column));
    // A call of several lines ends with the last of them.
    let severity = if error { "ERROR" } else { "WARNING" };
    put(out, format_args!("{}: {severity}: ", to.column));
    printf::printf(out, format, args, trailer);
    if !out.ends_with(b"\n") {
        out.push(b'\n');
    }
    out.extend_from_slice(expanded_from(span, sources).as_bytes());
}

/// Appends the JSON form.
pub fn json(out: &mut Vec<u8>, said: Said<'_>, span: Span, sources: &Sources, trailer: &str) {
    let (error, format, args) = said;
    let mut message = Vec::new();
    printf::printf(&mut message, format, args, trailer);
    put(out, format_args!("{{\"type\": \"{}\", \"msg\": ", if error { "errorf" } else { "warnf" }));
    json::string(out, &message);
    let source = sources.get(span.file);
    let place = source.position(span.start);
    put(out, ", \"filename\": ");
    json::string(out, source.name.as_bytes());
    put(out, format_args!(", \"line\": {}, \"col\": {}}}\n", place.line, place.column));
}
