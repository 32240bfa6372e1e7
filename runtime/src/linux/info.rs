//! `kscope --info`: what this kernel offers.
//!
//! Comes out of small programs that are loaded and thrown away, and of files that exist or do not.
//! Nothing is attached. No other command probes: they find out by doing.

use super::LinuxHost;
use super::btf::Namespace;
use super::btf::kernel::KernelTypes;
use super::reason;
use super::sys::bpf::{self, DebugInfo, ProgramSpec, attach_type, program_type};
use super::sys::perf::{self, Scope, Table};
use super::sys::{SysResult, kernel_identity};
use super::target::host_target;
use crate::backend::{Error, Result};
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// An answer.
enum Offer {
    /// There is; with a remark, if any.
    Yes(String),
    /// There is not, and why.
    No(String),
    /// It cannot be found out, and why.
    Unknown(String),
}

/// A line: what, and whether there is.
type Row = (&'static str, Offer);

/// Writes the report.
pub fn info(out: &mut dyn Write) -> Result<()> {
    match report(&LinuxHost::new(), out) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        res => res.map_err(|it| Error::new(format!("the report cannot be written: {}", reason::of(&it)))),
    }
}

fn report(host: &LinuxHost, out: &mut dyn Write) -> io::Result<()> {
    let target = host_target();
    writeln!(out, "System")?;
    writeln!(out, "  kernel: {}", kernel_identity())?;
    writeln!(out, "  machine: {}", std::env::consts::ARCH)?;
    writeln!(out, "  lockdown: {}", lockdown())?;
    let namespace = if target.pid_namespace.is_some() { "of a container" } else { "the initial one" };
    writeln!(out, "  PID namespace: {namespace}")?;
    writeln!(out, "\nBuild\n  version: kscope {}", env!("CARGO_PKG_VERSION"))?;
    write_rows(out, "Kernel interfaces", interfaces(host))?;
    write_rows(out, "Probe types", probe_types(host))?;
    write_rows(out, "Instructions", instructions())?;
    write_rows(out, "Helpers", HELPERS.iter().map(|it| (it.name, has_helper(it))).collect())
}

fn write_rows(out: &mut dyn Write, title: &str, rows: Vec<Row>) -> io::Result<()> {
    writeln!(out, "\n{title}")?;
    for (name, offer) in rows {
        let text = match offer {
            Offer::Yes(remark) => with_remark("yes", &remark),
            Offer::No(reason) => with_remark("no", &reason),
            Offer::Unknown(reason) => with_remark("unknown", &reason),
        };
        writeln!(out, "  {name}: {text}")?;
    }
    Ok(())
}

fn with_remark(answer: &str, remark: &str) -> String {
    if remark.is_empty() { answer.to_owned() } else { format!("{answer} ({remark})") }
}

/// The chosen word of `none [integrity] confidentiality`.
fn lockdown() -> String {
    let Ok(text) = fs::read_to_string("/sys/kernel/security/lockdown") else {
        return "unknown (/sys/kernel/security/lockdown cannot be read)".to_owned();
    };
    let chosen = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    chosen.map_or("none", |(it, _)| it).to_owned()
}

fn interfaces(host: &LinuxHost) -> Vec<Row> {
    let types = match host.types() {
        Some(types) => Offer::Yes(format!("{} types", types.vmlinux().end_id() - 1)),
        None => Offer::No("CONFIG_DEBUG_INFO_BTF is not set".to_owned()),
    };
    let modules = host.types().map_or(0, |it| it.module_names().len() - 1);
    let modules = match modules {
        0 => Offer::No("no loaded module has any; CONFIG_DEBUG_INFO_BTF_MODULES".to_owned()),
        n => Offer::Yes(format!("{n} loaded")),
    };
    let (tracefs, functions) = match host.tracefs() {
        Ok(tracefs) => (
            Offer::Yes(String::new()),
            match tracefs.traceable_functions() {
                Ok(text) => Offer::Yes(format!("{} functions", text.lines().count())),
                Err(error) => Offer::No(format!("{}; kallsyms is used instead", reason::of(&error))),
            },
        ),
        Err(error) => (Offer::No(error.message.clone()), Offer::Unknown("there is no tracefs".to_owned())),
    };
    vec![
        ("BTF of the kernel", types),
        ("BTF of modules", modules),
        ("tracefs", tracefs),
        ("list of traceable functions", functions),
    ]
}

