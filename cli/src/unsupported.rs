//! Flags of bpftrace that mean nothing here, or nothing yet: each gets an answer of its own.

use crate::failure::Failure;
use clap::Args;

/// What bpftrace takes besides what [`crate::cli`] has.
#[derive(Debug, Args)]
pub struct UnsupportedArgs {
    #[arg(long = "include", value_name = "FILE", hide = true)]
    included: Vec<String>,
    #[arg(short = 'd', long, value_name = "STAGE", hide = true)]
    debug: Option<String>,
    #[arg(long, value_name = "FILE", hide = true)]
    emit_elf: Option<String>,
    #[arg(long, value_name = "FILE", hide = true)]
    emit_llvm: Option<String>,
    #[arg(long, hide = true)]
    verify_llvm_ir: bool,
    #[arg(long, value_name = "DIR", hide = true)]
    debuginfo: Option<String>,
    #[arg(long, value_name = "FILE", hide = true)]
    traceable_functions: Option<String>,
    #[arg(long, value_name = "FEATURE", hide = true)]
    no_feature: Option<String>,
    #[arg(long, value_name = "PID", hide = true)]
    dwarf_pid: Vec<String>,
    #[arg(long, hide = true)]
    usdt_file_activation: bool,
    #[arg(long, hide = true)]
    fmt: bool,
    #[arg(long, value_name = "MODE", hide = true)]
    mode: Option<String>,
    #[arg(long, hide = true)]
    test: bool,
    #[arg(long, hide = true)]
    bench: bool,
    #[arg(long, value_name = "REGEX", hide = true)]
    probe_filter: Option<String>,
}

impl UnsupportedArgs {
    /// Fails with the answer to the first of them that was given.
    pub fn refuse(&self) -> Result<(), Failure> {
        if let Some(stage) = &self.debug {
            return Err(debug(stage));
        }
        let instead = [
            (self.emit_elf.is_some(), "--emit-elf", "kscope build -o FILE SCRIPT"),
            (self.emit_llvm.is_some(), "--emit-llvm", "kscope build --emit=ir SCRIPT"),
            (self.fmt, "--fmt", "kscope fmt FILE"),
        ];
        if let Some((_, flag, command)) = instead.iter().find(|it| it.0) {
            return Err(Failure::Machine {
                message: format!("{flag} is bpftrace's way"),
                hint: Some(format!("here it is: {command}")),
            });
        }
        let absent = [
            (!self.included.is_empty(), "--include (C headers)"),
            (self.debuginfo.is_some(), "--debuginfo"),
            (self.traceable_functions.is_some(), "--traceable-functions"),
            (self.no_feature.is_some(), "--no-feature"),
            (!self.dwarf_pid.is_empty(), "--dwarf-pid"),
            (self.usdt_file_activation, "--usdt-file-activation"),
            (self.mode.is_some(), "--mode"),
            (self.test, "--test"),
            (self.bench, "--bench"),
            (self.probe_filter.is_some(), "--probe-filter"),
            (self.verify_llvm_ir, "--verify-llvm-ir (there is no LLVM here)"),
        ];
        match absent.iter().find(|it| it.0) {
            Some((_, flag)) => Err(Failure::machine(format!("{flag} is not supported yet"))),
            None => Ok(()),
        }
    }
}

/// bpftrace's stages, by ours.
fn debug(stage: &str) -> Failure {
    let ours = match stage {
        "parse" | "ast" => "kscope build --emit=ast SCRIPT",
        "types" => "kscope build --emit=hir SCRIPT",
        "codegen" | "codegen-opt" => "kscope build --emit=ir SCRIPT",
        "dis" => "kscope build --emit=asm SCRIPT",
        "verifier" | "libbpf" => "kscope -v SCRIPT",
        _ => "kscope build --emit=ast|hir|ir|asm SCRIPT",
    };
    Failure::Machine {
        message: format!("-d {stage} is bpftrace's way to look into the compiler"),
        hint: Some(format!("here it is: {ours}")),
    }
}
