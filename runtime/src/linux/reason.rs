//! Words for why a file could not be read.

use std::io;

/// The reason without an error number, which says nothing to a user.
pub fn of(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(_) => error.kind().to_string(),
        None => error.to_string(),
    }
}
