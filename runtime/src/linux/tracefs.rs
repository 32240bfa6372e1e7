//! The kernel's tracing file system: event ids, `format` files, what exists.
//!
//! Comes in: names of categories and events. Goes out: the files' text and lists of names. The
//! file system is reached through a private handle where it is not mounted, so the mount table
//! is never touched; nothing here writes to it.

use super::reason;
use crate::backend::{Error, Result};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// `f_type` of tracefs, from `linux/magic.h`.
const TRACEFS_MAGIC: i64 = 0x7472_6163;

/// What to type where no handle can be had.
const MOUNT_HINT: &str = "run as root: mount -t tracefs nodev /sys/kernel/tracing";

/// An open tracing file system.
#[derive(Debug)]
pub struct Tracefs {
    root: OwnedFd,
}

impl Tracefs {
    /// The mounted file system, else a private handle (Linux 5.2), else debugfs' copy.
    pub fn open() -> Result<Tracefs> {
        if let Some(mounted) = Self::mounted("/sys/kernel/tracing") {
            return Ok(mounted);
        }
        // Private before debugfs: to look below /sys/kernel/debug/tracing would mount tracefs there.
        let refused = match private_mount(c"tracefs") {
            Ok(root) => return Self { root }.checked(),
            Err(error) => error,
        };
        if let Some(mounted) = Self::mounted("/sys/kernel/debug/tracing") {
            return Ok(mounted);
        }
        Err(unreachable(&refused))
    }

    /// A directory that looks like tracefs, such as a test's.
    pub fn at(path: &Path) -> io::Result<Tracefs> {
        Ok(Self { root: OwnedFd::from(File::open(path)?) })
    }

    fn mounted(path: &str) -> Option<Tracefs> {
        let found = Self::at(Path::new(path)).ok()?;
        // SAFETY: all zeroes is a value of `statfs`, a struct of integers.
        let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is open and `stat` is writable for the call.
        let res = unsafe { libc::fstatfs(found.root.as_raw_fd(), &mut stat) };
        let is_tracefs = res == 0 && stat.f_type == TRACEFS_MAGIC;
        (is_tracefs && found.exists("events")).then_some(found)
    }

    /// A kernel locked down for confidentiality mounts tracefs, but leaves it empty.
    fn checked(self) -> Result<Tracefs> {
        if self.exists("events") {
            return Ok(self);
        }
        Err(Error::new("tracefs is empty: the kernel is locked down (lockdown=confidentiality)")
            .hint("boot without lockdown=confidentiality to trace"))
    }

