//! Loops whose rounds are calls: `bpf_loop` and `bpf_for_each_map_elem` run a function as often as
//! they are told, so the verifier looks at the body once however many rounds there are.
//!
//! Comes in: a loop's body and what it runs over. Goes out: a subprogram that is one round, and in
//! the function around it the call. What a round needs of that function lies in words on its stack,
//! whose address the kernel passes on: what the variables hold, addresses of those kept in memory,
//! the context, what is known of the packet, scratch memory. A round reads them when it starts, and
//! writes the variables that it may have assigned back when it ends.
//!
//! The first word says how the loop ended: a `break`, or a `return` that goes on in the function
//! around it once the kernel is back there.

use super::builder::{Builder, Variable};
use super::memory::Memory;
use super::packet::Packet;
use super::stmt::Loop;
use super::uses::{self, Parts};
use super::{Body, Local};
use crate::ir::{BinOp, Block, Cond, Func, Op, Region, Type, Value};
use lang::hir::LocalId;
use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

/// What a round returns: the kernel goes on, or does not.
const GO_ON: i64 = 0;
const STOP: i64 = 1;
/// The first word: no round wanted anything else, one did `break`, or one ended the program, with
/// its result added.
const RUNS: i64 = 0;
const BROKEN: i64 = 1;
const LEFT: i64 = 2;

/// What a function that is one round knows of the loop.
pub struct Round {
    /// Where every round ends; takes what it returns.
    end: Block,
    /// Where the last round ends; takes the first word.
    stop: Block,
    /// The results that it ends the program with.
    results: BTreeSet<i64>,
}

/// Something of the function around the loop that a round uses.
struct Capture {
    outer: Outer,
    /// What it is in the round.
    inner: Value,
    /// The variable of the round that is written back.
    assigned: Option<Variable>,
}

/// What a word is made of.
#[derive(Clone, Copy)]
enum Outer {
    Value(Value),
    Variable(Variable),
    Scratch,
}

/// A round that is lowered.
struct Lowered {
    func: Func,
    captures: Vec<Capture>,
    results: BTreeSet<i64>,
    scratch_peak: u32,
}

