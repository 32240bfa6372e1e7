//! Where a split virtual register is worth a register: the pieces that [`super`] goes through.

use crate::emit::live::{CLOBBER, Interval, Liveness, Position, RESULT, Range, Use, merge};
use crate::emit::machine::{Code, Role, VReg};
use crate::ir::Block;
use std::collections::HashMap;

/// A stretch of a block between calls in which the register is live.
struct Segment {
    block: Block,
    range: Range,
    /// Its uses and definitions.
    uses: Vec<Use>,
    /// Enters at the block's start, with its value in a register from the predecessors if wanted.
    enters: bool,
    /// Is defined at the block's start, as one of its parameters.
    is_param: bool,
    /// Reaches the block's end.
    leaves: bool,
    /// Whether the value should be in a register where the segment ends.
    wanted_at_end: bool,
    /// The region that it belongs to, by the index of one of its segments.
    region: usize,
}

impl Segment {
    /// Whether the value comes to be here.
    fn defines(&self) -> bool {
        self.uses.first().is_some_and(|it| it.role == Role::Define)
    }

    /// Whether the value is in a register here in any case.
    fn holds(&self) -> bool {
        self.is_param || self.uses.iter().any(|it| it.role != Role::Any)
    }

    /// Whether the value should be in a register where the segment starts.
    fn wants(&self) -> bool {
        self.wanted_at_end || self.uses.iter().any(|it| matches!(it.role, Role::Use | Role::Modify))
    }
}

/// Regions: connected segments that hold uses, without what leads up to the first and follows
/// the last of these.
pub fn regions(code: &Code, liveness: &Liveness, vreg: VReg) -> Vec<Vec<Range>> {
    let mut segments = segments(code, liveness, vreg);
    spread_wants(code, &mut segments);
    let mut regions: Vec<(usize, Vec<Range>)> = Vec::new();
    for (idx, range) in covered(code, liveness, vreg, &segments) {
        let region = segments[idx].region;
        match regions.iter_mut().find(|it| it.0 == region) {
            Some((_, ranges)) => *ranges = merge(ranges, &[range]),
            None => regions.push((region, vec![range])),
        }
    }
    regions.into_iter().map(|(_, ranges)| ranges).collect()
}

/// For each segment that is worth a register, the part that is.
fn covered(code: &Code, liveness: &Liveness, vreg: VReg, segments: &[Segment]) -> Vec<(usize, Range)> {
    let entry_param = code.block(Block(0)).params.contains(&vreg);
    let mut covered = Vec::new();
    for (idx, segment) in segments.iter().enumerate() {
        let at_entry = entry_param && segment.block == Block(0) && segment.range.start == 0;
        // A parameter comes in a register where that is of use, else in memory only.
        let as_param = segment.is_param && segment.wants();
        let defines = segment.defines() || at_entry || as_param;
        let first = segment.uses.iter().find(|it| it.role != Role::Any).map(|it| it.position);
        let start = if defines || (segment.enters && segment.wants()) {
            segment.range.start
        } else if let Some(first) = first {
            first
        } else if segment.wanted_at_end {
            liveness.layout.end(segment.block)
        } else {
            continue;
        };
        let end = match segment.uses.last() {
            _ if segment.wanted_at_end => segment.range.end,
            Some(last) => end_of(last),
            None => segment.range.start + 1,
        };
        covered.push((idx, Range { start, end }));
    }
    covered
}

fn end_of(it: &Use) -> Position {
    match it.role {
        Role::Use | Role::Any => it.position + 1,
        Role::Define | Role::Modify => it.position + RESULT + 1,
    }
}

/// The live ranges, cut at block borders and at calls.
fn segments(code: &Code, liveness: &Liveness, vreg: VReg) -> Vec<Segment> {
    let interval = &liveness.intervals[vreg.index()];
    let mut segments = Vec::new();
    for range in &interval.ranges {
        let first = code.order.partition_point(|&it| liveness.layout.span(it).end <= range.start);
        for &block in &code.order[first..] {
            let span = liveness.layout.span(block);
            if span.start >= range.end {
                break;
            }
            let (mut start, end) = (range.start.max(span.start), range.end.min(span.end));
            while start < end {
                let call = liveness.calls.partition_point(|&it| it < start);
                let cut = liveness.calls.get(call).filter(|&&it| it < end);
                let stop = cut.copied().unwrap_or(end);
                if start < stop {
                    let segment = segment(code, liveness, interval, vreg, block, Range { start, end: stop });
                    segments.push(Segment { region: segments.len(), ..segment });
                }
                start = stop + (RESULT - CLOBBER);
            }
        }
    }
    segments
}

