//! The ELF file: sections, symbols and relocations around bytes that others made.
//!
//! Two loaders set the rules, libbpf and aya-obj. Programs are global function symbols,
//! subprograms are local ones in `.text`; a map is named by its symbol in `.maps`, a byte of
//! global data by its section's symbol and the offset in the instruction.

use super::code::SLOT;
use super::data::{Data, Part};
use super::dwarf::Dwarf;
use super::layout::{Layout, Placed};
use crate::bpf::{Module, Reloc};
use crate::ir::{Func, Map};
use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags};
use object::{SymbolKind, SymbolScope, elf};

/// The section that holds the manifest.
pub const MANIFEST_SECTION: &str = ".kscope";

/// Relocation of a 64-bit address in data (`Documentation/bpf/llvm_reloc.rst`).
const R_BPF_64_ABS64: u32 = 2;

/// All parts of an object.
pub struct Parts<'a> {
    /// The code and its names.
    pub module: &'a Module,
    /// Where the functions are.
    pub layout: &'a Layout,
    /// Where the maps and the data are.
    pub data: &'a Data,
    /// `license`
    pub license: &'a str,
    /// `.BTF`
    pub btf: Vec<u8>,
    /// `.BTF.ext`
    pub btf_ext: Vec<u8>,
    /// `.debug_*`
    pub dwarf: Dwarf,
    /// `.kscope`
    pub manifest: Vec<u8>,
}

/// Writes the file.
pub fn write(parts: Parts) -> Vec<u8> {
    let object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let mut writer = Writer { object, functions: Vec::new(), maps: Vec::new() };
    let written = writer.add(parts).and_then(|()| writer.object.write());
    written.expect("eBPF has all of these sections, symbols and relocations")
}

struct Writer {
    object: Object<'static>,
    /// Symbols by [`Func`].
    functions: Vec<Option<SymbolId>>,
    /// Symbols by [`Map`]; for global data those of the sections.
    maps: Vec<Option<SymbolId>>,
}

impl Writer {
    fn add(&mut self, parts: Parts) -> object::write::Result<()> {
        self.functions = vec![None; parts.module.functions.len()];
        self.maps = vec![None; parts.module.maps.len()];
        let texts: Vec<SectionId> =
            parts.layout.texts.iter().map(|it| self.section(&it.name, SectionKind::Text)).collect();
        for (section, text) in texts.iter().zip(&parts.layout.texts) {
            for placed in &text.functions {
                self.function(*section, placed, parts.module);
            }
        }
        self.data(&parts);
        for (section, text) in texts.iter().zip(&parts.layout.texts) {
            for placed in &text.functions {
                self.resolve(*section, placed)?;
            }
        }
        self.bytes("license", SectionKind::Data, 1, [parts.license.as_bytes(), b"\0"].concat());
        self.bytes(".BTF", SectionKind::Metadata, 4, parts.btf);
        self.bytes(".BTF.ext", SectionKind::Metadata, 4, parts.btf_ext);
        self.dwarf(parts.dwarf)?;
        self.bytes(MANIFEST_SECTION, SectionKind::Metadata, 1, parts.manifest);
        Ok(())
    }

    fn section(&mut self, name: &str, kind: SectionKind) -> SectionId {
        self.object.add_section(Vec::new(), name.as_bytes().to_vec(), kind)
    }

    fn bytes(&mut self, name: &str, kind: SectionKind, align: u64, bytes: Vec<u8>) -> SectionId {
        let section = self.section(name, kind);
        self.object.set_section_data(section, bytes, align);
        section
    }

    fn function(&mut self, section: SectionId, placed: &Placed, module: &Module) {
        self.object.append_section_data(section, &placed.code.bytes, 8);
        let function = &module.functions[placed.function.index()];
        // A global subprogram would be verified on its own and could not be given pointers.
        let scope = if function.probe.is_some() { SymbolScope::Dynamic } else { SymbolScope::Compilation };
        let size = placed.code.bytes.len() as u32;
        let part = Part { name: function.name.clone(), offset: placed.offset, size };
        let symbol = self.symbol(section, &part, SymbolKind::Text, scope);
        self.functions[placed.function.index()] = Some(symbol);
    }

