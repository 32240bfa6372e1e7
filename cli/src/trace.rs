//! `kscope FILE`, `kscope -e PROGRAM`: compiles a script for this kernel and runs it.

use crate::cli::{BufferingArg, FormatArg, ScriptArgs, SessionArgs, TraceArgs};
use crate::failure::Failure;
use crate::parameters;
use crate::script::{Script, options};
use codegen::Object;
use lang::sema;
use runtime::backend::Backend;
use runtime::dispatch::Dispatcher;
use runtime::linux::{LinuxBackend, LinuxHost, LinuxSymbols, SystemClock, host_target, privileges, reason};
use runtime::output::{Buffering, Format, Output};
use runtime::session;
use std::fs::File;
use std::io::{self, Write};

/// Runs a script, or lists probes with `-l`.
pub fn trace(args: &TraceArgs) -> Result<u8, Failure> {
    args.unsupported.refuse()?;
    if args.info {
        return crate::info::info();
    }
    if args.list {
        return crate::list::list_or_script(args);
    }
    let mut script = Script::read(&args.script)?;
    if parameters::is_help(&script.named) {
        return help(&args.script, script);
    }
    privileges::check()?;
    let host = LinuxHost::new().with_folders(script.folders(&args.script));
    let program = script.analyze(&options(&args.script, &script, args.session.pid), &host)?;
    let object = script.compile(&program, &host_target())?;
    if args.dry_run {
        return dry_run(&object);
    }
    run_object(&object, &args.session)
}

/// `-- --help`: the script's own options. Needs no root, as `check`.
fn help(args: &ScriptArgs, mut script: Script) -> Result<u8, Failure> {
    script.named.clear();
    let options = sema::Options { assume: true, ..options(args, &script, None) };
    let host = LinuxHost::for_checking().with_folders(script.folders(args));
    parameters::print_help(&script.analyze(&options, &host)?.parameters)
}

/// Runs an object to its end.
pub fn run_object(object: &Object, args: &SessionArgs) -> Result<u8, Failure> {
    let stdout: Box<dyn Write> = match output_file(args)? {
        None => Box::new(io::stdout()),
        Some(file) => Box::new(file),
    };
    let dispatcher = Dispatcher::new(
        object.manifest.clone(),
        output(args, stdout),
        Box::new(LinuxSymbols::new(&object.manifest.config)),
        Box::new(SystemClock::new()),
    );
    let options = session::Options { last: true, ..session_options(args) };
    session::run(object, &options, LinuxBackend::new(), dispatcher, None)
        .map(|end| end.code)
        .map_err(|error| Failure::of_run(error, &object.manifest.sources, args.verbose))
}

/// The file of `-o`, empty.
pub fn output_file(args: &SessionArgs) -> Result<Option<File>, Failure> {
    let Some(path) = &args.output else { return Ok(None) };
    match File::create(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) => {
            Err(Failure::machine(format!("cannot write {}: {}", path.display(), reason::of(&error))))
        }
    }
}

/// Script output to `stdout` in the format of `-f`.
pub fn output(args: &SessionArgs, stdout: Box<dyn Write>) -> Output {
    let format = match args.format {
        FormatArg::Text => Format::Text,
        FormatArg::Json => Format::Json,
    };
    let buffering = match args.buffering {
        BufferingArg::Line => Buffering::Line,
        BufferingArg::Full => Buffering::Full,
        BufferingArg::None => Buffering::None,
    };
    Output::new(format, stdout, Box::new(io::stderr())).buffered(buffering)
}

/// What the arguments mean to a run.
pub fn session_options(args: &SessionArgs) -> session::Options {
    session::Options {
        command: args.child.clone(),
        pid: args.pid,
        verbose: args.verbose,
        quiet: args.quiet,
        last: false,
        leave_maps: false,
    }
}

/// `--dry-run`: one line for each place that would be attached, and how.
fn dry_run(object: &Object) -> Result<u8, Failure> {
    let mut stdout = io::stdout().lock();
    for plan in LinuxBackend::new().plan(object)? {
        for point in &plan.points {
            writeln!(stdout, "{} ({})", point.name(), plan.method)?;
        }
    }
    Ok(0)
}
