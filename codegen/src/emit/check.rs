//! Proof that an allocation is right, for debug builds and tests.
//!
//! Comes in: [`Code`], its allocation and the rewritten steps. Goes out: nothing, or the first
//! place where an instruction may read something else than the virtual register it names.
//! The check follows the steps and keeps for every register and spill slot which virtual
//! registers it holds on every way there; it shares no code with the allocator's decisions.

use super::allocate::{Allocation, N_CALLER_SAVED};
use super::live::{Liveness, Position, RESULT};
use super::machine::{Arg, Code, End, Kind, Remat, Role, VReg};
use super::moves::{Move, Origin, Place};
use super::rewrite::{Rewritten, Step};
use crate::bpf::Reg;
use crate::ir::Block;
use std::collections::{BTreeMap, BTreeSet};

/// Something that a place may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Held {
    VReg(VReg),
    Remat(Remat),
}

/// What every place is known to hold.
type State = BTreeMap<Place, BTreeSet<Held>>;

/// Checks an allocation.
pub fn check(
    code: &Code,
    liveness: &Liveness,
    allocation: &Allocation,
    rewritten: &Rewritten<'_>,
) -> Result<(), String> {
    let mut made_as: BTreeMap<Remat, Vec<VReg>> = BTreeMap::new();
    for (idx, remat) in code.remats.iter().enumerate() {
        if let Some(remat) = remat {
            made_as.entry(*remat).or_default().push(VReg(idx as u32));
        }
    }
    let checker = Checker { code, liveness, allocation, rewritten, made_as };
    let mut starts: Vec<Option<State>> = vec![None; code.blocks.len()];
    starts[0] = Some(checker.entry());
    // In the order of the blocks, so that most are visited once.
    let place: BTreeMap<Block, usize> = code.order.iter().enumerate().map(|(idx, &it)| (it, idx)).collect();
    let mut work = BTreeSet::from([0]);
    while let Some(next) = work.pop_first() {
        let block = code.order[next];
        let Some(state) = starts[block.index()].clone() else { continue };
        let end = checker.block(block, state).map_err(|error| format!("{block}: {error}"))?;
        for target in code.block(block).end.targets() {
            let state = checker.pass(block, target, &end);
            if meet(&mut starts[target.index()], state) {
                work.insert(place[&target]);
            }
        }
    }
    Ok(())
}

/// Keeps what both know; whether that is less than before.
fn meet(known: &mut Option<State>, new: State) -> bool {
    let Some(known) = known else {
        *known = Some(new);
        return true;
    };
    let before: usize = known.values().map(BTreeSet::len).sum();
    for (place, held) in known.iter_mut() {
        held.retain(|it| new.get(place).is_some_and(|other| other.contains(it)));
    }
    known.values().map(BTreeSet::len).sum::<usize>() < before
}

struct Checker<'a> {
    code: &'a Code,
    liveness: &'a Liveness,
    allocation: &'a Allocation,
    rewritten: &'a Rewritten<'a>,
    /// The virtual registers that can be made again as each.
    made_as: BTreeMap<Remat, Vec<VReg>>,
}

