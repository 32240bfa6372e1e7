//! Two evaluators: of IR, and of emitted instructions. They know nothing of each other.

use super::world::{GLOBALS, MAPS, STACK, STACK_SIZE, World};
use crate::bpf::{self, Insn, Reloc};
use crate::ir::{self, BinOp, Block, Cond, Op, Terminator, Value};
use std::collections::HashMap;

/// Bytes of stack that the IR's slots have each, so that none touch.
const SLOT_ROOM: u64 = 64;
/// More steps than any test function takes.
const FUEL: u32 = 100_000;

/// How many arguments the random subprograms take.
const SUBPROGRAM_ARGS: usize = 2;

pub fn map_address(map: ir::Map) -> u64 {
    MAPS + u64::from(map.0)
}

pub fn value_address(map: ir::Map, offset: u32) -> u64 {
    GLOBALS + u64::from(offset) + (u64::from(map.0) << 20)
}

/// Runs a function of the IR; `depth` is that of the call.
pub fn run_ir(module: &ir::Module, func: usize, args: &[u64], world: &mut World, depth: u64) -> u64 {
    let function = &module.functions[func];
    let mut values: Vec<u64> = vec![0; function.values.len()];
    let mut block = Block(0);
    let set = |values: &mut Vec<u64>, params: &[Value], args: &[u64]| {
        params.iter().zip(args).for_each(|(param, &arg)| values[param.index()] = arg);
    };
    set(&mut values, &function.block(block).params, args);
    for _ in 0..FUEL {
        for &inst in &function.block(block).insts {
            let inst = function.inst(inst);
            let result = run_op(module, &inst.op, &values, world, depth);
            if let Some(value) = inst.result {
                values[value.index()] = result;
            }
        }
        let edge = match &function.block(block).terminator {
            Terminator::Jump(edge) => edge,
            Terminator::LoopGuard { body, .. } => body,
            Terminator::Branch { cond, left, right, then, otherwise } => {
                let holds = compare(*cond, values[left.index()], values[right.index()]);
                if holds { then } else { otherwise }
            }
            Terminator::Return(value) => return values[value.index()],
        };
        let args: Vec<u64> = edge.args.iter().map(|it| values[it.index()]).collect();
        block = edge.block;
        set(&mut values, &function.block(block).params, &args);
    }
    panic!("the function does not end");
}

fn run_op(module: &ir::Module, op: &Op, values: &[u64], world: &mut World, depth: u64) -> u64 {
    let get = |value: &Value| values[value.index()];
    let all = |args: &[Value]| args.iter().map(get).collect::<Vec<_>>();
    match op {
        Op::Const(number) => *number as u64,
        Op::Binary(op, a, b) => binary(*op, get(a), get(b)),
        Op::Neg(a) => get(a).wrapping_neg(),
        Op::Not(a) => !get(a),
        Op::Bswap(bits, a) => get(a).swap_bytes() >> (64 - bits),
        Op::Zext(bits, a) => get(a) << (64 - bits) >> (64 - bits),
        Op::Sext(bits, a) => ((get(a) << (64 - bits)) as i64 >> (64 - bits)) as u64,
        Op::Compare(cond, a, b) => compare(*cond, get(a), get(b)).into(),
        Op::SlotAddr(slot) => STACK + depth * 0x1000 + u64::from(slot.0) * SLOT_ROOM,
        Op::MapAddr(map) => map_address(*map),
        Op::FuncAddr(_) => unreachable!("random functions have no callbacks"),
        Op::MapValueAddr(map, offset) => value_address(*map, *offset),
        Op::PtrAdd(a, b) => get(a).wrapping_add(get(b)),
        Op::NonNull(a) => get(a),
        Op::Load { width, signed, ptr, offset, .. } => {
            world.load(get(ptr).wrapping_add_signed((*offset).into()), *width, *signed)
        }
        Op::Store { width, ptr, offset, value } => {
            world.store(get(ptr).wrapping_add_signed((*offset).into()), *width, get(value));
            0
        }
        Op::AtomicAdd { width, ptr, offset, value, .. } => {
            let address = get(ptr).wrapping_add_signed((*offset).into());
            let old = world.load(address, *width, false);
            world.store(address, *width, old.wrapping_add(get(value)));
            old
        }
        Op::AtomicSwap { width, ptr, offset, value } => {
            let address = get(ptr).wrapping_add_signed((*offset).into());
            let old = world.load(address, *width, false);
            world.store(address, *width, get(value));
            old
        }
        Op::FieldOffset(access) => module.accesses[access.index()].value.into(),
        Op::Call(helper, args) => world.call(helper.number().into(), &all(args)),
        Op::CallFunc(func, args) => run_ir(module, func.index(), &all(args), world, depth + 1),
    }
}

