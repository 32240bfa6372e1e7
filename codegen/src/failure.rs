//! What a running program reports of itself: the places of a script where something may go wrong
//! at run time, as lowering finds them.
//!
//! The list goes through IR and code into the manifest unchanged. A program sends a record of 16
//! bytes: the place's index behind the ids of all actions (u64) and the helper's return code (i64).

use crate::helpers::Helper;
use lang::Span;
use serde::{Deserialize, Serialize};

/// A place where a program may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Failure {
    /// How.
    pub kind: FailureKind,
    /// The script text that fails.
    pub span: Span,
}

/// How a program fails. None of these ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FailureKind {
    /// A helper refused; the record has what it returned. Only with `-k`.
    Helper(Helper),
    /// A division or remainder by 0, which gives 1.
    DivisionByZero,
    /// An index behind the end of an array, which reads as 0.
    OutOfBounds,
    /// A loop had more rounds to go when the kernel's limit was reached, which ends it.
    TooManyRounds,
}

impl FailureKind {
    /// The name in listings: a helper's, or a word of its own.
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::Helper(helper) => helper.name(),
            FailureKind::DivisionByZero => "division_by_zero",
            FailureKind::OutOfBounds => "out_of_bounds",
            FailureKind::TooManyRounds => "too_many_rounds",
        }
    }

    /// The kind of that name.
    pub fn find(name: &str) -> Option<FailureKind> {
        let helpers = Helper::ALL.iter().map(|it| FailureKind::Helper(*it));
        [FailureKind::DivisionByZero, FailureKind::OutOfBounds, FailureKind::TooManyRounds]
            .into_iter()
            .chain(helpers)
            .find(|it| it.name() == name)
    }
}
