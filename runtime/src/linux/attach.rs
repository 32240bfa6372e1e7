//! Which way each program is attached here, and doing it.
//!
//! Comes in: the manifest's programs and what the kernel offers. Goes out: plans, and attachments
//! that last as long as their descriptors. A probe type is one file below `providers`.

use super::kernel::Kernel;
use super::load::{Code, Program};
use super::privileges;
use super::providers::{kprobe, perf, raw_tracepoint, tracepoint, trampoline, uprobe, xdp};
use super::sys::bpf;
use super::sys::{Errno, SysResult};
use crate::backend::{AttachPlan, Error, Result};
use codegen::{Manifest, manifest};
use lang::attach::Point;
use lang::probes::ProbeKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A way to attach a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Not attached, but run once.
    TestRun,
    /// To a perf event for each place.
    Perf,
    /// To many kernel functions by one link.
    KprobeMulti,
    /// To many places of an executable by one link.
    UprobeMulti,
    /// To the place that the code was loaded for.
    Trampoline,
    /// To a raw tracepoint by name.
    RawTracepoint,
    /// To a network interface by a link.
    Link,
}

impl Method {
    /// As `-v` shows it.
    pub fn name(self) -> &'static str {
        match self {
            Method::TestRun => "run",
            Method::Perf => "perf",
            Method::KprobeMulti | Method::UprobeMulti => "multi",
            Method::Trampoline => "trampoline",
            Method::RawTracepoint => "raw",
            Method::Link => "link",
        }
    }
}

/// The probe type of a program; all its points have the same.
pub fn kind(program: &manifest::Program) -> Option<ProbeKind> {
    program.points.first().map(|point| point.kind)
}

/// The cheapest way that this kernel offers for all points of a program. It is settled before the
/// program is loaded, because some ways must be named when loading.
pub fn method(program: &manifest::Program, kernel: &Kernel) -> Method {
    use ProbeKind::*;
    match kind(program) {
        None | Some(Begin | End | SelfSignal) => Method::TestRun,
        Some(Tracepoint | Interval | Profile | Software | Hardware | Watchpoint) => Method::Perf,
        Some(RawTracepoint) => Method::RawTracepoint,
        Some(Kprobe | Kretprobe) => kprobe::method(program, kernel),
        Some(Uprobe | Uretprobe | Usdt) => uprobe::method(program, kernel),
        Some(Fentry | Fexit) => Method::Trampoline,
        Some(Xdp) => Method::Link,
    }
}

/// How the points of the manifest are attached, in the order of the script.
pub fn plan(manifest: &Manifest, kernel: &Kernel) -> Vec<AttachPlan> {
    let mut plans = Vec::new();
    for (idx, program) in manifest.programs.iter().enumerate() {
        let method = method(program, kernel);
        let groups: Vec<Vec<Point>> = match method {
            Method::TestRun => continue,
            Method::KprobeMulti => vec![program.points.clone()],
            Method::UprobeMulti => uprobe::by_file(&program.points),
            _ => program.points.iter().map(|it| vec![it.clone()]).collect(),
        };
        plans.extend(groups.into_iter().map(|points| AttachPlan {
            program: idx,
            points,
            method: method.name(),
        }));
    }
    plans
}

/// What keeps a program attached: a link, and the perf event that it holds.
///
/// Closing the link detaches at once; closing the event after it may wait for the kernel.
#[derive(Default)]
pub struct Attachment {
    /// Closed first: the program no longer runs.
    pub link: Option<OwnedFd>,
    /// Closed second: the kernel takes its instrumentation back.
    pub event: Option<OwnedFd>,
    /// The address that a watchpoint watches.
    pub watched: Option<u64>,
}

impl From<OwnedFd> for Attachment {
    fn from(link: OwnedFd) -> Self {
        Attachment { link: Some(link), ..Attachment::default() }
    }
}

