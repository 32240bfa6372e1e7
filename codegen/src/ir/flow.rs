//! The shape of a function's control flow: predecessors, order, dominance.
//!
//! Comes in: a function. Goes out: facts about its blocks; nothing is changed. Blocks that the
//! entry does not reach are not in the order and have no facts.

use super::{Block, Function};
use std::ops::Range;

/// What is known of a function's blocks.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Blocks that the entry reaches, in reverse post-order: each after its dominators.
    pub order: Vec<Block>,
    /// For each block its predecessors among the reached blocks, once per edge.
    pub predecessors: Vec<Vec<Block>>,
    /// For each block its place in `order`.
    place: Vec<Option<usize>>,
    /// For each place in `order` the place of the immediate dominator; the entry has itself.
    dominator: Vec<usize>,
    /// For each place where the blocks that it dominates are in a walk down the tree of dominators.
    below: Vec<Range<usize>>,
}

impl Flow {
    /// Computes the facts. Edges to blocks that do not exist are passed over.
    pub fn new(function: &Function) -> Flow {
        let order = reverse_post_order(function);
        let mut place = vec![None; function.blocks.len()];
        for (idx, block) in order.iter().enumerate() {
            place[block.index()] = Some(idx);
        }
        let mut predecessors = vec![Vec::new(); function.blocks.len()];
        for &block in &order {
            for target in successors(function, block) {
                predecessors[target.index()].push(block);
            }
        }
        let dominator = dominators(&order, &place, &predecessors);
        let below = below(&dominator);
        Flow { order, predecessors, place, dominator, below }
    }

    /// The most branches on a way through the function that enters no block twice.
    pub fn longest_chain(&self, function: &Function) -> usize {
        let mut chains = vec![0; self.order.len()];
        for place in 0..self.order.len() {
            let targets = successors(function, self.order[place]);
            let chain = chains[place] + usize::from(targets.len() > 1);
            for below in targets.into_iter().filter_map(|it| self.place(it)).filter(|it| *it > place) {
                chains[below] = chain.max(chains[below]);
            }
        }
        chains.into_iter().max().unwrap_or(0)
    }

    /// Whether the entry reaches the block.
    pub fn reaches(&self, block: Block) -> bool {
        self.place[block.index()].is_some()
    }

    /// The block's place in [`Flow::order`].
    pub fn place(&self, block: Block) -> Option<usize> {
        self.place[block.index()]
    }

    /// The nearest block that every way to `block` passes; none for the entry.
    pub fn immediate_dominator(&self, block: Block) -> Option<Block> {
        let place = self.place(block)?;
        (place > 0).then(|| self.order[self.dominator[place]])
    }

    /// Whether every way from the entry to `below` passes `above` (a block dominates itself).
    pub fn dominates(&self, above: Block, below: Block) -> bool {
        let (Some(above), Some(below)) = (self.place(above), self.place(below)) else { return false };
        self.below[above].contains(&self.below[below].start)
    }
}

/// The targets of a block's edges that exist, in order.
pub fn successors(function: &Function, block: Block) -> Vec<Block> {
    let edges = function.block(block).terminator.edges();
    edges.into_iter().map(|edge| edge.block).filter(|to| to.index() < function.blocks.len()).collect()
}

fn reverse_post_order(function: &Function) -> Vec<Block> {
    if function.blocks.is_empty() {
        return Vec::new();
    }
    let mut seen = vec![false; function.blocks.len()];
    seen[0] = true;
    let mut stack = vec![(Block(0), successors(function, Block(0)))];
    let mut order = Vec::new();
    while let Some((block, rest)) = stack.last_mut() {
        // The last successor is visited first, so that the first comes first in the order.
        match rest.pop() {
            Some(next) if !seen[next.index()] => {
                seen[next.index()] = true;
                stack.push((next, successors(function, next)));
            }
            Some(_) => {}
            None => {
                order.push(*block);
                stack.pop();
            }
        }
    }
    order.reverse();
    order
}

/// Cooper, Harvey and Kennedy's iteration: walk both fingers up until they meet.
fn dominators(order: &[Block], place: &[Option<usize>], predecessors: &[Vec<Block>]) -> Vec<usize> {
    let mut dominator: Vec<Option<usize>> = vec![None; order.len()];
    if let Some(entry) = dominator.first_mut() {
        *entry = Some(0);
    }
    let mut changed = true;
    while changed {
        changed = false;
        for idx in 1..order.len() {
            let known = predecessors[order[idx].index()]
                .iter()
                .filter_map(|it| place[it.index()])
                .filter(|&it| dominator[it].is_some());
            let new = known.reduce(|left, right| meet(&dominator, left, right));
            if new != dominator[idx] {
                dominator[idx] = new;
                changed = true;
            }
        }
    }
    dominator.into_iter().map(|it| it.unwrap_or(0)).collect()
}

/// Numbers the tree of dominators from the top: each block, then all that it dominates.
fn below(dominator: &[usize]) -> Vec<Range<usize>> {
    let mut sizes = vec![1; dominator.len()];
    // Dominators come first in the order.
    for place in (1..dominator.len()).rev() {
        sizes[dominator[place]] += sizes[place];
    }
    let mut ranges: Vec<Range<usize>> = Vec::with_capacity(dominator.len());
    let mut free = vec![0; dominator.len()];
    for place in 0..dominator.len() {
        let above = dominator[place];
        let start = free[above];
        free[above] += sizes[place];
        free[place] = start + 1;
        ranges.push(start..start + sizes[place]);
    }
    ranges
}

fn meet(dominator: &[Option<usize>], mut left: usize, mut right: usize) -> usize {
    while left != right {
        if left > right {
            left = dominator[left].unwrap_or(0);
        } else {
            right = dominator[right].unwrap_or(0);
        }
    }
    left
}
