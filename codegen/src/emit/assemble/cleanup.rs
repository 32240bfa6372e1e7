//! Small improvements of finished instructions.

use crate::bpf::opcode::*;
use crate::bpf::{Insn, Label};
use std::collections::{HashMap, HashSet};

/// Drops labels that no jump names.
pub fn drop_unused_labels(insns: &mut [Insn]) {
    let used: HashSet<Label> = insns.iter().filter_map(|it| it.target).collect();
    for insn in insns {
        insn.labels.retain(|it| used.contains(it));
    }
}

/// Lets jumps to `r0 = number; exit` share one such pair, where that removes the others.
pub fn share_returns(insns: &mut Vec<Insn>) {
    let mut first: HashMap<i64, usize> = HashMap::new();
    let mut dropped = HashSet::new();
    for at in 1..insns.len().saturating_sub(1) {
        let returns = insns[at].code == ALU64 | MOV && insns[at].dst.0 == 0 && insns[at].reloc.is_none();
        if !returns || insns[at + 1].code != EXIT || !insns[at + 1].labels.is_empty() {
            continue;
        }
        match first.get(&insns[at].imm) {
            // What is before does not run into it, so that only jumps are to be moved.
            Some(&kept) if matches!(insns[at - 1].code, EXIT | JA) => {
                let labels = std::mem::take(&mut insns[at].labels);
                insns[kept].labels.extend(labels);
                dropped.extend([at, at + 1]);
            }
            Some(_) => {}
            None => drop(first.insert(insns[at].imm, at)),
        }
    }
    let mut at = 0;
    insns.retain(|_| {
        at += 1;
        !dropped.contains(&(at - 1))
    });
}

/// Within one block, drops moves of what is already there, and reads registers rather than the
/// stack where one holds the same.
pub fn forward(insns: Vec<Insn>) -> Vec<Insn> {
    let mut known = Known::default();
    let mut kept = Vec::with_capacity(insns.len());
    for mut insn in insns {
        if !insn.labels.is_empty() {
            known = Known { next: known.next, ..Known::default() };
        }
        if known.is_idle(&insn) && insn.labels.is_empty() {
            continue;
        }
        if let Some(reg) = known.loaded_already(&insn) {
            (insn.code, insn.src, insn.off) = (ALU64 | MOV | X, crate::bpf::Reg(reg), 0);
        }
        known.apply(&insn);
        kept.push(insn);
    }
    kept
}

/// A number that stands for some value.
type Id = u32;

/// Which places hold the same value, and which constants.
#[derive(Default)]
struct Known {
    regs: [Option<Id>; 11],
    /// Stack memory of 8 bytes by offset.
    stack: HashMap<i16, Id>,
    constants: HashMap<i64, Id>,
    next: Id,
}

impl Known {
    fn fresh(&mut self) -> Id {
        self.next += 1;
        self.next
    }

    fn reg(&mut self, reg: u8) -> Id {
        match self.regs[usize::from(reg)] {
            Some(id) => id,
            None => {
                let id = self.fresh();
                self.regs[usize::from(reg)] = Some(id);
                id
            }
        }
    }

    /// Whether the instruction changes nothing.
    fn is_idle(&mut self, insn: &Insn) -> bool {
        let there = self.reg(insn.dst.0);
        if is_move(insn) {
            return there == self.reg(insn.src.0);
        }
        if is_constant(insn) {
            return self.constants.get(&insn.imm) == Some(&there);
        }
        if is_stack_store(insn) {
            let stored = self.reg(insn.src.0);
            return self.stack.get(&insn.off) == Some(&stored);
        }
        is_stack_load(insn) && self.stack.get(&insn.off) == Some(&there)
    }

    /// The register that holds what the instruction loads from the stack.
    fn loaded_already(&self, insn: &Insn) -> Option<u8> {
        let id = self.stack.get(&insn.off).filter(|_| is_stack_load(insn))?;
        self.regs.iter().position(|it| it.as_ref() == Some(id)).map(|it| it as u8)
    }

    fn apply(&mut self, insn: &Insn) {
        match insn.code & 0x07 {
            ALU64 | ALU32 => self.apply_alu(insn),
            JMP | JMP32 => {
                if insn.code == CALL {
                    // A callee may write to any memory that it was given.
                    self.stack.clear();
                    self.regs[..=5].fill(None);
                }
            }
            _ => self.apply_memory(insn),
        }
    }

    fn apply_alu(&mut self, insn: &Insn) {
        let dst = usize::from(insn.dst.0);
        let now = if is_move(insn) {
            self.reg(insn.src.0)
        } else if is_constant(insn) {
            self.constant(insn.imm)
        } else {
            self.fresh()
        };
        self.regs[dst] = Some(now);
    }

    fn constant(&mut self, number: i64) -> Id {
        match self.constants.get(&number) {
            Some(&id) => id,
            None => {
                let id = self.fresh();
                self.constants.insert(number, id);
                id
            }
        }
    }

    fn apply_memory(&mut self, insn: &Insn) {
        if insn.code == LDDW {
            let now = if is_constant(insn) { self.constant(insn.imm) } else { self.fresh() };
            self.regs[usize::from(insn.dst.0)] = Some(now);
        } else if is_stack_load(insn) {
            let loaded = self.fresh();
            let loaded = *self.stack.entry(insn.off).or_insert(loaded);
            self.regs[usize::from(insn.dst.0)] = Some(loaded);
        } else if matches!(insn.code & !0x18, LDX | LDXS) {
            self.regs[usize::from(insn.dst.0)] = None;
        } else if insn.dst.0 != 10 {
            // Somewhere, the stack perhaps; the fetched value replaces the source.
            self.stack.clear();
            if insn.code & !0x18 == ATOMIC {
                self.regs[usize::from(insn.src.0)] = None;
            }
        } else {
            let touches = |off: i16| (i32::from(off) - i32::from(insn.off)).abs() < 8;
            self.stack.retain(|&off, _| !touches(off));
            if is_stack_store(insn) {
                let stored = self.reg(insn.src.0);
                self.stack.insert(insn.off, stored);
            } else if insn.code & !0x18 == ATOMIC {
                self.regs[usize::from(insn.src.0)] = None;
            }
        }
    }
}

fn is_move(insn: &Insn) -> bool {
    insn.code == ALU64 | MOV | X && insn.off == 0
}

fn is_constant(insn: &Insn) -> bool {
    matches!(insn.code, LDDW | 0xb7) && insn.reloc.is_none()
}

fn is_stack_store(insn: &Insn) -> bool {
    insn.code == STX | size(8) && insn.dst.0 == 10
}

fn is_stack_load(insn: &Insn) -> bool {
    insn.code == LDX | size(8) && insn.src.0 == 10
}
