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
    let script = Script::read(&args.script)?;
    let options = sema::Options { assume: true, ..options(&args.script, &script, None) };
    let Some(program) = script.examine(&options, &LinuxHost::for_checking())? else { return Ok(0) };
    script.compile(&program, &host_target()).map(|_| 0)
}
