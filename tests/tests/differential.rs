//! A small dose of the differential test, in the user-space machine. The large one, on the kernel,
//! is the stage `differential` of tests/run.

use kscope_tests::differential::{self, Bench};
use std::path::Path;

/// The same programs in every run; the stages on kernels take new ones every day.
const SEED: u64 = 20_000_000;
const PROGRAMS: u64 = 160;

#[test]
fn programs_do_what_they_mean() {
    let report = differential::run(&Bench::machine(), SEED, PROGRAMS);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/differential");
    if let Err(said) = report.judge(&folder) {
        panic!("{said}");
    }
}
