//! Strings: reading them from memory, comparing them.

use super::Body;
use super::memory::{Memory, chunks, number};
use super::place::Place;
use crate::helpers::Helper;
use crate::ir::{BinOp, Block, Cond, Op, Region, Type, Value};
use crate::storage::SHORT_KEY;
use lang::hir::Expr;
use lang::ty::{Space, Ty};

/// Up to this many bytes are zeroed in advance by stores, or compared without a loop.
const INLINE: u32 = 64;
/// The last byte of a string that was cut; user space shows it as a trailer.
const CUT: i64 = 0xff;

impl Body<'_, '_> {
    /// Copies a NUL-terminated string to `capacity` bytes, zero behind the NUL. A string that is
    /// longer fills all bytes; one that cannot be read is empty.
    pub fn read_string(&mut self, to: Memory, capacity: u32, address: Value, user: bool) {
        let size = self.b.constant(capacity.into());
        self.read_string_up_to(to, capacity, address, user, size);
    }

    /// [`Body::read_string`] of at most `size` bytes, a number from 1 to `capacity`.
    fn read_string_up_to(&mut self, to: Memory, capacity: u32, address: Value, user: bool, size: Value) {
        if capacity <= INLINE {
            self.zero(to, capacity);
            self.read_string_dirty(to, address, user, size);
            return;
        }
        if self.scratch != Some(to.ptr) {
            let temporary = self.allocate(capacity);
            self.read_string_up_to(temporary, capacity, address, user, size);
            return self.copy(to, temporary, capacity);
        }
        let used = self.read_string_dirty(to, address, user, size);
        self.zero_tail(to, capacity, used);
    }

    /// Zeroes what is behind the first `used` bytes. The verifier takes the distance and the
    /// length for independent, so it believes that up to `capacity` bytes behind the string are
    /// written too: scratch memory has them at its end.
    fn zero_tail(&mut self, to: Memory, capacity: u32, used: Value) {
        self.cx.scratch.slack = self.cx.scratch.slack.max(capacity);
        let (short, done) = (self.b.block(), self.b.block());
        let limit = self.b.constant(capacity.into());
        // A negative result, after which the kernel has zeroed all, is a large number here.
        self.b.branch(Cond::ULt, used, limit, short, done);
        self.b.start(short);
        let start = self.address(to);
        let tail = self.b.op(Op::PtrAdd(start, used));
        let limit = self.b.constant(capacity.into());
        let left = self.b.binary(BinOp::Sub, limit, used);
        let zeros = self.zeros();
        self.b.call_for_effect(Helper::ProbeReadKernel, &[tail, left, zeros]);
        self.b.jump(done, &[]);
        self.b.start(done);
    }

    /// Copies a NUL-terminated string of at most `size` bytes with the NUL, and leaves what is
    /// behind it as it was. Gives the helper's result: the bytes used with the NUL, or a negative
    /// number.
    pub fn read_string_dirty(&mut self, to: Memory, address: Value, user: bool, size: Value) -> Value {
        let helper = if user { Helper::ProbeReadUserStr } else { Helper::ProbeReadKernelStr };
        let start = self.address(to);
        self.call_reported(helper, &[start, size, address])
    }

    /// Marks a string that goes on behind its capacity: it has no NUL, and 0xff as the last byte.
    fn mark_cut(&mut self, to: Memory, capacity: u32, last: Value) {
        let (cut, done) = (self.b.block(), self.b.block());
        let zero = self.b.constant(0);
        self.b.branch(Cond::Eq, last, zero, done, cut);
        self.b.start(cut);
        let mark = self.b.constant(CUT);
        self.b.store(1, to.ptr, to.offset + capacity as i32 - 1, mark);
        self.b.jump(done, &[]);
        self.b.start(done);
    }

    /// `str(pointer[, limit])`
    pub fn str_into(&mut self, args: &[Expr], capacity: u32, to: Memory) {
        let Some((source, limit)) = args.split_first() else { return self.zero(to, capacity) };
        let (address, user) = self.string_source(source);
        let size = self.string_size(limit.first(), capacity);
        self.read_string_up_to(to, capacity, address, user, size);
    }

