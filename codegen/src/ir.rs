//! The intermediate representation: SSA over basic blocks with parameters.
//!
//! * Every value is a 64-bit number or a pointer tagged with the memory it points into. Narrow
//!   integers exist only in memory and in `ext` instructions; the back end chooses 32-bit forms.
//! * A block's parameters take the place of phi nodes; every jump passes arguments for them.
//! * What the kernel does is an explicit helper call. `load` and `store` only touch memory that
//!   the verifier lets a program touch directly: stack, map value, context, packet, ring buffer
//!   memory, and to read a kernel struct that a helper gave by its type. Other kernel and user
//!   addresses are numbers here and go to `probe_read_*`.
//! * Every instruction has the span of the script text it comes from.
//!
//! [`verify`] holds the full list of rules; [`text`] is the printed form.

pub mod flow;
pub mod text;
pub mod verify;

use crate::failure::Failure;
use crate::helpers::{Helper, HelperResult};
use lang::Span;
use lang::hir;
use lang::ty::StructId;

macro_rules! entity {
    ($(#[doc = $doc:literal])+ $name:ident, $prefix:literal) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl $name {
            /// As an index of the table that it names.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

entity!(
    /// A value: the result of an instruction or a block parameter.
    Value, "v"
);
entity!(
    /// A basic block; `Block(0)` is the entry.
    Block, "b"
);
entity!(
    /// An object on the eBPF stack.
    Slot, "s"
);
entity!(
    /// A kernel map of the object, in [`Module::maps`].
    Map, "m"
);
entity!(
    /// A CO-RE access, in [`Module::accesses`].
    Access, "core"
);
entity!(
    /// A function of the module, in [`Module::functions`].
    Func, "f"
);

/// All functions, maps and data of one object.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Module {
    /// Programs first, in the order of `hir::Program::probes`, then subprograms.
    pub functions: Vec<Function>,
    /// Kernel maps.
    pub maps: Vec<KernelMap>,
    /// CO-RE field accesses.
    pub accesses: Vec<CoreAccess>,
    /// Places where a program may fail.
    pub failures: Vec<Failure>,
    /// Bytes of per-CPU scratch memory needed ([`KernelMap`] of kind scratch exists when > 0).
    pub scratch_size: u32,
    /// Global data.
    pub globals: Globals,
}

/// A function: a program that a probe runs, or a subprogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Symbol name, `[A-Za-z0-9_]`, unique; programs are `probe0`, `probe1`, ….
    pub name: String,
    /// The probe whose program it is (index in `hir::Program::probes`); `None` for subprograms.
    pub probe: Option<usize>,
    /// Hardly ever runs: calls of it stay calls, however short it is.
    pub cold: bool,
    /// Types of the parameters, which are the entry block's parameters. A program has one: ctx.
    pub params: Vec<Type>,
    /// Blocks; the entry is block 0.
    pub blocks: Vec<BlockData>,
    /// Instructions, named by the value that they make.
    pub insts: Vec<InstData>,
    /// Value definitions.
    pub values: Vec<ValueData>,
    /// Stack objects.
    pub slots: Vec<SlotData>,
    /// Where the function stands in the script.
    pub span: Span,
}

/// Index of an instruction in [`Function::insts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstId(pub u32);

/// A basic block.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockData {
    /// Values that jumps to here define.
    pub params: Vec<Value>,
    /// Instructions in order.
    pub insts: Vec<InstId>,
    /// How it ends.
    pub terminator: Terminator,
    /// Span of the terminator.
    pub span: Span,
}

/// An instruction.
#[derive(Clone, Debug, PartialEq)]
pub struct InstData {
    /// What it does.
    pub op: Op,
    /// Its result; `None` for stores and for calls whose result is not used.
    pub result: Option<Value>,
    /// The script text it comes from.
    pub span: Span,
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueData {
    /// Its type.
    pub ty: Type,
}

/// A stack object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotData {
    /// Bytes.
    pub size: u32,
    /// 1, 2, 4 or 8.
    pub align: u32,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// A 64-bit number.
    I64,
    /// An address the program may load from or store to.
    Ptr(Region),
}

