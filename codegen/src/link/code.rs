//! Functions to bytes: labels become jump distances, instructions their eight-byte slots.
//!
//! Comes in: a function whose jumps are labels. Goes out: its bytes, the names in them that
//! sections and relocations must resolve, and which script text each part comes from.

use crate::Target;
use crate::bpf::{Function, Insn, Label, Reg, Reloc};
use crate::ir::CoreAccess;
use crate::target::Isa;
use lang::{Diagnostic, Span};
use std::collections::HashMap;

/// Bytes of a slot.
pub const SLOT: u32 = 8;

/// `lddw`, the only instruction of two slots.
const LDDW: u8 = 0x18;
/// `goto` with a 16-bit distance.
const GOTO: u8 = 0x05;
/// `gotol`: `goto` with a 32-bit distance in the immediate (v4).
const GOTO_LONG: u8 = 0x06;
/// In a call's source register: a subprogram rather than a helper.
const PSEUDO_CALL: Reg = Reg(1);

/// A function's bytes, with what is still to be resolved and told about them.
#[derive(Debug, Default, PartialEq)]
pub struct Code {
    /// Its slots.
    pub bytes: Vec<u8>,
    /// Names by the slot of their instruction, ascending.
    pub names: Vec<(u32, Reloc)>,
    /// Where the code of another span begins, ascending by slot; the first is at slot 0.
    pub lines: Vec<(u32, Span)>,
}

/// Encodes a function.
pub fn encode(function: &Function, accesses: &[CoreAccess], target: &Target) -> Result<Code, Diagnostic> {
    let shape = Shape::of(&function.insns, target)?;
    let mut code = Code::default();
    for (idx, insn) in function.insns.iter().enumerate() {
        let slot = shape.starts[idx];
        if code.lines.last().is_none_or(|&(_, span)| span != insn.span) {
            code.lines.push((slot, insn.span));
        }
        if let Some(name) = insn.reloc {
            code.names.push((slot, name));
        }
        match insn.target {
            Some(label) => code.jump(insn, slot, shape.start_of(label), shape.long[idx]),
            None => code.plain(&resolved(insn, accesses)),
        }
    }
    Ok(code)
}

/// The instruction as loaders want it before they resolve its name: offsets into data and
/// fields stand in the immediate, a call of a subprogram has -1 there. A subprogram's address
/// is its offset in `.text`, which the layout fills in.
fn resolved(insn: &Insn, accesses: &[CoreAccess]) -> Insn {
    let (src, imm) = match insn.reloc {
        None => return insn.clone(),
        Some(Reloc::Map(_)) => (Reg(0), 0),
        Some(Reloc::Func(_)) if insn.code == LDDW => (Reg(0), 0),
        Some(Reloc::MapValue(_, offset)) => (Reg(0), offset.into()),
        Some(Reloc::Func(_)) => (PSEUDO_CALL, -1),
        Some(Reloc::Core(access)) => (insn.src, accesses[access.index()].value.into()),
    };
    Insn { src, imm, ..insn.clone() }
}

impl Code {
    /// Whether the instruction in a slot is `lddw`: it loads an address, the others call.
    pub fn is_wide(&self, slot: u32) -> bool {
        self.bytes[(slot * SLOT) as usize] == LDDW
    }

    fn plain(&mut self, insn: &Insn) {
        self.slot(insn.code, insn.dst, insn.src, insn.off, insn.imm as i32);
        if insn.code == LDDW {
            self.slot(0, Reg(0), Reg(0), 0, (insn.imm >> 32) as i32);
        }
    }

    /// A jump from `slot` to `to`. A long conditional one becomes three instructions:
    /// `if … goto +1; goto +1; gotol to`.
    fn jump(&mut self, insn: &Insn, slot: u32, to: u32, long: bool) {
        match (insn.code, long) {
            (GOTO_LONG, _) | (GOTO, true) => self.goto_long(slot, to),
            (_, false) => {
                self.slot(insn.code, insn.dst, insn.src, distance(slot, to) as i16, insn.imm as i32);
            }
            (_, true) => {
                self.slot(insn.code, insn.dst, insn.src, 1, insn.imm as i32);
                self.slot(GOTO, Reg(0), Reg(0), 1, 0);
                self.goto_long(slot + 2, to);
            }
        }
    }

    fn goto_long(&mut self, slot: u32, to: u32) {
        self.slot(GOTO_LONG, Reg(0), Reg(0), 0, distance(slot, to) as i32);
    }

    fn slot(&mut self, code: u8, dst: Reg, src: Reg, off: i16, imm: i32) {
        self.bytes.extend([code, src.0 << 4 | dst.0]);
        self.bytes.extend(off.to_le_bytes());
        self.bytes.extend(imm.to_le_bytes());
    }
}

