//! Look-ups: where several look up one key of a map, and nothing between them adds or removes
//! entries of that map, only the first is made. The entry's value is read again each time.
//!
//! Another CPU may remove the entry in between; all then see it as the first one did.

use super::clean;
use crate::helpers::Helper;
use crate::ir::flow::Flow;
use crate::ir::{Block, Function, Map, Op, Slot, Value};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// The look-ups made so far, by map and key.
type Known = HashMap<(Map, Vec<Part>), Vec<(Place, Value)>>;

/// Replaces repeated look-ups by the first one's result.
pub fn share(function: &mut Function) -> bool {
    let flow = Flow::new(function);
    let facts = Facts::find(function);
    let mut known = Known::new();
    let mut same = HashMap::new();
    for &block in &flow.order {
        for (idx, &inst) in function.block(block).insts.iter().enumerate() {
            let inst = function.inst(inst);
            let (Op::Call(Helper::MapLookupElem, args), Some(result)) = (&inst.op, inst.result) else {
                continue;
            };
            let here = Place { block, idx };
            let (Some(map), Some(key)) = (facts.map(args[0]), facts.key(&flow, args[1], here)) else {
                continue;
            };
            let above = known.entry((map, key)).or_default();
            let first = above.iter().rev().find(|(it, _)| flow.dominates(it.block, block));
            let known = first.filter(|(first, _)| !facts.changes_between(&flow, map, *first, here));
            let entry = known.map_or(result, |(_, entry)| *entry);
            if entry != result {
                same.insert(result, entry);
            }
            // The next one need not look further back than here.
            above.push((here, entry));
        }
    }
    for block in &mut function.blocks {
        block.insts.retain(|it| {
            function.insts[it.0 as usize].result.is_none_or(|result| !same.contains_key(&result))
        });
    }
    clean::replace(function, &same);
    !same.is_empty()
}

/// Where an instruction stands.
#[derive(Clone, Copy)]
struct Place {
    block: Block,
    idx: usize,
}

/// A part of a key: offset, width and what is stored there.
type Part = (i32, u8, Content);

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Content {
    Number(i64),
    Value(Value),
}

#[derive(Default)]
struct Facts {
    maps: HashMap<Value, Map>,
    numbers: HashMap<Value, i64>,
    slots: HashMap<Value, Slot>,
    /// What is stored to each slot, and where.
    stores: HashMap<Slot, Vec<(Place, Part)>>,
    /// Slots that something else may write.
    shared: HashSet<Slot>,
    /// Where in a block entries are added or removed, and of which map (`None`: of any).
    changes: HashMap<Block, Vec<(usize, Option<Map>)>>,
    /// The maps of all changes.
    changed: HashSet<Option<Map>>,
}

impl Facts {
    fn find(function: &Function) -> Facts {
        let mut facts = Facts::default();
        for &inst in function.blocks.iter().flat_map(|it| &it.insts) {
            let inst = function.inst(inst);
            let Some(result) = inst.result else { continue };
            match inst.op {
                Op::MapAddr(map) => drop(facts.maps.insert(result, map)),
                Op::Const(number) => drop(facts.numbers.insert(result, number)),
                Op::SlotAddr(slot) => drop(facts.slots.insert(result, slot)),
                _ => {}
            }
        }
        for (block, data) in function.blocks.iter().enumerate() {
            let block = Block(block as u32);
            for (idx, &inst) in data.insts.iter().enumerate() {
                facts.visit(&function.inst(inst).op, Place { block, idx });
            }
            let edges = data.terminator.edges();
            let args = edges.iter().flat_map(|it| &it.args);
            let escaping = args.filter_map(|it| facts.slots.get(it).copied());
            facts.shared.extend(escaping.collect::<Vec<_>>());
        }
        facts
    }

    fn visit(&mut self, op: &Op, here: Place) {
        let mut only_read = Vec::new();
        match op {
            Op::Load { ptr, .. } => only_read.push(*ptr),
            Op::Store { ptr, offset, width, value } => {
                if let Some(slot) = self.slots.get(ptr) {
                    let part = (*offset, *width, self.content(*value));
                    self.stores.entry(*slot).or_default().push((here, part));
                }
                only_read.push(*ptr);
            }
            Op::Call(Helper::MapLookupElem | Helper::MapLookupPercpuElem, args) => only_read.push(args[1]),
            Op::Call(Helper::MapUpdateElem | Helper::MapDeleteElem, args) => {
                only_read.extend(&args[1..]);
                self.change(here, self.maps.get(&args[0]).copied());
            }
            Op::Call(Helper::ForEachMapElem | Helper::Loop, _) | Op::CallFunc(..) => {
                self.change(here, None);
            }
            _ => {}
        }
        let other = op.operands().into_iter().filter(|it| !only_read.contains(it));
        self.shared.extend(other.filter_map(|it| self.slots.get(&it)));
    }

