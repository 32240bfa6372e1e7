//! eBPF instructions before linking: maps, globals, CO-RE accesses and calls are still names,
//! jumps are still labels.
//!
//! An instruction carries its span, symbol and relocation; line info, CO-RE records and dumps
//! are derived by walking instructions.

pub mod opcode;
pub mod text;

use crate::failure::Failure;
use crate::ir;
use lang::Span;

/// All code of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// In the order of [`ir::Module::functions`].
    pub functions: Vec<Function>,
    /// Kernel maps.
    pub maps: Vec<ir::KernelMap>,
    /// CO-RE accesses.
    pub accesses: Vec<ir::CoreAccess>,
    /// Places where a program may fail.
    pub failures: Vec<Failure>,
    /// Global data.
    pub globals: ir::Globals,
}

/// One function's code.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Symbol name.
    pub name: String,
    /// The probe whose program it is; `None` for subprograms.
    pub probe: Option<usize>,
    /// How many arguments it takes.
    pub arity: usize,
    /// Instructions in order.
    pub insns: Vec<Insn>,
    /// Bytes of stack used, a multiple of 8, at most 512.
    pub stack: u32,
    /// Where the function stands in the script.
    pub span: Span,
}

/// A register, 0..=10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reg(pub u8);

/// A place in a function that jumps go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label(pub u32);

/// An instruction in the kernel's encoding, with names where link fills in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Insn {
    /// Opcode byte (`Documentation/bpf/standardization/instruction-set.rst`).
    pub code: u8,
    /// Destination register.
    pub dst: Reg,
    /// Source register or pseudo source.
    pub src: Reg,
    /// Offset; for jumps 0, see `target`.
    pub off: i16,
    /// Immediate; 64 bits only for `lddw` (code 0x18), which takes two slots in the object.
    pub imm: i64,
    /// Where a jump goes.
    pub target: Option<Label>,
    /// Labels that stand before this instruction.
    pub labels: Vec<Label>,
    /// The name that link resolves.
    pub reloc: Option<Reloc>,
    /// The script text it comes from.
    pub span: Span,
}

/// A name in an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloc {
    /// `lddw` of a map.
    Map(ir::Map),
    /// `lddw` of a byte in a map's only value.
    MapValue(ir::Map, u32),
    /// A call of a subprogram.
    Func(ir::Func),
    /// The immediate is a field's offset.
    Core(ir::Access),
}

impl Insn {
    /// Slots of 8 bytes that it takes in the object.
    pub fn slots(&self) -> usize {
        if self.code == 0x18 { 2 } else { 1 }
    }
}
