//! The scripts of `scripts/`, each over a load of the suite's own: what it shows of that load must
//! be what the load did. The scripts are part of this binary, so that the virtual machines have them.

mod kernel;

use super::network::Link;
use crate::harness::{Case, Need, Outcome};
use crate::terminal::Terminal;
use crate::tracer::{Run, Running, program, run, work};
use std::process::Command;
use std::time::Duration;

pub use kernel::CASES as KERNEL_CASES;

/// A script of the folder.
macro_rules! script {
    ($name:literal) => {
        include_str!(concat!("../../../../../scripts/", $name, ".bt"))
    };
}

/// The cases that need no kprobes.
pub const CASES: &[Case] = &[
    Case { name: "script killsnoop", needs: &[], run: killsnoop },
    Case { name: "script sigsnoop", needs: &[], run: sigsnoop },
    Case { name: "script exitsnoop", needs: &[], run: exitsnoop },
    Case { name: "script execsnoop", needs: &[], run: execsnoop },
    Case { name: "script pidpersec", needs: &[], run: pidpersec },
    Case { name: "script opensnoop", needs: &[], run: opensnoop },
    Case { name: "script statsnoop", needs: &[], run: statsnoop },
    Case { name: "script syncsnoop", needs: &[], run: syncsnoop },
    Case { name: "script mountsnoop", needs: &[], run: mountsnoop },
    Case { name: "script setuids", needs: &[], run: setuids },
    Case { name: "script syscount", needs: &[], run: syscount },
    Case { name: "script syslat", needs: &[], run: syslat },
    Case { name: "script naptime", needs: &[], run: naptime },
    Case { name: "script offcpu", needs: &[], run: offcpu },
    Case { name: "script oncpu", needs: &[], run: oncpu },
    Case { name: "script runqlat", needs: &[], run: runqlat },
    Case { name: "script runqlen", needs: &[], run: runqlen },
    Case { name: "script cpuwalk", needs: &[], run: cpuwalk },
    Case { name: "script cgtop", needs: &[], run: cgtop },
    Case { name: "script faults", needs: &[], run: faults },
    Case { name: "script biosnoop", needs: &[Need::Disk], run: biosnoop },
    Case { name: "script bitesize", needs: &[Need::Disk], run: bitesize },
    Case { name: "script biolatency", needs: &[Need::Disk], run: biolatency },
    Case { name: "script biostacks", needs: &[Need::Disk], run: biostacks },
    Case { name: "script writeback", needs: &[Need::Disk, Need::Program("sync")], run: writeback },
    Case { name: "disk scripts run without a disk", needs: &[], run: without_disk },
    Case { name: "script tcpconnect", needs: &[], run: tcpconnect },
    Case { name: "script tcplife", needs: &[], run: tcplife },
    Case { name: "script tcpretrans", needs: &[], run: tcpretrans },
    Case { name: "script tcpdrop", needs: &[], run: tcpdrop },
    Case { name: "script blocknets", needs: &[Need::Veth], run: blocknets },
    Case { name: "script dropicmp", needs: &[Need::Veth], run: dropicmp },
    Case { name: "script gethostlatency", needs: &[Need::Program("getent")], run: gethostlatency },
    Case { name: "script threadsnoop", needs: &[Need::Program("python3")], run: threadsnoop },
    Case { name: "script bashreadline", needs: &[Need::Program("bash"), Need::Terminals], run: bashreadline },
];

/// The name that a load has, which no other process of the machine bears.
fn name() -> String {
    format!("load{}", std::process::id())
}

/// Runs a script over a command; it must end well and have nothing to complain of.
fn over_command(script: &str, command: &str, options: &[&str]) -> Result<Run, String> {
    let mut arguments = vec!["-q", "-e", script, "-c", command];
    if !options.is_empty() {
        arguments.push("--");
        arguments.extend(options);
    }
    let seen = run(&arguments)?;
    seen.expect(seen.code == 0 && seen.stderr.is_empty(), "exit code 0 and no complaint")?;
    Ok(seen)
}

/// Runs a script over a load of this suite under [`name`].
fn over(script: &str, load: &str) -> Result<Run, String> {
    over_command(script, &work(&format!("as {} {load}", name())), &[])
}

/// Lines in which a word is this text, as their words.
fn lines<'a>(seen: &'a Run, word: &str) -> Vec<Vec<&'a str>> {
    let words = seen.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.filter(|it| it.contains(&word)).collect()
}

/// A port for a load's server.
fn port() -> u16 {
    20_000 + (std::process::id() % 10_000) as u16
}

fn killsnoop() -> Outcome {
    let seen = over(script!("killsnoop"), "kill 3")?;
    let sent = lines(&seen, &name());
    let right = sent.iter().all(|it| it[4..] == ["15", "Terminated", "sent"]);
    seen.expect(sent.len() == 3 && right, "three signals sent")
}

