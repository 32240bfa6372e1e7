//! What stands before a declarator: the base type, `typedef`, qualifiers and attributes.

use super::super::cursor::Cursor;
use super::super::evaluate::evaluate;
use super::super::layout::{Attributes, Form, Shape};
use super::super::token::{Kind, Token};
use super::super::{Faulty, fault};
use super::Declarations;
use crate::host::TypeKind;
use crate::ty::{IntTy, Ty};

/// Words without meaning for a layout.
const QUALIFIERS: [&str; 20] = [
    "const",
    "volatile",
    "restrict",
    "__restrict",
    "__const",
    "__volatile__",
    "inline",
    "__inline",
    "__inline__",
    "extern",
    "static",
    "register",
    "_Noreturn",
    "__extension__",
    "__user",
    "__kernel",
    "__iomem",
    "__rcu",
    "__percpu",
    "__force",
];

/// Words that name or make up C's own types.
const BASE_WORDS: [&str; 12] = [
    "void",
    "char",
    "short",
    "int",
    "long",
    "float",
    "double",
    "signed",
    "__signed__",
    "unsigned",
    "_Bool",
    "__int128",
];

/// Largest alignment that a script may ask for.
const LARGEST_ALIGNMENT: i128 = 4096;

/// What was found before a declarator.
pub(super) struct Specified {
    pub shape: Shape,
    pub typedef: bool,
    pub attributes: Attributes,
    /// Whether it defines a struct or union without a tag.
    pub anonymous: bool,
}

/// How often each of [`BASE_WORDS`] was seen.
#[derive(Default)]
struct Words([u8; BASE_WORDS.len()]);

/// The kind of tag that a keyword announces.
pub(in crate::c) fn tag_kind(token: &Token) -> Option<TypeKind> {
    match &*token.text {
        "struct" => Some(TypeKind::Struct),
        "union" => Some(TypeKind::Union),
        "enum" => Some(TypeKind::Enum),
        _ => None,
    }
}

