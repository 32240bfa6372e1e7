//! `rawtracepoint:EVENT`: a tracepoint's own arguments.
//!
//! The program is of the untyped kind, which is attached by the tracepoint's name and needs no
//! kernel types to load.

use super::{c_string, misplaced};
use crate::backend::{Error, Result};
use crate::linux::attach::{Attachment, failed};
use crate::linux::sys::bpf;
use lang::attach::{Point, Target};
use std::os::fd::BorrowedFd;

/// Attaches to one raw tracepoint.
pub fn attach(program: BorrowedFd<'_>, point: &Point) -> Result<Attachment> {
    let Target::Function { name, .. } = &point.target else { return Err(misplaced(point)) };
    match bpf::raw_tracepoint_open(program, Some(&c_string(name)?)) {
        Ok(link) => Ok(link.into()),
        Err(errno) if errno.code == libc::ENOENT => {
            Err(Error::new(format!("this kernel has no raw tracepoint `{name}`"))
                .hint("list them with: kscope -l 'rawtracepoint:*'"))
        }
        Err(errno) => Err(failed(point, errno)),
    }
}
