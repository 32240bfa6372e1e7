//! What a text typed at a prompt is: probes, statements without a probe, or a command to the prompt.
//!
//! Comes in: any text. Goes out: the script that it stands for. It types nothing; what is wrong with
//! the script is left to the parser to say.

use crate::ast::{Expr, ExprKind, Item, Script, Stmt, StmtKind, TypeBase, UnaryOp};
use crate::builtins::{Builtin, Kind};
use crate::expand::library;
use crate::lex::{self, Token, TokenKind};
use crate::parse;
use crate::probes::ProbeKind;
use crate::source::FileId;

/// A text typed at a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// White space and comments.
    Nothing,
    /// `:name argument`, without the colon.
    Command(String),
    /// A script.
    Script(String),
    /// A script that only defines something for the entries that follow: its items, each as its text.
    Definitions(Vec<Definition>),
    /// The script of statements that came without a probe: they are run once, in a `begin`. A value
    /// that nothing is done with is printed.
    Statements(String),
}

/// An item that stays for further entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The same for what one definition of the item and its next one have in common.
    pub key: String,
    /// The item.
    pub text: String,
}

impl Definition {
    /// Whether a call of that name gives a value; nothing when this does not define it.
    fn gives_value(&self, name: &str) -> Option<bool> {
        let defines =
            |head: &str| self.key.strip_prefix(head).is_some_and(|it| it.split('(').next() == Some(name));
        let (is_function, is_macro) = (defines("fn "), defines("macro "));
        if !is_function && !is_macro {
            return None;
        }
        match parsed(&self.text)?.items.into_iter().next()? {
            Item::Function(function) => Some(
                function
                    .result
                    .is_some_and(|it| it.pointers > 0 || it.base != TypeBase::Name("void".to_owned())),
            ),
            Item::Macro(function) => {
                Some(matches!(function.body.stmts.last().map(|it| &it.kind), Some(StmtKind::Value(_))))
            }
            _ => None,
        }
    }
}

/// What `text` is, behind what was defined before. A text that is neither is taken for what it begins like.
pub fn read(text: &str, definitions: &[Definition]) -> Entry {
    if let Some(command) = text.trim_start().strip_prefix(':') {
        return Entry::Command(command.trim().to_owned());
    }
    if lex::lex(text).iter().all(|it| it.kind.is_trivia()) {
        return Entry::Nothing;
    }
    if let Some(script) = parsed(text) {
        let definitions = script.items.iter().map(|it| definition(it, text)).collect::<Option<Vec<_>>>();
        return match definitions.filter(|it| !it.is_empty()) {
            Some(definitions) => Entry::Definitions(definitions),
            None => Entry::Script(text.to_owned()),
        };
    }
    let wrapped = format!("begin {{ {}\n}}", text.trim());
    match parsed(&wrapped).as_ref().and_then(single_probe) {
        Some([Stmt { kind: StmtKind::Expr(value) | StmtKind::Value(value), .. }])
            if is_idle(value, definitions) =>
        {
            let value = &wrapped[value.span.start as usize..value.span.end as usize];
            Entry::Statements(format!("begin {{ print({value}) }}"))
        }
        Some(_) => Entry::Statements(wrapped),
        None if begins_like_statements(text) => Entry::Statements(wrapped),
        None => Entry::Script(text.to_owned()),
    }
}

/// The definitions that a script goes with: those that it does not define itself.
pub fn beside<'a>(definitions: &'a [Definition], text: &str) -> Vec<&'a Definition> {
    let items = parsed(text).map(|it| it.items).unwrap_or_default();
    let own: Vec<String> = items.iter().filter_map(|it| Some(definition(it, text)?.key)).collect();
    definitions.iter().filter(|it| !own.contains(&it.key)).collect()
}

/// Whether `text` needs another line. Attach points still lack a body, so they do as well.
pub fn is_incomplete(text: &str) -> bool {
    if text.trim_start().starts_with(':') {
        return false;
    }
    match begins_like_statements(text) {
        true => lex::is_incomplete_body(text),
        false => lex::is_incomplete(text) || lacks_body(text),
    }
}

/// The tokens of `text`, read as what it begins like.
pub fn tokens(text: &str) -> Vec<Token> {
    if begins_like_statements(text) { lex::lex_body(text) } else { lex::lex(text) }
}

