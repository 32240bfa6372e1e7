//! Probes against loads with known counts, sizes, times and stacks.

use crate::harness::{Case, Need, Outcome};
use crate::tracer::{Run, program, run, work};
use crate::work::{THREADS, named_text};

/// The cases.
pub const CASES: &[Case] = &[
    Case { name: "count system calls by number", needs: &[], run: syscalls },
    Case { name: "print every open in order", needs: &[], run: opens },
    Case { name: "histogram and stats of read sizes", needs: &[], run: read_sizes },
    Case { name: "latency between two probes", needs: &[], run: latency },
    Case { name: "profile by stack", needs: &[], run: profile },
    Case { name: "scheduler tracepoints", needs: &[], run: scheduler },
    Case { name: "exec tracepoint with a dynamic string", needs: &[], run: exec },
    Case { name: "raw tracepoint with typed arguments", needs: &[], run: raw_tracepoint },
    Case { name: "tracepoint wildcard", needs: &[], run: wildcard },
    Case { name: "block tracepoints attach", needs: &[], run: block },
    Case { name: "interval prints and clears", needs: &[], run: interval },
    Case { name: "kprobe counts calls", needs: &[Need::Kprobes], run: kprobe },
    Case { name: "kretprobe sees results", needs: &[Need::Kprobes], run: kretprobe },
    Case { name: "kprobe wildcard and arguments", needs: &[Need::Kprobes], run: kprobe_arguments },
    Case { name: "kprobe at an offset", needs: &[Need::Kprobes], run: kprobe_offset },
    Case { name: "uprobe runs that interrupt one another", needs: &[], run: preempted },
    Case { name: "fentry reads through pointers", needs: &[Need::Trampolines], run: fentry },
    Case { name: "path and socket_cookie ask the kernel", needs: &[Need::Trampolines], run: objects },
    Case { name: "fexit sees arguments and result", needs: &[Need::Trampolines], run: fexit },
];

/// Runs a script over a load, as text and as JSON.
fn both(script: &str, load: &str) -> Result<(Run, Run), String> {
    let command = work(load);
    let text = run(&["-e", script, "-c", &command])?;
    let json = run(&["-f", "json", "-e", script, "-c", &command])?;
    text.expect(text.code == 0, "exit code 0")?;
    json.expect(json.code == 0, "exit code 0")?;
    Ok((text, json))
}

fn syscalls() -> Outcome {
    let script = "tracepoint:raw_syscalls:sys_enter /pid == cpid/ { @[args.id] = count(); }";
    let (text, json) = both(script, "getppid 1000")?;
    text.expect(text.map("@[110]") == Some("1000"), "@[110]: 1000")?;
    json.expect(json.json_map("map", "@")["110"] == 1000, "{\"@\": {\"110\": 1000}}")
}

fn opens() -> Outcome {
    const PATHS: usize = 5000;
    let script = "tracepoint:syscalls:sys_enter_openat { printf(\"%s %s\\n\", comm, str(args.filename)); }";
    let (text, json) = both(script, &format!("open /tmp/kernel-suite-{} {PATHS}", std::process::id()))?;
    let prefix = format!("kernel-suite /tmp/kernel-suite-{}", std::process::id());
    let due: Vec<String> = (0..PATHS).map(|index| format!("{prefix}{index}")).collect();
    let seen: Vec<&str> = text.stdout.lines().filter(|line| line.starts_with(&prefix)).collect();
    if seen != due {
        return Err(format!("{} of {PATHS} lines as text, or out of order", seen.len()));
    }
    let printed = json.json("printf");
    let lines = printed.iter().filter_map(|it| it.as_str()).filter(|it| it.starts_with(&prefix));
    let seen: Vec<&str> = lines.map(str::trim_end).collect();
    if seen != due {
        return Err(format!("{} of {PATHS} lines as JSON, or out of order", seen.len()));
    }
    Ok(())
}

/// The counts of a text histogram's rows, by label.
fn rows<'a>(run: &'a Run, header: &str) -> Vec<(&'a str, u64)> {
    let body = run.stdout.lines().skip_while(|line| *line != header).skip(1);
    body.take_while(|line| !line.is_empty())
        .filter_map(|line| {
            let (left, _) = line.split_once('|')?;
            let (label, count) = left.trim_end().rsplit_once(' ')?;
            Some((label.trim(), count.parse().ok()?))
        })
        .collect()
}

