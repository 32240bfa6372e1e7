//! The probe's context: registers, typed arguments.
//!
//! Register offsets are those of `struct pt_regs` (x86-64: `arch/x86/include/asm/ptrace.h`, where
//! `r15` comes first and `ss` last) and `struct user_pt_regs` (arm64: `uapi/asm/ptrace.h`, x0…x30,
//! sp, pc). Arguments are assigned by the System V ABI and by AAPCS64.

use super::Body;
use super::memory::Memory;
use super::place::Place;
use super::registers;
use crate::ir::{BinOp, Cond, Op, Value};
use crate::target::Arch;
use lang::Span;
use lang::hir::{Expr, ExprKind};
use lang::probes::ProbeKind;
use lang::ty::{IntTy, Ty};
use lang::usdt::{self, Operand};

/// Where the registers of a machine are in the context.
struct Registers {
    /// Those that hold the first arguments.
    arguments: &'static [i32],
    result: i32,
    stack: i32,
    instruction: i32,
    /// Bytes between the stack pointer at a function's entry and its first stack argument.
    stack_arguments: i32,
    /// How far the instruction pointer is behind a kprobe when its program runs.
    breakpoint: i32,
}

/// rdi, rsi, rdx, rcx, r8, r9.
const X86_64: Registers = Registers {
    arguments: &[112, 104, 96, 88, 72, 64],
    result: 80,
    stack: 152,
    instruction: 128,
    stack_arguments: 8,
    breakpoint: 1,
};

/// x0 to x7.
const AARCH64: Registers = Registers {
    arguments: &[0, 8, 16, 24, 32, 40, 48, 56],
    result: 0,
    stack: 248,
    instruction: 256,
    stack_arguments: 0,
    breakpoint: 0,
};

