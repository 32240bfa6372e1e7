//! `kscope check`: what is wrong with a script, without running it.
//!
//! The verdict is about the script: what this machine lacks, or does not show without root, is a
//! warning.

use crate::cli::CheckArgs;
use crate::failure::Failure;
use crate::script::{Script, options};
use lang::sema;
use runtime::linux::{LinuxHost, host_target};

/// Compiles a script and throws the object away.
pub fn check(args: &CheckArgs) -> Result<u8, Failure> {
    let mut script = Script::read(&args.script)?;
    let options = sema::Options { assume: true, ..options(&args.script, &script, None) };
    let host = LinuxHost::for_checking().with_folders(script.folders(&args.script));
    let Some(program) = script.examine(&options, &host)? else { return Ok(0) };
    script.compile(&program, &host_target()).map(|_| 0)
}
