//! What is decided before the script runs: constants, tests of types, refusals.
//!
//! Comes in: calls of builtins that look at types rather than at values, and typed expressions.
//! Goes out: literals. Nothing of it reaches the program but its result.

mod constant;
mod typeinfo;

pub(super) use constant::known;

use super::literals;
use super::stmts::{Body, not_constant, void};
use crate::ast;
use crate::builtins::Builtin;
use crate::diagnostic::Diagnostic;
use crate::format;
use crate::hir::{self, Conversion, ExprKind, Piece};
use crate::probes::ProbeKind;
use crate::source::Span;
use crate::ty::{IntTy, Ty};

/// Whether the builtin's arguments may be types.
pub(super) fn takes_types(builtin: Builtin) -> bool {
    use Builtin::{ContainerOf, IsArray, IsInteger, IsLiteral, IsPtr, IsStr, IsUnsignedInteger, Typeinfo};
    matches!(
        builtin,
        ContainerOf | IsArray | IsInteger | IsLiteral | IsPtr | IsStr | IsUnsignedInteger | Typeinfo
    )
}

/// Where an argument stands.
pub(super) fn span_of(arg: &ast::Arg) -> Span {
    match arg {
        ast::Arg::Expr(expr) => expr.span,
        ast::Arg::Type(name) => name.span,
    }
}

