//! Looking into strings and bytes: lengths, parts, patterns, names of numbers.
//!
//! Loops here are bounded by the capacities of what they look at. Where there is `may_goto`, the verifier
//! sees what a round does once; older kernels follow round by round, and each decision is one of the 8192
//! that they keep in mind: there are few in a round then.

use super::Body;
use super::memory::Memory;
use super::place::Place;
use crate::ir::{BinOp, Block, Cond, Op, Type, Value};
use crate::storage;
use lang::Span;
use lang::builtins::Builtin;
use lang::hir::{Expr, ExprKind};
use lang::names::CAPACITY;
use lang::pattern;
use lang::ty::Ty;

/// Most rounds of looking for a string that is not known in advance, where the verifier follows each.
const MOST_ROUNDS: u32 = 1 << 11;

/// A string in the program's own memory.
#[derive(Clone, Copy)]
struct Text {
    memory: Memory,
    capacity: u32,
}

impl Body<'_, '_> {
    /// A builtin that looks into strings or bytes and gives a number.
    pub fn text_builtin(&mut self, builtin: Builtin, args: &[Expr], span: Span) -> Value {
        match (builtin, args) {
            (Builtin::Strlen, [text]) => self.length_of(text),
            (Builtin::Strncmp, [a, b, n]) => {
                let equal = self.answer(|body, differ| body.same_start(a, b, n, differ));
                self.b.binary_const(BinOp::Xor, equal, 1)
            }
            (Builtin::Strstr, [text, wanted]) => self.position(text, wanted, span),
            (Builtin::Strcontains, [text, wanted]) => {
                let position = self.position(text, wanted, span);
                let missing = self.b.constant(-1);
                self.b.op(Op::Compare(Cond::Ne, position, missing))
            }
            (Builtin::Memcmp, [a, b, n]) => self.difference(a, b, n),
            (_, [text, Expr { kind: ExprKind::Str(wanted), .. }]) => {
                let parts = match builtin {
                    Builtin::StartsWith => vec![plain(wanted), Vec::new()],
                    Builtin::EndsWith => vec![Vec::new(), plain(wanted)],
                    // Typing has refused patterns that are wrong.
                    _ => pattern::parse(wanted).unwrap_or_default(),
                };
                let text = self.text(text);
                self.answer(|body, no| body.like(text, &parts, no))
            }
            _ => self.b.constant(0),
        }
    }

    /// 1 when `test` goes on, 0 when it goes to the block that it is given.
    fn answer(&mut self, test: impl FnOnce(&mut Self, Block)) -> Value {
        let [yes, no] = std::array::from_fn(|_| self.b.block());
        let (done, answer) = self.b.block_with_number();
        // Whatever the test looks at, both ends are there for it.
        let [zero, one] = [0, 1].map(|it| self.b.constant(it));
        test(self, no);
        self.b.jump(yes, &[]);
        self.b.start(yes);
        self.b.jump(done, &[one]);
        self.b.start(no);
        self.b.jump(done, &[zero]);
        self.b.start(done);
        answer
    }

    fn text(&mut self, expr: &Expr) -> Text {
        let place = self.place(expr);
        Text { memory: self.materialise(place, &expr.ty), capacity: self.cx.size_of(&expr.ty) }
    }

    /// Bytes in front of the NUL, fewer than the capacity.
    fn length_of(&mut self, text: &Expr) -> Value {
        if let ExprKind::Builtin(Builtin::Str, args) = &text.kind {
            let capacity = self.cx.size_of(&text.ty);
            let memory = self.allocate(capacity);
            let used = self.str_dirty_into(args, capacity, memory);
            return self.without_nul(used, capacity);
        }
        let text = self.text(text);
        self.length(text)
    }

    /// A helper finds the NUL, because it is faster than a loop that the verifier would follow.
    fn length(&mut self, text: Text) -> Value {
        let copy = self.allocate(text.capacity);
        let (address, size) = (self.address(text.memory), self.b.constant(text.capacity.into()));
        let used = self.read_string_dirty(copy, address, false, size);
        self.without_nul(used, text.capacity)
    }

