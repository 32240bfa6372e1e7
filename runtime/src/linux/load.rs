//! From an object to maps and programs in the kernel.
//!
//! Comes in: an [`Object`]. Goes out: descriptors. Each ELF detail is `aya_obj`'s business, each
//! kernel call that of [`super::sys::bpf`]; nothing is attached here, nothing runs.

use super::attach::{self, Method};
use super::kernel::{self, Kernel};
use super::map::{self, Map};
use super::privileges;
use super::providers::trampoline;
use super::ring::Ring;
use super::sys::bpf::{self, DebugInfo, MapSpec, ProgramSpec, attach_type, program_type};
use super::sys::memory::Mapping;
use super::sys::{self, Errno};
use super::verifier;
use crate::backend::{Constants, Error, Result};
use aya_obj::btf::{Btf, BtfFeatures};
use aya_obj::generated::bpf_insn;
use aya_obj::obj::ProgramSection;
use codegen::manifest::VERSION;
use codegen::{Manifest, Object};
use lang::attach::Point;
use lang::hir::ActionKind;
use std::collections::{BTreeMap, HashSet};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// What an object became.
#[derive(Default)]
pub struct Loaded {
    /// Maps by their symbols.
    pub maps: BTreeMap<String, Map>,
    /// `.bss`, mapped.
    pub bss: Option<Mapping>,
    /// The ring buffer, mapped.
    pub ring: Option<Ring>,
    /// In the order of the manifest.
    pub programs: Vec<Program>,
}

/// A loaded program.
pub struct Program {
    /// How it is attached.
    pub method: Method,
    /// Its code in the kernel.
    pub code: Code,
}

/// A program's code in the kernel.
pub enum Code {
    /// The same for every place.
    Shared(OwnedFd),
    /// Loaded for each point by itself, as [`Method::Trampoline`] needs; or why it could not be.
    ForEach(Vec<(Point, Result<OwnedFd>)>),
}

/// Creates the maps and loads the programs.
pub fn load(object: &Object, constants: Constants, kernel: &Kernel) -> Result<Loaded> {
    let manifest = &object.manifest;
    if manifest.version != VERSION {
        let versions = format!("version {}, and {} is understood", manifest.version, VERSION);
        return Err(Error::new(format!("the object's manifest has {versions}")).hint("build it again"));
    }
    let mut elf = aya_obj::Object::parse(&object.elf)
        .map_err(|error| Error::new(format!("the object cannot be read: {}", chain(&error))))?;
    relocate_types(&mut elf, manifest)?;
    let maps = create_maps(&mut elf, manifest, constants)?;
    relocate_names(&mut elf, &maps)?;
    let programs = load_programs(&mut elf, manifest, kernel)?;
    Ok(Loaded { bss: map_bss(&maps)?, ring: map_ring(&maps, manifest)?, maps, programs })
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |it| it.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Adapts field offsets to this kernel, unless the object was built for it.
fn relocate_types(elf: &mut aya_obj::Object, manifest: &Manifest) -> Result<()> {
    let built_here = || manifest.target.built_for.as_ref().is_some_and(|it| *it == sys::kernel_identity());
    if !elf.has_btf_relocations() || built_here() {
        return Ok(());
    }
    let types = Btf::from_sys_fs().map_err(|error| {
        let why = chain(&error);
        Error::new(format!(
            "the kernel does not describe its types, which the object's code depends on: {why}"
        ))
        .hint("a kernel with CONFIG_DEBUG_INFO_BTF=y is needed")
    })?;
    elf.relocate_btf(&types).map_err(|error| {
        Error::new(format!("the object does not fit this kernel's types: {}", chain(&error)))
    })
}

fn create_maps(
    elf: &mut aya_obj::Object,
    manifest: &Manifest,
    constants: Constants,
) -> Result<BTreeMap<String, Map>> {
    let mut maps = BTreeMap::new();
    for (name, definition) in elf.maps.iter_mut().collect::<BTreeMap<_, _>>() {
        let is_constant = name.starts_with(".rodata");
        if name == ".rodata" {
            set_constants(definition.data_mut(), manifest, constants)?;
        }
        let map = create_map(name, definition, manifest)?;
        if definition.data().iter().any(|&byte| byte != 0) {
            map.update(&[0; 4], definition.data())
                .map_err(|errno| map_error(name, &map_spec(name, &map), errno))?;
        }
        if is_constant {
            bpf::map_freeze(map.fd.as_fd()).map_err(|errno| map_error(name, &map_spec(name, &map), errno))?;
        }
        maps.insert(name.clone(), map);
    }
    Ok(maps)
}

fn set_constants(data: &mut [u8], manifest: &Manifest, constants: Constants) -> Result<()> {
    let globals = &manifest.globals;
    let values = [
        (globals.cpid, constants.cpid),
        (globals.start, constants.start),
        (globals.ncpus, kernel::possible_cpus()?.into()),
    ];
    for (offset, value) in values {
        let Some(offset) = offset else { continue };
        let slot = data.get_mut(offset as usize..).and_then(|it| it.first_chunk_mut::<8>());
        *slot.ok_or_else(|| Error::new("the object's constants are not inside .rodata"))? =
            value.to_le_bytes();
    }
    Ok(())
}

fn map_spec<'a>(name: &'a str, map: &Map) -> MapSpec<'a> {
    let Map { kind, key_size, value_size, max_entries, .. } = *map;
    MapSpec { name, kind, key_size, value_size, max_entries, flags: 0 }
}

