//! Counters of the kernel, watchpoints and signals to the tracer, against loads with known counts.

use crate::harness::{Case, Outcome};
use crate::tracer::{Running, run, signal, work};
use std::time::Duration;

/// The cases.
pub const CASES: &[Case] = &[
    Case { name: "software counts page faults", needs: &[], run: page_faults },
    Case { name: "software fires every so many events", needs: &[], run: every_tenth },
    Case { name: "software follows the process of -p", needs: &[], run: process },
    Case { name: "hardware counts, or says that nothing does", needs: &[], run: hardware },
    Case { name: "watchpoint sees every write", needs: &[], run: writes },
    Case { name: "watchpoint tells reads from execution", needs: &[], run: modes },
    Case { name: "unwatch ends a watchpoint", needs: &[], run: unwatch },
    Case { name: "self:signal runs on SIGUSR1", needs: &[], run: own_signal },
];

/// Faults that a program makes by starting and ending.
const STARTING: u64 = 2_000;

fn page_faults() -> Outcome {
    let script = "software:page-faults:1 /pid == cpid/ { @[probe] = count(); }";
    let text = run(&["-e", script, "-c", &work("touch 10000")])?;
    let count = text.map("@[software:page-faults:1]").and_then(|it| it.parse().ok()).unwrap_or(0u64);
    text.expect((10_000..10_000 + STARTING).contains(&count), "10000 and those of the start")
}

fn every_tenth() -> Outcome {
    let script = "s:faults:10 /pid == cpid/ { @ = count(); }";
    let text = run(&["-e", script, "-c", &work("touch 10000")])?;
    let count = text.map("@").and_then(|it| it.parse().ok()).unwrap_or(0u64);
    // The counters are of CPUs, so others' faults count to the ten as well.
    text.expect((900..1_000 + STARTING / 10 + 100).contains(&count), "about a tenth of 10000")
}

fn process() -> Outcome {
    let mut child = std::process::Command::new("/proc/self/exe")
        .args(["work", "nap", "40"])
        .spawn()
        .map_err(|error| error.to_string())?;
    let script = "software:cs:1 { @[pid] = count(); }";
    let text = run(&["-p", &child.id().to_string(), "-e", script]);
    signal(child.id(), libc::SIGKILL);
    let _ = child.wait();
    let text = text?;
    let count = text.map(&format!("@[{}]", child.id())).and_then(|it| it.parse().ok()).unwrap_or(0u64);
    text.expect((15..80).contains(&count), "a switch for each nap that was seen")?;
    text.expect(text.stdout.matches("@[").count() == 1, "only the process")
}

fn hardware() -> Outcome {
    let text = run(&["-e", "hardware:instructions:1000000 { @ = count(); } interval:ms:200 { exit(); }"])?;
    match text.code {
        0 => text.expect(text.map("@").is_some(), "a count"),
        code => {
            text.expect(code == 2, "exit code 2")?;
            text.expect(text.stderr.contains("processor does not count `instructions`"), "the reason")
        }
    }
}

fn writes() -> Outcome {
    let script = "watchpoint:0x10000000:8:w /pid == cpid/ { @[probe] = count(); }";
    let text = run(&["-e", script, "-c", &work("write 1000 1000")])?;
    text.expect(text.map("@[watchpoint:0x10000000:8:w]") == Some("1000"), "1000 writes, no reads")
}

fn modes() -> Outcome {
    let script = "w:0x10000000:8:rw /pid == cpid/ { @ = count(); }";
    let text = run(&["-e", script, "-c", &work("write 300 200")])?;
    text.expect(text.map("@") == Some("500"), "300 writes and 200 reads")?;
    let script = "w:0x10000000:8:x /pid == cpid/ { @ = count(); } BEGIN { @ready = 1; }";
    let text = run(&["-e", script, "-c", &work("write 300 200")])?;
    text.expect(text.map("@").is_none() && text.map("@ready") == Some("1"), "no execution")
}

/// The first write ends the watchpoint, so most of the others go unseen.
fn unwatch() -> Outcome {
    let script = "watchpoint:0x10000000:8:w /pid == cpid/ { @ = count(); \
                  if (!@ended) { @ended = 1; unwatch(0x10000000); } }";
    let text = run(&["-e", script, "-c", &work("write 2000000 0")])?;
    let count = text.map("@").and_then(|it| it.parse().ok()).unwrap_or(0u64);
    text.expect((1..2_000_000).contains(&count), "some of the writes, not all")?;
    let script = "watchpoint:0x10000000:8:w /pid == cpid/ { @ = count(); unwatch(0x10000008); }";
    let text = run(&["-e", script, "-c", &work("write 100 0")])?;
    text.expect(text.map("@") == Some("100"), "all writes: another address was meant")
}

fn own_signal() -> Outcome {
    let script = "self:signal:SIGUSR1 { @ = count(); printf(\"%s %s\\n\", probe, probetype); } \
                  interval:s:100 { exit(); }";
    let running = Running::start(&["-e", script])?;
    for _ in 0..3 {
        signal(running.pid(), libc::SIGUSR1);
        std::thread::sleep(Duration::from_millis(100));
    }
    let text = running.stop(libc::SIGINT)?;
    text.expect(text.map("@") == Some("3"), "three signals")?;
    text.expect(text.stdout.starts_with("self:signal:SIGUSR1 self\n"), "the probe's name")
}
