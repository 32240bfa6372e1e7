//! The differential test: random programs, each evaluated directly on its typed tree and run as
//! the compiler makes it. Whatever the maps hold in the end must be the same.
//!
//! Comes in: a seed, how many programs, and a [`Bench`] that runs objects: the user-space machine
//! or the running kernel. Goes out: every program that differs, is refused or fails, cut down to
//! what matters. The program of a seed is the same in every run: programs are run many at once, as
//! probes of one script, and the script's settings follow from its first seed.

pub mod evaluate;
pub mod execute;
pub mod generate;
pub mod random;
pub mod shrink;
pub mod syntax;

use crate::machine::Machine;
use codegen::Target;
use codegen::target::KernelVersion;
use execute::{Failure, Kind, Setting};
use random::Random;
use runtime::backend::Backend;
use runtime::linux::{LinuxBackend, host_target};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use syntax::Node;

/// From here on loops are made so that the verifier does not follow them round by round. Before, a
/// few of them are too much for it: readings of aggregations go over all possible processors.
const ROUNDS_NOT_FOLLOWED: KernelVersion = KernelVersion(6, 9);

/// Programs in one script. A script's seeds begin at a multiple of this.
pub const BATCH: u64 = 16;

/// Failing programs after which a run gives up: they have one cause as often as not.
const MOST_FAILURES: usize = 10;

/// A batch that takes longer is told, so that it can be looked into.
const SLOW: Duration = Duration::from_secs(10);

/// Lines of a failing script that are shown; all of it is saved.
const MOST_LINES_SHOWN: usize = 60;

/// Where objects run.
pub struct Bench {
    /// The kernels that code is made for, by turns.
    pub targets: Vec<Target>,
    /// A fresh place to load an object into.
    pub backend: fn() -> Box<dyn Backend>,
    /// Whether a verifier looks at programs, which some are too long for.
    pub verifies: bool,
    /// How many threads run scripts.
    pub threads: usize,
}

/// What a run found.
#[derive(Debug, Default)]
pub struct Report {
    /// Programs that ran.
    pub programs: u64,
    /// Programs that the compiler refused with a message, and those that the kernel's verifier found
    /// too complex, by the message: both should be rare.
    pub refused: BTreeMap<String, u64>,
    /// What went wrong.
    pub failures: Vec<Found>,
}

/// A program that failed.
#[derive(Debug)]
pub struct Found {
    /// Its seed.
    pub seed: u64,
    /// What is wrong with it.
    pub failure: Failure,
    /// A whole script that shows it, cut down.
    pub script: String,
}

/// A generated program.
struct Program {
    seed: u64,
    tree: Node,
}

/// The first seed: `DIFFERENTIAL_SEED`, else the day, far enough from the next that they share none.
pub fn todays_seed() -> u64 {
    let given = std::env::var("DIFFERENTIAL_SEED").ok().and_then(|it| it.parse().ok());
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    given.unwrap_or(since.as_secs() / 86_400 * 1_000_000)
}

/// Runs the programs of the seeds from `first` on.
pub fn run(bench: &Bench, first: u64, programs: u64) -> Report {
    let (next, stop) = (AtomicU64::new(first), AtomicBool::new(false));
    let report = Mutex::new(Report::default());
    let end = first.saturating_add(programs);
    // Panics are findings and are told as such.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    std::thread::scope(|scope| {
        for _ in 0..bench.threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // The first batch may begin in the middle of one.
                    let step = |at: u64| (at < end).then(|| (at - at % BATCH).saturating_add(BATCH).min(end));
                    let Ok(from) = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step) else {
                        break;
                    };
                    let until = (from - from % BATCH).saturating_add(BATCH).min(end);
                    let start = Instant::now();
                    let found = run_batch(bench, from, until);
                    if start.elapsed() > SLOW {
                        println!("seeds {from} to {until} took {} s", start.elapsed().as_secs());
                    }
                    let mut report = report.lock().expect("no thread panics while it reports");
                    report.programs += found.programs;
                    for (message, times) in found.refused {
                        *report.refused.entry(message).or_default() += times;
                    }
                    report.failures.extend(found.failures);
                    if report.failures.len() >= MOST_FAILURES {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    std::panic::set_hook(hook);
    report.into_inner().expect("no thread panics while it reports")
}

impl Bench {
    /// The running kernel: half of the scripts are made for it, half for older ones, whose code it must
    /// take too. Needs root.
    pub fn kernel() -> Bench {
        let own = host_target();
        let older = [KernelVersion(6, 1), KernelVersion(6, 6)];
        let older: Vec<Target> =
            older.into_iter().filter(|it| *it < own.kernel).map(Target::for_kernel).collect();
        let own = std::iter::repeat_n(own, older.len().max(1));
        Bench {
            targets: own.chain(older.iter().cloned()).collect(),
            backend: || Box::new(LinuxBackend::new()),
            verifies: true,
            threads: threads(),
        }
    }

