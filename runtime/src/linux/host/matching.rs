//! Which targets an attach point means.
//!
//! A point without wildcards is looked up as cheaply as can be; a list is made only for a wildcard.

use super::LinuxHost;
use super::inferred::{self, Existence};
use crate::backend::Error;
use crate::linux::btf::kernel::KernelTypes;
use crate::linux::btf::record::{Kind, Record};
use crate::linux::btf::{Btf, Namespace};
use crate::linux::executables;
use crate::linux::functions::Function;
use crate::linux::glob;
use crate::linux::interfaces;
use crate::linux::kallsyms::Symbol;
use crate::linux::reason;
use crate::linux::sys::kernel_identity;
use crate::linux::target::version;
use crate::linux::tracefs::Tracefs;
use crate::linux::usdt::{self, Note};
use codegen::target::KernelVersion;
use lang::attach::{Point, Target};
use lang::host::Matches;
use lang::probes::ProbeKind;
use std::collections::{BTreeSet, HashSet};

/// Targets, or why there can be none.
type Found = Result<Vec<Target>, String>;

/// Every target that `point` means.
pub fn matches(host: &LinuxHost, point: &Point) -> Matches {
    let found = match (&point.target, point.kind) {
        (
            Target::None | Target::Timer(_) | Target::Counter { .. } | Target::Memory { .. } | Target::Signal,
            _,
        ) => Ok(vec![point.target.clone()]),
        (Target::Tracepoint { category, event }, _) => tracepoints(host, category, event),
        (Target::Address(_), _) => kprobes_exist(host).map(|()| vec![point.target.clone()]),
        (Target::Function { module, name, .. }, ProbeKind::RawTracepoint) => {
            raw_tracepoints(host, module.as_deref(), name)
        }
        (Target::Function { module, name, .. }, ProbeKind::Fentry | ProbeKind::Fexit) => {
            trampolines(host, module.as_deref(), name)
        }
        (Target::Function { module, name, offset }, _) => kprobes(host, module.as_deref(), name, *offset),
        (Target::User { path, .. } | Target::Usdt { path, .. }, _)
            if host.checking && executables::find(path).is_empty() =>
        {
            Err(format!("this machine has no file `{path}`"))
        }
        (Target::User { path, symbol, offset }, _) => user(path, symbol, *offset),
        (Target::Usdt { path, provider, name, .. }, _) => static_probes(path, provider, name),
        (Target::Interface { name, mode }, _) => match interfaces::matching(name) {
            found if found.is_empty() && host.checking => {
                Err("this machine has no such interface".to_owned())
            }
            found => Ok(found.into_iter().map(|name| Target::Interface { name, mode: *mode }).collect()),
        },
    };
    match found {
        Ok(targets) => {
            Matches::Points(targets.into_iter().map(|target| Point { kind: point.kind, target }).collect())
        }
        Err(reason) => Matches::Unavailable(reason),
    }
}

fn tracepoints(host: &LinuxHost, category: &str, event: &str) -> Found {
    let tracefs = match host.tracefs() {
        Ok(tracefs) => tracefs,
        Err(error) if host.checking => return untraced(host, category, event, error),
        Err(error) => return Err(describe(error)),
    };
    let mut categories = match glob::is_pattern(category) {
        false => vec![category.to_owned()],
        true => filtered(tracefs.categories().map_err(|it| unreadable("tracefs", &it))?, category),
    };
    // As the full names sort: `fib6:…` before `fib:…`.
    categories.sort_by_cached_key(|it| format!("{it}:"));
    let mut targets = Vec::new();
    for category in categories {
        let events = events(tracefs, &category, event);
        targets
            .extend(events.into_iter().map(|event| Target::Tracepoint { category: category.clone(), event }));
    }
    Ok(targets)
}

/// What the kernel's types tell of an event, where tracefs cannot be read.
fn untraced(host: &LinuxHost, category: &str, event: &str, error: &Error) -> Found {
    let named = !glob::is_pattern(category) && !glob::is_pattern(event);
    match host.types().filter(|_| named).map(|it| inferred::existence(it, category, event)) {
        Some(Existence::Certain) => {
            Ok(vec![Target::Tracepoint { category: category.to_owned(), event: event.to_owned() }])
        }
        Some(Existence::Absent) => Ok(Vec::new()),
        Some(Existence::OtherCategory) | None => Err(error.to_string()),
    }
}

