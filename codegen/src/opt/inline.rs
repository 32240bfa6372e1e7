//! Calls that become the callee's code: those of small functions, and those of functions with one
//! call in all, unless they are cold. What is called no more afterwards is dropped.

use crate::ir::{Block, BlockData, Edge, Func, Function, InstData, InstId, Module, Op, Terminator, Value};
use std::collections::HashMap;

/// A function of this weight takes about as much as the call, with its moves and spills.
const SMALL: usize = 10;
/// What a call weighs: it clobbers six registers.
const CALL: usize = 4;

/// Inlines what is worth it. Lowering puts callees before their callers, so what is copied has what
/// it calls in it already.
pub fn inline(module: &mut Module) -> bool {
    let n_calls = count_calls(module);
    let (programs, subprograms): (Vec<usize>, Vec<usize>) =
        (0..module.functions.len()).partition(|&it| module.functions[it].probe.is_some());
    let mut changed = false;
    for idx in subprograms.into_iter().chain(programs) {
        changed |= inline_into(module, idx, &n_calls);
    }
    changed && drop_uncalled(module)
}

/// How often each function is called in the module's text.
fn count_calls(module: &Module) -> HashMap<Func, usize> {
    let mut n_calls = HashMap::new();
    for op in module.functions.iter().flat_map(ops) {
        if let Op::CallFunc(func, _) = op {
            *n_calls.entry(*func).or_insert(0) += 1;
        }
    }
    n_calls
}

fn ops(function: &Function) -> impl Iterator<Item = &Op> {
    function.blocks.iter().flat_map(|it| &it.insts).map(|it| &function.inst(*it).op)
}

fn inline_into(module: &mut Module, idx: usize, n_calls: &HashMap<Func, usize>) -> bool {
    let mut changed = false;
    let mut block = 0;
    // What stands behind an inlined call is a block of its own, and comes later.
    while block < module.functions[idx].blocks.len() {
        let function = &module.functions[idx];
        let wanted = |func: Func| {
            let callee = &module.functions[func.index()];
            func.index() != idx && !callee.cold && (n_calls.get(&func) == Some(&1) || weight(callee) <= SMALL)
        };
        let call = function.blocks[block]
            .insts
            .iter()
            .position(|it| matches!(function.inst(*it).op, Op::CallFunc(func, _) if wanted(func)));
        if let Some(at) = call {
            let inst = function.blocks[block].insts[at];
            let Op::CallFunc(func, args) = function.inst(inst).op.clone() else {
                unreachable!("it is a call")
            };
            let callee = module.functions[func.index()].clone();
            splice(&mut module.functions[idx], Block(block as u32), at, &callee, &args);
            changed = true;
        }
        block += 1;
    }
    changed
}

fn weight(function: &Function) -> usize {
    let weights = ops(function).map(|op| match op {
        Op::Const(_) => 0,
        Op::Call(..) | Op::CallFunc(..) => CALL,
        _ => 1,
    });
    weights.sum::<usize>() + function.blocks.len()
}

/// Puts a function's blocks in the place of a call of it.
fn splice(function: &mut Function, block: Block, at: usize, callee: &Function, args: &[Value]) {
    let names = Names::new(function, callee, args);
    function.values.extend(&callee.values);
    function.slots.extend(&callee.slots);
    let first = function.blocks.len() as u32;
    let behind = Block(first + callee.blocks.len() as u32);

    let data = &mut function.blocks[block.index()];
    let rest = data.insts.split_off(at + 1);
    let call = data.insts.pop().expect("the call stands there");
    let jump = Terminator::Jump(Edge { block: Block(first), args: Vec::new() });
    let (terminator, span) = (std::mem::replace(&mut data.terminator, jump), data.span);
    let InstData { result, span: call_span, .. } = function.insts[call.0 as usize];
    function.blocks[block.index()].span = call_span;

    for (idx, copied) in callee.blocks.iter().enumerate() {
        // The entry's parameters are the arguments.
        let params = if idx == 0 { Vec::new() } else { names.values(&copied.params) };
        let insts = copied.insts.iter().map(|it| copy(function, callee.inst(*it), &names)).collect();
        let terminator = names.terminator(&copied.terminator, first, behind, result.is_some());
        function.blocks.push(BlockData { params, insts, terminator, span: copied.span });
    }
    let params = result.into_iter().collect();
    function.blocks.push(BlockData { params, insts: rest, terminator, span });
}

fn copy(function: &mut Function, inst: &InstData, names: &Names) -> InstId {
    let mut op = inst.op.clone();
    op.operands_mut(|it| *it = names.value(*it));
    if let Op::SlotAddr(slot) = &mut op {
        slot.0 += names.first_slot;
    }
    let result = inst.result.map(|it| names.value(it));
    function.insts.push(InstData { op, result, span: inst.span });
    InstId(function.insts.len() as u32 - 1)
}

/// What the callee's values and slots are called in the caller.
struct Names {
    first_value: u32,
    first_slot: u32,
    args: HashMap<Value, Value>,
}

