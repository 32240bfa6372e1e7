//! The stack frame: where stack objects and spill slots lie below r10.
//!
//! Comes in: code and its allocation. Goes out: an offset for each stack object and spill slot
//! that is used. Two that are never live at once share their bytes. A stack object is live from
//! its first use, by name or through any pointer that may come from its address, to the last; in
//! a loop that can use it again, all the time.

use super::allocate::Spill;
use super::bits::BitSet;
use super::index_set::IndexSet;
use super::live::{Layout, Position, Range, STEP, overlap};
use super::machine::{Arg, Base, Code, End, Kind, Remat, VReg};
use crate::ir::{Block, Slot, SlotData};
use std::collections::{BTreeMap, HashSet};

/// Where everything lies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// For each stack object its offset from r10; none if nothing uses it.
    pub slots: Vec<Option<i32>>,
    /// For each spill slot its offset from r10.
    pub spills: BTreeMap<Spill, i32>,
    /// Bytes used, a multiple of 8.
    pub size: u32,
}

/// A thing that needs bytes.
struct Object {
    id: Id,
    size: u32,
    align: u32,
    ranges: Vec<Range>,
}

#[derive(Clone, Copy)]
enum Id {
    Slot(Slot),
    Spill(Spill),
}

/// Lays a frame out. `spill_ranges` says where the spill slots are live, `read` which are read;
/// those beyond `spill_ranges` are live everywhere.
pub fn lay_out(
    code: &Code,
    layout: &Layout,
    slots: &[SlotData],
    spill_ranges: &[Vec<Range>],
    read: &HashSet<Spill>,
) -> Frame {
    let everywhere = vec![Range { start: 0, end: Position::MAX }];
    let mut objects = slot_objects(code, layout, slots);
    let mut spills: Vec<Spill> = read.iter().copied().collect();
    spills.sort_unstable();
    for spill in spills {
        let ranges = spill_ranges.get(spill.0 as usize).unwrap_or(&everywhere).clone();
        objects.push(Object { id: Id::Spill(spill), size: 8, align: 8, ranges });
    }
    // Large ones first; the sort is stable.
    objects.sort_by_key(|it| std::cmp::Reverse(it.size));
    place(&objects, slots.len())
}

fn place(objects: &[Object], n_slots: usize) -> Frame {
    let mut frame = Frame { slots: vec![None; n_slots], ..Frame::default() };
    let mut placed: Vec<(u32, &Object)> = Vec::new();
    let mut size = 0;
    for object in objects {
        let depth = depth(object, &placed);
        placed.push((depth, object));
        size = size.max(depth);
        let offset = -(depth as i32);
        match object.id {
            Id::Slot(slot) => frame.slots[slot.index()] = Some(offset),
            Id::Spill(spill) => drop(frame.spills.insert(spill, offset)),
        }
    }
    frame.size = size.next_multiple_of(8);
    frame
}

/// How far below r10 the object starts: the least that collides with nothing placed so far.
fn depth(object: &Object, placed: &[(u32, &Object)]) -> u32 {
    let mut depth = object.size.next_multiple_of(object.align);
    loop {
        let collision = placed.iter().find(|(other, it)| {
            let apart = depth <= other - it.size || *other <= depth - object.size;
            !apart && overlap(&object.ranges, &it.ranges)
        });
        match collision {
            Some((other, _)) => depth = (other + object.size).next_multiple_of(object.align),
            None => return depth,
        }
    }
}

fn slot_objects(code: &Code, layout: &Layout, slots: &[SlotData]) -> Vec<Object> {
    if slots.is_empty() {
        return Vec::new();
    }
    let uses = SlotUses::find(code, layout, slots.len());
    let ranges = uses.ranges(code, layout);
    let objects = slots.iter().zip(ranges).enumerate().map(|(idx, (slot, ranges))| Object {
        id: Id::Slot(Slot(idx as u32)),
        size: slot.size,
        align: slot.align,
        ranges,
    });
    objects.filter(|it| !it.ranges.is_empty()).collect()
}

/// In which positions stack objects are used.
struct SlotUses {
    n_slots: usize,
    /// For each block the positions at which it uses objects, ascending.
    by_block: Vec<Vec<(Position, IndexSet)>>,
    /// Objects whose address is stored, so that any code might use them.
    escaped: IndexSet,
}

impl SlotUses {
    fn find(code: &Code, layout: &Layout, n_slots: usize) -> SlotUses {
        let points_to = points_to(code);
        let mut uses =
            SlotUses { n_slots, by_block: vec![Vec::new(); code.blocks.len()], escaped: IndexSet::default() };
        for &block in &code.order {
            let data = code.block(block);
            for (idx, inst) in data.insts.iter().enumerate() {
                uses.note(
                    block,
                    layout.inst(block, idx),
                    named_slots(&inst.kind),
                    || inst.kind.operands(),
                    &points_to,
                );
                if let Kind::Store { src, .. } = &inst.kind
                    && let Some(src) = src.reg()
                {
                    uses.escaped.union(&points_to[src.index()]);
                }
            }
            let named = match &data.end {
                End::Jump(_, args) => args.iter().filter_map(arg_slot).collect(),
                End::Return(arg) => arg_slot(arg).into_iter().collect(),
                End::Branch { .. } | End::Guard { .. } => Vec::new(),
            };
            uses.note(block, layout.end(block), named, || data.end.operands(), &points_to);
        }
        uses
    }

