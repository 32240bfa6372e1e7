//! Loads with exactly known effects.

mod calls;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

/// Runs one load.
pub fn work(arguments: &[String]) -> ExitCode {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |at: usize| words.get(at).and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
    match words.first().copied() {
        Some("as") => return named(words.get(1).copied().unwrap_or(""), &arguments[2..]),
        Some("getppid") => getppid(number(1)),
        Some("open") => open(words.get(1).copied().unwrap_or("/nowhere"), number(2)),
        Some("read") => read(&words[1..]),
        Some("sleep") => sleep(),
        Some("nap") => (0..number(1)).for_each(|_| std::thread::sleep(Duration::from_millis(20))),
        Some("static-probes") => crate::static_probes::fire(number(1)),
        Some("touch") => touch(number(1)),
        Some("write") => write(number(1), number(2)),
        Some("busy") => busy(Duration::from_millis(number(1))),
        Some("preempt") => preempt(number(1)),
        Some("exec") => return exec(words.get(1).copied().unwrap_or("/nowhere")),
        Some("exit") => return ExitCode::from(number(1) as u8),
        Some("privileges") => crate::cases::print_privileges(),
        Some("wait") => std::thread::sleep(Duration::from_millis(number(1))),
        Some("tcp-server") => tcp_server(words.get(1).copied().unwrap_or("")),
        Some("tcp-client") => return tcp_client(words.get(1).copied().unwrap_or("")),
        _ => return calls::work(&words),
    }
    ExitCode::SUCCESS
}

/// A load under a name of its own, by which a script's output shows it.
fn named(name: &str, load: &[String]) -> ExitCode {
    let name = std::ffi::CString::new(name).expect("arguments have no NUL");
    set_name(&name);
    work(load)
}

/// Exactly `count` getppid system calls.
fn getppid(count: u64) {
    for _ in 0..count {
        // SAFETY: getppid takes nothing and cannot fail.
        unsafe { libc::syscall(libc::SYS_getppid) };
    }
}

/// Opens `PREFIX0`, `PREFIX1`, … for reading; they need not exist.
fn open(prefix: &str, count: u64) {
    for index in 0..count {
        let _ = File::open(format!("{prefix}{index}"));
    }
}

/// Under the name `reader`, reads of the given sizes from `/dev/zero`: `COUNTxSIZE` each.
fn read(groups: &[&str]) {
    set_name(c"reader");
    let mut zero = File::open("/dev/zero").expect("every kernel has /dev/zero");
    for group in groups {
        let (count, size) = group.split_once('x').expect("COUNTxSIZE");
        let mut buffer = vec![0; size.parse().expect("a size")];
        for _ in 0..count.parse::<u64>().expect("a count") {
            let _ = zero.read(&mut buffer);
        }
    }
}

/// Touches that many fresh pages of memory, which costs a fault each.
fn touch(pages: u64) {
    const PAGE: usize = 4096;
    let memory = map(std::ptr::null_mut(), pages as usize * PAGE);
    // SAFETY: the advice is about a mapping that was just made.
    unsafe { libc::madvise(memory.cast(), pages as usize * PAGE, libc::MADV_NOHUGEPAGE) };
    for page in 0..pages as usize {
        // SAFETY: within the mapping.
        unsafe { memory.add(page * PAGE).write_volatile(1) };
    }
}

/// Writes and then reads eight bytes at the address 0x10000000 that often.
fn write(writes: u64, reads: u64) {
    let address = map(0x1000_0000 as *mut u8, 4096).cast::<u64>();
    assert_eq!(address.addr(), 0x1000_0000, "nothing else is mapped there");
    for round in 0..writes {
        // SAFETY: within the mapping, and aligned.
        unsafe { address.write_volatile(round) };
    }
    for _ in 0..reads {
        // SAFETY: within the mapping, and aligned.
        unsafe { address.read_volatile() };
    }
}

