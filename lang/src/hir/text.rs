//! The typed program as text: what `build --emit=hir` shows and tests compare.
//!
//! Close to the script: casts and types are explicit, reads of maps, arguments and headers are
//! as they were written. Equal programs give equal texts.

use super::*;
use crate::builtins::Builtin as Function;
use crate::format::conversion_text;
use crate::packet;
use crate::ty::{Space, StackMode};
use std::fmt::Write;

/// The text of a program.
pub fn print(program: &Program) -> String {
    let mut printer = Printer { program, locals: &[], out: String::new(), depth: 0 };
    program.maps.iter().for_each(|it| printer.map(it));
    program.functions.iter().for_each(|it| printer.function(it));
    program.probes.iter().for_each(|it| printer.probe(it));
    printer.out
}

/// A type's name as a script writes it.
pub fn type_name(ty: &Ty, types: &TypeTable) -> String {
    let list = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(", ");
    match ty {
        Ty::Error => "unknown".to_owned(),
        Ty::Void => "void".to_owned(),
        Ty::Bool => "bool".to_owned(),
        Ty::Int(int) => format!("{}int{}", if int.signed { "" } else { "u" }, u32::from(int.size) * 8),
        Ty::Str(n) => format!("string[{n}]"),
        Ty::Buf(n) => format!("buffer[{n}]"),
        Ty::Ptr(to, _) => {
            let to = type_name(to, types);
            if to.ends_with('*') { format!("{to}*") } else { format!("{to} *") }
        }
        Ty::Array(of, n) => format!("{}[{n}]", type_name(of, types)),
        Ty::Struct(id) => {
            let def = types.struct_def(*id);
            match (def.name.as_str(), def.union) {
                ("", false) => "struct (anonymous)".to_owned(),
                ("", true) => "union (anonymous)".to_owned(),
                (name, _) if name.contains(':') => name.to_owned(),
                (name, false) => format!("struct {name}"),
                (name, true) => format!("union {name}"),
            }
        }
        Ty::Enum(id) => format!("enum {}", types.enum_def(*id).name),
        Ty::Tuple(items) => format!("({})", list(&mut items.iter().map(|it| type_name(it, types)))),
        Ty::Record(items) => {
            format!(
                "({})",
                list(&mut items.iter().map(|(name, ty)| format!("{name}: {}", type_name(ty, types))))
            )
        }
        Ty::Stack(stack) => {
            let kind = if stack.user { "ustack" } else { "kstack" };
            format!("{kind}({}, {})", mode_name(stack.mode), stack.limit)
        }
        Ty::Ksym => "ksym_t".to_owned(),
        Ty::Usym => "usym_t".to_owned(),
        Ty::Ipv4 => "ipv4".to_owned(),
        Ty::Network => "network".to_owned(),
        Ty::Ipv6 => "ipv6".to_owned(),
        Ty::Inet => "inet".to_owned(),
        Ty::Mac => "macaddr_t".to_owned(),
        Ty::Timestamp(it) => format!("timestamp({:?}{})", it.format, if it.tai { ", tai" } else { "" }),
        Ty::Username => "username_t".to_owned(),
        Ty::CgroupPath(_) => "cgroup_path_t".to_owned(),
        Ty::Agg(agg) => agg_name(agg),
    }
}

fn mode_name(mode: StackMode) -> &'static str {
    match mode {
        StackMode::Bpftrace => "bpftrace",
        StackMode::Perf => "perf",
        StackMode::Raw => "raw",
        StackMode::BuildId => "build_id",
    }
}