/// What memory a pointer points into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Region {
    /// The function's stack frame.
    Stack,
    /// A map's value (scratch memory and globals too).
    MapValue,
    /// A map's value or null: may only be compared with null; `Op::NonNull` follows.
    MaybeNull,
    /// A map itself; only a helper's argument.
    Map,
    /// The program's context.
    Ctx,
    /// A packet's bytes.
    Packet,
    /// A packet's end; only compared with a packet pointer.
    PacketEnd,
    /// A kernel struct whose type the verifier knows; only read, at constant offsets.
    Kernel,
}

/// What an instruction computes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// A constant.
    Const(i64),
    /// A 64-bit operation.
    Binary(BinOp, Value, Value),
    /// `-a`
    Neg(Value),
    /// `~a`
    Not(Value),
    /// Byte swap of the low 16, 32 or 64 bits, zero-extended.
    Bswap(u8, Value),
    /// Zero-extension of the low 8, 16 or 32 bits.
    Zext(u8, Value),
    /// Sign-extension of the low 8, 16 or 32 bits.
    Sext(u8, Value),
    /// Comparison giving 0 or 1.
    Compare(Cond, Value, Value),
    /// The address of a stack object.
    SlotAddr(Slot),
    /// A map, as an argument of helpers.
    MapAddr(Map),
    /// The address of a byte of an array map's only value.
    MapValueAddr(Map, u32),
    /// Pointer plus a number of bytes.
    PtrAdd(Value, Value),
    /// A `MaybeNull` pointer that control flow has shown not to be null.
    NonNull(Value),
    /// Reads `width` (1, 2, 4, 8) bytes.
    Load {
        /// Bytes.
        width: u8,
        /// Sign-extends instead of zero-extending.
        signed: bool,
        /// Where.
        ptr: Value,
        /// Plus this.
        offset: i32,
        /// What a load gives when it is not a number: a packet's bounds from the context, what a
        /// function left for its callback on the stack.
        ty: Type,
    },
    /// Writes the low `width` bytes of `value`.
    Store {
        /// Bytes.
        width: u8,
        /// Where.
        ptr: Value,
        /// Plus this.
        offset: i32,
        /// What.
        value: Value,
    },
    /// Adds atomically; `fetch` gives the old value.
    AtomicAdd {
        /// 4 or 8 bytes.
        width: u8,
        /// Where.
        ptr: Value,
        /// Plus this.
        offset: i32,
        /// What is added.
        value: Value,
        /// Whether the old value is the result.
        fetch: bool,
    },
    /// Puts a number into memory and gives the one that was there, at once.
    AtomicSwap {
        /// 4 or 8 bytes.
        width: u8,
        /// Where.
        ptr: Value,
        /// Plus this.
        offset: i32,
        /// What.
        value: Value,
    },
    /// What a CO-RE access computes (mostly a field's byte offset), relocated on other kernels.
    FieldOffset(Access),
    /// The address of a subprogram, as a helper's callback.
    FuncAddr(Func),
    /// A helper call. `MaybeNull` for map look-ups, else a number.
    Call(Helper, Vec<Value>),
    /// A subprogram call.
    CallFunc(Func, Vec<Value>),
}

/// 64-bit operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum BinOp {
    Add,
    Sub,
    Mul,
    UDiv,
    SDiv,
    UMod,
    SMod,
    And,
    Or,
    Xor,
    /// The count is taken modulo 64.
    Shl,
    /// Logical.
    LShr,
    /// Arithmetic.
    AShr,
}

/// Comparisons of 64-bit numbers, or of pointers (`Eq`, `Ne`; unsigned order within a packet).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Cond {
    Eq,
    Ne,
    ULt,
    ULe,
    UGt,
    UGe,
    SLt,
    SLe,
    SGt,
    SGe,
    /// `a & b != 0`
    Test,
}

/// A jump's target with arguments for its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// The target.
    pub block: Block,
    /// One for each of its parameters.
    pub args: Vec<Value>,
}

/// How a block ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Terminator {
    /// Goes on there.
    Jump(Edge),
    /// Goes to `then` when the comparison holds, else to `otherwise`.
    Branch {
        /// The comparison.
        cond: Cond,
        /// Its left side.
        left: Value,
        /// Its right side.
        right: Value,
        /// When it holds.
        then: Edge,
        /// When it does not.
        otherwise: Edge,
    },
    /// Falls into `body` a bounded number of times, then goes to `done` (`may_goto`, Linux 6.9):
    /// the head of a loop whose bound the verifier cannot see.
    LoopGuard {
        /// Another round.
        body: Edge,
        /// The bound is used up.
        done: Edge,
    },
    /// Ends the function with this value in r0.
    Return(Value),
}

