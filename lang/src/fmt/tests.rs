//! Layout by table; then what holds for every script: the second time changes nothing, and no
//! meaning and no comment is lost. [`format`] itself stops when the meaning changed.

use super::format;
use std::time::{Duration, Instant};

mod soup;

/// Formats a script twice.
#[track_caller]
fn stable(text: &str) -> String {
    let once = format(text).unwrap_or_else(|errors| panic!("{text}\n{errors:?}"));
    let twice = format(&once).unwrap_or_else(|errors| panic!("{text}\n{once}\n{errors:?}"));
    assert_eq!(once, twice, "the second time changed something of:\n{text}");
    once
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(stable(text), expected, "{text}");
}

/// Statements in a block of their own.
#[track_caller]
fn statements(text: &str, expected: &str) {
    let expected: String =
        expected.lines().map(|it| format!("{}{it}\n", if it.is_empty() { "" } else { "  " })).collect();
    check(&format!("k:f\n{{\n{text}\n}}"), &format!("k:f\n{{\n{expected}}}\n"));
}

#[test]
fn probes() {
    check("", "");
    check(" \n// only a comment", "// only a comment\n");
    check("k:f{@=count()}", "k:f { @ = count(); }\n");
    check("k:f{exit()}", "k:f { exit() }\n");
    check("k:f /pid==1/{ @++; }", "k:f /pid == 1/ { @++; }\n");
    check("k:f\n/pid==1/{ @++; }", "k:f\n/pid == 1/ { @++; }\n");
    check("k:f\n/pid==1/\n{ @++; }", "k:f\n/pid == 1/\n{ @++; }\n");
    check("k:f{@++;\n@a++}", "k:f\n{\n  @++;\n  @a++\n}\n");
    check("k:f / ++$a / {}", "k:f /++$a/ {}\n");
    check("k:f / *$a / {}", "k:f / *$a/ {}\n");
    check("k:f,k:g , {\n}", "k:f,\nk:g\n{}\n");
    check("k:f,k:g { exit(); }", "k:f,\nk:g { exit(); }\n");
    check("uprobe:/bin/sh:f /1/ {}", "uprobe:/bin/sh:f /1/ {}\n");
    check("u:\"a\n,k:f {}", "u:\"a\n,\nk:f {}\n");
    check("k:f {} // c\n\n\n\nk:g {} k:h {}", "k:f {} // c\n\nk:g {}\nk:h {}\n");
    check(
        "k:f { printf(\"%d %d %d %d\\n\", aaaaaaaaaaa, bbbbbbbbbbbb, cccccccccccc, ddddddddd); }",
        "k:f\n{\n  printf(\"%d %d %d %d\\n\", aaaaaaaaaaa, bbbbbbbbbbbb, cccccccccccc, ddddddddd);\n}\n",
    );
}

#[test]
fn other_items() {
    check("#!/bin/kscope  \nBEGIN{}", "#!/bin/kscope\nBEGIN {}\n");
    check("\n#!/bin/kscope\nk:f{}", "\n#!/bin/kscope\nk:f {}\n");
    check(
        "#include  <a.h>\nstruct s { int  a;\n\tint b; }; struct t{int c;};;\n#define A \\\n  1\nk:f {}",
        "#include  <a.h>\nstruct s { int  a;\n\tint b; };\nstruct t{int c;};\n#define A \\\n  1\nk:f {}\n",
    );
    check("config={a=1;b=x}", "config = { a = 1; b = x; }\n");
    check("config={a=1;\nb=\"x\"}\n", "config = {\n  a = 1;\n  b = \"x\";\n}\n");
    check("config = {\n}", "config = {}\n");
    check("import  \"a\";let @a=hash ( 1<<4 );", "import \"a\";\nlet @a = hash(1 << 4);\n");
    check("macro m($a,@b,c,){$a+c}", "macro m($a, @b, c) { $a + c }\n");
    check(
        "fn f($a:int64,$b:struct s*):(int8 , string[4]){\nreturn $a}",
        "fn f($a: int64, $b: struct s*): (int8, string[4])\n{\n  return $a;\n}\n",
    );
}

