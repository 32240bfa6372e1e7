//! perf_event_open(2), for the kinds of events that programs are attached to.

use super::{SysResult, owned};
use std::ffi::CStr;
use std::os::fd::OwnedFd;

const TYPE_HARDWARE: u32 = 0;
const TYPE_SOFTWARE: u32 = 1;
const TYPE_TRACEPOINT: u32 = 2;
const TYPE_BREAKPOINT: u32 = 5;
const COUNT_SW_CPU_CLOCK: u64 = 0;

/// `struct perf_event_attr` in its version 5, which every supported kernel knows.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Attr {
    kind: u32,
    size: u32,
    config: u64,
    sample: u64,
    sample_type: u64,
    read_format: u64,
    bits: u64,
    wakeup_events: u32,
    bp_type: u32,
    config1: u64,
    config2: u64,
    branch_sample_type: u64,
    sample_regs_user: u64,
    sample_stack_user: u32,
    clockid: i32,
    sample_regs_intr: u64,
    aux_watermark: u32,
    sample_max_stack: u16,
    reserved: u16,
}

const BIT_INHERIT: u64 = 1 << 1;
const BIT_FREQUENCY: u64 = 1 << 10;
const BIT_INHERIT_THREAD: u64 = 1 << 35;

/// Whom an event watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every process, on one CPU. Tracepoints and probes fire on all CPUs all the same.
    Cpu(u32),
    /// One process, on every CPU.
    Process(u32),
    /// One thread and those that it starts, on every CPU.
    Thread(u32),
}

/// How often a clock fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// Every so many nanoseconds.
    Period(u64),
    /// So many times a second.
    Frequency(u64),
}

/// A tracepoint by its id in tracefs.
pub fn open_tracepoint(id: u64, scope: Scope) -> SysResult<OwnedFd> {
    open(Attr { kind: TYPE_TRACEPOINT, config: id, sample: 1, ..Attr::default() }, scope)
}

/// The clock of a CPU, or of a thread's CPU time.
pub fn open_clock(rate: Rate, scope: Scope) -> SysResult<OwnedFd> {
    let (sample, bits) = match rate {
        Rate::Period(ns) => (ns, 0),
        Rate::Frequency(hz) => (hz, BIT_FREQUENCY),
    };
    open(Attr { kind: TYPE_SOFTWARE, config: COUNT_SW_CPU_CLOCK, sample, bits, ..Attr::default() }, scope)
}

/// Which of the kernel's tables a counter's number is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// `enum perf_hw_id`
    Hardware,
    /// `enum perf_sw_ids`
    Software,
}

/// A counter that fires every `count` events.
pub fn open_counter(table: Table, number: u64, count: u64, scope: Scope) -> SysResult<OwnedFd> {
    let kind = match table {
        Table::Hardware => TYPE_HARDWARE,
        Table::Software => TYPE_SOFTWARE,
    };
    open(Attr { kind, config: number, sample: count, ..Attr::default() }, scope)
}

/// A hardware breakpoint; `accesses` is a sum of `HW_BREAKPOINT_R` 1, `_W` 2 and `_X` 4.
pub fn open_breakpoint(address: u64, length: u64, accesses: u32, scope: Scope) -> SysResult<OwnedFd> {
    let (kind, bp_type, config1, config2) = (TYPE_BREAKPOINT, accesses, address, length);
    open(Attr { kind, bp_type, config1, config2, sample: 1, ..Attr::default() }, scope)
}

/// Where a kprobe goes.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// Bytes behind a kernel symbol, `[MODULE:]NAME`.
    Symbol(&'a CStr, u64),
    /// A kernel address.
    Address(u64),
    /// An offset in an executable file.
    File(&'a CStr, u64),
}

/// A kprobe or uprobe; `kind` is the number of the kernel's `kprobe` or `uprobe` event source, and
/// `config` its return bit.
pub fn open_probe(kind: u32, config: u64, place: Place<'_>, scope: Scope) -> SysResult<OwnedFd> {
    let (config1, config2) = match place {
        Place::Symbol(name, offset) | Place::File(name, offset) => (name.as_ptr() as u64, offset),
        Place::Address(address) => (0, address),
    };
    open(Attr { kind, config, config1, config2, ..Attr::default() }, scope)
}

fn open(attr: Attr, scope: Scope) -> SysResult<OwnedFd> {
    let attr = Attr { size: size_of::<Attr>() as u32, ..attr };
    match scope {
        Scope::Cpu(cpu) => syscall(&attr, -1, cpu as i32),
        Scope::Process(pid) => syscall(&attr, pid as i32, -1),
        Scope::Thread(tid) => {
            let with = |bits| Attr { bits: attr.bits | bits, ..attr };
            syscall(&with(BIT_INHERIT | BIT_INHERIT_THREAD), tid as i32, -1)
                .or_else(|_| syscall(&with(BIT_INHERIT), tid as i32, -1))
        }
    }
}

fn syscall(attr: &Attr, pid: i32, cpu: i32) -> SysResult<OwnedFd> {
    const FLAG_FD_CLOEXEC: libc::c_ulong = 8;
    const NO_GROUP: i32 = -1;
    // SAFETY: `attr` says its own size; the strings that it points to outlive the call.
    let res = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            std::ptr::from_ref(attr),
            pid,
            cpu,
            NO_GROUP,
            FLAG_FD_CLOEXEC,
        )
    };
    owned("perf_event_open", res)
}
