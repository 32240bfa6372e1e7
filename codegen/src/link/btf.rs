//! The `.BTF` section's encoding: types and strings in, bytes out.
//!
//! The format is the kernel's (`Documentation/bpf/btf.rst`). What a program needs to have
//! described is decided in [`super::layout`].

use std::collections::HashMap;

/// First bytes of `.BTF` and `.BTF.ext`.
pub const MAGIC: u16 = 0xeb9f;
/// Their version.
pub const VERSION: u8 = 1;

/// Index of a type; 0 is `void`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeId(pub u32);

impl TypeId {
    /// No type.
    pub const VOID: TypeId = TypeId(0);
}

/// Types and strings. Equal types are stored once, equal strings too.
pub struct Btf {
    types: Vec<u8>,
    ids: HashMap<Vec<u8>, TypeId>,
    strings: Vec<u8>,
    offsets: HashMap<String, u32>,
}

/// A member of a struct or union.
pub struct Member {
    /// Empty for an anonymous struct or union.
    pub name: String,
    /// Its type.
    pub ty: TypeId,
    /// Distance from the struct's begin in bits.
    pub bit_offset: u32,
    /// Number of bits of a bit-field, else 0.
    pub bit_width: u8,
}

/// A variable in a data section.
pub struct Variable {
    /// The variable ([`Btf::variable`]).
    pub id: TypeId,
    /// Bytes from the section's begin.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
}

/// How an integer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Encoding {
    /// As an unsigned number.
    Unsigned = 0,
    /// As a signed number.
    Signed = 1,
    /// As `true` or `false`.
    Bool = 4,
}

/// What a function's symbol is visible to, which decides how the kernel verifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Linkage {
    /// Verified in the context of each call, so that it may be given pointers.
    Static = 0,
    /// Verified on its own.
    Global = 1,
}

/// Kinds of types, with the kernel's numbers.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Kind {
    Int = 1,
    Ptr = 2,
    Array = 3,
    Struct = 4,
    Union = 5,
    Enum = 6,
    Func = 12,
    FuncProto = 13,
    Var = 14,
    Datasec = 15,
    Enum64 = 19,
}

impl Btf {
    /// No types, and the empty string.
    pub fn new() -> Self {
        Btf {
            types: Vec::new(),
            ids: HashMap::new(),
            strings: vec![0],
            offsets: HashMap::from([(String::new(), 0)]),
        }
    }

    /// The offset of a string in the string table.
    pub fn string(&mut self, text: &str) -> u32 {
        if let Some(&offset) = self.offsets.get(text) {
            return offset;
        }
        let offset = self.strings.len() as u32;
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        self.offsets.insert(text.to_owned(), offset);
        offset
    }

    /// An integer of `size` bytes.
    pub fn int(&mut self, name: &str, size: u32, encoding: Encoding) -> TypeId {
        self.add(Kind::Int, name, 0, size, &[((encoding as u32) << 24) | (size * 8)])
    }

    /// A pointer.
    pub fn pointer(&mut self, to: TypeId) -> TypeId {
        self.add(Kind::Ptr, "", 0, to.0, &[])
    }

    /// `count` elements in a row.
    pub fn array(&mut self, element: TypeId, count: u32) -> TypeId {
        let index = self.int("u32", 4, Encoding::Unsigned);
        self.add(Kind::Array, "", 0, 0, &[element.0, index.0, count])
    }

    /// A struct or union; an empty name makes it anonymous.
    pub fn structure(&mut self, name: &str, union: bool, size: u32, members: &[Member]) -> TypeId {
        let kind = if union { Kind::Union } else { Kind::Struct };
        // With the flag, a member's offset word also holds a bit-field's width.
        let flag = if members.iter().any(|it| it.bit_width > 0) { 1 << 31 } else { 0 };
        let mut words = Vec::new();
        for member in members {
            let name = self.string(&member.name);
            words.extend([name, member.ty.0, u32::from(member.bit_width) << 24 | member.bit_offset]);
        }
        self.add(kind, name, flag | members.len() as u32, size, &words)
    }

