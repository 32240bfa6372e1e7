//! Passes over the IR: each is a free function that improves one function and says whether it
//! changed anything. [`optimize`] is their list.
//!
//! What no pass may do: move or repeat an effect, move a load across an effect, separate a
//! pointer that may be null from its check, or change which register the verifier sees
//! compared before an access.

mod branches;
mod common;
mod dead;
mod fold;
mod rewrite;

use crate::ir::{Function, Module};
use crate::target::Target;

/// A pass: true when it changed the function.
type Pass = fn(&mut Function) -> bool;

const PASSES: &[(&str, Pass)] = &[
    ("fold", fold::fold_constants),
    ("common", common::eliminate_common),
    ("branches", branches::simplify_branches),
    ("dead", dead::eliminate_dead),
];

/// Rounds of all passes; each round finds what the one before laid open. Real programs settle
/// after two or three.
const MOST_ROUNDS: usize = 8;

/// Runs all passes until nothing changes.
pub fn optimize(mut module: Module, _target: &Target) -> Module {
    for index in 0..module.functions.len() {
        for _ in 0..MOST_ROUNDS {
            let mut changed = false;
            for (name, pass) in PASSES {
                changed |= pass(&mut module.functions[index]);
                check(&module, index, name);
            }
            if !changed {
                break;
            }
        }
    }
    module
}

/// In debug builds: the rules of the IR hold behind every pass.
fn check(module: &Module, index: usize, pass: &str) {
    if cfg!(debug_assertions)
        && let Err(error) = crate::ir::verify::verify_function(module, &module.functions[index])
    {
        panic!("pass `{pass}` broke a rule of the IR: {error}");
    }
}