    /// `str(pointer[, limit])` without regard to what is behind the NUL; gives the bytes used.
    pub fn str_dirty_into(&mut self, args: &[Expr], capacity: u32, to: Memory) -> Value {
        let Some((source, limit)) = args.split_first() else { return self.b.constant(0) };
        let (address, user) = self.string_source(source);
        let size = self.string_size(limit.first(), capacity);
        self.read_string_dirty(to, address, user, size)
    }

    /// `str(pointer[, limit])` as a key of a map in two: also whether it is a long string (0 for
    /// short ones, behind which only the bytes of a short key are zero).
    pub fn string_key(&mut self, args: &[Expr], capacity: u32) -> (Memory, Value) {
        let memory = self.allocate(capacity);
        if self.scratch != Some(memory.ptr) {
            self.str_into(args, capacity, memory);
            return (memory, self.b.load(1, false, memory.ptr, memory.offset + SHORT_KEY as i32 - 1));
        }
        self.zero(memory, SHORT_KEY);
        let used = self.str_dirty_into(args, capacity, memory);
        let last = self.b.load(1, false, memory.ptr, memory.offset + SHORT_KEY as i32 - 1);
        let long = self.b.block();
        let (done, is_long) = self.b.block_with_number();
        let zero = self.b.constant(0);
        self.b.branch_with(Cond::Eq, last, zero, (done, &[zero]), (long, &[]));
        self.b.start(long);
        self.zero_tail(memory, capacity, used);
        let one = self.b.constant(1);
        self.b.jump(done, &[one]);
        self.b.start(done);
        (memory, is_long)
    }

    fn string_source(&mut self, source: &Expr) -> (Value, bool) {
        if source.ty.is_scalar() {
            return (self.scalar(source), matches!(source.ty, Ty::Ptr(_, Space::User)));
        }
        let place = self.place(source);
        self.foreign(place)
    }

    /// How many bytes are copied at most, the NUL included: bounded for the verifier.
    fn string_size(&mut self, limit: Option<&Expr>, capacity: u32) -> Value {
        let Some(limit) = limit else { return self.b.constant(capacity.into()) };
        let wanted = self.number(limit);
        if let Some(wanted) = self.b.as_const(wanted) {
            return self.b.constant(wanted.clamp(1, capacity.into()));
        }
        let (bounded, size) = self.b.block_with_number();
        let capacity = self.b.constant(capacity.into());
        let inside = self.b.block();
        self.b.branch_with(Cond::UGt, wanted, capacity, (bounded, &[capacity]), (inside, &[]));
        self.b.start(inside);
        let (zero, one) = (self.b.constant(0), self.b.constant(1));
        self.b.branch_with(Cond::Eq, wanted, zero, (bounded, &[one]), (bounded, &[wanted]));
        self.b.start(bounded);
        size
    }

    /// Compares two values that are not scalars: goes to `differ`, or on when they are equal.
    pub fn compare_memory(&mut self, left: &Expr, right: &Expr, differ: Block) {
        let string = matches!((&left.ty, &right.ty), (Ty::Str(_), Ty::Str(_)));
        let size = self.cx.size_of(&left.ty).min(self.cx.size_of(&right.ty));
        let (a, b) = (self.place(left), self.place(right));
        match (a, b) {
            (Place::Bytes(bytes), place) | (place, Place::Bytes(bytes)) => {
                let ty = if matches!(left.kind, lang::hir::ExprKind::Str(_) | lang::hir::ExprKind::Bytes(_)) {
                    &right.ty
                } else {
                    &left.ty
                };
                let memory = self.materialise(place, ty);
                let mut bytes = bytes;
                if string {
                    bytes.push(0);
                    bytes.truncate(size as usize);
                } else {
                    bytes.resize(size as usize, 0);
                }
                self.compare_bytes(memory, &bytes, differ);
            }
            (a, b) => {
                let (a, b) = (self.materialise(a, &left.ty), self.materialise(b, &right.ty));
                self.compare_words(a, b, size, string, differ);
            }
        }
    }

