//! Members, elements and what pointers point to.

use super::literals::int_value;
use super::stmts::Body;
use super::{Context, literals};
use crate::ast;
use crate::diagnostic::{Diagnostic, counted, nearest};
use crate::hir::{self, ExprKind};
use crate::source::Span;
use crate::ty::{Space, StructId, Ty};

/// Steps to a member: the struct and the member's index in it.
type Path = Vec<(StructId, u32)>;

/// Most anonymous members inside each other that a name is looked for in.
const DEEPEST_ANONYMOUS: u32 = 16;

impl<'a> Body<'_, 'a> {
    /// `base.name`, `base->name`
    pub(super) fn field(&mut self, base: &'a ast::Expr, name: &'a ast::Ident, span: Span) -> hir::Expr {
        if let Some(value) = self.packet_field(base, name, span) {
            return value;
        }
        if matches!(&base.kind, ast::ExprKind::Word(word) if word == "args") {
            return self.arg_field(base.span, name, span);
        }
        let base = self.value(base);
        self.member(base, name, span)
    }

    /// A member of a struct or record, behind any number of pointers.
    pub(super) fn member(&mut self, base: hir::Expr, name: &ast::Ident, span: Span) -> hir::Expr {
        let mut base = base;
        while let Ty::Ptr(to, _) = &base.ty {
            if !matches!(**to, Ty::Ptr(..) | Ty::Struct(_)) {
                break;
            }
            let at = base.span;
            base = self.deref(base, at);
        }
        match &base.ty {
            Ty::Error => self.unknown(span),
            Ty::Struct(id) => {
                let id = *id;
                self.struct_member(base, id, name, span)
            }
            Ty::Record(fields) => match fields.iter().position(|it| it.0 == name.text) {
                Some(idx) => {
                    let ty = fields[idx].1.clone();
                    hir::Expr { kind: ExprKind::TupleField(Box::new(base), idx as u32), ty, span }
                }
                None => {
                    let near = nearest(&name.text, fields.iter().map(|it| it.0.as_str()));
                    let near = near.map(|it| format!("did you mean `{it}`?"));
                    self.fail(
                        Diagnostic::error(name.span, format!("the record has no `{}`", name.text))
                            .maybe_hint(near),
                    )
                }
            },
            ty => {
                let found = self.cx.name_of(ty);
                let hint = matches!(ty, Ty::Int(_) | Ty::Ptr(..)).then(|| {
                    "cast it to a pointer first, for example `((struct task_struct *)x).pid`".to_owned()
                });
                self.fail(
                    Diagnostic::error(name.span, format!("`{found}` has no member `{}`", name.text))
                        .maybe_hint(hint),
                )
            }
        }
    }

    fn struct_member(&mut self, base: hir::Expr, id: StructId, name: &ast::Ident, span: Span) -> hir::Expr {
        let Some(id) = self.cx.complete(id) else { return self.undefined_struct(id, base.span) };
        let Some(path) = self.cx.member_path(id, &name.text, 0) else {
            let names = self.cx.member_names(id, 0);
            let near = nearest(&name.text, names.iter().map(String::as_str));
            let near = near.map(|it| format!("did you mean `{it}`?"));
            let record = self.cx.name_of(&Ty::Struct(id));
            return self.fail(
                Diagnostic::error(name.span, format!("`{record}` has no member `{}`", name.text))
                    .maybe_hint(near),
            );
        };
        let &(last, idx) = path.last().expect("a path has a step");
        let field =
            &self.cx.types.struct_def(last).fields.as_ref().expect("a path leads through complete structs")
                [idx as usize];
        let ty = match &field.ty {
            Ty::Void => {
                let message =
                    format!("`{}` is an array of varying length, which is not supported yet", name.text);
                return self.fail(Diagnostic::error(name.span, message));
            }
            // A `char` array holds text.
            Ty::Array(of, n) if **of == Ty::I8 && *n > 0 => Ty::Str(*n),
            // A copy does not say where it was made; most are of what the probe looks at.
            ty => match space(&base) {
                Space::Bpf => within(ty.clone(), self.probe.space()),
                space => within(ty.clone(), space),
            },
        };
        let (base, path) = match base.kind {
            // One path through nested members: code generation relocates it as one access.
            ExprKind::Member { base, path: mut outer } => {
                outer.extend(path);
                (base, outer)
            }
            kind => (Box::new(hir::Expr { kind, ty: Ty::Struct(id), span: base.span }), path),
        };
        hir::Expr { kind: ExprKind::Member { base, path }, ty, span }
    }

    /// `*pointer`
    pub(super) fn deref(&mut self, pointer: hir::Expr, span: Span) -> hir::Expr {
        let to = match &pointer.ty {
            Ty::Error => return self.unknown(span),
            Ty::Ptr(to, _) => (**to).clone(),
            _ => return self.not_a(&pointer, "a pointer"),
        };
        match to {
            Ty::Void => self.fail(
                Diagnostic::error(span, "a `void *` points to nothing known")
                    .hint("cast it first, for example `*(uint64 *)p`"),
            ),
            Ty::Struct(id) => {
                let ty = Ty::Struct(self.cx.complete(id).unwrap_or(id));
                hir::Expr { kind: ExprKind::Deref(Box::new(pointer)), ty, span }
            }
            ty => {
                let ty = match &pointer.ty {
                    Ty::Ptr(_, space) => within(ty, *space),
                    _ => ty,
                };
                hir::Expr { kind: ExprKind::Deref(Box::new(pointer)), ty, span }
            }
        }
    }

    /// `&operand`
    pub(super) fn address_of(&mut self, operand: &'a ast::Expr, span: Span) -> hir::Expr {
        let place = self.value(operand);
        if place.ty == Ty::Error {
            return self.unknown(span);
        }
        let has_address = match &place.kind {
            ExprKind::Local(_) | ExprKind::Map { .. } | ExprKind::Deref(_) | ExprKind::Element(..) => true,
            ExprKind::Member { path, .. } => !self.cx.is_bit_field(path),
            _ => false,
        };
        if !has_address {
            return self.fail(Diagnostic::error(span, "this has no address"));
        }
        let ty = Ty::Ptr(Box::new(place.ty.clone()), space(&place));
        hir::Expr { kind: ExprKind::AddressOf(Box::new(place)), ty, span }
    }

    /// `base.0`
    pub(super) fn tuple_index(&mut self, base: &'a ast::Expr, idx: u32, span: Span) -> hir::Expr {
        let base = self.value(base);
        match &base.ty {
            Ty::Tuple(items) => match items.get(idx as usize) {
                Some(ty) => {
                    let ty = ty.clone();
                    hir::Expr { kind: ExprKind::TupleField(Box::new(base), idx), ty, span }
                }
                None => {
                    let message = format!(
                        "the tuple has {}, counted from 0; there is no `.{idx}`",
                        counted(items.len() as u64, "member")
                    );
                    self.fail(Diagnostic::error(span, message))
                }
            },
            _ => self.not_a(&base, "a tuple"),
        }
    }

    /// `base[idx]`
    pub(super) fn index(&mut self, base: &'a ast::Expr, idx: &'a ast::Expr, span: Span) -> hir::Expr {
        let base = self.value(base);
        let idx = self.int64(idx);
        if base.ty == Ty::Error || idx.ty == Ty::Error {
            return self.unknown(span);
        }
        let (of, len) = match &base.ty {
            Ty::Array(of, len) => (within((**of).clone(), space(&base)), *len),
            Ty::Str(len) => (Ty::I8, *len),
            Ty::Ptr(..) => {
                let element = self.offset(base, idx, span);
                return self.deref(element, span);
            }
            Ty::Tuple(_) => {
                let hint = int_value(&idx).map(|n| format!("write `.{n}`"));
                let found = self.cx.name_of(&base.ty);
                return self
                    .fail(Diagnostic::error(span, format!("`{found}` has no `[…]`")).maybe_hint(hint));
            }
            _ => return self.not_a(&base, "an array or a pointer"),
        };
        if let Some(n) = int_value(&idx)
            && !(0..i128::from(len)).contains(&n)
            && len > 0
        {
            return self.fail(Diagnostic::error(
                idx.span,
                format!("the array has {}, [{n}] is none of them", counted(len, "element")),
            ));
        }
        hir::Expr { kind: ExprKind::Element(Box::new(base), Box::new(idx)), ty: of, span }
    }

    /// `offsetof(type, a.b)`
    pub(super) fn offset_of(
        &mut self,
        of: &'a ast::TypeOrExpr,
        path: &'a [ast::Ident],
        span: Span,
    ) -> hir::Expr {
        let Some(mut ty) = self.type_or_expr(of) else { return self.unknown(span) };
        let mut offset = 0u32;
        for name in path {
            let Some((more, member)) = self.offset_of_member(ty, name) else { return self.unknown(span) };
            offset += more;
            ty = member;
        }
        literals::int(offset.into(), span)
    }

    /// A member's offset and its type.
    pub(super) fn offset_of_member(&mut self, of: Ty, name: &ast::Ident) -> Option<(u32, Ty)> {
        let place = hir::Expr { kind: ExprKind::Record, ty: of, span: name.span };
        let member = match &place.ty {
            Ty::Struct(_) => self.member(place, name, name.span),
            _ => self.not_a(&place, "a struct"),
        };
        match &member.kind {
            ExprKind::Member { path, .. } => Some((self.cx.path_offset(path), member.ty)),
            _ => None,
        }
    }
}

