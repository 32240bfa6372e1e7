//! The standard library: macros in the language itself, part of the program.
//!
//! A file of it is parsed when a script uses one of its names, and only then.

use crate::ast::{self, Function, Item, StmtKind};
use crate::parse;
use crate::source::{Source, Sources};
use std::cell::OnceCell;

/// The files, with their names below `stdlib/`.
const MODULES: [(&str, &str); 2] = [
    ("assert.bt", include_str!("../../../stdlib/assert.bt")),
    ("task.bt", include_str!("../../../stdlib/task.bt")),
];

/// Where the files of the library lie that a script uses.
#[derive(Default)]
pub(super) struct Library {
    parsed: [OnceCell<ast::Script>; MODULES.len()],
}

impl Library {
    /// The macros of that name, from the file that has them.
    pub fn macros<'a>(&'a self, name: &str, sources: &mut Sources) -> Vec<&'a Function> {
        let Some(idx) = MODULES.iter().position(|(_, text)| names_in(text).any(|it| it == name)) else {
            return Vec::new();
        };
        let script = self.parsed[idx].get_or_init(|| {
            let (module, text) = MODULES[idx];
            let source = Source { name: format!("stdlib/{module}"), text: text.to_owned() };
            // Where no further file has room, macros of the library are unknown names.
            sources.add(source).map(|file| parse::parse(text, file).script).unwrap_or_default()
        });
        let macros = script.items.iter().filter_map(|it| match it {
            Item::Macro(function) if function.name.text == name => Some(function),
            _ => None,
        });
        macros.collect()
    }
}

/// A macro of the library as the manual shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// The parameters of its definitions.
    pub params: Vec<&'static str>,
    /// What it does.
    pub doc: String,
}

/// Every macro of the library.
pub fn entries() -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut doc: Vec<&str> = Vec::new();
    for line in MODULES.iter().flat_map(|(_, text)| text.lines()) {
        match (line.strip_prefix("// "), head(line)) {
            (Some(comment), _) => doc.push(comment),
            (None, Some((name, params))) => match entries.last_mut().filter(|it| it.name == name) {
                Some(entry) => entry.params.push(params),
                None => entries.push(Entry { name, params: vec![params], doc: doc.join(" ") }),
            },
            (None, None) => doc.clear(),
        }
    }
    entries
}

/// The names of all macros of the library; one with several definitions comes several times.
pub fn names() -> impl Iterator<Item = &'static str> {
    MODULES.iter().flat_map(|(_, text)| names_in(text))
}

/// Whether a macro of the library gives a value.
pub fn gives_value(name: &str) -> bool {
    let library = Library::default();
    let macros = library.macros(name, &mut Sources::default());
    macros.iter().any(|it| matches!(it.body.stmts.last().map(|it| &it.kind), Some(StmtKind::Value(_))))
}

/// Whether the library has a macro of that name.
pub(super) fn has(name: &str) -> bool {
    names().any(|it| it == name)
}

/// The names of its files.
pub(super) fn modules() -> impl Iterator<Item = &'static str> {
    MODULES.iter().map(|it| it.0)
}

/// The macros that a file defines.
fn names_in(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter_map(|line| head(line).map(|it| it.0))
}

/// The name and the parameters of the macro that a line begins to define. In the library each begins
/// at the beginning of a line.
fn head(line: &'static str) -> Option<(&'static str, &'static str)> {
    let (name, rest) = line.strip_prefix("macro ")?.split_once('(')?;
    Some((name, rest.split_once(')')?.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;

    #[test]
    fn every_file_is_right_and_its_names_are_found() {
        for (module, text) in MODULES {
            let parsed = parse::parse(text, FileId(0));
            assert_eq!(parsed.diagnostics, [], "{module}");
            let macros = parsed.script.items.iter().filter_map(|it| match it {
                Item::Macro(function) => Some(function.name.text.as_str()),
                _ => None,
            });
            assert_eq!(macros.collect::<Vec<_>>(), names_in(text).collect::<Vec<_>>(), "{module}");
            assert_eq!(crate::fmt::format(text).as_deref(), Ok(text), "{module}");
        }
    }
}
