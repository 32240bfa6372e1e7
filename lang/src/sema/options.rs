//! `getopt`: parameters with names, `--name=value` behind `--` on the command line.
//!
//! Comes in: calls of `getopt` and what was given. Goes out: literals, and the list of parameters
//! that the script knows.

use super::comptime;
use super::literals::{self, parse_int};
use super::stmts::Body;
use crate::ast;
use crate::diagnostic::Diagnostic;
use crate::hir::{self, ExprKind, Parameter, ParameterValue};
use crate::source::Span;
use crate::ty::Ty;

/// The parameters that calls of `getopt` have named so far, each with its first call.
pub(super) type Parameters = Vec<(Parameter, Span)>;

impl<'a> Body<'_, 'a> {
    /// `getopt(name[, default[, description]])`
    pub(super) fn getopt(&mut self, args: &[&'a ast::Expr], span: Span) -> hir::Expr {
        let name = self.text(args[0], "the parameter's name");
        let default = match args.get(1) {
            Some(default) => self.default_value(default),
            None => Some(ParameterValue::Bool(false)),
        };
        let description = match args.get(2) {
            Some(description) => self.text(description, "the description"),
            None => Some(String::new()),
        };
        let (Some(name), Some(default), Some(description)) = (name, default, description) else {
            return self.unknown(span);
        };
        if let Some((known, earlier)) = self.cx.parameters.iter_mut().find(|it| it.0.name == name) {
            if known.default != default {
                let message = format!("`{name}` has another default here");
                let diagnostic = Diagnostic::error(span, message).label(*earlier, "first asked for here");
                return self.fail(diagnostic);
            }
            if known.description.is_empty() {
                known.description = description;
            }
        } else {
            let parameter = Parameter { name: name.clone(), default: default.clone(), description };
            self.cx.parameters.push((parameter, span));
        }
        match self.given(&name, default) {
            Ok(value) => literal(&value, span),
            Err(diagnostic) => self.fail(Diagnostic { span, ..diagnostic }),
        }
    }

    /// The literal that a parameter is without being given.
    fn default_value(&mut self, default: &'a ast::Expr) -> Option<ParameterValue> {
        let value = self.value(default);
        if value.ty == Ty::Error {
            return None;
        }
        let value = comptime::known(value, &self.cx.types);
        let found = match value.as_ref().map(|it| (&it.kind, &it.ty)) {
            Some((ExprKind::Str(text), _)) => {
                Some(ParameterValue::Str(String::from_utf8_lossy(text).into_owned()))
            }
            Some((ExprKind::Const(value), Ty::Bool)) => Some(ParameterValue::Bool(*value != 0)),
            _ => value.as_ref().and_then(literals::int_value).map(ParameterValue::Int),
        };
        if found.is_none() {
            let message = "the default is a number, `true`, `false` or a string";
            self.cx.report(Diagnostic::error(default.span, message));
        }
        found
    }

    /// What was given for a parameter, the last time if several times; else its default.
    fn given(&self, name: &str, default: ParameterValue) -> Result<ParameterValue, Diagnostic> {
        let Some((_, text)) = self.cx.options.named.iter().rfind(|it| it.0 == name) else {
            return Ok(default);
        };
        let wrong = |takes: &str, example: &str| {
            let found = text.as_deref().map_or("nothing is given".to_owned(), |it| format!("not `{it}`"));
            let message = format!("`--{name}` takes {takes}, {found}");
            Diagnostic::error(Span::default(), message).hint(format!("--{name}={example}")).machine()
        };
        match default {
            ParameterValue::Bool(_) => match text.as_deref() {
                None | Some("true" | "1") => Ok(ParameterValue::Bool(true)),
                Some("false" | "0") => Ok(ParameterValue::Bool(false)),
                _ => Err(wrong("`true` or `false`", "true")),
            },
            ParameterValue::Int(default) => match text.as_deref().and_then(parse_int) {
                Some(value) => Ok(ParameterValue::Int(value)),
                None => Err(wrong("a number", &default.to_string())),
            },
            ParameterValue::Str(default) => match text {
                Some(text) => Ok(ParameterValue::Str(text.clone())),
                None => Err(wrong("a text", &default)),
            },
        }
    }
}

/// The value as an expression.
pub(super) fn literal(value: &ParameterValue, span: Span) -> hir::Expr {
    match value {
        ParameterValue::Bool(value) => literals::bool(*value, span),
        ParameterValue::Int(value) => literals::int(*value, span),
        ParameterValue::Str(text) => literals::str(text.as_bytes(), span),
    }
}
