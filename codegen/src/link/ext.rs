//! The `.BTF.ext` section: for instructions of a section, the function that they begin, the
//! script line that they come from, and the CO-RE accesses in their immediates.

use super::btf::{Btf, MAGIC, TypeId, VERSION};
use super::code::SLOT;
use super::core::Relocation;
use super::layout::{Layout, Text};
use super::lines::{Lines, Place};
use crate::bpf::Reloc;

/// Records about the instructions of one section, of one kind.
struct Records {
    /// The section's name in the string table.
    section: u32,
    /// Each begins with the byte offset of its instruction.
    records: Vec<Vec<u32>>,
}

/// Encodes the section. `functions` are the BTF types of the functions, `relocations` those of
/// the module's accesses; both by index. Strings are added to `btf`.
pub fn encode(
    layout: &Layout,
    functions: &[TypeId],
    relocations: &[Option<Relocation>],
    lines: &Lines,
    btf: &mut Btf,
) -> Vec<u8> {
    let mut kinds = [Vec::new(), Vec::new(), Vec::new()];
    for text in &layout.texts {
        let section = btf.string(&text.name);
        let functions = text.functions.iter().map(|it| vec![it.offset, functions[it.function.index()].0]);
        kinds[0].push(Records { section, records: functions.collect() });
        kinds[1].push(Records { section, records: line_records(text, lines, btf) });
        kinds[2].push(Records { section, records: core_records(text, relocations) });
    }
    let record_words = [2, 4, 4];
    let parts: Vec<Vec<u8>> = std::iter::zip(&kinds, record_words).map(|(it, n)| part(it, n)).collect();
    assemble(&parts)
}

fn line_records(text: &Text, lines: &Lines, btf: &mut Btf) -> Vec<Vec<u32>> {
    let mut records = Vec::new();
    for placed in &text.functions {
        let mut last: Option<Place> = None;
        for &(slot, span) in &placed.code.lines {
            let place = lines.place(span);
            if last.replace(place) == Some(place) {
                continue;
            }
            let file = btf.string(&lines.file_name(place.file));
            let line = btf.string(&lines.text(place));
            records.push(vec![placed.offset + slot * SLOT, file, line, place.line << 10 | place.column]);
        }
    }
    records
}

fn core_records(text: &Text, relocations: &[Option<Relocation>]) -> Vec<Vec<u32>> {
    let mut records = Vec::new();
    for placed in &text.functions {
        for &(slot, name) in &placed.code.names {
            let Reloc::Core(access) = name else { continue };
            if let Some(it) = &relocations[access.index()] {
                records.push(vec![placed.offset + slot * SLOT, it.root.0, it.path, it.kind]);
            }
        }
    }
    records
}

/// All records of one kind: their size, then section by section. Nothing when there are none.
fn part(sections: &[Records], record_words: u32) -> Vec<u8> {
    let mut words = vec![record_words * 4];
    for it in sections.iter().filter(|it| !it.records.is_empty()) {
        words.extend([it.section, it.records.len() as u32]);
        words.extend(it.records.iter().flatten());
    }
    if words.len() == 1 {
        words.clear();
    }
    words.iter().flat_map(|it| it.to_le_bytes()).collect()
}

/// The header with the place of each part, then the parts.
fn assemble(parts: &[Vec<u8>]) -> Vec<u8> {
    let header = 8 + 8 * parts.len() as u32;
    let mut bytes = Vec::new();
    bytes.extend(MAGIC.to_le_bytes());
    bytes.extend([VERSION, 0]);
    bytes.extend(header.to_le_bytes());
    let mut offset = 0u32;
    for part in parts {
        bytes.extend(offset.to_le_bytes());
        bytes.extend((part.len() as u32).to_le_bytes());
        offset += part.len() as u32;
    }
    bytes.extend(parts.concat());
    bytes
}
