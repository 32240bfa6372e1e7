//! Script maps: keys, reading, writing, adding, removing, counting.

use super::keys::Key;
use super::memory::Memory;
use super::place::Place as Found;
use super::{Body, Context};
use crate::helpers::Helper;
use crate::ir::{BinOp, Block, Cond, Func, Function, Map, Op, Region, Type, Value};
use crate::storage::{Entry, Place};
use lang::Span;
use lang::hir::{Expr, ExprKind, MapId, MapKind, MapOp, Program};
use lang::ty::{IntTy, Ty};
use std::collections::HashSet;

/// `BPF_ANY`: insert or replace.
const ANY: i64 = 0;
/// `BPF_NOEXIST`: insert only.
const NO_EXIST: i64 = 1;
/// What inserting gives when another CPU was faster.
const EEXIST: i64 = -17;
/// What an update behind the end of an array gives.
const E2BIG: i64 = -7;

/// Where an integer of a script map is, for an addition.
struct Counter {
    ptr: Value,
    offset: i32,
}

impl Body<'_, '_> {
    pub(super) fn entry(&self, map: MapId) -> Entry {
        self.cx.plan.entries[map.0 as usize]
    }

    fn value_ty(&self, map: MapId) -> Ty {
        self.cx.program.maps[map.0 as usize].value.clone()
    }

    /// A scalar entry's value; 0 when there is none.
    pub fn map_value(&mut self, map: MapId, key: Option<&Expr>, ty: &Ty) -> Value {
        match self.entry(map).place {
            Place::Global { offset, .. } => {
                let ptr = self.bss(offset);
                self.load(Found::Own(Memory { ptr, offset: 0, align: 8 }), ty)
            }
            place => {
                let key = self.key(place, key);
                let (_, entry) = self.look_up(place, key);
                let (done, value) = self.b.block_with_number();
                let missing = self.b.block();
                let ptr = self.b.check_null(entry, missing);
                let loaded = self.load(Found::Own(Memory { ptr, offset: 0, align: 8 }), ty);
                self.b.jump(done, &[loaded]);
                self.b.start(missing);
                self.report_missing(Helper::MapLookupElem);
                let zero = self.b.constant(0);
                self.b.jump(done, &[zero]);
                self.b.start(done);
                value
            }
        }
    }

    /// Where an entry's value is; zero bytes when there is no such entry.
    pub fn map_place(&mut self, map: MapId, key: Option<&Expr>) -> Memory {
        let place = self.entry(map).place;
        let ptr = match place {
            Place::Global { offset, .. } => self.bss(offset),
            place => {
                let key = self.key(place, key);
                let (_, entry) = self.look_up(place, key);
                let done = self.b.block();
                let found = self.b.param(done, Type::Ptr(Region::MapValue));
                let missing = self.b.block();
                let ptr = self.b.check_null(entry, missing);
                self.b.jump(done, &[ptr]);
                self.b.start(missing);
                self.report_missing(Helper::MapLookupElem);
                let zeros = self.zeros();
                self.b.jump(done, &[zeros]);
                self.b.start(done);
                found
            }
        };
        Memory { ptr, offset: 0, align: 8 }
    }

    /// `@m[k] = v`
    pub fn set_map(&mut self, map: MapId, key: Option<&Expr>, value: &Expr) {
        let entry = self.entry(map);
        match entry.place {
            Place::Global { offset, set } => {
                let ptr = self.bss(offset);
                let memory = Memory { ptr, offset: 0, align: 8 };
                if value.ty.is_scalar() || !mentions(value, map) {
                    self.lower_into(value, memory);
                } else {
                    let temporary = self.temporary(value);
                    self.copy(memory, temporary, self.cx.size_of(&value.ty));
                }
                self.mark_set(set);
            }
            Place::Keyed { index: true, .. } => self.set_slot(entry, key, value),
            place => {
                if value.ty.is_scalar() && self.cx.keeps_entries.contains(&map) {
                    return self.set_kept(entry, key, value);
                }
                let value = self.bytes(Some(value));
                let key = self.key(place, key);
                let map = self.kernel_map(place, key);
                let result = self.update(map, key, value, ANY);
                self.count_refusal(result, entry.full);
            }
        }
    }

