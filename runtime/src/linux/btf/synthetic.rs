//! Writes small BTF files, for tests.

use super::Btf;
use super::record::Kind;
use std::rc::Rc;

/// Collects records; each method returns the id of the one it adds.
pub struct Encoder {
    types: Vec<u8>,
    strings: Vec<u8>,
    next_id: u32,
    strings_start: u32,
}

impl Encoder {
    pub fn new() -> Encoder {
        Encoder { types: Vec::new(), strings: vec![0], next_id: 1, strings_start: 0 }
    }

    /// A module's, on top of a base.
    pub fn over(base: &Btf) -> Encoder {
        let strings_start = base.strings_end();
        Encoder { types: Vec::new(), strings: vec![0], next_id: base.end_id(), strings_start }
    }

    pub fn int(&mut self, name: &str, size: u32, encoding: u32) -> u32 {
        self.int_bits(name, size, encoding, 0, size * 8)
    }

    pub fn int_bits(&mut self, name: &str, size: u32, encoding: u32, offset: u32, bits: u32) -> u32 {
        self.add(Kind::Int, name, 0, false, size, &[encoding << 24 | offset << 16 | bits])
    }

    /// A pointer, qualifier or nameless tag.
    pub fn wrap(&mut self, kind: Kind, target: u32) -> u32 {
        self.add(kind, "", 0, false, target, &[])
    }

    pub fn type_tag(&mut self, name: &str, target: u32) -> u32 {
        self.add(Kind::TypeTag, name, 0, false, target, &[])
    }

    pub fn typedef(&mut self, name: &str, target: u32) -> u32 {
        self.add(Kind::Typedef, name, 0, false, target, &[])
    }

    pub fn forward(&mut self, name: &str, union: bool) -> u32 {
        self.add(Kind::Forward, name, 0, union, 0, &[])
    }

    pub fn array(&mut self, of: u32, len: u32) -> u32 {
        self.add(Kind::Array, "", 0, false, 0, &[of, 0, len])
    }

    pub fn float(&mut self, name: &str, size: u32) -> u32 {
        self.add(Kind::Float, name, 0, false, size, &[])
    }

    /// Members are name, type and bit offset.
    pub fn structure(&mut self, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        self.members(Kind::Struct, name, size, members, false)
    }

    /// The same with `width << 24` in the offsets.
    pub fn structure_with_bits(&mut self, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        self.members(Kind::Struct, name, size, members, true)
    }

    pub fn union(&mut self, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        self.members(Kind::Union, name, size, members, false)
    }

    fn members(
        &mut self,
        kind: Kind,
        name: &str,
        size: u32,
        members: &[(&str, u32, u32)],
        flag: bool,
    ) -> u32 {
        let words: Vec<u32> =
            members.iter().flat_map(|&(name, ty, offset)| [self.string(name), ty, offset]).collect();
        self.add(kind, name, members.len(), flag, size, &words)
    }

    pub fn enumeration(&mut self, name: &str, values: &[(&str, i32)]) -> u32 {
        let words: Vec<u32> =
            values.iter().flat_map(|&(name, value)| [self.string(name), value as u32]).collect();
        self.add(Kind::Enum, name, values.len(), values.iter().any(|it| it.1 < 0), 4, &words)
    }

    pub fn enumeration64(&mut self, name: &str, values: &[(&str, u64)]) -> u32 {
        let words: Vec<u32> = values
            .iter()
            .flat_map(|&(name, value)| [self.string(name), value as u32, (value >> 32) as u32])
            .collect();
        self.add(Kind::Enum64, name, values.len(), false, 8, &words)
    }

    pub fn prototype(&mut self, result: u32, parameters: &[(&str, u32)]) -> u32 {
        let words: Vec<u32> = parameters.iter().flat_map(|&(name, ty)| [self.string(name), ty]).collect();
        self.add(Kind::Prototype, "", parameters.len(), false, result, &words)
    }

    pub fn function(&mut self, name: &str, prototype: u32) -> u32 {
        self.add(Kind::Function, name, 0, false, prototype, &[])
    }

    fn add(&mut self, kind: Kind, name: &str, elements: usize, flag: bool, size: u32, rest: &[u32]) -> u32 {
        let name = self.string(name);
        let info = (kind as u32) << 24 | u32::from(flag) << 31 | elements as u32;
        for word in [name, info, size].iter().chain(rest) {
            self.types.extend(word.to_le_bytes());
        }
        self.next_id += 1;
        self.next_id - 1
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let start = self.strings_start + self.strings.len() as u32;
        self.strings.extend(text.bytes().chain([0]));
        start
    }

    /// The whole file.
    pub fn bytes(self) -> Vec<u8> {
        let mut out = vec![0x9f, 0xeb, 1, 0];
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        for word in [24, 0, types, types, strings] {
            out.extend(u32::to_le_bytes(word));
        }
        out.extend(self.types);
        out.extend(self.strings);
        out
    }

    /// The file, read back.
    pub fn finish(self, module: &str, base: Option<Rc<Btf>>) -> Btf {
        Btf::from_bytes(self.bytes(), module, base).expect("the encoder writes valid BTF")
    }
}
