//! Answers the front end's questions from BTF, tracefs and symbol tables.
//!
//! Nothing is read before it is needed, and each source once at most: a script that names no type
//! pays for none.

mod inferred;
mod matching;
mod similar;

use super::btf::decode::Decoder;
use super::btf::kernel::KernelTypes;
use super::btf::record::{Kind, Record};
use super::btf::{Btf, Namespace};
use super::functions::{self, Functions};
use super::import;
use super::kallsyms::Kallsyms;
use super::tracefs::Tracefs;
use crate::backend::{Error, Result};
use lang::attach::Point;
use lang::host::{FunctionTy, Host, Imported, Matches, TypeKind};
use lang::probes::ProbeKind;
use lang::ty::{Origin, StructId, Ty, TypeTable};
use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A file of BTF and an id in it.
pub type Found = (Rc<Btf>, u32);

/// The running kernel, as the front end may ask it.
#[derive(Debug, Default)]
pub struct LinuxHost {
    types: OnceCell<Option<KernelTypes>>,
    tracefs: OnceCell<Result<Tracefs>>,
    functions: OnceCell<io::Result<Functions>>,
    symbols: OnceCell<Option<Kallsyms>>,
    kprobes: OnceCell<bool>,
    barred: OnceCell<HashSet<String>>,
    /// Functions found through a wildcard: a look-up by name takes a third of a millisecond, and
    /// after a wildcard many follow.
    known_functions: RefCell<HashMap<String, (Rc<Btf>, u32)>>,
    /// Where headers lie.
    folders: Vec<PathBuf>,
    /// Whether scripts are only checked: see [`LinuxHost::for_checking`].
    checking: bool,
}

impl LinuxHost {
    /// The running kernel. Reads nothing yet.
    pub fn new() -> LinuxHost {
        LinuxHost::default()
    }

    /// The running kernel, as far as it can be seen without root, for scripts that will not run
    /// here and now. Formats of tracepoints that may not be read come from the kernel's types, and
    /// what cannot be found out is [`Matches::Unavailable`]: to be used with
    /// [`lang::sema::Options::assume`].
    pub fn for_checking() -> LinuxHost {
        LinuxHost { checking: true, ..LinuxHost::default() }
    }

    /// The same with folders in which headers are looked for, in this order.
    pub fn with_folders(self, folders: Vec<PathBuf>) -> LinuxHost {
        LinuxHost { folders, ..self }
    }

    /// The kernel's types, if it describes them.
    pub fn types(&self) -> Option<&KernelTypes> {
        self.types.get_or_init(|| KernelTypes::open().ok()).as_ref()
    }

    /// The tracing file system, or why it cannot be reached.
    pub fn tracefs(&self) -> std::result::Result<&Tracefs, &Error> {
        self.tracefs.get_or_init(Tracefs::open).as_ref()
    }

    /// Whether this kernel has kprobes at all.
    pub fn has_kprobes(&self) -> bool {
        *self.kprobes.get_or_init(|| Path::new("/sys/bus/event_source/devices/kprobe").exists())
    }

    /// Functions that the kernel bars from kprobes, as far as it says.
    fn barred(&self) -> &HashSet<String> {
        self.barred.get_or_init(functions::barred)
    }

    /// The functions that wildcards may mean.
    fn functions(&self) -> std::result::Result<&Functions, &io::Error> {
        self.functions.get_or_init(|| Functions::read(self.tracefs().ok())).as_ref()
    }

    fn symbols(&self) -> Option<&Kallsyms> {
        self.symbols.get_or_init(|| Kallsyms::read().ok()).as_ref()
    }

    /// A function's BTF, in the given module or the first that has it; nothing without BTF.
    pub fn find_function(&self, module: Option<&str>, name: &str) -> Option<Found> {
        let known = self.known_functions.borrow().get(name).cloned();
        if let Some(known) = known.filter(|(btf, _)| module.is_none_or(|it| it == btf.module())) {
            return Some(known);
        }
        let Some(module) = module else { return self.types()?.find(Namespace::Function, name) };
        let btf = self.types()?.module(module)?;
        let id = btf.find(Namespace::Function, name)?;
        Some((btf, id))
    }

    /// The prototype of a raw tracepoint, whose first parameter is the kernel's own. The typedef
    /// that marks the tracepoint has no names for the parameters; the functions made for it do.
    pub fn find_raw_tracepoint(&self, name: &str) -> Option<Found> {
        let (btf, id) = self.types()?.find(Namespace::Typedef, &format!("btf_trace_{name}"))?;
        for prefix in ["__bpf_trace_", "__probestub_", "__traceiter_"] {
            let function = btf.find(Namespace::Function, &format!("{prefix}{name}"));
            if let Some(prototype) = function.and_then(|it| btf.record(it)).map(|it| it.target()) {
                return Some((btf, prototype));
            }
        }
        let (pointer, _) = btf.resolve(id)?;
        let prototype = pointer.target();
        Some((btf, prototype))
    }

