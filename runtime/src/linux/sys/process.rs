//! Processes and signals: a child held before its first instruction, descriptors that become
//! readable when a process ends or a signal arrives.

use super::memory::Mapping;
use super::{Errno, SysResult, checked, owned};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

/// A descriptor that becomes readable when the process ends.
pub fn open_pidfd(pid: u32) -> SysResult<OwnedFd> {
    // SAFETY: the call takes no memory.
    owned("pidfd_open", unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// The process that a thread belongs to; a process is its own.
pub fn leader_of(thread: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok())
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

    /// Forgets what arrived and was not asked for.
    pub fn discard(&self) {
        while self.next().is_some() {}
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

/// The next Ctrl-C does nothing, the one after it ends the process: a run that has just ended by
/// itself still prints for the user who meant to end it.
pub fn forgive_one_interrupt() {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: all-zero bytes are a valid sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
    action.sa_flags = libc::SA_RESETHAND | libc::SA_RESTART;
    // SAFETY: the handler does nothing, and the structure outlives the call. It cannot fail for a
    // signal that exists.
    unsafe { libc::sigaction(libc::SIGINT, &action, std::ptr::null_mut()) };
}

/// While it lives, Ctrl-C does nothing to this process unless [`Signals`] take it. Programs that are
/// started meanwhile are interrupted as usual.
pub struct Uninterrupted {
    before: libc::sigaction,
}

impl Uninterrupted {
    /// From now on.
    pub fn begin() -> SysResult<Self> {
        extern "C" fn nothing(_: libc::c_int) {}
        // SAFETY: all-zero bytes are a valid sigaction.
        let (mut action, mut before) = unsafe { std::mem::zeroed::<(libc::sigaction, libc::sigaction)>() };
        // A handler, because it ends with exec; an ignored signal would stay ignored.
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: the handler does nothing, and both structures outlive the call.
        checked("sigaction", unsafe { libc::sigaction(libc::SIGINT, &action, &mut before) }.into())?;
        Ok(Uninterrupted { before })
    }
}

impl Drop for Uninterrupted {
    fn drop(&mut self) {
        // SAFETY: `before` is what the kernel gave.
        unsafe { libc::sigaction(libc::SIGINT, &self.before, std::ptr::null_mut()) };
    }
}

/// A child process of ours.
pub struct Child {
    pid: u32,
    pidfd: OwnedFd,
    /// Shared with the child until it executes its command: one of the states below.
    gate: Gate,
    /// Carries `errno` when the command could not be executed.
    failure: OwnedFd,
}

impl Child {
    /// Starts a process that waits for [`Child::release`] before it executes the command (its
    /// first word is looked up in `PATH`). It ends with this process at the latest.
    ///
    /// It waits by futex and has done all else before, so that a trace of its system calls has
    /// little besides those of the command.
    pub fn hold(command: &[CString]) -> SysResult<Child> {
        let mut words: Vec<*const libc::c_char> = command.iter().map(|it| it.as_ptr()).collect();
        words.push(std::ptr::null());
        let gate = Gate::new()?;
        let (failure, report) = pipe()?;
        // SAFETY: getpid has no preconditions.
        let parent = unsafe { libc::getpid() };
        // SAFETY: the child only makes async-signal-safe calls before it executes or exits.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            run_child(&words, parent, &gate, report.as_fd());
        }
        let pid = checked("fork", pid.into())? as u32;
        let pidfd = open_pidfd(pid)?;
        gate.wait_while(STARTING);
        Ok(Child { pid, pidfd, gate, failure })
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
        self.gate.set(RELEASED);
        let mut code = [0u8; 4];
        // SAFETY: the buffer is as large as the size says. The pipe closes when the command runs.
        let n = unsafe { libc::read(self.failure.as_raw_fd(), code.as_mut_ptr().cast(), code.len()) };
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
    /// Removes it from the process table if it has ended, and ends it if it was never released; a
    /// running command ends with this process.
    fn drop(&mut self) {
        let options = match self.gate.state() {
            RELEASED => libc::WNOHANG,
            _ => {
                self.terminate();
                0
            }
        };
        // SAFETY: a null status pointer is allowed.
        unsafe { libc::waitpid(self.pid as i32, std::ptr::null_mut(), options) };
    }
}

const STARTING: u32 = 0;
const HELD: u32 = 1;
const RELEASED: u32 = 2;

/// A number that this process and its child share and can wait for.
struct Gate(Mapping);

impl Gate {
    fn new() -> SysResult<Gate> {
        Mapping::shared(size_of::<AtomicU32>()).map(Gate)
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: the mapping is as large and as aligned, all-zero bytes are a value, and it lives
        // as long as `self`.
        unsafe { self.0.address().cast().as_ref() }
    }

    fn state(&self) -> u32 {
        self.word().load(Ordering::Acquire)
    }

    fn set(&self, state: u32) {
        self.word().store(state, Ordering::Release);
        // SAFETY: the word is live for the call.
        unsafe { libc::syscall(libc::SYS_futex, self.word(), libc::FUTEX_WAKE, i32::MAX) };
    }

    fn wait_while(&self, state: u32) {
        let forever = std::ptr::null::<libc::timespec>();
        while self.state() == state {
            // SAFETY: the word is live for the call; a wake-up without cause is looked at again.
            unsafe { libc::syscall(libc::SYS_futex, self.word(), libc::FUTEX_WAIT, state, forever) };
        }
    }
}

/// The child's side: waits, executes, or reports why not. Only async-signal-safe calls.
fn run_child(words: &[*const libc::c_char], parent: libc::pid_t, gate: &Gate, report: BorrowedFd<'_>) -> ! {
    // SAFETY: the calls take no memory; Rust ignores SIGPIPE, and ignored signals stay ignored
    // across exec.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        if libc::getppid() != parent {
            libc::_exit(0);
        }
    }
    gate.set(HELD);
    gate.wait_while(HELD);
    // SAFETY: `words` ends with null and its strings outlive the call; `code` is 4 bytes.
    unsafe {
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
