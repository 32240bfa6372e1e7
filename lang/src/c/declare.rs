//! Declarations: `struct`, `union`, `enum`, `typedef`.
//!
//! Comes in: preprocessed tokens. Goes out: types by tag and by name, and enumerators. Functions
//! and variables, which headers declare too, are read over: a script cannot use them.

mod records;
pub(super) mod specifiers;

use super::cursor::Cursor;
use super::evaluate::{Names, Value, evaluate};
use super::layout::{Form, Shape};
use super::token::{Kind, Token};
use super::{Faulty, constants, fault};
use crate::diagnostic::Diagnostic;
use crate::host::{Host, TypeKind};
use crate::source::Span;
use crate::ty::{IntTy, Space, StructId, Ty, TypeTable};

use specifiers::Specified;
use std::collections::{HashMap, HashSet};

/// Most errors in the C code of one script.
const ERROR_LIMIT: usize = 20;

/// Most elements of an array.
const LARGEST_ARRAY: i128 = 1 << 28;

/// What is declared.
pub(super) struct Declarations<'a> {
    host: &'a dyn Host,
    pub types: &'a mut TypeTable,
    pub typedefs: HashMap<String, Shape>,
    pub tags: HashMap<(TypeKind, String), Tag>,
    pub enumerators: HashMap<String, (Ty, i64)>,
    /// Alignments of the structs of this table that are complete.
    alignments: HashMap<StructId, u32>,
    /// Tags that the script defines somewhere: before that they are not the kernel's.
    own: HashSet<(TypeKind, String)>,
    pub diagnostics: Vec<Diagnostic>,
}

/// A `struct x`, `union x` or `enum x`.
#[derive(Clone, Debug)]
pub(super) struct Tag {
    pub shape: Shape,
    /// Where it is defined.
    pub defined: Option<Span>,
}

impl<'a> Declarations<'a> {
    /// Nothing is declared yet.
    pub fn new(host: &'a dyn Host, types: &'a mut TypeTable) -> Self {
        Declarations {
            host,
            types,
            typedefs: HashMap::new(),
            tags: HashMap::new(),
            enumerators: HashMap::new(),
            alignments: HashMap::new(),
            own: HashSet::new(),
            diagnostics: Vec::new(),
        }
    }

    /// Takes all declarations.
    pub fn read(&mut self, tokens: &[Token]) {
        let Some(last) = tokens.last() else { return };
        self.own = defined_tags(tokens);
        let mut cursor = Cursor::new(tokens, last.place.clone());
        while !cursor.is_at_end() && self.diagnostics.len() < ERROR_LIMIT {
            let start = cursor.position();
            if let Err(fault) = self.declaration(&mut cursor) {
                self.diagnostics.push(*fault);
                cursor.go(start);
                cursor.skip_declaration();
            }
        }
    }

    fn declaration(&mut self, cursor: &mut Cursor) -> Faulty<()> {
        if cursor.eat(";") || cursor.eat("__extension__") {
            return Ok(());
        }
        if cursor.token().is("_Static_assert") || cursor.token().is("static_assert") {
            return self.static_assert(cursor);
        }
        let specified = self.specifiers(cursor)?;
        if !specified.typedef {
            // What is declared besides a type is a function or a variable.
            cursor.skip_declaration();
            return Ok(());
        }
        loop {
            let (name, shape) = self.declarator(cursor, &specified.shape)?;
            let attributes = self.attributes(cursor)?;
            let Some(name) = name else { return Err(cursor.unexpected("the new type's name")) };
            let align = attributes.align.max(specified.attributes.align);
            let align = if align > 0 { align } else { shape.align };
            self.name_record(&name, &shape);
            self.typedefs.insert(name.text.to_string(), Shape { align, ..shape });
            if !cursor.eat(",") {
                return cursor.expect(";");
            }
        }
    }

    fn static_assert(&mut self, cursor: &mut Cursor) -> Faulty<()> {
        let at = cursor.token().clone();
        cursor.bump();
        cursor.expect("(")?;
        let holds = evaluate(cursor, self)?.number != 0;
        let message = cursor.eat(",").then(|| cursor.token().text.clone());
        if message.is_some() {
            cursor.bump();
        }
        cursor.expect(")")?;
        match (holds, message) {
            (true, _) => cursor.expect(";"),
            (false, Some(message)) => Err(fault(&at, format!("the static assertion fails: {message}"))),
            (false, None) => Err(fault(&at, "the static assertion fails")),
        }
    }

