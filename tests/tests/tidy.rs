//! The invariants of `docs/architecture.md` that text can show.

use std::path::{Path, PathBuf};

/// The longest file that is no table.
const MOST_LINES: usize = 800;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in a folder of the workspace")
}

/// All Rust files below a folder of the workspace, but for unit tests in files of their own.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let (mut files, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the workspace is readable").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") && !is_test(&path) {
                let text = std::fs::read_to_string(&path).expect("sources are UTF-8");
                files.push((path.strip_prefix(root()).unwrap_or(&path).to_owned(), text));
            }
        }
    }
    files
}

fn is_test(path: &Path) -> bool {
    path.components().any(|it| it.as_os_str() == "tests") && !path.starts_with(root().join("tests"))
        || path.file_name().is_some_and(|it| it == "tests.rs" || it == "fake.rs")
}

/// The part of a file before its unit tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

/// Lines outside unit tests that hold one of `words`, with their places.
fn lines_with(folder: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources(folder) {
        for (number, line) in code(&text).lines().enumerate() {
            let line = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    found
}

#[track_caller]
fn assert_none(found: Vec<String>, rule: &str) {
    assert!(found.is_empty(), "{rule}\n{}", found.join("\n"));
}

#[test]
fn front_and_back_end_are_pure() {
    let io = [
        "std::fs",
        "std::env",
        "std::process",
        "TcpStream",
        "UdpSocket",
        "std::time",
        "println!",
        "eprintln!",
        "print!(",
    ];
    for folder in ["lang/src", "codegen/src"] {
        assert_none(lines_with(folder, &io), "no IO in lang and codegen");
    }
}

#[test]
fn crates_import_from_their_left() {
    for (folder, right) in
        [("lang/src", &["codegen::", "runtime::"][..]), ("codegen/src", &["runtime::"][..])]
    {
        assert_none(lines_with(folder, right), "a crate imports only from its left");
    }
}

#[test]
fn libraries_stay_in_their_place() {
    let outside = |folder: &str, words: &[&str], allowed: &str| -> Vec<String> {
        lines_with(folder, words).into_iter().filter(|it| !it.starts_with(allowed)).collect()
    };
    let aya = ["aya::", "aya_obj::"];
    let linux = "runtime/src/linux";
    assert_none(outside("runtime/src", &aya, linux), "aya is named only in runtime/src/linux");
    assert_none(outside("cli/src", &aya, linux), "aya is named only in runtime/src/linux");
    assert_none(outside("cli/src", &["tokio::"], linux), "tokio is named only in runtime");
    for folder in ["lang/src", "codegen/src", "runtime/src"] {
        assert_none(
            lines_with(folder, &["clap::", "rustyline::"]),
            "clap and rustyline are named only in cli",
        );
    }
    for folder in ["lang/src", "codegen/src", "runtime/src", "cli/src"] {
        let found = outside(folder, &["unsafe {", "unsafe fn", "unsafe impl"], linux);
        assert_none(found, "unsafe only in runtime/src/linux");
    }
}

#[test]
fn modules_say_what_they_are() {
    for folder in ["lang", "codegen", "runtime", "cli", "tests"] {
        for (path, text) in sources(folder) {
            assert!(text.starts_with("//!"), "{} does not start with //!", path.display());
            let lines = code(&text).lines().count();
            assert!(lines <= MOST_LINES, "{} has {lines} lines", path.display());
        }
    }
}

#[test]
fn no_test_is_switched_off() {
    let switched_off = ["#[ignore", "#[should_panic"];
    for folder in ["lang", "codegen", "runtime", "cli", "tests/src"] {
        assert_none(lines_with(folder, &switched_off), "no test is switched off");
    }
}