    /// An enum of `size` bytes, without its enumerators; an empty name makes it anonymous.
    pub fn enumeration(&mut self, name: &str, size: u32) -> TypeId {
        let kind = if size == 8 { Kind::Enum64 } else { Kind::Enum };
        self.add(kind, name, 0, size, &[])
    }

    /// A function of that name.
    pub fn function(
        &mut self,
        name: &str,
        linkage: Linkage,
        params: &[(&str, TypeId)],
        result: TypeId,
    ) -> TypeId {
        let mut words = Vec::new();
        for (name, ty) in params {
            words.extend([self.string(name), ty.0]);
        }
        let prototype = self.add(Kind::FuncProto, "", params.len() as u32, result.0, &words);
        self.add(Kind::Func, name, linkage as u32, prototype.0, &[])
    }

    /// A global variable.
    pub fn variable(&mut self, name: &str, ty: TypeId) -> TypeId {
        const GLOBAL: u32 = 1;
        self.add(Kind::Var, name, 0, ty.0, &[GLOBAL])
    }

    /// A section of `size` bytes and its variables, ascending by offset.
    pub fn data_section(&mut self, name: &str, size: u32, variables: &[Variable]) -> TypeId {
        let words: Vec<u32> = variables.iter().flat_map(|it| [it.id.0, it.offset, it.size]).collect();
        self.add(Kind::Datasec, name, variables.len() as u32, size, &words)
    }

    /// Adds a type: its name, the low bits of its info word, its size or the type that it
    /// refers to, and what follows.
    fn add(&mut self, kind: Kind, name: &str, info: u32, size_or_type: u32, rest: &[u32]) -> TypeId {
        let head = [self.string(name), (kind as u32) << 24 | info, size_or_type];
        let record: Vec<u8> = head.iter().chain(rest).flat_map(|it| it.to_le_bytes()).collect();
        let next = TypeId(self.ids.len() as u32 + 1);
        let id = *self.ids.entry(record.clone()).or_insert(next);
        if id == next {
            self.types.extend(record);
        }
        id
    }

    /// The section's bytes.
    pub fn finish(self) -> Vec<u8> {
        const HEADER: u32 = 24;
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut bytes = Vec::new();
        bytes.extend(MAGIC.to_le_bytes());
        bytes.extend([VERSION, 0]);
        for word in [HEADER, 0, types, types, strings] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(self.types);
        bytes.extend(self.strings);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_types_and_strings_are_stored_once() {
        let mut btf = Btf::new();
        let int = btf.int("s32", 4, Encoding::Signed);
        assert_eq!(btf.int("s32", 4, Encoding::Signed), int);
        assert_ne!(btf.int("u32", 4, Encoding::Unsigned), int);
        assert_eq!(btf.string("s32"), 1);
        assert_eq!(btf.string(""), 0);
        assert_eq!(btf.string("x"), 9);
    }

    #[test]
    fn records_have_the_kernel_s_layout() {
        let mut btf = Btf::new();
        let int = btf.int("i", 4, Encoding::Signed);
        let member = |bit_offset, bit_width| Member { name: "i".to_owned(), ty: int, bit_offset, bit_width };
        btf.structure("s", false, 8, &[member(0, 0), member(37, 3)]);
        let bytes = btf.finish();
        let words: Vec<u32> =
            bytes[24..24 + 52].chunks(4).map(|it| u32::from_le_bytes([it[0], it[1], it[2], it[3]])).collect();
        assert_eq!(
            words,
            [1, 1 << 24, 4, 1 << 24 | 32, 3, 4 << 24 | 1 << 31 | 2, 8, 1, 1, 0, 1, 1, 3 << 24 | 37]
        );
        assert_eq!(&bytes[76..], b"\0i\0s\0");
    }
}
