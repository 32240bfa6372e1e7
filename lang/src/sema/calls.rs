//! Calls of builtins that give a value.

mod acting;
mod addresses;
mod find;
mod names;
mod objects;
mod strings;
mod symbols;
mod task;

use super::literals::{self, int_value};
use super::stmts::Body;
use super::{comptime, infer, operators, places};
use crate::ast;
use crate::builtins::{Builtin, Kind};
use crate::diagnostic::{Diagnostic, counted, nearest};
use crate::hir::{self, Clock, ExprKind, MapKind, MapOp};
use crate::source::Span;
use crate::ty::{Space, TimestampTy, Ty};

/// The clocks of `nsecs`. `sw_tai` is international atomic time too, computed elsewhere.
const CLOCKS: [(&str, Clock); 4] =
    [("boot", Clock::Boot), ("monotonic", Clock::Monotonic), ("tai", Clock::Tai), ("sw_tai", Clock::Tai)];

/// How many arguments a builtin takes, at least and at most.
fn arity(builtin: Builtin) -> (usize, usize) {
    use Builtin::*;
    match builtin {
        Config | Uid | Gid | Username | Ncpus | Numaid | Jiffies | Usermode | Comm | Elapsed | Cpu
        | Curtask | Rand | Cgroup | Func | Probe | Probetype | ArgN | Retval | Args | Ctx | Cpid
        | DefaultStrLength | Count | Pass | Drop => (0, 0),
        Pid | Tid | Nsecs | Exit | Time => (0, 1),
        Kstack | Ustack => (0, 2),
        Ksym | Usym | Kaddr | Kptr | Uptr | Sum | Min | Max | Avg | Stats | Len | Clear | Zero | Strlen
        | Reg | Uaddr | Cgroupid | Signal | SignalThread | Override | Strcap | Bswap | Pton | Macaddr
        | Strerror | SignalName | SyscallName | KfuncExist | IsArray | IsInteger | IsLiteral | IsPtr
        | IsStr | IsUnsignedInteger | Typeinfo | SocketCookie | Unwatch => (1, 1),
        Str | Buf | Path | CgroupPath | PercpuKaddr | Ntop | Hist | Delete | Join => (1, 2),
        Strftime | HasKey | Strstr | Strcontains | StartsWith | EndsWith | Strmatch | StrConcat
        | StaticAssert => (2, 2),
        Strncmp | Memcmp | WriteUser | Find | ContainerOf => (3, 3),
        Getopt => (1, 3),
        Debugf => (1, 4),
        Lhist => (4, 4),
        Tseries => (3, 4),
        Print | Printf | Errorf | Warnf | Cat | System | Fail => (1, usize::MAX),
    }
}

