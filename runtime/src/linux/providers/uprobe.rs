//! `uprobe`, `uretprobe` and `usdt`: places in executables and libraries.
//!
//! A symbol becomes an offset in the file by our own look-up; the kernel knows only offsets. It
//! also raises the semaphore of a static probe in every process that has the file mapped.

use super::{c_string, misplaced, source};
use crate::backend::{Error, Result};
use crate::linux::attach::{Attachment, Method, attach_to_event, failed};
use crate::linux::executables::{self, to_file_offset};
use crate::linux::kernel::Kernel;
use crate::linux::sys::bpf::{self, UprobePlaces};
use crate::linux::sys::perf::{self, Place, Scope};
use codegen::manifest;
use lang::attach::{Point, Target};
use object::read::ReadCache;
use object::{Object, ObjectSymbol};
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

/// Many places go by one link for each file, where the kernel offers that.
pub fn method(program: &manifest::Program, kernel: &Kernel) -> Method {
    if program.points.len() > 1 && kernel.has_uprobe_multi() { Method::UprobeMulti } else { Method::Perf }
}

/// Points put together by their file, in order.
pub fn by_file(points: &[Point]) -> Vec<Vec<Point>> {
    let path = |point: &Point| match &point.target {
        Target::User { path, .. } | Target::Usdt { path, .. } => path.clone(),
        _ => String::new(),
    };
    let mut groups: Vec<Vec<Point>> = Vec::new();
    for point in points {
        match groups.iter_mut().find(|group| group.first().map(path) == Some(path(point))) {
            Some(group) => group.push(point.clone()),
            None => groups.push(vec![point.clone()]),
        }
    }
    groups
}

/// Attaches to one place, in one process or in all.
pub fn attach(program: BorrowedFd<'_>, point: &Point, process: Option<u32>) -> Result<Attachment> {
    let source = source("uprobe")?
        .ok_or_else(|| Error::new("this kernel has no uprobes (CONFIG_UPROBE_EVENTS is not set)"))?;
    let executable = Executable::open(point, process)?;
    let offset = executable.offset(point)?;
    let path = c_string(&executable.path.to_string_lossy())?;
    let config = if point.kind.is_return() { source.return_bit } else { 0 };
    let semaphore = semaphore(point) << SEMAPHORE_SHIFT;
    let scope = process.map_or(Scope::Cpu(0), Scope::Process);
    let event = perf::open_probe(source.kind, config | semaphore, Place::File(&path, offset), scope)
        .map_err(|errno| executable.failed(point, errno))?;
    attach_to_event(program, event).map_err(|errno| failed(point, errno))
}

/// Attaches to places that are all in one file.
pub fn attach_many(program: BorrowedFd<'_>, points: &[Point], process: Option<u32>) -> Result<Attachment> {
    let Some(first) = points.first() else { return Ok(Attachment::default()) };
    let executable = Executable::open(first, process)?;
    let offsets = points.iter().map(|it| executable.offset(it)).collect::<Result<Vec<u64>>>()?;
    let path = c_string(&executable.path.to_string_lossy())?;
    let semaphores: Vec<u64> = points.iter().map(semaphore).collect();
    let places = UprobePlaces { path: &path, offsets: &offsets, semaphores: &semaphores };
    bpf::link_uprobe_multi(program, places, first.kind.is_return(), process.unwrap_or(0))
        .map(Attachment::from)
        .map_err(|errno| executable.failed(first, errno))
}

/// Where a perf event's configuration has the offset of the semaphore, as
/// `/sys/bus/event_source/devices/uprobe/format/ref_ctr_offset` says.
const SEMAPHORE_SHIFT: u32 = 32;

/// The offset in the file of a static probe's semaphore, or 0.
fn semaphore(point: &Point) -> u64 {
    match &point.target {
        Target::Usdt { location: Some(location), .. } => location.semaphore,
        _ => 0,
    }
}

/// A file with code.
struct Executable {
    path: PathBuf,
    /// Only what is looked at is read.
    content: ReadCache<File>,
}

impl Executable {
    fn open(point: &Point, process: Option<u32>) -> Result<Executable> {
        let (Target::User { path, .. } | Target::Usdt { path, .. }) = &point.target else {
            return Err(misplaced(point));
        };
        let found = find(path, process).ok_or_else(|| {
            Error::new(format!("there is no file, command or library `{path}`")).hint("give its whole path")
        })?;
        match File::open(&found) {
            Ok(file) => Ok(Executable { path: found, content: ReadCache::new(file) }),
            Err(error) => Err(Error::new(format!("cannot read `{}`: {error}", found.display()))),
        }
    }

    /// Where a point is in the file.
    fn offset(&self, point: &Point) -> Result<u64> {
        let (symbol, offset) = match &point.target {
            Target::Usdt { location: Some(location), .. } => return Ok(location.offset),
            Target::User { symbol, offset, .. } => (symbol, offset),
            _ => return Err(misplaced(point)),
        };
        let file = object::File::parse(&self.content).map_err(|error| {
            Error::new(format!("`{}` is not an executable: {error}", self.path.display()))
        })?;
        if symbol.is_empty() {
            return Ok(to_file_offset(&file, *offset).unwrap_or(*offset));
        }
        let is_it =
            |it: &object::Symbol<'_, '_, &ReadCache<File>>| it.is_definition() && it.name() == Ok(symbol);
        let found = file.symbols().chain(file.dynamic_symbols()).find(is_it).ok_or_else(|| {
            Error::new(format!("`{}` has no symbol `{symbol}`", self.path.display()))
                .hint(format!("list them with: kscope -l 'uprobe:{}:*'", self.path.display()))
        })?;
        let address = found.address() + offset;
        to_file_offset(&file, address).ok_or_else(|| {
            Error::new(format!("`{symbol}` of `{}` is not in a part that is loaded", self.path.display()))
        })
    }

    fn failed(&self, point: &Point, errno: crate::linux::sys::Errno) -> Error {
        match errno.code {
            libc::EINVAL | libc::EIO | libc::EOPNOTSUPP => Error::new(format!(
                "the kernel cannot probe the instruction of `{}` in {}",
                point.name(),
                self.path.display()
            )),
            libc::ESRCH => Error::new(format!("the process to trace with `{}` has ended", point.name())),
            _ => failed(point, errno),
        }
    }
}

/// The file that a name means: as the traced process sees it, else as we do.
fn find(name: &str, process: Option<u32>) -> Option<PathBuf> {
    let seen = process.map(|pid| PathBuf::from(format!("/proc/{pid}/root{name}")));
    match seen.filter(|it| name.starts_with('/') && it.exists()) {
        Some(seen) => Some(seen),
        None => executables::find(name).into_iter().next(),
    }
}
