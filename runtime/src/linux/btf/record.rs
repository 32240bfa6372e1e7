//! BTF records as they lie in the file: a 12-byte header, then what its kind adds.
//!
//! Nothing here follows a type id or keeps a copy.

use super::Btf;

/// What a record describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// An integer.
    Int = 1,
    /// A pointer.
    Pointer,
    /// An array.
    Array,
    /// A struct.
    Struct,
    /// A union.
    Union,
    /// An enum of 4-byte values.
    Enum,
    /// A declared struct or union (with [`Record::flag`]) that has no definition.
    Forward,
    /// A typedef.
    Typedef,
    /// `volatile`
    Volatile,
    /// `const`
    Const,
    /// `restrict`
    Restrict,
    /// A function; its type is a [`Kind::Prototype`].
    Function,
    /// Parameters and result.
    Prototype,
    /// A variable.
    Variable,
    /// A section of variables.
    Section,
    /// A floating-point number.
    Float,
    /// An attribute of a declaration.
    DeclarationTag,
    /// An attribute of a type, such as `user` for `__user`.
    TypeTag,
    /// An enum of 8-byte values.
    Enum64,
}

impl Kind {
    const ALL: [Kind; 19] = [
        Kind::Int,
        Kind::Pointer,
        Kind::Array,
        Kind::Struct,
        Kind::Union,
        Kind::Enum,
        Kind::Forward,
        Kind::Typedef,
        Kind::Volatile,
        Kind::Const,
        Kind::Restrict,
        Kind::Function,
        Kind::Prototype,
        Kind::Variable,
        Kind::Section,
        Kind::Float,
        Kind::DeclarationTag,
        Kind::TypeTag,
        Kind::Enum64,
    ];

    /// Typedefs, qualifiers and tags: what may stand between a name and the type it means.
    pub fn is_transparent(self) -> bool {
        matches!(
            self,
            Kind::Typedef
                | Kind::Volatile
                | Kind::Const
                | Kind::Restrict
                | Kind::TypeTag
                | Kind::DeclarationTag
        )
    }

    /// Bytes behind the header: once, and for each element.
    const fn extent(self) -> (usize, usize) {
        match self {
            Kind::Int | Kind::Variable | Kind::DeclarationTag => (4, 0),
            Kind::Array => (12, 0),
            Kind::Struct | Kind::Union | Kind::Section | Kind::Enum64 => (0, 12),
            Kind::Enum | Kind::Prototype => (0, 8),
            Kind::Pointer
            | Kind::Forward
            | Kind::Typedef
            | Kind::Volatile
            | Kind::Const
            | Kind::Restrict
            | Kind::Function
            | Kind::Float
            | Kind::TypeTag => (0, 0),
        }
    }
}

/// `struct btf_type`.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Offset of the name; 0 for none.
    pub name: u32,
    info: u32,
    /// A size in bytes or another type's id, as the kind says.
    size_or_type: u32,
}

impl Header {
    /// Bytes of a header.
    const LEN: usize = 12;

    /// The header at the start of `bytes`.
    pub fn read(bytes: &[u8]) -> Option<Header> {
        let bytes: &[u8; Self::LEN] = bytes.first_chunk()?;
        Some(Header { name: word(bytes, 0), info: word(bytes, 4), size_or_type: word(bytes, 8) })
    }

    /// The kind, where it is a known one.
    pub fn kind(&self) -> Option<Kind> {
        let number = (self.info >> 24 & 0x1f) as usize;
        Kind::ALL.get(number.wrapping_sub(1)).copied()
    }

    /// Bytes of the whole record, which is of this kind.
    pub fn record_len(&self, kind: Kind) -> usize {
        let (once, each) = kind.extent();
        Self::LEN + once + each * self.elements()
    }

    fn elements(&self) -> usize {
        (self.info & 0xffff) as usize
    }
}

/// A record and the file it is in.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    btf: &'a Btf,
    id: u32,
    header: Header,
    /// What the kind adds behind the header; any number of bytes more.
    rest: &'a [u8],
}

