//! `kscope FILE`, `kscope -e PROGRAM`: compiles a script for this kernel and runs it.

use crate::cli::{FormatArg, SessionArgs, TraceArgs};
use crate::failure::Failure;
use crate::script::{Script, options};
use codegen::Object;
use runtime::backend::Backend;
use runtime::dispatch::Dispatcher;
use runtime::linux::{LinuxBackend, LinuxSymbols, SystemClock, host_target};
use runtime::output::{Format, Output};
use runtime::session;
use std::fs::File;
use std::io::{self, Write};

/// Runs a script, or lists probes with `-l`.
pub fn trace(args: &TraceArgs) -> Result<u8, Failure> {
    if args.info {
        return crate::info::info();
    }
    if args.list {
        return crate::list::list(args.script.rest.first().map(String::as_str), args.session.verbose);
    }
    let script = Script::read(&args.script)?;
    let host = script.host(&args.script);
    let program = script.analyze(&options(&args.script, &script, args.session.pid), &host)?;
    let object = codegen::compile(&program, &host_target()).map_err(|diagnostics| {
        // Compilation failed, so at least one of them is an error.
        script.report(&diagnostics).err().unwrap_or(Failure::Script)
    })?;
    if args.dry_run {
        return dry_run(&object);
    }
    run_object(&object, &args.session)
}

/// Runs an object to its end.
pub fn run_object(object: &Object, args: &SessionArgs) -> Result<u8, Failure> {
    let format = match args.format {
        FormatArg::Text => Format::Text,
        FormatArg::Json => Format::Json,
    };
    let stdout: Box<dyn Write> = match &args.output {
        None => Box::new(io::stdout()),
        Some(path) => {
            let file = File::create(path)
                .map_err(|error| Failure::machine(format!("cannot write {}: {error}", path.display())))?;
            Box::new(file)
        }
    };
    let output = Output::new(format, stdout, Box::new(io::stderr()));
    let dispatcher = Dispatcher::new(
        object.manifest.clone(),
        output,
        Box::new(LinuxSymbols::new(object.manifest.config.show_debug_info)),
        Box::new(SystemClock::new()),
    );
    let options = session::Options {
        command: args.child.clone(),
        pid: args.pid,
        verbose: args.verbose,
        quiet: args.quiet,
    };
    session::run(object, &options, LinuxBackend::new(), dispatcher)
        .map_err(|error| Failure::of_run(error, &object.manifest.sources, args.verbose))
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
