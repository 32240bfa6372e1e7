//! `$variables`: block scope without shadowing, one type for each declaration. A name belongs to the
//! text that it is written in, so that those of macros are apart ([`crate::Sources::names_of`]).

use super::infer;
use super::infer::{Admitted, Known, Slot};
use super::stmts::Body;
use crate::diagnostic::{Diagnostic, nearest};
use crate::hir::{self, LocalId};
use crate::source::{FileId, Span};
use crate::ty::Ty;
use std::collections::BTreeMap;

/// The variables of one probe.
#[derive(Debug, Default)]
pub(super) struct Scopes<'a> {
    /// All declarations so far, by [`LocalId`].
    declared: Vec<Declaration<'a>>,
    /// What is visible, innermost block last.
    visible: Vec<BTreeMap<(&'a str, FileId), LocalId>>,
}

/// Where a variable is declared.
#[derive(Clone, Copy, Debug)]
struct Declaration<'a> {
    name: &'a str,
    span: Span,
}

impl<'a> Scopes<'a> {
    /// Opens a block.
    pub fn enter(&mut self) {
        self.visible.push(BTreeMap::new());
    }

    /// Closes the innermost block.
    pub fn leave(&mut self) {
        self.visible.pop();
    }

    fn find(&self, name: &str, owner: FileId) -> Option<LocalId> {
        self.visible.iter().rev().find_map(|block| block.get(&(name, owner)).copied())
    }

    fn names(&self, owner: FileId) -> impl Iterator<Item = &'a str> {
        let visible = self.visible.iter().flat_map(|block| block.keys());
        visible.filter(move |it| it.1 == owner).map(|it| it.0)
    }
}

impl<'a> Body<'_, 'a> {
    /// Declares a variable in the innermost block.
    pub(super) fn declare(&mut self, name: &'a str, span: Span, ty: Option<Ty>) -> LocalId {
        let id = LocalId(self.scopes.declared.len() as u32);
        self.scopes.declared.push(Declaration { name, span });
        let owner = self.cx.sources.names_of(span.file);
        if let Some(block) = self.scopes.visible.last_mut() {
            block.insert((name, owner), id);
        }
        let slot = || ty.map_or(Slot::open(span), |ty| Slot::declared(ty, span));
        self.cx.variables.entry((self.idx, span)).or_insert_with(slot);
        id
    }

    /// Declares a variable whose type is not its own but what rounds of inference made of something
    /// else; [`Ty::Error`] while that is not known.
    pub(super) fn declare_as(&mut self, name: &'a str, span: Span, ty: Ty) -> LocalId {
        let id = self.declare(name, span, None);
        if ty != Ty::Error {
            let slot = self.slot(id);
            let changed = *slot.ty() != ty;
            *slot = Slot::declared(ty, span);
            self.cx.changed |= changed;
        }
        id
    }

    /// The variable of that name that is visible in the text at `span`.
    pub(super) fn local(&self, name: &str, span: Span) -> Option<LocalId> {
        self.scopes.find(name, self.cx.sources.names_of(span.file))
    }

    /// Where the variable is declared.
    pub(super) fn declaration(&self, id: LocalId) -> Span {
        self.scopes.declared[id.0 as usize].span
    }

    fn slot(&mut self, id: LocalId) -> &mut Slot {
        let span = self.declaration(id);
        self.cx.variables.entry((self.idx, span)).or_insert_with(|| Slot::open(span))
    }

    /// The variable's type so far.
    pub(super) fn local_type(&mut self, id: LocalId) -> Ty {
        self.slot(id).ty().clone()
    }

    /// The variable as a value.
    pub(super) fn read_local(&mut self, name: &str, span: Span) -> hir::Expr {
        let Some(id) = self.local(name, span) else { return self.undefined_local(name, span) };
        hir::Expr { kind: hir::ExprKind::Local(id), ty: self.local_type(id), span }
    }

    /// Reports a variable that nobody assigned here.
    pub(super) fn undefined_local(&mut self, name: &str, span: Span) -> hir::Expr {
        let owner = self.cx.sources.names_of(span.file);
        let declared = self
            .scopes
            .declared
            .iter()
            .find(|it| it.name == name && self.cx.sources.names_of(it.span.file) == owner);
        let elsewhere = declared.map(|it| it.span);
        let diagnostic = Diagnostic::error(span, format!("`{name}` is read before it is assigned"));
        let diagnostic = match elsewhere {
            Some(other) => diagnostic
                .label(other, "this one ends with its block")
                .hint(format!("declare it before the block: `let {name};`")),
            None => diagnostic.maybe_hint(
                nearest(name, self.scopes.names(owner)).map(|near| format!("did you mean `{near}`?")),
            ),
        };
        self.fail(diagnostic)
    }

    /// Takes a value into the variable: the value in the variable's type.
    pub(super) fn admit_local(&mut self, id: LocalId, value: hir::Expr, sum: bool) -> Option<hir::Expr> {
        let span = value.span;
        if let Some(range) = self.literal_out_of_declared_range(id, &value) {
            let (first, ty) = (self.declaration(id), self.local_type(id));
            let name = self.cx.name_of(&ty);
            self.cx.report(
                Diagnostic::error(span, format!("the literal does not fit in `{name}` ({range})"))
                    .label(first, "declared here"),
            );
            return None;
        }
        let declaration = self.declaration(id);
        let types = std::mem::take(&mut self.cx.types);
        let slot = self.slot(id);
        let first = slot.span;
        let admitted = match sum {
            true => slot.admit_sum(Known::of(&value), span, &types),
            false => slot.admit(Known::of(&value), span, &types),
        };
        let ty = slot.ty().clone();
        self.cx.types = types;
        self.cx.note(admitted);
        let name = self.scopes.declared[id.0 as usize].name;
        if admitted == Admitted::Conflict {
            let (found, held) = self.cx.names_of(&value.ty, &ty);
            let first = if first == span { declaration } else { first };
            self.cx.report(
                Diagnostic::error(span, format!("`{name}` holds `{held}`, this is `{found}`"))
                    .label(first, format!("`{held}` from here")),
            );
            return None;
        }
        self.warn_lost_sign(admitted, span, name);
        Some(infer::coerce(value, &ty))
    }

    /// The range of the declared type when `value` is a literal outside it.
    fn literal_out_of_declared_range(&mut self, id: LocalId, value: &hir::Expr) -> Option<String> {
        let slot = self.slot(id);
        let (true, Ty::Int(int)) = (slot.declared, slot.ty()) else { return None };
        let range = infer::int_range(*int);
        let literal = super::literals::int_value(value)?;
        (!range.contains(&literal)).then(|| format!("{} to {}", range.start(), range.end()))
    }

    /// Tells that uint64 and negative values met in one place.
    pub(super) fn warn_lost_sign(&mut self, admitted: Admitted, span: Span, name: &str) {
        // Later rounds find the slot widened already: the warning is kept by [`super::Context`].
        if admitted == Admitted::LostSign {
            self.cx.lost_sign.insert(span, name.to_owned());
        }
    }

    /// The variables of the finished probe.
    pub(super) fn finish_locals(&mut self) -> Vec<hir::Local> {
        let declared = std::mem::take(&mut self.scopes.declared);
        let finish = |it: &Declaration| {
            let slot = self.cx.variables.get(&(self.idx, it.span));
            let ty = slot.map_or(Ty::Error, |it| it.ty().clone());
            // Declared by a bare `let` and never used: any type does.
            hir::Local { name: it.name.to_owned(), ty: if ty == Ty::Error { Ty::I64 } else { ty } }
        };
        declared.iter().map(finish).collect()
    }
}