fn create_map(name: &str, definition: &aya_obj::Map, manifest: &Manifest) -> Result<Map> {
    let is_ring = manifest.globals.ring.as_deref() == Some(name);
    let spec = MapSpec {
        name,
        kind: definition.map_type(),
        key_size: definition.key_size(),
        value_size: definition.value_size(),
        max_entries: match definition.max_entries() {
            _ if is_ring => ring_size(manifest),
            n => n,
        },
        flags: definition.map_flags() | if name.starts_with(".bss") { bpf::F_MMAPABLE } else { 0 },
    };
    let fd = match bpf::map_create(&spec) {
        // Before Linux 5.11 maps count as locked memory, of which little is allowed by default.
        Err(errno) if errno.code == libc::EPERM && sys::lift_locked_memory_limit() => bpf::map_create(&spec),
        res => res,
    };
    let fd = fd.map_err(|errno| map_error(name, &spec, errno))?;
    let copies = if map::is_per_cpu(spec.kind) { kernel::possible_cpus()? } else { 1 };
    let MapSpec { kind, key_size, value_size, max_entries, .. } = spec;
    Ok(Map { fd, kind, key_size, value_size, max_entries, copies })
}

/// Bytes of the ring buffer: as configured, else by what it carries. Text comes in bursts, and one
/// part in 2048 of the memory, at most 4 MiB, holds some ten thousand lines; notices such as
/// `exit` or `print(@map)` need little, and the buffer counts twice as resident memory. The kernel
/// wants a power of two.
fn ring_size(manifest: &Manifest) -> u32 {
    const LEAST: u64 = 256 << 10;
    const MOST: u64 = 4 << 20;
    let page = sys::page_size() as u64;
    let wanted = match manifest.config.perf_rb_pages {
        Some(pages) => u64::from(pages) * page,
        None if manifest.actions.iter().any(|it| carries_text(&it.kind)) => {
            (sys::physical_memory() / 2048).clamp(LEAST, MOST)
        }
        None => LEAST,
    };
    wanted.next_power_of_two().clamp(page, 1 << 30) as u32
}

/// Whether an action's record holds something to print, rather than being a notice.
fn carries_text(action: &ActionKind) -> bool {
    match action {
        ActionKind::Printf(_)
        | ActionKind::Errorf(_)
        | ActionKind::Warnf(_)
        | ActionKind::Cat(_)
        | ActionKind::System(_)
        | ActionKind::PrintValue
        | ActionKind::PrintEntry(_)
        | ActionKind::Time(_)
        | ActionKind::Join(_) => true,
        ActionKind::PrintMap(_)
        | ActionKind::PrintSummary(..)
        | ActionKind::Clear(_)
        | ActionKind::Zero(_)
        | ActionKind::Unwatch
        | ActionKind::Exit => false,
    }
}

fn map_error(name: &str, spec: &MapSpec<'_>, errno: Errno) -> Error {
    match errno.code {
        libc::EPERM | libc::EACCES if !privileges::is_privileged() => privileges::missing(),
        libc::EPERM => Error::new(format!("the kernel does not allow to create maps ({errno})"))
            .hint("a container's seccomp filter or, before Linux 5.11, the limit of locked memory (`ulimit -l`) may forbid it"),
        libc::ENOMEM | libc::E2BIG => {
            let MapSpec { key_size, value_size, max_entries, .. } = spec;
            Error::new(format!(
                "not enough memory for the map `{name}`: {max_entries} entries of {key_size} + {value_size} bytes"
            ))
            .hint("make it smaller: `config = { max_map_keys=… }`, or perf_rb_pages for the ring buffer")
        }
        libc::ENOSYS => Error::new("this kernel has no bpf(2) (CONFIG_BPF_SYSCALL is not set)"),
        _ => Error::new(format!("cannot create the map `{name}`: {errno}")),
    }
}

