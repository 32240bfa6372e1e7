//! `kscope -l`: the probes that match a pattern, with their arguments on request, and definitions
//! of kernel types.
//!
//! Comes in: a pattern as bpftrace takes it. Goes out: one line for each probe, in the order of
//! the table of probe types and then by name.

use super::LinuxHost;
use super::btf::record::{Kind, Record};
use super::btf::{Btf, Namespace, print};
use super::glob;
use super::reason;
use crate::backend::{Error, Result};
use lang::attach::{Point, Target, XdpMode};
use lang::counters;
use lang::host::{Host, Matches};
use lang::probes::ProbeKind;
use lang::usdt;
use std::collections::BTreeSet;
use std::io::{self, Write};

/// What a pattern without a probe type lists: each place once, so no returns; nothing that needs
/// a file's name; no timers.
const DEFAULT_KINDS: &[ProbeKind] = &[
    ProbeKind::Tracepoint,
    ProbeKind::RawTracepoint,
    ProbeKind::Kprobe,
    ProbeKind::Fentry,
    ProbeKind::Software,
    ProbeKind::Hardware,
    ProbeKind::Xdp,
];

/// Writes what matches; all probes when there is no pattern. Returns what this machine cannot list,
/// and why, where the pattern did not ask for it by name.
pub fn list(pattern: Option<&str>, verbose: bool, out: &mut dyn Write) -> Result<Vec<String>> {
    list_of(&LinuxHost::new(), pattern.unwrap_or("*:*"), verbose, out)
}

fn list_of(host: &LinuxHost, pattern: &str, verbose: bool, out: &mut dyn Write) -> Result<Vec<String>> {
    let mut left_out = Vec::new();
    let written = match type_pattern(pattern) {
        Some((space, name)) => write_types(host, space, name.trim(), verbose, out)?,
        None => {
            let points = points(host, pattern, &mut left_out)?;
            write_points(host, &points, verbose, out)
        }
    };
    finish(written, out).map(|()| left_out)
}

/// Writes places as a listing has them.
pub fn write(host: &LinuxHost, points: Vec<Point>, verbose: bool, out: &mut dyn Write) -> Result<()> {
    let points: Vec<Listed> = points.into_iter().map(Listed::Point).collect();
    let written = write_points(host, &points, verbose, out);
    finish(written, out)
}

fn finish(written: io::Result<()>, out: &mut dyn Write) -> Result<()> {
    match written.and_then(|()| out.flush()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Error::new(format!("the list cannot be written: {}", reason::of(&error)))),
        Ok(()) => Ok(()),
    }
}

/// `struct NAME`, `union NAME`, `enum NAME`.
fn type_pattern(pattern: &str) -> Option<(Namespace, &str)> {
    let (keyword, name) = pattern.trim().split_once(' ')?;
    let space = match keyword {
        "struct" => Namespace::Struct,
        "union" => Namespace::Union,
        "enum" => Namespace::Enum,
        _ => return None,
    };
    Some((space, name))
}

/// Every name that a listing has: points, and for timers their units.
fn points(host: &LinuxHost, pattern: &str, left_out: &mut Vec<String>) -> Result<Vec<Listed>> {
    let (provider, rest) = pattern.split_once(':').unwrap_or(match ProbeKind::from_name(pattern) {
        Some(_) => (pattern, "*"),
        None => ("*", pattern),
    });
    let named = ProbeKind::from_name(provider);
    let kinds: Vec<ProbeKind> = match (named, provider) {
        (Some(kind), _) => vec![kind],
        (None, "*") => DEFAULT_KINDS.to_vec(),
        (None, glob) => ProbeKind::ALL.iter().copied().filter(|it| glob::matches(glob, it.name())).collect(),
    };
    if kinds.is_empty() {
        let known: Vec<&str> = ProbeKind::ALL.iter().map(|it| it.name()).collect();
        return Err(Error::new(format!("there is no probe type `{provider}`"))
            .hint(format!("the probe types are {}", known.join(", "))));
    }
    let mut found = Vec::new();
    for kind in kinds {
        match matching(host, kind, rest) {
            Ok(points) => found.extend(points),
            Err(reason) if named.is_some() => return Err(Error::new(reason)),
            Err(reason) => left_out.push(format!("{}: {reason}", kind.name())),
        }
    }
    Ok(found)
}

/// A line of a listing.
enum Listed {
    Point(Point),
    /// A probe type and a unit or an event, to be followed by a number.
    Open(String),
}

fn matching(host: &LinuxHost, kind: ProbeKind, rest: &str) -> std::result::Result<Vec<Listed>, String> {
    if matches!(kind, ProbeKind::Interval | ProbeKind::Profile) {
        let units = ["hz", "ms", "s", "us"].into_iter().filter(|it| glob::matches(rest, it));
        return Ok(units.map(|it| Listed::Open(format!("{}:{it}:", kind.name()))).collect());
    }
    if matches!(kind, ProbeKind::Software | ProbeKind::Hardware) {
        let events =
            counters::names(kind).into_iter().filter(|it| glob::matches(rest.trim_end_matches(':'), it));
        return Ok(events.map(|it| Listed::Open(format!("{}:{it}:", kind.name()))).collect());
    }
    let Some(target) = target(kind, rest) else { return Ok(Vec::new()) };
    match host.matches(&Point { kind, target }) {
        Matches::Points(mut points) => {
            // A static probe has a point for each of its places.
            points.dedup_by_key(|it| it.name());
            Ok(points.into_iter().map(Listed::Point).collect())
        }
        Matches::Unavailable(reason) => Err(reason),
    }
}

