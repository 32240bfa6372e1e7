//! The macros of a script: which definition a call means.
//!
//! A macro may have several definitions that differ in the number or the kinds of their parameters:
//! `$x` takes a variable, `@x` a map, and a plain name any expression or type. Of those that fit a
//! call the one that takes most by reference is meant. Where none of the script's own does, the
//! standard library's are next, and then the builtin of that name.

use super::library::{self, Library};
use crate::ast::{Arg, Expr, ExprKind, Function, Ident, Item, Param};
use crate::builtins::Builtin;
use crate::diagnostic::Diagnostic;
use crate::source::{Sources, Span};
use std::collections::{HashMap, HashSet};

/// All definitions that a script can reach.
pub(super) struct Macros<'a> {
    own: HashMap<&'a str, Vec<&'a Function>>,
    /// Those of the library that were looked for.
    shared: HashMap<&'a str, Vec<&'a Function>>,
    library: &'a Library,
    /// The script's functions: their calls are left for later.
    functions: HashSet<&'a str>,
    /// The script's C code.
    code: Vec<Span>,
}

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Variable,
    Map,
    Any,
}

/// What a call means.
pub(super) enum Meaning<'a> {
    /// This definition.
    Macro(&'a Function),
    /// No macro.
    Other,
    /// A macro that cannot be called like this.
    Wrong(Diagnostic),
}

impl<'a> Macros<'a> {
    /// Takes note of what the script and its imports define.
    pub fn define(items: &'a [Item], library: &'a Library, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut macros = Macros {
            own: HashMap::new(),
            shared: HashMap::new(),
            library,
            functions: HashSet::new(),
            code: Vec::new(),
        };
        for item in items {
            match item {
                Item::Function(function) => drop(macros.functions.insert(&function.name.text)),
                Item::Macro(function) => {
                    diagnostics.extend(wrong_head(function));
                    macros.add(function, diagnostics);
                }
                Item::C(span) => macros.code.push(*span),
                _ => {}
            }
        }
        macros.refuse_shared_names(items, diagnostics);
        macros
    }

    fn refuse_shared_names(&self, items: &[Item], diagnostics: &mut Vec<Diagnostic>) {
        for item in items {
            if let Item::Function(function) = item
                && let Some(first) = self.own.get(function.name.text.as_str()).and_then(|it| it.first())
            {
                let message = format!("`{}` is a macro and a function", function.name.text);
                let shared = Diagnostic::error(function.name.span, message);
                diagnostics.push(shared.label(first.name.span, "the macro"));
            }
        }
    }

    fn add(&mut self, function: &'a Function, diagnostics: &mut Vec<Diagnostic>) {
        let name = function.name.text.as_str();
        let known = self.own.entry(name).or_default();
        let Some(first) = known.iter().find(|it| kinds(it).eq(kinds(function))) else {
            return known.push(function);
        };
        let message = format!("the macro `{name}` is defined twice with the same parameters");
        let twice = Diagnostic::error(function.name.span, message);
        diagnostics.push(twice.label(first.name.span, "first defined here"));
    }

    /// Whether the script has a `#define` of that name.
    fn is_defined_in_c(&self, name: &str, sources: &Sources) -> bool {
        let is_end = |it: char| !(it.is_ascii_alphanumeric() || it == '_');
        let defined = |line: &str| {
            let body = line.trim_start().strip_prefix('#')?.trim_start().strip_prefix("define")?;
            body.trim_start().split(is_end).next().map(|it| it == name)
        };
        self.code.iter().any(|it| sources.text(*it).lines().any(|line| defined(line) == Some(true)))
    }

    /// What a name with arguments, or one alone (`args` is nothing), means. `span` is the call's.
    pub fn meaning(
        &mut self,
        name: &'a str,
        args: Option<&[Arg]>,
        span: Span,
        sources: &mut Sources,
    ) -> Meaning<'a> {
        let is_builtin = Builtin::from_name(name).is_some();
        // A builtin is a word of the language, and `pid()` is how to say a macro of that name.
        if is_builtin && args.is_none() {
            return Meaning::Other;
        }
        if !self.own.contains_key(name) && !self.shared.contains_key(name) {
            let is_own = self.functions.contains(name) || self.is_defined_in_c(name, sources);
            if is_builtin || !library::has(name) || is_own {
                return Meaning::Other;
            }
            self.shared.insert(name, self.library.macros(name, sources));
        }
        let own = self.own.get(name).into_iter().flatten().copied();
        let shared = self.shared.get(name).into_iter().flatten().copied();
        let given = args.unwrap_or_default();
        match best(own.clone(), given).or_else(|| best(shared.clone(), given)) {
            Some(function) => Meaning::Macro(function),
            None if is_builtin => Meaning::Other,
            None => Meaning::Wrong(mismatch(name, own.chain(shared), given, span)),
        }
    }
}

