//! Answers the front end's questions from BTF, tracefs and symbol tables.

/// The running kernel, as the front end may ask it. Nothing is read before it is needed.
pub struct LinuxHost {}
