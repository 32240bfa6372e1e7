//! What user space does when a record arrives: `printf`, `print`, `exit` and their kin.

use super::infer;
use super::literals::int_value;
use super::stmts::{Body, effect_expr};
use crate::ast;
use crate::builtins::Builtin;
use crate::diagnostic::Diagnostic;
use crate::format;
use crate::hir::{self, Action, ActionId, ActionKind, Conversion, ExprKind, StmtKind, Summary, Width};
use crate::source::Span;
use crate::ty::{Agg, Ty};

/// What `time` prints when the script does not say.
const DEFAULT_TIME: &str = "%H:%M:%S\n";

/// Most strings that `join` takes, and most bytes of all of them.
const MOST_JOINED: u32 = 16;
const MOST_JOINED_BYTES: u32 = 16 << 10;

impl<'a> Body<'_, 'a> {
    /// A builtin that user space carries out.
    pub(super) fn action(&mut self, builtin: Builtin, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let action = match builtin {
            Builtin::Printf => self.formatted(args, ActionKind::Printf),
            Builtin::Errorf => self.formatted(args, ActionKind::Errorf),
            Builtin::Warnf => self.formatted(args, ActionKind::Warnf),
            Builtin::Cat => self.formatted(args, ActionKind::Cat),
            Builtin::System => {
                let allowed = self.cx.options.allow.system;
                match self.allowed(allowed, builtin, "system", span) {
                    true => self.formatted(args, ActionKind::System),
                    false => None,
                }
            }
            Builtin::Print => self.print(args),
            Builtin::Clear => self.map_action(args[0], ActionKind::Clear),
            Builtin::Zero => self.map_action(args[0], ActionKind::Zero),
            Builtin::Exit => return self.exit(args, span),
            Builtin::Unwatch => self.unwatch(args[0]),
            Builtin::Time => self.time(args),
            Builtin::Join => self.join(args),
            _ => unreachable!("only actions are carried out here"),
        };
        match action {
            Some((kind, args)) => effect_expr(vec![self.send(kind, args, span)], span),
            None => self.unknown(span),
        }
    }

    /// The statement that sends a record; equal actions share an id.
    fn send(&mut self, kind: ActionKind, args: Vec<hir::Expr>, span: Span) -> hir::Stmt {
        let action = Action { kind, args: args.iter().map(|it| it.ty.clone()).collect(), span };
        let actions = &mut self.cx.actions;
        // A body that is typed for many targets makes the same action again.
        let sent = self.cx.sent.entry(span).or_default();
        let known = sent.iter().copied().find(|it| actions[it.0 as usize] == action);
        let id = known.unwrap_or_else(|| {
            let id = ActionId(actions.len() as u32);
            actions.push(action);
            sent.push(id);
            id
        });
        hir::Stmt { kind: StmtKind::Action(id, args), span }
    }

    /// A format and the values that it wants.
    fn formatted(
        &mut self,
        args: &[&'a ast::Expr],
        kind: fn(hir::Format) -> ActionKind,
    ) -> Option<(ActionKind, Vec<hir::Expr>)> {
        let (first, rest) = args.split_first()?;
        let text = self.text(first, "the format");
        let values: Vec<_> = rest.iter().map(|arg| self.value(arg)).collect();
        let format = format::parse(&text?);
        let wanted: usize = format::conversions(&format).map(arguments).sum();
        if wanted != values.len() {
            let plural = if wanted == 1 { "argument" } else { "arguments" };
            let given = if values.len() == 1 {
                "1 is given".to_owned()
            } else {
                format!("{} are given", values.len())
            };
            let span = rest.get(wanted).map_or(first.span, |it| it.span);
            self.cx.report(Diagnostic::error(span, format!("the format wants {wanted} {plural}, {given}")));
            return None;
        }
        let mut values = values.into_iter();
        let mut checked = Vec::new();
        for conversion in format::conversions(&format) {
            for _ in 1..arguments(conversion) {
                checked.extend(values.next().map(|width| self.width_argument(width)));
            }
            checked.extend(values.next().map(|value| self.converted(conversion, value)));
        }
        let known = checked.iter().all(|it| it.ty != Ty::Error);
        known.then_some((kind(format), checked))
    }

    /// A value for `*`.
    fn width_argument(&mut self, width: hir::Expr) -> hir::Expr {
        match self.as_int(width) {
            Ok(width) => width,
            Err(wrong) => self.not_a(&wrong, "an integer for `*`"),
        }
    }

    /// Checks a value against its conversion.
    fn converted(&mut self, conversion: &Conversion, value: hir::Expr) -> hir::Expr {
        if value.ty == Ty::Error {
            return value;
        }
        let integer = matches!(value.ty, Ty::Int(_) | Ty::Bool | Ty::Enum(_) | Ty::Ptr(..) | Ty::Ksym);
        let fits = match conversion.letter.as_str() {
            "s" => self.cx.is_printable(&value.ty),
            "r" | "rx" | "rh" => is_bytes(&value.ty),
            _ => integer,
        };
        if !fits {
            let found = self.cx.name_of(&value.ty);
            let hint = self.cx.is_printable(&value.ty).then(|| "use `%s`".to_owned());
            let message = format!("`{}` does not print `{found}`", format::conversion_text(conversion));
            return self.fail(Diagnostic::error(value.span, message).maybe_hint(hint));
        }
        if conversion.letter == "s" && matches!(&value.ty, Ty::Ptr(to, _) if matches!(**to, Ty::I8 | Ty::U8))
        {
            let message = "`%s` prints the pointer, not the text that it points to";
            self.cx.report(Diagnostic::warning(value.span, message).hint("use `str(…)`"));
        }
        self.warn_cut(conversion, &value);
        value
    }

    /// `%d` and its kin print 32 bits, as in C.
    fn warn_cut(&mut self, conversion: &Conversion, value: &hir::Expr) {
        let number = matches!(conversion.letter.as_str(), "d" | "i" | "u" | "o" | "x" | "X");
        let cut = matches!(value.ty, Ty::Int(it) if it.size > conversion.length) || {
            matches!(value.ty, Ty::Ptr(..) | Ty::Ksym) && conversion.length < 8
        };
        // These are 64 bits wide by type only.
        let small = match &value.kind {
            ExprKind::Const(_) => int_value(value).is_none_or(|it| (-(1 << 31)..1 << 32).contains(&it)),
            ExprKind::Builtin(Builtin::Cpu | Builtin::Uid | Builtin::Gid, _) => true,
            _ => false,
        };
        // A length modifier that cuts was written on purpose.
        if number && cut && !small && conversion.length == 4 {
            let text = format::conversion_text(conversion);
            let (head, letter) = text.split_at(text.len() - 1);
            let message = format!("`{text}` prints the low 32 bits of a 64-bit value");
            self.cx.report(Diagnostic::warning(value.span, message).hint(format!("use `{head}ll{letter}`")));
        }
    }

    /// `print(value)`, `print(@map)`, `print(@map[key])`
    fn print(&mut self, args: &[&'a ast::Expr]) -> Option<(ActionKind, Vec<hir::Expr>)> {
        let (first, rest) = args.split_first()?;
        if let ast::ExprKind::Map { name, key } = &first.kind {
            if !key.is_empty() {
                self.no_further(rest, "top and div only work on a whole map")?;
                let element = self.element(name, key, first.span);
                let id = element.id;
                let key = element.key.clone()?;
                let value = self.read_element(element);
                let known = value.ty != Ty::Error && key.ty != Ty::Error;
                return known.then(|| (ActionKind::PrintEntry(id), vec![key, value]));
            }
            let map = self.whole_map(name, first.span);
            if let Some(ast::Expr { kind: ast::ExprKind::Str(_), .. }) = rest.first() {
                return self.summary(name, map, rest);
            }
            self.no_further(rest.get(2..).unwrap_or_default(), "`print` of a map takes top and div")?;
            let limits: Vec<_> = rest.iter().map(|it| self.int64(it)).collect();
            let known = limits.iter().all(|it| it.ty != Ty::Error);
            return known.then_some((ActionKind::PrintMap(map), limits));
        }
        let value = self.value(first);
        self.no_further(rest, "top and div only work on a map")?;
        if value.ty == Ty::Error {
            return None;
        }
        if !self.cx.is_printable(&value.ty) {
            let found = self.cx.name_of(&value.ty);
            self.cx.report(
                Diagnostic::error(value.span, format!("a whole `{found}` cannot be printed"))
                    .hint("print its members one by one"),
            );
            return None;
        }
        Some((ActionKind::PrintValue, vec![value]))
    }

    /// `print(@map, "p50", "average", …)`
    fn summary(
        &mut self,
        name: &'a str,
        map: hir::MapId,
        parts: &[&'a ast::Expr],
    ) -> Option<(ActionKind, Vec<hir::Expr>)> {
        let element =
            crate::sema::maps::Element { name, id: map, key: None, wrong: false, span: parts[0].span };
        let histogram = match self.value_type(&element) {
            // What it holds may be told by a later probe.
            Ty::Error | Ty::Agg(Agg::Hist { .. } | Agg::Lhist { .. }) => true,
            _ => false,
        };
        if !histogram {
            let message =
                format!("`{name}` is no histogram, only these have percentiles, averages and totals");
            self.cx.report(Diagnostic::error(parts[0].span, message).hint("see `hist` and `lhist`"));
            return None;
        }
        let mut wanted = Vec::new();
        for part in parts {
            let text = self.text(part, "a percentile")?;
            let found = match text.as_str() {
                "average" => Some(Summary::Average),
                "total" => Some(Summary::Total),
                other => percentile(other).map(Summary::Percentile),
            };
            let Some(found) = found else {
                let message = format!("`{text}` is no percentile");
                let hint =
                    "for example \"p50\", \"p99.9\" or \"p100\"; there are also \"average\" and \"total\"";
                self.cx.report(Diagnostic::error(part.span, message).hint(hint));
                return None;
            };
            wanted.push(found);
        }
        Some((ActionKind::PrintSummary(map, wanted), Vec::new()))
    }

    fn no_further(&mut self, rest: &[&'a ast::Expr], message: &str) -> Option<()> {
        let Some(further) = rest.first() else { return Some(()) };
        self.cx.report(Diagnostic::error(further.span, message));
        None
    }

    /// `clear(@map)`, `zero(@map)`
    fn map_action(
        &mut self,
        map: &'a ast::Expr,
        kind: fn(hir::MapId) -> ActionKind,
    ) -> Option<(ActionKind, Vec<hir::Expr>)> {
        match &map.kind {
            ast::ExprKind::Map { name, key } if key.is_empty() => {
                Some((kind(self.whole_map(name, map.span)), Vec::new()))
            }
            ast::ExprKind::Map { name, .. } => {
                let hint = format!("for one entry write `delete({name}, key)`");
                self.cx.report(Diagnostic::error(map.span, "this takes the map as a whole").hint(hint));
                None
            }
            _ => {
                let value = self.value(map);
                self.not_a(&value, "a map");
                None
            }
        }
    }

    /// `exit([code])`: sends the code and ends this program.
    fn exit(&mut self, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let code = match args.first() {
            Some(code) => self.int64(code),
            None => hir::Expr { kind: ExprKind::Const(0), ty: Ty::I64, span },
        };
        if code.ty == Ty::Error {
            return self.unknown(span);
        }
        let send = self.send(ActionKind::Exit, vec![code], span);
        effect_expr(vec![send, self.end(span)], span)
    }

    /// `unwatch(address)`
    fn unwatch(&mut self, address: &'a ast::Expr) -> Option<(ActionKind, Vec<hir::Expr>)> {
        let address = self.value(address);
        let address = match self.as_int(address) {
            Ok(address) => infer::coerce(address, &Ty::U64),
            Err(wrong) => {
                self.not_a(&wrong, "an address");
                return None;
            }
        };
        (address.ty != Ty::Error).then(|| (ActionKind::Unwatch, vec![address]))
    }

    fn time(&mut self, args: &[&'a ast::Expr]) -> Option<(ActionKind, Vec<hir::Expr>)> {
        let format = match args.first() {
            Some(format) => self.text(format, "the format")?,
            None => DEFAULT_TIME.to_owned(),
        };
        Some((ActionKind::Time(format), Vec::new()))
    }

    /// `join(strings[, separator])`: the strings are collected into one buffer.
    fn join(&mut self, args: &[&'a ast::Expr]) -> Option<(ActionKind, Vec<hir::Expr>)> {
        let strings = self.value(args[0]);
        let separator = match args.get(1) {
            Some(separator) => self.text(separator, "the separator")?,
            None => " ".to_owned(),
        };
        let span = strings.span;
        let strings = match self.as_pointer(strings) {
            Ok(strings) => strings,
            Err(wrong) => {
                self.not_a(&wrong, "an array of strings");
                return None;
            }
        };
        let capacity = (MOST_JOINED * self.cx.config.max_strlen).min(MOST_JOINED_BYTES);
        let kind = ExprKind::Builtin(Builtin::Join, vec![strings]);
        let buffer = hir::Expr { kind, ty: Ty::Buf(capacity), span };
        Some((ActionKind::Join(separator), vec![buffer]))
    }
}

/// `p99.9` in thousandths of a percent.
fn percentile(text: &str) -> Option<u32> {
    let (whole, part) = text.strip_prefix('p')?.split_once('.').unwrap_or((&text[1..], "0"));
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || part.len() > 3 {
        return None;
    }
    let thousandths =
        whole.parse::<u32>().ok()?.checked_mul(1000)? + format!("{part:0<3}").parse::<u32>().ok()?;
    (1..=100_000).contains(&thousandths).then_some(thousandths)
}

/// How many arguments a conversion takes.
fn arguments(conversion: &Conversion) -> usize {
    let from_arguments = |width| usize::from(width == Width::Argument);
    1 + from_arguments(conversion.width) + conversion.precision.map_or(0, from_arguments)
}

/// Buffers, addresses, arrays of bytes.
fn is_bytes(ty: &Ty) -> bool {
    match ty {
        Ty::Buf(_) | Ty::Mac | Ty::Ipv4 | Ty::Ipv6 | Ty::Inet => true,
        Ty::Array(of, _) => matches!(**of, Ty::I8 | Ty::U8),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_have_up_to_three_decimals() {
        let cases = [
            ("p50", Some(50_000)),
            ("p99.9", Some(99_900)),
            ("p99.999", Some(99_999)),
            ("p100", Some(100_000)),
            ("p100.1", None),
            ("p0", None),
            ("p", None),
            ("50", None),
            ("p1.", None),
            ("p+1", None),
            ("p99.9999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(percentile(text), expected, "{text}");
        }
    }
}
