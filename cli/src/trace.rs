//! `kscope FILE`, `kscope -e PROGRAM`: compiles a script for this kernel and runs it.

use crate::cli::{BufferingArg, FormatArg, SessionArgs, TraceArgs};
use crate::failure::Failure;
use crate::script::{Script, options};
use codegen::Object;
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
    let script = Script::read(&args.script)?;
    privileges::check()?;
    let host = LinuxHost::new();
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
            let file = File::create(path).map_err(|error| {
                Failure::machine(format!("cannot write {}: {}", path.display(), reason::of(&error)))
            })?;
            Box::new(file)
        }
    };
    let buffering = match args.buffering {
        BufferingArg::Line => Buffering::Line,
        BufferingArg::Full => Buffering::Full,
        BufferingArg::None => Buffering::None,
    };
    let output = Output::new(format, stdout, Box::new(io::stderr())).buffered(buffering);
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
        last: true,
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
