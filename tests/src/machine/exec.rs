//! Executes eBPF: every instruction of the standard up to v4, with bpf-to-bpf calls and atomics.
//!
//! Stricter than hardware: reading a register or stack byte that nothing wrote, touching memory
//! outside a region, and running too long are faults, as they would be for the kernel's verifier.

use super::World;
use super::memory::Kind;
use codegen::helpers::Helper;

/// An instruction as the object has it.
pub use aya_obj::generated::bpf_insn as Insn;

/// Why a program stopped without `exit`: a defect of the compiler.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// Index of the instruction, in slots.
    pub at: usize,
    /// What is wrong.
    pub reason: String,
}

/// The kernel's limit for `may_goto` loops and for `bpf_loop` (`BPF_MAX_LOOPS`).
const LOOP_LIMIT: u64 = 8 << 20;
/// More than any test needs; a program that runs longer hangs.
const MOST_STEPS: u64 = 200_000_000;
const STACK: usize = 512;

/// A function's address is this plus the index of its first instruction.
const FUNCTION: u64 = 0x00c0_de00_0000_0000;

struct Frame {
    registers: [Option<u64>; 11],
    stack: u64,
    return_to: usize,
}

/// Runs `code` with `context` in r1 and gives r0.
pub fn run(code: &[Insn], context: u64, world: &mut World) -> Result<u64, Fault> {
    run_from(code, 0, [Some(context), None, None, None, None], world)
}

fn run_from(
    code: &[Insn],
    start: usize,
    arguments: [Option<u64>; 5],
    world: &mut World,
) -> Result<u64, Fault> {
    let mut run = Run { code, world, frames: Vec::new(), at: start, rounds: 0 };
    run.enter(arguments, 0);
    let result = run.steps();
    while let Some(frame) = run.frames.pop() {
        run.world.memory.remove(frame.stack);
    }
    result.map_err(|reason| Fault { at: run.at, reason })
}

struct Run<'a> {
    code: &'a [Insn],
    world: &'a mut World,
    frames: Vec<Frame>,
    at: usize,
    rounds: u64,
}