    fn compare_bytes(&mut self, memory: Memory, bytes: &[u8], differ: Block) {
        for (at, width) in chunks(bytes.len() as u32, memory.align) {
            let (at, end) = (at as usize, at as usize + usize::from(width));
            let expected = number(&bytes[at..end]);
            let value = self.b.load(width, false, memory.ptr, memory.offset + at as i32);
            let expected = self.b.constant(expected);
            self.go_on_if_equal(value, expected, differ);
        }
    }

    fn go_on_if_equal(&mut self, left: Value, right: Value, differ: Block) {
        let same = self.b.block();
        self.b.branch(Cond::Eq, left, right, same, differ);
        self.b.start(same);
    }

    /// Both have zero padding and tails, so equal values are equal words.
    fn compare_words(&mut self, a: Memory, b: Memory, size: u32, string: bool, differ: Block) {
        let align = a.align.min(b.align);
        if size <= INLINE || align < 8 {
            for (at, width) in chunks(size, align) {
                let left = self.b.load(width, false, a.ptr, a.offset + at as i32);
                let right = self.b.load(width, false, b.ptr, b.offset + at as i32);
                self.go_on_if_equal(left, right, differ);
            }
            return;
        }
        let whole = size & !7;
        self.compare_loop(a, b, whole, string, differ);
        self.compare_words(a.at(whole), b.at(whole), size - whole, string, differ);
    }

    /// Compares `size` bytes in a loop over words. Where both strings have a word of zeros they
    /// have ended.
    fn compare_loop(&mut self, a: Memory, b: Memory, size: u32, string: bool, differ: Block) {
        let (a, b) = (self.address(a), self.address(b));
        let [head, body, same, next, done] = std::array::from_fn(|_| self.b.block());
        let at = self.b.param(head, Type::I64);
        let zero = self.b.constant(0);
        self.b.jump(head, &[zero]);
        self.b.start_unsealed(head);
        let end = self.b.constant(size.into());
        self.b.branch(Cond::ULt, at, end, body, done);
        self.b.start(body);
        let (left, right) = (self.b.op(Op::PtrAdd(a, at)), self.b.op(Op::PtrAdd(b, at)));
        let (left, right) = (self.b.load(8, false, left, 0), self.b.load(8, false, right, 0));
        self.b.branch(Cond::Eq, left, right, same, differ);
        self.b.start(same);
        if string {
            let zero = self.b.constant(0);
            self.b.branch(Cond::Eq, left, zero, done, next);
        } else {
            self.b.jump(next, &[]);
        }
        self.b.start(next);
        let following = self.b.binary_const(BinOp::Add, at, 8);
        self.b.jump(head, &[following]);
        self.b.seal(head);
        self.b.start(done);
    }

    /// `cast` between strings, tuples and the like: to another type, straight into memory.
    pub fn cast_into(&mut self, inner: &Expr, ty: &Ty, to: Memory) {
        match (&inner.ty, ty) {
            (Ty::Str(from), Ty::Str(capacity)) => self.cast_string(inner, *from, *capacity, to),
            (Ty::Array(..), Ty::Str(capacity)) => {
                let available = self.cx.size_of(&inner.ty).min(*capacity);
                let place = self.place(inner);
                let (address, user) = self.foreign(place);
                self.read_string(to, available, address, user);
                self.zero(to.at(available), capacity - available);
            }
            (from, Ty::Array(..)) if from.is_scalar() => {
                self.integer_as_array(inner, self.cx.size_of(ty), to)
            }
            (Ty::Tuple(from), Ty::Tuple(members)) => {
                let members: Vec<&Ty> = members.iter().collect();
                self.cast_tuple(inner, from.iter().collect(), members, to);
            }
            (Ty::Record(from), Ty::Record(members)) => {
                let members: Vec<&Ty> = members.iter().map(|(_, ty)| ty).collect();
                self.cast_tuple(inner, from.iter().map(|(_, ty)| ty).collect(), members, to);
            }
            (Ty::Ipv4, Ty::Network) => self.network_of(inner, to),
            _ => {
                let place = self.place(inner);
                self.cast_place(place, &inner.ty, ty, to);
            }
        }
    }

