//! The table of probe types: names, what their programs receive, what may be written in them.
//!
//! Code generation knows contexts, not probe types: a new probe type with a known context is one
//! row here and one provider in the runtime.

use serde::{Deserialize, Serialize};

/// How a program receives its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Context {
    /// Nothing to read: `begin`, `end`, fired by a program test-run of a raw tracepoint program.
    Empty,
    /// `struct pt_regs` of the probed place.
    Registers,
    /// The tracepoint's record, as its `format` file says.
    TracepointRecord,
    /// u64 slots, one for each argument, typed by BTF; at a function's exit the result follows.
    BtfArguments,
    /// `struct bpf_perf_event_data`.
    PerfEvent,
    /// `struct xdp_md`: a packet.
    Xdp,
}

macro_rules! probes {
    ($( $(#[doc = $doc:literal])+ $kind:ident = $name:literal $(| $alias:literal)* , $context:ident ; )+) => {
        /// A probe type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum ProbeKind { $( $(#[doc = $doc])+ $kind, )+ }

        impl ProbeKind {
            /// Every probe type, in the order of the table.
            pub const ALL: &'static [ProbeKind] = &[$(ProbeKind::$kind),+];

            /// The full name, as `probetype` and listings print it.
            pub fn name(self) -> &'static str {
                match self { $(ProbeKind::$kind => $name,)+ }
            }

            /// Other spellings; all names are matched without regard to case.
            pub fn aliases(self) -> &'static [&'static str] {
                match self { $(ProbeKind::$kind => &[$($alias),*],)+ }
            }

            /// How its programs receive their arguments.
            pub fn context(self) -> Context {
                match self { $(ProbeKind::$kind => Context::$context,)+ }
            }

            /// The manual entry.
            pub fn doc(self) -> &'static str {
                match self { $(ProbeKind::$kind => concat!($($doc, "\n"),+),)+ }
            }
        }
    };
}

probes! {
    /// Runs once before anything is attached.
    Begin = "begin", Empty;
    /// Runs once after everything is detached.
    End = "end", Empty;
    /// `tracepoint:CATEGORY:EVENT`: a static kernel tracepoint with its record in `args`.
    Tracepoint = "tracepoint" | "t", TracepointRecord;
    /// `rawtracepoint:EVENT`: a tracepoint's own arguments, typed by BTF.
    RawTracepoint = "rawtracepoint" | "rt", BtfArguments;
    /// `kprobe:[MODULE:]FUNCTION[+OFFSET]`: a kernel instruction, arguments in `arg0`….
    Kprobe = "kprobe" | "k", Registers;
    /// `kretprobe:[MODULE:]FUNCTION`: a kernel function's return, result in `retval`.
    Kretprobe = "kretprobe" | "kr", Registers;
    /// `fentry:[MODULE:]FUNCTION`: a kernel function's entry, typed `args`.
    Fentry = "fentry" | "f" | "kfunc", BtfArguments;
    /// `fexit:[MODULE:]FUNCTION`: a kernel function's exit, typed `args` and `retval`.
    Fexit = "fexit" | "fr" | "kretfunc", BtfArguments;
    /// `uprobe:PATH:FUNCTION[+OFFSET]`: a user-space instruction.
    Uprobe = "uprobe" | "u", Registers;
    /// `uretprobe:PATH:FUNCTION`: a user-space function's return.
    Uretprobe = "uretprobe" | "ur", Registers;
    /// `usdt:PATH:[PROVIDER:]NAME`: a static probe of a program or library, arguments in `arg0`….
    Usdt = "usdt" | "U", Registers;
    /// `interval:s:1`: a timer on one CPU.
    Interval = "interval" | "i", PerfEvent;
    /// `profile:hz:99`: a timer on every CPU.
    Profile = "profile" | "p", PerfEvent;
    /// `software:EVENT[:COUNT]`: a kernel counter, every so many events.
    Software = "software" | "s", PerfEvent;
    /// `hardware:EVENT[:COUNT]`: a counter of the processor, every so many events.
    Hardware = "hardware" | "h", PerfEvent;
    /// `watchpoint:ADDRESS:LENGTH:MODE`: accesses to 1, 2, 4 or 8 bytes; modes are `w`, `rw` and `x`.
    Watchpoint = "watchpoint" | "w", PerfEvent;
    /// `self:signal:SIGUSR1`: the tracer itself receives the signal.
    SelfSignal = "self", Empty;
    /// `xdp:IFACE`: every packet that an interface receives, before the kernel sees it.
    Xdp = "xdp", Xdp;
}

impl ProbeKind {
    /// The probe type of that name or alias; only `U` and `u` are told apart by case.
    pub fn from_name(name: &str) -> Option<ProbeKind> {
        let find = |name: &str| {
            Self::ALL.iter().copied().find(|it| it.name() == name || it.aliases().contains(&name))
        };
        // Case tells `U` from `u`; it does not matter otherwise.
        find(name).or_else(|| find(&name.to_ascii_lowercase()))
    }

    /// Runs when a function returns, so that it has `retval`.
    pub fn is_return(self) -> bool {
        matches!(self, ProbeKind::Kretprobe | ProbeKind::Fexit | ProbeKind::Uretprobe)
    }
}