impl Declarations<'_> {
    /// Whether a token is a word that only types begin with.
    pub(super) fn is_type_word(&self, token: &Token) -> bool {
        token.kind == Kind::Word
            && (BASE_WORDS.contains(&&*token.text)
                || ["const", "volatile"].contains(&&*token.text)
                || tag_kind(token).is_some()
                || self.typedefs.contains_key(&*token.text))
    }

    /// Everything before the declarator.
    pub(super) fn specifiers(&mut self, cursor: &mut Cursor) -> Faulty<Specified> {
        let first = cursor.token().clone();
        let (mut typedef, mut anonymous, mut shape) = (false, false, None);
        let (mut attributes, mut words) = (Attributes::default(), Words::default());
        loop {
            let token = cursor.token().clone();
            if self.qualifier(cursor, &mut attributes)? {
                continue;
            }
            if cursor.eat("typedef") {
                typedef = true;
            } else if let Some(idx) = BASE_WORDS.iter().position(|it| token.is(it)) {
                words.0[idx] = words.0[idx].saturating_add(1);
                cursor.bump();
            } else if shape.is_some() || words.any() {
                break;
            } else if let Some(kind) = tag_kind(&token) {
                cursor.bump();
                let (found, tagged) = cursor.nested(|cursor| self.tagged(cursor, kind))?;
                (shape, anonymous) = (Some(found), !tagged);
            } else if let Some(found) =
                Some(&token).filter(|it| it.kind == Kind::Word).and_then(|it| self.named(&it.text))
            {
                cursor.bump();
                shape = Some(found);
            } else {
                break;
            }
        }
        let shape = match shape {
            Some(shape) if !words.any() => shape,
            Some(_) => return Err(fault(&first, "two types in one declaration")),
            None if words.any() => words.shape(&first)?,
            None => return Err(self.no_type(cursor)),
        };
        Ok(Specified { shape, typedef, attributes, anonymous })
    }

    fn no_type(&self, cursor: &Cursor) -> super::super::Fault {
        let token = cursor.token();
        match token.kind {
            Kind::Word => fault(token, format!("unknown type `{}`", token.text)),
            _ => cursor.unexpected("a type"),
        }
    }

    /// Moves behind one qualifier or attribute, if there is one.
    fn qualifier(&mut self, cursor: &mut Cursor, attributes: &mut Attributes) -> Faulty<bool> {
        let token = cursor.token();
        if token.kind == Kind::Word && QUALIFIERS.contains(&&*token.text) {
            cursor.bump();
            return Ok(true);
        }
        if token.is("_Alignas") || token.is("alignas") || token.is("__aligned") {
            cursor.bump();
            attributes.align = attributes.align.max(self.alignment(cursor)?);
            return Ok(true);
        }
        if token.is("__packed") {
            cursor.bump();
            attributes.packed = true;
            return Ok(true);
        }
        if token.is("__attribute__") || token.is("__attribute") {
            self.attribute(cursor, attributes)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Moves behind qualifiers.
    pub(super) fn qualifiers(&mut self, cursor: &mut Cursor) -> Faulty<Attributes> {
        let mut attributes = Attributes::default();
        while self.qualifier(cursor, &mut attributes)? {}
        Ok(attributes)
    }

    /// What `__attribute__((…))` says, as often as it stands here.
    pub(super) fn attributes(&mut self, cursor: &mut Cursor) -> Faulty<Attributes> {
        self.qualifiers(cursor)
    }

    fn attribute(&mut self, cursor: &mut Cursor, attributes: &mut Attributes) -> Faulty<()> {
        cursor.bump();
        cursor.expect("(")?;
        cursor.expect("(")?;
        while !cursor.token().is(")") && !cursor.is_at_end() {
            let name = cursor.token().text.trim_matches('_').to_owned();
            cursor.bump();
            match name.as_str() {
                "packed" => attributes.packed = true,
                // Without a number it is the largest of the machine.
                "aligned" if !cursor.token().is("(") => attributes.align = attributes.align.max(16),
                "aligned" => attributes.align = attributes.align.max(self.alignment(cursor)?),
                _ if cursor.token().is("(") => cursor.skip_brackets(),
                _ => {}
            }
            if !cursor.eat(",") {
                break;
            }
        }
        cursor.expect(")")?;
        cursor.expect(")")
    }

    /// `(8)`
    fn alignment(&mut self, cursor: &mut Cursor) -> Faulty<u32> {
        cursor.expect("(")?;
        let at = cursor.token().clone();
        let align = evaluate(cursor, self)?.number;
        cursor.expect(")")?;
        match (1..=LARGEST_ALIGNMENT).contains(&align) && align.count_ones() == 1 {
            true => Ok(align as u32),
            false => Err(fault(&at, format!("an alignment is a power of two up to {LARGEST_ALIGNMENT}"))),
        }
    }
}

impl Words {
    fn any(&self) -> bool {
        self.0.iter().any(|it| *it > 0)
    }

    /// The type that the words make up, in any order.
    fn shape(&self, first: &Token) -> Faulty<Shape> {
        let [void, char, short, int, long, float, double, signed, signed2, unsigned, bool, wide] = self.0;
        let is_signed = unsigned == 0;
        let rest = short + int + long + signed + signed2 + unsigned;
        let bytes = |n: u32| Ty::Array(Box::new(Ty::U8), n);
        let int_of = |size| Ok(Shape::int(IntTy::new(size, is_signed)));
        match (void, char, float, double, bool, wide) {
            (1, 0, 0, 0, 0, 0) if rest == 0 => {
                Ok(Shape { ty: Ty::Void, size: 1, align: 1, form: Form::Incomplete })
            }
            (0, 1, 0, 0, 0, 0) if short + int + long == 0 => int_of(1),
            (0, 0, 1, 0, 0, 0) if rest == 0 => Ok(Shape { size: 4, ..Shape::scalar(bytes(4), 4) }),
            (0, 0, 0, 1, 0, 0) if rest == long && long < 2 => {
                let size = if long == 1 { 16 } else { 8 };
                Ok(Shape::scalar(bytes(size), size))
            }
            (0, 0, 0, 0, 1, 0) if rest == 0 => Ok(Shape::scalar(Ty::Bool, 1)),
            (0, 0, 0, 0, 0, 1) if short + int + long == 0 => {
                Ok(Shape::scalar(Ty::Array(Box::new(Ty::U64), 2), 16))
            }
            (0, 0, 0, 0, 0, 0) if signed + signed2 <= 1 && unsigned <= 1 && int <= 1 => match (short, long) {
                (0, 0) => int_of(4),
                (1, 0) => int_of(2),
                (0, 1 | 2) => int_of(8),
                _ => Err(fault(first, "these words are no type of C")),
            },
            _ => Err(fault(first, "these words are no type of C")),
        }
    }
}
