//! What the documents say is true: their scripts compile for the mini-kernel, print what is shown
//! below them, and the tables of the reference are those of the compiler.
//!
//! A fenced block `kscope` is a script. A block `text` right below it is what it prints; comment
//! lines `<!--@ … -->` above the script are directives as in case files. What stands between
//! `<!-- NAME -->` and `<!-- end -->` is generated: `UPDATE_DOCUMENTS=1 cargo test -p kscope-tests
//! --test documents` writes it.

use kscope_tests::cases::directives::Directives;
use kscope_tests::cases::{TARGETS, front_end, run, target};
use lang::builtins::{Builtin, Kind};
use lang::expand::library;
use lang::packet;
use lang::probes::ProbeKind;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What every script of the documents may do, and its parameters.
const GIVEN: &str = "//@ allow verdict,signal,system,override,write\n//@ param 42\n//@ param word\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in a folder of the workspace")
}

/// The README and everything below `docs`.
fn documents() -> Vec<(PathBuf, String)> {
    let (mut files, mut folders) = (vec![root().join("README.md")], vec![root().join("docs")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the workspace is readable").flatten() {
            let path = entry.path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "md" => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("documents are UTF-8");
            (path.strip_prefix(root()).unwrap_or(&path).to_owned(), text)
        })
        .collect()
}

fn reference() -> String {
    std::fs::read_to_string(root().join("docs/language.md")).expect("there is a reference")
}

/// A script in a document.
struct Script {
    /// File and line.
    place: String,
    /// Its text, then its directives.
    text: String,
    /// What the document says that it prints.
    output: Option<String>,
}

/// The scripts of a document.
fn scripts(path: &Path, document: &str) -> Vec<Script> {
    let mut scripts: Vec<Script> = Vec::new();
    let mut directives = String::new();
    let mut is_below_script = false;
    let mut lines = document.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(directive) = line.strip_prefix("<!--@ ").and_then(|it| it.strip_suffix(" -->")) {
            writeln!(directives, "//@ {directive}").expect("strings take text");
        } else if let Some(language) = line.strip_prefix("```") {
            let body: String = lines
                .by_ref()
                .take_while(|(_, line)| !line.starts_with("```"))
                .map(|(_, line)| format!("{line}\n"))
                .collect();
            match (language, scripts.last_mut()) {
                ("kscope", _) => {
                    let text = format!("{body}{GIVEN}{}", std::mem::take(&mut directives));
                    let place = format!("{}:{}", path.display(), number + 1);
                    scripts.push(Script { place, text, output: None });
                }
                ("text", Some(script)) if is_below_script => script.output = Some(body),
                _ => {}
            }
            is_below_script = language == "kscope";
        } else if !line.is_empty() {
            is_below_script = false;
        }
    }
    scripts
}

fn all_scripts() -> Vec<Script> {
    documents().iter().flat_map(|(path, text)| scripts(path, text)).collect()
}

#[test]
fn scripts_compile() {
    for script in all_scripts() {
        let directives = Directives::parse(&script.text).expect("directives of documents are right");
        let compiled = front_end(&script.text, &directives);
        assert!(compiled.diagnostics.is_empty(), "{}\n{}", script.place, compiled.diagnostics);
        let program = compiled.program.expect("there is a program when there is no diagnostic");
        for kernel in TARGETS {
            if let Err(found) = codegen::compile(&program, &target(kernel)) {
                panic!("{}: {}", script.place, found[0].message);
            }
        }
    }
}

#[test]
fn scripts_print_what_is_shown() {
    for script in all_scripts() {
        let Some(output) = &script.output else { continue };
        // Every run ends with two empty lines before the maps; they are left out where nothing else is.
        let lines = |text: &str| text.trim_matches('\n').to_owned();
        let seen = run(&script.text);
        assert_eq!(lines(&seen), lines(output), "{}", script.place);
    }
}

/// Checks, or with `UPDATE_DOCUMENTS` writes, a generated part of the reference.
fn generated(name: &str, table: &str) {
    let document = reference();
    let start = format!("<!-- {name} -->\n");
    let (before, rest) = document.split_once(&start).unwrap_or_else(|| panic!("no part `{name}`"));
    let (part, after) = rest.split_once("<!-- end -->").unwrap_or_else(|| panic!("no end of `{name}`"));
    if part == table {
        return;
    }
    assert!(std::env::var_os("UPDATE_DOCUMENTS").is_some(), "docs/language.md, {name}, should be\n{table}");
    let document = format!("{before}{start}{table}<!-- end -->{after}");
    std::fs::write(root().join("docs/language.md"), document).expect("the workspace is writable");
}

