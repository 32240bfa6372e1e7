//! Where everything that outlives one event is kept: a typed program in, its kernel maps and the
//! layout of its global data out. Lowering addresses memory by this plan and the linker describes
//! it to the runtime in the manifest; neither decides anything about storage itself.
//!
//! | script | kernel |
//! | --- | --- |
//! | scalar value | `.bss`: the value and behind it a byte that is 1 once it was written |
//! | scalar aggregation | per-CPU array of one entry: the words and a u64 that is 1 once written |
//! | keyed value | hash; of long strings two: one with small keys for those that are short |
//! | `array` | array, per CPU when it aggregates |
//! | `lpm` | LPM trie |
//! | keyed aggregation | per-CPU hash; all buckets of a histogram in one value |

use crate::ir::{Globals, KernelMap, KernelMapKind, Map};
use crate::lower::FEW_ROUNDS;
use crate::lower::nesting::Nesting;
use crate::manifest::{self, Storage};
use crate::target::{KernelVersion, Target};
use crate::visit;
use lang::builtins::Builtin;
use lang::hir::{self, BinaryOp, Expr, ExprKind, MapKind, Stmt, StmtKind};
use lang::layout::size_of;
use lang::ty::Ty;

/// `BPF_F_NO_PREALLOC`: entries are allocated when they are inserted.
const NO_PREALLOC: u32 = 1;
/// `BPF_F_RDONLY_PROG`: the program only reads.
const READ_ONLY_PROGRAM: u32 = 0x80;
/// `BPF_F_MMAPABLE`: user space may map the value.
const MAPPABLE: u32 = 0x400;
/// Per-CPU maps with more bytes than this for each CPU are not allocated in advance.
const PREALLOCATED_LIMIT: u64 = 1 << 20;
/// Bytes of the keys of kernel maps for short strings.
pub const SHORT_KEY: u32 = 64;
/// Runs of preemptible programs that one CPU has room for.
pub const MOST_SLOTS: u32 = 64;
/// The same for runs that need much memory.
const LEAST_SLOTS: u32 = 8;
/// Bytes for all of them, where so many fit.
const SLOTS_BYTES: u32 = 128 << 10;
/// What the kernel keeps of a map's name.
const NAME_LIMIT: usize = 15;

/// The storage of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Kernel maps, except the scratch map: only lowering knows its size.
    pub maps: Vec<KernelMap>,
    /// The data maps.
    pub globals: Globals,
    /// Script maps; indexed by [`hir::MapId`].
    pub entries: Vec<Entry>,
    /// The ring buffer, when there is an action or something may fail.
    pub events: Option<Map>,
    /// Offset in `.bss` of the u64 that counts lost events: records that did not fit the ring
    /// buffer, runs without scratch memory. There are none without it.
    pub lost: Option<u32>,
    /// Offset in `.rodata` of the u64 process id of the child.
    pub cpid: Option<u32>,
    /// Offset in `.rodata` of the u64 boot time when the session started.
    pub start: Option<u32>,
    /// Offset in `.bss` of bytes that stay zero: templates of first values, tails of strings.
    pub zeros: u32,
    /// How many such bytes there are.
    pub zeros_size: u32,
}

/// Where one script map's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The memory.
    pub place: Place,
    /// Offset in `.bss` of the u64 that counts updates refused because the map was full.
    pub full: Option<u32>,
}

/// The memory of a script map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In `.bss`.
    Global {
        /// Offset of the value.
        offset: u32,
        /// Offset of the byte that is 1 once it was written.
        set: u32,
    },
    /// The only entry of a per-CPU array.
    PerCpuScalar(Map),
    /// A kernel map with the script's keys.
    Keyed {
        /// Which one.
        map: Map,
        /// Where the keys are long strings: the one for strings that fit [`SHORT_KEY`].
        short: Option<Map>,
        /// Whether each CPU has its own value.
        per_cpu: bool,
        /// Whether the key is an index, every one of which is there from the start.
        index: bool,
    },
}

