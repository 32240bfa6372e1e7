//! Code to object: ELF sections and symbols, BTF, line info, CO-RE records, the manifest.
//!
//! ```text
//! bpf::Function ─code─► bytes ─layout─► sections ─┬─ btf, core, data ─► .BTF ─┐
//!                                                 ├─ ext, dwarf ─► lines ─────┼─elf─► file
//!                                                 └─ manifest ─► .kscope ─────┘
//! ```
//!
//! What comes in holds names; what goes out is resolved as far as a file can be, and the rest is
//! relocations that any loader of eBPF objects knows. Nothing here depends on the machine.

mod btf;
mod checksum;
mod code;
mod core;
mod data;
mod dwarf;
mod elf;
mod ext;
mod layout;
mod lines;
mod manifest;

use crate::{Object, Target, bpf, lower, storage};
use lang::{Diagnostic, hir};
use object::read::elf::{ElfFile64, FileHeader};
use object::{LittleEndian, Object as _, ObjectSection as _};
use std::ops::Range;

/// Links an object. Same program and same target give the same bytes.
///
/// A diagnostic is about a jump that is too long for the target.
pub fn link(
    module: &bpf::Module,
    program: &hir::Program,
    target: &Target,
) -> Result<Object, Vec<Diagnostic>> {
    let codes = module.functions.iter().map(|it| code::encode(it, &module.accesses, target));
    let codes = codes.collect::<Result<Vec<_>, _>>().map_err(|it| vec![it])?;
    let layout = layout::Layout::new(module, codes, program);
    let plan = storage::plan(program, target);
    let data = data::Data::new(module, &plan);
    let lines = lines::Lines::new(&program.sources);
    let manifest = manifest::build(module, &layout, &plan, program, target);

    let mut btf = btf::Btf::new();
    data.encode(module, &mut btf);
    let functions = functions(module, program, &mut btf);
    let relocations = core::encode(&module.accesses, &program.types, &mut btf);
    let btf_ext = ext::encode(&layout, &functions, &relocations, &lines, &mut btf);

    let mut elf = elf::write(elf::Parts {
        module,
        layout: &layout,
        data: &data,
        license: &program.config.license,
        btf: btf.finish(),
        btf_ext,
        dwarf: dwarf::encode(&layout, &lines),
        manifest: [manifest::encode(&manifest), vec![0; checksum::SIZE]].concat(),
    });
    let section = ElfFile64::<LittleEndian>::parse(&*elf).ok().and_then(|it| manifest_range(&it));
    let (_, sum) = section.expect("the file was written with a manifest");
    checksum::seal(&mut elf, sum);
    Ok(Object { elf, manifest })
}

/// Where in the file the manifest is, and the checksum behind it.
fn manifest_range(file: &ElfFile64<LittleEndian>) -> Option<(Range<usize>, Range<usize>)> {
    let (start, size) = file.section_by_name(elf::MANIFEST_SECTION)?.file_range()?;
    let start = usize::try_from(start).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    let behind = end.checked_sub(checksum::SIZE).filter(|it| *it >= start)?;
    Some((start..behind, behind..end))
}

/// Describes the functions: programs take a context, subprograms what their callers give them.
fn functions(module: &bpf::Module, program: &hir::Program, btf: &mut btf::Btf) -> Vec<btf::TypeId> {
    let int = core::int(btf, lang::ty::IntTy::new(4, true));
    let long = core::int(btf, lang::ty::IntTy::new(8, true));
    let pointer = btf.pointer(btf::TypeId::VOID);
    let describe = |it: &bpf::Function| match it.probe {
        Some(_) => btf.function(&it.name, btf::Linkage::Global, &[("ctx", pointer)], int),
        None => {
            let names = parameter_names(it, program);
            let ty = |name: &str| if name == lower::FRAME { pointer } else { long };
            let params: Vec<_> = names.iter().map(|name| (name.as_str(), ty(name))).collect();
            btf.function(&it.name, btf::Linkage::Static, &params, long)
        }
    };
    module.functions.iter().map(describe).collect()
}

/// What the registers hold that a subprogram is given: names of the script where it has any.
fn parameter_names(function: &bpf::Function, program: &hir::Program) -> Vec<String> {
    let of_script = program.functions.iter().find(|it| lower::symbol(it) == function.name);
    let mut names = of_script.map_or(Vec::new(), lower::register_names);
    names.extend((names.len()..function.arity).map(|idx| format!("arg{idx}")));
    names.truncate(function.arity);
    names
}

/// Reads an object file that [`link`] wrote. `Err` says what is wrong with it.
pub fn read(elf: Vec<u8>) -> Result<Object, String> {
    let file =
        ElfFile64::<LittleEndian>::parse(&*elf).map_err(|_| "it is not a 64-bit ELF file".to_owned())?;
    if file.elf_header().e_machine(LittleEndian) != object::elf::EM_BPF {
        return Err("it is not an eBPF object: it has code for another machine".to_owned());
    }
    if file.section_by_name(elf::MANIFEST_SECTION).is_none() {
        let section = elf::MANIFEST_SECTION;
        return Err(format!("it is an eBPF object, but not built by kscope: it has no section {section}"));
    }
    let cut_off = || format!("its section {} is cut off", elf::MANIFEST_SECTION);
    let (json, sum) = manifest_range(&file).ok_or_else(cut_off)?;
    let json = elf.get(json).ok_or_else(cut_off)?;
    // Another version may have another checksum.
    manifest::check_version(json)?;
    if !checksum::is_right(&elf, sum) {
        return Err("it is damaged: it was changed after it was built".to_owned());
    }
    let manifest = manifest::decode(json)?;
    Ok(Object { elf, manifest })
}
