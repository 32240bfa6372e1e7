//! The rules of the IR, and a check of them that runs between passes in tests and debug builds.
//!
//! Control flow
//! * A function has an entry, block 0; no edge leads to it, and its parameters are the function's.
//! * An edge's block exists and takes as many arguments, of the same types, as the edge passes.
//!
//! Values
//! * A value is defined once: by one instruction or as one block's parameter.
//! * A use is dominated by its definition, in blocks that the entry reaches.
//! * An instruction stands in one place. It has a result unless it is a store, an atomic add
//!   without fetch (which never have) or a call (which may).
//!
//! Types and memory
//! * Arithmetic is on numbers; only within a packet may two pointers be subtracted.
//! * `load`, `store` and `atomic_add` go through pointers to the stack, a map value, the packet
//!   or (not `atomic_add`) the context; a context access is aligned to its width.
//! * Access to a slot by its own address stays within the slot and is aligned to its width, as
//!   the kernel asks of the stack.
//! * A pointer that may be null is only compared with null, made `non_null`, or passed along an
//!   edge. A map is only a helper's argument, a packet's end is only compared and subtracted.
//! * A pointer is stored whole, 8 bytes wide. One that is loaded comes from the context (to the
//!   packet) or from the stack (to the stack, a map value or the context), where a caller left it.
//! * A helper gets its number of arguments, and none that may be null or a packet's end.
//! * What a function returns is a number.
//!
//! Names
//! * Slots, maps, accesses and functions that code names exist; a `map_value_addr` lies within
//!   the map's value; a slot's size is not 0 and its alignment is 1, 2, 4 or 8.
//! * Function names are unique, `[A-Za-z0-9_]`.

use super::flow::Flow;
use super::*;
use std::collections::HashSet;

/// Checks a module; the error names function, block and rule.
pub fn verify(module: &Module) -> Result<(), String> {
    let mut names = HashSet::new();
    for function in &module.functions {
        let name = &function.name;
        let well_formed = !name.is_empty() && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
        if !well_formed || !names.insert(name) {
            return Err(format!("function `{name}`: the name is not a unique identifier"));
        }
        verify_function(module, function).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

/// Checks one function of a module.
pub fn verify_function(module: &Module, function: &Function) -> Result<(), String> {
    verify_structure(function)?;
    let flow = Flow::new(function);
    let definitions = Definitions::find(function)?;
    let checker = Checker { module, function, flow: &flow, definitions: &definitions };
    for slot in &function.slots {
        ensure(slot.size > 0 && matches!(slot.align, 1 | 2 | 4 | 8), || "a slot's size or alignment".into())?;
    }
    for &block in &flow.order {
        checker.block(block).map_err(|error| format!("{block}: {error}"))?;
    }
    Ok(())
}

fn ensure(holds: bool, error: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(error()) }
}

/// Everything that later checks index by: blocks, instructions and values that exist.
fn verify_structure(function: &Function) -> Result<(), String> {
    let entry = function.blocks.first().ok_or("there is no entry block")?;
    let mut placed = HashSet::new();
    for (idx, block) in function.blocks.iter().enumerate() {
        let at = |error: String| format!("b{idx}: {error}");
        for &inst in &block.insts {
            let data = function.insts.get(inst.0 as usize);
            let data = data.ok_or_else(|| at(format!("instruction {} does not exist", inst.0)))?;
            ensure(placed.insert(inst), || at(format!("instruction {} stands twice", inst.0)))?;
            verify_values(function, data.op.operands().iter().chain(&data.result)).map_err(at)?;
        }
        verify_values(function, block.params.iter().chain(&block.terminator.operands())).map_err(at)?;
        for edge in block.terminator.edges() {
            verify_values(function, &edge.args).map_err(at)?;
            verify_edge(function, edge).map_err(at)?;
        }
    }
    let types = entry.params.iter().map(|&it| function.ty(it));
    ensure(types.eq(function.params.iter().copied()), || {
        "the entry's parameters are not the function's".into()
    })
}

fn verify_values<'a>(function: &Function, values: impl IntoIterator<Item = &'a Value>) -> Result<(), String> {
    for value in values {
        ensure(value.index() < function.values.len(), || format!("{value} does not exist"))?;
    }
    Ok(())
}

