//! The commands of the documents, run as they are written.
//!
//! In `console` blocks, lines that begin with `# ` or `$ ` are commands; a command goes on over a `\`
//! at the end of its line and until its single quotes are closed. A comment `# exits N` names the
//! exit code. Script blocks with a line `// NAME.bt` are the files that the commands use.

use crate::harness::{Case, Need, Outcome, find_program};
use crate::tracer::{Run, kscope};
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The cases.
pub const CASES: &[Case] = &[
    Case { name: "the README's commands work", needs: &[Need::Program("ip")], run: readme },
    Case { name: "the tutorial's commands work", needs: &[Need::Program("ip")], run: tutorial },
    Case { name: "the reference's commands work", needs: &[Need::Program("ip")], run: reference },
    Case { name: "the prompt's commands work", needs: &[Need::Program("ip")], run: prompt },
];

/// What commands need that not every kernel or machine has, by a word in them.
const NEEDS: &[(&str, Need)] = &[
    ("kprobe:", Need::Kprobes),
    ("kretprobe:", Need::Kprobes),
    ("fentry:", Need::Trampolines),
    ("fexit:", Need::Trampolines),
    ("ping", Need::Program("ping")),
    ("bpftool", Need::Program("bpftool")),
];

/// So long after the first output a reader would press Ctrl-C.
const INTERRUPT: Duration = Duration::from_millis(1_500);

/// A command that is silent for so long, or goes on for so long after Ctrl-C, hangs.
const PATIENCE: Duration = Duration::from_secs(30);

fn readme() -> Outcome {
    document(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")))
}

fn tutorial() -> Outcome {
    document(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tutorial.md")))
}

fn reference() -> Outcome {
    document(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/language.md")))
}

fn prompt() -> Outcome {
    document(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/repl.md")))
}

/// A folder that is removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Scratch, String> {
        let folder = std::env::temp_dir().join(format!("kernel-suite-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Scratch(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs all commands of a document, and reports all that fail.
fn document(text: &str) -> Outcome {
    let scratch = Scratch::new()?;
    for (name, script) in files(text) {
        std::fs::write(scratch.0.join(name), script).map_err(|error| error.to_string())?;
    }
    let commands = commands(text);
    if commands.is_empty() {
        return Err("the document has no commands".to_owned());
    }
    let failed: Vec<String> = commands.iter().filter_map(|it| check(it, &scratch.0).err()).collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

fn check(command: &str, folder: &Path) -> Outcome {
    let unmet = NEEDS.iter().filter(|it| command.contains(it.0)).find_map(|it| it.1.missing());
    if let Some(reason) = unmet {
        println!("    skipped: {command}: {reason}");
        return Ok(());
    }
    let due = command.rsplit_once("# exits ").map_or(0, |it| it.1.trim().parse().unwrap_or(-1));
    let run = run(command, folder)?;
    let wanted = format!("exit code {due} of {command}");
    run.expect(run.code == due && (due != 0 || !run.stderr.contains("ERROR")), &wanted)
}

/// Runs a command in a network namespace of its own, so that packets of others are not touched,
/// and in a process group of its own, for the Ctrl-C.
fn run(command: &str, folder: &Path) -> Result<Run, String> {
    let mut shell = shell(command, folder)?;
    // SAFETY: unshare takes a plain number, and nothing else runs in the child yet.
    unsafe {
        shell.pre_exec(|| match libc::unshare(libc::CLONE_NEWNET) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let child = shell.process_group(0).spawn();
    let mut child = child.map_err(|error| format!("cannot start {command}: {error}"))?;
    let (sender, receiver) = mpsc::channel();
    let stdout = read(child.stdout.take(), sender.clone());
    let stderr = read(child.stderr.take(), sender);
    // A command that traces a child of its own ends with the child.
    let limit = if command.contains(" -c '") { PATIENCE } else { INTERRUPT };
    interrupt(-(child.id() as i32), limit, &receiver);
    let status = child.wait().map_err(|error| error.to_string())?;
    let text = |it: JoinHandle<Vec<u8>>| String::from_utf8_lossy(&it.join().unwrap_or_default()).into_owned();
    Ok(Run {
        stdout: text(stdout),
        stderr: text(stderr),
        code: status.code().or(status.signal().map(|it| 128 + it)).unwrap_or(-1),
    })
}

/// Reads to the end, and tells whenever there is something new.
fn read(from: Option<impl Read + Send + 'static>, news: mpsc::Sender<()>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut from = from.expect("both outputs are pipes");
        let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
        while let Ok(n @ 1..) = from.read(&mut chunk) {
            bytes.extend_from_slice(&chunk[..n]);
            let _ = news.send(());
        }
        bytes
    })
}

/// The shell that runs a command, with the `kscope` under test first in its `PATH`. It lives
/// through the Ctrl-C, so that its exit code is that of the command.
fn shell(command: &str, folder: &Path) -> Result<Command, String> {
    let kscope = PathBuf::from(kscope());
    let own = kscope.parent().unwrap_or(Path::new("."));
    let path = format!("{}:{}", own.display(), std::env::var("PATH").unwrap_or_default());
    let ip = find_program("ip").ok_or("no ip")?;
    let script = format!("trap : INT; {ip} link set lo up\n{command}");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(folder).env("PATH", path);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(shell)
}

/// Presses Ctrl-C so long after the first output, which says that the command is not starting
/// any more; kills what hangs. `news` closes when all output has ended.
fn interrupt(group: i32, limit: Duration, news: &mpsc::Receiver<()>) {
    let ends_within = |limit: Duration| {
        let end = Instant::now() + limit;
        loop {
            match news.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(()) => {}
                Err(reason) => return reason == mpsc::RecvTimeoutError::Disconnected,
            }
        }
    };
    // SAFETY: kill takes plain numbers; the group is that of a child which is not yet waited for.
    let signal = |number| unsafe { libc::kill(group, number) };
    if news.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Disconnected) || ends_within(limit) {
        return;
    }
    signal(libc::SIGINT);
    if !ends_within(PATIENCE) {
        signal(libc::SIGKILL);
    }
}

/// The bodies of fenced blocks in one language.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let fence = format!("\n```{language}\n");
    text.split(fence.as_str()).skip(1).filter_map(|it| it.split("\n```").next()).collect()
}

/// Scripts with the name of their file.
fn files(text: &str) -> Vec<(&str, &str)> {
    let scripts = blocks(text, "kscope").into_iter();
    let named = scripts.map(|script| (script.lines().find_map(|line| line.strip_prefix("// ")), script));
    named.filter_map(|(name, script)| Some((name.filter(|it| it.ends_with(".bt"))?, script))).collect()
}

/// All commands, each with its further lines.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for block in blocks(text, "console") {
        let mut lines = block.lines();
        while let Some(line) = lines.next() {
            let Some(first) = line.strip_prefix("# ").or(line.strip_prefix("$ ")) else { continue };
            let mut command = first.to_owned();
            while command.ends_with('\\') || command.matches('\'').count() % 2 == 1 {
                let Some(next) = lines.next() else { break };
                command = command + "\n" + next;
            }
            commands.push(command);
        }
    }
    commands
}
