//! BTF into the language's types.
//!
//! Comes in: a file of BTF and ids. Goes out: `Ty`, with structs and enums added to a type table.
//! A struct's members are decoded only when asked for ([`Decoder::members`]), so that one name
//! does not pull in the whole kernel.

use super::Btf;
use super::record::{Kind, Member, Record};
use lang::ty::{BitField, EnumDef, EnumId, Field, IntTy, Origin, Space, StructDef, StructId, Ty, TypeTable};

/// No type written by hand nests deeper; a damaged file might nest without end.
const MAX_DEPTH: u32 = 64;

/// Decodes the types of one file into one table.
pub struct Decoder<'a> {
    btf: &'a Btf,
    types: &'a mut TypeTable,
}

impl<'a> Decoder<'a> {
    /// Adds to `types` what decoding meets.
    pub fn new(btf: &'a Btf, types: &'a mut TypeTable) -> Self {
        Decoder { btf, types }
    }

    /// The type of an id.
    pub fn ty(&mut self, id: u32) -> Ty {
        self.nested(id, MAX_DEPTH)
    }

    fn nested(&mut self, id: u32, depth: u32) -> Ty {
        let (Some((record, _)), Some(depth)) = (self.btf.resolve(id), depth.checked_sub(1)) else {
            return Ty::Void;
        };
        match record.kind() {
            Kind::Int => int(&record),
            Kind::Pointer => self.pointer(&record, depth),
            Kind::Array => {
                let (of, len) = record.array();
                Ty::Array(Box::new(self.nested(of, depth)), len)
            }
            Kind::Struct | Kind::Union | Kind::Forward => Ty::Struct(self.structure(&record)),
            Kind::Enum | Kind::Enum64 => Ty::Enum(self.enumeration(&record)),
            Kind::Float => bytes(record.size()),
            // A function itself has no value; the rest never is the type of one.
            _ => Ty::Void,
        }
    }

    fn pointer(&mut self, record: &Record, depth: u32) -> Ty {
        let space = match self.btf.resolve(record.target()) {
            Some((_, user)) if user => Space::User,
            _ => Space::Kernel,
        };
        Ty::Ptr(Box::new(self.nested(record.target(), depth)), space)
    }

    /// The table's entry for a struct or union; the same one whenever it is met.
    pub fn structure(&mut self, record: &Record) -> StructId {
        let origin = Origin::Btf { module: record.module().to_owned(), id: record.id() };
        if let Some(known) = self.types.structs.iter().position(|it| it.origin == origin) {
            return StructId(known as u32);
        }
        let forward = record.kind() == Kind::Forward;
        self.types.add_struct(StructDef {
            name: record.name().to_owned(),
            union: record.kind() == Kind::Union || (forward && record.flag()),
            size: if forward { 0 } else { record.size() },
            origin,
            fields: forward.then(Vec::new),
        })
    }

    /// The table's entry for an enum; the same one whenever it is met.
    pub fn enumeration(&mut self, record: &Record) -> EnumId {
        let variants = record.enumerators().map(|it| (self.btf.string(it.name_offset).to_owned(), it.value));
        let int = IntTy::new(int_size(record.size()), record.flag());
        let def = EnumDef { name: record.name().to_owned(), int, variants: variants.collect() };
        match self.types.enums.iter().position(|it| *it == def) {
            Some(known) => EnumId(known as u32),
            None => self.types.add_enum(def),
        }
    }

    /// The members of a struct or union.
    pub fn members(&mut self, record: &Record) -> Vec<Field> {
        record.members().map(|it| self.member(&it)).collect()
    }

    fn member(&mut self, member: &Member) -> Field {
        let name = self.btf.string(member.name_offset).to_owned();
        let ty = self.ty(member.ty);
        let Some((bit_offset, width)) = self.btf.bit_field(member) else {
            return Field { name, ty, offset: member.bit_offset / 8, bits: None, data_loc: false };
        };
        let (ty, offset, shift) = storage_unit(ty, self.types, bit_offset, width);
        Field { name, ty, offset, bits: Some(BitField { shift, width: width as u8 }), data_loc: false }
    }

