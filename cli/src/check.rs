//! `kscope check`: what is wrong with a script, without running it.

use crate::cli::CheckArgs;
use crate::failure::Failure;
use crate::script::{Script, options};
use runtime::linux::host_target;

/// Compiles a script and throws the object away.
pub fn check(args: &CheckArgs) -> Result<u8, Failure> {
    let script = Script::read(&args.script)?;
    let program = script.analyze(&options(&args.script, &script, None), &script.host(&args.script))?;
    match codegen::compile(&program, &host_target()) {
        Ok(_) => Ok(0),
        Err(diagnostics) => script.report(&diagnostics).map(|()| 1),
    }
}
