//! How a run ends: what is printed, the exit code, and that nothing stays attached.

use crate::harness::{Case, Outcome};
use crate::tracer::{Running, gone, run, signal, work};
use std::process::Command;

/// The cases.
pub const CASES: &[Case] = &[
    Case { name: "Ctrl-C runs end and prints maps", needs: &[], run: interrupt },
    Case { name: "SIGTERM runs end and prints maps", needs: &[], run: terminate },
    Case { name: "exit(3) gives exit code 3", needs: &[], run: exit_code },
    Case { name: "begin and end alone", needs: &[], run: begin_end },
    Case { name: "the end of the child ends the run", needs: &[], run: child_end },
    Case { name: "kill -9 leaves nothing attached", needs: &[], run: kill },
    Case { name: "a closed pipe is silent", needs: &[], run: closed_pipe },
    Case { name: "-p ends with the process", needs: &[], run: traced_process },
    Case { name: "-o writes a file", needs: &[], run: output_file },
    Case { name: "works without tracefs and bpffs mounted", needs: &[], run: no_mounts },
];

const SCRIPT: &str = "BEGIN { printf(\"begun\\n\"); @x = 41; } tracepoint:raw_syscalls:sys_enter { @ = count(); } \
                      END { @x++; printf(\"ended\\n\"); }";

fn stopped_by(number: i32) -> Outcome {
    let running = Running::start(&["-e", SCRIPT])?;
    let programs = running.programs();
    if programs.is_empty() {
        return Err("no eBPF program while it runs".to_owned());
    }
    let run = running.stop(number)?;
    run.expect(run.code == 0, "exit code 0")?;
    run.expect(run.stdout.starts_with("begun\n") && run.stdout.contains("\nended\n"), "begin and end run")?;
    run.expect(run.map("@x") == Some("42") && run.map("@").is_some(), "printed maps")?;
    gone(&programs)
}

fn interrupt() -> Outcome {
    stopped_by(libc::SIGINT)
}

fn terminate() -> Outcome {
    stopped_by(libc::SIGTERM)
}

fn exit_code() -> Outcome {
    let script =
        "interval:ms:10 /@ == 0/ { @ = 7; printf(\"before\\n\"); exit(3); } END { printf(\"end\\n\"); }";
    let text = run(&["-e", script])?;
    text.expect(text.code == 3, "exit code 3")?;
    text.expect(text.stdout == "before\nend\n\n\n@: 7\n", "the events, end, two empty lines, the map")?;
    let text = run(&["-e", "BEGIN { exit(300); }"])?;
    text.expect(text.code == 44, "exit code 300 & 255 = 44")
}

fn begin_end() -> Outcome {
    let text = run(&["-e", "BEGIN { printf(\"a\\n\"); } END { printf(\"b\\n\"); @x = 1; }"])?;
    text.expect(text.code == 0 && text.stdout == "a\nb\n\n\n@x: 1\n", "a, b and @x: 1")
}

fn child_end() -> Outcome {
    let text = run(&["-e", SCRIPT, "-c", &work("getppid 10")])?;
    text.expect(text.code == 0 && text.stdout.contains("ended\n"), "end runs, exit code 0")?;
    let text = run(&["-e", "BEGIN { @ = 1; }", "-c", "/no/such/program"])?;
    text.expect(text.code == 2 && text.stderr.contains("/no/such/program"), "an error that names the program")
}

fn kill() -> Outcome {
    let running = Running::start(&["-e", SCRIPT])?;
    let programs = running.programs();
    let run = running.stop(libc::SIGKILL)?;
    run.expect(run.code == 137, "killed")?;
    gone(&programs)
}

fn closed_pipe() -> Outcome {
    let kscope = crate::tracer::kscope();
    let pipe = "\"$0\" -e 'interval:ms:1 { printf(\"x\\n\"); }' | head -n 3";
    let run = crate::tracer::wait(Command::new("sh").args(["-c", pipe, &kscope]))?;
    run.expect(run.stdout == "x\nx\nx\n", "three lines")?;
    run.expect(!run.stderr.to_lowercase().contains("pipe"), "no word about the pipe")
}

fn traced_process() -> Outcome {
    let mut child = Command::new("sleep").arg("0.5").spawn().map_err(|error| error.to_string())?;
    let pid = child.id().to_string();
    let text =
        run(&["-p", &pid, "-e", "tracepoint:raw_syscalls:sys_* { @[pid] = count(); } END { @end = 1; }"]);
    signal(child.id(), libc::SIGKILL);
    let _ = child.wait();
    let text = text?;
    text.expect(text.map("@end") == Some("1"), "an end when the process ends")?;
    let others = text.stdout.lines().filter(|it| it.starts_with("@[") && !it.contains(&pid));
    text.expect(others.count() == 0, "only events of the process")
}

fn output_file() -> Outcome {
    let path = std::env::temp_dir().join(format!("kernel-suite-{}.out", std::process::id()));
    let name = path.to_string_lossy().into_owned();
    let text = run(&["-o", &name, "-e", "BEGIN { printf(\"to a file\\n\"); @a = 5; }"])?;
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let _ = std::fs::remove_file(&path);
    text.expect(
        text.stdout.is_empty() && written == "to a file\n\n\n@a: 5\n",
        &format!("the file to hold it all, not {written:?}"),
    )
}

fn no_mounts() -> Outcome {
    let kscope = crate::tracer::kscope();
    let script = "umount -l /sys/kernel/tracing /sys/kernel/debug /sys/fs/bpf 2>/dev/null; \
                  exec \"$0\" -e 'tracepoint:raw_syscalls:sys_enter { @ = count(); } interval:ms:50 { exit(); }'";
    let run = crate::tracer::wait(Command::new("unshare").args(["-m", "sh", "-c", script, &kscope]))?;
    run.expect(run.code == 0 && run.map("@").is_some(), "a count")
}
