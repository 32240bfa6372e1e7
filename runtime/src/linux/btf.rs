//! Kernel BTF: the kernel's own description of its types and functions.
//!
//! Comes in: `/sys/kernel/btf/vmlinux` and the modules' files beside it. Goes out: records found by
//! name or id. Opening one is a single pass that notes where each record starts; nothing is decoded
//! before it is asked for ([`decode`] into the language's types, `print` into C).

pub mod decode;
pub mod kernel;
pub mod print;
pub mod record;
#[cfg(test)]
pub(crate) mod synthetic;

use record::{Kind, Record};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::rc::Rc;

/// The name of the kernel proper among its modules.
pub const VMLINUX: &str = "vmlinux";

/// One file of BTF. A module's builds on `vmlinux`: its ids and strings continue the base's.
#[derive(Debug)]
pub struct Btf {
    module: String,
    blob: Blob,
    /// Start and end of the strings in the blob.
    strings: (usize, usize),
    base: Option<Rc<Btf>>,
    index: Index,
}

/// What the one pass over the records notes.
#[derive(Debug, Default)]
struct Index {
    /// The id of the first record: 1, or one more than the base's last.
    first_id: u32,
    /// Where each record starts in the blob.
    offsets: Vec<u32>,
    /// Ids of structs, unions and forward declarations that have a name.
    structs: Vec<u32>,
    /// Ids of enums, with and without a name.
    enums: Vec<u32>,
    /// Ids of typedefs.
    typedefs: Vec<u32>,
    /// Ids of functions.
    functions: Vec<u32>,
}

/// What a name may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// `struct x`
    Struct,
    /// `union x`
    Union,
    /// `enum x`
    Enum,
    /// A typedef.
    Typedef,
    /// A function.
    Function,
}

impl Btf {
    /// Reads a file of BTF and notes where its records are.
    pub fn open(path: &Path, module: &str, base: Option<Rc<Btf>>) -> io::Result<Btf> {
        Self::new(Blob::open(path)?, module, base)
    }

    /// Reads BTF from memory.
    pub fn from_bytes(bytes: Vec<u8>, module: &str, base: Option<Rc<Btf>>) -> io::Result<Btf> {
        Self::new(Blob::Owned(bytes), module, base)
    }

    fn new(blob: Blob, module: &str, base: Option<Rc<Btf>>) -> io::Result<Btf> {
        let sections = Sections::parse(blob.bytes()).ok_or_else(|| invalid("the header is not BTF's"))?;
        let first_id = base.as_ref().map_or(1, |it| it.end_id());
        let index = Index::scan(blob.bytes(), &sections, first_id)?;
        Ok(Btf { module: module.to_owned(), strings: sections.strings, blob, base, index })
    }

    /// `vmlinux` or the module's name.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// One more than the last id.
    pub fn end_id(&self) -> u32 {
        self.index.first_id + self.index.offsets.len() as u32
    }

