//! Machine code before registers: eBPF instructions on virtual registers.
//!
//! A block's parameters are as in the IR. A virtual register is defined in one place and from
//! there on never changes, but the definition may be a run of instructions, as eBPF arithmetic
//! overwrites its first operand: `v = copy a; v += b`. Such a run has no call within.

use crate::ir::{Access, Block, Func, Map, Slot};
use lang::Span;

/// A virtual register.
///
/// Invariant: its definitions stand in one block, with no call between the first and the last,
/// and only instructions between these read it before it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VReg(pub u32);

impl VReg {
    /// As an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A value that is cheaper to make again than to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Remat {
    /// A number.
    Const(i64),
    /// The address of a stack object's byte.
    Slot(Slot, i32),
    /// A map.
    Map(Map),
    /// The address of a byte in a map's only value.
    MapValue(Map, u32),
    /// A relocated number.
    Field(Access),
    /// The address of a subprogram.
    Func(Func),
}

/// What is passed to a call, a block or the caller: it may also come from memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// A register's value.
    Reg(VReg),
    /// Made on the spot.
    Remat(Remat),
}

/// The second operand of arithmetic, comparisons and stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A register.
    Reg(VReg),
    /// The immediate.
    Imm(i32),
    /// The immediate, relocated; arithmetic only.
    Field(Access),
}

/// What a memory access is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// A pointer.
    Reg(VReg),
    /// A stack object, through r10.
    Slot(Slot),
}

/// A comparison, as a jump does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// Class and operation, without the register bit.
    pub code: u8,
    /// First operand.
    pub left: VReg,
    /// Second operand.
    pub right: Source,
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callee {
    /// A helper, by number.
    Helper(i32),
    /// A subprogram.
    Func(Func),
}

/// An instruction and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Inst {
    /// What it does.
    pub kind: Kind,
    /// The script text.
    pub span: Span,
}

/// What an instruction does. Codes leave out the register bit where a [`Source`] decides it.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `dst = src`; nothing when both get the same register.
    Copy { dst: VReg, src: VReg },
    /// `dst = what`
    Make { dst: VReg, what: Remat },
    /// `dst = f(src)`: moves that extend.
    Extend { code: u8, dst: VReg, src: VReg, off: i16 },
    /// `dst = dst op src`
    Modify { code: u8, dst: VReg, src: Source, off: i16 },
    /// `dst = *(base + off)`
    Load { code: u8, dst: VReg, base: Base, off: i16 },
    /// `*(base + off) = src`
    Store { width: u8, base: Base, off: i16, src: Source },
    /// `*(base + off) += src` at once; with `fetch`, `src` becomes the old value.
    AtomicAdd { width: u8, base: Base, off: i16, src: VReg, fetch: bool },
    /// `*(base + off)` becomes `src` and `src` what was there, at once.
    AtomicSwap { width: u8, base: Base, off: i16, src: VReg },
    /// `if !jump { dst = imm }`
    Unless { jump: Jump, dst: VReg, imm: i32 },
    /// Arguments to r1…r5, result from r0; r0…r5 are lost.
    Call { callee: Callee, args: Vec<Arg>, result: Option<VReg> },
}

/// How an instruction touches a virtual register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads it, in a register.
    Use,
    /// Reads it from wherever it is.
    Any,
    /// Defines it.
    Define,
    /// Reads it and completes its definition.
    Modify,
}

/// A basic block.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineBlock {
    /// Registers that jumps to here define.
    pub params: Vec<VReg>,
    /// In order.
    pub insts: Vec<Inst>,
    /// How it ends.
    pub end: End,
    /// Span of the end.
    pub span: Span,
}

/// How a block ends. Only plain jumps pass arguments; no edge is critical.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// Goes on there.
    Jump(Block, Vec<Arg>),
    /// Two ways.
    Branch { jump: Jump, then: Block, otherwise: Block },
    /// `done` once the loop budget is used up, else `body`.
    Guard { body: Block, done: Block },
    /// Ends the function.
    Return(Arg),
}

