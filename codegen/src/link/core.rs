//! The C types that CO-RE accesses go through, as BTF: each struct with its full size and only
//! those members, at their real offsets, that some access names.
//!
//! A loader on another kernel finds the struct of the same name there, follows the access by
//! the members' names, and writes the offset that it finds into the instruction.

use super::btf::{Btf, Encoding, Member, TypeId};
use crate::ir::CoreAccess;
use lang::layout;
use lang::ty::{Field, IntTy, Origin, StructId, Ty, TypeTable};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// An access as `.BTF.ext` records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// The struct that the access begins at.
    pub root: TypeId,
    /// Member indices from there, such as `0:2:1`, in a string of the `.BTF` section.
    pub path: u32,
    /// `enum bpf_core_relo_kind`
    pub kind: u32,
}

/// Describes what the accesses go through. The result has one entry for each access, `None`
/// where it cannot be followed on another kernel: it then keeps the offset that it has.
pub fn encode(accesses: &[CoreAccess], types: &TypeTable, btf: &mut Btf) -> Vec<Option<Relocation>> {
    let mut encoder = Encoder { types, members: BTreeMap::new(), done: HashMap::new(), btf };
    for access in accesses.iter().filter(|it| can_follow(it, types)) {
        for &(id, idx) in &access.path {
            encoder.members.entry(id).or_default().insert(idx);
        }
    }
    accesses.iter().map(|it| can_follow(it, types).then(|| encoder.relocation(it))).collect()
}

/// Whether another kernel's type can be found by name: the struct that the access begins at and
/// the member that it ends at must have one.
fn can_follow(access: &CoreAccess, types: &TypeTable) -> bool {
    let (Some(&(root, _)), Some(&(parent, idx))) = (access.path.first(), access.path.last()) else {
        return false;
    };
    let root = types.struct_def(root);
    matches!(root.origin, Origin::Btf { .. })
        && is_identifier(&root.name)
        && field(types, parent, idx).is_some_and(|it| is_identifier(&it.name))
        && access.path.iter().all(|&(id, idx)| field(types, id, idx).is_some())
}

fn field(types: &TypeTable, id: StructId, idx: u32) -> Option<&Field> {
    types.struct_def(id).fields.as_ref()?.get(idx as usize)
}

/// The name where BTF can have it, else none.
fn usable_name(name: &str) -> &str {
    if is_identifier(name) { name } else { "" }
}

/// What the kernel takes as a name in BTF.
fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|it| it == b'_' || it.is_ascii_alphabetic())
        && bytes.all(|it| it == b'_' || it.is_ascii_alphanumeric())
}

struct Encoder<'a> {
    types: &'a TypeTable,
    /// The members of each struct that accesses name.
    members: BTreeMap<StructId, BTreeSet<u32>>,
    /// Structs that have been encoded.
    done: HashMap<StructId, TypeId>,
    btf: &'a mut Btf,
}

impl Encoder<'_> {
    fn relocation(&mut self, access: &CoreAccess) -> Relocation {
        let root = self.structure(access.path[0].0);
        // The leading 0 is the index into an array of the root struct.
        let mut path = "0".to_owned();
        for (id, idx) in &access.path {
            let position = self.members[id].range(..idx).count();
            path.push_str(&format!(":{position}"));
        }
        Relocation { root, path: self.btf.string(&path), kind: access.kind as u32 }
    }

    /// A struct with the members that accesses name; without any when it is only passed by.
    fn structure(&mut self, id: StructId) -> TypeId {
        if let Some(&done) = self.done.get(&id) {
            return done;
        }
        let def = self.types.struct_def(id);
        let members = self.members.get(&id).cloned().unwrap_or_default();
        let members = members.iter().filter_map(|&idx| field(self.types, id, idx)).map(|it| self.member(it));
        let members: Vec<Member> = members.collect();
        let encoded = self.btf.structure(usable_name(&def.name), def.union, def.size, &members);
        self.done.insert(id, encoded);
        encoded
    }

    fn member(&mut self, field: &Field) -> Member {
        let name = usable_name(&field.name).to_owned();
        let (shift, width) = field.bits.map_or((0, 0), |it| (it.shift, it.width));
        let bit_offset = field.offset * 8 + u32::from(shift);
        Member { name, ty: self.ty(&field.ty), bit_offset, bit_width: width }
    }

    /// A member's type. Loaders compare its kind with that of the other kernel's member, for
    /// arrays also the element's, for enums also the name (aya-obj even where one has none); what
    /// a pointer points to does not matter to them.
    fn ty(&mut self, ty: &Ty) -> TypeId {
        match ty {
            Ty::Bool => self.btf.int("_Bool", 1, Encoding::Bool),
            Ty::Int(it) => int(self.btf, *it),
            Ty::Str(n) => {
                let char = int(self.btf, IntTy::new(1, true));
                self.btf.array(char, *n)
            }
            Ty::Array(element, n) => {
                let element = self.ty(element);
                self.btf.array(element, *n)
            }
            Ty::Struct(id) => self.structure(*id),
            Ty::Enum(id) => {
                let def = self.types.enum_def(*id);
                self.btf.enumeration(usable_name(&def.name), def.int.size.into())
            }
            Ty::Ptr(..) => self.btf.pointer(TypeId::VOID),
            other => {
                let byte = int(self.btf, IntTy::new(1, false));
                self.btf.array(byte, layout::size_of(other, self.types))
            }
        }
    }
}

/// An integer, named as kernel code does: `s32`, `u64`.
pub fn int(btf: &mut Btf, ty: IntTy) -> TypeId {
    let (letter, encoding) = if ty.signed { ('s', Encoding::Signed) } else { ('u', Encoding::Unsigned) };
    let size = u32::from(ty.size);
    btf.int(&format!("{letter}{}", size * 8), size, encoding)
}
