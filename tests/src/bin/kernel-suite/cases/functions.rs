//! Functions on a real kernel: the loops that its verifier must follow, actions that leave the program.

use crate::harness::{Case, Outcome};
use crate::tracer::{run, work};
use std::time::{Duration, Instant};

/// The cases.
pub const CASES: &[Case] = &[
    Case { name: "functions look into strings of the load", needs: &[], run: strings },
    Case { name: "long strings can be looked through several times", needs: &[], run: long_strings },
    Case { name: "names of errors and calls are keys", needs: &[], run: names },
    Case { name: "reports, files and commands", needs: &[], run: actions },
    Case { name: "a signal ends the process that the probe is in", needs: &[], run: signal },
    Case { name: "a time series keeps each interval", needs: &[], run: series },
    Case { name: "the machine's numbers are right", needs: &[], run: machine },
];

/// Opens `/nowhere/file-0` to `-2`, as the child of `-c`.
fn opened(body: &str) -> Result<crate::tracer::Run, String> {
    let script = format!(
        "tracepoint:syscalls:sys_enter_openat /pid == cpid/ {{ $p = str(args.filename, 64);
           if (starts_with($p, \"/nowhere/\")) {{ {body} }} }}"
    );
    run(&["-q", "-e", &script, "-c", &work("open /nowhere/file- 3")])
}

fn strings() -> Outcome {
    let seen = opened(
        "print((strlen($p), strstr($p, \"file\"), strstr($p, \"no such\"), ends_with($p, \"-1\")));
         print((strmatch($p, \"/*/f?le-*\"), strmatch($p, \"*e*e*e*e*\"), strncmp($p, \"/no\", 3), strncmp($p, \"/on\", 3)));
         print(str_concat(str_concat(\"<\", $p), \">\")); printf(\"%rh\\n\", buf(args.filename, 3));
         print((memcmp(args.filename, \"/nowhere\", 8), strstr($p, str(args.filename + 9, 5))));",
    )?;
    let one = |n: u32| {
        format!("(15, 9, -1, {})\n(true, false, 0, 1)\n</nowhere/file-{n}>\n2f 6e 6f\n(0, 9)\n", n == 1)
    };
    let due: String = (0..3).map(one).collect();
    seen.expect(seen.code == 0 && seen.stdout.trim_end() == due.trim_end(), &due)
}

/// Strings of `max_strlen` bytes: each round of each loop is a way that older verifiers follow.
fn long_strings() -> Outcome {
    let script = "tracepoint:syscalls:sys_enter_openat /pid == cpid/ { $p = str(args.filename);
        if (strcontains($p, \"where/file\") && strmatch($p, \"*no*file*\") && strstr($p, \"file\") == 9) {
            print(strlen(str_concat($p, $p))); } }";
    let seen = run(&["-q", "-e", script, "-c", &work("open /nowhere/file- 2")])?;
    seen.expect(seen.code == 0 && seen.stdout.trim_end() == "30\n30", "30 twice")
}

fn names() -> Outcome {
    let script = "tracepoint:syscalls:sys_enter_openat /pid == cpid/ { @call[tid] = args.__syscall_nr; }
        tracepoint:syscalls:sys_exit_openat /pid == cpid && args.ret < 0/ {
            @[strerror(args.ret), syscall_name(@call[tid])] = count(); }
        END { clear(@call); }";
    let seen = run(&["-q", "-e", script, "-c", &work("open /nowhere/file- 7")])?;
    let right = seen.stdout.contains("@[No such file or directory, openat]: 7\n");
    seen.expect(seen.code == 0 && right, "seven times no such file from openat")
}

fn actions() -> Outcome {
    let script = "BEGIN { errorf(\"bad %d\\n\", 3); warnf(\"%s\", comm); cat(\"/proc/%d/comm\", pid);
        cat(\"/nowhere/at/all\"); system(\"echo one; exit 3\"); system(\"echo %s\", \"two\"); printf(\"end\\n\"); }";
    let seen = run(&["-q", "--allow", "system", "-e", script])?;
    seen.expect(seen.stdout.trim_end() == "kscope\none\n\ntwo\n\nend", "a file, two commands, text")?;
    let lines: Vec<&str> = seen.stderr.lines().collect();
    let due = [
        "stdin:1:9-30: ERROR: bad 3",
        "stdin:1:32-49: WARNING: kscope",
        "ERROR: failed to open file '/nowhere/at/all' (No such file or directory)",
        "ERROR: command exited with code 3",
    ];
    seen.expect(lines == due, &due.join("\n"))
}

fn signal() -> Outcome {
    let script =
        "tracepoint:raw_syscalls:sys_enter /pid == cpid && syscall_name(args.id) == \"clock_nanosleep\"/ {
        signal(\"KILL\"); }";
    let start = Instant::now();
    let seen = run(&["-q", "--allow", "signal", "-e", script, "-c", &work("wait 50000")])?;
    let soon = start.elapsed() < Duration::from_secs(40);
    seen.expect(seen.code == 0 && soon, "an end long before the load's own")
}

fn series() -> Outcome {
    let script = "interval:ms:20 { @n++; @t = tseries(7, 20ms, 100, \"sum\"); if (@n == 5) { exit(); } }";
    let seen = run(&["-q", "-f", "json", "-e", script])?;
    let series = seen.json_map("tseries", "@t");
    let values = series.as_array().cloned().unwrap_or_default();
    let total: i64 = values.iter().filter_map(|it| it["value"].as_i64()).sum();
    // A slow machine goes on for a while behind the exit.
    let fired = seen.json_map("map", "@n").as_i64().unwrap_or(0);
    seen.expect(fired >= 5 && total == 7 * fired, "seven for each time that the timer fired")
}

fn machine() -> Outcome {
    let script = "BEGIN { print((ncpus, numaid < 64, jiffies > 0, pid(init) > 0, usermode)); }
        interval:ms:10 { print((reg(\"ip\") == reg(\"pc\"), reg(\"ip\") > 0)); exit(); }";
    let seen = run(&["-q", "-e", script])?;
    let possible =
        std::fs::read_to_string("/sys/devices/system/cpu/possible").map_err(|error| error.to_string())?;
    let last: u32 = possible.trim().rsplit(['-', ',']).next().and_then(|it| it.parse().ok()).unwrap_or(0);
    let due = format!("({}, true, true, true, 0)\n(true, true)", last + 1);
    seen.expect(seen.code == 0 && seen.stdout.trim_end() == due, &due)
}
