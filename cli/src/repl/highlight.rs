//! Colours for what is typed, from the same tokens that the parser reads.

use lang::builtins::Builtin;
use lang::entry;
use lang::lex::TokenKind;

const RESET: &str = "\x1b[0m";

/// `line` with colours; `before` are the entry's lines before it.
pub fn highlight(before: &str, line: &str) -> String {
    let text = format!("{before}{line}");
    if text.trim_start().starts_with(':') {
        return line.to_owned();
    }
    let mut coloured = String::with_capacity(line.len() * 2);
    for token in entry::tokens(&text) {
        // A comment or string may have begun on a line before.
        let start = (token.start as usize).max(before.len());
        let Some(shown) = text.get(start..token.end as usize) else { continue };
        match colour(token.kind, token.text(&text)) {
            Some(colour) => {
                coloured += colour;
                coloured += shown;
                coloured += RESET;
            }
            None => coloured += shown,
        }
    }
    coloured
}

fn colour(kind: TokenKind, text: &str) -> Option<&'static str> {
    use TokenKind::*;
    const DIM: &str = "\x1b[2m";
    const RED: &str = "\x1b[31m";
    const GREEN: &str = "\x1b[32m";
    const YELLOW: &str = "\x1b[33m";
    const BLUE: &str = "\x1b[34m";
    const MAGENTA: &str = "\x1b[35m";
    const CYAN: &str = "\x1b[36m";
    match kind {
        LineComment | BlockComment | UnclosedComment | Shebang => Some(DIM),
        Directive | Declaration | Keyword => Some(MAGENTA),
        AttachPoint | PredicateStart | PredicateEnd => Some(BLUE),
        Word => Builtin::from_name(text).map(|_| CYAN),
        String | UnclosedString => Some(GREEN),
        Map | Variable | Positional => Some(YELLOW),
        Unknown | Character => Some(RED),
        Whitespace | Number | Mac | Punct | End => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours() {
        for (before, line, expected) in [
            ("", "end { @ }", "\x1b[34mend\x1b[0m { \x1b[33m@\x1b[0m }"),
            ("end {\n", "pid + 1", "\x1b[36mpid\x1b[0m + 1"),
            ("/* a\n", "b */", "\x1b[2mb */\x1b[0m"),
            ("", ":maps", ":maps"),
        ] {
            assert_eq!(highlight(before, line), expected, "{line}");
        }
    }
}
