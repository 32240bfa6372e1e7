//! The typed program. It exists only when no error does: every expression has a type, casts are
//! explicit, macros and imports are gone, positional parameters are bound, wildcards are
//! expanded.
//!
//! Only [`crate::sema::analyze`] makes one, and what it made is not edited later.

mod action;
pub mod text;
mod walk;

pub use action::{Action, ActionKind, Conversion, Format, Piece, Summary, Width};

use crate::attach::Point;
use crate::builtins::Builtin;
use crate::source::{Sources, Span};
use crate::ty::{Agg, StructId, Ty, TypeTable};
use crate::usdt;
use serde::{Deserialize, Serialize};

/// A whole typed program.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// The texts that spans point into.
    pub sources: Sources,
    /// The C types it names.
    pub types: TypeTable,
    /// Its maps, in byte order of their names.
    pub maps: Vec<Map>,
    /// What user space does when a record arrives; indexed by [`ActionId`].
    pub actions: Vec<Action>,
    /// Its probes, in the order of the script.
    pub probes: Vec<Probe>,
    /// Its functions, in the order of the script; indexed by [`FunctionId`].
    ///
    /// Invariant: no function calls itself, nor through others.
    pub functions: Vec<Function>,
    /// Settings.
    pub config: Config,
    /// Parameters with names, in the order in which the script asks for them; their values are
    /// bound already.
    pub parameters: Vec<Parameter>,
}

/// A parameter that `getopt` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Without the dashes.
    pub name: String,
    /// What it is when it is not given; says which kind of value it takes.
    pub default: ParameterValue,
    /// For `--help`; may be empty.
    pub description: String,
}

/// A value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterValue {
    /// `--name` alone is true.
    Bool(bool),
    /// Any 64-bit number, with or without a sign.
    Int(i128),
    /// Text.
    Str(String),
}

macro_rules! id {
    ($(#[doc = $doc:literal])+ $name:ident, $prefix:literal) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub u32);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

id!(
    /// Index of a map in [`Program::maps`].
    MapId, "@m"
);
id!(
    /// Index of an action in [`Program::actions`].
    ActionId, "action"
);
id!(
    /// Index of a variable in [`Probe::locals`] or [`Function::locals`].
    LocalId, "$l"
);
id!(
    /// Index of a function in [`Program::functions`].
    FunctionId, "fn"
);

/// A map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// With its `@`; `@` alone is the anonymous map.
    pub name: String,
    /// Key type; `None` for a scalar. Several keys are one [`Ty::Tuple`].
    pub key: Option<Ty>,
    /// Value type; [`Ty::Agg`] for aggregations.
    pub value: Ty,
    /// What the script declared, or [`MapKind::Hash`].
    pub kind: MapKind,
    /// Most entries; 1 for a scalar.
    pub max_entries: u32,
    /// Where it is declared or first used.
    pub span: Span,
}

/// The kind of a keyed map. Aggregations of a `Hash` are kept per CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MapKind {
    /// `hash`
    Hash,
    /// `lruhash`
    LruHash,
    /// `percpuhash`
    PerCpuHash,
    /// `percpulruhash`
    PerCpuLruHash,
    /// `array`
    Array,
    /// `lpm`
    Lpm,
}

impl MapKind {
    /// Every kind.
    pub const ALL: [MapKind; 6] = [
        MapKind::Hash,
        MapKind::LruHash,
        MapKind::PerCpuHash,
        MapKind::PerCpuLruHash,
        MapKind::Array,
        MapKind::Lpm,
    ];

    /// As a declaration writes it.
    pub fn name(self) -> &'static str {
        match self {
            MapKind::Hash => "hash",
            MapKind::LruHash => "lruhash",
            MapKind::PerCpuHash => "percpuhash",
            MapKind::PerCpuLruHash => "percpulruhash",
            MapKind::Array => "array",
            MapKind::Lpm => "lpm",
        }
    }
}

/// A probe: one body, and all the places that run it.
///
/// Invariant: all points have the same kind and the same context layout.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Concrete targets; never empty.
    pub points: Vec<Point>,
    /// The attach points' text as the script has them.
    pub span: Span,
    /// Its variables.
    pub locals: Vec<Local>,
    /// What it does; a predicate has become an `if`.
    pub body: Vec<Stmt>,
}

