//! Instruction selection: IR operations to eBPF instructions on virtual registers.
//!
//! Comes in: an IR function whose edges are split. Goes out: [`Code`]. Selection walks backwards,
//! blocks in post-order, so that every use of a value is seen before its definition: what a
//! user folds into itself (constants, offsets, comparisons) is never asked for and not made,
//! and what nobody asks for is dropped.

mod arithmetic;
mod compare;
mod lasting;
mod memory;

use super::index_set::IndexSet;
use super::machine::*;
use super::order::{self, Order};
use crate::bpf::opcode::*;
use crate::ir::flow::Flow;
use crate::ir::{self, BinOp, Block, Function, Op, Terminator, Value};
use crate::target::Isa;
use lang::Span;

/// Selects instructions for a function.
pub fn select(module: &ir::Module, function: &Function, isa: Isa, order: Order) -> Code {
    let flow = Flow::new(function);
    let mut selector = Selector::new(module, function, isa);
    selector.lasting = lasting::lasting(function, &flow);
    let empty = MachineBlock {
        params: Vec::new(),
        insts: Vec::new(),
        end: End::Return(Arg::Remat(Remat::Const(0))),
        span: function.span,
    };
    let mut blocks = vec![empty; function.blocks.len()];
    for &block in flow.order.iter().rev() {
        blocks[block.index()] = selector.block(block);
    }
    Code { blocks, order: order.blocks, frequency: order.frequency, remats: selector.remats }
}

struct Selector<'a> {
    module: &'a ir::Module,
    function: &'a Function,
    isa: Isa,
    /// For each value the operation that makes it; none for parameters.
    definitions: Vec<Option<&'a Op>>,
    /// For each value the block that it is defined in.
    homes: Vec<Option<Block>>,
    /// For each value how many operands and arguments it is.
    n_uses: Vec<u32>,
    /// For each value its register, once something needs it in one.
    vregs: Vec<Option<VReg>>,
    /// For each virtual register how to make it again.
    remats: Vec<Option<Remat>>,
    /// For each block the values used after it.
    lasting: Vec<IndexSet>,
    /// For each value the block that last asked for its register.
    used_in: Vec<Option<Block>>,
    /// The block being selected.
    current: Block,
    /// Its instructions, last one first.
    code: Vec<Inst>,
    /// Values made on the spot for the instructions since the last call, and the place in
    /// `code` of the first (so far) of these in execution order.
    made: Vec<(Remat, VReg, usize)>,
    /// What the next run needs before it, in execution order.
    prefix: Vec<Kind>,
    /// Span of the operation being selected.
    span: Span,
}

impl<'a> Selector<'a> {
    fn new(module: &'a ir::Module, function: &'a Function, isa: Isa) -> Self {
        let n_values = function.values.len();
        let mut selector = Selector {
            module,
            function,
            isa,
            definitions: order::definitions(function),
            homes: vec![None; n_values],
            n_uses: vec![0; n_values],
            vregs: vec![None; n_values],
            remats: Vec::new(),
            lasting: Vec::new(),
            used_in: vec![None; n_values],
            current: Block(0),
            code: Vec::new(),
            made: Vec::new(),
            prefix: Vec::new(),
            span: function.span,
        };
        for (idx, block) in function.blocks.iter().enumerate() {
            selector.survey(Block(idx as u32), block);
        }
        selector
    }

    fn survey(&mut self, id: Block, block: &ir::BlockData) {
        let edges = block.terminator.edges();
        let mut operands = block.terminator.operands();
        operands.extend(edges.iter().flat_map(|it| &it.args));
        for &inst in &block.insts {
            let inst = self.function.inst(inst);
            operands.extend(inst.op.operands());
            if let Some(result) = inst.result {
                self.homes[result.index()] = Some(id);
            }
        }
        for value in operands {
            self.n_uses[value.index()] += 1;
        }
    }

    fn block(&mut self, id: Block) -> MachineBlock {
        let block = self.function.block(id);
        self.current = id;
        self.span = block.span;
        let end = self.end(&block.terminator);
        self.place_made();
        for &inst in block.insts.iter().rev() {
            let inst = self.function.inst(inst);
            self.span = inst.span;
            self.inst(&inst.op, inst.result);
        }
        self.flush_made();
        let params = block.params.iter().map(|&it| self.vreg(it)).collect();
        let mut insts = std::mem::take(&mut self.code);
        insts.reverse();
        MachineBlock { params, insts, end, span: block.span }
    }

    fn end(&mut self, terminator: &Terminator) -> End {
        match terminator {
            Terminator::Jump(edge) => {
                let args = edge.args.iter().map(|&it| self.arg(it)).collect();
                End::Jump(edge.block, args)
            }
            Terminator::Branch { cond, left, right, then, otherwise } => {
                let test = self.test(*cond, *left, *right);
                let (then, otherwise) = match test.inverted {
                    true => (otherwise.block, then.block),
                    false => (then.block, otherwise.block),
                };
                End::Branch { jump: test.jump, then, otherwise }
            }
            Terminator::LoopGuard { body, done } => End::Guard { body: body.block, done: done.block },
            Terminator::Return(value) => End::Return(self.arg(*value)),
        }
    }

