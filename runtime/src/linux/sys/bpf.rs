//! bpf(2): one function for each command that kscope uses.
//!
//! The structs have the kernel's layout (`union bpf_attr`, one member each). A kernel that knows
//! a longer one takes the rest as zero; fields that an older kernel lacks are zero unless used.

use super::{Errno, SysResult, checked, owned};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

const MAP_CREATE: u32 = 0;
const MAP_LOOKUP_ELEM: u32 = 1;
const MAP_UPDATE_ELEM: u32 = 2;
const MAP_DELETE_ELEM: u32 = 3;
const MAP_GET_NEXT_KEY: u32 = 4;
const PROG_LOAD: u32 = 5;
const PROG_TEST_RUN: u32 = 10;
const RAW_TRACEPOINT_OPEN: u32 = 17;
const OBJ_GET_INFO_BY_FD: u32 = 15;
const BTF_LOAD: u32 = 18;
const BTF_GET_FD_BY_ID: u32 = 19;
const BTF_GET_NEXT_ID: u32 = 23;
const MAP_FREEZE: u32 = 22;
const MAP_LOOKUP_BATCH: u32 = 24;
const LINK_CREATE: u32 = 28;

/// Program types, by the kernel's numbers.
pub mod program_type {
    /// Kprobes and uprobes.
    pub const KPROBE: u32 = 2;
    /// Tracepoints with their record.
    pub const TRACEPOINT: u32 = 5;
    /// Packets at the driver.
    pub const XDP: u32 = 6;
    /// Perf events.
    pub const PERF_EVENT: u32 = 7;
    /// Tracepoints with their arguments.
    pub const RAW_TRACEPOINT: u32 = 17;
    /// Functions and tracepoints typed by BTF.
    pub const TRACING: u32 = 26;
}

/// Attach types, by the kernel's numbers.
pub mod attach_type {
    /// `fentry`
    pub const TRACE_FENTRY: u32 = 24;
    /// `fexit`
    pub const TRACE_FEXIT: u32 = 25;
    /// XDP on an interface.
    pub const XDP: u32 = 37;
    /// A link that holds a perf event.
    pub const PERF_EVENT: u32 = 41;
    /// Many kernel functions at once.
    pub const TRACE_KPROBE_MULTI: u32 = 42;
    /// Many places of one executable at once.
    pub const TRACE_UPROBE_MULTI: u32 = 48;
}

/// `BPF_F_MMAPABLE`: user space may map the array.
pub const F_MMAPABLE: u32 = 1 << 10;

fn call<T>(command: u32, name: &'static str, attr: &mut T) -> SysResult<libc::c_long> {
    // SAFETY: callers in this file pass structs of the command's layout whose pointers are null or
    // refer to memory that lives for the call and is as large as the sizes beside them say.
    let res = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    if res < 0 { Err(Errno::last(name)) } else { Ok(res) }
}

/// A name as the kernel takes it: 15 bytes of `[A-Za-z0-9_.]`.
fn object_name(name: &str) -> [u8; 16] {
    let mut field = [0; 16];
    let bytes = name.bytes().map(|b| if b.is_ascii_alphanumeric() || b == b'.' { b } else { b'_' });
    field.iter_mut().take(15).zip(bytes).for_each(|(slot, b)| *slot = b);
    field
}

fn address<T>(slice: &[T]) -> u64 {
    if slice.is_empty() { 0 } else { slice.as_ptr() as u64 }
}

fn address_mut<T>(slice: &mut [T]) -> u64 {
    if slice.is_empty() { 0 } else { slice.as_mut_ptr() as u64 }
}

/// A map to create.
#[derive(Clone, Copy, Debug)]
pub struct MapSpec<'a> {
    /// Its name; cut and cleaned as the kernel wants it.
    pub name: &'a str,
    /// `BPF_MAP_TYPE_*`
    pub kind: u32,
    /// Bytes.
    pub key_size: u32,
    /// Bytes.
    pub value_size: u32,
    /// Entries; bytes for a ring buffer.
    pub max_entries: u32,
    /// `BPF_F_*`
    pub flags: u32,
}

