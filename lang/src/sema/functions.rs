//! Functions of the script: what they take and return, calls of them, and what only probes may do.
//!
//! A function's types are written, so calls need not wait for its body. Only whose memory a written
//! pointer points into is open: the first call, or the first `return`, decides.

mod graph;

pub(super) use graph::check_calls;

use super::Context;
use super::infer::{self, Admitted, Known, Slot};
use super::literals::int_value;
use super::probes::Instance;
use super::stmts::Body;
use super::types::is_type_name;
use crate::ast;
use crate::builtins::{Builtin, Kind};
use crate::diagnostic::Diagnostic;
use crate::hir::{self, FunctionId, StmtKind};
use crate::source::Span;
use crate::ty::Ty;
use std::collections::BTreeMap;

/// The functions of a script.
#[derive(Default)]
pub(super) struct Functions<'a> {
    all: Vec<Signature<'a>>,
    /// The first call of a function in each body, by the body's rank and the function.
    calls: BTreeMap<(usize, usize), Span>,
    /// The builtins that each function reads, and where first.
    builtins: BTreeMap<(usize, Builtin), Span>,
}

/// What calls see of a function.
struct Signature<'a> {
    item: &'a ast::Function,
    params: Vec<Passage>,
    result: Passage,
}

/// A place where values go into a function, or come out of it.
#[derive(Clone)]
struct Passage {
    ty: Ty,
    /// The written type.
    span: Span,
    /// What decided whose memory a pointer points into.
    memory: Option<Span>,
}

/// Which passage of a function.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Param(usize),
    Result,
}

impl<'a> Functions<'a> {
    fn find(&self, name: &str) -> Option<usize> {
        self.all.iter().position(|it| it.item.name.text == name)
    }

    /// All names.
    pub fn names(&self) -> Vec<&'a str> {
        self.all.iter().map(|it| it.item.name.text.as_str()).collect()
    }

    fn name(&self, function: usize) -> &'a str {
        &self.all[function].item.name.text
    }

    fn passage(&mut self, function: usize, part: Part) -> &mut Passage {
        let signature = &mut self.all[function];
        match part {
            Part::Param(idx) => &mut signature.params[idx],
            Part::Result => &mut signature.result,
        }
    }
}

impl Signature<'_> {
    /// From `fn` to the end of the result's type.
    fn span(&self) -> Span {
        let end = self.item.result.as_ref().map_or(self.item.body.span.start, |it| it.span.end);
        Span { end, ..self.item.span }
    }
}

/// Reads the signatures of all functions.
pub(super) fn declare<'a>(cx: &mut Context<'a>, script: &'a ast::Script) {
    for item in &script.items {
        let ast::Item::Function(item) = item else { continue };
        if let Some(diagnostic) = taken(cx, &item.name) {
            cx.report(diagnostic);
            continue;
        }
        let instance = Instance::of_function(item);
        let rank = cx.functions.all.len();
        let mut body = Body::new(cx, rank, &instance, Some(rank));
        let params = item.params.iter().map(|it| body.param_type(it)).collect();
        let result = match &item.result {
            Some(name) => Passage { ty: body.passed_type(name, true), span: name.span, memory: None },
            None => Passage { ty: Ty::Void, span: item.name.span, memory: None },
        };
        body.refuse_twins(item);
        cx.functions.all.push(Signature { item, params, result });
    }
}

/// Why a function cannot have that name.
fn taken(cx: &Context, name: &ast::Ident) -> Option<Diagnostic> {
    let text = &name.text;
    if let Some(other) = cx.functions.find(text) {
        let diagnostic = Diagnostic::error(name.span, format!("there is a function `{text}` already"));
        return Some(diagnostic.label(cx.functions.all[other].item.name.span, "declared here"));
    }
    let what = match Builtin::from_name(text) {
        Some(it) if it.kind() == Kind::Aggregation => "an aggregation",
        Some(_) => "a builtin",
        None if is_type_name(text) => "a type",
        None => return None,
    };
    Some(Diagnostic::error(name.span, format!("`{text}` is {what}")).hint("give the function another name"))
}

/// Types the bodies of all functions; their variables are kept behind those of the probes.
pub(super) fn bodies(cx: &mut Context, n_probes: usize) -> Vec<hir::Function> {
    (0..cx.functions.all.len()).map(|function| body(cx, n_probes + function, function)).collect()
}

fn body(cx: &mut Context, rank: usize, function: usize) -> hir::Function {
    let signature = &cx.functions.all[function];
    let (item, span) = (signature.item, signature.span());
    let types: Vec<Ty> = signature.params.iter().map(|it| it.ty.clone()).collect();
    let instance = Instance::of_function(item);
    let mut body = Body::new(cx, rank, &instance, Some(function));
    body.scopes.enter();
    for (param, ty) in item.params.iter().zip(types) {
        body.declare(&param.name.text, param.name.span, None);
        // A round may have told more of it than was known in the one before.
        if ty != Ty::Error {
            let slot = Slot::declared(ty, param.name.span);
            body.cx.variables.insert((rank, param.name.span), slot);
        }
    }
    let out = body.block(&item.body);
    let locals = body.finish_locals();
    let result = cx.functions.all[function].result.ty.clone();
    if result != Ty::Void && !leaves(&out) {
        cx.report(lacks_return(item, &cx.name_of(&result)));
    }
    hir::Function {
        name: item.name.text.clone(),
        span,
        n_params: item.params.len(),
        locals,
        result,
        body: out,
    }
}