    fn inst(&mut self, op: &Op, result: Option<Value>) {
        if op.has_effect() {
            return self.effect(op, result);
        }
        if let Some(dst) = result.and_then(|it| self.vregs[it.index()]) {
            self.pure(op, dst);
        }
    }

    fn effect(&mut self, op: &Op, result: Option<Value>) {
        match op {
            Op::Store { width, ptr, offset, value } => self.store(*width, *ptr, *offset, *value),
            Op::AtomicAdd { width, ptr, offset, value, fetch } => {
                let old = result.filter(|_| *fetch).and_then(|it| self.vregs[it.index()]);
                self.atomic_add(*width, *ptr, *offset, *value, old);
            }
            Op::AtomicSwap { width, ptr, offset, value } => {
                let old = result.and_then(|it| self.vregs[it.index()]);
                self.atomic_swap(*width, *ptr, *offset, *value, old);
            }
            Op::Call(helper, args) => self.call(Callee::Helper(helper.number()), args, result),
            Op::CallFunc(func, args) => self.call(Callee::Func(*func), args, result),
            _ => unreachable!("only stores, atomics and calls have an effect"),
        }
    }

    fn pure(&mut self, op: &Op, dst: VReg) {
        match op {
            Op::Binary(op, a, b) => self.binary(*op, *a, *b, dst, ALU64),
            Op::Neg(a) => self.unary(dst, *a, |dst| modify(ALU64 | NEG, dst, Source::Imm(0))),
            Op::Not(a) => self.unary(dst, *a, |dst| modify(ALU64 | XOR, dst, Source::Imm(-1))),
            Op::Bswap(bits, a) => self.swap(*bits, *a, dst),
            Op::Zext(bits, a) => self.zero_extend(*bits, *a, dst),
            Op::Sext(bits, a) => self.sign_extend(*bits, *a, dst),
            Op::Compare(cond, a, b) => self.compare(*cond, *a, *b, dst),
            Op::PtrAdd(ptr, offset) => self.binary(BinOp::Add, *ptr, *offset, dst, ALU64),
            Op::Load { width, signed, ptr, offset, .. } => self.load(*width, *signed, *ptr, *offset, dst),
            // These are made where they are used; one register for them all is never asked for.
            Op::Const(_)
            | Op::SlotAddr(_)
            | Op::MapAddr(_)
            | Op::MapValueAddr(..)
            | Op::FieldOffset(_)
            | Op::FuncAddr(_) => {}
            // `resolve` looks through it.
            Op::NonNull(_) => {}
            Op::Store { .. }
            | Op::AtomicAdd { .. }
            | Op::AtomicSwap { .. }
            | Op::Call(..)
            | Op::CallFunc(..) => {}
        }
    }

    fn call(&mut self, callee: Callee, args: &[Value], result: Option<Value>) {
        // Nothing made for later instructions is kept across the call.
        self.flush_made();
        let result = result.and_then(|it| self.vregs[it.index()]);
        let args = args.iter().map(|&it| self.arg(it)).collect();
        self.push([Kind::Call { callee, args, result }]);
    }

    /// Adds a run of instructions, given in execution order.
    fn push<I>(&mut self, run: I)
    where
        I: IntoIterator<Item = Kind, IntoIter: DoubleEndedIterator>,
    {
        let span = self.span;
        let prefix = std::mem::take(&mut self.prefix).into_iter().rev();
        self.code.extend(run.into_iter().rev().chain(prefix).map(|kind| Inst { kind, span }));
        self.place_made();
    }

    /// What was made since the last run must stand before that run.
    fn place_made(&mut self) {
        let end = self.code.len();
        for (_, _, place) in &mut self.made {
            *place = (*place).min(end);
        }
    }

    /// Places the instructions that make values, each before its first user.
    fn flush_made(&mut self) {
        let mut made = std::mem::take(&mut self.made);
        // From the end of `code` on, so that places stay right.
        made.sort_by_key(|it| std::cmp::Reverse(it.2));
        for (what, dst, place) in made {
            let span = place.checked_sub(1).map_or(self.span, |it| self.code[it].span);
            self.code.insert(place, Inst { kind: Kind::Make { dst, what }, span });
        }
    }

    fn new_vreg(&mut self, remat: Option<Remat>) -> VReg {
        self.remats.push(remat);
        VReg(self.remats.len() as u32 - 1)
    }

    /// The register of a value that an instruction or a parameter defines.
    fn vreg(&mut self, value: Value) -> VReg {
        match self.vregs[value.index()] {
            Some(vreg) => vreg,
            None => {
                let vreg = self.new_vreg(None);
                self.vregs[value.index()] = Some(vreg);
                vreg
            }
        }
    }

