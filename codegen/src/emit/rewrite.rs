//! Code on registers: every instruction with its registers, every move in its place.
//!
//! Comes in: [`Code`] and its [`Allocation`]. Goes out: for each block the steps to execute.
//! Moves stand where a virtual register changes its place: before an instruction (reloads),
//! after its definition (spills), around calls, at the end of a block that has one successor
//! or else at the start of that successor.

use super::allocate::{Allocation, N_REGS, Spill};
use super::live::{Liveness, Position, RESULT, STEP};
use super::machine::{Arg, Code, End, Inst, Kind, Role, VReg};
use super::moves::{Move, Origin, Place, Room, sequence};
use crate::bpf::Reg;
use crate::ir::Block;
use lang::Span;
use std::collections::{HashMap, HashSet};

const R0: Reg = Reg(0);

/// What a block does, one after the other.
#[derive(Clone, Debug)]
pub enum Step<'a> {
    /// A move.
    Move(Move, Span),
    /// An instruction, whose registers are those of this position.
    Inst(&'a Inst, Position),
}

/// A function on registers.
pub struct Rewritten<'a> {
    /// For each block its steps, before its end.
    pub blocks: Vec<Vec<Step<'a>>>,
    /// Spill slots that are read; the others need no memory. The last two are scratch.
    pub read: HashSet<Spill>,
}

/// Places instructions and moves.
pub fn rewrite<'a>(code: &'a Code, liveness: &Liveness, allocation: &Allocation) -> Rewritten<'a> {
    let n_spills = allocation.spill_ranges.len() as u32;
    let mut rewriter = Rewriter {
        code,
        liveness,
        allocation,
        scratch: [Spill(n_spills), Spill(n_spills + 1)],
        occupied: occupied(allocation),
        reloads: reloads(code, liveness, allocation),
        blocks: vec![Vec::new(); code.blocks.len()],
    };
    rewriter.entry();
    for &block in &code.order {
        rewriter.block(block);
    }
    prune(rewriter.blocks)
}

