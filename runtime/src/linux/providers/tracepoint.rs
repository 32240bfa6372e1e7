//! `tracepoint:CATEGORY:EVENT`: a perf event by the tracepoint's id.

use super::misplaced;
use crate::backend::{Error, Result};
use crate::linux::attach::{Attachment, attach_to_event, failed};
use crate::linux::kernel::Kernel;
use crate::linux::sys::perf::{self, Scope};
use lang::attach::{Point, Target};
use std::io;
use std::os::fd::BorrowedFd;

/// Attaches to one tracepoint.
pub fn attach(program: BorrowedFd<'_>, point: &Point, kernel: &Kernel) -> Result<Attachment> {
    let Target::Tracepoint { category, event } = &point.target else { return Err(misplaced(point)) };
    let id = kernel.tracefs()?.event_id(category, event).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::new(format!("this kernel has no tracepoint `{category}:{event}`"))
            .hint(format!("list them with: kscope -l 'tracepoint:{category}:*'")),
        _ => Error::new(format!("cannot read the id of the tracepoint `{category}:{event}`: {error}")),
    })?;
    let event = perf::open_tracepoint(id, Scope::Cpu(0)).map_err(|errno| failed(point, errno))?;
    attach_to_event(program, event).map_err(|errno| failed(point, errno))
}