fn binary(op: BinOp, a: u64, b: u64) -> u64 {
    let (signed_a, signed_b) = (a as i64, b as i64);
    match op {
        BinOp::Add => a.wrapping_add(b),
        BinOp::Sub => a.wrapping_sub(b),
        BinOp::Mul => a.wrapping_mul(b),
        BinOp::UDiv => a.checked_div(b).unwrap_or(0),
        BinOp::UMod => a.checked_rem(b).unwrap_or(a),
        BinOp::SDiv if b == 0 => 0,
        BinOp::SDiv => signed_a.wrapping_div(signed_b) as u64,
        BinOp::SMod if b == 0 => a,
        BinOp::SMod => signed_a.wrapping_rem(signed_b) as u64,
        BinOp::And => a & b,
        BinOp::Or => a | b,
        BinOp::Xor => a ^ b,
        BinOp::Shl => a << (b & 63),
        BinOp::LShr => a >> (b & 63),
        BinOp::AShr => (signed_a >> (b & 63)) as u64,
    }
}

fn compare(cond: Cond, a: u64, b: u64) -> bool {
    let (signed_a, signed_b) = (a as i64, b as i64);
    match cond {
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::ULt => a < b,
        Cond::ULe => a <= b,
        Cond::UGt => a > b,
        Cond::UGe => a >= b,
        Cond::SLt => signed_a < signed_b,
        Cond::SLe => signed_a <= signed_b,
        Cond::SGt => signed_a > signed_b,
        Cond::SGe => signed_a >= signed_b,
        Cond::Test => a & b != 0,
    }
}

/// Runs emitted code. Registers and stack hold rubbish where nothing was put.
pub fn run_code(module: &bpf::Module, func: usize, args: &[u64], world: &mut World, depth: u64) -> u64 {
    let function = &module.functions[func];
    let mut places = HashMap::new();
    for (idx, insn) in function.insns.iter().enumerate() {
        places.extend(insn.labels.iter().map(|&label| (label, idx)));
    }
    let mut regs = [0xdead_beef_dead_beef_u64; 11];
    regs[1..=args.len()].copy_from_slice(args);
    regs[10] = STACK + STACK_SIZE as u64 - depth * 0x1000;
    let mut at = 0;
    for _ in 0..FUEL {
        let insn = &function.insns[at];
        at += 1;
        match insn.code {
            0x95 => return regs[0],
            0x85 => {
                regs[0] = match insn.reloc {
                    Some(Reloc::Func(func)) => {
                        run_code(module, func.index(), &regs[1..=SUBPROGRAM_ARGS], world, depth + 1)
                    }
                    _ => world.call(insn.imm, &regs[1..=World::arity(insn.imm)]),
                };
                regs[1..=5].fill(0xbad0_bad0_bad0_bad0);
            }
            0x05 => at = places[&insn.target.expect("a target")],
            0xe5 => {}
            _ if matches!(insn.code & 7, 5 | 6) => {
                if jumps(insn, &regs) {
                    at = places[&insn.target.expect("a target")];
                }
            }
            _ if matches!(insn.code & 7, 4 | 7) => arithmetic(insn, &mut regs),
            0x18 => {
                regs[usize::from(insn.dst.0)] = match insn.reloc {
                    Some(Reloc::Map(map)) => map_address(map),
                    Some(Reloc::MapValue(map, offset)) => value_address(map, offset),
                    _ => insn.imm as u64,
                }
            }
            _ => memory(insn, &mut regs, world),
        }
    }
    panic!("the code does not end");
}

