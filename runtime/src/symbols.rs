//! Addresses to names. [`crate::linux`] answers with blazesym; tests answer from a table.

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
}
