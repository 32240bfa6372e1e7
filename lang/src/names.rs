//! Names of the kernel's numbers: what errors and signals mean, what system calls are called.
//!
//! The tables are text in `stdlib/`, a number and its name a line. Programs carry the tables that they
//! use as data.

/// Bytes of a name in a program, its NUL and zeros behind it included.
pub const CAPACITY: u32 = 64;

/// A table of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// `strerror`
    Errors,
    /// `signal_name`
    Signals,
    /// `syscall_name` on x86-64.
    SyscallsX86,
    /// `syscall_name` on 64-bit ARM.
    SyscallsArm,
}

impl Table {
    /// Its symbol.
    pub fn name(self) -> &'static str {
        match self {
            Table::Errors => "errors",
            Table::Signals => "signals",
            Table::SyscallsX86 | Table::SyscallsArm => "syscalls",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Table::Errors => include_str!("../../stdlib/errors.txt"),
            Table::Signals => include_str!("../../stdlib/signals.txt"),
            Table::SyscallsX86 => include_str!("../../stdlib/syscalls-x86_64.txt"),
            Table::SyscallsArm => include_str!("../../stdlib/syscalls-aarch64.txt"),
        }
    }

    /// The name of a number that has none.
    fn unknown(self) -> &'static str {
        match self {
            Table::Errors => "Unknown error",
            Table::Signals => "N/A",
            Table::SyscallsX86 | Table::SyscallsArm => "Unknown syscall",
        }
    }

    /// The names by number, without holes; the last one stands for all numbers from there on.
    pub fn names(self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for line in self.text().lines() {
            let Some((number, name)) = line.split_once(' ') else { continue };
            let Ok(number) = number.parse::<usize>() else { continue };
            names.resize(names.len().max(number + 1), self.unknown());
            names[number] = name;
        }
        names.push(self.unknown());
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_hold_what_the_kernel_says() {
        let cases = [
            (Table::Errors, 0, "Success"),
            (Table::Errors, 2, "No such file or directory"),
            (Table::Errors, 41, "Unknown error"),
            (Table::Errors, 133, "Memory page has hardware error"),
            (Table::Errors, 134, "Unknown error"),
            (Table::Signals, 9, "Killed"),
            (Table::Signals, 64, "Real-time signal 30"),
            (Table::Signals, 65, "N/A"),
            (Table::SyscallsX86, 0, "read"),
            (Table::SyscallsX86, 257, "openat"),
            (Table::SyscallsX86, 400, "Unknown syscall"),
            (Table::SyscallsX86, 435, "clone3"),
            (Table::SyscallsArm, 56, "openat"),
            (Table::SyscallsArm, 63, "read"),
            (Table::SyscallsArm, 435, "clone3"),
        ];
        for (table, number, name) in cases {
            assert_eq!(table.names()[number], name, "{table:?} {number}");
        }
    }

    #[test]
    fn names_fit() {
        for table in [Table::Errors, Table::Signals, Table::SyscallsX86, Table::SyscallsArm] {
            let names = table.names();
            assert!(names.iter().all(|it| it.len() < CAPACITY as usize && !it.is_empty()), "{table:?}");
        }
    }
}
