//! Tokens of scripts, of halves of scripts and of noise.

use super::*;

/// The tokens that matter, as `Kind text`, one a line.
fn tokens(text: &str) -> Vec<String> {
    let tokens = lex(text);
    tokens
        .iter()
        .filter(|it| !it.kind.is_trivia())
        .map(|it| format!("{:?} {}", it.kind, it.text(text)))
        .collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(tokens(text), expected, "{text}");
}

#[track_caller]
fn check_round_trip(text: &str) {
    let tokens = lex(text);
    let joined: String = tokens.iter().map(|it| it.text(text)).collect();
    assert_eq!(joined, text);
    assert!(tokens.iter().all(|it| it.start < it.end), "empty token in {text:?}");
}

/// A few random numbers; the same ones on every run.
fn noise(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state >> 33
    }
}

#[test]
fn attach_points_and_predicates() {
    check(
        "uprobe:/bin/bash:readline /pid == 1/ {}",
        &[
            "AttachPoint uprobe:/bin/bash:readline",
            "PredicateStart /",
            "Word pid",
            "Punct ==",
            "Number 1",
            "PredicateEnd /",
            "Punct {",
            "Punct }",
        ],
    );
    check(
        "kprobe:f/a / 2/{}",
        &[
            "AttachPoint kprobe:f",
            "PredicateStart /",
            "Word a",
            "Punct /",
            "Number 2",
            "PredicateEnd /",
            "Punct {",
            "Punct }",
        ],
    );
    check(
        "u:/usr/lib/*:f*, /* both */ u:\"/a b\":g+0x4, k:*{",
        &[
            "AttachPoint u:/usr/lib/*:f*",
            "Punct ,",
            "AttachPoint u:\"/a b\":g+0x4",
            "Punct ,",
            "AttachPoint k:*",
            "Punct {",
        ],
    );
    check("uprobe:bin@src.c:12:$1 {", &["AttachPoint uprobe:bin@src.c:12:$1", "Punct {"]);
    check(
        "BEGIN// end\n{}END{}",
        &["AttachPoint BEGIN", "Punct {", "Punct }", "AttachPoint END", "Punct {", "Punct }"],
    );
    check(
        "t:a:b /comm == \"/ {\"/ {}",
        &[
            "AttachPoint t:a:b",
            "PredicateStart /",
            "Word comm",
            "Punct ==",
            "String \"/ {\"",
            "PredicateEnd /",
            "Punct {",
            "Punct }",
        ],
    );
}

#[test]
fn a_predicate_without_an_end_does_not_swallow_the_next_probe() {
    let tokens = tokens("k:f /pid == 1 { exit(); } k:g { }");
    assert!(tokens.contains(&"AttachPoint k:g".to_owned()), "{tokens:?}");
}

#[test]
fn items() {
    check(
        "#!/usr/bin/kscope\n#define A \\\n 1\nbegin{}",
        &["Directive #define A \\\n 1", "AttachPoint begin", "Punct {", "Punct }"],
    );
    check(
        "struct S { int a[4]; struct { char c; } d; } __attribute__((packed));\nk:f{}",
        &[
            "Declaration struct S { int a[4]; struct { char c; } d; } __attribute__((packed));",
            "AttachPoint k:f",
            "Punct {",
            "Punct }",
        ],
    );
    check(
        "struct S { int a; }\nenum e { A, };k:f{",
        &["Declaration struct S { int a; }", "Declaration enum e { A, };", "AttachPoint k:f", "Punct {"],
    );
    check(
        "typedef struct { int a; } t; struct x;",
        &["Declaration typedef struct { int a; } t;", "Declaration struct x;"],
    );
    check(
        "let @m = hash(1); k:f{",
        &[
            "Keyword let",
            "Map @m",
            "Punct =",
            "Word hash",
            "Punct (",
            "Number 1",
            "Punct )",
            "Punct ;",
            "AttachPoint k:f",
            "Punct {",
        ],
    );
}

#[test]
fn code() {
    check(
        "k:f{@[$x,$1,$#]>>=0x1f+1_000;0..$n ?:'a'",
        &[
            "AttachPoint k:f",
            "Punct {",
            "Map @",
            "Punct [",
            "Variable $x",
            "Punct ,",
            "Positional $1",
            "Punct ,",
            "Positional $#",
            "Punct ]",
            "Punct >>=",
            "Number 0x1f",
            "Punct +",
            "Number 1_000",
            "Punct ;",
            "Number 0",
            "Punct ..",
            "Variable $n",
            "Punct ?",
            "Punct :",
            "Character 'a'",
        ],
    );
    check(
        "k:f{aa:bb:cc:dd:ee:f0 aa:bb 02:00:00:00:00:01",
        &[
            "AttachPoint k:f",
            "Punct {",
            "Mac aa:bb:cc:dd:ee:f0",
            "Word aa",
            "Punct :",
            "Word bb",
            "Mac 02:00:00:00:00:01",
        ],
    );
    check(
        "k:f{\"a\\\"b\" \"c\n#\u{e9}",
        &[
            "AttachPoint k:f",
            "Punct {",
            "String \"a\\\"b\"",
            "UnclosedString \"c",
            "Unknown #",
            "Unknown \u{e9}",
        ],
    );
}

#[test]
fn tokens_join_to_the_text() {
    for text in [
        "",
        "\u{feff}begin{}",
        "k:f /x",
        "/*",
        "\"",
        "{{{",
        "}}}",
        "u:/*/*",
        "\\",
        "struct {",
        "'a",
        "$",
        "é/é",
    ] {
        check_round_trip(text);
    }
    let alphabet: Vec<&str> =
        "k:f u:/ / /* */ // { } ( ) [ ] \" ' \\ \n # $ $1 @m ; , struct macro let 0x 1.2.3.4 é . .. = << \t \0"
            .split(' ')
            .chain([" "])
            .collect();
    let mut random = noise(7);
    for _ in 0..2000 {
        let length = random() % 40;
        let text: String = (0..length).map(|_| alphabet[random() as usize % alphabet.len()]).collect();
        check_round_trip(&text);
        is_incomplete(&text);
    }
    let bytes: Vec<u8> = (0..100_000).map(|_| random() as u8).collect();
    check_round_trip(&String::from_utf8_lossy(&bytes));
}

#[test]
fn time_is_linear() {
    let started = std::time::Instant::now();
    for piece in ["u:/*", "/ /*", "\"", "{", "/", "struct{", "#\\\n", "k:f/", "aa:bb:", "*/", "__attribute__"]
    {
        check_round_trip(&piece.repeat(200_000 / piece.len()));
        check_round_trip(&format!("u:a{}", piece.repeat(200_000 / piece.len())));
    }
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

#[test]
fn a_prompt_knows_when_to_ask_for_more() {
    for text in [
        "begin {",
        "begin { printf(\"a\",",
        "begin { $x = \"a",
        "begin { /* a",
        "k:f /pid == 1",
        "k:f /pid == 1/",
        "k:f, ",
        "let @m = hash(",
        "struct S { int a;",
        "u:\"/bin",
        "macro f(x) {",
    ] {
        assert!(is_incomplete(text), "{text}");
    }
    for text in [
        "",
        "help",
        "begin { exit(); }",
        "begin { f( }",
        "k:f { \"a\n }",
        "let @m = hash(1);",
        "struct S { int a; }",
    ] {
        assert!(!is_incomplete(text), "{text}");
    }
}
