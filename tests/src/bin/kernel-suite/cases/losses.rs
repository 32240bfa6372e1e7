//! Nothing is lost silently: events without room, full maps, cut strings and failures are shown,
//! with numbers that add up to what was due.

use crate::harness::{Case, Outcome};
use crate::tracer::{Run, Running, kscope, run, signal, wait, work};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The cases.
pub const CASES: &[Case] = &[
    Case { name: "events lost while the reader stands still are counted", needs: &[], run: stopped_reader },
    Case { name: "events lost in begin are counted", needs: &[], run: flooded_ring },
    Case { name: "updates that a full map refuses are counted", needs: &[], run: full_maps },
    Case { name: "strings that were cut are marked", needs: &[], run: cut_strings },
    Case { name: "failures are told at the script's line", needs: &[], run: failures },
    Case { name: "floods of failures are counted", needs: &[], run: failure_flood },
];

/// The number in `PREFIX N SUFFIX` lines, summed.
fn total(text: &str, prefix: &str, suffix: &str) -> u64 {
    let numbers =
        text.lines().filter_map(|it| it.strip_prefix(prefix)?.strip_suffix(suffix)?.parse::<u64>().ok());
    numbers.sum()
}

/// Lines that are the numbers from 0 on; how many.
fn counted_lines(run: &Run) -> Result<u64, String> {
    let seen: Vec<u64> = run.stdout.lines().map_while(|it| it.parse().ok()).collect();
    run.expect(seen.iter().copied().eq(0..seen.len() as u64), "the first events, in order")?;
    Ok(seen.len() as u64)
}

fn stopped_reader() -> Outcome {
    const DUE: u64 = 5_000;
    let script = format!(
        "config = {{ perf_rb_pages = 1 }} \
         tracepoint:raw_syscalls:sys_enter /comm == \"kernel-suite\" && args.id == {}/ \
         {{ printf(\"%lld\\n\", @due++); }}",
        libc::SYS_getppid
    );
    let running = Running::start(&["-e", &script])?;
    signal(running.pid(), libc::SIGSTOP);
    stands_still(running.pid())?;
    let load = work(&format!("getppid {DUE}"));
    let words: Vec<&str> = load.split(' ').collect();
    let loaded = wait(Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()));
    signal(running.pid(), libc::SIGCONT);
    let run = running.stop(libc::SIGINT)?;
    loaded.and_then(|it| it.expect(it.code == 0, "a load that ends well"))?;
    run.expect(run.map("@due") == Some("5000"), "5000 events")?;
    let (seen, lost) = (counted_lines(&run)?, total(&run.stderr, "Lost ", " events"));
    run.expect(seen > 0 && lost > 0 && seen + lost == DUE, &format!("{seen} seen + {lost} lost = {DUE}"))
}

/// Waits until a process is stopped.
fn stands_still(pid: u32) -> Outcome {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|error| error.to_string())?;
        if stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T')) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(format!("process {pid} does not stop"))
}

/// Nobody reads while `begin` runs, so only one page of records is seen.
fn flooded_ring() -> Outcome {
    let script = "config = { perf_rb_pages = 1 } BEGIN { for ($i : 0..1000) { printf(\"%lld\\n\", $i); } }";
    let text = run(&["-e", script])?;
    let (seen, lost) = (counted_lines(&text)?, total(&text.stderr, "Lost ", " events"));
    text.expect(seen > 0 && seen + lost == 1000, &format!("{seen} seen + {lost} lost = 1000"))?;
    let json = run(&["-f", "json", "-e", script])?;
    let events: u64 = json.json("lost_events").iter().filter_map(|it| it["events"].as_u64()).sum();
    let printed = json.json("printf").len() as u64;
    json.expect((printed, events) == (seen, lost), &format!("{seen} seen and {lost} lost, as in text"))
}

fn full_maps() -> Outcome {
    let script = "config = { max_map_keys = 10 } BEGIN { for ($i : 0..1000) { \
                  @set[$i] = 1; @count[$i] = count(); @add[$i]++; @hist[$i] = hist($i); } }";
    let text = run(&["-e", script])?;
    for map in ["set", "count", "add", "hist"] {
        let message = format!("WARNING: map @{map} is full, it holds 10 keys: 990 updates were refused\n");
        text.expect(text.stderr.contains(&message), &message)?;
        let entries = text.stdout.matches(&format!("@{map}[")).count();
        text.expect(entries == 10, &format!("10 entries of @{map}"))?;
    }
    let json = run(&["-f", "json", "-e", script])?;
    for map in ["set", "count", "add", "hist"] {
        let message =
            format!("\"retcode\": -7, \"map\": \"@{map}\", \"count\": 990, \"max_entries\": 10}}\n");
        json.expect(json.stdout.contains(&message), &message)?;
    }
    Ok(())
}

fn cut_strings() -> Outcome {
    let script = "config = { max_strlen = 16 } tracepoint:syscalls:sys_enter_openat \
                  /str(args.filename, 6) == \"/lost\"/ { printf(\"%s\\n\", str(args.filename)); }";
    for (prefix, due) in [("/lost/", "/lost/0\n"), ("/lost/in/a/long/path/", "/lost/in/a/long/..\n")] {
        let run = run(&["-q", "-c", &work(&format!("open {prefix} 1")), "-e", script])?;
        run.expect(run.stdout.trim_end() == due.trim_end(), due)?;
    }
    Ok(())
}

fn failures() -> Outcome {
    let script = "BEGIN { @a[1] = 1; $b = @a[2]; printf(\"[%s]\\n\", str(uptr((uint8 *)7))); \
                  $z = (uint64)pid - (uint64)pid; printf(\"%lld\\n\", 7 / $z); }";
    let division = "stdin:1:122-128: WARNING: Divide or modulo by 0 detected. This can lead to unexpected \
                    results. 1 is being used as the result.\n";
    let helpers = [
        "stdin:1:25-30: WARNING: Can't lookup map element because it does not exist.\n\
         Additional Info - helper: map_lookup_elem, retcode: 0\n",
        "stdin:1:49-70: WARNING: Bad address\nAdditional Info - helper: probe_read_user_str, retcode: -14\n",
    ];
    for flags in [&["-q", "-k"][..], &["-q"]] {
        let run = wait(Command::new(kscope()).args(flags).args(["-e", script]).stdin(Stdio::null()))?;
        run.expect(run.stdout == "[]\n1\n\n\n@a[1]: 1\n", "an empty string and 1")?;
        run.expect(run.stderr.contains(division), division)?;
        for text in helpers {
            run.expect(run.stderr.contains(text) == (flags.len() == 2), &format!("only with -k: {text}"))?;
        }
    }
    let json = run(&["-k", "-f", "json", "-e", script])?;
    let place = "\"filename\": \"stdin\", \"line\": 1, \"col\": 49}\n";
    let error = format!(
        "{{\"type\": \"helper_error\", \"msg\": \"Bad address\", \"helper\": \"probe_read_user_str\", \
         \"retcode\": -14, {place}"
    );
    json.expect(json.stdout.contains(&error), &error)
}

fn failure_flood() -> Outcome {
    let script = "BEGIN { for ($i : 0..1000) { @ = $i / (uint64)(pid - pid); } }";
    let text = run(&["-q", "-e", script])?;
    text.expect(text.stderr.matches("as the result.\n").count() == 100, "100 messages")?;
    let rest = "as the result. (900 more times, not shown one by one)\n";
    text.expect(text.stderr.matches(rest).count() == 1, "the number of the rest")
}