    /// [`Body::set_map`] where the entry mostly exists: it is written in place, which takes half the
    /// time of the kernel's update, in one store.
    fn set_kept(&mut self, entry: Entry, key: Option<&Expr>, value: &Expr) {
        let size = self.int_ty(&value.ty).size;
        let number = self.number(value);
        let key = self.key(entry.place, key);
        let (missing, done) = (self.b.block(), self.b.block());
        let (map, found) = self.look_up(entry.place, key);
        let ptr = self.b.check_null(found, missing);
        self.b.store(size, ptr, 0, number);
        self.b.jump(done, &[]);
        self.b.start(missing);
        let first = self.allocate(8);
        self.b.store(size, first.ptr, first.offset, number);
        let first = self.address(first);
        let result = self.update(map, key, first, ANY);
        self.count_refusal(result, entry.full);
        self.b.jump(done, &[]);
        self.b.start(done);
    }

    /// Writes to an array, whose values are all there.
    fn set_slot(&mut self, entry: Entry, key: Option<&Expr>, value: &Expr) {
        let value_ty = &value.ty;
        let value = self.temporary(value);
        let (done, outside) = (self.b.block(), self.b.block());
        let key = self.key(entry.place, key);
        let (_, found) = self.look_up(entry.place, key);
        let ptr = self.b.check_null(found, outside);
        self.copy(Memory { ptr, offset: 0, align: 8 }, value, self.cx.size_of(value_ty));
        self.b.jump(done, &[]);
        self.b.start(outside);
        self.count(entry.full);
        let status = self.b.constant(E2BIG);
        self.report_update(status);
        self.b.jump(done, &[]);
        self.b.start(done);
    }

    /// `delete` of an index: its value becomes zero, on every CPU.
    fn delete_slot(&mut self, map: MapId, place: Place, key: Option<&Expr>, span: Span) -> Value {
        let size = self.cx.size_of(&self.value_ty(map));
        if matches!(place, Place::Keyed { per_cpu: true, .. }) {
            let inside = self.b.variable(Type::I64);
            let zero = self.b.constant(0);
            self.b.write(inside, zero);
            self.each_cpu(place, key, span, |body, ptr| {
                body.zero(Memory { ptr, offset: 0, align: 8 }, size);
                let one = body.b.constant(1);
                body.b.write(inside, one);
            });
            return self.b.read(inside);
        }
        let (done, result) = self.b.block_with_number();
        let outside = self.b.block();
        let key = self.key(place, key);
        let (_, found) = self.look_up(place, key);
        let ptr = self.b.check_null(found, outside);
        self.zero(Memory { ptr, offset: 0, align: 8 }, size);
        let one = self.b.constant(1);
        self.b.jump(done, &[one]);
        self.b.start(outside);
        let zero = self.b.constant(0);
        self.b.jump(done, &[zero]);
        self.b.start(done);
        result
    }

    fn mark_set(&mut self, set: u32) {
        let one = self.b.constant(1);
        let ptr = self.bss(set);
        self.b.store(1, ptr, 0, one);
    }

    fn update(&mut self, map: Value, key: Key, value: Value, flags: i64) -> Value {
        let flags = self.b.constant(flags);
        self.b.call(Helper::MapUpdateElem, &[map, key.address, value, flags])
    }

    /// Counts an update that the kernel refused.
    fn count_refusal(&mut self, result: Value, full: Option<u32>) {
        let (refused, done) = (self.b.block(), self.b.block());
        let zero = self.b.constant(0);
        self.b.branch(Cond::Eq, result, zero, done, refused);
        self.b.start(refused);
        self.count(full);
        self.report_update(result);
        self.b.jump(done, &[]);
        self.b.start(done);
    }

    /// Adds 1 to a counter of `.bss`.
    pub fn count(&mut self, counter: Option<u32>) {
        let Some(counter) = counter else { return };
        let ptr = self.bss(counter);
        let value = self.b.constant(1);
        self.b.effect(Op::AtomicAdd { width: 8, ptr, offset: 0, value, fetch: false });
    }

