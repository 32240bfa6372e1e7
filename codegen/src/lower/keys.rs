//! Keys of script maps: their bytes in memory, and which kernel map they are in.
//!
//! The kernel hashes and compares all bytes that a key may have, so long strings are slow keys.
//! A script map with such keys is stored in two kernel maps ([`Place::Keyed`]): strings that fit
//! [`SHORT_KEY`] with their NUL are in the one with keys of that size, the others in the other.

use super::Body;
use super::memory::Memory;
use super::place::Place as Found;
use crate::helpers::Helper;
use crate::ir::{Cond, Map, Op, Region, Type, Value};
use crate::storage::{Place, SHORT_KEY};
use lang::builtins::Builtin;
use lang::hir::{Expr, ExprKind};
use lang::ty::Ty;

/// A key in memory.
#[derive(Clone, Copy)]
pub struct Key {
    /// Where its bytes are.
    pub address: Value,
    /// Where the map is in two: 0 when the key is a short string.
    long: Option<Value>,
}

impl Body<'_, '_> {
    /// A key of a map, evaluated.
    pub fn key(&mut self, place: Place, key: Option<&Expr>) -> Key {
        let Some(key) = key else { return Key { address: self.bytes(None), long: None } };
        match place {
            Place::Keyed { index: true, .. } => return self.index(key),
            Place::Keyed { short: Some(_), .. } => {}
            _ => return Key { address: self.bytes(Some(key)), long: None },
        }
        if let (ExprKind::Builtin(Builtin::Str, args), Ty::Str(capacity)) = (&key.kind, &key.ty) {
            let (memory, long) = self.at(key.span, |body| body.string_key(args, *capacity));
            return Key { address: self.address(memory), long: Some(long) };
        }
        // Strings in own memory are zero behind their NUL.
        let address = self.bytes(Some(key));
        let long = self.b.load(1, false, address, SHORT_KEY as i32 - 1);
        Key { address, long: Some(long) }
    }

    /// An array's index. One of more than 32 bits is beyond every array, as the largest is.
    fn index(&mut self, key: &Expr) -> Key {
        let index = self.number(key);
        let capped = self.capped(index, u32::MAX);
        let memory = self.allocate(4);
        self.b.store(4, memory.ptr, memory.offset, capped);
        Key { address: self.address(memory), long: None }
    }

    /// The address of a value's bytes; without a value that of an array's only index. Values that
    /// are in own memory already stay there.
    pub fn bytes(&mut self, value: Option<&Expr>) -> Value {
        let Some(value) = value else {
            let memory = self.allocate(4);
            let zero = self.b.constant(0);
            self.b.store(4, memory.ptr, memory.offset, zero);
            return self.address(memory);
        };
        let memory = match &value.kind {
            _ if value.ty.is_scalar() => self.temporary(value),
            ExprKind::Local(_) => match self.place(value) {
                Found::Own(memory) if !self.is_context(memory) => memory,
                place => self.materialise(place, &value.ty),
            },
            _ => self.temporary(value),
        };
        self.address(memory)
    }

    /// A value in memory of its own.
    pub fn temporary(&mut self, value: &Expr) -> Memory {
        let memory = self.allocate_for(&value.ty);
        self.lower_into(value, memory);
        memory
    }

    /// A look-up: the kernel map that should have the key, and the entry, which may be null.
    pub fn look_up(&mut self, place: Place, key: Key) -> (Value, Value) {
        let done = self.b.block();
        let (map, entry) =
            (self.b.param(done, Type::Ptr(Region::Map)), self.b.param(done, Type::Ptr(Region::MaybeNull)));
        // A look-up for each map: the kernel makes special code for one whose map it knows.
        self.each_part(place, key, |body, map| {
            let map = body.b.op(Op::MapAddr(map));
            let entry = body.look_up_in(map, key);
            body.b.jump(done, &[map, entry]);
        });
        self.b.start(done);
        (map, entry)
    }

    /// A look-up in a kernel map that is chosen already.
    pub fn look_up_in(&mut self, map: Value, key: Key) -> Value {
        self.b.call(Helper::MapLookupElem, &[map, key.address])
    }

    /// The kernel map that a key belongs to.
    pub fn kernel_map(&mut self, place: Place, key: Key) -> Value {
        let done = self.b.block();
        let map = self.b.param(done, Type::Ptr(Region::Map));
        self.each_part(place, key, |body, map| {
            let map = body.b.op(Op::MapAddr(map));
            body.b.jump(done, &[map]);
        });
        self.b.start(done);
        map
    }

    /// Goes where the key belongs; `f` ends the way for each kernel map.
    fn each_part(&mut self, place: Place, key: Key, f: impl Fn(&mut Self, Map)) {
        let (map, short) = match place {
            Place::Keyed { map, short, .. } => (map, short),
            Place::PerCpuScalar(map) => (map, None),
            // A value in `.bss` is found without a look-up.
            Place::Global { .. } => return,
        };
        let (Some(long), Some(short)) = (key.long, short) else { return f(self, map) };
        let [in_short, in_long] = [self.b.block(), self.b.block()];
        let zero = self.b.constant(0);
        self.b.branch(Cond::Eq, long, zero, in_short, in_long);
        self.b.start(in_short);
        f(self, short);
        self.b.start(in_long);
        f(self, map);
    }
}