/// The events of a category; none where there is no such category.
fn events(tracefs: &Tracefs, category: &str, event: &str) -> Vec<String> {
    if glob::is_pattern(event) {
        return filtered(tracefs.events(category).unwrap_or_default(), event);
    }
    if tracefs.has_event(category, event) { vec![event.to_owned()] } else { Vec::new() }
}

fn filtered(mut names: Vec<String>, pattern: &str) -> Vec<String> {
    names.retain(|it| glob::matches(pattern, it));
    names
}

fn raw_tracepoints(host: &LinuxHost, module: Option<&str>, name: &str) -> Found {
    let Some(types) = host.types() else { return untyped_tracepoints(host, module, name) };
    if !glob::is_pattern(name) && module.is_none() {
        let found = types.raw_tracepoint_id(name);
        return Ok(found.map(|(module, _)| function(Some(&module), name)).into_iter().collect());
    }
    let mut found = BTreeSet::new();
    for module in modules(types, module) {
        let Some(btf) = types.module(&module) else { continue };
        let typedefs = btf.records(Namespace::Typedef).filter_map(|it| it.name().strip_prefix("btf_trace_"));
        found.extend(typedefs.filter(|it| glob::matches(name, it)).map(|it| (module.clone(), it.to_owned())));
    }
    Ok(found.into_iter().map(|(module, name)| function(Some(&module), &name)).collect())
}

/// Without BTF the events of tracefs are those that there are.
fn untyped_tracepoints(host: &LinuxHost, module: Option<&str>, name: &str) -> Found {
    let tracefs = host.tracefs().map_err(describe)?;
    let categories = tracefs.categories().map_err(|it| unreadable("tracefs", &it))?;
    // These come from two tracepoints, `sys_enter` and `sys_exit`, and have none of their own.
    let categories = categories.iter().filter(|it| *it != "syscalls");
    let names: BTreeSet<_> = categories.flat_map(|it| events(tracefs, it, name)).collect();
    Ok(names.iter().map(|it| function(module, it)).collect())
}

/// The modules that an optional pattern means; the kernel proper is one of them.
fn modules(types: &KernelTypes, pattern: Option<&str>) -> Vec<String> {
    match pattern {
        Some(exact) if !glob::is_pattern(exact) => vec![exact.to_owned()],
        pattern => filtered(types.module_names(), pattern.unwrap_or("*")),
    }
}

fn kprobes(host: &LinuxHost, module: Option<&str>, name: &str, offset: u64) -> Found {
    let names = if glob::is_pattern(name) || module.is_some_and(glob::is_pattern) {
        probable(host, module, name)?
    } else if !function_exists(host, module, name) {
        BTreeSet::new()
    } else if host.barred().contains(name) {
        return Err(format!("the kernel bars kprobes from `{name}` (debugfs has it in kprobes/blacklist)"));
    } else {
        BTreeSet::from([(module.map(str::to_owned), name.to_owned())])
    };
    // A function that no kernel has is the script's mistake, with or without kprobes.
    if !names.is_empty() {
        kprobes_exist(host)?;
    }
    Ok(names.into_iter().map(|(module, name)| Target::Function { module, name, offset }).collect())
}

/// The modules (where the pattern names one) and names of functions that kprobes can be put on.
fn probable(
    host: &LinuxHost,
    module: Option<&str>,
    name: &str,
) -> Result<BTreeSet<(Option<String>, String)>, String> {
    let functions = host.functions().map_err(|it| unreadable("/proc/kallsyms", it))?;
    let fits = |it: &Function| {
        glob::matches(name, it.name) && module.is_none_or(|module| glob::matches(module, it.module))
    };
    let wanted = functions.iter().filter(|it| fits(it) && !host.barred().contains(it.name));
    Ok(wanted.map(|it| (module.map(|_| it.module.to_owned()), it.name.to_owned())).collect())
}

/// BTF knows most functions and answers sooner than the symbol table.
fn function_exists(host: &LinuxHost, module: Option<&str>, name: &str) -> bool {
    if host.find_function(module, name).is_some() {
        return true;
    }
    let is_it = |it: Symbol| it.name == name && module.is_none_or(|module| it.module == module);
    host.symbols().is_some_and(|table| table.functions().any(is_it))
}

fn kprobes_exist(host: &LinuxHost) -> Result<(), String> {
    if host.has_kprobes() {
        Ok(())
    } else {
        Err("this kernel has no kprobes (CONFIG_KPROBES and CONFIG_KPROBE_EVENTS are not set)".to_owned())
    }
}

