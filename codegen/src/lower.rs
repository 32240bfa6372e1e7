//! Typed tree to IR: every language construct becomes SSA, helper calls and maps.
//!
//! Comes in: a typed program and the kernel to build for. Goes out: one function for each probe,
//! the kernel maps of [`crate::storage`] and the CO-RE accesses. Nothing is left to decide about
//! types or storage afterwards; what the target cannot have is a diagnostic here.
//!
//! Invariants that generated code keeps
//! * Strings in the program's own memory are zero behind their NUL, tuples are zero between their
//!   members: equal values are equal bytes. Event records are exempt; nobody compares them.
//! * A map value's null check stands right before its first use.
//! * A variable offset is bounded by a comparison of the very value that is added to the pointer.
//! * Aggregations are updated by plain loads and stores only where nothing that updates the same
//!   map can come between (`nesting`); everywhere else by atomic operations.
//! * No two runs that may be under way on one CPU share scratch memory (`scratch`).

mod acting;
mod aggregate;
mod arith;
mod builder;
mod builtins;
mod callback;
mod context;
mod expr;
mod failures;
mod functions;
mod keys;
mod loops;
mod maps;
mod memory;
pub(crate) mod nesting;
mod packet;
mod place;
mod record;
mod registers;
mod scratch;
mod series;
mod stmt;
mod strings;
#[cfg(test)]
mod tests;
mod text;
mod uses;

pub use loops::FEW_ROUNDS;

pub use functions::{FRAME, register_names, symbol};

use crate::failure::Failure;
use crate::helpers::Helper;
use crate::ir::flow::Flow;
use crate::ir::{self, CoreAccess, Func, Function, Op, Region, Type, Value};
use crate::storage::{self, Plan};
use crate::target::{KernelVersion, Target};
use builder::{Builder, Variable};
use lang::hir::{self, FunctionId, LocalId, Probe};
use lang::layout;
use lang::probes::ProbeKind;
use lang::ty::{Origin, StructDef, StructId, Ty};
use lang::{Diagnostic, Span};
use memory::Memory;
use nesting::Nesting;
use scratch::Scratch;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use stmt::addressed;

/// The kernel lets per-CPU values be this large.
const SCRATCH_LIMIT: u32 = 32 << 10;
/// The kernel takes no longer program.
const MOST_INSTRUCTIONS: usize = 1_000_000;
/// The kernel follows 8192 branches in a row. Some of those that are counted here go away later.
const MOST_DECISIONS: usize = 10_000;
/// The kernel lets one program use so many maps.
const MOST_MAPS: usize = 64;
/// Before Linux 5.11 keys could be no larger than the stack.
const OLD_KEY_LIMIT: u32 = 512;

/// Lowers a program.
pub fn lower(program: &hir::Program, target: &Target) -> Result<ir::Module, Vec<Diagnostic>> {
    let mut cx = Context::new(program, target);
    cx.refuse_maps();
    let functions = cx.programs();
    cx.refuse_large_scratch();
    if !cx.diagnostics.is_empty() {
        return Err(cx.diagnostics);
    }
    Ok(cx.module(functions))
}

