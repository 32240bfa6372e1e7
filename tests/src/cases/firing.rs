//! Builds what a program finds when it is fired: the task, the context, memory behind pointers.

use super::directives::{Firing, Setting};
use super::packets;
use crate::fixture::{self, FixtureHost};
use crate::machine::memory::Kind;
use crate::machine::{Input, Machine, Task};
use lang::attach::{Point, Target};
use lang::host::{Host, Matches, TypeKind};
use lang::layout::size_of;
use lang::probes::{Context, ProbeKind};
use lang::ty::{Field, Space, StructId, Ty, TypeTable};
use runtime::backend::{Error, Result};

/// Fires once.
pub fn fire(machine: &mut Machine, firing: &Firing) -> Result<()> {
    let task = Task {
        pid: firing.number("pid").unwrap_or(100) as u32,
        tid: firing.number("tid").or(firing.number("pid")).unwrap_or(100) as u32,
        uid: firing.number("uid").unwrap_or(0) as u32,
        gid: firing.number("gid").unwrap_or(0) as u32,
        comm: firing.text("comm").unwrap_or("case").to_owned(),
        cgroup: firing.number("cgroup").unwrap_or(1) as u64,
        address: 0,
        kstack: addresses(firing, "kstack"),
        ustack: addresses(firing, "ustack"),
    };
    set_task(machine, &task);
    machine.world.cpu = firing.number("cpu").unwrap_or(0) as usize % machine.world.cpus;
    machine.world.now += firing.number("after").unwrap_or(0) as u64;
    let results = match &firing.packet {
        Some(kind) => {
            let packet = packets::build(kind, firing).map_err(Error::new)?;
            machine.fire(&firing.point, &Input::Packet(&packet))?
        }
        None => {
            let context = context(machine, firing)?;
            let mut results = Vec::new();
            for point in places(&firing.point) {
                results.extend(machine.fire(&point, &Input::Bytes(&context))?);
            }
            results
        }
    };
    match firing.number("returns") {
        Some(expected) if results.iter().any(|it| *it as i64 != expected) => {
            Err(Error::new(format!("returned {results:?}, not {expected}")))
        }
        _ => Ok(()),
    }
}

/// The places of a static probe; any other point is its own.
fn places(point: &Point) -> Vec<Point> {
    match (&point.target, FixtureHost.matches(point)) {
        (Target::Usdt { .. }, Matches::Points(points)) => points,
        _ => vec![point.clone()],
    }
}

/// Makes `task` current, with a `task_struct`, a parent of pid 1 and a first thread called `main`.
pub fn set_task(machine: &mut Machine, task: &Task) {
    let parent = task_struct(machine, 1, 1, "init", [0, 0]);
    let leader = task_struct(machine, task.pid, task.pid, "main", [parent, 0]);
    let address = task_struct(machine, task.tid, task.pid, &task.comm, [parent, leader]);
    machine.world.memory.set_kind(address, Kind::Typed);
    machine.world.task = Task { address, ..task.clone() };
}

fn addresses(firing: &Firing, key: &str) -> Vec<u64> {
    let hex = |it: &str| u64::from_str_radix(it.trim_start_matches("0x"), 16).ok();
    match firing.get(key) {
        Some(Setting::Number(one)) => vec![*one as u64],
        Some(Setting::Word(list)) => list.split(',').filter_map(hex).collect(),
        _ => Vec::new(),
    }
}

/// A task; `relatives` are its parent and its process's first thread.
fn task_struct(machine: &mut Machine, tid: u32, pid: u32, comm: &str, relatives: [u64; 2]) -> u64 {
    let [parent, leader] = relatives;
    let settings = [
        ("pid", u64::from(tid)),
        ("tgid", u64::from(pid)),
        ("real_parent", parent),
        ("group_leader", leader),
        ("start_time", 1_000 * u64::from(pid)),
    ];
    object(machine, "task_struct", &settings, Some(("comm", comm)))
}

