//! The table of builtins: every name that a script may call or read, with its signature.
//!
//! One row makes an enum variant; other stages match on it without `_`, so the compiler lists
//! what a new row still needs. A row's doc comment is its manual entry.

use serde::{Deserialize, Serialize};

/// Who carries a builtin out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The eBPF program, giving a value: `hir::ExprKind::Builtin`.
    Value,
    /// The eBPF program, on a map: `hir::ExprKind::MapOp`, or an aggregation.
    Map,
    /// Only as the right side of `@m[k] = …`: `hir::StmtKind::Aggregate`.
    Aggregation,
    /// User space, when the event arrives: `hir::StmtKind::Action`.
    Action,
    /// The compiler: nothing of it is left in the typed tree.
    Compiler,
    /// A verdict on a packet: `hir::StmtKind::Verdict`.
    Verdict,
}

macro_rules! builtins {
    ($( $(#[doc = $doc:literal])+ $id:ident = $name:literal ($signature:literal) $kind:ident ; )+) => {
        /// A builtin.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Builtin { $( $(#[doc = $doc])+ $id, )+ }

        impl Builtin {
            /// Every builtin, in the order of the table.
            pub const ALL: &'static [Builtin] = &[$(Builtin::$id),+];

            /// Its name in a script.
            pub fn name(self) -> &'static str {
                match self { $(Builtin::$id => $name,)+ }
            }

            /// Its parameters and result as the manual shows them.
            pub fn signature(self) -> &'static str {
                match self { $(Builtin::$id => $signature,)+ }
            }

            /// Who carries it out.
            pub fn kind(self) -> Kind {
                match self { $(Builtin::$id => Kind::$kind,)+ }
            }

            /// The manual entry.
            pub fn doc(self) -> &'static str {
                match self { $(Builtin::$id => concat!($($doc, "\n"),+),)+ }
            }
        }
    };
}