/// A function of the script, which probes and other functions call.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Unique among the functions.
    pub name: String,
    /// Name, parameters and result as the script has them.
    pub span: Span,
    /// How many of the variables are parameters: the first ones.
    pub n_params: usize,
    /// Its variables.
    pub locals: Vec<Local>,
    /// What it returns; [`Ty::Void`] for nothing.
    pub result: Ty,
    /// What it does.
    ///
    /// Invariant: with a result, every way through it ends in a statement that leaves it.
    pub body: Vec<Stmt>,
}

/// A `$variable` of a probe or function. Each declaration in a block has its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Local {
    /// With its `$`.
    pub name: String,
    /// Its type.
    pub ty: Ty,
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    /// Which one.
    pub kind: StmtKind,
    /// Where it stands.
    pub span: Span,
}

/// What a statement does.
#[derive(Clone, Debug, PartialEq)]
pub enum StmtKind {
    /// Evaluates for the effect.
    Expr(Expr),
    /// `$x = e`, also `let $x = e`; a bare `let` assigns zero. The value has the local's type.
    SetLocal(LocalId, Expr),
    /// `@m[k] = e`; key and value have the map's types.
    SetMap {
        /// The map.
        map: MapId,
        /// For keyed maps.
        key: Option<Expr>,
        /// The value.
        value: Expr,
    },
    /// `@m[k] += e`, `-=` (with a negated value): one atomic addition.
    AddMap {
        /// The map; its value is an integer.
        map: MapId,
        /// For keyed maps.
        key: Option<Expr>,
        /// What is added; 64 bits.
        value: Expr,
    },
    /// `@m[k] = count()`, …: the map's value type says which.
    Aggregate {
        /// The map; its value is [`Ty::Agg`].
        map: MapId,
        /// For keyed maps.
        key: Option<Expr>,
        /// The argument, 64 bits; none for `count`.
        value: Option<Expr>,
    },
    /// Sends a record; the arguments have the action's types.
    Action(ActionId, Vec<Expr>),
    /// Ends the program with a verdict on the packet.
    Verdict(Verdict),
    /// `if`
    If {
        /// A scalar; true when not zero.
        condition: Expr,
        /// Then.
        then: Vec<Stmt>,
        /// Else; empty for none.
        otherwise: Vec<Stmt>,
    },
    /// `while`
    While {
        /// A scalar.
        condition: Expr,
        /// The body.
        body: Vec<Stmt>,
    },
    /// `for $i : start..end`; both ends are evaluated once.
    ForRange {
        /// The counter; int64.
        var: LocalId,
        /// First value; int64.
        start: Expr,
        /// One past the last; int64.
        end: Expr,
        /// The body.
        body: Vec<Stmt>,
    },
    /// `for $kv : @map`: once for each entry there is.
    ForMap {
        /// The entry: a tuple of the key and the value, an aggregation's as a number.
        var: LocalId,
        /// The map; keyed, and not a histogram.
        map: MapId,
        /// The body.
        body: Vec<Stmt>,
    },
    /// `unroll (n)`: the body n times in a row.
    Unroll {
        /// 1..=100
        count: u32,
        /// The body.
        body: Vec<Stmt>,
    },
    /// Leaves the innermost loop.
    Break,
    /// Goes on with the innermost loop.
    Continue,
    /// Ends the program (with the context's default verdict, or 1 in a tracepoint); in a function
    /// without result, leaves it.
    Return,
    /// Leaves the function with its result.
    ReturnValue(Expr),
    /// Ends the program from within a function, as [`StmtKind::Return`] does in a probe.
    End,
}

/// An expression with its type.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Which one.
    pub kind: ExprKind,
    /// The type of its value.
    pub ty: Ty,
    /// Where it stands.
    pub span: Span,
}