/// A struct of the mini-kernel in kernel memory, with members set by name.
fn object(machine: &mut Machine, name: &str, members: &[(&str, u64)], chars: Option<(&str, &str)>) -> u64 {
    let mut types = TypeTable::default();
    let Some(Ty::Struct(id)) = FixtureHost.kernel_type(TypeKind::Struct, name, &mut types) else { return 0 };
    let fields = fields(id, &mut types);
    let mut bytes = vec![0; types.struct_def(id).size as usize];
    for field in &fields {
        let at = field.offset as usize;
        if let Some((_, value)) = members.iter().find(|it| it.0 == field.name) {
            let size = size_of(&field.ty, &types) as usize;
            bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        }
        if let Some((_, text)) = chars.filter(|it| it.0 == field.name) {
            let len = text.len().min(size_of(&field.ty, &types) as usize - 1);
            bytes[at..at + len].copy_from_slice(&text.as_bytes()[..len]);
        }
    }
    machine.world.memory.add(Kind::Kernel, bytes)
}

fn fields(id: StructId, types: &mut TypeTable) -> Vec<Field> {
    FixtureHost.complete(id, types);
    types.struct_def(id).fields.clone().unwrap_or_default()
}

/// A `struct path` (or `file`) whose dentry has this name.
fn path(machine: &mut Machine, name: &str, file: bool) -> u64 {
    let name = text(machine, name, Kind::Kernel);
    let mut bytes = vec![0; 64];
    bytes[40..48].copy_from_slice(&name.to_le_bytes());
    let dentry = machine.world.memory.add(Kind::Kernel, bytes);
    let (size, at) = if file { (96, 24) } else { (16, 8) };
    let mut bytes = vec![0; size];
    bytes[at..at + 8].copy_from_slice(&dentry.to_le_bytes());
    machine.world.memory.add(Kind::Kernel, bytes)
}

fn text(machine: &mut Machine, text: &str, kind: Kind) -> u64 {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    machine.world.memory.add(kind, bytes)
}

/// A value for a 64-bit slot or pointer: a number, a string's address, `path:NAME`, `task:PID`.
fn word(machine: &mut Machine, setting: &Setting, kind: Kind) -> Result<u64> {
    match setting {
        Setting::Number(number) => Ok(*number as u64),
        Setting::Text(it) => Ok(text(machine, it, kind)),
        Setting::Word(it) => match it.split_once(':') {
            Some(("path", name)) => Ok(path(machine, name, false)),
            Some(("file", name)) => Ok(path(machine, name, true)),
            Some(("task", pid)) => {
                let pid = pid.parse().map_err(|_| Error::new(format!("`{it}` is not task:PID")))?;
                Ok(task_struct(machine, pid, pid, "other", [0, 0]))
            }
            _ => Err(Error::new(format!("`{it}` is not a value"))),
        },
    }
}

fn context(machine: &mut Machine, firing: &Firing) -> Result<Vec<u8>> {
    match firing.point.kind.context() {
        Context::Empty => Ok(vec![0; 8]),
        Context::Registers => registers(machine, firing),
        Context::PerfEvent => Ok([registers(machine, firing)?, vec![0; 16]].concat()),
        Context::TracepointRecord => record(machine, firing),
        Context::BtfArguments => arguments(machine, firing),
        Context::Xdp => Err(Error::new("fire packets with //@ packet")),
    }
}

