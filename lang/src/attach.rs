//! Attach points: `kprobe:vfs_*`, `tracepoint:sched:sched_switch`, `profile:hz:99`.
//!
//! Comes in: one attach point's text. Goes out: a [`Point`], or what is wrong with which part of
//! it. Whether the target exists is not asked here. The grammar is `attach.pest` beside this file.

mod grammar;
mod target;

use crate::diagnostic::Diagnostic;
use crate::probes::ProbeKind;
use crate::source::Span;
use serde::{Deserialize, Serialize};

/// An attach point taken apart; names may still hold `*` wildcards.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Target {
    /// `begin`, `end`
    None,
    /// `CATEGORY:EVENT`
    Tracepoint {
        /// May hold wildcards.
        category: String,
        /// May hold wildcards.
        event: String,
    },
    /// `[MODULE:]FUNCTION[+OFFSET]`; also raw tracepoints, with the event as the function.
    Function {
        /// The module, when given.
        module: Option<String>,
        /// May hold wildcards.
        name: String,
        /// Bytes behind the function's first instruction.
        offset: u64,
    },
    /// `0xffffffff81000000`: a raw kernel address.
    Address(u64),
    /// `PATH:FUNCTION[+OFFSET]`
    User {
        /// Path or short name, may hold wildcards.
        path: String,
        /// Symbol, may hold wildcards; empty with an address.
        symbol: String,
        /// Bytes behind the symbol, or a file address when there is no symbol.
        offset: u64,
    },
    /// `PATH:[PROVIDER:]NAME`
    Usdt {
        /// Path or short name, may hold wildcards.
        path: String,
        /// `*` where the attach point does not name one.
        provider: String,
        /// May hold wildcards.
        name: String,
        /// One of the probe's places; `None` until the file was read.
        location: Option<Location>,
    },
    /// `hz:99`, `s:1`, `500ms`
    Timer(Timer),
    /// `EVENT[:COUNT]`: one of [`crate::counters`].
    Counter {
        /// The name or alias, as it is written.
        name: String,
        /// Events from one firing to the next; `None` where the attach point does not say.
        count: Option<u64>,
    },
    /// `ADDRESS:LENGTH:MODE`
    Memory {
        /// Of the first byte, aligned to the length.
        address: u64,
        /// 1, 2, 4 or 8 bytes.
        length: u8,
        /// Which accesses count.
        access: Access,
    },
    /// `signal:SIGUSR1`: the only signal that leaves the tracer running.
    Signal,
    /// `IFACE[:native|skb]`
    Interface {
        /// The interface's name.
        name: String,
        /// How an XDP program is attached.
        mode: XdpMode,
    },
}

/// A place of a static probe in a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Location {
    /// Offset of the instruction.
    pub offset: u64,
    /// Offset of the u16 that counts who listens; 0 when there is none.
    pub semaphore: u64,
    /// As the note has them; see [`crate::usdt`].
    pub arguments: String,
}

/// How often a timer fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// So many times a second, at least once.
    Hertz(u64),
    /// Every so many units of time.
    Period(u64, Unit),
}

/// A unit of time, as in `interval:ms:10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Unit {
    /// `s`
    Seconds,
    /// `ms`
    Milliseconds,
    /// `us`
    Microseconds,
}

impl Unit {
    /// Its name in an attach point.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Seconds => "s",
            Unit::Milliseconds => "ms",
            Unit::Microseconds => "us",
        }
    }

    /// How long it is.
    pub fn nanoseconds(self) -> u64 {
        match self {
            Unit::Seconds => 1_000_000_000,
            Unit::Milliseconds => 1_000_000,
            Unit::Microseconds => 1_000,
        }
    }
}

/// The accesses that a watchpoint sees. x86 has no way to watch only reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Access {
    /// `w`
    Write,
    /// `rw`
    ReadWrite,
    /// `x`
    Execute,
}

impl Access {
    /// Its letters in an attach point.
    pub fn letters(self) -> &'static str {
        match self {
            Access::Write => "w",
            Access::ReadWrite => "rw",
            Access::Execute => "x",
        }
    }
}

/// How an XDP program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum XdpMode {
    /// The driver's way if it has one, else the generic way.
    Auto,
    /// Only in the driver.
    Native,
    /// The generic way.
    Skb,
}

/// A probe type and what to attach to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Point {
    /// The probe type.
    pub kind: ProbeKind,
    /// What to attach to.
    pub target: Target,
}

impl Point {
    /// The full name as `probe` prints it: `kprobe:vfs_read`, `tracepoint:sched:sched_switch`.
    pub fn name(&self) -> String {
        let kind = self.kind.name();
        match &self.target {
            Target::None => kind.to_owned(),
            Target::Tracepoint { category, event } => format!("{kind}:{category}:{event}"),
            Target::Function { module, name, offset } => {
                let module = module.as_ref().map_or(String::new(), |it| format!("{it}:"));
                let offset = if *offset == 0 { String::new() } else { format!("+{offset}") };
                format!("{kind}:{module}{name}{offset}")
            }
            Target::Address(address) => format!("{kind}:{address:#x}"),
            Target::User { path, symbol, offset } => match (symbol.as_str(), offset) {
                ("", address) => format!("{kind}:{path}:{address:#x}"),
                (symbol, 0) => format!("{kind}:{path}:{symbol}"),
                (symbol, offset) => format!("{kind}:{path}:{symbol}+{offset}"),
            },
            Target::Usdt { path, provider, name, .. } => format!("{kind}:{path}:{provider}:{name}"),
            Target::Timer(Timer::Hertz(hz)) => format!("{kind}:hz:{hz}"),
            Target::Timer(Timer::Period(n, unit)) => format!("{kind}:{}:{n}", unit.name()),
            Target::Counter { name, count: None } => format!("{kind}:{name}"),
            Target::Counter { name, count: Some(count) } => format!("{kind}:{name}:{count}"),
            Target::Memory { address, length, access } => {
                format!("{kind}:{address:#x}:{length}:{}", access.letters())
            }
            Target::Signal => format!("{kind}:signal:SIGUSR1"),
            Target::Interface { name, .. } => format!("{kind}:{name}"),
        }
    }
}

/// Takes an attach point apart. `params` are the positional parameters (`$1` is `params[0]`).
pub fn parse(text: &str, span: Span, params: &[String]) -> Result<Point, Diagnostic> {
    target::point(text, span, params)
}

/// Whether all of `text` is what `pattern` means, where `*` stands for any characters or none.
pub fn glob(pattern: &str, text: &str) -> bool {
    let Some((prefix, pattern)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let (middle, suffix) = pattern.rsplit_once('*').unwrap_or(("", pattern));
    let Some(mut rest) = text.strip_prefix(prefix).and_then(|it| it.strip_suffix(suffix)) else {
        return false;
    };
    // The first place that fits leaves the most to the parts behind it, so none is tried twice.
    for part in middle.split('*') {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests;