/// What an expression is.
///
/// An expression whose type is not scalar ([`Ty::is_scalar`]) is a place in memory: reading
/// happens when a scalar member is taken, or when the whole is copied to a destination.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// An integer, boolean, enum value, pointer or IPv4 literal, sign-extended to 64 bits.
    Const(i64),
    /// A string literal; the type's capacity may be larger.
    Str(Vec<u8>),
    /// A MAC literal, or the zero value of a type that only exists in memory.
    Bytes(Vec<u8>),
    /// A variable.
    Local(LocalId),
    /// `@m[k]`; all zero when there is no such entry. Not for aggregations.
    Map {
        /// The map.
        map: MapId,
        /// For keyed maps.
        key: Option<Box<Expr>>,
    },
    /// An aggregation's value as an integer: summed over all CPUs (count, sum), or min, max, avg.
    AggValue {
        /// The map.
        map: MapId,
        /// For keyed maps.
        key: Option<Box<Expr>>,
    },
    /// `has_key`, `delete`, `len`
    MapOp {
        /// Which one.
        op: MapOp,
        /// The map.
        map: MapId,
        /// For `has_key` and `delete` of a keyed map.
        key: Option<Box<Expr>>,
    },
    /// `-e`, `~e`: 64 bits. `!e`: bool from any scalar.
    Unary(UnaryOp, Box<Expr>),
    /// Arithmetic on two 64-bit integers of the expression's type (`Shr`: the left one's sign
    /// decides). Pointer ± integer is [`ExprKind::Offset`].
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// Two operands of one type, giving bool. Scalars: signed when the type is. Strings, tuples,
    /// addresses: `Eq` and `Ne` only, bytes compared (strings up to the NUL).
    Compare(CompareOp, Box<Expr>, Box<Expr>),
    /// Short-circuit `&&`: bool from any scalars.
    And(Box<Expr>, Box<Expr>),
    /// Short-circuit `||`: bool from any scalars.
    Or(Box<Expr>, Box<Expr>),
    /// `c ? t : e`; both arms have the expression's type (or are `Void`).
    Cond(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `{ …; value }`
    Block(Vec<Stmt>, Box<Expr>),
    /// To the expression's type. Integer to integer: truncates, extends by the operand's sign.
    /// Integer to bool: not zero. Integer, pointer, enum, symbol, timestamp: same 64 bits.
    /// String to string: copied to the new capacity. Tuple to tuple: member by member. Integer to an
    /// array of at most 8 bytes: its bytes, extended by its sign; an array to an integer of its size.
    Cast(Box<Expr>),
    /// A member of a struct, through any number of nested (not pointed-to) members.
    Member {
        /// A struct (a place).
        base: Box<Expr>,
        /// At each step the struct and the member's index in it.
        path: Vec<(StructId, u32)>,
    },
    /// What a pointer points to.
    Deref(Box<Expr>),
    /// Pointer plus so many pointees: the element's address.
    Offset(Box<Expr>, Box<Expr>),
    /// An element of an array or a byte of a string (a place); constant indices are in range.
    Element(Box<Expr>, Box<Expr>),
    /// The address of a place in memory.
    AddressOf(Box<Expr>),
    /// A tuple or record made of its members, which have the members' types.
    Tuple(Vec<Expr>),
    /// A member of a tuple or record.
    TupleField(Box<Expr>, u32),
    /// `$x++` and its kin; the value is the new one with `prefix`, else the old one.
    StepLocal {
        /// The variable.
        local: LocalId,
        /// What is added: 1, -1, or the pointee's size with that sign.
        by: i64,
        /// Whether the value is the new one.
        prefix: bool,
    },
    /// `@m[k]++` and its kin: one atomic addition.
    StepMap {
        /// The map; its value is an integer.
        map: MapId,
        /// For keyed maps.
        key: Option<Box<Expr>>,
        /// 1 or -1.
        by: i64,
        /// Whether the value is the new one.
        prefix: bool,
    },
    /// A builtin's value. Arguments by builtin: `str` (pointer, length limit or none),
    /// `ksym usym kptr uptr strftime` (scalar), `len` (stack), `ntop` (family or none, then an integer or an
    /// array place), `nsecs` (see [`Clock`] as a `Const`), `join` (pointer to pointers to
    /// strings, giving a buffer), `strlen` and its kin (strings in memory, literals among them), `buf`
    /// (a place or a pointer, a length if it is not that of the type), `memcmp` (two of these, a length as
    /// `Const`), `macaddr` (a place), `reg` (the name as `Str`), `pid tid` (`Const` 1 for the initial
    /// namespace, or none), `debugf` (the format as `Str`, scalars and strings), `signal override
    /// strerror bswap cgroup_path` and their kin (a scalar), `write_user` (two addresses, a length), others none.
    Builtin(Builtin, Vec<Expr>),
    /// A call of a function; the arguments have its parameters' types.
    Call(FunctionId, Vec<Expr>),
    /// `argN` of a kprobe or uprobe.
    Register(u32),
    /// `retval` of a kretprobe or uretprobe.
    ReturnRegister,
    /// The N-th 64-bit slot of a BTF-typed context; `args.NAME` and `retval` of fentry/fexit,
    /// `argN` of a raw tracepoint.
    Argument(u32),
    /// `argN` of a static probe, extended to 64 bits.
    StaticArgument(u32, Box<usdt::Argument>),
    /// The tracepoint's record: a place of struct type in [`crate::ty::Space::Ctx`].
    Record,
    /// Whether the packet has this header.
    HasHeader(Header),
    /// A header's field, 0 (all zero) when the packet lacks the header.
    HeaderField(HeaderField),
}

