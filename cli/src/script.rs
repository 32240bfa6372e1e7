//! From arguments to a typed program: reads the script, runs the front end, prints diagnostics.

use crate::cli::{AllowArg, RuleArgs, ScriptArgs};
use crate::failure::Failure;
use crate::parameters;
use crate::terminal;
use codegen::{Object, Target};
use lang::diagnostic::Fault;
use lang::entry::{Definition, beside};
use lang::host::Host;
use lang::parse::{Parsed, parse};
use lang::{Diagnostic, FileId, Source, Sources, Span, ast, diagnostic, hir, sema};
use runtime::linux::reason;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Most diagnostics that are printed; whoever has more begins with these.
const SHOWN: usize = 50;

/// A script and its parameters, as given on the command line.
pub struct Script {
    /// Its text.
    pub sources: Sources,
    /// `$1`, `$2`, …
    pub params: Vec<String>,
    /// `--name=value` behind `--`, without the dashes.
    pub named: Vec<(String, Option<String>)>,
    warnings: bool,
    /// Whether it is an entry at the prompt. Files behind the first then are definitions that were
    /// entered before.
    is_entry: bool,
}

impl Script {
    /// Reads what `args` name.
    pub fn read(args: &ScriptArgs) -> Result<Script, Failure> {
        let (source, params) = match (&args.program, args.rest.split_first()) {
            (Some(text), _) => (Source { name: "stdin".to_owned(), text: text.clone() }, args.rest.clone()),
            (None, Some((file, params))) => (read_file(file)?, params.to_vec()),
            (None, None) => {
                return Err(Failure::Machine {
                    message: "no script given".to_owned(),
                    hint: Some("kscope -e PROGRAM, kscope FILE, or kscope --help".to_owned()),
                });
            }
        };
        let (named, more): (Vec<_>, Vec<_>) = args.own.iter().partition(|it| it.starts_with("--"));
        let params = params.into_iter().chain(more.into_iter().cloned()).collect();
        let named = named.into_iter().map(|it| named_parameter(it)).collect();
        let sources = Sources::of(source);
        Ok(Script { sources, params, named, warnings: !args.rules.no_warnings, is_entry: false })
    }

    /// An entry at the prompt, with what was defined before.
    pub fn entry(text: String, definitions: &[Definition], warnings: bool) -> Script {
        let definitions = beside(definitions, &text);
        let source = |text: String| Source { name: "stdin".to_owned(), text };
        let mut sources = Sources::of(source(text));
        for definition in definitions {
            // As many as files can be kept are never typed.
            let _ = sources.add(source(definition.text.clone()));
        }
        Script { sources, params: Vec::new(), named: Vec::new(), warnings, is_entry: true }
    }

    /// Where its headers lie: beside it, and in the folders that were given.
    pub fn folders(&self, args: &ScriptArgs) -> Vec<PathBuf> {
        let name = &self.sources.get(FileId(0)).name;
        let own = Path::new(name).parent().filter(|it| !it.as_os_str().is_empty());
        let own = own.unwrap_or(Path::new(".")).to_owned();
        [own].into_iter().chain(args.folders.iter().cloned()).collect()
    }

    /// Parses it; syntax errors are printed.
    pub fn parse(&self) -> Result<ast::Script, Failure> {
        let Parsed { script, diagnostics } = parse(&self.sources.get(FileId(0)).text, FileId(0));
        self.report(&diagnostics)?;
        Ok(script)
    }

    /// Parses it and what it imports, and resolves macros; errors are printed.
    pub fn expand(&mut self, host: &dyn Host) -> Result<ast::Script, Failure> {
        let mut script = self.parse()?;
        // What a definition had to say was said when it was entered.
        let definitions = self.sources.files().iter().enumerate().skip(1);
        let definitions = definitions.flat_map(|(idx, it)| parse(&it.text, FileId(idx as u16)).script.items);
        script.items.splice(0..0, definitions);
        let (mut script, diagnostics) = lang::expand::expand(script, &mut self.sources, host);
        self.report(&diagnostics)?;
        if self.is_entry {
            let is_own = |it: &ast::Item| !matches!(it, ast::Item::Probe(it) if it.span.file != FileId(0));
            script.items.retain(is_own);
        }
        Ok(script)
    }

    /// Parses and types it; errors and warnings are printed.
    pub fn analyze(&mut self, options: &sema::Options, host: &dyn Host) -> Result<hir::Program, Failure> {
        let program = self.examine(options, host)?;
        program.ok_or_else(|| Failure::Machine {
            message: "this machine does not tell all the types that the script needs".to_owned(),
            hint: Some("as root it may: the warnings say what is missing".to_owned()),
        })
    }

