//! Typed programs built by hand, lowered, and checked against the rules of the IR.

use super::lower;
use crate::helpers::Helper;
use crate::ir::{self, Op, verify};
use crate::target::{Isa, KernelVersion, Target};
use lang::attach::{self, Point};
use lang::builtins::Builtin;
use lang::hir::*;
use lang::probes::ProbeKind;
use lang::source::{Sources, Span};
use lang::ty::*;

fn expr(kind: ExprKind, ty: Ty) -> Expr {
    Expr { kind, ty, span: Span::default() }
}

fn int(number: i64) -> Expr {
    expr(ExprKind::Const(number), Ty::I64)
}

fn builtin(it: Builtin, ty: Ty) -> Expr {
    expr(ExprKind::Builtin(it, vec![]), ty)
}

fn stmt(kind: StmtKind) -> Stmt {
    Stmt { kind, span: Span::default() }
}

fn set(local: u32, value: Expr) -> Stmt {
    stmt(StmtKind::SetLocal(LocalId(local), value))
}

fn local(idx: u32, ty: Ty) -> Expr {
    expr(ExprKind::Local(LocalId(idx)), ty)
}

fn binary(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    let ty = left.ty.clone();
    expr(ExprKind::Binary(op, Box::new(left), Box::new(right)), ty)
}

fn compare(op: CompareOp, left: Expr, right: Expr) -> Expr {
    expr(ExprKind::Compare(op, Box::new(left), Box::new(right)), Ty::Bool)
}

fn map(name: &str, key: Option<Ty>, value: Ty) -> Map {
    Map { name: name.to_owned(), key, value, kind: MapKind::Hash, max_entries: 4096, span: Span::default() }
}

fn aggregate(map: u32, key: Option<Expr>, value: Option<Expr>) -> Stmt {
    stmt(StmtKind::Aggregate { map: MapId(map), key, value })
}

fn set_map(map: u32, key: Option<Expr>, value: Expr) -> Stmt {
    stmt(StmtKind::SetMap { map: MapId(map), key, value })
}

/// A program of one probe.
struct Script {
    kind: ProbeKind,
    maps: Vec<Map>,
    actions: Vec<(ActionKind, Vec<Ty>)>,
    locals: Vec<Ty>,
    types: TypeTable,
}

impl Script {
    fn new(kind: ProbeKind) -> Script {
        Script { kind, maps: vec![], actions: vec![], locals: vec![], types: TypeTable::default() }
    }

    fn target(&self) -> attach::Target {
        match self.kind {
            ProbeKind::RawTracepoint => {
                attach::Target::Function { module: None, name: "sched_switch".to_owned(), offset: 0 }
            }
            _ => attach::Target::None,
        }
    }

    fn program(self, body: Vec<Stmt>) -> Program {
        let target = self.target();
        let locals = self.locals.into_iter().enumerate();
        Program {
            sources: Sources::single("test.bt", "begin { }\n"),
            types: self.types,
            maps: self.maps,
            actions: self
                .actions
                .into_iter()
                .map(|(kind, args)| Action { kind, args, span: Span::default() })
                .collect(),
            probes: vec![Probe {
                points: vec![Point { kind: self.kind, target }],
                span: Span::default(),
                locals: locals.map(|(idx, ty)| Local { name: format!("$v{idx}"), ty }).collect(),
                body,
            }],
            functions: vec![],
            config: Config::default(),
            parameters: Vec::new(),
        }
    }
}

/// Lowers for several targets and checks the rules; gives the code for the newest.
fn check(program: &Program) -> ir::Module {
    let old = Target { isa: Isa::V3, ..Target::for_kernel(KernelVersion(6, 1)) };
    let module = lower(program, &old).expect("the old target has everything");
    verify::verify(&module).unwrap_or_else(|error| panic!("{error}\n{}", text(&module)));
    let module = lower(program, &Target::for_kernel(KernelVersion(6, 18))).expect("lowers");
    if std::env::var_os("DUMP").is_some() {
        eprintln!("{}", text(&module));
    }
    verify::verify(&module).unwrap_or_else(|error| panic!("{error}\n{}", text(&module)));
    let optimized = crate::opt::optimize(module.clone(), &Target::portable());
    verify::verify(&optimized).unwrap_or_else(|error| panic!("{error}\n{}", text(&optimized)));
    module
}

