//! Where the members of structs and unions lie, as C compilers for x86_64 place them.

use super::token::Token;
use super::{Faulty, fault};
use crate::ty::{BitField, Field, IntTy, Ty, TypeTable};

/// A type with its size and alignment in bytes.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub ty: Ty,
    pub size: u32,
    pub align: u32,
    pub form: Form,
}

/// What can be done with a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// It has values.
    Object,
    /// `void`, and structs that are only named: good for pointers.
    Incomplete,
    /// A function: good for pointers.
    Function,
}

/// `__attribute__((…))`
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attributes {
    pub packed: bool,
    /// The least alignment; 0 when nothing is said.
    pub align: u32,
}

/// A member as it is written.
#[derive(Debug)]
pub(super) struct Member {
    /// Empty for anonymous ones.
    pub name: String,
    pub token: Token,
    pub shape: Shape,
    /// Bits of a bit-field.
    pub width: Option<u32>,
    pub attributes: Attributes,
}

/// Largest struct.
const LARGEST: u64 = 1 << 30;

impl Shape {
    /// A type whose alignment is its size.
    pub fn scalar(ty: Ty, size: u32) -> Self {
        Shape { ty, size, align: size.max(1), form: Form::Object }
    }

    /// An integer.
    pub fn int(int: IntTy) -> Self {
        Shape::scalar(Ty::Int(int), int.size.into())
    }
}

/// The members with their places, and the size and alignment of the whole.
pub(super) fn place(
    members: &[Member],
    union: bool,
    attributes: Attributes,
    types: &TypeTable,
) -> Faulty<(Vec<Field>, u32, u32)> {
    let (mut fields, mut end, mut align) = (Vec::new(), 0u64, attributes.align.max(1));
    for member in members {
        let packed = attributes.packed || member.attributes.packed;
        let natural = if packed { 1 } else { member.shape.align };
        let wanted = natural.max(member.attributes.align);
        let from = if union { 0 } else { end };
        let (field, behind) = match member.width {
            Some(width) => bit_field(member, width, from, packed, types)?,
            None => {
                let start = from.next_multiple_of(u64::from(wanted) * 8);
                (Some(plain(member, start)), start + u64::from(member.shape.size) * 8)
            }
        };
        // Bit-fields without a name only take room.
        if member.width.is_none() || field.is_some() {
            align = align.max(wanted);
        }
        fields.extend(field);
        end = end.max(behind);
        if end > LARGEST * 8 {
            return Err(fault(&member.token, "the struct is too large"));
        }
    }
    let size = end.div_ceil(8).next_multiple_of(align.into());
    Ok((fields, size as u32, align))
}

fn plain(member: &Member, bit: u64) -> Field {
    let offset = (bit / 8) as u32;
    Field { name: member.name.clone(), ty: member.shape.ty.clone(), offset, bits: None, data_loc: false }
}

/// The field, if it has a name, and the first bit behind it.
fn bit_field(
    member: &Member,
    width: u32,
    from: u64,
    packed: bool,
    types: &TypeTable,
) -> Faulty<(Option<Field>, u64)> {
    let int = match &member.shape.ty {
        Ty::Int(int) => *int,
        Ty::Bool => IntTy::new(1, false),
        Ty::Enum(id) => types.enum_def(*id).int,
        _ => return Err(fault(&member.token, "a bit-field is an integer, a bool or an enum")),
    };
    let unit = u64::from(int.size) * 8;
    let most = if member.shape.ty == Ty::Bool { 1 } else { unit };
    if u64::from(width) > most {
        return Err(fault(&member.token, format!("{width} bits are more than the type has ({most})")));
    }
    let width = u64::from(width);
    if width == 0 {
        return match member.name.is_empty() {
            true => Ok((None, from.next_multiple_of(unit))),
            false => Err(fault(&member.token, "a bit-field with a name has at least 1 bit")),
        };
    }
    let aligned = match member.attributes.align {
        0 => from,
        align => from.next_multiple_of(u64::from(align) * 8),
    };
    let crosses = aligned / unit != (aligned + width - 1) / unit;
    let start = if crosses && !packed { aligned.next_multiple_of(unit) } else { aligned };
    if member.name.is_empty() {
        return Ok((None, start + width));
    }
    // The unit of its own type that holds it, or, across two of these, eight bytes from its first.
    let (ty, offset, shift) = match start % unit + width <= unit {
        true => (member.shape.ty.clone(), start / unit * unit / 8, start % unit),
        false => (Ty::Int(IntTy::new(8, int.signed)), start / 8, start % 8),
    };
    if shift + width > 64 {
        return Err(fault(&member.token, "a packed bit-field across nine bytes is not supported yet"));
    }
    let bits = Some(BitField { shift: shift as u8, width: width as u8 });
    let field = Field { name: member.name.clone(), ty, offset: offset as u32, bits, data_loc: false };
    Ok((Some(field), start + width))
}
