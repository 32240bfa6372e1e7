//! Runs case files: a script with `//@` directives, and what a user would see of it.
//!
//! ```text
//! //@ fire kprobe:vfs_read x3 pid=7 comm="cat" arg2=100
//! //@ packet veth0 icmp x10 src=10.0.0.1
//! //@ option name value   //@ option name            //@ environment max_strlen 8
//! //@ format json        //@ param 42        //@ allow verdict        //@ warnings
//! //@ kernel 6.1         (of cases that show code)
//! ```
//! A script is run for every target of [`TARGETS`]; all must agree.

pub mod directives;
mod firing;
mod packets;

use crate::fixture::{self, FixtureHost};
use crate::machine::Machine;
use codegen::Target;
use codegen::target::KernelVersion;
use directives::Directives;
use lang::probes::ProbeKind;
use lang::sema::{Allow, Options};
use lang::{FileId, Sources, diagnostic, hir};
use runtime::backend::{Backend, Constants};
use runtime::clock::{Clock, Zone};
use runtime::dispatch::Dispatcher;
use runtime::output::Output;
use runtime::symbols::{Symbol, Symbols};
use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

/// The kernels that every `run` case is compiled for: v3 without and v4 with newer instructions.
pub const TARGETS: [KernelVersion; 2] = [KernelVersion(6, 1), KernelVersion(6, 12)];

/// The pid that `cpid` gives.
const CHILD: u64 = 4242;

/// What the stages give for one script.
pub struct Compiled {
    /// The typed program, when there are no errors.
    pub program: Option<hir::Program>,
    /// All diagnostics as a user sees them.
    pub diagnostics: String,
}

/// Parses and types a case's script for the mini-kernel.
pub fn front_end(text: &str, directives: &Directives) -> Compiled {
    let mut sources = Sources::single("case.bt", text);
    let parsed = lang::parse::parse(text, FileId(0));
    let mut found = parsed.diagnostics;
    let mut program = None;
    let mut script = parsed.script;
    if !diagnostic::has_errors(&found) {
        let (expanded, more) = lang::expand::expand(script, &mut sources, &FixtureHost);
        script = expanded;
        found.extend(more);
    }
    if !diagnostic::has_errors(&found) {
        let options = Options {
            params: directives.params.clone(),
            named: directives.named.clone(),
            environment: directives.environment.clone(),
            allow: Allow { verdict: directives.allow_verdict },
            report_failures: directives.warnings,
            ..Options::default()
        };
        let (typed, more) = lang::sema::analyze(&script, &sources, &options, &FixtureHost);
        program = typed;
        found.extend(more);
    }
    let diagnostics = found.iter().map(|it| diagnostic::render(it, &sources)).collect();
    Compiled { program, diagnostics }
}

/// The fixed target of snapshots.
pub fn target(kernel: KernelVersion) -> Target {
    Target { built_for: Some("mini-kernel".to_owned()), ..Target::for_kernel(kernel) }
}

/// Runs a case on every target and gives what a user sees: warnings, then stdout, then stderr.
pub fn run(text: &str) -> String {
    let directives = match Directives::parse(text) {
        Ok(directives) => directives,
        Err(reason) => return format!("bad directive: {reason}\n"),
    };
    let compiled = front_end(text, &directives);
    let Some(program) = compiled.program else { return compiled.diagnostics };
    let mut outputs = TARGETS.map(|kernel| run_on(&program, &directives, kernel));
    let [first, last] = &mut outputs;
    if first != last {
        return format!("targets differ\n--- {}\n{first}--- {}\n{last}", TARGETS[0], TARGETS[1]);
    }
    compiled.diagnostics + first
}

