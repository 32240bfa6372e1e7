//! The tree decides the gaps between the pieces.
//!
//! Comes in: pieces and the tree of the same text. Goes out: the pieces with their roles, gaps
//! and the `;` that are needed. Every construct is first given a line for each of its statements;
//! what stood on one line and fits there is then put back on one.

mod expression;

use super::piece::{Gap, Piece, Role};
use super::{INDENT, WIDTH};
use crate::ast::{Block, ConfigEntry, Function, Item, MapDecl, Probe, Script, Stmt, StmtKind};
use crate::source::Span;

/// Decides the gaps of `pieces`, which are those of `text`, as `script` is.
pub(super) fn shape<'t>(text: &'t str, script: &Script, pieces: &mut [Piece<'t>]) {
    Shape { text, pieces }.script(script);
}

struct Shape<'p, 't> {
    text: &'t str,
    /// Invariant: in order of place; the last one is the end.
    pieces: &'p mut [Piece<'t>],
}

impl Shape<'_, '_> {
    fn script(&mut self, script: &Script) {
        let mut at = 0;
        for item in &script.items {
            while self.pieces[at].dropped {
                at += 1;
            }
            self.pieces[at].gap = Gap::Line;
            at = 1 + match item {
                Item::C(span) => self.last(*span),
                Item::Config(entries) => self.config(at, entries),
                Item::Import(import) => self.semicolon(import.span),
                Item::MapDecl(map) => self.map_declaration(map),
                Item::Macro(function) | Item::Function(function) => self.function(function),
                Item::Probe(probe) => self.probe(probe),
            };
        }
        if let Some(end) = self.pieces.last_mut() {
            end.gap = Gap::Line;
        }
    }

    // Items; each gives its last piece.

    /// The config block whose first piece is `first`.
    fn config(&mut self, first: usize, entries: &[ConfigEntry]) -> usize {
        for entry in entries {
            let key = self.first(entry.key.span);
            self.pieces[key].gap = Gap::Line;
            self.semicolon(entry.span);
        }
        // Between the braces stand words, numbers and strings.
        let length = self.pieces[first..].iter().position(|it| it.is("}")).unwrap_or(0);
        let close = first + length;
        self.line_before_close(first + 2, close, entries.is_empty());
        self.keep_on_one_line(first, close, 0);
        close
    }

    fn map_declaration(&mut self, map: &MapDecl) -> usize {
        let kind = self.first(map.kind.span);
        self.pieces[kind + 1].role = Role::Suffix;
        if let Some(size) = &map.size {
            self.expression(size, 0, 0);
        }
        self.semicolon(map.span)
    }

    fn function(&mut self, function: &Function) -> usize {
        let first = self.first(function.span);
        let name = self.first(function.name.span);
        self.pieces[name + 1].role = Role::Suffix;
        for (number, param) in function.params.iter().enumerate() {
            if number > 0 {
                self.soft(param.name.span, 0);
            }
            if let Some(ty) = &param.ty {
                self.role_before(ty.span, Role::Suffix);
                self.type_name(ty, 0);
            }
        }
        if let Some(result) = &function.result {
            self.role_before(result.span, Role::Suffix);
            self.type_name(result, 0);
        }
        self.block(&function.body, 0);
        let (open, close) = self.ends(function.body.span);
        if !self.keep_on_one_line(first, close, 0) {
            self.pieces[open].gap = Gap::Break;
        }
        close
    }

    fn probe(&mut self, probe: &Probe) -> usize {
        let first = self.first(probe.span);
        let (open, close) = self.ends(probe.body.span);
        self.block(&probe.body, 0);
        let mut last_line = self.points(probe);
        let is_single = probe.points.len() == 1;
        if let Some(predicate) = &probe.predicate {
            self.expression(predicate, 0, 0);
            last_line = self.first(predicate.span) - 1;
        }
        let was_one_line = is_single && self.is_one_line(first, close);
        if was_one_line && self.keep_on_one_line(first, close, 0) {
            return close;
        }
        if probe.predicate.is_some() {
            self.pieces[last_line].gap = Gap::Break;
        }
        let is_behind = self.is_one_line(open - 1, open);
        let begin = if is_behind { last_line } else { open };
        let fits = !was_one_line && self.is_one_line(begin, close) && self.fits(begin, close, 0);
        if fits {
            self.join(open + 1, close);
        }
        if !(fits && is_behind) {
            self.pieces[open].gap = Gap::Break;
        }
        close
    }

    /// Gives each attach point its line; the last one's piece.
    fn points(&mut self, probe: &Probe) -> usize {
        for point in &probe.points[1..] {
            let at = self.first(point.span);
            self.pieces[at].gap = Gap::Break;
        }
        for point in &probe.points {
            let at = self.first(point.span);
            // An open quote reaches to the end of the line.
            if point.text.matches('"').count() % 2 == 1 {
                self.pieces[at + 1].gap = Gap::Break;
            }
        }
        probe.points.last().map_or(0, |it| self.first(it.span))
    }

    // Statements.

    /// A block, each of its statements on a line of its own; `level` is that of its braces.
    fn block(&mut self, block: &Block, level: usize) {
        for stmt in &block.stmts {
            self.statement(stmt, level + 1);
            let first = self.first(stmt.span);
            self.pieces[first].gap = Gap::Line;
        }
        let (open, close) = self.ends(block.span);
        self.line_before_close(open, close, block.stmts.is_empty());
    }