/// Puts map descriptors and subprogram distances into the code.
fn relocate_names(elf: &mut aya_obj::Object, maps: &BTreeMap<String, Map>) -> Result<()> {
    let broken = |error: aya_obj::relocation::EbpfRelocationError| {
        Error::new(format!("the object's code refers to what it does not have: {}", chain(&error)))
    };
    let sections: HashSet<usize> = elf.functions.keys().map(|(section, _)| *section).collect();
    let definitions = std::mem::take(&mut elf.maps);
    let named = definitions
        .iter()
        .filter_map(|(name, definition)| Some((name.as_str(), maps.get(name)?.fd.as_raw_fd(), definition)));
    elf.relocate_maps(named, &sections).map_err(broken)?;
    elf.relocate_calls(&sections).map_err(broken)
}

/// A program ready to be loaded.
struct Prepared<'a> {
    manifest: &'a Manifest,
    program: usize,
    kind: u32,
    attach_type: u32,
    code: Vec<u64>,
    license: CString,
    functions: Vec<u8>,
    lines: Vec<u8>,
    btf: Option<&'a OwnedFd>,
}

fn load_programs(elf: &mut aya_obj::Object, manifest: &Manifest, kernel: &Kernel) -> Result<Vec<Program>> {
    let btf = load_btf(elf);
    let mut programs = Vec::with_capacity(manifest.programs.len());
    for (idx, entry) in manifest.programs.iter().enumerate() {
        let missing = || Error::new(format!("the object has no program `{}`", entry.symbol));
        let program = elf.programs.get(&entry.symbol).ok_or_else(missing)?;
        let function = elf.functions.get(&program.function_key()).ok_or_else(missing)?;
        let method = attach::method(entry, kernel);
        let (kind, attach_type) = program_kind(&program.section, method)?;
        let prepared = Prepared {
            manifest,
            program: idx,
            kind,
            attach_type,
            code: function.instructions.iter().map(encode).collect(),
            license: program.license.clone(),
            functions: function.func_info.func_info_bytes(),
            lines: function.line_info.line_info_bytes(),
            btf: btf.as_ref(),
        };
        programs.push(Program { method, code: prepared.load_code(method, &entry.points, kernel)? });
    }
    Ok(programs)
}

/// Loads the object's own types, as link wrote them; a kernel too old for some kind gets older
/// stand-ins, or goes without: only callbacks, `bpftool` and the verifier's log miss them then.
fn load_btf(elf: &mut aya_obj::Object) -> Option<OwnedFd> {
    let written = elf.btf.as_ref()?.to_bytes();
    bpf::btf_load(&written).ok().or_else(|| {
        let only_structs = BtfFeatures::new(true, true, true, false, false, false, false, false);
        let bytes = elf.fixup_and_sanitize_btf(&only_structs).ok()??.to_bytes();
        bpf::btf_load(&bytes).ok()
    })
}

/// Program and attach type of an ELF section.
fn program_kind(section: &ProgramSection, method: Method) -> Result<(u32, u32)> {
    Ok(match (section, method) {
        (ProgramSection::KProbe | ProgramSection::KRetProbe, Method::KprobeMulti) => {
            (program_type::KPROBE, attach_type::TRACE_KPROBE_MULTI)
        }
        (ProgramSection::UProbe { .. } | ProgramSection::URetProbe { .. }, Method::UprobeMulti) => {
            (program_type::KPROBE, attach_type::TRACE_UPROBE_MULTI)
        }
        (
            ProgramSection::KProbe
            | ProgramSection::KRetProbe
            | ProgramSection::UProbe { .. }
            | ProgramSection::URetProbe { .. },
            _,
        ) => (program_type::KPROBE, 0),
        (ProgramSection::TracePoint, _) => (program_type::TRACEPOINT, 0),
        // To our code the arguments are numbers either way, and the untyped kind needs no kernel types.
        (ProgramSection::RawTracePoint | ProgramSection::BtfTracePoint, _) => {
            (program_type::RAW_TRACEPOINT, 0)
        }
        (ProgramSection::PerfEvent, _) => (program_type::PERF_EVENT, 0),
        (ProgramSection::Xdp { .. }, _) => (program_type::XDP, attach_type::XDP),
        (ProgramSection::FEntry { .. }, _) => (program_type::TRACING, attach_type::TRACE_FENTRY),
        (ProgramSection::FExit { .. }, _) => (program_type::TRACING, attach_type::TRACE_FEXIT),
        (other, _) => {
            return Err(Error::new(format!("programs of the kind {other:?} are not supported yet")));
        }
    })
}

/// An instruction in the kernel's encoding.
fn encode(insn: &bpf_insn) -> u64 {
    let registers = u64::from(insn.dst_reg() | insn.src_reg() << 4);
    let (off, imm) = (u64::from(insn.off as u16), u64::from(insn.imm as u32));
    u64::from(insn.code) | registers << 8 | off << 16 | imm << 32
}