fn verify_edge(function: &Function, edge: &Edge) -> Result<(), String> {
    let to = edge.block;
    ensure(to.index() != 0, || "an edge leads to the entry".into())?;
    let target = function.blocks.get(to.index()).ok_or_else(|| format!("{to} does not exist"))?;
    ensure(edge.args.len() == target.params.len(), || {
        format!("{to} takes {} arguments, {} are passed", target.params.len(), edge.args.len())
    })?;
    for (&arg, &param) in edge.args.iter().zip(&target.params) {
        let types = (function.values.get(arg.index()), function.values.get(param.index()));
        ensure(matches!(types, (Some(a), Some(b)) if a.ty == b.ty), || {
            format!("{arg} does not have the type of {to}'s parameter {param}")
        })?;
    }
    Ok(())
}

/// Where each value is defined.
struct Definitions {
    /// Block and place in it: 0 for parameters, else 1 + the instruction's place.
    places: Vec<Option<(Block, usize)>>,
    /// The instruction that defines it, if one does.
    insts: Vec<Option<InstId>>,
}

impl Definitions {
    fn find(function: &Function) -> Result<Definitions, String> {
        let n_values = function.values.len();
        let mut found = Definitions { places: vec![None; n_values], insts: vec![None; n_values] };
        for (idx, block) in function.blocks.iter().enumerate() {
            let id = Block(idx as u32);
            for &param in &block.params {
                found.add(param, (id, 0))?;
            }
            for (place, &inst) in block.insts.iter().enumerate() {
                if let Some(result) = function.inst(inst).result {
                    found.add(result, (id, 1 + place))?;
                    found.insts[result.index()] = Some(inst);
                }
            }
        }
        Ok(found)
    }

    fn add(&mut self, value: Value, place: (Block, usize)) -> Result<(), String> {
        let old = self.places[value.index()].replace(place);
        ensure(old.is_none(), || format!("{value} is defined twice"))
    }
}

struct Checker<'a> {
    module: &'a Module,
    function: &'a Function,
    flow: &'a Flow,
    definitions: &'a Definitions,
}

