//! Types as written: names of the language, C's names, and the kernel's types.

use super::stmts::Body;
use super::{Context, operators};
use crate::ast::{self, TypeBase, TypeOrExpr};
use crate::c;
use crate::diagnostic::{Diagnostic, nearest};
use crate::hir;
use crate::host::TypeKind;
use crate::layout;
use crate::source::Span;
use crate::ty::{IntTy, Origin, Space, StructId, Ty};

/// Integers by all their names: the language's, then C's.
const INTEGERS: &[(&str, IntTy)] = &[
    ("int8", IntTy::new(1, true)),
    ("int16", IntTy::new(2, true)),
    ("int32", IntTy::new(4, true)),
    ("int64", IntTy::new(8, true)),
    ("uint8", IntTy::new(1, false)),
    ("uint16", IntTy::new(2, false)),
    ("uint32", IntTy::new(4, false)),
    ("uint64", IntTy::new(8, false)),
    ("char", IntTy::new(1, true)),
    ("short", IntTy::new(2, true)),
    ("int", IntTy::new(4, true)),
    ("long", IntTy::new(8, true)),
    ("long long", IntTy::new(8, true)),
    ("unsigned char", IntTy::new(1, false)),
    ("unsigned short", IntTy::new(2, false)),
    ("unsigned", IntTy::new(4, false)),
    ("unsigned int", IntTy::new(4, false)),
    ("unsigned long", IntTy::new(8, false)),
    ("unsigned long long", IntTy::new(8, false)),
    ("int8_t", IntTy::new(1, true)),
    ("int16_t", IntTy::new(2, true)),
    ("int32_t", IntTy::new(4, true)),
    ("int64_t", IntTy::new(8, true)),
    ("uint8_t", IntTy::new(1, false)),
    ("uint16_t", IntTy::new(2, false)),
    ("uint32_t", IntTy::new(4, false)),
    ("uint64_t", IntTy::new(8, false)),
    ("size_t", IntTy::new(8, false)),
    ("u8", IntTy::new(1, false)),
    ("u16", IntTy::new(2, false)),
    ("u32", IntTy::new(4, false)),
    ("u64", IntTy::new(8, false)),
    ("s8", IntTy::new(1, true)),
    ("s16", IntTy::new(2, true)),
    ("s32", IntTy::new(4, true)),
    ("s64", IntTy::new(8, true)),
];

/// Other names of the language.
const OTHERS: &[(&str, Ty)] = &[
    ("bool", Ty::Bool),
    ("void", Ty::Void),
    ("inet", Ty::Inet),
    ("macaddr_t", Ty::Mac),
    ("ksym_t", Ty::Ksym),
    ("usym_t", Ty::Usym),
];

/// Most bytes of a value that is kept or printed as a whole.
const LARGEST_WHOLE: u32 = 1 << 17;

/// Most structs inside each other that are printed.
const DEEPEST_STRUCT: u32 = 32;

/// Largest `string[N]`, `buffer[N]` or `T[N]` in a script.
const LARGEST_ARRAY: u64 = 1 << 16;

/// The integer type of that name.
pub(crate) fn integer(name: &str) -> Option<IntTy> {
    INTEGERS.iter().find(|it| it.0 == name).map(|it| it.1)
}

/// Whether the word is a type wherever it stands.
pub(super) fn is_type_name(word: &str) -> bool {
    integer(word).is_some() || OTHERS.iter().any(|it| it.0 == word) || matches!(word, "string" | "buffer")
}

impl Context<'_> {
    /// A type of the script's C code or of the kernel by name, asked for once.
    pub(super) fn kernel_type(&mut self, kind: TypeKind, name: &str) -> Option<Ty> {
        if let Some(own) = self.block.type_named(kind, name) {
            return Some(own);
        }
        let key = (kind, name.to_owned());
        if let Some(known) = self.kernel_types.get(&key) {
            return known.clone();
        }
        let ty = self.host.kernel_type(kind, name, &mut self.types);
        self.kernel_types.insert(key, ty.clone());
        ty
    }

    /// The value of an enumerator of the script's C code or of the kernel, asked for once.
    pub(super) fn enumerator(&mut self, name: &str) -> Option<(Ty, i64)> {
        if let Some(own) = self.block.enumerator(name) {
            return Some(own);
        }
        if let Some(known) = self.enumerators.get(name) {
            return known.clone();
        }
        let found = self.host.enumerator(name, &mut self.types);
        self.enumerators.insert(name.to_owned(), found.clone());
        found
    }

    /// The struct with its members: a tracepoint's format only names the structs that it points
    /// to, as C code may, and the kernel's types define them. `None` when nobody does.
    pub(super) fn complete(&mut self, id: StructId) -> Option<StructId> {
        let def = self.types.struct_def(id);
        if def.fields.is_some() {
            return Some(id);
        }
        if !matches!(def.origin, Origin::Format | Origin::Script) {
            self.host.complete(id, &mut self.types);
            return self.types.struct_def(id).fields.is_some().then_some(id);
        }
        let kind = if def.union { TypeKind::Union } else { TypeKind::Struct };
        let name = def.name.clone();
        match self.kernel_type(kind, &name)? {
            Ty::Struct(found) if found != id => self.complete(found),
            _ => None,
        }
    }
}

