//! What user space does when a record arrives, and the formats that it prints by.

use super::MapId;
use crate::source::Span;
use crate::ty::Ty;
use serde::{Deserialize, Serialize};

/// What user space does when a record of this id arrives. The record is a little-endian u64 id
/// and then the arguments laid out as a tuple from an 8-byte boundary; a record may be
/// cut short behind the used part of a last string or buffer, the missing bytes then count as zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// What to do.
    pub kind: ActionKind,
    /// Types of the arguments in the record.
    pub args: Vec<Ty>,
    /// The call.
    pub span: Span,
}

/// What an action does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActionKind {
    /// `printf(format, args…)`
    Printf(Format),
    /// `errorf(format, args…)`
    Errorf(Format),
    /// `warnf(format, args…)`
    Warnf(Format),
    /// `cat(format, args…)`: prints the file of that name.
    Cat(Format),
    /// `system(format, args…)`: runs that command.
    System(Format),
    /// `print(value)`: one argument.
    PrintValue,
    /// `print(@map)`, `print(@map, top)`, `print(@map, top, div)`: 0 to 2 integer arguments.
    PrintMap(MapId),
    /// `print(@map, "p50", …)`: what histograms tell of their values.
    PrintSummary(MapId, Vec<Summary>),
    /// `print(@map[key])`: the key, then the value.
    PrintEntry(MapId),
    /// `clear(@map)`
    Clear(MapId),
    /// `zero(@map)`
    Zero(MapId),
    /// `exit(code)`: one integer argument.
    Exit,
    /// `unwatch(address)`: one integer argument.
    Unwatch,
    /// `time(format)`
    Time(String),
    /// `join(strings, separator)`: one buffer of NUL-terminated strings.
    Join(String),
}

/// What a histogram tells of the values that are counted in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Summary {
    /// `"p99.9"`: the bucket of a percentile, in thousandths of a percent.
    Percentile(u32),
    /// `"average"`: between which numbers the average is.
    Average,
    /// `"total"`: between which numbers the sum is.
    Total,
}

impl ActionKind {
    /// The map that it reads or changes.
    pub fn map(&self) -> Option<MapId> {
        match *self {
            ActionKind::PrintMap(map)
            | ActionKind::PrintSummary(map, _)
            | ActionKind::PrintEntry(map)
            | ActionKind::Clear(map)
            | ActionKind::Zero(map) => Some(map),
            ActionKind::Printf(_)
            | ActionKind::Errorf(_)
            | ActionKind::Warnf(_)
            | ActionKind::Cat(_)
            | ActionKind::System(_)
            | ActionKind::PrintValue
            | ActionKind::Exit
            | ActionKind::Unwatch
            | ActionKind::Time(_)
            | ActionKind::Join(_) => None,
        }
    }
}

/// A parsed `printf` format.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// In order.
    pub pieces: Vec<Piece>,
}

/// A part of a format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Piece {
    /// Text as it stands (`%%` is already `%`).
    Text(String),
    /// The next argument.
    Conversion(Conversion),
}

/// `%[flags][width][.precision][length]conversion`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversion {
    /// `-`
    pub left: bool,
    /// `+`
    pub plus: bool,
    /// space
    pub space: bool,
    /// `#`
    pub alternate: bool,
    /// `0`
    pub zero: bool,
    /// Smallest number of characters.
    pub width: Width,
    /// Digits at least, or characters at most.
    pub precision: Option<Width>,
    /// Bytes that the length modifier means: `hh` 1, `h` 2, none 4, `l ll z j t` 8.
    pub length: u8,
    /// The letters: `d i u o x X c p s r rx rh gr`.
    pub letter: String,
}

/// A width or a precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Width {
    /// Not given.
    #[default]
    None,
    /// A number.
    Fixed(u32),
    /// `*`: the argument before the value.
    Argument,
}
