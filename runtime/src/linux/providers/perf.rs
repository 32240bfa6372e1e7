//! Perf events: `interval` and `profile` by the CPU clock, on one CPU or on all; `software` and
//! `hardware` counters; `watchpoint`s.

use super::misplaced;
use crate::backend::{Error, Result};
use crate::linux::attach::{Attachment, attach_to_event, failed};
use crate::linux::kernel;
use crate::linux::sys::perf::{self, Rate, Scope, Table};
use crate::linux::sys::{Errno, SysResult};
use lang::attach::{Access, Point, Target, Timer};
use lang::counters;
use lang::probes::ProbeKind;
use std::fs;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Attaches `interval:…` to one CPU.
pub fn attach_interval(program: BorrowedFd<'_>, point: &Point) -> Result<Attachment> {
    let cpus = kernel::online_cpus()?;
    attach_clock(program, point, Scope::Cpu(cpus.first().copied().unwrap_or(0)))
}

/// Attaches `profile:…` to every online CPU, or to every thread of one process.
pub fn attach_profile(
    program: BorrowedFd<'_>,
    point: &Point,
    process: Option<u32>,
) -> Result<Vec<Attachment>> {
    scopes(process)?.into_iter().map(|scope| attach_clock(program, point, scope)).collect()
}

/// Attaches `software:…` or `hardware:…` to every online CPU, or to every thread of one process.
pub fn attach_counter(
    program: BorrowedFd<'_>,
    point: &Point,
    process: Option<u32>,
) -> Result<Vec<Attachment>> {
    let Target::Counter { name, count } = &point.target else { return Err(misplaced(point)) };
    let counter = counters::find(point.kind, name).ok_or_else(|| misplaced(point))?;
    let table = match point.kind {
        ProbeKind::Hardware => Table::Hardware,
        _ => Table::Software,
    };
    let count = count.unwrap_or(counter.period);
    let open = |scope| perf::open_counter(table, counter.number, count, scope);
    attach_everywhere(program, point, process, open, |errno| match (errno.code, table) {
        (libc::ENOENT | libc::EOPNOTSUPP, Table::Hardware) => {
            Error::new(format!("this machine's processor does not count `{}`", counter.name))
                .hint("virtual machines often have no counters; `software:cpu-clock` works everywhere")
        }
        _ => failed(point, errno),
    })
}

/// Attaches `watchpoint:…`: to one process's memory, or to what every CPU accesses.
pub fn attach_watchpoint(
    program: BorrowedFd<'_>,
    point: &Point,
    process: Option<u32>,
) -> Result<Vec<Attachment>> {
    let Target::Memory { address, length, access } = point.target else { return Err(misplaced(point)) };
    let accesses = match access {
        Access::Write => 2,
        Access::ReadWrite => 3,
        Access::Execute => 4,
    };
    let open = |scope| perf::open_breakpoint(address, length.into(), accesses, scope);
    let mut attachments = attach_everywhere(program, point, process, open, |errno| match errno.code {
        libc::ENOSPC => Error::new(format!("the processor has no breakpoint left for `{}`", point.name()))
            .hint("x86 has four for each CPU, and debuggers use the same ones"),
        _ => failed(point, errno),
    })?;
    attachments.iter_mut().for_each(|it| it.watched = Some(address));
    Ok(attachments)
}

fn attach_everywhere(
    program: BorrowedFd<'_>,
    point: &Point,
    process: Option<u32>,
    open: impl Fn(Scope) -> SysResult<OwnedFd>,
    explain: impl Fn(Errno) -> Error,
) -> Result<Vec<Attachment>> {
    let attach = |scope| {
        let event = open(scope).map_err(&explain)?;
        attach_to_event(program, event).map_err(|errno| failed(point, errno))
    };
    scopes(process)?.into_iter().map(attach).collect()
}

/// Every thread of a process, or every online CPU.
fn scopes(process: Option<u32>) -> Result<Vec<Scope>> {
    Ok(match process {
        Some(pid) => threads(pid)?.into_iter().map(Scope::Thread).collect(),
        None => kernel::online_cpus()?.into_iter().map(Scope::Cpu).collect(),
    })
}

fn attach_clock(program: BorrowedFd<'_>, point: &Point, scope: Scope) -> Result<Attachment> {
    let rate = match point.target {
        Target::Timer(Timer::Hertz(hz)) => Rate::Frequency(hz),
        Target::Timer(Timer::Period(n, unit)) => Rate::Period(n.saturating_mul(unit.nanoseconds())),
        _ => return Err(misplaced(point)),
    };
    let event = perf::open_clock(rate, scope).map_err(|errno| match errno.code {
        libc::EINVAL => Error::new(format!("`{}` fires more often than the kernel allows", point.name()))
            .hint("see /proc/sys/kernel/perf_event_max_sample_rate"),
        _ => failed(point, errno),
    })?;
    attach_to_event(program, event).map_err(|errno| failed(point, errno))
}

fn threads(pid: u32) -> Result<Vec<u32>> {
    let entries = fs::read_dir(format!("/proc/{pid}/task"))
        .map_err(|error| Error::new(format!("cannot list the threads of process {pid}: {error}")))?;
    Ok(entries.filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok()).collect())
}
