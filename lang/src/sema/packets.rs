//! Packet probes: headers as values, networks, verdicts.

use super::stmts::{Body, effect_expr};
use super::tables;
use crate::ast;
use crate::builtins::Builtin;
use crate::diagnostic::{Diagnostic, nearest};
use crate::hir::{self, BinaryOp, CompareOp, ExprKind, Header, PACKET_LENGTH, Verdict};
use crate::packet;
use crate::probes::Context as Receives;
use crate::source::Span;
use crate::ty::Ty;
use std::collections::BTreeSet;

impl<'a> Body<'_, 'a> {
    fn has_packet(&self) -> bool {
        self.probe.kind.context() == Receives::Xdp
    }

    /// `ip` as a value: whether the packet has the header.
    pub(super) fn header_word(&mut self, word: &str, span: Span) -> Option<hir::Expr> {
        let header = packet::header(word)?;
        if !self.has_packet() {
            return Some(self.no_packet(word, span));
        }
        Some(hir::Expr { kind: ExprKind::HasHeader(header), ty: Ty::Bool, span })
    }

    /// `ip.saddr`, `tcp.flags.syn`, `pkt.len`; `None` when `base` names no header.
    pub(super) fn packet_field(
        &mut self,
        base: &ast::Expr,
        name: &ast::Ident,
        span: Span,
    ) -> Option<hir::Expr> {
        let (word, path) = match &base.kind {
            ast::ExprKind::Word(word) => (word, name.text.clone()),
            ast::ExprKind::Field { base, name: outer, .. } => match &base.kind {
                ast::ExprKind::Word(word) => (word, format!("{}.{}", outer.text, name.text)),
                _ => return None,
            },
            _ => return None,
        };
        let header = packet::header(word);
        if header.is_none() && word != "pkt" {
            return None;
        }
        if !self.has_packet() {
            return Some(self.no_packet(word, base.span));
        }
        let Some(header) = header else { return Some(self.packet_length(name, span)) };
        let field = packet::fields(header).find(|it| it.name == path);
        Some(match field {
            Some(field) => hir::Expr { kind: ExprKind::HeaderField(field.place), ty: field.ty(), span },
            None => {
                let names = packet::fields(header).map(|it| it.name);
                let near = match nearest(&path, names.clone()) {
                    Some(near) => format!("did you mean `{word}.{near}`?"),
                    None => format!("it has {}", names.collect::<Vec<_>>().join(", ")),
                };
                self.fail(Diagnostic::error(name.span, format!("`{word}` has no field `{path}`")).hint(near))
            }
        })
    }

    fn packet_length(&mut self, name: &ast::Ident, span: Span) -> hir::Expr {
        if name.text == "len" {
            return hir::Expr { kind: ExprKind::HeaderField(PACKET_LENGTH), ty: Ty::U32, span };
        }
        self.fail(
            Diagnostic::error(name.span, format!("`pkt` has no field `{}`", name.text))
                .hint("it has `pkt.len`"),
        )
    }

    fn no_packet(&mut self, word: &str, span: Span) -> hir::Expr {
        if let Some(diagnostic) = self.only_in_probes(word, span) {
            return self.fail(diagnostic);
        }
        let message = format!("`{word}` is part of a packet, a `{}` probe has none", self.probe.kind.name());
        self.fail(Diagnostic::error(span, message).hint("packets are in `xdp:INTERFACE` probes"))
    }

    /// `value in set`
    pub(super) fn member_of(&mut self, value: &'a ast::Expr, set: &'a ast::Expr, span: Span) -> hir::Expr {
        let value = self.value(value);
        if let Some(name) = tables::whole_map(set) {
            return self.member_of_map(value, name, set.span, span);
        }
        let &ast::ExprKind::Cidr4(network, prefix) = &set.kind else {
            return self.fail(
                Diagnostic::error(set.span, "`in` needs a network or a map")
                    .hint("for example `ip.saddr in 10.0.0.0/8` or `ip.saddr in @blocked`"),
            );
        };
        if value.ty != Ty::Ipv4 {
            return self.not_a(&value, "an IPv4 address");
        }
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        let constant = |value: u32| {
            Box::new(hir::Expr { kind: ExprKind::Const(value.into()), ty: Ty::U64, span: set.span })
        };
        let address = Box::new(super::infer::coerce(value, &Ty::U64));
        let kind = ExprKind::Binary(BinaryOp::And, address, constant(mask));
        let masked = Box::new(hir::Expr { kind, ty: Ty::U64, span });
        let kind = ExprKind::Compare(CompareOp::Eq, masked, constant(network & mask));
        hir::Expr { kind, ty: Ty::Bool, span }
    }

    /// `pass`, `drop`
    pub(super) fn verdict(&mut self, builtin: Builtin, span: Span) -> hir::Expr {
        let verdict = match builtin {
            Builtin::Drop => Verdict::Drop,
            _ => Verdict::Pass,
        };
        let name = builtin.name();
        if !self.has_packet() {
            let message =
                format!("`{name}` is a verdict on a packet, a `{}` probe has none", self.probe.kind.name());
            return self.fail(Diagnostic::error(span, message).hint("packets are in `xdp:INTERFACE` probes"));
        }
        if verdict != Verdict::Pass && !self.cx.options.allow.verdict {
            let message = format!("`{name}` changes what happens to packets, which is not allowed");
            return self.fail(Diagnostic::error(span, message).hint("run with `--allow verdict`"));
        }
        effect_expr(vec![hir::Stmt { kind: hir::StmtKind::Verdict(verdict), span }], span)
    }

    /// In a predicate, a comparison that touches a header is false when the packet lacks it:
    /// the smallest true-or-false parts get their headers as a further condition.
    pub(super) fn require_headers(&self, condition: hir::Expr) -> hir::Expr {
        if !self.has_packet() {
            return condition;
        }
        let hir::Expr { kind, ty, span } = condition;
        let inner = |it: Box<hir::Expr>| Box::new(self.require_headers(*it));
        let kind = match kind {
            ExprKind::And(left, right) => ExprKind::And(inner(left), inner(right)),
            ExprKind::Or(left, right) => ExprKind::Or(inner(left), inner(right)),
            ExprKind::Unary(hir::UnaryOp::Not, operand) => ExprKind::Unary(hir::UnaryOp::Not, inner(operand)),
            ExprKind::Cond(condition, then, otherwise) => {
                ExprKind::Cond(inner(condition), inner(then), inner(otherwise))
            }
            kind => return require(hir::Expr { kind, ty, span }),
        };
        hir::Expr { kind, ty, span }
    }
}

fn require(leaf: hir::Expr) -> hir::Expr {
    let mut headers = BTreeSet::new();
    headers_of(&leaf, &mut headers);
    let span = leaf.span;
    headers.into_iter().rev().fold(leaf, |condition, header| {
        let has = hir::Expr { kind: ExprKind::HasHeader(header), ty: Ty::Bool, span };
        hir::Expr { kind: ExprKind::And(Box::new(has), Box::new(condition)), ty: Ty::Bool, span }
    })
}

/// The headers whose fields an expression reads.
fn headers_of(expr: &hir::Expr, headers: &mut BTreeSet<Header>) {
    match &expr.kind {
        ExprKind::HeaderField(field) if *field != PACKET_LENGTH => {
            headers.insert(field.header);
        }
        _ => expr.for_each_operand(&mut |operand| headers_of(operand, headers)),
    }
}

/// Words that only mean something in packet probes, for suggestions.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    packet::HEADERS.iter().map(|it| it.0).chain(["pkt"])
}
