//! All cases, by subject.

mod errors;
mod language;
mod lifecycle;
mod losses;
mod network;
mod objects;
mod tracing;

use crate::harness::Case;

pub use objects::SCRIPT as OBJECT_SCRIPT;

/// Every case.
pub fn all() -> Vec<Case> {
    [
        tracing::CASES,
        language::CASES,
        lifecycle::CASES,
        losses::CASES,
        errors::CASES,
        network::CASES,
        objects::CASES,
    ]
    .into_iter()
    .flat_map(|cases| cases.iter().map(|it| Case { ..*it }))
    .collect()
}
