//! Addresses to names. [`crate::linux`] answers with blazesym; tests answer from a table.

use std::cell::RefCell;
use std::rc::Rc;

/// A resolved address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Demangled name.
    pub name: String,
    /// Bytes from the symbol's start.
    pub offset: u64,
    /// Kernel module, or the path of the executable or library; `None` for the kernel itself.
    pub module: Option<String>,
    /// Source file and line, where debug information has them.
    pub location: Option<(String, u32)>,
    /// Functions inlined at this address, innermost first; `name` is the outermost.
    pub inlined: Vec<String>,
}

/// Resolves addresses.
pub trait Symbols {
    /// A kernel address.
    fn kernel(&mut self, address: u64) -> Option<Symbol>;

    /// An address in a process.
    fn user(&mut self, pid: u32, address: u64) -> Option<Symbol>;

    /// Takes note of a process whose addresses may be asked for after it has ended.
    fn remember(&mut self, pid: u32) {
        let _ = pid;
    }

    /// The build id of the file that is mapped at an address in a process, in hexadecimal, and the
    /// address's offset in that file.
    fn build_id(&mut self, pid: u32, address: u64) -> Option<(String, u64)> {
        let _ = (pid, address);
        None
    }
}

/// Several runs that share what is known.
impl<S: Symbols> Symbols for Rc<RefCell<S>> {
    fn kernel(&mut self, address: u64) -> Option<Symbol> {
        self.borrow_mut().kernel(address)
    }

    fn user(&mut self, pid: u32, address: u64) -> Option<Symbol> {
        self.borrow_mut().user(pid, address)
    }

    fn remember(&mut self, pid: u32) {
        self.borrow_mut().remember(pid);
    }

    fn build_id(&mut self, pid: u32, address: u64) -> Option<(String, u64)> {
        self.borrow_mut().build_id(pid, address)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A few symbols: `vfs_read` in the kernel; `main` and `outer` in process 7.
    pub(crate) struct Table;

    fn symbol(name: &str, offset: u64, module: &str) -> Symbol {
        let module = (!module.is_empty()).then(|| module.to_owned());
        Symbol { name: name.to_owned(), offset, module, location: None, inlined: Vec::new() }
    }

    impl Symbols for Table {
        fn kernel(&mut self, address: u64) -> Option<Symbol> {
            (0x1000..0x1100).contains(&address).then(|| symbol("vfs_read", address - 0x1000, ""))
        }

        fn user(&mut self, pid: u32, address: u64) -> Option<Symbol> {
            match (pid, address) {
                (7, 0x2000..0x2100) => {
                    let location = Some(("src/main.c".to_owned(), 3));
                    Some(Symbol { location, ..symbol("main", address - 0x2000, "/bin/app") })
                }
                (7, 0x3000..0x3100) => {
                    let inlined = ["inner", "middle"].map(str::to_owned).to_vec();
                    Some(Symbol { inlined, ..symbol("outer", address - 0x3000, "/lib/it.so") })
                }
                _ => None,
            }
        }

        fn build_id(&mut self, pid: u32, address: u64) -> Option<(String, u64)> {
            (pid == 7 && address < 0x3000 && address > 0x1000).then(|| ("abcd".to_owned(), address))
        }
    }
}
