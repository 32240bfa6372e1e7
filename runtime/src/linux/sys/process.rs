//! Processes and signals: a child held before its first instruction, descriptors that become
//! readable when a process ends or a signal arrives.

use super::{Errno, SysResult, checked, owned};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A descriptor that becomes readable when the process ends.
pub fn open_pidfd(pid: u32) -> SysResult<OwnedFd> {
    // SAFETY: the call takes no memory.
    owned("pidfd_open", unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// Signals kept from their default action and read from a descriptor instead, until dropped.
pub struct Signals {
    fd: OwnedFd,
    before: libc::sigset_t,
}

impl Signals {
    /// Takes over these signals.
    pub fn take(signals: &[i32]) -> SysResult<Self> {
        // SAFETY: all-zero bytes are a valid sigset_t.
        let (mut set, mut before) = unsafe { std::mem::zeroed::<(libc::sigset_t, libc::sigset_t)>() };
        // SAFETY: the sets outlive the calls.
        let fd = unsafe {
            libc::sigemptyset(&mut set);
            for &signal in signals {
                libc::sigaddset(&mut set, signal);
            }
            libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        let fd = owned("signalfd", fd.into())?;
        // SAFETY: the sets outlive the call.
        checked("sigprocmask", unsafe { libc::sigprocmask(libc::SIG_BLOCK, &set, &mut before) }.into())?;
        Ok(Signals { fd, before })
    }

    /// The next signal that arrived.
    pub fn next(&self) -> Option<i32> {
        // SAFETY: all-zero bytes are a valid signalfd_siginfo.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        let size = size_of_val(&info);
        // SAFETY: `info` is as large as the size says.
        let res = unsafe { libc::read(self.fd.as_raw_fd(), std::ptr::from_mut(&mut info).cast(), size) };
        (res == size as isize).then_some(info.ssi_signo as i32)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // SAFETY: `before` is the mask that the kernel gave.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &self.before, std::ptr::null_mut()) };
    }
}

/// A child process of ours.
pub struct Child {
    pid: u32,
    pidfd: OwnedFd,
    /// Writing a byte lets the child go; closing ends it.
    hold: Option<OwnedFd>,
    /// Carries `errno` when the command could not be executed.
    failure: Option<OwnedFd>,
}

impl Child {
    /// Starts a process that waits for [`Child::release`] before it executes the command (its
    /// first word is looked up in `PATH`). It ends with this process at the latest.
    pub fn hold(command: &[CString]) -> SysResult<Child> {
        let mut words: Vec<*const libc::c_char> = command.iter().map(|it| it.as_ptr()).collect();
        words.push(std::ptr::null());
        let (go, hold) = pipe()?;
        let (failure, report) = pipe()?;
        // SAFETY: the child only makes async-signal-safe calls before it executes or exits.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // The child's own copy of the writing end would keep the pipe from ever closing.
            drop(hold);
            run_child(&words, go.as_fd(), report.as_fd());
        }
        let pid = checked("fork", pid.into())? as u32;
        Ok(Child { pid, pidfd: open_pidfd(pid)?, hold: Some(hold), failure: Some(failure) })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// A descriptor that becomes readable when it ends.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Lets it execute its command. The error is that of execvp.
    pub fn release(&mut self) -> SysResult<()> {
        let (Some(hold), Some(failure)) = (self.hold.take(), self.failure.take()) else { return Ok(()) };
        // SAFETY: one byte is read from a live constant.
        checked("write", unsafe { libc::write(hold.as_raw_fd(), b"g".as_ptr().cast(), 1) } as libc::c_long)?;
        let mut code = [0u8; 4];
        // SAFETY: the buffer is as large as the size says. The pipe closes when the command runs.
        let n = unsafe { libc::read(failure.as_raw_fd(), code.as_mut_ptr().cast(), code.len()) };
        match n {
            4 => Err(Errno { call: "execvp", code: i32::from_ne_bytes(code) }),
            _ => Ok(()),
        }
    }

    /// Asks it to end, if it still runs.
    pub fn terminate(&self) {
        let no_info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the call takes no memory when there is no siginfo. It fails when the child has
        // ended, which is what is wanted.
        unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.pidfd.as_raw_fd(), libc::SIGTERM, no_info, 0)
        };
    }
}

impl Drop for Child {
    /// Removes it from the process table if it has ended; a running one becomes init's.
    fn drop(&mut self) {
        // SAFETY: a null status pointer is allowed.
        unsafe { libc::waitpid(self.pid as i32, std::ptr::null_mut(), libc::WNOHANG) };
    }
}

/// The child's side: waits, executes, or reports why not. Only async-signal-safe calls.
fn run_child(words: &[*const libc::c_char], go: BorrowedFd<'_>, report: BorrowedFd<'_>) -> ! {
    let mut byte = 0u8;
    // SAFETY: every pointer is to live memory of the size given; `words` ends with null and its
    // strings outlive the call.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
        // Rust ignores SIGPIPE, and ignored signals stay ignored across exec.
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        if libc::read(go.as_raw_fd(), std::ptr::from_mut(&mut byte).cast(), 1) != 1 {
            libc::_exit(0);
        }
        libc::execvp(words[0], words.as_ptr());
        let code = *libc::__errno_location();
        libc::write(report.as_raw_fd(), std::ptr::from_ref(&code).cast(), 4);
        libc::_exit(127)
    }
}

/// A pipe: the reading end, the writing end.
fn pipe() -> SysResult<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: the call fills two numbers.
    checked("pipe2", unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }.into())?;
    // SAFETY: the kernel just made both descriptors; nothing else owns them.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// Whether the descriptor is a pipe or a socket, whose other end can go away.
pub fn can_close(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: all-zero bytes are a valid stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is writable and the descriptor is open.
    let res = unsafe { libc::fstat(fd.as_raw_fd(), &mut stat) };
    res == 0 && matches!(stat.st_mode & libc::S_IFMT, libc::S_IFIFO | libc::S_IFSOCK)
}