/// A member of a struct or union.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Offset of the name; 0 for an anonymous one.
    pub name_offset: u32,
    /// The type's id.
    pub ty: u32,
    /// Bits from the struct's start.
    pub bit_offset: u32,
    /// Number of bits where the member itself says so; 0 where it does not.
    pub bits: u32,
}

/// A parameter of a function.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Offset of the name; 0 for none.
    pub name_offset: u32,
    /// The type's id; 0 for `...`.
    pub ty: u32,
}

/// A value of an enum.
#[derive(Clone, Copy, Debug)]
pub struct Enumerator {
    /// Offset of the name.
    pub name_offset: u32,
    /// The value.
    pub value: i64,
}

/// How an integer is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntEncoding {
    /// Two's complement.
    pub signed: bool,
    /// `_Bool`
    pub bool: bool,
    /// Bits from the start of the storage, for old bit-fields.
    pub offset: u32,
    /// Number of bits.
    pub bits: u32,
}

impl<'a> Record<'a> {
    /// The record whose header `bytes` starts with. Invariant: the index has seen it whole.
    pub(super) fn new(btf: &'a Btf, id: u32, bytes: &'a [u8]) -> Record<'a> {
        let header = Header::read(bytes).expect("only whole records are indexed");
        Record { btf, id, header, rest: &bytes[Header::LEN..] }
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What it describes.
    pub fn kind(&self) -> Kind {
        self.header.kind().expect("only known kinds are indexed")
    }

    /// The file's name: `vmlinux` or a module.
    pub fn module(&self) -> &'a str {
        self.btf.module()
    }

    /// The name, empty when it has none.
    pub fn name(&self) -> &'a str {
        self.btf.string(self.header.name)
    }

    /// Where the name is.
    pub fn name_offset(&self) -> u32 {
        self.header.name
    }

    /// For a forward declaration: a union. For an enum: signed values.
    pub fn flag(&self) -> bool {
        self.header.info >> 31 == 1
    }

    /// Bytes that a value takes, for kinds that say so themselves.
    pub fn size(&self) -> u32 {
        self.header.size_or_type
    }

    /// The id of the type that this one points to, names, qualifies or returns; an array's is in
    /// [`Self::array`].
    pub fn target(&self) -> u32 {
        self.header.size_or_type
    }

    /// An array's element type and length.
    pub fn array(&self) -> (u32, u32) {
        (word(self.rest, 0), word(self.rest, 8))
    }

    /// How an integer is stored.
    pub fn int(&self) -> IntEncoding {
        let info = word(self.rest, 0);
        IntEncoding {
            signed: info >> 24 & 1 != 0,
            bool: info >> 24 & 4 != 0,
            offset: info >> 16 & 0xff,
            bits: info & 0xff,
        }
    }

    /// The members of a struct or union, in order.
    pub fn members(&self) -> impl Iterator<Item = Member> + use<'a> {
        let flag = self.flag();
        self.elements(12).map(move |it| {
            let offset = word(it, 8);
            let (bits, bit_offset) = if flag { (offset >> 24, offset & 0xff_ffff) } else { (0, offset) };
            Member { name_offset: word(it, 0), ty: word(it, 4), bit_offset, bits }
        })
    }

    /// The parameters of a prototype, in order.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter> + use<'a> {
        self.elements(8).map(|it| Parameter { name_offset: word(it, 0), ty: word(it, 4) })
    }

    /// The values of an enum, in order.
    pub fn enumerators(&self) -> impl Iterator<Item = Enumerator> + use<'a> {
        let (wide, signed) = (self.kind() == Kind::Enum64, self.flag());
        self.elements(if wide { 12 } else { 8 }).map(move |it| {
            let low = word(it, 4);
            let value = match (wide, signed) {
                (true, _) => (u64::from(low) | u64::from(word(it, 8)) << 32) as i64,
                (false, true) => i64::from(low as i32),
                (false, false) => i64::from(low),
            };
            Enumerator { name_offset: word(it, 0), value }
        })
    }

    fn elements(&self, size: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.rest.chunks_exact(size).take(self.header.elements())
    }
}

/// The u32 at a byte offset; 0 behind the end, where only a damaged file leads.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|it| it.first_chunk()).map_or(0, |it| u32::from_le_bytes(*it))
}
