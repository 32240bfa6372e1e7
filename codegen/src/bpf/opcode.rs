//! Opcode bytes of the eBPF instruction set (RFC 9669), as classes, operations and sizes to add up.

/// 64-bit arithmetic.
pub const ALU64: u8 = 0x07;
/// 32-bit arithmetic; the result's upper half is zero.
pub const ALU32: u8 = 0x04;
/// Jumps that compare 64 bits.
pub const JMP: u8 = 0x05;
/// Jumps that compare the low 32 bits.
pub const JMP32: u8 = 0x06;
/// The second operand is a register, not the immediate.
pub const X: u8 = 0x08;

/// `dst += src`
pub const ADD: u8 = 0x00;
/// `dst -= src`
pub const SUB: u8 = 0x10;
/// `dst *= src`
pub const MUL: u8 = 0x20;
/// `dst /= src`, signed when the offset is 1.
pub const DIV: u8 = 0x30;
/// `dst |= src`
pub const OR: u8 = 0x40;
/// `dst &= src`
pub const AND: u8 = 0x50;
/// `dst <<= src`
pub const LSH: u8 = 0x60;
/// `dst >>= src`, logical.
pub const RSH: u8 = 0x70;
/// `dst = -dst`
pub const NEG: u8 = 0x80;
/// `dst %= src`, signed when the offset is 1.
pub const MOD: u8 = 0x90;
/// `dst ^= src`
pub const XOR: u8 = 0xa0;
/// `dst = src`, sign-extended from as many bits as the offset says unless it is 0.
pub const MOV: u8 = 0xb0;
/// `dst >>= src`, arithmetic.
pub const ARSH: u8 = 0xc0;

/// Byte swap of as many bits as the immediate says (v4).
pub const BSWAP: u8 = 0xd7;
/// Conversion to big endian, which on a little-endian machine is a byte swap (v1).
pub const TO_BE: u8 = 0xdc;

/// `goto`
pub const JA: u8 = 0x05;
/// `if dst == src`
pub const JEQ: u8 = 0x10;
/// `if dst > src`
pub const JGT: u8 = 0x20;
/// `if dst >= src`
pub const JGE: u8 = 0x30;
/// `if dst & src`
pub const JSET: u8 = 0x40;
/// `if dst != src`
pub const JNE: u8 = 0x50;
/// `if dst s> src`
pub const JSGT: u8 = 0x60;
/// `if dst s>= src`
pub const JSGE: u8 = 0x70;
/// `if dst < src` (v2, as all below)
pub const JLT: u8 = 0xa0;
/// `if dst <= src`
pub const JLE: u8 = 0xb0;
/// `if dst s< src`
pub const JSLT: u8 = 0xc0;
/// `if dst s<= src`
pub const JSLE: u8 = 0xd0;

/// Calls a helper, or a subprogram when the source is 1.
pub const CALL: u8 = 0x85;
/// Returns r0.
pub const EXIT: u8 = 0x95;
/// Jumps once the loop budget is used up (Linux 6.9).
pub const MAY_GOTO: u8 = 0xe5;
/// `dst = imm64`
pub const LDDW: u8 = 0x18;

/// `dst = *(dst + off)`
pub const LDX: u8 = 0x61;
/// `dst = *(dst + off)`, sign-extended (v4).
pub const LDXS: u8 = 0x81;
/// `*(dst + off) = imm`
pub const ST: u8 = 0x62;
/// `*(dst + off) = src`
pub const STX: u8 = 0x63;
/// `*(dst + off) += src` and other atomic operations by the immediate.
pub const ATOMIC: u8 = 0xc3;
/// The immediate of an [`ATOMIC`] that gives the old value in the source register.
pub const FETCH: i64 = 0x01;
/// The immediate of an [`ATOMIC`] that exchanges memory and the source register (Linux 5.12).
pub const SWAP: i64 = 0xe1;

/// The bits of a memory access's width in bytes.
pub const fn size(width: u8) -> u8 {
    match width {
        1 => 0x10,
        2 => 0x08,
        4 => 0x00,
        _ => 0x18,
    }
}
