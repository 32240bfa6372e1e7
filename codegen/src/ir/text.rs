//! The printed form of the IR, as `build --emit=ir` and the snapshot tests show it.
//!
//! One instruction a line, script text as `; …` lines where it changes:
//!
//! ```text
//! map counts: hash key 8 value 8 entries 4096 flags 0x0
//!
//! function probe0 probe 0 { ; kprobe:vfs_read
//!     slot s0 8 align 8
//! b0(v0: ctx):
//!     ; @counts[pid] = count()
//!     v1 = call get_current_pid_tgid()
//!     v2 = slot_addr s0
//!     store.64 v2+0, v1
//!     v3 = map_addr counts
//!     v4 = call map_lookup_elem(v3, v2)
//!     v5 = const 0
//!     branch eq v4, v5, b1, b2(v4)
//! ```
//!
//! [`parse()`] reads the same form back; only the spans are lost.

mod parse;

pub use parse::parse;

use super::*;
use lang::Sources;
use std::fmt::Write;

/// Prints a module.
pub fn print(module: &Module, sources: &Sources) -> String {
    let mut text = String::new();
    for line in header(module) {
        let _ = writeln!(text, "{line}");
    }
    for function in &module.functions {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&print_function(module, function, sources));
    }
    text
}

/// Prints one function of a module.
pub fn print_function(module: &Module, function: &Function, sources: &Sources) -> String {
    let mut printer = Printer { module, excerpts: Excerpts::new(sources), text: String::new() };
    printer.function(function, sources);
    printer.text
}

/// Which script text a listing shows next: each excerpt once, until the code leaves it.
pub(crate) struct Excerpts<'a> {
    sources: &'a Sources,
    shown: Option<Span>,
}

impl<'a> Excerpts<'a> {
    pub(crate) fn new(sources: &'a Sources) -> Self {
        Excerpts { sources, shown: None }
    }

    /// The text to show before code of `span`; none when it is within what was shown last.
    pub(crate) fn before(&mut self, span: Span) -> Option<String> {
        let within =
            |shown: Span| shown.file == span.file && shown.start <= span.start && span.end <= shown.end;
        if self.shown.is_some_and(within) {
            return None;
        }
        let text = excerpt(self.sources, span);
        if text.is_empty() {
            return None;
        }
        self.shown = Some(span);
        Some(text)
    }
}

/// The script text of `span` on one line, or nothing if there is none.
fn excerpt(sources: &Sources, span: Span) -> String {
    let has_text = usize::from(sources.file_of(span.file).0) < sources.files().len();
    let text = if has_text { sources.text(span).trim() } else { "" };
    match text.split_once('\n') {
        Some((first, _)) => format!("{} …", first.trim_end()),
        None => text.to_owned(),
    }
}

/// What a function's header line says of the script: its text before the body.
pub(crate) fn headline(sources: &Sources, span: Span) -> String {
    let text = excerpt(sources, span);
    let head = text.split('{').next().unwrap_or("").trim();
    head.trim_end_matches('…').trim_end().to_owned()
}

fn header(module: &Module) -> Vec<String> {
    let mut lines = Vec::new();
    for map in &module.maps {
        lines.push(map_line(map));
    }
    for (idx, access) in module.accesses.iter().enumerate() {
        let steps: Vec<_> = access.path.iter().map(|(id, member)| format!("{}.{member}", id.0)).collect();
        let kind = core_kind_name(access.kind);
        lines.push(format!("access core{idx}: {kind} {} = {}", steps.join(" "), access.value));
    }
    for (idx, failure) in module.failures.iter().enumerate() {
        lines.push(format!("failure {idx}: {}", failure.kind.name()));
    }
    if module.scratch_size > 0 {
        lines.push(format!("scratch {}", module.scratch_size));
    }
    if let Some(map) = module.globals.rodata {
        let bytes: Vec<_> = module.globals.rodata_init.iter().map(|it| format!(" {it:02x}")).collect();
        lines.push(format!("rodata {}:{}", map_name(module, map), bytes.concat()));
    }
    if let Some(map) = module.globals.bss {
        lines.push(format!("bss {}: {}", map_name(module, map), module.globals.bss_size));
    }
    lines
}

