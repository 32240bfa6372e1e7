//! The C at the top of a script: macros, headers, `struct`, `union`, `enum`, `typedef`.
//!
//! Comes in: the spans of a script's [`ast::Item::C`] and its text. Goes out: types in the table
//! that the rest of the script uses, laid out as C compilers for x86_64 do it, macros, enumerators,
//! and every mistake. Headers are read through the [`Host`] only; those of the kernel and of libc
//! are not read at all.
//!
//! ```text
//! spans ─token─► tokens ─preprocess (expand, evaluate)─► tokens ─declare (layout)─► Block
//! ```

pub(crate) mod constants;
mod cursor;
mod declare;
mod evaluate;
mod expand;
mod layout;
mod preprocess;
mod token;

#[cfg(test)]
mod tests;

use crate::ast;
use crate::diagnostic::Diagnostic;
use crate::host::{Host, TypeKind};
use crate::parse;
use crate::source::{FileId, Sources, Span};
use crate::ty::{Ty, TypeTable};
use declare::Declarations;
use evaluate::evaluate;
use expand::Macro;
use preprocess::Preprocessor;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use token::{Kind, Place, Token};

/// A mistake in C code.
type Fault = Box<Diagnostic>;
type Faulty<T> = Result<T, Fault>;

/// What a script's C code defines.
#[derive(Debug, Default)]
pub(crate) struct Block {
    macros: BTreeMap<String, Meaning>,
    typedefs: HashMap<String, Ty>,
    tags: HashMap<(TypeKind, String), Ty>,
    enumerators: HashMap<String, (Ty, i64)>,
}

/// What a macro means in a script.
#[derive(Debug)]
pub(crate) enum Meaning {
    /// A number.
    Int(i128),
    /// A string, quotes and escapes resolved.
    Str(Vec<u8>),
    /// An expression of the language: what is written behind the name.
    Expr(ast::Expr),
    /// An expression with parameters.
    Function(Vec<String>, ast::Expr),
    /// Another word: a type, perhaps.
    Word(String),
    /// `struct x`
    Tag(TypeKind, String),
    /// Nothing that a script could use, with the reason.
    Other(&'static str),
}

/// Reads all C code of a script.
pub(crate) fn read(
    script: &ast::Script,
    sources: &Sources,
    host: &dyn Host,
    types: &mut TypeTable,
) -> (Block, Vec<Diagnostic>) {
    if !script.items.iter().any(|it| matches!(it, ast::Item::C(_))) {
        return (Block::default(), Vec::new());
    }
    let mut preprocessor = Preprocessor::new(host);
    for item in &script.items {
        match item {
            ast::Item::C(span) => preprocessor.piece(sources.text(*span), *span),
            _ => refuse_conditional(&mut preprocessor, item),
        }
    }
    if let Some(open) = preprocessor.open_condition().cloned() {
        preprocessor.diagnostics.push(*fault_at(&open, "this `#if` has no `#endif`"));
    }
    let mut declarations = Declarations::new(host, types);
    declarations.read(&preprocessor.tokens);
    let mut macros = BTreeMap::new();
    let mut loose = Vec::new();
    for it in preprocessor.macros.defined.values().cloned().collect::<Vec<_>>() {
        loose.extend(warn_loose(&it));
        let meaning = meaning(&it, &mut preprocessor, &mut declarations, sources);
        macros.insert(it.name.text.to_string(), meaning);
    }
    let mut diagnostics = preprocessor.diagnostics;
    diagnostics.append(&mut declarations.diagnostics);
    diagnostics.append(&mut loose);
    let block = Block {
        macros,
        typedefs: declarations.typedefs.into_iter().map(|(name, shape)| (name, shape.ty)).collect(),
        tags: declarations.tags.into_iter().map(|(tag, found)| (tag, found.shape.ty)).collect(),
        enumerators: declarations.enumerators,
    };
    (block, diagnostics)
}

impl Block {
    /// What a macro of that name means.
    pub fn meaning(&self, name: &str) -> Option<&Meaning> {
        self.macros.get(name)
    }

    /// The number that a macro of that name means.
    pub fn int(&self, name: &str) -> Option<i128> {
        match self.macros.get(name) {
            Some(Meaning::Int(value)) => Some(*value),
            _ => None,
        }
    }

    /// The same with the name as it is kept.
    pub fn macro_named(&self, name: &str) -> Option<(&str, &Meaning)> {
        self.macros.get_key_value(name).map(|(name, meaning)| (name.as_str(), meaning))
    }

    /// The value and the type of an enumerator.
    pub fn enumerator(&self, name: &str) -> Option<(Ty, i64)> {
        self.enumerators.get(name).cloned()
    }

    /// A type that the script defines or names.
    pub fn type_named(&self, kind: TypeKind, name: &str) -> Option<Ty> {
        match kind {
            TypeKind::Typedef => self.typedefs.get(name).cloned(),
            _ if self.tags.is_empty() => None,
            _ => self.tags.get(&(kind, name.to_owned())).cloned(),
        }
    }

    /// Names of constants and macros, for suggestions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.macros.keys().chain(self.enumerators.keys()).map(String::as_str)
    }
}

/// Only C can be left out by a condition: the rest of a script is no text to a preprocessor.
fn refuse_conditional(preprocessor: &mut Preprocessor, item: &ast::Item) {
    let Some(open) = preprocessor.open_condition().filter(|_| !preprocessor.is_active()) else { return };
    let (span, open) = (item_span(item), open.span);
    let message = "`#if` leaves out C definitions only, this is none";
    let error = Diagnostic::error(span, message).label(open, "left out from here");
    preprocessor.diagnostics.push(error.hint("in a probe, a plain `if` on a constant costs nothing"));
}

