//! From arguments to a typed program: reads the script, runs the front end, prints diagnostics.

use crate::cli::{AllowArg, ScriptArgs};
use crate::failure::Failure;
use lang::diagnostic::Fault;
use lang::host::Host;
use lang::parse::Parsed;
use lang::{Diagnostic, FileId, Source, Sources, ast, diagnostic, hir, sema};
use runtime::linux::LinuxHost;
use std::io::{Read, Write};
use std::path::Path;

/// A script and its parameters, as given on the command line.
pub struct Script {
    /// Its text.
    pub sources: Sources,
    /// `$1`, `$2`, …
    pub params: Vec<String>,
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
        Ok(Script { sources: Sources(vec![source]), params, warnings: !args.no_warnings })
    }

    /// The running kernel, and the folders of the script's headers.
    pub fn host(&self, args: &ScriptArgs) -> LinuxHost {
        let name = &self.sources.get(FileId(0)).name;
        let own = Path::new(name).parent().unwrap_or(Path::new(""));
        let own = if own.as_os_str().is_empty() { Path::new(".") } else { own };
        LinuxHost::with_folders([own.to_owned()].into_iter().chain(args.include.iter().cloned()).collect())
    }

    /// Parses it; syntax errors are printed.
    pub fn parse(&self) -> Result<ast::Script, Failure> {
        let Parsed { script, diagnostics } = lang::parse::parse(&self.sources.get(FileId(0)).text, FileId(0));
        self.report(&diagnostics)?;
        Ok(script)
    }

    /// Parses and types it; errors and warnings are printed.
    pub fn analyze(&self, options: &sema::Options, host: &dyn Host) -> Result<hir::Program, Failure> {
        let script = self.parse()?;
        let (program, diagnostics) = sema::analyze(&script, &self.sources, options, host);
        self.report(&diagnostics)?;
        program.ok_or(Failure::Script)
    }

    /// Prints diagnostics on stderr; fails when one of them is an error.
    pub fn report(&self, diagnostics: &[Diagnostic]) -> Result<(), Failure> {
        let mut stderr = std::io::stderr().lock();
        for it in diagnostics {
            if self.warnings || it.severity == lang::Severity::Error {
                // Nothing can be said when stderr itself is gone.
                let _ = stderr.write_all(diagnostic::render(it, &self.sources).as_bytes());
            }
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

/// What the arguments and the environment mean to the front end.
pub fn options(args: &ScriptArgs, script: &Script, pid: Option<u32>) -> sema::Options {
    sema::Options {
        params: script.params.clone(),
        pid,
        environment: environment(),
        allow: allow(&args.allow, args.allow_all),
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
            if !settings.iter().any(|(known, _)| *known == key) {
                settings.push((key, value.to_owned()));
            }
        }
    }
    settings
}

fn read_file(path: &str) -> Result<Source, Failure> {
    let mut bytes = Vec::new();
    if path == "-" {
        std::io::stdin().read_to_end(&mut bytes)?;
    } else {
        bytes =
            std::fs::read(path).map_err(|error| Failure::machine(format!("cannot read {path}: {error}")))?;
    }
    let name = if path == "-" { "stdin" } else { path }.to_owned();
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source { name, text }),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let place = Source { name: name.clone(), text }.position(at as u32);
            eprintln!(
                "{name}:{}:{}-{}: ERROR: not UTF-8 text: byte {:#04x}",
                place.line,
                place.column,
                place.column + 1,
                error.as_bytes()[at]
            );
            Err(Failure::Script)
        }
    }
}
