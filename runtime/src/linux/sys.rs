//! System calls: bpf(2), perf_event_open(2), mmap(2) and the few others that tracing needs.
//!
//! Comes in: plain numbers, slices and descriptors. Goes out: owned descriptors, or an
//! [`Errno`] that names the call. Nothing here decides anything.

pub mod bpf;
pub mod capabilities;
pub mod memory;
pub mod perf;
pub mod process;

use std::fmt;
use std::os::fd::{FromRawFd, OwnedFd};

/// A system call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno {
    /// The call, as the manual names it.
    pub call: &'static str,
    /// `errno`
    pub code: i32,
}

/// The result of a system call.
pub type SysResult<T> = Result<T, Errno>;

impl Errno {
    /// What the last call of this thread left behind.
    pub fn last(call: &'static str) -> Self {
        Errno { call, code: std::io::Error::last_os_error().raw_os_error().unwrap_or(0) }
    }

    /// Whether the kernel said "not allowed".
    pub fn is_permission(&self) -> bool {
        matches!(self.code, libc::EPERM | libc::EACCES)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = std::io::Error::from_raw_os_error(self.code).to_string();
        let text = text.split(" (os error").next().unwrap_or_default();
        match name(self.code) {
            Some(name) => write!(f, "{}: {text} ({name})", self.call),
            None => write!(f, "{}: {text} (errno {})", self.call, self.code),
        }
    }
}

impl std::error::Error for Errno {}

/// The symbolic names of the errors that these calls give.
fn name(code: i32) -> Option<&'static str> {
    macro_rules! names {
        ($($name:ident)+) => {
            match code { $(libc::$name => Some(stringify!($name)),)+ _ => None }
        };
    }
    names!(
        EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT EBUSY EEXIST ENODEV
        ENOTDIR EINVAL EMFILE ENFILE ENOSPC ERANGE ENOSYS EOVERFLOW EILSEQ EOPNOTSUPP EADDRNOTAVAIL
    )
}

/// Takes over the descriptor that a call gave.
fn owned(call: &'static str, res: libc::c_long) -> SysResult<OwnedFd> {
    if res < 0 {
        return Err(Errno::last(call));
    }
    // SAFETY: the kernel just made this descriptor for us; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(res as i32) })
}

/// The result of a call that gives a number, or nothing of interest.
fn checked(call: &'static str, res: libc::c_long) -> SysResult<u64> {
    if res < 0 { Err(Errno::last(call)) } else { Ok(res as u64) }
}

/// The size of a memory page.
pub fn page_size() -> usize {
    // SAFETY: sysconf has no preconditions.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// Physical memory in bytes; 0 if unknown.
pub fn physical_memory() -> u64 {
    // SAFETY: sysconf has no preconditions.
    let pages = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) };
    u64::try_from(pages).unwrap_or(0) * page_size() as u64
}

/// Allows this process to lock any amount of memory; false if that is not possible or changes
/// nothing.
pub fn lift_locked_memory_limit() -> bool {
    let unlimited = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    let mut now = unlimited;
    // SAFETY: both structs are live for the calls.
    unsafe {
        libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut now) == 0
            && now.rlim_cur != libc::RLIM_INFINITY
            && libc::setrlimit(libc::RLIMIT_MEMLOCK, &unlimited) == 0
    }
}

/// The index of a network interface of this network namespace.
pub fn interface_index(name: &std::ffi::CStr) -> SysResult<u32> {
    // SAFETY: the name is NUL-terminated.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(Errno::last("if_nametoindex")),
        index => Ok(index),
    }
}

/// `uname -r` and `uname -v` joined by a space: which kernel this is.
pub fn kernel_identity() -> String {
    // SAFETY: all-zero bytes are a valid utsname.
    let mut name: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: uname writes into the struct that it is given.
    if unsafe { libc::uname(&mut name) } < 0 {
        return String::new();
    }
    format!("{} {}", text(&name.release), text(&name.version))
}

fn text(field: &[libc::c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|&c| c as u8).take_while(|&b| b != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_named() {
        let refused = Errno { call: "BPF_PROG_LOAD", code: libc::EPERM };
        assert_eq!(refused.to_string(), "BPF_PROG_LOAD: Operation not permitted (EPERM)");
    }
}
