//! Maps and global data: which section holds them, at which offset, and what BTF says of them.

use super::btf::{Btf, Member, TypeId, Variable};
use super::core;
use crate::bpf;
use crate::ir::{KernelMap, KernelMapKind, Map};
use crate::storage::Plan;
use lang::names;
use lang::ty::IntTy;

/// Bytes of a ring buffer whose size the runtime chooses, for other loaders: they refuse 0.
const DEFAULT_RING: u32 = 256 << 10;
/// Bytes of each field in a map's definition.
const FIELD: u32 = 8;

/// A named part of a data section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its symbol.
    pub name: String,
    /// Byte offset in the section.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
}

/// The sections `.maps`, `.rodata` and `.bss`. Those that are empty are left out of the object.
pub struct Data {
    /// A definition for each kernel map that is not itself a section.
    pub maps: Vec<(Map, Part)>,
    /// What the runtime sets before loading.
    pub rodata: Vec<Part>,
    /// All of `.bss` as one; the manifest says what is where.
    pub bss: Vec<Part>,
}

impl Data {
    /// Places the maps and the data of a module.
    pub fn new(module: &bpf::Module, plan: &Plan) -> Self {
        let mut maps: Vec<(Map, Part)> = Vec::new();
        for (idx, map) in module.maps.iter().enumerate() {
            let id = Map(idx as u32);
            if Some(id) != module.globals.rodata && Some(id) != module.globals.bss {
                let offset = maps.last().map_or(0, |(_, it)| it.offset + it.size);
                let size = definition(map).len() as u32 * FIELD;
                maps.push((id, Part { name: map.name.clone(), offset, size }));
            }
        }
        let word = |name: &str, offset: u32| Part { name: name.to_owned(), offset, size: 8 };
        let mut rodata: Vec<Part> = Vec::new();
        rodata.extend(plan.cpid.map(|it| word("cpid", it)));
        rodata.extend(plan.start.map(|it| word("start", it)));
        rodata.extend(plan.ncpus.map(|it| word("ncpus", it)));
        rodata.extend(plan.tables.iter().map(|(table, offset)| Part {
            size: names::CAPACITY * table.names().len() as u32,
            ..word(table.name(), *offset)
        }));
        rodata.sort_by_key(|it| it.offset);
        let bss = module.globals.bss.map(|_| Part { size: module.globals.bss_size, ..word("bss", 0) });
        Data { maps, rodata, bss: bss.into_iter().collect() }
    }

    /// Bytes of `.maps`.
    pub fn maps_size(&self) -> u32 {
        self.maps.last().map_or(0, |(_, it)| it.offset + it.size)
    }

    /// Describes all of it.
    pub fn encode(&self, module: &bpf::Module, btf: &mut Btf) {
        let maps = self.maps.iter().map(|(id, part)| (part, map_type(&module.maps[id.index()], btf)));
        let maps: Vec<(&Part, TypeId)> = maps.collect();
        encode_section(".maps", self.maps_size(), &maps, btf);
        let rodata = words(&self.rodata, btf);
        encode_section(".rodata", module.globals.rodata_init.len() as u32, &rodata, btf);
        let bss = words(&self.bss, btf);
        encode_section(".bss", module.globals.bss_size, &bss, btf);
    }
}

/// The parts as 64-bit numbers in a row.
fn words<'a>(parts: &'a [Part], btf: &mut Btf) -> Vec<(&'a Part, TypeId)> {
    let word = core::int(btf, IntTy::new(8, false));
    let mut ty = |part: &Part| if part.size == 8 { word } else { btf.array(word, part.size / 8) };
    parts.iter().map(|it| (it, ty(it))).collect()
}

fn encode_section(name: &str, size: u32, parts: &[(&Part, TypeId)], btf: &mut Btf) {
    if parts.is_empty() {
        return;
    }
    let variable = |(part, ty): &(&Part, TypeId)| Variable {
        id: btf.variable(&part.name, *ty),
        offset: part.offset,
        size: part.size,
    };
    let variables: Vec<Variable> = parts.iter().map(variable).collect();
    btf.data_section(name, size, &variables);
}

/// A map's definition as loaders read it: numbers, by the names of their fields.
fn definition(map: &KernelMap) -> Vec<(&'static str, u32)> {
    let max_entries = match (map.kind, map.max_entries) {
        (KernelMapKind::RingBuf, 0) => DEFAULT_RING,
        (_, entries) => entries,
    };
    let optional = [("key_size", map.key_size), ("value_size", map.value_size), ("map_flags", map.flags)];
    [("type", map.kind as u32), ("max_entries", max_entries)]
        .into_iter()
        .chain(optional.into_iter().filter(|&(_, number)| number != 0))
        .collect()
}

/// The struct that stands for a definition: each number is the length of the array that a
/// field points to.
fn map_type(map: &KernelMap, btf: &mut Btf) -> TypeId {
    let element = core::int(btf, IntTy::new(4, true));
    let fields = definition(map);
    let mut members = Vec::new();
    for (idx, &(name, number)) in fields.iter().enumerate() {
        let array = btf.array(element, number);
        let ty = btf.pointer(array);
        members.push(Member { name: name.to_owned(), ty, bit_offset: idx as u32 * FIELD * 8, bit_width: 0 });
    }
    btf.structure("", false, fields.len() as u32 * FIELD, &members)
}
