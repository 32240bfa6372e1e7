//! Who may do what: checks without root, what is said when capabilities are missing, and what a
//! running `kscope` still has.

use crate::harness::{Case, Outcome};
use crate::tracer::{Run, Running, kscope, run, wait, work};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The cases.
pub const CASES: &[Case] = &[
    Case { name: "check gives a verdict without root", needs: &[], run: checks },
    Case { name: "missing capabilities are named", needs: &[], run: missing_capabilities },
    Case { name: "a run keeps only the capabilities it needs", needs: &[], run: given_up },
    Case { name: "the command of -c keeps its privileges", needs: &[], run: kept_by_command },
];

/// Script, exit code of `check` as nobody, a part of what is said; nothing is said for an empty one.
const CHECKS: &[(&str, i32, &str)] = &[
    ("BEGIN { printf(\"%d\\n\", pid); }", 0, ""),
    ("tracepoint:raw_syscalls:sys_enter /pid == 1/ { @[args.id] = count(); }", 0, ""),
    ("tracepoint:syscalls:sys_exit_read /args.ret > 0/ { @[comm] = hist(args.ret); }", 0, ""),
    ("tracepoint:syscalls:sys_exit_raed { @ = hist(args.ret); }", 1, "does not exist"),
    ("tracepoint:syscalls:sys_enter_openat { printf(\"%s\\n\", str(args.filename)); }", 0, "not checked"),
    ("tracepoint:syscalls:sys_enter_openat { @ = args.flags; @x = 1; @x = \"a\"; }", 1, "`string[2]`"),
    ("tracepoint:sched:sched_switch { @[args.next_comm, args.next_pid] = count(); }", 0, "as it stands"),
    ("tracepoint:sched:sched_switch { @ = args.next_com; }", 1, "next_comm"),
    ("tracepoint:sched:sched_swich { @ = count(); }", 1, "sched_switch"),
    ("kprobe:vfs_raed { @ = count(); }", 1, "vfs_read"),
    ("fentry:vfs_read { @ = args.count; }", 0, ""),
    ("fentry:vfs_read { @ = args.cuont; }", 1, "args.count"),
];

fn checks() -> Outcome {
    for (script, code, part) in CHECKS {
        let seen = as_nobody(&["check", "-e", script])?;
        let right =
            seen.code == *code && seen.stderr.contains(part) && (!part.is_empty() || seen.stderr.is_empty());
        seen.expect(right, &format!("exit code {code} and `{part}` for {script}"))?;
    }
    let seen = as_nobody(&["check", "-e", "kprobe:vfs_read { @[arg2] = count(); }"])?;
    seen.expect(seen.code == 0, "a verdict on kprobes, whether this kernel has them or not")
}

fn as_nobody(arguments: &[&str]) -> Result<Run, String> {
    wait(Command::new(kscope()).args(arguments).uid(65534).gid(65534).stdin(Stdio::null()))
}

const PERFMON: u64 = 38;
const BPF: u64 = 39;

fn missing_capabilities() -> Outcome {
    let script = "tracepoint:raw_syscalls:sys_enter { @ = count(); }";
    for (kept, part) in [
        (vec![], "needs root, or the capabilities CAP_BPF and CAP_PERFMON\n"),
        (vec![BPF], "lacks CAP_PERFMON"),
        (vec![PERFMON], "lacks CAP_BPF"),
    ] {
        let seen = with_capabilities(&kept, &["-e", script])?;
        let right = seen.code == 2 && seen.stderr.starts_with("ERROR: ") && seen.stderr.contains(part);
        seen.expect(right, &format!("exit code 2 and `{part}` with {kept:?}"))?;
    }
    let seen = with_capabilities(&[BPF, PERFMON], &["-e", "BEGIN { printf(\"%d\\n\", 6 * 7); }"])?;
    seen.expect(seen.code == 0 && seen.stdout.starts_with("42\n"), "42 with the two capabilities alone")
}

/// Runs `kscope` as root with no other capabilities.
fn with_capabilities(kept: &[u64], arguments: &[&str]) -> Result<Run, String> {
    let kept = kept.to_vec();
    let mut command = Command::new(kscope());
    // SAFETY: prctl takes plain numbers; the child is about to become kscope. Numbers that this
    // kernel does not know are refused, which is as good.
    unsafe {
        command.pre_exec(move || {
            for number in (0..64).filter(|it| !kept.contains(it)) {
                libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0);
            }
            Ok(())
        });
    }
    wait(command.args(arguments).stdin(Stdio::null()))
}

/// What `linux/capability.h` numbers 2 (reading files), 5 (signals), 19 (other processes), 34 (kernel
/// addresses) and 39 (`bpf(2)`).
const RUNNING: u64 = 1 << 2 | 1 << 5 | 1 << 19 | 1 << 34 | 1 << 39;

fn given_up() -> Outcome {
    let running =
        Running::start(&["-e", "tracepoint:raw_syscalls:sys_enter { @ = count(); } END { @end = 1; }"])?;
    let start = Instant::now();
    let mut held = capabilities(running.pid());
    while held != Some((RUNNING, true)) && start.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(10));
        held = capabilities(running.pid());
    }
    let run = running.stop(libc::SIGINT)?;
    run.expect(held == Some((RUNNING, true)), &format!("{RUNNING:x} and no new privileges, not {held:x?}"))?;
    run.expect(run.map("@end") == Some("1") && run.map("@").is_some(), "end to run, and maps")
}

/// The effective capabilities of a process, and whether it can get no others.
fn capabilities(pid: u32) -> Option<(u64, bool)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = |name: &str| status.lines().find_map(|it| it.strip_prefix(name)).map(str::trim);
    Some((u64::from_str_radix(value("CapEff:")?, 16).ok()?, value("NoNewPrivs:")? == "1"))
}

fn kept_by_command() -> Outcome {
    let mine = capabilities(std::process::id()).ok_or("no capabilities in /proc")?;
    let seen = run(&[
        "-q",
        "-e",
        "tracepoint:raw_syscalls:sys_enter /pid == cpid/ { @ = count(); }",
        "-c",
        &work("privileges"),
    ])?;
    let wanted = format!("{:x} {}\n", mine.0, mine.1);
    seen.expect(seen.stdout.starts_with(&wanted), &wanted)
}

/// The load `privileges`: prints what a process has.
pub fn print_mine() {
    if let Some((effective, final_)) = capabilities(std::process::id()) {
        println!("{effective:x} {final_}");
    }
}
