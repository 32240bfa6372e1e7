//! What generated code may assume of the kernel that runs it.

use serde::{Deserialize, Serialize};

/// The kernel and machine to generate code for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The newest instruction set to use.
    pub isa: Isa,
    /// The kernel's version; helpers newer than this are diagnostics.
    pub kernel: KernelVersion,
    /// The machine, for register names in `pt_regs`.
    pub arch: Arch,
    /// The PID namespace that `pid` and `tid` are seen from; `None` for the initial one.
    pub pid_namespace: Option<Namespace>,
    /// Whether field offsets in the program are those of the kernel it will run on, so that
    /// CO-RE relocation can be skipped there. Identifies that kernel (`uname -r` and `-v`).
    pub built_for: Option<String>,
}

/// eBPF instruction sets (`clang -mcpu=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Isa {
    /// The first one.
    V1,
    /// Adds `<` and `<=` jumps.
    V2,
    /// Adds 32-bit jumps and ALU operations as first-class (Linux 5.1).
    V3,
    /// Adds signed division, sign-extending loads and moves, byte swaps, long jumps (Linux 6.6).
    V4,
}

/// A kernel version, such as 6.12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KernelVersion(pub u32, pub u32);

/// A machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arch {
    /// x86-64.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

/// A namespace, as `stat` of its `/proc/PID/ns` file gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
}

impl std::fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl Target {
    /// What any supported kernel runs: 5.15 and the v3 instruction set.
    pub fn portable() -> Self {
        Self::for_kernel(KernelVersion(5, 15))
    }

    /// The best code that a kernel of this version runs.
    pub fn for_kernel(kernel: KernelVersion) -> Self {
        let isa = if kernel >= KernelVersion(6, 6) { Isa::V4 } else { Isa::V3 };
        Target { isa, kernel, arch: Arch::X86_64, pid_namespace: None, built_for: None }
    }
}