/// Plans the storage of a program.
pub fn plan(program: &hir::Program, target: &Target) -> Plan {
    let mut planner = Planner { program, target, maps: Vec::new(), bss: Region::default() };
    let sends = sends_records(program);
    let loses = sends || Nesting::Preemptible.is_among(program, target);
    let lost = loses.then(|| planner.bss.take(8, 8));
    let entries: Vec<Entry> = (0..program.maps.len()).map(|idx| planner.entry(idx)).collect();
    let zeros_size = zeros_size(program);
    let zeros = planner.bss.take(zeros_size, 8);

    let mut rodata = Region::default();
    let cpid = uses(program, Builtin::Cpid).then(|| rodata.take(8, 8));
    let start = uses(program, Builtin::Elapsed).then(|| rodata.take(8, 8));

    let (bss_size, rodata_size) = (planner.bss.size(), rodata.size());
    let mut maps = planner.maps;
    let globals = Globals {
        rodata: (rodata_size > 0).then(|| push(&mut maps, data("rodata", rodata_size, READ_ONLY_PROGRAM))),
        rodata_init: vec![0; rodata_size as usize],
        bss: (bss_size > 0).then(|| push(&mut maps, data("bss", bss_size, MAPPABLE))),
        bss_size,
    };
    let events = sends.then(|| push(&mut maps, ring(program.config.perf_rb_pages)));
    Plan { maps, globals, entries, events, lost, cpid, start, zeros, zeros_size }
}

/// The per-CPU array of one entry in which programs keep what is too large for their stacks.
pub fn scratch_map(size: u32) -> KernelMap {
    let kind = KernelMapKind::PerCpuArray;
    KernelMap { kind, ..data("scratch", size, 0) }
}

/// The per-CPU array whose entries are the scratch memory of one run each.
pub fn slots_map(size: u32) -> KernelMap {
    let max_entries = (SLOTS_BYTES / size.max(1)).clamp(LEAST_SLOTS, MOST_SLOTS);
    KernelMap { kind: KernelMapKind::PerCpuArray, max_entries, ..data("slots", size, 0) }
}

/// Adds a kernel map.
pub fn push(maps: &mut Vec<KernelMap>, map: KernelMap) -> Map {
    maps.push(map);
    Map((maps.len() - 1) as u32)
}

impl Plan {
    /// A script map's place as the manifest says it.
    pub fn storage(&self, map: hir::MapId) -> Storage {
        let name = |map: Map| self.maps[map.index()].name.clone();
        match self.entries[map.0 as usize].place {
            Place::Global { offset, set } => Storage::Global { offset, set },
            Place::PerCpuScalar(map) => Storage::PerCpuScalar { map: name(map) },
            Place::Keyed { map, short, per_cpu, .. } => {
                Storage::Keyed { map: name(map), short: short.map(name), per_cpu }
            }
        }
    }

    /// The well-known data as the manifest says it.
    pub fn manifest_globals(&self) -> manifest::Globals {
        manifest::Globals {
            ring: self.events.map(|map| self.maps[map.index()].name.clone()),
            lost: self.lost,
            bss_size: self.globals.bss_size,
            cpid: self.cpid,
            start: self.start,
        }
    }
}

struct Planner<'a> {
    program: &'a hir::Program,
    target: &'a Target,
    maps: Vec<KernelMap>,
    bss: Region,
}

