//! What the script's author is told: messages with places, and their text form.
//!
//! The first line is bpftrace's: `FILE:LINE:COL-COL: ERROR: message`; then the source line with
//! the wrong text underlined, then secondary labels and hints.

mod nearest;
mod text;

use crate::source::{Sources, Span};

/// How bad it is. Errors stop the compilation, warnings do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth a word, the program still runs.
    Warning,
    /// No program comes out.
    Error,
}

/// Who has to change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The script's author.
    Script,
    /// Whoever runs the machine: the script may be right elsewhere.
    Machine,
}

/// One message about the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Who has to change something.
    pub fault: Fault,
    /// Understandable alone; lower case, no full stop, names in backticks.
    pub message: String,
    /// The smallest wrong text.
    pub span: Span,
    /// What made it wrong, with a few words each (the earlier definition, the first key).
    pub labels: Vec<(Span, String)>,
    /// Things to type or to do.
    pub hints: Vec<String>,
}

/// The places that `span` was expanded from, with their lines; nothing outside of macros.
pub fn expanded_from(span: Span, sources: &Sources) -> String {
    let mut out = String::new();
    text::trail(&mut out, sources, span);
    out
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, span, message)
    }

    /// A warning at `span`.
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, span, message)
    }

    fn new(severity: Severity, span: Span, message: impl Into<String>) -> Self {
        Diagnostic {
            severity,
            fault: Fault::Script,
            message: message.into(),
            span,
            labels: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// Says that the script may be right: this machine lacks something.
    pub fn machine(self) -> Self {
        Diagnostic { fault: Fault::Machine, ..self }
    }

    /// Adds a secondary label.
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push((span, text.into()));
        self
    }

    /// Adds a hint.
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push(text.into());
        self
    }

    /// Adds a hint when there is one.
    pub fn maybe_hint(self, text: Option<String>) -> Self {
        match text {
            Some(text) => self.hint(text),
            None => self,
        }
    }
}

/// True when any of them is an error.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|it| it.severity == Severity::Error)
}

/// A number of things: `1 key`, `2 keys`.
pub fn counted(n: impl Into<u64>, noun: &str) -> String {
    let n = n.into();
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// The text form of one diagnostic, ending in a newline.
pub fn render(diagnostic: &Diagnostic, sources: &Sources) -> String {
    text::render(diagnostic, sources)
}

/// The candidate nearest to `word`, when one is near enough to be a likely slip.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest::nearest(word, candidates)
}