fn agg_name(agg: &Agg) -> String {
    let sign = |signed: &bool, name: &str| format!("{}{name}_t", if *signed { "" } else { "u" });
    match agg {
        Agg::Count => "count_t".to_owned(),
        Agg::Sum { signed } => sign(signed, "sum"),
        Agg::Min { signed } => sign(signed, "min"),
        Agg::Max { signed } => sign(signed, "max"),
        Agg::Avg { signed } => sign(signed, "avg"),
        Agg::Stats { signed } => sign(signed, "stats"),
        Agg::Hist { bits: 0 } => "hist_t".to_owned(),
        Agg::Hist { bits } => format!("hist_t({bits})"),
        Agg::Tseries { interval, count, kept, .. } => format!("tseries_t({interval}, {count}, {kept:?})"),
        Agg::Lhist { min, max, step } => format!("lhist_t({min}, {max}, {step})"),
    }
}

struct Printer<'a> {
    program: &'a Program,
    /// The variables of the body that is printed.
    locals: &'a [Local],
    out: String,
    depth: usize,
}

impl<'a> Printer<'a> {
    fn line(&mut self, text: impl AsRef<str>) {
        let indent = 2 * self.depth;
        // Writing to a string cannot fail.
        let _ = writeln!(self.out, "{:indent$}{}", "", text.as_ref());
    }

    fn ty(&self, ty: &Ty) -> String {
        type_name(ty, &self.program.types)
    }

    fn map(&mut self, map: &Map) {
        let key = map.key.as_ref().map_or(String::new(), |key| format!("[{}]", self.ty(key)));
        let kind = match map.kind {
            _ if map.key.is_none() => "scalar".to_owned(),
            kind => format!("{}({})", kind.name(), map.max_entries),
        };
        let line = format!("map {}{key}: {} = {kind}", map.name, self.ty(&map.value));
        self.line(line);
    }

    fn probe(&mut self, probe: &'a Probe) {
        /// Wildcards may mean thousands.
        const SHOWN: usize = 4;
        let mut names: Vec<_> = probe.points.iter().take(SHOWN).map(crate::attach::Point::name).collect();
        if probe.points.len() > SHOWN {
            names.push(format!("… {} in all", probe.points.len()));
        }
        self.body(&names.join(", "), &probe.locals, 0, &probe.body);
    }

    fn function(&mut self, function: &'a super::Function) {
        let params = function.params().iter().map(|it| format!("{}: {}", it.name, self.ty(&it.ty)));
        let params = params.collect::<Vec<_>>().join(", ");
        let head = format!("fn {}({params}): {}", function.name, self.ty(&function.result));
        self.body(&head, &function.locals, function.n_params, &function.body);
    }

    /// What a probe or a function does; the first variables were told before.
    fn body(&mut self, head: &str, locals: &'a [Local], n_told: usize, body: &[Stmt]) {
        self.locals = locals;
        self.line(format!("{head} {{"));
        self.depth += 1;
        for (idx, local) in locals.iter().enumerate().skip(n_told) {
            let line = format!("let {}: {}", self.local(LocalId(idx as u32)), self.ty(&local.ty));
            self.line(line);
        }
        body.iter().for_each(|it| self.stmt(it));
        self.depth -= 1;
        self.line("}");
    }

    /// The variable's name, with its number when another one has the same name.
    fn local(&self, id: LocalId) -> String {
        let Some(local) = self.locals.get(id.0 as usize) else { return id.to_string() };
        let shared = self.locals.iter().filter(|it| it.name == local.name).count() > 1;
        if shared { format!("{}#{}", local.name, id.0) } else { local.name.clone() }
    }

    fn block(&mut self, head: &str, body: &[Stmt]) {
        self.line(format!("{head} {{"));
        self.depth += 1;
        body.iter().for_each(|it| self.stmt(it));
        self.depth -= 1;
    }

