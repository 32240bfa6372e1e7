//! Expressions, with C's precedence.

use super::Parser;
use super::literal;
use crate::ast::{Arg, BinaryOp, Expr, ExprKind, Ident, UnaryOp};
use crate::diagnostic::Diagnostic;
use crate::lex::{Token, TokenKind};
use crate::source::Span;

/// An operator between two operands.
#[derive(Clone, Copy)]
enum Infix {
    Binary(BinaryOp),
    In,
}

/// An operand that waits for its operators, and the height of its tree.
type Operand = (Expr, u32);

impl Parser<'_> {
    /// An expression; reports when there is none.
    pub(super) fn expression(&mut self) -> Expr {
        let start = self.span();
        self.nested(Self::ternary).unwrap_or_else(|| self.missing(start))
    }

    /// The expression of a predicate, an `if` or a `while`.
    pub(super) fn condition(&mut self) -> Expr {
        let outer = std::mem::replace(&mut self.in_condition, true);
        self.condition_at = self.at;
        let condition = self.expression();
        if matches!(condition.kind, ExprKind::Record(_)) {
            let diagnostic = Diagnostic::error(condition.span, "a record cannot be a condition");
            self.report(diagnostic.hint("to compare write `==`"));
        }
        self.in_condition = outer;
        condition
    }

    fn ternary(&mut self) -> Expr {
        let start = self.span();
        let condition = Box::new(self.binary());
        if !self.eat("?") {
            return *condition;
        }
        let then = match self.eat(":") {
            true => None,
            false => {
                let then = self.beside(Self::expression);
                self.expect(":");
                Some(Box::new(then))
            }
        };
        let otherwise = Box::new(self.beside(Self::expression));
        self.raise();
        Expr { kind: ExprKind::Ternary(condition, then, otherwise), span: self.since(start) }
    }

    /// Operands with operators between them. Operators wait on a stack of their own until one that
    /// binds less tightly follows, so that a long chain needs no recursion.
    fn binary(&mut self) -> Expr {
        let first = self.unary();
        let Some(mut next) = self.infix() else {
            return first;
        };
        let mut operands: Vec<Operand> = vec![(first, self.height)];
        let mut operators: Vec<(Infix, u8)> = Vec::new();
        loop {
            while operators.last().is_some_and(|&(_, precedence)| precedence >= next.1) {
                self.fold(&mut operands, &mut operators);
            }
            // A chain that grew too high was cut off in the fold.
            if self.kind() == TokenKind::End {
                break;
            }
            self.bump();
            operators.push(next);
            let operand = self.unary();
            operands.push((operand, self.height));
            match self.infix() {
                Some(infix) => next = infix,
                None => break,
            }
        }
        while !operators.is_empty() {
            self.fold(&mut operands, &mut operators);
        }
        let (expr, height) = operands.pop().expect("one operand is left when no operator is");
        self.height = height;
        expr
    }

    /// Joins the last two operands by the last operator.
    fn fold(&mut self, operands: &mut Vec<Operand>, operators: &mut Vec<(Infix, u8)>) {
        let (Some(right), Some(left), Some((infix, _))) = (operands.pop(), operands.pop(), operators.pop())
        else {
            return;
        };
        let span = left.0.span.to(right.0.span);
        self.height = left.1.max(right.1);
        self.raise();
        let (left, right) = (Box::new(left.0), Box::new(right.0));
        let kind = match infix {
            Infix::Binary(op) => ExprKind::Binary(op, left, right),
            Infix::In => ExprKind::In(left, right),
        };
        operands.push((Expr { kind, span }, self.height));
    }

    /// The operator here and how tightly it binds.
    fn infix(&self) -> Option<(Infix, u8)> {
        if self.kind() == TokenKind::Keyword && self.current() == "in" {
            return Some((Infix::In, 7));
        }
        if self.kind() != TokenKind::Punct || self.is_stuck() {
            return None;
        }
        let (op, precedence) = BinaryOp::find(self.current())?;
        Some((Infix::Binary(op), precedence))
    }

    fn unary(&mut self) -> Expr {
        let start = self.span();
        if self.at_word("comptime") {
            self.bump();
            let operand = self.operand();
            return self.finish(start, ExprKind::Comptime(operand));
        }
        if self.kind() != TokenKind::Punct {
            return self.postfix();
        }
        let op = match self.current() {
            "-" => UnaryOp::Neg,
            "!" => UnaryOp::Not,
            "~" => UnaryOp::BitNot,
            "*" => UnaryOp::Deref,
            "&" => UnaryOp::AddressOf,
            step @ ("++" | "--") => {
                let increment = step == "++";
                self.bump();
                let target = self.operand();
                return self.finish(start, ExprKind::Step { increment, prefix: true, target });
            }
            "(" if self.at_cast() => return self.cast(),
            _ => return self.postfix(),
        };
        self.bump();
        let operand = self.operand();
        self.finish(start, ExprKind::Unary(op, operand))
    }

    /// What an operator before it applies to.
    fn operand(&mut self) -> Box<Expr> {
        let start = self.span();
        Box::new(self.nested(Self::unary).unwrap_or_else(|| self.missing(start)))
    }

    /// An expression one level above its parts.
    fn finish(&mut self, start: Span, kind: ExprKind) -> Expr {
        self.raise();
        Expr { kind, span: self.since(start) }
    }

    /// Whether the parenthesis here holds a type, so that it is a cast. A single unknown name is
    /// one when an operand follows that no operator could have led to: `(pid_t)arg0`, but not where
    /// the operand may be what an `if (x)` without braces does.
    fn at_cast(&self) -> bool {
        let first = self.ahead(1);
        if self.begins_type(first) {
            return true;
        }
        if first.kind != TokenKind::Word {
            return false;
        }
        if let Some(stars) = self.pointer_suffix(2) {
            return self.is_punct(self.ahead(2 + stars), ")");
        }
        let names_type = self.text_of(first).ends_with("_t");
        (names_type || self.at != self.condition_at)
            && self.is_punct(self.ahead(2), ")")
            && self.begins_cast_operand(self.ahead(3), names_type)
    }

    fn begins_cast_operand(&self, token: Token, after_type: bool) -> bool {
        use TokenKind::{Character, Keyword, Mac, Map, Number, Positional, Punct, String, Variable, Word};
        let text = self.text_of(token);
        match token.kind {
            Word | Number | Mac | String | Character | Variable | Positional | Map => true,
            Keyword => ["true", "false", "sizeof", "offsetof", "comptime"].contains(&text),
            Punct => ["(", "!", "~"].contains(&text) || after_type && ["-", "*", "&"].contains(&text),
            _ => false,
        }
    }

    fn cast(&mut self) -> Expr {
        let start = self.span();
        self.bump();
        self.height = 0;
        let Some(ty) = self.type_name() else {
            return self.missing(start);
        };
        if !self.expect(")") {
            return self.missing(start);
        }
        let operand = self.beside(Self::operand);
        self.finish(start, ExprKind::Cast(ty, operand))
    }

    fn postfix(&mut self) -> Expr {
        let start = self.span();
        let mut expr = self.primary();
        while self.kind() == TokenKind::Punct && !self.is_stuck() {
            let kind = match self.current() {
                "." | "->" => match self.member(&expr) {
                    Some(member) => member.of(expr),
                    None => return expr,
                },
                "[" => {
                    self.bump();
                    let index = self.beside(Self::expression);
                    self.expect("]");
                    ExprKind::Index(Box::new(expr), Box::new(index))
                }
                step @ ("++" | "--") => {
                    let increment = step == "++";
                    self.bump();
                    ExprKind::Step { increment, prefix: false, target: Box::new(expr) }
                }
                _ => break,
            };
            expr = self.finish(start, kind);
        }
        expr
    }

    /// `.name`, `->name`, `.0`; reports when it is none of them.
    fn member(&mut self, base: &Expr) -> Option<Member> {
        let arrow = self.bump();
        let arrow = self.text_of(arrow) == "->";
        if self.is_word(self.token()) {
            return Some(Member::Name { name: self.ident(), arrow });
        }
        let index = self.current().parse().ok().filter(|_| self.kind() == TokenKind::Number && !arrow);
        match index {
            Some(_) if matches!(base.kind, ExprKind::Int(_)) => {
                let span = base.span.to(self.span());
                self.error(span, "there are no floating-point numbers");
                None
            }
            Some(index) => {
                self.bump();
                Some(Member::Index(index))
            }
            None => {
                self.unexpected("a field's name");
                None
            }
        }
    }

    fn primary(&mut self) -> Expr {
        let start = self.span();
        self.height = 0;
        let kind = match self.kind() {
            TokenKind::Number => self.number_or_address(),
            TokenKind::Mac => self.mac(),
            TokenKind::String => ExprKind::Str(self.string()),
            TokenKind::Variable => ExprKind::Var(self.ident().text),
            TokenKind::Positional => self.positional(),
            TokenKind::Map => self.map(),
            TokenKind::Word => self.word(),
            TokenKind::Keyword => match self.keyword() {
                Some(kind) => kind,
                None => return self.missing(start),
            },
            TokenKind::Punct if self.at("(") => self.parenthesized(),
            TokenKind::Punct if self.at("{") => match self.block() {
                Some(block) => ExprKind::Block(block),
                None => return self.missing(start),
            },
            _ => {
                self.unexpected("an expression");
                return self.missing(start);
            }
        };
        self.finish(start, kind)
    }

    fn keyword(&mut self) -> Option<ExprKind> {
        match self.current() {
            word @ ("true" | "false") => {
                let value = word == "true";
                self.bump();
                Some(ExprKind::Bool(value))
            }
            "if" => self.if_expression(),
            "sizeof" => {
                self.bump();
                self.expect("(");
                let of = self.type_or_expression();
                self.expect(")");
                Some(ExprKind::Sizeof(Box::new(of)))
            }
            "offsetof" => self.offset_of(),
            "config" => Some(self.word()),
            _ => {
                self.unexpected("an expression");
                None
            }
        }
    }

    fn offset_of(&mut self) -> Option<ExprKind> {
        self.bump();
        self.expect("(");
        let of = self.type_or_expression();
        if !self.expect(",") {
            return None;
        }
        let mut path = vec![self.expect_word("a field's name")?];
        while self.eat(".") {
            path.push(self.expect_word("a field's name")?);
        }
        self.expect(")");
        Some(ExprKind::Offsetof(Box::new(of), path))
    }

    /// A bare word, or a call of it.
    fn word(&mut self) -> ExprKind {
        let name = self.ident();
        if !self.eat("(") {
            return ExprKind::Word(name.text);
        }
        let (args, _) = self.list(")", Self::arg);
        ExprKind::Call { name, args }
    }

    fn arg(&mut self) -> Option<Arg> {
        let is_type = self.begins_type(self.token())
            || self.kind() == TokenKind::Word && self.pointer_suffix(1).is_some();
        match is_type {
            true => self.type_name().map(Arg::Type),
            false => Some(Arg::Expr(self.expression())),
        }
    }

    /// Parts with commas between them, up to `close`, which is taken; and whether the last part
    /// had a comma behind it.
    fn list<T>(&mut self, close: &str, part: fn(&mut Self) -> Option<T>) -> (Vec<T>, bool) {
        let mut parts = Vec::new();
        let mut comma = false;
        while !self.at(close) {
            match self.beside(part) {
                Some(part) => parts.push(part),
                None => break,
            }
            comma = self.eat(",");
            if !comma {
                break;
            }
        }
        if !self.at(close) {
            self.unexpected(&format!("`,` or `{close}`"));
        } else {
            self.bump();
        }
        (parts, comma)
    }

    fn map(&mut self) -> ExprKind {
        let name = self.ident().text;
        if !self.eat("[") {
            return ExprKind::Map { name, key: Vec::new() };
        }
        if self.at("]") {
            self.unexpected("a key");
        }
        let (key, _) = self.list("]", |parser| Some(parser.expression()));
        ExprKind::Map { name, key }
    }

    /// `(e)`, `(a, b)`, `(a,)`, `()`, `(a = 1)`.
    fn parenthesized(&mut self) -> ExprKind {
        self.bump();
        if self.is_word(self.token()) && self.is_punct(self.ahead(1), "=") {
            let (fields, _) = self.list(")", Self::record_field);
            return ExprKind::Record(fields);
        }
        let (mut parts, comma) = self.list(")", |parser| Some(parser.expression()));
        match parts.pop() {
            Some(only) if parts.is_empty() && !comma => only.kind,
            Some(last) => {
                parts.push(last);
                ExprKind::Tuple(parts)
            }
            None => ExprKind::Tuple(parts),
        }
    }

    fn record_field(&mut self) -> Option<(Ident, Expr)> {
        let name = self.expect_word("a field's name")?;
        self.expect("=").then(|| (name, self.expression()))
    }

    fn positional(&mut self) -> ExprKind {
        let text = self.current();
        let number: Option<u32> = text.strip_prefix('$').and_then(|it| it.parse().ok()).filter(|&it| it > 0);
        if text != "$#" && number.is_none() {
            self.error(
                self.span(),
                format!("there is no parameter {}: they are numbered from `$1`", super::quote(text)),
            );
        }
        self.bump();
        match (text, number) {
            ("$#", _) => ExprKind::PositionalCount,
            (_, Some(number)) => ExprKind::Positional(number),
            (_, None) => ExprKind::Error,
        }
    }

    fn mac(&mut self) -> ExprKind {
        let kind = literal::mac(self.current()).map_or(ExprKind::Error, ExprKind::Mac);
        self.bump();
        kind
    }

    /// A number, or the IPv4 address or network that begins with it. A tuple's `.0.1.2.3` stands
    /// behind an operand and never comes here.
    fn number_or_address(&mut self) -> ExprKind {
        let dotted = [1, 3, 5].iter().all(|&dot| self.touches(dot, ".") && self.touches_number(dot + 1));
        if !dotted {
            return ExprKind::Int(self.number());
        }
        let start = self.span();
        let end = self.ahead(6).end;
        let text = self.text.get(start.start as usize..end as usize).unwrap_or("");
        let address = literal::ipv4(text);
        if address.is_none() {
            self.error(Span { end, ..start }, format!("{} is not an IPv4 address", super::quote(text)));
        }
        for _ in 0..7 {
            self.bump();
        }
        let has_length = self.at("/")
            && self.token().start == end
            && self.ahead(1).start == end + 1
            && self.ahead(1).kind == TokenKind::Number;
        match has_length {
            true => self.network(start, address),
            false => address.map_or(ExprKind::Error, ExprKind::Ipv4),
        }
    }

    /// The prefix length behind an address; bits behind it are cleared.
    fn network(&mut self, start: Span, address: Option<u32>) -> ExprKind {
        self.bump();
        let length: Option<u8> = self.current().parse().ok().filter(|&it| it <= 32);
        if length.is_none() {
            let message = "an IPv4 network has 0 to 32 leading bits";
            self.report(Diagnostic::error(start.to(self.span()), message));
        }
        self.bump();
        match (address, length) {
            (Some(address), Some(length)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                ExprKind::Cidr4(address & mask, length)
            }
            _ => ExprKind::Error,
        }
    }

    /// Whether the token `distance` further on is `punct`, without a gap before it.
    fn touches(&self, distance: usize, punct: &str) -> bool {
        self.is_punct(self.ahead(distance), punct)
            && self.ahead(distance).start == self.ahead(distance - 1).end
    }

    fn touches_number(&self, distance: usize) -> bool {
        let token = self.ahead(distance);
        token.kind == TokenKind::Number && token.start == self.ahead(distance - 1).end
    }
}

/// What stands behind a `.` or `->`.
enum Member {
    Name { name: Ident, arrow: bool },
    Index(u32),
}

impl Member {
    fn of(self, base: Expr) -> ExprKind {
        let base = Box::new(base);
        match self {
            Member::Name { name, arrow } => ExprKind::Field { base, name, arrow },
            Member::Index(index) => ExprKind::TupleIndex(base, index),
        }
    }
}
