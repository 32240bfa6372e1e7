//! From arguments to a typed program: reads the script, runs the front end, prints diagnostics.

use crate::cli::{AllowArg, ScriptArgs};
use crate::failure::Failure;
use crate::parameters;
use crate::terminal;
use codegen::{Object, Target};
use lang::diagnostic::Fault;
use lang::host::Host;
use lang::parse::Parsed;
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
        Ok(Script { sources: Sources(vec![source]), params, named, warnings: !args.no_warnings })
    }

    /// A script that was typed.
    pub fn of_text(text: String, warnings: bool) -> Script {
        let source = Source { name: "stdin".to_owned(), text };
        Script { sources: Sources(vec![source]), params: Vec::new(), named: Vec::new(), warnings }
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
        let Parsed { script, diagnostics } = lang::parse::parse(&self.sources.get(FileId(0)).text, FileId(0));
        self.report(&diagnostics)?;
        Ok(script)
    }

    /// Parses and types it; errors and warnings are printed.
    pub fn analyze(&self, options: &sema::Options, host: &dyn Host) -> Result<hir::Program, Failure> {
        let program = self.examine(options, host)?;
        program.ok_or_else(|| Failure::Machine {
            message: "this machine does not tell all the types that the script needs".to_owned(),
            hint: Some("as root it may: the warnings say what is missing".to_owned()),
        })
    }

    /// The same; nothing where a part could not be looked at, with a warning that says so.
    pub fn examine(&self, options: &sema::Options, host: &dyn Host) -> Result<Option<hir::Program>, Failure> {
        let script = self.parse()?;
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
        allow: allow(&args.allow, args.allow_all),
        report_failures: args.warnings,
        assume: false,
        known: sema::KnownMaps::default(),
    }
}

/// What the flags allow.
pub fn allow(named: &[AllowArg], all: bool) -> sema::Allow {
    sema::Allow { verdict: all || named.contains(&AllowArg::Verdict) }
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
        terminal::diagnostic(&wrong, &Sources(vec![Source { name, text }]));
        Failure::Script
    })
}