    fn stmt(&mut self, stmt: &Stmt) {
        let line = match &stmt.kind {
            StmtKind::Expr(expr) => self.expr(expr),
            StmtKind::SetLocal(id, value) => format!("{} = {}", self.local(*id), self.expr(value)),
            StmtKind::SetMap { map, key, value } => {
                format!("{} = {}", self.element(*map, key.as_ref()), self.expr(value))
            }
            StmtKind::AddMap { map, key, value } => {
                format!("{} += {}", self.element(*map, key.as_ref()), self.expr(value))
            }
            StmtKind::Aggregate { map, key, value } => {
                let agg = self.program.maps[map.0 as usize].agg().map_or(String::new(), agg_name);
                let agg = agg.trim_start_matches('u').replace("_t", "");
                let value = value.as_ref().map_or(String::new(), |it| self.expr(it));
                format!("{} <- {agg} {value}", self.element(*map, key.as_ref())).trim_end().to_owned()
            }
            StmtKind::Action(id, args) => self.action(*id, args),
            StmtKind::Verdict(Verdict::Pass) => "pass".to_owned(),
            StmtKind::Verdict(Verdict::Drop) => "drop".to_owned(),
            StmtKind::If { condition, then, otherwise } => {
                let head = format!("if {}", self.expr(condition));
                self.block(&head, then);
                if !otherwise.is_empty() {
                    self.block("} else", otherwise);
                }
                "}".to_owned()
            }
            StmtKind::While { condition, body } => {
                let head = format!("while {}", self.expr(condition));
                self.block(&head, body);
                "}".to_owned()
            }
            StmtKind::ForRange { var, start, end, body } => {
                let head = format!("for {} : {}..{}", self.local(*var), self.expr(start), self.expr(end));
                self.block(&head, body);
                "}".to_owned()
            }
            StmtKind::ForMap { var, map, body } => {
                let head = format!("for {} : {}", self.local(*var), self.element(*map, None));
                self.block(&head, body);
                "}".to_owned()
            }
            StmtKind::Unroll { count, body } => {
                self.block(&format!("unroll {count}"), body);
                "}".to_owned()
            }
            StmtKind::Break => "break".to_owned(),
            StmtKind::Continue => "continue".to_owned(),
            StmtKind::Return => "return".to_owned(),
            StmtKind::ReturnValue(value) => format!("return {}", self.expr(value)),
            StmtKind::End => "end".to_owned(),
        };
        self.line(line);
    }

    fn action(&self, id: ActionId, args: &[Expr]) -> String {
        let name = |map: &MapId| self.program.maps[map.0 as usize].name.clone();
        let (function, first) = match &self.program.actions[id.0 as usize].kind {
            ActionKind::Printf(format) => ("printf", Some(format_text(format))),
            ActionKind::Errorf(format) => ("errorf", Some(format_text(format))),
            ActionKind::Warnf(format) => ("warnf", Some(format_text(format))),
            ActionKind::Cat(format) => ("cat", Some(format_text(format))),
            ActionKind::System(format) => ("system", Some(format_text(format))),
            ActionKind::PrintValue => ("print", None),
            ActionKind::PrintMap(map) => ("print", Some(name(map))),
            ActionKind::PrintSummary(map, _) => ("print", Some(format!("{}, summary", name(map)))),
            ActionKind::PrintEntry(map) => ("print", Some(format!("{}[…]", name(map)))),
            ActionKind::Clear(map) => ("clear", Some(name(map))),
            ActionKind::Zero(map) => ("zero", Some(name(map))),
            ActionKind::Exit => ("exit", None),
            ActionKind::Unwatch => ("unwatch", None),
            ActionKind::Time(format) => ("time", Some(format!("{format:?}"))),
            ActionKind::Join(separator) => ("join", Some(format!("{separator:?}"))),
        };
        let args = args.iter().map(|it| format!("{}: {}", self.expr(it), self.ty(&it.ty)));
        format!("{function}({})", first.into_iter().chain(args).collect::<Vec<_>>().join(", "))
    }

    fn element(&self, map: MapId, key: Option<&Expr>) -> String {
        let name = &self.program.maps[map.0 as usize].name;
        key.map_or(name.clone(), |key| format!("{name}[{}]", self.expr(key)))
    }

    fn list(&self, items: &[Expr]) -> String {
        items.iter().map(|it| self.expr(it)).collect::<Vec<_>>().join(", ")
    }