impl Prepared<'_> {
    fn load_code(&self, method: Method, points: &[Point], kernel: &Kernel) -> Result<Code> {
        if method != Method::Trampoline {
            return Ok(Code::Shared(self.load(None)?));
        }
        let mut each = Vec::with_capacity(points.len());
        for point in points {
            // A place that this kernel lacks is for the configuration to judge when attaching, a
            // refused program is not.
            match trampoline::target(point, kernel).and_then(|target| self.load(Some(&target))) {
                Err(error) if error.refusal.is_some() => return Err(error),
                res => each.push((point.clone(), res)),
            }
        }
        Ok(Code::ForEach(each))
    }

    fn load(&self, target: Option<&trampoline::Target>) -> Result<OwnedFd> {
        let spec = ProgramSpec {
            name: &self.manifest.programs[self.program].symbol,
            kind: self.kind,
            attach_type: self.attach_type,
            attach_btf_id: target.map_or(0, |it| it.id),
            attach_btf: target.and_then(|it| it.module.as_ref()).map(|it| it.as_fd()),
            code: &self.code,
            license: &self.license,
            debug: DebugInfo {
                btf: self.btf.map(|it| it.as_fd()),
                functions: if self.btf.is_some() { &self.functions } else { &[] },
                lines: if self.btf.is_some() { &self.lines } else { &[] },
            },
        };
        match bpf::program_load(&spec, 0, &mut []) {
            Ok(fd) => Ok(fd),
            Err(errno) => load_again_with_log(&spec, self.manifest.config.log_size)
                .map_err(|log| self.refused(errno, log)),
        }
    }

    fn refused(&self, errno: Errno, log: String) -> Error {
        let program = &self.manifest.programs[self.program];
        let name = program.points.first().map_or_else(|| program.symbol.clone(), Point::name);
        if errno.code == libc::EPERM && !privileges::is_privileged() {
            return privileges::missing();
        }
        match errno.code {
            _ if !log.trim().is_empty() => verifier::refused(self.manifest, self.program, log),
            libc::EPERM if self.kind == program_type::TRACING => trampoline::not_allowed(&name),
            libc::EPERM if self.kind == program_type::XDP => {
                Error::new(format!("the kernel does not allow to load `{name}` ({errno})"))
                    .hint("packets need CAP_NET_ADMIN as well")
            }
            libc::EPERM => Error::new(format!("the kernel does not allow to load `{name}` ({errno})")),
            libc::ENOMEM => Error::new(format!("not enough memory to load `{name}`")),
            libc::E2BIG => Error::new(format!(
                "`{name}` has {} instructions, more than this kernel takes",
                self.code.len()
            )),
            _ => Error::new(format!("the kernel cannot load `{name}`: {errno}")),
        }
    }
}

/// Submits a refused program once more to hear why. The first time no log is asked for, because
/// writing one takes longer than the verification. Of a log that is longer than `most` bytes the
/// last so many are kept, where the reason stands.
fn load_again_with_log(spec: &ProgramSpec<'_>, most: u32) -> std::result::Result<OwnedFd, String> {
    const LEVEL: u32 = 1;
    const FIRST: usize = 64 << 10;
    let most = most as usize;
    let mut log = vec![0; FIRST.min(most)];
    loop {
        match bpf::program_load(spec, LEVEL, &mut log) {
            Ok(fd) => return Ok(fd),
            Err(Errno { code: libc::ENOSPC, .. }) if log.len() < most => {
                let len = (log.len() * 8).min(most);
                log = vec![0; len];
            }
            Err(_) => {
                let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
                return Err(String::from_utf8_lossy(&log[..end]).into_owned());
            }
        }
    }
}

fn map_bss(maps: &BTreeMap<String, Map>) -> Result<Option<Mapping>> {
    let Some(map) = maps.get(".bss") else { return Ok(None) };
    let len = (map.value_size as usize).next_multiple_of(sys::page_size());
    let mapping = Mapping::new(map.fd.as_fd(), 0, len, true);
    mapping.map(Some).map_err(|errno| Error::new(format!("cannot map the script's variables: {errno}")))
}

fn map_ring(maps: &BTreeMap<String, Map>, manifest: &Manifest) -> Result<Option<Ring>> {
    let Some(name) = &manifest.globals.ring else { return Ok(None) };
    let map = maps.get(name).ok_or_else(|| Error::new(format!("the object has no ring buffer `{name}`")))?;
    let ring = Ring::map(map.fd.as_fd(), map.max_entries);
    ring.map(Some).map_err(|errno| Error::new(format!("cannot map the ring buffer: {errno}")))
}
