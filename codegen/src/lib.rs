//! The back end: a typed program in, an eBPF ELF object with its manifest out.
//!
//! ```text
//! hir::Program ─lower─► ir::Module ─opt─► ir::Module ─emit─► bpf::Module ─link─► Object
//! ```
//!
//! This crate is pure: it does no IO and never asks the running kernel; what it must know of
//! a kernel comes in as [`Target`].

pub mod bpf;
pub mod emit;
pub mod failure;
pub mod helpers;
pub mod ir;
pub mod link;
pub mod lower;
pub mod manifest;
pub mod opt;
pub mod storage;
pub mod target;
pub mod visit;

pub use manifest::Manifest;
pub use target::Target;

use lang::Diagnostic;
use lang::hir;

/// A finished program: a relocatable eBPF ELF object and what the runtime must know to run it.
#[derive(Clone, Debug)]
pub struct Object {
    /// The ELF file, manifest included (section `.kscope`).
    pub elf: Vec<u8>,
    /// The manifest, decoded.
    pub manifest: Manifest,
}

/// The whole back end: the list of its stages.
///
/// Diagnostics here are about what the target cannot have, or what does not fit a limit of eBPF.
pub fn compile(program: &hir::Program, target: &Target) -> Result<Object, Vec<Diagnostic>> {
    let module = lower::lower(program, target)?;
    let module = opt::optimize(module, target);
    let code = emit::emit(&module, target)?;
    link::link(&code, program, target)
}