    fn note(
        &mut self,
        block: Block,
        position: Position,
        named: Vec<Slot>,
        operands: impl FnOnce() -> Vec<(VReg, super::machine::Role)>,
        points_to: &[IndexSet],
    ) {
        let mut used = IndexSet::default();
        for slot in named {
            used.insert(slot.index());
        }
        for (vreg, _) in operands() {
            used.union(&points_to[vreg.index()]);
        }
        if !used.is_empty() {
            self.by_block[block.index()].push((position, used));
        }
    }

    /// For each object where it is live: after some use and before another.
    fn ranges(&self, code: &Code, layout: &Layout) -> Vec<Vec<Range>> {
        let (before, after) = self.reach(code);
        let mut ranges = vec![Vec::new(); self.n_slots];
        for &block in &code.order {
            let span = layout.span(block);
            for (slot, ranges) in ranges.iter_mut().enumerate() {
                let used = || self.by_block[block.index()].iter().filter(|it| it.1.contains(slot));
                let first = used().next().map(|it| it.0);
                let last = used().next_back().map(|it| it.0 + STEP);
                let start = if before[block.index()].contains(slot) { Some(span.start) } else { first };
                let end = if after[block.index()].contains(slot) { Some(span.end) } else { last };
                if let (Some(start), Some(end)) = (start, end) {
                    ranges.push(Range { start, end });
                }
            }
        }
        for slot in self.escaped.iter() {
            ranges[slot] = vec![Range { start: 0, end: Position::MAX }];
        }
        ranges.iter_mut().for_each(|it| it.sort_unstable());
        ranges
    }

    /// For each block the objects used on some way to its start, and after its end.
    fn reach(&self, code: &Code) -> (Vec<BitSet>, Vec<BitSet>) {
        let empty = vec![BitSet::new(self.n_slots); code.blocks.len()];
        let (mut before, mut after) = (empty.clone(), empty.clone());
        let mut within = empty;
        for (within, uses) in within.iter_mut().zip(&self.by_block) {
            for slot in uses.iter().flat_map(|(_, used)| used.iter()) {
                within.insert(slot);
            }
        }
        let mut changed = true;
        while changed {
            changed = false;
            for &block in code.order.iter().chain(code.order.iter().rev()) {
                let mut out = before[block.index()].clone();
                out.union(&within[block.index()]);
                for target in code.block(block).end.targets() {
                    changed |= before[target.index()].union(&out);
                    let mut next = after[target.index()].clone();
                    next.union(&within[target.index()]);
                    changed |= after[block.index()].union(&next);
                }
            }
        }
        (before, after)
    }
}

fn arg_slot(arg: &Arg) -> Option<Slot> {
    match arg {
        Arg::Remat(Remat::Slot(slot, _)) => Some(*slot),
        _ => None,
    }
}

/// The objects that an instruction names.
fn named_slots(kind: &Kind) -> Vec<Slot> {
    let base = |base: &Base| match base {
        Base::Slot(slot) => vec![*slot],
        Base::Reg(_) => Vec::new(),
    };
    match kind {
        Kind::Make { what: Remat::Slot(slot, _), .. } => vec![*slot],
        Kind::Load { base: it, .. }
        | Kind::Store { base: it, .. }
        | Kind::AtomicAdd { base: it, .. }
        | Kind::AtomicSwap { base: it, .. } => base(it),
        Kind::Call { args, .. } => args.iter().filter_map(arg_slot).collect(),
        _ => Vec::new(),
    }
}

/// For each virtual register the objects into which it may point.
fn points_to(code: &Code) -> Vec<IndexSet> {
    let mut points_to = vec![IndexSet::default(); code.n_vregs()];
    let mut flows: Vec<(VReg, VReg)> = Vec::new();
    for &block in &code.order {
        let data = code.block(block);
        for inst in &data.insts {
            match &inst.kind {
                Kind::Make { dst, what: Remat::Slot(slot, _) } => {
                    points_to[dst.index()].insert(slot.index());
                }
                Kind::Copy { dst, src } => flows.push((*src, *dst)),
                Kind::Modify { dst, src, .. } => flows.extend(src.reg().map(|src| (src, *dst))),
                _ => {}
            }
        }
        if let End::Jump(target, args) = &data.end {
            for (arg, &param) in args.iter().zip(&code.block(*target).params) {
                flows.extend(arg.reg().map(|it| (it, param)));
                if let Some(slot) = arg_slot(arg) {
                    points_to[param.index()].insert(slot.index());
                }
            }
        }
    }
    let mut changed = true;
    while changed {
        changed = false;
        for &(from, to) in &flows {
            let source = points_to[from.index()].clone();
            changed |= points_to[to.index()].union(&source);
        }
    }
    points_to
}