    fn decode(&self, found: &Found, types: &mut TypeTable) -> Ty {
        Decoder::new(&found.0, types).ty(found.1)
    }
}

impl Host for LinuxHost {
    fn matches(&self, point: &Point) -> Matches {
        matching::matches(self, point)
    }

    fn similar(&self, point: &Point) -> Vec<String> {
        similar::similar(self, point)
    }

    fn tracepoint_format(&self, category: &str, event: &str) -> Option<String> {
        match self.tracefs() {
            Ok(tracefs) => tracefs.format(category, event).ok(),
            Err(_) if self.checking => inferred::format(self.types()?, category, event),
            Err(_) => None,
        }
    }

    fn include(&self, path: &str) -> Option<String> {
        let folders = self.folders.iter().map(|it| it.join(path));
        folders.filter(|it| it.is_file()).find_map(|it| std::fs::read_to_string(it).ok())
    }

    fn import(&self, path: &str, from: &str) -> Imported {
        import::import(path, from, &self.folders)
    }

    fn has_btf(&self) -> bool {
        KernelTypes::available()
    }

    fn kernel_type(&self, kind: TypeKind, name: &str, types: &mut TypeTable) -> Option<Ty> {
        let space = match kind {
            TypeKind::Struct => Namespace::Struct,
            TypeKind::Union => Namespace::Union,
            TypeKind::Enum => Namespace::Enum,
            TypeKind::Typedef => Namespace::Typedef,
        };
        let found = self.types()?.find(space, name)?;
        Some(self.decode(&found, types))
    }

    fn complete(&self, id: StructId, types: &mut TypeTable) {
        let def = types.struct_def(id);
        let (None, Origin::Btf { module, id: record }) = (&def.fields, &def.origin) else { return };
        let btf = self.types().and_then(|it| it.module(module));
        let record = btf.as_ref().and_then(|it| it.record(*record));
        let fields = match (&btf, record) {
            (Some(btf), Some(record)) => Decoder::new(btf, types).members(&record),
            _ => Vec::new(),
        };
        types.structs[id.0 as usize].fields = Some(fields);
    }

    fn function(&self, kind: ProbeKind, name: &str, types: &mut TypeTable) -> Option<FunctionTy> {
        let (module, name) = name.split_once(':').map_or((None, name), |(module, name)| (Some(module), name));
        let (btf, id) = match kind {
            ProbeKind::RawTracepoint => self.find_raw_tracepoint(name)?,
            _ => {
                let (btf, id) = self.find_function(module, name)?;
                let prototype = btf.record(id)?.target();
                (btf, prototype)
            }
        };
        let prototype = btf.record(id).filter(|it: &Record| it.kind() == Kind::Prototype)?;
        let (mut params, result) = Decoder::new(&btf, types).prototype(&prototype);
        if kind == ProbeKind::RawTracepoint && !params.is_empty() {
            params.remove(0);
        }
        Some(FunctionTy { params, result, module: btf.module().to_owned() })
    }

    fn enumerator(&self, name: &str, types: &mut TypeTable) -> Option<(Ty, i64)> {
        let (btf, id, value) = self.types()?.enumerator(name)?;
        Some((self.decode(&(btf, id), types), value))
    }

    fn kernel_symbol(&self, name: &str) -> Option<u64> {
        self.symbols()?.address(name)
    }

