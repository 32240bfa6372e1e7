//! `kprobe` and `kretprobe`: one link for many functions where the kernel offers that, else a perf
//! event for each place.

use super::{c_string, misplaced, source};
use crate::backend::{Error, Result};
use crate::linux::attach::{Attachment, Method, attach_to_event, failed};
use crate::linux::kernel::Kernel;
use crate::linux::sys::bpf;
use crate::linux::sys::perf::{self, Place, Scope};
use codegen::manifest;
use lang::attach::{Point, Target};
use std::ffi::{CStr, CString};
use std::os::fd::BorrowedFd;

/// Many plain functions go by one link, places inside functions and single functions do not.
pub fn method(program: &manifest::Program, kernel: &Kernel) -> Method {
    let is_plain = |it: &Point| matches!(it.target, Target::Function { module: None, offset: 0, .. });
    let points = &program.points;
    if points.len() > 1 && points.iter().all(is_plain) && kernel.has_kprobe_multi() {
        Method::KprobeMulti
    } else {
        Method::Perf
    }
}

/// Attaches to one place.
pub fn attach(program: BorrowedFd<'_>, point: &Point) -> Result<Attachment> {
    let source = source("kprobe")?.ok_or_else(no_kprobes)?;
    let name = match &point.target {
        Target::Function { module: Some(module), name, .. } => c_string(&format!("{module}:{name}"))?,
        Target::Function { module: None, name, .. } => c_string(name)?,
        _ => CString::default(),
    };
    let place = match point.target {
        Target::Function { offset, .. } => Place::Symbol(&name, offset),
        Target::Address(address) => Place::Address(address),
        _ => return Err(misplaced(point)),
    };
    let config = if point.kind.is_return() { source.return_bit } else { 0 };
    let event =
        perf::open_probe(source.kind, config, place, Scope::Cpu(0)).map_err(|errno| match errno.code {
            libc::ENOENT => Error::new(format!("this kernel has no function for `{}`", point.name())),
            libc::EADDRNOTAVAIL => {
                Error::new(format!("`{}` means several functions of this name", point.name()))
                    .hint("name the module, or use the address")
            }
            libc::EILSEQ => Error::new(format!("`{}` is not at the start of an instruction", point.name())),
            libc::EINVAL => Error::new(format!("the kernel does not allow a probe at `{}`", point.name()))
                .hint("it is in code that must not be probed (see /sys/kernel/debug/kprobes/blacklist)"),
            _ => failed(point, errno),
        })?;
    attach_to_event(program, event).map_err(|errno| failed(point, errno))
}

/// Attaches to many functions. The kernel takes all names or none, and does not say which one is
/// bad: the list is halved until that one is alone.
pub fn attach_many(program: BorrowedFd<'_>, points: &[Point]) -> Result<Attachment> {
    let mut names = Vec::with_capacity(points.len());
    for point in points {
        let Target::Function { name, .. } = &point.target else { return Err(misplaced(point)) };
        names.push(c_string(name)?);
    }
    let symbols: Vec<&CStr> = names.iter().map(CString::as_c_str).collect();
    let on_return = points.first().is_some_and(|it| it.kind.is_return());
    match bpf::link_kprobe_multi(program, &symbols, on_return) {
        Ok(link) => Ok(link.into()),
        Err(errno) => Err(match find_bad(program, points, &symbols, on_return) {
            Some(bad) => Error::new(format!("this kernel cannot probe the function of `{}`", bad.name())),
            None => points.first().map_or_else(|| Error::new(errno.to_string()), |it| failed(it, errno)),
        }),
    }
}

/// The first of these functions that cannot be attached to by itself.
fn find_bad<'a>(
    program: BorrowedFd<'_>,
    points: &'a [Point],
    symbols: &[&CStr],
    on_return: bool,
) -> Option<&'a Point> {
    if bpf::link_kprobe_multi(program, symbols, on_return).is_ok() {
        return None;
    }
    if let [point] = points {
        return Some(point);
    }
    let (first, second) = points.split_at(points.len() / 2);
    let (first_symbols, second_symbols) = symbols.split_at(points.len() / 2);
    find_bad(program, first, first_symbols, on_return)
        .or_else(|| find_bad(program, second, second_symbols, on_return))
}

fn no_kprobes() -> Error {
    Error::new("this kernel has no kprobes (CONFIG_KPROBES or CONFIG_KPROBE_EVENTS is not set)")
        .hint("tracepoints, raw tracepoints and uprobes may be there: kscope -l 'tracepoint:*'")
}
