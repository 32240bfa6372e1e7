//! Where virtual registers are live: program positions, ranges, uses.
//!
//! Comes in: [`Code`]. Goes out: positions of all blocks and instructions, and for each virtual
//! register the ranges of positions in which its value is needed.
//!
//! An instruction takes four positions from [`Layout`]'s number on: at `+0` it reads its
//! operands, at `+1` a call loses r0…r5, at `+2` it defines its result. A range that ends where
//! another begins can share its register. Moves happen before `+0` or after `+2`.

use super::index_set::IndexSet;
use super::machine::{Code, Kind, Role, VReg};
use crate::ir::Block;

/// A place in a function; see the module's documentation.
pub type Position = u32;

/// Within an instruction, where a call loses registers.
pub const CLOBBER: Position = 1;
/// Within an instruction, where the result appears.
pub const RESULT: Position = 2;
/// How many positions an instruction takes.
pub const STEP: Position = 4;

/// Positions from `start` up to but without `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// The first.
    pub start: Position,
    /// One past the last.
    pub end: Position,
}

impl Range {
    /// Whether it holds the position.
    pub fn contains(self, position: Position) -> bool {
        self.start <= position && position < self.end
    }
}

/// Whether one of the sorted ranges holds the position.
pub fn covers(ranges: &[Range], position: Position) -> bool {
    let next = ranges.partition_point(|it| it.end <= position);
    ranges.get(next).is_some_and(|it| it.contains(position))
}

/// Whether two sorted lists of ranges share a position.
pub fn overlap(left: &[Range], right: &[Range]) -> bool {
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        if a.end <= b.start {
            left.next();
        } else if b.end <= a.start {
            right.next();
        } else {
            return true;
        }
    }
    false
}

