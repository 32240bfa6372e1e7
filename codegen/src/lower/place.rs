//! Expressions that are places in memory: found without being read, copied to a destination, or
//! built straight into one.

use super::memory::Memory;
use super::{Body, Local};
use crate::failure::FailureKind;
use crate::helpers::Helper;
use crate::ir::{BinOp, Cond, CoreAccess, CoreKind, Op, Region, Type, Value};
use lang::hir::{Expr, ExprKind};
use lang::layout;
use lang::ty::{Field, Origin, Space, StructId, Ty};

/// Where a value is that is not in a register.
#[derive(Clone, Debug)]
pub enum Place {
    /// Memory that the program may read directly, the context too.
    Own(Memory),
    /// Memory that a helper reads.
    Foreign {
        /// A number, or a context pointer to be used as one.
        address: Value,
        /// Of the current process rather than the kernel.
        user: bool,
    },
    /// A literal; zero behind these bytes.
    Bytes(Vec<u8>),
}

impl Body<'_, '_> {
    /// Finds the place of an expression that is not a scalar.
    pub fn place(&mut self, expr: &Expr) -> Place {
        match &expr.kind {
            ExprKind::Str(bytes) | ExprKind::Bytes(bytes) => Place::Bytes(bytes.clone()),
            ExprKind::Local(local) => match self.locals[local.0 as usize] {
                Local::Memory(memory) => Place::Own(memory),
                Local::Variable(_) => self.built(expr),
            },
            ExprKind::Map { map, key } => {
                self.at(expr.span, |body| Place::Own(body.map_place(*map, key.as_deref())))
            }
            ExprKind::Member { base, path } => self.member(base, path),
            ExprKind::Deref(pointer) => self.pointee(pointer),
            ExprKind::Element(base, index) => self.element(base, index, &expr.ty),
            ExprKind::TupleField(base, idx) => self.tuple_field(base, *idx),
            ExprKind::Record => Place::Own(self.context_memory()),
            ExprKind::Call(id, args) => self.at(expr.span, |body| Place::Own(body.call_for_place(*id, args))),
            ExprKind::HeaderField(field) => self.header_place(*field),
            ExprKind::Block(body, value) => {
                self.stmts(body);
                self.place(value)
            }
            _ => self.built(expr),
        }
    }

    fn built(&mut self, expr: &Expr) -> Place {
        let memory = self.allocate_for(&expr.ty);
        self.lower_into(expr, memory);
        Place::Own(memory)
    }

    /// Evaluates an expression of any type to memory.
    ///
    /// Invariant: all bytes of the value's size are written.
    pub fn lower_into(&mut self, expr: &Expr, to: Memory) {
        self.at(expr.span, |body| body.lower_into_at(expr, to));
    }

    fn lower_into_at(&mut self, expr: &Expr, to: Memory) {
        if expr.ty.is_scalar() {
            let value = self.number(expr);
            return self.b.store(self.int_ty(&expr.ty).size, to.ptr, to.offset, value);
        }
        match &expr.kind {
            ExprKind::Tuple(items) => self.tuple_into(items, to),
            ExprKind::Cond(condition, then, otherwise) => {
                let [yes, no, done] = [self.b.block(), self.b.block(), self.b.block()];
                self.condition(condition, yes, no);
                for (block, arm) in [(yes, then), (no, otherwise)] {
                    self.b.start(block);
                    self.lower_into(arm, to);
                    self.b.jump(done, &[]);
                }
                self.b.start(done);
            }
            ExprKind::Block(body, value) => {
                self.stmts(body);
                self.lower_into(value, to);
            }
            ExprKind::Cast(inner) => self.cast_into(inner, &expr.ty, to),
            ExprKind::Builtin(builtin, args) => self.builtin_into(*builtin, args, expr, to),
            _ => {
                let from = self.place(expr);
                self.copy_place(to, from, &expr.ty);
            }
        }
    }

    /// Writes a tuple's members, and zero between them.
    fn tuple_into(&mut self, items: &[Expr], to: Memory) {
        let types: Vec<&Ty> = items.iter().map(|it| &it.ty).collect();
        self.zero_gaps(&types, to);
        let (offsets, _) = layout::fields(types.into_iter(), &self.cx.program.types);
        for (item, offset) in items.iter().zip(offsets) {
            self.lower_into(item, to.at(offset));
        }
    }