/// What all functions of a module share.
struct Context<'a> {
    program: &'a hir::Program,
    target: &'a Target,
    plan: Plan,
    accesses: Vec<CoreAccess>,
    access_ids: HashMap<CoreAccess, ir::Access>,
    failures: Vec<Failure>,
    /// Their places in the list.
    failure_ids: HashMap<Failure, usize>,
    /// Functions behind the programs.
    subprograms: Vec<Function>,
    /// Those that are functions of the script.
    called: HashMap<FunctionId, functions::Subprogram>,
    /// How many of them are rounds of loops, those included that are being lowered.
    n_rounds: usize,
    /// The subprogram that does nothing for each entry of a map, once something counts entries.
    visitor: Option<Func>,
    /// The subprogram that reports a failure, once something may fail.
    reporter: Option<Func>,
    scratch: Scratch,
    /// Whether updates of an aggregation must be atomic, once something updates it.
    atomic: HashMap<hir::MapId, bool>,
    /// Maps whose entries stay once they are there.
    keeps_entries: HashSet<hir::MapId>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Context<'a> {
    fn new(program: &'a hir::Program, target: &'a Target) -> Context<'a> {
        Context {
            program,
            target,
            plan: storage::plan(program, target),
            accesses: Vec::new(),
            access_ids: HashMap::new(),
            failures: Vec::new(),
            failure_ids: HashMap::new(),
            subprograms: Vec::new(),
            called: HashMap::new(),
            n_rounds: 0,
            visitor: None,
            reporter: None,
            scratch: Scratch::default(),
            atomic: HashMap::new(),
            keeps_entries: maps::kept_maps(program),
            diagnostics: Vec::new(),
        }
    }

    /// Lowers all probes. Those that never interrupt one another share scratch memory.
    fn programs(&mut self) -> Vec<Function> {
        let probes = &self.program.probes;
        let nestings: Vec<Nesting> =
            probes.iter().enumerate().map(|(idx, it)| Nesting::of(it, idx, self.target)).collect();
        let mut functions: Vec<Option<Function>> = probes.iter().map(|_| None).collect();
        for (first, &nesting) in nestings.iter().enumerate() {
            let base = self.scratch.shared;
            for idx in first..probes.len() {
                if nestings[idx] == nesting && functions[idx].is_none() {
                    let function = Body::lower(self, idx, nesting, base);
                    self.refuse_function(&function);
                    functions[idx] = Some(function);
                }
            }
        }
        functions.into_iter().flatten().collect()
    }

    /// What the kernel would refuse, before the rest of the compiler spends time on it.
    fn refuse_function(&mut self, function: &Function) {
        let what = if function.probe.is_some() { "probe" } else { "function" };
        if function.insts.len() > MOST_INSTRUCTIONS {
            let message = format!("the {what} becomes more than {MOST_INSTRUCTIONS} instructions");
            let hint = "loops (`for`, `while`) take less than copies (`unroll`)";
            self.diagnostics.push(Diagnostic::error(function.span, message).hint(hint));
        }
        let decisions = Flow::new(function).longest_chain(function);
        if decisions > MOST_DECISIONS {
            let message = format!("the {what} takes {decisions} decisions in a row, the kernel follows 8192");
            let hint = "every `print` and every map element takes one; a loop counts its body once";
            self.diagnostics.push(Diagnostic::error(function.span, message).hint(hint));
        }
        let maps = function.insts.iter().filter_map(|it| match it.op {
            Op::MapAddr(map) | Op::MapValueAddr(map, _) => Some(map),
            _ => None,
        });
        let n_maps = maps.collect::<HashSet<_>>().len();
        if n_maps > MOST_MAPS {
            let message = format!("the {what} uses {n_maps} kernel maps, at most {MOST_MAPS} are possible");
            let hint = "all maps without keys are in one; those with keys can share one, with a further key";
            self.diagnostics.push(Diagnostic::error(function.span, message).hint(hint));
        }
    }

    fn module(self, mut functions: Vec<Function>) -> ir::Module {
        let mut maps = self.plan.maps;
        maps.extend(self.scratch.maps());
        functions.extend(self.subprograms);
        ir::Module {
            functions,
            maps,
            accesses: self.accesses,
            failures: self.failures,
            scratch_size: self.scratch.size(),
            globals: self.plan.globals,
        }
    }

    /// Adds a function behind the programs.
    fn add_subprogram(&mut self, function: Function) -> Func {
        self.subprograms.push(function);
        Func((self.program.probes.len() + self.subprograms.len() - 1) as u32)
    }

    fn needs_atomic(&mut self, map: hir::MapId) -> bool {
        let place = self.plan.entries[map.0 as usize].place;
        let decide = || nesting::needs_atomic(self.program, self.target, map, place);
        *self.atomic.entry(map).or_insert_with(decide)
    }

    fn size_of(&self, ty: &Ty) -> u32 {
        layout::size_of(ty, &self.program.types)
    }

    fn access(&mut self, access: CoreAccess) -> ir::Access {
        if let Some(id) = self.access_ids.get(&access) {
            return *id;
        }
        let id = ir::Access(self.accesses.len() as u32);
        self.accesses.push(access.clone());
        self.access_ids.insert(access, id);
        id
    }

    /// A member of `size` bytes of a task, and its offset, where the kernel's types are known.
    fn task_member(&self, name: &str, size: u32) -> Option<((StructId, u32), u32)> {
        let types = &self.program.types;
        let is_task = |it: &StructDef| it.name == "task_struct" && matches!(it.origin, Origin::Btf { .. });
        let id = types.structs.iter().position(is_task)?;
        let fields = types.structs[id].fields.as_ref()?;
        let idx = fields.iter().position(|it| it.name == name && self.size_of(&it.ty) == size)?;
        Some(((StructId(id as u32), idx as u32), fields[idx].offset))
    }

    fn error(&mut self, span: Span, message: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error(span, message));
    }

    fn refuse_maps(&mut self) {
        for map in &self.program.maps {
            let key_size = map.key.as_ref().map_or(0, |it| self.size_of(it));
            if key_size > OLD_KEY_LIMIT && self.target.kernel < KernelVersion(5, 11) {
                let (name, kernel) = (&map.name, self.target.kernel);
                let message = format!(
                    "the keys of `{name}` take {key_size} bytes, Linux {kernel} allows {OLD_KEY_LIMIT}"
                );
                self.diagnostics.push(Diagnostic::error(map.span, message));
            }
        }
    }

    fn refuse_large_scratch(&mut self) {
        let Some(probe) = self.program.probes.first() else { return };
        let size = self.scratch.size();
        if size > SCRATCH_LIMIT {
            self.diagnostics.push(
                Diagnostic::error(
                    probe.span,
                    format!(
                        "the script's strings and records take {size} bytes, the kernel gives {SCRATCH_LIMIT}"
                    ),
                )
                .hint("a smaller `max_strlen` makes strings shorter"),
            );
        }
    }
}

