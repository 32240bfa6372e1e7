//! Replays the corpus of the fuzzing targets, and texts of 64 KiB that are nasty on purpose: nothing
//! panics, nothing takes long.

use kscope_tests::fuzz::TARGETS;
use std::path::Path;
use std::time::{Duration, Instant};

/// The largest input that is promised to be quick. Without optimisation a part of it shows the same.
const SIZE: usize = if cfg!(debug_assertions) { 16 << 10 } else { 64 << 10 };
/// The corpus stays small.
const MOST_FILES: usize = 200;
const MOST_BYTES: usize = 200 << 10;

/// What a text may take: a second, as users run it; more without optimisation, on a busy machine.
const LONGEST: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 1 });

/// Runs one target over a text.
fn replay((target, run): (&str, fn(&str)), name: &str, text: &str) {
    let start = Instant::now();
    run(text);
    let took = start.elapsed();
    assert!(took < LONGEST, "{target} takes {took:?} for {name}");
}

#[test]
fn the_corpus_is_replayed() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let (mut n_files, mut n_bytes) = (0, 0);
    for target in TARGETS {
        let folder = corpus.join(target.0);
        for file in std::fs::read_dir(folder).expect("each target has a corpus").flatten() {
            let bytes = std::fs::read(file.path()).expect("the corpus is readable");
            (n_files, n_bytes) = (n_files + 1, n_bytes + bytes.len());
            // The fuzzer passes over what is no UTF-8, as the command line does.
            if let Ok(text) = std::str::from_utf8(&bytes) {
                replay(target, &file.path().display().to_string(), text);
            }
        }
    }
    assert!(n_files > 0, "there is a corpus");
    assert!(n_files <= MOST_FILES && n_bytes <= MOST_BYTES, "{n_files} files, {n_bytes} bytes");
}

/// A text of [`SIZE`]: a start, the same piece again and again, an end.
fn repeated(start: &str, piece: &str, end: &str) -> String {
    let n_pieces = (SIZE - start.len() - end.len()) / piece.len();
    [start, &piece.repeat(n_pieces), end].concat()
}

#[test]
fn large_texts_are_answered_in_time() {
    let texts = [
        repeated("", "(", ""),
        repeated("BEGIN { @ = ", "(", ""),
        repeated("BEGIN { @ = ", "-", "1; }"),
        repeated("BEGIN { @ = 1", " + 1", "; }"),
        repeated("BEGIN { @ = 1", " + $x", "; }"),
        repeated("BEGIN { @ = 1", " ? 1", "; }"),
        repeated("BEGIN { @ = 1", " ? 1 : 1", "; }"),
        repeated("BEGIN { $x = 1; ", "$x += @a; ", "}"),
        repeated("BEGIN { ", "{", ""),
        repeated("BEGIN { ", "if (1) {", ""),
        repeated("BEGIN { ", "if (pid) { @++ } else ", "{} }"),
        repeated("BEGIN { ", "unroll (100) { @++ }", "}"),
        repeated("BEGIN { ", "for ($i : 0..100) { ", ""),
        repeated("BEGIN { @", "[@", ""),
        repeated("BEGIN { @ = ", "{ 1; ", ""),
        repeated("BEGIN { @ = ", "(1, ", ""),
        repeated("BEGIN { print((", "1, ", "1)); }"),
        repeated("BEGIN { printf(\"", "%d", "\"); }"),
        repeated("BEGIN { printf(\"", "%*.*s", "\"); }"),
        repeated("", "BEGIN { @ = count(); } ", ""),
        repeated("", "kprobe:vfs_*,", "BEGIN { }"),
        repeated("", "k:*,", "k:* { @[probe] = count(); }"),
        repeated("struct a { ", "int a; ", "}; BEGIN { }"),
        repeated("", "struct a { ", ""),
        repeated("#define A ", "A ", "\nBEGIN { @ = A; }"),
        repeated("", "#define A(x) x x\n", "BEGIN { @ = A(A(A(A(1)))); }"),
        repeated("", "#if 1\n", "BEGIN { }"),
        repeated("", "/*", ""),
        repeated("", "/* */ ", ""),
        repeated("", "\"", ""),
        repeated("BEGIN { @ = \"", "\\x41", "\"; }"),
        repeated("", "\n", ""),
        repeated("", "\u{1f980}", ""),
        repeated("config = { ", "max_map_keys = 1; ", "} BEGIN { }"),
        repeated("", "let @a = hash(1); ", "BEGIN { @a[1] = 1; }"),
        repeated("kprobe:", "*", " { }"),
        repeated("uprobe:/bin/", "a/", ":b { }"),
        repeated("kprobe:", "a*", ""),
        repeated("", "$1", ""),
        repeated("kprobe:\"", "\\", "\""),
    ];
    for target in TARGETS {
        for text in &texts {
            let name: String = text.chars().take(40).collect();
            replay(target, &name, text);
        }
    }
}
