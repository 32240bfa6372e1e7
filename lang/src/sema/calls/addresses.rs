//! Network addresses: `ntop`, `pton`, `macaddr`, and `bswap`.

use crate::ast;
use crate::builtins::Builtin;
use crate::diagnostic::Diagnostic;
use crate::hir::{self, ExprKind};
use crate::sema::stmts::Body;
use crate::sema::{infer, operators};
use crate::source::Span;
use crate::ty::{IntTy, Ty};
use std::net::IpAddr;

impl<'a> Body<'_, 'a> {
    /// `ntop([af, ]address)`
    pub(super) fn ntop(&mut self, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let (family, address) = match args {
            [family, address] => (Some(self.int64(family)), self.value(address)),
            _ => (None, self.value(args[0])),
        };
        let address = match &address.ty {
            Ty::Error => return self.unknown(span),
            Ty::Ipv4 | Ty::Ipv6 | Ty::Inet if family.is_none() => return hir::Expr { span, ..address },
            Ty::Int(_) => infer::coerce(address, &Ty::U32),
            Ty::Array(of, n) => match crate::layout::size_of(of, &self.cx.types) * n {
                4 | 16 => address,
                size => {
                    let message = format!("an address has 4 or 16 bytes, this array has {size}");
                    return self.fail(Diagnostic::error(address.span, message));
                }
            },
            // What C calls `char[4]` is a string here, and bytes all the same.
            Ty::Str(4 | 16) => address,
            _ => return self.not_a(&address, "an address: an integer or an array"),
        };
        let args = family.into_iter().chain([address]).collect();
        hir::Expr { kind: ExprKind::Builtin(Builtin::Ntop, args), ty: Ty::Inet, span }
    }

    /// `pton(literal)`
    pub(super) fn pton(&mut self, address: &'a ast::Expr, span: Span) -> hir::Expr {
        let Some(text) = self.text(address, "the address") else { return self.unknown(span) };
        let bytes = match text.parse() {
            Ok(IpAddr::V4(address)) => address.octets().to_vec(),
            Ok(IpAddr::V6(address)) => address.octets().to_vec(),
            Err(_) => {
                let message = format!("`{text}` is not an IPv4 or IPv6 address");
                return self.fail(Diagnostic::error(address.span, message));
            }
        };
        let ty = Ty::Array(Box::new(Ty::U8), bytes.len() as u32);
        hir::Expr { kind: ExprKind::Bytes(bytes), ty, span }
    }

    /// `macaddr(array or pointer)`
    pub(super) fn macaddr(&mut self, from: &'a ast::Expr, span: Span) -> hir::Expr {
        let Some((from, room)) = self.bytes_argument(from) else { return self.unknown(span) };
        if let Some(room) = room.filter(|room| *room < 6) {
            let message = format!("a MAC address has 6 bytes, this has {room}");
            return self.fail(Diagnostic::error(from.span, message));
        }
        let from = match &from.ty {
            Ty::Ptr(_, space) => {
                let (span, ty) = (from.span, operators::pointer(Ty::Mac, *space));
                let pointer = hir::Expr { kind: ExprKind::Cast(Box::new(from)), ty, span };
                hir::Expr { kind: ExprKind::Deref(Box::new(pointer)), ty: Ty::Mac, span }
            }
            _ => from,
        };
        hir::Expr { kind: ExprKind::Builtin(Builtin::Macaddr, vec![from]), ty: Ty::Mac, span }
    }

    /// `bswap(n)`
    pub(super) fn bswap(&mut self, n: &'a ast::Expr, span: Span) -> hir::Expr {
        let n = self.value(n);
        let n = match self.as_int(n) {
            Ok(n) => n,
            Err(wrong) => return self.not_a(&wrong, "an integer"),
        };
        let Ty::Int(int) = n.ty else { return self.unknown(span) };
        let ty = Ty::Int(IntTy::new(int.size, false));
        hir::Expr { kind: ExprKind::Builtin(Builtin::Bswap, vec![n]), ty, span }
    }
}