fn map_line(map: &KernelMap) -> String {
    let script = map.script.map_or(String::new(), |id| format!(" script {}", id.0));
    format!(
        "map {}: {} key {} value {} entries {} flags {:#x}{script}",
        map.name,
        map_kind_name(map.kind),
        map.key_size,
        map.value_size,
        map.max_entries,
        map.flags,
    )
}

/// A map's name, or its id when the module has no such map.
pub(crate) fn map_name(module: &Module, map: Map) -> String {
    module.maps.get(map.index()).map_or_else(|| map.to_string(), |it| it.name.clone())
}

struct Printer<'a> {
    module: &'a Module,
    excerpts: Excerpts<'a>,
    text: String,
}

impl Printer<'_> {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.text, "{line}");
    }

    fn function(&mut self, function: &Function, sources: &Sources) {
        let mut probe = function.probe.map_or(String::new(), |idx| format!(" probe {idx}"));
        if function.cold {
            probe.push_str(" cold");
        }
        let mut place = headline(sources, function.span);
        if !place.is_empty() {
            place.insert_str(0, " ; ");
        }
        self.line(format_args!("function {}{probe} {{{place}", function.name));
        for (idx, slot) in function.slots.iter().enumerate() {
            self.line(format_args!("    slot s{idx} {} align {}", slot.size, slot.align));
        }
        for (idx, block) in function.blocks.iter().enumerate() {
            self.block(function, Block(idx as u32), block);
        }
        self.line(format_args!("}}"));
    }

    fn block(&mut self, function: &Function, id: Block, block: &BlockData) {
        let params: Vec<_> =
            block.params.iter().map(|&it| format!("{it}: {}", type_name(function.ty(it)))).collect();
        match params.is_empty() {
            true => self.line(format_args!("{id}:")),
            false => self.line(format_args!("{id}({}):", params.join(", "))),
        }
        for &inst in &block.insts {
            let inst = function.inst(inst);
            self.excerpt(inst.span);
            let op = op_text(self.module, &inst.op);
            match inst.result {
                Some(result) => self.line(format_args!("    {result} = {op}")),
                None => self.line(format_args!("    {op}")),
            }
        }
        self.excerpt(block.span);
        self.line(format_args!("    {}", terminator_text(&block.terminator)));
    }

    fn excerpt(&mut self, span: Span) {
        if let Some(text) = self.excerpts.before(span) {
            self.line(format_args!("    ; {text}"));
        }
    }
}

fn op_text(module: &Module, op: &Op) -> String {
    match op {
        Op::Const(number) => format!("const {number}"),
        Op::Binary(op, a, b) => format!("{} {a}, {b}", binary_name(*op)),
        Op::Neg(a) => format!("neg {a}"),
        Op::Not(a) => format!("not {a}"),
        Op::Bswap(bits, a) => format!("bswap{bits} {a}"),
        Op::Zext(bits, a) => format!("zext{bits} {a}"),
        Op::Sext(bits, a) => format!("sext{bits} {a}"),
        Op::Compare(cond, a, b) => format!("compare {} {a}, {b}", cond_name(*cond)),
        Op::SlotAddr(slot) => format!("slot_addr {slot}"),
        Op::MapAddr(map) => format!("map_addr {}", map_name(module, *map)),
        Op::MapValueAddr(map, offset) => format!("map_value_addr {}+{offset}", map_name(module, *map)),
        Op::PtrAdd(a, b) => format!("ptr_add {a}, {b}"),
        Op::NonNull(a) => format!("non_null {a}"),
        Op::Load { width, signed, ptr, offset, ty } => {
            let sign = if *signed { 's' } else { 'u' };
            let kind = if *ty == Type::I64 { String::new() } else { format!(": {}", type_name(*ty)) };
            format!("load.{sign}{} {ptr}{offset:+}{kind}", 8 * u32::from(*width))
        }
        Op::Store { width, ptr, offset, value } => {
            format!("store.{} {ptr}{offset:+}, {value}", 8 * u32::from(*width))
        }
        Op::AtomicAdd { width, ptr, offset, value, fetch } => {
            let name = if *fetch { "atomic_fetch_add" } else { "atomic_add" };
            format!("{name}.{} {ptr}{offset:+}, {value}", 8 * u32::from(*width))
        }
        Op::AtomicSwap { width, ptr, offset, value } => {
            format!("atomic_swap.{} {ptr}{offset:+}, {value}", 8 * u32::from(*width))
        }
        Op::FieldOffset(access) => format!("field_offset {access}"),
        Op::FuncAddr(func) => format!("func_addr {func}"),
        Op::Call(helper, args) => format!("call {}({})", helper.name(), list(args)),
        Op::CallFunc(func, args) => format!("call {func}({})", list(args)),
    }
}