    /// `@m[k] += v` as one atomic addition. The result is the new value (`Some(true)`), the old
    /// one (`Some(false)`) or of no meaning (`None`).
    pub fn add_to_map(&mut self, map: MapId, key: Option<&Expr>, by: Value, prefix: Option<bool>) -> Value {
        let entry = self.entry(map);
        let int = self.int_ty(&self.value_ty(map));
        match entry.place {
            Place::Global { offset, set } => {
                let ptr = self.bss(offset);
                let result = self.add(Counter { ptr, offset: 0 }, int, by, prefix);
                self.mark_set(set);
                result
            }
            place => {
                let key = self.key(place, key);
                self.add_keyed(entry, key, int, by, prefix)
            }
        }
    }

    fn add_keyed(&mut self, entry: Entry, key: Key, int: IntTy, by: Value, prefix: Option<bool>) -> Value {
        let (done, result) = self.b.block_with_number();
        let [missing, lost, exists, inserted] = std::array::from_fn(|_| self.b.block());
        let (map, found) = self.look_up(entry.place, key);
        let ptr = self.b.check_null(found, missing);
        let value = self.add(Counter { ptr, offset: 0 }, int, by, prefix);
        self.b.jump(done, &[value]);

        self.b.start(missing);
        self.report_missing(Helper::MapLookupElem);
        let first = self.allocate(8);
        self.b.store(int.size, first.ptr, first.offset, by);
        let first = self.address(first);
        let status = self.update(map, key, first, NO_EXIST);
        let zero = self.b.constant(0);
        let refused = self.b.block();
        self.b.branch(Cond::Eq, status, zero, inserted, refused);
        self.b.start(refused);
        let eexist = self.b.constant(EEXIST);
        self.b.branch(Cond::Eq, status, eexist, exists, lost);

        self.b.start(exists);
        let found = self.look_up_in(map, key);
        let ptr = self.b.check_null(found, lost);
        let value = self.add(Counter { ptr, offset: 0 }, int, by, prefix);
        self.b.jump(done, &[value]);

        self.b.start(lost);
        self.count(entry.full);
        self.report_update(status);
        self.b.jump(inserted, &[]);
        self.b.start(inserted);
        let value = if prefix == Some(true) { by } else { self.b.constant(0) };
        self.b.jump(done, &[value]);
        self.b.start(done);
        result
    }

    /// Adds to an integer in memory. Integers of 1 and 2 bytes have no atomic instruction.
    fn add(&mut self, counter: Counter, int: IntTy, by: Value, prefix: Option<bool>) -> Value {
        let Counter { ptr, offset } = counter;
        let atomic = int.size >= 4;
        let fetch = prefix.is_some() && self.cx.target.kernel >= crate::target::KernelVersion(5, 12);
        if atomic && prefix.is_none() {
            self.b.effect(Op::AtomicAdd { width: int.size, ptr, offset, value: by, fetch: false });
            return by;
        }
        let old = if atomic && fetch {
            self.b.op(Op::AtomicAdd { width: int.size, ptr, offset, value: by, fetch: true })
        } else {
            // Without the fetching instruction the value given may be another CPU's as well; the
            // addition itself is exact.
            let old = self.b.load(int.size, int.signed, ptr, offset);
            if atomic {
                self.b.effect(Op::AtomicAdd { width: int.size, ptr, offset, value: by, fetch: false });
            } else {
                let new = self.b.binary(BinOp::Add, old, by);
                self.b.store(int.size, ptr, offset, new);
            }
            old
        };
        let value = if prefix == Some(true) { self.b.binary(BinOp::Add, old, by) } else { old };
        self.extend(value, int)
    }

