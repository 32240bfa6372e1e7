//! The manifest's format has a version: it must change when the format does.
//!
//! `tests/manifest.txt` holds the version and every type that manifests are made of, as the sources
//! define them. When they no longer agree, raise `VERSION` in `codegen/src/manifest.rs` and run
//! `UPDATE_DOCUMENTS=1 cargo test -p kscope-tests --test manifest`, which refuses an old version.

use codegen::manifest::VERSION;
use std::path::Path;

/// Where types are that end up in a manifest.
const SOURCES: &[&str] = &[
    "codegen/src/failure.rs",
    "codegen/src/helpers.rs",
    "codegen/src/manifest.rs",
    "codegen/src/target.rs",
    "lang/src/attach.rs",
    "lang/src/hir.rs",
    "lang/src/hir/action.rs",
    "lang/src/probes.rs",
    "lang/src/source.rs",
    "lang/src/ty.rs",
];

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in the workspace");
    let path = root.join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The types of a file that can be in JSON, without comments: from `derive(… Serialize …)` to the
/// end of the item.
fn types(text: &str) -> String {
    let (mut types, mut attributes, mut depth) = (String::new(), String::new(), None);
    for line in text.lines().map(|line| line.split("//").next().unwrap_or_default().trim_end()) {
        if depth.is_none() && line.trim_start().starts_with("#[") {
            attributes.push_str(line);
            continue;
        }
        if depth.is_none() && std::mem::take(&mut attributes).contains("Serialize") {
            depth = Some(0);
        }
        let Some(open) = depth.filter(|_| !line.is_empty()) else { continue };
        types.push_str(line);
        types.push('\n');
        let open: usize = open + line.matches('{').count();
        let open = open.saturating_sub(line.matches('}').count());
        let ends = open == 0 && line.ends_with([';', '}']);
        depth = Some(open).filter(|_| !ends);
    }
    types
}

#[test]
fn a_format_that_changed_has_a_new_version() {
    let types: Vec<String> = SOURCES.iter().map(|path| format!("{path}\n\n{}", types(&read(path)))).collect();
    let types = types.join("\n");
    let current = format!("version {VERSION}\n\n{types}");
    let known = read("tests/manifest.txt");
    if current == known {
        return;
    }
    let (version, known_types) = known.split_once("\n\n").expect("a version, then types");
    let version: u32 = version.trim_start_matches("version ").parse().expect("the version is a number");
    assert!(
        known_types == types || VERSION > version,
        "what a manifest is made of has changed: raise VERSION in codegen/src/manifest.rs, then run this \
         test with UPDATE_DOCUMENTS=1"
    );
    assert!(std::env::var_os("UPDATE_DOCUMENTS").is_some(), "run this test with UPDATE_DOCUMENTS=1");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifest.txt");
    std::fs::write(path, current).expect("the tests' folder is writable");
}