impl Run<'_> {
    fn enter(&mut self, arguments: [Option<u64>; 5], return_to: usize) {
        let stack = self.world.memory.add(Kind::Stack, vec![0; STACK]);
        let mut registers = [None; 11];
        registers[1..=5].copy_from_slice(&arguments);
        registers[10] = Some(stack + STACK as u64);
        self.frames.push(Frame { registers, stack, return_to });
    }

    fn steps(&mut self) -> Result<u64, String> {
        for _ in 0..MOST_STEPS {
            let insn = *self.code.get(self.at).ok_or("ran past the last instruction")?;
            if let Some(result) = self.step(insn)? {
                return Ok(result);
            }
        }
        Err("runs for ever".to_owned())
    }

    fn get(&self, register: u8) -> Result<u64, String> {
        let frame = self.frames.last().ok_or("no frame")?;
        frame.registers[register as usize].ok_or_else(|| format!("r{register} is not initialised"))
    }

    fn set(&mut self, register: u8, value: u64) -> Result<(), String> {
        if register == 10 {
            return Err("r10 is read-only".to_owned());
        }
        let frame = self.frames.last_mut().ok_or("no frame")?;
        frame.registers[register as usize] = Some(value);
        Ok(())
    }

    /// One instruction; the result when the outermost function ends.
    fn step(&mut self, insn: Insn) -> Result<Option<u64>, String> {
        let (dst, src) = (insn.dst_reg(), insn.src_reg());
        match insn.code & 0x07 {
            0x00 => self.load_immediate(insn, dst, src)?,
            0x01 => {
                let address = self.get(src)?.wrapping_add(insn.off as i64 as u64);
                let value = self.load(insn.code, address)?;
                self.set(dst, value)?;
                self.at += 1;
            }
            0x02 => {
                self.store(insn, self.get(dst)?, insn.imm as i64 as u64)?;
                self.at += 1;
            }
            0x03 if insn.code & 0xe0 == 0xc0 => {
                self.atomic(insn)?;
                self.at += 1;
            }
            0x03 => {
                self.store(insn, self.get(dst)?, self.get(src)?)?;
                self.at += 1;
            }
            0x04 | 0x07 => {
                let value = self.alu(insn)?;
                self.set(dst, value)?;
                self.at += 1;
            }
            _ => return self.jump(insn),
        }
        Ok(None)
    }

    fn load_immediate(&mut self, insn: Insn, dst: u8, src: u8) -> Result<(), String> {
        if insn.code != 0x18 {
            return Err(format!("opcode {:#04x}", insn.code));
        }
        let high = self.code.get(self.at + 1).ok_or("half of a wide instruction")?.imm;
        let value = match src {
            0 => u64::from(insn.imm as u32) | (high as u64) << 32,
            1 => World::map_handle(insn.imm as usize),
            4 => FUNCTION + (self.at as i64 + 1 + i64::from(insn.imm)) as u64,
            2 => self.world.map_data(insn.imm as usize)? + high as u64,
            other => return Err(format!("pseudo source {other}")),
        };
        self.at += 2;
        self.set(dst, value)
    }

    fn load(&mut self, code: u8, address: u64) -> Result<u64, String> {
        let width = width(code);
        if let Some(pointer) = self.world.packet_pointer(address, width) {
            return Ok(pointer);
        }
        if self.world.memory.kind(address) == Some(Kind::Context)
            && !self.world.memory.offset(address).is_multiple_of(width as u64)
        {
            return Err(format!("unaligned context access at {}", self.world.memory.offset(address)));
        }
        let value = little_endian(self.world.memory.read(address, width)?);
        match code & 0xe0 {
            0x60 => Ok(value),
            0x80 => Ok(sign_extend(value, width as u32 * 8)),
            mode => Err(format!("load mode {mode:#x}")),
        }
    }

    fn store(&mut self, insn: Insn, base: u64, value: u64) -> Result<(), String> {
        if insn.code & 0xe0 != 0x60 {
            return Err(format!("store mode of {:#04x}", insn.code));
        }
        let address = base.wrapping_add(insn.off as i64 as u64);
        self.world.memory.write(address, &value.to_le_bytes()[..width(insn.code)])
    }

    fn atomic(&mut self, insn: Insn) -> Result<(), String> {
        let width = width(insn.code);
        let address = self.get(insn.dst_reg())?.wrapping_add(insn.off as i64 as u64);
        if width < 4 || !address.is_multiple_of(width as u64) {
            return Err(format!("atomic access of {width} bytes at {address:#x}"));
        }
        let old = little_endian(self.world.memory.read(address, width)?);
        let operand = self.get(insn.src_reg())?;
        let new = match insn.imm & !1 {
            0x00 => old.wrapping_add(operand),
            0x40 => old | operand,
            0x50 => old & operand,
            0xa0 => old ^ operand,
            0xe0 => operand,
            0xf0 if self.get(0)? == old => operand,
            0xf0 => old,
            other => return Err(format!("atomic operation {other:#x}")),
        };
        self.world.memory.write(address, &new.to_le_bytes()[..width])?;
        match insn.imm {
            0xf1 => self.set(0, old),
            fetch if fetch & 1 == 1 => self.set(insn.src_reg(), old),
            _ => Ok(()),
        }
    }

    fn operand(&self, insn: Insn) -> Result<u64, String> {
        if insn.code & 0x08 != 0 { self.get(insn.src_reg()) } else { Ok(insn.imm as i64 as u64) }
    }

    fn alu(&self, insn: Insn) -> Result<u64, String> {
        let wide = insn.code & 0x07 == 0x07;
        if insn.code & 0xf0 == 0xd0 {
            return self.byte_swap(insn, wide);
        }
        let b = self.operand(insn)?;
        // A plain move is the only operation that does not read its destination.
        let a = if insn.code & 0xf0 == 0xb0 { 0 } else { self.get(insn.dst_reg())? };
        if wide {
            return alu(64, insn.code & 0xf0, insn.off, a, b);
        }
        if self.world.memory.kind(a).is_some() && a > u64::from(u32::MAX) {
            return Err("32-bit arithmetic on a pointer".to_owned());
        }
        alu(32, insn.code & 0xf0, insn.off, a, b)
    }

    fn byte_swap(&self, insn: Insn, wide: bool) -> Result<u64, String> {
        let value = self.get(insn.dst_reg())?;
        let to_big_endian = insn.code & 0x08 != 0;
        let swap = wide || to_big_endian;
        match (insn.imm, swap) {
            (16, true) => Ok((value as u16).swap_bytes().into()),
            (32, true) => Ok((value as u32).swap_bytes().into()),
            (64, true) => Ok(value.swap_bytes()),
            (16, false) => Ok((value as u16).into()),
            (32, false) => Ok((value as u32).into()),
            (64, false) => Ok(value),
            (bits, _) => Err(format!("byte swap of {bits} bits")),
        }
    }

    fn jump(&mut self, insn: Insn) -> Result<Option<u64>, String> {
        let narrow = insn.code & 0x07 == 0x06;
        match insn.code {
            0x05 => self.go(insn.off.into()),
            0x06 => self.go(insn.imm.into()),
            0x85 => self.call(insn)?,
            0x95 => return self.leave(),
            0xe5 => {
                self.rounds += 1;
                if self.rounds > LOOP_LIMIT { self.go(insn.off.into()) } else { self.at += 1 }
            }
            _ => {
                let (a, b) = (self.get(insn.dst_reg())?, self.operand(insn)?);
                let taken = if narrow {
                    compare(
                        insn.code & 0xf0,
                        a as u32 as u64,
                        b as u32 as u64,
                        a as i32 as i64,
                        b as i32 as i64,
                    )
                } else {
                    compare(insn.code & 0xf0, a, b, a as i64, b as i64)
                };
                self.go(if taken.ok_or_else(|| format!("opcode {:#04x}", insn.code))? {
                    insn.off.into()
                } else {
                    0
                });
            }
        }
        Ok(None)
    }

    fn go(&mut self, offset: i64) {
        // A jump before the first instruction ends up past the last one, which `steps` reports.
        self.at = (self.at as i64 + 1 + offset) as usize;
    }

    fn call(&mut self, insn: Insn) -> Result<(), String> {
        let frame = self.frames.last_mut().ok_or("no frame")?;
        let arguments: [Option<u64>; 5] = std::array::from_fn(|it| frame.registers[it + 1]);
        frame.registers[0..=5].fill(None);
        if insn.src_reg() == 1 {
            if self.frames.len() == 8 {
                return Err("more than 8 frames".to_owned());
            }
            self.enter(arguments, self.at + 1);
            self.go(insn.imm.into());
            return Ok(());
        }
        let result = match insn.imm {
            number if number == Helper::ForEachMapElem.number() => self.for_each_map_elem(arguments)?,
            number if number == Helper::Loop.number() => self.run_loop(arguments)?,
            number => super::helpers::call(number, &arguments, self.world)?,
        };
        self.set(0, result)?;
        self.at += 1;
        Ok(())
    }

    /// `bpf_for_each_map_elem`
    fn for_each_map_elem(&mut self, arguments: [Option<u64>; 5]) -> Result<u64, String> {
        let [Some(map), Some(callback), Some(context), Some(0), _] = arguments else {
            return Err("for_each_map_elem: wrong arguments".to_owned());
        };
        let mut count = 0;
        for (key, value) in self.world.elements(map)? {
            // A callback before may have removed it.
            if self.world.memory.kind(value).is_none() {
                continue;
            }
            let key = self.world.memory.add(Kind::ReadOnly, key);
            let result = self.call_back(callback, [Some(map), Some(key), Some(value), Some(context), None]);
            self.world.memory.remove(key);
            count += 1;
            if result? {
                break;
            }
        }
        Ok(count)
    }

    /// `bpf_loop`
    fn run_loop(&mut self, arguments: [Option<u64>; 5]) -> Result<u64, String> {
        let [Some(rounds), Some(callback), Some(context), Some(0), _] = arguments else {
            return Err("loop: wrong arguments".to_owned());
        };
        let rounds = u64::from(rounds as u32);
        if rounds > LOOP_LIMIT {
            return Ok(super::maps::E2BIG as u64);
        }
        for round in 0..rounds {
            if self.call_back(callback, [Some(round), Some(context), None, None, None])? {
                return Ok(round + 1);
            }
        }
        Ok(rounds)
    }

    /// Runs one of the program's own functions for a helper; whether it wants no further call.
    fn call_back(&mut self, callback: u64, arguments: [Option<u64>; 5]) -> Result<bool, String> {
        let start = callback.wrapping_sub(FUNCTION) as usize;
        match run_from(self.code, start, arguments, self.world) {
            Ok(result @ 0..=1) => Ok(result == 1),
            Ok(result) => Err(format!("the callback at {start} returns {result}")),
            Err(fault) => Err(format!("in the callback at {}: {}", fault.at, fault.reason)),
        }
    }

    fn leave(&mut self) -> Result<Option<u64>, String> {
        let result = self.get(0)?;
        let frame = self.frames.pop().ok_or("no frame")?;
        self.world.memory.remove(frame.stack);
        if self.frames.is_empty() {
            return Ok(Some(result));
        }
        self.at = frame.return_to;
        self.set(0, result)?;
        Ok(None)
    }
}

