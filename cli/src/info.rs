//! `kscope info`, `kscope --info`: what this kernel offers.

use crate::failure::Failure;

/// Prints the report.
pub fn info() -> Result<u8, Failure> {
    runtime::linux::info::info(&mut std::io::stdout().lock())?;
    Ok(0)
}
