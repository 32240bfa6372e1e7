//! Imports and macros: a script that names others becomes one that stands alone.
//!
//! Comes in: the tree of a script. Goes out: the tree without [`ast::Item::Import`] and
//! [`ast::Item::Macro`], with the items of imported files in the place of their import and the body
//! of a macro in the place of each call, and every mistake. It resolves no other name and knows no type.
//!
//! ```text
//! Script ─import─► items of all files ─define─► table of macros ─substitute─► Script
//! ```
//!
//! A call becomes a block, `{ …; value }`, and its parameters the arguments, not what they are worth:
//! an argument that is named twice is evaluated twice, and one that is not named never. Names keep
//! to whom they belong: each expansion is a file of its own among the [`Sources`], and a variable is
//! known by its name together with that file ([`Sources::names_of`]), so neither a macro's variables
//! nor those in its arguments can meet others of the same name.
//!
//! Macros that a script uses and does not define are those of the standard library, of which no
//! file is read that is not used.

mod import;
pub mod library;
mod macros;
mod substitute;

use crate::ast;
use crate::diagnostic::Diagnostic;
use crate::host::Host;
use crate::source::Sources;

/// Resolves the imports and the macros of a script. Files that it needs are added to `sources`.
pub fn expand(script: ast::Script, sources: &mut Sources, host: &dyn Host) -> (ast::Script, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let items = import::resolve(script, sources, host, &mut diagnostics);
    let library = library::Library::default();
    let macros = macros::Macros::define(&items, &library, &mut diagnostics);
    let script = substitute::substitute(&items, macros, sources, &mut diagnostics);
    diagnostics.sort_by_key(|it| sources.written(it.span));
    diagnostics.dedup_by_key(|it| sources.written(it.span));
    (script, diagnostics)
}
