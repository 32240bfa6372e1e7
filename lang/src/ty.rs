//! The only type model. BTF, DWARF and tracefs formats decode into it; BTF is encoded from it.

use serde::{Deserialize, Serialize};

/// A type of the language.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Ty {
    /// The type of an expression that already has an error; never reported again.
    Error,
    /// No value.
    Void,
    /// `true` or `false`; one byte, 0 or 1.
    Bool,
    /// An integer.
    Int(IntTy),
    /// A NUL-terminated string in a buffer of this many bytes (`string[N]`).
    Str(u32),
    /// Bytes with a length: a u32 length, then this many bytes of capacity (`buffer[N]`).
    Buf(u32),
    /// The address of a value.
    Ptr(Box<Ty>, Space),
    /// N values in a row.
    Array(Box<Ty>, u32),
    /// A C struct or union of the type table.
    Struct(StructId),
    /// A C enum of the type table.
    Enum(EnumId),
    /// `(a, b, …)`, laid out as a C struct.
    Tuple(Vec<Ty>),
    /// `(a=…, b=…)`, laid out as a C struct.
    Record(Vec<(String, Ty)>),
    /// A stack trace, held as an inline copy of its addresses.
    Stack(StackTy),
    /// A kernel address printed as a symbol; 8 bytes.
    Ksym,
    /// A user address printed as a symbol: u64 address, u64 pid.
    Usym,
    /// An IPv4 address in host order, 4 bytes: what `ip.saddr` and a literal are.
    Ipv4,
    /// An IPv6 address, 16 bytes in network order.
    Ipv6,
    /// `ntop`'s result: a u32 address family, then 16 bytes in network order.
    Inet,
    /// An IPv4 network: u32 prefix length, then 4 bytes in network order, as an LPM trie's keys are.
    Network,
    /// A MAC address, 6 bytes in wire order.
    Mac,
    /// `strftime`'s result: u64 nanoseconds of boot time (or TAI), printed by this format.
    Timestamp(TimestampTy),
    /// The value of a map that only aggregates.
    Agg(Agg),
}

/// An integer's width and sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IntTy {
    /// Bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// Two's complement when true.
    pub signed: bool,
}

/// Where an address points to, which decides how it may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Space {
    /// Kernel memory: read through `bpf_probe_read_kernel`.
    Kernel,
    /// The current task's memory: read through `bpf_probe_read_user`.
    User,
    /// The probe's context: read directly.
    Ctx,
    /// The program's own memory (stack, map value, scratch): read directly.
    Bpf,
}

/// What kind of stack trace, and how it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StackTy {
    /// `ustack` rather than `kstack`.
    pub user: bool,
    /// How frames are printed.
    pub mode: StackMode,
    /// Most frames kept, 1..=1024; bpftrace's default is 127.
    pub limit: u32,
}

/// How the frames of a stack are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StackMode {
    /// `        symbol+offset`
    Bpftrace,
    /// `\tip symbol (module)`
    Perf,
    /// hexadecimal addresses
    Raw,
    /// `build-id 0xoffset`
    BuildId,
}

/// How a timestamp is printed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimestampTy {
    /// A `strftime` format, with bpftrace's `%f`, `%k`, `%l`.
    pub format: String,
    /// True when the value counts from the TAI epoch, false when it counts from boot.
    pub tai: bool,
}

/// What an aggregating map keeps.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Agg {
    /// u64 number of calls.
    Count,
    /// 64-bit sum.
    Sum {
        /// Sign of the argument type.
        signed: bool,
    },
    /// {64-bit value, u64 is-set}.
    Min {
        /// Sign of the argument type.
        signed: bool,
    },
    /// {64-bit value, u64 is-set}.
    Max {
        /// Sign of the argument type.
        signed: bool,
    },
    /// {64-bit total, u64 count}.
    Avg {
        /// Sign of the argument type.
        signed: bool,
    },
    /// {64-bit total, u64 count}.
    Stats {
        /// Sign of the argument type.
        signed: bool,
    },
    /// u64 buckets; see [`crate::layout::hist_buckets`].
    Hist {
        /// Each power of two is split in 2^k; 0..=5.
        bits: u8,
    },
    /// u64 buckets: one below, the steps, one above.
    Lhist {
        /// Smallest value of the first step.
        min: i64,
        /// Values from here on are above.
        max: i64,
        /// Width of a step.
        step: i64,
    },
}

