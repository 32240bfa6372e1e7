//! Builds one function in SSA form: operations come in one after the other, a verified
//! [`Function`] goes out.
//!
//! Variables are written and read by block, and block parameters appear where ways meet (Braun
//! et al., "Simple and Efficient Construction of SSA Form", 2013). A block is *sealed* once all
//! jumps to it exist; until then a read in it makes a parameter that is filled in later.

use crate::helpers::Helper;
use crate::ir::flow::Flow;
use crate::ir::{
    BinOp, Block, BlockData, Cond, Edge, Function, InstData, InstId, Op, Slot, SlotData, Terminator, Type,
    Value, ValueData,
};
use crate::opt::clean;
use lang::Span;
use std::collections::{HashMap, HashSet};

/// Something that is assigned more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variable(u32);

/// Builds one function.
pub struct Builder {
    function: Function,
    /// Per block, what only building needs.
    states: Vec<BlockState>,
    /// The block that grows; `None` behind a terminator.
    current: Option<Block>,
    span: Span,
    variables: Vec<Type>,
    /// Constants that the current block already has.
    constants: HashMap<i64, Value>,
    /// All constants.
    numbers: HashMap<Value, i64>,
}

#[derive(Default)]
struct BlockState {
    sealed: bool,
    filled: bool,
    predecessors: Vec<Block>,
    definitions: HashMap<Variable, Value>,
    /// Parameters made before the block was sealed.
    incomplete: Vec<(Variable, Value)>,
}

/// A search for a variable's value through the blocks above.
#[derive(Default)]
struct Merges {
    /// Blocks with a single way in between the last open merge, or the block that the search began
    /// with, and the block asked last.
    way: Vec<Block>,
    /// Blocks with several ways in, not all of which are known yet.
    open: Vec<Merge>,
    /// The parameters that open or closed merges may get.
    params: HashSet<Value>,
    /// Those that the search itself came upon.
    asked: HashSet<Value>,
}

/// A block with several ways in, and what is known of them.
struct Merge {
    block: Block,
    /// What becomes its parameter, if it needs one.
    param: Value,
    /// The values from the first predecessors.
    incoming: Vec<Value>,
    /// Blocks with a single way in between the merge that was open before and this one: what comes
    /// out here is what they see.
    below: Vec<Block>,
}

/// What a block says of a variable.
enum LookUp {
    Value(Value),
    In(Block),
}

impl Builder {
    /// Starts a function. Its entry block waits for [`Builder::start_entry`].
    pub fn new(name: String, probe: Option<usize>, params: Vec<Type>, span: Span) -> Builder {
        let function = Function {
            name,
            probe,
            cold: false,
            params: params.clone(),
            blocks: Vec::new(),
            insts: Vec::new(),
            values: Vec::new(),
            slots: Vec::new(),
            span,
        };
        let mut builder = Builder {
            function,
            states: Vec::new(),
            current: None,
            span,
            variables: Vec::new(),
            constants: HashMap::new(),
            numbers: HashMap::new(),
        };
        let entry = builder.block();
        for ty in params {
            builder.param(entry, ty);
        }
        builder.states[entry.index()].sealed = true;
        builder
    }

    /// The parameters of the function.
    pub fn params(&self) -> &[Value] {
        &self.function.blocks[0].params
    }

    /// How many operations there are so far.
    pub fn n_insts(&self) -> usize {
        self.function.insts.len()
    }

    /// Sets the script text that the next operations come from; gives the one before.
    pub fn set_span(&mut self, span: Span) -> Span {
        std::mem::replace(&mut self.span, span)
    }

    /// The script text that the next operations come from.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The type of a value.
    pub fn ty(&self, value: Value) -> Type {
        self.function.ty(value)
    }

    /// The number that a value is, when it is a constant.
    pub fn as_const(&self, value: Value) -> Option<i64> {
        self.numbers.get(&value).copied()
    }

    /// A new stack object.
    pub fn slot(&mut self, size: u32, align: u32) -> Slot {
        self.function.slots.push(SlotData { size, align });
        Slot((self.function.slots.len() - 1) as u32)
    }

