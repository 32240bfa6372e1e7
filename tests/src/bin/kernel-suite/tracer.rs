//! Runs `kscope` as a user would, and reads what it printed.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest run of one command: generous, for emulated machines.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test.
pub fn kscope() -> String {
    std::env::var("KSCOPE").unwrap_or_else(|_| sibling("kscope"))
}

/// The path of this binary.
pub fn program() -> String {
    sibling("kernel-suite")
}

/// This binary, as a load: `work KIND …` for `-c`.
pub fn work(arguments: &str) -> String {
    format!("{} work {arguments}", program())
}

fn sibling(name: &str) -> String {
    let me = std::env::current_exe().expect("a running program has a path");
    me.with_file_name(name).to_string_lossy().into_owned()
}

/// What a finished run printed.
#[derive(Debug)]
pub struct Run {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Exit code; 128 + signal for a killed process.
    pub code: i32,
}

impl Run {
    fn new(output: Output) -> Run {
        let status = output.status;
        Run {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: status.code().or(status.signal().map(|it| 128 + it)).unwrap_or(-1),
        }
    }

    /// The value behind `name: ` in text output.
    pub fn map(&self, name: &str) -> Option<&str> {
        self.stdout.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// All JSON lines of one type, their `data`.
    pub fn json(&self, kind: &str) -> Vec<Value> {
        let parsed = self.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        parsed.filter(|it| it["type"] == kind).map(|mut it| it["data"].take()).collect()
    }

    /// The data of a map in JSON output.
    pub fn json_map(&self, kind: &str, name: &str) -> Value {
        let all = self.json(kind);
        all.into_iter().find_map(|mut it| it.get_mut(name).map(Value::take)).unwrap_or(Value::Null)
    }

    /// An error that shows the whole run, when `right` is false.
    pub fn expect(&self, right: bool, wanted: &str) -> Result<(), String> {
        if right {
            return Ok(());
        }
        let (stdout, stderr) = (cut(&self.stdout), cut(&self.stderr));
        Err(format!("wanted {wanted}\nexit code {}\nstdout: {stdout}\nstderr: {stderr}", self.code))
    }
}

/// The first part of a long text.
fn cut(text: &str) -> &str {
    const MOST: usize = 1_500;
    text.char_indices().nth(MOST).map_or(text, |(at, _)| &text[..at])
}

/// Runs `kscope` to its end.
pub fn run(arguments: &[&str]) -> Result<Run, String> {
    wait(Command::new(kscope()).args(arguments).stdin(Stdio::null()))
}

/// Runs any command to its end.
pub fn wait(command: &mut Command) -> Result<Run, String> {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("cannot start {command:?}: {error}"))?;
    let pid = child.id();
    let (sender, receiver) = mpsc::channel::<()>();
    // The child may be reaped the moment after the time-out; only then could the pid be another's.
    let watchdog = std::thread::spawn(move || {
        if receiver.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            signal(pid, libc::SIGKILL);
        }
    });
    let mut output = (Vec::new(), Vec::new());
    let (mut stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let reader = read_all(stderr);
    if let Some(stdout) = &mut stdout {
        let _ = stdout.read_to_end(&mut output.0);
    }
    output.1 = reader.join().unwrap_or_default();
    let status = child.wait().map_err(|error| error.to_string())?;
    drop(sender);
    let _ = watchdog.join();
    Ok(Run::new(Output { status, stdout: output.0, stderr: output.1 }))
}

fn read_all(stderr: Option<ChildStderr>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stderr) = stderr {
            let _ = stderr.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// A `kscope` that is attached and still running.
pub struct Running {
    child: Child,
    attached: String,
    stderr: JoinHandle<Vec<u8>>,
}

impl Running {
    /// Starts `kscope` and waits until it says that it is attached.
    pub fn start(arguments: &[&str]) -> Result<Running, String> {
        Self::start_command(Command::new(kscope()).args(arguments))
    }

    /// The same for a command that ends up being `kscope`.
    pub fn start_command(command: &mut Command) -> Result<Running, String> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let mut stderr = BufReader::new(child.stderr.take().ok_or("no stderr")?);
        let mut attached = String::new();
        while !attached.contains("Attached ") {
            if stderr.read_line(&mut attached).map_err(|error| error.to_string())? == 0 {
                let code = child.wait().map_err(|error| error.to_string())?;
                return Err(format!("ended before it attached ({code}): {attached}"));
            }
        }
        let stderr = std::thread::spawn(move || {
            let mut rest = Vec::new();
            let _ = stderr.read_to_end(&mut rest);
            rest
        });
        Ok(Running { child, attached, stderr })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal and waits for the end.
    pub fn stop(self, number: i32) -> Result<Run, String> {
        signal(self.child.id(), number);
        let output = self.child.wait_with_output().map_err(|error| error.to_string())?;
        let mut run = Run::new(output);
        run.stderr = self.attached + &String::from_utf8_lossy(&self.stderr.join().unwrap_or_default());
        Ok(run)
    }

    /// Ids of the eBPF programs that it holds.
    pub fn programs(&self) -> Vec<u32> {
        let Ok(entries) = std::fs::read_dir(format!("/proc/{}/fdinfo", self.pid())) else {
            return Vec::new();
        };
        let texts = entries.flatten().filter_map(|it| std::fs::read_to_string(it.path()).ok());
        let ids = texts.filter(|text| text.contains("prog_type:")).filter_map(|text| {
            text.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok())
        });
        ids.collect()
    }
}

/// Sends a signal to a process that this suite started.
pub fn signal(pid: u32, number: i32) {
    // SAFETY: kill takes plain numbers.
    unsafe { libc::kill(pid as i32, number) };
}

/// Waits until none of these eBPF programs exists; the kernel frees them a moment after the end.
pub fn gone(programs: &[u32]) -> Result<(), String> {
    let start = Instant::now();
    loop {
        let left: Vec<u32> = programs.iter().copied().filter(|it| program_exists(*it)).collect();
        if left.is_empty() {
            return Ok(());
        }
        if start.elapsed() > Duration::from_secs(5) {
            return Err(format!("eBPF programs {left:?} are still there"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn program_exists(id: u32) -> bool {
    const BPF_PROG_GET_FD_BY_ID: i32 = 13;
    let attributes: [u32; 3] = [id, 0, 0];
    // SAFETY: the kernel reads 12 bytes of attributes and gives a new descriptor or an error.
    let fd = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_PROG_GET_FD_BY_ID, attributes.as_ptr(), size_of_val(&attributes))
    };
    if fd >= 0 {
        // SAFETY: the descriptor was just made and nobody else has it.
        unsafe { libc::close(fd as i32) };
    }
    fd >= 0
}
