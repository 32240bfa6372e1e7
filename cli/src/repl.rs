//! `kscope repl`: enter a probe, watch it run, Ctrl-C back to the prompt.
//!
//! Every entry is a script of its own. What its maps hold in the end is kept, and is there again for
//! the entries that follow.

mod complete;
mod highlight;
mod input;

use crate::cli::ReplArgs;
use crate::failure::Failure;
use crate::script::{Script, allow, environment};
use crate::terminal;
use crate::trace::{output, output_file, session_options};
use codegen::Object;
use input::Input;
use lang::entry::{self, Definition, Entry};
use lang::probes::ProbeKind;
use lang::sema;
use runtime::dispatch::Dispatcher;
use runtime::kept::KeptMaps;
use runtime::linux::sys::process::Uninterrupted;
use runtime::linux::{LinuxBackend, LinuxHost, LinuxSymbols, SystemClock, host_target, privileges};
use runtime::output::Message;
use runtime::session::{self, Cause};
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::rc::Rc;

/// Commands to the prompt and what they do.
const COMMANDS: [(&str, &str); 4] = [
    (":maps", "print the maps that are kept"),
    (":clear [@map]", "forget a map, or all of them"),
    (":help", "show this"),
    (":quit", "leave; Ctrl-D does the same"),
];

const HELP: &str = "\
Enter a probe, for example
    tracepoint:syscalls:sys_enter_openat { @[comm] = count(); }
and it runs until Ctrl-C, or until it calls exit(). Then its maps are printed, and kept: a further
entry goes on with them. A statement without a probe runs once: print(@), @limit = 5. A value is
shown: @, 1 + 2. Tab completes.
";

/// Runs the prompt until end of input. At a terminal the result is 0; else it is that of the last entry
/// that failed.
pub fn repl(args: &ReplArgs) -> Result<u8, Failure> {
    privileges::check()?;
    let mut input = Input::open(args.session.quiet)?;
    let mut prompt = Prompt::new(args)?;
    let mut code = 0;
    while let Some(text) = input.entry(prompt.kept.names())? {
        match prompt.enter(&text) {
            Ok(Next::Entry) => {}
            Ok(Next::Leave) => break,
            Err(Failure::ClosedPipe) => return Ok(0),
            Err(failure) => code = failure.report(),
        }
    }
    Ok(if input.is_terminal() { 0 } else { code })
}

/// What follows an entry.
enum Next {
    /// Another one.
    Entry,
    /// The end.
    Leave,
}

struct Prompt<'a> {
    args: &'a ReplArgs,
    /// Of `-o`.
    file: Option<File>,
    /// Shared by all entries, so that addresses kept in maps have names even when their process has
    /// ended.
    symbols: Rc<RefCell<LinuxSymbols>>,
    kept: KeptMaps,
    /// Invariant: the types of the kept maps.
    known: sema::KnownMaps,
    /// What entries defined for those that follow.
    definitions: Vec<Definition>,
}

impl<'a> Prompt<'a> {
    fn new(args: &'a ReplArgs) -> Result<Self, Failure> {
        Ok(Prompt {
            args,
            file: output_file(&args.session)?,
            symbols: Rc::default(),
            kept: KeptMaps::default(),
            known: sema::KnownMaps::default(),
            definitions: Vec::new(),
        })
    }

    /// Does what an entry says.
    fn enter(&mut self, text: &str) -> Result<Next, Failure> {
        match entry::read(text, &self.definitions) {
            Entry::Nothing => Ok(Next::Entry),
            Entry::Command(command) => self.command(&command),
            Entry::Definitions(definitions) => self.define(definitions),
            Entry::Script(script) => self.run(script, false),
            Entry::Statements(script) => self.run(script, true),
        }
    }

    /// Keeps definitions that go with those that are kept already, in whose place they come when they
    /// define the same.
    fn define(&mut self, new: Vec<Definition>) -> Result<Next, Failure> {
        let text: String = new.iter().map(|it| format!("{}\n", it.text)).collect();
        // Without a probe there is nothing to look at.
        let mut script =
            Script::entry(format!("{text}begin {{ }}"), &self.definitions, !self.args.rules.no_warnings);
        script.examine(&self.options(), &LinuxHost::new())?;
        self.definitions.retain(|it| new.iter().all(|new| new.key != it.key));
        self.definitions.extend(new);
        Ok(Next::Entry)
    }

