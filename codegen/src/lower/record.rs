//! Event records: what an action sends to user space.
//!
//! A record is the action's id as a u64 and its arguments laid out as a tuple. It is built on the
//! stack or in scratch memory and sent whole, or cut behind the used part of a long last string.

use super::Body;
use super::memory::Memory;
use crate::helpers::Helper;
use crate::ir::{BinOp, Cond, Op, Value};
use lang::builtins::Builtin;
use lang::hir::{ActionId, ActionKind, Expr, ExprKind};
use lang::layout;
use lang::ty::Ty;

/// Bytes of the action id.
const HEADER: u32 = 8;

impl Body<'_, '_> {
    /// Sends the record of an action.
    pub fn action(&mut self, action: ActionId, args: &[Expr]) {
        let types: Vec<&Ty> = args.iter().map(|it| &it.ty).collect();
        let (offsets, size) = layout::fields(types.iter().copied(), &self.cx.program.types);
        let record = self.allocate(HEADER + size);
        let id = self.b.constant(action.0.into());
        self.b.store(8, record.ptr, record.offset, id);
        self.zero_gaps(&types, record.at(HEADER));
        let mut length = None;
        for (idx, (arg, offset)) in args.iter().zip(offsets).enumerate() {
            let to = record.at(HEADER + offset);
            let last = idx + 1 == args.len();
            match self.cut_length(arg, to, last) {
                Some(used) => length = Some(self.b.binary_const(BinOp::Add, used, (HEADER + offset).into())),
                None => self.lower_into(arg, to),
            }
        }
        let length = length.unwrap_or_else(|| self.b.constant((HEADER + size).into()));
        self.send(record, length);
        if self.cx.program.actions[action.0 as usize].kind == ActionKind::Exit {
            self.end_program();
        }
    }

    /// Evaluates a long last string or buffer and gives its used bytes, at most its size.
    fn cut_length(&mut self, arg: &Expr, to: Memory, last: bool) -> Option<Value> {
        let size = self.cx.size_of(&arg.ty);
        if !last || size <= self.cx.program.config.on_stack_limit {
            return None;
        }
        match &arg.ty {
            Ty::Str(capacity) => Some(self.at(arg.span, |body| body.cut_string(arg, *capacity, to))),
            Ty::Buf(_) => {
                self.lower_into(arg, to);
                let used = self.b.load(4, false, to.ptr, to.offset);
                let used = self.b.binary_const(BinOp::Add, used, 4);
                Some(self.at_most(used, size))
            }
            _ => None,
        }
    }

    fn cut_string(&mut self, arg: &Expr, capacity: u32, to: Memory) -> Value {
        let used = match &arg.kind {
            ExprKind::Builtin(Builtin::Str, args) => self.str_dirty_into(args, capacity, to),
            ExprKind::Str(bytes) => {
                let mut bytes = bytes.clone();
                bytes.push(0);
                bytes.truncate(capacity as usize);
                self.write_bytes(to, &bytes);
                return self.b.constant(bytes.len() as i64);
            }
            _ => {
                let place = self.place(arg);
                let (address, user) = self.foreign(place);
                let size = self.b.constant(capacity.into());
                self.read_string_dirty(to, address, user, size)
            }
        };
        self.at_most(used, capacity)
    }

    /// A length that the verifier sees bounded; a helper's error (a negative number) counts as 0.
    pub fn at_most(&mut self, length: Value, limit: u32) -> Value {
        let (done, bounded) = self.b.block_with_number();
        let limit = self.b.constant(limit.into());
        let zero = self.b.constant(0);
        self.b.branch_with(Cond::UGt, length, limit, (done, &[zero]), (done, &[length]));
        self.b.start(done);
        bounded
    }

    /// A number that the verifier sees bounded; a larger one counts as the limit.
    pub fn capped(&mut self, number: Value, limit: u32) -> Value {
        let (done, bounded) = self.b.block_with_number();
        let limit = self.b.constant(limit.into());
        self.b.branch_with(Cond::UGt, number, limit, (done, &[limit]), (done, &[number]));
        self.b.start(done);
        bounded
    }

    fn send(&mut self, record: Memory, length: Value) {
        let Some(events) = self.cx.plan.events else { return };
        let (lost, done) = (self.b.block(), self.b.block());
        let ring = self.b.op(Op::MapAddr(events));
        let data = self.address(record);
        let zero = self.b.constant(0);
        let status = self.b.call(Helper::RingbufOutput, &[ring, data, length, zero]);
        self.b.branch(Cond::Eq, status, zero, done, lost);
        self.b.start(lost);
        self.count(self.cx.plan.lost);
        self.b.jump(done, &[]);
        self.b.start(done);
    }
}