impl<'a> Body<'_, 'a> {
    /// The type that is written; [`Ty::Error`] after a report.
    pub(super) fn type_of(&mut self, name: &'a ast::TypeName) -> Ty {
        self.named_type(name).unwrap_or(Ty::Error)
    }

    fn named_type(&mut self, name: &'a ast::TypeName) -> Option<Ty> {
        let mut arrays = name.arrays.iter();
        let base = match &name.base {
            // `string[16]` is one type, not sixteen.
            TypeBase::Name(word) if matches!(word.as_str(), "string" | "buffer") && name.pointers == 0 => {
                let size = match arrays.next() {
                    Some(size) => self.array_size(size)?,
                    // Any string, so at least what `str()` gives.
                    None if word == "string" => self.cx.config.max_strlen + 1,
                    None => self.cx.config.max_strlen,
                };
                if word == "string" { Ty::Str(size) } else { Ty::Buf(size) }
            }
            base => self.base_type(base, name.span)?,
        };
        let mut ty = base;
        for _ in 0..name.pointers {
            ty = operators::pointer(ty, self.probe.space());
        }
        for size in arrays.rev() {
            let size = self.array_size(size)?;
            ty = Ty::Array(Box::new(ty), size);
        }
        Some(ty)
    }

    fn base_type(&mut self, base: &'a TypeBase, span: Span) -> Option<Ty> {
        match base {
            TypeBase::Name(word) => self.word_type(word, span),
            TypeBase::Struct(tag) => self.tagged_type(TypeKind::Struct, "struct", tag, span),
            TypeBase::Union(tag) => self.tagged_type(TypeKind::Union, "union", tag, span),
            TypeBase::Enum(tag) => self.tagged_type(TypeKind::Enum, "enum", tag, span),
            TypeBase::Typeof(of) => self.type_or_expr(of),
            TypeBase::Tuple(items) => {
                Some(Ty::Tuple(items.iter().map(|it| self.named_type(it)).collect::<Option<_>>()?))
            }
        }
    }

    fn word_type(&mut self, word: &'a str, span: Span) -> Option<Ty> {
        if let Some(int) = integer(word) {
            return Some(Ty::Int(int));
        }
        if let Some((_, ty)) = OTHERS.iter().find(|it| it.0 == word) {
            return Some(ty.clone());
        }
        match self.cx.block.meaning(word) {
            Some(c::Meaning::Word(other)) if self.cx.macros.enter(word) => {
                let ty = self.word_type(other, span);
                self.cx.macros.leave();
                return ty;
            }
            Some(c::Meaning::Tag(kind, tag)) => return self.tagged_type(*kind, kind.keyword(), tag, span),
            _ => {}
        }
        // Scripts may leave `struct` away.
        let kinds = [TypeKind::Typedef, TypeKind::Struct, TypeKind::Union, TypeKind::Enum];
        if let Some(ty) = kinds.into_iter().find_map(|kind| self.cx.kernel_type(kind, word)) {
            return Some(ty);
        }
        let names =
            INTEGERS.iter().map(|it| it.0).chain(OTHERS.iter().map(|it| it.0)).chain(["string", "buffer"]);
        let near = nearest(word, names).map(|it| format!("did you mean `{it}`?"));
        self.cx.report(Diagnostic::error(span, format!("unknown type `{word}`")).maybe_hint(near));
        None
    }

    fn tagged_type(&mut self, kind: TypeKind, keyword: &str, tag: &str, span: Span) -> Option<Ty> {
        if let Some(ty) = self.cx.kernel_type(kind, tag) {
            return Some(ty);
        }
        let diagnostic = match self.cx.host.has_btf() {
            true => Diagnostic::error(span, format!("the kernel has no `{keyword} {tag}`")),
            false => Diagnostic::error(
                span,
                format!("`{keyword} {tag}` is unknown: this kernel does not describe its types"),
            )
            .hint("a kernel with CONFIG_DEBUG_INFO_BTF has /sys/kernel/btf/vmlinux"),
        };
        self.cx.report(diagnostic);
        None
    }

    fn array_size(&mut self, size: &'a ast::Expr) -> Option<u32> {
        let value = self.expr(size);
        match super::literals::int_value(&value) {
            Some(n) if (1..=i128::from(LARGEST_ARRAY)).contains(&n) => Some(n as u32),
            _ if value.ty == Ty::Error => None,
            _ => {
                let message = format!("a size is a number from 1 to {LARGEST_ARRAY}");
                self.cx.report(Diagnostic::error(size.span, message));
                None
            }
        }
    }

    /// The type of `sizeof`'s operand, complete.
    pub(super) fn type_or_expr(&mut self, of: &'a TypeOrExpr) -> Option<Ty> {
        let (ty, span) = match of {
            TypeOrExpr::Type(name) => (self.named_type(name)?, name.span),
            TypeOrExpr::Expr(expr) => match self.type_word(expr) {
                Some(ty) => (ty, expr.span),
                None => (self.expr(expr).ty, expr.span),
            },
        };
        match ty {
            Ty::Error => None,
            Ty::Struct(id) => match self.cx.complete(id) {
                Some(id) => Some(Ty::Struct(id)),
                None => {
                    self.undefined_struct(id, span);
                    None
                }
            },
            ty => Some(ty),
        }
    }

    /// The type that a bare word names, where the parser took it for a value.
    pub(super) fn type_word(&mut self, expr: &'a ast::Expr) -> Option<Ty> {
        let ast::ExprKind::Word(word) = &expr.kind else { return None };
        if let Some(int) = integer(word) {
            return Some(Ty::Int(int));
        }
        self.cx.block.type_named(TypeKind::Typedef, word)
    }

    /// Reports a struct whose members nobody knows.
    pub(super) fn undefined_struct(&mut self, id: StructId, span: Span) -> hir::Expr {
        let name = self.cx.name_of(&Ty::Struct(id));
        self.fail(Diagnostic::error(span, format!("the members of `{name}` are not known on this machine")))
    }

    /// Bytes between two elements behind a pointer.
    pub(super) fn pointee_size(&mut self, to: &Ty, span: Span) -> u32 {
        if let Ty::Struct(id) = to {
            match self.cx.complete(*id) {
                Some(id) => return layout::size_of(&Ty::Struct(id), &self.cx.types),
                None => {
                    self.undefined_struct(*id, span);
                }
            }
        }
        layout::size_of(to, &self.cx.types).max(1)
    }
}

