//! The text form of the tree, as `kscope build --emit=ast` prints it and tests compare it.
//!
//! Items and statements stand on lines of their own, indented by their block; expressions are
//! `(operator operand …)`, leaves as in the script. A block inside an expression stands in braces.

use super::{
    Arg, BinaryOp, Block, ConfigValue, Expr, ExprKind, Function, Item, Probe, Script, Stmt, StmtKind,
    TypeBase, TypeName, TypeOrExpr, UnaryOp,
};
use std::fmt::Write;

/// The text form of a script, one line for each item and statement.
pub fn print(script: &Script) -> String {
    let mut out = String::new();
    for item in &script.items {
        print_item(&mut out, item);
    }
    out
}

fn print_item(out: &mut String, item: &Item) {
    match item {
        Item::C(span) => line(out, 0, &format!("c {}..{}", span.start, span.end)),
        Item::Config(entries) => {
            line(out, 0, "config");
            for entry in entries {
                let value = match &entry.value {
                    ConfigValue::Int(value) => value.to_string(),
                    ConfigValue::Str(text) => string(text.as_bytes()),
                    ConfigValue::Word(word) => word.clone(),
                };
                line(out, 1, &format!("{} {value}", entry.key.text));
            }
        }
        Item::Import(import) => line(out, 0, &format!("import {}", string(import.path.as_bytes()))),
        Item::MapDecl(map) => {
            let size = map.size.as_ref().map_or(String::new(), |it| format!(" {}", expr(it)));
            line(out, 0, &format!("map {} {}{size}", map.name.text, map.kind.text));
        }
        Item::Macro(function) => print_function(out, "macro", function),
        Item::Function(function) => print_function(out, "fn", function),
        Item::Probe(probe) => print_probe(out, probe),
    }
}

fn print_function(out: &mut String, word: &str, function: &Function) {
    let params: Vec<String> = function
        .params
        .iter()
        .map(|it| {
            it.ty.as_ref().map_or(it.name.text.clone(), |ty| format!("{}: {}", it.name.text, type_name(ty)))
        })
        .collect();
    let result = function.result.as_ref().map_or(String::new(), |it| format!(": {}", type_name(it)));
    line(out, 0, &format!("{word} {}({}){result}", function.name.text, params.join(", ")));
    print_block(out, 1, &function.body);
}

fn print_probe(out: &mut String, probe: &Probe) {
    let points: Vec<&str> = probe.points.iter().map(|it| it.text.as_str()).collect();
    line(out, 0, &format!("probe {}", points.join(", ")));
    if let Some(predicate) = &probe.predicate {
        line(out, 1, &format!("when {}", expr(predicate)));
    }
    print_block(out, 1, &probe.body);
}

fn print_block(out: &mut String, depth: usize, block: &Block) {
    for stmt in &block.stmts {
        print_stmt(out, depth, stmt);
    }
}

fn print_stmt(out: &mut String, depth: usize, stmt: &Stmt) {
    line(out, depth, &head(stmt));
    let inner = match &stmt.kind {
        StmtKind::If { then, .. } => then,
        StmtKind::While { body, .. }
        | StmtKind::ForRange { body, .. }
        | StmtKind::ForMap { body, .. }
        | StmtKind::Unroll { body, .. }
        | StmtKind::Block(body) => body,
        _ => return,
    };
    print_block(out, depth + 1, inner);
    if let StmtKind::If { otherwise: Some(otherwise), .. } = &stmt.kind {
        line(out, depth, "else");
        print_block(out, depth + 1, otherwise);
    }
}

/// A statement without the blocks in it.
fn head(stmt: &Stmt) -> String {
    match &stmt.kind {
        StmtKind::Expr(value) => expr(value),
        StmtKind::Value(value) => format!("value {}", expr(value)),
        StmtKind::Assign { target, op, value } => {
            let op = op.map_or("", BinaryOp::symbol);
            format!("{op}= {} {}", expr(target), expr(value))
        }
        StmtKind::Discard(value) => format!("discard {}", expr(value)),
        StmtKind::Let { name, ty, value } => {
            let ty = ty.as_ref().map_or(String::new(), |it| format!(": {}", type_name(it)));
            let value = value.as_ref().map_or(String::new(), |it| format!(" {}", expr(it)));
            format!("let {}{ty}{value}", name.text)
        }
        StmtKind::If { comptime, condition, .. } => {
            format!("if {}{}", if *comptime { "comptime " } else { "" }, expr(condition))
        }
        StmtKind::While { condition, .. } => format!("while {}", expr(condition)),
        StmtKind::ForRange { var, start, end, .. } => {
            format!("for {} {}..{}", var.text, expr(start), expr(end))
        }
        StmtKind::ForMap { var, map, .. } => format!("for {} {}", var.text, expr(map)),
        StmtKind::Unroll { count, .. } => format!("unroll {}", expr(count)),
        StmtKind::Block(_) => "block".to_owned(),
        StmtKind::Break => "break".to_owned(),
        StmtKind::Continue => "continue".to_owned(),
        StmtKind::Return(None) => "return".to_owned(),
        StmtKind::Return(Some(value)) => format!("return {}", expr(value)),
    }
}

fn line(out: &mut String, depth: usize, text: &str) {
    let _ = writeln!(out, "{:1$}{text}", "", depth * 2);
}

