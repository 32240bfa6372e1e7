//! The assembly listing, as `build --emit=asm` and the snapshot tests show it.
//!
//! The syntax is the verifier's, with names where it has numbers and the script's text between:
//!
//! ```text
//! probe0 kprobe:vfs_read        8 insns, stack 8
//!       ; @ = count()
//!    0: *(u64 *)(r10 - 8) = 0
//!    1: r2 = r10
//!    2: r2 += -8
//!    3: r1 = map counts ll
//!    5: call bpf_map_lookup_elem
//!    6: if r0 == 0 goto 12
//! ```
//!
//! Instructions are numbered as in the object: one that takes two slots counts twice.

use super::opcode::*;
use super::{Function, Insn, Label, Module, Reg, Reloc};
use crate::helpers::Helper;
use crate::ir::text::{Excerpts, headline};
use lang::Sources;
use std::collections::HashMap;
use std::fmt::Write;

/// Prints a module.
pub fn print(module: &Module, sources: &Sources) -> String {
    let functions: Vec<_> = module.functions.iter().map(|it| print_function(module, it, sources)).collect();
    functions.join("\n")
}

/// Prints one function of a module.
pub fn print_function(module: &Module, function: &Function, sources: &Sources) -> String {
    let mut places: HashMap<Label, usize> = HashMap::new();
    let mut n_slots = 0;
    for insn in &function.insns {
        places.extend(insn.labels.iter().map(|&label| (label, n_slots)));
        n_slots += insn.slots();
    }
    let title = format!("{} {}", function.name, headline(sources, function.span));
    let mut text = format!("{:<28}  {n_slots} insns, stack {}\n", title.trim_end(), function.stack);
    let mut excerpts = Excerpts::new(sources);
    let mut at = 0;
    for insn in &function.insns {
        if let Some(excerpt) = excerpts.before(insn.span) {
            let _ = writeln!(text, "      ; {excerpt}");
        }
        let _ = writeln!(text, "{at:>4}: {}", insn_text(module, insn, &places));
        at += insn.slots();
    }
    text
}

fn insn_text(module: &Module, insn: &Insn, places: &HashMap<Label, usize>) -> String {
    match insn.code & 0x07 {
        ALU64 => alu_text(insn, 'r'),
        ALU32 => alu_text(insn, 'w'),
        JMP | JMP32 => jump_text(module, insn, places),
        _ if insn.code == LDDW => {
            let value = match insn.reloc {
                Some(Reloc::Map(map)) => format!("map {}", map_name(module, map)),
                Some(Reloc::MapValue(map, offset)) => format!("{}+{offset}", map_name(module, map)),
                Some(Reloc::Func(_)) => callee(module, insn),
                _ => insn.imm.to_string(),
            };
            format!("{} = {value} ll", Named('r', insn.dst))
        }
        _ => memory_text(insn),
    }
}

fn map_name(module: &Module, map: crate::ir::Map) -> String {
    module.maps.get(map.index()).map_or_else(|| map.to_string(), |it| it.name.clone())
}

/// A register by the prefix of its width.
struct Named(char, Reg);

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.0, self.1.0)
    }
}

/// The second operand.
fn source_text(insn: &Insn, prefix: char) -> String {
    match insn.reloc {
        _ if insn.code & X != 0 => Named(prefix, insn.src).to_string(),
        Some(Reloc::Core(access)) => format!("{} /* {access} */", insn.imm),
        _ => insn.imm.to_string(),
    }
}

fn alu_text(insn: &Insn, prefix: char) -> String {
    let dst = Named(prefix, insn.dst);
    let source = source_text(insn, prefix);
    match (insn.code, insn.code & 0xf0, insn.off) {
        (BSWAP, ..) => return format!("r{0} = bswap{1} r{0}", insn.dst.0, insn.imm),
        (TO_BE, ..) => return format!("r{0} = be{1} r{0}", insn.dst.0, insn.imm),
        (_, NEG, _) => return format!("{dst} = -{dst}"),
        (_, MOV, 0) => return format!("{dst} = {source}"),
        (_, MOV, bits) => return format!("{dst} = (s{bits}){source}"),
        _ => {}
    }
    let operator = match (insn.code & 0xf0, insn.off) {
        (ADD, _) => "+=",
        (SUB, _) => "-=",
        (MUL, _) => "*=",
        (DIV, 0) => "/=",
        (DIV, _) => "s/=",
        (OR, _) => "|=",
        (AND, _) => "&=",
        (LSH, _) => "<<=",
        (RSH, _) => ">>=",
        (MOD, 0) => "%=",
        (MOD, _) => "s%=",
        (XOR, _) => "^=",
        (ARSH, _) => "s>>=",
        _ => return unknown(insn),
    };
    format!("{dst} {operator} {source}")
}

fn unknown(insn: &Insn) -> String {
    format!("unknown {:#04x}", insn.code)
}

fn jump_text(module: &Module, insn: &Insn, places: &HashMap<Label, usize>) -> String {
    let target = match insn.target.and_then(|it| places.get(&it)) {
        Some(place) => place.to_string(),
        None => "?".to_owned(),
    };
    let prefix = if insn.code & 0x07 == JMP32 { 'w' } else { 'r' };
    let operator = match (insn.code, insn.code & 0xf0) {
        (EXIT, _) => return "exit".to_owned(),
        (CALL, _) => return format!("call {}", callee(module, insn)),
        (MAY_GOTO, _) => return format!("may_goto {target}"),
        (JA, _) => return format!("goto {target}"),
        (_, JEQ) => "==",
        (_, JNE) => "!=",
        (_, JGT) => ">",
        (_, JGE) => ">=",
        (_, JLT) => "<",
        (_, JLE) => "<=",
        (_, JSET) => "&",
        (_, JSGT) => "s>",
        (_, JSGE) => "s>=",
        (_, JSLT) => "s<",
        (_, JSLE) => "s<=",
        _ => return unknown(insn),
    };
    format!("if {} {operator} {} goto {target}", Named(prefix, insn.dst), source_text(insn, prefix))
}

