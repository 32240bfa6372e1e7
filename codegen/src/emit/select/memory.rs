//! Loads, stores and atomic operations, with offsets folded into the access.

use super::*;
use crate::ir::{Region, Type};

impl Selector<'_> {
    /// What an access is relative to, as far from the pointer as offsets can be folded.
    fn address(&mut self, ptr: Value, offset: i32) -> (Base, i16) {
        let mut ptr = self.resolve(ptr);
        let mut offset = i64::from(offset);
        while let Some(Op::PtrAdd(inner, by)) = self.definition(ptr) {
            let Some(moved) = self.constant(*by).and_then(|by| offset.checked_add(by)) else { break };
            if i16::try_from(moved).is_err() {
                break;
            }
            (ptr, offset) = (self.resolve(*inner), moved);
        }
        let folded = match self.definition(ptr) {
            Some(Op::SlotAddr(slot)) => i16::try_from(offset).ok().map(|it| (Base::Slot(*slot), it)),
            Some(Op::MapValueAddr(map, start)) => {
                // All accesses to one map share its first byte's address.
                let moved = offset.checked_add(i64::from(*start)).and_then(|it| i16::try_from(it).ok());
                moved.map(|it| (Base::Reg(self.make(Remat::MapValue(*map, 0))), it))
            }
            _ => None,
        };
        folded.unwrap_or_else(|| match i16::try_from(offset) {
            Ok(short) => (Base::Reg(self.reg(ptr)), short),
            Err(_) => (Base::Reg(self.far_address(ptr, offset)), 0),
        })
    }

    /// `ptr + offset` in a register, for offsets that no access takes.
    fn far_address(&mut self, ptr: Value, offset: i64) -> VReg {
        let dst = self.new_vreg(None);
        let start = self.start(dst, ptr);
        let src = match i32::try_from(offset) {
            Ok(number) => Source::Imm(number),
            Err(_) => Source::Reg(self.make(Remat::Const(offset))),
        };
        self.prefix = vec![start, modify(ALU64 | ADD, dst, src)];
        dst
    }

    pub(super) fn load(&mut self, width: u8, signed: bool, ptr: Value, offset: i32, dst: VReg) {
        let (base, off) = self.address(ptr, offset);
        let load = |code, dst| Kind::Load { code: code | size(width), dst, base, off };
        if !signed || width == 8 {
            return self.push([load(LDX, dst)]);
        }
        if self.isa < Isa::V4 {
            let count = Source::Imm(64 - 8 * i32::from(width));
            let extend = [modify(ALU64 | LSH, dst, count), modify(ALU64 | ARSH, dst, count)];
            return self.push([load(LDX, dst)].into_iter().chain(extend));
        }
        if self.function.ty(ptr) != Type::Ptr(Region::Ctx) {
            return self.push([load(LDXS, dst)]);
        }
        // The kernel rewrites context loads, on some versions without regard for the sign.
        let src = self.new_vreg(None);
        let off = 8 * i16::from(width);
        self.push([load(LDX, src), Kind::Extend { code: ALU64 | MOV | X, dst, src, off }]);
    }

    pub(super) fn store(&mut self, width: u8, ptr: Value, offset: i32, value: Value) {
        // Older kernels refuse to store an immediate to the context. Below v4 we do as LLVM: its
        // disassemblers before 18 do not know the instruction.
        let from_register = self.isa < Isa::V4 || self.function.ty(ptr) == Type::Ptr(Region::Ctx);
        let src = match self.constant(value) {
            Some(_) if from_register => Source::Reg(self.reg(value)),
            Some(number) if width < 8 => Source::Imm(number as i32),
            _ => self.source(value),
        };
        let (base, off) = self.address(ptr, offset);
        self.push([Kind::Store { width, base, off, src }]);
    }

    pub(super) fn atomic_add(&mut self, width: u8, ptr: Value, offset: i32, value: Value, old: Option<VReg>) {
        match old {
            Some(old) => {
                let start = self.start(old, value);
                let (base, off) = self.address(ptr, offset);
                self.push([start, Kind::AtomicAdd { width, base, off, src: old, fetch: true }]);
            }
            None => {
                let src = self.reg(value);
                let (base, off) = self.address(ptr, offset);
                self.push([Kind::AtomicAdd { width, base, off, src, fetch: false }]);
            }
        }
    }

    pub(super) fn atomic_swap(
        &mut self,
        width: u8,
        ptr: Value,
        offset: i32,
        value: Value,
        old: Option<VReg>,
    ) {
        let old = old.unwrap_or_else(|| self.new_vreg(None));
        let start = self.start(old, value);
        let (base, off) = self.address(ptr, offset);
        self.push([start, Kind::AtomicSwap { width, base, off, src: old }]);
    }
}