    /// `*name[3]`, `(*name)(int)`, or the same without a name.
    fn declarator(&mut self, cursor: &mut Cursor, base: &Shape) -> Faulty<(Option<Token>, Shape)> {
        cursor.nested(|cursor| {
            let mut shape = base.clone();
            while cursor.eat("*") {
                shape = pointer(&shape);
                self.qualifiers(cursor)?;
            }
            self.qualifiers(cursor)?;
            let inner = cursor.position();
            if cursor.token().is("(") && self.is_inner_declarator(cursor) {
                cursor.skip_brackets();
                let shape = self.suffixes(cursor, shape)?;
                let end = cursor.position();
                cursor.go(inner + 1);
                let result = self.declarator(cursor, &shape)?;
                cursor.expect(")")?;
                cursor.go(end);
                return Ok(result);
            }
            let name = Some(cursor.token().clone()).filter(|it| it.kind == Kind::Word);
            if name.is_some() {
                cursor.bump();
            }
            Ok((name, self.suffixes(cursor, shape)?))
        })
    }

    /// Whether the parenthesis here holds a declarator rather than parameters.
    fn is_inner_declarator(&self, cursor: &Cursor) -> bool {
        let inside = cursor.ahead(1);
        inside.is("*") || inside.is("(") || inside.is("__attribute__") || {
            inside.kind == Kind::Word && !self.is_type_word(inside)
        }
    }

    /// `[2][3]`, `(int, long)`
    fn suffixes(&mut self, cursor: &mut Cursor, base: Shape) -> Faulty<Shape> {
        let (mut lengths, mut shape) = (Vec::new(), base);
        loop {
            if cursor.token().is("(") {
                cursor.skip_brackets();
                shape = Shape { ty: Ty::Void, size: 1, align: 1, form: Form::Function };
                lengths.clear();
            } else if cursor.token().is("[") {
                let at = cursor.token().clone();
                lengths.push((self.array_length(cursor)?, at));
            } else {
                break;
            }
        }
        for (length, at) in lengths.into_iter().rev() {
            if shape.form != Form::Object {
                return Err(fault(&at, "the elements of this array have no known size"));
            }
            let size = shape.size.checked_mul(length).filter(|it| i128::from(*it) <= LARGEST_ARRAY);
            let Some(size) = size else { return Err(fault(&at, "the array is too large")) };
            shape = Shape { ty: Ty::Array(Box::new(shape.ty), length), size, ..shape };
        }
        Ok(shape)
    }

    fn array_length(&mut self, cursor: &mut Cursor) -> Faulty<u32> {
        cursor.expect("[")?;
        self.qualifiers(cursor)?;
        if cursor.eat("]") {
            return Ok(0);
        }
        let at = cursor.token().clone();
        let length = cursor.nested(|cursor| evaluate(cursor, self))?.number;
        cursor.expect("]")?;
        match (0..=LARGEST_ARRAY).contains(&length) {
            true => Ok(length as u32),
            false => Err(fault(&at, format!("an array cannot have {length} elements"))),
        }
    }

    /// The type of a name that C has no word for.
    fn named(&mut self, name: &str) -> Option<Shape> {
        if let Some(shape) = self.typedefs.get(name) {
            return Some(shape.clone());
        }
        if let Some(ty) = well_known(name) {
            return Some(self.shape(ty));
        }
        let ty = self.host.kernel_type(TypeKind::Typedef, name, self.types)?;
        Some(self.shape(ty))
    }

    /// A type of the kernel as C has it.
    fn shape(&mut self, ty: Ty) -> Shape {
        let align = self.align(&ty, 0);
        let size = crate::layout::size_of(&ty, self.types);
        let form = if ty == Ty::Void || size == 0 && matches!(ty, Ty::Struct(_)) {
            Form::Incomplete
        } else {
            Form::Object
        };
        Shape { size: if form == Form::Object { size } else { 1 }, ty, align, form }
    }

    /// The alignment that C gives to a type: that of its widest part, as far as the members of a
    /// packed struct show that.
    fn align(&mut self, ty: &Ty, depth: u32) -> u32 {
        match ty {
            Ty::Array(of, _) => self.align(of, depth),
            Ty::Struct(id) => match self.alignments.get(id) {
                Some(align) => *align,
                None if depth == 16 => 8,
                None => self.foreign_align(*id, depth),
            },
            scalar => crate::layout::align_of(scalar, self.types),
        }
    }

