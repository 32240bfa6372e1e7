//! A user-space eBPF machine behind [`runtime::backend::Backend`]: loads the real ELF object,
//! executes its programs against a mini-kernel, and keeps their maps.
//!
//! It decides whether generated code is right without root and on any machine; that the
//! kernel's verifier accepts the code is what the kernel suites show.

pub mod exec;
pub mod helpers;
pub mod maps;
pub mod memory;

use aya_obj::Object as Elf;
use codegen::Object;
use codegen::ir::KernelMapKind;
use exec::Insn;
use lang::attach::Point;
use maps::Map;
use memory::{Kind, Memory};
use runtime::backend::{AttachPlan, Backend, Constants, Entry, Error, Result};
use std::collections::{BTreeMap, HashSet};
use std::os::fd::RawFd;

/// Bytes of the ring buffer when the object leaves the size open.
const RING_BYTES: u32 = 1 << 22;

/// The task that a probe interrupts.
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// Thread group id.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// At most 15 bytes are seen.
    pub comm: String,
    /// Control group id.
    pub cgroup: u64,
    /// Address of its `task_struct`.
    pub address: u64,
    /// Kernel stack, innermost first.
    pub kstack: Vec<u64>,
    /// User stack, innermost first.
    pub ustack: Vec<u64>,
}

/// Everything that a program can see and change.
pub struct World {
    /// All memory.
    pub memory: Memory,
    /// The object's maps; a map's handle names its index.
    pub maps: Vec<Map>,
    /// The current task.
    pub task: Task,
    /// The current CPU.
    pub cpu: usize,
    /// Number of CPUs.
    pub cpus: usize,
    /// All clocks, in nanoseconds.
    pub now: u64,
    /// What `bpf_get_func_ip` gives.
    pub function: u64,
    /// What `bpf_get_attach_cookie` gives.
    pub cookie: u64,
    /// The packet that an XDP context stands for: context address, start, end.
    packet: Option<(u64, u64, u64)>,
    random: u64,
    /// What programs did to the machine, in order.
    pub acts: Vec<String>,
}

const MAP_HANDLE: u64 = 0x00fe_ed00_0000_0000;

impl World {
    /// A world without maps and with a task that says nothing.
    pub fn new(cpus: usize) -> World {
        World {
            memory: Memory::default(),
            maps: Vec::new(),
            task: Task::default(),
            cpu: 0,
            cpus,
            now: 1_000_000_000,
            function: 0,
            cookie: 0,
            packet: None,
            random: 0x9e37_79b9_7f4a_7c15,
            acts: Vec::new(),
        }
    }

    /// The value of `lddw rX, map`; `number` counts from 1, as file descriptors do not start at 0.
    fn map_handle(number: usize) -> u64 {
        MAP_HANDLE + number as u64 - 1
    }

    fn map_index(&self, handle: u64) -> std::result::Result<usize, String> {
        let index = handle.wrapping_sub(MAP_HANDLE) as usize;
        if index < self.maps.len() { Ok(index) } else { Err(format!("{handle:#x} is not a map")) }
    }

    /// The address of an array map's first value.
    fn map_data(&mut self, number: usize) -> std::result::Result<u64, String> {
        let map = self.maps.get_mut(number.wrapping_sub(1)).ok_or("no such map")?;
        map.lookup(&0u32.to_le_bytes(), 0).ok_or_else(|| format!("{} has no first value", map.name))
    }

    /// Keys of a map, with the addresses of the values that the current CPU sees.
    fn elements(&self, handle: u64) -> std::result::Result<Vec<(Vec<u8>, u64)>, String> {
        let map = &self.maps[self.map_index(handle)?];
        let cpu = if map.per_cpu() { self.cpu } else { 0 };
        Ok(map.iter().map(|(key, values)| (key.clone(), values[cpu])).collect())
    }

    /// The kernel turns 4-byte loads of `xdp_md.data` and `.data_end` into pointers.
    fn packet_pointer(&self, address: u64, width: usize) -> Option<u64> {
        let (context, data, end) = self.packet?;
        match (address.wrapping_sub(context), width) {
            (0, 4) => Some(data),
            (4, 4) => Some(end),
            _ => None,
        }
    }

    fn random(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random as u32
    }

    fn map(&mut self, name: &str) -> Result<&mut Map> {
        self.maps
            .iter_mut()
            .find(|it| it.name == name)
            .ok_or_else(|| Error::new(format!("no map named {name} in the object")))
    }
}

