//! The kernel's eBPF helper functions: numbers, names, arguments, first kernel.
//!
//! Numbers and signatures are the stable user-space interface (`include/uapi/linux/bpf.h`).

use crate::target::KernelVersion;
use serde::{Deserialize, Serialize};

macro_rules! helpers {
    ($( $id:ident = $number:literal $name:literal ($major:literal . $minor:literal) $args:literal $result:ident ; )+) => {
        /// A helper function.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "the names are the kernel's")]
        pub enum Helper { $($id,)+ }

        impl Helper {
            /// Every helper of the table.
            pub const ALL: &'static [Helper] = &[$(Helper::$id),+];

            /// The immediate of the call instruction.
            pub fn number(self) -> i32 {
                match self { $(Helper::$id => $number,)+ }
            }

            /// The kernel's name without `bpf_`.
            pub fn name(self) -> &'static str {
                match self { $(Helper::$id => $name,)+ }
            }

            /// The first kernel that has it.
            pub fn since(self) -> KernelVersion {
                match self { $(Helper::$id => KernelVersion($major, $minor),)+ }
            }

            /// How many arguments it takes, in r1…r5.
            pub fn arity(self) -> usize {
                match self { $(Helper::$id => $args,)+ }
            }

            /// What r0 holds afterwards.
            pub fn result(self) -> HelperResult {
                match self { $(Helper::$id => HelperResult::$result,)+ }
            }
        }
    };
}

/// What a helper returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelperResult {
    /// A number.
    Scalar,
    /// A map value or null; must be compared with null before use.
    MapValue,
    /// Ring buffer memory or null.
    Memory,
    /// A kernel address as the verifier's typed pointer.
    Kernel,
}

helpers! {
    MapLookupElem = 1 "map_lookup_elem" (3 . 18) 2 MapValue;
    MapUpdateElem = 2 "map_update_elem" (3 . 18) 4 Scalar;
    MapDeleteElem = 3 "map_delete_elem" (3 . 18) 2 Scalar;
    KtimeGetNs = 5 "ktime_get_ns" (4 . 1) 0 Scalar;
    TracePrintk = 6 "trace_printk" (4 . 1) 5 Scalar;
    GetPrandomU32 = 7 "get_prandom_u32" (4 . 1) 0 Scalar;
    GetSmpProcessorId = 8 "get_smp_processor_id" (4 . 1) 0 Scalar;
    GetCurrentPidTgid = 14 "get_current_pid_tgid" (4 . 2) 0 Scalar;
    GetCurrentUidGid = 15 "get_current_uid_gid" (4 . 2) 0 Scalar;
    GetCurrentComm = 16 "get_current_comm" (4 . 2) 2 Scalar;
    GetStackid = 27 "get_stackid" (4 . 6) 3 Scalar;
    GetCurrentTask = 35 "get_current_task" (4 . 8) 0 Scalar;
    ProbeWriteUser = 36 "probe_write_user" (4 . 8) 3 Scalar;
    GetNumaNodeId = 42 "get_numa_node_id" (4 . 10) 0 Scalar;
    OverrideReturn = 58 "override_return" (4 . 16) 2 Scalar;
    GetStack = 67 "get_stack" (4 . 18) 4 Scalar;
    GetSocketCookie = 46 "get_socket_cookie" (5 . 12) 1 Scalar;
    GetCurrentCgroupId = 80 "get_current_cgroup_id" (4 . 18) 0 Scalar;
    SendSignal = 109 "send_signal" (5 . 3) 1 Scalar;
    ProbeReadUser = 112 "probe_read_user" (5 . 5) 3 Scalar;
    ProbeReadKernel = 113 "probe_read_kernel" (5 . 5) 3 Scalar;
    ProbeReadUserStr = 114 "probe_read_user_str" (5 . 5) 3 Scalar;
    ProbeReadKernelStr = 115 "probe_read_kernel_str" (5 . 5) 3 Scalar;
    SendSignalThread = 117 "send_signal_thread" (5 . 6) 1 Scalar;
    Jiffies64 = 118 "jiffies64" (5 . 6) 0 Scalar;
    GetNsCurrentPidTgid = 120 "get_ns_current_pid_tgid" (5 . 7) 4 Scalar;
    KtimeGetBootNs = 125 "ktime_get_boot_ns" (5 . 8) 0 Scalar;
    RingbufOutput = 130 "ringbuf_output" (5 . 8) 4 Scalar;
    RingbufReserve = 131 "ringbuf_reserve" (5 . 8) 3 Memory;
    RingbufSubmit = 132 "ringbuf_submit" (5 . 8) 2 Scalar;
    RingbufDiscard = 133 "ringbuf_discard" (5 . 8) 2 Scalar;
    DPath = 147 "d_path" (5 . 10) 3 Scalar;
    GetCurrentTaskBtf = 158 "get_current_task_btf" (5 . 11) 0 Kernel;
    ForEachMapElem = 164 "for_each_map_elem" (5 . 13) 4 Scalar;
    GetFuncIp = 173 "get_func_ip" (5 . 15) 1 Scalar;
    GetAttachCookie = 174 "get_attach_cookie" (5 . 15) 1 Scalar;
    Loop = 181 "loop" (5 . 17) 4 Scalar;
    MapLookupPercpuElem = 195 "map_lookup_percpu_elem" (5 . 19) 3 MapValue;
    KtimeGetTaiNs = 208 "ktime_get_tai_ns" (6 . 1) 0 Scalar;
}