    /// The parameters of a prototype (the variable ones left out) and its result.
    pub fn prototype(&mut self, record: &Record) -> (Vec<(String, Ty)>, Ty) {
        let named = record.parameters().filter(|it| it.ty != 0).enumerate().map(|(i, it)| {
            let name = self.btf.string(it.name_offset);
            let name = if name.is_empty() { format!("arg{i}") } else { name.to_owned() };
            (name, self.ty(it.ty))
        });
        (named.collect(), self.ty(record.target()))
    }
}

impl Btf {
    /// The type that a name, qualified or tagged type means, and whether a `user` tag was met on
    /// the way. Nothing for `void`.
    pub fn resolve(&self, mut id: u32) -> Option<(Record<'_>, bool)> {
        let mut user = false;
        for _ in 0..MAX_DEPTH {
            let record = self.record(id)?;
            if !record.kind().is_transparent() {
                return Some((record, user));
            }
            user |= record.kind() == Kind::TypeTag && self.is_named(record.name_offset(), "user");
            id = record.target();
        }
        None
    }

    /// The first bit and the width of a member, if it is a bit-field. New files say so at the
    /// member; old ones have an integer type with fewer bits than its storage.
    pub fn bit_field(&self, member: &Member) -> Option<(u32, u32)> {
        if member.bits != 0 {
            return Some((member.bit_offset, member.bits));
        }
        let (record, _) = self.resolve(member.ty)?;
        if record.kind() != Kind::Int {
            return None;
        }
        let int = record.int();
        (int.offset != 0 || int.bits < record.size() * 8)
            .then_some((member.bit_offset + int.offset, int.bits))
    }
}

/// The type, byte offset and shift of the storage unit that holds a bit-field: the aligned one of
/// its own type, or, for packed fields across two of these, eight bytes from the field's first.
fn storage_unit(ty: Ty, types: &TypeTable, bit_offset: u32, width: u32) -> (Ty, u32, u8) {
    let int = match &ty {
        Ty::Int(it) => *it,
        Ty::Bool => IntTy::new(1, false),
        Ty::Enum(id) => types.enum_def(*id).int,
        _ => IntTy::new(8, false),
    };
    let bits = u32::from(int.size) * 8;
    let shift = bit_offset % bits;
    if shift + width <= bits {
        return (ty, (bit_offset - shift) / 8, shift as u8);
    }
    (Ty::Int(IntTy::new(8, int.signed)), bit_offset / 8, (bit_offset % 8) as u8)
}

/// An integer. Plain `char` counts as signed whatever the compiler's option was (kernels since 6.2
/// have it unsigned): the front end knows text by it.
fn int(record: &Record) -> Ty {
    let encoding = record.int();
    match record.size() {
        1 if encoding.bool => Ty::Bool,
        1 if record.name() == "char" => Ty::I8,
        size @ (1 | 2 | 4 | 8) => Ty::Int(IntTy::new(size as u8, encoding.signed)),
        16 => Ty::Array(Box::new(Ty::U64), 2),
        other => bytes(other),
    }
}

/// What the language has no type for, such as floating-point numbers.
fn bytes(size: u32) -> Ty {
    Ty::Array(Box::new(Ty::U8), size)
}