    fn foreign_align(&mut self, id: StructId, depth: u32) -> u32 {
        if self.types.struct_def(id).fields.is_none() {
            self.host.complete(id, self.types);
        }
        let def = self.types.struct_def(id);
        let (size, fields) = (def.size, def.fields.clone().unwrap_or_default());
        let mut align = 1;
        for field in fields {
            let mut natural = self.align(&field.ty, depth + 1);
            while natural > 1 && (field.offset % natural != 0 || size % natural != 0) {
                natural /= 2;
            }
            align = align.max(natural);
        }
        self.alignments.insert(id, align);
        align
    }

    /// A struct without a tag is called by its typedef.
    fn name_record(&mut self, name: &Token, shape: &Shape) {
        if let Ty::Struct(id) = shape.ty
            && self.alignments.contains_key(&id)
            && let Some(def) = self.types.structs.get_mut(id.0 as usize)
            && def.name.is_empty()
            && def.origin == crate::ty::Origin::Script
        {
            def.name = name.text.to_string();
        }
    }
}

/// The address of such a thing.
fn pointer(to: &Shape) -> Shape {
    Shape::scalar(Ty::Ptr(Box::new(to.ty.clone()), Space::Kernel), 8)
}

/// Types that every header takes for granted.
fn well_known(name: &str) -> Option<Ty> {
    let plain = name.strip_prefix("__").unwrap_or(name);
    let int = |size, signed| Some(Ty::Int(IntTy::new(size, signed)));
    match plain {
        "bool" => Some(Ty::Bool),
        "be16" | "le16" | "sum16" => int(2, false),
        "be32" | "le32" | "wsum" => int(4, false),
        "be64" | "le64" | "aligned_u64" | "uintptr_t" => int(8, false),
        "ssize_t" | "intptr_t" | "ptrdiff_t" => int(8, true),
        "u_int8_t" | "u_char" | "uchar" => int(1, false),
        "u_int16_t" | "u_short" | "ushort" => int(2, false),
        "u_int32_t" | "u_int" | "uint" => int(4, false),
        "u_int64_t" | "u_long" | "ulong" => int(8, false),
        _ if plain.bytes().any(|it| it.is_ascii_digit()) || plain == "size_t" => {
            crate::sema::integer(plain).map(Ty::Int)
        }
        _ => None,
    }
}

/// The tags with a body behind them.
fn defined_tags(tokens: &[Token]) -> HashSet<(TypeKind, String)> {
    let mut tags = HashSet::new();
    for (at, token) in tokens.iter().enumerate() {
        let Some(kind) = specifiers::tag_kind(token) else { continue };
        let mut cursor = Cursor::new(&tokens[at + 1..], token.place.clone());
        while cursor.token().is("__attribute__") {
            cursor.bump();
            cursor.skip_brackets();
        }
        if cursor.token().kind == Kind::Word && cursor.ahead(1).is("{") {
            tags.insert((kind, cursor.token().text.to_string()));
        }
    }
    tags
}

impl Names for Declarations<'_> {
    fn constant(&mut self, name: &str) -> Option<i128> {
        // The kernel's types are only searched for what may be there.
        if crate::builtins::Builtin::from_name(name).is_some() {
            return None;
        }
        let own = self.enumerators.get(name).map(|it| it.1);
        let value = own.or_else(|| constants::value(name));
        value.or_else(|| self.host.enumerator(name, self.types).map(|it| it.1)).map(i128::from)
    }

    fn begins_type(&mut self, cursor: &Cursor) -> bool {
        let token = cursor.token();
        self.is_type_word(token) || (token.kind == Kind::Word && self.named(&token.text).is_some())
    }

    fn size_of_type(&mut self, cursor: &mut Cursor) -> Faulty<Value> {
        let at = cursor.token().clone();
        let Specified { shape, .. } = self.specifiers(cursor)?;
        let (_, shape) = self.declarator(cursor, &shape)?;
        if shape.form == Form::Incomplete && shape.ty != Ty::Void {
            return Err(fault(&at, "the size of this type is not known"));
        }
        let signed = matches!(shape.ty, Ty::Int(IntTy { signed: true, .. }));
        let unsigned = (!signed).then_some(8);
        Ok(Value { number: shape.size.into(), unsigned })
    }
}
