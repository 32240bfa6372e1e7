//! Programs and libraries that user probes name: where the file is, which functions it has.
//!
//! Comes in: what stands between the colons of `uprobe:PATH:FUNCTION`. Goes out: paths and names
//! of symbols. Nothing is attached or read from processes.

use super::glob;
use object::read::{ObjectSegment, ObjectSymbol, ReadCache};
use object::{Object, SymbolKind};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Where the dynamic linker remembers its libraries.
const LINKER_CACHE: &str = "/etc/ld.so.cache";

/// The files that a path, a path with wildcards, a command of `PATH` or a library's short name
/// (`libc`) means.
pub fn find(name: &str) -> Vec<PathBuf> {
    if name.contains('/') {
        return expand(name);
    }
    match command(name) {
        Some(found) => vec![found],
        None => library(name).into_iter().collect(),
    }
}

/// The names of the functions that an ELF file defines, sorted.
pub fn functions(path: &Path) -> io::Result<BTreeSet<String>> {
    let cache = ReadCache::new(File::open(path)?);
    let file = object::File::parse(&cache)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    let symbols = file.symbols().chain(file.dynamic_symbols());
    let defined =
        symbols.filter(|it| it.kind() == SymbolKind::Text && it.is_definition() && it.address() != 0);
    Ok(defined.filter_map(|it| it.name().ok().filter(|it| !it.is_empty()).map(str::to_owned)).collect())
}

/// The offset in the file of an address that the file is linked for.
pub fn to_file_offset<'a>(file: &object::File<'a, &'a ReadCache<File>>, address: u64) -> Option<u64> {
    file.segments().find_map(|segment| {
        let inside = address.checked_sub(segment.address()).filter(|inside| *inside < segment.size())?;
        let (start, size) = segment.file_range();
        (inside < size).then_some(start + inside)
    })
}

/// Replaces wildcards, directory by directory; only regular files are left.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let start = if pattern.starts_with('/') { "/" } else { "" };
    let mut found = vec![PathBuf::from(start)];
    for part in pattern.split('/').filter(|it| !it.is_empty()) {
        found = found.iter().flat_map(|it| children(it, part)).collect();
    }
    found.retain(|it| it.is_file());
    found.sort_unstable();
    found
}

fn children(directory: &Path, part: &str) -> Vec<PathBuf> {
    if !glob::is_pattern(part) {
        return vec![directory.join(part)];
    }
    let readable = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let entries = fs::read_dir(readable).into_iter().flatten().flatten();
    let names = entries.filter_map(|it| it.file_name().into_string().ok());
    names.filter(|it| glob::matches(part, it)).map(|it| directory.join(it)).collect()
}

fn command(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|it| it.join(name)).find(|it| it.is_file())
}

fn library(name: &str) -> Option<PathBuf> {
    let cached = fs::read(LINKER_CACHE).ok()?;
    let prefix = format!("{name}.so");
    let fits = |it: &str| {
        it == name || it.strip_prefix(&prefix).is_some_and(|it| it.is_empty() || it.starts_with('.'))
    };
    cache_entries(&cached).find(|(name, _)| fits(name)).map(|(_, path)| PathBuf::from(path))
}

/// The names and paths in a linker cache (glibc's second format, which may follow an old one): 20
/// bytes of magic, u32 number of entries, 24 bytes more, then entries of 24 bytes with the flags,
/// name and path as their first u32s. Offsets of texts count from the magic.
fn cache_entries(file: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
    const HEADER: usize = 48;
    const ENTRY: usize = 24;
    let start = file.windows(MAGIC.len()).position(|it| it == MAGIC).unwrap_or(file.len());
    let cache = &file[start..];
    let word = |at: usize| cache.get(at..).and_then(|it| it.first_chunk()).map(|it| u32::from_le_bytes(*it));
    let text = move |at: Option<u32>| {
        let rest = cache.get(at? as usize..)?;
        let end = rest.iter().position(|&it| it == 0)?;
        std::str::from_utf8(&rest[..end]).ok()
    };
    let entries = (0..word(MAGIC.len()).unwrap_or(0) as usize).map(move |it| HEADER + it * ENTRY);
    entries
        .filter(move |&at| word(at) == Some(NATIVE_LIBRARY))
        .filter_map(move |at| Some((text(word(at + 4))?, text(word(at + 8))?)))
}

/// The cache's flags of a library for this machine: ELF of glibc, and the machine.
const NATIVE_LIBRARY: u32 = if cfg!(target_arch = "aarch64") { 0x0a03 } else { 0x0303 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_linker_cache() {
        let entries =
            [(0x0003u32, "libc.so.6", "/lib32/libc.so.6"), (NATIVE_LIBRARY, "libc.so.6", "/lib/libc.so.6")];
        let mut texts = Vec::new();
        let mut records = Vec::new();
        for (flags, name, path) in entries {
            let name_at = 48 + 24 * entries.len() + texts.len();
            texts.extend(format!("{name}\0").bytes());
            let path_at = 48 + 24 * entries.len() + texts.len();
            texts.extend(format!("{path}\0").bytes());
            for word in [flags, name_at as u32, path_at as u32, 0, 0, 0] {
                records.extend(word.to_le_bytes());
            }
        }
        let mut file = b"ld.so-1.7.0\0\0\0\0\0".to_vec();
        file.extend(b"glibc-ld.so.cache1.1");
        file.extend((entries.len() as u32).to_le_bytes());
        file.extend([0; 24]);
        file.extend(records);
        file.extend(texts);
        assert_eq!(cache_entries(&file).collect::<Vec<_>>(), [("libc.so.6", "/lib/libc.so.6")]);
        file.truncate(90);
        assert_eq!(cache_entries(&file).count(), 0);
        assert_eq!(cache_entries(b"nothing").count(), 0);
    }
}