    /// The entry of a per-CPU aggregation on this CPU, inserted when it is missing. Goes to
    /// `lost` when that fails.
    pub fn aggregation_entry(&mut self, map: MapId, key: Option<&Expr>, lost: Block) -> Value {
        let value_size = self.cx.size_of(&self.value_ty(map));
        match self.entry(map).place {
            // Maps that aggregate are never kept in `.bss`.
            Place::Global { offset, .. } => self.bss(offset),
            place @ Place::PerCpuScalar(_) => {
                let key = self.key(place, None);
                let (_, entry) = self.look_up(place, key);
                let ptr = self.b.check_null(entry, lost);
                let one = self.b.constant(1);
                self.b.store(8, ptr, value_size as i32, one);
                ptr
            }
            place @ Place::Keyed { .. } => {
                let key = self.key(place, key);
                let done = self.b.block();
                let result = self.b.param(done, Type::Ptr(Region::MapValue));
                let missing = self.b.block();
                let (map, entry) = self.look_up(place, key);
                let ptr = self.b.check_null(entry, missing);
                self.b.jump(done, &[ptr]);
                self.b.start(missing);
                let zeros = self.zeros();
                let status = self.update(map, key, zeros, NO_EXIST);
                let entry = self.look_up_in(map, key);
                let refused = self.b.block();
                let ptr = self.b.check_null(entry, refused);
                self.b.jump(done, &[ptr]);
                self.b.start(refused);
                self.report_update(status);
                self.b.jump(lost, &[]);
                self.b.start(done);
                result
            }
        }
    }

    /// `has_key`, `delete`, `len`
    pub fn map_op(&mut self, op: MapOp, map: MapId, key: Option<&Expr>, span: Span) -> Value {
        match (self.entry(map).place, op) {
            (Place::Global { set, .. }, MapOp::HasKey | MapOp::Len) => {
                let ptr = self.bss(set);
                self.b.load(1, false, ptr, 0)
            }
            (Place::Global { offset, set }, MapOp::Delete) => self.delete_scalar(map, offset, set),
            (Place::PerCpuScalar(_), op) => self.scalar_aggregation_op(map, op, span),
            (place, MapOp::HasKey) => {
                let key = self.key(place, key);
                let (_, entry) = self.look_up(place, key);
                self.is_found(entry)
            }
            (place @ Place::Keyed { index: true, .. }, MapOp::Delete) => {
                self.delete_slot(map, place, key, span)
            }
            (place, MapOp::Delete) => {
                let key = self.key(place, key);
                let map = self.kernel_map(place, key);
                let status = self.b.call(Helper::MapDeleteElem, &[map, key.address]);
                self.report_delete(status);
                let zero = self.b.constant(0);
                self.b.op(Op::Compare(Cond::Eq, status, zero))
            }
            (Place::Keyed { map, short, .. }, MapOp::Len) => {
                let n_entries = self.entries(map, span);
                let Some(short) = short else { return n_entries };
                let n_short = self.entries(short, span);
                self.b.binary(BinOp::Add, n_entries, n_short)
            }
        }
    }

    fn is_found(&mut self, entry: Value) -> Value {
        let (done, value) = self.b.block_with_number();
        let (zero, one) = (self.b.constant(0), self.b.constant(1));
        self.b.branch_with(Cond::Ne, entry, zero, (done, &[one]), (done, &[zero]));
        self.b.start(done);
        value
    }

    fn delete_scalar(&mut self, map: MapId, offset: u32, set: u32) -> Value {
        let set = self.bss(set);
        let was = self.b.load(1, false, set, 0);
        let ptr = self.bss(offset);
        let size = self.cx.size_of(&self.value_ty(map));
        self.zero(Memory { ptr, offset: 0, align: 8 }, size);
        let zero = self.b.constant(0);
        self.b.store(1, set, 0, zero);
        was
    }

    /// A scalar aggregation has a value when any CPU's word behind it says so.
    fn scalar_aggregation_op(&mut self, map: MapId, op: MapOp, span: Span) -> Value {
        let size = self.cx.size_of(&self.value_ty(map));
        let any = self.b.variable(Type::I64);
        let zero = self.b.constant(0);
        self.b.write(any, zero);
        self.each_cpu(self.entry(map).place, None, span, |body, ptr| {
            let set = body.b.load(8, false, ptr, size as i32);
            let before = body.b.read(any);
            let after = body.b.binary(BinOp::Or, before, set);
            body.b.write(any, after);
            if op == MapOp::Delete {
                body.zero(Memory { ptr, offset: 0, align: 8 }, size + 8);
            }
        });
        self.b.read(any)
    }

    /// The kernel counts the entries while it visits them; the visitor has nothing to do.
    fn entries(&mut self, map: Map, span: Span) -> Value {
        self.require(Helper::ForEachMapElem, "len", span);
        let visitor = self.cx.visitor();
        let map = self.b.op(Op::MapAddr(map));
        let visitor = self.b.op(Op::FuncAddr(visitor));
        let zero = self.b.constant(0);
        self.b.call(Helper::ForEachMapElem, &[map, visitor, zero, zero])
    }

