//! Macros of the script's C code where probes use them.
//!
//! A macro is one value, an argument of it too: what stands around them binds neither. Arguments
//! mean what they mean where the macro is used.

use super::literals;
use super::stmts::Body;
use crate::ast;
use crate::c;
use crate::diagnostic::Diagnostic;
use crate::hir;
use crate::source::Span;

/// Most macros inside each other.
const DEEPEST_MACRO: usize = 32;

/// Most macros that the probes of a script may lead through in one round.
const MOST_MACROS: u32 = 100_000;

/// Macros that are being looked into.
#[derive(Debug, Default)]
pub(super) struct Macros<'a> {
    inside: Vec<Entered<'a>>,
    entered: u32,
    /// How many arguments of macros are being looked into.
    arguments: usize,
}

#[derive(Debug)]
struct Entered<'a> {
    name: &'a str,
    /// Its parameters, and what they stand for.
    params: &'a [String],
    args: &'a [ast::Arg],
}

impl<'a> Macros<'a> {
    /// Goes into a macro, unless that leads nowhere.
    pub fn enter(&mut self, name: &'a str) -> bool {
        self.enter_with(name, &[], &[])
    }

    fn enter_with(&mut self, name: &'a str, params: &'a [String], args: &'a [ast::Arg]) -> bool {
        let depth = self.inside.len() + self.arguments;
        let goes = !self.contains(name) && depth < DEEPEST_MACRO && self.entered < MOST_MACROS;
        if goes {
            self.entered += 1;
            self.inside.push(Entered { name, params, args });
        }
        goes
    }

    /// Leaves the innermost macro.
    pub fn leave(&mut self) {
        self.inside.pop();
    }

    /// Begins a round.
    pub fn rewind(&mut self) {
        self.entered = 0;
    }

    fn contains(&self, name: &str) -> bool {
        self.inside.iter().any(|it| it.name == name)
    }
}

impl<'a> Body<'_, 'a> {
    /// A parameter of the macro that is being looked into.
    pub(super) fn macro_argument(&mut self, word: &str) -> Option<hir::Expr> {
        let inside = self.cx.macros.inside.last()?;
        let arg = &inside.args[inside.params.iter().position(|it| it == word)?];
        // The argument was written outside the macro.
        let inside = self.cx.macros.inside.pop()?;
        self.cx.macros.arguments += 1;
        let value = match arg {
            ast::Arg::Expr(expr) => self.expr(expr),
            ast::Arg::Type(name) => self.fail(Diagnostic::error(name.span, "a type is no value")),
        };
        self.cx.macros.arguments -= 1;
        self.cx.macros.inside.push(inside);
        Some(value)
    }

    /// A macro of the script's C code.
    pub(super) fn macro_word(&mut self, word: &'a str, span: Span) -> Option<hir::Expr> {
        let value = match self.cx.block.meaning(word)? {
            c::Meaning::Int(value) => literals::int(*value, span),
            c::Meaning::Str(text) => self.string(text, span),
            c::Meaning::Other(reason) => {
                self.fail(Diagnostic::error(span, format!("the macro `{word}` {reason}")))
            }
            c::Meaning::Function(params, _) => {
                let message = format!("the macro `{word}` takes arguments");
                self.fail(Diagnostic::error(span, message).hint(format!("{word}({})", params.join(", "))))
            }
            // A macro is a plain word inside itself, as in C.
            _ if self.cx.macros.contains(word) => return None,
            meaning if self.cx.macros.enter(word) => {
                let value = match meaning {
                    c::Meaning::Expr(expr) => self.expr(expr),
                    c::Meaning::Word(word) => self.word(word, span),
                    _ => self.unknown_word("name", word, span),
                };
                self.cx.macros.leave();
                value
            }
            _ => self.too_deep(span),
        };
        Some(value)
    }

    /// `NAME(args)` where the script's C code has such a macro.
    pub(super) fn macro_call(
        &mut self,
        name: &'a ast::Ident,
        args: &'a [ast::Arg],
        span: Span,
    ) -> Option<hir::Expr> {
        let (name, meaning) = self.cx.block.macro_named(&name.text)?;
        let c::Meaning::Function(params, body) = meaning else { return None };
        if args.len() != params.len() {
            let message = format!("`{name}` takes {} arguments, {} are given", params.len(), args.len());
            let hint = format!("{name}({})", params.join(", "));
            return Some(self.fail(Diagnostic::error(span, message).hint(hint)));
        }
        if self.cx.macros.contains(name) {
            return None;
        }
        if !self.cx.macros.enter_with(name, params, args) {
            return Some(self.too_deep(span));
        }
        let value = self.expr(body);
        self.cx.macros.leave();
        Some(hir::Expr { span, ..value })
    }

    fn too_deep(&mut self, span: Span) -> hir::Expr {
        self.fail(Diagnostic::error(span, "macros inside macros go on for too long here"))
    }
}
