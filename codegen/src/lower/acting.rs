//! What programs do besides looking: signals, other results, writes to processes, the kernel's log.

use super::Body;
use crate::helpers::Helper;
use crate::ir::{Cond, Op, Value};
use lang::Span;
use lang::builtins::Builtin;
use lang::hir::{Expr, ExprKind};
use lang::ty::Ty;

/// Arguments of `bpf_trace_printk` besides the format and its size.
const MOST_PRINTED: usize = 3;

impl Body<'_, '_> {
    /// One of these builtins; what it gives is only meant where it is a condition.
    pub fn act_here(&mut self, builtin: Builtin, args: &[Expr], span: Span) -> Value {
        match (builtin, args) {
            (Builtin::Signal, [signal]) => self.send_signal(Helper::SendSignal, "signal", signal, span),
            (Builtin::SignalThread, [signal]) => {
                self.send_signal(Helper::SendSignalThread, "signal_thread", signal, span)
            }
            (Builtin::Override, [value]) => {
                let value = self.number(value);
                self.effect_reported(Helper::OverrideReturn, &[self.ctx, value]);
                self.b.constant(0)
            }
            (Builtin::WriteUser, [to, from, length]) => self.write_user(to, from, length),
            (Builtin::Debugf, [format, values @ ..]) => self.print_to_trace(format, values),
            _ => self.b.constant(0),
        }
    }

    fn send_signal(&mut self, helper: Helper, name: &str, signal: &Expr, span: Span) -> Value {
        self.require(helper, name, span);
        let signal = self.number(signal);
        self.effect_reported(helper, &[signal]);
        self.b.constant(0)
    }

    /// True when the kernel wrote all bytes.
    fn write_user(&mut self, to: &Expr, from: &Expr, length: &Expr) -> Value {
        let to = self.number(to);
        let room = match &from.ty {
            Ty::Ptr(..) => self.cx.program.config.max_strlen,
            ty => self.cx.size_of(ty).min(self.cx.program.config.max_strlen),
        };
        let length = self.number(length);
        let room = self.b.as_const(length).map_or(room, |it| room.min(it as u32));
        let memory = self.bytes_at(from, room);
        let size = self.capped(length, room);
        let source = self.address(memory);
        let status = self.call_reported(Helper::ProbeWriteUser, &[to, source, size]);
        let zero = self.b.constant(0);
        self.b.op(Op::Compare(Cond::Eq, status, zero))
    }

    /// `debugf`: the kernel formats.
    fn print_to_trace(&mut self, format: &Expr, values: &[Expr]) -> Value {
        let ExprKind::Str(text) = &format.kind else { return self.b.constant(0) };
        let size = text.len() as u32 + 1;
        let memory = self.allocate(size);
        self.write_bytes(memory, &[text.as_slice(), b"\0"].concat());
        let mut args = vec![self.address(memory), self.b.constant(size.into())];
        for value in values.iter().take(MOST_PRINTED) {
            args.push(match &value.ty {
                ty if ty.is_scalar() => self.number(value),
                ty => {
                    let place = self.place(value);
                    let memory = self.materialise(place, ty);
                    self.address(memory)
                }
            });
        }
        while args.len() < Helper::TracePrintk.arity() {
            args.push(self.b.constant(0));
        }
        self.b.call_for_effect(Helper::TracePrintk, &args);
        self.b.constant(0)
    }
}