    /// Runs `f` on the values that each CPU has of an entry.
    pub fn each_cpu(
        &mut self,
        place: Place,
        key: Option<&Expr>,
        span: Span,
        f: impl FnOnce(&mut Self, Value),
    ) {
        self.require(Helper::MapLookupPercpuElem, "reading an aggregation", span);
        let has_key = key.is_some();
        let key = self.key(place, key);
        let map = self.kernel_map(place, key);
        if has_key && self.reports_helpers() {
            self.report_no_cpu(map, key);
        }
        let cpu = self.b.variable(Type::I64);
        let zero = self.b.constant(0);
        self.b.write(cpu, zero);
        let [head, body, done] = std::array::from_fn(|_| self.b.block());
        self.b.jump(head, &[]);
        self.b.start_unsealed(head);
        self.bound_loop(cpu, body, done);
        self.b.start(body);
        let index = self.b.read(cpu);
        let entry = self.b.call(Helper::MapLookupPercpuElem, &[map, key.address, index]);
        let ptr = self.b.check_null(entry, done);
        f(self, ptr);
        let index = self.b.read(cpu);
        let next = self.b.binary_const(BinOp::Add, index, 1);
        self.b.write(cpu, next);
        self.b.jump(head, &[]);
        self.b.seal(head);
        self.b.start(done);
    }

    /// Reports that not even the first CPU has the entry. Before the loop, because the verifier
    /// would follow every round of a loop whose rounds matter behind it.
    fn report_no_cpu(&mut self, map: Value, key: Key) {
        let (missing, done) = (self.b.block(), self.b.block());
        let zero = self.b.constant(0);
        let entry = self.b.call(Helper::MapLookupPercpuElem, &[map, key.address, zero]);
        self.b.branch(Cond::Ne, entry, zero, done, missing);
        self.b.start(missing);
        self.report_missing(Helper::MapLookupPercpuElem);
        self.b.jump(done, &[]);
        self.b.start(done);
    }

    /// The loop over CPUs ends where the kernel has no more; this is only the verifier's bound.
    fn bound_loop(&mut self, cpu: super::Variable, body: Block, done: Block) {
        if self.has_loop_guard() {
            return self.b.loop_guard(body, done);
        }
        let index = self.b.read(cpu);
        let most = self.b.constant(1024);
        self.b.branch(Cond::ULt, index, most, body, done);
    }
}

impl Context<'_> {
    /// The subprogram that visits a map's entries.
    fn visitor(&mut self) -> Func {
        if let Some(visitor) = self.visitor {
            return visitor;
        }
        let visitor = self.add_subprogram(visit_function(self.program));
        *self.visitor.insert(visitor)
    }
}

/// The callback that counts: it lets the visit of a map's entries go on.
fn visit_function(program: &Program) -> Function {
    let span = program.probes.first().map_or(Span::default(), |it| it.span);
    let mut builder = super::Builder::new("visit_entry".to_owned(), None, vec![], span);
    builder.start_entry();
    let go_on = builder.constant(0);
    builder.ret(go_on);
    builder.finish()
}

/// The maps that are looked up by whole keys and from which no probe deletes entries.
pub fn kept_maps(program: &Program) -> HashSet<MapId> {
    let exact = |map: &MapId| !matches!(program.maps[map.0 as usize].kind, MapKind::Array | MapKind::Lpm);
    let mut kept: HashSet<MapId> = (0..program.maps.len() as u32).map(MapId).filter(exact).collect();
    for probe in &program.probes {
        crate::visit::each_expr(&probe.body, &mut |expr| {
            if let ExprKind::MapOp { op: MapOp::Delete, map, .. } = &expr.kind {
                kept.remove(map);
            }
        });
    }
    kept
}

/// Whether evaluating an expression reads a map.
fn mentions(expr: &Expr, map: MapId) -> bool {
    let mut found = false;
    crate::visit::each_part(expr, &mut |it| {
        found |= matches!(&it.kind, ExprKind::Map { map: other, .. } if *other == map);
    });
    found
}