fn sigsnoop() -> Outcome {
    let seen = over(script!("sigsnoop"), "kill 3")?;
    // A child that has not become another program yet bears its parent's name.
    let count = |child: &str| {
        let line = format!("@signals[{}, Terminated, {child}]", name());
        seen.map(&line).and_then(|it| it.parse::<u64>().ok()).unwrap_or(0)
    };
    seen.expect(count("kernel-suite") + count(&name()) == 3, "three children terminated")
}

fn exitsnoop() -> Outcome {
    let seen = over(script!("exitsnoop"), "children 3")?;
    let own = lines(&seen, &name());
    let own = own.first().ok_or("the load's own end is missing")?;
    seen.expect(own.ends_with(&["exit", "code", "0"]), "the load's exit code 0")?;
    let children = lines(&seen, own[2]).iter().filter(|it| it.ends_with(&["exit", "code", "7"])).count();
    seen.expect(children == 3, "three children with exit code 7")?;
    let killed = over(script!("exitsnoop"), "kill 2")?;
    let ends = killed.stdout.lines().filter(|it| it.contains("signal 15 Terminated")).count();
    killed.expect(ends >= 2, "two children that a signal ended")
}

fn execsnoop() -> Outcome {
    let seen = over(script!("execsnoop"), "children 3")?;
    let started = lines(&seen, &program()).len();
    seen.expect(started >= 4, "the load and its three children")
}

fn pidpersec() -> Outcome {
    let load = format!("{} work children 20 ; {} work wait 1200", program(), program());
    let seen = over_command(script!("pidpersec"), &format!("/bin/sh -c \"{load}\""), &[])?;
    let new = seen.stdout.lines().filter_map(|line| line.split_once("@new: ")?.1.parse::<u64>().ok());
    seen.expect(new.sum::<u64>() >= 20, "20 processes or more in all")
}

fn opensnoop() -> Outcome {
    let seen = over(script!("opensnoop"), "open /nowhere/at-all- 3")?;
    let opens: Vec<Vec<&str>> = lines(&seen, &name());
    let failed = opens.iter().filter(|it| it[2..4] == ["-1", "2"] && it[4].starts_with("/nowhere/at-all-"));
    seen.expect(failed.count() == 3, "three files that are not there")
}

fn statsnoop() -> Outcome {
    let load = work(&format!("as {} stat /nowhere/at-all- 3", name()));
    let seen = over_command(script!("statsnoop"), &load, &["--failed"])?;
    let due = [["2", "/nowhere/at-all-0"], ["2", "/nowhere/at-all-1"], ["2", "/nowhere/at-all-2"]];
    let asked = lines(&seen, &name());
    seen.expect(asked.iter().map(|it| &it[2..]).eq(due.iter().map(|it| &it[..])), "three failures in order")
}

fn syncsnoop() -> Outcome {
    let seen = over(script!("syncsnoop"), "sync 5")?;
    let calls = lines(&seen, &name());
    let count = |call: &str| calls.iter().filter(|it| it.last() == Some(&call)).count();
    seen.expect((count("fsync"), count("fdatasync")) == (5, 5), "five calls of each kind")
}

fn mountsnoop() -> Outcome {
    let seen = over(script!("mountsnoop"), "mount")?;
    let due = "mount tmpfs suite on /nowhere/suite: No such file or directory";
    let asked = lines(&seen, &name());
    seen.expect(asked.len() == 1 && asked[0][3..].join(" ") == due, due)
}

fn setuids() -> Outcome {
    let seen = over(script!("setuids"), "setuid")?;
    let calls: Vec<String> = lines(&seen, &name()).iter().map(|it| it[3..].join(" ")).collect();
    let due = ["0 setuid 0 0 0 done", "0 setreuid 0 0 -1 done", "0 setresuid -1 0 -1 done"];
    seen.expect(calls == due, "three calls of root for root")
}

/// The load goes on for longer than the script's second.
fn syscount() -> Outcome {
    let seen = over(script!("syscount"), "nap 60")?;
    let totals = seen.stdout.lines().filter_map(|line| line.strip_prefix("total ")?.parse::<u64>().ok());
    seen.expect(totals.sum::<u64>() >= 25, "calls in the first second")
}

fn syslat() -> Outcome {
    let load = work(&format!("as {} getppid 1000", name()));
    let seen = over_command(script!("syslat"), &load, &[&format!("--comm={}", name())])?;
    let line = seen.stdout.lines().find_map(|it| it.strip_prefix("@nsecs[getppid]: { .count = "));
    seen.expect(line.is_some_and(|it| it.starts_with("1000, .p50 = [")), "1000 calls of getppid")
}