/// `BPF_MAP_CREATE`
pub fn map_create(spec: &MapSpec<'_>) -> SysResult<OwnedFd> {
    #[repr(C)]
    struct Attr {
        kind: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        flags: u32,
        inner_map_fd: u32,
        numa_node: u32,
        name: [u8; 16],
    }
    let mut attr = Attr {
        kind: spec.kind,
        key_size: spec.key_size,
        value_size: spec.value_size,
        max_entries: spec.max_entries,
        flags: spec.flags,
        inner_map_fd: 0,
        numa_node: 0,
        name: object_name(spec.name),
    };
    owned("BPF_MAP_CREATE", call(MAP_CREATE, "BPF_MAP_CREATE", &mut attr)?)
}

#[repr(C)]
struct ElementAttr {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

impl ElementAttr {
    fn new(map: BorrowedFd<'_>, key: u64, value: u64) -> Self {
        ElementAttr { map: map.as_raw_fd() as u32, pad: 0, key, value, flags: 0 }
    }
}

/// `BPF_MAP_LOOKUP_ELEM`; false when there is no such entry. Sizes are the caller's promise: the
/// kernel fills `value` with one value, or one for each possible CPU.
pub fn map_lookup(map: BorrowedFd<'_>, key: &[u8], value: &mut [u8]) -> SysResult<bool> {
    let mut attr = ElementAttr::new(map, address(key), address_mut(value));
    match call(MAP_LOOKUP_ELEM, "BPF_MAP_LOOKUP_ELEM", &mut attr) {
        Ok(_) => Ok(true),
        Err(Errno { code: libc::ENOENT, .. }) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// `BPF_MAP_UPDATE_ELEM`
pub fn map_update(map: BorrowedFd<'_>, key: &[u8], value: &[u8]) -> SysResult<()> {
    let mut attr = ElementAttr::new(map, address(key), address(value));
    call(MAP_UPDATE_ELEM, "BPF_MAP_UPDATE_ELEM", &mut attr).map(drop)
}

/// `BPF_MAP_DELETE_ELEM`; false when there was no such entry.
pub fn map_delete(map: BorrowedFd<'_>, key: &[u8]) -> SysResult<bool> {
    let mut attr = ElementAttr::new(map, address(key), 0);
    match call(MAP_DELETE_ELEM, "BPF_MAP_DELETE_ELEM", &mut attr) {
        Ok(_) => Ok(true),
        Err(Errno { code: libc::ENOENT, .. }) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// `BPF_MAP_GET_NEXT_KEY`; false behind the last key. Without `key`, the first one.
pub fn map_next_key(map: BorrowedFd<'_>, key: Option<&[u8]>, next: &mut [u8]) -> SysResult<bool> {
    let mut attr = ElementAttr::new(map, key.map_or(0, address), address_mut(next));
    match call(MAP_GET_NEXT_KEY, "BPF_MAP_GET_NEXT_KEY", &mut attr) {
        Ok(_) => Ok(true),
        Err(Errno { code: libc::ENOENT, .. }) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// One step of `BPF_MAP_LOOKUP_BATCH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// So many entries were written, more may follow.
    More(u32),
    /// So many were written, and they were the last.
    Last(u32),
}

/// `BPF_MAP_LOOKUP_BATCH`: fills `keys` and `values` with at most `count` entries. `position` is
/// the kernel's place in the map; `first` starts anew. `ENOSPC` means that a hash bucket has more
/// than `count` entries.
pub fn map_lookup_batch(
    map: BorrowedFd<'_>,
    first: bool,
    position: &mut [u8],
    keys: &mut [u8],
    values: &mut [u8],
    count: u32,
) -> SysResult<Batch> {
    #[repr(C)]
    struct Attr {
        in_batch: u64,
        out_batch: u64,
        keys: u64,
        values: u64,
        count: u32,
        map: u32,
        elem_flags: u64,
        flags: u64,
    }
    let place = address_mut(position);
    let mut attr = Attr {
        in_batch: if first { 0 } else { place },
        out_batch: place,
        keys: address_mut(keys),
        values: address_mut(values),
        count,
        map: map.as_raw_fd() as u32,
        elem_flags: 0,
        flags: 0,
    };
    match call(MAP_LOOKUP_BATCH, "BPF_MAP_LOOKUP_BATCH", &mut attr) {
        Ok(_) => Ok(Batch::More(attr.count)),
        Err(Errno { code: libc::ENOENT, .. }) => Ok(Batch::Last(attr.count)),
        Err(errno) => Err(errno),
    }
}

/// `BPF_MAP_FREEZE`: user space may no longer write, so the verifier may take values as constant.
pub fn map_freeze(map: BorrowedFd<'_>) -> SysResult<()> {
    let mut attr = map.as_raw_fd() as u32;
    call(MAP_FREEZE, "BPF_MAP_FREEZE", &mut attr).map(drop)
}

/// `BPF_BTF_LOAD`
pub fn btf_load(btf: &[u8]) -> SysResult<OwnedFd> {
    #[repr(C)]
    struct Attr {
        btf: u64,
        log: u64,
        btf_size: u32,
        log_size: u32,
        log_level: u32,
        /// Kernels that do not know it (before 6.3) insist that it is 0.
        log_true_size: u32,
    }
    let btf_size = btf.len() as u32;
    let mut attr = Attr { btf: address(btf), log: 0, btf_size, log_size: 0, log_level: 0, log_true_size: 0 };
    owned("BPF_BTF_LOAD", call(BTF_LOAD, "BPF_BTF_LOAD", &mut attr)?)
}

/// The types of a loaded kernel module, by the module's name.
pub fn module_btf(module: &str) -> SysResult<OwnedFd> {
    let mut id = 0u32;
    loop {
        // start id, next id, flags
        let mut attr = [id, 0, 0];
        call(BTF_GET_NEXT_ID, "BPF_BTF_GET_NEXT_ID", &mut attr)?;
        id = attr[1];
        // id, next id, flags
        let fd =
            owned("BPF_BTF_GET_FD_BY_ID", call(BTF_GET_FD_BY_ID, "BPF_BTF_GET_FD_BY_ID", &mut [id, 0, 0])?)?;
        if btf_name(&fd)? == module.as_bytes() {
            return Ok(fd);
        }
    }
}

/// The name of loaded types; cut behind 63 bytes, which is longer than module names are.
fn btf_name(btf: &OwnedFd) -> SysResult<Vec<u8>> {
    #[repr(C)]
    struct Info {
        btf: u64,
        btf_size: u32,
        id: u32,
        name: u64,
        name_len: u32,
        kernel: u32,
    }
    #[repr(C)]
    struct Attr {
        fd: u32,
        len: u32,
        info: u64,
    }
    let mut name = vec![0u8; 64];
    let mut info =
        Info { btf: 0, btf_size: 0, id: 0, name: name.as_mut_ptr() as u64, name_len: 64, kernel: 0 };
    let mut attr = Attr {
        fd: btf.as_raw_fd() as u32,
        len: size_of::<Info>() as u32,
        info: std::ptr::from_mut(&mut info) as u64,
    };
    call(OBJ_GET_INFO_BY_FD, "BPF_OBJ_GET_INFO_BY_FD", &mut attr)?;
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    name.truncate(end);
    Ok(name)
}

/// Records of `.BTF.ext` for one program, in the kernel's layout.
#[derive(Clone, Copy, Debug, Default)]
pub struct DebugInfo<'a> {
    /// The object's BTF, loaded.
    pub btf: Option<BorrowedFd<'a>>,
    /// `struct bpf_func_info[]`, 8 bytes each.
    pub functions: &'a [u8],
    /// `struct bpf_line_info[]`, 16 bytes each.
    pub lines: &'a [u8],
}

/// A program to load.
#[derive(Clone, Copy, Debug)]
pub struct ProgramSpec<'a> {
    /// Its name; cut and cleaned as the kernel wants it.
    pub name: &'a str,
    /// `BPF_PROG_TYPE_*`
    pub kind: u32,
    /// `BPF_TRACE_*`, …; 0 for none.
    pub attach_type: u32,
    /// The function or type that a [`program_type::TRACING`] program attaches to.
    pub attach_btf_id: u32,
    /// The module's BTF that `attach_btf_id` is in; none for the kernel itself.
    pub attach_btf: Option<BorrowedFd<'a>>,
    /// Instructions of 8 bytes.
    pub code: &'a [u64],
    /// Its licence.
    pub license: &'a CStr,
    /// Types and lines.
    pub debug: DebugInfo<'a>,
}

/// `BPF_PROG_LOAD`; a non-empty `log` is filled by the verifier, at the given level.
pub fn program_load(spec: &ProgramSpec<'_>, log_level: u32, log: &mut [u8]) -> SysResult<OwnedFd> {
    #[repr(C)]
    struct Attr {
        kind: u32,
        insn_count: u32,
        insns: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log: u64,
        kernel_version: u32,
        flags: u32,
        name: [u8; 16],
        interface: u32,
        attach_type: u32,
        btf: u32,
        func_info_size: u32,
        func_info: u64,
        func_info_count: u32,
        line_info_size: u32,
        line_info: u64,
        line_info_count: u32,
        attach_btf_id: u32,
        attach_btf: u32,
        pad: u32,
    }
    let DebugInfo { btf, functions, lines } = spec.debug;
    let mut attr = Attr {
        kind: spec.kind,
        insn_count: spec.code.len() as u32,
        insns: address(spec.code),
        license: spec.license.as_ptr() as u64,
        log_level: if log.is_empty() { 0 } else { log_level },
        log_size: log.len() as u32,
        log: address_mut(log),
        kernel_version: 0,
        flags: 0,
        name: object_name(spec.name),
        interface: 0,
        attach_type: spec.attach_type,
        btf: btf.map_or(0, |it| it.as_raw_fd() as u32),
        func_info_size: 8,
        func_info: address(functions),
        func_info_count: functions.len() as u32 / 8,
        line_info_size: 16,
        line_info: address(lines),
        line_info_count: lines.len() as u32 / 16,
        attach_btf_id: spec.attach_btf_id,
        attach_btf: spec.attach_btf.map_or(0, |it| it.as_raw_fd() as u32),
        pad: 0,
    };
    owned("BPF_PROG_LOAD", call(PROG_LOAD, "BPF_PROG_LOAD", &mut attr)?)
}

/// `BPF_PROG_TEST_RUN` of a raw tracepoint program without arguments: runs it once, here and now.
pub fn program_run(program: BorrowedFd<'_>) -> SysResult<()> {
    #[repr(C)]
    struct Attr {
        program: u32,
        result: u32,
        data_size_in: u32,
        data_size_out: u32,
        data_in: u64,
        data_out: u64,
        repeat: u32,
        duration: u32,
        ctx_size_in: u32,
        ctx_size_out: u32,
        ctx_in: u64,
        ctx_out: u64,
        flags: u32,
        cpu: u32,
    }
    let mut attr = Attr {
        program: program.as_raw_fd() as u32,
        result: 0,
        data_size_in: 0,
        data_size_out: 0,
        data_in: 0,
        data_out: 0,
        repeat: 0,
        duration: 0,
        ctx_size_in: 0,
        ctx_size_out: 0,
        ctx_in: 0,
        ctx_out: 0,
        flags: 0,
        cpu: 0,
    };
    call(PROG_TEST_RUN, "BPF_PROG_TEST_RUN", &mut attr).map(drop)
}

/// `BPF_RAW_TRACEPOINT_OPEN`: a link for a raw tracepoint by name, or, without a name, for a
/// [`program_type::TRACING`] program to the place that it was loaded for.
pub fn raw_tracepoint_open(program: BorrowedFd<'_>, name: Option<&CStr>) -> SysResult<OwnedFd> {
    #[repr(C)]
    struct Attr {
        name: u64,
        program: u32,
        pad: u32,
    }
    let name = name.map_or(0, |it| it.as_ptr() as u64);
    let mut attr = Attr { name, program: program.as_raw_fd() as u32, pad: 0 };
    owned("BPF_RAW_TRACEPOINT_OPEN", call(RAW_TRACEPOINT_OPEN, "BPF_RAW_TRACEPOINT_OPEN", &mut attr)?)
}

#[repr(C)]
struct LinkAttr<T> {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    rest: T,
}

fn link<T>(
    program: BorrowedFd<'_>,
    target: u32,
    attach_type: u32,
    flags: u32,
    rest: T,
) -> SysResult<OwnedFd> {
    let mut attr = LinkAttr { program: program.as_raw_fd() as u32, target, attach_type, flags, rest };
    owned("BPF_LINK_CREATE", call(LINK_CREATE, "BPF_LINK_CREATE", &mut attr)?)
}

/// `BPF_LINK_CREATE` of a perf event (Linux 5.15).
pub fn link_perf_event(program: BorrowedFd<'_>, event: BorrowedFd<'_>) -> SysResult<OwnedFd> {
    link(program, event.as_raw_fd() as u32, attach_type::PERF_EVENT, 0, 0u64)
}

/// `BPF_LINK_CREATE` of an XDP program; `flags` are `XDP_FLAGS_*`.
pub fn link_xdp(program: BorrowedFd<'_>, interface: u32, flags: u32) -> SysResult<OwnedFd> {
    link(program, interface, attach_type::XDP, flags, 0u64)
}

/// `BPF_LINK_CREATE` of kernel functions by name (Linux 5.18 with CONFIG_FPROBE).
pub fn link_kprobe_multi(program: BorrowedFd<'_>, symbols: &[&CStr], on_return: bool) -> SysResult<OwnedFd> {
    let pointers: Vec<u64> = symbols.iter().map(|it| it.as_ptr() as u64).collect();
    let rest = KprobeMulti {
        flags: on_return.into(),
        count: pointers.len() as u32,
        symbols: address(&pointers),
        addresses: 0,
        cookies: 0,
    };
    link(program, 0, attach_type::TRACE_KPROBE_MULTI, 0, rest)
}

#[repr(C)]
struct KprobeMulti {
    flags: u32,
    count: u32,
    symbols: u64,
    addresses: u64,
    cookies: u64,
}

/// Whether this kernel links kprobes by the many. `program` is any kprobe program that was loaded
/// for [`attach_type::TRACE_KPROBE_MULTI`].
pub fn has_kprobe_multi(program: BorrowedFd<'_>) -> bool {
    // A kernel that has it looks at the list of addresses first; there is nothing at address 1.
    let rest = KprobeMulti { flags: 0, count: 1, symbols: 0, addresses: 1, cookies: 0 };
    let res = link(program, 0, attach_type::TRACE_KPROBE_MULTI, 0, rest);
    res.is_err_and(|errno| errno.code == libc::EFAULT)
}

#[repr(C)]
struct UprobeMulti {
    path: u64,
    offsets: u64,
    semaphores: u64,
    cookies: u64,
    count: u32,
    flags: u32,
    pid: u32,
    pad: u32,
}

/// Places in one executable or library.
#[derive(Clone, Copy, Debug)]
pub struct UprobePlaces<'a> {
    /// The file.
    pub path: &'a CStr,
    /// Of the instructions.
    pub offsets: &'a [u64],
    /// Of the counters of listeners that the kernel raises, 0 where there is none; as many as offsets.
    pub semaphores: &'a [u64],
}

/// `BPF_LINK_CREATE` of places in an executable or library (Linux 6.6); `pid` 0 means every process.
pub fn link_uprobe_multi(
    program: BorrowedFd<'_>,
    places: UprobePlaces<'_>,
    on_return: bool,
    pid: u32,
) -> SysResult<OwnedFd> {
    let counted = places.semaphores.iter().any(|&it| it != 0);
    let rest = UprobeMulti {
        path: places.path.as_ptr() as u64,
        offsets: address(places.offsets),
        semaphores: if counted { address(places.semaphores) } else { 0 },
        cookies: 0,
        count: places.offsets.len() as u32,
        flags: on_return.into(),
        pid,
        pad: 0,
    };
    link(program, 0, attach_type::TRACE_UPROBE_MULTI, 0, rest)
}

/// Whether this kernel links uprobes by the many. `program` is any kprobe program that was loaded
/// for [`attach_type::TRACE_UPROBE_MULTI`].
pub fn has_uprobe_multi(program: BorrowedFd<'_>) -> bool {
    // A kernel that has it reads the path first; there is nothing at address 1.
    let rest =
        UprobeMulti { path: 1, offsets: 1, semaphores: 0, cookies: 0, count: 1, flags: 0, pid: 0, pad: 0 };
    let res = link(program, 0, attach_type::TRACE_UPROBE_MULTI, 0, rest);
    res.is_err_and(|errno| errno.code == libc::EFAULT)
}

/// Attaches a program to a perf event the old way, by ioctl; the event then holds it.
pub fn perf_event_set_program(event: BorrowedFd<'_>, program: BorrowedFd<'_>) -> SysResult<()> {
    const PERF_EVENT_IOC_SET_BPF: libc::c_ulong = 0x4004_2408;
    // SAFETY: both descriptors are open; the call takes no memory.
    let res = unsafe { libc::ioctl(event.as_raw_fd(), PERF_EVENT_IOC_SET_BPF, program.as_raw_fd()) };
    checked("ioctl PERF_EVENT_IOC_SET_BPF", res.into()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_kernel_takes() {
        let cases: [(&str, &[u8]); 3] = [
            ("probe0", b"probe0"),
            ("@hits per-cpu", b"_hits_per_cpu"),
            ("a_name_that_is_too_long", b"a_name_that_is_"),
        ];
        for (name, expected) in cases {
            let field = object_name(name);
            assert_eq!(field.split(|&b| b == 0).next(), Some(expected), "{name}");
        }
    }
}