/// The text form of an expression.
fn expr(it: &Expr) -> String {
    match &it.kind {
        ExprKind::Error => "error".to_owned(),
        ExprKind::Int(value) => value.to_string(),
        ExprKind::Bool(value) => value.to_string(),
        ExprKind::Str(bytes) => string(bytes),
        ExprKind::Ipv4(address) => std::net::Ipv4Addr::from(*address).to_string(),
        ExprKind::Cidr4(network, length) => format!("{}/{length}", std::net::Ipv4Addr::from(*network)),
        ExprKind::Mac(bytes) => bytes.map(|it| format!("{it:02x}")).join(":"),
        ExprKind::Var(name) | ExprKind::Word(name) => name.clone(),
        ExprKind::Map { name, key } if key.is_empty() => name.clone(),
        ExprKind::Map { name, key } => format!("{name}[{}]", exprs(key, ", ")),
        ExprKind::Positional(number) => format!("${number}"),
        ExprKind::PositionalCount => "$#".to_owned(),
        ExprKind::Call { name, args } => list(&name.text, args.iter().map(arg), "call "),
        ExprKind::Unary(op, operand) => format!("({} {})", unary_op(*op), expr(operand)),
        ExprKind::Step { increment, prefix, target } => {
            let op = if *increment { "++" } else { "--" };
            if *prefix { format!("({op} {})", expr(target)) } else { format!("({} {op})", expr(target)) }
        }
        ExprKind::Binary(op, left, right) => format!("({} {} {})", op.symbol(), expr(left), expr(right)),
        ExprKind::In(left, right) => format!("(in {} {})", expr(left), expr(right)),
        ExprKind::Ternary(condition, then, otherwise) => {
            let then = then.as_ref().map_or(String::new(), |it| format!(" {}", expr(it)));
            format!(
                "(?{} {}{then} {})",
                if then.is_empty() { ":" } else { "" },
                expr(condition),
                expr(otherwise)
            )
        }
        ExprKind::If(condition, then, otherwise) => {
            format!("(if {} {} {})", expr(condition), block(then), block(otherwise))
        }
        ExprKind::Block(body) => block(body),
        ExprKind::Cast(ty, operand) => format!("(cast {} {})", type_name(ty), expr(operand)),
        ExprKind::Field { base, name, arrow } => {
            format!("({} {} {})", if *arrow { "->" } else { "." }, expr(base), name.text)
        }
        ExprKind::TupleIndex(base, index) => format!("(. {} {index})", expr(base)),
        ExprKind::Index(base, index) => format!("([] {} {})", expr(base), expr(index)),
        ExprKind::Tuple(parts) => list("tuple", parts.iter().map(expr), ""),
        ExprKind::Record(fields) => {
            list("record", fields.iter().map(|(name, value)| format!("{}={}", name.text, expr(value))), "")
        }
        ExprKind::Sizeof(of) => format!("(sizeof {})", type_or_expr(of)),
        ExprKind::Offsetof(of, path) => {
            let path: Vec<&str> = path.iter().map(|it| it.text.as_str()).collect();
            format!("(offsetof {} {})", type_or_expr(of), path.join("."))
        }
        ExprKind::Comptime(inner) => format!("(comptime {})", expr(inner)),
    }
}

fn exprs(parts: &[Expr], separator: &str) -> String {
    parts.iter().map(expr).collect::<Vec<_>>().join(separator)
}

/// `(word part part)`
fn list(word: &str, parts: impl Iterator<Item = String>, before: &str) -> String {
    let mut text = format!("({before}{word}");
    for part in parts {
        text.push(' ');
        text.push_str(&part);
    }
    text.push(')');
    text
}

fn arg(it: &Arg) -> String {
    match it {
        Arg::Expr(value) => expr(value),
        Arg::Type(ty) => format!("type {}", type_name(ty)),
    }
}

fn type_or_expr(it: &TypeOrExpr) -> String {
    match it {
        TypeOrExpr::Type(ty) => format!("type {}", type_name(ty)),
        TypeOrExpr::Expr(value) => expr(value),
    }
}

/// A block in one line.
fn block(it: &Block) -> String {
    let stmts: Vec<String> = it.stmts.iter().map(inline).collect();
    if stmts.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", stmts.join("; ")) }
}

fn inline(stmt: &Stmt) -> String {
    let head = head(stmt);
    match &stmt.kind {
        StmtKind::If { then, otherwise, .. } => {
            let otherwise = otherwise.as_ref().map_or(String::new(), |it| format!(" else {}", block(it)));
            format!("{head} {}{otherwise}", block(then))
        }
        StmtKind::While { body, .. }
        | StmtKind::ForRange { body, .. }
        | StmtKind::ForMap { body, .. }
        | StmtKind::Unroll { body, .. } => format!("{head} {}", block(body)),
        StmtKind::Block(body) => block(body),
        _ => head,
    }
}

fn type_name(it: &TypeName) -> String {
    let base = match &it.base {
        TypeBase::Name(name) => name.clone(),
        TypeBase::Struct(name) => format!("struct {name}"),
        TypeBase::Union(name) => format!("union {name}"),
        TypeBase::Enum(name) => format!("enum {name}"),
        TypeBase::Typeof(of) => format!("typeof({})", type_or_expr(of)),
        TypeBase::Tuple(parts) => format!("({})", parts.iter().map(type_name).collect::<Vec<_>>().join(", ")),
    };
    let arrays: String = it.arrays.iter().map(|length| format!("[{}]", expr(length))).collect();
    format!("{base}{}{arrays}", "*".repeat(it.pointers as usize))
}

/// In quotes, with escapes that the lexer reads back.
fn string(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                '\r' => text.push_str("\\r"),
                '"' | '\\' => text.extend(['\\', character]),
                other if other.is_ascii_control() => {
                    let _ = write!(text, "\\x{:02x}", other as u32);
                }
                other => text.push(other),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text.push('"');
    text
}

fn unary_op(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::Neg => "-",
        UnaryOp::Not => "!",
        UnaryOp::BitNot => "~",
        UnaryOp::Deref => "*",
        UnaryOp::AddressOf => "&",
    }
}