    /// The numeric id of a tracepoint, for `perf_event_open`.
    pub fn event_id(&self, category: &str, event: &str) -> io::Result<u64> {
        let text = self.read(&event_path(category, event, "id")?)?;
        text.trim().parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "an event id is a number"))
    }

    /// The text of a tracepoint's `format` file.
    pub fn format(&self, category: &str, event: &str) -> io::Result<String> {
        self.read(&event_path(category, event, "format")?)
    }

    /// Whether there is such a tracepoint.
    pub fn has_event(&self, category: &str, event: &str) -> bool {
        event_path(category, event, "id").is_ok_and(|path| self.exists(&path))
    }

    /// Whether there is such a category.
    pub fn has_category(&self, category: &str) -> bool {
        is_name(category) && self.exists(&format!("events/{category}"))
    }

    /// The categories of tracepoints, sorted. `ftrace` is left out: its entries describe records
    /// of other tracers and cannot be attached to.
    pub fn categories(&self) -> io::Result<Vec<String>> {
        let mut names = self.directories("events")?;
        names.retain(|it| it != "ftrace");
        Ok(names)
    }

    /// The events of a category, sorted.
    pub fn events(&self, category: &str) -> io::Result<Vec<String>> {
        if !is_name(category) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.directories(&format!("events/{category}"))
    }

    /// The functions that the function tracer can patch, one per line, `NAME` or `NAME [MODULE]`.
    pub fn traceable_functions(&self) -> io::Result<String> {
        self.read("available_filter_functions")
    }

    fn read(&self, path: &str) -> io::Result<String> {
        let mut bytes = Vec::new();
        File::from(self.open_at(path, libc::O_RDONLY)?).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn exists(&self, path: &str) -> bool {
        let Ok(path) = CString::new(path) else { return false };
        // SAFETY: the path is NUL-terminated and the descriptor open.
        unsafe { libc::faccessat(self.root.as_raw_fd(), path.as_ptr(), libc::F_OK, 0) == 0 }
    }

    fn open_at(&self, path: &str, flags: libc::c_int) -> io::Result<OwnedFd> {
        let path = CString::new(path)?;
        // SAFETY: the path is NUL-terminated and the descriptor open.
        owned(unsafe { libc::openat(self.root.as_raw_fd(), path.as_ptr(), flags | libc::O_CLOEXEC) })
    }

    fn directories(&self, path: &str) -> io::Result<Vec<String>> {
        let dir = self.open_at(path, libc::O_RDONLY | libc::O_DIRECTORY)?;
        let mut names = Vec::new();
        let mut buffer = vec![0u8; 32 * 1024];
        loop {
            // SAFETY: the kernel writes at most `buffer.len()` bytes into the buffer.
            let filled = unsafe {
                libc::syscall(libc::SYS_getdents64, dir.as_raw_fd(), buffer.as_mut_ptr(), buffer.len())
            };
            match filled {
                0 => break,
                n if n < 0 => return Err(io::Error::last_os_error()),
                n => push_directories(&buffer[..n as usize], &mut names),
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// Takes the names of directories from `struct linux_dirent64` records: u64 inode, u64 offset,
/// u16 record length, u8 type, then the NUL-terminated name.
fn push_directories(mut records: &[u8], names: &mut Vec<String>) {
    const NAME: usize = 19;
    while let Some(&[low, high, kind]) = records.get(16..NAME) {
        let len = usize::from(u16::from_le_bytes([low, high]));
        let Some(name) = records.get(NAME..len) else { break };
        let name = CStr::from_bytes_until_nul(name).unwrap_or_default().to_string_lossy();
        if kind == libc::DT_DIR && !name.starts_with('.') {
            names.push(name.into_owned());
        }
        records = &records[len..];
    }
}

/// The path of an event's file, where the names are names and not paths of their own.
fn event_path(category: &str, event: &str, file: &str) -> io::Result<String> {
    if is_name(category) && is_name(event) {
        Ok(format!("events/{category}/{event}/{file}"))
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains('/')
}

/// Says why there is no handle, after the private mount was refused.
fn unreachable(refused: &io::Error) -> Error {
    let denied = |path| File::open(path).is_err_and(|it| it.kind() == io::ErrorKind::PermissionDenied);
    match refused.raw_os_error() {
        Some(libc::ENODEV) => Error::new("this kernel has no tracepoints (CONFIG_TRACING is not set)"),
        Some(libc::EPERM | libc::EACCES) if denied("/sys/kernel/tracing") => {
            Error::new("/sys/kernel/tracing may not be read by this user").hint("run as root")
        }
        Some(libc::EPERM | libc::EACCES) => {
            Error::new("tracefs is not mounted, and to reach it without a mount needs CAP_SYS_ADMIN")
                .hint(MOUNT_HINT)
        }
        _ => Error::new(format!(
            "tracefs is not mounted, and cannot be reached without a mount: {}",
            reason::of(refused)
        ))
        .hint(MOUNT_HINT),
    }
}

/// A mount of a kernel file system that is in no mount table and ends with the descriptor.
pub fn private_mount(name: &CStr) -> io::Result<OwnedFd> {
    const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
    const CLOEXEC: libc::c_uint = 1;
    // SAFETY: the name is NUL-terminated; the call takes no other memory.
    let fs = owned(unsafe { libc::syscall(libc::SYS_fsopen, name.as_ptr(), CLOEXEC) } as i32)?;
    let null = std::ptr::null::<libc::c_char>();
    // SAFETY: this command takes no key and no value.
    let res =
        unsafe { libc::syscall(libc::SYS_fsconfig, fs.as_raw_fd(), FSCONFIG_CMD_CREATE, null, null, 0) };
    if res != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call takes a descriptor and flags only.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, fs.as_raw_fd(), CLOEXEC, 0) } as i32)
}

fn owned(fd: i32) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just handed out this descriptor, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A directory that looks like tracefs and is removed at the end.
    pub(crate) struct Fixture(pub PathBuf);

    impl Fixture {
        pub(crate) fn new(name: &str) -> Fixture {
            // Tests of one process run side by side, and two may choose the same name.
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let root = std::env::temp_dir().join(format!("kscope-{name}-{}-{number}", std::process::id()));
            for (event, id) in
                [("sched/sched_switch", 314), ("sched/sched_wakeup", 317), ("block/block_bio", 9)]
            {
                let dir = root.join("events").join(event);
                fs::create_dir_all(&dir).unwrap();
                fs::write(dir.join("id"), format!("{id}\n")).unwrap();
                fs::write(dir.join("format"), format!("name: {event}\n")).unwrap();
            }
            fs::create_dir_all(root.join("events/ftrace/function")).unwrap();
            fs::write(root.join("events/sched/enable"), "0\n").unwrap();
            Fixture(root)
        }
    }

    impl Drop for Fixture {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn lists_and_reads_events() {
        let fixture = Fixture::new("tracefs");
        let tracefs = Tracefs::at(&fixture.0).unwrap();
        assert_eq!(tracefs.categories().unwrap(), ["block", "sched"]);
        assert_eq!(tracefs.events("sched").unwrap(), ["sched_switch", "sched_wakeup"]);
        assert_eq!(tracefs.event_id("sched", "sched_wakeup").unwrap(), 317);
        assert_eq!(tracefs.format("block", "block_bio").unwrap(), "name: block/block_bio\n");
        assert!(tracefs.has_event("sched", "sched_switch"));
        for (category, event) in
            [("sched", "nope"), ("..", "events"), ("", "x"), ("sched/..", "sched"), ("sched", "enable")]
        {
            assert!(!tracefs.has_event(category, event), "{category}:{event}");
            assert!(tracefs.event_id(category, event).is_err(), "{category}:{event}");
        }
    }
}