fn read_sizes() -> Outcome {
    let script = "tracepoint:syscalls:sys_exit_read /args.ret > 0/ \
                  { @bytes[comm] = hist(args.ret); @s = stats(args.ret); } \
                  tracepoint:syscalls:sys_exit_read /args.ret > 0 && comm == \"reader\"/ \
                  { @mine = stats(args.ret); }";
    let (text, json) = both(script, "read 7x1 100x10 50x1000 3x70000")?;
    let rows = rows(&text, "@bytes[reader]:");
    let due = [("[1]", 7), ("[8, 16)", 100), ("[512, 1K)", 50), ("[64K, 128K)", 3)];
    for (label, count) in due {
        text.expect(rows.contains(&(label, count)), &format!("{count} in {label}, among {rows:?}"))?;
    }
    let total: u64 = rows.iter().map(|it| it.1).sum();
    text.expect(total == 160, "160 samples")?;
    text.expect(
        text.map("@mine") == Some("{ .count = 160, .average = 1631, .total = 261007 }"),
        "stats of exactly the 160 reads",
    )?;
    text.expect(text.map("@s").is_some_and(|it| it.starts_with("{ .count = ")), "stats of all reads")?;
    let buckets = json.json_map("hist", "@bytes")["reader"].clone();
    let due = serde_json::json!({"min": 512, "max": 1023, "count": 50});
    json.expect(buckets.as_array().is_some_and(|it| it.contains(&due)), "the bucket from 512 to 1023")?;
    let due = serde_json::json!({"count": 160, "average": 1631, "total": 261_007});
    json.expect(json.json_map("stats", "@mine") == due, "stats of exactly the 160 reads")
}

fn latency() -> Outcome {
    let script = "tracepoint:syscalls:sys_enter_clock_nanosleep /pid == cpid/ { @start[tid] = nsecs; } \
                  tracepoint:syscalls:sys_exit_clock_nanosleep /@start[tid]/ \
                  { @us = hist((nsecs - @start[tid]) / 1000); delete(@start[tid]); }";
    let (text, json) = both(script, "sleep")?;
    let rows = rows(&text, "@us:");
    let below = |label: &str| ["[1K, 2K)", "[2K, 4K)", "[4K, 8K)", "[8K, 16K)"].contains(&label);
    let short: u64 = rows.iter().filter(|it| below(it.0)).map(|it| it.1).sum();
    let all: u64 = rows.iter().map(|it| it.1).sum();
    text.expect((short, all) == (10, 20), "10 samples of 1 ms and 10 of 20 ms")?;
    text.expect(!text.stdout.contains("@start"), "an empty @start")?;
    let buckets = json.json_map("hist", "@us");
    let counts = buckets.as_array().into_iter().flatten().filter_map(|it| it["count"].as_u64());
    json.expect(counts.sum::<u64>() == 20, "20 samples")
}

fn profile() -> Outcome {
    let script = "profile:hz:99 { @[kstack, ustack, comm] = count(); }";
    let text = run(&["-e", script, "-c", &work("busy 5000")])?;
    let (mut seventy, mut thirty, mut block) = (0u64, 0u64, String::new());
    for line in text.stdout.lines() {
        block.push_str(line);
        let Some((_, count)) = line.strip_suffix('\n').unwrap_or(line).rsplit_once("]: ") else { continue };
        let count: u64 = count.parse().unwrap_or(0);
        match (block.contains("busy_seventy"), block.contains("busy_thirty")) {
            (true, false) => seventy += count,
            (false, true) => thirty += count,
            _ => {}
        }
        block.clear();
    }
    let share = 100.0 * seventy as f64 / (seventy + thirty).max(1) as f64;
    text.expect(seventy + thirty > 100, "more than 100 samples in the two functions")?;
    text.expect((65.0..=75.0).contains(&share), &format!("70 % ± 5 in busy_seventy, not {share:.1} %"))
}

