//! The operands of an expression, for stages that look for something in it.

use super::{Expr, ExprKind};

impl Expr {
    /// Calls `see` with each direct operand, in order of evaluation. Statements of a block are not
    /// operands.
    pub fn for_each_operand<'a>(&'a self, see: &mut dyn FnMut(&'a Expr)) {
        match &self.kind {
            ExprKind::Const(_)
            | ExprKind::Str(_)
            | ExprKind::Bytes(_)
            | ExprKind::Local(_)
            | ExprKind::StepLocal { .. }
            | ExprKind::Register(_)
            | ExprKind::ReturnRegister
            | ExprKind::StaticArgument(..)
            | ExprKind::Argument(_)
            | ExprKind::Record
            | ExprKind::HasHeader(_)
            | ExprKind::HeaderField(_) => {}
            ExprKind::Map { key, .. }
            | ExprKind::AggValue { key, .. }
            | ExprKind::MapOp { key, .. }
            | ExprKind::StepMap { key, .. } => key.iter().for_each(|it| see(it)),
            ExprKind::Unary(_, it)
            | ExprKind::Cast(it)
            | ExprKind::Member { base: it, .. }
            | ExprKind::Deref(it)
            | ExprKind::AddressOf(it)
            | ExprKind::TupleField(it, _)
            | ExprKind::Block(_, it) => see(it),
            ExprKind::Binary(_, a, b)
            | ExprKind::Compare(_, a, b)
            | ExprKind::And(a, b)
            | ExprKind::Or(a, b)
            | ExprKind::Offset(a, b)
            | ExprKind::Element(a, b) => {
                see(a);
                see(b);
            }
            ExprKind::Cond(a, b, c) => {
                see(a);
                see(b);
                see(c);
            }
            ExprKind::Tuple(items) | ExprKind::Builtin(_, items) | ExprKind::Call(_, items) => {
                items.iter().for_each(see)
            }
        }
    }
}
