//! Objects are what loaders expect: aya-obj parses and relocates them, and the manifest can be
//! read back out of them.

mod object {
    pub mod sample;
}

use aya_obj::Object as Elf;
use aya_obj::btf::Btf;
use aya_obj::generated::bpf_insn;
use aya_obj::obj::ProgramSection;
use codegen::link::read;
use codegen::target::KernelVersion;
use codegen::{Object, Target};
use object::sample;
use std::collections::HashSet;

/// As the file descriptor of every map.
const MAP_FD: i32 = 77;

fn linked(shift: u32) -> Object {
    sample::object(&Target::portable(), shift)
}

fn parsed(object: &Object) -> Elf {
    Elf::parse(&object.elf).expect("aya-obj takes the object")
}

/// The code of a program, subprograms behind it.
fn code(elf: &Elf, symbol: &str) -> Vec<bpf_insn> {
    elf.functions[&elf.programs[symbol].function_key()].instructions.clone()
}

/// The types of an object, as if they were a kernel's.
fn types(object: &Object) -> Btf {
    let at = |offset: usize| {
        u32::from_le_bytes(object.elf[offset..][..4].try_into().expect("four bytes")) as usize
    };
    let magic = [0x9f, 0xeb, 1, 0, 24, 0, 0, 0];
    let start = object.elf.windows(8).position(|it| it == magic).expect("there is a .BTF section");
    let end = start + 24 + at(start + 16) + at(start + 20);
    Btf::parse(&object.elf[start..end], Default::default()).expect("the types can be decoded")
}

#[test]
fn the_same_program_gives_the_same_bytes() {
    assert_eq!(linked(0).elf, linked(0).elf);
    let other = sample::object(&Target::for_kernel(KernelVersion(6, 12)), 0);
    assert_ne!(linked(0).elf, other.elf, "the manifest names the target");
}

#[test]
fn programs_have_their_types_and_share_sections() {
    let elf = parsed(&linked(0));
    let section = |symbol: &str| &elf.programs[symbol].section;
    assert!(matches!(section("probe0"), ProgramSection::RawTracePoint));
    assert!(matches!(section("probe1"), ProgramSection::TracePoint));
    assert!(matches!(section("probe2"), ProgramSection::RawTracePoint));
    assert_eq!(elf.programs["probe0"].section_index, elf.programs["probe2"].section_index);
    assert_eq!(elf.license.to_bytes(), b"GPL");
}

#[test]
fn maps_are_as_planned() {
    let elf = parsed(&linked(0));
    let facts = |name: &str| {
        let map = &elf.maps[name];
        (map.map_type(), map.key_size(), map.value_size(), map.max_entries())
    };
    assert_eq!(facts("m1_opens"), (5, 4, 8, 4096));
    assert_eq!(facts(".rodata"), (2, 4, 8, 1));
    assert_eq!(facts(".bss"), (2, 4, linked(0).manifest.globals.bss_size, 1));
}

#[test]
fn names_are_resolved() {
    const MAP: u8 = 1;
    const MAP_VALUE: u8 = 2;
    const FUNCTION: u8 = 4;
    let mut elf = parsed(&linked(0));
    let sections: HashSet<usize> = elf.functions.keys().map(|&(section, _)| section).collect();
    let maps = elf.maps.clone();
    elf.relocate_maps(maps.iter().map(|(name, map)| (name.as_str(), MAP_FD, map)), &sections).expect("maps");
    elf.relocate_calls(&sections).expect("calls");

    let code = code(&elf, "probe1");
    let wide: Vec<(u8, bool)> =
        code.iter().filter(|it| it.code == 0x18).map(|it| (it.src_reg(), it.imm == MAP_FD)).collect();
    assert_eq!(wide, [(MAP, true), (MAP_VALUE, true), (FUNCTION, false), (MAP_VALUE, true)]);
    let call =
        code.iter().position(|it| it.code == 0x85 && it.src_reg() == 1).expect("it calls a subprogram");
    let callee = call + 1 + code[call].imm as usize;
    assert_eq!(callee, code.len() - 5, "the subprogram is appended");
    let address = code.iter().position(|it| it.src_reg() == FUNCTION).expect("it passes the subprogram on");
    assert_eq!(address + 1 + code[address].imm as usize, callee);
}