/// Index of a struct or union in [`TypeTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StructId(pub u32);

/// Index of an enum in [`TypeTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EnumId(pub u32);

/// The C types that a program names. Grows while it is analysed; read-only afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeTable {
    /// Structs and unions.
    pub structs: Vec<StructDef>,
    /// Enums.
    pub enums: Vec<EnumDef>,
}

/// A struct or union.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StructDef {
    /// The tag, empty when anonymous. A tracepoint's record is `tracepoint:CATEGORY:EVENT`.
    pub name: String,
    /// A union rather than a struct.
    pub union: bool,
    /// Bytes.
    pub size: u32,
    /// Where the definition comes from.
    pub origin: Origin,
    /// The members; `None` until someone looks ([`crate::host::Host::complete`]).
    pub fields: Option<Vec<Field>>,
}

/// Where a C type was found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// Kernel BTF; accesses are recorded for CO-RE.
    Btf {
        /// `vmlinux` or a module's name.
        module: String,
        /// The type's id there.
        id: u32,
    },
    /// A tracepoint's `format` file.
    Format,
    /// The script's own C block.
    Script,
    /// A user program's DWARF.
    Dwarf,
}

/// A member of a struct or union.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Empty for an anonymous struct or union, whose members count as the parent's.
    pub name: String,
    /// Its type.
    pub ty: Ty,
    /// Byte offset in the parent; for a bit-field the offset of its storage unit.
    pub offset: u32,
    /// Set for bit-fields.
    pub bits: Option<BitField>,
    /// A tracepoint's `__data_loc` string: a u32 whose low half is the offset from the record.
    pub data_loc: bool,
}

/// The bits of a bit-field within its storage unit, which has the size of the field's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BitField {
    /// Distance from the unit's least significant bit (little endian).
    pub shift: u8,
    /// Number of bits.
    pub width: u8,
}

/// An enum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnumDef {
    /// The tag, empty when anonymous.
    pub name: String,
    /// The underlying integer.
    pub int: IntTy,
    /// Names and values, in order of definition.
    pub variants: Vec<(String, i64)>,
}

impl IntTy {
    /// The type of `size` bytes and sign.
    pub const fn new(size: u8, signed: bool) -> Self {
        IntTy { size, signed }
    }
}

impl Ty {
    /// `int8`
    pub const I8: Ty = Ty::Int(IntTy::new(1, true));
    /// `int32`
    pub const I32: Ty = Ty::Int(IntTy::new(4, true));
    /// `int64`
    pub const I64: Ty = Ty::Int(IntTy::new(8, true));
    /// `uint8`
    pub const U8: Ty = Ty::Int(IntTy::new(1, false));
    /// `uint16`
    pub const U16: Ty = Ty::Int(IntTy::new(2, false));
    /// `uint32`
    pub const U32: Ty = Ty::Int(IntTy::new(4, false));
    /// `uint64`
    pub const U64: Ty = Ty::Int(IntTy::new(8, false));

    /// The integer type, for integers only.
    pub fn as_int(&self) -> Option<IntTy> {
        match self {
            Ty::Int(it) => Some(*it),
            _ => None,
        }
    }

    /// Held in one register by generated code: integers, booleans, enums, pointers, symbols,
    /// IPv4 addresses and timestamps. Everything else lives in memory.
    pub fn is_scalar(&self) -> bool {
        matches!(
            self,
            Ty::Bool | Ty::Int(_) | Ty::Ptr(..) | Ty::Enum(_) | Ty::Ksym | Ty::Ipv4 | Ty::Timestamp(_)
        )
    }
}

impl TypeTable {
    /// Adds a struct or union.
    pub fn add_struct(&mut self, def: StructDef) -> StructId {
        self.structs.push(def);
        StructId((self.structs.len() - 1) as u32)
    }

    /// Adds an enum.
    pub fn add_enum(&mut self, def: EnumDef) -> EnumId {
        self.enums.push(def);
        EnumId((self.enums.len() - 1) as u32)
    }

    /// The definition of a struct or union.
    pub fn struct_def(&self, id: StructId) -> &StructDef {
        &self.structs[id.0 as usize]
    }

    /// The definition of an enum.
    pub fn enum_def(&self, id: EnumId) -> &EnumDef {
        &self.enums[id.0 as usize]
    }
}
