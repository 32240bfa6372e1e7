//! The edges of the command line: flags, and what surrounds a run (its files, its command, its
//! signals).

use crate::harness::{Case, Outcome};
use crate::tracer::{Run, Running, kscope, run, signal, wait};
use std::process::Command;
use std::time::Duration;

/// The cases.
pub const CASES: &[Case] = &[
    Case { name: "bpftrace's flags work or are answered", needs: &[], run: flags },
    Case { name: "parameters are what follows the script", needs: &[], run: parameters },
    Case { name: "-l lists the probes of a script", needs: &[], run: listed_script },
    Case { name: "-p of a thread names its process", needs: &[], run: thread },
    Case { name: "-B changes when output is written, not what", needs: &[], run: buffering },
    Case { name: "messages are coloured on request only", needs: &[], run: colours },
    Case { name: "a command that cannot start is named", needs: &[], run: commands },
    Case { name: "a command that is killed ends the run", needs: &[], run: killed_command },
    Case { name: "a command that leaves a daemon behind ends the run", needs: &[], run: daemon },
    Case { name: "closed standard files are no reason to fail", needs: &[], run: closed_files },
    Case { name: "a full disk is told", needs: &[], run: full_disk },
    Case { name: "SIGHUP ends, SIGUSR1 does not, a stop only pauses", needs: &[], run: signals },
    Case { name: "a second Ctrl-C loses nothing", needs: &[], run: twice },
];

const ONCE: &str = "BEGIN { printf(\"once\\n\"); }";

/// Arguments, exit code, a part of what is said on stderr.
const FLAGS: &[(&[&str], i32, &str)] = &[
    (&["-f", "xml", "-e", ONCE], 2, "json"),
    (&["-B", "never", "-e", ONCE], 2, "line, full, none"),
    (&["-p", "0", "-e", ONCE], 2, "1..=4194304"),
    (&["-p", "-1", "-e", ONCE], 2, "1..=4194304"),
    (&["-p", "99999999999", "-e", ONCE], 2, "1..=4194304"),
    (&["-p", "self", "-e", ONCE], 2, "self"),
    (&["-p", "4194304", "-e", ONCE], 2, "there is no process 4194304"),
    (&["-o", "/nowhere/out", "-e", ONCE], 2, "/nowhere/out: No such file"),
    (&["-o", "/tmp", "-e", ONCE], 2, "/tmp: Is a directory"),
    (&["--include", "linux/fs.h", "-e", ONCE], 2, "--include (C headers) is not supported yet"),
    (&["-d", "ast", "-e", ONCE], 2, "kscope build --emit=ast"),
    (&["--debug", "codegen-opt", "-e", ONCE], 2, "kscope build --emit=ir"),
    (&["--emit-elf", "x", "-e", ONCE], 2, "kscope build -o"),
    (&["--dry-rum", "-e", ONCE], 2, "--dry-run"),
    (&["-c", "", "-e", ONCE], 2, "empty"),
    (&["-c", "echo 'x", "-e", ONCE], 2, "closing '"),
    (&["-l", "-p", "1", "uprobe:*"], 2, "/proc/1/exe"),
    (&["/"], 2, "cannot read /: Is a directory"),
    (&["-qv", "-vv", "-B", "none", "--no-warnings", "--unsafe", "-e", ONCE], 0, ""),
    (&["--verbose", "--quiet", "--output", "/dev/null", "-e", ONCE], 0, ""),
];

fn flags() -> Outcome {
    for (arguments, code, part) in FLAGS {
        let seen = run(arguments)?;
        let right = seen.code == *code && seen.stderr.contains(part);
        seen.expect(right, &format!("exit code {code} and `{part}` for {arguments:?}"))?;
    }
    for flag in ["-V", "--version", "-h", "--help"] {
        let seen = run(&[flag])?;
        seen.expect(seen.code == 0 && seen.stdout.contains("kscope"), &format!("an answer to {flag}"))?;
    }
    Ok(())
}

fn parameters() -> Outcome {
    let script = "BEGIN { printf(\"%d %s %s\\n\", $#, str($1), str($2)); }";
    for arguments in [
        &["-q", "-e", script, "list", "-x"][..],
        &["-q", "-e", script, "--", "list", "-x"],
        &["-qe", script, "--", "list", "-x"],
    ] {
        let seen = run(arguments)?;
        // Without `--`, `-x` is a flag that does not exist.
        let wanted = if arguments.contains(&"--") { (0, "2 list -x\n") } else { (2, "") };
        seen.expect(
            (seen.code, seen.stdout.trim_end_matches("\n\n"))
                == (wanted.0, wanted.1.trim_end_matches("\n\n")),
            "2 list -x behind --",
        )?;
    }
    Ok(())
}

fn listed_script() -> Outcome {
    let path = std::env::temp_dir().join(format!("kernel-suite-list-{}.bt", std::process::id()));
    let script = "BEGIN { } tracepoint:sched:sched_switch, tracepoint:raw_syscalls:sys_* { @ = count(); }";
    std::fs::write(&path, script).map_err(|error| error.to_string())?;
    let seen = run(&["-l", &path.to_string_lossy()]);
    let _ = std::fs::remove_file(&path);
    let wanted = "tracepoint:sched:sched_switch\ntracepoint:raw_syscalls:sys_enter\ntracepoint:raw_syscalls:sys_exit\n";
    let seen = seen?;
    seen.expect(seen.code == 0 && seen.stdout == wanted, wanted)?;
    let seen = run(&["-l", "-e", "tracepoint:sched:sched_swich { }"])?;
    seen.expect(seen.code == 1 && seen.stderr.contains("does not exist"), "exit code 1 for a wrong script")
}

