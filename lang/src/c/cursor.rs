//! A place in a list of C tokens.

use super::token::{Kind, Place, Token};
use super::{Faulty, fault};

/// Most brackets, operators and definitions inside each other.
const NESTING_LIMIT: u32 = 64;

/// A place in a list of tokens. Behind the last one there is an empty one.
pub(super) struct Cursor<'t> {
    tokens: &'t [Token],
    at: usize,
    end: Token,
    nesting: u32,
}

impl<'t> Cursor<'t> {
    /// The first of `tokens`; `end` is where to point when more are expected.
    pub fn new(tokens: &'t [Token], end: Place) -> Self {
        let end = Token { kind: Kind::Newline, text: "".into(), place: end, spaced: false, settled: false };
        Cursor { tokens, at: 0, end, nesting: 0 }
    }

    /// The token here.
    pub fn token(&self) -> &Token {
        self.at(self.at)
    }

    /// The token that many further on.
    pub fn ahead(&self, distance: usize) -> &Token {
        self.at(self.at + distance)
    }

    /// The token of that position.
    pub fn at(&self, position: usize) -> &Token {
        self.tokens.get(position).unwrap_or(&self.end)
    }

    /// Where the cursor is.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Moves to a place where the cursor was.
    pub fn go(&mut self, position: usize) {
        self.at = position.min(self.tokens.len());
    }

    /// Whether no token is left.
    pub fn is_at_end(&self) -> bool {
        self.at == self.tokens.len()
    }

    /// Moves behind the token here.
    pub fn bump(&mut self) {
        self.go(self.at + 1);
    }

    /// Moves behind that word or punctuation, if it is here.
    pub fn eat(&mut self, text: &str) -> bool {
        let found = self.token().is(text);
        if found {
            self.bump();
        }
        found
    }

    /// Moves behind that punctuation, which must be here.
    pub fn expect(&mut self, text: &str) -> Faulty<()> {
        match self.eat(text) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("`{text}`"))),
        }
    }

    /// What is here instead of what was expected.
    pub fn unexpected(&self, expected: &str) -> super::Fault {
        let token = self.token();
        let found = match token.text.is_empty() {
            true => "the definition ends".to_owned(),
            false => format!("found `{}`", token.text),
        };
        fault(token, format!("expected {expected}, {found}"))
    }

    /// Goes one level deeper.
    pub fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Faulty<T>) -> Faulty<T> {
        if self.nesting == NESTING_LIMIT {
            return Err(fault(self.token(), "the C code is nested too deeply"));
        }
        self.nesting += 1;
        let result = inner(self);
        self.nesting -= 1;
        result
    }

    /// Moves behind the bracket that closes the one here, with all between.
    pub fn skip_brackets(&mut self) {
        let mut open = 0u32;
        while !self.is_at_end() {
            let token = self.token();
            if ["(", "[", "{"].iter().any(|it| token.is(it)) {
                open += 1;
            } else if [")", "]", "}"].iter().any(|it| token.is(it)) {
                open = open.saturating_sub(1);
            }
            self.bump();
            if open == 0 {
                return;
            }
        }
    }

    /// Moves behind the `;` that ends the declaration, or behind a function's body.
    pub fn skip_declaration(&mut self) {
        let is_type = ["typedef", "struct", "union", "enum"].iter().any(|it| self.token().is(it));
        while !self.is_at_end() {
            let token = self.token();
            if token.is(";") {
                return self.bump();
            }
            let is_body = token.is("{") && !is_type && self.at > 0 && self.at(self.at - 1).is(")");
            match token.is("{") || token.is("(") || token.is("[") {
                true => self.skip_brackets(),
                false => self.bump(),
            }
            if is_body {
                return;
            }
        }
    }
}