/// A kernel map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelMap {
    /// Symbol name, `[A-Za-z0-9_]`, unique in its first 15 bytes.
    pub name: String,
    /// `BPF_MAP_TYPE_*`
    pub kind: KernelMapKind,
    /// Bytes; 0 for ring buffers.
    pub key_size: u32,
    /// Bytes; 0 for ring buffers.
    pub value_size: u32,
    /// Entries; bytes for ring buffers (0: the runtime chooses).
    pub max_entries: u32,
    /// `BPF_F_*`
    pub flags: u32,
    /// The script's map that it stores.
    pub script: Option<hir::MapId>,
}

/// Kinds of kernel maps, with the kernel's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[allow(missing_docs, reason = "the names are the kernel's")]
pub enum KernelMapKind {
    Hash = 1,
    Array = 2,
    PerCpuHash = 5,
    PerCpuArray = 6,
    LruHash = 9,
    LruPerCpuHash = 10,
    LpmTrie = 11,
    RingBuf = 27,
}

/// Where the well-known data of a module is. Each is an [`KernelMapKind::Array`] of one entry
/// whose value is the data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Globals {
    /// The read-only data map (ELF section `.rodata`), set by the runtime before loading.
    pub rodata: Option<Map>,
    /// Its bytes; entries are described by the manifest.
    pub rodata_init: Vec<u8>,
    /// The writable data map (ELF section `.bss`): scalars, counters.
    pub bss: Option<Map>,
    /// Its size in bytes.
    pub bss_size: u32,
}

/// A CO-RE access: a path of members from a kernel struct.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CoreAccess {
    /// `(struct, member index)` at each step; the first is the root.
    pub path: Vec<(StructId, u32)>,
    /// What the relocation computes.
    pub kind: CoreKind,
    /// The value on the kernel that the types came from.
    pub value: u32,
}

/// Kinds of CO-RE relocation, with the kernel's numbers (`enum bpf_core_relo_kind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[allow(missing_docs, reason = "the names are the kernel's")]
pub enum CoreKind {
    FieldByteOffset = 0,
    FieldByteSize = 1,
    FieldExists = 2,
    FieldSigned = 3,
    FieldLshiftU64 = 4,
    FieldRshiftU64 = 5,
}

impl Function {
    /// The data of a block.
    pub fn block(&self, block: Block) -> &BlockData {
        &self.blocks[block.index()]
    }

    /// The data of an instruction.
    pub fn inst(&self, inst: InstId) -> &InstData {
        &self.insts[inst.0 as usize]
    }

    /// The type of a value.
    pub fn ty(&self, value: Value) -> Type {
        self.values[value.index()].ty
    }
}

impl Op {
    /// The values that it reads, in order.
    pub fn operands(&self) -> Vec<Value> {
        match self {
            Op::Const(_)
            | Op::SlotAddr(_)
            | Op::MapAddr(_)
            | Op::MapValueAddr(..)
            | Op::FieldOffset(_)
            | Op::FuncAddr(_) => {
                vec![]
            }
            Op::Neg(a) | Op::Not(a) | Op::Bswap(_, a) | Op::Zext(_, a) | Op::Sext(_, a) | Op::NonNull(a) => {
                vec![*a]
            }
            Op::Binary(_, a, b) | Op::Compare(_, a, b) | Op::PtrAdd(a, b) => vec![*a, *b],
            Op::Load { ptr, .. } => vec![*ptr],
            Op::Store { ptr, value, .. }
            | Op::AtomicAdd { ptr, value, .. }
            | Op::AtomicSwap { ptr, value, .. } => {
                vec![*ptr, *value]
            }
            Op::Call(_, args) | Op::CallFunc(_, args) => args.clone(),
        }
    }

