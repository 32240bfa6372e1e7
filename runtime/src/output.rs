//! Messages to text: the only place that formats.
//!
//! Comes in: a [`Message`] with decoded values. Goes out: bytes on the script's output, or on
//! stderr for what is said about the run. A message is written as a whole or not at all, so that
//! lines never mix; script output is kept in blocks until [`Output::flush`].

mod failure;
mod gfp;
mod histogram;
mod json;
mod printf;
mod report;
mod series;
mod text;

use crate::value::{Bucket, Histogram, Value};
use codegen::failure::Failure;
use lang::diagnostic::counted;
use lang::hir::{Format as PrintfFormat, MapKind, Summary};
use lang::source::{Sources, Span};
use std::borrow::Cow;
use std::io::{self, BufWriter, Write};

/// An output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// bpftrace's text.
    Text,
    /// bpftrace's JSON, one object a line.
    Json,
}

/// Something to print on the script's output.
#[derive(Clone, Debug, PartialEq)]
pub enum Message<'a> {
    /// How many probes are attached. (JSON only; as text this goes to stderr.)
    Attached(usize),
    /// `printf`
    Printf(&'a PrintfFormat, &'a [Value]),
    /// `errorf` and `warnf`, with their place.
    Report {
        /// `errorf` rather than `warnf`.
        error: bool,
        /// What it says.
        format: &'a PrintfFormat,
        /// Its arguments.
        args: &'a [Value],
        /// The call.
        span: Span,
        /// The script.
        sources: &'a Sources,
    },
    /// `cat`
    Cat(&'a [u8]),
    /// `system`: what the command wrote.
    System(&'a [u8]),
    /// An action that went wrong in user space.
    Trouble(&'a str),
    /// `print(value)`
    Value(&'a Value),
    /// `time`
    Time(&'a str),
    /// `join`
    Join(&'a [u8]),
    /// A whole map, entries already sorted.
    Map {
        /// With its `@`.
        name: &'a str,
        /// Key (`None` for a scalar) and value; several keys are a [`Value::Tuple`].
        entries: &'a [(Option<Value>, Value)],
        /// `print(@m, top)`: how many of the largest.
        top: Option<u64>,
        /// `print(@m, top, div)`: what values are divided by.
        div: u64,
    },
    /// The run is over, maps may follow. (Text only: two empty lines.)
    End,
    /// Records that did not fit the ring buffer.
    Lost(u64),
    /// Updates refused because a map was full, since the last such message.
    MapFull {
        /// With its `@`.
        name: &'a str,
        /// How many.
        refused: u64,
        /// The map's size.
        max_entries: u32,
        /// Of an array these were behind its end.
        kind: MapKind,
    },
    /// Something went wrong at a place of the script.
    Failure {
        /// Where, and how.
        failure: &'a Failure,
        /// What the helper returned; the last one of several.
        code: i64,
        /// How often. More than one: since the last message about this place.
        count: u64,
        /// The script.
        sources: &'a Sources,
    },
}

/// When script output is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Buffering {
    /// With the lines of one round of events, at once.
    #[default]
    Line,
    /// When a block is full, and at the end.
    Full,
    /// With every message.
    None,
}

/// Where messages go.
pub struct Output {
    format: Format,
    buffering: Buffering,
    stdout: BufWriter<Box<dyn Write>>,
    stderr: Box<dyn Write>,
    trailer: String,
    /// A message while it is built; kept for its memory.
    scratch: Vec<u8>,
}

/// Bytes of script output kept before they are written.
const BLOCK: usize = 64 * 1024;

impl Output {
    /// Script output to `stdout`, the rest to `stderr`.
    pub fn new(format: Format, stdout: Box<dyn Write>, stderr: Box<dyn Write>) -> Self {
        let stdout = BufWriter::with_capacity(BLOCK, stdout);
        Output {
            format,
            buffering: Buffering::Line,
            stdout,
            stderr,
            trailer: "..".to_owned(),
            scratch: Vec::new(),
        }
    }

    /// Puts this behind strings that were cut, instead of `..`.
    pub fn with_trailer(self, trailer: &str) -> Self {
        Output { trailer: trailer.to_owned(), ..self }
    }

    /// Writes at these times instead of [`Buffering::Line`]'s.
    pub fn buffered(self, buffering: Buffering) -> Self {
        Output { buffering, ..self }
    }

    /// Prints one message. Errors are those of the script's output; a closed pipe is one of them.
    pub fn message(&mut self, message: &Message<'_>) -> io::Result<()> {
        self.scratch.clear();
        match self.format {
            Format::Text => self.text(message),
            Format::Json => self.json(message),
        }
        let about_the_run = matches!(
            message,
            Message::MapFull { .. }
                | Message::Lost(_)
                | Message::Attached(_)
                | Message::Failure { .. }
                | Message::Report { .. }
        );
        // There is no object for trouble.
        let trouble = matches!(message, Message::Trouble(_));
        if trouble || self.format == Format::Text && about_the_run {
            // What the script printed before comes first, should both be one terminal.
            self.stdout.flush()?;
            // Without stderr there is no way to say so, and the script's output matters more.
            let _ = self.stderr.write_all(&self.scratch).and_then(|()| self.stderr.flush());
            return Ok(());
        }
        self.stdout.write_all(&self.scratch)?;
        if self.buffering == Buffering::None { self.stdout.flush() } else { Ok(()) }
    }

    /// Writes out what is buffered, unless only full blocks are to be written.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.buffering == Buffering::Full { Ok(()) } else { self.stdout.flush() }
    }

    /// Writes out what is buffered: there will be no more.
    pub fn end(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }

    fn text(&mut self, message: &Message<'_>) {
        let (out, trailer) = (&mut self.scratch, self.trailer.as_str());
        match message {
            Message::Attached(1) => out.extend_from_slice(b"Attached 1 probe\n"),
            Message::Attached(n) => put(out, format_args!("Attached {n} probes\n")),
            Message::Printf(format, args) => printf::printf(out, format, args, trailer),
            Message::Report { error, format, args, span, sources } => {
                report::text(out, (*error, format, args), *span, sources, trailer);
            }
            Message::Cat(bytes) => out.extend_from_slice(bytes),
            Message::System(bytes) => {
                out.extend_from_slice(bytes);
                out.push(b'\n');
            }
            Message::Trouble(what) => put(out, format_args!("ERROR: {what}\n")),
            Message::Value(value) => {
                text::value(out, value, trailer);
                out.push(b'\n');
            }
            Message::Time(text) => out.extend_from_slice(text.as_bytes()),
            Message::Join(text) => {
                out.extend_from_slice(text);
                out.push(b'\n');
            }
            Message::Map { name, entries, top, div } => {
                text::map(out, name, &chosen(entries, *top, *div), trailer);
            }
            Message::End => out.extend_from_slice(b"\n\n"),
            Message::Lost(n) => put(out, format_args!("Lost {n} events\n")),
            Message::Failure { failure, code, count, sources } => {
                failure::text(out, failure, *code, *count, sources);
            }
            Message::MapFull { name, refused, max_entries, kind } => {
                let updates =
                    if *refused == 1 { "1 update was".to_owned() } else { format!("{refused} updates were") };
                let size = u64::from(*max_entries);
                let (fact, advice) = match kind {
                    MapKind::Array => (
                        format!("has {}: {updates} behind its end", counted(size, "value")),
                        format!(
                            "its indices are 0 to {}; declare it larger: `let {name} = array(…)`",
                            size.saturating_sub(1)
                        ),
                    ),
                    kind => {
                        let declared = format!("`let {name} = {}({})`", kind.name(), size * 2);
                        let advice = match kind {
                            MapKind::Hash => "raise max_map_keys, or declare the map's size",
                            _ => "declare it larger",
                        };
                        let fact = format!("is full, it holds {}: {updates} refused", counted(size, "key"));
                        (fact, format!("{advice}: {declared}"))
                    }
                };
                put(out, format_args!("WARNING: map {name} {fact}\nHINT: {advice}\n"));
            }
        }
    }

    fn json(&mut self, message: &Message<'_>) {
        let (out, trailer) = (&mut self.scratch, self.trailer.as_str());
        match message {
            Message::Attached(n) => put(
                out,
                format_args!(
                    "{{\"type\": \"attached_probes\", \"count\": {n}, \"data\": {{\"probes\": {n}}}}}\n"
                ),
            ),
            Message::Printf(format, args) => {
                let mut plain = Vec::new();
                printf::printf(&mut plain, format, args, trailer);
                json::line(out, "printf", |out| json::string(out, &plain));
            }
            Message::Report { error, format, args, span, sources } => {
                report::json(out, (*error, format, args), *span, sources, trailer);
            }
            Message::Cat(bytes) => json::line(out, "cat", |out| json::string(out, bytes)),
            Message::System(bytes) => json::line(out, "syscall", |out| json::string(out, bytes)),
            Message::Trouble(what) => put(out, format_args!("ERROR: {what}\n")),
            Message::Value(value) => json::line(out, "value", |out| json::value(out, value, trailer)),
            Message::Time(text) => json::line(out, "time", |out| json::string(out, text.as_bytes())),
            Message::Join(text) => json::line(out, "join", |out| json::string(out, text)),
            Message::Map { name, entries, top, div } => {
                json::map(out, name, &chosen(entries, *top, *div), trailer);
            }
            Message::End => {}
            Message::Lost(n) => put(
                out,
                format_args!(
                    "{{\"type\": \"lost_events\", \"count\": {n}, \"data\": {{\"events\": {n}}}}}\n"
                ),
            ),
            Message::Failure { failure, code, count, sources } => {
                failure::json(out, failure, *code, *count, sources);
            }
            Message::MapFull { name, refused, max_entries, .. } => {
                put(
                    out,
                    "{\"type\": \"helper_error\", \"msg\": \"Argument list too long\", \
                     \"helper\": \"map_update_elem\", \"retcode\": -7, \"map\": ",
                );
                json::string(out, name.as_bytes());
                put(out, format_args!(", \"count\": {refused}, \"max_entries\": {max_entries}}}\n"));
            }
        }
    }
}

/// A format filled in: the name of a file, a command.
pub fn formatted(format: &PrintfFormat, args: &[Value]) -> Vec<u8> {
    let mut text = Vec::new();
    printf::printf(&mut text, format, args, "");
    text
}

/// The number of a histogram's values and what else it tells of them, as a record.
pub fn summary(histogram: &Histogram, parts: &[Summary]) -> Value {
    let total = histogram.total();
    let count = ("count".to_owned(), Value::Uint(total as u64, 8));
    let parts = parts.iter().map(|&part| {
        let (name, text) = match part {
            Summary::Percentile(thousandths) => {
                let name = format!("p{}", f64::from(thousandths) / 1000.0);
                (name, histogram::percentile(histogram, thousandths))
            }
            Summary::Average => ("average".to_owned(), histogram::average(histogram)),
            Summary::Total => ("total".to_owned(), histogram::total(histogram)),
        };
        (name, Value::Text(text))
    });
    Value::Record([count].into_iter().chain(parts).collect())
}

/// The entries that `print` shows: the last `top` (all for 0), with values divided by `div`.
fn chosen(
    entries: &[(Option<Value>, Value)],
    top: Option<u64>,
    div: u64,
) -> Cow<'_, [(Option<Value>, Value)]> {
    let skipped = match top {
        None | Some(0) => 0,
        Some(top) => entries.len().saturating_sub(usize::try_from(top).unwrap_or(usize::MAX)),
    };
    let shown = &entries[skipped..];
    if div <= 1 {
        return Cow::Borrowed(shown);
    }
    Cow::Owned(shown.iter().map(|(key, value)| (key.clone(), divided(value, div))).collect())
}

/// A value divided by `div`: integers, averages, and the counts of `hist` (not of `lhist`, as in
/// bpftrace).
fn divided(value: &Value, div: u64) -> Value {
    let wide = i128::from(div);
    match value {
        Value::Int(n, size) => Value::Int((i128::from(*n) / wide) as i64, *size),
        Value::Uint(n, size) => Value::Uint(n / div, *size),
        Value::Avg(average) => Value::Avg(average / wide),
        Value::Stats { count, average, total } => {
            Value::Stats { count: *count, average: average / wide, total: *total }
        }
        Value::Hist(Histogram { buckets, scale: scale @ crate::value::Scale::Power { .. } }) => {
            let divide = |bucket: &Bucket| Bucket { count: bucket.count / div, ..*bucket };
            Value::Hist(Histogram { buckets: buckets.iter().map(divide).collect(), scale: *scale })
        }
        _ => value.clone(),
    }
}

/// Appends text.
fn put(out: &mut Vec<u8>, text: impl std::fmt::Display) {
    write!(out, "{text}").expect("memory can be written");
}

#[cfg(test)]
mod tests;
