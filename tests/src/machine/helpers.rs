//! The kernel's helper functions, as the machine carries them out.

use super::maps::{EAGAIN, EINVAL, ENOENT};
use super::{Task, World};
use codegen::helpers::Helper;

const EFAULT: i64 = -14;
const USER_STACK: u64 = 1 << 8;

/// Calls helper `number`.
pub fn call(number: i32, arguments: &[Option<u64>; 5], world: &mut World) -> Result<u64, String> {
    let helper = Helper::ALL
        .iter()
        .copied()
        .find(|it| it.number() == number)
        .ok_or_else(|| format!("helper {number} is not in the table"))?;
    let mut given = [0; 5];
    for (index, slot) in given.iter_mut().enumerate().take(helper.arity()) {
        *slot = arguments[index].ok_or_else(|| format!("{} without r{}", helper.name(), index + 1))?;
    }
    dispatch(helper, given, world)
}

/// The path of every file of the machine, whose kernel has no file systems. What is behind it is left of
/// building it, as in a real one.
fn path(to: u64, size: u64, world: &mut World) -> Result<i64, String> {
    const PATH: &[u8] = b"/srv/file\0";
    const ENAMETOOLONG: i64 = -36;
    world.memory.write(to, &vec![b'#'; size as usize])?;
    if (size as usize) < PATH.len() {
        return Ok(ENAMETOOLONG);
    }
    world.memory.write(to, PATH)?;
    Ok(PATH.len() as i64)
}

fn dispatch(helper: Helper, [a, b, c, d, _]: [u64; 5], world: &mut World) -> Result<u64, String> {
    let task = &world.task;
    let result = match helper {
        Helper::MapLookupElem => return lookup(a, b, world.cpu, world),
        Helper::MapLookupPercpuElem => return lookup(a, b, c as usize, world),
        Helper::MapUpdateElem => update(a, b, c, d, world)?,
        Helper::MapDeleteElem => {
            let (index, key) = key(a, b, world)?;
            world.maps[index].delete(&key, &mut world.memory)
        }
        Helper::KtimeGetNs | Helper::KtimeGetBootNs | Helper::KtimeGetTaiNs => world.now as i64,
        Helper::GetPrandomU32 => world.random().into(),
        Helper::GetSmpProcessorId => world.cpu as i64,
        Helper::GetCurrentPidTgid => (u64::from(task.pid) << 32 | u64::from(task.tid)) as i64,
        Helper::GetCurrentUidGid => (u64::from(task.gid) << 32 | u64::from(task.uid)) as i64,
        Helper::GetCurrentComm => {
            let mut comm = [0; 16];
            let len = task.comm.len().min(15);
            comm[..len].copy_from_slice(&task.comm.as_bytes()[..len]);
            let size = (b as usize).min(16);
            world.memory.write(a, &comm[..size])?;
            0
        }
        Helper::GetCurrentTask | Helper::GetCurrentTaskBtf => task.address as i64,
        Helper::GetCurrentCgroupId => task.cgroup as i64,
        Helper::GetNsCurrentPidTgid => return Err("the machine has no PID namespaces".to_owned()),
        // A socket is told from others by its address.
        Helper::GetSocketCookie => a as i64,
        Helper::DPath => path(b, c, world)?,
        Helper::GetFuncIp => world.function as i64,
        Helper::GetAttachCookie => world.cookie as i64,
        Helper::GetStack => stack(b, c, d, world)?,
        Helper::ProbeReadKernel => probe_read(a, b, c, false, world)?,
        Helper::ProbeReadUser => probe_read(a, b, c, true, world)?,
        Helper::ProbeReadKernelStr => probe_read_str(a, b, c, false, world)?,
        Helper::ProbeReadUserStr => probe_read_str(a, b, c, true, world)?,
        Helper::RingbufOutput => {
            let record = world.memory.read(b, c as usize)?.to_vec();
            let index = world.map_index(a)?;
            if world.maps[index].push_record(record) { 0 } else { EAGAIN }
        }
        Helper::GetNumaNodeId => 0,
        // A thousand ticks a second.
        Helper::Jiffies64 => (world.now / 1_000_000) as i64,
        Helper::SendSignal => act(world, |task| format!("signal {a} to process {}", task.pid)),
        Helper::SendSignalThread => act(world, |task| format!("signal {a} to thread {}", task.tid)),
        Helper::OverrideReturn => act(world, |_| format!("the function returns {}", b as i64)),
        Helper::ProbeWriteUser => {
            let bytes = world.memory.read(b, c as usize)?.to_vec();
            act(world, |task| format!("{bytes:?} written to process {} at {a:#x}", task.pid))
        }
        Helper::TracePrintk => {
            let format = String::from_utf8_lossy(world.memory.read(a, b as usize)?).into_owned();
            act(world, |_| format!("trace_pipe: {:?} of {c}", format.trim_end_matches('\0')))
        }
        Helper::GetStackid
        | Helper::RingbufReserve
        | Helper::RingbufSubmit
        | Helper::RingbufDiscard
        | Helper::ForEachMapElem
        | Helper::Loop => return Err(format!("the machine does not know {}", helper.name())),
    };
    Ok(result as u64)
}

