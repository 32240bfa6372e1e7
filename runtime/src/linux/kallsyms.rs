//! The kernel's symbol table, `/proc/kallsyms`: names, addresses, modules.
//!
//! Reading it costs tens of milliseconds, since the kernel writes it anew each time: done when a
//! symbol is asked for, and once.

use super::btf::VMLINUX;
use std::fs;
use std::io;

/// The whole table, as text.
#[derive(Debug)]
pub struct Kallsyms {
    text: String,
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// 0 where the kernel hides addresses (`kernel.kptr_restrict`).
    pub address: u64,
    /// A letter as `nm` prints it: `t` and `T` are code.
    pub kind: char,
    /// Its name.
    pub name: &'a str,
    /// `vmlinux` or a module.
    pub module: &'a str,
}

impl Kallsyms {
    /// The running kernel's.
    pub fn read() -> io::Result<Kallsyms> {
        Ok(Self::from_text(fs::read_to_string("/proc/kallsyms")?))
    }

    /// A table already read.
    pub fn from_text(text: String) -> Kallsyms {
        Kallsyms { text }
    }

    /// Every symbol, in the kernel's order.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol<'_>> {
        self.text.lines().filter_map(parse)
    }

    /// The address of a symbol; nothing where the kernel hides it.
    pub fn address(&self, name: &str) -> Option<u64> {
        self.symbols().find(|it| it.name == name).map(|it| it.address).filter(|&it| it != 0)
    }

    /// Functions that a probe may mean: code, without that which is dropped after boot.
    pub fn functions(&self) -> impl Iterator<Item = Symbol<'_>> {
        let dropped = self.initial_code();
        self.symbols().filter(move |it| {
            matches!(it.kind, 't' | 'T' | 'w' | 'W')
                && !is_pseudo_module(it.module)
                && !dropped.is_some_and(|(start, end)| (start..end).contains(&it.address))
        })
    }

    fn initial_code(&self) -> Option<(u64, u64)> {
        Some((self.address("_sinittext")?, self.address("_einittext")?))
    }
}

/// Code that the kernel lists under a module's name, but that no probe can be put on: BPF programs
/// and trampolines.
fn is_pseudo_module(module: &str) -> bool {
    module == "bpf" || module.starts_with("__builtin__")
}

/// `ADDRESS KIND NAME`, then a tab and `[MODULE]` for a module's.
fn parse(line: &str) -> Option<Symbol<'_>> {
    let mut words = line.split([' ', '\t']);
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    let kind = words.next()?.chars().next()?;
    let name = words.next()?;
    let module = words.next().map_or(VMLINUX, |it| it.trim_matches(['[', ']']));
    Some(Symbol { address, kind, name, module })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "ffffffff81000000 T _text\n\
        ffffffff81000010 t vfs_read\n\
        ffffffff82000000 D jiffies\n\
        ffffffff83000000 T _sinittext\n\
        ffffffff83000010 t start_kernel\n\
        ffffffff83000100 T _einittext\n\
        ffffffffc0000000 t veth_open\t[veth]\n\
        ffffffffc0001000 t bpf_prog_1234_x\t[bpf]\n\
        not a line\n";

    #[test]
    fn finds_functions_and_addresses() {
        let table = Kallsyms::from_text(TABLE.to_owned());
        assert_eq!(table.address("jiffies"), Some(0xffff_ffff_8200_0000));
        assert_eq!(table.address("jiffie"), None);
        let functions: Vec<_> = table.functions().map(|it| (it.name, it.module)).collect();
        let expected =
            [("_text", "vmlinux"), ("vfs_read", "vmlinux"), ("_einittext", "vmlinux"), ("veth_open", "veth")];
        assert_eq!(functions, expected);
    }
}
