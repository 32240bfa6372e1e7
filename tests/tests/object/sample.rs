//! A program whose instructions are written by hand, with one of everything that the linker
//! resolves: maps, global data, constants, CO-RE accesses, a subprogram, a jump over a wide
//! instruction, and two probes that share a section.

use codegen::bpf::{Function, Insn, Label, Module, Reg, Reloc};
use codegen::ir::{Access, CoreAccess, CoreKind, Func, Map};
use codegen::{Object, Target, link, storage};
use lang::attach::{Point, Target as Place};
use lang::builtins::Builtin;
use lang::hir::{self, Config, Expr, ExprKind, MapKind, Program, Stmt, StmtKind};
use lang::probes::ProbeKind;
use lang::ty::{Agg, BitField, EnumDef, Field, IntTy, Origin, Space, StructDef, Ty, TypeTable};
use lang::{FileId, Sources, Span};

const SCRIPT: &str = "// opens, by process \u{2014} a sample\n\
    begin { @n = 0; }\n\
    tracepoint:syscalls:sys_enter_openat {\n\
    \t@opens[pid] = count();\n\
    \t@n++;\n\
    }\n\
    end { @n = 0; }\n";

/// Links the sample for a target, with kernel types in which every member is `shift` bytes
/// further from the struct's begin.
pub fn object(target: &Target, shift: u32) -> Object {
    let program = program(shift);
    link::link(&module(&program, target, shift), &program, target).expect("its jumps are short")
}

/// The immediates of the instructions that hold a field's offset.
pub fn offsets(shift: u32) -> Vec<i32> {
    PATHS.iter().map(|&(path, offset)| offset as i32 + (shift * path.len() as u32) as i32).collect()
}

/// The span of a piece of the script.
fn span(text: &str) -> Span {
    let start = SCRIPT.find(text).expect("the piece is in the script");
    Span::new(FileId(0), start, start + text.len())
}

fn program(shift: u32) -> Program {
    let mut types = TypeTable::default();
    kernel_types(&mut types, shift);
    let map = |name: &str, key: Option<Ty>, value: Ty, max_entries: u32| hir::Map {
        name: name.to_owned(),
        key,
        value,
        kind: MapKind::Hash,
        max_entries,
        span: span(name),
    };
    let openat = Place::Tracepoint { category: "syscalls".to_owned(), event: "sys_enter_openat".to_owned() };
    Program {
        sources: Sources::single("sample.bt", SCRIPT),
        types,
        maps: vec![map("@n", None, Ty::I64, 1), map("@opens", Some(Ty::U32), Ty::Agg(Agg::Count), 4096)],
        actions: Vec::new(),
        probes: vec![
            probe(ProbeKind::Begin, Place::None, "begin"),
            probe(ProbeKind::Tracepoint, openat, "tracepoint:syscalls:sys_enter_openat"),
            probe(ProbeKind::End, Place::None, "end"),
        ],
        functions: Vec::new(),
        config: Config::default(),
        parameters: Vec::new(),
    }
}

fn probe(kind: ProbeKind, target: Place, text: &str) -> hir::Probe {
    let span = span(text);
    let cpid = Expr { kind: ExprKind::Builtin(Builtin::Cpid, vec![]), ty: Ty::U64, span };
    let body = vec![Stmt { kind: StmtKind::Expr(cpid), span }];
    hir::Probe { points: vec![Point { kind, target }], span, locals: Vec::new(), body }
}

/// A few members of kernel structs, at offsets that no kernel has.
fn kernel_types(types: &mut TypeTable, shift: u32) {
    let field = |name: &str, ty: Ty, offset: u32| Field {
        name: name.to_owned(),
        ty,
        offset: offset + shift,
        bits: None,
        data_loc: false,
    };
    let def = |name: &str, size: u32, fields: Vec<Field>| StructDef {
        name: name.to_owned(),
        union: false,
        size,
        origin: Origin::Btf { module: "vmlinux".to_owned(), id: 1 },
        fields: Some(fields),
    };
    let thread_info = vec![field("unused", Ty::U64, 0), field("flags", Ty::U64, 8)];
    let thread_info = types.add_struct(def("thread_info", 32, thread_info));
    let refcount = types.add_struct(def("refcount_struct", 4, vec![]));
    let users = vec![field("rcu", Ty::U64, 0), field("rcu_users", Ty::Struct(refcount), 0)];
    let users = types.add_struct(StructDef { union: true, ..def("", 16, users) });
    let bits = Some(BitField { shift: 3, width: 1 });
    let task = vec![
        field("thread_info", Ty::Struct(thread_info), 16),
        field("not_named", Ty::U32, 48),
        field("tgid", Ty::I32, 52),
        Field { bits, ..field("in_execve", Ty::U32, 56) },
        field("real_parent", Ty::Ptr(Box::new(Ty::Void), Space::Kernel), 64),
        field("comm", Ty::Str(16), 72),
        field("", Ty::Struct(users), 88),
    ];
    types.add_struct(def("task_struct", 4096, task));
    let private =
        EnumDef { name: "netdev_ml_priv_type".to_owned(), int: IntTy::new(4, false), variants: vec![] };
    let private = types.add_enum(private);
    types.add_struct(def("net_device", 512, vec![field("ml_priv_type", Ty::Enum(private), 32)]));
    types.add_struct(def("", 16, vec![field("a", Ty::U64, 0)]));
}

/// `(struct, member)` paths and the offsets that they have with a shift of 0. The last begins at
/// a struct without a name, which cannot be found on another kernel.
const PATHS: [(&[(u32, u32)], u32); 8] = [
    (&[(3, 2)], 52),
    (&[(3, 0), (0, 1)], 24),
    (&[(3, 4)], 64),
    (&[(3, 5)], 72),
    (&[(3, 3)], 56),
    (&[(3, 6), (2, 1)], 88),
    (&[(4, 0)], 32),
    (&[(5, 0)], 0),
];

