//! Scratch memory: what is too large for the stack lives in per-CPU maps, looked up where a
//! program first needs it.
//!
//! Programs that never run nested with others of their class share one area of a map with one
//! entry. Preemptible programs cannot: two runs on one CPU may end in any order, so each takes one
//! of several slots. A slot's first word is 1 while a run has it; an atomic exchange on that CPU
//! takes it, a plain store gives it back. A run that finds no free slot does nothing, and is
//! counted as a lost event.
//!
//! Invariant: every way from where a slot is taken to the end of the function gives it back, once.

use super::nesting::Nesting;
use super::{Body, Context};
use crate::helpers::Helper;
use crate::ir::{self, Block, Cond, Map, Op, Region, Type, Value};
use crate::storage;
use crate::target::KernelVersion;

/// Bytes of the word that says whether a slot is taken.
const TAKEN: u32 = 8;
/// The first kernel with an atomic exchange.
const SWAP_SINCE: KernelVersion = KernelVersion(5, 12);

/// The scratch memory of all programs of a module.
#[derive(Default)]
pub struct Scratch {
    /// Bytes of the shared area so far.
    pub shared: u32,
    /// Bytes of a slot so far, its first word included; 0 without slots.
    pub slot: u32,
    /// Bytes behind both that are never written, though the verifier thinks that they might be.
    pub slack: u32,
    /// The maps that are used, in the order of their first use.
    used: Vec<Area>,
}

/// A map with scratch memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Area {
    Shared,
    Slots,
}

impl Scratch {
    /// The largest value that the maps would have.
    pub fn size(&self) -> u32 {
        match self.shared.max(self.slot) {
            0 => 0,
            size => size + self.slack,
        }
    }

    /// The maps, to stand behind all others.
    pub fn maps(&self) -> Vec<ir::KernelMap> {
        let map = |area: &Area| match area {
            Area::Shared => storage::scratch_map(self.shared + self.slack),
            Area::Slots => storage::slots_map(self.slot + self.slack),
        };
        self.used.iter().map(map).collect()
    }
}

impl Context<'_> {
    /// A scratch map stands behind the plan's.
    fn scratch_map(&mut self, area: Area) -> Map {
        let used = &mut self.scratch.used;
        let idx = used.iter().position(|it| *it == area).unwrap_or_else(|| {
            used.push(area);
            used.len() - 1
        });
        Map((self.plan.maps.len() + idx) as u32)
    }
}

impl Body<'_, '_> {
    /// Makes the scratch memory that the body used, if it did. The body is complete.
    pub fn provide_scratch(&mut self) {
        let Some(scratch) = self.scratch else { return };
        // Not before a predicate: most events go no further.
        let rest = self.b.open(self.b.home(scratch));
        if self.nesting == Nesting::Preemptible {
            self.take_slot(scratch, rest);
        } else {
            self.find_area(scratch, rest);
        }
    }

    fn find_area(&mut self, scratch: Value, rest: Block) {
        let key = self.key_slot();
        let zero = self.b.constant(0);
        self.b.store(4, key, 0, zero);
        let area = self.look_scratch_up(Area::Shared, key);
        let failed = self.b.block();
        let value = self.b.check_null(area, failed);
        let base = self.b.constant(self.scratch_base.into());
        self.b.define(scratch, Op::PtrAdd(value, base));
        self.b.jump(rest, &[]);
        self.b.start(failed);
        self.return_default();
    }

    /// Takes the first free slot.
    fn take_slot(&mut self, scratch: Value, rest: Block) {
        self.require_swap();
        let [attempt, busy, again, none] = std::array::from_fn(|_| self.b.block());
        let number = self.b.param(attempt, Type::I64);
        let taken = self.b.block();
        let slot = self.b.param(taken, Type::Ptr(Region::MapValue));
        let key = self.key_slot();
        let zero = self.b.constant(0);
        self.b.jump(attempt, &[zero]);

        self.b.start_unsealed(attempt);
        self.b.store(4, key, 0, number);
        let found = self.look_scratch_up(Area::Slots, key);
        let found = self.b.check_null(found, none);
        let (zero, one) = (self.b.constant(0), self.b.constant(1));
        let before = self.b.op(Op::AtomicSwap { width: 8, ptr: found, offset: 0, value: one });
        self.b.branch_with(Cond::Eq, before, zero, (taken, &[found]), (busy, &[]));

        self.b.start(busy);
        let next = self.b.binary_const(ir::BinOp::Add, number, 1);
        // The kernel's answer behind the last slot is null; this is only the verifier's bound.
        let limit = self.b.constant(storage::MOST_SLOTS.into());
        self.b.branch(Cond::ULt, next, limit, again, none);
        self.b.start(again);
        self.b.jump(attempt, &[next]);
        self.b.seal(attempt);

        self.b.start(none);
        self.count(self.cx.plan.lost);
        self.return_default();

        self.b.start(taken);
        let base = self.b.constant(TAKEN.into());
        self.b.define(scratch, Op::PtrAdd(slot, base));
        self.b.jump(rest, &[]);
        self.b.on_leaving(taken, |b| {
            let free = b.constant(0);
            b.store(8, slot, 0, free);
        });
    }

    /// Keys of array maps are numbers of four bytes.
    fn key_slot(&mut self) -> Value {
        let key = self.b.slot(4, 4);
        self.b.op(Op::SlotAddr(key))
    }

    fn look_scratch_up(&mut self, area: Area, key: Value) -> Value {
        let map = self.cx.scratch_map(area);
        let map = self.b.op(Op::MapAddr(map));
        self.b.call(Helper::MapLookupElem, &[map, key])
    }

    /// Adds what the body used to what the maps must hold.
    pub fn account_scratch(&mut self) {
        if self.scratch.is_none() {
            return;
        }
        let scratch = &mut self.cx.scratch;
        match self.nesting {
            Nesting::Preemptible => scratch.slot = scratch.slot.max(TAKEN + self.scratch_peak),
            _ => scratch.shared = scratch.shared.max(self.scratch_base + self.scratch_peak),
        }
    }

    /// Reports a target without an atomic exchange.
    pub fn require_swap(&mut self) {
        let kernel = self.cx.target.kernel;
        if kernel < SWAP_SINCE {
            let message = format!(
                "`min`, `max`, long strings and large records of this probe need Linux {SWAP_SINCE}, the target is Linux {kernel}"
            );
            self.cx.error(self.b.span(), message);
        }
    }
}
