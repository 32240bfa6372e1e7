//! The real kernel: the only place that names aya and does system calls.

pub mod btf;
pub mod host;
pub mod tracefs;

pub use host::LinuxHost;

/// Drives the running kernel.
pub struct LinuxBackend {}
