//! Loads that ask the kernel for something once or a known number of times: signals, processes,
//! files, identities and sockets of their own.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Command, ExitCode};
use std::time::Duration;

/// Runs one load.
pub fn work(words: &[&str]) -> ExitCode {
    let number = |at: usize| words.get(at).and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
    let text = |at: usize| words.get(at).copied().unwrap_or("/nowhere");
    let outcome = match words.first().copied() {
        Some("kill") => kill(number(1)),
        Some("children") => children(number(1)),
        Some("stat") => stat(text(1), number(2)),
        Some("sync") => sync(number(1)),
        Some("disk") => disk(text(1), number(2)),
        Some("setuid") => setuid(),
        Some("mount") => mount(),
        Some("threads") => threads(number(1)),
        Some("tcp") => tcp(number(1) as u16),
        Some("refused") => refused(number(1) as u16),
        Some("backlog") => backlog(number(1) as u16),
        Some("unix") => unix(number(1)),
        Some("files") => files(text(1), number(2)),
        Some("hungry") => hungry(text(1), number(2)),
        other => Err(std::io::Error::other(format!("no load named {other:?}"))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{words:?}: {error}");
            ExitCode::from(2)
        }
    }
}

fn myself(arguments: &[&str]) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("work").args(arguments);
    Ok(command)
}

/// Starts and terminates that many children.
fn kill(count: u64) -> std::io::Result<()> {
    for _ in 0..count {
        let mut child = myself(&["wait", "60000"])?.spawn()?;
        // SAFETY: kill takes plain numbers, and the child is not reaped yet.
        unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
        child.wait()?;
    }
    Ok(())
}

/// Starts that many children, each of which ends with exit code 7.
fn children(count: u64) -> std::io::Result<()> {
    for _ in 0..count {
        myself(&["exit", "7"])?.status()?;
    }
    Ok(())
}

/// Looks at `PREFIX0`, `PREFIX1`, …; they need not exist.
fn stat(prefix: &str, count: u64) -> std::io::Result<()> {
    for index in 0..count {
        let _ = std::fs::metadata(format!("{prefix}{index}"));
    }
    Ok(())
}

/// That many calls of fsync and as many of fdatasync, on a file in memory.
fn sync(count: u64) -> std::io::Result<()> {
    // SAFETY: memfd_create reads a string and gives a new descriptor or -1.
    let fd = unsafe { libc::memfd_create(c"sync".as_ptr(), 0) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and nobody else has it.
    let file = unsafe { File::from_raw_fd(fd) };
    for _ in 0..count {
        file.sync_all()?;
        file.sync_data()?;
    }
    Ok(())
}

/// Writes 64 KiB to a new file and waits for the disk, that often; the file is removed.
fn disk(path: &str, count: u64) -> std::io::Result<()> {
    let file = File::create(path)?;
    let bytes = vec![7; 64 << 10];
    for index in 0..count {
        file.write_all_at(&bytes, index * bytes.len() as u64)?;
        file.sync_all()?;
    }
    std::fs::remove_file(path)
}

/// Becomes who it is already, by three calls.
fn setuid() -> std::io::Result<()> {
    // SAFETY: these calls take plain numbers; they are made as they are because libc's versions
    // concern all threads.
    unsafe {
        let me = libc::getuid();
        libc::syscall(libc::SYS_setuid, me);
        libc::syscall(libc::SYS_setreuid, me, me);
        libc::syscall(libc::SYS_setresuid, u32::MAX, me, u32::MAX);
    }
    Ok(())
}

/// Asks for a mount that cannot be: its folder does not exist.
fn mount() -> std::io::Result<()> {
    // SAFETY: all four strings end with NUL.
    unsafe {
        libc::mount(c"suite".as_ptr(), c"/nowhere/suite".as_ptr(), c"tmpfs".as_ptr(), 0, std::ptr::null())
    };
    Ok(())
}

/// Starts that many threads, one after the other.
fn threads(count: u64) -> std::io::Result<()> {
    for _ in 0..count {
        let _ = std::thread::Builder::new().spawn(|| ())?.join();
    }
    Ok(())
}

/// A connection within this process: five bytes to the server, seven back.
fn tcp(port: u16) -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let (mut server, _) = listener.accept()?;
    client.write_all(b"hello")?;
    server.read_exact(&mut [0; 5])?;
    server.write_all(b"goodbye")?;
    client.read_exact(&mut [0; 7])?;
    drop(client);
    server.read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Sends to a port that nobody listens on.
fn refused(port: u16) -> std::io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.send_to(b"anybody", (Ipv4Addr::LOCALHOST, port))?;
    Ok(())
}

/// Two connections to a server that takes none and has a queue for one: of the second one the
/// kernel sends the first segment again after a second.
fn backlog(port: u16) -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    // SAFETY: listen takes plain numbers; a second call only changes the length of the queue.
    unsafe { libc::listen(listener.as_raw_fd(), 0) };
    let queued = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let _ = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), Duration::from_secs(3));
    drop(queued);
    Ok(())
}

/// That many messages over a stream and as many datagrams, within this process.
fn unix(count: u64) -> std::io::Result<()> {
    let (mut near, mut far) = UnixStream::pair()?;
    let (sender, receiver) = UnixDatagram::pair()?;
    for _ in 0..count {
        near.write_all(b"streamed\n")?;
        far.read_exact(&mut [0; 9])?;
        sender.send(b"datagram\n")?;
        receiver.recv(&mut [0; 64])?;
    }
    Ok(())
}

/// Creates that many files, writes to each, reads it, and removes it.
fn files(prefix: &str, count: u64) -> std::io::Result<()> {
    for index in 0..count {
        let path = format!("{prefix}{index}");
        std::fs::write(&path, "text")?;
        std::fs::read(&path)?;
        std::fs::remove_file(&path)?;
    }
    Ok(())
}

/// Enters a control group and asks for that many MiB of memory.
fn hungry(group: &str, size: u64) -> std::io::Result<()> {
    std::fs::write(format!("{group}/cgroup.procs"), std::process::id().to_string())?;
    let memory = vec![1u8; (size << 20) as usize];
    std::hint::black_box(&memory);
    Ok(())
}
