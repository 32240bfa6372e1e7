//! Types as written: `uint64`, `struct task_struct *`, `string[16]`, `typeof($x)`, `(int64, string)`.

use super::Parser;
use crate::ast::{Expr, ExprKind, TypeBase, TypeName, TypeOrExpr};
use crate::lex::{Token, TokenKind};
use crate::source::Span;

/// Words that mean a type wherever a type may stand beside an expression.
const TYPE_WORDS: [&str; 28] = [
    "bool", "char", "double", "float", "inet", "int", "int16", "int16_t", "int32", "int32_t", "int64",
    "int64_t", "int8", "int8_t", "long", "short", "signed", "size_t", "string", "uint16", "uint16_t",
    "uint32", "uint32_t", "uint64", "uint64_t", "uint8", "uint8_t", "void",
];

/// Words of which C makes one type out of several.
const C_INTEGER_WORDS: [&str; 6] = ["char", "int", "long", "short", "signed", "unsigned"];

impl Parser<'_> {
    /// Whether `token` begins a type and nothing else.
    pub(super) fn begins_type(&self, token: Token) -> bool {
        let text = self.text_of(token);
        let is_keyword =
            matches!(text, "struct" | "union" | "enum" | "typeof" | "const" | "volatile" | "unsigned");
        self.is_word(token) && (is_keyword || TYPE_WORDS.contains(&text))
    }

    /// A type; reports when there is none.
    pub(super) fn type_name(&mut self) -> Option<TypeName> {
        let start = self.span();
        while self.eat_word("const") || self.eat_word("volatile") {}
        let base = self.nested(Self::type_base)??;
        while self.eat_word("const") || self.eat_word("volatile") {}
        let mut pointers = 0;
        while self.eat("*") {
            pointers += 1;
            while self.eat_word("const") || self.eat_word("volatile") {}
        }
        let mut arrays = Vec::new();
        while self.at("[") && arrays.len() < 8 {
            self.bump();
            arrays.push(self.beside(Self::expression));
            self.expect("]");
        }
        Some(TypeName { base, pointers, arrays, span: self.since(start) })
    }

    fn type_base(&mut self) -> Option<TypeBase> {
        if self.eat("(") {
            return Some(TypeBase::Tuple(self.type_list()));
        }
        let word = self.expect_word("a type")?;
        match word.text.as_str() {
            "struct" => Some(TypeBase::Struct(self.expect_word("the struct's name")?.text)),
            "union" => Some(TypeBase::Union(self.expect_word("the union's name")?.text)),
            "enum" => Some(TypeBase::Enum(self.expect_word("the enum's name")?.text)),
            "typeof" => {
                self.expect("(");
                let of = self.type_or_expression();
                self.expect(")");
                Some(TypeBase::Typeof(Box::new(of)))
            }
            _ => Some(TypeBase::Name(self.c_integer(word.text))),
        }
    }

    /// `unsigned long long` is one name of several words.
    fn c_integer(&mut self, mut name: String) -> String {
        let is_integer = C_INTEGER_WORDS.contains(&name.as_str());
        while is_integer && self.is_word(self.token()) && C_INTEGER_WORDS.contains(&self.current()) {
            name.push(' ');
            name.push_str(self.current());
            self.bump();
        }
        name
    }

    fn type_list(&mut self) -> Vec<TypeName> {
        let mut types = Vec::new();
        while !self.at(")") {
            match self.type_name() {
                Some(ty) => types.push(ty),
                None => break,
            }
            if !self.eat(",") {
                break;
            }
        }
        self.expect(")");
        types
    }

    /// What may stand in `sizeof( )`. A single word that is no type's for certain is an expression.
    pub(super) fn type_or_expression(&mut self) -> TypeOrExpr {
        let first = self.token();
        let is_plain =
            self.begins_type(first) || (self.is_word(first) && self.text_of(first).ends_with("_t"));
        let is_pointer = self.is_word(first) && self.pointer_suffix(1).is_some();
        match is_plain || is_pointer {
            true => match self.type_name() {
                Some(ty) => TypeOrExpr::Type(ty),
                None => TypeOrExpr::Expr(self.missing(self.span())),
            },
            false => TypeOrExpr::Expr(self.expression()),
        }
    }

    /// The number of `*` from the token `distance` on, when a `)`, `,` or `[` follows them: then
    /// they are a pointer's, not a product's.
    pub(super) fn pointer_suffix(&self, distance: usize) -> Option<usize> {
        let mut stars = 0;
        while self.is_punct(self.ahead(distance + stars), "*") {
            stars += 1;
        }
        let behind = self.ahead(distance + stars);
        let closes = behind.kind == TokenKind::Punct && [")", ",", "["].contains(&self.text_of(behind));
        (stars > 0 && closes).then_some(stars)
    }

    /// What stands for an expression that is not there.
    pub(super) fn missing(&mut self, span: Span) -> Expr {
        self.height = 1;
        Expr { kind: ExprKind::Error, span: Span { end: span.start, ..span } }
    }
}
