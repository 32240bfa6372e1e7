//! Whether two texts are the same script.
//!
//! Comes in: a script before and after. Goes out: yes, when tree, tokens and comments are the
//! same, places, white space and `;` and `,` without meaning left aside.

use crate::ast::{self, Item};
use crate::lex::{TokenKind, lex};
use crate::parse;
use crate::source::{FileId, Span};

/// Whether `after` is the script that `before` is.
pub(super) fn is_same(before: &str, after: &str) -> bool {
    tree(before) == tree(after) && tokens(before) == tokens(after) && comments(before) == comments(after)
}

/// The tree's text form without places.
fn tree(text: &str) -> String {
    let mut script = parse::parse(text, FileId(0)).script;
    for item in &mut script.items {
        if let Item::C(span) = item {
            *span = Span::default();
        }
    }
    ast::text::print(&script)
}

/// All tokens but those that may come and go. Where they mean something the trees differ.
fn tokens(text: &str) -> Vec<(TokenKind, &str)> {
    lex(text)
        .into_iter()
        .filter(|it| !it.kind.is_trivia())
        .map(|it| (it.kind, it.text(text).trim_end()))
        .filter(|it| !matches!(it, (TokenKind::Punct, ";" | ",")))
        .collect()
}

/// The lines of all comments. Their indentation follows the code around them.
fn comments(text: &str) -> Vec<&str> {
    lex(text)
        .into_iter()
        .filter(|it| it.kind.is_trivia() && it.kind != TokenKind::Whitespace)
        .flat_map(|it| it.text(text).lines().map(str::trim))
        .collect()
}