    fn kernel_version(&self) -> Option<(u32, u32, u32)> {
        super::target::full_version(&super::sys::kernel_identity())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::linux::btf::synthetic::Encoder;
    use crate::linux::tracefs::tests::Fixture;
    use lang::attach::Target;

    /// A small kernel: two events of `sched`, two functions, a module's, one raw tracepoint.
    pub(crate) fn fixture(name: &str) -> (LinuxHost, Fixture) {
        let directory = Fixture::new(&format!("host-{}", name.replace(['/', '*', ':', ' '], "_")));
        let format = "name: sched_switch\nformat:\n\tfield:int common_pid;\toffset:4;\n\n\
            \tfield:char prev_comm[16];\toffset:8;\n\tfield:int *prev_pid;\toffset:24;\n";
        std::fs::write(directory.0.join("events/sched/sched_switch/format"), format).unwrap();
        let host = LinuxHost {
            types: OnceCell::from(Some(KernelTypes::new(Rc::new(types()), &directory.0))),
            tracefs: OnceCell::from(Tracefs::at(&directory.0).map_err(|it| Error::new(it.to_string()))),
            functions: OnceCell::from(Ok(Functions::from_list(
                "vfs_read\nvfs_open\nveth_open [veth]\nvfs_read\n",
            ))),
            symbols: OnceCell::from(Some(Kallsyms::from_text(
                "ffff0000 T jiffies_64\nffff0010 t no_btf\n".to_owned(),
            ))),
            kprobes: OnceCell::from(true),
            barred: OnceCell::from(HashSet::from(["vfs_open".to_owned()])),
            known_functions: RefCell::default(),
            folders: Vec::new(),
            checking: false,
        };
        (host, directory)
    }

    fn types() -> Btf {
        let mut btf = Encoder::new();
        let int = btf.int("int", 4, 1);
        let file = btf.structure("file", 4, &[("f_mode", int, 0)]);
        let file = btf.wrap(Kind::Pointer, file);
        let read = btf.prototype(int, &[("file", file), ("count", int)]);
        btf.function("vfs_read", read);
        let open = btf.prototype(0, &[("file", file), ("", 0)]);
        btf.function("vfs_open", open);
        btf.function("not_traceable", open);
        let anything = btf.wrap(Kind::Pointer, 0);
        let unnamed = btf.prototype(0, &[("", anything), ("", int)]);
        let unnamed = btf.wrap(Kind::Pointer, unnamed);
        btf.typedef("btf_trace_sched_switch", unnamed);
        let named = btf.prototype(0, &[("__data", anything), ("preempt", int)]);
        btf.function("__bpf_trace_sched_switch", named);
        btf.finish("vmlinux", None)
    }

    fn kprobe(name: &str, offset: u64) -> Point {
        let target = Target::Function { module: None, name: name.to_owned(), offset };
        Point { kind: ProbeKind::Kprobe, target }
    }

    #[test]
    fn matches_keep_the_offset() {
        let (host, _directory) = fixture("offset");
        for name in ["vfs_read", "no_btf"] {
            assert_eq!(host.matches(&kprobe(name, 4)), Matches::Points(vec![kprobe(name, 4)]));
        }
        assert_eq!(host.matches(&kprobe("vfs_raed", 0)), Matches::Points(vec![]));
        assert!(matches!(host.matches(&kprobe("vfs_open", 0)), Matches::Unavailable(_)));
        assert_eq!(host.matches(&kprobe("vfs_*", 0)), Matches::Points(vec![kprobe("vfs_read", 0)]));
        assert_eq!(host.similar(&kprobe("vfs_raed", 0)), ["kprobe:vfs_open", "kprobe:vfs_read"]);
    }

    #[test]
    fn absent_features_are_named() {
        let (host, _directory) = fixture("absent");
        let host = LinuxHost {
            types: OnceCell::from(None),
            tracefs: OnceCell::from(Err(Error::new("no tracefs").hint("mount it"))),
            kprobes: OnceCell::from(false),
            ..host
        };
        let function = |kind| Point { kind, ..kprobe("no_btf", 0) };
        let event = Target::Tracepoint { category: "sched".to_owned(), event: "*".to_owned() };
        for (point, expected) in [
            (function(ProbeKind::Kprobe), "CONFIG_KPROBES"),
            (function(ProbeKind::Fentry), "CONFIG_DEBUG_INFO_BTF"),
            (function(ProbeKind::RawTracepoint), "no tracefs; mount it"),
            (Point { kind: ProbeKind::Tracepoint, target: event }, "no tracefs; mount it"),
        ] {
            let Matches::Unavailable(reason) = host.matches(&point) else { panic!("{point:?}") };
            assert!(reason.contains(expected), "{reason}");
        }
    }

    #[test]
    fn a_check_tells_what_it_can() {
        let (host, _directory) = fixture("check");
        let host = LinuxHost {
            tracefs: OnceCell::from(Err(Error::new("no tracefs"))),
            kprobes: OnceCell::from(false),
            checking: true,
            ..host
        };
        let event = |event: &str| Point {
            kind: ProbeKind::Tracepoint,
            target: Target::Tracepoint { category: "sched".to_owned(), event: event.to_owned() },
        };
        for (point, expected) in [
            (kprobe("vfs_raed", 0), None),
            (kprobe("vfs_read", 0), Some("CONFIG_KPROBES")),
            (event("sched_swich"), None),
            (event("sched_switch"), Some("no tracefs")),
            (event("sched_*"), Some("no tracefs")),
        ] {
            match (host.matches(&point), expected) {
                (Matches::Points(points), None) => assert_eq!(points, [], "{point:?}"),
                (Matches::Unavailable(reason), Some(part)) => assert!(reason.contains(part), "{reason}"),
                (found, _) => panic!("{point:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn decodes_for_the_front_end() {
        let (host, _directory) = fixture("decode");
        let mut types = TypeTable::default();
        let Some(Ty::Struct(file)) = host.kernel_type(TypeKind::Struct, "file", &mut types) else { panic!() };
        assert_eq!(types.struct_def(file).fields, None);
        host.complete(file, &mut types);
        assert_eq!(types.struct_def(file).fields.as_ref().unwrap()[0].name, "f_mode");
        let raw = host.function(ProbeKind::RawTracepoint, "sched_switch", &mut types).unwrap();
        assert_eq!(raw.params, [("preempt".to_owned(), Ty::I32)]);
        let read = host.function(ProbeKind::Fexit, "vmlinux:vfs_read", &mut types).unwrap();
        assert_eq!((read.params.len(), read.result, read.module.as_str()), (2, Ty::I32, "vmlinux"));
        assert_eq!(host.kernel_symbol("jiffies_64"), Some(0xffff_0000));
        assert_eq!(host.tracepoint_format("sched", "nope"), None);
    }
}
