//! Passes over the IR. Each is a free function that changes one function of a module and says
//! whether it did; [`optimize`] is their list. Between two turns of them calls are inlined.
//!
//! What every pass leaves as it is
//! * A map value's null check and the `non_null` behind it.
//! * The comparison that bounds a variable offset: it stays on the very value that is added to
//!   the pointer, because the verifier does not see that another value is the same number.
//! * Effects and their order.

pub mod branches;
pub mod clean;
pub mod common;
pub mod dead;
pub mod fold;
pub mod inline;
pub mod lookups;

use crate::ir::{Function, Module, verify};
use crate::target::Target;

type Pass = fn(&mut Function) -> bool;

/// In the order in which they are run; each makes work for the next.
const PASSES: &[(&str, Pass)] = &[
    ("fold", fold::fold),
    ("common", common::eliminate),
    ("lookups", lookups::share),
    ("branches", branches::simplify),
    ("dead", dead::remove),
];

/// After so many rounds the rest is not worth the time.
const ROUNDS: usize = 4;

/// Runs all passes, again while they find something.
pub fn optimize(module: Module, target: &Target) -> Module {
    let _ = target;
    let mut module = module;
    // How large a subprogram is shows when it is done.
    for idx in 0..module.functions.len() {
        if module.functions[idx].probe.is_none() {
            run(&mut module, idx);
        }
    }
    inline::inline(&mut module);
    for idx in 0..module.functions.len() {
        check(&module, idx, "inline");
        run(&mut module, idx);
    }
    module
}

/// Runs the passes over one function.
fn run(module: &mut Module, idx: usize) {
    for _ in 0..ROUNDS {
        let mut changed = false;
        for (name, pass) in PASSES {
            changed |= pass(&mut module.functions[idx]);
            check(module, idx, name);
        }
        if !changed {
            break;
        }
    }
}

/// In tests and debug builds the rules of the IR hold after every pass.
fn check(module: &Module, idx: usize, pass: &str) {
    if cfg!(debug_assertions)
        && let Err(error) = verify::verify_function(module, &module.functions[idx])
    {
        panic!("bug in pass `{pass}`: {}: {error}", module.functions[idx].name);
    }
}

#[cfg(test)]
mod tests {
    use crate::ir::{Function, text};
    use lang::Sources;

    /// Runs a pass on the blocks of a function and compares what comes out.
    pub fn check(pass: impl Fn(&mut Function) -> bool, body: &str, expected: &str) {
        let wrap = |body: &str| {
            let lines = body.lines().map(str::trim).filter(|it| !it.is_empty());
            let lines: Vec<String> =
                lines.map(|it| if it.ends_with(':') { it.to_owned() } else { format!("    {it}") }).collect();
            format!(
                "map m: hash key 8 value 8 entries 1 flags 0x0\n\nfunction f probe 0 {{\n{}\n}}\n",
                lines.join("\n")
            )
        };
        let mut module = text::parse(&wrap(body)).expect("well-formed");
        pass(&mut module.functions[0]);
        crate::ir::verify::verify(&module).expect("sound");
        assert_eq!(text::print(&module, &Sources::default()), wrap(expected), "{body}");
    }
}