    /// Calls `f` on every value that it reads, in order, to replace it.
    pub fn operands_mut(&mut self, mut f: impl FnMut(&mut Value)) {
        match self {
            Op::Const(_)
            | Op::SlotAddr(_)
            | Op::MapAddr(_)
            | Op::MapValueAddr(..)
            | Op::FieldOffset(_)
            | Op::FuncAddr(_) => {}
            Op::Neg(a) | Op::Not(a) | Op::Bswap(_, a) | Op::Zext(_, a) | Op::Sext(_, a) | Op::NonNull(a) => {
                f(a)
            }
            Op::Binary(_, a, b) | Op::Compare(_, a, b) | Op::PtrAdd(a, b) => {
                f(a);
                f(b);
            }
            Op::Load { ptr, .. } => f(ptr),
            Op::Store { ptr, value, .. }
            | Op::AtomicAdd { ptr, value, .. }
            | Op::AtomicSwap { ptr, value, .. } => {
                f(ptr);
                f(value);
            }
            Op::Call(_, args) | Op::CallFunc(_, args) => args.iter_mut().for_each(f),
        }
    }

    /// The type that its result has; `ty` gives the type of an operand.
    pub fn result_type(&self, ty: impl Fn(Value) -> Type) -> Type {
        match self {
            Op::SlotAddr(_) => Type::Ptr(Region::Stack),
            Op::MapAddr(_) => Type::Ptr(Region::Map),
            Op::MapValueAddr(..) | Op::NonNull(_) => Type::Ptr(Region::MapValue),
            Op::PtrAdd(ptr, _) => ty(*ptr),
            Op::Load { ty, .. } => *ty,
            Op::Call(helper, _) => match helper.result() {
                HelperResult::MapValue | HelperResult::Memory => Type::Ptr(Region::MaybeNull),
                HelperResult::Kernel => Type::Ptr(Region::Kernel),
                HelperResult::Scalar => Type::I64,
            },
            _ => Type::I64,
        }
    }

    /// Does something besides computing its result: may not be removed, repeated or moved
    /// across another such instruction. Loads are not effects but see them.
    pub fn has_effect(&self) -> bool {
        matches!(
            self,
            Op::Store { .. } | Op::AtomicAdd { .. } | Op::AtomicSwap { .. } | Op::Call(..) | Op::CallFunc(..)
        )
    }
}

impl Terminator {
    /// The edges out of the block.
    pub fn edges(&self) -> Vec<&Edge> {
        match self {
            Terminator::Jump(edge) => vec![edge],
            Terminator::Branch { then, otherwise, .. } => vec![then, otherwise],
            Terminator::LoopGuard { body, done } => vec![body, done],
            Terminator::Return(_) => vec![],
        }
    }

    /// The edges out of the block, to change them.
    pub fn edges_mut(&mut self) -> Vec<&mut Edge> {
        match self {
            Terminator::Jump(edge) => vec![edge],
            Terminator::Branch { then, otherwise, .. } => vec![then, otherwise],
            Terminator::LoopGuard { body, done } => vec![body, done],
            Terminator::Return(_) => vec![],
        }
    }

    /// The values that the terminator itself reads (not the edges' arguments).
    pub fn operands(&self) -> Vec<Value> {
        match self {
            Terminator::Branch { left, right, .. } => vec![*left, *right],
            Terminator::Return(value) => vec![*value],
            Terminator::Jump(_) | Terminator::LoopGuard { .. } => vec![],
        }
    }

    /// Calls `f` on every value that the terminator itself reads, to replace it.
    pub fn operands_mut(&mut self, mut f: impl FnMut(&mut Value)) {
        match self {
            Terminator::Branch { left, right, .. } => {
                f(left);
                f(right);
            }
            Terminator::Return(value) => f(value),
            Terminator::Jump(_) | Terminator::LoopGuard { .. } => {}
        }
    }
}

impl Cond {
    /// The comparison that holds exactly when this one does not, where there is one.
    pub fn inverse(self) -> Option<Cond> {
        Some(match self {
            Cond::Eq => Cond::Ne,
            Cond::Ne => Cond::Eq,
            Cond::ULt => Cond::UGe,
            Cond::ULe => Cond::UGt,
            Cond::UGt => Cond::ULe,
            Cond::UGe => Cond::ULt,
            Cond::SLt => Cond::SGe,
            Cond::SLe => Cond::SGt,
            Cond::SGt => Cond::SLe,
            Cond::SGe => Cond::SLt,
            Cond::Test => return None,
        })
    }
}
