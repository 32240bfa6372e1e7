//! `kscope build`: a script to an object file, or one stage of the compiler as text.

use crate::cli::{BuildArgs, EmitArg};
use crate::failure::Failure;
use crate::script::{Script, options};
use codegen::Target;
use codegen::target::KernelVersion;
use lang::{Diagnostic, hir, sema};
use runtime::linux::{LinuxHost, host_target, reason};
use std::io::Write;

/// Builds what the arguments ask for.
pub fn build(args: &BuildArgs) -> Result<u8, Failure> {
    let mut script = Script::read(&args.script)?;
    if args.emit == Some(EmitArg::Ast) {
        return print(&lang::ast::text::print(&script.parse()?));
    }
    // Objects and what leads to them are for machines that may offer more than this one, but records
    // are laid out as the running kernel says, never as its types suggest.
    let host = if args.emit == Some(EmitArg::Hir) { LinuxHost::for_checking() } else { LinuxHost::new() };
    let host = host.with_folders(script.folders(&args.script));
    let options = sema::Options { assume: true, ..options(&args.script, &script, None) };
    let program = script.analyze(&options, &host)?;
    let target = target(&args.kernel)?;
    match args.emit {
        Some(stage) => match stage_text(stage, &program, &target) {
            Ok(text) => print(&text),
            Err(diagnostics) => script.report(&diagnostics).map(|()| 1),
        },
        None => {
            let object = script.compile(&program, &target)?;
            let path = args.output.as_ref().expect("clap requires -o without --emit");
            std::fs::write(path, object.elf).map_err(|error| {
                Failure::machine(format!("cannot write {}: {}", path.display(), reason::of(&error)))
            })?;
            Ok(0)
        }
    }
}

/// One stage as text.
fn stage_text(stage: EmitArg, program: &hir::Program, target: &Target) -> Result<String, Vec<Diagnostic>> {
    if matches!(stage, EmitArg::Ast | EmitArg::Hir) {
        return Ok(hir::text::print(program));
    }
    let module = codegen::opt::optimize(codegen::lower::lower(program, target)?, target);
    if stage == EmitArg::Ir {
        return Ok(codegen::ir::text::print(&module, &program.sources));
    }
    let code = codegen::emit::emit(&module, target)?;
    Ok(codegen::bpf::text::print(&code, &program.sources))
}

/// The target of `--kernel`: code for that version, field offsets of the running kernel.
fn target(kernel: &str) -> Result<Target, Failure> {
    let host = host_target();
    if kernel == "host" {
        return Ok(host);
    }
    let parts: Option<Vec<u32>> = kernel.split('.').map(|part| part.parse().ok()).collect();
    match parts.as_deref() {
        Some([major, minor]) => {
            let target = Target::for_kernel(KernelVersion(*major, *minor));
            Ok(Target { built_for: host.built_for, ..target })
        }
        _ => Err(Failure::machine(format!("`{kernel}` is not a kernel version such as 6.12, nor `host`"))),
    }
}

fn print(text: &str) -> Result<u8, Failure> {
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(0)
}