/// The definition that takes these arguments, by reference if one does.
fn best<'a>(definitions: impl Iterator<Item = &'a Function>, args: &[Arg]) -> Option<&'a Function> {
    let fits = |it: &&Function| {
        it.params.len() == args.len() && it.params.iter().zip(args).all(|(param, arg)| takes(param, arg))
    };
    let by_reference = |it: &Function| kinds(it).filter(|kind| *kind != Kind::Any).count();
    definitions.filter(fits).reduce(|best, it| if by_reference(it) > by_reference(best) { it } else { best })
}

fn kinds(function: &Function) -> impl Iterator<Item = Kind> {
    function.params.iter().map(kind)
}

fn kind(param: &Param) -> Kind {
    match param.name.text.as_bytes().first() {
        Some(b'$') => Kind::Variable,
        Some(b'@') => Kind::Map,
        _ => Kind::Any,
    }
}

fn takes(param: &Param, arg: &Arg) -> bool {
    match (kind(param), arg) {
        (Kind::Any, _) => true,
        (Kind::Variable, Arg::Expr(Expr { kind: ExprKind::Var(_), .. })) => true,
        (Kind::Map, Arg::Expr(Expr { kind: ExprKind::Map { key, .. }, .. })) => key.is_empty(),
        _ => false,
    }
}

/// Says what is wrong with a call that no definition fits, by the one that comes nearest.
fn mismatch<'a>(
    name: &str,
    definitions: impl Iterator<Item = &'a Function> + Clone,
    args: &[Arg],
    span: Span,
) -> Diagnostic {
    let as_long = definitions.clone().find(|it| it.params.len() == args.len());
    let wrong = as_long.and_then(|it| it.params.iter().zip(args).find(|(param, arg)| !takes(param, arg)));
    if let Some((param, arg)) = wrong {
        let what = if kind(param) == Kind::Map { "a whole map" } else { "a variable" };
        let found = match arg {
            Arg::Type(_) => "a type",
            Arg::Expr(Expr { kind: ExprKind::Map { .. }, .. }) if kind(param) == Kind::Map => {
                "one value of a map"
            }
            Arg::Expr(_) => "an expression",
        };
        let message = format!("`{name}` takes {what} for `{}`, not {found}", param.name.text);
        return Diagnostic::error(arg_span(arg), message).label(param.name.span, "this is the parameter");
    }
    let numbers: Vec<_> = definitions.clone().map(|it| it.params.len()).collect();
    let most = numbers.iter().max().copied().unwrap_or(0);
    let list: Vec<_> = (0..=most).filter(|it| numbers.contains(it)).map(|it| it.to_string()).collect();
    let plural = if list == ["1"] { "" } else { "s" };
    let given = if args.len() == 1 { "1 was".to_owned() } else { format!("{} were", args.len()) };
    let message = format!("the macro `{name}` takes {} argument{plural}, {given} given", list.join(" or "));
    let wrong = Diagnostic::error(args.get(most).map_or(span, arg_span), message);
    let nearest = definitions.min_by_key(|it| it.params.len().abs_diff(args.len()));
    nearest.map_or(wrong.clone(), |it| wrong.label(it.name.span, "it is defined here"))
}

fn arg_span(arg: &Arg) -> Span {
    match arg {
        Arg::Expr(expr) => expr.span,
        Arg::Type(name) => name.span,
    }
}

/// What is wrong with a macro before its body.
fn wrong_head(function: &Function) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (idx, param) in function.params.iter().enumerate() {
        let Ident { text, span } = &param.name;
        if let Some(first) = function.params[..idx].iter().find(|it| it.name.text == *text) {
            let twice = Diagnostic::error(*span, format!("`{text}` is a parameter already"));
            found.push(twice.label(first.name.span, "the first one is here"));
        }
        if let Some(ty) = &param.ty {
            let message = "a macro's parameter has the type of what it stands for, none is written";
            found.push(Diagnostic::error(ty.span, message));
        }
    }
    if let Some(ty) = &function.result {
        let message = "a macro's value has the type that comes of its body, none is written";
        found.push(Diagnostic::error(ty.span, message));
    }
    found
}
