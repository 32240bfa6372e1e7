//! Runs one script both ways and compares.

use super::Bench;
use super::evaluate::evaluate;
use super::syntax::Node;
use crate::cases::{FixtureClock, FixtureSymbols};
use crate::fixture::FixtureHost;
use codegen::{Object, Target};
use lang::sema::Options;
use lang::{Diagnostic, FileId, Sources, diagnostic, hir};
use runtime::backend::{Backend, Constants};
use runtime::decode::Context;
use runtime::maps::{self, Entry};
use std::fmt::Write;

/// What a script is compiled with.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The kernel that the code is made for.
    pub target: Target,
    /// Whether programs have loops whose rounds nobody knows before.
    pub open_loops: bool,
    /// `config`'s.
    pub on_stack_limit: u32,
    /// `-k`.
    pub report_failures: bool,
}

/// How a script failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// In which way: programs of one kind of failure often have one cause.
    pub kind: Kind,
    /// In words.
    pub detail: String,
}

/// In which way a script failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The front end does not take it, or it has no meaning.
    Meaningless,
    /// The compiler panics.
    Panics,
    /// The front end takes it and the back end does not.
    NotCompiled,
    /// The kernel's verifier gives up on it before it has seen all.
    TooComplex,
    /// It is not loaded: the kernel's verifier refuses it.
    NotLoaded,
    /// It stops in the middle.
    NotRun,
    /// It gives something else.
    Differs,
}

impl Failure {
    fn new(kind: Kind, detail: impl Into<String>) -> Failure {
        Failure { kind, detail: detail.into() }
    }
}

impl Failure {
    /// The message, without names and numbers.
    pub fn headline(&self) -> String {
        let line = self.detail.lines().next().unwrap_or_default();
        let message = line.split("ERROR: ").last().unwrap_or(line);
        let mut words: Vec<&str> = message.split('`').step_by(2).collect();
        words.retain(|it| !it.trim().is_empty());
        words.join("…").replace(|it: char| it.is_ascii_digit(), "0")
    }
}

impl Setting {
    /// One script of several programs.
    pub fn script(&self, programs: &[&Node]) -> String {
        let mut script =
            format!("config = {{ max_map_keys = 60; on_stack_limit = {}; }}\n", self.on_stack_limit);
        programs.iter().for_each(|it| script += &it.text());
        script
    }
}

/// Types a script.
pub fn front_end(script: &str, setting: &Setting) -> Result<hir::Program, Failure> {
    let sources = Sources::single("differential.bt", script);
    let parsed = lang::parse::parse(script, FileId(0));
    let options = Options { report_failures: setting.report_failures, ..Options::default() };
    let (program, found) = match diagnostic::has_errors(&parsed.diagnostics) {
        true => (None, parsed.diagnostics),
        false => lang::sema::analyze(&parsed.script, &sources, &options, &FixtureHost),
    };
    program.ok_or_else(|| Failure::new(Kind::Meaningless, rendered(&found, &sources)))
}

/// Whether the compiler takes a script. What it answers with a message is no failure.
pub fn accept(script: &str, setting: &Setting) -> Result<(), Failure> {
    let program = front_end(script, setting)?;
    match std::panic::catch_unwind(|| codegen::compile(&program, &setting.target)) {
        Ok(Err(found)) => Err(Failure::new(Kind::NotCompiled, rendered(&found, &program.sources))),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

fn rendered(found: &[Diagnostic], sources: &Sources) -> String {
    let errors = found.iter().filter(|it| it.severity == lang::Severity::Error);
    errors.map(|it| diagnostic::render(it, sources)).collect()
}

/// Runs a script both ways. A panic is a failure like others.
pub fn check(script: &str, setting: &Setting, bench: &Bench) -> Result<(), Failure> {
    std::panic::catch_unwind(|| run_both(script, setting, bench)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no reason");
        Err(Failure::new(Kind::Panics, format!("the compiler panics: {said}")))
    })
}

fn run_both(script: &str, setting: &Setting, bench: &Bench) -> Result<(), Failure> {
    let program = front_end(script, setting)?;
    let due = evaluate(&program).map_err(|reason| Failure::new(Kind::Meaningless, reason))?;
    let object = codegen::compile(&program, &setting.target)
        .map_err(|found| Failure::new(Kind::NotCompiled, rendered(&found, &program.sources)))?;
    let mut backend = (bench.backend)();
    let seen = execute(&object, backend.as_mut())?;
    let mut differences = String::new();
    for ((map, due), seen) in program.maps.iter().zip(due).zip(seen) {
        compare(&map.name, due, seen, &mut differences);
    }
    match differences.is_empty() {
        true => Ok(()),
        false => {
            let detail = format!("for Linux {}\n{differences}", setting.target.kernel);
            Err(Failure::new(Kind::Differs, detail.trim_end()))
        }
    }
}

/// What the maps hold after the object's programs ran, each once, in order.
fn execute(object: &Object, backend: &mut dyn Backend) -> Result<Vec<Vec<Entry>>, Failure> {
    backend.load(object, Constants::default()).map_err(|error| {
        let log = error.refusal.map_or(String::new(), |it| it.log);
        let lines: Vec<&str> = log.lines().rev().take(12).collect();
        let log = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
        let gives_up = ["too complex", "too large"].iter().any(|it| error.message.contains(it));
        let kind = if gives_up { Kind::TooComplex } else { Kind::NotLoaded };
        Failure::new(kind, format!("{}\n{log}", error.message))
    })?;
    let failed = |error: runtime::backend::Error| Failure::new(Kind::NotRun, error.message);
    for program in 0..object.manifest.programs.len() {
        backend.run(program).map_err(failed)?;
    }
    let manifest = &object.manifest;
    let mut cx = Context {
        types: &manifest.types,
        symbols: &mut FixtureSymbols,
        clock: &FixtureClock,
        config: &manifest.config,
    };
    manifest.maps.iter().map(|it| maps::snapshot(it, backend, &mut cx).map_err(failed)).collect()
}

/// Says where the entries of a map differ. Their order does not matter.
fn compare(map: &str, due: Vec<Entry>, seen: Vec<Entry>, out: &mut String) {
    let missing = due.iter().filter(|it| !seen.contains(it)).map(|it| ("is not", it));
    let wrong = seen.iter().filter(|it| !due.contains(it)).map(|it| ("is", it));
    for (word, (key, value)) in missing.chain(wrong).take(6) {
        let _ = match key {
            Some(key) => writeln!(out, "{map}[{key:?}] {word} {value:?}"),
            None => writeln!(out, "{map} {word} {value:?}"),
        };
    }
}
