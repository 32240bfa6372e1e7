//! Tracepoint `format` files: text in, a struct of the type table out.
//!
//! The grammar is `tracefs.pest` beside this file.

use crate::ty::{StructId, TypeTable};

/// Reads a `format` file. The struct is named `tracepoint:CATEGORY:EVENT`, its fields are those
/// behind the eight bytes of `common_*` ones. `Err` says what could not be read.
pub fn parse_format(text: &str, name: &str, types: &mut TypeTable) -> Result<StructId, String> {
    let _ = (text, name, types);
    todo!("sema helper")
}
