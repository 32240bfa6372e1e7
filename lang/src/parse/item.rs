//! Items: C declarations, `config`, `import`, `let @map`, `macro`, `fn` and probes.

use super::Parser;
use super::literal;
use crate::ast::{
    AttachPoint, ConfigEntry, ConfigValue, Expr, Function, Ident, Import, Item, MapDecl, Param, Probe, Script,
};
use crate::diagnostic::Diagnostic;
use crate::lex::TokenKind;
use crate::source::Span;

impl Parser<'_> {
    pub(super) fn script(&mut self) -> Script {
        let mut items = Vec::new();
        let mut config = None;
        while self.kind() != TokenKind::End {
            let start = self.at;
            if let Some(item) = self.item(&mut config) {
                items.push(item);
            }
            if self.at == start {
                self.bump();
            }
        }
        Script { items }
    }

    /// One item; `config` is the place of the config block that was seen before.
    fn item(&mut self, config: &mut Option<Span>) -> Option<Item> {
        let span = self.span();
        match self.kind() {
            TokenKind::Directive | TokenKind::Declaration => {
                self.bump();
                Some(Item::C(span))
            }
            TokenKind::AttachPoint | TokenKind::PredicateStart => self.probe().map(Item::Probe),
            TokenKind::Keyword => match self.current() {
                "config" => self.only_config(config).map(Item::Config),
                "import" => self.import().map(Item::Import),
                "let" => self.map_declaration().map(Item::MapDecl),
                "macro" => self.function(true).map(Item::Macro),
                "fn" => self.function(false).map(Item::Function),
                _ => self.stray(),
            },
            TokenKind::Punct if self.at("{") => self.probe().map(Item::Probe),
            // A C declaration, a map or an import may leave its `;` behind.
            TokenKind::Punct if self.at(";") => {
                self.bump();
                None
            }
            _ => self.stray(),
        }
    }

    /// Reports what begins no item and skips to what may.
    fn stray(&mut self) -> Option<Item> {
        self.unexpected("a probe");
        loop {
            self.bump();
            let begins_item = match self.kind() {
                TokenKind::AttachPoint | TokenKind::Directive | TokenKind::Declaration | TokenKind::End => {
                    true
                }
                TokenKind::Keyword => ["config", "import", "let", "macro", "fn"].contains(&self.current()),
                _ => false,
            };
            if begins_item {
                return None;
            }
        }
    }

    fn only_config(&mut self, before: &mut Option<Span>) -> Option<Vec<ConfigEntry>> {
        let span = self.span();
        if let Some(first) = *before {
            let message = "a script has one `config` block";
            self.report(Diagnostic::error(span, message).label(first, "the first one is here"));
        }
        *before = Some(span);
        self.config()
    }

    fn config(&mut self) -> Option<Vec<ConfigEntry>> {
        self.bump();
        if !self.expect("=") || !self.expect("{") {
            self.skip_statement();
            return None;
        }
        let mut entries = Vec::new();
        while !self.at_block_end() {
            match self.config_entry() {
                Some(entry) => {
                    entries.push(entry);
                    if !self.at("}") && !self.expect(";") {
                        self.skip_statement();
                    }
                }
                None => self.skip_statement(),
            }
        }
        self.expect("}");
        Some(entries)
    }

    fn config_entry(&mut self) -> Option<ConfigEntry> {
        let key = self.expect_word("a setting's name")?;
        if !self.expect("=") {
            return None;
        }
        let span = self.span();
        let value = match self.kind() {
            TokenKind::Number => ConfigValue::Int(self.number()),
            TokenKind::String => ConfigValue::Str(self.text_string()),
            _ => ConfigValue::Word(self.expect_word("the setting's value")?.text),
        };
        Some(ConfigEntry { key, value, span })
    }

    fn import(&mut self) -> Option<Import> {
        let start = self.span();
        self.bump();
        if self.kind() != TokenKind::String {
            self.unexpected("the imported file's name in quotes");
            self.skip_statement();
            return None;
        }
        let path = self.text_string();
        let span = self.since(start);
        self.expect(";");
        Some(Import { path, span })
    }

    fn map_declaration(&mut self) -> Option<MapDecl> {
        let start = self.span();
        self.bump();
        let declaration = self.map_declaration_parts(start);
        if declaration.is_none() || !self.expect(";") {
            self.skip_statement();
        }
        declaration
    }

    fn map_declaration_parts(&mut self, start: Span) -> Option<MapDecl> {
        if self.kind() != TokenKind::Map {
            let expected = "a map";
            let diagnostic =
                self.unexpected_diagnostic(expected).hint("a map is declared as `let @name = hash(1000);`");
            self.report(diagnostic);
            return None;
        }
        let name = self.ident();
        if !self.expect("=") {
            return None;
        }
        let kind = self.expect_word("the map's kind")?;
        if !self.expect("(") {
            return None;
        }
        let size: Option<Expr> = (!self.at(")")).then(|| self.expression());
        self.expect(")").then(|| MapDecl { name, kind, size, span: self.since(start) })
    }

    fn function(&mut self, is_macro: bool) -> Option<Function> {
        let start = self.span();
        self.bump();
        let head = self.function_head(is_macro);
        let Some((name, params, result)) = head else {
            self.skip_statement();
            return None;
        };
        let body = self.block()?;
        Some(Function { name, params, result, body, span: self.since(start) })
    }

    fn function_head(&mut self, is_macro: bool) -> Option<(Ident, Vec<Param>, Option<crate::ast::TypeName>)> {
        let name = self.expect_word(if is_macro { "the macro's name" } else { "the function's name" })?;
        if !self.expect("(") {
            return None;
        }
        let mut params = Vec::new();
        while !self.at(")") {
            params.push(self.param(is_macro)?);
            if !self.eat(",") {
                break;
            }
        }
        if !self.expect(")") {
            return None;
        }
        let result = if self.eat(":") { Some(self.type_name()?) } else { None };
        if !self.at("{") {
            self.unexpected("`{`");
            return None;
        }
        Some((name, params, result))
    }

    fn param(&mut self, is_macro: bool) -> Option<Param> {
        let allowed = match self.kind() {
            TokenKind::Variable => true,
            TokenKind::Map | TokenKind::Word => is_macro,
            _ => false,
        };
        if !allowed {
            let what = if is_macro {
                "a parameter: `$variable`, `@map` or a name"
            } else {
                "a parameter: `$name: type`"
            };
            self.unexpected(what);
            return None;
        }
        let name = self.ident();
        let ty = if self.eat(":") { Some(self.type_name()?) } else { None };
        Some(Param { name, ty })
    }

    fn probe(&mut self) -> Option<Probe> {
        let start = self.span();
        let points = self.attach_points();
        if points.is_empty() {
            self.unexpected("a probe");
        }
        let predicate = self.predicate();
        if !self.at("{") {
            self.no_body(points.last());
            return None;
        }
        let body = self.block()?;
        (!points.is_empty()).then(|| Probe { points, predicate, body, span: self.since(start) })
    }

    fn attach_points(&mut self) -> Vec<AttachPoint> {
        let mut points = Vec::new();
        while self.kind() == TokenKind::AttachPoint {
            points.push(AttachPoint { text: self.current().to_owned(), span: self.span() });
            self.bump();
            if !self.eat(",") && self.kind() == TokenKind::AttachPoint {
                self.unexpected("`,` or `{`");
            }
        }
        points
    }

    fn predicate(&mut self) -> Option<Expr> {
        if self.kind() != TokenKind::PredicateStart {
            return None;
        }
        let opening = self.span();
        self.bump();
        let predicate = self.condition();
        if self.kind() != TokenKind::PredicateEnd {
            let diagnostic = self.unexpected_diagnostic("`/` at the end of the predicate");
            self.report(diagnostic.label(opening, "the predicate begins here"));
            self.skip_predicate();
        }
        if self.kind() == TokenKind::PredicateEnd {
            self.bump();
        }
        Some(predicate)
    }

    fn skip_predicate(&mut self) {
        while self.kind() != TokenKind::PredicateEnd && !self.at("{") && !self.at_block_end() {
            self.bump();
        }
    }

    /// Reports a probe without a body; `last` is the attach point before it.
    fn no_body(&mut self, last: Option<&AttachPoint>) {
        let mut diagnostic = self.unexpected_diagnostic("`{`");
        if let Some(point) = last.filter(|_| self.kind() == TokenKind::End) {
            diagnostic.message = format!("{} has no body", super::quote(&point.text));
            diagnostic.span = point.span;
            diagnostic =
                diagnostic.hint("a probe is `probe { statements }` or `probe /condition/ { statements }`");
        }
        self.report(diagnostic);
    }

    /// The value of the string here, as text.
    fn text_string(&mut self) -> String {
        let bytes = self.string();
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// The value of the string here.
    pub(super) fn string(&mut self) -> Vec<u8> {
        let span = self.span();
        let (bytes, wrong) = literal::string(self.current());
        for bad in wrong {
            let place =
                Span { start: span.start + bad.start as u32, end: span.start + bad.end as u32, ..span };
            // Several escapes of one string may be wrong, each at its own place.
            self.failed_at = None;
            self.report(
                Diagnostic::error(place, bad.message)
                    .hint("strings know `\\n \\t \\r \\\" \\\\`, `\\NNN` octal and `\\xHH`"),
            );
        }
        self.bump();
        bytes
    }

    /// The value of the number here.
    pub(super) fn number(&mut self) -> u64 {
        let value = match literal::number(self.current()) {
            Ok(number) => number.value,
            Err(message) => {
                self.error(self.span(), message);
                0
            }
        };
        self.bump();
        value
    }
}
