//! Scalar expressions to values, conditions to branches.

use super::arith::condition;
use super::place::Place;
use super::{Body, Local};
use crate::ir::{BinOp, Block, Op, Type, Value};
use lang::hir::{BinaryOp, CompareOp, Expr, ExprKind, UnaryOp};
use lang::ty::Ty;

impl Body<'_, '_> {
    /// The value of a scalar as a number.
    ///
    /// Invariant: a number is extended to 64 bits by its type's sign.
    pub fn number(&mut self, expr: &Expr) -> Value {
        let value = self.scalar(expr);
        match self.b.ty(value) {
            Type::I64 => value,
            Type::Ptr(_) => self.launder(value),
        }
    }

    /// The value of a scalar: a number, or a pointer into memory that may be read directly.
    pub fn scalar(&mut self, expr: &Expr) -> Value {
        self.at(expr.span, |body| body.scalar_at(expr))
    }

    fn scalar_at(&mut self, expr: &Expr) -> Value {
        let ty = &expr.ty;
        match &expr.kind {
            ExprKind::Const(number) => self.b.constant(*number),
            ExprKind::Local(local) => match self.locals[local.0 as usize] {
                Local::Variable(variable) => self.b.read(variable),
                Local::Memory(memory) if ty.is_scalar() => self.load(Place::Own(memory), ty),
                Local::Memory(memory) => self.address(memory),
            },
            ExprKind::Map { map, key } => self.map_value(*map, key.as_deref(), ty),
            ExprKind::AggValue { map, key } => self.aggregate_value(*map, key.as_deref(), expr.span),
            ExprKind::MapOp { op, map, key } => self.map_op(*op, *map, key.as_deref(), expr.span),
            ExprKind::StepMap { map, key, by, prefix } => {
                let by = self.b.constant(*by);
                self.add_to_map(*map, key.as_deref(), by, Some(*prefix))
            }
            ExprKind::StepLocal { local, by, prefix } => self.step_local(local.0, *by, *prefix, ty),
            ExprKind::Unary(op, operand) => self.unary(*op, operand),
            ExprKind::Binary(op, left, right) => self.binary(*op, left, right, ty),
            ExprKind::Compare(op, left, right) if left.ty.is_scalar() => self.compare(*op, left, right),
            ExprKind::Compare(..) | ExprKind::And(..) | ExprKind::Or(..) => self.condition_value(expr),
            ExprKind::Cond(condition, then, otherwise) => self.choice(condition, then, otherwise, ty),
            ExprKind::Block(body, value) => {
                self.stmts(body);
                if *ty == Ty::Void {
                    self.effect(value);
                    return self.b.constant(0);
                }
                self.scalar(value)
            }
            ExprKind::Cast(inner) => self.cast(inner, ty),
            ExprKind::Member { base, path } => self.member_value(base, path, ty),
            ExprKind::Element(base, index) => self.element_value(base, index, ty),
            ExprKind::Deref(_) | ExprKind::TupleField(..) => {
                let place = self.place(expr);
                self.load(place, ty)
            }
            ExprKind::Offset(pointer, count) => self.offset(pointer, count),
            ExprKind::AddressOf(place) => {
                let place = self.place(place);
                self.foreign(place).0
            }
            ExprKind::Builtin(builtin, args) => self.builtin(*builtin, args, expr),
            ExprKind::Call(id, args) if ty.is_scalar() || *ty == Ty::Void => self.call(*id, args),
            ExprKind::StaticArgument(_, argument) => self.static_argument(argument, expr.span),
            ExprKind::Register(idx) => self.register(*idx, expr.span),
            ExprKind::ReturnRegister => self.return_register(),
            ExprKind::Argument(idx) => self.argument(*idx, ty),
            ExprKind::HasHeader(header) => self.has_header(*header),
            ExprKind::HeaderField(field) => self.header_value(*field),
            ExprKind::Str(_)
            | ExprKind::Bytes(_)
            | ExprKind::Tuple(_)
            | ExprKind::Call(..)
            | ExprKind::Record => {
                let place = self.place(expr);
                self.foreign(place).0
            }
        }
    }