    /// Zeroes the padding of a tuple of these members.
    pub fn zero_gaps(&mut self, types: &[&Ty], to: Memory) {
        let (offsets, size) = layout::fields(types.iter().copied(), &self.cx.program.types);
        let sizes = types.iter().map(|ty| self.cx.size_of(ty));
        let members: Vec<(u32, u32)> = offsets.into_iter().zip(sizes).chain([(size, 0)]).collect();
        let mut end = 0;
        for (offset, size) in members {
            if offset > end {
                self.zero(to.at(end), offset - end);
            }
            end = offset + size;
        }
    }

    /// Copies a value of a type that is not a scalar.
    pub fn copy_place(&mut self, to: Memory, from: Place, ty: &Ty) {
        let size = self.cx.size_of(ty);
        match from {
            Place::Bytes(mut bytes) => {
                bytes.truncate(size as usize);
                self.write_bytes(to, &bytes);
                self.zero(to.at(bytes.len() as u32), size - bytes.len() as u32);
            }
            from if self.may_be_dirty(&from, ty) => {
                let (address, user) = self.foreign(from);
                self.read_string(to, size, address, user);
            }
            Place::Own(memory) => self.copy(to, memory, size),
            Place::Foreign { address, user } => self.probe_read(to, size, address, user),
        }
    }

    /// Whether a string may hold anything behind its NUL.
    fn may_be_dirty(&self, place: &Place, ty: &Ty) -> bool {
        let foreign = match place {
            Place::Own(memory) => self.b.ty(memory.ptr) == Type::Ptr(Region::Ctx),
            Place::Foreign { .. } => true,
            Place::Bytes(_) => false,
        };
        foreign && matches!(ty, Ty::Str(_))
    }

    /// The value in memory that the program may read, by the invariants of own memory.
    pub fn materialise(&mut self, place: Place, ty: &Ty) -> Memory {
        match place {
            Place::Own(memory) if self.b.ty(memory.ptr) != Type::Ptr(Region::Ctx) => memory,
            place => {
                let memory = self.allocate_for(ty);
                self.copy_place(memory, place, ty);
                memory
            }
        }
    }

    /// A place's address for a helper, and whether it is a user address.
    pub fn foreign(&mut self, place: Place) -> (Value, bool) {
        match place {
            Place::Own(memory) => (self.address(memory), false),
            Place::Foreign { address, user } => (address, user),
            Place::Bytes(bytes) => {
                let memory = self.allocate(bytes.len() as u32 + 1);
                self.copy_place(memory, Place::Bytes(bytes.clone()), &Ty::Str(bytes.len() as u32 + 1));
                (self.address(memory), false)
            }
        }
    }

    /// Copies foreign memory; the helper writes zeros when it may not be read.
    pub fn probe_read(&mut self, to: Memory, size: u32, address: Value, user: bool) {
        let size = self.b.constant(size.into());
        self.probe_read_sized(to, size, address, user);
    }

    /// [`Body::probe_read`] of a size that the verifier sees bounded.
    pub fn probe_read_sized(&mut self, to: Memory, size: Value, address: Value, user: bool) {
        let helper = if user { Helper::ProbeReadUser } else { Helper::ProbeReadKernel };
        let to = self.address(to);
        self.effect_reported(helper, &[to, size, address]);
    }

    /// Reads a scalar of a type from a place.
    pub fn load(&mut self, place: Place, ty: &Ty) -> Value {
        let int = self.int_ty(ty);
        match place {
            Place::Own(memory) => self.b.load(int.size, int.signed, memory.ptr, memory.offset),
            Place::Foreign { address, user } => {
                let slot = self.b.slot(8, 8);
                let ptr = self.b.op(Op::SlotAddr(slot));
                self.probe_read(Memory { ptr, offset: 0, align: 8 }, int.size.into(), address, user);
                self.b.load(int.size, int.signed, ptr, 0)
            }
            Place::Bytes(bytes) => {
                let bytes: Vec<u8> = bytes.into_iter().take(int.size.into()).collect();
                self.b.constant(super::memory::number(&bytes))
            }
        }
    }

    /// What a pointer points to.
    pub fn pointee(&mut self, pointer: &Expr) -> Place {
        if let ExprKind::AddressOf(place) = &pointer.kind {
            return self.place(place);
        }
        let address = self.scalar(pointer);
        match self.b.ty(address) {
            Type::Ptr(_) => Place::Own(Memory { ptr: address, offset: 0, align: 8 }),
            Type::I64 => Place::Foreign { address, user: matches!(pointer.ty, Ty::Ptr(_, Space::User)) },
        }
    }

