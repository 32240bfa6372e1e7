//! What the running kernel offers, asked when it is needed and not before.

use super::btf::kernel::KernelTypes;
use super::sys::bpf::{self, DebugInfo, ProgramSpec, attach_type, program_type};
use super::tracefs::Tracefs;
use crate::backend::{Error, Result};
use std::cell::OnceCell;
use std::fs;
use std::os::fd::AsFd;

/// The running kernel; answers are kept.
#[derive(Default)]
pub struct Kernel {
    tracefs: OnceCell<Tracefs>,
    types: OnceCell<KernelTypes>,
    kprobe_multi: OnceCell<bool>,
    uprobe_multi: OnceCell<bool>,
}

impl Kernel {
    /// The tracing file system.
    pub fn tracefs(&self) -> Result<&Tracefs> {
        if let Some(tracefs) = self.tracefs.get() {
            return Ok(tracefs);
        }
        let tracefs = Tracefs::open()?;
        Ok(self.tracefs.get_or_init(|| tracefs))
    }

    /// The kernel's types.
    pub fn types(&self) -> Result<&KernelTypes> {
        if let Some(types) = self.types.get() {
            return Ok(types);
        }
        let types = KernelTypes::open().map_err(|error| {
            Error::new(format!("the kernel does not describe its types: /sys/kernel/btf/vmlinux: {error}"))
                .hint("a kernel with CONFIG_DEBUG_INFO_BTF=y is needed")
        })?;
        Ok(self.types.get_or_init(|| types))
    }

    /// Whether one link can hold kprobes on many functions.
    pub fn has_kprobe_multi(&self) -> bool {
        *self.kprobe_multi.get_or_init(|| {
            let program = smallest_probe(attach_type::TRACE_KPROBE_MULTI);
            program.is_some_and(|it| bpf::has_kprobe_multi(it.as_fd()))
        })
    }

    /// Whether one link can hold uprobes on many places.
    pub fn has_uprobe_multi(&self) -> bool {
        *self.uprobe_multi.get_or_init(|| {
            let program = smallest_probe(attach_type::TRACE_UPROBE_MULTI);
            program.is_some_and(|it| bpf::has_uprobe_multi(it.as_fd()))
        })
    }
}

/// `r0 = 0; exit`, loaded for that attach type.
fn smallest_probe(attach_type: u32) -> Option<std::os::fd::OwnedFd> {
    let spec = ProgramSpec {
        name: "",
        kind: program_type::KPROBE,
        attach_type,
        attach_btf_id: 0,
        attach_btf: None,
        code: &[0xb7, 0x95],
        license: c"GPL",
        debug: DebugInfo::default(),
    };
    bpf::program_load(&spec, 0, &mut []).ok()
}

/// CPUs that may ever exist: per-CPU maps have a value for each of them.
pub fn possible_cpus() -> Result<u32> {
    let cpus = cpu_list("possible")?;
    cpus.last().map(|last| last + 1).ok_or_else(|| Error::new("the kernel lists no possible CPU"))
}

/// CPUs that run now.
pub fn online_cpus() -> Result<Vec<u32>> {
    cpu_list("online")
}

fn cpu_list(which: &str) -> Result<Vec<u32>> {
    let path = format!("/sys/devices/system/cpu/{which}");
    let text = fs::read_to_string(&path).map_err(|error| {
        Error::new(format!("cannot read {path}: {error}")).hint("mount -t sysfs nodev /sys")
    })?;
    parse_cpu_list(&text).ok_or_else(|| Error::new(format!("{path} is not a list of CPUs: {}", text.trim())))
}

/// `0-3,5` and the like.
fn parse_cpu_list(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for range in text.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        cpus.extend(first.parse::<u32>().ok()?..=last.parse().ok()?);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists() {
        let cases: [(&str, Option<&[u32]>); 4] =
            [("0\n", Some(&[0])), ("0-2,5\n", Some(&[0, 1, 2, 5])), ("", None), ("0-x", None)];
        for (text, expected) in cases {
            assert_eq!(parse_cpu_list(text).as_deref(), expected, "{text:?}");
        }
    }
}