fn terminator_text(terminator: &Terminator) -> String {
    match terminator {
        Terminator::Jump(edge) => format!("jump {}", edge_text(edge)),
        Terminator::Branch { cond, left, right, then, otherwise } => format!(
            "branch {} {left}, {right}, {}, {}",
            cond_name(*cond),
            edge_text(then),
            edge_text(otherwise)
        ),
        Terminator::LoopGuard { body, done } => {
            format!("loop_guard {}, {}", edge_text(body), edge_text(done))
        }
        Terminator::Return(value) => format!("return {value}"),
    }
}

fn edge_text(edge: &Edge) -> String {
    match edge.args.is_empty() {
        true => edge.block.to_string(),
        false => format!("{}({})", edge.block, list(&edge.args)),
    }
}

fn list(values: &[Value]) -> String {
    values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
}

/// A closed enum's names, for the printer and the parser alike.
macro_rules! names {
    ($function:ident, $table:ident, $enum:ty, $($name:literal = $variant:pat => $value:expr;)+) => {
        fn $function(it: $enum) -> &'static str {
            match it { $($variant => $name,)+ }
        }

        const $table: &[(&str, $enum)] = &[$(($name, $value)),+];
    };
}

names! { type_name, TYPES, Type,
    "i64" = Type::I64 => Type::I64;
    "stack" = Type::Ptr(Region::Stack) => Type::Ptr(Region::Stack);
    "map_value" = Type::Ptr(Region::MapValue) => Type::Ptr(Region::MapValue);
    "maybe_null" = Type::Ptr(Region::MaybeNull) => Type::Ptr(Region::MaybeNull);
    "map" = Type::Ptr(Region::Map) => Type::Ptr(Region::Map);
    "ctx" = Type::Ptr(Region::Ctx) => Type::Ptr(Region::Ctx);
    "packet" = Type::Ptr(Region::Packet) => Type::Ptr(Region::Packet);
    "packet_end" = Type::Ptr(Region::PacketEnd) => Type::Ptr(Region::PacketEnd);
    "kernel" = Type::Ptr(Region::Kernel) => Type::Ptr(Region::Kernel);
}

names! { binary_name, BINARIES, BinOp,
    "add" = BinOp::Add => BinOp::Add;
    "sub" = BinOp::Sub => BinOp::Sub;
    "mul" = BinOp::Mul => BinOp::Mul;
    "udiv" = BinOp::UDiv => BinOp::UDiv;
    "sdiv" = BinOp::SDiv => BinOp::SDiv;
    "umod" = BinOp::UMod => BinOp::UMod;
    "smod" = BinOp::SMod => BinOp::SMod;
    "and" = BinOp::And => BinOp::And;
    "or" = BinOp::Or => BinOp::Or;
    "xor" = BinOp::Xor => BinOp::Xor;
    "shl" = BinOp::Shl => BinOp::Shl;
    "lshr" = BinOp::LShr => BinOp::LShr;
    "ashr" = BinOp::AShr => BinOp::AShr;
}

names! { cond_name, CONDS, Cond,
    "eq" = Cond::Eq => Cond::Eq;
    "ne" = Cond::Ne => Cond::Ne;
    "ult" = Cond::ULt => Cond::ULt;
    "ule" = Cond::ULe => Cond::ULe;
    "ugt" = Cond::UGt => Cond::UGt;
    "uge" = Cond::UGe => Cond::UGe;
    "slt" = Cond::SLt => Cond::SLt;
    "sle" = Cond::SLe => Cond::SLe;
    "sgt" = Cond::SGt => Cond::SGt;
    "sge" = Cond::SGe => Cond::SGe;
    "test" = Cond::Test => Cond::Test;
}

names! { map_kind_name, MAP_KINDS, KernelMapKind,
    "hash" = KernelMapKind::Hash => KernelMapKind::Hash;
    "array" = KernelMapKind::Array => KernelMapKind::Array;
    "percpu_hash" = KernelMapKind::PerCpuHash => KernelMapKind::PerCpuHash;
    "percpu_array" = KernelMapKind::PerCpuArray => KernelMapKind::PerCpuArray;
    "lru_hash" = KernelMapKind::LruHash => KernelMapKind::LruHash;
    "lru_percpu_hash" = KernelMapKind::LruPerCpuHash => KernelMapKind::LruPerCpuHash;
    "lpm_trie" = KernelMapKind::LpmTrie => KernelMapKind::LpmTrie;
    "ringbuf" = KernelMapKind::RingBuf => KernelMapKind::RingBuf;
}