fn text(module: &ir::Module) -> String {
    ir::text::print(module, &Sources::default())
}

fn calls(module: &ir::Module, helper: Helper) -> usize {
    let insts = module.functions.iter().flat_map(|it| &it.insts);
    insts.filter(|it| matches!(&it.op, Op::Call(called, _) if *called == helper)).count()
}

/// `struct tracepoint { u64 pad; long id; char *filename; char comm[16]; __data_loc char[] name; }`
fn record(types: &mut TypeTable) -> StructId {
    let field =
        |name: &str, ty, offset, data_loc| Field { name: name.to_owned(), ty, offset, bits: None, data_loc };
    types.add_struct(StructDef {
        name: "tracepoint:a:b".to_owned(),
        union: false,
        size: 44,
        origin: Origin::Format,
        fields: Some(vec![
            field("id", Ty::I64, 8, false),
            field("filename", Ty::Ptr(Box::new(Ty::I8), Space::User), 16, false),
            field("comm", Ty::Str(16), 24, false),
            field("name", Ty::Str(64), 40, true),
        ]),
    })
}

fn argument(id: StructId, idx: u32, ty: Ty) -> Expr {
    let record = expr(ExprKind::Record, Ty::Struct(id));
    expr(ExprKind::Member { base: Box::new(record), path: vec![(id, idx)] }, ty)
}

fn user_pointer() -> Ty {
    Ty::Ptr(Box::new(Ty::I8), Space::User)
}

#[test]
fn counts_by_an_argument() {
    let mut script = Script::new(ProbeKind::Tracepoint);
    let id = record(&mut script.types);
    script.maps = vec![map("@", Some(Ty::I64), Ty::Agg(Agg::Count))];
    let module = check(&script.program(vec![aggregate(0, Some(argument(id, 0, Ty::I64)), None)]));
    let text = text(&module);
    assert!(text.contains("load.u64 v0+8") || text.contains("load.s64 v0+8"), "{text}");
    assert_eq!(calls(&module, Helper::MapLookupElem), 2);
    assert_eq!(calls(&module, Helper::MapUpdateElem), 1);
    assert!(!text.contains("atomic_add.64 v") || text.contains("map_value_addr bss"), "{text}");
    assert_eq!(module.scratch_size, 0);
}

#[test]
fn sends_a_record_cut_behind_its_string() {
    let mut script = Script::new(ProbeKind::Tracepoint);
    let id = record(&mut script.types);
    let types = vec![Ty::Str(16), Ty::Str(1024)];
    script.actions = vec![(ActionKind::Printf(Format::default()), types)];
    let pointer = argument(id, 1, user_pointer());
    let args = vec![
        builtin(Builtin::Comm, Ty::Str(16)),
        expr(ExprKind::Builtin(Builtin::Str, vec![pointer]), Ty::Str(1024)),
    ];
    let module = check(&script.program(vec![stmt(StmtKind::Action(ActionId(0), args))]));
    assert_eq!(module.scratch_size, 8 + 16 + 1024);
    assert_eq!(calls(&module, Helper::ProbeReadUserStr), 1);
    assert_eq!(calls(&module, Helper::RingbufOutput), 1);
}

#[test]
fn keeps_scalars_in_global_data() {
    let mut script = Script::new(ProbeKind::Kprobe);
    script.maps = vec![map("@n", None, Ty::U64), map("@t", None, Ty::U64)];
    let step = ExprKind::StepMap { map: MapId(0), key: None, by: 1, prefix: false };
    let module = check(&script.program(vec![
        stmt(StmtKind::Expr(expr(step, Ty::U64))),
        set_map(1, None, builtin(Builtin::Nsecs, Ty::U64)),
    ]));
    assert_eq!(module.maps.len(), 1);
    assert_eq!(calls(&module, Helper::MapLookupElem), 0);
    assert!(text(&module).contains("atomic_add.64"));
}