fn width(code: u8) -> usize {
    match code & 0x18 {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn sign_extend(value: u64, bits: u32) -> u64 {
    let unused = 64 - bits;
    ((value << unused) as i64 >> unused) as u64
}

fn compare(operation: u8, a: u64, b: u64, signed_a: i64, signed_b: i64) -> Option<bool> {
    Some(match operation {
        0x10 => a == b,
        0x20 => a > b,
        0x30 => a >= b,
        0x40 => a & b != 0,
        0x50 => a != b,
        0x60 => signed_a > signed_b,
        0x70 => signed_a >= signed_b,
        0xa0 => a < b,
        0xb0 => a <= b,
        0xc0 => signed_a < signed_b,
        0xd0 => signed_a <= signed_b,
        _ => return None,
    })
}

/// An operation on the low `bits`, 32 or 64; the rest of the result is zero. Division by zero gives 0,
/// remainder by zero the dividend: the standard's rule.
fn alu(bits: u32, operation: u8, off: i16, a: u64, b: u64) -> Result<u64, String> {
    let cut = |value: u64| value << (64 - bits) >> (64 - bits);
    let signed = |value| sign_extend(value, bits) as i64;
    let (a, b) = (cut(a), cut(b));
    let distance = b & u64::from(bits - 1);
    Ok(cut(match (operation, off) {
        (0x00, 0) => a.wrapping_add(b),
        (0x10, 0) => a.wrapping_sub(b),
        (0x20, 0) => a.wrapping_mul(b),
        (0x30, 0) => a.checked_div(b).unwrap_or(0),
        (0x30, 1) if b == 0 => 0,
        (0x30, 1) => signed(a).wrapping_div(signed(b)) as u64,
        (0x40, 0) => a | b,
        (0x50, 0) => a & b,
        (0x60, 0) => a << distance,
        (0x70, 0) => a >> distance,
        (0x80, 0) => a.wrapping_neg(),
        (0x90, 0) => a.checked_rem(b).unwrap_or(a),
        (0x90, 1) if b == 0 => a,
        (0x90, 1) => signed(a).wrapping_rem(signed(b)) as u64,
        (0xa0, 0) => a ^ b,
        (0xb0, 0) => b,
        (0xb0, from @ (8 | 16 | 32)) if (from as u32) < bits => sign_extend(b, from as u32),
        (0xc0, 0) => (signed(a) >> distance) as u64,
        _ => return Err(format!("{bits}-bit operation {operation:#x} with offset {off}")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
        let registers = Insn::new_bitfield_1(dst, src);
        Insn { code, _bitfield_align_1: [], _bitfield_1: registers, off, imm }
    }

    fn result(code: &[Insn]) -> Result<u64, Fault> {
        run(code, 0, &mut World::new(2))
    }

    #[test]
    fn arithmetic() {
        let exit = insn(0x95, 0, 0, 0, 0);
        let mov = |dst, imm| insn(0xb7, dst, 0, 0, imm);
        let table: &[(&[Insn], u64)] = &[
            (&[mov(0, -7), insn(0x37, 0, 0, 1, 2), exit], -3i64 as u64),
            (&[mov(0, -7), insn(0x97, 0, 0, 1, 2), exit], -1i64 as u64),
            (&[mov(0, -7), insn(0x37, 0, 0, 0, 2), exit], (-7i64 as u64) / 2),
            (&[mov(0, -16), insn(0xc7, 0, 0, 0, 1), exit], -8i64 as u64),
            (&[mov(0, 0x1ff), insn(0xbf, 0, 0, 8, 0), exit], -1i64 as u64),
            (&[mov(0, -1), insn(0xbc, 0, 0, 0, 0), exit], 0xffff_ffff),
            (&[mov(0, -7), insn(0x34, 0, 0, 1, 2), exit], 0xffff_fffd),
            (&[mov(0, i32::MIN), insn(0x34, 0, 0, 1, -1), exit], 0x8000_0000),
            (&[mov(0, -16), insn(0xc4, 0, 0, 0, 33), exit], 0xffff_fff8),
            (&[mov(0, 0x1ff), insn(0xbc, 0, 0, 8, 0), exit], 0xffff_ffff),
            (&[mov(0, 0x1234), insn(0xdc, 0, 0, 0, 16), exit], 0x3412),
            (&[mov(0, 5), mov(1, 0), insn(0x3f, 0, 1, 0, 0), exit], 0),
            // atomic fetch-add on the stack gives the old value
            (
                &[
                    insn(0x7a, 10, 0, -8, 40),
                    mov(1, 2),
                    insn(0xdb, 10, 1, -8, 1),
                    insn(0x79, 0, 10, -8, 0),
                    insn(0x0f, 0, 1, 0, 0),
                    exit,
                ],
                82,
            ),
            // a bpf-to-bpf call
            (
                &[
                    mov(1, 20),
                    insn(0x85, 0, 1, 0, 1),
                    exit,
                    insn(0xbf, 0, 1, 0, 0),
                    insn(0x07, 0, 0, 0, 1),
                    exit,
                ],
                21,
            ),
        ];
        for (code, expected) in table {
            assert_eq!(result(code), Ok(*expected), "{code:?}");
        }
    }

    #[test]
    fn faults() {
        let exit = insn(0x95, 0, 0, 0, 0);
        let table: &[(&[Insn], &str)] = &[
            (&[exit], "r0 is not initialised"),
            (&[insn(0x79, 0, 10, -8, 0), exit], "uninitialised stack byte"),
            (&[insn(0x7a, 10, 0, -520, 0), exit], "no memory"),
            (&[insn(0x7a, 10, 0, 0, 0), exit], "8 bytes at offset 512"),
        ];
        for (code, expected) in table {
            let fault = result(code).expect_err(expected);
            assert!(fault.reason.contains(expected), "{}", fault.reason);
        }
    }
}
