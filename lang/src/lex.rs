//! Text to tokens.
//!
//! Comes in: any text. Goes out: tokens whose texts, joined, are that text: white space and
//! comments are tokens too, and what fits nowhere is [`TokenKind::Unknown`]. It never fails.
//!
//! A script has two spelling rules. Between the items stand attach points, where `*`, `/`, `:` and
//! `@` are parts of names; inside braces and predicates stands code. [`lex`] knows by the braces
//! which rule holds where, so that the parser, the highlighter and the prompt all see one stream.

use logos::Logos;

/// What a token is.
#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Spaces, tabs and line ends (and a byte order mark).
    #[regex(r"[ \t\r\n\x0b\x0c\u{feff}]+")]
    Whitespace,
    /// `// …`
    #[regex(r"//[^\n]*", allow_greedy = true)]
    LineComment,
    /// `/* … */`
    #[regex(r"/\*([^*]|\*+[^*/])*\*+/")]
    BlockComment,
    /// `/* …` without an end.
    #[regex(r"/\*([^*]|\*+[^*/])*\**")]
    UnclosedComment,
    /// `#! …`, the first line of a script.
    Shebang,

    /// `#include …`, `#define …`: one directive with its continuation lines.
    Directive,
    /// `struct …`, `union …`, `enum …`, `typedef …`: one C declaration with its `;`.
    Declaration,
    /// `kprobe:vfs_read`, `uprobe:/bin/bash:"readline"+4`
    AttachPoint,
    /// The `/` before a predicate.
    PredicateStart,
    /// The `/` behind a predicate.
    PredicateEnd,

    /// A name.
    #[regex(r"[A-Za-z_][A-Za-z0-9_]*")]
    Word,
    /// A name with a meaning in the grammar. It may still name a field.
    #[token("break")]
    #[token("comptime")]
    #[token("config")]
    #[token("continue")]
    #[token("else")]
    #[token("enum")]
    #[token("false")]
    #[token("fn")]
    #[token("for")]
    #[token("if")]
    #[token("import")]
    #[token("in")]
    #[token("let")]
    #[token("macro")]
    #[token("offsetof")]
    #[token("return")]
    #[token("sizeof")]
    #[token("struct")]
    #[token("true")]
    #[token("typeof")]
    #[token("union")]
    #[token("unroll")]
    #[token("while")]
    Keyword,
    /// `42`, `0x2a`, `1e6`, `5ms`; also what only begins like a number.
    #[regex(r"[0-9][A-Za-z0-9_]*")]
    Number,
    /// `02:00:00:00:00:01`
    #[regex(
        r"[0-9A-Fa-f][0-9A-Fa-f]:[0-9A-Fa-f][0-9A-Fa-f]:[0-9A-Fa-f][0-9A-Fa-f]:[0-9A-Fa-f][0-9A-Fa-f]:[0-9A-Fa-f][0-9A-Fa-f]:[0-9A-Fa-f][0-9A-Fa-f]",
        priority = 100
    )]
    Mac,
    /// `"text"`
    #[regex(r#""([^"\\\n]|\\[^\n])*""#)]
    String,
    /// `"text` up to the end of the line.
    #[regex(r#""([^"\\\n]|\\[^\n])*\\?"#)]
    UnclosedString,
    /// `'c'`: C has it, scripts have not.
    #[regex(r"'([^'\\\n]|\\[^\n])*'")]
    Character,
    /// `$x`
    #[regex(r"\$[A-Za-z_][A-Za-z0-9_]*")]
    Variable,
    /// `$1`, `$#`
    #[regex(r"\$([0-9]+|#)")]
    Positional,
    /// `@m`, `@`
    #[regex(r"@([A-Za-z_][A-Za-z0-9_]*)?")]
    Map,
    /// An operator, a bracket or a separator.
    #[regex(r"\+\+|--|<<=?|>>=?|&&|\|\||->|\.\.|[-+*/%&|^=!<>]=|[-+*/%&|^=!<>~?:;,.(){}\[\]]")]
    Punct,
    /// What fits nowhere.
    Unknown,
    /// The end of the text. [`lex`] never gives it; the parser ends its list with one.
    End,
}

