//! Directives: conditions, macros and headers.
//!
//! Comes in: the pieces of C in a script, one after the other. Goes out: the tokens that remain,
//! and the macros. Headers in quotes, and those in angle brackets that lie beside the script, are
//! read through the [`Host`]; all others are left out, because the kernel describes its types
//! itself and the constants are in a table.

use super::cursor::Cursor;
use super::evaluate::{Names, Value, evaluate};
use super::expand::{Macro, Macros};
use super::token::{self, Kind, Origin, Place, Token};
use super::{Faulty, fault, fault_at};
use crate::diagnostic::Diagnostic;
use crate::host::Host;
use crate::source::{FileId, Span};
use std::collections::HashSet;
use std::rc::Rc;

/// Most headers inside each other.
const DEEPEST_INCLUDE: usize = 32;

/// Most bytes of all headers together.
const LARGEST_INCLUDE: usize = 16 << 20;

/// What the script may ask about with `#if`: that this is kscope, the machine and its data model.
const PREDEFINED: [&str; 4] = ["__KSCOPE__", "__x86_64__", "__LP64__", "__LITTLE_ENDIAN__"];

/// The kernel's version as one number, as `linux/version.h` makes it of its parts.
const KERNEL_VERSION: &str = "(((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))";

/// What a macro with parameters stands for that no script defines.
pub(super) fn predefined_body(name: &str) -> Option<&'static str> {
    (name == "KERNEL_VERSION").then_some(KERNEL_VERSION)
}

/// The state between two pieces.
pub(super) struct Preprocessor<'a> {
    host: &'a dyn Host,
    pub macros: Macros,
    conditions: Vec<Condition>,
    /// Headers being read, the innermost last.
    including: Vec<Rc<str>>,
    /// Headers that want to be read once.
    once: HashSet<Rc<str>>,
    included_bytes: usize,
    /// What remains.
    pub tokens: Vec<Token>,
    pub diagnostics: Vec<Diagnostic>,
}

/// An open `#if`.
struct Condition {
    place: Place,
    /// Whether what follows remains.
    active: bool,
    /// Whether a branch remained already, or none may.
    decided: bool,
    has_else: bool,
}

impl<'a> Preprocessor<'a> {
    /// Only the macros of the language itself are defined.
    pub fn new(host: &'a dyn Host) -> Self {
        let mut preprocessor = Preprocessor {
            host,
            macros: Macros::default(),
            conditions: Vec::new(),
            including: Vec::new(),
            once: HashSet::new(),
            included_bytes: 0,
            tokens: Vec::new(),
            diagnostics: Vec::new(),
        };
        let btf = host.has_btf().then_some("BPFTRACE_HAVE_BTF");
        let mut predefined: Vec<_> = PREDEFINED.into_iter().chain(btf).map(|it| format!("{it} 1")).collect();
        predefined.push(format!("KERNEL_VERSION(a, b, c) {KERNEL_VERSION}"));
        if let Some((major, minor, patch)) = host.kernel_version() {
            let code = (major << 16) + (minor << 8) + patch.min(255);
            predefined.push(format!("LINUX_VERSION_CODE {code}"));
        }
        for definition in predefined {
            let tokens = token::tokens(&definition, &Origin::Script(FileId(0), 0));
            preprocessor.define(&tokens).expect("what is predefined is a macro");
        }
        preprocessor
    }

    /// Takes a piece of the script.
    pub fn piece(&mut self, text: &str, span: Span) {
        self.text(text, &Origin::Script(span.file, span.start));
        // A declaration in a script may leave its `;` away.
        let end = Place { span: span.tail(), header: None };
        if self.is_active() && !text.starts_with('#') {
            let text = ";".into();
            self.tokens.push(Token { kind: Kind::Punct, text, place: end, spaced: false, settled: false });
        }
    }

    /// Whether what follows remains.
    pub fn is_active(&self) -> bool {
        self.conditions.iter().all(|it| it.active)
    }

