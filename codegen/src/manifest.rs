//! What the runtime must know to run an object: its probes, maps, actions and data.
//!
//! Stored as JSON in the object's `.kscope` section, so that a built object is self-contained; behind it
//! stand eight bytes of checksum of the whole file.

use crate::failure::Failure;
use crate::target::Target;
use lang::attach::Point;
use lang::hir::{Action, Config, Map};
use lang::source::{Sources, Span};
use lang::ty::TypeTable;
use serde::{Deserialize, Serialize};

/// The format's version; the runtime refuses others.
pub const VERSION: u32 = 3;

/// What the runtime must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`VERSION`]
    pub version: u32,
    /// What the code assumes.
    pub target: Target,
    /// Programs, in the order of the script's probes.
    pub programs: Vec<Program>,
    /// The script's maps and where they are stored.
    pub maps: Vec<MapEntry>,
    /// What to do when a record arrives, by id.
    pub actions: Vec<Action>,
    /// What to report when a record arrives with an id behind those of the actions.
    pub failures: Vec<Failure>,
    /// C types named by maps and actions.
    pub types: TypeTable,
    /// Settings.
    pub config: Config,
    /// The script's text, for messages.
    pub sources: Sources,
    /// Where the well-known data is.
    pub globals: Globals,
}

/// A program and where it is attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The symbol of its function.
    pub symbol: String,
    /// Where it is attached.
    pub points: Vec<Point>,
    /// The attach points in the script.
    pub span: Span,
    /// Instruction index (in 8-byte slots) and script text, ascending by index, for messages.
    pub lines: Vec<(u32, Span)>,
}

/// A script map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapEntry {
    /// Name, key, value.
    pub map: Map,
    /// Where its values are.
    pub storage: Storage,
    /// Offset in `.bss` of the u64 that counts updates refused because the map was full.
    pub full: Option<u32>,
}

/// Where a script map's values are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Storage {
    /// A scalar in `.bss`.
    Global {
        /// Offset of the value.
        offset: u32,
        /// Offset of the byte that is 1 once the scalar was written.
        set: u32,
    },
    /// A scalar aggregation: a per-CPU array with one entry. All zero until written; the first
    /// word behind the value (u64) is 1 once it was written.
    PerCpuScalar {
        /// The kernel map's symbol.
        map: String,
    },
    /// A kernel map with the script's keys.
    Keyed {
        /// The kernel map's symbol.
        map: String,
        /// Where the keys are long strings: the kernel map for those that fit its keys with their
        /// NUL. The keys of both are the same values.
        short: Option<String>,
        /// Whether each CPU has its own value.
        per_cpu: bool,
    },
}

/// Offsets of the well-known data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Globals {
    /// The ring buffer's symbol, when there is one.
    pub ring: Option<String>,
    /// In `.bss`: u64 count of lost events: records that did not fit the ring buffer, runs without
    /// scratch memory.
    pub lost: Option<u32>,
    /// Size of `.bss`; 0 for none.
    pub bss_size: u32,
    /// In `.rodata`: u64 process id of the child of `-c`.
    pub cpid: Option<u32>,
    /// In `.rodata`: u64 boot time in nanoseconds when the session started.
    pub start: Option<u32>,
    /// In `.rodata`: u64 number of processors.
    pub ncpus: Option<u32>,
}
