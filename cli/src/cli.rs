//! What was typed: flags and subcommands, nothing interpreted.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// bpftrace's language compiled to eBPF without LLVM, for tracing and for packets.
#[derive(Debug, Parser)]
#[command(name = "kscope", version, disable_help_subcommand = true)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Cli {
    /// What to do instead of running a script.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Running a script, bpftrace's way.
    #[command(flatten)]
    pub trace: TraceArgs,
}

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Enter probes at a prompt and watch them run
    Repl(ReplArgs),
    /// Say what is wrong with a script without running it; needs no root
    Check(CheckArgs),
    /// Compile a script to an eBPF object, or print one of the compiler's stages
    Build(BuildArgs),
    /// Run an object that `kscope build` made
    Run(RunArgs),
    /// List probes, or the definition of a struct
    List(ListArgs),
    /// Show what this kernel offers
    Info,
}

/// Where a script comes from and its parameters.
#[derive(Debug, Args)]
pub struct ScriptArgs {
    /// The program text
    #[arg(short = 'e', value_name = "PROGRAM")]
    pub program: Option<String>,

    /// Look for headers in this folder too, behind the script's own
    #[arg(short = 'I', value_name = "FOLDER")]
    pub include: Vec<PathBuf>,

    /// Allow an action that changes the machine
    #[arg(long, value_name = "ACTION", value_delimiter = ',')]
    pub allow: Vec<AllowArg>,

    /// Allow every action that changes the machine
    #[arg(long = "unsafe")]
    pub allow_all: bool,

    /// Do not print warnings about the script
    #[arg(long)]
    pub no_warnings: bool,

    /// A script file (`-`: standard input) unless -e is given, then the script's parameters
    #[arg(value_name = "FILE|PARAMS")]
    pub rest: Vec<String>,
}

/// Actions that change the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AllowArg {
    /// Packet verdicts other than the default
    Verdict,
}

/// How to run.
#[derive(Debug, Args)]
pub struct SessionArgs {
    /// Start this command when the probes are attached, and end when it does
    #[arg(short = 'c', value_name = "COMMAND")]
    pub child: Option<String>,

    /// Trace this process, and end when it does
    #[arg(short = 'p', value_name = "PID")]
    pub pid: Option<u32>,

    /// Write the script's output to a file
    #[arg(short = 'o', value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// The form of the script's output
    #[arg(short = 'f', value_name = "FORMAT", default_value = "text")]
    pub format: FormatArg,

    /// Do not say how many probes are attached
    #[arg(short = 'q')]
    pub quiet: bool,

    /// Say what is attached and how; show whole kernel logs
    #[arg(short = 'v')]
    pub verbose: bool,
}

/// Output formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// bpftrace's text
    Text,
    /// One JSON object a line
    Json,
}

/// Running a script.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The script.
    #[command(flatten)]
    pub script: ScriptArgs,

    /// The session.
    #[command(flatten)]
    pub session: SessionArgs,

    /// List matching probes instead (with -v also their arguments)
    #[arg(short = 'l')]
    pub list: bool,

    /// Compile, show what would be attached, and stop
    #[arg(long)]
    pub dry_run: bool,

    /// Show what this kernel offers
    #[arg(long)]
    pub info: bool,
}

/// `kscope repl`
#[derive(Debug, Args)]
pub struct ReplArgs {
    /// Allow an action that changes the machine
    #[arg(long, value_name = "ACTION", value_delimiter = ',')]
    pub allow: Vec<AllowArg>,
}

/// `kscope check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The script.
    #[command(flatten)]
    pub script: ScriptArgs,
}

/// `kscope build`
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// The script.
    #[command(flatten)]
    pub script: ScriptArgs,

    /// The object file to write
    #[arg(short = 'o', value_name = "FILE", required_unless_present = "emit")]
    pub output: Option<PathBuf>,

    /// Print a stage of the compiler instead
    #[arg(long, value_name = "STAGE")]
    pub emit: Option<EmitArg>,

    /// Generate code for this kernel version (`6.12`), or for the running one (`host`)
    #[arg(long, value_name = "VERSION", default_value = "5.15")]
    pub kernel: String,
}

/// Stages that can be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EmitArg {
    /// The tree of the script
    Ast,
    /// The typed program
    Hir,
    /// The intermediate representation, optimised
    Ir,
    /// eBPF instructions
    Asm,
}

/// `kscope run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// An object that `kscope build` made
    pub object: PathBuf,

    /// The session.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// `kscope list`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// `kprobe:vfs_*`, `*sched*`, `struct task_struct`
    pub pattern: Option<String>,

    /// Also arguments and their types
    #[arg(short = 'v')]
    pub verbose: bool,
}
