//! The kernel functions that probes with wildcards may mean.
//!
//! Comes from the function tracer's own list where it may be read (some machines refuse it to
//! root), else from the symbol table, which also has functions that the kernel then refuses.

use super::btf::VMLINUX;
use super::kallsyms::Kallsyms;
use super::tracefs::{Tracefs, private_mount};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd};

/// A kernel function and the module that has it (`vmlinux` for the kernel proper).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Function<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its module.
    pub module: &'a str,
}

/// Every function that may be probed.
#[derive(Debug)]
pub struct Functions {
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// The text of `available_filter_functions`.
    Traceable(String),
    /// The symbol table.
    Symbols(Kallsyms),
}

impl Functions {
    /// The running kernel's.
    pub fn read(tracefs: Option<&Tracefs>) -> io::Result<Functions> {
        let source = match tracefs.map(Tracefs::traceable_functions) {
            Some(Ok(text)) if !text.is_empty() => Source::Traceable(text),
            _ => Source::Symbols(Kallsyms::read()?),
        };
        Ok(Functions { source })
    }

    /// Functions from a list as `available_filter_functions` has it.
    pub fn from_list(text: &str) -> Functions {
        Functions { source: Source::Traceable(text.to_owned()) }
    }

    /// Each function once or more, in no order. Pieces that the compiler cut out of a function
    /// (`f.part.0`, `f.cold`) are left out; a copy with fewer parameters (`f.isra.0`) counts.
    pub fn iter(&self) -> impl Iterator<Item = Function<'_>> {
        let (listed, symbols) = match &self.source {
            Source::Traceable(text) => (Some(text.lines().filter_map(parse)), None),
            Source::Symbols(table) => {
                (None, Some(table.functions().map(|it| Function { name: it.name, module: it.module })))
            }
        };
        listed.into_iter().flatten().chain(symbols.into_iter().flatten()).filter(|it| !is_piece(it.name))
    }
}

/// The functions that the kernel bars from kprobes, as far as it says.
pub fn barred() -> HashSet<String> {
    read_blacklist().iter().flat_map(|text| blacklisted(text)).map(str::to_owned).collect()
}

/// `NAME`, then ` [MODULE]` for a module's.
fn parse(line: &str) -> Option<Function<'_>> {
    let mut words = line.split_ascii_whitespace();
    let name = words.next()?;
    let module = words.next().map_or(VMLINUX, |it| it.trim_matches(['[', ']']));
    // Stands for a weak function that the linker dropped.
    (!name.starts_with("__ftrace_invalid_address")).then_some(Function { name, module })
}

fn is_piece(name: &str) -> bool {
    name.contains(".part.") || name.contains(".cold")
}

/// Each line is an address range and a name.
fn blacklisted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|it| it.split_ascii_whitespace().nth(1))
}

/// debugfs' list, through a private handle where debugfs is not mounted; kernels that are locked
/// down refuse it.
fn read_blacklist() -> Option<String> {
    if let Ok(text) = fs::read_to_string("/sys/kernel/debug/kprobes/blacklist") {
        return Some(text);
    }
    let root = private_mount(c"debugfs").ok()?;
    // SAFETY: the path is NUL-terminated and the descriptor open.
    let fd = unsafe { libc::openat(root.as_raw_fd(), c"kprobes/blacklist".as_ptr(), libc::O_CLOEXEC) };
    if fd < 0 {
        return None;
    }
    let mut text = String::new();
    // SAFETY: the kernel just handed out this descriptor, and nobody else owns it.
    unsafe { File::from_raw_fd(fd) }.read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_tracers_list() {
        let functions = Functions::from_list(
            "vfs_read\nvfs_open.cold\nvfs_open.part.0\nvfs_stat.isra.0\n__ftrace_invalid_address___8\nveth_open [veth]\n\nvfs_read\n",
        );
        let found: Vec<_> = functions.iter().map(|it| (it.name, it.module)).collect();
        assert_eq!(
            found,
            [
                ("vfs_read", "vmlinux"),
                ("vfs_stat.isra.0", "vmlinux"),
                ("veth_open", "veth"),
                ("vfs_read", "vmlinux")
            ]
        );
    }

    #[test]
    fn reads_the_blacklist() {
        let text = "0xffffffff8105d2a0-0xffffffff8105d2c0\t__die\n0x0-0x10\tdo_int3\n";
        assert_eq!(blacklisted(text).collect::<Vec<_>>(), ["__die", "do_int3"]);
    }
}
