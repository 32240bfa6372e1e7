//! Test machinery: a user-space eBPF machine, a fixture kernel, and the runners of case files.

pub mod cases;
pub mod differential;
pub mod fixture;
pub mod fuzz;
pub mod machine;
