//! The fields of an attach point to its target, by probe type.

use super::grammar::{self, Field, Place};
use super::{Access, Point, Target, Timer, Unit, XdpMode};
use crate::counters;
use crate::diagnostic::{Diagnostic, nearest};
use crate::parse::{literal, quote};
use crate::probes::ProbeKind;
use crate::source::Span;
use std::collections::BTreeSet;

/// Probe types that scripts for bpftrace may name, or that the design plans, with their aliases.
const UNSUPPORTED: [(&str, &str); 7] = [
    ("asyncwatchpoint", "aw"),
    ("iter", "it"),
    ("test", ""),
    ("bench", ""),
    ("tc", ""),
    ("cgroup", ""),
    ("lsm", ""),
];

/// The longest name the kernel gives an interface.
const INTERFACE_NAME: usize = 15;

pub(super) fn point(text: &str, span: Span, params: &[String]) -> Result<Point, Diagnostic> {
    let fields = grammar::fields(text, span, params)?;
    let missing = fields.iter().flat_map(|it| &it.missing).next();
    let missing = missing.map(|it| format!("parameter `{it}` is empty because it was not given"));
    let Some((provider, fields)) = fields.split_first() else {
        return Err(Diagnostic::error(span, "attach point is empty"));
    };
    let point = provider_kind(provider).and_then(|kind| {
        let target = Attach { kind, span, fields }.target()?;
        Ok(Point { kind, target })
    });
    point.map_err(|it| it.maybe_hint(missing))
}

fn provider_kind(provider: &Field) -> Result<ProbeKind, Diagnostic> {
    let name = provider.text.as_str();
    if let Some((label, _)) = name.split_once('=') {
        let span = provider.part(0, label.len() + 1);
        return Err(Diagnostic::error(span, "names for probes are not supported yet"));
    }
    let unsupported = UNSUPPORTED
        .iter()
        .find(|(full, alias)| full.eq_ignore_ascii_case(name) || !name.is_empty() && *alias == name);
    if let Some((full, _)) = unsupported {
        return Err(Diagnostic::error(provider.span, format!("{full} probes are not supported yet")));
    }
    ProbeKind::from_name(name).ok_or_else(|| {
        let known = nearest(name, ProbeKind::ALL.iter().map(|it| it.name()));
        let message = match name {
            "" => "probe type is missing".to_owned(),
            _ => format!("unknown probe type {}", quote(name)),
        };
        let hint = known.map(|it| format!("did you mean `{it}`?"));
        Diagnostic::error(provider.span, message).maybe_hint(hint)
    })
}

impl Field {
    /// The span of a part of the text, when the script has the text as it stands.
    fn part(&self, start: usize, end: usize) -> Span {
        let length = (self.span.end - self.span.start) as usize;
        match length == self.text.len() && end <= length {
            true => {
                let base = self.span.start;
                Span { start: base + start as u32, end: base + end as u32, ..self.span }
            }
            false => self.span,
        }
    }
}

/// An attach point of a known type.
struct Attach<'a> {
    kind: ProbeKind,
    span: Span,
    /// Behind the probe type.
    fields: &'a [Field],
}

