//! Which programs may interrupt which. A probe comes in; out goes its class: except for the
//! preemptible ones, programs of one class never run nested on one CPU, so they may share scratch
//! memory and may update per-CPU values without atomic instructions.
//!
//! Invariant: the runtime attaches each probe type by the program type assumed here, `begin` runs
//! before anything is attached and `end` after everything is detached.

use crate::storage::Place;
use crate::target::{KernelVersion, Target};
use crate::visit;
use lang::hir::{self, MapId, Probe, StmtKind};
use lang::probes::ProbeKind;

/// A class of programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Nesting {
    /// Runs while nothing else is attached.
    Alone,
    /// kprobe, tracepoint and perf event programs: the kernel runs at most one of all of them on
    /// a CPU at a time (`bpf_prog_active`).
    Exclusive,
    /// A program of raw tracepoint or fentry kind, or run by the tracer, never nests with itself, but
    /// with all others.
    Itself(usize),
    /// Packet programs: run in one softirq at a time.
    Softirq,
    /// May be interrupted by anything, another run of itself included, and the interrupted run may
    /// end first.
    Preemptible,
}

impl Nesting {
    /// The class of the probe of that index.
    pub fn of(probe: &Probe, idx: usize, target: &Target) -> Nesting {
        let Some(point) = probe.points.first() else { return Nesting::Alone };
        match point.kind {
            ProbeKind::Begin | ProbeKind::End => Nesting::Alone,
            ProbeKind::Tracepoint
            | ProbeKind::Kprobe
            | ProbeKind::Kretprobe
            | ProbeKind::Interval
            | ProbeKind::Profile
            | ProbeKind::Software
            | ProbeKind::Hardware
            | ProbeKind::Watchpoint => Nesting::Exclusive,
            // Run by the tracer, one after the other, while the others are attached.
            ProbeKind::SelfSignal => Nesting::Itself(idx),
            // Linux 6.2 made raw tracepoint programs skip nested runs.
            ProbeKind::RawTracepoint if target.kernel >= KernelVersion(6, 2) => Nesting::Itself(idx),
            // Each target of a trampoline is a program of its own, since Linux 5.12 with its own guard.
            ProbeKind::Fentry | ProbeKind::Fexit
                if probe.points.len() == 1 && target.kernel >= KernelVersion(5, 12) =>
            {
                Nesting::Itself(idx)
            }
            ProbeKind::RawTracepoint | ProbeKind::Fentry | ProbeKind::Fexit => Nesting::Preemptible,
            ProbeKind::Uprobe | ProbeKind::Uretprobe | ProbeKind::Usdt => Nesting::Preemptible,
            ProbeKind::Xdp => Nesting::Softirq,
        }
    }

    /// Whether any probe of a program has this class.
    pub fn is_among(self, program: &hir::Program, target: &Target) -> bool {
        program.probes.iter().enumerate().any(|(idx, it)| Nesting::of(it, idx, target) == self)
    }
}

/// Whether updates of a per-CPU map must be atomic: something that updates it too may come
/// between a load and its store.
pub fn needs_atomic(program: &hir::Program, target: &Target, map: MapId, place: Place) -> bool {
    if matches!(place, Place::Global { .. } | Place::Keyed { per_cpu: false, .. }) {
        return true;
    }
    let mut seen = None;
    for (idx, probe) in program.probes.iter().enumerate() {
        let nesting = Nesting::of(probe, idx, target);
        if nesting == Nesting::Alone || !updates(program, probe, map) {
            continue;
        }
        if nesting == Nesting::Preemptible || seen.is_some_and(|it| it != nesting) {
            return true;
        }
        seen = Some(nesting);
    }
    false
}

fn updates(program: &hir::Program, probe: &Probe, map: MapId) -> bool {
    let mut found = false;
    for body in visit::reached(program, &probe.body) {
        visit::each_stmt(
            body,
            &mut |stmt| found |= matches!(&stmt.kind, StmtKind::Aggregate { map: it, .. } if *it == map),
            &mut |_| {},
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use lang::attach::{Point, Target as Attach};
    use lang::source::Span;

    #[test]
    fn classes_follow_the_kernels_guards() {
        use ProbeKind::*;
        for (kind, n_points, kernel, expected) in [
            (Begin, 1, (6, 12), Nesting::Alone),
            (Tracepoint, 9, (6, 12), Nesting::Exclusive),
            (Profile, 1, (5, 10), Nesting::Exclusive),
            (RawTracepoint, 1, (6, 12), Nesting::Itself(3)),
            (RawTracepoint, 1, (6, 1), Nesting::Preemptible),
            (Fentry, 1, (5, 15), Nesting::Itself(3)),
            (Fentry, 2, (6, 12), Nesting::Preemptible),
            (Uprobe, 1, (6, 12), Nesting::Preemptible),
            (Fentry, 1, (5, 11), Nesting::Preemptible),
            (Xdp, 1, (6, 12), Nesting::Softirq),
        ] {
            let points = vec![Point { kind, target: Attach::None }; n_points];
            let probe = Probe { points, span: Span::default(), locals: vec![], body: vec![] };
            let target = Target::for_kernel(KernelVersion(kernel.0, kernel.1));
            assert_eq!(Nesting::of(&probe, 3, &target), expected, "{kind:?} on {kernel:?}");
        }
    }
}
