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
    Pid = "pid" ("([curr_ns|init]) -> uint32") Value;
    /// Thread id of the current task.
    Tid = "tid" ("([curr_ns|init]) -> uint32") Value;
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
    /// Name of the user that the current task runs as.
    Username = "username" ("-> username_t") Value;
    /// Number of the machine's processors.
    Ncpus = "ncpus" ("-> uint64") Value;
    /// Number of the memory node that the probe runs on.
    Numaid = "numaid" ("-> uint64") Value;
    /// Ticks of the kernel's timer since boot.
    Jiffies = "jiffies" ("-> uint64") Value;
    /// 1 when the probe interrupted a process's own code, 0 in the kernel.
    Usermode = "usermode" ("-> uint8") Value;
    /// A register of the probed code.
    Reg = "reg" ("(name) -> uint64") Value;
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
    /// The path of an opened file or folder, from the kernel's `struct path`.
    Path = "path" ("(path[, length]) -> string") Value;
    /// A number that tells a socket from all others, from the kernel's `struct sock`.
    SocketCookie = "socket_cookie" ("(sock) -> uint64") Value;
    /// Copies a string from memory, up to `max_strlen` bytes.
    Str = "str" ("(pointer[, length]) -> string") Value;
    /// A kernel address as a symbol.
    Ksym = "ksym" ("(address) -> ksym") Value;
    /// A user address of the current process as a symbol.
    Usym = "usym" ("(address) -> usym") Value;
    /// Id of the control group with that folder.
    Cgroupid = "cgroupid" ("(path) -> uint64") Compiler;
    /// The folders of a control group, of all hierarchies or those whose names match.
    CgroupPath = "cgroup_path" ("(id[, pattern]) -> cgroup_path_t") Value;
    /// Sends a signal to the current process, by number or name.
    Signal = "signal" ("(number or name)") Value;
    /// Sends a signal to the current thread, by number or name.
    SignalThread = "signal_thread" ("(number or name)") Value;
    /// Makes the probed function return at once, with this value.
    Override = "override" ("(value)") Value;
    /// Copies bytes to memory of the current process; true when that worked.
    WriteUser = "write_user" ("(to, from, length) -> bool") Value;
    /// Writes text to the kernel's trace_pipe: at most three arguments, formats as the kernel has them.
    Debugf = "debugf" ("(format, …)") Value;
    /// Address of a kernel symbol.
    Kaddr = "kaddr" ("(name) -> uint64") Compiler;
    /// Address of a kernel variable's copy of this processor, or of another one.
    PercpuKaddr = "percpu_kaddr" ("(name[, cpu]) -> uint64") Compiler;
    /// Address of a symbol in the probed program, as its file has it.
    Uaddr = "uaddr" ("(name) -> pointer") Compiler;
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
    /// Bytes of a string in front of its NUL.
    Strlen = "strlen" ("(string) -> uint64") Value;
    /// Bytes that a string has room for, its NUL included.
    Strcap = "strcap" ("(string) -> uint64") Compiler;
    /// 0 when two strings are equal in their first n bytes, else 1.
    Strncmp = "strncmp" ("(string, string, n) -> uint64") Value;
    /// Where the second string begins in the first one, from 0; -1 when it does not.
    Strstr = "strstr" ("(string, string) -> int64") Value;
    /// Whether the second string is part of the first one.
    Strcontains = "strcontains" ("(string, string) -> bool") Value;
    /// Whether a string begins with a literal.
    StartsWith = "starts_with" ("(string, literal) -> bool") Value;
    /// Whether a string ends with a literal.
    EndsWith = "ends_with" ("(string, literal) -> bool") Value;
    /// Whether a whole string matches a literal pattern with `*` and `?`.
    Strmatch = "strmatch" ("(string, pattern) -> bool") Value;
    /// Two strings as one, at most `max_strlen` bytes.
    StrConcat = "str_concat" ("(string, string) -> string") Value;
    /// Bytes that `str` copies at most: `max_strlen`.
    DefaultStrLength = "default_str_length" ("-> uint64") Compiler;
    /// Copies bytes from memory, up to `max_strlen`; an array needs no length.
    Buf = "buf" ("(pointer or array[, length]) -> buffer") Value;
    /// The difference of the first two bytes that differ, 0 when all n are equal.
    Memcmp = "memcmp" ("(memory, memory, n) -> int64") Value;
    /// An integer with its bytes in the other order.
    Bswap = "bswap" ("(n) -> unsigned integer of the same size") Value;
    /// A network address as bytes in network order.
    Pton = "pton" ("(literal) -> uint8[4] or uint8[16]") Compiler;
    /// Six bytes as a MAC address.
    Macaddr = "macaddr" ("(array or pointer) -> macaddr_t") Value;
    /// What an error number means; its sign does not matter.
    Strerror = "strerror" ("(n) -> string") Value;
    /// What a signal means.
    SignalName = "signal_name" ("(n) -> string") Value;
    /// The name of a system call of this machine.
    SyscallName = "syscall_name" ("(n) -> string") Value;

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
    /// One value for each of the last `count` intervals: the last one, or "avg", "max", "min", "sum".
    Tseries = "tseries" ("(n, interval, count[, \"avg\"])") Aggregation;

    /// Removes an entry; true when there was one.
    Delete = "delete" ("(@map, key) -> bool") Map;
    /// Whether the map has an entry.
    HasKey = "has_key" ("(@map, key) -> bool") Map;
    /// Reads an entry into a variable; true when there was one, else the variable stays as it is.
    Find = "find" ("(@map, key, $variable) -> bool") Map;
    /// Number of entries in a map, or of frames in a stack.
    Len = "len" ("(@map or stack) -> int64") Map;

    /// Prints formatted text.
    Printf = "printf" ("(format, …)") Action;
    /// Reports an error at this place of the script.
    Errorf = "errorf" ("(format, …)") Action;
    /// Reports a warning at this place of the script.
    Warnf = "warnf" ("(format, …)") Action;
    /// Prints a file, up to `max_cat_bytes`.
    Cat = "cat" ("(format, …)") Action;
    /// Runs a command in a shell and prints its output.
    System = "system" ("(format, …)") Action;
    /// Prints a value or a map.
    Print = "print" ("(value), (@map[, top[, div]]) or (@map, \"p50\", \"average\", \"total\", …)") Action;
    /// Removes all entries of a map.
    Clear = "clear" ("(@map)") Action;
    /// Sets all values of a map to zero.
    Zero = "zero" ("(@map)") Action;
    /// Ends the run with an exit code, 0 by default.
    Exit = "exit" ("([code])") Action;
    /// Ends the watchpoints at an address.
    Unwatch = "unwatch" ("(address)") Action;
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
