//! The network interfaces of this network namespace.

use super::glob;
use super::sys::interface_index;
use std::ffi::{CStr, CString};

/// The interfaces whose name matches, sorted.
pub fn matching(pattern: &str) -> Vec<String> {
    if glob::is_pattern(pattern) {
        return all().into_iter().filter(|it| glob::matches(pattern, it)).collect();
    }
    let exists = CString::new(pattern).is_ok_and(|it| interface_index(&it).is_ok());
    if exists { vec![pattern.to_owned()] } else { Vec::new() }
}

/// The names of all interfaces, sorted.
pub fn all() -> Vec<String> {
    let mut names = Vec::new();
    // SAFETY: the call takes nothing; its result is checked and freed below.
    let list = unsafe { libc::if_nameindex() };
    let mut at = list;
    // SAFETY: the list ends with an entry without a name, and names are NUL-terminated.
    while let Some(entry) = unsafe { at.as_ref() }.filter(|it| !it.if_name.is_null()) {
        // SAFETY: as above.
        names.push(unsafe { CStr::from_ptr(entry.if_name) }.to_string_lossy().into_owned());
        // SAFETY: an entry with a name is not the last.
        at = unsafe { at.add(1) };
    }
    if !list.is_null() {
        // SAFETY: the list came from `if_nameindex` and is not used any more.
        unsafe { libc::if_freenameindex(list) };
    }
    names.sort_unstable();
    names
}
