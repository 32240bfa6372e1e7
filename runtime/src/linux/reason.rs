//! Words for why a file could not be read.

use std::io;

/// The reason without an error number, which says nothing to a user.
pub fn of(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(_) => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
        None => error.to_string(),
    }
}
