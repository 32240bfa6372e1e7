//! What generated code may assume of the running kernel.

use super::sys::kernel_identity;
use codegen::Target;
use codegen::target::{Arch, KernelVersion, Namespace};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// The inode of the initial PID namespace, the same on every kernel.
const INITIAL_PID_NAMESPACE: u64 = 0xefff_fffc;

/// The best code for the running kernel.
pub fn host_target() -> Target {
    let identity = kernel_identity();
    let arch = if cfg!(target_arch = "aarch64") { Arch::Aarch64 } else { Arch::X86_64 };
    let best = version(&identity).map_or_else(Target::portable, Target::for_kernel);
    Target { arch, pid_namespace: pid_namespace(), built_for: Some(identity), ..best }
}

/// The first two numbers of a kernel's release or identity.
pub fn version(release: &str) -> Option<KernelVersion> {
    let mut numbers = release.split(|it: char| !it.is_ascii_digit());
    Some(KernelVersion(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// All three numbers of a kernel's release; the last may be missing.
pub fn full_version(release: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = release.split(|it: char| !it.is_ascii_digit()).map(str::parse);
    let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some((major, minor, numbers.next().and_then(Result::ok).unwrap_or(0)))
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
            assert_eq!(version(release), expected, "{release}");
        }
    }
}
