//! `interval` and `profile`: perf's CPU clock, on one CPU or on all.

use super::misplaced;
use crate::backend::{Error, Result};
use crate::linux::attach::{Attachment, attach_to_event, failed};
use crate::linux::kernel;
use crate::linux::sys::perf::{self, Rate, Scope};
use lang::attach::{Point, Target, Timer};
use std::fs;
use std::os::fd::BorrowedFd;

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
    let scopes: Vec<Scope> = match process {
        Some(pid) => threads(pid)?.into_iter().map(Scope::Thread).collect(),
        None => kernel::online_cpus()?.into_iter().map(Scope::Cpu).collect(),
    };
    scopes.into_iter().map(|scope| attach_clock(program, point, scope)).collect()
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
