//! The scripts that need kprobes or a kernel's data symbols: they run in the virtual machines.

use super::{lines, name, over, over_command, port};
use crate::harness::{Case, Need, Outcome};
use crate::tracer::work;

/// A script of the folder.
macro_rules! script {
    ($name:literal) => {
        include_str!(concat!("../../../../../../scripts/", $name, ".bt"))
    };
}

/// The cases.
pub const CASES: &[Case] = &[
    Case { name: "script loads", needs: &[Need::Kprobes], run: loads },
    Case { name: "script vfscount", needs: &[Need::Kprobes], run: vfscount },
    Case { name: "script vfsstat", needs: &[Need::Kprobes], run: vfsstat },
    Case { name: "script dcsnoop", needs: &[Need::Kprobes], run: dcsnoop },
    Case { name: "script undump", needs: &[Need::Kprobes], run: undump },
    Case { name: "script capable", needs: &[Need::Kprobes], run: capable },
    Case { name: "script tcpaccept", needs: &[Need::Kprobes], run: tcpaccept },
    Case { name: "script tcpsynbl", needs: &[Need::Kprobes], run: tcpsynbl },
    Case { name: "script oomkill", needs: &[Need::Kprobes], run: oomkill },
    // Swapping needs a disk to swap to: this shows that the script attaches and ends.
    Case { name: "script swapin attaches", needs: &[Need::Kprobes], run: swapin },
];

/// The averages move slowly, so what is read behind the run is near what the script read.
fn loads() -> Outcome {
    let seen = over(script!("loads"), "wait 1500")?;
    let due = std::fs::read_to_string("/proc/loadavg").map_err(|error| error.to_string())?;
    let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
    let due: Vec<f64> = due.split(' ').take(3).map(number).collect();
    let printed = seen.stdout.lines().find_map(|it| it.split_once("load averages: "));
    let printed: Vec<f64> = printed.map_or(Vec::new(), |it| it.1.split(' ').map(number).collect());
    let near = printed.len() == 3 && printed.iter().zip(&due).all(|(a, b)| (a - b).abs() < 0.2);
    seen.expect(near, &format!("about {due:?}"))
}

fn vfscount() -> Outcome {
    let seen = over(script!("vfscount"), "read 1000x10")?;
    let reads = seen.map("@calls[vfs_read]").and_then(|it| it.parse::<u64>().ok());
    seen.expect(reads.is_some_and(|it| it >= 1000), "1000 reads or more")
}

fn vfsstat() -> Outcome {
    let load = work(&format!("as {} files /tmp-{} 50", name(), name()));
    let wait = work("wait 1500");
    let seen = over_command(script!("vfsstat"), &format!("/bin/sh -c \"{load}; {wait}\""), &[])?;
    let rows = seen.stdout.lines().skip(1).map(|it| it.split_whitespace().skip(1));
    let rows: Vec<Vec<u64>> = rows.map(|it| it.filter_map(|it| it.parse().ok()).collect()).collect();
    let total = |at: usize| rows.iter().filter_map(|it| it.get(at)).sum::<u64>();
    let (writes, opens, unlinks) = (total(1), total(3), total(4));
    seen.expect(writes >= 50 && opens >= 100 && unlinks >= 50, "50 writes, 100 opens, 50 unlinks or more")
}

fn dcsnoop() -> Outcome {
    let seen = over(script!("dcsnoop"), &format!("open /missing-{}- 5", name()))?;
    let asked: Vec<&str> = lines(&seen, &name()).iter().filter_map(|it| it.last().copied()).collect();
    let due: Vec<String> = (0..5).map(|index| format!("missing-{}-{index}", name())).collect();
    let asked: Vec<&str> = asked.into_iter().filter(|it| it.starts_with("missing-")).collect();
    seen.expect(asked == due, "five names in order")
}

fn undump() -> Outcome {
    let seen = over(script!("undump"), "unix 3")?;
    let read: Vec<String> = lines(&seen, &name()).iter().map(|it| it[3..].join(" ")).collect();
    let count = |text: &str| read.iter().filter(|it| **it == format!("9 {text}\\x0a")).count();
    seen.expect((count("streamed"), count("datagram")) == (3, 3), "three messages of each kind")
}

fn capable() -> Outcome {
    let seen = over(script!("capable"), "setuid")?;
    let asked = lines(&seen, &name());
    let right = asked.iter().any(|it| it[4..] == ["7", "SETUID", "has", "it"]);
    seen.expect(right, "SETUID asked for and given")
}

fn tcpaccept() -> Outcome {
    let seen = over(script!("tcpaccept"), &format!("tcp {}", port() + 4))?;
    let port = (port() + 4).to_string();
    let taken = lines(&seen, &port);
    let right = taken.len() == 1 && taken[0][3] == "127.0.0.1" && taken[0][5..7] == ["127.0.0.1", &port];
    seen.expect(right && taken[0][2] == name(), "one connection taken")
}

fn tcpsynbl() -> Outcome {
    let seen = over(script!("tcpsynbl"), &format!("tcp {}", port() + 5))?;
    let queue = seen.stdout.lines().any(|it| it.starts_with("@queue["));
    seen.expect(queue && seen.stdout.contains("[0]  "), "a connection to an empty queue")
}

/// Memory runs out in a control group that holds nothing but the load.
fn oomkill() -> Outcome {
    let group = format!("/sys/fs/cgroup/{}", name());
    let write =
        |path: &str, text: &str| std::fs::write(path, text).map_err(|error| format!("{path}: {error}"));
    write("/sys/fs/cgroup/cgroup.subtree_control", "+memory")?;
    std::fs::create_dir(&group).map_err(|error| format!("{group}: {error}"))?;
    let outcome = write(&format!("{group}/memory.max"), "16M")
        .and_then(|()| over(script!("oomkill"), &format!("hungry {group} 64")));
    std::fs::remove_dir(&group).map_err(|error| format!("{group}: {error}"))?;
    let seen = outcome?;
    let line = seen.stdout.lines().find(|it| it.contains(" is ended, of "));
    let right = line.is_some_and(|it| {
        it.contains(&format!(" {} (", name()))
            && it.contains("4096 pages in all that its control group may have")
    });
    seen.expect(right, "the load, the 4096 pages of its group")
}

fn swapin() -> Outcome {
    over(script!("swapin"), "nap 1").map(drop)
}