#[test]
fn aggregates_of_every_kind() {
    for agg in [
        Agg::Count,
        Agg::Sum { signed: true },
        Agg::Min { signed: true },
        Agg::Max { signed: false },
        Agg::Avg { signed: true },
        Agg::Stats { signed: false },
        Agg::Hist { bits: 0 },
        Agg::Hist { bits: 5 },
        Agg::Lhist { min: 0, max: 2000, step: 200 },
        Agg::Lhist { min: -10, max: 10, step: 1 },
    ] {
        let readable = !matches!(agg, Agg::Hist { .. } | Agg::Lhist { .. });
        for key in [None, Some(Ty::Str(16))] {
            for kind in [ProbeKind::Kretprobe, ProbeKind::Uprobe] {
                let mut script = Script::new(kind);
                script.maps = vec![map("@", key.clone(), Ty::Agg(agg.clone())), map("@sum", None, Ty::I64)];
                let comm = || key.as_ref().map(|_| builtin(Builtin::Comm, Ty::Str(16)));
                let value = (agg != Agg::Count).then(|| expr(ExprKind::ReturnRegister, Ty::I64));
                let mut body = vec![aggregate(0, comm(), value)];
                if readable {
                    let read = ExprKind::AggValue { map: MapId(0), key: comm().map(Box::new) };
                    body.push(set_map(1, None, expr(read, Ty::I64)));
                }
                check(&script.program(body));
            }
        }
    }
}

#[test]
fn maps_are_read_added_to_and_emptied() {
    let key = || Some(Box::new(builtin(Builtin::Tid, Ty::U32)));
    let mut script = Script::new(ProbeKind::Kprobe);
    script.maps = vec![
        map("@n", Some(Ty::U32), Ty::I64),
        map("@narrow", Some(Ty::U32), Ty::I32),
        map("@s", Some(Ty::U32), Ty::Str(64)),
        map("@scalar", None, Ty::Str(64)),
    ];
    script.locals = vec![Ty::I64, Ty::Str(64), Ty::Bool];
    let mut body = vec![];
    for prefix in [true, false] {
        for it in [0, 1] {
            let ty = if it == 0 { Ty::I64 } else { Ty::I32 };
            let step = ExprKind::StepMap { map: MapId(it), key: key(), by: -1, prefix };
            body.push(set(0, expr(ExprKind::Cast(Box::new(expr(step, ty))), Ty::I64)));
        }
    }
    body.push(stmt(StmtKind::AddMap { map: MapId(0), key: key().map(|it| *it), value: int(3) }));
    body.push(set(1, expr(ExprKind::Map { map: MapId(2), key: key() }, Ty::Str(64))));
    body.push(set_map(3, None, local(1, Ty::Str(64))));
    body.push(set_map(2, key().map(|it| *it), local(1, Ty::Str(64))));
    for (map, key) in [(0, key()), (3, None)] {
        for op in [MapOp::HasKey, MapOp::Delete] {
            body.push(set(2, expr(ExprKind::MapOp { op, map: MapId(map), key: key.clone() }, Ty::Bool)));
        }
        body.push(set(0, expr(ExprKind::MapOp { op: MapOp::Len, map: MapId(map), key: None }, Ty::I64)));
    }
    let module = check(&script.program(body));
    assert_eq!(module.functions.len(), 2, "one visitor counts entries");
}

