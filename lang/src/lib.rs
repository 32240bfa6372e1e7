//! The front end: script text in, a typed program and diagnostics out.
//!
//! ```text
//! SourceFile ─lex─► Tokens ─parse─► ast::Script ─expand(&dyn Host)─► ast::Script without imports
//! and macros ─analyze(&dyn Host)─► hir::Program
//! ```
//!
//! This crate is pure: it reads no file, clock or environment and prints nothing.
//! What it may ask of a machine goes through [`host::Host`].

pub mod ast;
pub mod attach;
pub mod builtins;
mod c;
pub mod counters;
pub mod diagnostic;
pub mod entry;
pub mod expand;
pub mod fmt;
pub mod format;
pub mod hir;
pub mod host;
pub mod layout;
pub mod lex;
pub mod packet;
pub mod parse;
pub mod probes;
pub mod sema;
pub mod source;
pub mod tracefs;
pub mod ty;
pub mod usdt;

pub use diagnostic::{Diagnostic, Severity};
pub use source::{FileId, Source, Sources, Span};
