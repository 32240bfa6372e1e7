//! Functions of the script as subprograms.
//!
//! A subprogram takes its first four scalars in registers, and behind them the address of its
//! *frame*, a part of the caller's scratch memory:
//!
//! | offset | what | when |
//! | --- | --- | --- |
//! | 0 | a word that is 1 once the program is to end | it may come upon an `exit()` |
//! | … | the result | it is no scalar, or a loop may return it |
//! | … | parameters | no scalars, or behind the fourth |
//! | … | the function's own scratch memory | it needs some |
//!
//! Frames so lie behind one another as on a stack, in the memory of whichever program runs: programs
//! that interrupt one another may be in one function at a time. A function that needs none of this
//! takes no frame.

use super::memory::Memory;
use super::nesting::Nesting;
use super::stmt::addressed;
use super::{Body, Builder, Context, Local, packet, uses};
use crate::ir::{self, Cond, Func, Op, Region, Type, Value};
use crate::visit;
use lang::hir::{self, Expr, FunctionId, LocalId, Stmt, StmtKind};
use lang::ty::Ty;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Parameters in registers. eBPF has five; the last one is for the frame.
const MOST_IN_REGISTERS: usize = 4;

/// What the frame is called where names are shown.
pub const FRAME: &str = "frame";

/// The symbol of a function of the script.
pub fn symbol(function: &hir::Function) -> String {
    format!("fn_{}", function.name)
}

/// What a function's registers hold: parameters, and behind them the frame if it takes one.
pub fn register_names(function: &hir::Function) -> Vec<String> {
    let scalars = function.params().iter().filter(|it| it.ty.is_scalar()).take(MOST_IN_REGISTERS);
    let names = scalars.map(|it| it.name.trim_start_matches('$').to_owned());
    names.chain([FRAME.to_owned()]).collect()
}

/// A function that was lowered.
#[derive(Clone)]
pub struct Subprogram {
    func: Func,
    layout: Layout,
    /// Bytes of its frame with everything in it; 0 when it takes none.
    frame: u32,
}

/// What callers put where.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Whether the frame begins with the word that tells the end of the program.
    may_end: bool,
    /// Where the result is, unless it is in a register or there is none.
    result: Option<u32>,
    params: Vec<Passing>,
    /// Bytes of all this.
    size: u32,
}

/// Where a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passing {
    /// In the next register.
    Register,
    /// At an offset of the frame; scalars take 8 bytes.
    Frame(u32),
}

impl Layout {
    fn of(cx: &Context, function: &hir::Function) -> Layout {
        let mut size = 0;
        let mut take = |bytes: u32| {
            size += bytes.next_multiple_of(8);
            size - bytes.next_multiple_of(8)
        };
        let may_end = may_end(cx.program, function);
        if may_end {
            take(8);
        }
        let result = &function.result;
        // A round of a loop may be a function of its own, whose caller is the kernel.
        let in_memory = match result {
            Ty::Void => false,
            ty => !ty.is_scalar() || returns_in_loop(function),
        };
        let result = in_memory.then(|| take(cx.size_of(result).max(8)));
        let mut in_registers = 0;
        let mut pass = |param: &hir::Local| {
            if !param.ty.is_scalar() {
                return Passing::Frame(take(cx.size_of(&param.ty)));
            }
            in_registers += 1;
            if in_registers <= MOST_IN_REGISTERS { Passing::Register } else { Passing::Frame(take(8)) }
        };
        let params = function.params().iter().map(&mut pass).collect();
        Layout { may_end, result, params, size }
    }

    fn n_registers(&self) -> usize {
        self.params.iter().filter(|it| **it == Passing::Register).count()
    }
}

/// Whether the function, or one that it calls, has an `exit()`.
fn may_end(program: &hir::Program, function: &hir::Function) -> bool {
    let mut found = false;
    for body in visit::reached(program, &function.body) {
        visit::each_stmt(body, &mut |it| found |= matches!(it.kind, StmtKind::End), &mut |_| {});
    }
    found
}