impl<'a> Body<'_, 'a> {
    /// `name(args)`
    pub(super) fn call(&mut self, name: &'a ast::Ident, args: &'a [ast::Arg], span: Span) -> hir::Expr {
        if let Some(value) = self.call_function(name, args, span) {
            return value;
        }
        if let Some(value) = self.macro_call(name, args, span) {
            return value;
        }
        match Builtin::from_name(&name.text) {
            Some(builtin) => self.builtin(builtin, args, span),
            None => {
                for arg in args {
                    if let ast::Arg::Expr(arg) = arg {
                        self.expr(arg);
                    }
                }
                self.unknown_word("function", &name.text, name.span)
            }
        }
    }

    /// A builtin with the arguments it was given.
    pub(super) fn builtin(&mut self, builtin: Builtin, args: &'a [ast::Arg], span: Span) -> hir::Expr {
        if let Some(diagnostic) = self.read_in_function(builtin, span) {
            return self.fail(diagnostic);
        }
        if comptime::takes_types(builtin) {
            return match self.is_right_count(builtin, args, span) {
                true => self.of_type(builtin, args, span),
                false => self.unknown(span),
            };
        }
        let Some(args) = self.arguments(builtin, args, span) else { return self.unknown(span) };
        match builtin.kind() {
            Kind::Value | Kind::Compiler => self.value_builtin(builtin, &args, span),
            Kind::Map => self.map_builtin(builtin, &args, span),
            Kind::Aggregation => self.stray_aggregation(builtin, span),
            Kind::Action => self.action(builtin, &args, span),
            Kind::Verdict => self.verdict(builtin, span),
        }
    }

    /// The arguments as expressions, when there are as many as the builtin takes.
    pub(super) fn arguments(
        &mut self,
        builtin: Builtin,
        args: &'a [ast::Arg],
        span: Span,
    ) -> Option<Vec<&'a ast::Expr>> {
        let mut exprs = Vec::new();
        for arg in args {
            match arg {
                ast::Arg::Expr(expr) => exprs.push(expr),
                ast::Arg::Type(name) => {
                    let message = format!("`{}` takes values, not types", builtin.name());
                    self.cx.report(Diagnostic::error(name.span, message));
                    return None;
                }
            }
        }
        self.is_right_count(builtin, args, span).then_some(exprs)
    }

    /// Whether there are as many arguments as the builtin takes; reports when not.
    fn is_right_count(&mut self, builtin: Builtin, args: &[ast::Arg], span: Span) -> bool {
        let (least, most) = arity(builtin);
        if (least..=most).contains(&args.len()) {
            return true;
        }
        let plural = |n: usize| counted(n as u64, "argument");
        let takes = match (least, most) {
            (least, most) if least == most => plural(least),
            (least, usize::MAX) => format!("at least {}", plural(least)),
            (least, most) => format!("{least} to {}", plural(most)),
        };
        let given =
            if args.len() == 1 { "1 was given".to_owned() } else { format!("{} were given", args.len()) };
        let wrong = args.get(most).map_or(span, comptime::span_of);
        let signature = format!("`{}{}`", builtin.name(), builtin.signature());
        self.cx.report(
            Diagnostic::error(wrong, format!("`{}` takes {takes}, {given}", builtin.name())).hint(signature),
        );
        false
    }

    fn value_builtin(&mut self, builtin: Builtin, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        match builtin {
            Builtin::Nsecs => self.nsecs(args, span),
            Builtin::Kstack | Builtin::Ustack => self.stack(builtin, args, span),
            Builtin::Str => self.str(args, span),
            Builtin::Ksym | Builtin::Usym => self.symbol(builtin, args[0], span),
            Builtin::Kaddr => self.kaddr(args[0], span),
            Builtin::KfuncExist => self.kfunc_exist(args[0], span),
            Builtin::StaticAssert => self.static_assert(args[0], args[1], span),
            Builtin::Fail => self.refusal(args, span),
            Builtin::Getopt => self.getopt(args, span),
            Builtin::Config => self.settings(span),
            Builtin::Ntop => self.ntop(args, span),
            Builtin::Strftime => self.strftime(args, span),
            Builtin::Pid | Builtin::Tid if !args.is_empty() => self.id_in_namespace(builtin, args[0], span),
            Builtin::PercpuKaddr => self.percpu_kaddr(args, span),
            Builtin::Uaddr => self.uaddr(args[0], span),
            Builtin::Reg => self.register_named(args[0], span),
            Builtin::Cgroupid => self.cgroupid(args[0], span),
            Builtin::CgroupPath => self.cgroup_path(args, span),
            Builtin::Signal | Builtin::SignalThread => self.signal(builtin, args[0], span),
            Builtin::Override => self.override_result(args[0], span),
            Builtin::WriteUser => self.write_user(args, span),
            Builtin::Debugf => self.debugf(args, span),
            Builtin::Strlen => self.strlen(args[0], span),
            Builtin::Strcap => self.strcap(args[0], span),
            Builtin::Strncmp => self.strncmp(args, span),
            Builtin::Strstr | Builtin::Strcontains => self.text_in_text(builtin, args, span),
            Builtin::StartsWith | Builtin::EndsWith | Builtin::Strmatch => {
                self.text_like(builtin, args, span)
            }
            Builtin::StrConcat => self.str_concat(args, span),
            Builtin::Buf => self.buf(args, span),
            Builtin::Memcmp => self.memcmp(args, span),
            Builtin::Path => self.path(args, span),
            Builtin::SocketCookie => self.socket_cookie(args[0], span),
            Builtin::Bswap => self.bswap(args[0], span),
            Builtin::Pton => self.pton(args[0], span),
            Builtin::Macaddr => self.macaddr(args[0], span),
            Builtin::Strerror | Builtin::SignalName | Builtin::SyscallName => {
                self.name_of_number(builtin, args[0], span)
            }
            Builtin::Kptr => self.in_space(builtin, Space::Kernel, args[0], span),
            Builtin::Uptr => self.in_space(builtin, Space::User, args[0], span),
            _ => self.plain(builtin, span),
        }
    }

    fn nsecs(&mut self, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let clock = match args {
            [] => Clock::Boot,
            [clock, ..] => {
                let word = match &clock.kind {
                    ast::ExprKind::Word(word) => word.as_str(),
                    _ => "",
                };
                match CLOCKS.into_iter().find(|it| it.0 == word) {
                    Some((_, clock)) => clock,
                    None => {
                        let names = CLOCKS.map(|it| it.0);
                        let hint = match nearest(word, names) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => format!("there are {}", names.join(", ")),
                        };
                        return self.fail(Diagnostic::error(clock.span, "unknown clock").hint(hint));
                    }
                }
            }
        };
        let clock = hir::Expr { kind: ExprKind::Const(clock as i64), ty: Ty::I64, span };
        hir::Expr { kind: ExprKind::Builtin(Builtin::Nsecs, vec![clock]), ty: Ty::U64, span }
    }

    /// `str(pointer[, length])`
    fn str(&mut self, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let from = match args[0].kind {
            ast::ExprKind::Positional(n) => self.positional_str(n, args[0].span),
            _ => self.value(args[0]),
        };
        let most = self.cx.config.max_strlen;
        let limit = args.get(1).map(|limit| self.int64(limit));
        // The length counts the NUL, except of a literal; without a length there is room for one.
        let capacity = match limit.as_ref().map(int_value) {
            None | Some(None) => most + 1,
            Some(Some(n)) if n < 0 => {
                return self.fail(Diagnostic::error(args[1].span, "the length is negative"));
            }
            Some(Some(n)) if n > i128::from(most) => {
                let message =
                    format!("{n} bytes are more than `max_strlen` allows ({most}), the rest is cut off");
                self.cx.report(Diagnostic::warning(args[1].span, message));
                most + 1
            }
            Some(Some(n)) => n.max(1) as u32,
        };
        let known = limit.as_ref().and_then(int_value);
        let pointer = match &from.ty {
            Ty::Error => return self.unknown(span),
            Ty::Str(n) => match (&from.kind, known) {
                _ if limit.is_none() => return hir::Expr { span, ..from },
                (ExprKind::Str(text), Some(most)) => {
                    let end = text.len().min(usize::try_from(most).unwrap_or(usize::MAX));
                    return literals::str(&text[..end], span);
                }
                _ => {
                    let ty = Ty::Str(capacity.min(*n));
                    let args =
                        [Some(from), limit.filter(|_| known.is_none())].into_iter().flatten().collect();
                    return hir::Expr { kind: ExprKind::Builtin(Builtin::Str, args), ty, span };
                }
            },
            Ty::Array(of, _) if matches!(**of, Ty::I8 | Ty::U8) => {
                let ty = operators::pointer(Ty::I8, places::space(&from));
                hir::Expr { span: from.span, kind: ExprKind::AddressOf(Box::new(from)), ty }
            }
            _ => match self.as_pointer(from) {
                Ok(pointer) => pointer,
                Err(wrong) => return self.not_a(&wrong, "a pointer or a string"),
            },
        };
        let args = [Some(pointer), limit.filter(|_| known.is_none())].into_iter().flatten().collect();
        hir::Expr { kind: ExprKind::Builtin(Builtin::Str, args), ty: Ty::Str(capacity), span }
    }

    /// `ksym(address)`, `usym(address)`
    fn symbol(&mut self, builtin: Builtin, address: &'a ast::Expr, span: Span) -> hir::Expr {
        let address = self.value(address);
        if !matches!(address.ty, Ty::Int(_) | Ty::Ptr(..) | Ty::Ksym) {
            return self.not_a(&address, "an address");
        }
        let address = infer::coerce(address, &Ty::U64);
        let ty = if builtin == Builtin::Ksym { Ty::Ksym } else { Ty::Usym };
        hir::Expr { kind: ExprKind::Builtin(builtin, vec![address]), ty, span }
    }

    /// `strftime(format, nsecs)`
    fn strftime(&mut self, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let format = self.text(args[0], "the format");
        let time = self.value(args[1]);
        let Some(format) = format else { return self.unknown(span) };
        if !matches!(time.ty, Ty::Int(_)) {
            return self.not_a(&time, "nanoseconds");
        }
        let clock = match &time.kind {
            ExprKind::Builtin(Builtin::Nsecs, args) => args.first().and_then(int_value),
            _ => None,
        };
        if clock == Some(Clock::Monotonic as i128) {
            return self.fail(
                Diagnostic::error(time.span, "the monotonic clock has no date")
                    .hint("use `nsecs` or `nsecs(tai)`"),
            );
        }
        let tai = clock == Some(Clock::Tai as i128);
        let time = infer::coerce(time, &Ty::U64);
        let ty = Ty::Timestamp(TimestampTy { format, tai });
        hir::Expr { kind: ExprKind::Builtin(Builtin::Strftime, vec![time]), ty, span }
    }

    /// `kptr(pointer)`, `uptr(pointer)`
    fn in_space(&mut self, builtin: Builtin, space: Space, pointer: &'a ast::Expr, span: Span) -> hir::Expr {
        let pointer = self.value(pointer);
        let to = match &pointer.ty {
            Ty::Ptr(to, _) => (**to).clone(),
            Ty::Int(_) => Ty::Void,
            _ => return self.not_a(&pointer, "a pointer or an address"),
        };
        hir::Expr { kind: ExprKind::Builtin(builtin, vec![pointer]), ty: operators::pointer(to, space), span }
    }

    /// An argument that must be a string literal.
    pub(super) fn text(&mut self, expr: &'a ast::Expr, what: &str) -> Option<String> {
        let value = match expr.kind {
            ast::ExprKind::Positional(n) => self.positional_str(n, expr.span),
            // User space has it: `max_strlen` is about strings of the program.
            ast::ExprKind::Str(ref text) => literals::str(text, expr.span),
            _ => self.value(expr),
        };
        match value.kind {
            ExprKind::Str(text) => Some(String::from_utf8_lossy(&text).into_owned()),
            _ if value.ty == Ty::Error => None,
            _ => {
                self.cx.report(Diagnostic::error(expr.span, format!("{what} must be a string literal")));
                None
            }
        }
    }

    /// `delete(@m, k)`, `delete(@m[k])`, `has_key(@m, k)`, `len(@m)`, `len(stack)`
    fn map_builtin(&mut self, builtin: Builtin, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        if builtin == Builtin::Find {
            return self.find(args, span);
        }
        let ast::ExprKind::Map { name, key } = &args[0].kind else {
            let value = self.value(args[0]);
            return match builtin {
                Builtin::Len => self.stack_length(value, span),
                _ => self.not_a(&value, "a map"),
            };
        };
        let at = args[0].span;
        let (op, ty) = match builtin {
            Builtin::Len => (MapOp::Len, Ty::I64),
            Builtin::HasKey => (MapOp::HasKey, Ty::Bool),
            _ => (MapOp::Delete, Ty::Bool),
        };
        let with_key = |map, key: Option<hir::Expr>| {
            let kind = ExprKind::MapOp { op, map, key: key.map(Box::new) };
            hir::Expr { kind, ty, span }
        };
        match (op, args.get(1), key.as_slice()) {
            (MapOp::Len, _, key) if !key.is_empty() || self.cx.maps.is_scalar(name) => {
                let element = self.element(name, key, at);
                let value = self.read_element(element);
                self.stack_length(value, span)
            }
            (MapOp::Len, _, []) if self.cx.maps.kind(name) == MapKind::Lpm => self.fail(Diagnostic::error(
                at,
                format!("the kernel does not count the entries of `{name}`, an lpm map"),
            )),
            (MapOp::Len, _, []) => with_key(self.whole_map(name, at), None),
            (MapOp::HasKey | MapOp::Delete, Some(key), []) => {
                let key = self.value(key);
                let element = self.element_with(name, Some(key), at);
                with_key(element.id, element.key)
            }
            // `delete(@m[k])` is the older way to write it; `delete(@m)` is for scalars.
            (MapOp::Delete, None, key) => {
                let element = self.element(name, key, at);
                with_key(element.id, element.key)
            }
            _ => self.fail(
                Diagnostic::error(at, format!("`{}` takes the map as a whole", builtin.name()))
                    .hint(format!("write `{}({name}, key)`", builtin.name())),
            ),
        }
    }

    /// `len(stack)`
    fn stack_length(&mut self, value: hir::Expr, span: Span) -> hir::Expr {
        match value.ty {
            Ty::Error => self.unknown(span),
            Ty::Stack(_) => {
                hir::Expr { kind: ExprKind::Builtin(Builtin::Len, vec![value]), ty: Ty::I64, span }
            }
            _ => self.not_a(&value, "a map with keys or a stack"),
        }
    }
}