    /// Ends the line before a closing brace, unless nothing or no more than a comment is between
    /// the braces.
    fn line_before_close(&mut self, open: usize, close: usize, is_empty: bool) {
        let has_comments = self.pieces[open + 1..=close].iter().any(|it| !it.comments.is_empty());
        if !is_empty || has_comments && !self.is_one_line(open, close) {
            self.pieces[close].gap = Gap::Line;
        }
    }

    fn statement(&mut self, stmt: &Stmt, level: usize) {
        self.statement_parts(stmt, level);
        let first = self.first(stmt.span);
        let last = match &stmt.kind {
            kind if ends_in_block(kind) => self.last(stmt.span),
            StmtKind::Value(_) => self.last(stmt.span),
            _ => self.semicolon(stmt.span),
        };
        self.keep_on_one_line(first, last, level);
    }

    fn statement_parts(&mut self, stmt: &Stmt, level: usize) {
        match &stmt.kind {
            StmtKind::Expr(value) | StmtKind::Value(value) | StmtKind::Discard(value) => {
                self.expression(value, 0, level);
            }
            StmtKind::Assign { target, value, .. } => {
                self.expression(target, 0, level);
                self.expression(value, 0, level);
            }
            StmtKind::Let { ty, value, .. } => {
                if let Some(ty) = ty {
                    self.role_before(ty.span, Role::Suffix);
                    self.type_name(ty, level);
                }
                value.iter().for_each(|it| self.expression(it, 0, level));
            }
            StmtKind::If { condition, then, otherwise, .. } => {
                self.expression(condition, 0, level);
                self.branches(then, otherwise.as_ref(), level);
            }
            StmtKind::While { condition: head, body }
            | StmtKind::ForMap { map: head, body, .. }
            | StmtKind::Unroll { count: head, body } => {
                self.expression(head, 0, level);
                self.block(body, level);
            }
            StmtKind::ForRange { start, end, body, .. } => {
                self.expression(start, 0, level);
                self.expression(end, 0, level);
                self.block(body, level);
            }
            StmtKind::Block(body) => self.block(body, level),
            StmtKind::Return(value) => value.iter().for_each(|it| self.expression(it, 0, level)),
            StmtKind::Break | StmtKind::Continue => {}
        }
    }

    /// The blocks of an `if`. An `else if` is laid out with the `if` that it belongs to.
    fn branches(&mut self, then: &Block, otherwise: Option<&Block>, level: usize) {
        self.block(then, level);
        let Some(otherwise) = otherwise else { return };
        let first = self.first(otherwise.span);
        if self.pieces[first].is("{") {
            self.block(otherwise, level);
        } else {
            otherwise.stmts.iter().for_each(|it| self.statement_parts(it, level));
        }
    }

    /// Keeps the `;` behind `span`, or adds it; gives the last piece that there is.
    fn semicolon(&mut self, span: Span) -> usize {
        let last = self.last(span);
        if self.pieces[last + 1].is(";") {
            self.pieces[last + 1].dropped = false;
            return last + 1;
        }
        self.pieces[last].semicolon = true;
        last
    }

    // Lines.

    /// Takes out the line ends in a construct that had none and fits into a line without them.
    fn keep_on_one_line(&mut self, first: usize, last: usize, level: usize) -> bool {
        let keep = self.is_one_line(first, last) && self.fits(first, last, level);
        if keep {
            self.join(first + 1, last);
        }
        keep
    }

    fn join(&mut self, first: usize, last: usize) {
        for piece in &mut self.pieces[first..=last] {
            if matches!(piece.gap, Gap::Break | Gap::Line) {
                piece.gap = Gap::Usual;
            }
        }
    }

    /// Whether the author wrote all of it on one line.
    fn is_one_line(&self, first: usize, last: usize) -> bool {
        let range = self.pieces[first].start as usize..self.pieces[last].end as usize;
        !self.text[range].contains('\n')
    }

    /// Whether all of it, which has no line end, fits into one line that begins with it.
    fn fits(&self, first: usize, last: usize, level: usize) -> bool {
        let mut column = level * INDENT + self.pieces[first].width();
        let mut previous = &self.pieces[first];
        for piece in &self.pieces[first + 1..=last] {
            column += piece.comments.iter().map(|it| 1 + it.text.chars().count()).sum::<usize>();
            if !piece.dropped {
                column += usize::from(!previous.touches(piece)) + piece.width();
                previous = piece;
            }
            if column > WIDTH {
                return false;
            }
        }
        true
    }

    // Pieces by place.

    /// The piece that `span` begins with.
    fn first(&self, span: Span) -> usize {
        self.pieces.partition_point(|it| it.start < span.start).min(self.pieces.len() - 1)
    }

    /// The piece that `span` ends with.
    fn last(&self, span: Span) -> usize {
        self.pieces.partition_point(|it| it.end < span.end).min(self.pieces.len() - 1)
    }

    fn ends(&self, span: Span) -> (usize, usize) {
        (self.first(span), self.last(span))
    }

    /// Says what the piece before `span` is.
    fn role_before(&mut self, span: Span, role: Role) {
        if let Some(before) = self.first(span).checked_sub(1) {
            self.pieces[before].role = role;
        }
    }

    /// Lets the line be broken before `span`.
    fn soft(&mut self, span: Span, depth: u32) {
        let at = self.first(span);
        self.pieces[at].gap = Gap::Soft { depth };
    }
}

/// Whether the statement ends in its own `}`; a `;` behind it is an empty statement.
fn ends_in_block(kind: &StmtKind) -> bool {
    use StmtKind::{Block, ForMap, ForRange, If, Unroll, While};
    matches!(kind, Block(_) | ForMap { .. } | ForRange { .. } | If { .. } | Unroll { .. } | While { .. })
}