impl Planner<'_> {
    fn entry(&mut self, idx: usize) -> Entry {
        let map = &self.program.maps[idx];
        let value_size = size_of(&map.value, &self.program.types);
        let Some(key) = &map.key else {
            return Entry { place: self.scalar(idx, map, value_size), full: None };
        };
        let per_cpu = map.agg().is_some() || matches!(map.kind, MapKind::PerCpuHash | MapKind::PerCpuLruHash);
        let kind = match (map.kind, per_cpu) {
            (MapKind::Hash | MapKind::PerCpuHash, true) => KernelMapKind::PerCpuHash,
            (MapKind::Hash | MapKind::PerCpuHash, false) => KernelMapKind::Hash,
            (MapKind::LruHash | MapKind::PerCpuLruHash, true) => KernelMapKind::LruPerCpuHash,
            (MapKind::LruHash | MapKind::PerCpuLruHash, false) => KernelMapKind::LruHash,
            (MapKind::Array, true) => KernelMapKind::PerCpuArray,
            (MapKind::Array, false) => KernelMapKind::Array,
            (MapKind::Lpm, _) => KernelMapKind::LpmTrie,
        };
        let mut kernel_map = KernelMap {
            name: symbol('m', idx, &map.name),
            kind,
            key_size: size_of(key, &self.program.types),
            value_size,
            max_entries: map.max_entries,
            flags: self.allocation(kind, map.max_entries, value_size),
            script: Some(hir::MapId(idx as u32)),
        };
        // An LRU map decides over all its keys which one goes.
        let lru = matches!(map.kind, MapKind::LruHash | MapKind::PerCpuLruHash);
        let short = (matches!(key, Ty::Str(_)) && kernel_map.key_size > SHORT_KEY && !lru).then(|| {
            let name = symbol('s', idx, &map.name);
            let short = KernelMap { name, key_size: SHORT_KEY, ..kernel_map.clone() };
            kernel_map.flags |= self.sparse();
            push(&mut self.maps, short)
        });
        let map = push(&mut self.maps, kernel_map);
        let index = kind == KernelMapKind::Array || kind == KernelMapKind::PerCpuArray;
        Entry { place: Place::Keyed { map, short, per_cpu, index }, full: Some(self.bss.take(8, 8)) }
    }

    fn scalar(&mut self, idx: usize, map: &hir::Map, value_size: u32) -> Place {
        if map.agg().is_some() {
            let name = symbol('m', idx, &map.name);
            let kernel_map = KernelMap {
                name,
                kind: KernelMapKind::PerCpuArray,
                script: Some(hir::MapId(idx as u32)),
                ..data("", value_size + 8, 0)
            };
            return Place::PerCpuScalar(push(&mut self.maps, kernel_map));
        }
        // The byte stands behind its value so that a write touches one cache line.
        let offset = self.bss.take(value_size, 8);
        Place::Global { offset, set: self.bss.take(1, 1) }
    }

    /// Preallocated entries never fail in interrupts, so they are the rule. Histograms of
    /// thousands of keys are the exception, as are long strings (of which most scripts see few):
    /// they would take megabytes on each CPU. LRU maps always preallocate.
    fn allocation(&self, kind: KernelMapKind, entries: u32, value_size: u32) -> u32 {
        let bytes = u64::from(entries) * u64::from(value_size);
        match kind {
            KernelMapKind::PerCpuHash if bytes > PREALLOCATED_LIMIT => self.sparse(),
            KernelMapKind::LpmTrie => NO_PREALLOC,
            _ => 0,
        }
    }

    /// The flag of hash maps without preallocation. Kernels before 6.1 refuse these in perf event
    /// programs.
    fn sparse(&self) -> u32 {
        if self.target.kernel >= KernelVersion(6, 1) { NO_PREALLOC } else { 0 }
    }
}

/// Global data that grows.
#[derive(Default)]
struct Region {
    used: u32,
}

impl Region {
    fn take(&mut self, size: u32, align: u32) -> u32 {
        let offset = self.used.next_multiple_of(align);
        self.used = offset + size;
        offset
    }

    fn size(&self) -> u32 {
        self.used.next_multiple_of(8)
    }
}

/// A symbol of a script map, unique by its index within what the kernel keeps of it.
fn symbol(letter: char, idx: usize, name: &str) -> String {
    let letters = name.chars().filter(|it| it.is_ascii_alphanumeric() || *it == '_');
    let mut symbol: String = format!("{letter}{idx}_").chars().chain(letters).collect();
    symbol.truncate(NAME_LIMIT);
    symbol
}