/// Two sorted lists of ranges as one, ranges that touch joined.
pub fn merge(left: &[Range], right: &[Range]) -> Vec<Range> {
    let mut all: Vec<Range> = left.iter().chain(right).copied().collect();
    all.sort_unstable();
    let mut merged: Vec<Range> = Vec::with_capacity(all.len());
    for range in all {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// The positions of all blocks and instructions.
#[derive(Clone, Debug)]
pub struct Layout {
    /// For each block its positions: the entry, the instructions, the end.
    spans: Vec<Range>,
}

impl Layout {
    /// Numbers the blocks in their order.
    pub fn new(code: &Code) -> Layout {
        let mut spans = vec![Range { start: 0, end: 0 }; code.blocks.len()];
        let mut next = 0;
        for &block in &code.order {
            let end = next + STEP * (code.block(block).insts.len() as u32 + 2);
            spans[block.index()] = Range { start: next, end };
            next = end;
        }
        Layout { spans }
    }

    /// All positions of a block; parameters are defined at the first.
    pub fn span(&self, block: Block) -> Range {
        self.spans[block.index()]
    }

    /// The position of a block's `idx`-th instruction.
    pub fn inst(&self, block: Block, idx: usize) -> Position {
        self.span(block).start + STEP * (idx as u32 + 1)
    }

    /// The position of a block's end.
    pub fn end(&self, block: Block) -> Position {
        self.span(block).end - STEP
    }
}

/// A place where a virtual register is used or defined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Use {
    /// The instruction's first position.
    pub position: Position,
    /// How.
    pub role: Role,
    /// The block.
    pub block: Block,
}

/// What is known of a virtual register.
#[derive(Clone, Debug, Default)]
pub struct Interval {
    /// Where it is live, sorted.
    pub ranges: Vec<Range>,
    /// Uses and definitions by instructions, by position.
    pub uses: Vec<Use>,
}

/// Liveness of a function.
#[derive(Clone, Debug)]
pub struct Liveness {
    /// Positions.
    pub layout: Layout,
    /// For each virtual register.
    pub intervals: Vec<Interval>,
    /// For each block the virtual registers live at its start, its parameters excepted.
    pub live_in: Vec<IndexSet>,
    /// Where calls are: the positions at which they lose registers, ascending.
    pub calls: Vec<Position>,
}

impl Liveness {
    /// Computes it.
    pub fn new(code: &Code) -> Liveness {
        let layout = Layout::new(code);
        let (live_in, live_out) = live_sets(code);
        let mut intervals = vec![Interval::default(); code.n_vregs()];
        let mut calls = Vec::new();
        for &block in &code.order {
            block_uses(code, &layout, block, &mut intervals);
            for (idx, inst) in code.block(block).insts.iter().enumerate() {
                if matches!(inst.kind, Kind::Call { .. }) {
                    calls.push(layout.inst(block, idx) + CLOBBER);
                }
            }
        }
        for &block in &code.order {
            block_ranges(code, &layout, block, &live_out[block.index()], &mut intervals);
        }
        for interval in &mut intervals {
            interval.ranges = merge(&interval.ranges, &[]);
        }
        Liveness { layout, intervals, live_in, calls }
    }

    /// Whether any call loses the caller's registers within one of the ranges.
    pub fn crosses_call(&self, ranges: &[Range]) -> bool {
        ranges.iter().any(|range| {
            let next = self.calls.partition_point(|&call| call < range.start);
            self.calls.get(next).is_some_and(|&call| call < range.end)
        })
    }
}

fn block_uses(code: &Code, layout: &Layout, block: Block, intervals: &mut [Interval]) {
    let data = code.block(block);
    for (idx, inst) in data.insts.iter().enumerate() {
        let position = layout.inst(block, idx);
        for (vreg, role) in inst.kind.operands() {
            intervals[vreg.index()].uses.push(Use { position, role, block });
        }
    }
    for (vreg, role) in data.end.operands() {
        intervals[vreg.index()].uses.push(Use { position: layout.end(block), role, block });
    }
}

/// Walks a block backwards; a register is live from its first definition to its last use.
fn block_ranges(code: &Code, layout: &Layout, block: Block, live_out: &IndexSet, intervals: &mut [Interval]) {
    let data = code.block(block);
    let span = layout.span(block);
    let mut live_until: std::collections::HashMap<VReg, Position> =
        live_out.iter().map(|it| (VReg(it as u32), span.end)).collect();
    for (vreg, _) in data.end.operands() {
        live_until.entry(vreg).or_insert(layout.end(block) + 1);
    }
    for (idx, inst) in data.insts.iter().enumerate().rev() {
        let position = layout.inst(block, idx);
        let operands = inst.kind.operands();
        for &(vreg, role) in &operands {
            match role {
                Role::Define => {
                    let end = live_until.remove(&vreg).unwrap_or(position + RESULT + 1);
                    intervals[vreg.index()].ranges.push(Range { start: position + RESULT, end });
                }
                Role::Modify => drop(live_until.entry(vreg).or_insert(position + RESULT + 1)),
                Role::Use | Role::Any => {}
            }
        }
        for (vreg, role) in operands {
            if matches!(role, Role::Use | Role::Any) {
                live_until.entry(vreg).or_insert(position + 1);
            }
        }
    }
    for &param in &data.params {
        let end = live_until.remove(&param).unwrap_or(span.start + 1);
        intervals[param.index()].ranges.push(Range { start: span.start, end });
    }
    for (vreg, end) in live_until {
        intervals[vreg.index()].ranges.push(Range { start: span.start, end });
    }
}

/// For each block what is live at its start (without its parameters) and at its end.
fn live_sets(code: &Code) -> (Vec<IndexSet>, Vec<IndexSet>) {
    let empty = vec![IndexSet::default(); code.blocks.len()];
    let (mut live_in, mut live_out) = (empty.clone(), empty);
    let mut changed = true;
    while changed {
        changed = false;
        for &block in code.order.iter().rev() {
            for target in code.block(block).end.targets() {
                changed |= live_out[block.index()].union(&live_in[target.index()]);
            }
            let live = live_at_start(code, block, live_out[block.index()].clone());
            changed |= live_in[block.index()].union(&live);
        }
    }
    (live_in, live_out)
}

fn live_at_start(code: &Code, block: Block, mut live: IndexSet) -> IndexSet {
    let data = code.block(block);
    for (vreg, _) in data.end.operands() {
        live.insert(vreg.index());
    }
    for inst in data.insts.iter().rev() {
        for (vreg, role) in inst.kind.operands() {
            match role {
                Role::Define => live.remove(vreg.index()),
                _ => drop(live.insert(vreg.index())),
            }
        }
    }
    for param in &data.params {
        live.remove(param.index());
    }
    live
}