fn probe_types(host: &LinuxHost) -> Vec<Row> {
    let tracepoint = match host.tracefs() {
        Ok(_) => loads(program_type::TRACEPOINT, "CONFIG_BPF_EVENTS"),
        Err(error) => Offer::No(error.message.clone()),
    };
    let kprobe = match host.has_kprobes() {
        true => loads(program_type::KPROBE, "CONFIG_BPF_EVENTS"),
        false => Offer::No("CONFIG_KPROBES and CONFIG_KPROBE_EVENTS are not set".to_owned()),
    };
    let uprobe = match Path::new("/sys/bus/event_source/devices/uprobe").exists() {
        true => loads(program_type::KPROBE, "CONFIG_BPF_EVENTS"),
        false => Offer::No("CONFIG_UPROBE_EVENTS is not set".to_owned()),
    };
    vec![
        ("tracepoint", tracepoint),
        ("rawtracepoint", loads(program_type::RAW_TRACEPOINT, "CONFIG_BPF_EVENTS")),
        ("kprobe, kretprobe", kprobe),
        (
            "kprobe.multi",
            multi(attach_type::TRACE_KPROBE_MULTI, bpf::has_kprobe_multi, "Linux 5.18, CONFIG_FPROBE"),
        ),
        ("fentry, fexit", trampolines(host)),
        ("uprobe, uretprobe, usdt", uprobe),
        ("uprobe.multi", multi(attach_type::TRACE_UPROBE_MULTI, bpf::has_uprobe_multi, "Linux 6.6")),
        ("interval, profile, software", loads(program_type::PERF_EVENT, "CONFIG_PERF_EVENTS")),
        ("hardware", processor_counters()),
        ("watchpoint", watchpoints()),
        ("xdp", loads(program_type::XDP, "CONFIG_NET")),
    ]
}

/// Whether the least of programs loads as this type.
fn loads(kind: u32, needs: &str) -> Offer {
    offer(load(kind, 0, &[MOVE_0, EXIT]), needs)
}

