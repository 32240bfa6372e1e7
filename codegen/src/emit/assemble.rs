//! The last stage: steps to instructions, blocks to labels and jumps.
//!
//! Comes in: rewritten code and its frame. Goes out: instructions in the order of the blocks,
//! without moves within a register, jumps to the next instruction, or jumps to jumps.

mod cleanup;

use super::allocate::Allocation;
use super::frame::Frame;
use super::live::{Liveness, Position, RESULT};
use super::machine::{Base, Callee, Code, End, Jump, Kind, Remat, Source, VReg};
use super::moves::{Move, Origin, Place};
use super::rewrite::{Rewritten, Step};
use crate::bpf::opcode::*;
use crate::bpf::{Insn, Label, Reg, Reloc};
use crate::ir::{Access, Block, CoreAccess};
use lang::Span;

const FRAME: Reg = Reg(10);
const NONE: Reg = Reg(0);

/// Assembles a function.
pub fn assemble(
    code: &Code,
    liveness: &Liveness,
    allocation: &Allocation,
    rewritten: &Rewritten<'_>,
    frame: &Frame,
    accesses: &[CoreAccess],
) -> Vec<Insn> {
    let mut assembler = Assembler {
        allocation,
        frame,
        accesses,
        insns: Vec::new(),
        pending: Vec::new(),
        next_label: code.blocks.len() as u32,
        position: 0,
        span: Span::default(),
    };
    let bodies: Vec<Body> = rewritten.blocks.iter().map(|steps| assembler.body(steps)).collect();
    let targets = skip_empty(code, &bodies);
    let order: Vec<Block> = code.order.iter().copied().filter(|&it| targets[it.index()] == it).collect();
    for (idx, &block) in order.iter().enumerate() {
        assembler.pending.push(Label(block.0));
        let body = &bodies[block.index()];
        assembler.append(body.insns.clone());
        assembler.pending.extend(&body.labels_after);
        assembler.position = liveness.layout.end(block);
        assembler.span = code.block(block).span;
        let next = order.get(idx + 1).copied();
        if let Some(repeated) = repeated(code, &bodies, &targets, block, next) {
            assembler.append(bodies[repeated.index()].insns.clone());
            assembler.position = liveness.layout.end(repeated);
            assembler.end(&code.block(repeated).end, &targets, next);
        } else {
            assembler.end(&code.block(block).end, &targets, next);
        }
    }
    cleanup::drop_unused_labels(&mut assembler.insns);
    cleanup::share_returns(&mut assembler.insns);
    assembler.insns
}

/// A block without its end.
struct Body {
    insns: Vec<Insn>,
    /// Labels of what follows.
    labels_after: Vec<Label>,
}

/// The block that is better repeated than jumped to: the short test at the head of a loop, whose
/// one way out leads to what comes next.
fn repeated(
    code: &Code,
    bodies: &[Body],
    targets: &[Block],
    block: Block,
    next: Option<Block>,
) -> Option<Block> {
    let End::Jump(target, _) = code.block(block).end else { return None };
    let target = targets[target.index()];
    let End::Branch { then, otherwise, .. } = code.block(target).end else { return None };
    let body = &bodies[target.index()];
    let is_short = body.insns.len() <= 2 && body.labels_after.is_empty();
    let goes_on = [then, otherwise].iter().any(|it| Some(targets[it.index()]) == next);
    (is_short && goes_on && Some(target) != next).then_some(target)
}

/// For each block the one where a jump to it ends up, past blocks that only jump on.
fn skip_empty(code: &Code, bodies: &[Body]) -> Vec<Block> {
    let step = |block: Block| match code.block(block).end {
        // The entry stays first.
        End::Jump(next, _) if bodies[block.index()].insns.is_empty() && block != Block(0) => Some(next),
        _ => None,
    };
    let resolve = |start: Block| {
        let mut at = start;
        // An empty loop has no end to find; it stays where it is.
        for _ in 0..code.blocks.len() {
            match step(at) {
                Some(next) => at = next,
                None => return at,
            }
        }
        start
    };
    (0..code.blocks.len() as u32).map(|it| resolve(Block(it))).collect()
}

struct Assembler<'a> {
    allocation: &'a Allocation,
    frame: &'a Frame,
    accesses: &'a [CoreAccess],
    insns: Vec<Insn>,
    /// Labels of the next instruction.
    pending: Vec<Label>,
    /// The first label that is not in use; those of blocks have the block's number.
    next_label: u32,
    /// Of the instruction being assembled.
    position: Position,
    span: Span,
}