/// Notes what a program did.
fn act(world: &mut World, what: impl FnOnce(&Task) -> String) -> i64 {
    world.acts.push(what(&world.task));
    0
}

fn key(map: u64, key: u64, world: &World) -> Result<(usize, Vec<u8>), String> {
    let index = world.map_index(map)?;
    let key = world.memory.read(key, world.maps[index].key_size)?.to_vec();
    Ok((index, key))
}

fn lookup(map: u64, at: u64, cpu: usize, world: &mut World) -> Result<u64, String> {
    let (index, key) = key(map, at, world)?;
    if cpu >= world.cpus {
        return Ok(0);
    }
    Ok(world.maps[index].lookup(&key, cpu).unwrap_or(0))
}

fn update(map: u64, at: u64, value: u64, flags: u64, world: &mut World) -> Result<i64, String> {
    let (index, key) = key(map, at, world)?;
    let value = world.memory.read(value, world.maps[index].value_size)?.to_vec();
    let (cpu, cpus) = (world.cpu, world.cpus);
    Ok(world.maps[index].update(&key, &value, flags, cpu, cpus, &mut world.memory))
}

fn probe_read(to: u64, size: u64, from: u64, user: bool, world: &mut World) -> Result<i64, String> {
    let read = world.memory.probe(from, size as usize, user).map(<[u8]>::to_vec);
    let result = if read.is_some() { 0 } else { EFAULT };
    world.memory.write(to, &read.unwrap_or_else(|| vec![0; size as usize]))?;
    Ok(result)
}

/// Copies up to `size - 1` bytes and a NUL; bytes behind the NUL stay as they were.
fn probe_read_str(to: u64, size: u64, from: u64, user: bool, world: &mut World) -> Result<i64, String> {
    if size == 0 {
        return Ok(EINVAL);
    }
    // The verifier wants the whole destination to be writable.
    let whole = vec![0; size as usize];
    let Some(rest) = world.memory.rest(from, user) else {
        world.memory.write(to, &whole)?;
        return Ok(EFAULT);
    };
    let len = rest.iter().position(|it| *it == 0).unwrap_or(rest.len()).min(size as usize - 1);
    let mut bytes = rest[..len].to_vec();
    bytes.push(0);
    world.memory.write(to, &bytes)?;
    Ok(bytes.len() as i64)
}

fn stack(to: u64, size: u64, flags: u64, world: &mut World) -> Result<i64, String> {
    let frames = if flags & USER_STACK != 0 { &world.task.ustack } else { &world.task.kstack };
    let kept = frames.len().min(size as usize / 8);
    let mut bytes: Vec<u8> = frames[..kept].iter().flat_map(|it| it.to_le_bytes()).collect();
    bytes.resize(size as usize, 0);
    world.memory.write(to, &bytes)?;
    Ok(if kept == 0 { ENOENT } else { 8 * kept as i64 })
}