names! { core_kind_name, CORE_KINDS, CoreKind,
    "byte_offset" = CoreKind::FieldByteOffset => CoreKind::FieldByteOffset;
    "byte_size" = CoreKind::FieldByteSize => CoreKind::FieldByteSize;
    "exists" = CoreKind::FieldExists => CoreKind::FieldExists;
    "signed" = CoreKind::FieldSigned => CoreKind::FieldSigned;
    "lshift_u64" = CoreKind::FieldLshiftU64 => CoreKind::FieldLshiftU64;
    "rshift_u64" = CoreKind::FieldRshiftU64 => CoreKind::FieldRshiftU64;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of everything; printing what was parsed gives it back.
    const SAMPLE: &str = "\
map counts: hash key 8 value 8 entries 4096 flags 0x1 script 0
map data: array key 4 value 16 entries 1 flags 0x0
access core0: byte_offset 3.2 5.0 = 16
failure 0: division_by_zero
failure 1: probe_read_kernel
scratch 256
rodata data: 01 ff
bss data: 16

function probe0 probe 0 {
    slot s0 8 align 8
b0(v0: ctx):
    v1 = call get_current_pid_tgid()
    v2 = slot_addr s0
    store.64 v2+0, v1
    v3 = map_addr counts
    v4 = call map_lookup_elem(v3, v2)
    v5 = const -5
    v6 = ashr v1, v5
    v7 = sext32 v6
    v8 = bswap16 v7
    v9 = compare test v8, v5
    v10 = load.s32 v2-4
    v11 = load.u32 v0+4: packet
    v12 = map_value_addr data+8
    v13 = field_offset core0
    v14 = ptr_add v12, v13
    v21 = func_addr f1
    v15 = atomic_fetch_add.64 v14+0, v9
    atomic_add.32 v14+0, v9
    call f1(v10)
    v20 = const 0
    branch ne v4, v20, b1(v4), b2
b1(v16: maybe_null):
    v17 = non_null v16
    v18 = load.u8 v17+0
    v19 = neg v18
    jump b2
b2:
    loop_guard b2, b3
b3:
    return v9
}

function sub cold {
b0(v0: i64):
    return v0
}
";

    #[test]
    fn parse_reads_what_print_writes() {
        let module = parse(SAMPLE).expect("the sample is well-formed");
        assert_eq!(print(&module, &Sources::default()), SAMPLE);
    }

    #[test]
    fn errors_name_the_line() {
        for (text, error) in [
            ("function f {\nb0:\n    jump\n}", "line 3: `a block` expected, found ``"),
            ("function f {\nb0:\n    v1 = frob v0\n}", "line 3: unknown operation `frob`"),
            ("function f {\nb0:\n    v1 = add v0\n}", "line 3: `,` expected, found ``"),
            ("function f {\nb0:\n    v1 = map_addr x\n}", "line 3: unknown map `x`"),
            ("function f {\nb0:\n    v1 = const 1\n}", "line 4: b0 does not end in a terminator"),
            ("nonsense", "line 1: unknown line `nonsense`"),
        ] {
            assert_eq!(parse(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn script_text_is_shown_where_it_changes() {
        let mut module =
            parse("function p probe 0 {\nb0:\n    v0 = const 1\n    v1 = neg v0\n    return v1\n}")
                .expect("well-formed");
        let sources = Sources::single("x.bt", "begin { -1; exit() }");
        let function = &mut module.functions[0];
        function.span = Span::new(Default::default(), 0, 20);
        function.insts[0].span = Span::new(Default::default(), 9, 10);
        function.insts[1].span = Span::new(Default::default(), 8, 10);
        function.blocks[0].span = Span::new(Default::default(), 8, 9);
        assert_eq!(
            print(&module, &sources),
            "function p probe 0 { ; begin\nb0:\n    ; 1\n    v0 = const 1\n    ; -1\n    v1 = neg v0\n    return v1\n}\n"
        );
    }
}