/// `struct pt_regs` of x86-64 (`arch/x86/include/asm/ptrace.h`).
fn registers(machine: &mut Machine, firing: &Firing) -> Result<Vec<u8>> {
    const ARGUMENTS: [usize; 6] = [112, 104, 96, 88, 72, 64];
    const RESULT: usize = 80;
    const INSTRUCTION: usize = 128;
    const STACK_POINTER: usize = 152;
    let mut bytes = vec![0; 168];
    let mut set = |at: usize, value: u64| bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    let kernel = !matches!(firing.point.kind, ProbeKind::Uprobe | ProbeKind::Uretprobe | ProbeKind::Usdt);
    let kind = if kernel { Kind::Kernel } else { Kind::User };
    // The return address, then the arguments that the registers have no room for.
    let mut stack = vec![0; 8];
    for index in 0..12 {
        let value = firing.get(&format!("arg{index}")).map(|it| word(machine, it, kind)).transpose()?;
        match ARGUMENTS.get(index) {
            Some(at) => set(*at, value.unwrap_or(0)),
            None => stack.extend(value.unwrap_or(0).to_le_bytes()),
        }
    }
    set(STACK_POINTER, machine.world.memory.add(kind, stack));
    if let Some(result) = firing.get("retval") {
        set(RESULT, word(machine, result, kind)?);
    }
    if let Target::Function { name, offset, .. } = &firing.point.target {
        machine.world.function = fixture::function_address(name).unwrap_or(0);
        set(INSTRUCTION, machine.world.function + offset);
    }
    Ok(bytes)
}

/// A tracepoint's record, laid out as its format file says.
fn record(machine: &mut Machine, firing: &Firing) -> Result<Vec<u8>> {
    let Target::Tracepoint { category, event } = &firing.point.target else {
        return Err(Error::new("not a tracepoint"));
    };
    let format = FixtureHost
        .tracepoint_format(category, event)
        .ok_or_else(|| Error::new(format!("the mini-kernel has no tracepoint {category}:{event}")))?;
    let mut types = TypeTable::default();
    let id = lang::tracefs::parse_format(&format, "fired", &mut types).map_err(Error::new)?;
    let fields = fields(id, &mut types);
    let end = fields.iter().map(|it| it.offset + size_of(&it.ty, &types).min(64)).max().unwrap_or(8);
    let mut bytes = vec![0; types.struct_def(id).size.max(end).next_multiple_of(8) as usize];
    let user = if category == "syscalls" { Kind::User } else { Kind::Kernel };
    for field in fields {
        let Some(setting) = firing.get(&field.name) else { continue };
        let at = field.offset as usize;
        match (setting, &field.ty) {
            (Setting::Text(it), _) if field.data_loc => {
                let place = bytes.len() as u32 | ((it.len() as u32 + 1) << 16);
                bytes[at..at + 4].copy_from_slice(&place.to_le_bytes());
                bytes.extend(it.as_bytes());
                bytes.push(0);
            }
            (Setting::Text(it), Ty::Str(_) | Ty::Array(..)) => {
                let len = it.len().min(size_of(&field.ty, &types) as usize - 1);
                bytes[at..at + len].copy_from_slice(&it.as_bytes()[..len]);
            }
            (setting, ty) => {
                let kind = if matches!(ty, Ty::Ptr(_, Space::User)) { Kind::User } else { user };
                let size = size_of(ty, &types).min(8) as usize;
                let value = word(machine, setting, kind)?;
                bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
            }
        }
    }
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    Ok(bytes)
}

/// One 64-bit slot for each parameter, then the result.
fn arguments(machine: &mut Machine, firing: &Firing) -> Result<Vec<u8>> {
    let Target::Function { name, .. } = &firing.point.target else {
        return Err(Error::new("not a function"));
    };
    let mut types = TypeTable::default();
    let function = FixtureHost
        .function(firing.point.kind, name, &mut types)
        .ok_or_else(|| Error::new(format!("the mini-kernel has no {name}")))?;
    machine.world.function = fixture::function_address(name).unwrap_or(0);
    let names = function.params.iter().map(|it| it.0.as_str()).chain(["retval"]);
    let mut bytes = Vec::new();
    for name in names {
        let setting = firing.get(name).cloned().unwrap_or(Setting::Number(0));
        bytes.extend(word(machine, &setting, Kind::Kernel)?.to_le_bytes());
    }
    Ok(bytes)
}