    fn without_nul(&mut self, used: Value, capacity: u32) -> Value {
        let used = self.at_most(used, capacity);
        let some = self.b.block();
        let (done, length) = self.b.block_with_number();
        let zero = self.b.constant(0);
        self.b.branch_with(Cond::Eq, used, zero, (done, &[zero]), (some, &[]));
        self.b.start(some);
        let length_here = self.b.binary_const(BinOp::Sub, used, 1);
        self.b.jump(done, &[length_here]);
        self.b.start(done);
        length
    }

    /// Goes to `differ` unless two strings are equal in their first bytes, or equal and shorter.
    fn same_start(&mut self, a: &Expr, b: &Expr, n: &Expr, differ: Block) {
        let ExprKind::Const(n) = n.kind else { return };
        let n = n as u32;
        let known = |expr: &Expr| match &expr.kind {
            ExprKind::Str(bytes) => Some(bytes.clone()),
            _ => None,
        };
        let (literal, other) = match (known(a), known(b)) {
            (Some(literal), _) => (Some(literal), b),
            (None, literal) => (literal, a),
        };
        let text = self.text(other);
        if let Some(mut bytes) = literal {
            bytes.push(0);
            bytes.truncate(n.min(text.capacity) as usize);
            return self.compare_bytes(text.memory, &bytes, differ);
        }
        let other = self.text(b);
        let size = n.min(text.capacity).min(other.capacity);
        // Behind their NULs both are zero, so whole words tell.
        self.compare_words(text.memory, other.memory, size, true, differ);
    }

    /// `strstr`
    fn position(&mut self, text: &Expr, wanted: &Expr, span: Span) -> Value {
        let missing = self.b.block();
        let (done, position) = self.b.block_with_number();
        let (zero, none) = (self.b.constant(0), self.b.constant(-1));
        let hay = self.text(text);
        let found = match &wanted.kind {
            ExprKind::Str(bytes) => self.find(hay, &plain(bytes), zero, missing),
            _ => {
                let needle = self.text(wanted);
                if !self.has_loop_guard() && hay.capacity.saturating_mul(needle.capacity) > MOST_ROUNDS {
                    let message = format!(
                        "looking for text of {} bytes in text of {} needs Linux 6.9, the target is Linux {}",
                        needle.capacity, hay.capacity, self.cx.target.kernel
                    );
                    let hint = "older kernels follow every step: shorten one with `str(pointer, length)`";
                    self.cx.diagnostics.push(lang::Diagnostic::error(span, message).hint(hint));
                }
                self.find_text(hay, needle, missing)
            }
        };
        self.b.jump(done, &[found]);
        self.b.start(missing);
        self.b.jump(done, &[none]);
        self.b.start(done);
        position
    }

    /// Goes to `no` unless the text is the parts with anything between them.
    fn like(&mut self, text: Text, parts: &[Vec<pattern::Byte>], no: Block) {
        let Some((first, rest)) = parts.split_first() else { return };
        if first.len() >= text.capacity as usize {
            return self.give_up(no);
        }
        let base = self.address(text.memory);
        self.compare_part(base, first, no, no);
        let Some((last, middle)) = rest.split_last() else {
            let end = self.b.load(1, false, base, first.len() as i32);
            let (zero, ended) = (self.b.constant(0), self.b.block());
            self.b.branch(Cond::Eq, end, zero, ended, no);
            return self.b.start(ended);
        };
        let mut from = self.b.constant(first.len() as i64);
        for part in middle {
            let found = self.find(text, part, from, no);
            from = self.b.binary_const(BinOp::Add, found, part.len() as i64);
        }
        if !last.is_empty() {
            self.ends_with(text, last, from, no);
        }
    }

