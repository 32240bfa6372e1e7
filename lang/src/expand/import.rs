//! Imports: the items of other files in the place of the `import` that names them.
//!
//! Comes in: a script's tree. Goes out: its items and, each before what follows its import, those
//! of the files that it imports and that these import. A file comes once, however often it is
//! imported, so files may import each other.

use crate::ast::{Import, Item, Script};
use crate::diagnostic::{Diagnostic, Severity};
use crate::host::{Host, Imported, ImportedFile};
use crate::parse;
use crate::source::{FileId, Source, Sources, Span};
use std::collections::HashSet;

/// The folder of the standard library, which needs no import.
const LIBRARY: &str = "stdlib";

/// Most files inside each other.
const DEEPEST: usize = 64;

/// The items of a script and of all that it imports.
pub(super) fn resolve(
    script: Script,
    sources: &mut Sources,
    host: &dyn Host,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Item> {
    if !script.items.iter().any(|it| matches!(it, Item::Import(_))) {
        return script.items;
    }
    let seen = identity(&sources.get(FileId::default()).name, host).into_iter().collect();
    let mut reader = Reader { sources, host, diagnostics, seen, depth: 0, items: Vec::new() };
    reader.script(script);
    reader.items
}

/// What tells the script that it is itself one of the files it imports.
fn identity(name: &str, host: &dyn Host) -> Option<String> {
    match host.import(name.rsplit('/').next()?, name) {
        Imported::Files(files) => files.into_iter().next().map(|it| it.identity),
        Imported::Missing(_) | Imported::Refused(_) => None,
    }
}

struct Reader<'a> {
    sources: &'a mut Sources,
    host: &'a dyn Host,
    diagnostics: &'a mut Vec<Diagnostic>,
    /// Identities of the files that were imported.
    seen: HashSet<String>,
    depth: usize,
    items: Vec<Item>,
}

impl Reader<'_> {
    fn script(&mut self, script: Script) {
        for item in script.items {
            match item {
                Item::Import(import) => self.import(&import),
                Item::Config(entries) if self.depth > 0 => {
                    let span = entries.first().map_or(Span::default(), |it| it.key.span);
                    let wrong = Diagnostic::error(span, "an imported file cannot have a `config` block");
                    self.diagnostics.push(wrong.hint("move it into the script that imports this file"));
                }
                item => self.items.push(item),
            }
        }
    }

    fn import(&mut self, import: &Import) {
        if import.path.is_empty() {
            return self.diagnostics.push(Diagnostic::error(import.span, "this names no file"));
        }
        if import.path.split('/').next() == Some(LIBRARY) {
            return self.library(import);
        }
        if self.depth == DEEPEST {
            let message = format!("more than {DEEPEST} files import each other");
            return self.diagnostics.push(Diagnostic::error(import.span, message));
        }
        let from = &self.sources.get(import.span.file).name;
        let files = match self.host.import(&import.path, from) {
            Imported::Files(files) => files,
            Imported::Refused(reason) => {
                let message = format!("`{}` is not imported: {reason}", import.path);
                return self.diagnostics.push(Diagnostic::error(import.span, message));
            }
            Imported::Missing(tried) => {
                let message = format!("there is no `{}` to import", import.path);
                let hint = format!("looked for `{}`", tried.join("`, `"));
                return self.diagnostics.push(Diagnostic::error(import.span, message).hint(hint));
            }
        };
        for file in files {
            if self.seen.insert(file.identity.clone()) {
                self.file(file, import.span);
            }
        }
    }

    /// The library is there without an import; one that names a part of it is right nevertheless.
    fn library(&mut self, import: &Import) {
        let module = import.path.strip_prefix(LIBRARY).unwrap_or("").trim_start_matches('/');
        if module.is_empty() || super::library::modules().any(|it| it == module) {
            return;
        }
        let message = format!("the standard library has no `{module}`");
        let near = crate::diagnostic::nearest(module, super::library::modules());
        let hint = near.map(|it| format!("did you mean `{LIBRARY}/{it}`?"));
        self.diagnostics.push(Diagnostic::error(import.span, message).maybe_hint(hint));
    }

    fn file(&mut self, file: ImportedFile, import: Span) {
        let (name, text) = (file.name.clone(), file.text);
        let ending = name.rsplit('/').next().unwrap_or(&name);
        let ending = ending.split_once('.').map_or("", |it| it.1);
        let is_script = ending.rsplit('.').next() == Some("bt");
        let is_header = ending.rsplit('.').next() == Some("h");
        if !is_script && !is_header {
            let what = match ending {
                "c" | "bpf.c" => "importing C code is not supported yet",
                _ => "scripts (`.bt`), headers (`.h`) and folders of them can be imported",
            };
            let message = format!("`{name}` is not imported: {what}");
            return self.diagnostics.push(Diagnostic::error(import, message));
        }
        if text.len() > parse::SIZE_LIMIT {
            let message = format!("`{name}` is not imported: it has more than {} bytes", parse::SIZE_LIMIT);
            return self.diagnostics.push(Diagnostic::error(import, message));
        }
        let Some(id) = self.sources.add(Source { name, text: text.clone() }) else {
            return self.diagnostics.push(Diagnostic::error(import, "too many files are imported"));
        };
        if is_header {
            return self.items.push(Item::C(Span::new(id, 0, text.len())));
        }
        let parsed = parse::parse(&text, id);
        let is_wrong = parsed.diagnostics.iter().any(|it| it.severity == Severity::Error);
        self.diagnostics.extend(parsed.diagnostics);
        if !is_wrong {
            self.depth += 1;
            self.script(parsed.script);
            self.depth -= 1;
        }
    }
}
