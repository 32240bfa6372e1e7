//! What is fuzzed: any text in, through one part of the front end. Nothing goes out; a panic is the
//! finding. The targets in `fuzz/` and the replay of their corpus call the same functions.

use crate::fixture::FixtureHost;
use codegen::Target;
use codegen::target::KernelVersion;
use lang::sema::Options;
use lang::{Diagnostic, FileId, Sources, Span, diagnostic};

/// A target: its name and what it does with a text.
pub type Case = (&'static str, fn(&str));

/// All targets, by the names of their files in `fuzz/fuzz_targets`.
pub const TARGETS: [Case; 4] = [("parse", parse), ("check", check), ("fmt", fmt), ("attach", attach)];

/// Parses; the messages can be shown.
pub fn parse(text: &str) {
    let sources = Sources::single("fuzz.bt", text);
    show(&lang::parse::parse(text, FileId(0)).diagnostics, &sources);
}

/// Checks, and compiles what is right.
pub fn check(text: &str) {
    let sources = Sources::single("fuzz.bt", text);
    let parsed = lang::parse::parse(text, FileId(0));
    if diagnostic::has_errors(&parsed.diagnostics) {
        return;
    }
    let (program, found) = lang::sema::analyze(&parsed.script, &sources, &Options::default(), &FixtureHost);
    show(&found, &sources);
    if let Some(program) = program {
        let _ = codegen::compile(&program, &Target::for_kernel(KernelVersion(6, 12)));
    }
}

/// As many messages as the command line shows.
fn show(found: &[Diagnostic], sources: &Sources) {
    for found in found.iter().take(50) {
        let _ = diagnostic::render(found, sources);
    }
}

/// Formats; what was formatted stays as it is.
pub fn fmt(text: &str) {
    if let Ok(once) = lang::fmt::format(text) {
        let twice = lang::fmt::format(&once);
        assert_eq!(twice.as_deref().ok(), Some(once.as_str()), "formatting twice changes something");
    }
}

/// Reads an attach point, with parameters; its name reads as the same.
pub fn attach(text: &str) {
    let params = ["vfs_read".to_owned(), "7".to_owned(), String::new()];
    if let Ok(point) = lang::attach::parse(text, Span::default(), &params) {
        let _ = point.name();
    }
}
