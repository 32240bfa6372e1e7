//! What may be done to a kernel: load an object, fire and attach its programs, read and change
//! its maps. [`crate::linux`] drives a real kernel; tests drive an eBPF machine in user space.

use codegen::Object;
use lang::Span;
use lang::attach::Point;
use std::fmt;
use std::os::fd::RawFd;

/// What the machine refused, and what may help.
#[derive(Debug)]
pub struct Error {
    /// Understandable alone; lower case, names the file, option or kernel version.
    pub message: String,
    /// Something to type or to do.
    pub hint: Option<String>,
    /// For a program that the kernel refused: which one (index in the manifest's programs), the
    /// instruction (in slots) if known, and the verifier's whole log.
    pub refusal: Option<Refusal>,
}

/// A program that the kernel refused.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Index in the manifest's programs.
    pub program: usize,
    /// The last instruction that the log names, in slots.
    pub insn: Option<u32>,
    /// The script text of that instruction, else the probe's.
    pub span: Span,
    /// The verifier's log.
    pub log: String,
}

impl Error {
    /// An error with only a message.
    pub fn new(message: impl Into<String>) -> Self {
        Error { message: message.into(), hint: None, refusal: None }
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The runtime's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Values that the runtime puts into `.rodata` before loading.
#[derive(Clone, Copy, Debug, Default)]
pub struct Constants {
    /// Process id of the child of `-c`; 0 without.
    pub cpid: u64,
    /// Boot time in nanoseconds.
    pub start: u64,
}

/// A program attached by one call.
#[derive(Clone, Debug, PartialEq)]
pub struct AttachPlan {
    /// Index in the manifest's programs.
    pub program: usize,
    /// The places: one, or all that the call attaches to.
    pub points: Vec<Point>,
    /// How: `perf`, `multi`, `raw`, …; shown by `-v`.
    pub method: &'static str,
}

/// A map's entry: the key's bytes, and the value's, one for each CPU where the map is per CPU.
pub type Entry = (Vec<u8>, Vec<Vec<u8>>);

/// What may be done to a kernel.
pub trait Backend {
    /// Creates the object's maps and loads its programs.
    fn load(&mut self, object: &Object, constants: Constants) -> Result<()>;

    /// Runs a `begin`, `end` or `self` program once.
    fn run(&mut self, program: usize) -> Result<()>;

    /// How the points of the manifest would be attached here.
    fn plan(&self, object: &Object) -> Result<Vec<AttachPlan>>;

    /// Attaches one program.
    fn attach(&mut self, plan: &AttachPlan) -> Result<()>;

    /// Detaches everything; nothing fires afterwards.
    fn detach(&mut self);

    /// Ends the watchpoints at an address.
    fn unwatch(&mut self, address: u64);

    /// Hands every waiting record to `each`, in order.
    fn drain(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<()>;

    /// A descriptor that is readable when records wait, where there is such a thing.
    fn event_fd(&self) -> Option<RawFd>;

    /// All entries of a kernel map: key bytes, and the value's bytes, one for each CPU where the
    /// map is per CPU.
    fn entries(&mut self, map: &str) -> Result<Vec<Entry>>;

    /// Sets an entry, on all CPUs where the map is per CPU.
    fn update(&mut self, map: &str, key: &[u8], value: &[u8]) -> Result<()>;

    /// Sets an entry as [`Backend::entries`] gave it: each CPU's own value where the map is per CPU.
    /// CPUs for which there is none get zero.
    fn restore(&mut self, map: &str, entry: &Entry) -> Result<()>;

    /// Removes an entry, if it is there.
    fn delete(&mut self, map: &str, key: &[u8]) -> Result<()>;

    /// Reads `len` bytes of `.bss` at `offset`.
    fn read_bss(&mut self, offset: u32, len: u32) -> Result<Vec<u8>>;

    /// Writes bytes of `.bss` at `offset`.
    fn write_bss(&mut self, offset: u32, bytes: &[u8]) -> Result<()>;
}
