//! Messages to text: the only place that formats.

use crate::value::Value;
use lang::hir::Format as PrintfFormat;
use std::io;

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
    /// `print(value)`
    Value(&'a Value),
    /// `time`
    Time(&'a str),
    /// `join`
    Join(&'a str),
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
    },
}

/// Where messages go.
pub struct Output {
    format: Format,
    stdout: Box<dyn io::Write>,
    stderr: Box<dyn io::Write>,
}

impl Output {
    /// Script output to `stdout`, the rest to `stderr`.
    pub fn new(format: Format, stdout: Box<dyn io::Write>, stderr: Box<dyn io::Write>) -> Self {
        Output { format, stdout, stderr }
    }

    /// Prints one message. Errors are those of the writers; a closed pipe is one of them.
    pub fn message(&mut self, message: &Message<'_>) -> io::Result<()> {
        let _ = (message, self.format);
        self.stderr.flush()?;
        self.stdout.flush()
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}
