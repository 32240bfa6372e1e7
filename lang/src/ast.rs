//! The tree that the parser makes of any text: what was written, nothing resolved.
//!
//! Every node has a span; a child's span lies in its parent's.

pub mod text;

use crate::source::Span;

/// A whole file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// In the order of the file.
    pub items: Vec<Item>,
}

/// A top-level item.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// `#include`, `#define`, `struct`, `union`, `enum`, `typedef`: the raw text of one C declaration.
    C(Span),
    /// `config = { key = value; … }`
    Config(Vec<ConfigEntry>),
    /// `import "file";`
    Import(Import),
    /// `let @name = kind(size);`
    MapDecl(MapDecl),
    /// `macro name(…) { … }`
    Macro(Function),
    /// `fn name(…): type { … }`
    Function(Function),
    /// `probe, probe /predicate/ { … }`
    Probe(Probe),
}

/// `import "path"`
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// Text between the quotes, escapes resolved.
    pub path: String,
    /// The whole item.
    pub span: Span,
}

/// One `key = value;` of the config block.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigEntry {
    /// The variable.
    pub key: Ident,
    /// Its value.
    pub value: ConfigValue,
    /// Of the value.
    pub span: Span,
}

/// A configuration value.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigValue {
    /// A number.
    Int(u64),
    /// A quoted string.
    Str(String),
    /// A bare word: `true`, `error`, `PER_PID`.
    Word(String),
}

/// `let @name = kind(size);`
#[derive(Clone, Debug, PartialEq)]
pub struct MapDecl {
    /// With its `@`.
    pub name: Ident,
    /// `hash`, `lruhash`, `percpuhash`, `percpulruhash`, `array`, `lpm`.
    pub kind: Ident,
    /// Most entries.
    pub size: Option<Expr>,
    /// The whole item.
    pub span: Span,
}

/// A macro or a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: Ident,
    /// `$v`, `@m` or a bare word (macros only), each with an optional type.
    pub params: Vec<Param>,
    /// The declared result type.
    pub result: Option<TypeName>,
    /// Its body.
    pub body: Block,
    /// The whole item.
    pub span: Span,
}

/// A parameter of a macro or a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// With its `$` or `@`, if it has one.
    pub name: Ident,
    /// The declared type.
    pub ty: Option<TypeName>,
}

/// A probe: one body for all its attach points.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// `kprobe:vfs_read`, …; at least one.
    pub points: Vec<AttachPoint>,
    /// Between the slashes.
    pub predicate: Option<Expr>,
    /// Between the braces.
    pub body: Block,
    /// The whole item.
    pub span: Span,
}

/// An attach point as written; [`crate::attach::parse`] takes it apart.
#[derive(Clone, Debug, PartialEq)]
pub struct AttachPoint {
    /// The raw text, positional parameters not yet substituted.
    pub text: String,
    /// Of the text.
    pub span: Span,
}

/// A word and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ident {
    /// As written, with `$` or `@`.
    pub text: String,
    /// Of the word.
    pub span: Span,
}

/// `{ statements }`. Where a block has a value, its last statement is the value: an expression
/// without `;` ([`StmtKind::Value`]), or an `if` whose blocks all end in a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// In order.
    pub stmts: Vec<Stmt>,
    /// With the braces.
    pub span: Span,
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    /// Which one.
    pub kind: StmtKind,
    /// Without the `;`.
    pub span: Span,
}

