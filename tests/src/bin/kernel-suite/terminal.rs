//! A pseudo-terminal with a program on it: what a person types and sees.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// Longest wait for one text: generous, for emulated machines.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program on a terminal of its own.
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    /// What was shown and not yet waited for.
    seen: String,
}

impl Terminal {
    /// Starts a program.
    pub fn start(command: &mut Command) -> Result<Terminal, String> {
        let (ours, theirs) = open()?;
        let clone = || theirs.try_clone().map_err(|error| error.to_string());
        command.stdin(Stdio::from(clone()?)).stdout(Stdio::from(clone()?)).stderr(Stdio::from(clone()?));
        // SAFETY: both calls are async-signal-safe and take no memory.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                // Without a terminal to control it, Ctrl-C would reach nobody.
                match libc::ioctl(0, libc::TIOCSCTTY, 0) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        let child = command.spawn().map_err(|error| format!("cannot start {command:?}: {error}"))?;
        drop(theirs);
        let keyboard = File::from(ours);
        let mut output = keyboard.try_clone().map_err(|error| error.to_string())?;
        let (sender, screen) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut bytes) {
                if sender.send(bytes[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Terminal { child, keyboard, screen, seen: String::new() })
    }

    /// Types keys as they are; `\r` is the Enter key, `\x03` is Ctrl-C.
    pub fn type_keys(&mut self, keys: &str) -> Result<(), String> {
        self.keyboard.write_all(keys.as_bytes()).map_err(|error| error.to_string())
    }

    /// Types a line.
    pub fn enter(&mut self, line: &str) -> Result<(), String> {
        self.type_keys(&format!("{line}\r"))
    }

    /// Waits until the screen shows a text; what it showed up to there since the last wait.
    pub fn wait_for(&mut self, text: &str) -> Result<String, String> {
        let start = Instant::now();
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return Ok(std::mem::replace(&mut self.seen, rest));
            }
            let left = PATIENCE.saturating_sub(start.elapsed());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                Err(_) => return Err(format!("waited for {text:?}, saw {:?}", self.seen)),
            }
        }
    }

    /// Waits for the end of the program; its exit code.
    pub fn end(mut self) -> Result<Option<i32>, String> {
        // The screen closes when the program ends.
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                return Ok(status.code());
            }
            let _ = self.screen.recv_timeout(Duration::from_millis(10));
        }
        Err("the program does not end".to_owned())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both ends of a new pseudo-terminal, 100 columns wide.
pub fn open() -> Result<(OwnedFd, OwnedFd), String> {
    let (mut ours, mut theirs) = (0, 0);
    let size = libc::winsize { ws_row: 50, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the call fills two numbers and reads the size; null means defaults.
    let res = unsafe { libc::openpty(&mut ours, &mut theirs, std::ptr::null_mut(), std::ptr::null(), &size) };
    if res != 0 {
        return Err(format!("cannot open a pseudo-terminal: {}", std::io::Error::last_os_error()));
    }
    // SAFETY: the descriptors were just made and nobody else has them.
    let (ours, theirs) = unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) };
    // SAFETY: the call takes plain numbers. The program must not hold our end of its terminal.
    unsafe { libc::fcntl(ours.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) };
    Ok((ours, theirs))
}