/// Whether every way through the statements ends in one that leaves the function.
fn leaves(body: &[hir::Stmt]) -> bool {
    body.iter().any(|it| match &it.kind {
        StmtKind::Return | StmtKind::ReturnValue(_) | StmtKind::End | StmtKind::Verdict(_) => true,
        StmtKind::If { then, otherwise, .. } => leaves(then) && leaves(otherwise),
        StmtKind::Unroll { body, .. } => leaves(body),
        _ => false,
    })
}

fn lacks_return(item: &ast::Function, result: &str) -> Diagnostic {
    let name = &item.name;
    let message = format!("`{}` returns `{result}`, but not on every way through it", name.text);
    let end = Span { start: item.body.span.end.saturating_sub(1), ..item.body.span };
    let diagnostic = Diagnostic::error(name.span, message).label(end, "this is reached without a `return`");
    let value = matches!(item.body.stmts.last(), Some(ast::Stmt { kind: ast::StmtKind::Value(_), .. }));
    diagnostic.maybe_hint(value.then(|| "write `return` before the last value".to_owned()))
}

impl<'a> Body<'_, 'a> {
    fn param_type(&mut self, param: &'a ast::Param) -> Passage {
        let name = &param.name;
        let Some(ty) = &param.ty else {
            let message = format!("the parameter `{}` has no type", name.text);
            let hint = format!("write for example `{}: int64`", name.text);
            self.cx.report(Diagnostic::error(name.span, message).hint(hint));
            return Passage { ty: Ty::Error, span: name.span, memory: None };
        };
        Passage { ty: self.passed_type(ty, false), span: name.span.to(ty.span), memory: None }
    }

    /// A written type that values of can be passed.
    fn passed_type(&mut self, name: &'a ast::TypeName, is_result: bool) -> Ty {
        let (message, hint) = match self.type_of(name) {
            Ty::Void if !is_result => ("a parameter has a value, `void` has none", None),
            Ty::Struct(_) => ("structs are not passed by value", Some("pass a pointer to it")),
            ty => return ty,
        };
        let hint = hint.map(str::to_owned);
        self.cx.report(Diagnostic::error(name.span, message).maybe_hint(hint));
        Ty::Error
    }

    fn refuse_twins(&mut self, item: &ast::Function) {
        for (idx, param) in item.params.iter().enumerate() {
            let name = &param.name;
            if let Some(earlier) = item.params[..idx].iter().find(|it| it.name.text == name.text) {
                let message = format!("there is a parameter `{}` already", name.text);
                self.cx.report(Diagnostic::error(name.span, message).label(earlier.name.span, "this one"));
            }
        }
    }

    /// A call of the script's function of that name; `None` when there is none.
    pub(super) fn call_function(
        &mut self,
        name: &ast::Ident,
        args: &'a [ast::Arg],
        span: Span,
    ) -> Option<hir::Expr> {
        let function = self.cx.functions.find(&name.text)?;
        self.cx.functions.calls.entry((self.idx, function)).or_insert(name.span);
        let mut values = Vec::new();
        for arg in args {
            match arg {
                ast::Arg::Expr(arg) => values.push(self.value(arg)),
                ast::Arg::Type(ty) => {
                    let message = format!("`{}` takes values, not types", name.text);
                    return Some(self.fail(Diagnostic::error(ty.span, message)));
                }
            }
        }
        let ty = self.cx.functions.all[function].result.ty.clone();
        if let Some(diagnostic) = self.wrong_count(function, &values, span) {
            return Some(self.fail(diagnostic));
        }
        let passed = values.into_iter().enumerate();
        let passed: Vec<_> = passed.map(|(idx, it)| self.hand_over(function, Part::Param(idx), it)).collect();
        if passed.iter().any(|it| it.ty == Ty::Error) || ty == Ty::Error {
            return Some(self.unknown(span));
        }
        Some(hir::Expr { kind: hir::ExprKind::Call(FunctionId(function as u32), passed), ty, span })
    }

    fn wrong_count(&self, function: usize, values: &[hir::Expr], span: Span) -> Option<Diagnostic> {
        let signature = &self.cx.functions.all[function];
        let wanted = signature.params.len();
        if wanted == values.len() {
            return None;
        }
        let takes = if wanted == 1 { "1 argument".to_owned() } else { format!("{wanted} arguments") };
        let given = if values.len() == 1 { "1 was".to_owned() } else { format!("{} were", values.len()) };
        let at = values.get(wanted).map_or(span, |it| it.span);
        let message = format!("`{}` takes {takes}, {given} given", signature.item.name.text);
        Some(Diagnostic::error(at, message).label(signature.span(), "declared here"))
    }

    /// A value on its way into a function or out of it: the value in the declared type.
    fn hand_over(&mut self, function: usize, part: Part, value: hir::Expr) -> hir::Expr {
        self.settle_memory(function, part, &value);
        let Passage { ty, span, memory } = self.cx.functions.passage(function, part).clone();
        if let (Ty::Int(int), Some(literal)) = (&ty, int_value(&value))
            && !infer::int_range(*int).contains(&literal)
        {
            let (name, range) = (self.cx.name_of(&ty), infer::int_range(*int));
            let message =
                format!("the literal does not fit in `{name}` ({} to {})", range.start(), range.end());
            return self.fail(Diagnostic::error(value.span, message).label(span, "declared here"));
        }
        let admitted = Slot::declared(ty.clone(), span).admit(Known::of(&value), value.span, &self.cx.types);
        if admitted != Admitted::Conflict {
            return infer::coerce(value, &ty);
        }
        let (found, wanted) = self.cx.names_of(&value.ty, &ty);
        let name = self.cx.functions.name(function);
        let message = match part {
            Part::Param(idx) => {
                let param = &self.cx.functions.all[function].item.params[idx].name.text;
                format!("`{param}` of `{name}` is `{wanted}`, this is `{found}`")
            }
            Part::Result => format!("`{name}` returns `{wanted}`, this is `{found}`"),
        };
        let label = if memory.is_some() { "this decided whose memory it is" } else { "declared here" };
        self.fail(Diagnostic::error(value.span, message).label(memory.unwrap_or(span), label))
    }

    /// A written pointer type does not say whose memory it points into, its first value does.
    fn settle_memory(&mut self, function: usize, part: Part, value: &hir::Expr) {
        let Ty::Ptr(_, found) = &value.ty else { return };
        let passage = self.cx.functions.passage(function, part);
        let Ty::Ptr(_, space) = &mut passage.ty else { return };
        if passage.memory.is_none() {
            passage.memory = Some(value.span);
            let changed = *space != *found;
            *space = *found;
            self.cx.changed |= changed;
        }
    }

    /// `return`, `return value`
    pub(super) fn return_stmt(&mut self, value: Option<&'a ast::Expr>, span: Span) -> Option<StmtKind> {
        let Some(function) = self.function else {
            let Some(value) = value else { return Some(StmtKind::Return) };
            let message = "a probe returns no value";
            self.cx.report(Diagnostic::error(value.span, message).hint("write `return;`"));
            return None;
        };
        let value = value.map(|it| self.value(it));
        let name = self.cx.functions.name(function);
        let result = self.cx.functions.passage(function, Part::Result).clone();
        match (value, result.ty) {
            (None, Ty::Void) => Some(StmtKind::Return),
            (None, ty) => {
                let message = format!("`{name}` returns `{}`", self.cx.name_of(&ty));
                self.cx.report(Diagnostic::error(span, message).label(result.span, "declared here"));
                Some(StmtKind::Return)
            }
            (Some(value), Ty::Void) => {
                let hint = format!("write its type behind the parameters, for example `fn {name}(…): int64`");
                self.cx
                    .report(Diagnostic::error(value.span, format!("`{name}` returns no value")).hint(hint));
                Some(StmtKind::Return)
            }
            (Some(value), _) => Some(StmtKind::ReturnValue(self.hand_over(function, Part::Result, value))),
        }
    }

    /// Behind an `exit()`.
    pub(super) fn end(&self, span: Span) -> hir::Stmt {
        let kind = if self.function.is_some() { StmtKind::End } else { StmtKind::Return };
        hir::Stmt { kind, span }
    }

    /// Why a word of a probe means nothing here: in a function.
    pub(super) fn only_in_probes(&self, word: &str, span: Span) -> Option<Diagnostic> {
        self.function?;
        let message = format!("`{word}` is the probe's, a function does not have it");
        let hint = match word {
            "kstack" | "ustack" | "pass" | "drop" => format!("use `{word}` in the probe"),
            _ => "pass it as an argument: a function has what its parameters say".to_owned(),
        };
        Some(Diagnostic::error(span, message).hint(hint))
    }

    /// Notes a builtin that a function reads; why, if it may not.
    pub(super) fn read_in_function(&mut self, builtin: Builtin, span: Span) -> Option<Diagnostic> {
        use Builtin::{
            ArgN, Args, Ctx, Drop, Func, Kstack, Pass, Path, Probe, Probetype, Retval, SocketCookie, Ustack,
        };
        let function = self.function?;
        self.cx.functions.builtins.entry((function, builtin)).or_insert(span);
        match builtin {
            Args | ArgN | Retval | Ctx | Func | Probe | Probetype | Kstack | Ustack | Pass | Drop | Path
            | SocketCookie => self.only_in_probes(builtin.name(), span),
            _ => None,
        }
    }
}