/// Clocks of `nsecs`, as the `Const` argument of the builtin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
pub enum Clock {
    /// Since boot, time asleep included: the default.
    Boot = 0,
    /// Since boot, without time asleep.
    Monotonic = 1,
    /// International atomic time.
    Tai = 2,
}

/// Functions on maps that give a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapOp {
    /// Whether there is such an entry.
    HasKey,
    /// Removes the entry; whether there was one.
    Delete,
    /// Number of entries.
    Len,
}

/// Operators before an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`
    Neg,
    /// `!`
    Not,
    /// `~`
    BitNot,
}

/// Arithmetic operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`, truncating; by the type's sign; 1 when the divisor is 0
    Div,
    /// `%`, by the type's sign; 1 when the divisor is 0
    Mod,
    /// `<<`
    Shl,
    /// `>>`, arithmetic for signed types
    Shr,
    /// `&`
    And,
    /// `|`
    Or,
    /// `^`
    Xor,
}

/// Comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// What happens to the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It is discarded.
    Drop,
}

/// A protocol header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Header {
    /// Ethernet II.
    Eth,
    /// IPv4 (RFC 791).
    Ip,
    /// IPv6 (RFC 8200).
    Ip6,
    /// TCP (RFC 9293) over IPv4 or IPv6.
    Tcp,
    /// UDP (RFC 768) over IPv4 or IPv6.
    Udp,
    /// ICMP (RFC 792) over IPv4.
    Icmp,
    /// ICMPv6 (RFC 4443) over IPv6.
    Icmp6,
}

/// A header's field; the table is in [`crate::sema`]'s packet module and says the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeaderField {
    /// The header.
    pub header: Header,
    /// First bit of the field in the header, counted from the header's first bit on the wire.
    pub bit: u16,
    /// Its width in bits; 1..=64 for numbers, 48 for MAC and 128 for IPv6 addresses.
    pub width: u16,
}

/// `pkt.len` is a field of no header: this pseudo-field of [`Header::Eth`] stands for it.
pub const PACKET_LENGTH: HeaderField = HeaderField { header: Header::Eth, bit: u16::MAX, width: 32 };

