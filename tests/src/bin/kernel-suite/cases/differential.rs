//! A small dose of the differential test, for the kernels of the virtual machines: generated programs
//! are accepted by their verifiers and do what they mean. The large one is a program of its own.

use crate::harness::{Case, Outcome};
use kscope_tests::differential::{self, Bench};
use std::path::Path;

/// The cases.
pub const CASES: &[Case] =
    &[Case { name: "random programs do what they mean", needs: &[], run: random_programs }];

/// Enough for a minute of an emulated processor.
const PROGRAMS: u64 = 160;

fn random_programs() -> Outcome {
    let seed = differential::todays_seed();
    let report = differential::run(&Bench::kernel(), seed, PROGRAMS);
    let folder = std::env::temp_dir().join("differential");
    report.judge(Path::new(&folder)).map(|_| ()).map_err(|said| format!("DIFFERENTIAL_SEED={seed}: {said}"))
}
