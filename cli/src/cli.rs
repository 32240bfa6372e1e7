//! What was typed: flags and subcommands, nothing interpreted.

use crate::unsupported::UnsupportedArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Linux never gives a process a higher number.
const PID_MAX: i64 = 1 << 22;

/// The three ways to start.
const USAGE: &str = "kscope [OPTIONS] FILE [PARAMS]...
       kscope [OPTIONS] -e PROGRAM [PARAMS]...
       kscope COMMAND ...";

/// What a newcomer may type first, and what scripts around kscope must know.
const EXAMPLES: &str = r#"Examples:
  Count system calls by program, until Ctrl-C:
    kscope -e 'tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }'
  Print the files that a command opens:
    kscope -e 'tracepoint:syscalls:sys_enter_openat /pid == cpid/ { print(str(args.filename)); }' -c 'ls /'
  Run a script file with a parameter, $1:
    kscope script.bt 100
  List tracepoints with their arguments:
    kscope -lv 'tracepoint:sched:*'
  Drop and count pings:
    kscope --allow verdict -e 'xdp:eth0 /icmp/ { @[ip.saddr] = count(); drop; }'

Exit code: 0, or what the script's exit(n) says; 1 when the script is wrong, 2 when the arguments or
this machine are, 70 for a bug in kscope."#;

/// bpftrace's language compiled to eBPF without LLVM, for tracing and for packets.
#[derive(Debug, Parser)]
#[command(name = "kscope", version, disable_help_subcommand = true)]
#[command(override_usage = USAGE, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, args_override_self = true)]
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
    #[command(
        override_usage = "kscope check [OPTIONS] FILE [PARAMS]...\n       kscope check [OPTIONS] -e PROGRAM [PARAMS]..."
    )]
    Check(CheckArgs),
    /// Lay scripts out in one form; needs no root
    Fmt(FmtArgs),
    /// Compile a script to an eBPF object, or print one of the compiler's stages
    #[command(
        override_usage = "kscope build [OPTIONS] -o OBJECT FILE [PARAMS]...\n       kscope build [OPTIONS] -o OBJECT -e PROGRAM [PARAMS]...\n       kscope build [OPTIONS] --emit STAGE FILE [PARAMS]..."
    )]
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
    /// The script itself, instead of a file
    #[arg(short = 'e', value_name = "PROGRAM")]
    pub program: Option<String>,

    /// Look for headers and imported files in this folder too, behind the script's own
    #[arg(short = 'I', value_name = "FOLDER")]
    pub folders: Vec<PathBuf>,

    /// What it may do, and what is said of it.
    #[command(flatten)]
    pub rules: RuleArgs,

    /// The script's file, `-` for standard input (none with -e), then its parameters $1, $2, …
    #[arg(value_name = "FILE|PARAMS")]
    pub rest: Vec<String>,

    /// The script's own options, `--name=value` (`--help` lists them), and more parameters
    #[arg(last = true, value_name = "OPTIONS")]
    pub own: Vec<String>,
}

/// What a script may do, and what is said of it.
#[derive(Debug, Args)]
pub struct RuleArgs {
    /// Allow what changes the machine, by name
    #[arg(long, value_name = "ACTION", value_delimiter = ',')]
    pub allow: Vec<AllowArg>,

    /// Allow everything that changes the machine
    #[arg(long = "unsafe")]
    pub allow_all: bool,

    /// Also report helper calls that fail while the script runs
    #[arg(short = 'k', long)]
    pub warnings: bool,

    /// Do not print warnings about the script
    #[arg(long, conflicts_with = "warnings")]
    pub no_warnings: bool,
}

/// Actions that change the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AllowArg {
    /// Packet verdicts other than the default
    Verdict,
    /// Signals to processes
    Signal,
    /// Commands
    System,
    /// Other results of kernel functions
    Override,
    /// Changes to the memory of processes
    Write,
}

/// How to run.
#[derive(Debug, Args)]
pub struct SessionArgs {
    /// Start this command when the probes are attached, and end when it does
    #[arg(short = 'c', long = "cmd", value_name = "COMMAND", allow_hyphen_values = true)]
    pub child: Option<String>,

    /// Trace this process, and end when it does
    #[arg(short = 'p', long, value_parser = clap::value_parser!(u32).range(1..=PID_MAX), allow_negative_numbers = true)]
    pub pid: Option<u32>,

    /// Write the script's output to a file
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// The form of the script's output
    #[arg(short = 'f', value_name = "FORMAT", default_value = "text")]
    pub format: FormatArg,

    /// When the script's output is written
    #[arg(short = 'B', value_name = "MODE", default_value = "line")]
    pub buffering: BufferingArg,

    /// Do not say how many probes are attached
    #[arg(short = 'q', long)]
    pub quiet: bool,

    /// Say what is attached and how; show whole kernel logs
    #[arg(short = 'v', long)]
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

/// When output is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BufferingArg {
    /// A few milliseconds after the event, in whole lines
    Line,
    /// When 64 KiB have come together
    Full,
    /// Each message by itself
    None,
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

    /// List the probes that match a pattern, or those of a script (with -v also their arguments)
    #[arg(short = 'l', long)]
    pub list: bool,

    /// Compile, show what would be attached, and stop
    #[arg(long)]
    pub dry_run: bool,

    /// Show what this kernel offers
    #[arg(long)]
    pub info: bool,

    /// Flags of bpftrace that are answered with a message.
    #[command(flatten)]
    pub unsupported: UnsupportedArgs,
}

/// `kscope repl`
#[derive(Debug, Args)]
pub struct ReplArgs {
    /// Every entry's session; the command of -c is started for each one.
    #[command(flatten)]
    pub session: SessionArgs,

    /// What every entry may do, and what is said of it.
    #[command(flatten)]
    pub rules: RuleArgs,
}

/// `kscope check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The script.
    #[command(flatten)]
    pub script: ScriptArgs,
}

/// `kscope fmt`
#[derive(Debug, Args)]
pub struct FmtArgs {
    /// Change nothing: print the names of files that would change, and exit with 1 if there are any
    #[arg(long)]
    pub check: bool,

    /// Scripts to rewrite; `-` or none: from standard input to standard output
    #[arg(value_name = "FILE")]
    pub files: Vec<String>,
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

    /// Print a stage of the compiler instead of writing an object
    #[arg(long, value_name = "STAGE")]
    pub emit: Option<EmitArg>,

    /// The oldest kernel that shall run it (such as 6.12), or `host` for the running one
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

    /// Parameters, which an object has taken in when it was built.
    #[arg(hide = true, allow_hyphen_values = true)]
    pub params: Vec<String>,

    /// The session.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// `kscope list`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Such as 'tracepoint:sched:*', '*openat*' or 'struct task_struct'; without one, everything
    pub pattern: Option<String>,

    /// Also arguments and their types
    #[arg(short = 'v')]
    pub verbose: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_fit_together() {
        Cli::command().debug_assert();
    }
}