fn naptime() -> Outcome {
    let seen = over(script!("naptime"), "nap 5")?;
    let naps = lines(&seen, &name());
    let right = naps.iter().all(|it| it[5] == "20" && it[6].parse().is_ok_and(|was: u64| was >= 20));
    seen.expect(naps.len() == 5 && right, "five naps of 20 ms or a little more")?;
    seen.expect(naps.iter().all(|it| it[2] == "kscope"), "kscope as the parent")
}

fn offcpu() -> Outcome {
    let load = work(&format!("as {} nap 10", name()));
    let seen = over_command(script!("offcpu"), &load, &[&format!("--comm={}", name())])?;
    let asleep = seen.stdout.split("@waited[").find(|it| it.contains("nanosleep"));
    let total = asleep.and_then(|it| it.split("]: ").nth(1)?.lines().next()?.parse::<u64>().ok());
    seen.expect(total.is_some_and(|it| it >= 200_000), "200 ms or more asleep")
}

fn oncpu() -> Outcome {
    let seen = over(script!("oncpu"), "nap 20")?;
    seen.expect(seen.stdout.contains("\n@usecs[waits]:\n"), "times until a wait")
}

fn runqlat() -> Outcome {
    let seen = over(script!("runqlat"), "nap 20")?;
    seen.expect(seen.stdout.contains("\n@usecs:\n"), "times in the queue")
}

fn runqlen() -> Outcome {
    let seen = over(script!("runqlen"), "busy 500")?;
    seen.expect(samples(&seen, "@waiting:") >= 25, "half of the samples of half a second")
}

fn cpuwalk() -> Outcome {
    let seen = over(script!("cpuwalk"), "busy 500")?;
    seen.expect(samples(&seen, "@cpu:") >= 25, "half of the samples of half a second")
}

/// The sum of a histogram's rows.
fn samples(seen: &Run, name: &str) -> u64 {
    let rows = seen.stdout.lines().skip_while(|it| *it != name).skip(1).take_while(|it| !it.is_empty());
    let counts = rows.filter_map(|it| it.split('|').next()?.split_whitespace().last()?.parse::<u64>().ok());
    counts.sum()
}

fn cgtop() -> Outcome {
    let seen = over(script!("cgtop"), "busy 1500")?;
    let times = seen.stdout.lines().filter_map(|it| it.strip_prefix("@usecs[unified:/")?.split_once("]: "));
    let total: u64 = times.filter_map(|it| it.1.parse::<u64>().ok()).sum();
    seen.expect(total >= 300_000, "0.3 s of processor time in the first second")
}

fn faults() -> Outcome {
    let seen = over(script!("faults"), "touch 5000")?;
    let own = seen.map(&format!("@minor[{}]", name())).and_then(|it| it.parse::<u64>().ok());
    seen.expect(own.is_some_and(|it| (5000..5500).contains(&it)), "a fault for each of 5000 pages")
}

/// Runs a script over writes of 5 × 64 KiB to a file on the disk that this program is on.
fn over_disk(script: &str) -> Result<Run, String> {
    let path = format!("{}-{}.disk", program(), std::process::id());
    let outcome = over(script, &format!("disk {path} 5"));
    let _ = std::fs::remove_file(path);
    outcome
}

/// On a busy machine write-back or another queue's worker may be first with some of the five writes.
fn biosnoop() -> Outcome {
    let seen = over_disk(script!("biosnoop"))?;
    let requests = lines(&seen, &name());
    let whole = requests.iter().filter(|it| it.iter().rev().nth(1) == Some(&"65536")).count();
    seen.expect((1..=5).contains(&whole), "writes of 64 KiB")
}

fn bitesize() -> Outcome {
    let seen = over_disk(script!("bitesize"))?;
    let header = format!("@bytes[{}]:", name());
    seen.expect(samples(&seen, &header) >= 1, "requests of the load")
}

fn biolatency() -> Outcome {
    let seen = over_disk(script!("biolatency"))?;
    seen.expect(seen.stdout.contains("\n@usecs[W"), "times of writes")
}

fn biostacks() -> Outcome {
    let seen = over_disk(script!("biostacks"))?;
    let own = seen.stdout.split("@bytes[").filter(|it| it.starts_with(&format!("{}, ", name())));
    let fsync = own.filter(|it| it.contains("fsync")).count();
    seen.expect(fsync >= 1, "a stack through fsync")
}

fn writeback() -> Outcome {
    let path = format!("{}-{}.sync", program(), std::process::id());
    let load = format!("/bin/sh -c \"echo text > {path}; sync -f {path}\"");
    let outcome = over_command(script!("writeback"), &load, &[]);
    let _ = std::fs::remove_file(path);
    let seen = outcome?;
    seen.expect(!lines(&seen, "WB_REASON_SYNC").is_empty(), "pages written because of a sync")
}

