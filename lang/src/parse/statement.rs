//! Blocks and statements.

use super::Parser;
use crate::ast::{BinaryOp, Block, Expr, ExprKind, Ident, Stmt, StmtKind, UnaryOp};
use crate::diagnostic::Diagnostic;
use crate::lex::TokenKind;

impl Parser<'_> {
    /// `{ statements }`; reports when there is none.
    pub(super) fn block(&mut self) -> Option<Block> {
        let start = self.span();
        if !self.expect("{") {
            return None;
        }
        let stmts = self.nested(Self::statements)?;
        if !self.eat("}") {
            let diagnostic = self.unexpected_diagnostic("`}`").label(start, "this brace is not closed");
            self.report(diagnostic);
        }
        self.raise();
        Some(Block { stmts, span: self.since(start) })
    }

    fn statements(&mut self) -> Vec<Stmt> {
        let mut stmts = Vec::new();
        let mut height = 0;
        while !self.at_block_end() {
            if self.eat(";") {
                continue;
            }
            let start = self.at;
            self.height = 0;
            if let Some(mut stmt) = self.statement() {
                self.end_statement(&mut stmt);
                stmts.push(stmt);
            } else {
                self.skip_statement();
            }
            height = height.max(self.height);
            if self.at == start {
                self.bump();
            }
        }
        self.height = height;
        stmts
    }

    /// A statement without its `;`.
    fn statement(&mut self) -> Option<Stmt> {
        let start = self.span();
        let kind = match self.statement_word() {
            "if" => self.if_statement()?,
            "while" => self.while_statement()?,
            "for" => self.for_statement()?,
            "unroll" => self.unroll_statement()?,
            "let" => self.let_statement()?,
            "break" => self.simple(StmtKind::Break),
            "continue" => self.simple(StmtKind::Continue),
            "return" => self.return_statement(),
            "import" => {
                self.error(start, "`import` inside a block is not supported yet");
                return None;
            }
            _ if self.at("{") => StmtKind::Block(self.block()?),
            _ if self.at_word("_") && self.is_punct(self.ahead(1), "=") => {
                self.bump();
                self.bump();
                StmtKind::Discard(self.expression())
            }
            _ => self.expression_statement(),
        };
        Some(Stmt { kind, span: self.since(start) })
    }

    /// Takes the `;`. A last expression without one is the value of its block.
    ///
    /// When it is missing, what stands on a line of its own is taken for the next statement and
    /// anything else is skipped, so that one slip is one error.
    fn end_statement(&mut self, stmt: &mut Stmt) {
        if self.is_stuck() {
            self.skip_statement();
        } else if ends_in_block(&stmt.kind) || self.eat(";") {
            // Complete.
        } else if self.at_block_end() && !self.at("}") {
            // Without its brace the block is wrong as a whole, which is said there.
        } else if self.at("}") {
            if let StmtKind::Expr(value) = &mut stmt.kind {
                let value = std::mem::replace(value, Expr { kind: ExprKind::Error, span: stmt.span });
                stmt.kind = StmtKind::Value(value);
            }
        } else {
            self.unexpected("`;` or `}`");
            let gap = self.tokens[self.at - 1].end as usize..self.token().start as usize;
            if !self.text[gap].contains('\n') {
                self.skip_statement();
            }
        }
    }

    /// The word that decides which statement this is.
    fn statement_word(&self) -> &str {
        if self.kind() == TokenKind::Keyword { self.current() } else { "" }
    }

    fn simple(&mut self, kind: StmtKind) -> StmtKind {
        self.bump();
        kind
    }

    fn return_statement(&mut self) -> StmtKind {
        self.bump();
        let is_bare = self.at(";") || self.at_block_end();
        StmtKind::Return((!is_bare).then(|| self.expression()))
    }

    fn let_statement(&mut self) -> Option<StmtKind> {
        self.bump();
        let name = self.variable()?;
        let ty = if self.eat(":") { Some(self.type_name()?) } else { None };
        let value = self.eat("=").then(|| self.beside(Self::expression));
        Some(StmtKind::Let { name, ty, value })
    }

    fn variable(&mut self) -> Option<Ident> {
        if self.kind() == TokenKind::Variable {
            return Some(self.ident());
        }
        self.unexpected("a `$variable`");
        None
    }

    fn if_statement(&mut self) -> Option<StmtKind> {
        let (comptime, condition, then, otherwise) = self.if_parts(false)?;
        Some(StmtKind::If { comptime, condition, then, otherwise })
    }

    /// `if c { … } else { … }` as a value.
    pub(super) fn if_expression(&mut self) -> Option<ExprKind> {
        let start = self.span();
        let (comptime, mut condition, then, otherwise) = self.if_parts(true)?;
        if comptime {
            let span = condition.span;
            condition = Expr { kind: ExprKind::Comptime(Box::new(condition)), span };
        }
        let Some(otherwise) = otherwise else {
            let message = "an `if` that gives a value needs an `else`";
            self.report(Diagnostic::error(self.since(start), message));
            return None;
        };
        Some(ExprKind::If(Box::new(condition), then, otherwise))
    }

    fn if_parts(&mut self, is_value: bool) -> Option<(bool, Expr, Block, Option<Block>)> {
        self.bump();
        let comptime = self.eat_word("comptime");
        let condition = self.condition();
        let then = self.beside(Self::block)?;
        let otherwise = match self.eat_word("else") {
            false => None,
            true if self.at_word("if") => Some(self.beside(|parser| parser.else_if(is_value))?),
            true => Some(self.beside(Self::block)?),
        };
        self.raise();
        Some((comptime, condition, then, otherwise))
    }

    /// The `if` behind an `else`, as a block of its own.
    fn else_if(&mut self, is_value: bool) -> Option<Block> {
        let start = self.span();
        let kind = match is_value {
            true => {
                let kind = self.nested(Self::if_expression)??;
                StmtKind::Value(Expr { kind, span: self.since(start) })
            }
            false => self.nested(Self::if_statement)??,
        };
        let span = self.since(start);
        Some(Block { stmts: vec![Stmt { kind, span }], span })
    }

    fn while_statement(&mut self) -> Option<StmtKind> {
        self.bump();
        let condition = self.condition();
        let body = self.beside(Self::block)?;
        Some(StmtKind::While { condition, body })
    }

    fn unroll_statement(&mut self) -> Option<StmtKind> {
        self.bump();
        let count = self.expression();
        let body = self.beside(Self::block)?;
        Some(StmtKind::Unroll { count, body })
    }

    fn for_statement(&mut self) -> Option<StmtKind> {
        self.bump();
        let in_parentheses = self.eat("(");
        let Some((var, start, end)) = self.for_head() else {
            // The body may have errors of its own, and what follows it is sound.
            while !self.at("{") && !self.at_block_end() {
                self.bump();
            }
            return self.block().map(StmtKind::Block);
        };
        if in_parentheses && !self.expect(")") {
            return None;
        }
        let body = self.beside(Self::block)?;
        Some(match end {
            Some(end) => StmtKind::ForRange { var, start, end, body },
            None => StmtKind::ForMap { var, map: start, body },
        })
    }

    /// `$i : 0..10` or `$kv : @map`.
    fn for_head(&mut self) -> Option<(Ident, Expr, Option<Expr>)> {
        let var = self.variable()?;
        if !self.eat(":") {
            let diagnostic = self.unexpected_diagnostic("`:`");
            self.report(diagnostic.hint("a loop is `for $i : 0..10 { … }` or `for $kv : @map { … }`"));
            return None;
        }
        let start = self.expression();
        let end = if self.eat("..") { Some(self.beside(Self::expression)) } else { None };
        Some((var, start, end))
    }

    fn expression_statement(&mut self) -> StmtKind {
        let target = self.expression();
        let Some(op) = self.assignment_operator() else {
            return StmtKind::Expr(target);
        };
        if !is_place(&target) {
            self.error(
                target.span,
                "only a `$variable`, a `@map` or a place behind a pointer can be assigned to",
            );
        }
        self.bump();
        let value = self.beside(Self::expression);
        StmtKind::Assign { target, op, value }
    }

    /// What `=` or `op=` here does: `None` when the token is neither, `Some(None)` for `=`.
    fn assignment_operator(&self) -> Option<Option<BinaryOp>> {
        if self.kind() != TokenKind::Punct {
            return None;
        }
        let operator = self.current().strip_suffix('=')?;
        if operator.is_empty() {
            return Some(None);
        }
        let (op, _) = BinaryOp::find(operator)?;
        op.is_arithmetic().then_some(Some(op))
    }
}

/// Whether the statement ends in its own `}` and needs no `;`.
fn ends_in_block(kind: &StmtKind) -> bool {
    use StmtKind::{Block, ForMap, ForRange, If, Unroll, While};
    matches!(kind, Block(_) | ForMap { .. } | ForRange { .. } | If { .. } | Unroll { .. } | While { .. })
}

/// Whether something can be assigned to this, as far as the grammar knows.
fn is_place(target: &Expr) -> bool {
    use ExprKind::{Error, Field, Index, Map, TupleIndex, Unary, Var, Word};
    matches!(
        target.kind,
        // A word may be a macro's parameter that stands for a variable.
        Error
            | Field { .. }
            | Index(..)
            | Map { .. }
            | TupleIndex(..)
            | Unary(UnaryOp::Deref, _)
            | Var(_)
            | Word(_)
    )
}
