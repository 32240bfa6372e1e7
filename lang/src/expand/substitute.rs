//! The body of a macro in the place of each call, and its arguments in the place of its parameters.
//!
//! The tree is copied as it is walked. Where the copy is of a macro's text or of an argument, its
//! spans are in an expansion of the file that has the text.

use super::macros::{Macros, Meaning};
use crate::ast::{
    Arg, Block, Expr, ExprKind, Function, Ident, Item, Probe, Script, Stmt, StmtKind, TypeBase, TypeName,
    TypeOrExpr,
};
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Sources, Span};
use std::rc::Rc;

/// Most levels of the tree that comes out: every stage behind this one walks it by recursion.
const MOST_LEVELS: u32 = 600;

/// Most expressions and statements that macros may make: about as many as a program could have.
const MOST_NODES: u32 = 500_000;

/// The script's items without macros.
pub(super) fn substitute<'a>(
    items: &'a [Item],
    macros: Macros<'a>,
    sources: &mut Sources,
    diagnostics: &mut Vec<Diagnostic>,
) -> Script {
    let mut copy = Copy { macros, sources, diagnostics, levels: 0, nodes: 0, loops: None, stopped: false };
    let place = Place { file: None, call: None };
    let items = items.iter().filter_map(|item| copy.item(item, &place));
    Script { items: items.collect() }
}

struct Copy<'a, 's> {
    macros: Macros<'a>,
    sources: &'s mut Sources,
    diagnostics: &'s mut Vec<Diagnostic>,
    /// How deep in the tree this is.
    levels: u32,
    /// How much macros made.
    nodes: u32,
    /// Loops around this place in the macro or the argument that it is in; nothing outside those.
    loops: Option<u32>,
    /// Whether a limit was met: the rest stays as it is.
    stopped: bool,
}

/// Whose text is being copied.
#[derive(Clone)]
struct Place<'a> {
    /// The file of the copy's spans; nothing where they remain.
    file: Option<FileId>,
    /// The call of the macro whose text this is; nothing outside macros.
    call: Option<Rc<Call<'a>>>,
}

/// A call of a macro.
struct Call<'a> {
    function: &'a Function,
    args: &'a [Arg],
    /// Where it was called.
    from: Place<'a>,
}

impl<'a> Place<'a> {
    /// A span of the text as one of the copy.
    fn span(&self, span: Span) -> Span {
        Span { file: self.file.unwrap_or(span.file), ..span }
    }

    fn ident(&self, name: &Ident) -> Ident {
        Ident { text: name.text.clone(), span: self.span(name.span) }
    }

    /// The argument that a parameter stands for, and where that is from.
    fn argument(&self, name: &str) -> Option<(&'a Arg, &Place<'a>)> {
        let call = self.call.as_ref()?;
        let idx = call.function.params.iter().position(|it| it.name.text == name)?;
        Some((call.args.get(idx)?, &call.from))
    }

    /// The macros that this text is in, the innermost first.
    fn calls(&self) -> impl Iterator<Item = &Call<'a>> {
        std::iter::successors(self.call.as_deref(), |it| it.from.call.as_deref())
    }
}