#[test]
fn kernel_structs_are_read_with_relocations() {
    let mut script = Script::new(ProbeKind::Fentry);
    let field = |ty, offset, bits| Field { name: "f".to_owned(), ty, offset, bits, data_loc: false };
    let btf = |id| Origin::Btf { module: "vmlinux".to_owned(), id };
    let inner = script.types.add_struct(StructDef {
        name: "inner".to_owned(),
        union: false,
        size: 16,
        origin: btf(5),
        fields: Some(vec![
            field(Ty::I32, 4, None),
            field(Ty::U32, 8, Some(BitField { shift: 3, width: 5 })),
            field(Ty::Array(Box::new(Ty::U16), 4), 8, None),
        ]),
    });
    let outer = script.types.add_struct(StructDef {
        name: "outer".to_owned(),
        union: false,
        size: 64,
        origin: btf(6),
        fields: Some(vec![field(Ty::Struct(inner), 32, None)]),
    });
    script.locals = vec![Ty::I32, Ty::U32, Ty::U16, Ty::Ptr(Box::new(Ty::Struct(outer)), Space::Kernel)];
    let ty = script.locals[3].clone();
    let base = || {
        let pointer = expr(ExprKind::Local(LocalId(3)), ty.clone());
        Box::new(expr(ExprKind::Deref(Box::new(pointer)), Ty::Struct(outer)))
    };
    let member = |idx, ty| expr(ExprKind::Member { base: base(), path: vec![(outer, 0), (inner, idx)] }, ty);
    let element =
        ExprKind::Element(Box::new(member(2, Ty::Array(Box::new(Ty::U16), 4))), Box::new(local(0, Ty::I32)));
    let body = vec![
        set(3, expr(ExprKind::Argument(1), ty.clone())),
        set(0, member(0, Ty::I32)),
        set(1, member(1, Ty::U32)),
        set(2, expr(element, Ty::U16)),
    ];
    let module = check(&script.program(body));
    let kinds: Vec<_> = module.accesses.iter().map(|it| (it.kind as u32, it.value)).collect();
    assert_eq!(kinds, [(0, 36), (0, 40), (4, 56), (5, 59), (0, 40)]);
}

#[test]
fn control_flow_of_every_kind() {
    let mut script = Script::new(ProbeKind::Interval);
    script.locals = vec![Ty::I64, Ty::I64, Ty::Str(128), Ty::Str(128), Ty::Tuple(vec![Ty::U8, Ty::U64])];
    let condition = |limit| compare(CompareOp::Lt, local(0, Ty::I64), int(limit));
    let step = |by| {
        let step = ExprKind::StepLocal { local: LocalId(0), by, prefix: true };
        stmt(StmtKind::Expr(expr(step, Ty::I64)))
    };
    let leave =
        |kind| stmt(StmtKind::If { condition: condition(3), then: vec![stmt(kind)], otherwise: vec![] });
    let same = compare(CompareOp::Eq, local(2, Ty::Str(128)), local(3, Ty::Str(128)));
    let literal =
        compare(CompareOp::Ne, local(2, Ty::Str(128)), expr(ExprKind::Str(b"ab".to_vec()), Ty::Str(3)));
    let either = expr(ExprKind::Or(Box::new(same), Box::new(literal)), Ty::Bool);
    let chosen = ExprKind::Cond(Box::new(either), Box::new(int(1)), Box::new(local(0, Ty::I64)));
    let ops = [BinaryOp::Div, BinaryOp::Mod, BinaryOp::Shr, BinaryOp::Shl, BinaryOp::Xor];
    let mut body = vec![
        set(0, int(0)),
        set(1, int(0)),
        set(2, expr(ExprKind::Str(b"hello".to_vec()), Ty::Str(128))),
        set(3, local(2, Ty::Str(128))),
        set(
            4,
            expr(
                ExprKind::Tuple(vec![expr(ExprKind::Const(1), Ty::U8), builtin(Builtin::Nsecs, Ty::U64)]),
                Ty::Tuple(vec![Ty::U8, Ty::U64]),
            ),
        ),
        stmt(StmtKind::While { condition: condition(10), body: vec![step(1), leave(StmtKind::Continue)] }),
        stmt(StmtKind::ForRange {
            var: LocalId(1),
            start: local(0, Ty::I64),
            end: int(10),
            body: vec![leave(StmtKind::Break), step(2)],
        }),
        stmt(StmtKind::Unroll { count: 3, body: vec![step(1), leave(StmtKind::Break)] }),
        leave(StmtKind::Return),
        set(1, expr(chosen, Ty::I64)),
        set(1, expr(ExprKind::TupleField(Box::new(local(4, Ty::Tuple(vec![Ty::U8, Ty::U64]))), 1), Ty::U64)),
    ];
    body.extend(ops.map(|op| set(0, binary(op, local(0, Ty::I64), local(1, Ty::I64)))));
    let module = check(&script.program(body));
    assert!(text(&module).contains("loop_guard"));
}