fn item_span(item: &ast::Item) -> Span {
    match item {
        ast::Item::C(span) => *span,
        ast::Item::Config(entries) => entries.first().map_or(Span::default(), |it| it.span),
        ast::Item::Import(import) => import.span,
        ast::Item::MapDecl(decl) => decl.span,
        ast::Item::Macro(function) | ast::Item::Function(function) => function.name.span,
        ast::Item::Probe(probe) => probe.points.first().map_or(probe.span, |it| it.span),
    }
}

/// What a macro means in a script. A number where C sees one, for then its operators bind as C has
/// it whatever stands around it; else the expression that is written there.
fn meaning(
    it: &Macro,
    preprocessor: &mut Preprocessor,
    names: &mut Declarations,
    sources: &Sources,
) -> Meaning {
    let (Some(first), Some(last)) = (it.body.first(), it.body.last()) else {
        return Meaning::Other("stands for nothing");
    };
    if let Some(params) = &it.params {
        return function(it, params, sources);
    }
    match it.body.as_slice() {
        [text] if text.kind == Kind::Text => return Meaning::Str(parse::literal::string(&text.text).0),
        // A name may be a type's as well as a value's.
        [word]
            if word.kind == Kind::Word
                && !word.text.starts_with('$')
                && !names.enumerators.contains_key(&*word.text) =>
        {
            return Meaning::Word(word.text.to_string());
        }
        [keyword, tag] if tag.kind == Kind::Word => {
            if let Some(kind) = declare::specifiers::tag_kind(keyword) {
                return Meaning::Tag(kind, tag.text.to_string());
            }
        }
        _ => {}
    }
    if let Some(number) = constant(it, preprocessor, names) {
        return Meaning::Int(number);
    }
    if first.place.header.is_some() {
        return Meaning::Other("is no constant, and other macros of headers are not supported yet");
    }
    let span = first.place.span.to(last.place.span);
    match parse::expression_in(&sources.get(span.file).text, span) {
        Some(expr) => Meaning::Expr(expr),
        None => Meaning::Other("is no expression"),
    }
}

/// What a macro with parameters means in a script.
fn function(it: &Macro, params: &[Rc<str>], sources: &Sources) -> Meaning {
    if it.body.iter().any(|it| it.is("#") || it.is("##")) || params.iter().any(|it| &**it == "__VA_ARGS__") {
        return Meaning::Other("makes words of its arguments, which only works in C definitions");
    }
    let (Some(first), Some(last)) = (it.body.first(), it.body.last()) else {
        return Meaning::Other("stands for nothing");
    };
    let parsed = match preprocess::predefined_body(&it.name.text) {
        Some(body) => parse::expression_in(body, Span::new(FileId(0), 0, body.len())),
        None if first.place.header.is_some() => {
            return Meaning::Other("comes from a header, so it only works in C definitions yet");
        }
        None => {
            let span = first.place.span.to(last.place.span);
            parse::expression_in(&sources.get(span.file).text, span)
        }
    };
    match parsed {
        Some(expr) => Meaning::Function(params.iter().map(|it| it.to_string()).collect(), expr),
        None => Meaning::Other("is no expression"),
    }
}

/// Warns of an operator outside parentheses: C would let what stands around the macro's name bind
/// stronger, here a macro is one value.
fn warn_loose(it: &Macro) -> Option<Diagnostic> {
    const OPERATORS: [&str; 19] = [
        "||", "&&", "|", "^", "&", "==", "!=", "<", ">", "<=", ">=", "<<", ">>", "+", "-", "*", "/", "%", "?",
    ];
    if it.params.is_some() || it.name.place.header.is_some() {
        return None;
    }
    let (mut open, mut has_operand) = (0u32, false);
    for token in &it.body {
        match &*token.text {
            "(" | "[" => {
                // Words alone in parentheses may be a cast, and what follows its operand.
                has_operand &= open > 0;
                open += 1;
            }
            ")" | "]" => open = open.saturating_sub(1),
            "*" if open > 0 => {}
            _ if open == 0 && has_operand && OPERATORS.iter().any(|it| token.is(it)) => {
                let name = &it.name.text;
                let message =
                    format!("`{name}` is one value here, in C its operators would mix with those around it");
                let warning = Diagnostic::warning(it.name.place.span, message);
                return Some(warning.hint(format!("write `#define {name} (…)`, so that both agree")));
            }
            _ if open == 0 => has_operand = token.kind != Kind::Punct,
            _ => has_operand |= token.kind != Kind::Word,
        }
    }
    None
}

fn constant(it: &Macro, preprocessor: &mut Preprocessor, names: &mut Declarations) -> Option<i128> {
    // Words of the language are not looked up as constants: that would read the kernel's types.
    let tokens = preprocessor.macros.expand(&it.body).ok()?;
    let mut cursor = cursor::Cursor::new(&tokens, it.name.place.clone());
    let value = evaluate(&mut cursor, names).ok()?;
    cursor.is_at_end().then_some(value.number)
}

fn fault(token: &Token, message: impl Into<String>) -> Fault {
    fault_at(&token.place, message)
}

fn fault_at(place: &Place, message: impl Into<String>) -> Fault {
    let message = message.into();
    let message = match &place.header {
        Some((header, line)) => format!("in `{header}`, line {line}: {message}"),
        None => message,
    };
    Box::new(Diagnostic::error(place.span, message))
}