    /// The same; nothing where a part could not be looked at, with a warning that says so.
    pub fn examine(
        &mut self,
        options: &sema::Options,
        host: &dyn Host,
    ) -> Result<Option<hir::Program>, Failure> {
        let script = self.expand(host)?;
        let (program, diagnostics) = sema::analyze(&script, &self.sources, options, host);
        self.report(&diagnostics)?;
        if let Some(program) = &program {
            parameters::refuse_unknown(&self.named, &program.parameters)?;
        }
        Ok(program)
    }

    /// Compiles what [`Script::analyze`] gave; errors are printed.
    pub fn compile(&self, program: &hir::Program, target: &Target) -> Result<Object, Failure> {
        codegen::compile(program, target).map_err(|diagnostics| {
            // Compilation failed, so at least one of them is an error.
            self.report(&diagnostics).err().unwrap_or(Failure::Script)
        })
    }

    /// Prints diagnostics on stderr; fails when one of them is an error.
    pub fn report(&self, diagnostics: &[Diagnostic]) -> Result<(), Failure> {
        let shown = || diagnostics.iter().filter(|it| self.warnings || it.severity == lang::Severity::Error);
        shown().take(SHOWN).for_each(|it| terminal::diagnostic(it, &self.sources));
        if let more @ 1.. = shown().skip(SHOWN).count() {
            terminal::line(&format!("… and {more} more"));
        }
        let errors = || diagnostics.iter().filter(|it| it.severity == lang::Severity::Error);
        if errors().any(|it| it.fault == Fault::Script) {
            Err(Failure::Script)
        } else if diagnostic::has_errors(diagnostics) {
            Err(Failure::Unavailable)
        } else {
            Ok(())
        }
    }
}

/// `--name=value`, or `--name` alone.
fn named_parameter(text: &str) -> (String, Option<String>) {
    let text = text.strip_prefix("--").unwrap_or(text);
    match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.to_owned(), None),
    }
}

/// What the arguments and the environment mean to the front end.
pub fn options(args: &ScriptArgs, script: &Script, pid: Option<u32>) -> sema::Options {
    sema::Options {
        params: script.params.clone(),
        named: script.named.clone(),
        pid,
        environment: environment(),
        allow: allow(&args.rules),
        report_failures: args.rules.warnings,
        assume: false,
        known: sema::KnownMaps::default(),
    }
}

/// What the flags allow.
pub fn allow(args: &RuleArgs) -> sema::Allow {
    let has = |arg| args.allow_all || args.allow.contains(&arg);
    sema::Allow {
        verdict: has(AllowArg::Verdict),
        signal: has(AllowArg::Signal),
        system: has(AllowArg::System),
        override_result: has(AllowArg::Override),
        write: has(AllowArg::Write),
    }
}

/// `KSCOPE_X` and `BPFTRACE_X` as configuration variables `x`; the first wins.
pub fn environment() -> Vec<(String, String)> {
    let mut settings: Vec<(String, String)> = Vec::new();
    for prefix in ["KSCOPE_", "BPFTRACE_"] {
        for (name, value) in std::env::vars_os() {
            let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
            let Some(key) = name.strip_prefix(prefix).map(str::to_ascii_lowercase) else { continue };
            // Colours are the terminal's, not the script's.
            if key != "color" && !settings.iter().any(|(known, _)| *known == key) {
                settings.push((key, value.to_owned()));
            }
        }
    }
    settings
}

/// The text of a file, or of standard input (`-`).
pub fn read_file(path: &str) -> Result<Source, Failure> {
    let (bytes, name) = match path {
        "-" => {
            let mut bytes = Vec::new();
            (std::io::stdin().read_to_end(&mut bytes).map(|_| bytes), "stdin")
        }
        _ => (std::fs::read(path), path),
    };
    let bytes =
        bytes.map_err(|error| Failure::machine(format!("cannot read {name}: {}", reason::of(&error))))?;
    let name = name.to_owned();
    String::from_utf8(bytes).map(|text| Source { name: name.clone(), text }).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!("not UTF-8 text: byte {:#04x}", error.as_bytes()[at]);
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        // What is no text is shown as one character of three bytes.
        let wrong = Diagnostic::error(Span::new(FileId(0), at, at + 3), message);
        terminal::diagnostic(&wrong, &Sources::of(Source { name, text }));
        Failure::Script
    })
}