fn int_size(size: u32) -> u8 {
    match size {
        1 | 2 | 8 => size as u8,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::Encoder;
    use super::*;

    #[test]
    fn decodes_every_kind() {
        let mut btf = Encoder::new();
        let char = btf.int("char", 1, 0);
        let bool = btf.int("_Bool", 1, 4);
        let wide = btf.int("__int128", 16, 1);
        let short = btf.int("unsigned short", 2, 0);
        let float = btf.float("double", 8);
        let constant = btf.wrap(Kind::Const, short);
        let alias = btf.typedef("u16", constant);
        let comm = btf.array(char, 16);
        let tagged = btf.type_tag("user", char);
        let user = btf.wrap(Kind::Pointer, tagged);
        let user_of_kernel = btf.wrap(Kind::Pointer, user);
        let proto = btf.prototype(0, &[]);
        let callback = btf.wrap(Kind::Pointer, proto);
        let anything = btf.wrap(Kind::Pointer, 0);
        let looped = btf.typedef("looped", anything + 1);
        let btf = btf.finish("vmlinux", None);
        let pointer = |to: Ty, space| Ty::Ptr(Box::new(to), space);
        let mut types = TypeTable::default();
        let mut decoder = Decoder::new(&btf, &mut types);
        for (id, expected) in [
            (char, Ty::I8),
            (bool, Ty::Bool),
            (wide, Ty::Array(Box::new(Ty::U64), 2)),
            (alias, Ty::U16),
            (float, Ty::Array(Box::new(Ty::U8), 8)),
            (comm, Ty::Array(Box::new(Ty::I8), 16)),
            (user, pointer(Ty::I8, Space::User)),
            (user_of_kernel, pointer(pointer(Ty::I8, Space::User), Space::Kernel)),
            (callback, pointer(Ty::Void, Space::Kernel)),
            (anything, pointer(Ty::Void, Space::Kernel)),
            (looped, Ty::Void),
            (looped + 1, Ty::Void),
            (0, Ty::Void),
        ] {
            assert_eq!(decoder.ty(id), expected, "id {id}");
        }
    }

    #[test]
    fn one_struct_has_one_entry() {
        let mut btf = Encoder::new();
        let list = btf.structure("list", 16, &[("next", 2, 0), ("prev", 2, 64), ("owner", 4, 128)]);
        let pointer = btf.wrap(Kind::Pointer, list);
        let unknown = btf.forward("owner", false);
        let owner = btf.wrap(Kind::Pointer, unknown);
        let colour = btf.enumeration64("colour", &[("RED", u64::MAX)]);
        let btf = btf.finish("vmlinux", None);
        let mut types = TypeTable::default();
        let mut decoder = Decoder::new(&btf, &mut types);
        let fields = decoder.members(&btf.record(list).unwrap());
        assert_eq!(fields[0].ty, fields[1].ty);
        assert_eq!(decoder.ty(pointer), fields[0].ty);
        assert_eq!(fields.iter().map(|it| it.offset).collect::<Vec<_>>(), [0, 8, 16]);
        assert_eq!(decoder.ty(owner), fields[2].ty);
        assert_eq!(decoder.ty(colour), decoder.ty(colour));
        assert_eq!(types.structs.len(), 2);
        assert_eq!(types.structs[0].fields, None);
        assert_eq!(types.structs[1].fields, Some(vec![]));
        assert_eq!(types.enums[0].variants, [("RED".to_owned(), -1)]);
    }

    #[test]
    fn bit_fields_lie_in_their_storage_unit() {
        let mut btf = Encoder::new();
        let int = btf.int("unsigned int", 4, 0);
        let byte = btf.int("unsigned char", 1, 0);
        // Old files: the integer type itself is narrow.
        let three = btf.int_bits("unsigned int", 4, 0, 0, 3);
        let moved = btf.int_bits("unsigned int", 4, 0, 5, 2);
        let old = btf.structure("old", 8, &[("a", three, 32), ("b", moved, 32), ("plain", int, 0)]);
        let new = btf.structure_with_bits(
            "new",
            16,
            &[
                ("a", int, 4 << 24 | 36),
                ("packed", byte, 5 << 24 | 70),
                ("plain", int, 96),
                ("b", byte, 8 << 24 | 8),
            ],
        );
        let btf = btf.finish("vmlinux", None);
        let mut types = TypeTable::default();
        let mut fields = |id| {
            let fields = Decoder::new(&btf, &mut types).members(&btf.record(id).unwrap());
            fields
                .into_iter()
                .map(|it| (it.offset, it.bits.map(|it| (it.shift, it.width)), it.ty))
                .collect::<Vec<_>>()
        };
        assert_eq!(fields(old), [(4, Some((0, 3)), Ty::U32), (4, Some((5, 2)), Ty::U32), (0, None, Ty::U32)]);
        assert_eq!(
            fields(new),
            [
                (4, Some((4, 4)), Ty::U32),
                (8, Some((6, 5)), Ty::U64),
                (12, None, Ty::U32),
                (1, Some((0, 8)), Ty::U8)
            ]
        );
    }
}