impl<'a> Body<'_, 'a> {
    /// A builtin of [`takes_types`] with as many arguments as it takes.
    pub(super) fn of_type(&mut self, builtin: Builtin, args: &'a [ast::Arg], span: Span) -> hir::Expr {
        if let (Builtin::ContainerOf, [pointer, of, member]) = (builtin, args) {
            return self.container_of(pointer, of, member, span);
        }
        if builtin == Builtin::Typeinfo {
            let setting = self.cx.config.unstable_typeinfo;
            if !self.cx.may_use("typeinfo", setting, span) {
                return self.unknown(span);
            }
        }
        let (ty, literal) = self.looked_at(&args[0]);
        // Not known yet, or reported.
        if ty == Ty::Error {
            return self.unknown(span);
        }
        let holds = match builtin {
            Builtin::Typeinfo => return typeinfo::describe(&ty, &self.cx.types, span),
            Builtin::IsLiteral => literal,
            Builtin::IsArray => matches!(ty, Ty::Array(..)),
            Builtin::IsPtr => matches!(ty, Ty::Ptr(..)),
            Builtin::IsStr => matches!(ty, Ty::Str(_)),
            Builtin::IsUnsignedInteger => match ty {
                Ty::Int(IntTy { signed, .. }) => !signed,
                Ty::Enum(id) => !self.cx.types.enum_def(id).int.signed,
                _ => false,
            },
            _ => matches!(ty, Ty::Int(_) | Ty::Enum(_)),
        };
        literals::bool(holds, span)
    }

    /// The type of an argument, and whether it is a literal. An aggregation is what its map holds,
    /// not the number that it can be read as.
    fn looked_at(&mut self, arg: &'a ast::Arg) -> (Ty, bool) {
        match arg {
            ast::Arg::Type(name) => (self.type_of(name), false),
            ast::Arg::Expr(expr) => {
                if let Some(ty) = self.type_word(expr) {
                    return (ty, false);
                }
                if let ast::ExprKind::Map { name, key } = &expr.kind {
                    let element = self.element(name, key, expr.span);
                    return (self.value_type(&element), false);
                }
                let value = self.value(expr);
                // As in bpftrace, a literal is what is written as one.
                let computed = matches!(
                    expr.kind,
                    ast::ExprKind::Sizeof(_) | ast::ExprKind::Offsetof(..) | ast::ExprKind::Call { .. }
                );
                let literal = match value.kind {
                    _ if computed => false,
                    ExprKind::Const(_) => matches!(value.ty, Ty::Int(_) | Ty::Bool),
                    ExprKind::Str(_) => true,
                    _ => false,
                };
                (value.ty, literal)
            }
        }
    }

    /// `container_of(pointer, type, member)`: the pointer, so many bytes back.
    fn container_of(
        &mut self,
        pointer: &'a ast::Arg,
        of: &'a ast::Arg,
        member: &'a ast::Arg,
        span: Span,
    ) -> hir::Expr {
        let (ast::Arg::Expr(pointer), ast::Arg::Expr(member)) = (pointer, member) else {
            let hint = format!("`container_of{}`", Builtin::ContainerOf.signature());
            let message = "`container_of` takes a pointer, a type and a member's name";
            return self.fail(Diagnostic::error(span, message).hint(hint));
        };
        let pointer = self.value(pointer);
        let ty = match of {
            ast::Arg::Type(name) => self.type_of(name),
            ast::Arg::Expr(word) => match self.type_word(word) {
                Some(ty) => ty,
                None => return self.fail(Diagnostic::error(word.span, "expected a type")),
            },
        };
        let Some((offset, _)) = self.member_at(ty.clone(), member) else { return self.unknown(span) };
        let space = match &pointer.ty {
            Ty::Error => return self.unknown(span),
            Ty::Ptr(_, space) => *space,
            Ty::Int(_) => self.probe.space(),
            _ => return self.not_a(&pointer, "a pointer"),
        };
        let pointer = super::casts::forced(pointer, super::operators::pointer(Ty::I8, space), span);
        let back = literals::int64(-i64::from(offset), span);
        let moved = self.offset(pointer, back, span);
        super::casts::forced(moved, super::operators::pointer(ty, space), span)
    }

    /// `comptime value`, or a condition behind `comptime`.
    pub(super) fn comptime(&mut self, value: hir::Expr, span: Span) -> hir::Expr {
        // Not known yet, or reported.
        if value.ty == Ty::Error {
            return self.unknown(span);
        }
        match known(value, &self.cx.types) {
            Some(value) => hir::Expr { span, ..value },
            None => self.fail(not_constant(span)),
        }
    }

    /// `comptime condition` where one of two sides is left out: which; `None` when that is not known
    /// yet, or was reported.
    pub(super) fn decided(&mut self, condition: hir::Expr) -> Option<bool> {
        let span = condition.span;
        match self.comptime(condition, span) {
            hir::Expr { ty: Ty::Error, .. } => None,
            value => Some(!matches!(value.kind, ExprKind::Const(0))),
        }
    }

    /// `static_assert(condition, message)`
    pub(super) fn static_assert(
        &mut self,
        condition: &'a ast::Expr,
        message: &'a ast::Expr,
        span: Span,
    ) -> hir::Expr {
        let condition = self.condition(condition);
        let message = self.text(message, "the message");
        match (self.decided(condition), message) {
            (Some(false), Some(message)) => self.fail(Diagnostic::error(span, message)),
            (_, None) => self.unknown(span),
            _ => void(span),
        }
    }

    /// `fail(format, …)`
    pub(super) fn refusal(&mut self, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let Some((first, rest)) = args.split_first() else { return self.unknown(span) };
        let text = self.text(first, "the format");
        let mut values = Vec::new();
        for arg in rest {
            let value = self.value(arg);
            values.push(self.comptime(value, arg.span));
        }
        let Some(text) = text.filter(|_| values.iter().all(|it| it.ty != Ty::Error)) else {
            return self.unknown(span);
        };
        let parsed = format::parse(&text);
        let mut values = values.iter();
        let mut message = String::new();
        for piece in &parsed.pieces {
            match piece {
                Piece::Text(text) => message.push_str(text),
                Piece::Conversion(conversion) => {
                    let Some(text) = values.next().and_then(|it| literal_text(conversion, it)) else {
                        let conversion = format::conversion_text(conversion);
                        let message = format!("`{conversion}` has no literal that it could print");
                        return self.fail(Diagnostic::error(first.span, message));
                    };
                    message.push_str(&text);
                }
            }
        }
        match values.next() {
            Some(extra) => {
                let message = "the format does not use this";
                self.fail(Diagnostic::error(extra.span, message))
            }
            None => self.fail(Diagnostic::error(span, message)),
        }
    }

    /// `kfunc_exist(name)`
    pub(super) fn kfunc_exist(&mut self, name: &'a ast::Expr, span: Span) -> hir::Expr {
        let Some(name) = self.text(name, "the function's name") else { return self.unknown(span) };
        let found = self.cx.host.function(ProbeKind::Fentry, &name, &mut self.cx.types);
        literals::bool(found.is_some(), span)
    }

    /// The offset and the type of `a` or `a.b`, written as an expression, in a struct.
    fn member_at(&mut self, of: Ty, path: &'a ast::Expr) -> Option<(u32, Ty)> {
        let (before, of, name) = match &path.kind {
            ast::ExprKind::Word(name) => (0, of, ast::Ident { text: name.clone(), span: path.span }),
            ast::ExprKind::Field { base, name, .. } => {
                let (before, of) = self.member_at(of, base)?;
                (before, of, name.clone())
            }
            _ => {
                self.cx.report(Diagnostic::error(path.span, "expected a member's name"));
                return None;
            }
        };
        let (offset, ty) = self.offset_of_member(of, &name)?;
        Some((before + offset, ty))
    }
}

/// A literal as a conversion of `fail` prints it; widths and precisions are left to `printf`.
fn literal_text(conversion: &Conversion, value: &hir::Expr) -> Option<String> {
    let number = match (&value.kind, &value.ty) {
        (ExprKind::Str(text), _) if conversion.letter == "s" => {
            return Some(String::from_utf8_lossy(text).into_owned());
        }
        (ExprKind::Const(value), Ty::Bool) if conversion.letter == "s" => {
            return Some((*value != 0).to_string());
        }
        (ExprKind::Const(value), _) => *value,
        _ => return None,
    };
    Some(match conversion.letter.as_str() {
        "u" => (number as u64).to_string(),
        "x" => format!("{number:x}"),
        "X" => format!("{number:X}"),
        "o" => format!("{number:o}"),
        "p" => format!("{number:#x}"),
        "s" if matches!(value.ty, Ty::Int(it) if !it.signed) => (number as u64).to_string(),
        "s" | "d" | "i" => number.to_string(),
        _ => return None,
    })
}