/// Slots between the one behind a jump in `slot` and its target.
fn distance(slot: u32, to: u32) -> i64 {
    i64::from(to) - i64::from(slot) - 1
}

/// Where each instruction of a function begins.
struct Shape {
    /// The first slot of each instruction.
    starts: Vec<u32>,
    /// The jumps that need the long form.
    long: Vec<bool>,
    /// The instruction behind each label.
    labels: HashMap<Label, usize>,
}

impl Shape {
    /// Finds the shortest forms. A jump made long pushes others apart, so this repeats until no
    /// further one is out of reach; each round makes at least one longer.
    fn of(insns: &[Insn], target: &Target) -> Result<Shape, Diagnostic> {
        let labels = insns.iter().enumerate().flat_map(|(idx, it)| it.labels.iter().map(move |&l| (l, idx)));
        let mut shape =
            Shape { starts: Vec::new(), long: vec![false; insns.len()], labels: labels.collect() };
        loop {
            shape.place(insns);
            let far: Vec<usize> = (0..insns.len()).filter(|&idx| shape.out_of_reach(insns, idx)).collect();
            match far.first() {
                None => return Ok(shape),
                Some(&idx) if target.isa < Isa::V4 => return Err(too_far(&insns[idx])),
                Some(_) => far.into_iter().for_each(|idx| shape.long[idx] = true),
            }
        }
    }

    fn place(&mut self, insns: &[Insn]) {
        let mut at = 0;
        self.starts.clear();
        for (insn, &long) in insns.iter().zip(&self.long) {
            self.starts.push(at);
            let is_goto = matches!(insn.code, GOTO | GOTO_LONG);
            at += if long && !is_goto { 3 } else { insn.slots() as u32 };
        }
    }

    fn out_of_reach(&self, insns: &[Insn], idx: usize) -> bool {
        let Some(label) = insns[idx].target else { return false };
        let reach = i16::try_from(distance(self.starts[idx], self.start_of(label)));
        !self.long[idx] && insns[idx].code != GOTO_LONG && reach.is_err()
    }

    fn start_of(&self, label: Label) -> u32 {
        let idx = self.labels.get(&label).expect("emit places every label that it jumps to");
        self.starts[*idx]
    }
}

fn too_far(insn: &Insn) -> Diagnostic {
    let message = "too much code: a jump here skips more than 32767 instructions";
    Diagnostic::error(insn.span, message)
        .hint("split the probe into several ones, or unroll fewer rounds")
        .hint("Linux 6.6 and later have longer jumps")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::KernelVersion;

    fn insn(code: u8, target: Option<u32>, labels: &[u32]) -> Insn {
        Insn {
            code,
            dst: Reg(2),
            src: Reg(1),
            off: 0,
            imm: 0,
            target: target.map(Label),
            labels: labels.iter().copied().map(Label).collect(),
            reloc: None,
            span: Span::default(),
        }
    }

    fn function(insns: Vec<Insn>) -> Function {
        Function { name: "f".to_owned(), probe: Some(0), arity: 1, insns, stack: 0, span: Span::default() }
    }

    #[test]
    fn lddw_takes_two_slots_and_jumps_count_them() {
        let mut wide = insn(LDDW, None, &[]);
        wide.imm = 0x1122_3344_5566_7788;
        let f =
            function(vec![insn(0x15, Some(0), &[]), wide, insn(GOTO, Some(0), &[]), insn(0x95, None, &[0])]);
        let code = encode(&f, &[], &Target::portable()).expect("it is short");
        #[rustfmt::skip]
        assert_eq!(code.bytes, [
            0x15, 0x12, 3, 0, 0, 0, 0, 0,
            0x18, 0x12, 0, 0, 0x88, 0x77, 0x66, 0x55,
            0, 0, 0, 0, 0x44, 0x33, 0x22, 0x11,
            0x05, 0x12, 0, 0, 0, 0, 0, 0,
            0x95, 0x12, 0, 0, 0, 0, 0, 0,
        ]);
    }

    #[test]
    fn far_jumps_are_refused_before_v4_and_long_from_there() {
        let mut insns = vec![insn(0x15, Some(0), &[])];
        insns.resize(40_000, insn(0xb7, None, &[]));
        insns.push(insn(0x95, None, &[0]));
        let f = function(insns);
        assert!(encode(&f, &[], &Target::portable()).is_err());
        let code = encode(&f, &[], &Target::for_kernel(KernelVersion(6, 12))).expect("v4 has gotol");
        #[rustfmt::skip]
        assert_eq!(code.bytes[..24], [
            0x15, 0x12, 1, 0, 0, 0, 0, 0,
            0x05, 0, 1, 0, 0, 0, 0, 0,
            0x06, 0, 0, 0, 0x3f, 0x9c, 0, 0, // 39,999 slots
        ]);
    }
}