/// How often the function mentions each of its variables: parameters once before its body, so that no
/// round of a loop has one for itself.
fn mentions(function: &hir::Function) -> BTreeMap<LocalId, usize> {
    let mut mentions = uses::mentions(uses::Parts::body(&function.body));
    for idx in 0..function.n_params {
        *mentions.entry(LocalId(idx as u32)).or_insert(0) += 1;
    }
    mentions
}

/// Whether the function has a `return` in a loop.
fn returns_in_loop(function: &hir::Function) -> bool {
    let mut found = false;
    let mut on_return = |it: &Stmt| found |= matches!(it.kind, StmtKind::ReturnValue(_));
    let mut on_loop = |it: &Stmt| {
        if let StmtKind::While { body, .. }
        | StmtKind::ForRange { body, .. }
        | StmtKind::ForMap { body, .. } = &it.kind
        {
            visit::each_stmt(body, &mut on_return, &mut |_| {});
        }
    };
    visit::each_stmt(&function.body, &mut on_loop, &mut |_| {});
    found
}

impl Context<'_> {
    /// The subprogram of a function, made when it is first called.
    fn subprogram(&mut self, id: FunctionId) -> Subprogram {
        if let Some(known) = self.called.get(&id) {
            return known.clone();
        }
        let function = &self.program.functions[id.0 as usize];
        let layout = Layout::of(self, function);
        let (lowered, frame) = Body::lower_function(self, function, layout.clone());
        self.refuse_function(&lowered);
        let subprogram = Subprogram { func: self.add_subprogram(lowered), layout, frame };
        self.called.insert(id, subprogram.clone());
        subprogram
    }
}

impl<'a, 'c> Body<'a, 'c> {
    /// Lowers a function; also gives the bytes of its frame.
    fn lower_function(
        cx: &'c mut Context<'a>,
        function: &'a hir::Function,
        layout: Layout,
    ) -> (ir::Function, u32) {
        let n_registers = layout.n_registers();
        let mut types = vec![Type::I64; n_registers];
        types.push(Type::Ptr(Region::MapValue));
        let b = Builder::new(symbol(function), None, types, function.span);
        let frame = b.params()[n_registers];
        let mut body = Body {
            cx,
            probe: None,
            declared: &function.locals,
            b,
            // Nothing in a function asks for the context.
            ctx: frame,
            // Nor does it look scratch memory up, which is what depends on the class.
            nesting: Nesting::Alone,
            reads_name: false,
            scratch: Some(frame),
            scratch_base: 0,
            scratch_used: layout.size,
            scratch_peak: layout.size,
            locals: Vec::new(),
            loops: Vec::new(),
            packet: packet::Packet::default(),
            layout: None,
            mentions: Rc::new(mentions(function)),
            round: None,
        };
        let start = body.b.block();
        body.b.start_unsealed(start);
        body.receive(&layout, function);
        body.layout = Some(layout);
        body.stmts(&function.body);
        body.return_default();
        body.b.set_span(function.span);
        body.enter(start);
        let mut lowered = body.b.finish();
        if body.scratch_peak == 0 {
            lowered.params.pop();
            lowered.blocks[0].params.pop();
        }
        (lowered, body.scratch_peak)
    }

    /// Makes the parameters variables, and the others that the function has.
    fn receive(&mut self, layout: &Layout, function: &hir::Function) {
        let frame = self.ctx;
        let addressed = addressed(&function.body);
        let has_address = |idx: usize| addressed.contains(&LocalId(idx as u32));
        let mut registers = self.b.params().to_vec().into_iter();
        for (idx, (param, passing)) in function.params().iter().zip(&layout.params).enumerate() {
            let local = match *passing {
                Passing::Frame(offset) if !param.ty.is_scalar() => {
                    Local::Memory(Memory { ptr: frame, offset: offset as i32, align: 8 })
                }
                passing => {
                    let value = match (passing, registers.next()) {
                        (Passing::Register, Some(register)) => register,
                        (Passing::Frame(offset), _) => self.b.load(8, false, frame, offset as i32),
                        (Passing::Register, None) => unreachable!("each has a register"),
                    };
                    let local = self.local(&param.ty, has_address(idx));
                    match local {
                        Local::Variable(variable) => self.b.write(variable, value),
                        Local::Memory(to) => {
                            self.b.store(self.int_ty(&param.ty).size, to.ptr, to.offset, value)
                        }
                    }
                    local
                }
            };
            self.locals.push(local);
        }
        for (idx, it) in function.locals.iter().enumerate().skip(function.n_params) {
            let local = self.local(&it.ty, has_address(idx));
            self.locals.push(local);
        }
    }