impl Assembler<'_> {
    fn body(&mut self, steps: &[Step<'_>]) -> Body {
        for step in steps {
            match step {
                Step::Move(it, span) => {
                    self.span = *span;
                    self.transfer(*it);
                }
                Step::Inst(inst, position) => {
                    (self.span, self.position) = (inst.span, *position);
                    self.inst(&inst.kind);
                }
            }
        }
        let insns = cleanup::forward(std::mem::take(&mut self.insns));
        Body { insns, labels_after: std::mem::take(&mut self.pending) }
    }

    fn append(&mut self, mut insns: Vec<Insn>) {
        if let Some(first) = insns.first_mut() {
            first.labels.append(&mut self.pending);
        }
        self.insns.extend(insns);
    }

    fn push(&mut self, code: u8, dst: Reg, src: Reg, off: i16, imm: i64) -> &mut Insn {
        self.insns.push(Insn {
            code,
            dst,
            src,
            off,
            imm,
            target: None,
            labels: std::mem::take(&mut self.pending),
            reloc: None,
            span: self.span,
        });
        let last = self.insns.len() - 1;
        &mut self.insns[last]
    }

    /// The register of an operand.
    fn reg(&self, vreg: VReg) -> Reg {
        let reg = self.allocation.reg(vreg, self.position);
        reg.expect("the allocator gives every operand a register")
    }

    /// The register of a result.
    fn result(&self, vreg: VReg) -> Reg {
        let reg = self.allocation.reg(vreg, self.position + RESULT);
        reg.expect("the allocator gives every result a register")
    }

    fn inst(&mut self, kind: &Kind) {
        match kind {
            Kind::Copy { dst, src } => self.copy(self.result(*dst), self.reg(*src)),
            Kind::Make { dst, what } => self.make(self.result(*dst), *what),
            Kind::Extend { code, dst, src, off } => {
                let (dst, src) = (self.result(*dst), self.reg(*src));
                self.push(*code, dst, src, *off, 0);
            }
            Kind::Modify { code, dst, src, off } => self.alu(*code, self.reg(*dst), *src, *off),
            Kind::Load { code, dst, base, off } => {
                let (dst, (base, off)) = (self.result(*dst), self.base(*base, *off));
                self.push(*code, dst, base, off, 0);
            }
            Kind::Store { width, base, off, src } => {
                let (base, off) = self.base(*base, *off);
                match src {
                    Source::Reg(src) => self.push(STX | size(*width), base, self.reg(*src), off, 0),
                    Source::Imm(number) => self.push(ST | size(*width), base, NONE, off, i64::from(*number)),
                    Source::Field(_) => unreachable!("a relocated number is stored from a register"),
                };
            }
            Kind::AtomicAdd { width, base, off, src, fetch } => {
                let ((base, off), src) = (self.base(*base, *off), self.reg(*src));
                let imm = i64::from(ADD) | if *fetch { FETCH } else { 0 };
                self.push(ATOMIC | size(*width), base, src, off, imm);
            }
            Kind::AtomicSwap { width, base, off, src } => {
                let ((base, off), src) = (self.base(*base, *off), self.reg(*src));
                self.push(ATOMIC | size(*width), base, src, off, SWAP);
            }
            Kind::Unless { jump, dst, imm } => {
                let dst = self.reg(*dst);
                let after = Label(self.next_label);
                self.next_label += 1;
                self.jump(jump).target = Some(after);
                self.push(ALU64 | MOV, dst, NONE, 0, i64::from(*imm));
                self.pending.push(after);
            }
            Kind::Call { callee: Callee::Helper(number), .. } => {
                self.push(CALL, NONE, NONE, 0, i64::from(*number));
            }
            Kind::Call { callee: Callee::Func(func), .. } => {
                self.push(CALL, NONE, Reg(1), 0, -1).reloc = Some(Reloc::Func(*func));
            }
        }
    }

    fn base(&self, base: Base, off: i16) -> (Reg, i16) {
        match base {
            Base::Reg(vreg) => (self.reg(vreg), off),
            Base::Slot(slot) => {
                let start = self.frame.slots[slot.index()].unwrap_or(0);
                (FRAME, (start + i32::from(off)) as i16)
            }
        }
    }

    fn alu(&mut self, code: u8, dst: Reg, src: Source, off: i16) {
        match src {
            Source::Reg(src) => self.push(code | X, dst, self.reg(src), off, 0),
            Source::Imm(number) => self.push(code, dst, NONE, off, i64::from(number)),
            Source::Field(access) => {
                let imm = self.access_value(access);
                let insn = self.push(code, dst, NONE, off, imm);
                insn.reloc = Some(Reloc::Core(access));
                insn
            }
        };
    }

    fn access_value(&self, access: Access) -> i64 {
        self.accesses.get(access.index()).map_or(0, |it| i64::from(it.value))
    }

    fn copy(&mut self, dst: Reg, src: Reg) {
        if dst != src {
            self.push(ALU64 | MOV | X, dst, src, 0, 0);
        }
    }

    fn make(&mut self, dst: Reg, what: Remat) {
        match what {
            Remat::Const(number) if i32::try_from(number).is_ok() => {
                self.push(ALU64 | MOV, dst, NONE, 0, number);
            }
            Remat::Const(number) => drop(self.push(LDDW, dst, NONE, 0, number)),
            Remat::Slot(slot, offset) => {
                let start = self.frame.slots[slot.index()].unwrap_or(0);
                self.push(ALU64 | MOV | X, dst, FRAME, 0, 0);
                self.push(ALU64 | ADD, dst, NONE, 0, i64::from(start + offset));
            }
            Remat::Map(map) => self.push(LDDW, dst, NONE, 0, 0).reloc = Some(Reloc::Map(map)),
            Remat::MapValue(map, offset) => {
                self.push(LDDW, dst, NONE, 0, 0).reloc = Some(Reloc::MapValue(map, offset));
            }
            Remat::Func(func) => self.push(LDDW, dst, NONE, 0, 0).reloc = Some(Reloc::Func(func)),
            Remat::Field(access) => {
                let imm = self.access_value(access);
                self.push(ALU64 | MOV, dst, NONE, 0, imm).reloc = Some(Reloc::Core(access));
            }
        }
    }

    fn transfer(&mut self, Move { to, from }: Move) {
        let spill = |it| self.frame.spills.get(&it).copied().unwrap_or(0) as i16;
        match (to, from) {
            (Place::Reg(dst), Origin::Place(Place::Reg(src))) => self.copy(dst, src),
            (Place::Reg(dst), Origin::Place(Place::Spill(src))) => {
                let off = spill(src);
                self.push(LDX | size(8), dst, FRAME, off, 0);
            }
            (Place::Reg(dst), Origin::Remat(what)) => self.make(dst, what),
            (Place::Spill(dst), Origin::Place(Place::Reg(src))) => {
                let off = spill(dst);
                self.push(STX | size(8), FRAME, src, off, 0);
            }
            (Place::Spill(dst), Origin::Remat(Remat::Const(number))) => {
                let off = spill(dst);
                self.push(ST | size(8), FRAME, NONE, off, number);
            }
            (Place::Spill(_), _) => unreachable!("no move goes from memory to memory"),
        }
    }

    fn jump(&mut self, jump: &Jump) -> &mut Insn {
        let left = self.reg(jump.left);
        match jump.right {
            Source::Reg(right) => self.push(jump.code | X, left, self.reg(right), 0, 0),
            Source::Imm(number) => self.push(jump.code, left, NONE, 0, i64::from(number)),
            Source::Field(_) => unreachable!("a relocated number is compared in a register"),
        }
    }

    fn goto(&mut self, target: Block) {
        self.push(JA, NONE, NONE, 0, 0).target = Some(Label(target.0));
    }

    fn end(&mut self, end: &End, targets: &[Block], next: Option<Block>) {
        let resolve = |block: Block| targets[block.index()];
        match end {
            End::Jump(target, _) if Some(resolve(*target)) == next => {}
            End::Jump(target, _) => self.goto(resolve(*target)),
            End::Return(_) => drop(self.push(EXIT, NONE, NONE, 0, 0)),
            End::Guard { body, done } => {
                self.push(MAY_GOTO, NONE, NONE, 0, 0).target = Some(Label(resolve(*done).0));
                if Some(resolve(*body)) != next {
                    self.goto(resolve(*body));
                }
            }
            End::Branch { jump, then, otherwise } => {
                self.branch(jump, resolve(*then), resolve(*otherwise), next);
            }
        }
    }

    fn branch(&mut self, jump: &Jump, then: Block, otherwise: Block, next: Option<Block>) {
        if then == otherwise {
            if Some(then) != next {
                self.goto(then);
            }
            return;
        }
        let opposite = if Some(then) == next { opposite(jump.code) } else { None };
        match opposite {
            Some(code) => {
                self.jump(&Jump { code, ..*jump }).target = Some(Label(otherwise.0));
            }
            None => {
                self.jump(jump).target = Some(Label(then.0));
                if Some(otherwise) != next {
                    self.goto(otherwise);
                }
            }
        }
    }
}

/// The jump that is taken where this one is not.
fn opposite(code: u8) -> Option<u8> {
    let (class, operation) = (code & 0x0f, code & 0xf0);
    let opposite = match operation {
        JEQ => JNE,
        JNE => JEQ,
        JGT => JLE,
        JLE => JGT,
        JGE => JLT,
        JLT => JGE,
        JSGT => JSLE,
        JSLE => JSGT,
        JSGE => JSLT,
        JSLT => JSGE,
        _ => return None,
    };
    Some(class | opposite)
}