    /// Whether the value is needed after the instruction being selected.
    fn is_used_later(&self, value: Value) -> bool {
        let resolved = self.resolve(value);
        let lasting = &self.lasting[self.current.index()];
        lasting.contains(value.index())
            || lasting.contains(resolved.index())
            || self.used_in[resolved.index()] == Some(self.current)
    }

    /// The value that stands for this one: the same bits in the same register.
    fn resolve(&self, value: Value) -> Value {
        match self.definitions[value.index()] {
            Some(Op::NonNull(inner)) => self.resolve(*inner),
            Some(Op::Zext(bits, inner)) if self.known_bits(*inner) <= *bits => self.resolve(*inner),
            _ => value,
        }
    }

    /// As many low bits hold all that a number may be: 64 when nothing is known.
    fn known_bits(&self, value: Value) -> u8 {
        match self.definitions[value.index()] {
            Some(Op::Load { width, signed: false, .. }) => 8 * width,
            Some(Op::Zext(bits, _) | Op::Bswap(bits, _)) => *bits,
            Some(Op::Compare(..)) => 1,
            Some(Op::Const(number)) => 64 - number.leading_zeros() as u8,
            Some(Op::Binary(BinOp::And, a, b)) => {
                let mask = |it: &Value| self.constant(*it).map_or(64, |it| 64 - it.leading_zeros() as u8);
                mask(a).min(mask(b))
            }
            Some(Op::Binary(BinOp::LShr, _, count)) => {
                self.constant(*count).map_or(64, |it| 64 - (it & 63) as u8)
            }
            _ => 64,
        }
    }

    fn definition(&self, value: Value) -> Option<&'a Op> {
        self.definitions[self.resolve(value).index()]
    }

    fn constant(&self, value: Value) -> Option<i64> {
        match self.definitions[value.index()] {
            Some(Op::Const(number)) => Some(*number),
            _ => None,
        }
    }

    /// Whether an instruction may take the value's definition into itself.
    fn is_only_used_here(&self, value: Value) -> bool {
        self.n_uses[value.index()] == 1 && self.homes[value.index()] == Some(self.current)
    }

    /// How to make the value on the spot, if that is cheap.
    fn remat(&self, value: Value) -> Option<Remat> {
        match self.definition(value)? {
            Op::Const(number) => Some(Remat::Const(*number)),
            Op::SlotAddr(slot) => Some(Remat::Slot(*slot, 0)),
            Op::MapAddr(map) => Some(Remat::Map(*map)),
            Op::MapValueAddr(map, offset) => Some(Remat::MapValue(*map, *offset)),
            Op::FieldOffset(access) => Some(Remat::Field(*access)),
            Op::FuncAddr(func) => Some(Remat::Func(*func)),
            Op::PtrAdd(ptr, offset) => self.moved_remat(self.remat(*ptr)?, self.constant(*offset)?),
            _ => None,
        }
    }

    fn moved_remat(&self, base: Remat, by: i64) -> Option<Remat> {
        match base {
            Remat::Slot(slot, offset) => {
                let moved = i32::try_from(i64::from(offset).checked_add(by)?).ok()?;
                i16::try_from(moved).is_ok().then_some(Remat::Slot(slot, moved))
            }
            Remat::MapValue(map, offset) => {
                let moved = u32::try_from(i64::from(offset).checked_add(by)?).ok()?;
                (moved < self.module.maps[map.index()].value_size).then_some(Remat::MapValue(map, moved))
            }
            Remat::Const(_) | Remat::Map(_) | Remat::Field(_) | Remat::Func(_) => None,
        }
    }

    /// The value in a register, for the next [`Selector::push`].
    fn reg(&mut self, value: Value) -> VReg {
        match self.remat(value) {
            Some(what) => self.make(what),
            None => {
                let value = self.resolve(value);
                self.used_in[value.index()] = Some(self.current);
                self.vreg(value)
            }
        }
    }

    /// A register that holds `what`, shared with later users up to the next call.
    fn make(&mut self, what: Remat) -> VReg {
        if let Some(entry) = self.made.iter_mut().find(|it| it.0 == what) {
            entry.2 = usize::MAX;
            return entry.1;
        }
        let vreg = self.new_vreg(Some(what));
        self.made.push((what, vreg, usize::MAX));
        vreg
    }

    /// The value as an argument.
    fn arg(&mut self, value: Value) -> Arg {
        match self.remat(value) {
            Some(what) => Arg::Remat(what),
            None => Arg::Reg(self.reg(value)),
        }
    }

    /// The value as a second operand.
    fn source(&mut self, value: Value) -> Source {
        match self.constant(value).map(i32::try_from) {
            Some(Ok(number)) => Source::Imm(number),
            _ => Source::Reg(self.reg(value)),
        }
    }

    /// `dst = value`, to be overwritten by the rest of a run.
    fn start(&mut self, dst: VReg, value: Value) -> Kind {
        match self.remat(value) {
            Some(what) => Kind::Make { dst, what },
            None => Kind::Copy { dst, src: self.reg(value) },
        }
    }
}

fn modify(code: u8, dst: VReg, src: Source) -> Kind {
    Kind::Modify { code, dst, src, off: 0 }
}