#[test]
fn offsets_follow_another_kernel() {
    let (here, there) = (linked(0), linked(8));
    let mut elf = parsed(&here);
    let offsets = |elf: &Elf| -> Vec<i32> {
        let code = code(elf, "probe1");
        let behind_call = code.windows(2).filter(|it| it[0].code == 0x85 && it[0].imm == 35);
        behind_call.map(|it| it[1].imm).collect()
    };
    assert_eq!(offsets(&elf), sample::offsets(0));
    elf.relocate_btf(&types(&here)).expect("its own types fit");
    assert_eq!(offsets(&elf), sample::offsets(0));
    elf.relocate_btf(&types(&there)).expect("the other kernel's types fit");
    // The last access begins at a struct without a name and stays as it is.
    let mut expected = sample::offsets(8);
    expected[7] = 0;
    assert_eq!(offsets(&elf), expected);
}

#[test]
fn lines_lead_to_the_script() {
    let object = linked(0);
    let sources = &object.manifest.sources;
    let lines = |idx: usize| -> Vec<(u32, &str)> {
        object.manifest.programs[idx].lines.iter().map(|&(slot, span)| (slot, sources.text(span))).collect()
    };
    assert_eq!(lines(0), [(0, "tracepoint")]);
    let of_opens = [(0, "@opens[pid] = count()"), (14, "@n++"), (21, "@opens[pid]"), (77, "tracepoint")];
    assert_eq!(lines(1), of_opens);
    let holds = |bytes: &[u8]| object.elf.windows(bytes.len()).any(|it| it == bytes);
    assert!(holds("\0// opens, by process \u{2014} a sample\nbegin".as_bytes()), "whole, for llvm-objdump");
    assert!(holds(b"\0@opens[pid] = count();\0"), "line by line, for the kernel");
}

#[test]
fn objects_are_read_back() {
    let object = linked(0);
    assert_eq!(read(object.elf.clone()).expect("it was just made").manifest, object.manifest);

    let replaced = |from: &[u8], to: &[u8]| {
        let mut elf = object.elf.clone();
        let at = elf.windows(from.len()).position(|it| it == from).expect("it is in the file");
        elf[at..][..to.len()].copy_from_slice(to);
        elf
    };
    let cases = [
        (b"begin { exit() }".to_vec(), "it is not a 64-bit ELF file"),
        (object.elf[..100].to_vec(), "it is not a 64-bit ELF file"),
        (
            replaced(&[1, 0, 247, 0], &[1, 0, 62, 0]),
            "it is not an eBPF object: it has code for another machine",
        ),
        (
            replaced(b".kscope\0", b".mscope\0"),
            "it is an eBPF object, but not built by kscope: it has no section .kscope",
        ),
        (
            replaced(b"{\"version\":3,", b"{\"version\":9,"),
            "it was built by another version of kscope: its manifest has format 9, this kscope reads format 3",
        ),
        (replaced(b"GPL\0", b"MIT\0"), "it is damaged: it was changed after it was built"),
    ];
    for (elf, expected) in cases {
        assert_eq!(read(elf).expect_err(expected), expected);
    }
}

#[test]
fn no_damage_goes_unnoticed() {
    let whole = linked(0).elf;
    // A prime, so that all kinds of places are hit.
    for at in (0..whole.len()).step_by(7) {
        let mut elf = whole.clone();
        elf[at] ^= 0x41;
        assert!(read(elf).is_err(), "byte {at}");
    }
    for length in (0..whole.len()).step_by(97) {
        assert!(read(whole[..length].to_vec()).is_err(), "{length} bytes");
    }
}