impl<'a> Copy<'a, '_> {
    fn item(&mut self, item: &'a Item, place: &Place<'a>) -> Option<Item> {
        Some(match item {
            Item::Import(_) | Item::Macro(_) => return None,
            Item::C(_) | Item::Config(_) => item.clone(),
            Item::MapDecl(map) => {
                let size = map.size.as_ref().map(|it| self.expr(it, place));
                Item::MapDecl(crate::ast::MapDecl { size, ..map.clone() })
            }
            Item::Function(function) => {
                let (params, result) = (function.params.clone(), function.result.clone());
                let body = self.block(&function.body, place);
                Item::Function(Function {
                    name: function.name.clone(),
                    params,
                    result,
                    body,
                    span: function.span,
                })
            }
            Item::Probe(probe) => {
                let predicate = probe.predicate.as_ref().map(|it| self.expr(it, place));
                let body = self.block(&probe.body, place);
                Item::Probe(Probe { points: probe.points.clone(), predicate, body, span: probe.span })
            }
        })
    }

    fn error(&mut self, span: Span, message: impl Into<String>) -> ExprKind {
        self.diagnostics.push(Diagnostic::error(span, message));
        ExprKind::Error
    }

    /// Goes one level down; nothing where that leads too far.
    fn deeper<T>(&mut self, span: Span, place: &Place<'a>, copy: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.stopped {
            return None;
        }
        // What stands in the script itself has met the parser's limits.
        let is_made = place.file.is_some();
        self.nodes += u32::from(is_made);
        let wrong = match () {
            () if is_made && self.levels >= MOST_LEVELS => "macros make too deep a tree of this",
            () if is_made && self.nodes >= MOST_NODES => "macros make too much of this",
            () => {
                self.levels += 1;
                let copied = copy(self);
                self.levels -= 1;
                return Some(copied);
            }
        };
        self.stop(place.span(span), wrong);
        None
    }

    fn stop(&mut self, span: Span, message: &str) {
        if !self.stopped {
            self.error(span, message);
        }
        self.stopped = true;
    }

    fn block(&mut self, block: &'a Block, place: &Place<'a>) -> Block {
        let stmts = block.stmts.iter().map(|it| self.stmt(it, place)).collect();
        Block { stmts, span: place.span(block.span) }
    }

    fn loop_body(&mut self, block: &'a Block, place: &Place<'a>) -> Block {
        self.loops = self.loops.map(|it| it + 1);
        let body = self.block(block, place);
        self.loops = self.loops.map(|it| it - 1);
        body
    }

    fn stmt(&mut self, stmt: &'a Stmt, place: &Place<'a>) -> Stmt {
        let span = place.span(stmt.span);
        let kind = self.deeper(stmt.span, place, |copy| copy.stmt_kind(stmt, place));
        let nothing = StmtKind::Expr(Expr { kind: ExprKind::Error, span });
        Stmt { kind: kind.unwrap_or(nothing), span }
    }

    fn stmt_kind(&mut self, stmt: &'a Stmt, place: &Place<'a>) -> StmtKind {
        match &stmt.kind {
            StmtKind::Expr(value) => StmtKind::Expr(self.expr(value, place)),
            StmtKind::Value(value) => StmtKind::Value(self.expr(value, place)),
            StmtKind::Discard(value) => StmtKind::Discard(self.expr(value, place)),
            StmtKind::Assign { target, op, value } => {
                self.refuse_expression(target, place);
                StmtKind::Assign { target: self.expr(target, place), op: *op, value: self.expr(value, place) }
            }
            StmtKind::Let { name, ty, value } => StmtKind::Let {
                name: self.variable(name, place),
                ty: ty.as_ref().map(|it| self.type_name(it, place)),
                value: value.as_ref().map(|it| self.expr(it, place)),
            },
            StmtKind::If { comptime, condition, then, otherwise } => StmtKind::If {
                comptime: *comptime,
                condition: self.expr(condition, place),
                then: self.block(then, place),
                otherwise: otherwise.as_ref().map(|it| self.block(it, place)),
            },
            StmtKind::While { condition, body } => {
                StmtKind::While { condition: self.expr(condition, place), body: self.loop_body(body, place) }
            }
            StmtKind::ForRange { var, start, end, body } => StmtKind::ForRange {
                var: self.variable(var, place),
                start: self.expr(start, place),
                end: self.expr(end, place),
                body: self.loop_body(body, place),
            },
            StmtKind::ForMap { var, map, body } => StmtKind::ForMap {
                var: self.variable(var, place),
                map: self.expr(map, place),
                body: self.loop_body(body, place),
            },
            StmtKind::Unroll { count, body } => {
                StmtKind::Unroll { count: self.expr(count, place), body: self.loop_body(body, place) }
            }
            StmtKind::Block(body) => StmtKind::Block(self.block(body, place)),
            StmtKind::Break => self.leaving("break", StmtKind::Break, stmt.span, place),
            StmtKind::Continue => self.leaving("continue", StmtKind::Continue, stmt.span, place),
            StmtKind::Return(value) => {
                if place.call.is_some() {
                    let message = "a macro cannot `return`: it is part of the probe that uses it";
                    self.diagnostics.push(
                        Diagnostic::error(place.span(stmt.span), message)
                            .hint("its value is a last expression without `;`"),
                    );
                }
                StmtKind::Return(value.as_ref().map(|it| self.expr(it, place)))
            }
        }
    }

    /// `break` and `continue` stay within the macro or the argument that has them.
    fn leaving(&mut self, word: &str, kind: StmtKind, span: Span, place: &Place<'a>) -> StmtKind {
        if self.loops == Some(0) {
            let what = if place.call.is_some() { "macro" } else { "macro's argument" };
            self.error(place.span(span), format!("`{word}` in a {what} without a loop of its own"));
        }
        kind
    }

    /// A variable that is declared here.
    fn variable(&mut self, name: &'a Ident, place: &Place<'a>) -> Ident {
        if place.argument(&name.text).is_some() {
            let message = format!("`{}` is a parameter of this macro", name.text);
            self.error(place.span(name.span), message);
        }
        place.ident(name)
    }

    /// A parameter that takes an expression is nothing to assign to, whatever the expression is.
    fn refuse_expression(&mut self, target: &Expr, place: &Place<'a>) {
        let ExprKind::Word(word) = &target.kind else { return };
        if place.argument(word).is_some() {
            let message = format!("`{word}` is an expression and cannot be assigned to");
            let wrong = Diagnostic::error(place.span(target.span), message);
            self.diagnostics.push(wrong.hint(format!("a parameter `${word}` is the caller's variable")));
        }
    }

    fn boxed(&mut self, expr: &'a Expr, place: &Place<'a>) -> Box<Expr> {
        Box::new(self.expr(expr, place))
    }

    fn exprs(&mut self, exprs: &'a [Expr], place: &Place<'a>) -> Vec<Expr> {
        exprs.iter().map(|it| self.expr(it, place)).collect()
    }

    fn expr(&mut self, expr: &'a Expr, place: &Place<'a>) -> Expr {
        let copied = self.deeper(expr.span, place, |copy| copy.expr_inside(expr, place));
        copied.unwrap_or(Expr { kind: ExprKind::Error, span: place.span(expr.span) })
    }

    fn expr_inside(&mut self, expr: &'a Expr, place: &Place<'a>) -> Expr {
        let span = place.span(expr.span);
        let kind = match &expr.kind {
            ExprKind::Error
            | ExprKind::Int(_)
            | ExprKind::Bool(_)
            | ExprKind::Str(_)
            | ExprKind::Ipv4(_)
            | ExprKind::Cidr4(..)
            | ExprKind::Mac(_)
            | ExprKind::Positional(_)
            | ExprKind::PositionalCount => expr.kind.clone(),
            ExprKind::Var(name) | ExprKind::Word(name) if place.argument(name).is_some() => {
                return self.argument(name, span, place);
            }
            ExprKind::Var(_) => expr.kind.clone(),
            ExprKind::Word(name) => return self.call(name, None, span, place).unwrap_or(expr_at(expr, span)),
            ExprKind::Call { name, args } => {
                if let Some(value) = self.call(&name.text, Some(args), span, place) {
                    return value;
                }
                let args = args.iter().map(|it| self.arg(it, place)).collect();
                ExprKind::Call { name: place.ident(name), args }
            }
            ExprKind::Map { name, key } => self.map(name, key, span, place),
            ExprKind::Unary(op, operand) => ExprKind::Unary(*op, self.boxed(operand, place)),
            ExprKind::Step { increment, prefix, target } => {
                self.refuse_expression(target, place);
                let target = self.boxed(target, place);
                ExprKind::Step { increment: *increment, prefix: *prefix, target }
            }
            ExprKind::Binary(op, left, right) => {
                ExprKind::Binary(*op, self.boxed(left, place), self.boxed(right, place))
            }
            ExprKind::In(left, right) => ExprKind::In(self.boxed(left, place), self.boxed(right, place)),
            ExprKind::Ternary(condition, then, otherwise) => ExprKind::Ternary(
                self.boxed(condition, place),
                then.as_ref().map(|it| self.boxed(it, place)),
                self.boxed(otherwise, place),
            ),
            ExprKind::If(condition, then, otherwise) => ExprKind::If(
                self.boxed(condition, place),
                self.block(then, place),
                self.block(otherwise, place),
            ),
            ExprKind::Block(block) => ExprKind::Block(self.block(block, place)),
            ExprKind::Cast(ty, operand) => {
                ExprKind::Cast(self.type_name(ty, place), self.boxed(operand, place))
            }
            ExprKind::Field { base, name, arrow } => {
                ExprKind::Field { base: self.boxed(base, place), name: place.ident(name), arrow: *arrow }
            }
            ExprKind::TupleIndex(base, idx) => ExprKind::TupleIndex(self.boxed(base, place), *idx),
            ExprKind::Index(base, idx) => ExprKind::Index(self.boxed(base, place), self.boxed(idx, place)),
            ExprKind::Tuple(items) => ExprKind::Tuple(self.exprs(items, place)),
            ExprKind::Record(items) => ExprKind::Record(
                items.iter().map(|(name, value)| (place.ident(name), self.expr(value, place))).collect(),
            ),
            ExprKind::Sizeof(of) => ExprKind::Sizeof(Box::new(self.type_or_expr(of, place))),
            ExprKind::Offsetof(of, path) => {
                let path = path.iter().map(|it| place.ident(it)).collect();
                ExprKind::Offsetof(Box::new(self.type_or_expr(of, place)), path)
            }
            ExprKind::Comptime(operand) => ExprKind::Comptime(self.boxed(operand, place)),
        };
        Expr { kind, span }
    }

    fn arg(&mut self, arg: &'a Arg, place: &Place<'a>) -> Arg {
        match arg {
            Arg::Expr(expr) => match self.bound_type(expr, place) {
                Some((ty, from)) => Arg::Type(self.type_name(ty, &from)),
                None => Arg::Expr(self.expr(expr, place)),
            },
            Arg::Type(ty) => Arg::Type(self.type_name(ty, place)),
        }
    }

    /// `@m`, `@m[k]`: a macro has no other maps than those it is given.
    fn map(&mut self, name: &'a str, key: &'a [Expr], span: Span, place: &Place<'a>) -> ExprKind {
        let (mut name, mut owner) = (name, place);
        while owner.call.is_some() {
            let Some((Arg::Expr(Expr { kind: ExprKind::Map { name: given, .. }, .. }), from)) =
                owner.argument(name)
            else {
                let message = format!("`{name}` is not a parameter of this macro");
                let wrong = Diagnostic::error(span, message);
                self.diagnostics
                    .push(wrong.hint("a macro works on the maps that it is given: `macro m(@map) { … }`"));
                return ExprKind::Error;
            };
            (name, owner) = (given, from);
        }
        ExprKind::Map { name: name.to_owned(), key: self.exprs(key, place) }
    }

    /// What a parameter stands for, in its place.
    fn argument(&mut self, name: &str, span: Span, place: &Place<'a>) -> Expr {
        let nothing = Expr { kind: ExprKind::Error, span };
        let Some((arg, from)) = place.argument(name) else { return nothing };
        let Arg::Expr(value) = arg else {
            let kind = self.error(span, format!("`{name}` is a type here, a value is needed"));
            return Expr { kind, span };
        };
        let file = from.span(value.span).file;
        let Some(file) = self.sources.expand(file, span, Some(self.sources.names_of(file))) else {
            self.stop(span, "macros are used too often");
            return nothing;
        };
        let inside = Place { file: Some(file), call: from.call.clone() };
        let loops = self.loops.replace(0);
        let value = self.expr(value, &inside);
        self.loops = loops;
        value
    }

    /// The body of the macro that a name means, in the place of its call. `span` is the copy's.
    fn call(
        &mut self,
        name: &'a str,
        args: Option<&'a [Arg]>,
        span: Span,
        place: &Place<'a>,
    ) -> Option<Expr> {
        let function = match self.macros.meaning(name, args, span, self.sources) {
            Meaning::Macro(function) => function,
            Meaning::Other => return None,
            Meaning::Wrong(mut diagnostic) => {
                diagnostic.span = place.span(diagnostic.span);
                self.diagnostics.push(diagnostic);
                return Some(Expr { kind: ExprKind::Error, span });
            }
        };
        if place.calls().any(|it| std::ptr::eq(it.function, function)) {
            let kind = self.recursion(function, span, place);
            return Some(Expr { kind, span });
        }
        let Some(file) = self.sources.expand(function.span.file, span, None) else {
            self.stop(span, "macros are used too often");
            return Some(Expr { kind: ExprKind::Error, span });
        };
        let call = Call { function, args: args.unwrap_or_default(), from: place.clone() };
        let inside = Place { file: Some(file), call: Some(Rc::new(call)) };
        let loops = self.loops.replace(0);
        let mut body = self.block(&function.body, &inside);
        self.loops = loops;
        // A body that is only a value needs no block around it.
        if let [Stmt { kind: StmtKind::Value(_), .. }] = body.stmts.as_slice()
            && let Some(Stmt { kind: StmtKind::Value(value), .. }) = body.stmts.pop()
        {
            return Some(value);
        }
        Some(Expr { kind: ExprKind::Block(body), span })
    }

    fn recursion(&mut self, function: &Function, span: Span, place: &Place<'a>) -> ExprKind {
        let name = &function.name.text;
        let mut chain: Vec<&str> = vec![name];
        for call in place.calls() {
            chain.push(&call.function.name.text);
            if std::ptr::eq(call.function, function) {
                break;
            }
        }
        chain.reverse();
        self.error(span, format!("the macro `{name}` uses itself: {}", chain.join(" > ")))
    }

    /// The type that an expression is when it is a parameter that a type was given for.
    fn bound_type(&self, expr: &Expr, place: &Place<'a>) -> Option<(&'a TypeName, Place<'a>)> {
        match &expr.kind {
            ExprKind::Word(word) => self.type_named(word, place),
            _ => None,
        }
    }

    fn type_named(&self, name: &str, place: &Place<'a>) -> Option<(&'a TypeName, Place<'a>)> {
        match place.argument(name)? {
            (Arg::Type(ty), from) => Some((ty, from.clone())),
            (Arg::Expr(expr), from) => self.bound_type(expr, from),
        }
    }

    fn type_or_expr(&mut self, of: &'a TypeOrExpr, place: &Place<'a>) -> TypeOrExpr {
        match of {
            TypeOrExpr::Expr(expr) => match self.bound_type(expr, place) {
                Some((ty, from)) => TypeOrExpr::Type(self.type_name(ty, &from)),
                None => TypeOrExpr::Expr(self.expr(expr, place)),
            },
            TypeOrExpr::Type(ty) => TypeOrExpr::Type(self.type_name(ty, place)),
        }
    }

    fn type_name(&mut self, ty: &'a TypeName, place: &Place<'a>) -> TypeName {
        let arrays = self.exprs(&ty.arrays, place);
        let span = place.span(ty.span);
        if let TypeBase::Name(name) = &ty.base
            && let Some((given, from)) = self.type_named(name, place)
        {
            let mut given = self.type_name(given, &from);
            given.arrays.splice(0..0, arrays);
            return TypeName { pointers: given.pointers + ty.pointers, span, ..given };
        }
        let base = match &ty.base {
            TypeBase::Name(_) | TypeBase::Struct(_) | TypeBase::Union(_) | TypeBase::Enum(_) => {
                ty.base.clone()
            }
            TypeBase::Typeof(of) => TypeBase::Typeof(Box::new(self.type_or_expr(of, place))),
            TypeBase::Tuple(items) => {
                TypeBase::Tuple(items.iter().map(|it| self.type_name(it, place)).collect())
            }
        };
        TypeName { base, pointers: ty.pointers, arrays, span }
    }
}

/// An expression without parts, in its place.
fn expr_at(expr: &Expr, span: Span) -> Expr {
    Expr { kind: expr.kind.clone(), span }
}