/// What stands behind the probe type, which may be shorter here than in a script.
fn target(kind: ProbeKind, rest: &str) -> Option<Target> {
    let (first, last) = rest.split_once(':').map_or((None, rest), |(first, last)| (Some(first), last));
    match kind {
        ProbeKind::Begin | ProbeKind::End => glob::matches(rest, "").then_some(Target::None),
        ProbeKind::Tracepoint => {
            Some(Target::Tracepoint { category: first.unwrap_or("*").to_owned(), event: last.to_owned() })
        }
        ProbeKind::RawTracepoint
        | ProbeKind::Kprobe
        | ProbeKind::Kretprobe
        | ProbeKind::Fentry
        | ProbeKind::Fexit => {
            Some(Target::Function { module: first.map(str::to_owned), name: last.to_owned(), offset: 0 })
        }
        ProbeKind::Uprobe | ProbeKind::Uretprobe => {
            let (path, symbol) = (first.unwrap_or(rest), first.map_or("*", |_| last));
            Some(Target::User { path: path.to_owned(), symbol: symbol.to_owned(), offset: 0 })
        }
        ProbeKind::Usdt => {
            let mut fields = rest.splitn(3, ':');
            let path = fields.next().unwrap_or(rest).to_owned();
            let (provider, name) = match (fields.next(), fields.next()) {
                (Some(provider), Some(name)) => (provider, name),
                (Some(name), None) => ("*", name),
                _ => ("*", "*"),
            };
            Some(Target::Usdt { path, provider: provider.to_owned(), name: name.to_owned(), location: None })
        }
        ProbeKind::Xdp => Some(Target::Interface { name: rest.to_owned(), mode: XdpMode::Auto }),
        ProbeKind::SelfSignal => glob::matches(rest, "signal:SIGUSR1").then_some(Target::Signal),
        // Lists of their own, or places that cannot be listed.
        ProbeKind::Interval
        | ProbeKind::Profile
        | ProbeKind::Software
        | ProbeKind::Hardware
        | ProbeKind::Watchpoint => None,
    }
}

fn write_points(host: &LinuxHost, points: &[Listed], verbose: bool, out: &mut dyn Write) -> io::Result<()> {
    for listed in points {
        match listed {
            Listed::Open(name) => writeln!(out, "{name}")?,
            Listed::Point(point) => {
                writeln!(out, "{}", point.name())?;
                let arguments = if verbose { arguments(host, point) } else { Vec::new() };
                arguments.iter().try_for_each(|it| writeln!(out, "    {it}"))?;
            }
        }
    }
    Ok(())
}