    /// The `#if` that is open.
    pub fn open_condition(&self) -> Option<&Place> {
        self.conditions.last().map(|it| &it.place)
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn text(&mut self, text: &str, origin: &Origin) {
        let tokens = token::tokens(text, origin);
        let mut plain = Vec::new();
        for line in tokens.split(|it| it.kind == Kind::Newline) {
            match line {
                [hash, directive @ ..] if hash.is("#") => {
                    self.flush(&mut plain);
                    if let Err(fault) = self.directive(hash, directive) {
                        self.report(*fault);
                    }
                }
                line if self.is_active() => plain.extend_from_slice(line),
                _ => {}
            }
        }
        self.flush(&mut plain);
    }

    /// Expands what stands between two directives: a macro's arguments may go over several lines.
    fn flush(&mut self, plain: &mut Vec<Token>) {
        match self.macros.expand(&std::mem::take(plain)) {
            Ok(tokens) => self.tokens.extend(tokens),
            Err(fault) => self.report(*fault),
        }
    }

    fn directive(&mut self, hash: &Token, line: &[Token]) -> Faulty<()> {
        let Some((name, rest)) = line.split_first() else { return Ok(()) };
        let outer = self.is_active();
        match &*name.text {
            "if" => {
                let holds = if outer { self.condition(rest, name) } else { Ok(false) };
                self.open(hash, outer, matches!(holds, Ok(true)));
                holds?;
            }
            "ifdef" | "ifndef" => {
                let word = word(rest, name);
                let defined = word.as_ref().is_ok_and(|it| self.macros.defined.contains_key(&it.text));
                self.open(hash, outer, outer && defined == name.is("ifdef"));
                word?;
            }
            "elif" | "else" | "endif" => self.branch(name, rest)?,
            _ if !outer => {}
            "define" => self.define(rest)?,
            "undef" => {
                self.macros.defined.remove(&word(rest, name)?.text);
            }
            "include" | "include_next" | "import" => self.include(rest, hash)?,
            "error" => return Err(fault(hash, format!("#error: {}", spelled(rest)))),
            "warning" => self.diagnostics.push(warning(hash, format!("#warning: {}", spelled(rest)))),
            "pragma" if rest.first().is_some_and(|it| it.is("once")) => {
                self.once.extend(self.including.last().cloned());
            }
            "pragma" | "line" | "ident" => {}
            _ => return Err(fault(name, format!("unknown directive `#{}`", name.text))),
        }
        Ok(())
    }

    fn open(&mut self, hash: &Token, outer: bool, holds: bool) {
        let place = hash.place.clone();
        self.conditions.push(Condition { place, active: holds, decided: holds || !outer, has_else: false });
    }

    fn branch(&mut self, name: &Token, rest: &[Token]) -> Faulty<()> {
        let Some(mut last) = self.conditions.pop() else {
            return Err(fault(name, format!("`#{}` without `#if`", name.text)));
        };
        if name.is("endif") {
            return Ok(());
        }
        let again = last.has_else;
        last.has_else |= name.is("else");
        // A condition behind the branch that remained is not even looked at.
        let holds = match last.decided {
            true => Ok(false),
            false => {
                if name.is("else") {
                    Ok(true)
                } else {
                    self.condition(rest, name)
                }
            }
        };
        last.active = matches!(holds, Ok(true));
        last.decided |= last.active;
        self.conditions.push(last);
        match again {
            true => Err(fault(name, format!("`#{}` behind `#else`", name.text))),
            false => holds.map(|_| ()),
        }
    }

    fn condition(&mut self, line: &[Token], name: &Token) -> Faulty<bool> {
        let mut resolved = Vec::new();
        let mut rest = line;
        while let Some((token, behind)) = rest.split_first() {
            let asked = match behind {
                _ if !token.is("defined") => None,
                [open, word, close, behind @ ..] if open.is("(") && close.is(")") => Some((word, behind)),
                [word, behind @ ..] if word.kind == Kind::Word => Some((word, behind)),
                _ => return Err(fault(token, "`defined` needs a name")),
            };
            let Some((word, behind)) = asked else {
                resolved.push(token.clone());
                rest = behind;
                continue;
            };
            let text = if self.macros.defined.contains_key(&word.text) { "1" } else { "0" };
            resolved.push(Token { kind: Kind::Number, text: text.into(), ..token.clone() });
            rest = behind;
        }
        let tokens = self.macros.expand(&resolved)?;
        let mut cursor = Cursor::new(&tokens, name.place.clone());
        let value = evaluate(&mut cursor, &mut NoNames)?;
        match cursor.is_at_end() {
            true => Ok(value.number != 0),
            false => Err(cursor.unexpected("an operator")),
        }
    }

    /// `NAME body`, `NAME(a, b) body`
    fn define(&mut self, line: &[Token]) -> Faulty<()> {
        let Some((name, rest)) = line.split_first().filter(|it| it.0.kind == Kind::Word) else {
            return match line.first() {
                Some(token) => Err(fault(token, "a macro's name is a word")),
                None => Ok(()),
            };
        };
        let (params, body) = match rest.first() {
            Some(open) if open.is("(") && !open.spaced => {
                let close = rest.iter().position(|it| it.is(")"));
                let Some(close) = close else {
                    return Err(fault(open, "the macro's parameters have no `)`"));
                };
                (Some(parameters(&rest[1..close])?), &rest[close + 1..])
            }
            _ => (None, rest),
        };
        let found = Macro { name: name.clone(), params, body: body.to_vec() };
        self.macros.defined.insert(name.text.clone(), Rc::new(found));
        Ok(())
    }

    fn include(&mut self, line: &[Token], hash: &Token) -> Faulty<()> {
        let (path, quoted) = match line {
            [name] if name.kind == Kind::Text => (name.text.trim_matches('"').to_owned(), true),
            [open, path @ .., close] if open.is("<") && close.is(">") => {
                (path.iter().map(|it| &*it.text).collect(), false)
            }
            _ => return Err(fault(hash, "expected `#include <header.h>` or `#include \"header.h\"`")),
        };
        let Some((path, text)) = self.find(&path, quoted) else {
            return match quoted {
                true => {
                    let missing = fault(hash, format!("there is no header `{path}`"));
                    Err(Box::new(
                        missing.hint("headers are looked for beside the script and in `-I` folders"),
                    ))
                }
                false => Ok(()),
            };
        };
        if self.once.contains(&path) {
            return Ok(());
        }
        self.included_bytes += text.len();
        if self.including.len() == DEEPEST_INCLUDE || self.included_bytes > LARGEST_INCLUDE {
            return Err(fault(
                hash,
                format!("`{path}` is one header too many: they include each other too often"),
            ));
        }
        let open = self.conditions.len();
        self.including.push(path.clone());
        self.text(&text, &Origin::Header(path.clone(), hash.place.span));
        self.including.pop();
        if self.conditions.len() > open {
            self.conditions.truncate(open);
            return Err(fault(hash, format!("`{path}` leaves an `#if` open")));
        }
        Ok(())
    }

    /// A header's path and text: beside the header that includes it, else beside the script.
    fn find(&self, path: &str, quoted: bool) -> Option<(Rc<str>, String)> {
        let is_kernel = ["linux/", "net/", "uapi/", "asm/", "asm-generic/", "sys/"];
        if !quoted && self.host.has_btf() && is_kernel.iter().any(|it| path.starts_with(it)) {
            return None;
        }
        let folder = self.including.last().and_then(|it| it.rsplit_once('/')).map(|it| it.0);
        let beside = folder.map(|it| format!("{it}/{path}"));
        let tries = beside.into_iter().chain([path.to_owned()]);
        tries
            .map(|it| (it.as_str().into(), self.host.include(&it)))
            .find_map(|(path, text)| Some((path, text?)))
    }
}

fn warning(token: &Token, message: String) -> Diagnostic {
    let error = fault_at(&token.place, message);
    Diagnostic { severity: crate::Severity::Warning, ..*error }
}

fn word<'t>(line: &'t [Token], name: &Token) -> Faulty<&'t Token> {
    match line.first() {
        Some(word) if word.kind == Kind::Word => Ok(word),
        _ => Err(fault(name, format!("`#{}` needs a name", name.text))),
    }
}