fn jumps(insn: &Insn, regs: &[u64; 11]) -> bool {
    let mut a = regs[usize::from(insn.dst.0)];
    let mut b = if insn.code & 8 != 0 { regs[usize::from(insn.src.0)] } else { insn.imm as u64 };
    if insn.code & 7 == 6 {
        // The sign is that of 32 bits.
        (a, b) = (a as i32 as u64, b as i32 as u64);
        if !matches!(insn.code >> 4, 6 | 7 | 12 | 13) {
            (a, b) = (a & 0xffff_ffff, b & 0xffff_ffff);
        }
    }
    match insn.code >> 4 {
        1 => a == b,
        2 => a > b,
        3 => a >= b,
        4 => a & b != 0,
        5 => a != b,
        6 => a as i64 > b as i64,
        7 => a as i64 >= b as i64,
        10 => a < b,
        11 => a <= b,
        12 => (a as i64) < b as i64,
        13 => a as i64 <= b as i64,
        other => panic!("jump {other}"),
    }
}

fn arithmetic(insn: &Insn, regs: &mut [u64; 11]) {
    let (dst, bits) = (usize::from(insn.dst.0), insn.imm as u32);
    let a = regs[dst];
    let b = if insn.code & 8 != 0 { regs[usize::from(insn.src.0)] } else { insn.imm as u64 };
    if matches!(insn.code, 0xd7 | 0xdc) {
        regs[dst] = a.swap_bytes() >> (64 - bits);
        return;
    }
    assert!(insn.code & 8 != 0 || i32::try_from(insn.imm).is_ok(), "the immediate has 32 bits");
    let wide = insn.code & 7 == 7;
    let (a, b) = if wide { (a, b) } else { (a & 0xffff_ffff, b & 0xffff_ffff) };
    let count = b & if wide { 63 } else { 31 };
    let result = match (insn.code >> 4, insn.off) {
        (0, _) => a.wrapping_add(b),
        (1, _) => a.wrapping_sub(b),
        (2, _) => a.wrapping_mul(b),
        (3, 0) => binary(BinOp::UDiv, a, b),
        (3, _) => binary(BinOp::SDiv, a, b),
        (4, _) => a | b,
        (5, _) => a & b,
        (6, _) => a << count,
        (7, _) => a >> count,
        (8, _) => a.wrapping_neg(),
        (9, 0) => binary(BinOp::UMod, a, b),
        (9, _) => binary(BinOp::SMod, a, b),
        (10, _) => a ^ b,
        (11, 0) => b,
        (11, 8) => b as i8 as u64,
        (11, 16) => b as i16 as u64,
        (11, 32) => b as i32 as u64,
        (12, _) => (a as i64 >> count) as u64,
        other => panic!("arithmetic {other:?}"),
    };
    let shift = matches!(insn.code >> 4, 6 | 7 | 12) && insn.code & 8 == 0;
    assert!(!shift || insn.imm == count as i64, "the kernel refuses this shift");
    assert!(
        !matches!(insn.code >> 4, 3 | 9) || insn.code & 8 != 0 || b != 0,
        "the kernel refuses this division"
    );
    regs[dst] = if wide { result } else { result & 0xffff_ffff };
}

fn memory(insn: &Insn, regs: &mut [u64; 11], world: &mut World) {
    let width = [4, 2, 1, 8][usize::from(insn.code >> 3 & 3)];
    let address = |reg: bpf::Reg| regs[usize::from(reg.0)].wrapping_add_signed(insn.off.into());
    match insn.code & !0x18 {
        0x61 => regs[usize::from(insn.dst.0)] = world.load(address(insn.src), width, false),
        0x81 => regs[usize::from(insn.dst.0)] = world.load(address(insn.src), width, true),
        0x62 => world.store(address(insn.dst), width, insn.imm as u64),
        0x63 => world.store(address(insn.dst), width, regs[usize::from(insn.src.0)]),
        0xc3 => {
            let address = address(insn.dst);
            let src = &mut regs[usize::from(insn.src.0)];
            let old = world.load(address, width, false);
            let new = if insn.imm == 0xe1 { *src } else { old.wrapping_add(*src) };
            world.store(address, width, new);
            if insn.imm & 1 != 0 {
                *src = old;
            }
        }
        other => panic!("memory access {other:#x}"),
    }
}