    /// Evaluates for the effect only.
    pub fn effect(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::StepMap { map, key, by, .. } => self.at(expr.span, |body| {
                let by = body.b.constant(*by);
                body.add_to_map(*map, key.as_deref(), by, None);
            }),
            _ if expr.ty.is_scalar() || expr.ty == Ty::Void => {
                self.scalar(expr);
            }
            _ => {
                self.place(expr);
            }
        }
    }

    /// Goes to `then` when a scalar is not 0, else to `otherwise`.
    pub fn condition(&mut self, expr: &Expr, then: Block, otherwise: Block) {
        self.at(expr.span, |body| match &expr.kind {
            ExprKind::And(left, right) => {
                let both = body.b.block();
                body.condition(left, both, otherwise);
                body.b.start(both);
                body.condition(right, then, otherwise);
            }
            ExprKind::Or(left, right) => {
                let neither = body.b.block();
                body.condition(left, then, neither);
                body.b.start(neither);
                body.condition(right, then, otherwise);
            }
            ExprKind::Unary(UnaryOp::Not, operand) => body.condition(operand, otherwise, then),
            ExprKind::Compare(op, left, right) if left.ty.is_scalar() => {
                let signed = body.int_ty(&left.ty).signed;
                let (left, right) = (body.number(left), body.number(right));
                body.b.branch(condition(*op, signed), left, right, then, otherwise);
            }
            ExprKind::Compare(op, left, right) => {
                let (equal, differ) =
                    if *op == CompareOp::Ne { (otherwise, then) } else { (then, otherwise) };
                body.compare_memory(left, right, differ);
                body.b.jump(equal, &[]);
            }
            _ => {
                let value = body.number(expr);
                let zero = body.b.constant(0);
                body.b.branch(crate::ir::Cond::Ne, value, zero, then, otherwise);
            }
        });
    }

    /// A condition as 0 or 1.
    fn condition_value(&mut self, expr: &Expr) -> Value {
        let (yes, no) = (self.b.block(), self.b.block());
        let (done, value) = self.b.block_with_number();
        self.condition(expr, yes, no);
        for (block, number) in [(yes, 1), (no, 0)] {
            self.b.start(block);
            let number = self.b.constant(number);
            self.b.jump(done, &[number]);
        }
        self.b.start(done);
        value
    }

    fn choice(&mut self, condition: &Expr, then: &Expr, otherwise: &Expr, ty: &Ty) -> Value {
        let (yes, no) = (self.b.block(), self.b.block());
        let (done, value) = self.b.block_with_number();
        self.condition(condition, yes, no);
        for (block, arm) in [(yes, then), (no, otherwise)] {
            self.b.start(block);
            let arm = if *ty == Ty::Void {
                self.effect(arm);
                self.b.constant(0)
            } else {
                self.number(arm)
            };
            self.b.jump(done, &[arm]);
        }
        self.b.start(done);
        value
    }

    fn unary(&mut self, op: UnaryOp, operand: &Expr) -> Value {
        let value = self.number(operand);
        match op {
            UnaryOp::Neg => self.b.op(Op::Neg(value)),
            UnaryOp::BitNot => self.b.op(Op::Not(value)),
            UnaryOp::Not => {
                let zero = self.b.constant(0);
                self.b.op(Op::Compare(crate::ir::Cond::Eq, value, zero))
            }
        }
    }

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr, ty: &Ty) -> Value {
        let decides = if op == BinaryOp::Shr { &left.ty } else { ty };
        let signed = self.int_ty(decides).signed;
        let (left, right) = (self.number(left), self.number(right));
        self.arithmetic(op, left, right, signed)
    }

    fn compare(&mut self, op: CompareOp, left: &Expr, right: &Expr) -> Value {
        let signed = self.int_ty(&left.ty).signed;
        let (left, right) = (self.number(left), self.number(right));
        self.b.op(Op::Compare(condition(op, signed), left, right))
    }

    fn cast(&mut self, inner: &Expr, ty: &Ty) -> Value {
        if !inner.ty.is_scalar() {
            // Bytes taken for a number: an array or an address of up to 8 bytes.
            let place = self.place(inner);
            return self.load(place, ty);
        }
        let value = self.scalar(inner);
        self.cast_value(value, &inner.ty, ty)
    }

    fn offset(&mut self, pointer: &Expr, count: &Expr) -> Value {
        let size = match &pointer.ty {
            Ty::Ptr(of, _) => self.cx.size_of(of).max(1),
            _ => 1,
        };
        let pointer = self.scalar(pointer);
        let count = self.number(count);
        if let Some(count) = self.b.as_const(count)
            && let Ok(distance) = i32::try_from(count.wrapping_mul(size.into()))
        {
            return self.b.advance(pointer, distance);
        }
        let distance = self.b.binary_const(BinOp::Mul, count, size.into());
        let pointer = match self.b.ty(pointer) {
            Type::I64 => pointer,
            Type::Ptr(_) => self.launder(pointer),
        };
        self.b.binary(BinOp::Add, pointer, distance)
    }

    fn step_local(&mut self, local: u32, by: i64, prefix: bool, ty: &Ty) -> Value {
        let local = self.locals[local as usize];
        let old = match local {
            Local::Variable(variable) => self.b.read(variable),
            Local::Memory(memory) => self.load(Place::Own(memory), ty),
        };
        let new = self.b.binary_const(BinOp::Add, old, by);
        let new = self.extend(new, self.int_ty(ty));
        match local {
            Local::Variable(variable) => self.b.write(variable, new),
            Local::Memory(memory) => self.b.store(self.int_ty(ty).size, memory.ptr, memory.offset, new),
        }
        if prefix { new } else { old }
    }
}