    fn options(&self) -> sema::Options {
        sema::Options {
            params: Vec::new(),
            named: Vec::new(),
            pid: self.args.session.pid,
            environment: environment(),
            allow: allow(&self.args.rules),
            report_failures: self.args.rules.warnings,
            assume: false,
            known: self.known.clone(),
        }
    }

    fn command(&mut self, command: &str) -> Result<Next, Failure> {
        let (name, argument) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        match (name, argument.trim()) {
            ("maps", "") => self.print_maps()?,
            ("clear", "") => self.clear(None)?,
            ("clear", map) => self.clear(Some(map))?,
            ("help", "") => help()?,
            ("quit", "") => return Ok(Next::Leave),
            _ => {
                return Err(Failure::Machine {
                    message: format!("there is no command `:{command}`"),
                    hint: Some("`:help` lists the commands".to_owned()),
                });
            }
        }
        Ok(Next::Entry)
    }

    fn print_maps(&mut self) -> Result<(), Failure> {
        let mut output = output(&self.args.session, self.writer()?);
        for name in self.kept.names() {
            let entries = self.kept.entries(name, &mut self.symbols.clone(), &SystemClock::new());
            output.message(&Message::Map { name, entries: &entries, top: None, div: 1 })?;
        }
        Ok(output.end()?)
    }

    fn clear(&mut self, map: Option<&str>) -> Result<(), Failure> {
        match map {
            None => self.kept = KeptMaps::default(),
            Some(name) if self.kept.contains(name) => self.kept.forget(name),
            Some(name) => {
                return Err(Failure::Machine {
                    message: format!("no map `{name}` is kept"),
                    hint: Some("`:maps` prints those that are".to_owned()),
                });
            }
        }
        self.known.maps.retain(|it| self.kept.contains(&it.name));
        Ok(())
    }

    /// Runs a script to its end. Statements leave no trace but what they print.
    fn run(&mut self, text: String, is_statements: bool) -> Result<Next, Failure> {
        // What is kept must survive a Ctrl-C that comes a little early or late.
        let _uninterrupted = Uninterrupted::begin().map_err(|errno| {
            Failure::machine(format!("cannot keep Ctrl-C from ending the prompt: {errno}"))
        })?;
        let mut script = Script::entry(text, &self.definitions, !self.args.rules.no_warnings);
        let program = script.analyze(&self.options(), &LinuxHost::new())?;
        let object = script.compile(&program, &host_target())?;
        let end = session::run(
            &object,
            &self.session_options(&object, is_statements),
            LinuxBackend::new(),
            self.dispatcher(&object)?,
            Some(&mut self.kept),
        );
        let verbose = self.args.session.verbose;
        let end = end.map_err(|error| Failure::of_run(error, &script.sources, verbose))?;
        self.known.learn(&program);
        self.known.maps.retain(|it| self.kept.contains(&it.name));
        if end.code != 0 {
            terminal::line(&format!("exit code {}", end.code));
        }
        Ok(match end.cause {
            Cause::Done | Cause::Interrupted => Next::Entry,
            Cause::Terminated | Cause::OutputClosed => Next::Leave,
        })
    }

    /// What only runs once needs nothing to trace, which may have ended before, and no word about probes.
    fn session_options(&self, object: &Object, is_statements: bool) -> session::Options {
        let mut options = session_options(&self.args.session);
        let points = object.manifest.programs.iter().flat_map(|it| &it.points);
        if points.into_iter().all(|it| matches!(it.kind, ProbeKind::Begin | ProbeKind::End)) {
            options.command = None;
            options.pid = None;
            options.quiet = true;
        }
        options.leave_maps = is_statements;
        options
    }

    fn dispatcher(&self, object: &Object) -> Result<Dispatcher, Failure> {
        self.symbols.borrow_mut().configure(&object.manifest.config);
        Ok(Dispatcher::new(
            object.manifest.clone(),
            output(&self.args.session, self.writer()?),
            Box::new(self.symbols.clone()),
            Box::new(SystemClock::new()),
        ))
    }

    fn writer(&self) -> io::Result<Box<dyn Write>> {
        Ok(match &self.file {
            None => Box::new(io::stdout()),
            Some(file) => Box::new(file.try_clone()?),
        })
    }
}

fn help() -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{HELP}")?;
    COMMANDS.iter().try_for_each(|(usage, does)| writeln!(stdout, "    {usage:<15} {does}"))
}