impl Body<'_, '_> {
    fn registers(&self) -> &'static Registers {
        match self.cx.target.arch {
            Arch::X86_64 => &X86_64,
            Arch::Aarch64 => &AARCH64,
        }
    }

    /// `argN` of a kprobe or uprobe: a register, or behind the last one a word of the stack.
    pub fn register(&mut self, idx: u32, span: Span) -> Value {
        let registers = self.registers();
        if let Some(&offset) = registers.arguments.get(idx as usize) {
            return self.b.load(8, false, self.ctx, offset);
        }
        let behind = idx as i64 - registers.arguments.len() as i64;
        if behind > 64 {
            self.cx.error(span, format!("`arg{idx}` is not supported, no function has that many arguments"));
            return self.b.constant(0);
        }
        let stack = self.b.load(8, false, self.ctx, registers.stack);
        let address = self.b.advance(stack, registers.stack_arguments + 8 * behind as i32);
        let user = matches!(self.kind(), ProbeKind::Uprobe | ProbeKind::Uretprobe);
        self.load(Place::Foreign { address, user }, &Ty::U64)
    }

    /// `argN` of a static probe: a constant, a register or a word of the process's memory.
    pub fn static_argument(&mut self, argument: &usdt::Argument, span: Span) -> Value {
        let int = IntTy::new(argument.size, argument.signed);
        match &argument.operand {
            Operand::Constant(value) => {
                let value = self.b.constant(*value);
                self.extend(value, int)
            }
            Operand::Register(name) => {
                let value = self.named_register(name, span);
                self.extend(value, int)
            }
            Operand::Memory { displacement, base, index } => {
                let base = self.named_register(base, span);
                let mut address = self.add_number(base, *displacement);
                if let Some((index, scale)) = index {
                    let index = self.named_register(index, span);
                    let distance = self.b.binary_const(BinOp::Mul, index, (*scale).into());
                    address = self.b.binary(BinOp::Add, address, distance);
                }
                self.load(Place::Foreign { address, user: true }, &Ty::Int(int))
            }
        }
    }

    fn add_number(&mut self, value: Value, number: i64) -> Value {
        let number = self.b.constant(number);
        self.b.binary(BinOp::Add, value, number)
    }

    /// A register by its name in assembly. Of one that names a part of another, the bits above are
    /// to be cut off; the second byte of a register is moved down.
    fn named_register(&mut self, name: &str, span: Span) -> Value {
        let Some((offset, shift)) = registers::find(self.cx.target.arch, name) else {
            self.cx.error(span, format!("the argument is in `{name}`, a register that is not supported yet"));
            return self.b.constant(0);
        };
        let value = self.b.load(8, false, self.ctx, offset);
        match shift {
            0 => value,
            bits => self.b.binary_const(BinOp::LShr, value, bits.into()),
        }
    }

    /// `retval` of a kretprobe or uretprobe.
    pub fn return_register(&mut self) -> Value {
        let offset = self.registers().result;
        self.b.load(8, false, self.ctx, offset)
    }

    /// The address of the probed instruction.
    pub fn instruction_pointer(&mut self) -> Value {
        let registers = self.registers();
        let ip = self.b.load(8, false, self.ctx, registers.instruction);
        match self.kind() {
            ProbeKind::Kprobe => self.b.advance(ip, -registers.breakpoint),
            _ => ip,
        }
    }

    /// A slot of a BTF-typed context. Pointers come out as plain numbers, because the verifier
    /// forbids arithmetic on typed ones and believes that they are never null.
    pub fn argument(&mut self, idx: u32, ty: &Ty) -> Value {
        let slot = self.b.load(8, false, self.ctx, 8 * idx as i32);
        match ty {
            Ty::Ptr(..) => self.launder(slot),
            // The kernel passes narrow integers as they come, the upper bits may be anything.
            _ => self.extend(slot, self.int_ty(ty)),
        }
    }

    /// A pointer as the kernel knows it: an argument, or a place in what one points to, whose distance is
    /// added to it. What comes otherwise is only a number to the kernel.
    pub fn trusted(&mut self, pointer: &Expr) -> Value {
        match &pointer.kind {
            ExprKind::Argument(idx) => self.b.load(8, false, self.ctx, 8 * *idx as i32),
            ExprKind::AddressOf(place) => self.trusted_place(place),
            _ => self.scalar(pointer),
        }
    }

    fn trusted_place(&mut self, place: &Expr) -> Value {
        match &place.kind {
            ExprKind::Deref(pointer) => self.trusted(pointer),
            ExprKind::Member { base, path } => {
                let address = self.trusted_place(base);
                let place = self.member_of(Place::Foreign { address, user: false }, path);
                self.foreign(place).0
            }
            _ => self.scalar(place),
        }
    }

    /// `reg(name)`
    pub fn register_by_name(&mut self, name: &[u8], span: Span) -> Value {
        let machine = match self.cx.target.arch {
            Arch::X86_64 => lang::registers::Machine::X86_64,
            Arch::Aarch64 => lang::registers::Machine::Aarch64,
        };
        let name = String::from_utf8_lossy(name);
        match lang::registers::offset(machine, &name) {
            Some(offset) => self.b.load(8, false, self.ctx, offset as i32),
            None => {
                self.cx.error(span, format!("this machine has no register `{name}`"));
                self.b.constant(0)
            }
        }
    }

    /// Whether the registers are those of a process: ring 3 of x86-64, EL0 of 64-bit ARM.
    pub fn user_mode(&mut self) -> Value {
        let (name, mask, level) = match self.cx.target.arch {
            Arch::X86_64 => ("cs", 3, 3),
            Arch::Aarch64 => ("pstate", 0xf, 0),
        };
        let state = self.register_by_name(name.as_bytes(), self.b.span());
        let state = self.b.binary_const(BinOp::And, state, mask);
        let level = self.b.constant(level);
        self.b.op(Op::Compare(Cond::Eq, state, level))
    }

    /// The context as memory.
    pub fn context_memory(&self) -> Memory {
        Memory { ptr: self.ctx, offset: 0, align: 8 }
    }
}