/// Attaches a loaded program as planned.
pub fn attach(
    plan: &AttachPlan,
    program: &Program,
    kernel: &Kernel,
    process: Option<u32>,
) -> Result<Vec<Attachment>> {
    use ProbeKind::*;
    let Some(point) = plan.points.first() else { return Ok(Vec::new()) };
    let fd = match &program.code {
        Code::ForEach(each) => return trampoline::attach(point, each),
        Code::Shared(fd) => fd.as_fd(),
    };
    match point.kind {
        Begin | End | SelfSignal | Fentry | Fexit => Ok(Vec::new()),
        Tracepoint => tracepoint::attach(fd, point, kernel).map(|it| vec![it]),
        RawTracepoint => raw_tracepoint::attach(fd, point).map(|it| vec![it]),
        Kprobe | Kretprobe if program.method == Method::KprobeMulti => {
            kprobe::attach_many(fd, &plan.points).map(|it| vec![it])
        }
        Kprobe | Kretprobe => kprobe::attach(fd, point).map(|it| vec![it]),
        Uprobe | Uretprobe | Usdt if program.method == Method::UprobeMulti => {
            uprobe::attach_many(fd, &plan.points, process).map(|it| vec![it])
        }
        Uprobe | Uretprobe | Usdt => uprobe::attach(fd, point, process).map(|it| vec![it]),
        Interval => perf::attach_interval(fd, point).map(|it| vec![it]),
        Profile => perf::attach_profile(fd, point, process),
        Software | Hardware => perf::attach_counter(fd, point, process),
        Watchpoint => perf::attach_watchpoint(fd, point, process),
        Xdp => xdp::attach(fd, point).map(|it| vec![it]),
    }
}

/// Attaches a program to a perf event: by a link, or before Linux 5.15 by ioctl.
pub fn attach_to_event(program: BorrowedFd<'_>, event: OwnedFd) -> SysResult<Attachment> {
    match bpf::link_perf_event(program, event.as_fd()) {
        Ok(link) => Ok(Attachment { link: Some(link), event: Some(event), watched: None }),
        Err(Errno { code: libc::EINVAL, .. }) => {
            bpf::perf_event_set_program(event.as_fd(), program)?;
            Ok(Attachment { event: Some(event), ..Attachment::default() })
        }
        Err(errno) => Err(errno),
    }
}

/// Closes links or events. For each the kernel waits until no CPU can be inside of the program any
/// more, 20 to 70 ms; threads wait at the same time, so that many take hardly longer than one.
pub fn close_all(descriptors: Vec<OwnedFd>) {
    const MOST_THREADS: usize = 64;
    let share = descriptors.len().div_ceil(MOST_THREADS).max(1);
    let mut descriptors = descriptors.into_iter();
    std::thread::scope(|scope| {
        loop {
            let batch: Vec<OwnedFd> = descriptors.by_ref().take(share).collect();
            // The last batch needs no thread of its own.
            if batch.is_empty() || descriptors.len() == 0 {
                return drop(batch);
            }
            scope.spawn(move || drop(batch));
        }
    });
}

/// The error for a place that could not be attached to, when there is nothing better to say.
pub fn failed(point: &Point, errno: Errno) -> Error {
    let name = point.name();
    match errno.code {
        libc::EPERM | libc::EACCES if !privileges::is_privileged() => privileges::missing(),
        libc::EPERM | libc::EACCES => Error::new(format!("the kernel does not allow `{name}` ({errno})")),
        libc::ENOMEM => Error::new(format!("not enough memory to attach `{name}`")),
        libc::EMFILE | libc::ENFILE => Error::new(format!("too many open files to attach `{name}`"))
            .hint("raise the limit with `ulimit -n`, or attach to fewer places"),
        libc::E2BIG => Error::new(format!("`{name}` has as many programs attached as the kernel takes")),
        _ => Error::new(format!("cannot attach `{name}`: {errno}")),
    }
}