impl Context<'_> {
    /// The steps to a member, through anonymous structs and unions.
    fn member_path(&mut self, id: StructId, name: &str, depth: u32) -> Option<Path> {
        let id = self.complete(id)?;
        let fields = self.types.struct_def(id).fields.as_ref()?;
        if let Some(idx) = fields.iter().position(|it| it.name == name) {
            return Some(vec![(id, idx as u32)]);
        }
        if depth == DEEPEST_ANONYMOUS {
            return None;
        }
        for (idx, inner) in anonymous(fields) {
            if let Some(rest) = self.member_path(inner, name, depth + 1) {
                return Some([(id, idx)].into_iter().chain(rest).collect());
            }
        }
        None
    }

    /// All names that [`Context::member_path`] finds.
    fn member_names(&mut self, id: StructId, depth: u32) -> Vec<String> {
        let Some(fields) = self.complete(id).and_then(|id| self.types.struct_def(id).fields.as_ref()) else {
            return Vec::new();
        };
        let mut names: Vec<_> =
            fields.iter().filter(|it| !it.name.is_empty()).map(|it| it.name.clone()).collect();
        if depth < DEEPEST_ANONYMOUS {
            for (_, inner) in anonymous(fields) {
                names.extend(self.member_names(inner, depth + 1));
            }
        }
        names
    }

    fn path_offset(&self, path: &Path) -> u32 {
        let field =
            |&(id, idx): &(StructId, u32)| self.types.struct_def(id).fields.as_ref()?.get(idx as usize);
        path.iter().filter_map(field).map(|it| it.offset).sum()
    }

    fn is_bit_field(&self, path: &Path) -> bool {
        let last =
            path.last().and_then(|&(id, idx)| self.types.struct_def(id).fields.as_ref()?.get(idx as usize));
        last.is_some_and(|it| it.bits.is_some())
    }
}

/// Anonymous structs and unions among the members.
fn anonymous(fields: &[crate::ty::Field]) -> Vec<(u32, StructId)> {
    let inner = fields.iter().enumerate().filter(|(_, it)| it.name.is_empty());
    inner
        .filter_map(|(idx, it)| match it.ty {
            Ty::Struct(id) => Some((idx as u32, id)),
            _ => None,
        })
        .collect()
}

/// The type of what lies in that memory: user memory points to user memory.
fn within(ty: Ty, space: Space) -> Ty {
    match (ty, space) {
        (Ty::Ptr(to, Space::Kernel), Space::User) => Ty::Ptr(to, Space::User),
        (ty, _) => ty,
    }
}

/// The memory that a place lies in.
pub(super) fn space(place: &hir::Expr) -> Space {
    match &place.kind {
        ExprKind::Member { base, .. } | ExprKind::Element(base, _) => space(base),
        ExprKind::Deref(pointer) => match &pointer.ty {
            Ty::Ptr(_, space) => *space,
            _ => Space::Kernel,
        },
        ExprKind::Record => Space::Ctx,
        ExprKind::TupleField(base, _) => space(base),
        _ => Space::Bpf,
    }
}