fn module(program: &Program, target: &Target, shift: u32) -> Module {
    let plan = storage::plan(program, target);
    let accesses = std::iter::zip(PATHS, offsets(shift)).map(|((path, _), value)| CoreAccess {
        path: path.iter().map(|&(id, idx)| (lang::ty::StructId(id), idx)).collect(),
        kind: CoreKind::FieldByteOffset,
        value: value as u32,
    });
    let code = Sketch { maps: &plan.maps, bss: plan.globals.bss, rodata: plan.globals.rodata };
    let function = |name: &str, probe: Option<usize>, insns: Vec<Insn>| {
        let text = probe.map_or("@n++", |it| ["begin", "tracepoint", "end"][it]);
        Function { name: name.to_owned(), probe, arity: 1, insns, stack: 32, span: span(text) }
    };
    Module {
        functions: vec![
            function("probe0", Some(0), code.ended(vec![])),
            function("probe1", Some(1), code.ended(code.count_opens())),
            function("probe2", Some(2), code.ended(vec![])),
            function("add_two", None, code.add(2)),
            function("add_one", None, code.add(1)),
        ],
        maps: plan.maps.clone(),
        accesses: accesses.collect(),
        failures: vec![],
        globals: plan.globals.clone(),
    }
}

/// Writes instructions.
struct Sketch<'a> {
    maps: &'a [codegen::ir::KernelMap],
    bss: Option<Map>,
    rodata: Option<Map>,
}

impl Sketch<'_> {
    fn ended(&self, mut insns: Vec<Insn>) -> Vec<Insn> {
        let mut result = insn(0xb7, 0, 0, 0, 0); // r0 = 0
        result.labels.push(Label(0));
        insns.extend([result, insn(0x95, 0, 0, 0, 0)]); // exit
        insns
    }

    /// Counts by process, calls the subprogram, reads every field of [`PATHS`] of this task.
    fn count_opens(&self) -> Vec<Insn> {
        let opens = self.maps.iter().position(|it| it.name.contains("opens")).expect("it is keyed");
        let mut out = at(
            "@opens[pid] = count()",
            vec![
                insn(0x85, 0, 0, 0, 14),  // call get_current_pid_tgid
                insn(0x77, 0, 0, 0, 32),  // r0 >>= 32
                insn(0x63, 10, 0, -4, 0), // *(u32 *)(r10 - 4) = r0
                insn(0xbf, 2, 10, 0, 0),  // r2 = r10
                insn(0x07, 2, 0, 0, -4),  // r2 += -4
                named(0x18, 1, Reloc::Map(Map(opens as u32))),
                insn(0x85, 0, 0, 0, 1), // call map_lookup_elem
                Insn { target: Some(Label(0)), ..insn(0x15, 0, 0, 0, 0) }, // if r0 == 0 goto
                insn(0xb7, 1, 0, 0, 1), // r1 = 1
                insn(0xdb, 0, 1, 0, 0), // lock *(u64 *)(r0 + 0) += r1
                named(0x18, 1, Reloc::MapValue(self.rodata.expect("cpid is used"), 0)),
                insn(0x79, 1, 1, 0, 0), // r1 = *(u64 *)(r1 + 0)
            ],
        );
        out.extend(at(
            "@n++",
            vec![
                named(0x85, 0, Reloc::Func(Func(4))), // call add_one
                insn(0xb7, 1, 0, 0, 1),               // r1 = 1
                named(0x18, 2, Reloc::Func(Func(4))), // r2 = add_one ll
                insn(0xb7, 3, 0, 0, 0),               // r3 = 0
                insn(0xb7, 4, 0, 0, 0),               // r4 = 0
                insn(0x85, 0, 0, 0, 181),             // call loop
            ],
        ));
        for idx in 0..PATHS.len() {
            out.extend(read_field(Access(idx as u32)));
        }
        out
    }

    fn add(&self, number: i64) -> Vec<Insn> {
        let bss = Reloc::MapValue(self.bss.expect("@n is a scalar"), 0);
        let insns = vec![
            named(0x18, 1, bss),
            insn(0xb7, 0, 0, 0, number),
            insn(0xdb, 1, 0, 0, 0),
            insn(0x95, 0, 0, 0, 0),
        ];
        at("@n++", insns)
    }
}

fn read_field(access: Access) -> Vec<Insn> {
    let insns = vec![
        insn(0x85, 0, 0, 0, 35),             // call get_current_task
        named(0xb7, 3, Reloc::Core(access)), // r3 = offset
        insn(0x0f, 3, 0, 0, 0),              // r3 += r0
        insn(0xbf, 1, 10, 0, 0),             // r1 = r10
        insn(0x07, 1, 0, 0, -16),            // r1 += -16
        insn(0xb7, 2, 0, 0, 8),              // r2 = 8
        insn(0x85, 0, 0, 0, 113),            // call probe_read_kernel
    ];
    at("@opens[pid]", insns)
}

fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i64) -> Insn {
    let span = span("tracepoint");
    Insn { code, dst: Reg(dst), src: Reg(src), off, imm, target: None, labels: vec![], reloc: None, span }
}

fn named(code: u8, dst: u8, name: Reloc) -> Insn {
    Insn { reloc: Some(name), ..insn(code, dst, 0, 0, 0) }
}

fn at(text: &str, mut insns: Vec<Insn>) -> Vec<Insn> {
    insns.iter_mut().for_each(|it| it.span = span(text));
    insns
}