    /// A new variable.
    pub fn variable(&mut self, ty: Type) -> Variable {
        self.variables.push(ty);
        Variable((self.variables.len() - 1) as u32)
    }

    /// A new block.
    pub fn block(&mut self) -> Block {
        let terminator = Terminator::Jump(Edge { block: Block(u32::MAX), args: vec![] });
        let span = self.span;
        self.function.blocks.push(BlockData { params: vec![], insts: vec![], terminator, span });
        self.states.push(BlockState::default());
        Block((self.function.blocks.len() - 1) as u32)
    }

    /// A new block with one number as its parameter.
    pub fn block_with_number(&mut self) -> (Block, Value) {
        let block = self.block();
        (block, self.param(block, Type::I64))
    }

    /// Adds a parameter to a block that nothing jumps to yet.
    pub fn param(&mut self, block: Block, ty: Type) -> Value {
        let value = self.value(ty);
        self.function.blocks[block.index()].params.push(value);
        value
    }

    /// Seals a block and goes on in it.
    pub fn start(&mut self, block: Block) {
        self.seal(block);
        self.start_unsealed(block);
    }

    /// Goes on in a block that more jumps will lead to: a loop's head.
    pub fn start_unsealed(&mut self, block: Block) {
        debug_assert!(self.current.is_none(), "the block before ends in a terminator");
        self.current = Some(block);
        self.constants.clear();
        self.function.blocks[block.index()].span = self.span;
    }

    /// Goes to the entry block: what runs before everything built so far.
    pub fn start_entry(&mut self) {
        self.start_unsealed(Block(0));
    }

    /// Says that all jumps to the block exist.
    pub fn seal(&mut self, block: Block) {
        let incomplete = std::mem::take(&mut self.states[block.index()].incomplete);
        self.states[block.index()].sealed = true;
        for (variable, _) in incomplete {
            self.pass_to(block, variable);
        }
    }

    /// Adds an operation that has a result.
    pub fn op(&mut self, op: Op) -> Value {
        let ty = op.result_type(|it| self.function.ty(it));
        let result = self.value(ty);
        self.push(op, Some(result));
        result
    }

    /// Adds an operation for its effect.
    pub fn effect(&mut self, op: Op) {
        self.push(op, None);
    }

    /// A constant.
    pub fn constant(&mut self, number: i64) -> Value {
        self.current_block();
        if let Some(value) = self.constants.get(&number) {
            return *value;
        }
        let value = self.op(Op::Const(number));
        self.constants.insert(number, value);
        self.numbers.insert(value, number);
        value
    }

    /// A 64-bit operation.
    pub fn binary(&mut self, op: BinOp, left: Value, right: Value) -> Value {
        self.op(Op::Binary(op, left, right))
    }

    /// A 64-bit operation with a constant.
    pub fn binary_const(&mut self, op: BinOp, left: Value, right: i64) -> Value {
        let right = self.constant(right);
        self.binary(op, left, right)
    }

    /// A helper call.
    pub fn call(&mut self, helper: Helper, args: &[Value]) -> Value {
        self.op(Op::Call(helper, args.to_vec()))
    }

    /// A helper call whose result is not used.
    pub fn call_for_effect(&mut self, helper: Helper, args: &[Value]) {
        self.effect(Op::Call(helper, args.to_vec()));
    }

    /// Reads memory as a number.
    pub fn load(&mut self, width: u8, signed: bool, ptr: Value, offset: i32) -> Value {
        self.op(Op::Load { width, signed, ptr, offset, ty: Type::I64 })
    }

    /// Writes memory.
    pub fn store(&mut self, width: u8, ptr: Value, offset: i32, value: Value) {
        self.effect(Op::Store { width, ptr, offset, value });
    }

    /// A pointer so many bytes further.
    pub fn advance(&mut self, ptr: Value, offset: i32) -> Value {
        if offset == 0 {
            return ptr;
        }
        let offset = self.constant(offset.into());
        match self.ty(ptr) {
            Type::I64 => self.binary(BinOp::Add, ptr, offset),
            Type::Ptr(_) => self.op(Op::PtrAdd(ptr, offset)),
        }
    }