impl TokenKind {
    /// White space, a comment or the `#!` line: without meaning to the parser.
    pub fn is_trivia(self) -> bool {
        use TokenKind::{BlockComment, LineComment, Shebang, UnclosedComment, Whitespace};
        matches!(self, Whitespace | LineComment | BlockComment | UnclosedComment | Shebang)
    }
}

/// A token and the bytes it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Token {
    /// The token's text in the text it was made of.
    pub fn text(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or("")
    }
}

/// All tokens of `text`, in order and without gaps.
pub fn lex(text: &str) -> Vec<Token> {
    Lexer::run(text).tokens
}

/// All tokens of `text` as it would be between a probe's braces.
pub fn lex_body(text: &str) -> Vec<Token> {
    Lexer::run_in(text, Mode::BODY).tokens
}

/// Whether `text` needs another line before it can stand between a probe's braces: an open brace,
/// parenthesis, string or comment.
pub fn is_incomplete_body(text: &str) -> bool {
    let lexer = Lexer::run_in(text, Mode::BODY);
    let Some(last) = lexer.tokens.last() else { return false };
    match last.kind {
        TokenKind::UnclosedComment => true,
        TokenKind::UnclosedString => last.end as usize == text.len(),
        _ => matches!(lexer.mode, Mode::Code { braces, parens } if braces > 1 || parens > 0),
    }
}

/// Whether `text` needs another line before it can be a script: an open brace, parenthesis,
/// string, comment or predicate, or a list of attach points that ends in a comma.
pub fn is_incomplete(text: &str) -> bool {
    let lexer = Lexer::run(text);
    let last = lexer.tokens.iter().rfind(|it| !it.kind.is_trivia() || it.kind == TokenKind::UnclosedComment);
    let Some(last) = last else { return false };
    match last.kind {
        TokenKind::UnclosedComment | TokenKind::PredicateEnd => true,
        TokenKind::UnclosedString => last.end as usize == text.len(),
        TokenKind::AttachPoint if last.text(text).matches('"').count() % 2 == 1 => true,
        _ => match lexer.mode {
            Mode::Items => lexer.open_declaration,
            Mode::Head => last.text(text) == ",",
            Mode::Predicate { .. } => true,
            Mode::Code { braces, parens } => braces > 0 || parens > 0,
        },
    }
}

/// The spelling rules of attach points.
#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    #[regex(r"[ \t\r\n\x0b\x0c\u{feff}]+")]
    Whitespace,
    #[regex(r"//[^\n]*", allow_greedy = true)]
    LineComment,
    #[regex(r"/\*([^*]|\*+[^*/])*\*+/")]
    BlockComment,
    #[regex(r"/\*([^*]|\*+[^*/])*\**")]
    UnclosedComment,
    #[regex(r#"[^ \t\r\n\x0b\x0c\u{feff},{};/"]+"#)]
    #[regex(r#""[^"\n]*"?"#)]
    Text,
    #[token("/")]
    Slash,
    #[regex(r"[,{};]")]
    Punct,
}

/// Which spelling rule holds, and what will end it.
#[derive(Clone, Copy)]
enum Mode {
    /// Before an item.
    Items,
    /// Behind a probe's first attach point, up to its predicate or body.
    Head,
    /// Behind a predicate's first `/`.
    Predicate { braces: u32 },
    /// In an item that is code, up to its closing brace, or a `;` outside braces.
    Code { braces: u32, parens: u32 },
}

impl Mode {
    /// Between a probe's braces.
    const BODY: Mode = Mode::Code { braces: 1, parens: 0 };
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    mode: Mode,
    open_declaration: bool,
    tokens: Vec<Token>,
}

impl<'t> Lexer<'t> {
    fn run(text: &'t str) -> Self {
        Self::run_in(text, Mode::Items)
    }