impl Attach<'_> {
    fn target(&self) -> Result<Target, Diagnostic> {
        match self.kind {
            ProbeKind::Begin | ProbeKind::End => self.fields(0, 0).map(|_| Target::None),
            ProbeKind::Tracepoint => self.tracepoint(),
            ProbeKind::RawTracepoint
            | ProbeKind::Kprobe
            | ProbeKind::Kretprobe
            | ProbeKind::Fentry
            | ProbeKind::Fexit => self.function(),
            ProbeKind::Uprobe | ProbeKind::Uretprobe => self.user(),
            ProbeKind::Usdt => self.usdt(),
            ProbeKind::Interval | ProbeKind::Profile => self.timer(),
            ProbeKind::Software | ProbeKind::Hardware => self.counter(),
            ProbeKind::Watchpoint => self.watchpoint(),
            ProbeKind::SelfSignal => self.signal(),
            ProbeKind::Xdp => self.interface(),
        }
    }

    /// The fields, when there are `least` to `most` of them and none is empty.
    fn fields(&self, least: usize, most: usize) -> Result<&[Field], Diagnostic> {
        let message = match self.fields {
            [] if least > 0 => "attach point is incomplete",
            fields if fields.len() < least => "attach point is incomplete",
            fields if fields.len() > most => {
                let extra = fields[most].span.to(fields[fields.len() - 1].span);
                return Err(self.wrong(Span { start: extra.start - 1, ..extra }, "attach point is too long"));
            }
            fields => match fields.iter().find(|it| it.text.is_empty()) {
                Some(field) => return Err(self.wrong(field.span, "part of the attach point is empty")),
                None => return Ok(fields),
            },
        };
        Err(self.wrong(self.span, message))
    }

    /// An error with the right form as its hint: the table of probe types begins every entry with it.
    fn wrong(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        let form = self.kind.doc().split('`').nth(1).filter(|it| it.contains(':'));
        let hint = match form {
            Some(form) => format!("write `{form}`"),
            None => format!("write `{}`", self.kind.name()),
        };
        Diagnostic::error(span, message).hint(hint)
    }

    fn name(&self, field: &Field, text: &str) -> Result<String, Diagnostic> {
        match grammar::is_name(text) {
            true => Ok(text.to_owned()),
            false => {
                Err(self.wrong(field.span, format!("{} is not a name the kernel could have", quote(text))))
            }
        }
    }

    fn tracepoint(&self) -> Result<Target, Diagnostic> {
        let fields = self.fields(2, 2)?;
        let category = self.name(&fields[0], &fields[0].text)?;
        let event = self.name(&fields[1], &fields[1].text)?;
        Ok(Target::Tracepoint { category, event })
    }

    fn function(&self) -> Result<Target, Diagnostic> {
        let is_bpf = matches!(self.kind, ProbeKind::Fentry | ProbeKind::Fexit)
            && self.fields.len() > 1
            && self.fields[0].text == "bpf";
        if is_bpf {
            let message = "tracing eBPF programs is not supported yet";
            return Err(Diagnostic::error(self.fields[0].span, message));
        }
        let (last, module) = match self.fields(1, 2)? {
            [module, last] => (last, Some(self.name(module, &module.text)?)),
            [last, ..] => (last, None),
            [] => return Err(self.wrong(self.span, "attach point is incomplete")),
        };
        match self.place(last)? {
            Place::Symbol { name, offset } => {
                let name = self.name(last, &name)?;
                Ok(Target::Function { module, name, offset: offset.unwrap_or(0) })
            }
            Place::Address(address) if self.kind == ProbeKind::Kprobe && module.is_none() => {
                Ok(Target::Address(address))
            }
            Place::Address(_) => {
                let message = "an address stands alone and only in a kprobe";
                Err(self.wrong(last.span, message))
            }
        }
    }

    fn user(&self) -> Result<Target, Diagnostic> {
        if let Some(path) = self.fields.first().filter(|it| it.text.contains('@')) {
            let at = path.text.find('@').unwrap_or(0);
            let span = path.part(at, path.text.len());
            return Err(Diagnostic::error(span, "source line probes are not supported yet"));
        }
        if let [_, language, _] = self.fields {
            let message = format!("symbols of a language ({}) are not supported yet", quote(&language.text));
            return Err(Diagnostic::error(language.span, message).hint("give the mangled name"));
        }
        let fields = self.fields(2, 2)?;
        let path = fields[0].text.clone();
        Ok(match self.place(&fields[1])? {
            Place::Symbol { name, offset } => {
                Target::User { path, symbol: name, offset: offset.unwrap_or(0) }
            }
            Place::Address(offset) => Target::User { path, symbol: String::new(), offset },
        })
    }

    fn usdt(&self) -> Result<Target, Diagnostic> {
        let (path, provider, name) = match self.fields(2, 3)? {
            [path, name] => (path, "*", name),
            [path, provider, name] => (path, provider.text.as_str(), name),
            _ => return Err(self.wrong(self.span, "attach point is incomplete")),
        };
        let (path, provider) = (path.text.clone(), provider.to_owned());
        Ok(Target::Usdt { path, provider, name: name.text.clone(), location: None })
    }

    /// A function field, with an offset only where one is allowed.
    fn place(&self, field: &Field) -> Result<Place, Diagnostic> {
        let place = grammar::place(&field.text).map_err(|message| self.wrong(field.span, message))?;
        let Place::Symbol { name, offset: Some(_) } = &place else {
            return Ok(place);
        };
        let span = field.part(name.len(), field.text.len());
        if !matches!(self.kind, ProbeKind::Kprobe | ProbeKind::Uprobe) {
            return Err(Diagnostic::error(span, format!("a {} cannot have an offset", self.kind.name())));
        }
        if name.contains('*') {
            return Err(Diagnostic::error(span, "an offset needs one function, not a pattern"));
        }
        Ok(place)
    }

    fn timer(&self) -> Result<Target, Diagnostic> {
        let (unit, field) = match self.fields(1, 2)? {
            [unit, count] => (Some(unit), count),
            [period, ..] => (None, period),
            [] => return Err(self.wrong(self.span, "attach point is incomplete")),
        };
        let number = literal::number(&field.text).map_err(|message| self.wrong(field.span, message))?;
        if number.value == 0 {
            return Err(self.wrong(field.span, "a timer needs at least 1"));
        }
        match unit {
            // As bpftrace names it: a duration counts in microseconds.
            None if number.is_duration => {
                self.period(field, number.value / Unit::Microseconds.nanoseconds(), Unit::Microseconds)
            }
            None => Err(self.wrong(field.span, format!("{} has no unit", quote(&field.text)))),
            Some(_) if number.is_duration => {
                Err(self.wrong(field.span, format!("{} has a unit of its own", quote(&field.text))))
            }
            Some(unit) if unit.text == "hz" => Ok(Target::Timer(Timer::Hertz(number.value))),
            Some(unit) => self.period(field, number.value, self.unit(unit)?),
        }
    }

    fn unit(&self, unit: &Field) -> Result<Unit, Diagnostic> {
        match unit.text.as_str() {
            "s" => Ok(Unit::Seconds),
            "ms" => Ok(Unit::Milliseconds),
            "us" => Ok(Unit::Microseconds),
            other => {
                let message = format!("unknown unit {}", quote(other));
                Err(Diagnostic::error(unit.span, message).hint("units are `hz`, `s`, `ms` and `us`"))
            }
        }
    }

    fn period(&self, field: &Field, n: u64, unit: Unit) -> Result<Target, Diagnostic> {
        match n.checked_mul(unit.nanoseconds()) {
            None => Err(Diagnostic::error(field.span, "period is too long")),
            Some(0) => Err(Diagnostic::error(field.span, "period is shorter than a microsecond")),
            Some(_) => Ok(Target::Timer(Timer::Period(n, unit))),
        }
    }

    fn counter(&self) -> Result<Target, Diagnostic> {
        let fields = self.fields(1, 2)?;
        let name = &fields[0];
        if counters::find(self.kind, &name.text).is_none() {
            let message = format!("there is no {} event {}", self.kind.name(), quote(&name.text));
            let names = counters::names(self.kind);
            let near = nearest(&name.text, names.iter().copied());
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the events are {}", names.join(", ")),
            };
            return Err(Diagnostic::error(name.span, message).hint(hint));
        }
        let count = fields.get(1).map(|it| self.plain_number(it)).transpose()?;
        match (count, fields.get(1)) {
            (Some(0), Some(field)) => Err(self.wrong(field.span, "the count must be at least 1")),
            _ => Ok(Target::Counter { name: name.text.clone(), count }),
        }
    }

    fn watchpoint(&self) -> Result<Target, Diagnostic> {
        let [address, length, mode] = self.fields(3, 3)? else {
            return Err(self.wrong(self.span, "attach point is incomplete"));
        };
        let access = [Access::Write, Access::ReadWrite, Access::Execute];
        let sorted: BTreeSet<char> = mode.text.chars().collect();
        let is_it = |it: &&Access| {
            mode.text.len() == sorted.len() && it.letters().chars().collect::<BTreeSet<_>>() == sorted
        };
        let Some(access) = access.iter().find(is_it) else {
            let message = format!("a watchpoint has no mode {}", quote(&mode.text));
            return Err(Diagnostic::error(mode.span, message).hint("the modes are `w`, `rw` and `x`"));
        };
        let bytes = self.plain_number(length)?;
        let length = match u8::try_from(bytes) {
            Ok(bytes @ (1 | 2 | 4 | 8)) => bytes,
            _ => return Err(self.wrong(length.span, "a watchpoint has 1, 2, 4 or 8 bytes")),
        };
        if *access == Access::Execute && length != 8 {
            return Err(self.wrong(self.span, "a watchpoint for `x` has a length of 8"));
        }
        let at = self.plain_number(address)?;
        if *access != Access::Execute && at % u64::from(length) != 0 {
            return Err(self.wrong(address.span, format!("the address is not a multiple of {length}")));
        }
        Ok(Target::Memory { address: at, length, access: *access })
    }

    fn signal(&self) -> Result<Target, Diagnostic> {
        let [what, name] = self.fields(2, 2)? else {
            return Err(self.wrong(self.span, "attach point is incomplete"));
        };
        if what.text != "signal" {
            return Err(self.wrong(what.span, format!("{} is not an event of the tracer", quote(&what.text))));
        }
        match name.text.as_str() {
            "SIGUSR1" => Ok(Target::Signal),
            other => Err(self.wrong(name.span, format!("{} cannot be waited for", quote(other)))),
        }
    }

    fn plain_number(&self, field: &Field) -> Result<u64, Diagnostic> {
        let number = literal::number(&field.text).map_err(|message| self.wrong(field.span, message))?;
        match number.is_duration {
            true => Err(self.wrong(field.span, format!("{} is a time, not a number", quote(&field.text)))),
            false => Ok(number.value),
        }
    }

    fn interface(&self) -> Result<Target, Diagnostic> {
        let fields = self.fields(1, 2)?;
        let name = &fields[0];
        if name.text.len() > INTERFACE_NAME || name.text.contains(|it: char| it == '/' || it.is_whitespace())
        {
            return Err(Diagnostic::error(
                name.span,
                format!("{} cannot be an interface", quote(&name.text)),
            ));
        }
        let mode = match fields.get(1) {
            None => XdpMode::Auto,
            Some(mode) => match mode.text.as_str() {
                "native" => XdpMode::Native,
                "skb" => XdpMode::Skb,
                other => {
                    let message = format!("unknown way to attach {}", quote(other));
                    return Err(
                        Diagnostic::error(mode.span, message).hint("write `native`, `skb` or nothing")
                    );
                }
            },
        };
        Ok(Target::Interface { name: name.text.clone(), mode })
    }
}