/// Drops stores to spill slots that nothing reads.
fn prune(mut blocks: Vec<Vec<Step<'_>>>) -> Rewritten<'_> {
    loop {
        let moves = blocks.iter().flatten().filter_map(|step| match step {
            Step::Move(it, _) => Some(it.from),
            Step::Inst(..) => None,
        });
        let read: HashSet<Spill> = moves
            .filter_map(|from| match from {
                Origin::Place(Place::Spill(spill)) => Some(spill),
                _ => None,
            })
            .collect();
        let mut dropped = false;
        for steps in &mut blocks {
            steps.retain(|step| match step {
                Step::Move(Move { to: Place::Spill(spill), .. }, _) if !read.contains(spill) => {
                    dropped = true;
                    false
                }
                _ => true,
            });
        }
        if !dropped {
            return Rewritten { blocks, read };
        }
    }
}

/// For each register where it is taken, sorted.
fn occupied(allocation: &Allocation) -> [Vec<super::live::Range>; N_REGS] {
    let mut occupied: [Vec<_>; N_REGS] = std::array::from_fn(|_| Vec::new());
    for &(range, reg) in allocation.pieces.iter().flatten() {
        occupied[reg.0 as usize].push(range);
    }
    occupied.iter_mut().for_each(|it| it.sort_unstable());
    occupied
}

/// For each position the registers to load before it: pieces that start where nothing is defined.
fn reloads(code: &Code, liveness: &Liveness, allocation: &Allocation) -> HashMap<Position, Vec<(VReg, Reg)>> {
    let starts: HashSet<Position> = code.order.iter().map(|&it| liveness.layout.span(it).start).collect();
    let mut reloads: HashMap<Position, Vec<(VReg, Reg)>> = HashMap::new();
    for (idx, pieces) in allocation.pieces.iter().enumerate() {
        for &(range, reg) in pieces {
            if range.start % STEP == 0 && !starts.contains(&range.start) {
                reloads.entry(range.start).or_default().push((VReg(idx as u32), reg));
            }
        }
    }
    reloads
}

struct Rewriter<'a, 'b> {
    code: &'a Code,
    liveness: &'b Liveness,
    allocation: &'b Allocation,
    scratch: [Spill; 2],
    occupied: [Vec<super::live::Range>; N_REGS],
    reloads: HashMap<Position, Vec<(VReg, Reg)>>,
    blocks: Vec<Vec<Step<'a>>>,
}

impl<'a> Rewriter<'a, '_> {
    fn add_moves(&mut self, block: Block, moves: Vec<Move>, free: Option<Reg>, lent: Reg, span: Span) {
        let steps = sequence(moves, Room { free, lent, scratch: self.scratch });
        self.blocks[block.index()].extend(steps.into_iter().map(|it| Step::Move(it, span)));
    }

    /// Where a value can be read at a position.
    fn origin(&self, vreg: VReg, position: Position) -> Origin {
        if let Some(reg) = self.allocation.reg(vreg, position) {
            return Origin::Place(Place::Reg(reg));
        }
        match (self.allocation.spills[vreg.index()], self.code.remats[vreg.index()]) {
            (Some(spill), _) => Origin::Place(Place::Spill(spill)),
            (None, Some(remat)) => Origin::Remat(remat),
            (None, None) => unreachable!("{vreg:?} is nowhere at {position}"),
        }
    }

    fn arg_origin(&self, arg: Arg, position: Position) -> Origin {
        match arg {
            Arg::Reg(vreg) => self.origin(vreg, position),
            Arg::Remat(remat) => Origin::Remat(remat),
        }
    }

    fn is_taken(&self, reg: Reg, position: Position) -> bool {
        let ranges = &self.occupied[reg.0 as usize];
        let next = ranges.partition_point(|it| it.end <= position);
        ranges.get(next).is_some_and(|it| it.contains(position))
    }

    /// Room for the moves of an edge: a register that nothing holds at the position and no
    /// move names, and one that holds something there.
    fn room(&self, position: Position, moves: &[Move]) -> (Option<Reg>, Reg) {
        let is_read = |reg: Reg| moves.iter().any(|it| it.from == Origin::Place(Place::Reg(reg)));
        let is_written = |reg: Reg| moves.iter().any(|it| it.to == Place::Reg(reg));
        let is_full = |reg: Reg| self.is_taken(reg, position) || is_read(reg);
        let regs = || (0..N_REGS as u8).map(Reg);
        let free = regs().find(|&reg| !is_full(reg) && !is_written(reg));
        (free, regs().find(|&reg| is_full(reg)).unwrap_or(Reg(0)))
    }

    /// Parameters come in r1…r5.
    fn entry(&mut self) {
        let entry = Block(0);
        let block = self.code.block(entry);
        let mut moves = Vec::new();
        for (idx, &param) in block.params.iter().enumerate() {
            let from = Origin::Place(Place::Reg(Reg(idx as u8 + 1)));
            self.define_param(param, 0, from, &mut moves);
        }
        self.add_moves(entry, moves, Some(R0), R0, block.span);
    }

    /// Moves a parameter to every place that holds it from the start of its block on.
    fn define_param(&self, param: VReg, start: Position, from: Origin, moves: &mut Vec<Move>) {
        if self.liveness.intervals[param.index()].uses.is_empty() {
            return;
        }
        let spill = self.allocation.spills[param.index()].map(Place::Spill);
        let reg = self.allocation.reg(param, start).map(Place::Reg);
        moves.extend([spill, reg].into_iter().flatten().map(|to| Move { to, from }));
    }

    fn block(&mut self, block: Block) {
        let data = self.code.block(block);
        for (idx, inst) in data.insts.iter().enumerate() {
            let position = self.liveness.layout.inst(block, idx);
            self.reload(block, position, inst.span);
            match &inst.kind {
                Kind::Call { args, result, .. } => self.call(block, position, inst, args, *result),
                _ => self.blocks[block.index()].push(Step::Inst(inst, position)),
            }
            self.spill(block, position, inst);
        }
        let position = self.liveness.layout.end(block);
        self.reload(block, position, data.span);
        match &data.end {
            End::Jump(target, args) => {
                let moves = self.edge(block, *target, args);
                let (free, lent) = self.room(self.liveness.layout.span(block).end - 1, &moves);
                self.add_moves(block, moves, free, lent, data.span);
            }
            End::Return(arg) => {
                let from = self.arg_origin(*arg, position);
                self.add_moves(block, vec![Move { to: Place::Reg(R0), from }], None, R0, data.span);
            }
            End::Branch { .. } | End::Guard { .. } => {
                for target in data.end.targets() {
                    let moves = self.edge(block, target, &[]);
                    let (free, lent) = self.room(self.liveness.layout.span(target).start, &moves);
                    let later = std::mem::take(&mut self.blocks[target.index()]);
                    // The edge is the target's only one, so its moves can stand at the start.
                    self.add_moves(target, moves, free, lent, data.span);
                    self.blocks[target.index()].extend(later);
                }
            }
        }
    }

    fn reload(&mut self, block: Block, position: Position, span: Span) {
        let Some(loads) = self.reloads.remove(&position) else { return };
        for (vreg, reg) in loads {
            let from = match (self.allocation.spills[vreg.index()], self.code.remats[vreg.index()]) {
                (Some(spill), _) => Origin::Place(Place::Spill(spill)),
                (None, Some(remat)) => Origin::Remat(remat),
                (None, None) => unreachable!("{vreg:?} is split but has no place"),
            };
            let it = Move { to: Place::Reg(reg), from };
            self.blocks[block.index()].push(Step::Move(it, span));
        }
    }

    fn call(&mut self, block: Block, position: Position, inst: &'a Inst, args: &[Arg], result: Option<VReg>) {
        let to = |idx: usize| Place::Reg(Reg(idx as u8 + 1));
        let moves = args.iter().enumerate();
        let moves: Vec<Move> =
            moves.map(|(idx, &arg)| Move { to: to(idx), from: self.arg_origin(arg, position) }).collect();
        // r0 is lost anyway; if it holds an argument, that has moved before a cycle is broken.
        self.add_moves(block, moves, Some(R0), R0, inst.span);
        self.blocks[block.index()].push(Step::Inst(inst, position));
        if let Some(reg) = result.and_then(|it| self.allocation.reg(it, position + RESULT)) {
            let it = Move { to: Place::Reg(reg), from: Origin::Place(Place::Reg(R0)) };
            self.add_moves(block, vec![it], None, R0, inst.span);
        }
    }

    /// Stores a split register once its definition is complete.
    fn spill(&mut self, block: Block, position: Position, inst: &Inst) {
        for (vreg, role) in inst.kind.operands() {
            let Some(spill) = self.allocation.spills[vreg.index()] else { continue };
            let uses = &self.liveness.intervals[vreg.index()].uses;
            let last = uses.iter().rfind(|it| matches!(it.role, Role::Define | Role::Modify));
            let completes =
                matches!(role, Role::Define | Role::Modify) && last.is_some_and(|it| it.position == position);
            let reg = self.allocation.reg(vreg, position + RESULT);
            if let Some(reg) = reg.filter(|_| completes) {
                let it = Move { to: Place::Spill(spill), from: Origin::Place(Place::Reg(reg)) };
                self.blocks[block.index()].push(Step::Move(it, inst.span));
            }
        }
    }

    /// The moves of an edge.
    fn edge(&self, from: Block, to: Block, args: &[Arg]) -> Vec<Move> {
        let start = self.liveness.layout.span(to).start;
        let last = self.liveness.layout.span(from).end - 1;
        let mut moves = Vec::new();
        for idx in self.liveness.live_in[to.index()].iter() {
            let vreg = VReg(idx as u32);
            if let Some(reg) = self.allocation.reg(vreg, start) {
                moves.push(Move { to: Place::Reg(reg), from: self.origin(vreg, last) });
            }
        }
        let position = self.liveness.layout.end(from);
        for (&arg, &param) in args.iter().zip(&self.code.block(to).params) {
            let already = |spill| arg.reg().and_then(|it| self.allocation.spills[it.index()]) == Some(spill);
            let origin = self.arg_origin(arg, position);
            let first = moves.len();
            self.define_param(param, start, origin, &mut moves);
            // Registers of one bundle share their spill slot.
            if moves.get(first).is_some_and(|it| matches!(it.to, Place::Spill(spill) if already(spill))) {
                moves.remove(first);
            }
        }
        moves
    }
}