    /// The record of an id, which may be the base's. Id 0 (`void`) has none.
    pub fn record(&self, id: u32) -> Option<Record<'_>> {
        if id < self.index.first_id {
            return self.base.as_ref()?.record(id);
        }
        let start = *self.index.offsets.get((id - self.index.first_id) as usize)?;
        Some(Record::new(self, id, self.blob.bytes().get(start as usize..)?))
    }

    /// The NUL-terminated string at an offset; empty where there is none.
    pub fn string(&self, offset: u32) -> &str {
        let bytes = self.string_bytes(offset);
        let end = bytes.iter().position(|&it| it == 0).unwrap_or(bytes.len());
        std::str::from_utf8(&bytes[..end]).unwrap_or_default()
    }

    /// The strings from an offset on.
    fn string_bytes(&self, offset: u32) -> &[u8] {
        let own_start = self.base.as_ref().map_or(0, |it| it.strings_end());
        match &self.base {
            Some(base) if offset < own_start => base.string_bytes(offset),
            _ => {
                let start = self.strings.0 + (offset - own_start) as usize;
                self.blob.bytes().get(start..self.strings.1).unwrap_or_default()
            }
        }
    }

    fn strings_end(&self) -> u32 {
        let before = self.base.as_ref().map_or(0, |it| it.strings_end());
        before + (self.strings.1 - self.strings.0) as u32
    }

    /// Whether the string at an offset is `name`; cheaper than to compare [`Self::string`].
    pub fn is_named(&self, offset: u32, name: &str) -> bool {
        let bytes = self.string_bytes(offset);
        bytes.get(name.len()) == Some(&0) && bytes.starts_with(name.as_bytes())
    }

    /// The first record of that name in this file (not the base). A definition is preferred over
    /// a forward declaration.
    pub fn find(&self, space: Namespace, name: &str) -> Option<u32> {
        if name.is_empty() {
            return None;
        }
        let mut forward = None;
        for record in self.records(space).filter(|it| self.is_named(it.name_offset(), name)) {
            match record.kind() {
                Kind::Forward => forward = forward.or(Some(record.id())),
                _ => return Some(record.id()),
            }
        }
        forward
    }

    /// The records of a name space in this file (not the base), in order of their ids.
    pub fn records(&self, space: Namespace) -> impl Iterator<Item = Record<'_>> {
        let ids = match space {
            Namespace::Struct | Namespace::Union => &self.index.structs,
            Namespace::Enum => &self.index.enums,
            Namespace::Typedef => &self.index.typedefs,
            Namespace::Function => &self.index.functions,
        };
        let union = space == Namespace::Union;
        ids.iter().filter_map(|&id| self.record(id)).filter(move |it| match it.kind() {
            Kind::Struct => !union,
            Kind::Union => union,
            Kind::Forward => it.flag() == union,
            _ => true,
        })
    }

    /// The enum that has an enumerator of that name, and its value.
    pub fn enumerator(&self, name: &str) -> Option<(u32, i64)> {
        self.records(Namespace::Enum).find_map(|record| {
            let found = record.enumerators().find(|it| self.is_named(it.name_offset, name))?;
            Some((record.id(), found.value))
        })
    }
}

/// Where the sections are in a blob: start and end.
struct Sections {
    types: (usize, usize),
    strings: (usize, usize),
}

impl Sections {
    /// `struct btf_header`: u16 magic, u8 version, u8 flags, u32 header length, then offset and
    /// length of the types and of the strings, counted from the header's end.
    fn parse(blob: &[u8]) -> Option<Sections> {
        if blob.get(..2)? != 0xeb9f_u16.to_le_bytes() {
            return None;
        }
        let word = |at: usize| Some(u32::from_le_bytes(*blob.get(at..)?.first_chunk()?) as usize);
        let section = |at| {
            let start = word(4)?.checked_add(word(at)?)?;
            let end = start.checked_add(word(at + 4)?)?;
            (end <= blob.len()).then_some((start, end))
        };
        Some(Sections { types: section(8)?, strings: section(16)? })
    }
}

