//! `xdp:IFACE`: a link to a network interface.

use super::{c_string, misplaced};
use crate::backend::{Error, Result};
use crate::linux::attach::{Attachment, failed};
use crate::linux::sys::{self, SysResult, bpf};
use lang::attach::{Point, Target, XdpMode};
use std::collections::HashSet;
use std::os::fd::{BorrowedFd, OwnedFd};

const FLAG_SKB: u32 = 1 << 1;
const FLAG_NATIVE: u32 = 1 << 2;

/// Whether these go together: an interface takes one program.
pub fn check<'a>(points: impl Iterator<Item = &'a Point>) -> Result<()> {
    let mut seen = HashSet::new();
    for point in points {
        if let Target::Interface { name, .. } = &point.target
            && !seen.insert(name)
        {
            return Err(Error::new(format!(
                "`{name}` takes one XDP program, and the script has several probes for it"
            ))
            .hint("make one probe of them, with `if` in place of the predicates"));
        }
    }
    Ok(())
}

/// Attaches to an interface of this network namespace.
pub fn attach(program: BorrowedFd<'_>, point: &Point) -> Result<Attachment> {
    let Target::Interface { name, mode } = &point.target else { return Err(misplaced(point)) };
    let index = sys::interface_index(&c_string(name)?).map_err(|_| {
        Error::new(format!("there is no network interface `{name}`")).hint("list them with: ip link")
    })?;
    let link = match mode {
        XdpMode::Skb => bpf::link_xdp(program, index, FLAG_SKB),
        XdpMode::Native => bpf::link_xdp(program, index, FLAG_NATIVE),
        XdpMode::Auto => native_or_generic(program, index),
    };
    link.map(Attachment::from).map_err(|errno| match errno.code {
        libc::EBUSY | libc::EEXIST => Error::new(format!("`{name}` has another XDP program already"))
            .hint(format!("see it with: ip link show {name}")),
        libc::EOPNOTSUPP if *mode == XdpMode::Native => {
            Error::new(format!("the driver of `{name}` has no XDP of its own"))
                .hint(format!("use the generic way: xdp:{name}:skb"))
        }
        libc::EINVAL => Error::new(format!("cannot attach `{}`: {errno}", point.name()))
            .hint("links of XDP programs need Linux 5.9"),
        _ => failed(point, errno),
    })
}

fn native_or_generic(program: BorrowedFd<'_>, index: u32) -> SysResult<OwnedFd> {
    match bpf::link_xdp(program, index, FLAG_NATIVE) {
        // What another way cannot cure is reported as it is.
        Err(errno) if !matches!(errno.code, libc::EBUSY | libc::EEXIST | libc::EPERM | libc::ENODEV) => {
            bpf::link_xdp(program, index, FLAG_SKB)
        }
        res => res,
    }
}