    /// An integer's bytes in the order of memory, extended by its sign to `size`, at most 8.
    fn integer_as_array(&mut self, integer: &Expr, size: u32, to: Memory) {
        let value = self.number(integer);
        for (at, width) in chunks(size, to.align) {
            let part = self.b.binary_const(BinOp::LShr, value, i64::from(at) * 8);
            self.b.store(width, to.ptr, to.offset + at as i32, part);
        }
    }

    /// The network of one address, as an LPM trie's key has it.
    fn network_of(&mut self, address: &Expr, to: Memory) {
        let address = self.number(address);
        let all_bits = self.b.constant(32);
        self.b.store(4, to.ptr, to.offset, all_bits);
        let address = self.b.op(Op::Bswap(32, address));
        self.b.store(4, to.ptr, to.offset + 4, address);
    }

    /// A shorter string loses its end, a longer one gets zeros.
    fn cast_string(&mut self, inner: &Expr, from: u32, capacity: u32, to: Memory) {
        if from <= capacity {
            self.lower_into(inner, to);
            return self.zero(to.at(from), capacity - from);
        }
        let place = self.place(inner);
        self.copy_cut(to, place, capacity);
    }

    /// Copies a string to less than its capacity.
    fn copy_cut(&mut self, to: Memory, from: Place, capacity: u32) {
        self.copy_place(to, from, &Ty::Str(capacity));
        let last = self.b.load(1, false, to.ptr, to.offset + capacity as i32 - 1);
        self.mark_cut(to, capacity, last);
    }

    fn cast_tuple(&mut self, inner: &Expr, from: Vec<&Ty>, members: Vec<&Ty>, to: Memory) {
        let place = self.place(inner);
        self.cast_members(place, &from, &members, to);
    }

    fn cast_members(&mut self, place: Place, from: &[&Ty], members: &[&Ty], to: Memory) {
        self.zero_gaps(members, to);
        let types = &self.cx.program.types;
        let (sources, _) = lang::layout::fields(from.iter().copied(), types);
        let (targets, _) = lang::layout::fields(members.iter().copied(), types);
        for (((source, from), target), ty) in sources.into_iter().zip(from).zip(targets).zip(members) {
            let member = self.offset_place(place.clone(), source);
            self.cast_place(member, from, ty, to.at(target));
        }
    }

    /// Copies a value of one type to memory as another.
    fn cast_place(&mut self, place: Place, from: &Ty, ty: &Ty, to: Memory) {
        match (from, ty) {
            (Ty::Tuple(a), Ty::Tuple(b)) => {
                let (a, b): (Vec<&Ty>, Vec<&Ty>) = (a.iter().collect(), b.iter().collect());
                self.cast_members(place, &a, &b, to);
            }
            (Ty::Str(a), Ty::Str(b)) if a > b => self.copy_cut(to, place, *b),
            (Ty::Str(a), Ty::Str(b)) => {
                let size = *a.min(b);
                self.copy_place(to, place, &Ty::Str(size));
                self.zero(to.at(size), b - size);
            }
            (from, ty) if from.is_scalar() && ty.is_scalar() => {
                let value = self.load(place, from);
                let value = self.cast_value(value, from, ty);
                self.b.store(self.int_ty(ty).size, to.ptr, to.offset, value);
            }
            _ => self.copy_place(to, place, ty),
        }
    }

    /// Whether memory is the context, which is read by other rules.
    pub fn is_context(&self, memory: Memory) -> bool {
        self.b.ty(memory.ptr) == Type::Ptr(Region::Ctx)
    }
}