    fn member(&mut self, base: &Expr, path: &[(StructId, u32)]) -> Place {
        let base = self.place(base);
        self.member_of(base, path)
    }

    /// A member of what is at a place.
    pub fn member_of(&mut self, base: Place, path: &[(StructId, u32)]) -> Place {
        let Some(&(root, _)) = path.first() else { return base };
        let offset = path.iter().map(|step| self.field(*step).map_or(0, |it| it.offset)).sum();
        let relocated = matches!(self.cx.program.types.struct_def(root).origin, Origin::Btf { .. });
        let place = match base {
            Place::Foreign { address, user } if relocated => {
                let distance = self.core(path, CoreKind::FieldByteOffset, offset);
                Place::Foreign { address: self.add_address(address, distance), user }
            }
            base => self.offset_place(base, offset),
        };
        match path.last().and_then(|step| self.field(*step)) {
            Some(field) if field.data_loc => self.data_location(place),
            _ => place,
        }
    }

    /// A `__data_loc` member holds the distance of the data from the record's start.
    fn data_location(&mut self, place: Place) -> Place {
        let location = self.load(place, &Ty::U32);
        let distance = self.b.binary_const(BinOp::And, location, 0xffff);
        let address = self.b.op(Op::PtrAdd(self.ctx, distance));
        Place::Foreign { address, user: false }
    }

    /// A member that is a bit-field or an ordinary scalar.
    pub fn member_value(&mut self, base: &Expr, path: &[(StructId, u32)], ty: &Ty) -> Value {
        let last = path.last().and_then(|step| self.field(*step)).cloned();
        let place = self.member(base, path);
        let foreign = matches!(place, Place::Foreign { .. });
        let Some(field) = last else { return self.load(place, ty) };
        if field.data_loc {
            return self.foreign(place).0;
        }
        let Some(bits) = field.bits else { return self.load(place, ty) };
        // The unit is read as an unsigned number; shifts to the top and back pick the bits out.
        let unit = Ty::Int(lang::ty::IntTy { signed: false, ..self.int_ty(&field.ty) });
        let value = self.load(place, &unit);
        let (up, down) = (64 - u32::from(bits.shift) - u32::from(bits.width), 64 - u32::from(bits.width));
        let relocated = path.first().is_some_and(|(root, _)| {
            matches!(self.cx.program.types.struct_def(*root).origin, Origin::Btf { .. })
        });
        let (up, down) = if foreign && relocated {
            (self.core(path, CoreKind::FieldLshiftU64, up), self.core(path, CoreKind::FieldRshiftU64, down))
        } else {
            (self.b.constant(up.into()), self.b.constant(down.into()))
        };
        let value = self.b.binary(BinOp::Shl, value, up);
        let shift = if self.int_ty(ty).signed { BinOp::AShr } else { BinOp::LShr };
        self.b.binary(shift, value, down)
    }

    fn field(&self, (id, idx): (StructId, u32)) -> Option<&Field> {
        self.cx.program.types.struct_def(id).fields.as_ref()?.get(idx as usize)
    }

    /// What a CO-RE access computes, `value` on the kernel that the types came from.
    pub fn core(&mut self, path: &[(StructId, u32)], kind: CoreKind, value: u32) -> Value {
        let access = self.cx.access(CoreAccess { path: path.to_vec(), kind, value });
        self.b.op(Op::FieldOffset(access))
    }

    /// An address so many bytes further.
    pub fn add_address(&mut self, address: Value, distance: Value) -> Value {
        match self.b.ty(address) {
            Type::I64 => self.b.binary(BinOp::Add, address, distance),
            Type::Ptr(_) => self.b.op(Op::PtrAdd(address, distance)),
        }
    }

    /// A place so many bytes further.
    pub fn offset_place(&mut self, place: Place, offset: u32) -> Place {
        match place {
            Place::Own(memory) => Place::Own(memory.at(offset)),
            Place::Foreign { address, user } => {
                Place::Foreign { address: self.b.advance(address, offset as i32), user }
            }
            Place::Bytes(bytes) => Place::Bytes(bytes.into_iter().skip(offset as usize).collect()),
        }
    }

    fn tuple_field(&mut self, base: &Expr, idx: u32) -> Place {
        let types: Vec<&Ty> = match &base.ty {
            Ty::Tuple(items) => items.iter().collect(),
            Ty::Record(items) => items.iter().map(|(_, ty)| ty).collect(),
            _ => vec![],
        };
        let (offsets, _) = layout::fields(types.into_iter(), &self.cx.program.types);
        let base = self.place(base);
        self.offset_place(base, offsets.get(idx as usize).copied().unwrap_or(0))
    }

