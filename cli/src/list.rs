//! `kscope list`, `kscope -l`: probes, their arguments, struct definitions; the probes of a script.

use crate::cli::TraceArgs;
use crate::failure::Failure;
use crate::script::Script;
use crate::terminal;
use lang::attach::{self, Point, Target};
use lang::host::{Host, Matches};
use lang::{Diagnostic, ast};
use runtime::linux::{LinuxHost, list};
use std::io::{BufWriter, stdout};
use std::path::Path;

/// Lists what matches.
pub fn list(pattern: Option<&str>, verbose: bool) -> Result<u8, Failure> {
    let mut out = BufWriter::new(stdout().lock());
    for missing in list::list(pattern, verbose, &mut out)? {
        terminal::warning(&missing);
    }
    Ok(0)
}

/// `-l`: what matches a pattern, or the probes of the script that is given instead of one.
pub fn list_or_script(args: &TraceArgs) -> Result<u8, Failure> {
    let (pattern, verbose) = (args.script.rest.first(), args.session.verbose);
    if args.script.program.is_some() || pattern.is_some_and(|it| Path::new(it).is_file()) {
        return list_script(Script::read(&args.script)?, args, verbose);
    }
    // Which files a process has mapped only matters to those that leave the file open.
    let open = |it: &&String| {
        matches!(it.split(':').collect::<Vec<_>>()[..], ["uprobe" | "uretprobe" | "usdt", "*", ..])
    };
    match args.session.pid.filter(|_| pattern.filter(open).is_some()) {
        Some(pid) => Err(Failure::Machine {
            message: "-l does not look into the files of a process yet".to_owned(),
            hint: Some(format!("name the file, for example 'uprobe:/proc/{pid}/exe:*'")),
        }),
        None => list(pattern.map(String::as_str), verbose),
    }
}

/// The places that a script's probes mean, in the order of the script.
fn list_script(mut script: Script, args: &TraceArgs, verbose: bool) -> Result<u8, Failure> {
    let host = LinuxHost::new().with_folders(script.folders(&args.script));
    let (mut points, mut diagnostics) = (Vec::new(), Vec::new());
    for item in &script.expand(&host)?.items {
        let ast::Item::Probe(probe) = item else { continue };
        for written in &probe.points {
            match places(&script, written, &host) {
                Ok(found) => points.extend(found),
                Err(diagnostic) => diagnostics.push(diagnostic),
            }
        }
    }
    let mut seen = std::collections::HashSet::new();
    points.retain(|it: &Point| it.target != Target::None && seen.insert(it.clone()));
    list::write(&host, points, verbose, &mut BufWriter::new(stdout().lock()))?;
    script.report(&diagnostics).map(|()| 0)
}

/// What an attach point means; never empty.
fn places(script: &Script, written: &ast::AttachPoint, host: &LinuxHost) -> Result<Vec<Point>, Diagnostic> {
    let point = attach::parse(&written.text, written.span, &script.params)?;
    let wrong = |text| Diagnostic::error(written.span, format!("`{}` {text}", point.name()));
    match host.matches(&point) {
        Matches::Points(points) if points.is_empty() => {
            Err(wrong("does not exist on this machine".to_owned()))
        }
        Matches::Points(points) => Ok(points),
        Matches::Unavailable(reason) => Err(wrong(format!("is not possible: {reason}")).machine()),
    }
}
