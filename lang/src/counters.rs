//! The table of perf's generic counters, which `software` and `hardware` probes name.
//!
//! The numbers are `enum perf_sw_ids` and `enum perf_hw_id` of `linux/perf_event.h`; the default
//! periods are bpftrace's.

use crate::probes::ProbeKind;

/// A counter that fires a program every so many events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// As `perf list` has it.
    pub name: &'static str,
    /// A shorter name, where there is one.
    pub alias: Option<&'static str>,
    /// The kernel's number within the kind.
    pub number: u64,
    /// Events from one firing to the next when the attach point does not say.
    pub period: u64,
}

const fn counter(name: &'static str, alias: Option<&'static str>, number: u64, period: u64) -> Counter {
    Counter { name, alias, number, period }
}

const SOFTWARE: &[Counter] = &[
    counter("alignment-faults", None, 7, 1),
    counter("bpf-output", None, 10, 1),
    counter("context-switches", Some("cs"), 3, 1000),
    counter("cpu-clock", Some("cpu"), 0, 1_000_000),
    counter("cpu-migrations", None, 4, 1),
    counter("dummy", None, 9, 1),
    counter("emulation-faults", None, 8, 1),
    counter("major-faults", None, 6, 1),
    counter("minor-faults", None, 5, 100),
    counter("page-faults", Some("faults"), 2, 100),
    counter("task-clock", None, 1, 1),
];

const HARDWARE: &[Counter] = &[
    counter("backend-stalls", None, 8, 1_000_000),
    counter("branch-instructions", Some("branches"), 4, 100_000),
    counter("branch-misses", None, 5, 100_000),
    counter("bus-cycles", None, 6, 100_000),
    counter("cache-misses", None, 3, 1_000_000),
    counter("cache-references", None, 2, 1_000_000),
    counter("cpu-cycles", Some("cycles"), 0, 1_000_000),
    counter("frontend-stalls", None, 7, 1_000_000),
    counter("instructions", None, 1, 1_000_000),
    counter("ref-cycles", None, 9, 1_000_000),
];

/// The counters that a probe type can name; none for other probe types.
pub fn of(kind: ProbeKind) -> &'static [Counter] {
    match kind {
        ProbeKind::Software => SOFTWARE,
        ProbeKind::Hardware => HARDWARE,
        _ => &[],
    }
}

/// The counter of that name or alias.
pub fn find(kind: ProbeKind, name: &str) -> Option<&'static Counter> {
    of(kind).iter().find(|it| it.name == name || it.alias == Some(name))
}

/// Every name and alias, in order.
pub fn names(kind: ProbeKind) -> Vec<&'static str> {
    let mut names: Vec<_> = of(kind).iter().flat_map(|it| [Some(it.name), it.alias]).flatten().collect();
    names.sort_unstable();
    names
}