/// Machines without a disk show that these scripts attach and end.
fn without_disk() -> Outcome {
    for script in [script!("biosnoop"), script!("bitesize"), script!("biolatency"), script!("biostacks")] {
        over(script, "nap 1")?;
    }
    over(script!("writeback"), "sync 1").map(drop)
}

fn tcpconnect() -> Outcome {
    let seen = over(script!("tcpconnect"), &format!("tcp {}", port()))?;
    let asked: Vec<String> = lines(&seen, &name()).iter().map(|it| it[3..].join(" ")).collect();
    seen.expect(asked == [format!("127.0.0.1 {}", port())], "one connection to the server")
}

fn tcplife() -> Outcome {
    let seen = over(script!("tcplife"), &format!("tcp {}", port() + 1))?;
    let port = (port() + 1).to_string();
    let ends = lines(&seen, &port);
    let way = |at: usize| ends.iter().find(|it| it.len() == 9 && it[at] == port).map(|it| (it[6], it[7]));
    seen.expect(ends.len() == 2 && way(5) == Some(("5", "7")), "five bytes sent, seven received")?;
    seen.expect(way(3) == Some(("7", "5")), "the other way round at the server")
}

fn tcpretrans() -> Outcome {
    let seen = over(script!("tcpretrans"), &format!("backlog {}", port() + 2))?;
    let again = lines(&seen, &(port() + 2).to_string());
    let right = again.iter().all(|it| it[1] == "127.0.0.1" && it[5] == "SYN_SENT");
    seen.expect(!again.is_empty() && right, "first segments sent again")
}

fn tcpdrop() -> Outcome {
    let seen = over(script!("tcpdrop"), &format!("refused {}", port() + 3))?;
    let dropped = lines(&seen, &(port() + 3).to_string());
    let right = dropped.len() == 1 && dropped[0][1] == "UDP" && dropped[0][6] == "SKB_DROP_REASON_NO_SOCKET";
    seen.expect(right, "one packet for nobody")
}

fn blocknets() -> Outcome {
    let link = Link::new()?;
    link.add_addresses("198.51.100.1/24", "198.51.100.2/24")?;
    if link.pings_to("198.51.100.1")? != 10 {
        return Err("the link loses pings without a filter".to_owned());
    }
    let filter = link.filter(&["--allow", "verdict", "-e", script!("blocknets"), "veth0"])?;
    let (blocked, free) = (link.pings_to("198.51.100.1")?, link.pings_to("10.77.0.1")?);
    let seen = filter.stop(libc::SIGINT)?;
    seen.expect((blocked, free) == (0, 10), "only pings from the blocked network lost")?;
    let due = "@dropped[documentation, 198.51.100.2]";
    seen.expect(seen.map(due) == Some("10"), &format!("{due}: 10"))
}

fn dropicmp() -> Outcome {
    let link = Link::new()?;
    let filter = link.filter(&["--allow", "verdict", "-e", script!("dropicmp"), "veth0"])?;
    let answered = link.pings_to("10.77.0.1")?;
    let seen = filter.stop(libc::SIGINT)?;
    let due = "@dropped[10.77.0.2]";
    seen.expect(answered == 0 && seen.map(due) == Some("10"), &format!("{due}: 10"))
}

fn gethostlatency() -> Outcome {
    let seen = over_command(script!("gethostlatency"), "getent ahosts localhost", &[])?;
    let asked = lines(&seen, "getent");
    seen.expect(asked.iter().any(|it| it.len() == 5 && it[4] == "localhost"), "localhost looked up by getent")
}

fn threadsnoop() -> Outcome {
    let load =
        "python3 -c \"import threading; [threading.Thread(target=id, args=(1,)).start() for _ in range(3)]\"";
    let seen = over_command(script!("threadsnoop"), load, &[])?;
    seen.expect(lines(&seen, "python3").len() >= 3, "three threads of python")
}

fn bashreadline() -> Outcome {
    let tracer = Running::start(&["-e", script!("bashreadline")])?;
    let mut bash = Command::new("bash");
    let mut terminal = Terminal::start(bash.args(["--norc", "--noprofile"]))?;
    terminal.enter("echo $((6 * 7))-typed")?;
    terminal.wait_for("42-typed")?;
    terminal.enter("exit")?;
    terminal.end()?;
    std::thread::sleep(Duration::from_millis(100));
    let seen = tracer.stop(libc::SIGINT)?;
    let line = seen.stdout.lines().find(|it| it.ends_with("echo $((6 * 7))-typed"));
    seen.expect(line.is_some_and(|it| it.contains("root")), "the line that root typed")
}
