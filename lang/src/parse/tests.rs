//! Every form of the language by its printed tree, every kind of mistake by its message, and
//! inputs made to hurt.

use super::*;
use crate::ast::text::print;
use std::time::{Duration, Instant};

fn parse_text(text: &str) -> Parsed {
    parse(text, FileId(0))
}

/// A whole script and its tree.
#[track_caller]
fn script(text: &str, expected: &str) {
    let parsed = parse_text(text);
    assert_eq!(messages(&parsed), Vec::<String>::new(), "{text}");
    let expected: String = expected.lines().map(|it| format!("{it}\n")).collect();
    assert_eq!(print(&parsed.script), expected, "{text}");
}

/// Statements and their trees, each on a line of its own.
#[track_caller]
fn stmts(text: &str, expected: &[&str]) {
    let mut tree = "probe begin\n".to_owned();
    expected.iter().for_each(|it| tree.push_str(&format!("  {it}\n")));
    script(&format!("begin {{ {text} }}"), &tree);
}

/// An expression and its tree.
#[track_caller]
fn expr(text: &str, expected: &str) {
    stmts(&format!("_ = {text};"), &[&format!("discard {expected}")]);
}

fn messages(parsed: &Parsed) -> Vec<String> {
    parsed.diagnostics.iter().map(|it| format!("{}-{}: {}", it.span.start, it.span.end, it.message)).collect()
}

/// A script and its errors, as `start-end: message` in bytes.
#[track_caller]
fn errors(text: &str, expected: &[&str]) {
    assert_eq!(messages(&parse_text(text)), expected, "{text}");
}

#[test]
fn probes() {
    script("BEGIN { exit(); }", "probe BEGIN\n  (call exit)");
    script("begin{}", "probe begin");
    script("k:a,\n k:b, /* c */ k:c , { 1; }", "probe k:a, k:b, k:c\n  1");
    script(
        "uprobe:/bin/bash:readline /pid == 1 / 2/ { }",
        "probe uprobe:/bin/bash:readline\n  when (== pid (/ 1 2))",
    );
    script("t:a:b/args.ret > 0/{@=count()}", "probe t:a:b\n  when (> (. args ret) 0)\n  = @ (call count)");
    script(
        "xdp:eth0 /ip.saddr in 10.0.0.0/8/ { drop; }",
        "probe xdp:eth0\n  when (in (. ip saddr) 10.0.0.0/8)\n  drop",
    );
    script("#!/usr/bin/env kscope\n// c\nend {} k:f {}", "probe end\nprobe k:f");
    script(
        "k:f /@m[{ 1 }] ? { 2 } : if 3 { 4 } else { 5 }/ { }",
        "probe k:f\n  when (? @m[{ value 1 }] { value 2 } (if 3 { value 4 } { value 5 }))",
    );
}

#[test]
fn other_items() {
    script("#include <a.h>\nstruct s { int a; };\nk:f {}", "c 0..14\nc 15..35\nprobe k:f");
    script(
        "config = { max_strlen = 64; stack_mode=perf;\n license = \"GPL\" }",
        "config\n  max_strlen 64\n  stack_mode perf\n  license \"GPL\"",
    );
    script("config = {} begin {}", "config\nprobe begin");
    script("import \"a\\\"b.bt\";", "import \"a\\\"b.bt\"");
    script("let @a = hash(10); let @b=array(1 << 4);", "map @a hash 10\nmap @b array (<< 1 4)");
    script("macro one() { 1 }", "macro one()\n  value 1");
    script("macro m($a, @b, c,) { $a += c; @b++ }", "macro m($a, @b, c)\n  += $a c\n  value (@b ++)");
    script(
        "fn f($a: int64, $b: struct s *): uint64 { return $a; }",
        "fn f($a: int64, $b: struct s*): uint64\n  return $a",
    );
}