/// One function while it is lowered.
struct Body<'a, 'c> {
    cx: &'c mut Context<'a>,
    /// None in a function.
    probe: Option<&'a Probe>,
    declared: &'a [hir::Local],
    b: Builder,
    /// The program's context; in a function its frame.
    ctx: Value,
    /// Where this function's scratch memory starts, once something uses it.
    scratch: Option<Value>,
    scratch_base: u32,
    nesting: Nesting,
    /// Whether the probe reads its task's name. A function does not know who calls it.
    reads_name: bool,
    /// Bytes of scratch memory in use, and the most there were.
    scratch_used: u32,
    scratch_peak: u32,
    locals: Vec<Local>,
    loops: Vec<stmt::Loop>,
    packet: packet::Packet,
    /// Where a function's parameters and result are.
    layout: Option<functions::Layout>,
    /// How often the probe mentions each of its variables.
    mentions: Rc<BTreeMap<LocalId, usize>>,
    /// What it is part of, when it is not the program but a round of a loop.
    round: Option<callback::Round>,
}

/// Where a variable lives.
#[derive(Clone, Copy)]
enum Local {
    /// A scalar.
    Variable(Variable),
    /// Everything else.
    Memory(Memory),
}

impl<'a, 'c> Body<'a, 'c> {
    /// Lowers a probe, whose scratch memory starts at `base` where it is shared.
    fn lower(cx: &'c mut Context<'a>, idx: usize, nesting: Nesting, base: u32) -> Function {
        let probe = &cx.program.probes[idx];
        let ctx_type = Type::Ptr(Region::Ctx);
        let b = Builder::new(format!("probe{idx}"), Some(idx), vec![ctx_type], probe.span);
        let ctx = b.params()[0];
        let mut body = Body {
            cx,
            probe: Some(probe),
            declared: &probe.locals,
            b,
            ctx,
            scratch: None,
            scratch_base: base,
            nesting,
            reads_name: builtins::reads_name(&probe.body),
            scratch_used: 0,
            scratch_peak: 0,
            locals: Vec::new(),
            loops: Vec::new(),
            packet: packet::Packet::default(),
            layout: None,
            mentions: Rc::new(uses::mentions(uses::Parts::body(&probe.body))),
            round: None,
        };
        let start = body.b.block();
        body.b.start_unsealed(start);
        let addressed = addressed(&probe.body);
        let locals = probe.locals.iter().zip(0..);
        body.locals = locals.map(|(it, id)| body.local(&it.ty, addressed.contains(&LocalId(id)))).collect();
        body.parse_packet();
        body.stmts(&probe.body);
        body.return_default();
        body.b.set_span(probe.span);
        body.enter(start);
        body.provide_scratch();
        body.account_scratch();
        body.b.finish()
    }

    fn local(&mut self, ty: &Ty, addressed: bool) -> Local {
        if ty.is_scalar() && !addressed {
            return Local::Variable(self.b.variable(Type::I64));
        }
        Local::Memory(self.allocate_for(ty))
    }

    /// Joins the entry block to the body.
    fn enter(&mut self, start: ir::Block) {
        self.b.start_entry();
        self.b.jump(start, &[]);
        self.b.seal(start);
    }

    /// Returns what lets the event pass unchanged: packets go on, and a tracepoint's other
    /// listeners (perf) see the event only when its programs return 1.
    fn return_default(&mut self) {
        let value = match self.kind() {
            ProbeKind::Tracepoint => 1,
            ProbeKind::Xdp => packet::XDP_PASS,
            ProbeKind::Begin
            | ProbeKind::End
            | ProbeKind::RawTracepoint
            | ProbeKind::Kprobe
            | ProbeKind::Kretprobe
            | ProbeKind::Fentry
            | ProbeKind::Fexit
            | ProbeKind::Uprobe
            | ProbeKind::Uretprobe
            | ProbeKind::Usdt
            | ProbeKind::Interval
            | ProbeKind::Profile
            | ProbeKind::Software
            | ProbeKind::Hardware
            | ProbeKind::Watchpoint
            | ProbeKind::SelfSignal => 0,
        };
        self.leave(value);
    }

    /// The probe type; all points of a probe have the same. A function knows as little as `begin`.
    fn kind(&self) -> ProbeKind {
        self.probe.and_then(|it| it.points.first()).map_or(ProbeKind::Begin, |it| it.kind)
    }

    fn at<T>(&mut self, span: Span, f: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.b.set_span(span);
        let result = f(self);
        self.b.set_span(before);
        result
    }

    /// A helper call that is a diagnostic when the target's kernel lacks the helper.
    fn call_new(&mut self, helper: Helper, args: &[Value], what: &str, span: Span) -> Value {
        self.require(helper, what, span);
        self.b.call(helper, args)
    }

    fn require(&mut self, helper: Helper, what: &str, span: Span) {
        let since = helper.since();
        if self.cx.target.kernel < since {
            let kernel = self.cx.target.kernel;
            self.cx.error(span, format!("`{what}` needs Linux {since}, the target is Linux {kernel}"));
        }
    }
}