/// Settings, from the `config` block and the environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Most bytes that `str()` copies.
    pub max_strlen: u32,
    /// Default size of a keyed map.
    pub max_map_keys: u32,
    /// Objects up to this size live on the eBPF stack, larger ones in per-CPU scratch memory.
    pub on_stack_limit: u32,
    /// Pages of the ring buffer (a power of two); `None` lets the runtime choose.
    pub perf_rb_pages: Option<u32>,
    /// Whether maps are printed at the end.
    pub print_maps_on_exit: bool,
    /// What to do about probes that cannot be attached.
    pub missing_probes: MissingProbes,
    /// Printed behind a string that was cut.
    pub str_trunc_trailer: String,
    /// Whether user stacks show source lines and inlined functions. Off by default: reading a large
    /// program's debug information takes seconds, and Debian's bpftrace shows neither.
    pub show_debug_info: bool,
    /// Default way to print stacks.
    pub stack_mode: crate::ty::StackMode,
    /// The programs' licence.
    pub license: String,
    /// Whether programs report helper calls that fail.
    pub report_failures: bool,
    /// Whether symbols of C++ are shown as they are written rather than as linkers see them.
    pub cpp_demangle: bool,
    /// What is kept of the symbols of processes.
    pub cache_user_symbols: SymbolCache,
    /// Most bytes of the verifier's log.
    pub log_size: u32,
    /// Most bytes that `cat` prints.
    pub max_cat_bytes: u32,
    /// Most targets that are attached.
    pub max_probes: u32,
    /// Most programs.
    pub max_bpf_progs: u32,
    /// Whether `import` may stand in a body.
    pub unstable_import_statement: Unstable,
    /// Whether `tseries` may be used.
    pub unstable_tseries: Unstable,
    /// Whether `typeinfo` may be used.
    pub unstable_typeinfo: Unstable,
    /// Whether `dw_ustack` may be used.
    pub unstable_dw_ustack: Unstable,
}

/// What a script hears that uses a feature of which the form is not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unstable {
    /// Nothing.
    Enable,
    /// A warning.
    Warn,
    /// An error.
    Error,
}

/// What is kept of the symbols of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SymbolCache {
    /// What each process has mapped, for as long as kscope runs.
    PerPid,
    /// The same: files are read once, whoever maps them.
    PerProgram,
    /// Nothing: every address is looked up anew.
    None,
}

/// What to do about probes that cannot be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MissingProbes {
    /// Refuse to start.
    Error,
    /// Say so and go on with the others.
    Warn,
    /// Go on with the others.
    Ignore,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            max_strlen: 1024,
            max_map_keys: 4096,
            on_stack_limit: 32,
            perf_rb_pages: None,
            print_maps_on_exit: true,
            missing_probes: MissingProbes::Error,
            str_trunc_trailer: "..".to_owned(),
            show_debug_info: false,
            stack_mode: crate::ty::StackMode::Bpftrace,
            license: "GPL".to_owned(),
            report_failures: false,
            cpp_demangle: true,
            cache_user_symbols: SymbolCache::PerPid,
            log_size: 1_000_000,
            max_cat_bytes: 10_240,
            max_probes: 1024,
            max_bpf_progs: 1024,
            unstable_import_statement: Unstable::Error,
            unstable_tseries: Unstable::Warn,
            unstable_typeinfo: Unstable::Error,
            unstable_dw_ustack: Unstable::Warn,
        }
    }
}

impl Program {
    /// All bodies with their variables: those of the probes, then those of the functions.
    pub fn bodies(&self) -> impl Iterator<Item = (&[Local], &[Stmt])> {
        let probes = self.probes.iter().map(|it| (&*it.locals, &*it.body));
        probes.chain(self.functions.iter().map(|it| (&*it.locals, &*it.body)))
    }
}

impl Function {
    /// Its parameters.
    pub fn params(&self) -> &[Local] {
        &self.locals[..self.n_params]
    }
}

impl Map {
    /// The aggregation, for maps that aggregate.
    pub fn agg(&self) -> Option<&Agg> {
        match &self.value {
            Ty::Agg(agg) => Some(agg),
            _ => None,
        }
    }
}

impl BinaryOp {
    /// The operator as it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::Shl => "<<",
            BinaryOp::Shr => ">>",
            BinaryOp::And => "&",
            BinaryOp::Or => "|",
            BinaryOp::Xor => "^",
        }
    }
}

impl CompareOp {
    /// Whether the comparison holds of two values in this order.
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            CompareOp::Eq => ordering.is_eq(),
            CompareOp::Ne => ordering.is_ne(),
            CompareOp::Lt => ordering.is_lt(),
            CompareOp::Le => ordering.is_le(),
            CompareOp::Gt => ordering.is_gt(),
            CompareOp::Ge => ordering.is_ge(),
        }
    }
}
