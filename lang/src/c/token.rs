//! The tokens of C.
//!
//! Comes in: a piece of C text. Goes out: its words, numbers, literals and punctuation with their
//! places, and the ends of its lines. Comments and continued lines are white space.

use crate::source::{FileId, Span};
use std::rc::Rc;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or keyword.
    Word,
    /// What begins with a digit.
    Number,
    /// `"text"`
    Text,
    /// `'c'`
    Character,
    /// An operator or bracket, or what fits nowhere.
    Punct,
    /// The end of a line, which ends a directive.
    Newline,
}

/// A token.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub kind: Kind,
    pub text: Rc<str>,
    pub place: Place,
    /// Whether white space stands before it: `#define F (x)` has no parameter.
    pub spaced: bool,
    /// Whether it is a macro's name that came out of this macro, and so stays.
    pub settled: bool,
}

/// Where a token was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// In the script; for what a header holds, the `#include`.
    pub span: Span,
    /// The header and the line in it.
    pub header: Option<(Rc<str>, u32)>,
}

impl Token {
    /// Whether this is that word or punctuation.
    pub fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Punct) && &*self.text == text
    }
}

/// Where a text stands.
#[derive(Clone)]
pub(super) enum Origin {
    /// In the script, from this byte on.
    Script(FileId, u32),
    /// In a header that is included here.
    Header(Rc<str>, Span),
}

/// Punctuation of more than one character, the longest first.
const LONG_PUNCTS: [&str; 22] = [
    "...", "<<=", ">>=", "##", "->", "++", "--", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "+=", "-=",
    "*=", "/=", "%=", "&=", "|=",
];

/// All tokens of `text`.
pub(super) fn tokens(text: &str, origin: &Origin) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut at, mut line, mut spaced) = (0, 1, false);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (kind, length) = match first {
            '\n' => (Some(Kind::Newline), 1),
            '\\' if continues(rest) > 0 => (None, continues(rest)),
            _ if first.is_whitespace() || first == '\u{feff}' => (None, first.len_utf8()),
            '/' if rest.starts_with("//") => (None, rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => (None, rest[2..].find("*/").map_or(rest.len(), |end| end + 4)),
            '"' => (Some(Kind::Text), quoted(rest, '"')),
            '\'' => (Some(Kind::Character), quoted(rest, '\'')),
            '0'..='9' => (Some(Kind::Number), word_length(rest)),
            _ if is_word(first) => (Some(Kind::Word), word_length(rest)),
            _ => (Some(Kind::Punct), punct_length(rest, first)),
        };
        if let Some(kind) = kind {
            let place = origin.place(at, length, line);
            tokens.push(Token { kind, text: rest[..length].into(), place, spaced, settled: false });
        }
        spaced = kind.is_none() || kind == Some(Kind::Newline);
        line += rest[..length].matches('\n').count() as u32;
        at += length;
    }
    tokens
}

impl Origin {
    fn place(&self, at: usize, length: usize, line: u32) -> Place {
        match self {
            Origin::Script(file, start) => {
                let start = *start as usize + at;
                Place { span: Span::new(*file, start, start + length), header: None }
            }
            Origin::Header(name, span) => Place { span: *span, header: Some((name.clone(), line)) },
        }
    }
}

/// Length of a backslash with the end of the line behind it, else 0.
fn continues(text: &str) -> usize {
    match text.as_bytes() {
        [b'\\', b'\n', ..] => 2,
        [b'\\', b'\r', b'\n', ..] => 3,
        _ => 0,
    }
}

fn is_word(first: char) -> bool {
    first == '_' || first == '$' || first.is_alphanumeric()
}

fn word_length(text: &str) -> usize {
    text.find(|it| !is_word(it)).unwrap_or(text.len())
}

fn punct_length(text: &str, first: char) -> usize {
    LONG_PUNCTS.iter().find(|it| text.starts_with(**it)).map_or(first.len_utf8(), |it| it.len())
}

/// Length of a literal, which ends with its line at the latest.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, it) in text.char_indices().skip(1) {
        match it {
            '\n' => return at,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if it == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}