fn trampolines(host: &LinuxHost, module: Option<&str>, name: &str) -> Found {
    let Some(types) = host.types() else {
        return Err(
            "this kernel does not describe its functions (CONFIG_DEBUG_INFO_BTF is not set)".to_owned()
        );
    };
    if !glob::is_pattern(name) && !module.is_some_and(glob::is_pattern) {
        let found = host.find_function(module, name);
        return Ok(found.map(|(btf, _)| function(Some(btf.module()), name)).into_iter().collect());
    }
    let traceable: HashSet<Function> = match host.functions() {
        Ok(functions) => functions.iter().collect(),
        Err(error) => return Err(unreadable("/proc/kallsyms", error)),
    };
    // Those on the stack count since Linux 6.6.
    let kernel = version(&kernel_identity());
    let most = if kernel.is_some_and(|it| it < KernelVersion(6, 6)) { 6 } else { 12 };
    let mut known = host.known_functions.borrow_mut();
    let mut found = BTreeSet::new();
    for module in modules(types, module) {
        let Some(btf) = types.module(&module) else { continue };
        for record in btf.records(Namespace::Function) {
            let it = Function { name: record.name(), module: &module };
            let wanted = glob::matches(name, it.name) && traceable.contains(&it);
            if wanted && btf.record(record.target()).is_some_and(|it| fits_trampoline(&btf, &it, most)) {
                known.entry(it.name.to_owned()).or_insert_with(|| (btf.clone(), record.id()));
                found.insert((module.clone(), it.name.to_owned()));
            }
        }
    }
    Ok(found.into_iter().map(|(module, name)| function(Some(&module), &name)).collect())
}

/// Whether the kernel takes a trampoline on functions of this type. A wildcard leaves the others
/// out; one that is named is tried, so that the kernel can say what is wrong.
fn fits_trampoline(btf: &Btf, prototype: &Record, most_parameters: usize) -> bool {
    const MOST_BYTES: u32 = 16;
    let structure = |id| {
        let resolved = btf.resolve(id).map(|(record, _)| record);
        resolved.filter(|it| matches!(it.kind(), Kind::Struct | Kind::Union))
    };
    prototype.parameters().count() <= most_parameters
        && prototype
            .parameters()
            .all(|it| it.ty != 0 && structure(it.ty).is_none_or(|it| it.size() <= MOST_BYTES))
        && structure(prototype.target()).is_none()
}

/// Every place of the static probes that match; a probe may have several.
fn static_probes(path: &str, provider: &str, name: &str) -> Found {
    refuse_bare_pattern(path)?;
    let several = glob::is_pattern(path);
    let mut targets = Vec::new();
    for file in executables::find(path) {
        let path = file.to_string_lossy().into_owned();
        let notes = match usdt::notes(&file) {
            Ok(notes) => notes,
            Err(_) if several => continue,
            Err(error) => return Err(unreadable(&path, &error)),
        };
        let fits = |it: &Note| glob::matches(provider, &it.provider) && glob::matches(name, &it.name);
        targets.extend(notes.into_iter().filter(fits).map(|it| Target::Usdt {
            path: path.clone(),
            provider: it.provider,
            name: it.name,
            location: Some(it.location),
        }));
    }
    Ok(targets)
}

fn refuse_bare_pattern(path: &str) -> Result<(), String> {
    if glob::is_pattern(path) && !path.contains('/') {
        return Err(format!(
            "`{path}` as a path is not supported yet; write the directory, as in `/usr/lib/{path}`"
        ));
    }
    Ok(())
}

fn user(path: &str, symbol: &str, offset: u64) -> Found {
    refuse_bare_pattern(path)?;
    let several = glob::is_pattern(path);
    let mut targets = Vec::new();
    for file in executables::find(path) {
        let path = file.to_string_lossy().into_owned();
        if symbol.is_empty() {
            targets.push(Target::User { path, symbol: String::new(), offset });
            continue;
        }
        let functions = match executables::functions(&file) {
            Ok(functions) => functions,
            // A wildcard also finds scripts and the like.
            Err(_) if several => continue,
            Err(error) => return Err(unreadable(&path, &error)),
        };
        let wanted = functions.iter().filter(|it| glob::matches(symbol, it));
        targets.extend(wanted.map(|it| Target::User { path: path.clone(), symbol: it.clone(), offset }));
    }
    Ok(targets)
}

fn function(module: Option<&str>, name: &str) -> Target {
    Target::Function { module: module.map(str::to_owned), name: name.to_owned(), offset: 0 }
}

fn describe(error: &Error) -> String {
    match &error.hint {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

fn unreadable(what: &str, error: &std::io::Error) -> String {
    format!("{what} cannot be read: {}", reason::of(error))
}