    /// Ends the block: goes on there.
    pub fn jump(&mut self, block: Block, args: &[Value]) {
        self.terminate(Terminator::Jump(Edge { block, args: args.to_vec() }));
    }

    /// Ends the block: goes to `then` when the comparison holds, else to `otherwise`.
    pub fn branch(&mut self, cond: Cond, left: Value, right: Value, then: Block, otherwise: Block) {
        self.branch_with(cond, left, right, (then, &[]), (otherwise, &[]));
    }

    /// [`Builder::branch`] with arguments for the blocks' parameters.
    pub fn branch_with(
        &mut self,
        cond: Cond,
        left: Value,
        right: Value,
        then: (Block, &[Value]),
        otherwise: (Block, &[Value]),
    ) {
        let edge = |(block, args): (Block, &[Value])| Edge { block, args: args.to_vec() };
        let (then, otherwise) = (edge(then), edge(otherwise));
        self.terminate(Terminator::Branch { cond, left, right, then, otherwise });
    }

    /// Ends the block: goes to `body` a bounded number of times, then to `done`.
    pub fn loop_guard(&mut self, body: Block, done: Block) {
        let edge = |block| Edge { block, args: vec![] };
        self.terminate(Terminator::LoopGuard { body: edge(body), done: edge(done) });
    }

    /// Ends the function.
    pub fn ret(&mut self, value: Value) {
        self.terminate(Terminator::Return(value));
    }

    /// Tells a pointer's null from the rest: goes to `null` when it is, else goes on with it.
    pub fn check_null(&mut self, ptr: Value, null: Block) -> Value {
        let found = self.block();
        let zero = self.constant(0);
        self.branch(Cond::Eq, ptr, zero, null, found);
        self.start(found);
        self.op(Op::NonNull(ptr))
    }

    /// Assigns a variable.
    pub fn write(&mut self, variable: Variable, value: Value) {
        let block = self.current_block();
        self.states[block.index()].definitions.insert(variable, value);
    }

    /// A variable's value.
    pub fn read(&mut self, variable: Variable) -> Value {
        let block = self.current_block();
        self.read_in(block, variable)
    }

    /// A value that [`Builder::define`] will define.
    pub fn promised(&mut self, ty: Type) -> Value {
        self.value(ty)
    }

    /// The operation that makes a value, for a promised one.
    pub fn define(&mut self, result: Value, op: Op) {
        self.push(op, Some(result));
    }

    /// The block that every use of a value is reached through, outside of loops: where it is made
    /// at the latest. All blocks are sealed.
    pub fn home(&self, value: Value) -> Block {
        let flow = Flow::new(&self.function);
        let mut home = None;
        for &block in flow.order.iter().filter(|it| self.uses(**it, value)) {
            let mut above = home.unwrap_or(block);
            while !flow.dominates(above, block) || self.repeats(above) {
                match flow.immediate_dominator(above) {
                    Some(dominator) => above = dominator,
                    None => break,
                }
            }
            home = Some(above);
        }
        home.unwrap_or(Block(0))
    }

    /// Opens a finished block at its start: what it held moves to a new block, which is given and
    /// which the code that follows must jump to.
    pub fn open(&mut self, block: Block) -> Block {
        let rest = self.block();
        let data = &mut self.function.blocks[block.index()];
        let insts = std::mem::take(&mut data.insts);
        let unfilled = Terminator::Jump(Edge { block: rest, args: vec![] });
        let (terminator, span) = (std::mem::replace(&mut data.terminator, unfilled), data.span);
        let moved = &mut self.function.blocks[rest.index()];
        (moved.insts, moved.terminator, moved.span) = (insts, terminator, span);
        self.start_unsealed(block);
        rest
    }