fn callee(module: &Module, insn: &Insn) -> String {
    if let Some(Reloc::Func(func)) = insn.reloc {
        let callee = module.functions.get(func.index());
        return callee.map_or_else(|| func.to_string(), |it| it.name.clone());
    }
    let helper = Helper::ALL.iter().find(|it| i64::from(it.number()) == insn.imm);
    helper.map_or_else(|| format!("helper#{}", insn.imm), |it| format!("bpf_{}", it.name()))
}

fn memory_text(insn: &Insn) -> String {
    let (bits, narrow) = match insn.code & 0x18 {
        0x10 => (8, 'w'),
        0x08 => (16, 'w'),
        0x00 => (32, 'w'),
        _ => (64, 'r'),
    };
    let sign = if insn.off < 0 { '-' } else { '+' };
    let place = |kind: char, pointer: Reg| {
        format!("({kind}{bits} *)({} {sign} {})", Named('r', pointer), insn.off.unsigned_abs())
    };
    match insn.code & !0x18 {
        LDX => format!("{} = *{}", Named('r', insn.dst), place('u', insn.src)),
        LDXS => format!("{} = *{}", Named('r', insn.dst), place('s', insn.src)),
        ST => format!("*{} = {}", place('u', insn.dst), insn.imm),
        STX => format!("*{} = {}", place('u', insn.dst), Named('r', insn.src)),
        ATOMIC if insn.imm == SWAP => {
            format!("{0} = xchg({1}, {0})", Named(narrow, insn.src), place('u', insn.dst))
        }
        ATOMIC if insn.imm & FETCH != 0 => {
            format!("{0} = atomic_fetch_add({1}, {0})", Named(narrow, insn.src), place('u', insn.dst))
        }
        ATOMIC => format!("lock *{} += {}", place('u', insn.dst), Named(narrow, insn.src)),
        _ => unknown(insn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_printed() {
        for (code, dst, src, off, imm, text) in [
            (ALU64 | MOV | X, 1, 10, 0, 0, "r1 = r10"),
            (ALU32 | MOV | X, 1, 1, 0, 0, "w1 = w1"),
            (ALU64 | MOV | X, 1, 2, 8, 0, "r1 = (s8)r2"),
            (ALU64 | MOV, 3, 0, 0, -7, "r3 = -7"),
            (ALU64 | ADD, 2, 0, 0, -8, "r2 += -8"),
            (ALU32 | MUL | X, 2, 3, 0, 0, "w2 *= w3"),
            (ALU64 | DIV | X, 2, 3, 1, 0, "r2 s/= r3"),
            (ALU64 | ARSH, 2, 0, 0, 63, "r2 s>>= 63"),
            (ALU64 | NEG, 2, 0, 0, 0, "r2 = -r2"),
            (BSWAP, 4, 0, 0, 16, "r4 = bswap16 r4"),
            (TO_BE, 4, 0, 0, 32, "r4 = be32 r4"),
            (LDX | size(4), 0, 1, 4, 0, "r0 = *(u32 *)(r1 + 4)"),
            (LDXS | size(1), 0, 1, -4, 0, "r0 = *(s8 *)(r1 - 4)"),
            (ST | size(8), 10, 0, -8, 5, "*(u64 *)(r10 - 8) = 5"),
            (STX | size(2), 10, 3, -8, 0, "*(u16 *)(r10 - 8) = r3"),
            (ATOMIC | size(8), 0, 1, 0, 0, "lock *(u64 *)(r0 + 0) += r1"),
            (ATOMIC | size(8), 0, 1, 8, 0xe1, "r1 = xchg((u64 *)(r0 + 8), r1)"),
            (ATOMIC | size(4), 0, 1, 0, 1, "w1 = atomic_fetch_add((u32 *)(r0 + 0), w1)"),
            (LDDW, 6, 0, 0, 1 << 40, "r6 = 1099511627776 ll"),
            (JMP | JSGT | X, 1, 2, 0, 0, "if r1 s> r2 goto ?"),
            (JMP32 | JSET, 1, 0, 0, 6, "if w1 & 6 goto ?"),
            (MAY_GOTO, 0, 0, 0, 0, "may_goto ?"),
            (CALL, 0, 0, 0, 14, "call bpf_get_current_pid_tgid"),
            (CALL, 0, 0, 0, 9999, "call helper#9999"),
            (EXIT, 0, 0, 0, 0, "exit"),
        ] {
            let insn = Insn {
                code,
                dst: Reg(dst),
                src: Reg(src),
                off,
                imm,
                target: None,
                labels: Vec::new(),
                reloc: None,
                span: lang::Span::default(),
            };
            let module = Module {
                functions: Vec::new(),
                maps: Vec::new(),
                accesses: Vec::new(),
                failures: Vec::new(),
                globals: Default::default(),
            };
            assert_eq!(insn_text(&module, &insn, &HashMap::new()), text);
        }
    }
}