fn multi(attach: u32, works: fn(BorrowedFd<'_>) -> bool, needs: &str) -> Offer {
    match load(program_type::KPROBE, attach, &[MOVE_0, EXIT]) {
        Ok(program) if works(program.as_fd()) => Offer::Yes(String::new()),
        Ok(_) => Offer::No(format!("needs {needs}")),
        Err(error) => offer(Err(error), needs),
    }
}

/// Whether the processor counts at all: its cycles are counted for a moment.
fn processor_counters() -> Offer {
    const CYCLES: u64 = 0;
    const SELDOM: u64 = 1 << 40;
    match perf::open_counter(Table::Hardware, CYCLES, SELDOM, Scope::Cpu(0)) {
        Err(error) if matches!(error.code, libc::ENOENT | libc::EOPNOTSUPP) => {
            Offer::No("this machine's processor has no counters; virtual machines often have none".to_owned())
        }
        Err(error) if error.code == libc::EACCES => Offer::Unknown("counting needs root".to_owned()),
        result => offer(result, "CONFIG_PERF_EVENTS"),
    }
}

fn watchpoints() -> Offer {
    match Path::new("/sys/bus/event_source/devices/breakpoint").exists() {
        true => loads(program_type::PERF_EVENT, "CONFIG_PERF_EVENTS"),
        false => Offer::No("CONFIG_HAVE_HW_BREAKPOINT is not set".to_owned()),
    }
}

/// Trampolines can be barred where all else is allowed, so one is really prepared.
fn trampolines(host: &LinuxHost) -> Offer {
    let Some(id) = host.types().and_then(any_function) else {
        return Offer::No("CONFIG_DEBUG_INFO_BTF is not set".to_owned());
    };
    let spec = ProgramSpec {
        kind: program_type::TRACING,
        attach_type: attach_type::TRACE_FENTRY,
        attach_btf_id: id,
        ..spec(&[MOVE_0, EXIT])
    };
    match bpf::program_load(&spec, 0, &mut []) {
        Ok(_) => Offer::Yes(String::new()),
        Err(error)
            if error.is_permission() && load(program_type::RAW_TRACEPOINT, 0, &[MOVE_0, EXIT]).is_ok() =>
        {
            Offer::No(format!("this machine bars BPF trampolines: {error}"))
        }
        Err(error) => offer(Err(error), "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS"),
    }
}

/// A function that every kernel has.
fn any_function(types: &KernelTypes) -> Option<u32> {
    ["vfs_read", "schedule", "do_exit"].iter().find_map(|it| types.vmlinux().find(Namespace::Function, it))
}

fn instructions() -> Vec<Row> {
    /// `if w0 == 0 goto +0`
    const JUMP_32: u64 = 0x16;
    /// `r0 = (s8)r0`
    const MOVE_SIGN_EXTENDED: u64 = 0xbf | 8 << 16;
    /// `may_goto +0`
    const MAY_GOTO: u64 = 0xe5;
    let runs = |insn, needs| offer(load(program_type::RAW_TRACEPOINT, 0, &[MOVE_0, insn, EXIT]), needs);
    vec![
        ("instruction set v3", runs(JUMP_32, "Linux 5.1")),
        ("instruction set v4", runs(MOVE_SIGN_EXTENDED, "Linux 6.6")),
        ("may_goto", runs(MAY_GOTO, "Linux 6.9")),
    ]
}

/// A helper that some supported kernels lack.
struct Helper {
    name: &'static str,
    number: u64,
    since: &'static str,
}

const HELPERS: &[Helper] = &[
    Helper { name: "ring buffer", number: 130, since: "Linux 5.8" },
    Helper { name: "bpf_get_ns_current_pid_tgid", number: 120, since: "Linux 5.7" },
    Helper { name: "bpf_get_current_task_btf", number: 158, since: "Linux 5.11" },
    Helper { name: "bpf_for_each_map_elem", number: 164, since: "Linux 5.13" },
    Helper { name: "bpf_loop", number: 181, since: "Linux 5.17" },
    Helper { name: "bpf_strncmp", number: 182, since: "Linux 5.17" },
    Helper { name: "bpf_map_lookup_percpu_elem", number: 195, since: "Linux 5.19" },
    Helper { name: "bpf_ktime_get_tai_ns", number: 208, since: "Linux 6.1" },
];

/// A call without arguments: a kernel that knows the helper complains about these (EACCES), one
/// that does not about the helper (EINVAL).
fn has_helper(helper: &Helper) -> Offer {
    let call = 0x85 | helper.number << 32;
    // So that a helper that takes no arguments leaves a valid program.
    match load(program_type::KPROBE, 0, &[call, MOVE_0, EXIT]) {
        Err(error) if error.code == libc::EACCES => Offer::Yes(String::new()),
        other => offer(other, helper.since),
    }
}

/// `r0 = 0`
const MOVE_0: u64 = 0xb7;
/// `exit`
const EXIT: u64 = 0x95;

fn load(kind: u32, attach_type: u32, code: &[u64]) -> SysResult<OwnedFd> {
    bpf::program_load(&ProgramSpec { kind, attach_type, ..spec(code) }, 0, &mut [])
}

fn spec(code: &[u64]) -> ProgramSpec<'_> {
    ProgramSpec {
        name: "kscope_info",
        kind: 0,
        attach_type: 0,
        attach_btf_id: 0,
        attach_btf: None,
        code,
        license: c"GPL",
        debug: DebugInfo { btf: None, functions: &[], lines: &[] },
    }
}

fn offer(loaded: SysResult<OwnedFd>, needs: &str) -> Offer {
    match loaded {
        Ok(_) => Offer::Yes(String::new()),
        Err(error) if error.code == libc::EPERM => Offer::Unknown("loading programs needs root".to_owned()),
        Err(_) => Offer::No(format!("needs {needs}")),
    }
}