    fn symbol(&mut self, section: SectionId, part: &Part, kind: SymbolKind, scope: SymbolScope) -> SymbolId {
        self.object.add_symbol(Symbol {
            name: part.name.as_bytes().to_vec(),
            value: part.offset.into(),
            size: part.size.into(),
            kind,
            scope,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        })
    }

    fn data(&mut self, parts: &Parts) {
        let Parts { module, data, .. } = parts;
        if !data.maps.is_empty() {
            let section = self.bytes(".maps", SectionKind::Data, 8, vec![0; data.maps_size() as usize]);
            for (map, part) in &data.maps {
                let symbol = self.symbol(section, part, SymbolKind::Data, SymbolScope::Dynamic);
                self.maps[map.index()] = Some(symbol);
            }
        }
        if let Some(map) = module.globals.rodata {
            let bytes = module.globals.rodata_init.clone();
            let section = self.bytes(".rodata", SectionKind::ReadOnlyData, 8, bytes);
            self.global(section, map, &data.rodata);
        }
        if let Some(map) = module.globals.bss {
            let section = self.section(".bss", SectionKind::UninitializedData);
            self.object.append_section_bss(section, module.globals.bss_size.into(), 8);
            self.global(section, map, &data.bss);
        }
    }

    fn global(&mut self, section: SectionId, map: Map, parts: &[Part]) {
        for part in parts {
            self.symbol(section, part, SymbolKind::Data, SymbolScope::Dynamic);
        }
        self.maps[map.index()] = Some(self.object.section_symbol(section));
    }

    /// Adds a relocation for each name in a function that loaders resolve.
    fn resolve(&mut self, section: SectionId, placed: &Placed) -> object::write::Result<()> {
        for &(slot, name) in &placed.code.names {
            let wide = placed.code.is_wide(slot);
            let symbol = match name {
                Reloc::Map(map) => self.map(map, SymbolKind::Data),
                Reloc::MapValue(map, _) => self.map(map, SymbolKind::Section),
                Reloc::Func(func) if wide => self.section_of(func),
                Reloc::Func(func) => self.func(func),
                Reloc::Core(_) => continue,
            };
            let r_type = if wide { elf::R_BPF_64_64 } else { elf::R_BPF_64_32 };
            let offset = placed.offset + slot * SLOT;
            self.relocation(section, offset, symbol, r_type)?;
        }
        Ok(())
    }

    fn relocation(
        &mut self,
        section: SectionId,
        offset: u32,
        symbol: SymbolId,
        r_type: u32,
    ) -> object::write::Result<()> {
        let flags = RelocationFlags::Elf { r_type };
        self.object.add_relocation(section, Relocation { offset: offset.into(), symbol, addend: 0, flags })
    }

    fn dwarf(&mut self, dwarf: Dwarf) -> object::write::Result<()> {
        self.bytes(".debug_abbrev", SectionKind::Debug, 1, dwarf.abbrev);
        self.bytes(".debug_info", SectionKind::Debug, 1, dwarf.info);
        let section = self.bytes(".debug_line", SectionKind::Debug, 1, dwarf.line);
        for (offset, func) in dwarf.addresses {
            let symbol = self.func(func);
            self.relocation(section, offset, symbol, R_BPF_64_ABS64)?;
        }
        Ok(())
    }

    fn func(&self, func: Func) -> SymbolId {
        self.functions[func.index()].expect("every function is in a section")
    }

    /// The symbol of a function's section: libbpf takes no other for a local function's address.
    fn section_of(&mut self, func: Func) -> SymbolId {
        let section = self.object.symbol(self.func(func)).section.id();
        self.object.section_symbol(section.expect("functions are defined here"))
    }

    /// A map's symbol. Loaders tell by its kind whether the map or an address in its value is
    /// meant, and only global data has addresses.
    fn map(&self, map: Map, kind: SymbolKind) -> SymbolId {
        let symbol = self.maps[map.index()].expect("every map is in .maps or is a section");
        assert_eq!(self.object.symbol(symbol).kind, kind, "{map} is used as what it is not");
        symbol
    }
}
