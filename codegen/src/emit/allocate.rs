//! Register allocation: virtual registers to r0…r9, or to memory.
//!
//! Comes in: [`Code`] and its liveness. Goes out: for each virtual register the registers that
//! hold it, by position, and its spill slot if some position has none.
//!
//! Registers that copies and block arguments connect are first joined into bundles, as far as
//! they are never live at once, so that most moves vanish. Bundles then take registers in the
//! order of their length; one that finds none free evicts lighter ones, or is split:
//!
//! 1. a bundle into its virtual registers,
//! 2. a virtual register into regions that cross no call and hold at least one use,
//! 3. a region into its stretches within one block,
//! 4. a stretch into single instructions, which always find a register.
//!
//! A register that is split lives in its spill slot as well, from its definition on: nothing is
//! ever stored twice, and any position without a register reads the slot. Values that are
//! cheap to make again ([`super::machine::Remat`]) have no slot.

mod regions;

use super::live::{Interval, Liveness, Position, Range, Use, covers, merge, overlap};
use super::machine::{Arg, Code, End, Kind, Role, VReg};
use crate::bpf::Reg;
use crate::ir::Block;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// How many registers there are to allocate; r10 is the frame.
pub const N_REGS: usize = 10;
/// r0…r5 do not survive calls.
pub const N_CALLER_SAVED: usize = 6;

/// A place in memory for a split virtual register, shared by those of one bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Spill(pub u32);

/// Where everything is.
#[derive(Clone, Debug, Default)]
pub struct Allocation {
    /// For each virtual register its registers by position, sorted.
    pub pieces: Vec<Vec<(Range, Reg)>>,
    /// For each virtual register its spill slot, if it was split.
    pub spills: Vec<Option<Spill>>,
    /// For each spill slot where it holds something.
    pub spill_ranges: Vec<Vec<Range>>,
}

impl Allocation {
    /// The register that holds `vreg` at a position.
    pub fn reg(&self, vreg: VReg, position: Position) -> Option<Reg> {
        let pieces = &self.pieces[vreg.index()];
        let next = pieces.partition_point(|(range, _)| range.end <= position);
        pieces.get(next).filter(|(range, _)| range.contains(position)).map(|&(_, reg)| reg)
    }
}

/// Allocates registers.
pub fn allocate(code: &Code, liveness: &Liveness) -> Allocation {
    let mut allocator = Allocator::new(code, liveness);
    for bundle in bundles(code, liveness) {
        allocator.add_bundle(bundle);
    }
    while let Some(Queued { piece, .. }) = allocator.queue.pop() {
        allocator.place(piece);
    }
    allocator.finish()
}

/// How far a piece has been split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Bundle,
    Region,
    Stretch,
    Single,
}

/// Something that gets one register.
#[derive(Clone, Debug)]
struct Piece {
    parts: Vec<Part>,
    /// All ranges of the parts.
    ranges: Vec<Range>,
    stage: Stage,
    /// How much it is worth to have a register, per position.
    weight: f32,
    crosses_call: bool,
    /// For each register how much it is worth to get just this one.
    hints: [f32; N_REGS],
}

/// Some ranges of a virtual register.
#[derive(Clone, Debug)]
struct Part {
    vreg: VReg,
    ranges: Vec<Range>,
}

/// Index of a piece.
type PieceId = usize;

/// A piece that waits; long ones come first, then early ones.
#[derive(PartialEq, Eq)]
struct Queued {
    length: u32,
    piece: PieceId,
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> Ordering {
        self.length.cmp(&other.length).then(other.piece.cmp(&self.piece))
    }
}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

struct Allocator<'a> {
    code: &'a Code,
    liveness: &'a Liveness,
    pieces: Vec<Piece>,
    queue: BinaryHeap<Queued>,
    /// For each register which piece has it where: ends and pieces by starts.
    assigned: [BTreeMap<Position, (Position, PieceId)>; N_REGS],
    /// For each virtual register its bundle.
    bundle_of: Vec<Option<usize>>,
    /// For each bundle its spill slot, once a part of it was split.
    spill_of: Vec<Option<Spill>>,
    result: Allocation,
}