#[test]
fn packets_are_parsed_once() {
    use Header::*;
    let field = |header, bit, width, ty| expr(ExprKind::HeaderField(HeaderField { header, bit, width }), ty);
    let mut script = Script::new(ProbeKind::Xdp);
    script.maps = vec![
        map("@a", Some(Ty::Ipv4), Ty::Agg(Agg::Count)),
        map("@b", Some(Ty::Ipv6), Ty::Agg(Agg::Sum { signed: false })),
        map("@c", Some(Ty::Mac), Ty::Agg(Agg::Count)),
    ];
    let length = expr(ExprKind::HeaderField(PACKET_LENGTH), Ty::U32);
    let has = |header| expr(ExprKind::HasHeader(header), Ty::Bool);
    let body = vec![
        aggregate(0, Some(field(Ip, 96, 32, Ty::Ipv4)), None),
        aggregate(1, Some(field(Ip6, 64, 128, Ty::Ipv6)), Some(length)),
        aggregate(2, Some(field(Eth, 48, 48, Ty::Mac)), None),
        stmt(StmtKind::If {
            condition: expr(
                ExprKind::And(Box::new(has(Tcp)), Box::new(field(Tcp, 110, 1, Ty::U8))),
                Ty::Bool,
            ),
            then: vec![stmt(StmtKind::Verdict(Verdict::Drop))],
            otherwise: vec![stmt(StmtKind::If {
                condition: has(Icmp6),
                then: vec![stmt(StmtKind::Verdict(Verdict::Pass))],
                otherwise: vec![],
            })],
        }),
    ];
    let module = check(&script.program(body));
    let text = text(&module);
    assert!(text.contains("load.u32 v0+0: packet\n") && text.contains("load.u32 v0+4: packet_end"), "{text}");
}

#[test]
fn stacks_and_symbols_are_keys() {
    let stack = |user| Ty::Stack(StackTy { user, mode: StackMode::Bpftrace, limit: 127 });
    let mut script = Script::new(ProbeKind::Profile);
    let items = vec![stack(false), stack(true), Ty::Str(16), Ty::Usym];
    script.maps = vec![map("@", Some(Ty::Tuple(items.clone())), Ty::Agg(Agg::Count))];
    let usym = ExprKind::Builtin(Builtin::Usym, vec![int(5)]);
    let key = expr(
        ExprKind::Tuple(vec![
            builtin(Builtin::Kstack, stack(false)),
            builtin(Builtin::Ustack, stack(true)),
            builtin(Builtin::Comm, Ty::Str(16)),
            expr(usym, Ty::Usym),
        ]),
        Ty::Tuple(items),
    );
    let module = check(&script.program(vec![aggregate(0, Some(key), None)]));
    assert_eq!(calls(&module, Helper::GetStack), 2);
    assert!(module.scratch_size >= 2 * 127 * 8 + 8 + 32);
}

#[test]
fn what_the_target_lacks_is_said() {
    let mut script = Script::new(ProbeKind::Kprobe);
    script.locals = vec![Ty::U64];
    let clock = expr(ExprKind::Const(Clock::Tai as i64), Ty::I64);
    let tai = expr(ExprKind::Builtin(Builtin::Nsecs, vec![clock]), Ty::U64);
    let program = script.program(vec![set(0, tai)]);
    let errors = lower(&program, &Target::for_kernel(KernelVersion(5, 15))).unwrap_err();
    assert_eq!(errors[0].message, "`nsecs` needs Linux 6.1, the target is Linux 5.15");
}

