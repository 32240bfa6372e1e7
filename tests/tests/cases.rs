//! The case files under `tests/cases`: the folder is the stage, the file is the case, the
//! snapshot holds source and result together.

use codegen::target::{KernelVersion, Target};
use kscope_tests::cases::directives::Directives;
use kscope_tests::cases::{front_end, run, target};
use lang::{FileId, Sources};
use std::path::Path;

/// Checks every case of one stage against its snapshot.
fn stage(folder: &str, result: impl Fn(&str) -> String) {
    insta::glob!("..", &format!("cases/{folder}/*.bt"), |path: &Path| {
        let text = std::fs::read_to_string(path).expect("case files are readable UTF-8");
        let seen = result(&text);
        insta::with_settings!({
            description => text.trim_end(),
            omit_expression => true,
            prepend_module_to_snapshot => false,
            snapshot_path => path.parent().expect("a case file is in a folder").join("snapshots"),
            snapshot_suffix => "",
        }, {
            let name = path.file_stem().expect("a case file has a name").to_string_lossy().into_owned();
            insta::assert_snapshot!(name, seen);
        });
    });
}

/// The typed program, or the diagnostics when it has errors.
fn typed(text: &str, then: impl Fn(&lang::hir::Program, &Target) -> String) -> String {
    let directives = Directives::parse(text).expect("directives of case files are right");
    let compiled = front_end(text, &directives);
    match compiled.program {
        Some(program) => compiled.diagnostics + &then(&program, &target(directives.kernel.unwrap_or(FIXED))),
        None => compiled.diagnostics,
    }
}

const FIXED: KernelVersion = KernelVersion(6, 12);

#[test]
fn ast() {
    stage("ast", |text| lang::ast::text::print(&lang::parse::parse(text, FileId(0)).script));
}

#[test]
fn fmt() {
    stage("fmt", |text| match lang::fmt::format(text) {
        Ok(formatted) => formatted,
        Err(diagnostics) => {
            let sources = Sources::single("stdin", text);
            diagnostics.iter().map(|it| lang::diagnostic::render(it, &sources)).collect()
        }
    });
}

#[test]
fn formatting_keeps_every_script() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in the workspace");
    let mut folders: Vec<_> = ["tests", "scripts", "stdlib", "docs"].map(|it| root.join(it)).into();
    let mut formatted = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "bt") {
                let text = std::fs::read_to_string(&path).expect("scripts are readable UTF-8");
                let Ok(once) = lang::fmt::format(&text) else { continue };
                assert_eq!(lang::fmt::format(&once), Ok(once.clone()), "twice: {}", path.display());
                assert_eq!(tree(&once), tree(&text), "{}", path.display());
                formatted += 1;
            }
        }
    }
    assert!(formatted > 100, "only {formatted} scripts were found");
}

/// The tree's text form without places.
fn tree(text: &str) -> String {
    let mut script = lang::parse::parse(text, FileId(0)).script;
    for item in &mut script.items {
        if let lang::ast::Item::C(span) = item {
            *span = lang::Span::default();
        }
    }
    lang::ast::text::print(&script)
}

#[test]
fn hir() {
    stage("hir", |text| typed(text, |program, _| lang::hir::text::print(program)));
}

#[test]
fn ir() {
    stage("ir", |text| {
        typed(text, |program, target| {
            let module = codegen::lower::lower(program, target).expect("ir cases fit the target");
            codegen::ir::verify::verify(&module).expect("lowering keeps the rules of the IR");
            let module = codegen::opt::optimize(module, target);
            codegen::ir::verify::verify(&module).expect("passes keep the rules of the IR");
            codegen::ir::text::print(&module, &program.sources)
        })
    });
}

#[test]
fn bytecode() {
    stage("bytecode", |text| {
        typed(text, |program, target| {
            let module = codegen::lower::lower(program, target).expect("bytecode cases fit the target");
            let module = codegen::opt::optimize(module, target);
            let code = codegen::emit::emit(&module, target).expect("bytecode cases fit the stack");
            let listing = codegen::bpf::text::print(&code, &program.sources);
            assert!(
                listing.lines().count() <= 60,
                "a bytecode case shows one construct in 60 lines:\n{listing}"
            );
            listing
        })
    });
}

#[test]
fn errors() {
    stage("errors", |text| typed(text, |_, _| "no error\n".to_owned()));
}

#[test]
fn run_cases() {
    stage("run", run);
}