/// What a program finds when it is fired.
pub enum Input<'a> {
    /// Bytes of the context: registers, a tracepoint's record, slots.
    Bytes(&'a [u8]),
    /// A packet.
    Packet(&'a [u8]),
}

/// The machine.
pub struct Machine {
    /// What programs see.
    pub world: World,
    programs: Vec<Vec<Insn>>,
    attached: Vec<AttachPlan>,
    held_slots: usize,
}

impl Machine {
    /// A machine with nothing loaded.
    pub fn new(cpus: usize) -> Machine {
        Machine { world: World::new(cpus), programs: Vec::new(), attached: Vec::new(), held_slots: 0 }
    }

    /// Runs every program attached to `point` once, in the order of attachment; their results.
    pub fn fire(&mut self, point: &Point, input: &Input<'_>) -> Result<Vec<u64>> {
        let programs: Vec<usize> =
            self.attached.iter().filter(|it| it.points.contains(point)).map(|it| it.program).collect();
        programs.into_iter().map(|it| self.execute(it, input)).collect()
    }

    fn execute(&mut self, program: usize, input: &Input<'_>) -> Result<u64> {
        let (context, packet) = match input {
            Input::Bytes(bytes) => (self.world.memory.add(Kind::Context, bytes.to_vec()), None),
            Input::Packet(bytes) => {
                let data = self.world.memory.add(Kind::Packet, bytes.to_vec());
                let context = self.world.memory.add(Kind::Context, vec![0; 24]);
                self.world.packet = Some((context, data, data + bytes.len() as u64));
                (context, Some(data))
            }
        };
        let result = exec::run(&self.programs[program], context, &mut self.world);
        self.world.memory.remove(context);
        if let Some(data) = packet {
            self.world.memory.remove(data);
            self.world.packet = None;
        }
        self.world.now += 1_000;
        let result = result.map_err(|fault| {
            Error::new(format!("program {program}, instruction {}: {}", fault.at, fault.reason))
        })?;
        match self.taken_slots() {
            Ok(taken) if taken == self.held_slots => Ok(result),
            other => Err(Error::new(format!("program {program} does not give its slot back: {other:?}"))),
        }
    }

    /// How many slots of scratch memory are taken on all CPUs.
    fn taken_slots(&self) -> std::result::Result<usize, String> {
        let Some(slots) = self.world.maps.iter().find(|it| it.name == "slots") else { return Ok(0) };
        let words = slots.iter().flat_map(|(_, values)| values);
        let taken = words.map(|at| Ok(self.world.memory.read(*at, 8)?.iter().any(|it| *it != 0)));
        Ok(taken.collect::<std::result::Result<Vec<bool>, String>>()?.into_iter().filter(|it| *it).count())
    }

    /// Takes the first `count` slots of the current CPU, as if so many runs were interrupted; gives how
    /// many there are.
    pub fn hold_slots(&mut self, count: usize) -> Result<usize> {
        let cpu = self.world.cpu;
        let mut slots: Vec<(Vec<u8>, u64)> =
            self.world.map("slots")?.iter().map(|(key, values)| (key.clone(), values[cpu])).collect();
        slots.sort();
        for (_, at) in slots.iter().take(count) {
            self.world.memory.write(*at, &1u64.to_le_bytes()).map_err(Error::new)?;
        }
        self.held_slots = count.min(slots.len());
        Ok(slots.len())
    }

    fn create_maps(&mut self, elf: &Elf, constants: &[(u32, u64)]) -> Result<BTreeMap<String, RawFd>> {
        let mut numbers = BTreeMap::new();
        let mut names: Vec<&String> = elf.maps.keys().collect();
        names.sort();
        for name in names {
            let map = &elf.maps[name];
            let kind = map_kind(map.map_type())?;
            let size = match kind {
                KernelMapKind::RingBuf if map.max_entries() == 0 => RING_BYTES,
                _ => map.max_entries(),
            };
            let sizes = [map.key_size(), map.value_size(), size];
            let cpus = self.world.cpus;
            let mut created = Map::new(name, kind, sizes, cpus, &mut self.world.memory);
            if !map.data().is_empty()
                && let Some(at) = created.lookup(&0u32.to_le_bytes(), 0)
            {
                let bytes = self.world.memory.region_mut(at);
                bytes[..map.data().len()].copy_from_slice(map.data());
                for (offset, value) in constants.iter().filter(|_| name == ".rodata") {
                    let offset = *offset as usize;
                    bytes[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
                }
            }
            self.world.maps.push(created);
            numbers.insert(name.clone(), self.world.maps.len() as RawFd);
        }
        Ok(numbers)
    }
}

fn map_kind(number: u32) -> Result<KernelMapKind> {
    use KernelMapKind::*;
    [Hash, Array, PerCpuHash, PerCpuArray, LruHash, LruPerCpuHash, LpmTrie, RingBuf]
        .into_iter()
        .find(|it| *it as u32 == number)
        .ok_or_else(|| Error::new(format!("the machine has no maps of type {number}")))
}

fn broken(what: &str, error: impl std::fmt::Display) -> Error {
    Error::new(format!("the object's {what}: {error}"))
}

impl Backend for Machine {
    fn load(&mut self, object: &Object, constants: Constants) -> Result<()> {
        let mut elf = Elf::parse(&object.elf).map_err(|error| broken("ELF file", error))?;
        let globals = &object.manifest.globals;
        let constants: Vec<(u32, u64)> = [
            (globals.cpid, constants.cpid),
            (globals.start, constants.start),
            (globals.ncpus, self.world.cpus as u64),
        ]
        .into_iter()
        .filter_map(|(offset, value)| Some((offset?, value)))
        .collect();
        let numbers = self.create_maps(&elf, &constants)?;
        let maps = elf.maps.clone();
        let text: HashSet<usize> = elf.functions.keys().map(|(section, _)| *section).collect();
        elf.relocate_maps(maps.iter().map(|(name, map)| (name.as_str(), numbers[name], map)), &text)
            .map_err(|error| broken("map relocations", error))?;
        elf.relocate_calls(&text).map_err(|error| broken("call relocations", error))?;
        for program in &object.manifest.programs {
            let entry = elf
                .programs
                .get(&program.symbol)
                .ok_or_else(|| Error::new(format!("no program {} in the object", program.symbol)))?;
            let function = &elf.functions[&(entry.section_index, entry.address)];
            self.programs.push(function.instructions.clone());
        }
        Ok(())
    }

    fn run(&mut self, program: usize) -> Result<()> {
        self.execute(program, &Input::Bytes(&[0; 8])).map(|_| ())
    }

    fn plan(&self, object: &Object) -> Result<Vec<AttachPlan>> {
        let plans = object.manifest.programs.iter().enumerate().flat_map(|(program, it)| {
            it.points.iter().map(move |point| AttachPlan {
                program,
                points: vec![point.clone()],
                method: "machine",
            })
        });
        Ok(plans.collect())
    }

    fn attach(&mut self, plan: &AttachPlan) -> Result<()> {
        self.attached.push(plan.clone());
        Ok(())
    }

    fn detach(&mut self) {
        self.attached.clear();
    }

    fn unwatch(&mut self, address: u64) {
        self.attached.retain(|plan| {
            let watches = |point: &lang::attach::Point| matches!(point.target, lang::attach::Target::Memory { address: at, .. } if at == address);
            !plan.points.iter().any(watches)
        });
    }

    fn drain(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<()> {
        for map in &mut self.world.maps {
            map.records.drain(..).for_each(|record| each(&record));
        }
        Ok(())
    }

    fn event_fd(&self) -> Option<RawFd> {
        None
    }

    fn entries(&mut self, map: &str) -> Result<Vec<Entry>> {
        let index = self.world.maps.iter().position(|it| it.name == map);
        let map = &self.world.maps[index.ok_or_else(|| Error::new(format!("no map named {map}")))?];
        let copy = |at: &u64| self.world.memory.region(*at).to_vec();
        Ok(map.iter().map(|(key, values)| (key.clone(), values.iter().map(copy).collect())).collect())
    }

    fn update(&mut self, map: &str, key: &[u8], value: &[u8]) -> Result<()> {
        (0..self.world.cpus).try_for_each(|cpu| self.update_on(cpu, map, key, value))
    }

    fn restore(&mut self, map: &str, (key, values): &Entry) -> Result<()> {
        values.iter().enumerate().try_for_each(|(cpu, value)| self.update_on(cpu, map, key, value))
    }

    fn delete(&mut self, map: &str, key: &[u8]) -> Result<()> {
        self.world.map(map)?;
        let World { maps, memory, .. } = &mut self.world;
        let found = maps.iter_mut().find(|it| it.name == map);
        found.map(|it| it.delete(key, memory));
        Ok(())
    }

    fn read_bss(&mut self, offset: u32, len: u32) -> Result<Vec<u8>> {
        let at = self.bss()? + u64::from(offset);
        let bytes = self.world.memory.read(at, len as usize);
        Ok(bytes.map_err(Error::new)?.to_vec())
    }

    fn write_bss(&mut self, offset: u32, bytes: &[u8]) -> Result<()> {
        let at = self.bss()? + u64::from(offset);
        self.world.memory.write(at, bytes).map_err(Error::new)
    }
}

impl Machine {
    fn update_on(&mut self, cpu: usize, map: &str, key: &[u8], value: &[u8]) -> Result<()> {
        let World { maps, memory, cpus, .. } = &mut self.world;
        let found = maps.iter_mut().find(|it| it.name == map);
        let found = found.ok_or_else(|| Error::new(format!("no map named {map}")))?;
        match found.update(key, value, 0, cpu, *cpus, memory) {
            0 => Ok(()),
            result => Err(Error::new(format!("update of {map} gave {result}"))),
        }
    }

    fn bss(&mut self) -> Result<u64> {
        let map = self.world.map(".bss")?;
        map.lookup(&0u32.to_le_bytes(), 0).ok_or_else(|| Error::new("no .bss"))
    }
}