#[test]
fn blocks() {
    statements(
        "if(1){2;}else   {3} ;; while $i<5 { $i++;\n}",
        "if (1) { 2; } else { 3 }\nwhile $i < 5 {\n  $i++;\n}",
    );
    statements("if $a {\n1;} else if ($b) {2;} else {}", "if $a {\n  1;\n} else if ($b) {\n  2;\n} else {}");
    statements("unroll(3){f();}\n\n\nfor $i:0 .. $n+1{}", "unroll (3) { f(); }\n\nfor $i : 0..$n + 1 {}");
    statements("for($kv:@m){\n\nprint($kv.0);\n\n}", "for ($kv : @m) {\n  print($kv.0);\n}");
    statements("{1;2}{}", "{ 1; 2 }\n{}");
    statements("let $a; let $b:int8=1", "let $a;\nlet $b: int8 = 1;");
    statements(
        "@a = {1; 2 };@b = if $a {1} else {\n2}",
        "@a = { 1; 2 };\n@b = if $a {\n  1\n} else {\n  2\n};",
    );
    statements("_=f(); return ; return 1", "_ = f();\nreturn;\nreturn 1;");
}

#[test]
fn expressions() {
    for (text, expected) in [
        ("1+2*3", "1 + 2 * 3"),
        ("(1+2) *3", "(1 + 2) * 3"),
        ("- -1 - --$a", "- -1 - --$a"),
        ("!-~*$a&& & &$b", "!-~*$a && & &$b"),
        ("** $p", "**$p"),
        ("( uint64 ) $a", "(uint64)$a"),
        ("(struct s*)-$a", "(struct s*)-$a"),
        ("(int8 * *)$a", "(int8**)$a"),
        ("($a) *$b", "($a) * $b"),
        ("$a ?$b:$c", "$a ? $b : $c"),
        ("$a ? : $b", "$a ?: $b"),
        ("$a . b -> c . 0 [ 1 ]", "$a.b->c.0[1]"),
        ("ip.saddr in 10.0.0.0/8&&ip.ttl/8", "ip.saddr in 10.0.0.0/8 && ip.ttl / 8"),
        ("10.0.0.1 / 8", "10.0.0.1 / 8"),
        ("eth.src==02:00:00:00:00:01", "eth.src == 02:00:00:00:00:01"),
        ("( 1,2 , )", "(1, 2)"),
        ("( 1, )", "(1,)"),
        ("()", "()"),
        ("(a=1,b = 2)", "(a = 1, b = 2)"),
        ("@m [ 1,2, ] ++", "@m[1, 2]++"),
        ("f ( 1 , )", "f(1)"),
        ("sizeof (int8*)+sizeof( $x )", "sizeof(int8*) + sizeof($x)"),
        ("offsetof (struct s,a . b)", "offsetof(struct s, a.b)"),
        ("(typeof ($x))1", "(typeof($x))1"),
        ("comptime( 1)", "comptime (1)"),
        ("$1+$#", "$1 + $#"),
        ("(/* a */ 1/* b */)/* c */", "(/* a */ 1 /* b */) /* c */"),
    ] {
        statements(&format!("$x = {text};"), &format!("$x = {expected};"));
    }
}

#[test]
fn long_lines() {
    let (a, b, c) = ("a".repeat(30), "b".repeat(30), "c".repeat(30));
    statements(&format!("f({a},{b},{c});"), &format!("f({a}, {b},\n    {c});"));
    statements(
        &format!("$x = {a}&&({b}||{c})&&{a}+{b};"),
        &format!("$x = {a} &&\n    ({b} || {c}) &&\n    {a} + {b};"),
    );
    statements(&format!("f({a}, g({b}, {c}), {a});"), &format!("f({a},\n    g({b}, {c}),\n    {a});"));
    statements(&format!("$x = {a} ? {b} : {c};"), &format!("$x = {a} ? {b} :\n    {c};"));
    statements(
        &format!("if ({a} == {b} || {c}) {{ f(); }}"),
        &format!("if ({a} == {b} ||\n    {c}) {{\n  f();\n}}").replace("\n    c", "\n    c"),
    );
    check(
        &format!("k:f /{a} == {b} && {c}/ {{ f(); }}"),
        &format!("k:f\n/{a} == {b} &&\n    {c}/\n{{\n  f();\n}}\n"),
    );
}

#[test]
fn line_ends_in_expressions_stay() {
    statements("f(a,\nb,c , \n\n d);", "f(a,\n    b, c,\n    d);");
    statements("$x = a\n&& b ||\nc +d\n? e\n: f;", "$x = a &&\n    b ||\n    c + d ?\n    e :\n    f;");
    statements("f\n(\na\n)\n;\n@m\n[\n$x\n]\n=\n1;", "f(a);\n@m[$x] = 1;");
}