    /// Calls a function whose result is a scalar or nothing.
    pub fn call(&mut self, id: FunctionId, args: &[Expr]) -> Value {
        let used = self.scratch_used;
        let result = self.cx.subprogram(id).layout.result;
        let (value, frame) = self.call_with_frame(id, args);
        self.scratch_used = used;
        match result {
            Some(offset) => self.b.load(8, false, frame.ptr, frame.at(offset).offset),
            None => value,
        }
    }

    /// Calls a function whose result is in memory: there until the end of the statement.
    pub fn call_for_place(&mut self, id: FunctionId, args: &[Expr]) -> Memory {
        let offset = self.cx.subprogram(id).layout.result.unwrap_or(0);
        let (_, frame) = self.call_with_frame(id, args);
        frame.at(offset)
    }

    fn call_with_frame(&mut self, id: FunctionId, args: &[Expr]) -> (Value, Memory) {
        let Subprogram { func, layout, frame: size } = self.cx.subprogram(id);
        let frame = self.frame(size);
        if layout.may_end {
            let zero = self.b.constant(0);
            self.b.store(8, frame.ptr, frame.offset, zero);
        }
        let mut passed = Vec::new();
        for (arg, passing) in args.iter().zip(&layout.params) {
            match *passing {
                Passing::Register => passed.push(self.number(arg)),
                Passing::Frame(offset) if arg.ty.is_scalar() => {
                    let value = self.number(arg);
                    let to = frame.at(offset);
                    self.b.store(8, to.ptr, to.offset, value);
                }
                Passing::Frame(offset) => self.lower_into(arg, frame.at(offset)),
            }
        }
        if size > 0 {
            passed.push(self.address(frame));
        }
        let value = self.b.op(Op::CallFunc(func, passed));
        if layout.may_end {
            self.pass_end_on(frame);
        }
        (value, frame)
    }

    /// Memory for a callee's frame; nowhere when it takes none.
    fn frame(&mut self, size: u32) -> Memory {
        if size == 0 {
            return Memory { ptr: self.ctx, offset: 0, align: 8 };
        }
        let frame = self.scratch(self.scratch_used);
        self.scratch_used += size;
        self.scratch_peak = self.scratch_peak.max(self.scratch_used);
        frame
    }

    /// Ends this function too when the callee ended the program.
    fn pass_end_on(&mut self, frame: Memory) {
        let ended = self.b.load(8, false, frame.ptr, frame.offset);
        let zero = self.b.constant(0);
        let (end, go_on) = (self.b.block(), self.b.block());
        self.b.branch(Cond::Ne, ended, zero, end, go_on);
        self.b.start(end);
        self.end_program();
        self.b.start(go_on);
    }

    /// Ends the program, from wherever it is.
    pub fn end_program(&mut self) {
        if self.layout.as_ref().is_some_and(|it| it.may_end) {
            let one = self.b.constant(1);
            self.b.store(8, self.ctx, 0, one);
        }
        self.return_default();
    }

    /// Leaves the function with its result.
    pub fn return_value(&mut self, value: &Expr) {
        let Some(offset) = self.layout.as_ref().and_then(|it| it.result) else {
            let result = self.number(value);
            return self.b.ret(result);
        };
        let to = Memory { ptr: self.ctx, offset: offset as i32, align: 8 };
        if value.ty.is_scalar() {
            let value = self.number(value);
            self.b.store(8, to.ptr, to.offset, value);
        } else {
            self.lower_into(value, to);
        }
        self.leave(0);
    }
}