/// A doc comment as one line of a table.
fn one_line(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Code in a table.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

fn probe_table() -> String {
    let mut table = "| probe type | also | what it is |\n| --- | --- | --- |\n".to_owned();
    for kind in ProbeKind::ALL {
        let aliases: Vec<_> = kind.aliases().iter().map(|it| code(it)).collect();
        let (name, aliases, doc) = (kind.name(), aliases.join(" "), one_line(kind.doc()));
        writeln!(table, "| `{name}` | {aliases} | {doc} |").expect("strings take text");
    }
    table
}

fn builtin_table(kinds: &[Kind]) -> String {
    let mut table = "| name | meaning |\n| --- | --- |\n".to_owned();
    for builtin in Builtin::ALL.iter().filter(|it| kinds.contains(&it.kind())) {
        let gap = if builtin.signature().starts_with("->") { " " } else { "" };
        let form = format!("{}{gap}{}", builtin.name(), builtin.signature());
        writeln!(table, "| {} | {} |", code(&form), one_line(builtin.doc())).expect("strings take text");
    }
    table
}

fn header_table() -> String {
    let mut table = "| header | fields |\n| --- | --- |\n".to_owned();
    for (word, header) in packet::HEADERS {
        let fields: Vec<_> = packet::fields(header).map(|it| code(it.name)).collect();
        writeln!(table, "| `{word}` | {} |", fields.join(" ")).expect("strings take text");
    }
    table
}

fn library_table() -> String {
    let mut table = "| macro | meaning |\n| --- | --- |\n".to_owned();
    for entry in library::entries() {
        let form = |params: &&str| match *params {
            "" => code(entry.name),
            params => code(&format!("{}({params})", entry.name)),
        };
        let forms: Vec<_> = entry.params.iter().map(form).collect();
        writeln!(table, "| {} | {} |", forms.join(" "), entry.doc).expect("strings take text");
    }
    table
}

#[test]
fn tables_are_those_of_the_compiler() {
    generated("library", &library_table());
    generated("probe types", &probe_table());
    generated("values", &builtin_table(&[Kind::Value, Kind::Compiler]));
    generated("aggregations", &builtin_table(&[Kind::Aggregation]));
    generated("map functions", &builtin_table(&[Kind::Map]));
    generated("actions", &builtin_table(&[Kind::Action]));
    generated("verdicts", &builtin_table(&[Kind::Verdict]));
    generated("headers", &header_table());
}

/// The names in all scripts of the reference.
fn words_of_examples() -> Vec<String> {
    let scripts = scripts(Path::new("docs/language.md"), &reference());
    let text: String = scripts.into_iter().map(|it| it.text).collect();
    text.split(|it: char| it != '_' && !it.is_ascii_alphanumeric()).map(str::to_owned).collect()
}

#[test]
fn everything_has_an_example() {
    let words = words_of_examples();
    let builtins = Builtin::ALL.iter().map(|it| match it {
        Builtin::ArgN => "arg0",
        other => other.name(),
    });
    let probes = ProbeKind::ALL.iter().map(|it| it.name());
    for name in builtins.chain(probes).chain(library::names()) {
        // BEGIN and END are more often written so.
        let found = words.iter().any(|word| word == name || *word == name.to_uppercase());
        assert!(found, "docs/language.md has no example of `{name}`");
    }
}

/// Whether a part of a path stands for others, as `TARGET` does.
fn has_placeholder(path: &str) -> bool {
    path.split('/').any(|it| ["NAME", "TARGET"].contains(&it.split('.').next().unwrap_or_default()))
}

#[test]
fn links_and_paths_lead_somewhere() {
    let folders =
        ["lang/", "codegen/", "runtime/", "cli/", "tests/", "docs/", "scripts/", "stdlib/", "fuzz/", ".ci/"];
    for (path, text) in documents() {
        let folder = root().join(&path);
        let folder = folder.parent().expect("a document is in a folder");
        let links = text.split("](").skip(1).filter_map(|it| it.split([')', '#']).next());
        for link in links.filter(|it| !it.is_empty() && !it.contains("://")) {
            assert!(folder.join(link).exists(), "{} links to {link}", path.display());
        }
        for span in text.split('`').skip(1).step_by(2) {
            let is_path = folders.iter().any(|it| span.starts_with(it));
            if is_path && !span.contains(['<', '*', ' ', '{', '\n']) && !has_placeholder(span) {
                assert!(root().join(span).exists(), "{} names {span}", path.display());
            }
        }
    }
}
