//! Keys of maps whose kind says what a key is: the index of an `array`, the network of an `lpm`.

use super::infer::{self, Known};
use super::stmts::Body;
use crate::ast;
use crate::diagnostic::Diagnostic;
use crate::hir::{self, ExprKind, MapKind, MapOp};
use crate::source::Span;
use crate::ty::Ty;

impl<'a> Body<'_, 'a> {
    /// The key as a declared kind has it; other kinds leave it as it is.
    ///
    /// An index stays 64 bits wide, so that code generation sees those that are out of range.
    pub(super) fn shape_key(&mut self, name: &str, key: hir::Expr) -> hir::Expr {
        match self.cx.maps.kind(name) {
            _ if key.ty == Ty::Error => key,
            MapKind::Array => match key.ty {
                Ty::Int(_) | Ty::Bool | Ty::Enum(_) => {
                    self.cx.maps.set_key_type(name, Ty::U32, key.span);
                    infer::coerce(key, &Ty::U64)
                }
                _ => {
                    let found = self.cx.name_of(&key.ty);
                    let message = format!("`{name}` is an array, its index is an integer, not `{found}`");
                    self.fail(Diagnostic::error(key.span, message))
                }
            },
            MapKind::Lpm => {
                self.cx.maps.set_key_type(name, Ty::Network, key.span);
                self.network(name, key)
            }
            _ => key,
        }
    }

    /// An address is the network of which it is the only member.
    fn network(&mut self, name: &str, key: hir::Expr) -> hir::Expr {
        match key.ty {
            Ty::Network => key,
            Ty::Ipv4 => {
                let span = key.span;
                hir::Expr { kind: ExprKind::Cast(Box::new(key)), ty: Ty::Network, span }
            }
            _ => {
                let found = self.cx.name_of(&key.ty);
                let message = format!("the keys of `{name}` are IPv4 networks and addresses, not `{found}`");
                self.fail(
                    Diagnostic::error(key.span, message).hint(format!("for example `{name}[10.0.0.0/8]`")),
                )
            }
        }
    }

    /// Reports a use that the map's declared kind does not have.
    pub(super) fn check_kind(&mut self, name: &str, keyed: bool, value: &Known, span: Span) {
        let message = match (self.cx.maps.kind(name), &value.ty) {
            (MapKind::Array, _) if !keyed => format!("`{name}` is an array, it needs an index"),
            (MapKind::Lpm, _) if !keyed => format!("`{name}` is an lpm map, it needs a network as its key"),
            (MapKind::Lpm, Ty::Agg(_)) => format!("`{name}` is an lpm map, which cannot hold an aggregation"),
            _ => return,
        };
        self.cx.report(Diagnostic::error(span, message));
    }

    /// `value in @map`: whether the map has the key; in an `lpm` map whether a network has the address.
    pub(super) fn member_of_map(
        &mut self,
        value: hir::Expr,
        name: &'a str,
        set: Span,
        span: Span,
    ) -> hir::Expr {
        let element = self.element_with(name, Some(value), set);
        let key = element.key.map(Box::new);
        hir::Expr { kind: ExprKind::MapOp { op: MapOp::HasKey, map: element.id, key }, ty: Ty::Bool, span }
    }

    /// `10.0.0.0/8` as a value.
    pub(super) fn network_literal(&self, address: u32, prefix: u8, span: Span) -> hir::Expr {
        let mut bytes = u32::from(prefix).to_le_bytes().to_vec();
        bytes.extend(address.to_be_bytes());
        hir::Expr { kind: ExprKind::Bytes(bytes), ty: Ty::Network, span }
    }
}

/// The map that `in` looks into, when it is one as a whole.
pub(super) fn whole_map(set: &ast::Expr) -> Option<&str> {
    match &set.kind {
        ast::ExprKind::Map { name, key } if key.is_empty() => Some(name),
        _ => None,
    }
}