impl Checker<'_> {
    fn block(&self, id: Block) -> Result<(), String> {
        let block = self.function.block(id);
        for (place, &inst) in block.insts.iter().enumerate() {
            let inst = self.function.inst(inst);
            let name = || match inst.result {
                Some(result) => format!("{result}: "),
                None => String::new(),
            };
            self.uses(&inst.op.operands(), (id, 1 + place))
                .and_then(|()| self.op(&inst.op))
                .and_then(|()| self.result(inst))
                .map_err(|error| format!("{}{error}", name()))?;
        }
        let end = (id, 1 + block.insts.len());
        self.uses(&block.terminator.operands(), end)?;
        for edge in block.terminator.edges() {
            self.uses(&edge.args, end)?;
        }
        match block.terminator {
            Terminator::Branch { cond, left, right, .. } => self.compare(cond, left, right),
            Terminator::Return(value) => self.number(value),
            Terminator::Jump(_) | Terminator::LoopGuard { .. } => Ok(()),
        }
    }

    fn uses(&self, values: &[Value], at: (Block, usize)) -> Result<(), String> {
        for &value in values {
            let definition = self.definitions.places[value.index()];
            let (block, place) = definition.ok_or_else(|| format!("{value} is not defined"))?;
            let dominated = match block == at.0 {
                true => place < at.1,
                false => self.flow.dominates(block, at.0),
            };
            ensure(dominated, || format!("{value} is used where its definition does not reach"))?;
        }
        Ok(())
    }

    fn number(&self, value: Value) -> Result<(), String> {
        ensure(self.function.ty(value) == Type::I64, || format!("{value} is not a number"))
    }

    fn op(&self, op: &Op) -> Result<(), String> {
        match op {
            Op::Const(_) => Ok(()),
            Op::Binary(BinOp::Sub, a, b) if self.both_packet(*a, *b) => Ok(()),
            Op::Binary(_, a, b) => self.number(*a).and(self.number(*b)),
            Op::Neg(a) | Op::Not(a) => self.number(*a),
            Op::Bswap(bits, a) => ensure(matches!(bits, 16 | 32 | 64), || format!("bswap of {bits} bits"))
                .and_then(|()| self.number(*a)),
            Op::Zext(bits, a) | Op::Sext(bits, a) => {
                ensure(matches!(bits, 8 | 16 | 32), || format!("extension of {bits} bits"))
                    .and_then(|()| self.number(*a))
            }
            Op::Compare(cond, a, b) => self.compare(*cond, *a, *b),
            Op::SlotAddr(slot) => {
                ensure(slot.index() < self.function.slots.len(), || format!("{slot} does not exist"))
            }
            Op::MapAddr(map) => self.map(*map).map(drop),
            Op::MapValueAddr(map, offset) => {
                let value_size = self.map(*map)?.value_size;
                ensure(*offset < value_size, || format!("{offset} is not within {map}'s value"))
            }
            Op::PtrAdd(ptr, offset) => self.pointer(*ptr).and(self.number(*offset)),
            Op::NonNull(ptr) => ensure(self.function.ty(*ptr) == Type::Ptr(Region::MaybeNull), || {
                format!("{ptr} is never null")
            }),
            Op::Load { width, ptr, offset, ty, .. } => self.load(*width, *ptr, *offset, *ty),
            Op::Store { width, ptr, offset, value } => {
                let whole = *width == 8 || self.function.ty(*value) == Type::I64;
                ensure(whole, || format!("a part of the pointer {value} is stored"))?;
                let storable = !self.is(*value, &[Region::Map, Region::MaybeNull, Region::PacketEnd]);
                ensure(storable, || format!("{value} may not be stored"))?;
                ensure(!self.is(*ptr, &[Region::Kernel]), || format!("{ptr} is only read"))?;
                self.access(*width, *ptr, *offset)
            }
            Op::AtomicAdd { width, ptr, offset, value, .. }
            | Op::AtomicSwap { width, ptr, offset, value } => {
                ensure(matches!(width, 4 | 8), || format!("an atomic access of {width} bytes"))?;
                ensure(!self.is(*ptr, &[Region::Ctx, Region::Packet, Region::Kernel]), || {
                    format!("{ptr} is not stack or map value")
                })?;
                self.access(*width, *ptr, *offset).and(self.number(*value))
            }
            Op::FieldOffset(access) => {
                ensure(access.index() < self.module.accesses.len(), || format!("{access} does not exist"))
            }
            Op::FuncAddr(func) => {
                let callee = self.module.functions.get(func.index());
                ensure(callee.is_some_and(|it| it.probe.is_none()), || format!("{func} is no subprogram"))
            }
            Op::Call(helper, args) => self.call(*helper, args),
            Op::CallFunc(func, args) => self.call_func(*func, args),
        }
    }

    fn is(&self, value: Value, regions: &[Region]) -> bool {
        matches!(self.function.ty(value), Type::Ptr(region) if regions.contains(&region))
    }

    fn both_packet(&self, a: Value, b: Value) -> bool {
        let packet = &[Region::Packet, Region::PacketEnd];
        self.is(a, packet) && self.is(b, packet)
    }

    /// A pointer that arithmetic and accesses may use.
    fn pointer(&self, value: Value) -> Result<(), String> {
        let known = [Region::Stack, Region::MapValue, Region::Ctx, Region::Packet, Region::Kernel];
        ensure(self.is(value, &known), || format!("{value} does not point to known memory"))
    }

    fn map(&self, map: Map) -> Result<&KernelMap, String> {
        self.module.maps.get(map.index()).ok_or_else(|| format!("{map} does not exist"))
    }

    fn load(&self, width: u8, ptr: Value, offset: i32, ty: Type) -> Result<(), String> {
        let holder: &[Region] = match ty {
            Type::I64 => return self.access(width, ptr, offset),
            Type::Ptr(Region::Packet | Region::PacketEnd) => &[Region::Ctx],
            Type::Ptr(Region::Stack | Region::MapValue | Region::Ctx) if width == 8 => &[Region::Stack],
            Type::Ptr(_) => &[],
        };
        ensure(self.is(ptr, holder), || format!("{ptr} holds no such pointer"))?;
        self.access(width, ptr, offset)
    }

    fn access(&self, width: u8, ptr: Value, offset: i32) -> Result<(), String> {
        ensure(matches!(width, 1 | 2 | 4 | 8), || format!("an access of {width} bytes"))?;
        self.pointer(ptr)?;
        if self.is(ptr, &[Region::Ctx]) {
            ensure(offset % i32::from(width) == 0, || {
                format!("a context access at {offset} is not aligned")
            })?;
        }
        match self.slot_place(ptr) {
            Some((slot, place)) => self.slot_access(width, slot, place.saturating_add(offset.into())),
            None => Ok(()),
        }
    }

    /// The slot and the offset in it that a pointer names, if both are plain to see.
    fn slot_place(&self, ptr: Value) -> Option<(&SlotData, i64)> {
        match self.definition(ptr)? {
            Op::SlotAddr(slot) => Some((self.function.slots.get(slot.index())?, 0)),
            Op::PtrAdd(base, by) => {
                let (slot, place) = self.slot_place(*base)?;
                match self.definition(*by)? {
                    Op::Const(by) => Some((slot, place.saturating_add(*by))),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn slot_access(&self, width: u8, slot: &SlotData, place: i64) -> Result<(), String> {
        let inside = place >= 0 && place.saturating_add(width.into()) <= slot.size.into();
        ensure(inside, || format!("an access at {place} is not within its slot of {} bytes", slot.size))?;
        let aligned = place % i64::from(width) == 0 && u32::from(width) <= slot.align;
        ensure(aligned, || format!("a stack access of {width} bytes at {place} is not aligned"))
    }

    fn definition(&self, value: Value) -> Option<&Op> {
        self.definitions.insts[value.index()].map(|it| &self.function.inst(it).op)
    }

    fn compare(&self, cond: Cond, left: Value, right: Value) -> Result<(), String> {
        let same = self.function.ty(left) == self.function.ty(right);
        if same && self.function.ty(left) == Type::I64 {
            return Ok(());
        }
        let equality = matches!(cond, Cond::Eq | Cond::Ne);
        let allowed = if self.is(left, &[Region::MaybeNull]) {
            equality && self.is_null(right)
        } else if self.both_packet(left, right) {
            cond != Cond::Test
        } else {
            equality && same && self.pointer(left).is_ok()
        };
        ensure(allowed, || format!("{left} and {right} may not be compared so"))
    }

    fn is_null(&self, value: Value) -> bool {
        self.definition(value) == Some(&Op::Const(0))
    }

    fn call(&self, helper: Helper, args: &[Value]) -> Result<(), String> {
        let (name, arity) = (helper.name(), helper.arity());
        ensure(args.len() == arity, || format!("{name} takes {arity} arguments, {} are passed", args.len()))?;
        for &arg in args {
            let allowed = !self.is(arg, &[Region::MaybeNull, Region::PacketEnd]);
            ensure(allowed, || format!("{arg} may not be an argument"))?;
        }
        Ok(())
    }

    fn call_func(&self, func: Func, args: &[Value]) -> Result<(), String> {
        let callee = self.module.functions.get(func.index());
        let callee = callee.ok_or_else(|| format!("{func} does not exist"))?;
        ensure(callee.probe.is_none(), || format!("{func} is a program"))?;
        let types = args.iter().map(|&it| self.function.ty(it));
        ensure(types.eq(callee.params.iter().copied()) && args.len() <= 5, || {
            format!("the arguments are not those of {}", callee.name)
        })
    }

    fn result(&self, inst: &InstData) -> Result<(), String> {
        let never = matches!(inst.op, Op::Store { .. } | Op::AtomicAdd { fetch: false, .. });
        let optional =
            matches!(inst.op, Op::Call(..) | Op::CallFunc(..) | Op::AtomicAdd { .. } | Op::AtomicSwap { .. });
        let Some(result) = inst.result else {
            return ensure(never || optional, || "the result is missing".into());
        };
        ensure(!never, || "there is no result".into())?;
        let expected = inst.op.result_type(|it| self.function.ty(it));
        ensure(self.function.ty(result) == expected, || format!("the result is not {expected:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str) -> Result<(), String> {
        let text = format!(
            "map counts: hash key 8 value 8 entries 1 flags 0\nfunction p probe 0 {{\nslot s0 8 align 8\n{body}\n}}"
        );
        verify(&text::parse(&text).expect("well-formed"))
    }

    #[test]
    fn a_sound_function_passes() {
        let body = "b0(v0: ctx):
            v1 = const 0
            v2 = slot_addr s0
            store.64 v2+0, v1
            v3 = map_addr counts
            v4 = call map_lookup_elem(v3, v2)
            branch eq v4, v1, b2(v1), b1
            b1:
            v5 = non_null v4
            atomic_add.64 v5+0, v1
            jump b2(v1)
            b2(v6: i64):
            return v6";
        assert_eq!(check(body), Ok(()));
    }

    #[test]
    fn each_rule_is_checked() {
        for (body, error) in [
            ("b0:\njump b0", "b0: an edge leads to the entry"),
            ("b0:\njump b7", "b0: b7 does not exist"),
            ("b0:\nv0 = const 1\njump b1(v0)\nb1:\nreturn v0", "b0: b1 takes 0 arguments, 1 are passed"),
            (
                "b0(v0: ctx):\njump b1(v0)\nb1(v1: i64):\nreturn v1",
                "b0: v0 does not have the type of b1's parameter v1",
            ),
            (
                "b0:\nv1 = neg v0\nv0 = const 1\nreturn v0",
                "b0: v1: v0 is used where its definition does not reach",
            ),
            ("b0:\nv0 = const 1\nv0 = const 2\nreturn v0", "v0 is defined twice"),
            ("b0:\nv0 = const 1\nreturn v9", "b0: v9 does not exist"),
            (
                "b0(v0: i64):\nbranch eq v0, v0, b1, b2\nb1:\nv1 = const 1\njump b2\nb2:\nreturn v1",
                "b2: v1 is used where its definition does not reach",
            ),
            ("b0(v0: ctx):\nv1 = neg v0\nreturn v1", "b0: v1: v0 is not a number"),
            ("b0(v0: ctx):\nreturn v0", "b0: v0 is not a number"),
            ("b0(v0: i64):\nv1 = load.u64 v0+0\nreturn v1", "b0: v1: v0 does not point to known memory"),
            ("b0(v0: ctx):\nv1 = load.u64 v0+4\nreturn v1", "b0: v1: a context access at 4 is not aligned"),
            (
                "b0:\nv0 = slot_addr s0\nv1 = load.u64 v0+4\nreturn v1",
                "b0: v1: an access at 4 is not within its slot of 8 bytes",
            ),
            ("b0:\nv0 = slot_addr s3\nv1 = const 1\nreturn v1", "b0: v0: s3 does not exist"),
            (
                "b0:\nv0 = call get_stackid()\nreturn v0",
                "b0: v0: get_stackid takes 3 arguments, 0 are passed",
            ),
            (
                "b0:\nv0 = slot_addr s0\nv1 = const 2\nv2 = ptr_add v0, v1\nv3 = load.u32 v2+0\nreturn v3",
                "b0: v3: a stack access of 4 bytes at 2 is not aligned",
            ),
            (
                "b0:\nv0 = slot_addr s0\nstore.32 v0+0, v0\nv1 = const 1\nreturn v1",
                "b0: a part of the pointer v0 is stored",
            ),
            (
                "b0(v0: stack):\nv1 = map_addr counts\nv2 = call map_lookup_elem(v1, v0)\nv3 = load.u8 v2+0\nreturn v3",
                "b0: v3: v2 does not point to known memory",
            ),
        ] {
            assert_eq!(check(body), Err(format!("p: {error}")), "{body}");
        }
    }
}