    fn run_in(text: &'t str, mode: Mode) -> Self {
        let mut lexer = Lexer { text, at: 0, mode, open_declaration: false, tokens: Vec::new() };
        if text.starts_with("#!") {
            lexer.push(TokenKind::Shebang, line_length(text));
        }
        while lexer.at < text.len() {
            match lexer.mode {
                Mode::Items => lexer.item(),
                Mode::Head => lexer.head(),
                Mode::Predicate { braces } => lexer.predicate(braces),
                Mode::Code { braces, parens } => lexer.code(braces, parens),
            }
        }
        lexer
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn push(&mut self, kind: TokenKind, length: usize) {
        let start = self.at as u32;
        self.at += length;
        self.tokens.push(Token { kind, start, end: self.at as u32 });
    }

    fn item(&mut self) {
        let rest = self.rest();
        if rest.starts_with('#') {
            return self.push(TokenKind::Directive, directive_length(rest));
        }
        match first_word(rest) {
            word @ ("struct" | "union" | "enum" | "typedef") => {
                let length = declaration_length(rest, word == "typedef");
                self.open_declaration = length.is_none();
                self.push(TokenKind::Declaration, length.unwrap_or(rest.len()));
            }
            "config" | "import" | "let" | "macro" | "fn" => self.mode = Mode::Code { braces: 0, parens: 0 },
            _ => self.head(),
        }
    }

    fn head(&mut self) {
        let (piece, length) = next::<Piece>(self.rest());
        let kind = match piece {
            Some(Piece::Whitespace) => TokenKind::Whitespace,
            Some(Piece::LineComment) => TokenKind::LineComment,
            Some(Piece::BlockComment) => TokenKind::BlockComment,
            Some(Piece::UnclosedComment) => TokenKind::UnclosedComment,
            Some(Piece::Slash) => {
                self.mode = Mode::Predicate { braces: 0 };
                TokenKind::PredicateStart
            }
            Some(Piece::Text) => return self.attach_point(),
            Some(Piece::Punct) => {
                self.mode = match &self.rest()[..length] {
                    "{" => Mode::Code { braces: 1, parens: 0 },
                    "," => Mode::Head,
                    _ => Mode::Items,
                };
                TokenKind::Punct
            }
            None => TokenKind::Unknown,
        };
        self.push(kind, length);
    }

    /// A slash right behind a part of the name belongs to the name where names are paths, else it
    /// opens a predicate.
    fn attach_point(&mut self) {
        let rest = self.rest();
        let has_path = names_path(rest);
        let mut length = 0;
        loop {
            let behind = &rest[length..];
            // Asked first: `/*` in a path would be read as a comment to the end of the text.
            if has_path && length > 0 && behind.starts_with('/') {
                length += 1;
            } else if let (Some(Piece::Text), more) = next(behind) {
                length += more;
            } else {
                break;
            }
        }
        self.mode = Mode::Head;
        self.push(TokenKind::AttachPoint, length);
    }

    fn predicate(&mut self, braces: u32) {
        let rest = self.rest();
        let (kind, length) = next_code(rest);
        match &rest[..length] {
            "/" if braces == 0 && matches!(skip_trivia(&rest[1..]).chars().next(), None | Some('{')) => {
                self.mode = Mode::Code { braces: 0, parens: 0 };
                return self.push(TokenKind::PredicateEnd, length);
            }
            "{" => self.mode = Mode::Predicate { braces: braces + 1 },
            "}" => {
                // A brace that closes here belonged to a block in the predicate when the predicate
                // goes on; else the predicate lacks its end and this was the probe's body.
                let behind = skip_trivia(&rest[1..]);
                let goes_on = behind.starts_with(|it| "/=!<>&|^+-*%?:.[],)".contains(it))
                    || first_word(behind) == "else";
                let inside = braces > 1 || goes_on;
                self.mode =
                    if inside { Mode::Predicate { braces: braces.saturating_sub(1) } } else { Mode::Items };
            }
            _ => {}
        }
        self.push(kind, length);
    }

    fn code(&mut self, braces: u32, parens: u32) {
        let (kind, length) = next_code(self.rest());
        self.mode = match &self.rest()[..length] {
            "{" => Mode::Code { braces: braces + 1, parens },
            "}" if braces <= 1 => Mode::Items,
            "}" => Mode::Code { braces: braces - 1, parens },
            ";" if braces == 0 => Mode::Items,
            "(" | "[" => Mode::Code { braces, parens: parens + 1 },
            ")" | "]" => Mode::Code { braces, parens: parens.saturating_sub(1) },
            _ => self.mode,
        };
        self.push(kind, length);
    }
}

/// The first token of `text`, which is not empty, and its length, which is not zero.
fn next<'t, T: Logos<'t, Source = str>>(text: &'t str) -> (Option<T>, usize)
where
    T::Extras: Default,
{
    let mut lexer = T::lexer(text);
    let token = lexer.next().and_then(Result::ok);
    let first = text.chars().next().map_or(0, char::len_utf8);
    (token, lexer.span().end.max(first))
}

fn next_code(text: &str) -> (TokenKind, usize) {
    let (kind, length) = next::<TokenKind>(text);
    (kind.unwrap_or(TokenKind::Unknown), length)
}

fn skip_trivia(mut text: &str) -> &str {
    while !text.is_empty() {
        match next_code(text) {
            (kind, length) if kind.is_trivia() => text = &text[length..],
            _ => break,
        }
    }
    text
}

fn first_word(text: &str) -> &str {
    let end = text.find(|it: char| it != '_' && !it.is_ascii_alphanumeric()).unwrap_or(text.len());
    if text[end..].starts_with(':') { "" } else { &text[..end] }
}

fn names_path(point: &str) -> bool {
    let provider = point.split(':').next().unwrap_or("");
    let provider = provider.rsplit('=').next().unwrap_or("");
    ["uprobe", "u", "uretprobe", "ur", "usdt", "iter", "it", "cgroup"]
        .iter()
        .any(|it| it.eq_ignore_ascii_case(provider))
}

fn line_length(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

/// Up to the end of the line, or of the last line that the one before it continues on.
fn directive_length(text: &str) -> usize {
    let mut length = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\n', '\r']);
        if !bare.ends_with('\\') {
            return length + bare.len();
        }
        length += line.len();
    }
    length
}

/// Up to the `;`, or to the closing brace with what may follow it; `None` when the text ends before.
fn declaration_length(text: &str, is_typedef: bool) -> Option<usize> {
    let mut at = 0;
    let mut braces = 0_u32;
    while at < text.len() {
        let (_, length) = next_code(&text[at..]);
        let token = &text[at..at + length];
        at += length;
        match token {
            "{" => braces += 1,
            ";" if braces == 0 => return Some(at),
            "}" if braces <= 1 && !is_typedef => return Some(at + declaration_tail(&text[at..])),
            "}" => braces = braces.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Length of `__attribute__((…))` and `;` behind a declaration's brace.
fn declaration_tail(text: &str) -> usize {
    let mut rest = text;
    loop {
        let next = skip_trivia(rest);
        if first_word(next) != "__attribute__" {
            break;
        }
        rest = skip_parentheses(skip_trivia(&next["__attribute__".len()..]));
    }
    if let Some(behind) = skip_trivia(rest).strip_prefix(';') {
        rest = behind;
    }
    text.len() - rest.len()
}

fn skip_parentheses(text: &str) -> &str {
    let mut at = 0;
    let mut open = 0_u32;
    while at < text.len() {
        let (_, length) = next_code(&text[at..]);
        match &text[at..at + length] {
            "(" => open += 1,
            ")" => open = open.saturating_sub(1),
            _ => {}
        }
        if open == 0 {
            // Without a `(` first there is nothing to skip.
            return if at == 0 { text } else { &text[at + length..] };
        }
        at += length;
    }
    ""
}

#[cfg(test)]
#[path = "lex/tests.rs"]
mod tests;
