//! Which values outlast a block, as far as the IR can tell before selection folds things.

use crate::emit::index_set::IndexSet;
use crate::ir::flow::{Flow, successors};
use crate::ir::{Block, Function};

/// For each block the values that are used after it: not by its own instructions or edges.
pub fn lasting(function: &Function, flow: &Flow) -> Vec<IndexSet> {
    let empty = IndexSet::default();
    let mut live_in = vec![empty.clone(); function.blocks.len()];
    let mut live_out = vec![empty; function.blocks.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for &block in flow.order.iter().rev() {
            for target in successors(function, block) {
                changed |= live_out[block.index()].union(&live_in[target.index()]);
            }
            let live = at_start(function, block, live_out[block.index()].clone());
            changed |= live_in[block.index()].union(&live);
        }
    }
    live_out
}

fn at_start(function: &Function, block: Block, mut live: IndexSet) -> IndexSet {
    let block = function.block(block);
    let args = block.terminator.edges().into_iter().flat_map(|it| it.args.clone());
    for value in block.terminator.operands().into_iter().chain(args) {
        live.insert(value.index());
    }
    for &inst in block.insts.iter().rev() {
        let inst = function.inst(inst);
        if let Some(result) = inst.result {
            live.remove(result.index());
        }
        for value in inst.op.operands() {
            live.insert(value.index());
        }
    }
    for param in &block.params {
        live.remove(param.index());
    }
    live
}