#[test]
fn comments_stay() {
    check(
        "/* a */ // b\n\n/* c\n * d */\nk:f // e\n/1/ /* f */\n{ // g\n\n  // h\n  x; // i\n  /* j */ y; /* k */\n  // l\n} // m\n// n",
        "/* a */ // b\n\n/* c\n * d */\nk:f // e\n/1/ /* f */\n{ // g\n\n  // h\n  x; // i\n  /* j */ y; /* k */\n  // l\n} // m\n// n\n",
    );
    statements(
        "f(a, // one\n b, /* two */ c\n // three\n )",
        "f(a, // one\n    b, /* two */ c\n    // three\n    )",
    );
    statements("if $a { }\n// why\nelse { // this\n}", "if $a {}\n// why\nelse { // this\n}");
    statements("f() // a\n; ; // b\n;// c\n$x = 1 // d", "f() // a\n    ; // b\n// c\n$x = 1; // d");
    check("k:f {\n\t\t/* a\n\t\t * b\n\n\t\t c */\n}", "k:f\n{\n  /* a\n   * b\n\n   c */\n}\n");
    check("k:f {\n/* a */ }", "k:f\n{\n  /* a */\n}\n");
    check("k:f { /* a */ }", "k:f { /* a */ }\n");
    check("k:f {\r\n// a\r\n}\r\n", "k:f\n{\n  // a\n}\n");
}

#[test]
fn wrong_scripts_are_refused() {
    for text in ["k:f", "k:f { f(; }", "k:f { } /* a", "{ }", "k:f { $x = 'a'; }"] {
        assert!(format(text).is_err(), "{text}");
    }
}

#[test]
fn soup_is_stable() {
    let scripts = (0..400).map(soup::script).filter(|it| format(it).is_ok());
    let parsed = scripts.inspect(|it| drop(stable(it))).count();
    assert!(parsed > 300, "only {parsed} of them parse");
}

/// Most of what comes of small damage does not parse; what does may be odd.
#[test]
fn damaged_soup_is_stable_or_refused() {
    let mut parsed = 0;
    for seed in 0..600 {
        let text = soup::damaged(seed);
        if format(&text).is_ok() {
            stable(&text);
            parsed += 1;
        }
    }
    assert!(parsed > 60, "only {parsed} of them parse");
}

#[test]
fn large_and_hostile_scripts_take_their_time_once() {
    for (name, text) in [
        ("statements", format!("k:f {{ {} }}", "@a[pid, comm] = count(); ".repeat(2600))),
        ("one call", format!("k:f {{ f({}); }}", "aaaa, ".repeat(10_000))),
        ("blocks", format!("k:f {{ {}{} }}", "if 1 { f(); ".repeat(190), "} ".repeat(190)).repeat(18)),
        ("else", format!("k:f {{ if 1 {{ }} {} }}", "else if 1 { } ".repeat(190)).repeat(20)),
        ("parentheses", format!("k:f {{ $x = {}1{}; }}", "(".repeat(190), ")".repeat(190)).repeat(150)),
        ("operators", format!("k:f {{ $x = 1{}; }}", "+1".repeat(480)).repeat(65)),
        ("comments", format!("k:f {{ f({}1); }}", "/* a */ ".repeat(8000))),
        ("semicolons", format!("k:f {{ {} }}", "; ".repeat(32_000))),
        ("strings", format!("k:f {{ f({}1); }}", "\"a\\\"\", ".repeat(9000))),
        ("types", format!("k:f {{ {} }}", "let $a: int8 **; ".repeat(3800))),
        ("tuples", format!("k:f {{ let $a: {}a{}; }}", "(".repeat(190), ")".repeat(190)).repeat(150)),
    ] {
        assert!(text.len() < 80_000, "{name}: {}", text.len());
        let started = Instant::now();
        let formatted = format(&text);
        // Blocks in blocks grow by their indentation, to more than a script may have.
        let right = formatted.is_ok() || (name == "blocks" && formatted.is_err());
        assert!(right, "{name}: {formatted:?}");
        // Generous: a debug build on a busy machine.
        assert!(started.elapsed() < Duration::from_secs(10), "{name}: {:?}", started.elapsed());
    }
}