impl Index {
    fn scan(blob: &[u8], sections: &Sections, first_id: u32) -> io::Result<Index> {
        let (mut at, end) = sections.types;
        let mut index = Index { first_id, ..Index::default() };
        // Records take 28 bytes on average in kernels seen, so that this rarely grows.
        index.offsets.reserve((end - at) / 24);
        while at < end {
            let header =
                record::Header::read(&blob[at..end]).ok_or_else(|| invalid("a record is cut off"))?;
            let id = first_id + index.offsets.len() as u32;
            let Some(kind) = header.kind() else {
                return Err(invalid(&format!("record {id} has a kind that is not known")));
            };
            index.offsets.push(at as u32);
            match kind {
                Kind::Struct | Kind::Union | Kind::Forward if header.name != 0 => index.structs.push(id),
                Kind::Enum | Kind::Enum64 => index.enums.push(id),
                Kind::Typedef => index.typedefs.push(id),
                Kind::Function => index.functions.push(id),
                _ => {}
            }
            at += header.record_len(kind);
        }
        if at > end { Err(invalid("the last record is cut off")) } else { Ok(index) }
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The bytes of a file: the kernel's own where it lets us map them, else a copy.
#[derive(Debug)]
enum Blob {
    Mapped(Mapping),
    Owned(Vec<u8>),
}

impl Blob {
    fn open(path: &Path) -> io::Result<Blob> {
        let mut file = File::open(path)?;
        let len = file.metadata()?.len() as usize;
        // Linux maps vmlinux's BTF from 6.16 on, and never a module's.
        if let Some(mapping) = Mapping::new(&file, len) {
            return Ok(Blob::Mapped(mapping));
        }
        let mut bytes = Vec::with_capacity(len + 1);
        file.read_to_end(&mut bytes)?;
        Ok(Blob::Owned(bytes))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Blob::Mapped(mapping) => mapping.bytes(),
            Blob::Owned(bytes) => bytes,
        }
    }
}

/// A read-only map of a file that never changes.
#[derive(Debug)]
struct Mapping {
    start: *mut libc::c_void,
    len: usize,
}

impl Mapping {
    fn new(file: &File, len: usize) -> Option<Mapping> {
        if len == 0 {
            return None;
        }
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0)
        };
        (start != libc::MAP_FAILED).then_some(Mapping { start, len })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping has `len` bytes for as long as `self` lives, and only files of
        // /sys/kernel/btf are mapped, which are constant until the kernel ends.
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` and every borrow of it has ended.
        unsafe { libc::munmap(self.start, self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::synthetic::Encoder;
    use super::*;

    #[test]
    fn finds_by_name_space() {
        let mut btf = Encoder::new();
        let int = btf.int("int", 4, 1);
        let forward = btf.forward("pair", false);
        let pair = btf.structure("pair", 8, &[("first", int, 0), ("second", int, 32)]);
        let union = btf.union("pair", 4, &[("only", int, 0)]);
        let alias = btf.typedef("pair_t", pair);
        let colours = btf.enumeration("colour", &[("RED", 1), ("GREEN", -2)]);
        let proto = btf.prototype(int, &[("pair", pair)]);
        let function = btf.function("sum", proto);
        let btf = btf.finish("vmlinux", None);
        for (space, name, id) in [
            (Namespace::Struct, "pair", Some(pair)),
            (Namespace::Union, "pair", Some(union)),
            (Namespace::Typedef, "pair_t", Some(alias)),
            (Namespace::Typedef, "pair", None),
            (Namespace::Enum, "colour", Some(colours)),
            (Namespace::Function, "sum", Some(function)),
            (Namespace::Function, "su", None),
            (Namespace::Function, "", None),
        ] {
            assert_eq!(btf.find(space, name), id, "{space:?} {name}");
        }
        assert!(forward < pair);
        assert_eq!(btf.enumerator("GREEN"), Some((colours, -2)));
        assert_eq!(btf.enumerator("BLUE"), None);
    }

    #[test]
    fn modules_continue_the_base() {
        let mut base = Encoder::new();
        let int = base.int("int", 4, 1);
        let base = Rc::new(base.finish("vmlinux", None));
        let mut module = Encoder::over(&base);
        let own = module.structure("own", 4, &[("value", int, 0)]);
        let module = module.finish("veth", Some(base.clone()));
        assert_eq!(own, base.end_id());
        assert_eq!(module.find(Namespace::Struct, "own"), Some(own));
        let member = module.record(own).unwrap().members().next().unwrap();
        assert_eq!((module.string(member.name_offset), member.ty), ("value", int));
        assert_eq!(module.record(int).unwrap().module(), "vmlinux");
    }

    #[test]
    fn refuses_what_is_not_btf() {
        let whole = Encoder::new().bytes();
        let mut cut = Encoder::new();
        cut.int("int", 4, 1);
        let mut cut = cut.bytes();
        // The types' length, one word short.
        cut[12] -= 4;
        for bytes in [vec![], vec![0; 24], whole[..20].to_vec(), cut] {
            assert!(Btf::from_bytes(bytes, "x", None).is_err());
        }
        assert!(Btf::from_bytes(whole, "x", None).is_ok());
    }
}