fn parameters(tokens: &[Token]) -> Faulty<Vec<Rc<str>>> {
    let mut params: Vec<Rc<str>> = Vec::new();
    for (idx, token) in tokens.iter().enumerate() {
        match (idx % 2, token.kind) {
            (0, Kind::Word) if !params.contains(&token.text) => params.push(token.text.clone()),
            (0, _) if token.is("...") && idx + 1 == tokens.len() => params.push("__VA_ARGS__".into()),
            (1, _) if token.is(",") && idx + 1 < tokens.len() => {}
            _ => return Err(fault(token, format!("`{}` is no parameter's name here", token.text))),
        }
    }
    Ok(params)
}

/// Tokens as they were written, more or less.
fn spelled(tokens: &[Token]) -> String {
    let mut text = String::new();
    for token in tokens {
        if token.spaced && !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&token.text);
    }
    text
}

/// In conditions a word that is no macro is 0, as C has it.
struct NoNames;

impl Names for NoNames {
    fn constant(&mut self, _: &str) -> Option<i128> {
        Some(0)
    }

    fn begins_type(&mut self, _: &Cursor) -> bool {
        false
    }

    fn size_of_type(&mut self, cursor: &mut Cursor) -> Faulty<Value> {
        Err(cursor.unexpected("a number"))
    }
}
