//! All cases, by subject.

mod commandline;
mod differential;
mod documents;
mod errors;
mod events;
mod functions;
mod imports;
mod language;
mod lifecycle;
mod loops;
mod losses;
mod network;
mod objects;
mod privileges;
mod repl;
mod scripts;
mod settings;
mod subprograms;
mod tracing;
mod usdt;

use crate::harness::Case;

pub use objects::SCRIPT as OBJECT_SCRIPT;
pub use privileges::print_mine as print_privileges;

/// Every case.
pub fn all() -> Vec<Case> {
    [
        tracing::CASES,
        imports::CASES,
        usdt::CASES,
        language::CASES,
        subprograms::CASES,
        loops::CASES,
        lifecycle::CASES,
        losses::CASES,
        errors::CASES,
        events::CASES,
        functions::CASES,
        network::CASES,
        objects::CASES,
        repl::CASES,
        scripts::CASES,
        scripts::KERNEL_CASES,
        settings::CASES,
        documents::CASES,
        commandline::CASES,
        differential::CASES,
        privileges::CASES,
    ]
    .into_iter()
    .flat_map(|cases| cases.iter().map(|it| Case { ..*it }))
    .collect()
}