fn data(name: &str, size: u32, flags: u32) -> KernelMap {
    KernelMap {
        name: name.to_owned(),
        kind: KernelMapKind::Array,
        key_size: 4,
        value_size: size,
        max_entries: 1,
        flags,
        script: None,
    }
}

fn ring(pages: Option<u32>) -> KernelMap {
    KernelMap {
        kind: KernelMapKind::RingBuf,
        key_size: 0,
        max_entries: pages.unwrap_or(0).saturating_mul(4096),
        ..data("events", 0, 0)
    }
}

/// The largest thing that must be zeros: an aggregation's first value, what a missing entry of a
/// keyed map reads as, the tail of a string or stack. Loops need eight bytes that the verifier
/// does not know to be zero.
fn zeros_size(program: &hir::Program) -> u32 {
    let size = |ty: &Ty| if ty.is_scalar() { 0 } else { size_of(ty, &program.types) };
    // The word behind a scalar aggregation is emptied with it.
    let values = program.maps.iter().map(|it| size(&it.value) + if it.agg().is_some() { 8 } else { 0 });
    let mut largest = values.max().unwrap_or(0);
    for (locals, body) in program.bodies() {
        let mut loops = false;
        let mut longest = locals.iter().map(|it| size(&it.ty)).max().unwrap_or(0);
        visit::each_stmt(body, &mut |stmt| loops |= is_loop(stmt), &mut |expr| match expr.ty {
            // Foreign memory, of which only parts are copied.
            Ty::Struct(_) | Ty::Array(..) => {}
            _ => longest = longest.max(size(&expr.ty)),
        });
        largest = largest.max(longest).max(if loops { 8 } else { 0 });
    }
    largest
}

fn is_loop(stmt: &Stmt) -> bool {
    matches!(stmt.kind, StmtKind::While { .. } | StmtKind::ForRange { .. } | StmtKind::ForMap { .. })
}

/// Whether anything is sent to user space: actions, or reports of failures.
fn sends_records(program: &hir::Program) -> bool {
    let mut sends = !program.actions.is_empty() || program.config.report_failures;
    for (_, body) in program.bodies() {
        let (mut endless, mut fails) = (false, false);
        visit::each_stmt(
            body,
            &mut |stmt| {
                endless |= match &stmt.kind {
                    StmtKind::While { .. } => true,
                    StmtKind::ForRange { start, end, .. } => !is_short(start, end),
                    _ => false,
                };
            },
            &mut |expr| {
                fails |= match &expr.kind {
                    ExprKind::Binary(BinaryOp::Div | BinaryOp::Mod, _, by) => !is_constant(by),
                    ExprKind::Element(_, index) => !is_constant(index),
                    _ => false,
                };
            },
        );
        sends |= endless || fails;
    }
    sends
}

/// Whether a range is one that the kernel's limit never ends.
fn is_short(start: &Expr, end: &Expr) -> bool {
    match (&start.kind, &end.kind) {
        (ExprKind::Const(start), ExprKind::Const(end)) => end.saturating_sub(*start) <= FEW_ROUNDS,
        _ => false,
    }
}

fn is_constant(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Const(_) => true,
        ExprKind::Cast(inner) => expr.ty != Ty::Bool && is_constant(inner),
        _ => false,
    }
}