impl Checker<'_> {
    fn entry(&self) -> State {
        let params = self.code.block(Block(0)).params.iter().enumerate();
        let held = |it: VReg| BTreeSet::from([Held::VReg(it)]);
        params.map(|(idx, &param)| (Place::Reg(Reg(idx as u8 + 1)), held(param))).collect()
    }

    fn block(&self, block: Block, mut state: State) -> Result<State, String> {
        for step in &self.rewritten.blocks[block.index()] {
            match step {
                Step::Move(it, _) => self.apply(&mut state, *it),
                Step::Inst(inst, position) => self.inst(&inst.kind, *position, &mut state)?,
            }
        }
        self.end(block, &state)?;
        Ok(state)
    }

    /// A move; a value that was made again is every virtual register that stands for it.
    fn apply(&self, state: &mut State, Move { to, from }: Move) {
        let now = match from {
            Origin::Place(place) => state.get(&place).cloned().unwrap_or_default(),
            Origin::Remat(remat) => {
                let vregs = self.made_as.get(&remat).into_iter().flatten();
                vregs.map(|&it| Held::VReg(it)).chain([Held::Remat(remat)]).collect()
            }
        };
        state.insert(to, now);
    }

    fn inst(&self, kind: &Kind, position: Position, state: &mut State) -> Result<(), String> {
        if let Kind::Call { args, .. } = kind {
            for (idx, &arg) in args.iter().enumerate() {
                expect(state, Reg(idx as u8 + 1), held(arg), position)?;
            }
        }
        for (vreg, role) in kind.operands() {
            if matches!(role, Role::Use | Role::Modify) {
                let reg = self.reg(vreg, position)?;
                expect(state, reg, Held::VReg(vreg), position)?;
            }
        }
        if let Kind::Call { .. } = kind {
            (0..N_CALLER_SAVED as u8).for_each(|reg| drop(state.remove(&Place::Reg(Reg(reg)))));
        }
        for (vreg, role) in kind.operands() {
            if matches!(role, Role::Define | Role::Modify) {
                self.define(kind, vreg, position, state)?;
            }
        }
        Ok(())
    }

    fn define(&self, kind: &Kind, vreg: VReg, position: Position, state: &mut State) -> Result<(), String> {
        let reg = match kind {
            Kind::Call { .. } => Reg(0),
            _ => self.reg(vreg, position + RESULT)?,
        };
        let place = Place::Reg(reg);
        // A copy within a register leaves what was there.
        let stays = matches!(kind, Kind::Copy { src, .. } if self.reg(*src, position) == Ok(reg));
        let mut now = if stays { state.remove(&place).unwrap_or_default() } else { BTreeSet::new() };
        for held in state.values_mut() {
            held.remove(&Held::VReg(vreg));
        }
        now.insert(Held::VReg(vreg));
        if let Kind::Make { what, .. } = kind {
            now.insert(Held::Remat(*what));
        }
        state.insert(place, now);
        Ok(())
    }

    fn reg(&self, vreg: VReg, position: Position) -> Result<Reg, String> {
        let reg = self.allocation.reg(vreg, position);
        reg.ok_or_else(|| format!("{vreg:?} has no register at {position}"))
    }

    fn end(&self, block: Block, state: &State) -> Result<(), String> {
        let position = self.liveness.layout.end(block);
        match &self.code.block(block).end {
            End::Return(arg) => expect(state, Reg(0), held(*arg), position),
            End::Branch { jump, .. } => {
                for (vreg, _) in jump.operands() {
                    expect(state, self.reg(vreg, position)?, Held::VReg(vreg), position)?;
                }
                Ok(())
            }
            End::Jump(..) | End::Guard { .. } => Ok(()),
        }
    }

    /// What the target's start knows: its parameters are new, and held where their arguments are.
    fn pass(&self, from: Block, target: Block, state: &State) -> State {
        let params = &self.code.block(target).params;
        let args: &[Arg] = match &self.code.block(from).end {
            End::Jump(_, args) => args,
            _ => &[],
        };
        let live = &self.liveness.live_in[target.index()];
        let mut passed = State::new();
        for (&place, before) in state {
            // What nothing reads any more is left behind.
            let stays = |it: &&Held| matches!(it, Held::VReg(vreg) if live.contains(vreg.index()));
            let mut now: BTreeSet<Held> = before.iter().filter(stays).copied().collect();
            let params = params.iter().zip(args).filter(|(_, arg)| before.contains(&held(**arg)));
            now.extend(params.map(|(&param, _)| Held::VReg(param)));
            if !now.is_empty() {
                passed.insert(place, now);
            }
        }
        passed
    }
}

fn held(arg: Arg) -> Held {
    match arg {
        Arg::Reg(vreg) => Held::VReg(vreg),
        Arg::Remat(remat) => Held::Remat(remat),
    }
}

fn expect(state: &State, reg: Reg, held: Held, position: Position) -> Result<(), String> {
    let there = state.get(&Place::Reg(reg));
    match there.is_some_and(|it| it.contains(&held)) {
        true => Ok(()),
        false => Err(format!("at {position} r{} should hold {held:?}, but holds {there:?}", reg.0)),
    }
}
