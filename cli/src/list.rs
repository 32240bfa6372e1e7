//! `kscope list`, `kscope -l`: probes, their arguments, struct definitions.

use crate::failure::Failure;

/// Lists what matches.
pub fn list(pattern: Option<&str>, verbose: bool) -> Result<u8, Failure> {
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    for missing in runtime::linux::list::list(pattern, verbose, &mut stdout)? {
        eprintln!("WARNING: {missing}");
    }
    Ok(0)
}