    fn expr(&self, expr: &Expr) -> String {
        match &expr.kind {
            ExprKind::Const(value) => self.constant(*value, &expr.ty),
            ExprKind::Str(text) => format!("{:?}", String::from_utf8_lossy(text)),
            ExprKind::Bytes(bytes) => {
                format!("bytes({})", bytes.iter().map(|it| format!("{it:02x}")).collect::<Vec<_>>().join(" "))
            }
            ExprKind::Local(id) => self.local(*id),
            ExprKind::Map { map, key } => self.element(*map, key.as_deref()),
            ExprKind::AggValue { map, key } => format!("value({})", self.element(*map, key.as_deref())),
            ExprKind::MapOp { op, map, key } => {
                let function = match op {
                    MapOp::HasKey => "has_key",
                    MapOp::Delete => "delete",
                    MapOp::Len => "len",
                };
                format!("{function}({})", self.element(*map, key.as_deref()))
            }
            ExprKind::Unary(op, operand) => {
                let sign = match op {
                    UnaryOp::Neg => "-",
                    UnaryOp::Not => "!",
                    UnaryOp::BitNot => "~",
                };
                format!("{sign}{}", self.operand(operand))
            }
            ExprKind::Binary(op, a, b) => {
                format!("{} {} {}", self.operand(a), op.symbol(), self.operand(b))
            }
            ExprKind::Compare(op, a, b) => {
                format!("{} {} {}", self.operand(a), compare_sign(*op), self.operand(b))
            }
            ExprKind::And(a, b) => format!("{} && {}", self.operand(a), self.operand(b)),
            ExprKind::Or(a, b) => format!("{} || {}", self.operand(a), self.operand(b)),
            ExprKind::Cond(c, a, b) => {
                format!("{} ? {} : {}", self.operand(c), self.operand(a), self.operand(b))
            }
            ExprKind::Block(stmts, value) => self.block_text(stmts, value),
            ExprKind::Cast(operand) => format!("({}){}", self.ty(&expr.ty), self.operand(operand)),
            ExprKind::Member { base, path } => {
                let names = path.iter().map(|&(id, idx)| self.member_name(id, idx));
                let names: Vec<_> = names.filter(|it| !it.is_empty()).collect();
                format!("{}.{}", self.operand(base), names.join("."))
            }
            ExprKind::Deref(pointer) => format!("*{}{}", self.space(&pointer.ty), self.operand(pointer)),
            ExprKind::Offset(pointer, by) => {
                format!("{} + {} elements", self.operand(pointer), self.operand(by))
            }
            ExprKind::Element(base, idx) => format!("{}[{}]", self.operand(base), self.expr(idx)),
            ExprKind::AddressOf(place) => format!("&{}", self.operand(place)),
            ExprKind::Tuple(items) => format!("({})", self.list(items)),
            ExprKind::TupleField(base, idx) => format!("{}.{idx}", self.operand(base)),
            ExprKind::StepLocal { local, by, prefix } => step(&self.local(*local), *by, *prefix),
            ExprKind::StepMap { map, key, by, prefix } => {
                step(&self.element(*map, key.as_deref()), *by, *prefix)
            }
            ExprKind::Builtin(builtin, args) => self.builtin(*builtin, args, &expr.ty),
            ExprKind::Call(id, args) => {
                format!("{}({})", self.program.functions[id.0 as usize].name, self.list(args))
            }
            ExprKind::Register(n) | ExprKind::StaticArgument(n, _) => format!("arg{n}"),
            ExprKind::ReturnRegister => "retval".to_owned(),
            ExprKind::Argument(n) => format!("argument({n})"),
            ExprKind::Record => "args".to_owned(),
            ExprKind::HasHeader(header) => packet::header_name(*header).to_owned(),
            ExprKind::HeaderField(field) => packet::field_name(*field),
        }
    }