/// A function's machine code.
#[derive(Clone, Debug, PartialEq)]
pub struct Code {
    /// By [`Block`]; blocks that are not in `order` are empty.
    pub blocks: Vec<MachineBlock>,
    /// Reached blocks, in the order in which they are laid out.
    pub order: Vec<Block>,
    /// For each block how often it runs, roughly.
    pub frequency: Vec<f32>,
    /// For each virtual register how to make it again, if that is possible.
    pub remats: Vec<Option<Remat>>,
}

impl Code {
    /// The data of a block.
    pub fn block(&self, block: Block) -> &MachineBlock {
        &self.blocks[block.index()]
    }

    /// How many virtual registers there are.
    pub fn n_vregs(&self) -> usize {
        self.remats.len()
    }
}

impl Source {
    /// Its register.
    pub fn reg(self) -> Option<VReg> {
        match self {
            Source::Reg(reg) => Some(reg),
            Source::Imm(_) | Source::Field(_) => None,
        }
    }
}

impl Base {
    /// Its register.
    pub fn reg(self) -> Option<VReg> {
        match self {
            Base::Reg(reg) => Some(reg),
            Base::Slot(_) => None,
        }
    }
}

impl Arg {
    /// Its register.
    pub fn reg(self) -> Option<VReg> {
        match self {
            Arg::Reg(reg) => Some(reg),
            Arg::Remat(_) => None,
        }
    }
}

impl Kind {
    /// The virtual registers it touches, each role once.
    pub fn operands(&self) -> Vec<(VReg, Role)> {
        let optional = |reg: Option<VReg>| reg.map(|it| (it, Role::Use));
        match self {
            Kind::Copy { dst, src } | Kind::Extend { dst, src, .. } => {
                vec![(*src, Role::Use), (*dst, Role::Define)]
            }
            Kind::Make { dst, .. } => vec![(*dst, Role::Define)],
            Kind::Modify { dst, src, .. } => {
                optional(src.reg()).into_iter().chain([(*dst, Role::Modify)]).collect()
            }
            Kind::Load { dst, base, .. } => {
                optional(base.reg()).into_iter().chain([(*dst, Role::Define)]).collect()
            }
            Kind::Store { base, src, .. } => {
                optional(base.reg()).into_iter().chain(optional(src.reg())).collect()
            }
            Kind::AtomicAdd { base, src, fetch, .. } => {
                let role = if *fetch { Role::Modify } else { Role::Use };
                optional(base.reg()).into_iter().chain([(*src, role)]).collect()
            }
            Kind::AtomicSwap { base, src, .. } => {
                optional(base.reg()).into_iter().chain([(*src, Role::Modify)]).collect()
            }
            Kind::Unless { jump, dst, .. } => {
                jump.operands().into_iter().chain([(*dst, Role::Modify)]).collect()
            }
            Kind::Call { args, result, .. } => {
                let args = args.iter().filter_map(|it| it.reg()).map(|it| (it, Role::Any));
                args.chain(result.map(|it| (it, Role::Define))).collect()
            }
        }
    }
}

impl Jump {
    /// The virtual registers it reads.
    pub fn operands(&self) -> Vec<(VReg, Role)> {
        [Some(self.left), self.right.reg()].into_iter().flatten().map(|it| (it, Role::Use)).collect()
    }
}

impl End {
    /// The virtual registers it reads, edge arguments included.
    pub fn operands(&self) -> Vec<(VReg, Role)> {
        let any = |arg: &Arg| arg.reg().map(|it| (it, Role::Any));
        match self {
            End::Jump(_, args) => args.iter().filter_map(any).collect(),
            End::Branch { jump, .. } => jump.operands(),
            End::Guard { .. } => Vec::new(),
            End::Return(arg) => any(arg).into_iter().collect(),
        }
    }

    /// Where it goes.
    pub fn targets(&self) -> Vec<Block> {
        match self {
            End::Jump(block, _) => vec![*block],
            End::Branch { then, otherwise, .. } => vec![*then, *otherwise],
            End::Guard { body, done } => vec![*body, *done],
            End::Return(_) => Vec::new(),
        }
    }
}
