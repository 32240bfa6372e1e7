//! Pieces: the tokens that mean something, each with the comments and line ends before it.
//!
//! Comes in: a text. Goes out: its pieces, with nothing decided about the gaps between them but
//! which commas mean nothing.

use crate::lex::{Token, TokenKind, lex};

/// What stands between a piece and the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Gap {
    /// What the two pieces ask for: nothing or a space.
    #[default]
    Usual,
    /// A space, or a line end where the author left one or the line grows too long; of several,
    /// those of a lower depth are worth more.
    Soft {
        /// Levels of operators and brackets around it.
        depth: u32,
    },
    /// A line end.
    Break,
    /// A line end, and an empty line where the author left one.
    Line,
}

/// What the tree knows of a token that its text does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing.
    #[default]
    Plain,
    /// Belongs to what follows: an operator before its operand, the last parenthesis of a cast.
    Prefix,
    /// Belongs to what is before it: `++` behind a variable, a call's first parenthesis, the `*` of
    /// a pointer type.
    Suffix,
    /// Both: the `/` in `10.0.0.0/8`.
    Joint,
}

/// A comment, or the `#!` line.
#[derive(Clone, Debug)]
pub(super) struct Comment<'t> {
    /// Without white space behind it.
    pub text: &'t str,
    /// Line ends between it and what is before it.
    pub newlines: usize,
    /// Whether a line end must follow.
    pub is_line: bool,
    /// The white space before it, when it is the first on its line.
    pub indent: &'t str,
}

/// A token that means something, and what stands before it.
#[derive(Clone, Debug)]
pub(super) struct Piece<'t> {
    pub kind: TokenKind,
    pub text: &'t str,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// Between the piece before and this one.
    pub comments: Vec<Comment<'t>>,
    /// Line ends between the last comment, or the piece before, and this one.
    pub newlines: usize,
    pub gap: Gap,
    pub role: Role,
    /// Whether it means nothing and is left out. All `;` begin so, until a statement needs them.
    pub dropped: bool,
    /// Whether a `;` is to follow that the author left out.
    pub semicolon: bool,
}

impl Piece<'_> {
    /// Whether it is that operator, bracket or separator.
    pub fn is(&self, punct: &str) -> bool {
        self.kind == TokenKind::Punct && self.text == punct
    }

    /// Columns of its text, with the `;` that is to follow.
    pub fn width(&self) -> usize {
        self.text.chars().count() + usize::from(self.semicolon)
    }

    /// Whether nothing stands between this piece and `next`, unless the layout puts a line end.
    pub fn touches(&self, next: &Piece) -> bool {
        let wanted = matches!(self.role, Role::Prefix | Role::Joint)
            || matches!(next.role, Role::Suffix | Role::Joint)
            || self.kind == TokenKind::PredicateStart
            || next.kind == TokenKind::PredicateEnd
            || self.kind == TokenKind::Punct && ["(", "[", ".", "->", ".."].contains(&self.text)
            || next.kind == TokenKind::Punct
                && [",", ";", ")", "]", "[", ".", "->", ".."].contains(&next.text)
            || self.is("{") && next.is("}");
        wanted && !merges(self.text, next.text)
    }
}

/// Whether two tokens would be read as others when nothing is between them.
fn merges(left: &str, right: &str) -> bool {
    let (Some(left), Some(right)) = (left.chars().next_back(), right.chars().next()) else { return false };
    let is_name = |it: char| it == '_' || it.is_alphanumeric();
    is_name(left) && is_name(right)
        || ["++", "--", "&&", "||", "->", "..", "<<", ">>", "//", "/*"]
            .iter()
            .any(|it| it.starts_with(left) && it.ends_with(right))
}

/// The pieces of `text`; the last one is [`TokenKind::End`].
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut comments = Vec::new();
    let mut newlines = 0;
    let end = text.len() as u32;
    for token in lex(text).into_iter().chain([Token { kind: TokenKind::End, start: end, end }]) {
        if token.kind == TokenKind::Whitespace {
            newlines += token.text(text).matches('\n').count();
        } else if token.kind.is_trivia() {
            comments.push(comment(text, token, newlines));
            newlines = 0;
        } else {
            let comments = std::mem::take(&mut comments);
            pieces.push(piece(text, token, comments, newlines));
            newlines = 0;
        }
    }
    drop_commas(&mut pieces);
    pieces
}

fn comment(text: &str, token: Token, newlines: usize) -> Comment<'_> {
    let before = &text[..token.start as usize];
    let line = &before[before.rfind('\n').map_or(0, |it| it + 1)..];
    Comment {
        text: token.text(text).trim_end(),
        newlines,
        is_line: token.kind != TokenKind::BlockComment,
        indent: if line.trim().is_empty() { line } else { "" },
    }
}

fn piece<'t>(text: &'t str, token: Token, comments: Vec<Comment<'t>>, newlines: usize) -> Piece<'t> {
    let Token { kind, start, end } = token;
    let text = token.text(text);
    Piece {
        kind,
        text,
        start,
        end,
        comments,
        newlines,
        gap: Gap::Usual,
        role: Role::Plain,
        dropped: kind == TokenKind::Punct && text == ";",
        semicolon: false,
    }
}

/// Drops commas behind the last part of a list, but for that of a tuple with one part.
fn drop_commas(pieces: &mut [Piece]) {
    // For each open bracket: whether a comma at its end means nothing.
    let mut brackets: Vec<bool> = Vec::new();
    for at in 0..pieces.len() {
        let previous = at.checked_sub(1).map(|it| pieces[it].kind);
        let next = pieces.get(at + 1);
        let closes = next.is_some_and(|it| it.is(")") || it.is("]"));
        let ends_points = next.is_some_and(|it| it.is("{") || it.kind == TokenKind::PredicateStart);
        if pieces[at].kind != TokenKind::Punct {
            continue;
        }
        match pieces[at].text {
            "(" => brackets.push(previous == Some(TokenKind::Word)),
            "[" => brackets.push(true),
            ")" | "]" => drop(brackets.pop()),
            "," if closes => pieces[at].dropped = brackets.last() == Some(&true),
            "," if ends_points && previous == Some(TokenKind::AttachPoint) => pieces[at].dropped = true,
            "," => brackets.iter_mut().next_back().into_iter().for_each(|it| *it = true),
            _ => {}
        }
    }
}

/// The pieces that are kept, with the comments of those that are not.
pub(super) fn without_dropped(pieces: Vec<Piece<'_>>) -> Vec<Piece<'_>> {
    let mut kept: Vec<Piece> = Vec::with_capacity(pieces.len());
    let mut comments: Vec<Comment> = Vec::new();
    let mut newlines = 0;
    for mut piece in pieces {
        match piece.comments.first_mut() {
            Some(first) => first.newlines = first.newlines.max(newlines),
            None => piece.newlines = piece.newlines.max(newlines),
        }
        newlines = 0;
        comments.append(&mut piece.comments);
        if piece.dropped {
            newlines = piece.newlines;
        } else {
            piece.comments = std::mem::take(&mut comments);
            kept.push(piece);
        }
    }
    kept
}