    /// Goes to `no` unless the text ends with a part that begins at or behind `from`.
    fn ends_with(&mut self, text: Text, part: &[pattern::Byte], from: Value, no: Block) {
        let length = self.length(text);
        let size = part.len() as i64;
        let Some(last) = (text.capacity - 1).checked_sub(size as u32) else { return self.give_up(no) };
        let [long_enough, behind] = std::array::from_fn(|_| self.b.block());
        // Of a text that is too short this is a large number, as the verifier sees it, too.
        let start = self.b.binary_const(BinOp::Sub, length, size);
        let limit = self.b.constant(last.into());
        self.b.branch(Cond::ULe, start, limit, long_enough, no);
        self.b.start(long_enough);
        self.b.branch(Cond::UGe, start, from, behind, no);
        self.b.start(behind);
        let base = self.address(text.memory);
        let here = self.b.op(Op::PtrAdd(base, start));
        self.compare_part(here, part, no, no);
    }

    /// Goes on in a block that is never reached: what is to come has no answer but `no`.
    fn give_up(&mut self, no: Block) {
        self.b.jump(no, &[]);
        let never = self.b.block();
        self.b.start(never);
    }

    /// Compares the bytes at an address with a part of a pattern. Goes to `missing` where the text ends.
    fn compare_part(&mut self, here: Value, part: &[pattern::Byte], differ: Block, missing: Block) {
        for (idx, byte) in part.iter().enumerate() {
            let found = self.b.load(1, false, here, idx as i32);
            let same = self.b.block();
            let wanted = self.b.constant(byte.map_or(0, i64::from));
            match byte {
                Some(_) => self.b.branch(Cond::Eq, found, wanted, same, differ),
                None => self.b.branch(Cond::Ne, found, wanted, same, missing),
            }
            self.b.start(same);
        }
    }

    /// Where a part of a pattern begins, at or behind `from`; goes to `missing` when it does not.
    fn find(&mut self, text: Text, part: &[pattern::Byte], from: Value, missing: Block) -> Value {
        if part.is_empty() {
            return from;
        }
        let Some(last) = (text.capacity - 1).checked_sub(part.len() as u32) else {
            self.give_up(missing);
            return from;
        };
        let base = self.address(text.memory);
        let [head, test, look, inside, next] = std::array::from_fn(|_| self.b.block());
        let (found, place) = self.b.block_with_number();
        let at = self.b.param(head, Type::I64);
        let from = self.blurred(from);
        self.b.jump(head, &[from]);
        self.b.start_unsealed(head);
        self.search_guard(test, missing);
        self.b.start(test);
        let limit = self.b.constant(last.into());
        self.b.branch(Cond::ULe, at, limit, look, missing);
        self.b.start(look);
        let here = self.b.op(Op::PtrAdd(base, at));
        let (first, zero) = (self.b.load(1, false, here, 0), self.b.constant(0));
        self.b.branch(Cond::Eq, first, zero, missing, inside);
        self.b.start(inside);
        match self.has_loop_guard() {
            true => self.compare_part(here, part, next, missing),
            false => self.compare_part_at_once(here, part, next),
        }
        self.b.jump(found, &[at]);
        self.next_round(next, at, head);
        self.b.start(found);
        place
    }

    /// [`Body::compare_part`] with one decision for all bytes.
    fn compare_part_at_once(&mut self, here: Value, part: &[pattern::Byte], differ: Block) {
        let mut differences = self.b.constant(0);
        for (idx, byte) in part.iter().enumerate() {
            let found = self.b.load(1, false, here, idx as i32);
            let difference = match byte {
                Some(wanted) => self.b.binary_const(BinOp::Xor, found, (*wanted).into()),
                // 1 at the end of the text, which alone is less than 1.
                None => {
                    let less = self.b.binary_const(BinOp::Sub, found, 1);
                    self.b.binary_const(BinOp::LShr, less, 63)
                }
            };
            differences = self.b.binary(BinOp::Or, differences, difference);
        }
        let (zero, same) = (self.b.constant(0), self.b.block());
        self.b.branch(Cond::Eq, differences, zero, same, differ);
        self.b.start(same);
    }