fn thread() -> Outcome {
    let (sender, receiver) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        // SAFETY: gettid takes nothing and cannot fail.
        let _ = sender.send(unsafe { libc::gettid() });
        let _ = ended.recv();
    });
    let id = receiver.recv().map_err(|error| error.to_string())?;
    let seen = run(&["-p", &id.to_string(), "-e", ONCE]);
    drop(end);
    let _ = thread.join();
    let seen = seen?;
    let wanted = format!("{id} is a thread of the process {}", std::process::id());
    seen.expect(seen.code == 2 && seen.stderr.contains(&wanted), &wanted)
}

fn buffering() -> Outcome {
    let script = "BEGIN { printf(\"a\\n\"); printf(\"b\"); } END { printf(\"c\\n\"); @x = 1; }";
    for mode in ["line", "full", "none"] {
        let seen = run(&["-B", mode, "-e", script])?;
        seen.expect(seen.stdout == "a\nbc\n\n\n@x: 1\n", &format!("everything with -B {mode}"))?;
    }
    Ok(())
}

fn colours() -> Outcome {
    let failed = |color: Option<&str>| {
        let mut command = Command::new(kscope());
        command.args(["-e", "BEGIN { @x = ; }"]).env_remove("KSCOPE_COLOR").env_remove("BPFTRACE_COLOR");
        if let Some(color) = color {
            command.env("KSCOPE_COLOR", color);
        }
        wait(&mut command)
    };
    let seen = failed(Some("always"))?;
    seen.expect(seen.stderr.starts_with("\x1b[31mstdin:1:14-15: ERROR: "), "a red headline")?;
    let seen = failed(None)?;
    seen.expect(!seen.stderr.contains('\x1b'), "no colours where there is no terminal")
}

fn commands() -> Outcome {
    for (command, part) in [
        ("/no/such/program", "no file `/no/such/program`"),
        ("no-such-program", "`no-such-program` was not found"),
        ("/proc/self/status", "`/proc/self/status` is not executable"),
        ("/tmp", "`/tmp` is not executable"),
    ] {
        let seen = run(&["-c", command, "-e", "interval:s:9 { } END { printf(\"end\\n\"); }"])?;
        seen.expect(seen.code == 2 && seen.stderr.contains(part), part)?;
    }
    Ok(())
}

const UNTIL_THE_END: &str = "BEGIN { @x = 1; } interval:s:30 { exit(9); } END { printf(\"end\\n\"); }";

fn ended(run: &Run) -> Outcome {
    let right = run.code == 0 && run.stdout.contains("end\n\n\n") && run.map("@x") == Some("1");
    run.expect(right, "end, the maps and exit code 0")
}

fn killed_command() -> Outcome {
    ended(&run(&["-e", UNTIL_THE_END, "-c", "sh -c 'kill -9 $$'"])?)
}

fn daemon() -> Outcome {
    ended(&run(&["-e", UNTIL_THE_END, "-c", "sh -c '(sleep 1 >/dev/null 2>&1 &) ; exit 3'"])?)
}

/// `kscope` with a script, started by a shell that adds `redirections`.
fn redirected(script: &str, redirections: &str) -> Result<Run, String> {
    let line = format!("\"$0\" -e \"$1\" {redirections}");
    wait(Command::new("sh").args(["-c", &line, &kscope(), script]))
}

fn closed_files() -> Outcome {
    let seen = redirected(ONCE, "<&-")?;
    seen.expect(seen.code == 0 && seen.stdout.starts_with("once\n"), "a run without stdin")?;
    let seen = redirected(ONCE, ">&-")?;
    seen.expect(seen.code == 0 && seen.stdout.is_empty(), "a run without stdout")?;
    let seen = redirected(ONCE, "2>&-")?;
    seen.expect(seen.code == 0 && seen.stdout.starts_with("once\n"), "a run without stderr")?;
    let seen = redirected("BEGIN { @x = ; }", "2>&-")?;
    seen.expect(seen.code == 1, "exit code 1 without stderr")?;
    let seen = redirected("BEGIN { @x = ; }", "2>/dev/full")?;
    seen.expect(seen.code == 1, "exit code 1 when stderr is full")
}

fn full_disk() -> Outcome {
    for arguments in [&["-o", "/dev/full"][..], &["-B", "full", "-o", "/dev/full"]] {
        let seen = run(&[arguments, &["-e", ONCE]].concat())?;
        let right = seen.code == 2 && seen.stderr.contains("No space left on device");
        seen.expect(right, &format!("exit code 2 and why for {arguments:?}"))?;
    }
    let seen = redirected(ONCE, ">/dev/full")?;
    seen.expect(seen.code == 2 && seen.stderr.contains("No space left on device"), "exit code 2 and why")
}

const TICKS: &str = "BEGIN { @x = 1; } interval:ms:10 { @n++; } END { printf(\"end\\n\"); }";

fn signals() -> Outcome {
    let running = Running::start(&["-e", TICKS])?;
    for number in [libc::SIGUSR1, libc::SIGSTOP, libc::SIGCONT] {
        signal(running.pid(), number);
        std::thread::sleep(Duration::from_millis(50));
    }
    let run = running.stop(libc::SIGHUP)?;
    ended(&run)?;
    run.expect(run.map("@n").is_some(), "ticks")
}

fn twice() -> Outcome {
    let running = Running::start(&["-e", TICKS])?;
    signal(running.pid(), libc::SIGINT);
    ended(&running.stop(libc::SIGINT)?)
}