    /// The user-space machine, with code for kernels that differ in instructions and helpers.
    pub fn machine() -> Bench {
        Bench {
            targets: [KernelVersion(6, 1), KernelVersion(6, 6), KernelVersion(6, 12)]
                .map(Target::for_kernel)
                .to_vec(),
            backend: || Box::new(Machine::new(2)),
            verifies: false,
            threads: threads(),
        }
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The settings of the script that a seed's program is part of.
fn setting(bench: &Bench, seed: u64) -> Setting {
    let mut random = Random::new(!(seed - seed % BATCH));
    let target = random.pick(&bench.targets).clone();
    Setting {
        open_loops: !bench.verifies || target.kernel >= ROUNDS_NOT_FOLLOWED,
        target,
        on_stack_limit: *random.pick(&[32, 32, 0, 8, 200]),
        report_failures: random.chance(20),
    }
}

fn run_batch(bench: &Bench, from: u64, until: u64) -> Report {
    let setting = setting(bench, from);
    let mut report = Report::default();
    let mut programs = Vec::new();
    for seed in from..until {
        let tree = generate::generate(seed, &format!("p{}_", seed % BATCH), setting.open_loops);
        match execute::accept(&setting.script(&[&tree]), &setting) {
            Ok(()) => programs.push(Program { seed, tree }),
            Err(failure) => *report.refused.entry(failure.headline()).or_default() += 1,
        }
    }
    report.programs = programs.len() as u64;
    let trees: Vec<&Node> = programs.iter().map(|it| &it.tree).collect();
    let Err(failure) = execute::check(&setting.script(&trees), &setting, bench) else { return report };
    let mut fails_alone = false;
    for program in &programs {
        let Err(failure) = execute::check(&setting.script(&[&program.tree]), &setting, bench) else {
            continue;
        };
        if failure.kind == Kind::TooComplex {
            *report.refused.entry(failure.headline()).or_default() += 1;
            report.programs -= 1;
        } else {
            report.failures.push(cut_down(program, &failure, &setting, bench));
        }
        fails_alone = true;
    }
    if fails_alone {
        return report;
    }
    let (trees, failure) = fewest(trees, failure, &setting, bench);
    report.failures.push(Found { seed: from, failure, script: tidy(&setting.script(&trees)) });
    report
}

/// The smallest program that fails as this one does.
fn cut_down(program: &Program, failure: &Failure, setting: &Setting, bench: &Bench) -> Found {
    let tree = shrink::shrink(&program.tree, failure, setting, bench);
    let script = setting.script(&[&tree]);
    let failure = execute::check(&script, setting, bench).err().unwrap_or_else(|| failure.clone());
    Found { seed: program.seed, failure, script: tidy(&script) }
}

/// The programs that are needed to fail together.
fn fewest<'a>(
    mut programs: Vec<&'a Node>,
    mut failure: Failure,
    setting: &Setting,
    bench: &Bench,
) -> (Vec<&'a Node>, Failure) {
    let mut idx = 0;
    while idx < programs.len() {
        let mut fewer = programs.clone();
        fewer.remove(idx);
        match execute::check(&setting.script(&fewer), setting, bench) {
            Err(again) if again.kind == failure.kind => (programs, failure) = (fewer, again),
            _ => idx += 1,
        }
    }
    (programs, failure)
}

/// The script as `kscope fmt` would write it.
fn tidy(script: &str) -> String {
    lang::fmt::format(script).unwrap_or_else(|_| script.to_owned())
}

impl Report {
    /// Saves the failing programs in a folder and says where; an error when there are any, or when
    /// too few programs are well-typed to mean anything.
    pub fn judge(&self, folder: &Path) -> Result<String, String> {
        let refused: u64 = self.refused.values().sum();
        let mut said = format!("{} programs ran, {refused} were refused", self.programs);
        let messages = self.refused.iter().map(|(message, times)| format!("\n    {times} × {message}"));
        said.extend(messages);
        if self.failures.is_empty() {
            let enough = self.programs >= 9 * refused;
            return if enough { Ok(said) } else { Err(format!("{said}: the generator has come to nothing")) };
        }
        let failures = self.failures.iter().map(|it| it.describe(folder));
        Err(failures.chain([said]).collect::<Vec<_>>().join("\n"))
    }
}

impl Found {
    fn describe(&self, folder: &Path) -> String {
        let path = folder.join(format!("{}.bt", self.seed));
        let header = format!(
            "// DIFFERENTIAL_SEED={} DIFFERENTIAL_PROGRAMS=1\n// {}\n",
            self.seed,
            self.failure.detail.replace('\n', "\n// ")
        );
        let saved =
            std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, header + &self.script));
        let place = match saved {
            Ok(()) => saved_hint(&path),
            Err(error) => format!("it cannot be saved: {error}"),
        };
        let script: Vec<&str> = self.script.lines().take(MOST_LINES_SHOWN).collect();
        format!("seed {}: {}\n{}\n{place}", self.seed, self.failure.detail, script.join("\n"))
    }
}

fn saved_hint(path: &Path) -> String {
    format!(
        "saved as {}; to keep it: copy it to tests/cases/run/, INSTA_UPDATE=always cargo test -p kscope-tests --test cases",
        path.display()
    )
}
