//! Bare words: builtins without parentheses, arguments of the probe, enumerators, headers.

use super::literals;
use super::packets;
use super::stmts::Body;
use crate::ast;
use crate::builtins::Builtin;
use crate::c;
use crate::diagnostic::{Diagnostic, nearest};
use crate::expand::library;
use crate::hir::{self, ExprKind};
use crate::host::{FunctionTy, TypeKind};
use crate::probes::{Context as Receives, ProbeKind};
use crate::source::Span;
use crate::ty::{Space, Ty};
use std::rc::Rc;

/// Most arguments that registers hold.
const MOST_ARGS: u32 = 20;

/// Words of bpftrace, and those for packets, that are to come.
const LATER: &[&str] = &[
    "abort",
    "arp",
    "capture",
    "dw_ustack",
    "flow",
    "kfunc_allowed",
    "payload",
    "pcap",
    "redirect",
    "skboutput",
    "tx",
    "vlan",
];

impl<'a> Body<'_, 'a> {
    /// A bare word.
    pub(super) fn word(&mut self, word: &'a str, span: Span) -> hir::Expr {
        if let Some(value) = self.macro_argument(word) {
            return value;
        }
        if let Some(builtin) = Builtin::from_name(word) {
            return self.builtin(builtin, &[], span);
        }
        if let Some(n) = arg_number(word) {
            return self.arg_n(n, span);
        }
        if let Some(value) = self.macro_word(word, span) {
            return value;
        }
        if let Some(header) = self.header_word(word, span) {
            return header;
        }
        if let Some((ty, value)) = self.cx.enumerator(word) {
            return hir::Expr { kind: ExprKind::Const(value), ty, span };
        }
        if let Some(value) = c::constants::value(word) {
            return literals::int(value.into(), span);
        }
        self.unknown_word("name", word, span)
    }

    /// Reports a word that means nothing, or nothing yet.
    pub(super) fn unknown_word(&mut self, what: &str, word: &str, span: Span) -> hir::Expr {
        let functions: Vec<&str> = self.cx.functions.names();
        if functions.contains(&word) {
            return self.fail(uncalled(word, span));
        }
        if LATER.contains(&word) {
            return self.fail(Diagnostic::error(span, format!("`{word}` is not supported yet")));
        }
        if let Some(c::Meaning::Other(reason)) = self.cx.block.meaning(word) {
            return self.fail(Diagnostic::error(span, format!("the macro `{word}` {reason}")));
        }
        let builtins = Builtin::ALL.iter().map(|it| it.name()).filter(|it| *it != "argN");
        let others = match what {
            "function" => functions,
            _ => packets::words().collect::<Vec<_>>(),
        };
        let library = library::names().collect::<Vec<_>>();
        let known = nearest(word, [builtins.collect::<Vec<_>>(), others, library].concat());
        let near = match known.or_else(|| nearest(word, self.cx.block.names().filter(|it| *it != word))) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if self.local(&format!("${word}"), span).is_some() => {
                Some(format!("did you mean `${word}`?"))
            }
            None => None,
        };
        self.fail(Diagnostic::error(span, format!("unknown {what} `{word}`")).maybe_hint(near))
    }

    /// `arg0`, `arg1`, …
    fn arg_n(&mut self, n: u32, span: Span) -> hir::Expr {
        if let Some(diagnostic) = self.only_in_probes(&format!("arg{n}"), span) {
            return self.fail(diagnostic);
        }
        let kind = match self.probe.kind {
            ProbeKind::Kprobe | ProbeKind::Uprobe if n < MOST_ARGS => ExprKind::Register(n),
            ProbeKind::RawTracepoint if n < MOST_ARGS => ExprKind::Argument(n),
            ProbeKind::Usdt => return self.static_argument(n, span),
            ProbeKind::Kprobe | ProbeKind::Uprobe | ProbeKind::RawTracepoint => {
                let message = format!("`arg{n}` is too far, there are `arg0` to `arg{}`", MOST_ARGS - 1);
                return self.fail(Diagnostic::error(span, message));
            }
            kind => {
                let message = format!("`arg{n}` is not available in a `{}` probe", kind.name());
                return self.fail(Diagnostic::error(span, message).maybe_hint(self.args_hint()));
            }
        };
        hir::Expr { kind, ty: Ty::U64, span }
    }

    /// `argN` of a static probe: 64 bits, with the sign that the note tells.
    fn static_argument(&mut self, n: u32, span: Span) -> hir::Expr {
        let arguments = &self.probe.arguments;
        let Some(argument) = arguments.get(n as usize).cloned() else {
            let has = match arguments.len() {
                0 => "no argument".to_owned(),
                1 => "one argument, `arg0`".to_owned(),
                count => format!("the arguments `arg0` to `arg{}`", count - 1),
            };
            let message = format!("`{}` has {has}, not `arg{n}`", self.probe.points[0].name());
            return self.fail(Diagnostic::error(span, message));
        };
        let ty = if argument.signed { Ty::I64 } else { Ty::U64 };
        hir::Expr { kind: ExprKind::StaticArgument(n, Box::new(argument)), ty, span }
    }

    /// What to type to get at the probe's arguments.
    fn args_hint(&self) -> Option<String> {
        let names = |names: Vec<&str>| match names.as_slice() {
            [] => None,
            [first, ..] => Some(format!("arguments have names here, for example `args.{first}`")),
        };
        match (&self.probe.signature, self.probe.record, self.probe.kind) {
            (Some(signature), _, _) => names(signature.params.iter().map(|it| it.0.as_str()).collect()),
            (_, Some(record), _) => {
                let fields = self.cx.types.struct_def(record).fields.as_ref()?;
                names(fields.iter().map(|it| it.name.as_str()).collect())
            }
            (_, _, ProbeKind::Tracepoint | ProbeKind::Fentry | ProbeKind::Fexit) => {
                Some("arguments have names here; `-lv` lists them".to_owned())
            }
            (_, _, ProbeKind::Kprobe | ProbeKind::Uprobe | ProbeKind::Usdt) => {
                Some("arguments are `arg0`, `arg1`, …".to_owned())
            }
            (_, _, kind) if kind.is_return() => Some("a function's end has `retval`".to_owned()),
            _ => None,
        }
    }

    /// `args.name`
    pub(super) fn arg_field(&mut self, args: Span, name: &'a ast::Ident, span: Span) -> hir::Expr {
        if let Some(diagnostic) = self.only_in_probes("args", args) {
            return self.fail(diagnostic);
        }
        match self.probe.kind.context() {
            Receives::TracepointRecord => {
                let record = self.record_place(args);
                self.member(record, name, span)
            }
            Receives::BtfArguments => {
                let Some(signature) = self.signature(args) else { return self.unknown(span) };
                let Some(idx) = signature.params.iter().position(|it| it.0 == name.text) else {
                    let near = nearest(&name.text, signature.params.iter().map(|it| it.0.as_str()));
                    let hint = match (near, signature.params.first()) {
                        (Some(near), _) => Some(format!("did you mean `args.{near}`?")),
                        (None, Some(_)) => {
                            let names: Vec<_> = signature.params.iter().map(|it| it.0.as_str()).collect();
                            Some(format!("it has {}", names.join(", ")))
                        }
                        (None, None) => None,
                    };
                    let message =
                        format!("`{}` has no argument `{}`", self.probe.points[0].name(), name.text);
                    return self.fail(Diagnostic::error(name.span, message).maybe_hint(hint));
                };
                self.argument(&signature, idx, span)
            }
            _ => self.no_args(args),
        }
    }

    /// `args` as a whole.
    fn args(&mut self, span: Span) -> hir::Expr {
        match self.probe.kind.context() {
            Receives::TracepointRecord => self.record_members(span),
            Receives::BtfArguments => {
                let Some(signature) = self.signature(span) else { return self.unknown(span) };
                let values: Vec<_> =
                    (0..signature.params.len()).map(|idx| self.argument(&signature, idx, span)).collect();
                let names = signature.params.iter().map(|it| it.0.clone());
                let ty = Ty::Record(names.zip(values.iter().map(|it| it.ty.clone())).collect());
                hir::Expr { kind: ExprKind::Tuple(values), ty, span }
            }
            _ => self.no_args(span),
        }
    }

    fn no_args(&mut self, span: Span) -> hir::Expr {
        let message = format!("`args` is not available in a `{}` probe", self.probe.kind.name());
        self.fail(Diagnostic::error(span, message).maybe_hint(self.args_hint()))
    }

    fn record_place(&mut self, span: Span) -> hir::Expr {
        match self.probe.record {
            Some(id) => hir::Expr { kind: ExprKind::Record, ty: Ty::Struct(id), span },
            // Reported where the probe was expanded.
            None => self.unknown(span),
        }
    }

    /// All members of a tracepoint's record. Programs may not copy the record as it is: its first
    /// bytes are the kernel's own.
    fn record_members(&mut self, span: Span) -> hir::Expr {
        let record = self.record_place(span);
        let Ty::Struct(id) = record.ty else { return record };
        let fields = self.cx.types.struct_def(id).fields.clone().unwrap_or_default();
        let names = fields.into_iter().map(|it| it.name).filter(|it| !it.is_empty());
        let members: Vec<_> = names
            .map(|text| {
                let value = self.member(record.clone(), &ast::Ident { text: text.clone(), span }, span);
                (text, value)
            })
            .collect();
        if members.iter().any(|(_, value)| value.ty == Ty::Error) {
            return self.unknown(span);
        }
        let ty = Ty::Record(members.iter().map(|(name, value)| (name.clone(), value.ty.clone())).collect());
        hir::Expr { kind: ExprKind::Tuple(members.into_iter().map(|it| it.1).collect()), ty, span }
    }

    fn signature(&mut self, span: Span) -> Option<Rc<FunctionTy>> {
        if self.probe.signature.is_none() {
            let name = self.probe.points[0].name();
            let diagnostic = match self.cx.host.has_btf() {
                _ if self.cx.options.assume => {
                    self.cx.unseen = true;
                    Diagnostic::warning(span, format!("the arguments of `{name}` are not checked"))
                        .hint("this machine does not describe them")
                }
                true => {
                    Diagnostic::error(span, format!("the kernel does not describe the arguments of `{name}`"))
                }
                false => Diagnostic::error(
                    span,
                    format!("the arguments of `{name}` need a kernel that describes its types"),
                )
                .hint("a kernel with CONFIG_DEBUG_INFO_BTF has /sys/kernel/btf/vmlinux"),
            };
            self.cx.report(diagnostic);
        }
        self.probe.signature.clone()
    }

    fn argument(&mut self, signature: &FunctionTy, idx: usize, span: Span) -> hir::Expr {
        let ty = signature.params[idx].1.clone();
        if !ty.is_scalar() {
            let message =
                format!("`args.{}` is passed by value, which is not supported yet", signature.params[idx].0);
            return self.fail(Diagnostic::error(span, message));
        }
        hir::Expr { kind: ExprKind::Argument(self.slot_of(signature, idx)), ty, span }
    }

    /// The first 64-bit slot of a parameter: structs passed by value may take two.
    fn slot_of(&self, signature: &FunctionTy, idx: usize) -> u32 {
        let slots = |ty: &Ty| crate::layout::size_of(ty, &self.cx.types).div_ceil(8).max(1);
        signature.params[..idx].iter().map(|it| slots(&it.1)).sum()
    }

    /// `retval`
    fn retval(&mut self, span: Span) -> hir::Expr {
        match self.probe.kind {
            ProbeKind::Fexit => {
                let Some(signature) = self.signature(span) else { return self.unknown(span) };
                if !signature.result.is_scalar() {
                    let message =
                        format!("`{}` returns nothing that can be read", self.probe.points[0].name());
                    return self.fail(Diagnostic::error(span, message));
                }
                let kind = ExprKind::Argument(self.slot_of(&signature, signature.params.len()));
                hir::Expr { kind, ty: signature.result.clone(), span }
            }
            kind if kind.is_return() => hir::Expr { kind: ExprKind::ReturnRegister, ty: Ty::U64, span },
            kind => {
                let message = format!("`retval` is not available in a `{}` probe", kind.name());
                let hint = match kind {
                    ProbeKind::Kprobe => Some("a `kretprobe` has it"),
                    ProbeKind::Fentry => Some("an `fexit` probe has it"),
                    ProbeKind::Uprobe => Some("a `uretprobe` has it"),
                    _ => None,
                };
                self.fail(Diagnostic::error(span, message).maybe_hint(hint.map(str::to_owned)))
            }
        }
    }

    /// Builtins that read the probe or its task and take no arguments.
    pub(super) fn plain(&mut self, builtin: Builtin, span: Span) -> hir::Expr {
        if let Some(diagnostic) = self.unavailable(builtin, span) {
            return self.fail(diagnostic);
        }
        let ty = match builtin {
            Builtin::Pid | Builtin::Tid | Builtin::Cpid | Builtin::Rand => Ty::U32,
            Builtin::Comm => {
                // Programs read the name where the task's type says that it is.
                if let Some(Ty::Struct(task)) = self.cx.kernel_type(TypeKind::Struct, "task_struct") {
                    self.cx.complete(task);
                }
                Ty::Str(16)
            }
            Builtin::Curtask => {
                let task = self.cx.kernel_type(TypeKind::Struct, "task_struct");
                Ty::Ptr(Box::new(task.unwrap_or(Ty::Void)), Space::Kernel)
            }
            Builtin::Func if self.probe.space() == Space::User => Ty::Usym,
            Builtin::Func => Ty::Ksym,
            Builtin::Ctx => Ty::Ptr(Box::new(Ty::Void), Space::Ctx),
            Builtin::Retval => return self.retval(span),
            Builtin::Args => return self.args(span),
            Builtin::ArgN => return self.unknown_word("name", "argN", span),
            Builtin::DefaultStrLength => return self.default_str_length(span),
            Builtin::Probe => return literals::str(self.probe.points[0].name().as_bytes(), span),
            Builtin::Probetype => {
                let name = match self.probe.kind {
                    ProbeKind::Begin | ProbeKind::End => "special",
                    kind => kind.name(),
                };
                return literals::str(name.as_bytes(), span);
            }
            Builtin::Username => Ty::Username,
            // Without registers nothing but the kernel was interrupted.
            Builtin::Usermode if !self.has_registers() => return literals::int(0, span),
            Builtin::Usermode => Ty::U8,
            _ => Ty::U64,
        };
        hir::Expr { kind: ExprKind::Builtin(builtin, Vec::new()), ty, span }
    }

    /// Whether the context is the registers of what the probe interrupted.
    fn has_registers(&self) -> bool {
        matches!(self.probe.kind.context(), Receives::Registers | Receives::PerfEvent)
    }

    /// Why a builtin cannot be read in this probe.
    pub(super) fn unavailable(&self, builtin: Builtin, span: Span) -> Option<Diagnostic> {
        use Builtin::{Cgroup, Comm, Curtask, Func, Gid, Kstack, Pid, Reg, Tid, Uid, Username, Ustack};
        let kind = self.probe.kind;
        let name = builtin.name();
        match builtin {
            Pid | Tid | Uid | Gid | Username | Comm | Cgroup | Curtask | Kstack | Ustack
                if kind.context() == Receives::Xdp =>
            {
                let message = format!("`{name}` is not available in an `{}` probe", kind.name());
                Some(Diagnostic::error(span, message).hint("a packet arrives before any process is known"))
            }
            Reg if !self.has_registers() => {
                let message = format!("`{name}` is not available in a `{}` probe", kind.name());
                Some(Diagnostic::error(span, message).hint("kprobes, uprobes and timers have registers"))
            }
            Func if !matches!(kind.context(), Receives::Registers)
                && !matches!(kind, ProbeKind::Fentry | ProbeKind::Fexit) =>
            {
                let message =
                    format!("`func` is not available in a `{}` probe, which is no function", kind.name());
                Some(Diagnostic::error(span, message).hint("the attach point's name is `probe`"))
            }
            _ => None,
        }
    }
}

/// A function's name without a call of it.
fn uncalled(name: &str, span: Span) -> Diagnostic {
    Diagnostic::error(span, format!("`{name}` is a function")).hint(format!("call it: `{name}(…)`"))
}

/// The number of `arg0`, `arg1`, …
pub(super) fn arg_number(word: &str) -> Option<u32> {
    let digits = word.strip_prefix("arg")?;
    let plain = digits.bytes().all(|it| it.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}
