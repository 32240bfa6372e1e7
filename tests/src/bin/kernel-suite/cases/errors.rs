//! Bad input of every kind: one clear message, the right exit code, nothing left behind.

use crate::harness::{Case, Need, Outcome};
use crate::tracer::{kscope, run, wait};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Instant;

/// The cases.
pub const CASES: &[Case] = &[
    Case { name: "script errors exit with 1 and show the place", needs: &[], run: script_errors },
    Case { name: "a misspelt kprobe is the script's fault", needs: &[Need::Kprobes], run: misspelt_kprobe },
    Case { name: "machine errors exit with 2", needs: &[], run: machine_errors },
    Case { name: "hostile scripts end quickly", needs: &[], run: hostile },
    Case { name: "without privileges it says so", needs: &[], run: unprivileged },
];

/// Script, first line of the message, a part of the rest.
const SCRIPT_ERRORS: &[(&str, &str, &str)] = &[
    ("BEGIN { @x = ; }", "stdin:1:14-15: ERROR: ", "~"),
    ("BEGIN { $x = nsecss; }", "stdin:1:14-20: ERROR: ", "nsecs"),
    ("BEGIN { prinf(\"x\"); }", "stdin:1:9-14: ERROR: ", "printf"),
    ("tracepoint:sched:sched_swich { @ = count(); }", "stdin:1:1-29: ERROR: ", "sched_switch"),
    ("tracepoint:sched:sched_switch { @ = args.prev_com; }", "stdin:1:42-50: ERROR: ", "prev_comm"),
    ("BEGIN { @x = 1; @x[1] = 2; }", "stdin:1:17-", "@x"),
    ("BEGIN { @x = 1; @x = \"a\"; }", "stdin:1:", "@x"),
];

fn script_errors() -> Outcome {
    for (script, first, part) in SCRIPT_ERRORS {
        let seen = run(&["-e", script])?;
        let wanted = format!("exit code 1 and `{first}…{part}` for {script}");
        seen.expect(seen.code == 1 && seen.stdout.is_empty(), &wanted)?;
        seen.expect(seen.stderr.starts_with(first) && seen.stderr.contains(part), &wanted)?;
    }
    Ok(())
}

fn misspelt_kprobe() -> Outcome {
    let seen = run(&["-e", "kprobe:vfs_readd { @ = count(); }"])?;
    let right = seen.stderr.starts_with("stdin:1:1-17: ERROR: ") && seen.stderr.contains("vfs_read`");
    seen.expect(seen.code == 1 && right, "exit code 1 and the function that was meant")
}

fn machine_errors() -> Outcome {
    if Need::Kprobes.is_missing() {
        let seen = run(&["-e", "kprobe:vfs_read { @ = count(); }"])?;
        seen.expect(
            seen.code == 2 && seen.stderr.contains("CONFIG_KPROBES"),
            "exit code 2 and the option's name",
        )?;
    }
    let seen = run(&["/no/such/file.bt"])?;
    seen.expect(
        seen.code == 2 && seen.stderr.contains("/no/such/file.bt"),
        "exit code 2 and the file's name",
    )?;
    let seen = run(&["--no-such-flag"])?;
    seen.expect(seen.code == 2, "exit code 2")?;
    let seen = run(&[])?;
    seen.expect(seen.code == 2 && seen.stderr.contains("no script"), "exit code 2 without a script")?;
    let seen = run(&["-p", "4194304", "-e", "BEGIN { @ = 1; }"])?;
    seen.expect(
        seen.code == 2 && seen.stderr.contains("4194304"),
        "exit code 2 for a process that is not there",
    )
}

fn hostile() -> Outcome {
    let noise: Vec<u8> = (0..100_000u32).map(|it| (it.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let text: String = noise.iter().map(|it| (b' ' + it % 95) as char).collect();
    let nested = format!("BEGIN {{ @x = {}1{}; }}", "(".repeat(10_000), ")".repeat(10_000));
    let mut large = String::new();
    while large.len() < 5_000_000 {
        large
            .push_str("BEGIN { @a = 1 + 2 * 3; printf(\"%d\\n\", @a); if (@a > 3) { @b[@a] = count(); } }\n");
    }
    for (name, bytes) in [
        ("random bytes", noise),
        ("random text", text.into_bytes()),
        ("nested parentheses", nested.into_bytes()),
        ("5 MB", large.into_bytes()),
    ] {
        let path = std::env::temp_dir().join(format!("kernel-suite-{}.bt", std::process::id()));
        std::fs::write(&path, bytes).map_err(|error| error.to_string())?;
        let start = Instant::now();
        let seen = run(&["check", &path.to_string_lossy()]);
        let took = start.elapsed();
        let _ = std::fs::remove_file(&path);
        let seen = seen?;
        let wanted = format!("{name}: exit code 1 and a message within a second, not {took:?}");
        seen.expect(seen.code == 1 && seen.stderr.contains("ERROR: "), &wanted)?;
        // Emulated machines are some ten times slower.
        let limit = if cfg!(debug_assertions) || std::env::var_os("OBJECTS").is_some() { 20 } else { 1 };
        seen.expect(took.as_secs() < limit, &wanted)?;
    }
    Ok(())
}

fn unprivileged() -> Outcome {
    let script = "tracepoint:raw_syscalls:sys_enter { @ = count(); }";
    // SAFETY: setgroups with no groups touches no memory; the child is about to become kscope.
    let nobody = |command: &mut Command| unsafe {
        command.pre_exec(|| {
            libc::setgroups(0, std::ptr::null());
            Ok(())
        });
    };
    let mut command = Command::new(kscope());
    command.args(["-e", script]).uid(65534).gid(65534);
    nobody(&mut command);
    let seen = wait(&mut command)?;
    seen.expect(seen.code == 2 && seen.stderr.contains("root"), "exit code 2 and a word about root")?;
    let mut command = Command::new(kscope());
    command.args(["check", "-e", "BEGIN { printf(\"%d\\n\", pid); }"]).uid(65534).gid(65534);
    let seen = wait(&mut command)?;
    seen.expect(seen.code == 0, "check to work without root")
}