    /// An expression inside another one: in parentheses when it has an operator.
    fn operand(&self, expr: &Expr) -> String {
        let text = self.expr(expr);
        let bare = matches!(
            expr.kind,
            ExprKind::Const(_)
                | ExprKind::Str(_)
                | ExprKind::Bytes(_)
                | ExprKind::Local(_)
                | ExprKind::Map { .. }
                | ExprKind::AggValue { .. }
                | ExprKind::MapOp { .. }
                | ExprKind::Cast(_)
                | ExprKind::Member { .. }
                | ExprKind::Element(..)
                | ExprKind::Tuple(_)
                | ExprKind::TupleField(..)
                | ExprKind::Builtin(..)
                | ExprKind::Call(..)
                | ExprKind::Register(_)
                | ExprKind::StaticArgument(..)
                | ExprKind::ReturnRegister
                | ExprKind::Argument(_)
                | ExprKind::Record
                | ExprKind::HasHeader(_)
                | ExprKind::HeaderField(_)
        );
        if bare { text } else { format!("({text})") }
    }

    fn builtin(&self, builtin: Function, args: &[Expr], ty: &Ty) -> String {
        match (builtin, ty) {
            (Function::Kstack | Function::Ustack, ty) => self.ty(ty),
            (Function::Str, Ty::Str(n)) => {
                format!("str{}({}, most {n})", self.space(&args[0].ty), self.list(args))
            }
            (builtin, _) if args.is_empty() => builtin.name().to_owned(),
            (builtin, _) => format!("{}({})", builtin.name(), self.list(args)),
        }
    }

    fn constant(&self, value: i64, ty: &Ty) -> String {
        match ty {
            Ty::Bool => (value != 0).to_string(),
            Ty::Void => "nothing".to_owned(),
            Ty::Ipv4 => std::net::Ipv4Addr::from(value as u32).to_string(),
            Ty::Int(int) if !int.signed => (value as u64).to_string(),
            Ty::Enum(id) => {
                let variants = &self.program.types.enum_def(*id).variants;
                variants.iter().find(|it| it.1 == value).map_or(value.to_string(), |it| it.0.clone())
            }
            _ => value.to_string(),
        }
    }

    /// Where a pointer points to, when that is not kernel memory.
    fn space(&self, pointer: &Ty) -> &'static str {
        match pointer {
            Ty::Ptr(_, Space::User) => "@user ",
            Ty::Ptr(_, Space::Ctx) => "@ctx ",
            Ty::Ptr(_, Space::Bpf) => "@bpf ",
            _ => "",
        }
    }

    fn member_name(&self, id: StructId, idx: u32) -> String {
        let fields = self.program.types.struct_def(id).fields.as_deref().unwrap_or_default();
        fields.get(idx as usize).map_or(String::new(), |it| it.name.clone())
    }

    fn block_text(&self, stmts: &[Stmt], value: &Expr) -> String {
        let mut inner = Printer { program: self.program, locals: self.locals, out: String::new(), depth: 0 };
        stmts.iter().for_each(|it| inner.stmt(it));
        let stmts = inner.out.trim_end().replace('\n', "; ");
        format!("{{ {stmts}; {} }}", self.expr(value))
    }
}

fn step(place: &str, by: i64, prefix: bool) -> String {
    let sign = if by < 0 { "--" } else { "++" };
    let by = if by.abs() == 1 { String::new() } else { format!(" by {}", by.abs()) };
    if prefix { format!("{sign}{place}{by}") } else { format!("{place}{sign}{by}") }
}

fn compare_sign(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Eq => "==",
        CompareOp::Ne => "!=",
        CompareOp::Lt => "<",
        CompareOp::Le => "<=",
        CompareOp::Gt => ">",
        CompareOp::Ge => ">=",
    }
}

/// A format in quotes, as a script writes it.
fn format_text(format: &Format) -> String {
    let text: String = format
        .pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.replace('%', "%%"),
            Piece::Conversion(conversion) => conversion_text(conversion),
        })
        .collect();
    format!("{text:?}")
}