impl<'a> Allocator<'a> {
    fn new(code: &'a Code, liveness: &'a Liveness) -> Self {
        let n_vregs = code.n_vregs();
        let result = Allocation {
            pieces: vec![Vec::new(); n_vregs],
            spills: vec![None; n_vregs],
            spill_ranges: Vec::new(),
        };
        Allocator {
            code,
            liveness,
            pieces: Vec::new(),
            queue: BinaryHeap::new(),
            assigned: std::array::from_fn(|_| BTreeMap::new()),
            bundle_of: vec![None; n_vregs],
            spill_of: Vec::new(),
            result,
        }
    }

    fn interval(&self, vreg: VReg) -> &'a Interval {
        &self.liveness.intervals[vreg.index()]
    }

    fn add_bundle(&mut self, vregs: Vec<VReg>) {
        for &vreg in &vregs {
            self.bundle_of[vreg.index()] = Some(self.spill_of.len());
        }
        self.spill_of.push(None);
        let part = |vreg: VReg| Part { vreg, ranges: self.interval(vreg).ranges.clone() };
        let parts = vregs.into_iter().map(part).collect();
        self.add_piece(parts, Stage::Bundle);
    }

    fn add_piece(&mut self, parts: Vec<Part>, stage: Stage) {
        let ranges = parts.iter().fold(Vec::new(), |all, part| merge(&all, &part.ranges));
        let length: u32 = ranges.iter().map(|it| it.end - it.start).sum();
        let mut piece = Piece {
            crosses_call: self.liveness.crosses_call(&ranges),
            weight: self.weight(&parts) / length.max(1) as f32,
            hints: [0.0; N_REGS],
            parts,
            ranges,
            stage,
        };
        if stage == Stage::Single {
            piece.weight = f32::INFINITY;
        }
        self.add_hints(&mut piece);
        self.queue.push(Queued { length, piece: self.pieces.len() });
        self.pieces.push(piece);
    }

    fn uses_within<'b>(&'b self, part: &'b Part) -> impl Iterator<Item = &'a Use> + 'b {
        let within = |it: &&Use| {
            let at = if it.role == Role::Define { it.position + super::live::RESULT } else { it.position };
            covers(&part.ranges, at)
        };
        self.interval(part.vreg).uses.iter().filter(within)
    }

    fn weight(&self, parts: &[Part]) -> f32 {
        let mut weight = 0.0;
        for part in parts {
            // What can be made again loses nothing but an instruction when it is split.
            let factor = if self.code.remats[part.vreg.index()].is_some() { 0.5 } else { 1.0 };
            for it in self.uses_within(part) {
                weight += factor * self.code.frequency[it.block.index()];
            }
        }
        weight
    }

    fn add_hints(&self, piece: &mut Piece) {
        let entry = Block(0);
        for part in &piece.parts {
            let params = &self.code.block(entry).params;
            if let Some(place) = params.iter().position(|it| *it == part.vreg) {
                piece.hints[place + 1] += self.code.frequency[entry.index()];
            }
            for it in self.uses_within(part) {
                if let Some(reg) = self.fixed_reg(part.vreg, it) {
                    piece.hints[reg] += self.code.frequency[it.block.index()];
                }
            }
        }
    }

    /// The register that an instruction wants or gives its operand in.
    fn fixed_reg(&self, vreg: VReg, at: &Use) -> Option<usize> {
        let block = self.code.block(at.block);
        let start = self.liveness.layout.inst(at.block, 0);
        let idx = ((at.position - start) / super::live::STEP) as usize;
        let Some(inst) = block.insts.get(idx) else {
            return matches!(block.end, End::Return(_)).then_some(0);
        };
        match &inst.kind {
            Kind::Call { result, .. } if at.role == Role::Define => result.map(|_| 0),
            Kind::Call { args, .. } => {
                args.iter().position(|it| *it == Arg::Reg(vreg)).map(|place| place + 1)
            }
            _ => None,
        }
    }

    fn place(&mut self, id: PieceId) {
        let mut cheapest: Option<(f32, usize)> = None;
        for reg in self.preference(id) {
            let weight = self.conflict_weight(id, reg);
            if weight < 0.0 {
                return self.assign(id, reg);
            }
            if cheapest.is_none_or(|(least, _)| weight < least) {
                cheapest = Some((weight, reg));
            }
        }
        match cheapest {
            Some((weight, reg)) if weight < self.pieces[id].weight => self.evict(id, reg),
            _ => self.split(id),
        }
    }

    /// The registers that a piece may have, best first.
    fn preference(&self, id: PieceId) -> Vec<usize> {
        let piece = &self.pieces[id];
        // Registers that are no argument come first, so that arguments find theirs free; those
        // that survive calls come last.
        let order = [0, 5, 4, 3, 2, 1, 6, 7, 8, 9];
        let allowed = |&reg: &usize| !piece.crosses_call || reg >= N_CALLER_SAVED;
        let mut regs: Vec<usize> = order.into_iter().filter(allowed).collect();
        regs.sort_by(|&a, &b| piece.hints[b].total_cmp(&piece.hints[a]));
        regs
    }

    fn assign(&mut self, id: PieceId, reg: usize) {
        let ranges = self.pieces[id].ranges.iter();
        self.assigned[reg].extend(ranges.map(|it| (it.start, (it.end, id))));
    }

    /// The pieces in the way, perhaps more than once.
    fn conflicts(&self, id: PieceId, reg: usize) -> impl Iterator<Item = PieceId> + '_ {
        let assigned = &self.assigned[reg];
        self.pieces[id].ranges.iter().flat_map(move |range| {
            let before = assigned.range(..range.start).next_back();
            let before = before.filter(|(_, (end, _))| *end > range.start);
            let within = assigned.range(range.start..range.end);
            before.into_iter().chain(within).map(|(_, &(_, piece))| piece)
        })
    }

    /// The weight of the heaviest piece in the way; negative when there is none.
    fn conflict_weight(&self, id: PieceId, reg: usize) -> f32 {
        self.conflicts(id, reg).map(|it| self.pieces[it].weight).fold(-1.0, f32::max)
    }

    fn evict(&mut self, id: PieceId, reg: usize) {
        let out: BTreeSet<PieceId> = self.conflicts(id, reg).collect();
        for piece in out {
            let ranges = &self.pieces[piece].ranges;
            for range in ranges {
                self.assigned[reg].remove(&range.start);
            }
            let length = ranges.iter().map(|it| it.end - it.start).sum();
            self.queue.push(Queued { length, piece });
        }
        self.assign(id, reg);
    }

    fn split(&mut self, id: PieceId) {
        let Piece { parts, stage, .. } = self.pieces[id].clone();
        let code = self.code;
        match stage {
            Stage::Bundle if parts.len() > 1 => {
                for part in parts {
                    self.add_piece(vec![part], Stage::Bundle);
                }
            }
            Stage::Bundle => {
                for part in parts {
                    self.spill(part.vreg);
                    for ranges in regions::regions(self.code, self.liveness, part.vreg) {
                        self.add_piece(vec![Part { ranges, vreg: part.vreg }], Stage::Region);
                    }
                }
            }
            Stage::Region => self.split_parts(parts, Stage::Stretch, |liveness, part| {
                regions::stretches(code, liveness, part.vreg, &part.ranges)
            }),
            Stage::Stretch => self.split_parts(parts, Stage::Single, |liveness, part| {
                regions::singles(liveness, part.vreg, &part.ranges)
            }),
            Stage::Single => unreachable!("an instruction has fewer operands than there are registers"),
        }
    }

    fn split_parts(
        &mut self,
        parts: Vec<Part>,
        stage: Stage,
        split: impl Fn(&Liveness, &Part) -> Vec<Range>,
    ) {
        for part in parts {
            for range in split(self.liveness, &part) {
                self.add_piece(vec![Part { vreg: part.vreg, ranges: vec![range] }], stage);
            }
        }
    }

    /// Gives the register its place in memory.
    fn spill(&mut self, vreg: VReg) {
        let Some(bundle) = self.bundle_of[vreg.index()].filter(|_| self.code.remats[vreg.index()].is_none())
        else {
            return;
        };
        let n_spills = self.result.spill_ranges.len() as u32;
        let spill = *self.spill_of[bundle].get_or_insert(Spill(n_spills));
        if spill.0 == n_spills {
            self.result.spill_ranges.push(Vec::new());
        }
        let ranges = &mut self.result.spill_ranges[spill.0 as usize];
        *ranges = merge(ranges, &self.liveness.intervals[vreg.index()].ranges);
        *ranges = merge(ranges, &entered_from(self.code, self.liveness, vreg));
        self.result.spills[vreg.index()] = Some(spill);
    }

    fn finish(mut self) -> Allocation {
        for (reg, assigned) in self.assigned.iter().enumerate() {
            let ids: BTreeSet<PieceId> = assigned.values().map(|it| it.1).collect();
            for part in ids.into_iter().flat_map(|it| &self.pieces[it].parts) {
                let pieces = &mut self.result.pieces[part.vreg.index()];
                pieces.extend(part.ranges.iter().map(|&range| (range, Reg(reg as u8))));
            }
        }
        for pieces in &mut self.result.pieces {
            pieces.sort_unstable();
        }
        self.result
    }
}