    /// The head of a search: its bound is the capacity, which the kernel's limit never comes before.
    fn search_guard(&mut self, round: Block, missing: Block) {
        if self.has_loop_guard() { self.b.loop_guard(round, missing) } else { self.b.jump(round, &[]) }
    }

    /// The end of a round, in `end`: back to the head, one byte further.
    fn next_round(&mut self, end: Block, at: Value, head: Block) {
        self.b.start(end);
        let following = self.b.binary_const(BinOp::Add, at, 1);
        self.b.jump(head, &[following]);
        self.b.seal(head);
    }

    /// A number as one that the verifier does not know, where loops are guarded.
    fn blurred(&mut self, value: Value) -> Value {
        if !self.has_loop_guard() {
            return value;
        }
        let zero = self.unknown_zero();
        self.b.binary(BinOp::Add, value, zero)
    }

    /// Where a string begins that is only known when the program runs.
    fn find_text(&mut self, text: Text, wanted: Text, missing: Block) -> Value {
        let (base, needle) = (self.address(text.memory), self.address(wanted.memory));
        let [head, start, inner, test, byte, compare, differ, same, next] =
            std::array::from_fn(|_| self.b.block());
        let (found, place) = self.b.block_with_number();
        let (at, idx) = (self.b.param(head, Type::I64), self.b.param(inner, Type::I64));
        let zero = self.b.constant(0);
        let first = self.blurred(zero);
        self.b.jump(head, &[first]);
        self.b.start_unsealed(head);
        self.search_guard(start, missing);
        self.b.start(start);
        let zero = self.b.constant(0);
        let first = self.blurred(zero);
        self.b.jump(inner, &[first]);
        self.b.start_unsealed(inner);
        self.search_guard(test, missing);
        self.b.start(test);
        let limit = self.b.constant(wanted.capacity.into());
        self.b.branch_with(Cond::ULt, idx, limit, (byte, &[]), (found, &[at]));
        self.b.start(byte);
        let here = self.b.op(Op::PtrAdd(needle, idx));
        let (expected, zero) = (self.b.load(1, false, here, 0), self.b.constant(0));
        let inside = self.b.block();
        self.b.branch_with(Cond::Eq, expected, zero, (found, &[at]), (inside, &[]));
        self.b.start(inside);
        let sum = self.b.binary(BinOp::Add, at, idx);
        let limit = self.b.constant(text.capacity.into());
        self.b.branch(Cond::ULt, sum, limit, compare, missing);
        self.b.start(compare);
        let here = self.b.op(Op::PtrAdd(base, sum));
        let actual = self.b.load(1, false, here, 0);
        self.b.branch(Cond::Eq, actual, expected, same, differ);
        self.next_round(same, idx, inner);
        self.b.start(differ);
        // What is longer than the rest is not further on either.
        let zero = self.b.constant(0);
        self.b.branch(Cond::Eq, actual, zero, missing, next);
        self.next_round(next, at, head);
        self.b.start(found);
        place
    }

    /// `memcmp`
    fn difference(&mut self, a: &Expr, b: &Expr, n: &Expr) -> Value {
        let ExprKind::Const(n) = n.kind else { return self.b.constant(0) };
        let (a, b) = (self.bytes_at(a, n as u32), self.bytes_at(b, n as u32));
        let (a, b) = (self.address(a), self.address(b));
        let [head, look, next] = std::array::from_fn(|_| self.b.block());
        let (done, difference) = self.b.block_with_number();
        let at = self.b.param(head, Type::I64);
        let zero = self.b.constant(0);
        self.b.jump(head, &[zero]);
        self.b.start_unsealed(head);
        let (limit, zero) = (self.b.constant(n), self.b.constant(0));
        self.b.branch_with(Cond::ULt, at, limit, (look, &[]), (done, &[zero]));
        self.b.start(look);
        let (left, right) = (self.b.op(Op::PtrAdd(a, at)), self.b.op(Op::PtrAdd(b, at)));
        let (left, right) = (self.b.load(1, false, left, 0), self.b.load(1, false, right, 0));
        let distance = self.b.binary(BinOp::Sub, left, right);
        self.b.branch_with(Cond::Eq, left, right, (next, &[]), (done, &[distance]));
        self.next_round(next, at, head);
        self.b.start(done);
        difference
    }