fn run_on(program: &hir::Program, directives: &Directives, kernel: KernelVersion) -> String {
    let object = match codegen::compile(program, &target(kernel)) {
        Ok(object) => object,
        Err(found) => return found.iter().map(|it| diagnostic::render(it, &program.sources)).collect(),
    };
    let (stdout, stderr) = (Shared::default(), Shared::default());
    let output = Output::new(directives.format, Box::new(stdout.clone()), Box::new(stderr.clone()));
    let mut dispatcher =
        Dispatcher::new(object.manifest.clone(), output, Box::new(FixtureSymbols), Box::new(FixtureClock));
    let mut machine = Machine::new(2);
    let outcome = session(&object, directives, &mut machine, &mut dispatcher);
    let mut seen = stdout.text();
    let errors = stderr.text();
    if !errors.is_empty() {
        seen += &format!("--- stderr\n{errors}");
    }
    match outcome {
        Err(error) => seen += &format!("--- failed: {}\n", error.message),
        Ok(()) => {
            if let Some(code) = dispatcher.exit_code() {
                seen += &format!("--- exit code {code}\n");
            }
        }
    }
    seen
}

/// The order of a real session: begin, attach, events, detach, end, print.
fn session(
    object: &codegen::Object,
    directives: &Directives,
    machine: &mut Machine,
    dispatcher: &mut Dispatcher,
) -> runtime::backend::Result<()> {
    machine.load(object, Constants { cpid: CHILD, start: machine.world.now })?;
    let special = |kind: ProbeKind| {
        let programs = object.manifest.programs.iter().enumerate();
        programs
            .filter(move |(_, it)| it.points.iter().any(|point| point.kind == kind))
            .map(|(index, _)| index)
    };
    firing::set_task(machine, &Default::default());
    for program in special(ProbeKind::Begin) {
        machine.run(program)?;
        dispatcher.drain(machine)?;
    }
    if dispatcher.exit_code().is_none() {
        for plan in machine.plan(object)? {
            machine.attach(&plan)?;
        }
        'events: for firing in &directives.firings {
            for _ in 0..firing.times {
                firing::fire(machine, firing)?;
                if firing.drain {
                    dispatcher.drain(machine)?;
                }
                if dispatcher.exit_code().is_some() {
                    break 'events;
                }
            }
        }
        machine.detach();
    }
    firing::set_task(machine, &Default::default());
    for program in special(ProbeKind::End) {
        machine.run(program)?;
    }
    dispatcher.finish(machine)
}

/// A writer whose text can be read afterwards.
#[derive(Clone, Default)]
pub struct Shared(Rc<RefCell<Vec<u8>>>);

impl Shared {
    /// What was written.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow()).into_owned()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Names of the mini-kernel's functions, and of two functions of every process.
pub struct FixtureSymbols;

impl Symbols for FixtureSymbols {
    fn kernel(&mut self, address: u64) -> Option<Symbol> {
        let (name, offset) = fixture::function_at(address)?;
        Some(symbol(name, offset, None))
    }

    fn user(&mut self, _pid: u32, address: u64) -> Option<Symbol> {
        let module = Some("/bin/case".to_owned());
        match address {
            0x40_1000..0x40_2000 => Some(symbol("main", address - 0x40_1000, module)),
            0x40_2000..0x40_3000 => Some(symbol("work", address - 0x40_2000, module)),
            _ => None,
        }
    }
}

/// The machine was booted on 2026-01-01, and it is noon of 2026-11-20, in UTC.
pub struct FixtureClock;

/// 2026-01-01 00:00:00 UTC in nanoseconds since 1970.
const BOOTED: i64 = 1_767_225_600_000_000_000;

impl Clock for FixtureClock {
    fn now(&self) -> i64 {
        BOOTED + (323 * 24 + 12) * 3_600 * 1_000_000_000
    }

    fn boot_to_wall(&self) -> i64 {
        BOOTED
    }

    fn tai_to_wall(&self) -> i64 {
        -37_000_000_000
    }

    fn zone(&self, _seconds: i64) -> Zone {
        Zone::utc()
    }
}

fn symbol(name: &str, offset: u64, module: Option<String>) -> Symbol {
    Symbol { name: name.to_owned(), offset, module, location: None, inlined: Vec::new() }
}