/// For a parameter the ends of the blocks that jump to its block, where it is stored already.
fn entered_from(code: &Code, liveness: &Liveness, vreg: VReg) -> Vec<Range> {
    let mut ranges = Vec::new();
    for &block in &code.order {
        if let End::Jump(target, _) = &code.block(block).end
            && code.block(*target).params.contains(&vreg)
        {
            let span = liveness.layout.span(block);
            ranges.push(Range { start: liveness.layout.end(block), end: span.end });
        }
    }
    ranges.sort_unstable();
    ranges
}

/// Virtual registers that should share a register, joined as far as they are never live at once.
fn bundles(code: &Code, liveness: &Liveness) -> Vec<Vec<VReg>> {
    let mut wishes = wishes(code);
    // The most frequent first; the sort is stable, so the result depends on nothing else.
    wishes.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut bundles: Vec<Vec<VReg>> = (0..code.n_vregs() as u32).map(|it| vec![VReg(it)]).collect();
    let mut ranges: Vec<Vec<Range>> = liveness.intervals.iter().map(|it| it.ranges.clone()).collect();
    let mut home: Vec<usize> = (0..code.n_vregs()).collect();
    for (_, left, right) in wishes {
        let (to, from) = (home[left.index()], home[right.index()]);
        if to == from || overlap(&ranges[to], &ranges[from]) {
            continue;
        }
        let moved = std::mem::take(&mut bundles[from]);
        moved.iter().for_each(|it| home[it.index()] = to);
        bundles[to].extend(moved);
        let joined = std::mem::take(&mut ranges[from]);
        ranges[to] = merge(&ranges[to], &joined);
    }
    bundles.retain(|it| it.iter().any(|vreg| !liveness.intervals[vreg.index()].ranges.is_empty()));
    bundles
}

/// Pairs of virtual registers between which a move would be needed, and how often it would run.
fn wishes(code: &Code) -> Vec<(f32, VReg, VReg)> {
    let mut wishes = Vec::new();
    for &block in &code.order {
        let frequency = code.frequency[block.index()];
        for inst in &code.block(block).insts {
            if let Kind::Copy { dst, src } = inst.kind {
                wishes.push((frequency, src, dst));
            }
        }
        if let End::Jump(target, args) = &code.block(block).end {
            for (arg, &param) in args.iter().zip(&code.block(*target).params) {
                if let Arg::Reg(arg) = *arg {
                    wishes.push((frequency, param, arg));
                }
            }
        }
    }
    wishes
}