impl Names {
    fn new(function: &Function, callee: &Function, args: &[Value]) -> Names {
        let args = callee.blocks[0].params.iter().copied().zip(args.iter().copied()).collect();
        Names { first_value: function.values.len() as u32, first_slot: function.slots.len() as u32, args }
    }

    fn value(&self, value: Value) -> Value {
        self.args.get(&value).copied().unwrap_or(Value(value.0 + self.first_value))
    }

    fn values(&self, values: &[Value]) -> Vec<Value> {
        values.iter().map(|it| self.value(*it)).collect()
    }

    /// A `return` goes on behind the call.
    fn terminator(&self, of: &Terminator, first: u32, behind: Block, has_result: bool) -> Terminator {
        if let Terminator::Return(value) = of {
            let args = if has_result { vec![self.value(*value)] } else { Vec::new() };
            return Terminator::Jump(Edge { block: behind, args });
        }
        let mut terminator = of.clone();
        terminator.operands_mut(|it| *it = self.value(*it));
        for edge in terminator.edges_mut() {
            edge.block.0 += first;
            edge.args.iter_mut().for_each(|it| *it = self.value(*it));
        }
        terminator
    }
}

/// Drops subprograms that nothing names, and closes the gaps in the numbering.
fn drop_uncalled(module: &mut Module) -> bool {
    let mut named: Vec<bool> = module.functions.iter().map(|it| it.probe.is_some()).collect();
    let mut open: Vec<usize> = (0..named.len()).filter(|&it| named[it]).collect();
    while let Some(idx) = open.pop() {
        for op in ops(&module.functions[idx]) {
            if let Op::CallFunc(func, _) | Op::FuncAddr(func) = op
                && !std::mem::replace(&mut named[func.index()], true)
            {
                open.push(func.index());
            }
        }
    }
    let mut next = 0;
    let number = |it: &bool| {
        next += u32::from(*it);
        Func(next - u32::from(*it))
    };
    let numbers: Vec<Func> = named.iter().map(number).collect();
    let mut kept = named.iter();
    module.functions.retain(|_| kept.next().is_some_and(|it| *it));
    for inst in module.functions.iter_mut().flat_map(|it| &mut it.insts) {
        if let Op::CallFunc(func, _) | Op::FuncAddr(func) = &mut inst.op {
            *func = numbers[func.index()];
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{text, verify};
    use lang::Sources;

    fn check(before: &str, after: &str) {
        let mut module = text::parse(before).expect("well-formed");
        inline(&mut module);
        verify::verify(&module).expect("sound");
        assert_eq!(text::print(&module, &Sources::default()), after);
    }

    #[test]
    fn the_callee_stands_in_the_call_s_place() {
        check(
            "\
function p probe 0 {
    slot s0 8 align 8
b0(v0: ctx):
    v1 = const 7
    v2 = call f1(v1, v1)
    v3 = neg v2
    return v3
}

function f {
    slot s0 4 align 4
b0(v0: i64, v1: i64):
    v2 = slot_addr s0
    branch eq v0, v1, b1(v0), b2
b1(v3: i64):
    return v3
b2:
    return v1
}
",
            "\
function p probe 0 {
    slot s0 8 align 8
    slot s1 4 align 4
b0(v0: ctx):
    v1 = const 7
    jump b1
b1:
    v6 = slot_addr s1
    branch eq v1, v1, b2(v1), b3
b2(v7: i64):
    jump b4(v7)
b3:
    jump b4(v1)
b4(v2: i64):
    v3 = neg v2
    return v3
}
",
        );
    }

    #[test]
    fn large_functions_with_many_callers_stay() {
        let body = "    v1 = neg v0\n".to_owned()
            + &(2..14).map(|it| format!("    v{it} = neg v{}\n", it - 1)).collect::<String>();
        let large = format!("function large {{\nb0(v0: i64):\n{body}    return v13\n}}\n");
        let program = |calls: &str| {
            format!("function p probe 0 {{\nb0(v0: ctx):\n    v1 = const 7\n{calls}    return v1\n}}\n\n")
        };
        // The first is called once, so it goes, and the second gets its number.
        let once = "function once {\nb0(v0: i64):\n    v1 = neg v0\n    return v1\n}\n\n";
        let before = program("    call f2(v1)\n    call f1(v1)\n    call f2(v1)\n") + once + &large;
        let after = "function p probe 0 {\nb0(v0: ctx):\n    v1 = const 7\n    call f1(v1)\n    jump b1\n\
                     b1:\n    v3 = neg v1\n    jump b2\nb2:\n    call f1(v1)\n    return v1\n}\n\n"
            .to_owned()
            + &large;
        check(&before, &after);
    }

    #[test]
    fn addresses_count_as_names() {
        let text = "function p probe 0 {\nb0(v0: ctx):\n    v1 = func_addr f1\n    return v1\n}\n\n\
                    function f {\nb0(v0: i64):\n    return v0\n}\n";
        check(text, text);
    }
}