#[test]
fn statements() {
    stmts(
        "$x = 1; @m[1, $y] = $x; @ = count(); *$p = 1;",
        &["= $x 1", "= @m[1, $y] $x", "= @ (call count)", "= (* $p) 1"],
    );
    stmts(
        "$x += 1; $x -= 1; $x *= 1; $x /= 1; $x %= 1; $x &= 1; $x |= 1; $x ^= 1; $x <<= 1; @x >>= 1",
        &[
            "+= $x 1", "-= $x 1", "*= $x 1", "/= $x 1", "%= $x 1", "&= $x 1", "|= $x 1", "^= $x 1",
            "<<= $x 1", ">>= @x 1",
        ],
    );
    stmts(
        "let $a; let $b: int64; let $c = 1; let $d : struct s * = 1;",
        &["let $a", "let $b: int64", "let $c 1", "let $d: struct s* 1"],
    );
    stmts(
        "_ = f(); ; return; return 1; break; continue",
        &["discard (call f)", "return", "return 1", "break", "continue"],
    );
    stmts(
        "if $a { 1; } if (pid == 1) { } else { exit() } f();",
        &["if $a", "  1", "if (== pid 1)", "else", "  value (call exit)", "(call f)"],
    );
    stmts(
        "if comptime $a {} else if (b) {} else if c { 1 };",
        &["if comptime $a", "else", "  if b", "  else", "    if c", "      value 1"],
    );
    stmts(
        "while ($i < 5) { $i++; } while 1 { break }",
        &["while (< $i 5)", "  ($i ++)", "while 1", "  break"],
    );
    stmts("unroll(3) { 1; } unroll $1 { 2; }", &["unroll 3", "  1", "unroll $1", "  2"]);
    stmts(
        "for ($i : 0..$n + 1) { } for $i : (-1)..5 { 1; }",
        &["for $i 0..(+ $n 1)", "for $i (- 1)..5", "  1"],
    );
    stmts(
        "for ($kv : @m) { print($kv.0.1); } for $kv : @m {}",
        &["for $kv @m", "  (call print (. (. $kv 0) 1))", "for $kv @m"],
    );
    stmts("{ 1; 2 } { }", &["block", "  1", "  value 2", "block"]);
    stmts(
        "delete(@m[1]); print(@m, 5, 2); drop; pass",
        &["(call delete @m[1])", "(call print @m 5 2)", "drop", "value pass"],
    );
}

#[test]
fn operators_bind_as_in_c() {
    for (text, tree) in [
        ("1 + 2 * 3", "(+ 1 (* 2 3))"),
        ("(1 + 2) * 3", "(* (+ 1 2) 3)"),
        ("1 - 2 - 3", "(- (- 1 2) 3)"),
        ("1 / 2 % 3", "(% (/ 1 2) 3)"),
        (
            "a || b && c | d ^ e & f == g < h << i + j * k",
            "(|| a (&& b (| c (^ d (& e (== f (< g (<< h (+ i (* j k))))))))))",
        ),
        (
            "a * b + c << d < e == f & g ^ h | i && j || k",
            "(|| (&& (| (^ (& (== (< (<< (+ (* a b) c) d) e) f) g) h) i) j) k)",
        ),
        ("a != b >= c >> d <= e > f", "(!= a (> (<= (>= b (>> c d)) e) f))"),
        ("-a + !b - ~*c & &$d", "(& (- (+ (- a) (! b)) (~ (* c))) (& $d))"),
        ("- -1", "(- (- 1))"),
        ("a ? b : c ? d : e", "(? a b (? c d e))"),
        ("a ?: b ? : c", "(?: a (?: b c))"),
        ("a == 1 ? b + 1 : c", "(? (== a 1) (+ b 1) c)"),
        ("++$a + $a-- + --@b[1] + @b++", "(+ (+ (+ (++ $a) ($a --)) (-- @b[1])) (@b ++))"),
        ("ip.saddr in @blocked && tcp", "(&& (in (. ip saddr) @blocked) tcp)"),
        ("comptime 1 + 2", "(+ (comptime 1) 2)"),
        ("*$p.a", "(* (. $p a))"),
        ("!has_key(@a, 1)", "(! (call has_key @a 1))"),
    ] {
        expr(text, tree);
    }
}