/// An item that means something to other scripts as well.
fn definition(item: &Item, text: &str) -> Option<Definition> {
    let (key, span) = match item {
        Item::Import(import) => (format!("import {}", import.path), import.span),
        Item::Macro(function) => {
            let kinds = function.params.iter().map(|it| it.name.text.get(..1).filter(|it| "$@".contains(it)));
            let kinds: Vec<_> = kinds.map(Option::unwrap_or_default).collect();
            (format!("macro {}({})", function.name.text, kinds.join(",")), function.span)
        }
        Item::Function(function) => (format!("fn {}", function.name.text), function.span),
        Item::MapDecl(map) => (format!("let {}", map.name.text), map.span),
        Item::C(span) => {
            let code = &text[span.start as usize..span.end as usize];
            let head = code.split(['{', '(']).next().unwrap_or(code);
            (head.split_whitespace().take(2).collect::<Vec<_>>().join(" "), *span)
        }
        _ => return None,
    };
    let mut text = text[span.start as usize..span.end as usize].to_owned();
    // The `;` is not part of these.
    text.extend(matches!(item, Item::Import(_) | Item::MapDecl(_)).then_some(';'));
    Some(Definition { key, text })
}

fn parsed(text: &str) -> Option<Script> {
    let parsed = parse::parse(text, FileId(0));
    parsed.diagnostics.is_empty().then_some(parsed.script)
}

/// The statements of a script that is one probe. A brace too many makes it two items.
fn single_probe(script: &Script) -> Option<&[Stmt]> {
    match script.items.as_slice() {
        [Item::Probe(probe)] => Some(&probe.body.stmts),
        _ => None,
    }
}

/// Whether the expression only gives a value, so that it can be typed for nothing but to see it.
fn is_idle(expr: &Expr, definitions: &[Definition]) -> bool {
    use ExprKind::*;
    match &expr.kind {
        Int(_) | Bool(_) | Str(_) | Ipv4(_) | Mac(_) | Map { .. } | Positional(_) | PositionalCount => true,
        Word(name) => is_value(name, definitions),
        Call { name, .. } => is_value(&name.text, definitions),
        Unary(UnaryOp::AddressOf, _) => false,
        Unary(..) | Binary(..) | In(..) | Ternary(..) | Cast(..) | Field { .. } => true,
        TupleIndex(..) | Index(..) | Tuple(_) | Record(_) | Sizeof(_) | Offsetof(..) => true,
        Error | Cidr4(..) | Var(_) | Step { .. } | If(..) | Block(_) | Comptime(_) => false,
    }
}

fn is_value(name: &str, definitions: &[Definition]) -> bool {
    if let Some(gives) = definitions.iter().rev().find_map(|it| it.gives_value(name)) {
        return gives;
    }
    match Builtin::from_name(name) {
        Some(builtin) => matches!(builtin.kind(), Kind::Value | Kind::Compiler),
        None => library::gives_value(name),
    }
}

/// Whether the first words are those of a statement rather than of an attach point or declaration.
fn begins_like_statements(text: &str) -> bool {
    let tokens = lex::lex_body(text);
    let mut tokens = tokens.iter().filter(|it| !it.kind.is_trivia());
    let Some(first) = tokens.next() else { return false };
    let second = tokens.next();
    let calls = second.is_some_and(|it| it.start == first.end && it.text(text) == "(");
    let word = first.text(text);
    match first.kind {
        TokenKind::Map
        | TokenKind::Variable
        | TokenKind::Positional
        | TokenKind::Number
        | TokenKind::Mac
        | TokenKind::String
        | TokenKind::UnclosedString => true,
        TokenKind::Word => {
            let is_known = || Builtin::from_name(word).is_some() || library::names().any(|it| it == word);
            calls || (ProbeKind::from_name(word).is_none() && is_known())
        }
        TokenKind::Keyword => match word {
            "let" => second.is_some_and(|it| it.kind == TokenKind::Variable),
            "config" | "enum" | "fn" | "import" | "macro" | "struct" | "union" => false,
            _ => true,
        },
        TokenKind::Punct => matches!(word, "(" | "{" | "!" | "-" | "~" | "++" | "--"),
        _ => false,
    }
}