impl<'a> Body<'a, '_> {
    /// Ends the program with a result.
    pub fn leave(&mut self, result: i64) {
        let Some(round) = &mut self.round else {
            let result = self.b.constant(result);
            return self.b.ret(result);
        };
        round.results.insert(result);
        let stop = round.stop;
        let state = self.b.constant(LEFT + result);
        self.b.jump(stop, &[state]);
    }

    /// Lowers a loop to a call that runs its rounds.
    ///
    /// A round is a function of `params` and of the address of the words; `lower` makes its body
    /// from these parameters and `inputs`, values of the function around it. `run` makes the call,
    /// given the function and the address, or several calls, with [`Body::unless_broken`] between.
    pub fn repeat(
        &mut self,
        parts: Parts<'_>,
        params: &[Type],
        inputs: &[Value],
        lower: impl FnOnce(&mut Body<'a, '_>, &[Value], &[Value]),
        run: impl FnOnce(&mut Self, Value, Value),
    ) {
        self.blur_assigned(parts, None);
        let lowered = self.round(parts, params, inputs, lower);
        self.scratch_peak = self.scratch_peak.max(lowered.scratch_peak);
        let words = self.b.slot(8 * (1 + lowered.captures.len() as u32), 8);
        let words = self.b.op(Op::SlotAddr(words));
        let runs = self.b.constant(RUNS);
        self.b.store(8, words, 0, runs);
        for (idx, capture) in lowered.captures.iter().enumerate() {
            let value = match capture.outer {
                Outer::Value(value) => value,
                Outer::Variable(variable) => self.b.read(variable),
                Outer::Scratch => self.scratch(0).ptr,
            };
            self.b.store(8, words, word(idx), value);
        }
        let func = self.b.op(Op::FuncAddr(lowered.func));
        run(self, func, words);
        for (idx, capture) in lowered.captures.iter().enumerate() {
            if let (Outer::Variable(variable), Some(_)) = (capture.outer, capture.assigned) {
                let value = self.b.load(8, false, words, word(idx));
                self.b.write(variable, value);
            }
        }
        self.leave_after(words, &lowered.results);
    }

    /// Goes on only when no round wanted the loop to end.
    pub fn unless_broken(&mut self, words: Value, f: impl FnOnce(&mut Self)) {
        let (more, done) = (self.b.block(), self.b.block());
        let state = self.b.load(8, false, words, 0);
        let runs = self.b.constant(RUNS);
        self.b.branch(Cond::Eq, state, runs, more, done);
        self.b.start(more);
        f(self);
        self.b.jump(done, &[]);
        self.b.start(done);
    }

    /// Ends the program as a round wanted it.
    fn leave_after(&mut self, words: Value, results: &BTreeSet<i64>) {
        if results.is_empty() {
            return;
        }
        let state = self.b.load(8, false, words, 0);
        for &result in results {
            let (leave, stay) = (self.b.block(), self.b.block());
            let left = self.b.constant(LEFT + result);
            self.b.branch(Cond::Eq, state, left, leave, stay);
            self.b.start(leave);
            self.leave(result);
            self.b.start(stay);
        }
    }

    /// Lowers one round to a function of its own.
    fn round(
        &mut self,
        parts: Parts<'_>,
        params: &[Type],
        inputs: &[Value],
        lower: impl FnOnce(&mut Body<'a, '_>, &[Value], &[Value]),
    ) -> Lowered {
        let mut captures = Captures::default();
        self.cx.n_rounds += 1;
        let types = params.iter().copied().chain([Type::Ptr(Region::Stack)]).collect();
        let mut b = Builder::new(format!("round{}", self.cx.n_rounds), None, types, self.b.span());
        let [start, next, broken, end, stop] = std::array::from_fn(|_| b.block());
        let ctx = captures.add(&mut b, Outer::Value(self.ctx), self.b.ty(self.ctx));
        let mut inner = Body {
            cx: &mut *self.cx,
            probe: self.probe,
            declared: self.declared,
            b,
            ctx,
            scratch: None,
            scratch_base: self.scratch_base,
            nesting: self.nesting,
            reads_name: self.reads_name,
            scratch_used: self.scratch_used,
            scratch_peak: self.scratch_peak,
            locals: Vec::new(),
            loops: vec![Loop { next, done: broken }],
            packet: Packet::default(),
            layout: self.layout.clone(),
            mentions: Rc::clone(&self.mentions),
            round: Some(Round { end, stop, results: BTreeSet::new() }),
        };
        inner.b.start_unsealed(start);
        inner.share_locals(&self.locals, self.scratch, parts, &mut captures);
        inner.packet = inner.share_packet(&self.packet, self.scratch, parts, &mut captures);
        let hand_over = |&it: &Value| match self.b.as_const(it) {
            Some(number) => inner.b.constant(number),
            None => captures.add(&mut inner.b, Outer::Value(it), self.b.ty(it)),
        };
        let inputs: Vec<Value> = inputs.iter().map(hand_over).collect();
        let given = inner.b.params().to_vec();
        lower(&mut inner, &given, &inputs);
        inner.end_round(start, [next, broken], given[params.len()], &mut captures);

        let Body { cx, b, round, scratch_peak, .. } = inner;
        let function = b.finish();
        cx.refuse_function(&function);
        let results = round.map_or(BTreeSet::new(), |it| it.results);
        Lowered { func: cx.add_subprogram(function), captures: captures.all, results, scratch_peak }
    }

    /// Gives a round the variables that it uses. Those that nothing outside of it uses are its own.
    fn share_locals(
        &mut self,
        outer: &[Local],
        scratch: Option<Value>,
        parts: Parts<'_>,
        captures: &mut Captures,
    ) {
        let (mentions, assigned) = (uses::mentions(parts), uses::assigned(parts));
        for (idx, &local) in outer.iter().enumerate() {
            let id = LocalId(idx as u32);
            let mentioned = mentions.get(&id);
            let own = mentioned == self.mentions.get(&id);
            let local = match local {
                // Nothing reads or writes it.
                _ if mentioned.is_none() => Local::Variable(self.b.variable(Type::I64)),
                Local::Variable(_) if own => Local::Variable(self.b.variable(Type::I64)),
                Local::Variable(variable) => {
                    let inner = self.b.variable(Type::I64);
                    let value = captures.add(&mut self.b, Outer::Variable(variable), Type::I64);
                    captures.assign(inner, assigned.contains(&id));
                    self.b.write(inner, value);
                    Local::Variable(inner)
                }
                Local::Memory(memory) if own && Some(memory.ptr) != scratch => {
                    self.local(&self.declared[idx].ty, true)
                }
                Local::Memory(memory) => Local::Memory(self.share_memory(memory, scratch, captures)),
            };
            self.locals.push(local);
        }
    }

    /// What is known of the packet, as far as a round uses it.
    fn share_packet(
        &mut self,
        outer: &Packet,
        scratch: Option<Value>,
        parts: Parts<'_>,
        captures: &mut Captures,
    ) -> Packet {
        let wanted = uses::headers(parts);
        let mut share = |body: &mut Self, value| captures.add(&mut body.b, Outer::Value(value), Type::I64);
        let mut packet = Packet::default();
        for header in &wanted.headers {
            if let Some(&value) = outer.present.get(header) {
                packet.present.insert(*header, share(self, value));
            }
        }
        for field in &wanted.fields {
            if let Some(&value) = outer.values.get(field) {
                packet.values.insert(*field, share(self, value));
            }
        }
        for field in &wanted.fields {
            if let Some(&memory) = outer.memories.get(field) {
                packet.memories.insert(*field, self.share_memory(memory, scratch, captures));
            }
        }
        packet
    }

    /// Memory of the function around the loop: scratch memory, or on its stack.
    fn share_memory(&mut self, memory: Memory, scratch: Option<Value>, captures: &mut Captures) -> Memory {
        if Some(memory.ptr) == scratch {
            return Memory { align: memory.align, ..self.scratch(memory.offset as u32) };
        }
        let ptr = captures.add(&mut self.b, Outer::Value(memory.ptr), Type::Ptr(Region::Stack));
        Memory { ptr, ..memory }
    }

    /// Ends a round, and begins it: only now it is known which words it reads.
    fn end_round(&mut self, start: Block, [next, broken]: [Block; 2], words: Value, captures: &mut Captures) {
        let Some(&Round { end, stop, .. }) = self.round.as_ref() else { return };
        let (result, state) = (self.b.param(end, Type::I64), self.b.param(stop, Type::I64));
        self.b.jump(next, &[]);
        self.b.start(next);
        let go_on = self.b.constant(GO_ON);
        self.b.jump(end, &[go_on]);
        self.b.start(broken);
        let broke = self.b.constant(BROKEN);
        self.b.jump(stop, &[broke]);
        self.b.start(stop);
        self.b.store(8, words, 0, state);
        let halt = self.b.constant(STOP);
        self.b.jump(end, &[halt]);

        captures.keep_used(&self.b.used());
        if let Some(inner) = self.scratch {
            captures.all.push(Capture { outer: Outer::Scratch, inner, assigned: None });
        }
        self.b.start(end);
        self.write_back(words, captures);
        self.b.ret(result);

        self.b.start_entry();
        for (idx, &Capture { inner, .. }) in captures.all.iter().enumerate() {
            let ty = self.b.ty(inner);
            self.b.define(inner, Op::Load { width: 8, signed: false, ptr: words, offset: word(idx), ty });
        }
        self.b.jump(start, &[]);
        self.b.seal(start);
    }

    /// Writes the variables back that the round assigns, blurred: newer kernels look at a round
    /// again until it changes nothing that they know.
    fn write_back(&mut self, words: Value, captures: &Captures) {
        let assigned = captures.all.iter().enumerate().filter_map(|(idx, it)| Some((idx, it.assigned?)));
        let assigned: Vec<(usize, Variable)> = assigned.collect();
        if assigned.is_empty() {
            return;
        }
        let zero = self.unknown_zero();
        for (idx, variable) in assigned {
            let value = self.b.read(variable);
            let value = self.b.binary(BinOp::Add, value, zero);
            self.b.store(8, words, word(idx), value);
        }
    }
}

/// What a round captures, in the order of its words.
#[derive(Default)]
struct Captures {
    all: Vec<Capture>,
}

impl Captures {
    fn add(&mut self, b: &mut Builder, outer: Outer, ty: Type) -> Value {
        let inner = b.promised(ty);
        self.all.push(Capture { outer, inner, assigned: None });
        inner
    }

    /// Says that the last one is held by a variable of the round, and whether that is written back.
    fn assign(&mut self, variable: Variable, assigned: bool) {
        if let Some(last) = self.all.last_mut().filter(|_| assigned) {
            last.assigned = Some(variable);
        }
    }

    /// Forgets what the round does not use after all.
    fn keep_used(&mut self, used: &HashSet<Value>) {
        self.all.retain(|it| it.assigned.is_some() || used.contains(&it.inner));
    }
}

/// Where a captured thing's word is.
fn word(idx: usize) -> i32 {
    8 * (1 + idx as i32)
}