    /// The first bytes of an array, a string, or what a pointer points to, in own memory.
    pub fn bytes_at(&mut self, expr: &Expr, n: u32) -> Memory {
        let place = self.bytes_place(expr);
        self.materialise(place, &Ty::Array(Box::new(Ty::U8), n))
    }

    fn bytes_place(&mut self, expr: &Expr) -> Place {
        if expr.ty.is_scalar() { self.pointee(expr) } else { self.place(expr) }
    }

    /// `buf(from[, length])`: a u32 length and the bytes, zero behind them.
    pub fn bytes_into(&mut self, args: &[Expr], capacity: u32, to: Memory) {
        let Some((from, length)) = args.split_first() else { return self.zero(to, 4 + capacity) };
        let place = self.bytes_place(from);
        let Some(length) = length.first() else {
            let used = self.b.constant(capacity.into());
            self.b.store(4, to.ptr, to.offset, used);
            return self.copy_place(to.at(4), place, &Ty::Array(Box::new(Ty::U8), capacity));
        };
        let (address, user) = self.foreign(place);
        let wanted = self.number(length);
        let size = self.capped(wanted, capacity);
        self.zero(to, 4 + capacity);
        self.b.store(4, to.ptr, to.offset, size);
        self.probe_read_sized(to.at(4), size, address, user);
    }

    /// `str_concat(a, b)`
    pub fn concat_into(&mut self, args: &[Expr], capacity: u32, to: Memory) {
        let [first, second] = args else { return self.zero(to, capacity) };
        // Only scratch memory has room for what the verifier thinks that the helper may write.
        let least = self.cx.program.config.on_stack_limit + 1;
        let joined = self.allocate(capacity.max(least));
        self.zero(joined, capacity);
        let (first_place, second_place) = (self.place(first), self.place(second));
        let (address, user) = self.foreign(first_place);
        let size = self.b.constant(self.cx.size_of(&first.ty).min(capacity).into());
        let used = self.read_string_dirty(joined, address, user, size);
        let length = self.without_nul(used, capacity);
        let done = self.b.block();
        let (address, user) = self.foreign(second_place);
        self.append_string(joined, capacity, length, Place::Foreign { address, user }, done);
        self.b.jump(done, &[]);
        self.b.start(done);
        self.copy(to, joined, capacity);
    }

    /// `strerror(n)` and its kin: a row of the table.
    pub fn name_into(&mut self, builtin: Builtin, args: &[Expr], to: Memory) {
        let table = storage::table_of(builtin, self.cx.target);
        let known = self.cx.plan.tables.iter().find(|it| Some(it.0) == table).copied();
        let (Some((table, offset)), Some(rodata), [number]) = (known, self.cx.plan.globals.rodata, args)
        else {
            return self.zero(to, CAPACITY);
        };
        let number = self.number(number);
        let number = if builtin == Builtin::Strerror { self.magnitude(number).0 } else { number };
        // Whatever is behind the last row has its name.
        let row = self.capped(number, table.names().len() as u32 - 1);
        let start = self.b.op(Op::MapValueAddr(rodata, offset));
        let distance = self.b.binary_const(BinOp::Mul, row, CAPACITY.into());
        let ptr = self.b.op(Op::PtrAdd(start, distance));
        self.copy(to, Memory { ptr, offset: 0, align: 8 }, CAPACITY);
    }
}

fn plain(bytes: &[u8]) -> Vec<pattern::Byte> {
    bytes.iter().copied().map(Some).collect()
}