/// Whether `text` ends in an attach point of a known probe type.
fn lacks_body(text: &str) -> bool {
    let tokens = lex::lex(text);
    let last = tokens.iter().rfind(|it| !it.kind.is_trivia());
    let Some(point) = last.filter(|it| it.kind == TokenKind::AttachPoint) else { return false };
    let provider = point.text(text).split(':').next().unwrap_or_default();
    ProbeKind::from_name(provider).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_entries() {
        let script = |text: &str| Entry::Script(text.to_owned());
        let begin = |text: &str| Entry::Statements(format!("begin {{ {text}\n}}"));
        let print = |text: &str| Entry::Statements(format!("begin {{ print({text}) }}"));
        for (text, expected) in [
            ("", Entry::Nothing),
            ("  // nothing", Entry::Nothing),
            (" :clear @x ", Entry::Command("clear @x".to_owned())),
            ("begin { @x = 1 }", script("begin { @x = 1 }")),
            ("kprobe:f /pid/ { @ = count() }", script("kprobe:f /pid/ { @ = count() }")),
            ("config = { max_map_keys = 2 } end { }", script("config = { max_map_keys = 2 } end { }")),
            ("print(@x)", begin("print(@x)")),
            ("@x = 5; @y++ // both", begin("@x = 5; @y++ // both")),
            ("if (@x) {\n exit()\n}", begin("if (@x) {\n exit()\n}")),
            ("let $x = 1; print($x)", begin("let $x = 1; print($x)")),
            ("@x;", print("@x")),
            ("@x[1, \"a\"] // seen", print("@x[1, \"a\"]")),
            ("(1 + 2) * 3", print("(1 + 2) * 3")),
            ("(1, 2)", print("(1, 2)")),
            ("pid", print("pid")),
            ("exit", begin("exit")),
            ("@x++", begin("@x++")),
            // Wrong as either.
            ("printf(\"a\" 1)", begin("printf(\"a\" 1)")),
            ("kprobe:f { @x = }", script("kprobe:f { @x = }")),
            ("} end {", script("} end {")),
        ] {
            assert_eq!(read(text, &[]), expected, "{text}");
        }
    }

    #[test]
    fn keeps_definitions() {
        let define = |items: &[(&str, &str)]| {
            let owned = |it: &(&str, &str)| Definition { key: it.0.to_owned(), text: it.1.to_owned() };
            Entry::Definitions(items.iter().map(owned).collect())
        };
        for (text, expected) in [
            ("import \"a.bt\";", define(&[("import a.bt", "import \"a.bt\";")])),
            ("macro m($a, @b, c) { 1 }", define(&[("macro m($,@,)", "macro m($a, @b, c) { 1 }")])),
            (
                "#define ONE 1\nstruct s { int x; }; macro m() { 1 }",
                define(&[
                    ("#define ONE", "#define ONE 1"),
                    ("struct s", "struct s { int x; };"),
                    ("macro m()", "macro m() { 1 }"),
                ]),
            ),
            (
                "fn f($x: int8): int8 { return $x; }",
                define(&[("fn f", "fn f($x: int8): int8 { return $x; }")]),
            ),
            ("let @m = lpm(10);", define(&[("let @m", "let @m = lpm(10);")])),
            ("macro m() { 1 } begin { m }", Entry::Script("macro m() { 1 } begin { m }".to_owned())),
            ("ppid", Entry::Statements("begin { print(ppid) }".to_owned())),
            ("is_err(1)", Entry::Statements("begin { print(is_err(1)) }".to_owned())),
        ] {
            assert_eq!(read(text, &[]), expected, "{text}");
        }
    }

    #[test]
    fn calls_of_what_was_defined_show_their_value() {
        let text =
            "fn f($x: int8): int8 { return $x; } fn g() { @ = 1; } macro m(x) { x } macro n(x) { @ = x; }";
        let Entry::Definitions(definitions) = read(text, &[]) else { panic!("no definitions") };
        for (text, expected) in [
            ("f(1)", "begin { print(f(1)) }"),
            ("g()", "begin { g()\n}"),
            ("m(1);", "begin { print(m(1)) }"),
            ("n(1);", "begin { n(1);\n}"),
            ("other()", "begin { other()\n}"),
        ] {
            assert_eq!(read(text, &definitions), Entry::Statements(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn waits_for_the_rest() {
        for (text, expected) in [
            ("kprobe:f", true),
            ("kprobe:f,", true),
            ("begin", true),
            ("kprobe:f /pid == 1/", true),
            ("kprobe:f {", true),
            ("kprobe:f { }", false),
            ("kprob:f", false),
            ("print(@x,", true),
            ("if (@x) { print(1);", true),
            ("@x[1,", true),
            ("@x = 1", false),
            ("print(@x)", false),
            ("/* a", true),
            ("@x /* a", true),
            (":maps", false),
            ("", false),
        ] {
            assert_eq!(is_incomplete(text), expected, "{text}");
        }
    }
}