/// What a statement does.
#[derive(Clone, Debug, PartialEq)]
pub enum StmtKind {
    /// An expression for its effect, or `_ = expr`.
    Expr(Expr),
    /// The value of a block: a last expression without `;`.
    Value(Expr),
    /// `$x = e`, `@m[k] = e`, `_ = e`, and `op=` forms.
    Assign {
        /// A variable, a map element, or a place behind a pointer.
        target: Expr,
        /// The operator of `op=`.
        op: Option<BinaryOp>,
        /// The right side.
        value: Expr,
    },
    /// `_ = e`
    Discard(Expr),
    /// `let $x: type = e`
    Let {
        /// With its `$`.
        name: Ident,
        /// The declared type.
        ty: Option<TypeName>,
        /// The first value.
        value: Option<Expr>,
    },
    /// `if c { … } else …`; an `else if` is an else block of one `if`.
    If {
        /// `if comptime c`
        comptime: bool,
        /// The condition.
        condition: Expr,
        /// Then.
        then: Block,
        /// Else.
        otherwise: Option<Block>,
    },
    /// `while c { … }`
    While {
        /// The condition.
        condition: Expr,
        /// The body.
        body: Block,
    },
    /// `for $i : a..b { … }`
    ForRange {
        /// With its `$`.
        var: Ident,
        /// First value.
        start: Expr,
        /// One past the last value.
        end: Expr,
        /// The body.
        body: Block,
    },
    /// `for $kv : @map { … }`
    ForMap {
        /// With its `$`.
        var: Ident,
        /// The map.
        map: Expr,
        /// The body.
        body: Block,
    },
    /// `unroll (n) { … }`
    Unroll {
        /// How often; a literal.
        count: Expr,
        /// The body.
        body: Block,
    },
    /// `{ … }`
    Block(Block),
    /// `break`
    Break,
    /// `continue`
    Continue,
    /// `return`, `return e`
    Return(Option<Expr>),
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Which one.
    pub kind: ExprKind,
    /// Of all of it.
    pub span: Span,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// Nothing that could be parsed; a diagnostic says so.
    Error,
    /// `42`, `0x2a`, `1e6`, `5ms` (nanoseconds).
    Int(u64),
    /// `true`, `false`
    Bool(bool),
    /// `"text"`, escapes resolved; bytes because `\xHH` may give any.
    Str(Vec<u8>),
    /// `10.0.0.1`, host order.
    Ipv4(u32),
    /// `10.0.0.0/8`: network in host order, prefix length 0..=32.
    Cidr4(u32, u8),
    /// `02:00:00:00:00:01`
    Mac([u8; 6]),
    /// `$x`
    Var(String),
    /// `@m`, `@m[k, …]`
    Map {
        /// With its `@`.
        name: String,
        /// The keys in brackets; empty means scalar.
        key: Vec<Expr>,
    },
    /// `$1`
    Positional(u32),
    /// `$#`
    PositionalCount,
    /// A bare word: a builtin, a constant, an enum value, a header.
    Word(String),
    /// `f(a, b)`
    Call {
        /// The function.
        name: Ident,
        /// Its arguments.
        args: Vec<Arg>,
    },
    /// `-e`, `!e`, `~e`, `*e`, `&e`
    Unary(UnaryOp, Box<Expr>),
    /// `e++`, `--e`, …
    Step {
        /// `++` rather than `--`.
        increment: bool,
        /// Before the operand rather than after it.
        prefix: bool,
        /// What is stepped.
        target: Box<Expr>,
    },
    /// `a op b`
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `a in b`
    In(Box<Expr>, Box<Expr>),
    /// `c ? t : e`; `t` is `None` in the short form `c ?: e`.
    Ternary(Box<Expr>, Option<Box<Expr>>, Box<Expr>),
    /// `if c { a } else { b }` as a value.
    If(Box<Expr>, Block, Block),
    /// `{ …; value }` as a value.
    Block(Block),
    /// `(type)e`
    Cast(TypeName, Box<Expr>),
    /// `e.name`, `e->name`
    Field {
        /// The struct, record or pointer.
        base: Box<Expr>,
        /// The member.
        name: Ident,
        /// `->` rather than `.`.
        arrow: bool,
    },
    /// `e.0`
    TupleIndex(Box<Expr>, u32),
    /// `e[i]`
    Index(Box<Expr>, Box<Expr>),
    /// `(a, b)`, `(a,)`, `()`
    Tuple(Vec<Expr>),
    /// `(a = 1, b = 2)`
    Record(Vec<(Ident, Expr)>),
    /// `sizeof(type)`, `sizeof(e)`
    Sizeof(Box<TypeOrExpr>),
    /// `offsetof(type, a.b)`
    Offsetof(Box<TypeOrExpr>, Vec<Ident>),
    /// `comptime e`
    Comptime(Box<Expr>),
}

/// An argument of a call: nearly always an expression; `typeof(T)`-like calls take types.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// A value.
    Expr(Expr),
    /// A type.
    Type(TypeName),
}

/// Where C allows both.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeOrExpr {
    /// A type.
    Type(TypeName),
    /// The type of an expression.
    Expr(Expr),
}

/// A type as written: `uint64`, `struct task_struct *`, `string[16]`, `typeof($x)`.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeName {
    /// The base.
    pub base: TypeBase,
    /// Number of `*` behind it.
    pub pointers: u32,
    /// `[n]` behind those, outermost first.
    pub arrays: Vec<Expr>,
    /// All of it.
    pub span: Span,
}

/// The base of a written type.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeBase {
    /// `uint64`, `string`, `pid_t`
    Name(String),
    /// `struct x`
    Struct(String),
    /// `union x`
    Union(String),
    /// `enum x`
    Enum(String),
    /// `typeof(e)`
    Typeof(Box<TypeOrExpr>),
    /// `(a, b)`
    Tuple(Vec<TypeName>),
}

/// An operator before its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`
    Neg,
    /// `!`
    Not,
    /// `~`
    BitNot,
    /// `*`
    Deref,
    /// `&`
    AddressOf,
}

macro_rules! binary_operators {
    ($($id:ident = $symbol:literal $precedence:literal;)+) => {
        /// An operator between two operands.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum BinaryOp { $(#[doc = concat!("`", $symbol, "`")] $id,)+ }

        impl BinaryOp {
            /// The operator as it is written.
            pub fn symbol(self) -> &'static str {
                match self { $(BinaryOp::$id => $symbol,)+ }
            }

            /// The operator that is written so, and how tightly it binds.
            pub fn find(symbol: &str) -> Option<(BinaryOp, u8)> {
                match symbol { $($symbol => Some((BinaryOp::$id, $precedence)),)+ _ => None }
            }
        }
    };
}

binary_operators! {
    Add = "+" 9;
    Sub = "-" 9;
    Mul = "*" 10;
    Div = "/" 10;
    Mod = "%" 10;
    Shl = "<<" 8;
    Shr = ">>" 8;
    And = "&" 5;
    Or = "|" 3;
    Xor = "^" 4;
    LogAnd = "&&" 2;
    LogOr = "||" 1;
    Eq = "==" 6;
    Ne = "!=" 6;
    Lt = "<" 7;
    Le = "<=" 7;
    Gt = ">" 7;
    Ge = ">=" 7;
}

impl BinaryOp {
    /// Whether it makes a number of two, so that there is an assignment with it (`+=`).
    pub fn is_arithmetic(self) -> bool {
        use BinaryOp::{Add, And, Div, Mod, Mul, Or, Shl, Shr, Sub, Xor};
        matches!(self, Add | Sub | Mul | Div | Mod | Shl | Shr | And | Or | Xor)
    }
}
