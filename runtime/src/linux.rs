//! The real kernel: the only place that names aya and does system calls.

pub mod clock;
pub mod host;

pub use clock::SystemClock;
pub use host::LinuxHost;

/// Drives the running kernel.
pub struct LinuxBackend {}
