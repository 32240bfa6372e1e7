//! What generated code may assume of the running kernel.

use codegen::Target;
use codegen::target::{Arch, KernelVersion, Namespace};
use std::ffi::CStr;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// The inode of the initial PID namespace, the same on every kernel.
const INITIAL_PID_NAMESPACE: u64 = 0xefff_fffc;

/// What `uname` says of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// `uname -r`: `6.12.117+deb13-cloud-amd64`.
    pub release: String,
    /// `uname -v`: `#1 SMP PREEMPT_DYNAMIC Debian 6.12.117-1 (2026-11-12)`.
    pub build: String,
    /// `uname -m`: `x86_64`.
    pub machine: String,
}

/// The best code for the running kernel.
pub fn host_target() -> Target {
    let kernel = Kernel::running();
    let arch = if kernel.machine == "aarch64" { Arch::Aarch64 } else { Arch::X86_64 };
    let best = kernel.version().map_or_else(Target::portable, Target::for_kernel);
    Target { arch, pid_namespace: pid_namespace(), built_for: Some(kernel.identity()), ..best }
}

impl Kernel {
    /// The running kernel.
    pub fn running() -> Kernel {
        // SAFETY: all zeroes is a value of `utsname`, a struct of character arrays.
        let mut name: libc::utsname = unsafe { std::mem::zeroed() };
        // SAFETY: `name` is writable for the call.
        unsafe { libc::uname(&mut name) };
        // SAFETY: the kernel ends each text with NUL within its array, and all zeroes do too.
        let text =
            |it: &[libc::c_char]| unsafe { CStr::from_ptr(it.as_ptr()) }.to_string_lossy().into_owned();
        Kernel { release: text(&name.release), build: text(&name.version), machine: text(&name.machine) }
    }

    /// What tells this kernel from every other one.
    pub fn identity(&self) -> String {
        format!("{} {}", self.release, self.build)
    }

    /// The first two numbers of the release.
    pub fn version(&self) -> Option<KernelVersion> {
        let mut numbers = self.release.split(|it: char| !it.is_ascii_digit());
        Some(KernelVersion(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

/// The PID namespace of this process, unless it is the initial one.
fn pid_namespace() -> Option<Namespace> {
    let found = fs::metadata("/proc/self/ns/pid").ok()?;
    (found.ino() != INITIAL_PID_NAMESPACE).then(|| Namespace { dev: found.dev(), ino: found.ino() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions() {
        for (release, expected) in [
            ("6.12.117+deb13-cloud-amd64", Some(KernelVersion(6, 12))),
            ("7.2", Some(KernelVersion(7, 2))),
            ("6.18-rc1", Some(KernelVersion(6, 18))),
            ("5.10.16.3-microsoft-standard-WSL2", Some(KernelVersion(5, 10))),
            ("generic", None),
        ] {
            let kernel = Kernel { release: release.to_owned(), build: String::new(), machine: String::new() };
            assert_eq!(kernel.version(), expected, "{release}");
        }
    }
}
