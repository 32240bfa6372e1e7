//! `kscope run x.o`: runs a built object without compiling anything.

use crate::cli::RunArgs;
use crate::failure::Failure;
use crate::trace::run_object;
use runtime::linux::{privileges, reason};

/// Runs an object file.
pub fn run(args: &RunArgs) -> Result<u8, Failure> {
    let path = args.object.display();
    if let Some(first) = args.params.first() {
        return Err(Failure::Machine {
            message: format!(
                "`{first}` cannot be given any more: an object has its parameters from when it was built"
            ),
            hint: Some(format!("kscope build -o {path} SCRIPT -- {first}")),
        });
    }
    let elf = std::fs::read(&args.object)
        .map_err(|error| Failure::machine(format!("cannot read {path}: {}", reason::of(&error))))?;
    let object = codegen::link::read(elf).map_err(|reason| Failure::machine(format!("{path}: {reason}")))?;
    privileges::check()?;
    run_object(&object, &args.session)
}
