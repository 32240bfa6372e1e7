//! The real kernel: the only place that names aya and does system calls.

pub mod host;

pub use host::LinuxHost;

/// Drives the running kernel.
pub struct LinuxBackend {}
