//! What Tab offers: probe types and their targets, builtins, maps, variables, commands.

use super::COMMANDS;
use lang::builtins::Builtin;
use lang::entry;
use lang::lex::{Token, TokenKind};
use lang::probes::ProbeKind;
use std::collections::BTreeSet;

/// Words of the grammar that begin a statement.
const STATEMENTS: [&str; 8] = ["break", "continue", "for", "if", "let", "return", "unroll", "while"];

/// Where the word before the end of `text` begins, and what it may become. `maps` are the kept maps;
/// `list` gives the probes of this machine that match a pattern.
pub fn complete(text: &str, maps: &[String], list: &dyn Fn(&str) -> Vec<String>) -> (usize, Vec<String>) {
    if text.trim_start().starts_with(':') {
        return command(text, maps);
    }
    let tokens: Vec<Token> = entry::tokens(text).into_iter().filter(|it| !it.kind.is_trivia()).collect();
    let Some((last, before)) = tokens.split_last().filter(|(last, _)| last.end as usize == text.len()) else {
        return (text.len(), Vec::new());
    };
    let word = last.text(text);
    let others = |kind| before.iter().filter(move |it| it.kind == kind).map(|it| it.text(text).to_owned());
    let candidates = match last.kind {
        TokenKind::AttachPoint if word.contains(':') => targets(word, list),
        TokenKind::AttachPoint if before.is_empty() => matching(word, probe_types().chain(words())),
        TokenKind::AttachPoint => matching(word, probe_types()),
        TokenKind::Map => matching(word, maps.iter().cloned().chain(others(TokenKind::Map))),
        TokenKind::Variable => matching(word, others(TokenKind::Variable)),
        TokenKind::Word | TokenKind::Keyword => match before.last().map(|it| it.text(text)) {
            // Members are not known before the types are.
            Some("." | "->") => Vec::new(),
            None => matching(word, probe_types().chain(words())),
            Some(_) => matching(word, words()),
        },
        _ => Vec::new(),
    };
    (last.start as usize, candidates)
}

fn command(text: &str, maps: &[String]) -> (usize, Vec<String>) {
    let start = text.rfind(|it: char| it.is_whitespace()).map_or(0, |at| at + 1);
    let word = &text[start..];
    let candidates = match text[..start].trim() {
        "" => matching(word, COMMANDS.iter().filter_map(|it| it.0.split(' ').next()).map(str::to_owned)),
        ":clear" => matching(word, maps.iter().cloned()),
        _ => Vec::new(),
    };
    (start, candidates)
}

/// Those that begin with `word` and say more, sorted.
fn matching(word: &str, candidates: impl Iterator<Item = String>) -> Vec<String> {
    let found: BTreeSet<String> = candidates.filter(|it| it.starts_with(word) && it != word).collect();
    found.into_iter().collect()
}

fn probe_types() -> impl Iterator<Item = String> {
    ProbeKind::ALL.iter().map(|it| match it {
        ProbeKind::Begin | ProbeKind::End => format!("{} ", it.name()),
        _ => format!("{}:", it.name()),
    })
}

/// Builtins, with a parenthesis where one must follow, the library's macros, and the words that begin statements.
fn words() -> impl Iterator<Item = String> {
    let builtins = Builtin::ALL.iter().filter(|it| **it != Builtin::ArgN).map(|it| {
        let needs_parenthesis = it.signature().starts_with('(') && !it.signature().contains("->");
        format!("{}{}", it.name(), if needs_parenthesis { "(" } else { "" })
    });
    let library = lang::expand::library::names().map(str::to_owned);
    builtins.chain(library).chain(STATEMENTS.map(str::to_owned))
}

/// Full names of probes; of tracepoints first their categories.
fn targets(word: &str, list: &dyn Fn(&str) -> Vec<String>) -> Vec<String> {
    let mut parts = word.split(':');
    let kind = parts.next().and_then(ProbeKind::from_name);
    // Wildcards are meant as they are, and the symbols of a file are too many to look for.
    if word.contains('*')
        || matches!(kind, None | Some(ProbeKind::Uprobe | ProbeKind::Uretprobe | ProbeKind::Usdt))
    {
        return Vec::new();
    }
    let is_category = kind == Some(ProbeKind::Tracepoint) && parts.count() == 1;
    if !is_category {
        return list(&format!("{word}*"));
    }
    let of_category = |name: &str| name.rsplit_once(':').map(|(category, _)| format!("{category}:"));
    let categories: BTreeSet<String> =
        list(&format!("{word}*:*")).iter().filter_map(|it| of_category(it)).collect();
    categories.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probes(pattern: &str) -> Vec<String> {
        let found: &[&str] = match pattern {
            "t:sch*:*" => &["tracepoint:sched:sched_switch", "tracepoint:sched:sched_wakeup"],
            "kprobe:vfs_r*" => &["kprobe:vfs_read"],
            _ => &[],
        };
        found.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn offers() {
        let maps = ["@bytes".to_owned()];
        let cases: [(&str, usize, &[&str]); 11] = [
            ("kretp", 0, &["kretprobe:"]),
            ("prin", 0, &["print(", "printf("]),
            ("kprobe:vfs_r", 0, &["kprobe:vfs_read"]),
            ("t:sch", 0, &["tracepoint:sched:"]),
            ("end { pri", 6, &["print(", "printf("]),
            ("end { @by", 6, &["@bytes"]),
            ("end { $one = 1; print($o", 22, &["$one"]),
            ("end { args.pi", 11, &[]),
            (":cl", 0, &[":clear"]),
            (":clear @", 7, &["@bytes"]),
            ("", 0, &[]),
        ];
        for (text, start, expected) in cases {
            assert_eq!(
                complete(text, &maps, &probes),
                (start, expected.iter().map(|it| (*it).to_owned()).collect()),
                "{text}"
            );
        }
    }
}
