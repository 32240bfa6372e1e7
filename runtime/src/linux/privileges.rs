//! What tracing may be done by this process, and what it gives up once everything is attached.

use super::sys::capabilities::{self, Set};
use crate::backend::{Error, Result};
use std::fs;
use std::os::unix::fs::MetadataExt;

// Numbers from `linux/capability.h`.
const DAC_READ_SEARCH: u32 = 2;
const KILL: u32 = 5;
const SYS_PTRACE: u32 = 19;
const SYS_ADMIN: u32 = 21;
const SYSLOG: u32 = 34;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

/// The inode of the initial user namespace, the same on every kernel.
const INITIAL_USER_NAMESPACE: u64 = 0xefff_fffd;

/// What a run needs once it is attached: `bpf(2)` on maps and on `end` programs (old kernels
/// refuse it without `CAP_BPF`), addresses in `/proc/kallsyms`, memory maps and files of other
/// processes for the names of their functions, and a signal to a command that changed its user.
const RUNNING: Set = Set::of(&[BPF, SYSLOG, SYS_PTRACE, DAC_READ_SEARCH, KILL]);

/// Fails when this process may not load and attach programs: to be called before anything else,
/// whose failure would be harder to understand.
pub fn check() -> Result<()> {
    if is_privileged() { Ok(()) } else { Err(missing()) }
}

/// Whether this process may load and attach programs, as far as capabilities tell.
pub fn is_privileged() -> bool {
    let Ok(effective) = capabilities::effective() else { return true };
    lacks(effective).is_empty() && in_initial_namespace()
}

/// The error for a process that may not.
pub fn missing() -> Error {
    const NEED: &str = "tracing needs root, or the capabilities CAP_BPF and CAP_PERFMON";
    const OUTSIDE: &str = "run it outside of the container, as root";
    const HINT: &str = "run it with sudo; with those two alone, tracepoints also need CAP_SYS_ADMIN \
        (CAP_DAC_READ_SEARCH where tracefs is mounted), names of kernel functions CAP_SYSLOG, xdp CAP_NET_ADMIN";
    match lacks(capabilities::effective().unwrap_or_default()).as_slice() {
        [] => Error::new(format!("{NEED}, in the machine's own user namespace: this is another one"))
            .hint(OUTSIDE),
        [only] => Error::new(format!("{NEED}: this process lacks {only}")).hint(HINT),
        _ => Error::new(NEED).hint(HINT),
    }
}

/// Gives up, for good, every capability that a run does not need once it is attached. What was
/// started before keeps what it has.
pub fn give_up_unneeded() -> Result<()> {
    capabilities::keep_only(RUNNING)
        .map_err(|errno| Error::new(format!("cannot give up privileges: {errno}")))
}

/// The capabilities without which there is no tracing.
fn lacks(effective: Set) -> Vec<&'static str> {
    let has = |number| effective.contains(Set::of(&[number]));
    let needed = [(BPF, "CAP_BPF"), (PERFMON, "CAP_PERFMON")];
    needed.iter().filter(|it| !has(SYS_ADMIN) && !has(it.0)).map(|it| it.1).collect()
}

/// Root of another user namespace has all capabilities, but none that count for tracing.
fn in_initial_namespace() -> bool {
    fs::metadata("/proc/self/ns/user").map_or(true, |it| it.ino() == INITIAL_USER_NAMESPACE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking() {
        let cases: [(&[u32], &[&str]); 5] = [
            (&[], &["CAP_BPF", "CAP_PERFMON"]),
            (&[BPF], &["CAP_PERFMON"]),
            (&[PERFMON, KILL], &["CAP_BPF"]),
            (&[BPF, PERFMON], &[]),
            (&[SYS_ADMIN], &[]),
        ];
        for (held, expected) in cases {
            assert_eq!(lacks(Set::of(held)), expected, "{held:?}");
        }
    }
}