#[test]
fn literals_and_names() {
    for (text, tree) in [
        ("0x1F", "31"),
        ("017", "15"),
        ("1_000ul", "1000"),
        ("5ms", "5000000"),
        ("true || false", "(|| true false)"),
        ("\"a\\n\\x41\\377\"", "\"a\\nA\\xff\""),
        ("$x + $1 + $#", "(+ (+ $x $1) $#)"),
        ("@ + @a[1] + @b[(1, 2), \"x\"]", "(+ (+ @ @a[1]) @b[(tuple 1 2), \"x\"])"),
        ("10.0.0.1", "10.0.0.1"),
        ("192.168.1.77/24", "192.168.1.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("eth.src == 02:00:00:00:00:0A", "(== (. eth src) 02:00:00:00:00:0a)"),
        ("$t.0.1.2.3", "(. (. (. (. $t 0) 1) 2) 3)"),
        ("config", "config"),
        ("pass", "pass"),
    ] {
        expr(text, tree);
    }
}

#[test]
fn accesses_and_calls() {
    for (text, tree) in [
        ("args.filename", "(. args filename)"),
        ("args->filename", "(-> args filename)"),
        ("args.in.for", "(. (. args in) for)"),
        (
            "((struct task_struct *)curtask)->real_parent->tgid",
            "(-> (-> (cast struct task_struct* curtask) real_parent) tgid)",
        ),
        ("$a[1][$i].b", "(. ([] ([] $a 1) $i) b)"),
        ("f(1)[2]", "([] (call f 1) 2)"),
        ("nsecs(monotonic)", "(call nsecs monotonic)"),
        (
            "f({ let $a = 1; $a }, if 1 { 2 } else { 3 })",
            "(call f { let $a 1; value $a } (if 1 { value 2 } { value 3 }))",
        ),
        (
            "if comptime a { } else if b { 1 } else { 2 }",
            "(if (comptime a) {} { value (if b { value 1 } { value 2 }) })",
        ),
        (
            "sizeof(struct s) + sizeof(uint64[4]) + sizeof($x) + sizeof(pid_t) + sizeof(s *)",
            "(+ (+ (+ (+ (sizeof type struct s) (sizeof type uint64[4])) (sizeof $x)) (sizeof type pid_t)) (sizeof type s*))",
        ),
        ("offsetof(struct s, a.b)", "(offsetof type struct s a.b)"),
        ("container_of($p, struct s, m)", "(call container_of $p type struct s m)"),
        (
            "typeinfo(typeof($x), unsigned long long *)",
            "(call typeinfo type typeof($x) type unsigned long long*)",
        ),
    ] {
        expr(text, tree);
    }
}

#[test]
fn parentheses() {
    for (text, tree) in [
        ("()", "(tuple)"),
        ("(1)", "1"),
        ("(1,)", "(tuple 1)"),
        ("(1, \"a\", (2, 3))", "(tuple 1 \"a\" (tuple 2 3))"),
        ("(a = 1, b = (2, 3))", "(record a=1 b=(tuple 2 3))"),
        ("(a == 1)", "(== a 1)"),
        ("(uint64)-1", "(cast uint64 (- 1))"),
        ("(struct s *)arg0", "(cast struct s* arg0)"),
        ("(enum e)1", "(cast enum e 1)"),
        ("(pid_t)$x + 1", "(+ (cast pid_t $x) 1)"),
        ("(pid_t)-1", "(cast pid_t (- 1))"),
        ("(sock *)arg0", "(cast sock* arg0)"),
        ("(sock **)(arg0)", "(cast sock** arg0)"),
        ("(pid) - 1", "(- pid 1)"),
        ("(pid) * 2", "(* pid 2)"),
        ("(a * b)", "(* a b)"),
        ("(uint8)$x.y", "(cast uint8 (. $x y))"),
        ("(uint8[4])1", "(cast uint8[4] 1)"),
        ("(typeof($x))1", "(cast typeof($x) 1)"),
        ("(int32)(int8)1", "(cast int32 (cast int8 1))"),
        ("(const char *)1", "(cast char* 1)"),
    ] {
        expr(text, tree);
    }
    stmts("if (pid) { 1; } if (@a) { 2; }", &["if pid", "  1", "if @a", "  2"]);
}

#[test]
fn one_slip_is_one_error() {
    errors("begin { $x = ; $y = 2; }", &["13-14: expected an expression, found `;`"]);
    errors(
        "begin { $x = 1 $y = 2; f(; }",
        &["15-17: expected `;` or `}`, found `$y`", "25-26: expected an expression, found `;`"],
    );
    errors("begin { $x = 1\n $y = 2\n }", &["16-18: expected `;` or `}`, found `$y`"]);
    errors("begin { f(1 2, 3); g(); }", &["12-13: expected `,` or `)`, found `2`"]);
    errors("begin { if ($x = 1) { } }", &["15-16: expected `,` or `)`, found `=`"]);
    errors(
        "begin { if (pid = 1) { } f(; }",
        &["11-20: a record cannot be a condition", "27-28: expected an expression, found `;`"],
    );
    errors(
        "begin { if x) { } f(; }",
        &["12-13: expected `{`, found `)`", "20-21: expected an expression, found `;`"],
    );
    errors(
        "begin { 1 = 2; }",
        &["8-9: only a `$variable`, a `@map` or a place behind a pointer can be assigned to"],
    );
    errors("begin { let x = 2; }", &["12-13: expected a `$variable`, found `x`"]);
    errors("begin { for (i : 1..2) { } }", &["13-14: expected a `$variable`, found `i`"]);
    errors("begin { @m[] = 2; }", &["11-12: expected a key, found `]`"]);
    errors(
        "begin { $a.; $b = 1.5; }",
        &["11-12: expected a field's name, found `;`", "18-21: there are no floating-point numbers"],
    );
    errors("begin { $a = if 1 { 2 }; }", &["13-23: an `if` that gives a value needs an `else`"]);
    errors(
        "begin { if (a) f(1); g(; }",
        &["15-16: expected `{`, found `f`", "23-24: expected an expression, found `;`"],
    );
    errors(
        "begin { for ($i = 0; $i < 5; $i++) { f(; } g(; }",
        &[
            "16-17: expected `:`, found `=`",
            "39-40: expected an expression, found `;`",
            "45-46: expected an expression, found `;`",
        ],
    );
    errors("begin { else { } }", &["8-12: expected an expression, found `else`"]);
}

#[test]
fn wrong_literals() {
    errors(
        "begin { $x = 99999999999999999999; f(08); }",
        &[
            "13-33: number `99999999999999999999` is too large: the largest is 18446744073709551615",
            "37-39: `08` is octal because of its leading zero, and has the digit 8 or 9",
        ],
    );
    errors("begin { f(\"a\\qb\\z\"); }", &["12-14: unknown escape `\\q`", "15-17: unknown escape `\\z`"]);
    errors("begin { f(\"a); }\n}", &["10-16: string is not closed"]);
    errors("begin { $x = 'a'; }", &["13-16: there are no character literals"]);
    errors(
        "begin { $x = 1.2.3.444; $y = 1.2.3.4/33; $z = $0; }",
        &[
            "13-22: `1.2.3.444` is not an IPv4 address",
            "29-39: an IPv4 network has 0 to 32 leading bits",
            "46-48: there is no parameter `$0`: they are numbered from `$1`",
        ],
    );
    errors("begin { } /* c", &["10-12: comment is not closed"]);
}

#[test]
fn wrong_items() {
    errors("kprobe:f", &["0-8: `kprobe:f` has no body"]);
    errors("kprobe:f }", &["9-10: expected `{`, found `}`"]);
    errors("kprobe:f kprobe:g { }", &["9-17: expected `,` or `{`, found `kprobe:g`"]);
    errors("{ }", &["0-1: expected a probe, found `{`"]);
    errors(
        "kprobe:f /pid == 1 { f(); }\nk:g { $x = ; }",
        &[
            "19-20: expected `/` at the end of the predicate, found `{`",
            "39-40: expected an expression, found `;`",
        ],
    );
    errors("begin { if 1 { f();\n", &["20-20: expected `}`, found the end of the script"]);
    errors(
        "begin { } }\nk:f { ; 1 2; }",
        &["10-11: expected a probe, found `}`", "22-23: expected `;` or `}`, found `2`"],
    );
    errors(
        "config = { a = ; b = 2 }\nconfig = { }",
        &["15-16: expected the setting's value, found `;`", "25-31: a script has one `config` block"],
    );
    errors(
        "import a;\nlet @m = hash(1)\nk:f { }",
        &["7-8: expected the imported file's name in quotes, found `a`", "27-28: expected `;`, found `k`"],
    );
    errors(
        "macro m(1) { f(); }\nfn ($a) { }\nk:f { + }",
        &[
            "8-9: expected a parameter: `$variable`, `@map` or a name, found `1`",
            "23-24: expected the function's name, found `(`",
            "38-39: expected an expression, found `+`",
        ],
    );
    errors("let $x = 1;", &["4-6: expected a map, found `$x`"]);
}

#[test]
fn errors_are_limited() {
    let parsed = parse_text(&format!("begin {{ {} }}", "f(;\n".repeat(1000)));
    assert_eq!(parsed.diagnostics.len(), ERROR_LIMIT);
}

#[test]
fn spans_of_children_lie_in_their_parents() {
    let text = "k:f /(a) + 1/ { $x = (1 + 2) * f(3).b[4]; }";
    let parsed = parse_text(text);
    let crate::ast::Item::Probe(probe) = &parsed.script.items[0] else { panic!("no probe") };
    let of = |span: Span| &text[span.start as usize..span.end as usize];
    assert_eq!(of(probe.span), text);
    assert_eq!(of(probe.predicate.as_ref().expect("has one").span), "(a) + 1");
    assert_eq!(of(probe.body.stmts[0].span), "$x = (1 + 2) * f(3).b[4]");
    let crate::ast::StmtKind::Assign { value, .. } = &probe.body.stmts[0].kind else {
        panic!("no assignment")
    };
    assert_eq!(of(value.span), "(1 + 2) * f(3).b[4]");
}

/// Parses a hostile text: it must be refused, soon, and the tree must be fit to be walked.
#[track_caller]
fn refused(name: &str, text: &str) {
    let started = Instant::now();
    let parsed = parse_text(text);
    assert!(!parsed.diagnostics.is_empty(), "{name} was accepted");
    assert!(parsed.diagnostics.len() <= ERROR_LIMIT, "{name}");
    assert!(parsed.diagnostics.iter().all(|it| it.message.len() < 400), "{name}");
    print(&parsed.script);
    drop(parsed);
    // Generous: a debug build on a busy machine. What must not happen takes hours.
    assert!(started.elapsed() < Duration::from_secs(20), "{name}: {:?}", started.elapsed());
}

#[test]
fn deep_nesting_is_refused() {
    for piece in [
        "(",
        "[",
        "{",
        "-",
        "!",
        "*",
        "(int8)",
        "f(",
        "@[",
        "if 1 {",
        "a?",
        "a?b:",
        "a ? : ",
        "comptime ",
        "sizeof(",
        "++",
        "(a=",
        "1+(",
        "(typeof(",
        "(typeof((",
        "if a {} else ",
        "while 1 {",
        "f(struct a[",
        "$a=",
        "{ $a = ",
        "(((a)+1)+",
        "-(a+1)*",
    ] {
        refused(piece, &format!("begin {{ $x = {} }}", piece.repeat(10_000)));
        refused(piece, &format!("begin {{ {} }}", piece.repeat(10_000)));
        refused(piece, &format!("k:f / {}", piece.repeat(10_000)));
    }
    refused("types", &format!("fn f($a: {}", "(".repeat(10_000)));
    refused("parentheses", &format!("begin {{ $x = {}1{}; }}", "(".repeat(10_000), ")".repeat(10_000)));
    refused("braces", &format!("begin {}{}", "{".repeat(10_000), "}".repeat(10_000)));
}

#[test]
fn high_trees_are_refused() {
    for piece in ["+1", ".a", "->a", "[1]", "++", "||a", ".0", "*1+1", "in a"] {
        refused(piece, &format!("begin {{ $x = $y{}; }}", piece.repeat(100_000)));
    }
    // Long on the left and nested: the two limits together must not multiply.
    let chain = "+1".repeat(400);
    let mut text = "1".to_owned();
    for _ in 0..90 {
        text = format!("({text}{chain})");
    }
    refused("chains in parentheses", &format!("begin {{ $x = {text}; }}"));
    let mut text = "1".to_owned();
    for _ in 0..60 {
        text = format!("{{ $a = {text}{chain}; $a }}");
    }
    refused("chains in blocks", &format!("begin {{ $x = {text}; }}"));
    script(
        &format!("begin {{ $x = 1{chain}; }}"),
        &print(&parse_text(&format!("begin {{ $x = 1{chain}; }}")).script),
    );
}

#[test]
fn noise_is_refused() {
    let mut state = 42_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as u8
    })
    .take(100_000)
    .collect();
    refused("bytes", &String::from_utf8_lossy(&bytes));
    refused("bytes in a body", &format!("begin {{ {}", String::from_utf8_lossy(&bytes)));
    refused("letters", &"a".repeat(1_000_000));
    refused("slashes", &"/ ".repeat(100_000));
    refused("quotes", &format!("begin {{ {}", "\"".repeat(100_001)));
    refused("comment", &format!("begin {{ {}", "/*".repeat(100_000)));
    refused("predicate", &format!("k:f {}", "/ ".repeat(100_000)));
    refused("nothing ends", &format!("begin {{ {}", "$a = 1\n".repeat(100_000)));
}

#[test]
fn a_large_script_takes_its_time_once() {
    let probe =
        "tracepoint:syscalls:sys_enter_read /pid == 1/ { @reads[comm, tid] = count(); if ($x) { f(1); } }\n";
    let started = Instant::now();
    let n_probes = SIZE_LIMIT / probe.len();
    let parsed = parse_text(&probe.repeat(n_probes));
    assert_eq!(parsed.diagnostics, []);
    assert_eq!(parsed.script.items.len(), n_probes);
    let parsed = parse_text(&probe.repeat(n_probes + 1));
    assert_eq!(parsed.diagnostics.len(), 1, "one message for a script that is too large");
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}