fn map(wanted: *mut u8, length: usize) -> *mut u8 {
    // SAFETY: a new anonymous mapping; a wanted address is only taken when nothing is there.
    let memory = unsafe {
        libc::mmap(
            wanted.cast(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    assert_ne!(memory, libc::MAP_FAILED, "memory for the load");
    memory.cast()
}

fn set_name(name: &std::ffi::CStr) {
    // SAFETY: PR_SET_NAME reads a NUL-terminated string of at most 16 bytes.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Ten sleeps of 1 ms and ten of 20 ms.
fn sleep() {
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(1));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Spends 70 % of its processor time in `busy_seventy` and 30 % in `busy_thirty`.
fn busy(total: Duration) {
    const SLICE: Duration = Duration::from_millis(100);
    for _ in 0..total.as_millis() / SLICE.as_millis() {
        busy_seventy(SLICE * 7 / 10);
        busy_thirty(SLICE * 3 / 10);
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
fn busy_seventy(slice: Duration) -> u64 {
    let (end, mut rounds) = (processor_time() + slice, 0u64);
    while processor_time() < end {
        for round in 0..100_000 {
            rounds = std::hint::black_box(rounds ^ round);
        }
    }
    rounds
}

#[unsafe(no_mangle)]
#[inline(never)]
fn busy_thirty(slice: Duration) -> u64 {
    let (end, mut rounds) = (processor_time() + slice, 1u64);
    while processor_time() < end {
        for round in 0..100_000 {
            rounds = std::hint::black_box(rounds.wrapping_add(round));
        }
    }
    rounds
}

#[inline(always)]
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// How many threads [`preempt`] has.
pub const THREADS: u64 = 8;

/// Threads on one processor, each of which calls `suite_named` `count` times with a long text of its
/// own and with numbers up to a limit of its own. Half of them sleep between calls and then come
/// before the others, wherever these are, on a kernel that can be preempted.
fn preempt(count: u64) {
    pin_to_one_processor();
    let threads = (0..THREADS).map(|idx| {
        std::thread::spawn(move || {
            let text = std::ffi::CString::new(named_text(idx)).expect("letters are not NUL");
            let urgent = idx % 2 == 0 && be_urgent();
            for number in 0..count {
                suite_named(text.as_ptr(), (idx + 1) * 1_000_000 + number);
                if urgent {
                    std::thread::sleep(Duration::from_micros(30));
                }
            }
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        let _ = thread.join();
    }
}

/// The text of one thread of [`preempt`].
pub fn named_text(thread: u64) -> String {
    char::from(b'a' + thread as u8).to_string().repeat(500)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn suite_named(text: *const std::ffi::c_char, number: u64) -> u64 {
    std::hint::black_box(text);
    std::hint::black_box(number)
}

fn pin_to_one_processor() {
    // SAFETY: an all-zero set is a valid one, and the kernel reads as many bytes as it has.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(0, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set);
    }
}

/// Makes this thread come before ordinary ones, if that is allowed.
fn be_urgent() -> bool {
    let parameter = libc::sched_param { sched_priority: 10 };
    // SAFETY: the kernel reads one parameter.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &parameter) == 0 }
}

/// Becomes `program`.
fn exec(program: &str) -> ExitCode {
    use std::os::unix::process::CommandExt;
    let error = std::process::Command::new(program).exec();
    eprintln!("cannot become {program}: {error}");
    ExitCode::from(2)
}

/// Answers one connection with what it sent.
fn tcp_server(address: &str) {
    let listener = TcpListener::bind(address).expect("the address is this namespace's");
    println!("listening");
    if let Ok((mut stream, _)) = listener.accept() {
        let mut bytes = [0; 5];
        let _ = stream.read_exact(&mut bytes).and_then(|()| stream.write_all(&bytes));
    }
}

/// Succeeds when a server gives back what was sent.
fn tcp_client(address: &str) -> ExitCode {
    let talk = || -> std::io::Result<bool> {
        let address = address.parse().map_err(std::io::Error::other)?;
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.write_all(b"hello")?;
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes)?;
        Ok(&bytes == b"hello")
    };
    if talk().unwrap_or(false) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
