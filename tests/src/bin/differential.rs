//! The differential test on the running kernel, as root: `differential` or, in the user-space
//! machine, `differential machine`.
//!
//! `DIFFERENTIAL_SEED` is the first seed (the day, by default), `DIFFERENTIAL_PROGRAMS` how many
//! programs there are (20,000), `DIFFERENTIAL_FOLDER` where failing ones are saved
//! (`target/differential`). `differential show` prints the programs instead.

use kscope_tests::differential::{self, Bench};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let seed = differential::todays_seed();
    let programs = number("DIFFERENTIAL_PROGRAMS").unwrap_or(20_000);
    let command = std::env::args().nth(1).unwrap_or_default();
    if command == "show" {
        for seed in seed..seed.saturating_add(programs) {
            println!("{}", differential::generate::generate(seed, "", true).text());
        }
        return ExitCode::SUCCESS;
    }
    let bench = if command == "machine" { Bench::machine() } else { Bench::kernel() };
    println!("DIFFERENTIAL_SEED={seed} DIFFERENTIAL_PROGRAMS={programs}");
    let folder = std::env::var("DIFFERENTIAL_FOLDER").unwrap_or_else(|_| "target/differential".to_owned());
    let start = Instant::now();
    let report = differential::run(&bench, seed, programs);
    match report.judge(Path::new(&folder)) {
        Ok(said) => {
            println!("ok: {said}, in {} s", start.elapsed().as_secs());
            ExitCode::SUCCESS
        }
        Err(said) => {
            println!("FAILED: {said}, in {} s", start.elapsed().as_secs());
            ExitCode::FAILURE
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