fn uses(program: &hir::Program, builtin: Builtin) -> bool {
    let mut found = false;
    for (_, body) in program.bodies() {
        visit::each_expr(body, &mut |expr| {
            found |= matches!(&expr.kind, ExprKind::Builtin(it, _) if *it == builtin);
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use lang::hir::{Config, MapId};
    use lang::source::{Sources, Span};
    use lang::ty::{Agg, TypeTable};

    #[test]
    fn symbols_are_unique_in_what_the_kernel_keeps() {
        let cases = [
            (0, "@", "m0_"),
            (1, "@start", "m1_start"),
            (12, "@a_very_long_map_name", "m12_a_very_long"),
            (13, "@a_very_long_map_name2", "m13_a_very_long"),
        ];
        for (idx, name, expected) in cases {
            assert_eq!(symbol('m', idx, name), expected);
        }
    }

    fn plan_of(maps: Vec<(Option<Ty>, Ty, MapKind)>) -> Plan {
        let map = |(key, value, kind)| hir::Map {
            name: "@".to_owned(),
            key,
            value,
            kind,
            max_entries: 4096,
            span: Span::default(),
        };
        let program = hir::Program {
            sources: Sources::default(),
            types: TypeTable::default(),
            maps: maps.into_iter().map(map).collect(),
            actions: vec![],
            probes: vec![],
            functions: vec![],
            config: Config::default(),
            parameters: Vec::new(),
        };
        plan(&program, &Target::for_kernel(KernelVersion(6, 12)))
    }

    #[test]
    fn every_kind_of_map_has_its_storage() {
        use KernelMapKind::*;
        let count = || Ty::Agg(Agg::Count);
        for (key, value, kind, expected) in [
            (Some(Ty::U32), Ty::I64, MapKind::Hash, (Hash, 4, 8, 0)),
            (Some(Ty::U32), Ty::I64, MapKind::LruHash, (LruHash, 4, 8, 0)),
            (Some(Ty::U32), Ty::I64, MapKind::PerCpuHash, (PerCpuHash, 4, 8, 0)),
            (Some(Ty::Str(16)), count(), MapKind::Hash, (PerCpuHash, 16, 8, 0)),
            (Some(Ty::U64), count(), MapKind::LruHash, (LruPerCpuHash, 8, 8, 0)),
            (Some(Ty::U64), Ty::Agg(Agg::Hist { bits: 0 }), MapKind::Hash, (PerCpuHash, 8, 520, NO_PREALLOC)),
            (None, count(), MapKind::Hash, (PerCpuArray, 4, 16, 0)),
        ] {
            let plan = plan_of(vec![(key, value, kind)]);
            let map = &plan.maps[0];
            assert_eq!((map.kind, map.key_size, map.value_size, map.flags), expected);
            assert_eq!(map.script, Some(MapId(0)));
        }
    }

    #[test]
    fn long_strings_are_kept_apart_from_short_ones() {
        let keys = |kind| {
            let plan = plan_of(vec![(Some(Ty::Str(1024)), Ty::I64, kind)]);
            let maps = plan.maps.iter().filter(|it| it.script.is_some());
            let found: Vec<(String, u32, u32)> =
                maps.map(|it| (it.name.clone(), it.key_size, it.flags)).collect();
            (found, plan.storage(MapId(0)))
        };
        let (map, short) = ("m0_".to_owned(), "s0_".to_owned());
        assert_eq!(
            keys(MapKind::Hash),
            (
                vec![(short.clone(), 64, 0), (map.clone(), 1024, NO_PREALLOC)],
                Storage::Keyed { map: map.clone(), short: Some(short), per_cpu: false }
            )
        );
        assert_eq!(
            keys(MapKind::LruHash),
            (vec![(map.clone(), 1024, 0)], Storage::Keyed { map, short: None, per_cpu: false })
        );
    }

    #[test]
    fn scalars_and_counters_share_global_data() {
        let hash = MapKind::Hash;
        let plan = plan_of(vec![
            (None, Ty::I64, hash),
            (None, Ty::Str(20), hash),
            (Some(Ty::U32), Ty::I64, hash),
            (None, Ty::U8, hash),
        ]);
        let places: Vec<Place> = plan.entries.iter().map(|it| it.place).collect();
        assert_eq!(places[0], Place::Global { offset: 0, set: 8 });
        assert_eq!(places[1], Place::Global { offset: 16, set: 36 });
        assert_eq!(places[3], Place::Global { offset: 48, set: 49 });
        assert_eq!(plan.entries[2].full, Some(40));
        assert_eq!((plan.zeros, plan.zeros_size, plan.globals.bss_size), (56, 20, 80));
        assert_eq!(plan.events, None);
    }
}
