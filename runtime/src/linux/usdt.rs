//! Static probes of user programs: what the `.note.stapsdt` notes of an ELF file say.
//!
//! A note is three u64 (the probe's address, the address that `.stapsdt.base` had when the note
//! was written, the semaphore's address or 0) and three NUL-terminated texts: provider, name and
//! arguments. The format is SystemTap's, version 3, which `sys/sdt.h` writes.

use super::executables::to_file_offset;
use lang::attach::Location;
use object::read::ReadCache;
use object::{Object, ObjectSection};
use std::fs::File;
use std::io;
use std::path::Path;

const SECTION: &str = ".note.stapsdt";
const OWNER: &[u8] = b"stapsdt\0";
const KIND: u32 = 3;

/// A place of a static probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Who provides it.
    pub provider: String,
    /// Its name.
    pub name: String,
    /// Where it is, and its arguments.
    pub location: Location,
}

/// All places, in the order of the file.
pub fn notes(path: &Path) -> io::Result<Vec<Note>> {
    let cache = ReadCache::new(File::open(path)?);
    let file = object::File::parse(&cache)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    let Some(section) = file.section_by_name(SECTION) else { return Ok(Vec::new()) };
    let bytes = section.data().unwrap_or_default();
    // Prelinked files have moved since their notes were written, and the base with them.
    let base = file.section_by_name(".stapsdt.base").map(|it| it.address());
    let found = raw_notes(bytes).filter_map(|note| {
        let moved = base.map_or(0, |base| base.wrapping_sub(note.base));
        let offset = to_file_offset(&file, note.address.wrapping_add(moved))?;
        let semaphore = match note.semaphore {
            0 => 0,
            address => to_file_offset(&file, address.wrapping_add(moved))?,
        };
        let [provider, name, arguments] = note.texts.map(|it| String::from_utf8_lossy(it).into_owned());
        Some(Note { provider, name, location: Location { offset, semaphore, arguments } })
    });
    Ok(found.collect())
}

struct RawNote<'a> {
    address: u64,
    base: u64,
    semaphore: u64,
    texts: [&'a [u8]; 3],
}

/// The notes of a section that are probes: u32 sizes of owner and content, u32 kind, then both,
/// each padded to 4 bytes.
fn raw_notes(mut bytes: &[u8]) -> impl Iterator<Item = RawNote<'_>> {
    let notes = std::iter::from_fn(move || {
        let word = |at: usize| bytes.get(at..)?.first_chunk().map(|it| u32::from_le_bytes(*it));
        let (owner_size, size, kind) = (word(0)? as usize, word(4)? as usize, word(8)?);
        let content = 12 + owner_size.next_multiple_of(4);
        let owner = bytes.get(12..12 + owner_size)?;
        let note = (owner, kind, bytes.get(content..content.checked_add(size)?)?);
        bytes = bytes.get(content + size.next_multiple_of(4)..).unwrap_or_default();
        Some(note)
    });
    notes
        .filter(|(owner, kind, _)| *owner == OWNER && *kind == KIND)
        .filter_map(|(_, _, content)| probe(content))
}

fn probe(content: &[u8]) -> Option<RawNote<'_>> {
    let word = |at: usize| content.get(at..)?.first_chunk().map(|it| u64::from_le_bytes(*it));
    let mut texts = content.get(24..)?.split(|&it| it == 0);
    let texts = [texts.next()?, texts.next()?, texts.next()?];
    Some(RawNote { address: word(0)?, base: word(8)?, semaphore: word(16)?, texts })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(owner: &[u8], kind: u32, content: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((owner.len() as u32).to_le_bytes());
        bytes.extend((content.len() as u32).to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(owner);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn content(address: u64, texts: &str) -> Vec<u8> {
        [address, 2, 3].into_iter().flat_map(u64::to_le_bytes).chain(texts.bytes()).collect()
    }

    #[test]
    fn reads_notes_and_skips_others() {
        let section = [
            note(b"GNU\0", 1, b"build id"),
            note(OWNER, KIND, &content(1, "mine\0begin\08@%rax\0")),
            note(OWNER, KIND, &content(9, "mine\0end\0\0")),
        ]
        .concat();
        let found: Vec<_> = raw_notes(&section).map(|it| (it.address, it.texts)).collect();
        let due: [(u64, [&[u8]; 3]); 2] = [(1, [b"mine", b"begin", b"8@%rax"]), (9, [b"mine", b"end", b""])];
        assert_eq!(found, due);
    }

    #[test]
    fn damaged_sections_end_early() {
        let section = note(OWNER, KIND, &content(1, "mine\0begin\08@%rax\0"));
        for length in 0..section.len() {
            assert!(raw_notes(&section[..length]).count() <= 1);
        }
        assert_eq!(raw_notes(&[0xff; 64]).count(), 0);
    }
}