#[test]
fn data_behind_a_record_is_read_by_helpers() {
    let mut script = Script::new(ProbeKind::Tracepoint);
    let id = record(&mut script.types);
    script.locals = vec![Ty::I64, Ty::I8, Ty::Str(64)];
    script.maps = vec![map("@", Some(Ty::Str(64)), Ty::Agg(Agg::Count))];
    script.actions = vec![(ActionKind::Printf(Format::default()), vec![Ty::I64, Ty::Str(64)])];
    let comm = argument(id, 2, Ty::Str(16));
    let letter = ExprKind::Element(Box::new(comm), Box::new(local(0, Ty::I64)));
    let module = check(&script.program(vec![
        set(0, argument(id, 0, Ty::I64)),
        set(1, expr(letter, Ty::I8)),
        set(2, argument(id, 3, Ty::Str(64))),
        aggregate(0, Some(argument(id, 3, Ty::Str(64))), None),
        stmt(StmtKind::Action(ActionId(0), vec![local(0, Ty::I64), argument(id, 3, Ty::Str(64))])),
    ]));
    assert_eq!(calls(&module, Helper::ProbeReadKernelStr), 3);
}

#[test]
fn strings_are_joined_in_one_record() {
    let mut script = Script::new(ProbeKind::Tracepoint);
    let id = record(&mut script.types);
    let buffer = Ty::Buf(16 << 10);
    script.actions = vec![(ActionKind::Join(" ".to_owned()), vec![buffer.clone()])];
    let strings = expr(ExprKind::Builtin(Builtin::Join, vec![argument(id, 1, user_pointer())]), buffer);
    let module = check(&script.program(vec![stmt(StmtKind::Action(ActionId(0), vec![strings]))]));
    assert!(module.scratch_size <= 32 << 10);
}

#[test]
fn pointers_from_the_context_are_plain_numbers() {
    let mut script = Script::new(ProbeKind::RawTracepoint);
    let pointer = Ty::Ptr(Box::new(Ty::U64), Space::Kernel);
    script.locals = vec![pointer.clone(), Ty::U64, Ty::Bool];
    script.maps = vec![map("@", Some(Ty::U64), pointer.clone())];
    let argument = || expr(ExprKind::Argument(1), pointer.clone());
    let ctx = || builtin(Builtin::Ctx, Ty::Ptr(Box::new(Ty::U64), Space::Ctx));
    let number = |it| expr(ExprKind::Cast(Box::new(it)), Ty::U64);
    check(&script.program(vec![
        set(0, argument()),
        set(1, expr(ExprKind::Deref(Box::new(local(0, pointer.clone()))), Ty::U64)),
        set(1, expr(ExprKind::Deref(Box::new(ctx())), Ty::U64)),
        set(1, binary(BinaryOp::And, number(argument()), number(ctx()))),
        set(2, compare(CompareOp::Eq, argument(), expr(ExprKind::Const(0), pointer.clone()))),
        set_map(0, Some(number(argument())), argument()),
    ]));
}

#[test]
fn what_kernels_refuse_is_refused_early() {
    let unrolled = |levels: u32, body: Stmt| {
        (0..levels).fold(body, |body, _| stmt(StmtKind::Unroll { count: 100, body: vec![body] }))
    };
    let fill = |map| set_map(map, Some(int(1)), int(2));
    for (n_maps, body, expected) in [
        (70, (0..70).map(fill).collect(), "the probe uses 71 kernel maps, at most 64 are possible"),
        (
            1,
            vec![unrolled(2, fill(0)), fill(0)],
            "the probe takes 20002 decisions in a row, the kernel follows 8192",
        ),
        (
            0,
            vec![unrolled(4, set(0, builtin(Builtin::Nsecs, Ty::U64)))],
            "the probe becomes more than 1000000 instructions",
        ),
    ] {
        let mut script = Script::new(ProbeKind::Begin);
        script.locals.push(Ty::U64);
        script.maps = (0..n_maps).map(|it| map(&format!("@m{it}"), Some(Ty::I64), Ty::I64)).collect();
        let diagnostics = lower(&script.program(body), &Target::portable()).expect_err(expected);
        let messages: Vec<_> = diagnostics.iter().map(|it| it.message.as_str()).collect();
        assert_eq!(messages, [expected]);
    }
}
