//! The text form of diagnostics: place and message, the source line, an underline; the same for
//! every place that it was expanded from.
//!
//! Text of the script is shown with its control characters escaped, so that no script can move
//! the cursor of the terminal it is shown on. Long lines are cut around the underlined part.

use super::{Diagnostic, Severity};
use crate::source::{Sources, Span};
use std::fmt::Write;

/// The most characters of a line that are shown.
const LINE_LIMIT: usize = 200;

/// The most places that are shown of where something was expanded from.
const TRAIL_LIMIT: usize = 8;

/// Characters shown before the underlined part of a line that is cut.
const CONTEXT: usize = 60;

pub(super) fn render(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let severity = match diagnostic.severity {
        Severity::Error => "ERROR",
        Severity::Warning => "WARNING",
    };
    let mut out = String::new();
    excerpt(&mut out, sources, diagnostic.span, &format!("{severity}: {}", diagnostic.message));
    trail(&mut out, sources, diagnostic.span);
    for (span, text) in &diagnostic.labels {
        excerpt(&mut out, sources, *span, text);
    }
    for hint in &diagnostic.hints {
        let _ = writeln!(out, "HINT: {}", printable(hint));
    }
    out
}

/// The places that `span` was expanded from, with their lines; of many the first, and the last, which
/// is the script's.
pub(super) fn trail(out: &mut String, sources: &Sources, span: Span) {
    let n_places = sources.trail(span).count();
    let n_left_out = n_places.saturating_sub(TRAIL_LIMIT);
    for (idx, from) in sources.trail(span).enumerate() {
        if n_left_out == 0 || idx < TRAIL_LIMIT - 1 || idx == n_places - 1 {
            excerpt(out, sources, from, "expanded from");
        } else if idx == n_places - 2 {
            let _ = writeln!(out, "… and from {n_left_out} more");
        }
    }
}

/// `FILE:LINE:COL-COL: text`, the line, the underline.
fn excerpt(out: &mut String, sources: &Sources, span: Span, text: &str) {
    let source = sources.get(span.file);
    let from = source.position(span.start);
    let to = source.position(span.end);
    let line = source.line(from.line);
    let past_last = if to.line == from.line { to.column } else { line.chars().count() + 1 };
    let past_last = past_last.max(from.column + 1);
    let name = printable(&source.name);
    let _ = writeln!(out, "{name}:{}:{}-{past_last}: {}", from.line, from.column, printable(text));
    let (shown, underline) = cut(line, from.column - 1, past_last - 1);
    let _ = writeln!(out, "{shown}");
    let _ = writeln!(out, "{underline}");
}

/// The part of `line` around the characters `start..end`, and the line that underlines them.
fn cut(line: &str, start: usize, end: usize) -> (String, String) {
    let length = line.chars().count();
    let first = if length <= LINE_LIMIT { 0 } else { start.saturating_sub(CONTEXT).min(length - LINE_LIMIT) };
    let last = (first + LINE_LIMIT).min(length);
    let mut shown = String::new();
    let mut underline = String::new();
    if first > 0 {
        shown.push_str("...");
        underline.push_str("   ");
    }
    for (at, character) in line.chars().enumerate().take(last).skip(first) {
        let cell = visible(character);
        let mark = if (start..end).contains(&at) { '~' } else { ' ' };
        match character {
            '\t' if mark == ' ' => underline.push('\t'),
            _ => underline.extend(cell.chars().map(|_| mark)),
        }
        shown.push_str(&cell);
    }
    if last < length {
        shown.push_str("...");
    }
    // A place behind the line's end, such as the end of the script, still gets its mark.
    if start >= length {
        underline.push('~');
    }
    (shown, underline.trim_end().to_owned())
}

fn printable(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// A character as a terminal may safely be sent it.
fn visible(character: char) -> String {
    let hidden = match character {
        '\t' => false,
        // Marks that reorder the text around them, and the byte order mark.
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => true,
        other => other.is_control(),
    };
    match character {
        other if !hidden => other.to_string(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        other if other.is_ascii() => format!("\\x{:02x}", other as u32),
        other => format!("\\u{{{:x}}}", other as u32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;

    fn span(start: usize, end: usize) -> Span {
        Span::new(FileId(0), start, end)
    }

    #[track_caller]
    fn check(text: &str, diagnostic: Diagnostic, expected: &str) {
        assert_eq!(render(&diagnostic, &Sources::single("a.bt", text)), expected);
    }

    #[test]
    fn places_labels_and_hints() {
        check(
            "begin {\n\t$x = 1; $x = \"a\";\n}\n",
            Diagnostic::error(span(22, 25), "type of `$x` is int64, not string")
                .label(span(9, 11), "first assigned here")
                .hint("use another variable"),
            concat!(
                "a.bt:2:15-18: ERROR: type of `$x` is int64, not string\n",
                "\t$x = 1; $x = \"a\";\n",
                "\t             ~~~\n",
                "a.bt:2:2-4: first assigned here\n",
                "\t$x = 1; $x = \"a\";\n",
                "\t~~\n",
                "HINT: use another variable\n",
            ),
        );
    }

    #[test]
    fn several_lines_and_the_end_of_the_text() {
        check(
            "begin {\n  exit();\n}",
            Diagnostic::warning(span(6, 19), "odd"),
            "a.bt:1:7-8: WARNING: odd\nbegin {\n      ~\n",
        );
        check("k:f", Diagnostic::error(span(3, 3), "no body"), "a.bt:1:4-5: ERROR: no body\nk:f\n   ~\n");
        check("k:f\n", Diagnostic::error(span(4, 4), "no body"), "a.bt:2:1-2: ERROR: no body\n\n~\n");
        check("", Diagnostic::error(span(0, 0), "empty"), "a.bt:1:1-2: ERROR: empty\n\n~\n");
        check("a", Diagnostic::error(span(7, 9), "far"), "a.bt:1:2-3: ERROR: far\na\n ~\n");
    }

    #[test]
    fn characters_are_counted_and_control_characters_escaped() {
        check(
            "é\u{1b}[2J é x",
            Diagnostic::error(span(2, 6), "odd `\u{1b}`"),
            "a.bt:1:2-6: ERROR: odd `\\x1b`\né\\x1b[2J é x\n ~~~~~~~\n",
        );
    }

    #[test]
    fn long_lines_are_cut() {
        let line = format!("{}WRONG{}", "a".repeat(1000), "b".repeat(1000));
        let text = render(&Diagnostic::error(span(1000, 1005), "m"), &Sources::single("a", line));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "a:1:1001-1006: ERROR: m");
        assert_eq!(lines[1].len(), LINE_LIMIT + 6);
        assert_eq!(lines[1].find("WRONG"), lines[2].find("~~~~~"));
    }
}
