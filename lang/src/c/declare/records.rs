//! Structs, unions and enums.

use super::super::cursor::Cursor;
use super::super::evaluate::evaluate;
use super::super::layout::{Attributes, Form, Member, Shape, place};
use super::super::token::{Kind, Token};
use super::super::{Faulty, fault};
use super::{Declarations, Tag};
use crate::host::TypeKind;
use crate::ty::{EnumDef, IntTy, Origin, StructDef, StructId, Ty};

impl Declarations<'_> {
    /// What stands behind `struct`, `union` or `enum`; and whether it has a tag.
    pub(super) fn tagged(&mut self, cursor: &mut Cursor, kind: TypeKind) -> Faulty<(Shape, bool)> {
        let before = self.attributes(cursor)?;
        let tag = Some(cursor.token().clone()).filter(|it| it.kind == Kind::Word);
        if tag.is_some() {
            cursor.bump();
        }
        let fixed = match kind == TypeKind::Enum && cursor.eat(":") {
            true => Some(self.specifiers(cursor)?.shape),
            false => None,
        };
        if !cursor.token().is("{") {
            let Some(tag) = tag else { return Err(cursor.unexpected("a tag or `{`")) };
            return Ok((self.reference(kind, &tag.text), true));
        }
        if let Some(tag) = &tag {
            self.refuse_second(kind, tag)?;
        }
        let shape = match kind {
            TypeKind::Enum => self.enumeration(cursor, tag.as_ref(), fixed, before)?,
            _ => self.record(cursor, kind, tag.as_ref(), before)?,
        };
        if let Some(tag) = &tag {
            let defined = Some(tag.place.span);
            self.tags.insert((kind, tag.text.to_string()), Tag { shape: shape.clone(), defined });
        }
        Ok((shape, tag.is_some()))
    }

    fn refuse_second(&self, kind: TypeKind, tag: &Token) -> Faulty<()> {
        let earlier = self.tags.get(&(kind, tag.text.to_string()));
        match earlier.and_then(|it| it.defined) {
            Some(earlier) => {
                let twice = fault(tag, format!("`{}` is defined twice", tag.text));
                Err(Box::new(twice.label(earlier, "first defined here")))
            }
            None => Ok(()),
        }
    }

    /// A type by its tag: the script's, else the kernel's, else one that is only named.
    fn reference(&mut self, kind: TypeKind, tag: &str) -> Shape {
        let key = (kind, tag.to_owned());
        if let Some(known) = self.tags.get(&key) {
            return known.shape.clone();
        }
        let shape = match self.own.contains(&key) {
            true => None,
            false => self.host.kernel_type(kind, tag, self.types),
        };
        let shape = match shape {
            Some(ty) => self.shape(ty),
            None if kind == TypeKind::Enum => Shape::int(IntTy::new(4, false)),
            None => {
                let id = self.opaque(tag.to_owned(), kind == TypeKind::Union);
                Shape { ty: Ty::Struct(id), size: 1, align: 1, form: Form::Incomplete }
            }
        };
        self.tags.insert(key, Tag { shape: shape.clone(), defined: None });
        shape
    }

    fn opaque(&mut self, name: String, union: bool) -> StructId {
        self.types.add_struct(StructDef { name, union, size: 0, origin: Origin::Script, fields: None })
    }

    fn record(
        &mut self,
        cursor: &mut Cursor,
        kind: TypeKind,
        tag: Option<&Token>,
        before: Attributes,
    ) -> Faulty<Shape> {
        let union = kind == TypeKind::Union;
        // Members may point to the struct itself.
        let id = match tag.map(|it| self.reference(kind, &it.text).ty) {
            Some(Ty::Struct(id)) if self.types.struct_def(id).origin == Origin::Script => id,
            _ => self.opaque(tag.map_or_else(String::new, |it| it.text.to_string()), union),
        };
        cursor.expect("{")?;
        let mut members = Vec::new();
        while !cursor.eat("}") {
            if !cursor.eat(";") {
                self.members(cursor, &mut members)?;
            }
        }
        let behind = self.attributes(cursor)?;
        let attributes =
            Attributes { packed: before.packed || behind.packed, align: before.align.max(behind.align) };
        let (fields, size, align) = place(&members, union, attributes, self.types)?;
        refuse_same_names(&members)?;
        let def = &mut self.types.structs[id.0 as usize];
        def.size = size;
        def.fields = Some(fields);
        self.alignments.insert(id, align);
        Ok(Shape { ty: Ty::Struct(id), size, align, form: Form::Object })
    }

    /// One line of members.
    fn members(&mut self, cursor: &mut Cursor, members: &mut Vec<Member>) -> Faulty<()> {
        let token = cursor.token().clone();
        let specified = self.specifiers(cursor)?;
        if cursor.eat(";") {
            if specified.anonymous && matches!(specified.shape.ty, Ty::Struct(_)) {
                let attributes = specified.attributes;
                let shape = specified.shape;
                members.push(Member { name: String::new(), token, shape, width: None, attributes });
            }
            return Ok(());
        }
        loop {
            let at = cursor.token().clone();
            let (name, shape) = match cursor.token().is(":") {
                true => (None, specified.shape.clone()),
                false => self.declarator(cursor, &specified.shape)?,
            };
            let width = match cursor.eat(":") {
                true => Some(self.width(cursor)?),
                false => None,
            };
            let own = self.attributes(cursor)?;
            let attributes = Attributes {
                packed: own.packed || specified.attributes.packed,
                align: own.align.max(specified.attributes.align),
            };
            if name.is_none() && width.is_none() {
                return Err(cursor.unexpected("a member's name"));
            }
            let token = name.clone().unwrap_or(at);
            match shape.form {
                Form::Object => {}
                Form::Function => return Err(fault(&token, "a member cannot be a function")),
                Form::Incomplete => {
                    return Err(fault(&token, format!("the type of `{}` has no known size", token.text)));
                }
            }
            let name = name.map_or_else(String::new, |it| it.text.to_string());
            members.push(Member { name, token, shape, width, attributes });
            if !cursor.eat(",") {
                return match cursor.token().is("}") {
                    true => Ok(()),
                    false => cursor.expect(";"),
                };
            }
        }
    }

    fn width(&mut self, cursor: &mut Cursor) -> Faulty<u32> {
        let at = cursor.token().clone();
        let width = evaluate(cursor, self)?.number;
        u32::try_from(width).map_err(|_| fault(&at, "a bit-field's width is a small number"))
    }

    fn enumeration(
        &mut self,
        cursor: &mut Cursor,
        tag: Option<&Token>,
        fixed: Option<Shape>,
        before: Attributes,
    ) -> Faulty<Shape> {
        cursor.expect("{")?;
        let (mut variants, mut next) = (Vec::new(), 0i128);
        while !cursor.eat("}") {
            let name = cursor.token().clone();
            if name.kind != Kind::Word {
                return Err(cursor.unexpected("a constant's name"));
            }
            cursor.bump();
            if cursor.eat("=") {
                next = evaluate(cursor, self)?.number;
            }
            variants.push((name.text.to_string(), next as i64, next));
            // Those behind it may be made of it.
            self.enumerators.insert(name.text.to_string(), (Ty::I64, next as i64));
            next += 1;
            if !cursor.eat(",") && !cursor.token().is("}") {
                return Err(cursor.unexpected("`,` or `}`"));
            }
        }
        let behind = self.attributes(cursor)?;
        let int = match fixed.map(|it| it.ty) {
            Some(Ty::Int(int)) => int,
            _ => smallest(variants.iter().map(|it| it.2), before.packed || behind.packed),
        };
        let name = tag.map_or_else(String::new, |it| it.text.to_string());
        let named: Vec<_> = variants.into_iter().map(|it| (it.0, it.1)).collect();
        let id = self.types.add_enum(EnumDef { name, int, variants: named.clone() });
        self.enumerators.extend(named.into_iter().map(|it| (it.0, (Ty::Enum(id), it.1))));
        Ok(Shape::scalar(Ty::Enum(id), int.size.into()))
    }
}

/// The integer that an enum of these values is: `unsigned int` unless that is too small.
fn smallest(values: impl Iterator<Item = i128> + Clone, packed: bool) -> IntTy {
    let signed = values.clone().any(|it| it < 0);
    let sizes = if packed { [1, 2, 4, 8] } else { [4, 4, 4, 8] };
    let fits = |size: u8| {
        let bits = u32::from(size) * 8 - u32::from(signed);
        values.clone().all(|it| (if it < 0 { !it } else { it }) < 1i128 << bits)
    };
    IntTy::new(sizes.into_iter().find(|it| fits(*it)).unwrap_or(8), signed)
}

fn refuse_same_names(members: &[Member]) -> Faulty<()> {
    let mut seen = std::collections::HashMap::new();
    for member in members.iter().filter(|it| !it.name.is_empty()) {
        if let Some(earlier) = seen.insert(member.name.as_str(), &member.token) {
            let twice = fault(&member.token, format!("`{}` is a member already", member.name));
            return Err(Box::new(twice.label(earlier.place.span, "first declared here")));
        }
    }
    Ok(())
}