/// Each run has its own text and numbers, and counts once, whatever comes between.
fn preempted() -> Outcome {
    const COUNT: u64 = 20_000;
    let script = format!(
        "uprobe:{}:suite_named {{ $s = str(arg0); @by[$s, $s == str(arg0)] = count(); @n = count(); \
         @least[arg1 / 1000000] = min(arg1); @most = max(arg1); @all = stats(arg1 % 7); }}",
        program()
    );
    let run = run(&["-e", &script, "-c", &work(&format!("preempt {COUNT}"))])?;
    for thread in 0..THREADS {
        let text = named_text(thread);
        run.expect(run.map(&format!("@by[{text}, true]")) == Some("20000"), "20000 calls of each thread")?;
        let least = (thread + 1) * 1_000_000;
        run.expect(run.map(&format!("@least[{}]", thread + 1)) == Some(&least.to_string()), "each least")?;
    }
    let others = run.stdout.lines().filter(|it| it.starts_with("@by[")).count() as u64 - THREADS;
    run.expect(others == 0, "no mixed texts")?;
    run.expect(run.map("@n") == Some(&(THREADS * COUNT).to_string()), "all calls")?;
    run.expect(run.map("@most") == Some(&(THREADS * 1_000_000 + COUNT - 1).to_string()), "the greatest")?;
    run.expect(run.map("@all").is_some_and(|it| it.contains(".count = 160000,")), "all calls in stats")
}

fn scheduler() -> Outcome {
    let script = "tracepoint:sched:sched_switch { @switches = count(); @[args.prev_comm] = count(); } \
                  tracepoint:sched:sched_switch /args.next_pid == cpid/ { @mine = count(); }";
    let text = run(&["-e", script, "-c", &work("sleep")])?;
    let mine: u64 = text.map("@mine").and_then(|it| it.parse().ok()).unwrap_or(0);
    text.expect(mine >= 20, "at least one switch to the child for each of its 20 sleeps")?;
    let by_name: u64 = text.map("@[kernel-suite]").and_then(|it| it.parse().ok()).unwrap_or(0);
    text.expect(by_name >= 20, "at least one switch from the child for each of its 20 sleeps")
}

fn exec() -> Outcome {
    let script = "tracepoint:sched:sched_process_exec /pid == cpid/ \
                  { printf(\"%d %s\\n\", args.pid == cpid, str(args.filename)); }";
    let text = run(&["-e", script, "-c", &work("exec /bin/true")])?;
    let seen: Vec<&str> = text.stdout.lines().filter(|it| it.ends_with("/bin/true")).collect();
    text.expect(seen == ["1 /bin/true"], "one exec of /bin/true by the child")
}

fn raw_tracepoint() -> Outcome {
    let script = "rawtracepoint:sys_enter /pid == cpid && args.id == 110/ { @ = count(); } \
                  rawtracepoint:sched_switch { @next[args.next->comm] = count(); }";
    let text = run(&["-e", script, "-c", &work("getppid 1000")])?;
    text.expect(text.map("@") == Some("1000"), "@: 1000")?;
    text.expect(text.stdout.contains("@next[kernel-suite]: "), "a switch to the child")
}

fn wildcard() -> Outcome {
    let script = "tracepoint:syscalls:sys_*_getppid /pid == cpid/ { @[probe] = count(); }";
    let text = run(&["-e", script, "-c", &work("getppid 300")])?;
    for event in ["sys_enter_getppid", "sys_exit_getppid"] {
        let name = format!("@[tracepoint:syscalls:{event}]");
        text.expect(text.map(&name) == Some("300"), &format!("{name}: 300"))?;
    }
    Ok(())
}

fn block() -> Outcome {
    let script = "tracepoint:block:* { @[probe] = count(); } interval:ms:50 { exit(); }";
    let text = run(&["-e", script])?;
    text.expect(text.code == 0 && text.stderr.contains("Attached "), "attached to all block tracepoints")
}

fn interval() -> Outcome {
    let script = "tracepoint:raw_syscalls:sys_enter /pid == cpid/ { @ = count(); } \
                  interval:ms:200 { print(@); clear(@); @n++; } END { clear(@); }";
    let text = run(&["-e", script, "-c", &work("wait 700")])?;
    let rounds: u64 = text.map("@n").and_then(|it| it.parse().ok()).unwrap_or(0);
    text.expect((2..=4).contains(&rounds), "3 rounds of 200 ms in 700 ms")?;
    text.expect(text.stdout.contains("@: "), "a printed count")
}

fn kprobe() -> Outcome {
    let (text, json) = both("kprobe:vfs_read { @[comm] = count(); }", "read 1000x10")?;
    text.expect(text.map("@[reader]") == Some("1000"), "@[reader]: 1000")?;
    json.expect(json.json_map("map", "@")["reader"] == 1000, "1000 of reader")
}