fn segment(
    code: &Code,
    liveness: &Liveness,
    interval: &Interval,
    vreg: VReg,
    block: Block,
    range: Range,
) -> Segment {
    let span = liveness.layout.span(block);
    let at = |it: &Use| if it.role == Role::Define { it.position + RESULT } else { it.position };
    let first = interval.uses.partition_point(|it| at(it) < range.start);
    let uses = interval.uses[first..].iter().take_while(|it| at(it) < range.end);
    let at_start = range.start == span.start;
    let is_param = code.block(block).params.contains(&vreg);
    Segment {
        block,
        range,
        uses: uses.copied().collect(),
        enters: at_start && !is_param,
        is_param: at_start && is_param,
        leaves: range.end == span.end,
        wanted_at_end: false,
        region: 0,
    }
}

/// Carries wants backwards over block borders, and joins the segments that they pass.
fn spread_wants(code: &Code, segments: &mut [Segment]) {
    let edges = edges(code, segments);
    let mut changed = true;
    while changed {
        changed = false;
        for &(from, to) in edges.iter().rev() {
            if segments[to].wants() {
                changed |= !std::mem::replace(&mut segments[from].wanted_at_end, true);
            }
        }
    }
    // The region is the least index of its segments.
    let mut joined = true;
    while joined {
        joined = false;
        for &(from, to) in &edges {
            if !segments[to].wants() {
                continue;
            }
            let least = segments[from].region.min(segments[to].region);
            joined |= segments[from].region != least || segments[to].region != least;
            (segments[from].region, segments[to].region) = (least, least);
        }
    }
}

/// Pairs of segments across block borders. Where it would not pay to have the value in a register
/// at the border, the later one no longer enters.
fn edges(code: &Code, segments: &mut [Segment]) -> Vec<(usize, usize)> {
    let entering = segments.iter().enumerate().filter(|(_, it)| it.enters);
    let entering: HashMap<Block, usize> = entering.map(|(idx, it)| (it.block, idx)).collect();
    let mut edges = Vec::new();
    for (from, segment) in segments.iter().enumerate().filter(|(_, it)| it.leaves) {
        let targets = code.block(segment.block).end.targets();
        edges.extend(targets.iter().filter_map(|it| entering.get(it)).map(|&to| (from, to)));
    }
    for &(from, to) in &edges {
        // A load is not moved to where it runs more often, unless the value is there anyway.
        let often = |it: &Segment| code.frequency[it.block.index()];
        if often(&segments[from]) > often(&segments[to]) && !segments[from].holds() {
            segments[to].enters = false;
        }
    }
    edges.retain(|&(_, to)| segments[to].enters);
    edges
}

/// The stretches of a region: for each block between calls, from first to last use.
pub fn stretches(code: &Code, liveness: &Liveness, vreg: VReg, ranges: &[Range]) -> Vec<Range> {
    let runs = singles(liveness, vreg, ranges);
    let mut stretches: Vec<Range> = Vec::new();
    for run in runs {
        let joins = stretches.last().is_some_and(|last| {
            let gap = Range { start: last.start, end: run.end };
            let inside = ranges.iter().any(|it| it.start <= gap.start && gap.end <= it.end);
            inside && same_block(code, liveness, gap) && !liveness.crosses_call(&[gap])
        });
        match stretches.last_mut() {
            Some(last) if joins => last.end = run.end,
            _ => stretches.push(run),
        }
    }
    stretches
}

fn same_block(code: &Code, liveness: &Liveness, range: Range) -> bool {
    let spans = code.order.iter().map(|&it| liveness.layout.span(it));
    spans.into_iter().any(|span| span.start <= range.start && range.end <= span.end)
}

/// The instructions of a region that need a register; a definition's run is one.
pub fn singles(liveness: &Liveness, vreg: VReg, ranges: &[Range]) -> Vec<Range> {
    let uses = &liveness.intervals[vreg.index()].uses;
    let mut runs = Vec::new();
    let defines = |it: &&Use| matches!(it.role, Role::Define | Role::Modify);
    if let (Some(first), Some(last)) = (uses.iter().find(defines), uses.iter().rfind(defines)) {
        runs.push(Range { start: first.position + RESULT, end: end_of(last) });
    }
    let reads = uses.iter().filter(|it| it.role == Role::Use);
    runs.extend(reads.map(|it| Range { start: it.position, end: it.position + 1 }));
    runs.sort_unstable();
    let runs = merge_contained(runs);
    let within = |run: &Range| ranges.iter().any(|it| it.start <= run.start && run.end <= it.end);
    runs.into_iter().filter(within).collect()
}

/// Drops reads within a definition's run.
fn merge_contained(runs: Vec<Range>) -> Vec<Range> {
    let mut kept: Vec<Range> = Vec::new();
    for run in runs {
        if kept.last().is_none_or(|last| run.end > last.end) {
            kept.push(run);
        }
    }
    kept
}
