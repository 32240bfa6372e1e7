//! What is said on stderr: diagnostics, errors, warnings, hints; in colour on a terminal.
//!
//! When stderr is gone nothing can be said, and that is no reason to stop.

use lang::{Diagnostic, Severity, Sources, diagnostic};
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

/// The colours that bpftrace gives headlines, and one for hints.
const RED: &str = "31";
const YELLOW: &str = "33";
const CYAN: &str = "36";

/// A diagnostic with its excerpts and hints.
pub fn diagnostic(it: &Diagnostic, sources: &Sources) {
    let text = diagnostic::render(it, sources);
    let color = match it.severity {
        Severity::Error => RED,
        Severity::Warning => YELLOW,
    };
    let n_lines = text.lines().count();
    for (idx, text) in text.lines().enumerate() {
        match idx {
            0 => say(Some(color), text),
            _ if idx >= n_lines - it.hints.len() => say(Some(CYAN), text),
            _ => say(None, text),
        }
    }
}

/// Why nothing more happens.
pub fn error(message: &str) {
    say(Some(RED), &format!("ERROR: {message}"));
}

/// What may not be as expected.
pub fn warning(message: &str) {
    say(Some(YELLOW), &format!("WARNING: {message}"));
}

/// What may help.
pub fn hint(message: &str) {
    say(Some(CYAN), &format!("HINT: {message}"));
}

/// A line as it stands.
pub fn line(text: &str) {
    say(None, text);
}

fn say(color: Option<&str>, text: &str) {
    let line = match color.filter(|_| is_colored()) {
        Some(color) => format!("\x1b[{color}m{text}\x1b[0m\n"),
        None => format!("{text}\n"),
    };
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Decided once.
fn is_colored() -> bool {
    static COLORED: OnceLock<bool> = OnceLock::new();
    *COLORED.get_or_init(|| wants_color(|name| std::env::var(name).ok(), io::stderr().is_terminal()))
}

/// `KSCOPE_COLOR` or `BPFTRACE_COLOR` is `always`, `never` or `auto`; without one, a terminal is
/// coloured that can be, unless `NO_COLOR` is set.
fn wants_color(variable: impl Fn(&str) -> Option<String>, is_terminal: bool) -> bool {
    let asked = variable("KSCOPE_COLOR").or_else(|| variable("BPFTRACE_COLOR"));
    match asked.as_deref() {
        Some("always") => true,
        Some("never") => false,
        _ => {
            let declined = variable("NO_COLOR").is_some_and(|it| !it.is_empty());
            is_terminal && !declined && variable("TERM").as_deref() != Some("dumb")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_by_environment() {
        for (variables, is_terminal, expected) in [
            (&[][..], true, true),
            (&[], false, false),
            (&[("NO_COLOR", "1")], true, false),
            (&[("NO_COLOR", "")], true, true),
            (&[("TERM", "dumb")], true, false),
            (&[("KSCOPE_COLOR", "always"), ("NO_COLOR", "1")], false, true),
            (&[("BPFTRACE_COLOR", "never")], true, false),
            (&[("KSCOPE_COLOR", "auto"), ("BPFTRACE_COLOR", "always")], false, false),
        ] {
            let variable = |name: &str| variables.iter().find(|it| it.0 == name).map(|it| it.1.to_owned());
            assert_eq!(wants_color(variable, is_terminal), expected, "{variables:?}");
        }
    }
}