builtins! {
    /// Process id (thread group id) of the current task.
    Pid = "pid" ("-> uint32") Value;
    /// Thread id of the current task.
    Tid = "tid" ("-> uint32") Value;
    /// User id of the current task.
    Uid = "uid" ("-> uint64") Value;
    /// Group id of the current task.
    Gid = "gid" ("-> uint64") Value;
    /// Name of the current task, at most 15 bytes.
    Comm = "comm" ("-> string[16]") Value;
    /// Nanoseconds since boot, time asleep included.
    Nsecs = "nsecs" ("([monotonic|boot|tai|sw_tai]) -> uint64") Value;
    /// Nanoseconds since kscope started.
    Elapsed = "elapsed" ("-> uint64") Value;
    /// Number of the CPU that runs the probe.
    Cpu = "cpu" ("-> uint64") Value;
    /// The current task.
    Curtask = "curtask" ("-> struct task_struct *") Value;
    /// A random number.
    Rand = "rand" ("-> uint32") Value;
    /// Id of the current task's control group (version 2 hierarchy).
    Cgroup = "cgroup" ("-> uint64") Value;
    /// The probed function.
    Func = "func" ("-> ksym or usym") Value;
    /// The attach point's full name.
    Probe = "probe" ("-> string") Compiler;
    /// The probe type's name.
    Probetype = "probetype" ("-> string") Compiler;
    /// Kernel stack of the current task.
    Kstack = "kstack" ("([mode][, limit]) -> stack") Value;
    /// User stack of the current task.
    Ustack = "ustack" ("([mode][, limit]) -> stack") Value;
    /// A kprobe's or uprobe's N-th integer argument, from 0.
    ArgN = "argN" ("-> uint64") Value;
    /// What the function returned.
    Retval = "retval" ("-> uint64, or its BTF type in fexit") Value;
    /// The probe's arguments.
    Args = "args" ("-> record") Value;
    /// The raw context.
    Ctx = "ctx" ("-> pointer") Value;
    /// Process id of the child started by `-c`; 0 without.
    Cpid = "cpid" ("-> uint32") Value;
    /// Copies a string from memory, up to `max_strlen` bytes.
    Str = "str" ("(pointer[, length]) -> string") Value;
    /// A kernel address as a symbol.
    Ksym = "ksym" ("(address) -> ksym") Value;
    /// A user address of the current process as a symbol.
    Usym = "usym" ("(address) -> usym") Value;
    /// Address of a kernel symbol.
    Kaddr = "kaddr" ("(name) -> uint64") Compiler;
    /// Whether the kernel's types describe such a function.
    KfuncExist = "kfunc_exist" ("(name) -> bool") Compiler;
    /// The struct around a member, by the member's address.
    ContainerOf = "container_of" ("(pointer, type, member) -> type *") Compiler;
    /// Whether it is an array.
    IsArray = "is_array" ("(value or type) -> bool") Compiler;
    /// Whether it is an integer.
    IsInteger = "is_integer" ("(value or type) -> bool") Compiler;
    /// Whether it is written as a literal.
    IsLiteral = "is_literal" ("(value) -> bool") Compiler;
    /// Whether it is a pointer.
    IsPtr = "is_ptr" ("(value or type) -> bool") Compiler;
    /// Whether it is a string.
    IsStr = "is_str" ("(value or type) -> bool") Compiler;
    /// Whether it is an integer without a sign.
    IsUnsignedInteger = "is_unsigned_integer" ("(value or type) -> bool") Compiler;
    /// Describes a type: `btf_id`, `base_type` and `full_type`.
    Typeinfo = "typeinfo" ("(value or type) -> record") Compiler;
    /// Refuses the script with a message, unless the condition holds.
    StaticAssert = "static_assert" ("(condition, message)") Compiler;
    /// Refuses the script with a message of literals.
    Fail = "fail" ("(format, …)") Compiler;
    /// A parameter `--name=value` of the script: a string, a number or a truth value, as its default is.
    Getopt = "getopt" ("(name[, default[, description]]) -> value") Compiler;
    /// The script's settings.
    Config = "config" ("-> record") Compiler;
    /// A network address as text.
    Ntop = "ntop" ("([af, ]address) -> inet") Value;
    /// A timestamp as text.
    Strftime = "strftime" ("(format, nsecs) -> timestamp") Value;
    /// Marks a pointer as kernel memory.
    Kptr = "kptr" ("(pointer) -> pointer") Value;
    /// Marks a pointer as user memory.
    Uptr = "uptr" ("(pointer) -> pointer") Value;

    /// Number of calls.
    Count = "count" ("()") Aggregation;
    /// Sum of the arguments.
    Sum = "sum" ("(n)") Aggregation;
    /// Smallest argument.
    Min = "min" ("(n)") Aggregation;
    /// Largest argument.
    Max = "max" ("(n)") Aggregation;
    /// Average of the arguments.
    Avg = "avg" ("(n)") Aggregation;
    /// Count, average and total of the arguments.
    Stats = "stats" ("(n)") Aggregation;
    /// Histogram with power-of-two buckets, each split in 2^bits.
    Hist = "hist" ("(n[, bits])") Aggregation;
    /// Histogram with linear buckets.
    Lhist = "lhist" ("(n, min, max, step)") Aggregation;

    /// Removes an entry; true when there was one.
    Delete = "delete" ("(@map, key) -> bool") Map;
    /// Whether the map has an entry.
    HasKey = "has_key" ("(@map, key) -> bool") Map;
    /// Number of entries in a map, or of frames in a stack.
    Len = "len" ("(@map or stack) -> int64") Map;

    /// Prints formatted text.
    Printf = "printf" ("(format, …)") Action;
    /// Prints a value or a map.
    Print = "print" ("(value) or (@map[, top[, div]])") Action;
    /// Removes all entries of a map.
    Clear = "clear" ("(@map)") Action;
    /// Sets all values of a map to zero.
    Zero = "zero" ("(@map)") Action;
    /// Ends the run with an exit code, 0 by default.
    Exit = "exit" ("([code])") Action;
    /// Prints the wall-clock time.
    Time = "time" ("([format])") Action;
    /// Prints an array of strings, separated by a space or the given string.
    Join = "join" ("(strings[, separator])") Action;

    /// Lets the packet go on.
    Pass = "pass" ("") Verdict;
    /// Discards the packet.
    Drop = "drop" ("") Verdict;
}

impl Builtin {
    /// The builtin of that name; `arg0`, `arg1`, … are not found here.
    pub fn from_name(name: &str) -> Option<Builtin> {
        Self::ALL.iter().copied().find(|it| it.name() == name)
    }
}