    /// Adds operations on every way out of the blocks that `head` dominates: before returns and on
    /// jumps to other blocks. The function is complete.
    pub fn on_leaving(&mut self, head: Block, mut act: impl FnMut(&mut Builder)) {
        let flow = Flow::new(&self.function);
        let inside: HashSet<Block> =
            flow.order.iter().copied().filter(|it| flow.dominates(head, *it)).collect();
        for &block in flow.order.iter().filter(|it| inside.contains(it)) {
            let BlockData { mut terminator, span, .. } = self.function.block(block).clone();
            let before = self.set_span(span);
            let mut edges = terminator.edges_mut();
            let n_edges = edges.len();
            edges.retain(|it| !inside.contains(&it.block));
            if n_edges == 2 {
                for edge in edges {
                    let way = self.block();
                    let onward = std::mem::replace(edge, Edge { block: way, args: vec![] });
                    self.start_unsealed(way);
                    act(self);
                    self.end(Terminator::Jump(onward));
                }
                self.function.blocks[block.index()].terminator = terminator;
            } else if n_edges == 0 || !edges.is_empty() {
                self.start_unsealed(block);
                act(self);
                self.end(terminator);
            }
            self.set_span(before);
        }
    }

    /// Ends the block once no variable is read any more.
    fn end(&mut self, terminator: Terminator) {
        let block = self.current_block();
        self.function.blocks[block.index()].terminator = terminator;
        self.current = None;
    }

    /// The values that something reads so far.
    pub fn used(&self) -> HashSet<Value> {
        let mut used: HashSet<Value> = HashSet::new();
        for block in &self.function.blocks {
            used.extend(block.insts.iter().flat_map(|it| self.function.inst(*it).op.operands()));
            used.extend(block.terminator.operands());
            used.extend(block.terminator.edges().iter().flat_map(|it| &it.args));
        }
        used
    }

    fn uses(&self, block: Block, value: Value) -> bool {
        let data = self.function.block(block);
        data.insts.iter().any(|it| self.function.inst(*it).op.operands().contains(&value))
            || data.terminator.operands().contains(&value)
            || data.terminator.edges().iter().any(|it| it.args.contains(&value))
    }

    /// Whether a block lies in a loop.
    fn repeats(&self, block: Block) -> bool {
        let mut reached = HashSet::new();
        let mut open = vec![block];
        while let Some(at) = open.pop() {
            for edge in self.function.block(at).terminator.edges() {
                if edge.block == block {
                    return true;
                }
                if edge.block.index() < self.function.blocks.len() && reached.insert(edge.block) {
                    open.push(edge.block);
                }
            }
        }
        false
    }

    /// The function without unreachable blocks and needless parameters.
    pub fn finish(mut self) -> Function {
        clean::remove_unreachable(&mut self.function);
        clean::remove_trivial_params(&mut self.function);
        self.function
    }

    fn value(&mut self, ty: Type) -> Value {
        self.function.values.push(ValueData { ty });
        Value((self.function.values.len() - 1) as u32)
    }

    /// The block that grows. Code behind a `return` goes to a block that nothing leads to.
    fn current_block(&mut self) -> Block {
        match self.current {
            Some(block) => block,
            None => {
                let block = self.block();
                self.start(block);
                block
            }
        }
    }

    fn push(&mut self, op: Op, result: Option<Value>) {
        let block = self.current_block();
        let inst = InstId(self.function.insts.len() as u32);
        self.function.insts.push(InstData { op, result, span: self.span });
        self.function.blocks[block.index()].insts.push(inst);
    }

    fn terminate(&mut self, terminator: Terminator) {
        let block = self.current_block();
        for edge in terminator.edges() {
            let state = &mut self.states[edge.block.index()];
            debug_assert!(!state.sealed, "{} is sealed", edge.block);
            if !state.predecessors.contains(&block) {
                state.predecessors.push(block);
            }
        }
        let data = &mut self.function.blocks[block.index()];
        data.terminator = terminator;
        data.span = self.span;
        self.states[block.index()].filled = true;
        self.current = None;
    }