    /// An element that is not a scalar; all zero for a variable index out of range, which is
    /// reported.
    fn element(&mut self, base: &Expr, index: &Expr, ty: &Ty) -> Place {
        let (size, count) = self.elements(&base.ty);
        let place = self.place(base);
        let index = self.number(index);
        if let Some(index) = self.b.as_const(index) {
            return self.offset_place(place, (index as u32).wrapping_mul(size));
        }
        let copy = match &place {
            Place::Own(memory) if self.b.ty(memory.ptr) != Type::Ptr(Region::Ctx) => {
                Some(self.allocate_for(ty))
            }
            _ => None,
        };
        let [inside, outside] = std::array::from_fn(|_| self.b.block());
        let (done, address) = self.b.block_with_number();
        let limit = self.b.constant(count.into());
        self.b.branch(Cond::ULt, index, limit, inside, outside);
        self.b.start(outside);
        // Nothing can be read at address 0, and what cannot be read is zero.
        let nowhere = self.report_out_of_bounds();
        if let Some(copy) = copy {
            self.zero(copy, size);
        }
        self.b.jump(done, &[nowhere]);
        self.b.start(inside);
        let element = self.element_at(place, index, size);
        let (found, user) = match copy {
            Some(copy) => {
                self.copy_place(copy, element, ty);
                (self.b.constant(0), false)
            }
            None => self.foreign(element),
        };
        let found = match self.b.ty(found) {
            Type::I64 => found,
            Type::Ptr(_) => self.launder(found),
        };
        self.b.jump(done, &[found]);
        self.b.start(done);
        copy.map_or(Place::Foreign { address, user }, Place::Own)
    }

    /// The value of a scalar element; 0 for a variable index out of range, which is reported.
    pub fn element_value(&mut self, base: &Expr, index: &Expr, ty: &Ty) -> Value {
        let (size, count) = self.elements(&base.ty);
        let place = self.place(base);
        let index = self.number(index);
        if let Some(index) = self.b.as_const(index) {
            let place = self.offset_place(place, (index as u32).wrapping_mul(size));
            return self.load(place, ty);
        }
        let [inside, outside] = std::array::from_fn(|_| self.b.block());
        let (done, value) = self.b.block_with_number();
        let limit = self.b.constant(count.into());
        self.b.branch(Cond::ULt, index, limit, inside, outside);
        self.b.start(outside);
        let zero = self.report_out_of_bounds();
        self.b.jump(done, &[zero]);
        self.b.start(inside);
        let place = self.element_at(place, index, size);
        let loaded = self.load(place, ty);
        self.b.jump(done, &[loaded]);
        self.b.start(done);
        value
    }

    /// Reports an index behind the end; gives 0.
    fn report_out_of_bounds(&mut self) -> Value {
        let zero = self.b.constant(0);
        self.report(FailureKind::OutOfBounds, zero);
        zero
    }

    fn element_at(&mut self, place: Place, index: Value, size: u32) -> Place {
        let distance = self.b.binary_const(BinOp::Mul, index, size.into());
        match place {
            // The verifier allows constant offsets from the context only, so a helper reads it.
            Place::Own(memory) if self.b.ty(memory.ptr) == Type::Ptr(Region::Ctx) => {
                let base = self.address(memory);
                Place::Foreign { address: self.add_address(base, distance), user: false }
            }
            Place::Foreign { address, user } => {
                Place::Foreign { address: self.add_address(address, distance), user }
            }
            Place::Own(memory) => {
                let ptr = self.b.op(Op::PtrAdd(memory.ptr, distance));
                Place::Own(Memory { ptr, align: memory.align.min(size & size.wrapping_neg()), ..memory })
            }
            Place::Bytes(bytes) => {
                let ty = Ty::Str(bytes.len() as u32 + 1);
                let memory = self.materialise(Place::Bytes(bytes), &ty);
                self.element_at(Place::Own(memory), index, size)
            }
        }
    }

    /// Size and number of the elements of an array or string.
    fn elements(&self, ty: &Ty) -> (u32, u32) {
        match ty {
            Ty::Array(of, count) => (self.cx.size_of(of), *count),
            other => (1, self.cx.size_of(other)),
        }
    }
}
