//! Tokens to tree: a recursive-descent parser that gives a tree and all errors for any input.
//!
//! Comes in: the text of one file. Goes out: an [`ast::Script`](crate::ast::Script) and every
//! syntax error. It resolves no name and knows no builtin; what is wrong becomes
//! [`ExprKind::Error`](crate::ast::ExprKind::Error) or is left out, and the parser goes on behind it.
//!
//! Neither the input's size nor its nesting can harm: work is linear, the file's size, recursion and
//! the height of the tree are limited, and after twenty errors the rest of the file is left unread.

mod expression;
mod item;
pub(crate) mod literal;
mod statement;
mod types;

use crate::ast::{Expr, Ident, Script};
use crate::diagnostic::Diagnostic;
use crate::lex::{self, Token, TokenKind};
use crate::source::{FileId, Span};

/// Most errors reported for one file.
const ERROR_LIMIT: usize = 20;

/// Most levels of brackets, operators before an operand and blocks in one another.
const NESTING_LIMIT: u32 = 200;

/// Most levels of an expression tree. Without brackets `a + b + c …` grows one level with every
/// operator, and every stage behind the parser walks the tree by recursion.
const HEIGHT_LIMIT: u32 = 500;

/// Largest script, in bytes. Kernels take programs of a million instructions at most, and a script
/// becomes about one for every byte.
pub const SIZE_LIMIT: usize = 1 << 20;

/// Longest piece of the script that a message repeats.
const QUOTE_LIMIT: usize = 40;

/// What comes out of the parser.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The tree; wrong parts are missing or [`crate::ast::ExprKind::Error`].
    pub script: Script,
    /// Every syntax error, in order of place.
    pub diagnostics: Vec<Diagnostic>,
}

/// Parses one file.
pub fn parse(text: &str, file: FileId) -> Parsed {
    if text.len() > SIZE_LIMIT {
        let message = format!("the script has {} bytes, at most {SIZE_LIMIT} are possible", text.len());
        let diagnostic = Diagnostic::error(Span { file, ..Span::default() }, message);
        return Parsed { script: Script::default(), diagnostics: vec![diagnostic] };
    }
    let mut parser = Parser::new(text, file);
    let script = parser.script();
    let mut diagnostics = parser.diagnostics;
    diagnostics.sort_by_key(|it| it.span.start);
    Parsed { script, diagnostics }
}

/// The expression that all of `span` is, in the text of its file; nothing when it is none.
pub(crate) fn expression_in(text: &str, span: Span) -> Option<Expr> {
    let code = text.get(span.start as usize..span.end as usize)?;
    let moved = |it: Token| Token { start: it.start + span.start, end: it.end + span.start, ..it };
    let mut tokens: Vec<Token> = lex::lex_body(code).into_iter().map(moved).collect();
    // A backslash continues the line that a macro is defined in.
    tokens.retain(|it| !it.kind.is_trivia() && it.text(text) != "\\");
    tokens.push(Token { kind: TokenKind::End, start: span.end, end: span.end });
    let mut parser = Parser::of_tokens(text, span.file, tokens);
    let expr = parser.expression();
    (parser.kind() == TokenKind::End && parser.diagnostics.is_empty()).then_some(expr)
}

