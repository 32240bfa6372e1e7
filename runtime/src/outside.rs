//! What actions read and start outside of the run: files, commands. Tests put something else in its place.

use std::fs::File;
use std::io::{self, Read};
use std::process::{Command, Stdio};

/// Files and commands.
pub trait Outside {
    /// The first bytes of a file.
    fn read_file(&self, path: &str, most: u32) -> io::Result<Vec<u8>>;

    /// Runs a command in a shell to its end: what it wrote, and the error of a command that failed.
    fn run(&self, command: &str) -> (Vec<u8>, Result<(), String>);
}

/// The machine that this process runs on.
pub struct ThisMachine;

impl Outside for ThisMachine {
    fn read_file(&self, path: &str, most: u32) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(most.into()).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn run(&self, command: &str) -> (Vec<u8>, Result<(), String>) {
        let shell = Command::new("/bin/sh").arg("-c").arg(command).stderr(Stdio::inherit()).output();
        match shell {
            Err(error) => (Vec::new(), Err(format!("cannot start a shell: {error}"))),
            Ok(output) => (output.stdout, ended(output.status)),
        }
    }
}

fn ended(status: std::process::ExitStatus) -> Result<(), String> {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(format!("command exited with code {code}")),
        (None, Some(signal)) => Err(format!("command was ended by signal {signal}")),
        (None, None) => Err("command ended in an unknown way".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_end_with_what_they_wrote_and_how() {
        let text = |it: &str| it.as_bytes().to_vec();
        let cases = [
            ("echo hi", (text("hi\n"), Ok(()))),
            ("printf x; exit 3", (text("x"), Err("command exited with code 3".to_owned()))),
            ("kill -9 $$", (text(""), Err("command was ended by signal 9".to_owned()))),
        ];
        for (command, expected) in cases {
            assert_eq!(ThisMachine.run(command), expected, "{command}");
        }
    }

    #[test]
    fn files_are_read_up_to_a_limit() {
        assert_eq!(ThisMachine.read_file("/proc/self/comm", 1).map(|it| it.len()).ok(), Some(1));
        assert!(ThisMachine.read_file("/nonexistent", 1).is_err());
    }
}