/// The C declarations of a probe's arguments; none where the machine does not tell.
fn arguments(host: &LinuxHost, point: &Point) -> Vec<String> {
    match &point.target {
        Target::Tracepoint { category, event } => {
            let format = host.tracepoint_format(category, event).unwrap_or_default();
            format.lines().filter_map(format_field).map(str::to_owned).collect()
        }
        Target::Usdt { location: Some(location), .. } => {
            let arguments = usdt::arguments(&location.arguments).unwrap_or_default();
            let numbered = arguments.iter().enumerate();
            numbered
                .map(|(at, it)| format!("{}int{} arg{at}", if it.signed { "" } else { "u" }, 8 * it.size))
                .collect()
        }
        Target::Function { name, .. } if point.kind == ProbeKind::RawTracepoint => {
            let prototype = host.find_raw_tracepoint(name);
            prototype.and_then(|(btf, id)| Some(parameters(&btf, &btf.record(id)?, 1))).unwrap_or_default()
        }
        Target::Function { module, name, .. } => {
            let found = host.find_function(module.as_deref(), name);
            found.and_then(|(btf, id)| function_arguments(&btf, id, point.kind)).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// `field:TYPE NAME;`, unless it is one of those that every record begins with.
fn format_field(line: &str) -> Option<&str> {
    let (declaration, _) = line.trim_start().strip_prefix("field:")?.split_once(';')?;
    let name = declaration.rsplit([' ', '*']).next()?;
    (!name.starts_with("common_")).then_some(declaration)
}

fn function_arguments(btf: &Btf, function: u32, kind: ProbeKind) -> Option<Vec<String>> {
    let prototype = btf.record(btf.record(function)?.target())?;
    let result = prototype.target();
    let returned = (result != 0).then(|| print::argument(btf, result, "retval"));
    Some(match kind {
        ProbeKind::Kretprobe => returned.into_iter().collect(),
        ProbeKind::Kprobe => prototype
            .parameters()
            .filter(|it| it.ty != 0)
            .enumerate()
            .map(|(i, it)| print::argument(btf, it.ty, &format!("arg{i}")))
            .collect(),
        ProbeKind::Fexit => parameters(btf, &prototype, 0).into_iter().chain(returned).collect(),
        _ => parameters(btf, &prototype, 0),
    })
}

/// The parameters of a prototype from the `skip`th on.
fn parameters(btf: &Btf, prototype: &Record, skip: usize) -> Vec<String> {
    let declare = |(ty, name): (u32, &str)| match ty {
        0 => "...".to_owned(),
        ty => print::argument(btf, ty, name),
    };
    prototype.parameters().skip(skip).map(|it| declare((it.ty, btf.string(it.name_offset)))).collect()
}

/// Names of kernel types, or with `verbose` their definitions and the modules that have them.
fn write_types(
    host: &LinuxHost,
    space: Namespace,
    pattern: &str,
    verbose: bool,
    out: &mut dyn Write,
) -> Result<io::Result<()>> {
    let types = host.types().ok_or_else(|| {
        Error::new("this kernel does not describe its types (CONFIG_DEBUG_INFO_BTF is not set)")
    })?;
    let mut found = BTreeSet::new();
    for module in types.module_names() {
        let Some(btf) = types.module(&module) else { continue };
        let records = btf.records(space).filter(|it| it.kind() != Kind::Forward);
        for record in records.filter(|it| !it.name().is_empty() && glob::matches(pattern, it.name())) {
            let text = if verbose {
                format!("{module}: {}\n", print::definition(&btf, &record))
            } else {
                format!("{} {}", keyword(space), record.name())
            };
            found.insert((record.name().to_owned(), text));
        }
    }
    Ok(found.iter().try_for_each(|(_, text)| writeln!(out, "{text}")))
}

fn keyword(space: Namespace) -> &'static str {
    match space {
        Namespace::Union => "union",
        Namespace::Enum => "enum",
        Namespace::Struct | Namespace::Typedef | Namespace::Function => "struct",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::host::tests::fixture;

    fn check(pattern: &str, verbose: bool, expected: &str) {
        let (host, _directory) = fixture(pattern);
        let mut out = Vec::new();
        let text = match list_of(&host, pattern, verbose, &mut out) {
            Ok(_) => String::from_utf8(out).unwrap(),
            Err(error) => format!("{error}\n"),
        };
        assert_eq!(text, expected, "-l '{pattern}'");
    }

    #[test]
    fn lists_probes() {
        for (pattern, expected) in [
            ("tracepoint:sched:*", "tracepoint:sched:sched_switch\ntracepoint:sched:sched_wakeup\n"),
            ("t:*:sched_s*", "tracepoint:sched:sched_switch\n"),
            ("kprobe:vfs_*", "kprobe:vfs_read\n"),
            ("kprobe:veth:*", "kprobe:veth:veth_open\n"),
            ("kr:vfs_read", "kretprobe:vfs_read\n"),
            // `vfs_open` has variable parameters, which trampolines do not take.
            ("fentry:*", "fentry:vmlinux:vfs_read\n"),
            ("fentry:vfs_open", "fentry:vmlinux:vfs_open\n"),
            ("rawtracepoint:sched*", "rawtracepoint:vmlinux:sched_switch\n"),
            ("vfs_read", "kprobe:vfs_read\nfentry:vmlinux:vfs_read\n"),
            ("*switch", "tracepoint:sched:sched_switch\nrawtracepoint:vmlinux:sched_switch\n"),
            ("interval:*s", "interval:ms:\ninterval:s:\ninterval:us:\n"),
            ("kprobe:nothing", ""),
            ("end", "end\n"),
            ("struct f*", "struct file\n"),
        ] {
            check(pattern, false, expected);
        }
        let (host, _directory) = fixture("unknown");
        let error = list_of(&host, "prob:x", false, &mut Vec::new()).unwrap_err();
        assert_eq!(error.message, "there is no probe type `prob`");
    }

    #[test]
    fn lists_arguments() {
        for (pattern, expected) in [
            (
                "tracepoint:sched:sched_switch",
                "tracepoint:sched:sched_switch\n    char prev_comm[16]\n    int *prev_pid\n",
            ),
            ("rawtracepoint:sched_switch", "rawtracepoint:vmlinux:sched_switch\n    int preempt\n"),
            ("kprobe:vfs_read", "kprobe:vfs_read\n    struct file * arg0\n    int arg1\n"),
            ("kretprobe:vfs_read", "kretprobe:vfs_read\n    int retval\n"),
            (
                "fexit:vfs_read",
                "fexit:vmlinux:vfs_read\n    struct file * file\n    int count\n    int retval\n",
            ),
            ("fentry:vfs_open", "fentry:vmlinux:vfs_open\n    struct file * file\n    ...\n"),
            ("struct file", "vmlinux: struct file {\n\tint f_mode;\n};\n\n"),
        ] {
            check(pattern, true, expected);
        }
    }
}