    /// A variable's value at the end of a block. Not recursive: a script may be a long chain of
    /// blocks where ways meet.
    fn read_in(&mut self, block: Block, variable: Variable) -> Value {
        let mut merges = Merges::default();
        let mut at = block;
        loop {
            let mut value = match self.look_up(at, variable, &mut merges) {
                LookUp::Value(value) => value,
                LookUp::In(predecessor) => {
                    at = predecessor;
                    continue;
                }
            };
            self.remember(variable, value, std::mem::take(&mut merges.way));
            // A value of one way into a merge; the last one closes it.
            at = loop {
                let Some(merge) = merges.open.last_mut() else { return value };
                merge.incoming.push(value);
                let predecessors = &self.states[merge.block.index()].predecessors;
                if let Some(next) = predecessors.get(merge.incoming.len()) {
                    break *next;
                }
                let Some(mut merge) = merges.open.pop() else { return value };
                let below = std::mem::take(&mut merge.below);
                value = self.close(merge, variable, &merges.asked);
                self.remember(variable, value, below);
            };
        }
    }

    /// Notes what a variable is at the end of blocks that do not assign it.
    fn remember(&mut self, variable: Variable, value: Value, blocks: Vec<Block>) {
        for block in blocks {
            self.states[block.index()].definitions.insert(variable, value);
        }
    }

    /// One step of [`Builder::read_in`]: the value, or the block to ask next.
    fn look_up(&mut self, block: Block, variable: Variable, merges: &mut Merges) -> LookUp {
        let ty = self.variables[variable.0 as usize];
        let state = &self.states[block.index()];
        if let Some(value) = state.definitions.get(&variable) {
            // A loop that leads back to a merge, which then needs its parameter.
            if merges.params.contains(value) {
                merges.asked.insert(*value);
            }
            return LookUp::Value(*value);
        }
        if !state.sealed {
            let value = self.param(block, ty);
            self.states[block.index()].incomplete.push((variable, value));
            self.states[block.index()].definitions.insert(variable, value);
            return LookUp::Value(value);
        }
        match *state.predecessors.as_slice() {
            [] => {
                let value = self.undefined(block);
                self.states[block.index()].definitions.insert(variable, value);
                LookUp::Value(value)
            }
            [only] => {
                merges.way.push(block);
                LookUp::In(only)
            }
            [first, ..] => {
                let param = self.value(ty);
                self.states[block.index()].definitions.insert(variable, param);
                merges.params.insert(param);
                let below = std::mem::take(&mut merges.way);
                merges.open.push(Merge { block, param, incoming: Vec::new(), below });
                LookUp::In(first)
            }
        }
    }

    /// Ends the search at a merge: one value from everywhere is that value, else it becomes a
    /// parameter.
    fn close(&mut self, merge: Merge, variable: Variable, asked: &HashSet<Value>) -> Value {
        let Merge { block, param, incoming, below: _ } = merge;
        if !asked.contains(&param) && incoming.iter().all(|it| *it == incoming[0]) {
            self.states[block.index()].definitions.insert(variable, incoming[0]);
            if param.index() + 1 == self.function.values.len() {
                self.function.values.pop();
            }
            return incoming[0];
        }
        self.function.blocks[block.index()].params.push(param);
        for (idx, value) in incoming.into_iter().enumerate() {
            let predecessor = self.states[block.index()].predecessors[idx];
            self.pass(predecessor, block, value);
        }
        param
    }

    /// Passes a variable's value along every edge to a block that has a new parameter for it.
    fn pass_to(&mut self, block: Block, variable: Variable) {
        for predecessor in self.states[block.index()].predecessors.clone() {
            let value = self.read_in(predecessor, variable);
            self.pass(predecessor, block, value);
        }
    }

    /// One more argument from a block to another.
    fn pass(&mut self, from: Block, to: Block, value: Value) {
        for edge in self.function.blocks[from.index()].terminator.edges_mut() {
            if edge.block == to {
                edge.args.push(value);
            }
        }
    }

    /// What a variable reads as that was never written: zero. Only dead code and a loop's first
    /// round before the assignment ask for it.
    fn undefined(&mut self, block: Block) -> Value {
        let result = self.value(Type::I64);
        let inst = InstId(self.function.insts.len() as u32);
        self.function.insts.push(InstData { op: Op::Const(0), result: Some(result), span: self.span });
        self.function.blocks[block.index()].insts.insert(0, inst);
        result
    }
}