impl super::probes::Instance<'_> {
    /// Whose memory a pointer without further information points to.
    pub(super) fn space(&self) -> Space {
        use crate::probes::ProbeKind::{Uprobe, Uretprobe, Usdt};
        match self.kind {
            Uprobe | Uretprobe | Usdt => Space::User,
            _ if self.syscall => Space::User,
            _ => Space::Kernel,
        }
    }
}

impl Context<'_> {
    /// Whether a value of the type can be printed, and so be in a map: all that is in it is known.
    pub(super) fn is_printable(&mut self, ty: &Ty) -> bool {
        layout::size_of(ty, &self.types) <= LARGEST_WHOLE && self.is_printable_to(ty, 0)
    }

    fn is_printable_to(&mut self, ty: &Ty, depth: u32) -> bool {
        match ty {
            Ty::Error | Ty::Void | Ty::Agg(_) => false,
            Ty::Array(of, _) => self.is_printable_to(of, depth),
            Ty::Tuple(items) => items.iter().all(|it| self.is_printable_to(it, depth)),
            Ty::Record(items) => items.iter().all(|(_, ty)| self.is_printable_to(ty, depth)),
            // A type that nobody defines elsewhere is the one that values are decoded by.
            Ty::Struct(id) if depth < DEEPEST_STRUCT && self.complete(*id) == Some(*id) => {
                let fields = self.types.struct_def(*id).fields.clone().unwrap_or_default();
                // A member of varying length has nothing in a copy.
                fields.iter().all(|it| it.ty == Ty::Void || self.is_printable_to(&it.ty, depth + 1))
            }
            Ty::Struct(_) => false,
            _ => true,
        }
    }
}
