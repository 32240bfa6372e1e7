//! Random IR functions, the same for the same seed. They end, touch only memory that they have,
//! and keep many values alive, so that registers run out.

use super::world::mix;
use crate::helpers::Helper;
use crate::ir::*;
use lang::Span;

/// A random module: a program, and a subprogram that it calls.
pub fn module(seed: u64) -> Module {
    let mut dice = Dice(seed);
    let map = |name: &str, kind| KernelMap {
        name: name.to_owned(),
        kind,
        key_size: 8,
        value_size: 16,
        max_entries: 1,
        flags: 0,
        script: None,
    };
    let mut module = Module {
        maps: vec![map("data", KernelMapKind::Array), map("counts", KernelMapKind::Hash)],
        accesses: vec![CoreAccess { path: Vec::new(), kind: CoreKind::FieldByteOffset, value: 48 }],
        ..Module::default()
    };
    module.functions = vec![
        Builder::function("probe0", Some(0), &[Type::Ptr(Region::Ctx)], &mut dice),
        Builder::function("sub", None, &[Type::I64, Type::I64], &mut dice),
    ];
    module
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = mix(self.0, 0x51_7c_c1_b7);
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.roll() >> 8) as usize % n
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

const N_SLOTS: usize = 4;

struct Builder<'a> {
    function: Function,
    dice: &'a mut Dice,
    current: Block,
    /// Numbers that may be used here.
    numbers: Vec<Value>,
    /// Slots that hold something here.
    filled: Vec<Slot>,
    ctx: Option<Value>,
}

