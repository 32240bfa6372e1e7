//! Pieces and gaps to text.
//!
//! Comes in: the pieces with their gaps decided. Goes out: the text. Here lines are counted and
//! broken where they grow too long, and comments put back where they were: behind what is before
//! them, or on lines of their own.

use super::piece::{Comment, Gap, Piece};
use super::{HANGING, INDENT, WIDTH};
use crate::lex::TokenKind;

/// The text of `pieces`, of which none is dropped.
pub(super) fn lay_out(pieces: &[Piece]) -> String {
    let mut layout = Layout { pieces, out: String::new(), column: 0, level: 0 };
    for at in 0..pieces.len() {
        layout.piece(at);
    }
    layout.out
}

struct Layout<'p, 't> {
    pieces: &'p [Piece<'t>],
    out: String,
    column: usize,
    /// How many blocks are open that stand on lines of their own.
    level: usize,
}

/// Where the comments before a piece left the line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// There were none.
    Untouched,
    /// The last one stands behind the piece before.
    Trailing,
    /// The last one stands on a line of its own, where the piece may follow it.
    Own,
    /// The last one reaches to the end of the line.
    Ended,
}

impl Layout<'_, '_> {
    fn piece(&mut self, at: usize) {
        let piece = &self.pieces[at];
        let previous = at.checked_sub(1).map(|it| &self.pieces[it]);
        let line = self.comments(previous, piece);
        if piece.is("}") && piece.gap == Gap::Line {
            self.level = self.level.saturating_sub(1);
        }
        if piece.kind == TokenKind::End {
            return self.end();
        }
        match (line, piece.gap) {
            (Line::Own, _) if piece.newlines == 0 && !piece.is("}") => self.push(" "),
            (_, Gap::Line) => {
                let after_open = line == Line::Untouched && previous.is_some_and(|it| it.is("{"));
                self.new_line(self.indent(piece), piece.newlines > 1 && !after_open && !piece.is("}"));
            }
            (_, Gap::Break) | (Line::Own | Line::Ended, _) => self.new_line(self.indent(piece), false),
            (_, Gap::Soft { depth }) if self.was_broken(at) || !self.fits(at, depth) => {
                self.new_line(self.indent(piece), false)
            }
            (_, Gap::Soft { .. }) => self.push(" "),
            (Line::Untouched, Gap::Usual) if previous.is_none_or(|it| it.touches(piece)) => {}
            (Line::Trailing, Gap::Usual) if [")", "]", ",", ";"].iter().any(|it| piece.is(it)) => {}
            (_, Gap::Usual) => self.push(" "),
        }
        self.text(at);
    }

    fn text(&mut self, at: usize) {
        let piece = &self.pieces[at];
        if self.out.is_empty() && piece.text.starts_with("#!") {
            // On the first line it would be no directive.
            self.out.push('\n');
        }
        self.push(piece.text);
        if piece.semicolon {
            self.push(";");
        }
        let opens = self.pieces.get(at + 1).is_some_and(|next| next.gap == Gap::Line);
        if piece.is("{") && opens {
            self.level += 1;
        }
    }

    /// Ends the text with one line end.
    fn end(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with('\n') {
            self.out.push('\n');
        }
    }

    /// Puts the comments between `previous` and `piece`.
    fn comments(&mut self, previous: Option<&Piece>, piece: &Piece) -> Line {
        let mut line = Line::Untouched;
        for comment in &piece.comments {
            let is_first = line == Line::Untouched;
            let is_own = comment.newlines > 0 || line == Line::Ended || self.out.is_empty();
            if is_own {
                let after_open = is_first && previous.is_some_and(|it| it.is("{"));
                let blank = comment.newlines > 1 && piece.gap == Gap::Line && !after_open;
                let indent = self.indent(piece);
                self.new_line(indent, blank);
                self.own_comment(comment, indent);
            } else {
                let opens = is_first && previous.is_some_and(|it| it.is("(") || it.is("["));
                self.push(if opens { "" } else { " " });
                self.push(comment.text);
            }
            line = match (comment.is_line, is_own || line == Line::Own) {
                (true, _) => Line::Ended,
                (false, true) => Line::Own,
                (false, false) => Line::Trailing,
            };
        }
        line
    }

    /// A comment on lines of its own: further lines move with the first.
    fn own_comment(&mut self, comment: &Comment, indent: usize) {
        for (number, line) in comment.text.split('\n').enumerate() {
            if number > 0 {
                self.out.push('\n');
                self.column = 0;
            }
            match line.strip_prefix(comment.indent).filter(|it| number > 0 && !it.trim().is_empty()) {
                Some(rest) => {
                    self.push(&" ".repeat(indent));
                    self.push(rest);
                }
                None => self.push(line),
            }
        }
    }

    /// Columns before `piece`, or a comment before it, at the beginning of a line.
    fn indent(&self, piece: &Piece) -> usize {
        let begins_line = matches!(piece.gap, Gap::Line | Gap::Break)
            || piece.is("{")
            || piece.is("}")
            || piece.kind == TokenKind::Keyword && piece.text == "else";
        self.level * INDENT + if begins_line { 0 } else { HANGING }
    }

    /// Whether the author broke the line here, or before the operator that stands here.
    fn was_broken(&self, at: usize) -> bool {
        let operator = at.checked_sub(1).map(|it| &self.pieces[it]);
        let before = operator.filter(|it| !it.is(",")).map_or(0, |it| it.newlines);
        self.pieces[at].newlines + before > 0
    }

    /// Whether all up to the next line end, or place where the line may be broken instead, fits
    /// into the line.
    fn fits(&self, at: usize, depth: u32) -> bool {
        let mut column = self.column + 1 + self.pieces[at].width();
        for behind in at + 1..self.pieces.len() {
            let (piece, next) = (&self.pieces[behind - 1], &self.pieces[behind]);
            let (comments, is_end) = columns(&next.comments);
            column += comments;
            let may_break = match next.gap {
                Gap::Usual => false,
                Gap::Soft { depth: other } => other <= depth || self.was_broken(behind),
                Gap::Break | Gap::Line => true,
            };
            if is_end || may_break || column > WIDTH {
                break;
            }
            column += usize::from(!piece.touches(next)) + next.width();
        }
        column <= WIDTH
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
        match text.rfind('\n') {
            Some(end) => self.column = text[end + 1..].chars().count(),
            None => self.column += text.chars().count(),
        }
    }

    fn new_line(&mut self, indent: usize, blank: bool) {
        if self.out.is_empty() {
            return;
        }
        self.end();
        if blank {
            self.out.push('\n');
        }
        self.column = 0;
        self.push(&" ".repeat(indent));
    }
}

/// Columns of comments up to the first line end in or between them, and whether there is one.
fn columns(comments: &[Comment]) -> (usize, bool) {
    let mut columns = 0;
    for comment in comments {
        // One to the end of the line may be as long as it is: no break before it makes it shorter.
        if comment.newlines > 0 || comment.is_line {
            return (columns, true);
        }
        let first = comment.text.split('\n').next().unwrap_or("");
        columns += 1 + first.chars().count();
        if first.len() < comment.text.len() {
            return (columns, true);
        }
    }
    (columns, false)
}
