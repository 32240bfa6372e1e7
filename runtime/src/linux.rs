//! The real kernel: the only place that names aya and does system calls.

pub mod btf;
pub mod executables;
pub mod functions;
pub mod glob;
pub mod host;
pub mod interfaces;
pub mod kallsyms;
pub mod list;
pub mod target;
pub mod tracefs;

pub use host::LinuxHost;
pub use target::host_target;

/// Drives the running kernel.
pub struct LinuxBackend {}
