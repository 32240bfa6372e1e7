//! The probe types: each file knows how its places are found and attached to.

pub mod kprobe;
pub mod perf;
pub mod raw_tracepoint;
pub mod tracepoint;
pub mod trampoline;
pub mod uprobe;
pub mod xdp;

use crate::backend::{Error, Result};
use lang::attach::Point;
use std::ffi::CString;
use std::fs;
use std::io;

/// A name as the kernel takes it.
fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::new(format!("`{}` holds a NUL byte", text.escape_debug())))
}

/// The error for a point whose target is not of its probe type's form.
fn misplaced(point: &Point) -> Error {
    Error::new(format!("`{}` does not say what to attach to", point.name()))
}

/// A kernel event source with its own number, such as `kprobe` or `uprobe`.
struct Source {
    kind: u32,
    return_bit: u64,
}

/// The event source of that name; `None` when this kernel lacks it.
fn source(name: &str) -> Result<Option<Source>> {
    let directory = format!("/sys/bus/event_source/devices/{name}");
    let kind = match fs::read_to_string(format!("{directory}/type")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::exists("/sys/bus").unwrap_or(false) => {
            return Ok(None);
        }
        Err(error) => {
            return Err(Error::new(format!("cannot read {directory}/type: {error}"))
                .hint("mount -t sysfs nodev /sys"));
        }
        Ok(text) => text.trim().parse().ok(),
    };
    // `config:0`
    let bit = fs::read_to_string(format!("{directory}/format/retprobe")).unwrap_or_default();
    let bit = bit.trim().strip_prefix("config:").and_then(|it| it.parse::<u32>().ok()).unwrap_or(0);
    let Some(kind) = kind else { return Err(Error::new(format!("{directory}/type is not a number"))) };
    Ok(Some(Source { kind, return_bit: 1u64.checked_shl(bit).unwrap_or(1) }))
}
