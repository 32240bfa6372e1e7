//! Code to object: ELF sections and symbols, BTF, line info, CO-RE records, the manifest.

use crate::{Object, Target, bpf};
use lang::hir;

/// Links an object. Same program and same target give the same bytes.
pub fn link(code: &bpf::Module, program: &hir::Program, target: &Target) -> Object {
    let _ = (code, program, target);
    todo!("link helper")
}

/// Reads an object file that [`link`] wrote. `Err` says what is wrong with it.
pub fn read(elf: Vec<u8>) -> Result<Object, String> {
    let _ = elf;
    todo!("link helper")
}
