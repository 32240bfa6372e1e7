//! Addresses and ids to names. [`crate::linux`] answers with blazesym and from the system's files; tests answer
//! from a table.

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

    /// A user's name.
    fn user_name(&mut self, uid: u64) -> Option<String> {
        let _ = uid;
        None
    }

    /// The folders of a control group: the name of the hierarchy and the path in it, for all hierarchies
    /// that have a group of that id.
    fn cgroup_paths(&mut self, id: u64) -> Vec<(String, String)> {
        let _ = id;
        Vec::new()
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

    fn user_name(&mut self, uid: u64) -> Option<String> {
        self.borrow_mut().user_name(uid)
    }

    fn cgroup_paths(&mut self, id: u64) -> Vec<(String, String)> {
        self.borrow_mut().cgroup_paths(id)
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