impl Builder<'_> {
    fn function(name: &str, probe: Option<usize>, params: &[Type], dice: &mut Dice) -> Function {
        let function = Function {
            name: name.to_owned(),
            probe,
            cold: false,
            params: params.to_vec(),
            blocks: Vec::new(),
            insts: Vec::new(),
            values: Vec::new(),
            slots: vec![SlotData { size: 16, align: 8 }; N_SLOTS],
            span: Span::default(),
        };
        let mut builder =
            Builder { function, dice, current: Block(0), numbers: Vec::new(), filled: Vec::new(), ctx: None };
        builder.new_block();
        for &ty in params {
            let value = builder.param(Block(0), ty);
            match ty {
                Type::I64 => builder.numbers.push(value),
                Type::Ptr(_) => builder.ctx = Some(value),
            }
        }
        let n_statements = 4 + builder.dice.below(30);
        builder.statements(n_statements, 3);
        let result = builder.summary();
        builder.end(Terminator::Return(result));
        builder.function
    }

    fn new_block(&mut self) -> Block {
        let terminator = Terminator::Return(Value(0));
        let span = Span::default();
        self.function.blocks.push(BlockData { params: Vec::new(), insts: Vec::new(), terminator, span });
        Block(self.function.blocks.len() as u32 - 1)
    }

    fn value(&mut self, ty: Type) -> Value {
        self.function.values.push(ValueData { ty });
        Value(self.function.values.len() as u32 - 1)
    }

    fn param(&mut self, block: Block, ty: Type) -> Value {
        let value = self.value(ty);
        self.function.blocks[block.index()].params.push(value);
        value
    }

    fn add(&mut self, op: Op) -> Value {
        let ty = op.result_type(|it| self.function.ty(it));
        let value = self.value(ty);
        self.add_inst(op, Some(value));
        value
    }

    fn add_inst(&mut self, op: Op, result: Option<Value>) {
        let id = InstId(self.function.insts.len() as u32);
        self.function.insts.push(InstData { op, result, span: Span::default() });
        self.function.blocks[self.current.index()].insts.push(id);
    }

    fn end(&mut self, terminator: Terminator) {
        self.function.blocks[self.current.index()].terminator = terminator;
    }

    fn constant(&mut self) -> Value {
        let roll = self.dice.roll() as i64;
        let number = match self.dice.below(5) {
            0 => roll,
            1 => roll & 0xffff_ffff,
            2 => self.dice.pick(&[0, 1, -1, i64::MIN, i64::MAX, 0xffff_ffff, 0x8000_0000]),
            _ => roll % 100,
        };
        self.add(Op::Const(number))
    }

    fn number(&mut self) -> Value {
        match self.numbers.len() {
            0 => self.constant(),
            _ if self.dice.below(5) == 0 => self.constant(),
            n => self.numbers[self.dice.below(n)],
        }
    }

    fn keep(&mut self, op: Op) {
        let value = self.add(op);
        self.numbers.push(value);
    }

    /// All numbers in one, so that none is dead.
    fn summary(&mut self) -> Value {
        let mut sum = self.constant();
        for value in self.numbers.clone() {
            let three = self.add(Op::Const(3));
            let scaled = self.add(Op::Binary(BinOp::Mul, sum, three));
            sum = self.add(Op::Binary(BinOp::Add, scaled, value));
        }
        sum
    }

    fn statements(&mut self, n: usize, depth: usize) {
        for _ in 0..n {
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: usize) {
        match self.dice.below(24) {
            0..=5 => self.binary(),
            6..=7 => self.unary(),
            8 => self.compare(),
            9..=10 => self.store_slot(),
            11..=12 => self.load_slot(),
            13 => self.load_ctx(),
            14..=16 => self.call(),
            17 => self.global(),
            18 => self.call_func(),
            19 => self.narrow(),
            20 if depth > 0 => self.repeat(depth - 1),
            21 if depth > 0 => self.look_up(depth - 1),
            22 if depth > 0 => self.leave_early(),
            _ if depth > 0 => self.choose(depth - 1),
            _ => self.binary(),
        }
    }

    fn binary(&mut self) {
        use BinOp::*;
        let op = self.dice.pick(&[Add, Sub, Mul, UDiv, SDiv, UMod, SMod, And, Or, Xor, Shl, LShr, AShr]);
        let (a, b) = (self.number(), self.number());
        self.keep(Op::Binary(op, a, b));
    }

    fn unary(&mut self) {
        let a = self.number();
        let bits = self.dice.pick(&[8, 16, 32]);
        let op = match self.dice.below(5) {
            0 => Op::Neg(a),
            1 => Op::Not(a),
            2 => Op::Bswap(self.dice.pick(&[16, 32, 64]), a),
            3 => Op::Zext(bits, a),
            _ => Op::Sext(bits, a),
        };
        self.keep(op);
    }

    /// Arithmetic of which only the low half is used.
    fn narrow(&mut self) {
        let (a, b) = (self.number(), self.number());
        let op = self.dice.pick(&[BinOp::Add, BinOp::Sub, BinOp::Mul, BinOp::And, BinOp::Shl, BinOp::LShr]);
        let wide = match self.dice.below(8) {
            0 => Op::Neg(a),
            1 => Op::Not(a),
            _ => Op::Binary(op, a, b),
        };
        let wide = self.add(wide);
        self.keep(Op::Zext(32, wide));
    }

    fn cond(&mut self) -> Cond {
        use Cond::*;
        self.dice.pick(&[Eq, Ne, ULt, ULe, UGt, UGe, SLt, SLe, SGt, SGe, Test])
    }

    fn compare(&mut self) {
        let (cond, a, b) = (self.cond(), self.number(), self.number());
        self.keep(Op::Compare(cond, a, b));
    }

    fn store_slot(&mut self) {
        let slot = Slot(self.dice.below(N_SLOTS) as u32);
        let ptr = self.add(Op::SlotAddr(slot));
        let (low, high) = (self.number(), self.number());
        self.add_inst(Op::Store { width: 8, ptr, offset: 0, value: low }, None);
        self.add_inst(Op::Store { width: 8, ptr, offset: 8, value: high }, None);
        if self.dice.below(2) == 0 {
            let width = self.dice.pick(&[1, 2, 4, 8]);
            let (ptr, value) = (self.indexed(slot, width), self.number());
            self.add_inst(Op::Store { width, ptr, offset: 0, value }, None);
        }
        if !self.filled.contains(&slot) {
            self.filled.push(slot);
        }
    }

    /// A place in a slot that is known only when the code runs.
    fn indexed(&mut self, slot: Slot, width: u8) -> Value {
        let ptr = self.add(Op::SlotAddr(slot));
        let (index, mask) = (self.number(), self.add(Op::Const(16 - i64::from(width))));
        let index = self.add(Op::Binary(BinOp::And, index, mask));
        self.add(Op::PtrAdd(ptr, index))
    }

    fn filled_slot(&mut self) -> Slot {
        if self.filled.is_empty() {
            self.store_slot();
        }
        let n = self.filled.len();
        self.filled[self.dice.below(n)]
    }

    fn load_slot(&mut self) {
        let slot = self.filled_slot();
        let width = self.dice.pick(&[1, 2, 4, 8]);
        let signed = self.dice.below(2) == 0;
        let place = (self.dice.below(16) as i32) & -i32::from(width);
        let (ptr, offset) = match self.dice.below(3) {
            0 => (self.indexed(slot, width), 0),
            1 => {
                let (ptr, by) = (self.add(Op::SlotAddr(slot)), self.add(Op::Const(4)));
                (self.add(Op::PtrAdd(ptr, by)), place - 4)
            }
            _ => (self.add(Op::SlotAddr(slot)), place),
        };
        self.keep(Op::Load { width, signed, ptr, offset, ty: Type::I64 });
    }

    fn load_ctx(&mut self) {
        let Some(ptr) = self.ctx else { return };
        let width = self.dice.pick(&[1, 2, 4, 8]);
        let offset = self.dice.below(6) as i32 * i32::from(width);
        let signed = self.dice.below(2) == 0;
        self.keep(Op::Load { width, signed, ptr, offset, ty: Type::I64 });
    }

    fn call(&mut self) {
        let helper = self.dice.pick(&[
            Helper::KtimeGetNs,
            Helper::SendSignal,
            Helper::GetCurrentComm,
            Helper::ProbeReadUser,
            Helper::GetStack,
            Helper::TracePrintk,
        ]);
        let mut args = Vec::new();
        for _ in 0..helper.arity() {
            let arg = match self.dice.below(6) {
                0 => {
                    let slot = self.filled_slot();
                    self.add(Op::SlotAddr(slot))
                }
                1 => self.add(Op::MapAddr(Map(1))),
                _ => self.number(),
            };
            args.push(arg);
        }
        self.keep(Op::Call(helper, args));
    }

    fn call_func(&mut self) {
        // Only the program calls.
        if self.ctx.is_some() {
            let args = vec![self.number(), self.number()];
            self.keep(Op::CallFunc(Func(1), args));
        }
    }

    fn global(&mut self) {
        let offset = self.dice.pick(&[0, 8]);
        let ptr = self.add(Op::MapValueAddr(Map(0), offset));
        self.touch(ptr);
    }

    /// Some access to eight bytes.
    fn touch(&mut self, ptr: Value) {
        let (width, value) = (self.dice.pick(&[4, 8]), self.number());
        match self.dice.below(6) {
            0 => self.keep(Op::Load { width, signed: true, ptr, offset: 0, ty: Type::I64 }),
            1 => self.add_inst(Op::Store { width, ptr, offset: 0, value }, None),
            2 => self.add_inst(Op::AtomicAdd { width, ptr, offset: 0, value, fetch: false }, None),
            3 => self.keep(Op::AtomicAdd { width, ptr, offset: 0, value, fetch: true }),
            4 => self.keep(Op::AtomicSwap { width, ptr, offset: 0, value }),
            _ => self.keep(Op::FieldOffset(Access(0))),
        }
    }

    fn branch(&mut self, then: Edge, otherwise: Edge) {
        let (cond, left, right) = (self.cond(), self.number(), self.number());
        let terminator = match self.dice.below(3) {
            0 => {
                let (op, zero) = (Op::Compare(cond, left, right), self.add(Op::Const(0)));
                let left = self.add(op);
                let cond = self.dice.pick(&[Cond::Eq, Cond::Ne]);
                Terminator::Branch { cond, left, right: zero, then, otherwise }
            }
            _ => Terminator::Branch { cond, left, right, then, otherwise },
        };
        self.end(terminator);
    }

    /// If and else, with numbers that come out of both.
    fn choose(&mut self, depth: usize) {
        let (then, otherwise, join) = (self.new_block(), self.new_block(), self.new_block());
        let n_params = self.dice.below(4);
        let params: Vec<Value> = (0..n_params).map(|_| self.param(join, Type::I64)).collect();
        let direct = self.dice.below(3) == 0;
        let target = if direct { self.edge(join, n_params) } else { edge(otherwise) };
        self.branch(edge(then), target);
        let (numbers, filled) = (self.numbers.clone(), self.filled.clone());
        for block in [then, otherwise] {
            self.current = block;
            if block == otherwise && direct {
                // Nothing leads here.
                let zero = self.add(Op::Const(0));
                self.end(Terminator::Return(zero));
                continue;
            }
            let n = self.dice.below(4);
            self.statements(n, depth);
            let out = self.edge(join, n_params);
            self.end(Terminator::Jump(out));
            (self.numbers, self.filled) = (numbers.clone(), filled.clone());
        }
        self.numbers.extend(params);
        self.current = join;
    }

    fn edge(&mut self, block: Block, n_args: usize) -> Edge {
        Edge { block, args: (0..n_args).map(|_| self.number()).collect() }
    }

    /// A loop that counts, and carries numbers round.
    fn repeat(&mut self, depth: usize) {
        let (head, body, done) = (self.new_block(), self.new_block(), self.new_block());
        let n_carried = 1 + self.dice.below(3);
        let counter = self.param(head, Type::I64);
        let carried: Vec<Value> = (0..n_carried).map(|_| self.param(head, Type::I64)).collect();
        let zero = self.add(Op::Const(0));
        let mut enter = self.edge(head, n_carried);
        enter.args.insert(0, zero);
        self.end(Terminator::Jump(enter));
        self.current = head;
        self.numbers.extend(carried);
        if self.dice.below(2) == 0 {
            let guarded = self.new_block();
            self.end(Terminator::LoopGuard { body: edge(guarded), done: edge(done) });
            self.current = guarded;
        }
        let limit = 1 + self.dice.below(3) as i64;
        let limit = self.add(Op::Const(limit));
        let terminator = Terminator::Branch {
            cond: Cond::ULt,
            left: counter,
            right: limit,
            then: edge(body),
            otherwise: edge(done),
        };
        self.end(terminator);
        let (numbers, filled) = (self.numbers.clone(), self.filled.clone());
        self.current = body;
        let n = 1 + self.dice.below(4);
        self.statements(n, depth);
        let one = self.add(Op::Const(1));
        let next = self.add(Op::Binary(BinOp::Add, counter, one));
        let mut again = self.edge(head, n_carried);
        again.args.insert(0, next);
        self.end(Terminator::Jump(again));
        (self.numbers, self.filled) = (numbers, filled);
        self.current = done;
    }

    /// A map look-up with something to do when it finds a value.
    fn look_up(&mut self, depth: usize) {
        let slot = self.filled_slot();
        let (map, key) = (self.add(Op::MapAddr(Map(1))), self.add(Op::SlotAddr(slot)));
        let found = self.add(Op::Call(Helper::MapLookupElem, vec![map, key]));
        let null = self.add(Op::Const(0));
        let (then, join) = (self.new_block(), self.new_block());
        let terminator = Terminator::Branch {
            cond: Cond::Eq,
            left: found,
            right: null,
            then: edge(join),
            otherwise: edge(then),
        };
        self.end(terminator);
        let (numbers, filled) = (self.numbers.clone(), self.filled.clone());
        self.current = then;
        let ptr = self.add(Op::NonNull(found));
        self.touch(ptr);
        let n = self.dice.below(3);
        self.statements(n, depth);
        self.touch(ptr);
        self.end(Terminator::Jump(edge(join)));
        (self.numbers, self.filled) = (numbers, filled);
        self.current = join;
    }

    fn leave_early(&mut self) {
        let (leave, go_on) = (self.new_block(), self.new_block());
        self.branch(edge(leave), edge(go_on));
        self.current = leave;
        let result = self.number();
        self.end(Terminator::Return(result));
        self.current = go_on;
    }
}

fn edge(block: Block) -> Edge {
    Edge { block, args: Vec::new() }
}
