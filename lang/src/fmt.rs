//! One form for every script.
//!
//! Comes in: a script's text. Goes out: the same script laid out anew, or the parser's diagnostics
//! when it has syntax errors. It never resolves a name, and never changes, adds or removes a token
//! but for `;` and `,` that mean nothing; every comment stays, in its place among the tokens.
//!
//! ```text
//! text ─lex─► pieces (tokens with the comments before them) ─shape─► gaps ─lay out─► text
//! ```
//!
//! The tree only says what a token is (the `*` of a pointer or of a product, the last `)` of a
//! cast) and where statements begin. What is printed are the tokens, one after the other.

mod layout;
mod meaning;
mod piece;
mod shape;

use crate::diagnostic::{Diagnostic, has_errors};
use crate::parse;
use crate::source::{FileId, Span};

/// Columns that a line should fit into.
const WIDTH: usize = 80;

/// Spaces of one level of blocks.
const INDENT: usize = 2;

/// Spaces before the second and further lines of one statement.
const HANGING: usize = 4;

/// The script laid out anew, or what is wrong with its syntax.
///
/// # Panics
///
/// Never, unless this module is wrong: rather than hand out a script that means something else
/// than what was written, it stops.
pub fn format(text: &str) -> Result<String, Vec<Diagnostic>> {
    let parsed = parse::parse(text, FileId(0));
    if has_errors(&parsed.diagnostics) {
        return Err(parsed.diagnostics);
    }
    let mut pieces = piece::pieces(text);
    shape::shape(text, &parsed.script, &mut pieces);
    let formatted = layout::lay_out(&piece::without_dropped(pieces));
    if formatted.len() > parse::SIZE_LIMIT {
        let message =
            format!("laid out, the script would have {} bytes, too many to be read", formatted.len());
        return Err(vec![Diagnostic::error(Span::default(), message)]);
    }
    assert!(meaning::is_same(text, &formatted), "formatting changed the script's meaning");
    Ok(formatted)
}

#[cfg(test)]
mod tests;