/// A place among the tokens, and what was found wrong so far.
struct Parser<'t> {
    text: &'t str,
    file: FileId,
    /// Invariant: ends with one [`TokenKind::End`], holds no trivia.
    tokens: Vec<Token>,
    /// Invariant: an index of `tokens`.
    at: usize,
    diagnostics: Vec<Diagnostic>,
    /// The token of the last error. A second error there would only repeat the first.
    failed_at: Option<usize>,
    /// How many nested constructs are being parsed.
    nesting: u32,
    /// Height of the expression parsed last.
    height: u32,
    /// Whether a condition is being parsed, where nobody means an assignment.
    in_condition: bool,
    /// Where a condition began last: a parenthesis there is not a cast's.
    condition_at: usize,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, file: FileId) -> Self {
        let mut tokens = lex::lex(text);
        let unclosed = tokens.last().filter(|it| it.kind == TokenKind::UnclosedComment).copied();
        tokens.retain(|it| !it.kind.is_trivia());
        let end = text.len() as u32;
        tokens.push(Token { kind: TokenKind::End, start: end, end });
        let mut parser = Parser::of_tokens(text, file, tokens);
        if let Some(token) = unclosed {
            let opening = parser.span_of(Token { end: token.start + 2, ..token });
            parser
                .diagnostics
                .push(Diagnostic::error(opening, "comment is not closed").hint("end it with `*/`"));
            parser.failed_at = Some(parser.tokens.len() - 1);
        }
        parser
    }

    fn of_tokens(text: &'t str, file: FileId, tokens: Vec<Token>) -> Self {
        Parser {
            text,
            file,
            tokens,
            at: 0,
            diagnostics: Vec::new(),
            failed_at: None,
            nesting: 0,
            height: 0,
            in_condition: false,
            condition_at: usize::MAX,
        }
    }

    // The current token.

    fn token(&self) -> Token {
        self.tokens[self.at]
    }

    fn kind(&self) -> TokenKind {
        self.token().kind
    }

    fn current(&self) -> &'t str {
        self.text_of(self.token())
    }

    fn span(&self) -> Span {
        self.span_of(self.token())
    }

    /// The token `distance` tokens further on.
    fn ahead(&self, distance: usize) -> Token {
        self.tokens[(self.at + distance).min(self.tokens.len() - 1)]
    }

    fn text_of(&self, token: Token) -> &'t str {
        token.text(self.text)
    }

    fn span_of(&self, token: Token) -> Span {
        Span { file: self.file, start: token.start, end: token.end }
    }

    fn at(&self, punct: &str) -> bool {
        self.is_punct(self.token(), punct)
    }

    fn is_punct(&self, token: Token, punct: &str) -> bool {
        token.kind == TokenKind::Punct && self.text_of(token) == punct
    }

    fn is_word(&self, token: Token) -> bool {
        matches!(token.kind, TokenKind::Word | TokenKind::Keyword)
    }

    fn at_word(&self, word: &str) -> bool {
        self.is_word(self.token()) && self.current() == word
    }

    /// Whether nothing of the current block can follow: the end, or a token that only stands
    /// between items.
    fn at_block_end(&self) -> bool {
        use TokenKind::{AttachPoint, Declaration, Directive, End, PredicateStart};
        matches!(self.kind(), AttachPoint | Declaration | Directive | End | PredicateStart) || self.at("}")
    }

    // Moving on.

    fn bump(&mut self) -> Token {
        let token = self.token();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn eat(&mut self, punct: &str) -> bool {
        let found = self.at(punct);
        if found {
            self.bump();
        }
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        if found {
            self.bump();
        }
        found
    }

    fn expect(&mut self, punct: &str) -> bool {
        let found = self.eat(punct);
        if !found {
            self.unexpected(&format!("`{punct}`"));
        }
        found
    }

    /// Any word, also one with a meaning elsewhere.
    fn expect_word(&mut self, what: &str) -> Option<Ident> {
        if self.is_word(self.token()) {
            return Some(self.ident());
        }
        self.unexpected(what);
        None
    }

    /// The current token as a name.
    fn ident(&mut self) -> Ident {
        let (text, span) = (self.current().to_owned(), self.span());
        self.bump();
        Ident { text, span }
    }

    /// From the token that began at `start` to the last token taken.
    fn since(&self, start: Span) -> Span {
        let end = match self.at.checked_sub(1) {
            Some(last) => self.tokens[last].end,
            None => start.start,
        };
        Span { end: end.max(start.start), ..start }
    }

    /// Skips to behind the `;` or the block that ends the current statement, or to the end of the
    /// block that it is in.
    fn skip_statement(&mut self) {
        let mut braces = 0_u32;
        while braces > 0 || !self.at_block_end() {
            let token = self.bump();
            match self.text_of(token) {
                _ if token.kind == TokenKind::End => return,
                "{" => braces += 1,
                "}" if braces <= 1 => return,
                "}" => braces -= 1,
                ";" if braces == 0 => return,
                _ => {}
            }
        }
    }

    // What is wrong.

    /// Whether the last error is at the current token: what comes of it cannot be told.
    fn is_stuck(&self) -> bool {
        self.failed_at == Some(self.at)
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        if self.is_stuck() {
            return;
        }
        self.failed_at = Some(self.at);
        self.diagnostics.push(diagnostic);
        if self.diagnostics.len() >= ERROR_LIMIT {
            self.stop();
        }
    }

    fn error(&mut self, span: Span, message: impl Into<String>) {
        self.report(Diagnostic::error(span, message));
    }

    /// Reports that something else than the current token must stand here.
    fn unexpected(&mut self, expected: &str) {
        self.report(self.unexpected_diagnostic(expected));
    }

    fn unexpected_diagnostic(&self, expected: &str) -> Diagnostic {
        let text = self.current();
        let (message, hint) = match self.kind() {
            TokenKind::UnclosedString => (
                "string is not closed".to_owned(),
                Some("a string ends with `\"` on the line it begins on; `\\n` is a line end in it"),
            ),
            TokenKind::Character => (
                "there are no character literals".to_owned(),
                Some("write a string in double quotes, or the character's number"),
            ),
            _ => (
                format!("expected {expected}, found {}", self.found()),
                (text == "=" && self.in_condition).then_some("to compare write `==`"),
            ),
        };
        Diagnostic::error(self.span(), message).maybe_hint(hint.map(str::to_owned))
    }

    /// The current token in words.
    fn found(&self) -> String {
        match self.kind() {
            TokenKind::End => "the end of the script".to_owned(),
            TokenKind::PredicateEnd => "the end of the predicate".to_owned(),
            _ => quote(self.current()),
        }
    }

    /// Leaves the rest of the file unread.
    fn stop(&mut self) {
        self.at = self.tokens.len() - 1;
        self.failed_at = Some(self.at);
    }

    // Limits.

    /// Parses something that lies inside what is being parsed; `None` when that is too deep.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.nesting >= NESTING_LIMIT {
            let message = format!("nested too deeply: more than {NESTING_LIMIT} levels");
            self.error(self.span(), message);
            self.stop();
            return None;
        }
        self.nesting += 1;
        let res = parse(self);
        self.nesting -= 1;
        Some(res)
    }

    /// Parses an expression's further part: the height is that of the highest part.
    fn beside<T>(&mut self, parse: impl FnOnce(&mut Self) -> T) -> T {
        let height = self.height;
        let res = parse(self);
        self.height = self.height.max(height);
        res
    }

    /// Counts one more level on top of the expression parsed last.
    fn raise(&mut self) {
        self.height += 1;
        if self.height > HEIGHT_LIMIT && self.kind() != TokenKind::End {
            let message = format!("expression is too long: more than {HEIGHT_LIMIT} operators in a row");
            let diagnostic = Diagnostic::error(self.span(), message).hint("split it with a `$variable`");
            self.report(diagnostic);
            self.stop();
        }
    }
}

/// A piece of the script for a message, cut when it is long.
pub(crate) fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTE_LIMIT) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

#[cfg(test)]
mod tests;