fn kretprobe() -> Outcome {
    let script = "kretprobe:vfs_read { @ = lhist(retval, 0, 2000, 200); } \
                  kretprobe:vfs_read /comm == \"reader\"/ { @mine = lhist(retval, 0, 2000, 200); }";
    let (text, json) = both(script, "read 5x100 7x350 11x5000")?;
    let rows = rows(&text, "@mine:");
    text.expect(rows.first() == Some(&("[0, 200)", 5)), "5 in [0, 200)")?;
    text.expect(rows.get(1) == Some(&("[200, 400)", 7)), "7 in [200, 400)")?;
    text.expect(rows.last() == Some(&("[2000, ...)", 11)), "11 in [2000, ...)")?;
    text.expect(text.stdout.contains("\n@:\n"), "the histogram of all reads")?;
    let buckets = json.json_map("hist", "@mine");
    let due = serde_json::json!({"min": 2000, "count": 11});
    json.expect(buckets.as_array().is_some_and(|it| it.contains(&due)), "11 above 2000")
}

fn kprobe_arguments() -> Outcome {
    let script = "kprobe:vfs_rea* /comm == \"reader\"/ { @[probe] = sum(arg2); }";
    let text = run(&["-e", script, "-c", &work("read 5x100 7x350")])?;
    text.expect(text.map("@[kprobe:vfs_read]") == Some("2950"), "@[kprobe:vfs_read]: 2950")
}

fn kprobe_offset() -> Outcome {
    let script = "kprobe:vfs_read+0 /comm == \"reader\"/ { @ = count(); }";
    let text = run(&["-e", script, "-c", &work("read 5x100")])?;
    text.expect(text.map("@") == Some("5"), "@: 5")
}

fn fentry() -> Outcome {
    let script = "fentry:vfs_open { printf(\"%s\\n\", str(args.path->dentry->d_name.name)); }";
    let folder = std::env::temp_dir().join(format!("kernel-suite-{}-", std::process::id()));
    let prefix = folder.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    for index in 0..20 {
        let path = format!("{}{index}", folder.display());
        std::fs::write(&path, "").map_err(|error| format!("{path}: {error}"))?;
    }
    let outcome = both(script, &format!("open {} 20", folder.display()));
    for index in 0..20 {
        let _ = std::fs::remove_file(format!("{}{index}", folder.display()));
    }
    let (text, json) = outcome?;
    let due: Vec<String> = (0..20).map(|index| format!("{prefix}{index}")).collect();
    let seen: Vec<&str> = text.stdout.lines().filter(|it| it.starts_with(&prefix)).collect();
    text.expect(seen == due, "20 names in order")?;
    let printed = json.json("printf");
    let lines = printed.iter().filter_map(|it| it.as_str()).filter(|it| it.starts_with(&prefix));
    json.expect(lines.map(str::trim_end).eq(due.iter().map(String::as_str)), "20 names in order")
}

fn objects() -> Outcome {
    let prefix = std::env::temp_dir().join(format!("kernel-suite-path-{}-", std::process::id()));
    // The load opens the prefix with a number behind it.
    let shown = format!("{}0", prefix.display());
    let file = std::path::PathBuf::from(&shown);
    std::fs::write(&file, "").map_err(|error| error.to_string())?;
    let load = format!("open {} 1", prefix.display());
    let script = "fentry:security_file_open /pid == cpid/ { @[path(args.file->f_path)] = count(); \
                  @short[path(&args.file->f_path, 3)] = count(); }";
    let text = run(&["-e", script, "-c", &work(&load)]);
    let _ = std::fs::remove_file(&file);
    let text = text?;
    text.expect(text.map(&format!("@[{shown}]")) == Some("1"), &shown)?;
    // No path of three bytes with its end: none of these files is in the root folder.
    text.expect(text.map("@short[]").is_some(), "an empty path")?;
    let script = "fentry:tcp_v4_connect { @ = socket_cookie(args.sk); if (socket_cookie(args.sk) == @) { @same = 1; } }";
    let seen = run(&["-e", script, "-c", &work("tcp-client 127.0.0.1:1")])?;
    let cookie = seen.map("@").and_then(|it| it.parse().ok()).unwrap_or(0u64);
    seen.expect(cookie != 0 && seen.map("@same") == Some("1"), "a number that stays")
}

fn fexit() -> Outcome {
    let script = "fexit:vfs_read /comm == \"reader\"/ { @[args.count] = sum(retval); }";
    let text = run(&["-e", script, "-c", &work("read 5x100 7x350")])?;
    text.expect(text.map("@[100]") == Some("500"), "@[100]: 500")?;
    text.expect(text.map("@[350]") == Some("2450"), "@[350]: 2450")
}
