//! Names that a mistyped attach point may have meant.
//!
//! The front end picks the nearest; here the work is kept small by leaving out what cannot be it.

use super::{LinuxHost, inferred};
use crate::linux::btf::Namespace;
use crate::linux::usdt::{self, Note};
use crate::linux::{executables, interfaces};
use lang::attach::{Point, Target};
use lang::probes::ProbeKind;
use std::collections::BTreeSet;

/// More are never handed out.
const MOST: usize = 2000;

/// Full names of existing points of the same kind, in the form that `point` is written in.
pub fn similar(host: &LinuxHost, point: &Point) -> Vec<String> {
    let targets: Vec<Target> = match (&point.target, point.kind) {
        (Target::Tracepoint { category, event }, _) => tracepoints(host, category, event),
        (Target::Function { module, name, offset }, kind) => functions(host, kind, name)
            .into_iter()
            .map(|name| Target::Function { module: module.clone(), name, offset: *offset })
            .collect(),
        (Target::User { path, symbol, offset }, _) => user(path, symbol)
            .into_iter()
            .map(|symbol| Target::User { path: path.clone(), symbol, offset: *offset })
            .collect(),
        (Target::Usdt { path, name, .. }, _) => static_probes(path, name),
        (Target::Interface { mode, .. }, _) => {
            interfaces::all().into_iter().map(|name| Target::Interface { name, mode: *mode }).collect()
        }
        (
            Target::None
            | Target::Timer(_)
            | Target::Address(_)
            | Target::Counter { .. }
            | Target::Memory { .. }
            | Target::Signal,
            _,
        ) => Vec::new(),
    };
    targets.into_iter().take(MOST).map(|target| Point { kind: point.kind, target }.name()).collect()
}

/// The events of the category; when there is none, those of like ones, and like events of all.
fn tracepoints(host: &LinuxHost, category: &str, event: &str) -> Vec<Target> {
    let Ok(tracefs) = host.tracefs() else {
        let known =
            host.types().map(|it| likely(event, inferred::events(it, category).iter().map(String::as_str)));
        let known = known.into_iter().flatten();
        return known.map(|event| Target::Tracepoint { category: category.to_owned(), event }).collect();
    };
    let categories = match tracefs.has_category(category) {
        true => vec![category.to_owned()],
        false => tracefs.categories().unwrap_or_default(),
    };
    let mut targets = Vec::new();
    for name in categories {
        let mut events = tracefs.events(&name).unwrap_or_default();
        events.retain(|it| resembles(category, &name) || resembles(event, it));
        targets.extend(events.into_iter().map(|event| Target::Tracepoint { category: name.clone(), event }));
    }
    targets
}

fn functions(host: &LinuxHost, kind: ProbeKind, wanted: &str) -> BTreeSet<String> {
    let (types, raw) = (host.types(), kind == ProbeKind::RawTracepoint);
    match types.map(|it| it.vmlinux()) {
        Some(btf) if raw => {
            let typedefs = btf.records(Namespace::Typedef);
            likely(wanted, typedefs.filter_map(|it| it.name().strip_prefix("btf_trace_")))
        }
        Some(btf) => likely(wanted, btf.records(Namespace::Function).map(|it| it.name())),
        None if raw => BTreeSet::new(),
        None => match host.functions() {
            Ok(functions) => likely(wanted, functions.iter().map(|it| it.name)),
            Err(_) => BTreeSet::new(),
        },
    }
}

fn user(path: &str, symbol: &str) -> BTreeSet<String> {
    let files = executables::find(path);
    let functions = files.first().and_then(|it| executables::functions(it).ok()).unwrap_or_default();
    likely(symbol, functions.iter().map(String::as_str))
}

fn static_probes(path: &str, wanted: &str) -> Vec<Target> {
    let files = executables::find(path);
    let notes = files.first().and_then(|it| usdt::notes(it).ok()).unwrap_or_default();
    let resembling = notes.into_iter().filter(|it| resembles(wanted, &it.name));
    let target = |it: Note| Target::Usdt {
        path: path.to_owned(),
        provider: it.provider,
        name: it.name,
        location: Some(it.location),
    };
    resembling.map(target).collect()
}

fn likely<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    names.filter(|it| resembles(wanted, it)).map(str::to_owned).collect()
}

/// Whether a name has about the same length as the wanted one and begins or ends as it does.
fn resembles(wanted: &str, name: &str) -> bool {
    let mut heads = wanted.bytes().zip(name.bytes()).take(3);
    let mut tails = wanted.bytes().rev().zip(name.bytes().rev()).take(4);
    let same = |(a, b)| a == b;
    wanted.len().abs_diff(name.len()) <= 3 && (heads.all(same) || tails.all(same))
}
