//! The program's own memory: temporaries on the stack or in scratch memory, copies, zeroing.

use super::Body;
use crate::helpers::Helper;
use crate::ir::{Op, Region, Type, Value};
use lang::ty::Ty;

/// Copies of more bytes than this go through a helper instead of loads and stores.
const COPY_INLINE: u32 = 128;

/// Memory that the program may read and write.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Where.
    pub ptr: Value,
    /// Plus this.
    pub offset: i32,
    /// What the address is a multiple of.
    pub align: u32,
}

impl Memory {
    /// So many bytes further.
    pub fn at(self, offset: u32) -> Memory {
        let align = if offset == 0 { 8 } else { 1 << offset.trailing_zeros().min(3) };
        Memory { offset: self.offset + offset as i32, align: self.align.min(align), ..self }
    }
}

/// The accesses that cover `size` bytes: (offset, width), widths allowed by the alignment.
pub fn chunks(size: u32, align: u32) -> impl Iterator<Item = (u32, u8)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let left = size - at;
        let width = [8, 4, 2, 1].into_iter().find(|it| *it <= align && *it <= left)?;
        at += width;
        Some((at - width, width as u8))
    })
}

impl Body<'_, '_> {
    /// Memory for `size` bytes until the end of the statement.
    ///
    /// Invariant: a multiple of 8 bytes, aligned to 8.
    pub fn allocate(&mut self, size: u32) -> Memory {
        let size = size.max(1).next_multiple_of(8);
        if size <= self.cx.program.config.on_stack_limit {
            let slot = self.b.slot(size, 8);
            let ptr = self.b.op(Op::SlotAddr(slot));
            return Memory { ptr, offset: 0, align: 8 };
        }
        let memory = self.scratch(self.scratch_used);
        self.scratch_used += size;
        self.scratch_peak = self.scratch_peak.max(self.scratch_used);
        memory
    }

    /// Memory for a value of a type.
    pub fn allocate_for(&mut self, ty: &Ty) -> Memory {
        self.allocate(self.cx.size_of(ty))
    }

    /// Scratch memory at an offset from where this function's begins.
    pub fn scratch(&mut self, offset: u32) -> Memory {
        let ptr = match self.scratch {
            Some(ptr) => ptr,
            None => {
                let ptr = self.b.promised(Type::Ptr(Region::MapValue));
                *self.scratch.insert(ptr)
            }
        };
        Memory { ptr, offset: offset as i32, align: 8 }
    }

    /// The address as a pointer without an offset.
    pub fn address(&mut self, memory: Memory) -> Value {
        self.b.advance(memory.ptr, memory.offset)
    }

    /// Turns a pointer into a number that arithmetic may use. The verifier follows pointers
    /// through registers and stack, where it forbids such arithmetic and takes null checks of
    /// BTF-typed pointers for settled; what was in a map value is a number to it.
    pub fn launder(&mut self, value: Value) -> Value {
        let memory = self.scratch(self.scratch_used);
        self.scratch_peak = self.scratch_peak.max(self.scratch_used + 8);
        self.b.store(8, memory.ptr, memory.offset, value);
        self.b.load(8, false, memory.ptr, memory.offset)
    }

    /// Sets `size` bytes to zero.
    pub fn zero(&mut self, memory: Memory, size: u32) {
        if size > COPY_INLINE {
            let zeros = self.zeros();
            return self.copy_by_helper(memory, zeros, size);
        }
        let zero = self.b.constant(0);
        for (at, width) in chunks(size, memory.align) {
            self.b.store(width, memory.ptr, memory.offset + at as i32, zero);
        }
    }

    /// Copies `size` bytes.
    pub fn copy(&mut self, to: Memory, from: Memory, size: u32) {
        if size > COPY_INLINE {
            let from = self.address(from);
            return self.copy_by_helper(to, from, size);
        }
        for (at, width) in chunks(size, to.align.min(from.align)) {
            let value = self.b.load(width, false, from.ptr, from.offset + at as i32);
            self.b.store(width, to.ptr, to.offset + at as i32, value);
        }
    }

    /// Writes given bytes.
    pub fn write_bytes(&mut self, to: Memory, bytes: &[u8]) {
        for (at, width) in chunks(bytes.len() as u32, to.align) {
            let value = self.b.constant(number(&bytes[at as usize..at as usize + usize::from(width)]));
            self.b.store(width, to.ptr, to.offset + at as i32, value);
        }
    }

    /// Zero bytes, at least as many as the largest value of the program has.
    pub fn zeros(&mut self) -> Value {
        let offset = self.cx.plan.zeros;
        self.bss(offset)
    }

    /// The address of a byte of `.bss`.
    pub fn bss(&mut self, offset: u32) -> Value {
        // Everything that asks for a byte of `.bss` was given it by the plan.
        let bss = self.cx.plan.globals.bss.unwrap_or(crate::ir::Map(0));
        self.b.op(Op::MapValueAddr(bss, offset))
    }

    fn copy_by_helper(&mut self, to: Memory, from: Value, size: u32) {
        let to = self.address(to);
        let size = self.b.constant(size.into());
        self.b.call_for_effect(Helper::ProbeReadKernel, &[to, size, from]);
    }
}

/// Up to eight bytes as the little-endian number that a store writes.
pub fn number(bytes: &[u8]) -> i64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | i64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_all_bytes_aligned() {
        for (size, align, expected) in [
            (8, 8, vec![(0, 8)]),
            (7, 8, vec![(0, 4), (4, 2), (6, 1)]),
            (20, 8, vec![(0, 8), (8, 8), (16, 4)]),
            (6, 2, vec![(0, 2), (2, 2), (4, 2)]),
            (0, 8, vec![]),
        ] {
            assert_eq!(chunks(size, align).collect::<Vec<_>>(), expected, "{size} {align}");
        }
    }

    #[test]
    fn numbers_are_little_endian() {
        assert_eq!(number(b"\x01\x02"), 0x201);
        assert_eq!(number(&[0xff; 8]), -1);
    }
}