    fn change(&mut self, here: Place, map: Option<Map>) {
        self.changes.entry(here.block).or_default().push((here.idx, map));
        self.changed.insert(map);
    }

    fn content(&self, value: Value) -> Content {
        self.numbers.get(&value).map_or(Content::Value(value), |it| Content::Number(*it))
    }

    fn map(&self, value: Value) -> Option<Map> {
        self.maps.get(&value).copied()
    }

    /// What is in the slot that is used as a key, when every store to it is done by then.
    fn key(&self, flow: &Flow, key: Value, here: Place) -> Option<Vec<Part>> {
        let slot = self.slots.get(&key).filter(|it| !self.shared.contains(it))?;
        let stores = self.stores.get(slot)?;
        let done = |place: &Place| match place.block == here.block {
            true => place.idx < here.idx,
            false => flow.dominates(place.block, here.block),
        };
        let mut parts = Vec::new();
        for (place, part) in stores {
            let again = parts
                .iter()
                .any(|it: &Part| it.0 < part.0 + i32::from(part.1) && part.0 < it.0 + i32::from(it.1));
            if again || !done(place) {
                return None;
            }
            parts.push(*part);
        }
        parts.sort();
        Some(parts)
    }

    /// Whether entries of `map` may be added or removed on a way from `first` to `then`.
    /// `first` dominates `then`, so what leads to the one and not through the other lies between them.
    fn changes_between(&self, flow: &Flow, map: Map, first: Place, then: Place) -> bool {
        if !self.changed.contains(&None) && !self.changed.contains(&Some(map)) {
            return false;
        }
        let changes = |block: Block, range: Range<usize>| {
            let mut changes = self.changes.get(&block).into_iter().flatten();
            changes.any(|(idx, it)| range.contains(idx) && it.is_none_or(|it| it == map))
        };
        if first.block == then.block {
            return changes(first.block, first.idx..then.idx);
        }
        changes(first.block, first.idx..usize::MAX)
            || changes(then.block, 0..then.idx)
            || between(flow, first.block, then.block).into_iter().any(|it| changes(it, 0..usize::MAX))
    }
}

/// The blocks that lead to `then` without passing `first`.
fn between(flow: &Flow, first: Block, then: Block) -> HashSet<Block> {
    let mut found = HashSet::new();
    let mut open = flow.predecessors[then.index()].clone();
    while let Some(block) = open.pop() {
        if block != first && found.insert(block) {
            open.extend(&flow.predecessors[block.index()]);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    /// Two look-ups of a key, with `between` in between and `second` as the second key's value.
    fn body(between: &str, second: &str, entry: &str, call: &str) -> String {
        format!(
            "slot s0 8 align 8\nslot s1 8 align 8\nb0:\nv0 = call get_current_pid_tgid()\nv1 = slot_addr s0\n\
             store.64 v1+0, v0\nv2 = map_addr m\nv3 = call map_lookup_elem(v2, v1)\n{between}v4 = const 0\n\
             branch eq v3, v4, b2, b1\nb1:\nv5 = slot_addr s1\nstore.64 v5+0, {second}\nv6 = map_addr m\n\
             {call}branch eq {entry}, v4, b2, b3\nb2:\nreturn v4\nb3:\nv8 = non_null {entry}\n\
             v9 = load.u64 v8+0\nreturn v9"
        )
    }

    #[test]
    fn the_first_look_up_stands_for_the_second() {
        let call = "v7 = call map_lookup_elem(v6, v5)\n";
        let change = "call map_delete_elem(v2, v1)\n";
        for (between, second, shared) in [("", "v0", true), ("", "v4", false), (change, "v0", false)] {
            let expected = match shared {
                true => body(between, second, "v3", ""),
                false => body(between, second, "v7", call),
            };
            check(super::share, &body(between, second, "v7", call), &expected);
        }
    }
}
