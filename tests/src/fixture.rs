//! The fixture mini-kernel: a fixed set of types, functions, tracepoints and interfaces that
//! tests compile against, so that no snapshot depends on the machine.

mod formats;

use lang::attach::{Location, Point, Target, XdpMode};
use lang::host::{FunctionTy, Host, Imported, ImportedFile, Matches, TypeKind};
use lang::probes::ProbeKind;
use lang::ty::{BitField, EnumDef, Field, IntTy, Origin, Space, StructDef, StructId, Ty, TypeTable};

/// Answers as the mini-kernel.
pub struct FixtureHost;

/// A struct of the mini-kernel: name, size, whether it is a union, members.
struct Layout(&'static str, u32, bool, &'static [Member]);

/// Name, type, offset, and for bit-fields shift and width.
struct Member(&'static str, T, u32, Option<(u8, u8)>);

/// Types in a table's shape.
#[derive(Clone, Copy)]
enum T {
    Int(u8, bool),
    Chars(u32),
    Struct(&'static str),
    Pointer(&'static str),
    Text,
    Longs(u32),
    Enum(&'static str),
}

const STRUCTS: &[Layout] = &[
    Layout(
        "task_struct",
        128,
        false,
        &[
            Member("pid", T::Int(4, true), 8, None),
            Member("tgid", T::Int(4, true), 12, None),
            Member("comm", T::Chars(16), 16, None),
            Member("real_parent", T::Pointer("task_struct"), 32, None),
            Member("group_leader", T::Pointer("task_struct"), 40, None),
            Member("start_time", T::Int(8, false), 48, None),
            Member("in_execve", T::Int(4, false), 56, Some((0, 1))),
            Member("sched_class", T::Int(4, false), 56, Some((3, 5))),
            Member("policy", T::Int(2, false), 60, None),
            Member("state", T::Enum("task_state"), 64, None),
            Member("loads", T::Longs(3), 72, None),
        ],
    ),
    Layout(
        "path",
        16,
        false,
        &[Member("mnt", T::Int(8, false), 0, None), Member("dentry", T::Pointer("dentry"), 8, None)],
    ),
    Layout("dentry", 64, false, &[Member("d_name", T::Struct("qstr"), 32, None)]),
    Layout(
        "qstr",
        16,
        false,
        &[Member("", T::Struct("qstr_hash"), 0, None), Member("name", T::Text, 8, None)],
    ),
    Layout(
        "qstr_hash",
        8,
        true,
        &[Member("", T::Struct("qstr_parts"), 0, None), Member("hash_len", T::Int(8, false), 0, None)],
    ),
    Layout(
        "qstr_parts",
        8,
        false,
        &[Member("hash", T::Int(4, false), 0, None), Member("len", T::Int(4, false), 4, None)],
    ),
    Layout(
        "file",
        96,
        false,
        &[
            Member("f_path", T::Struct("path"), 16, None),
            Member("f_flags", T::Int(4, false), 40, None),
            Member("f_pos", T::Int(8, true), 48, None),
        ],
    ),
    Layout("sock", 64, false, &[Member("sk_protocol", T::Int(2, false), 40, None)]),
];

const ENUMS: &[(&str, &[(&str, i64)])] =
    &[("task_state", &[("TASK_RUNNING", 0), ("TASK_SLEEPING", 1), ("TASK_STOPPED", 4)])];

/// Name, parameters, result, address.
struct Function(&'static str, &'static [(&'static str, T)], T, u64);

const FUNCTIONS: &[Function] = &[
    Function(
        "vfs_read",
        &[("file", T::Pointer("file")), ("buf", T::Text), ("count", T::Int(8, false)), ("pos", T::Text)],
        T::Int(8, true),
        0xffff_ffff_8110_0000,
    ),
    Function(
        "vfs_write",
        &[("file", T::Pointer("file")), ("buf", T::Text), ("count", T::Int(8, false)), ("pos", T::Text)],
        T::Int(8, true),
        0xffff_ffff_8110_1000,
    ),
    Function(
        "vfs_open",
        &[("path", T::Pointer("path")), ("file", T::Pointer("file"))],
        T::Int(4, true),
        0xffff_ffff_8110_2000,
    ),
    Function("security_file_open", &[("file", T::Pointer("file"))], T::Int(4, true), 0xffff_ffff_8110_3000),
    Function("tcp_connect", &[("sk", T::Pointer("sock"))], T::Int(4, true), 0xffff_ffff_8110_4000),
];

const RAW_TRACEPOINTS: &[(&str, &[(&str, T)])] = &[
    (
        "sched_switch",
        &[
            ("preempt", T::Int(1, false)),
            ("prev", T::Pointer("task_struct")),
            ("next", T::Pointer("task_struct")),
            ("prev_state", T::Int(4, false)),
        ],
    ),
    ("sys_enter", &[("regs", T::Text), ("id", T::Int(8, true))]),
];

/// Where the kernel says how far each processor's variables are from their symbols.
pub const PER_CPU_OFFSETS: u64 = 0xffff_ffff_8220_0000;

/// Headers that lie beside every case.
const HEADERS: &[(&str, &str)] = &[(
    "request.h",
    "#pragma once\n#define REQUEST_MAGIC 0x52455153\n#define REQUEST_NAME \"request\"\n\
     struct request_header {\n\tunsigned int magic;\n\tunsigned short length;\n};\n\
     static inline int is_request(const struct request_header *header)\n\
     {\n\treturn header->magic == REQUEST_MAGIC;\n}\n",
)];

/// Files that every case may import, in folders that lie beside it.
const IMPORTS: &[(&str, &str)] = &[
    ("conf/settings.bt", "config = { max_strlen = 9; }\nmacro nine() { 9 }\n"),
    ("lib/first.bt", "import \"second.bt\";\nmacro twice(x) { x * two }\nbegin { printf(\"first\\n\"); }\n"),
    ("lib/point.h", "#pragma once\n#define ORIGIN 7\nstruct point {\n\tint x;\n\tshort y;\n};\n"),
    ("lib/second.bt", "import \"first.bt\";\nmacro two() { 2 }\nbegin { printf(\"second\\n\"); }\n"),
    ("odd/notes.txt", "nothing\n"),
    ("odd/program.bpf.c", "int x;\n"),
    ("wrong/missing.bt", "macro sum(x) {\n  x + $missing\n}\n"),
    ("wrong/syntax.bt", "macro one() { 1 }\nbegin { print(1\n}\n"),
];

const INTERFACES: &[&str] = &["veth0", "veth1"];

/// The address of a function of the mini-kernel.
pub fn function_address(name: &str) -> Option<u64> {
    FUNCTIONS.iter().find(|it| it.0 == name).map(|it| it.3)
}

/// The function of the mini-kernel that holds an address (each has 4 KiB).
pub fn function_at(address: u64) -> Option<(&'static str, u64)> {
    FUNCTIONS.iter().find(|it| (it.3..it.3 + 0x1000).contains(&address)).map(|it| (it.0, address - it.3))
}

/// The format files of all tracepoints: category, event, text.
pub fn formats() -> &'static [(&'static str, &'static str, &'static str)] {
    formats::FORMATS
}

fn ty(shape: T, types: &mut TypeTable) -> Ty {
    match shape {
        T::Int(size, signed) => Ty::Int(IntTy::new(size, signed)),
        T::Chars(n) => Ty::Array(Box::new(Ty::I8), n),
        T::Longs(n) => Ty::Array(Box::new(Ty::U64), n),
        T::Text => Ty::Ptr(Box::new(Ty::I8), Space::Kernel),
        T::Struct(name) => struct_ty(name, types).expect("the table names only its own structs"),
        T::Enum(name) => enum_ty(name, types).expect("the table names only its own enums"),
        T::Pointer(name) => {
            let to = struct_ty(name, types).expect("the table names only its own structs");
            Ty::Ptr(Box::new(to), Space::Kernel)
        }
    }
}

fn struct_ty(name: &str, types: &mut TypeTable) -> Option<Ty> {
    let index = STRUCTS.iter().position(|it| it.0 == name)?;
    let Layout(name, size, union, _) = &STRUCTS[index];
    let origin = Origin::Btf { module: "vmlinux".to_owned(), id: index as u32 + 1 };
    if let Some(known) = types.structs.iter().position(|it| it.origin == origin) {
        return Some(Ty::Struct(StructId(known as u32)));
    }
    // The unions and structs inside `qstr` have no tag in the real kernel either.
    let tag = if name.starts_with("qstr_") { "" } else { name };
    let def = StructDef { name: tag.to_owned(), union: *union, size: *size, origin, fields: None };
    Some(Ty::Struct(types.add_struct(def)))
}

fn enum_ty(name: &str, types: &mut TypeTable) -> Option<Ty> {
    let (name, variants) = ENUMS.iter().find(|it| it.0 == name)?;
    if let Some(known) = types.enums.iter().position(|it| it.name == *name) {
        return Some(Ty::Enum(lang::ty::EnumId(known as u32)));
    }
    let variants = variants.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    let def = EnumDef { name: (*name).to_owned(), int: IntTy::new(4, false), variants };
    Some(Ty::Enum(types.add_enum(def)))
}

fn parameters(list: &[(&str, T)], types: &mut TypeTable) -> Vec<(String, Ty)> {
    list.iter().map(|(name, shape)| ((*name).to_owned(), ty(*shape, types))).collect()
}

/// Every target of `point`'s kind.
fn all(point: &Point) -> Vec<Target> {
    let function = |name: &str, module: &Option<String>, offset: u64| Target::Function {
        module: module.clone(),
        name: name.to_owned(),
        offset,
    };
    match (point.kind, &point.target) {
        (ProbeKind::RawTracepoint, Target::Function { module, offset, .. }) => {
            RAW_TRACEPOINTS.iter().map(|it| function(it.0, module, *offset)).collect()
        }
        (_, Target::Function { module, offset, .. }) => {
            FUNCTIONS.iter().map(|it| function(it.0, module, *offset)).collect()
        }
        (_, Target::Tracepoint { .. }) => formats()
            .iter()
            .map(|it| Target::Tracepoint { category: it.0.to_owned(), event: it.1.to_owned() })
            .collect(),
        (_, Target::Interface { mode, .. }) => INTERFACES.iter().map(|it| interface(it, *mode)).collect(),
        (_, Target::Usdt { path, .. }) => STATIC_PROBES.iter().map(|it| static_probe(path, it)).collect(),
        (_, target) => vec![target.clone()],
    }
}

/// Static probes of every program: name, offset in the file, arguments. They are in the registers
/// and the memory in which functions have theirs.
const STATIC_PROBES: &[(&str, u64, &str)] = &[
    ("request", 0x1000, "-4@%edi 8@%rsi 2@8(%rsp) 8@$77"),
    ("reply", 0x2000, "1@%dil"),
    ("reply", 0x3000, "-1@%dil"),
];

fn static_probe(path: &str, (name, offset, arguments): &(&str, u64, &str)) -> Target {
    let location = Location { offset: *offset, semaphore: 0, arguments: (*arguments).to_owned() };
    Target::Usdt {
        path: path.to_owned(),
        provider: "demo".to_owned(),
        name: (*name).to_owned(),
        location: Some(location),
    }
}

fn interface(name: &str, mode: XdpMode) -> Target {
    Target::Interface { name: name.to_owned(), mode }
}

fn imported(name: &str, text: &str) -> ImportedFile {
    ImportedFile { name: name.to_owned(), identity: name.to_owned(), text: text.to_owned() }
}

impl Host for FixtureHost {
    fn matches(&self, point: &Point) -> Matches {
        let wanted = point.name();
        let points = all(point)
            .into_iter()
            .map(|target| Point { kind: point.kind, target })
            .filter(|it| lang::attach::glob(&wanted, &it.name()))
            .collect();
        Matches::Points(points)
    }

    fn similar(&self, point: &Point) -> Vec<String> {
        all(point).into_iter().map(|target| Point { kind: point.kind, target }.name()).collect()
    }

    fn tracepoint_format(&self, category: &str, event: &str) -> Option<String> {
        formats().iter().find(|it| it.0 == category && it.1 == event).map(|it| it.2.to_owned())
    }

    fn include(&self, path: &str) -> Option<String> {
        HEADERS.iter().find(|it| it.0 == path).map(|it| it.1.to_owned())
    }

    fn import(&self, path: &str, from: &str) -> Imported {
        let folder = from.rsplit_once('/').map_or(String::new(), |it| format!("{}/", it.0));
        let tried = [format!("{folder}{path}"), path.to_owned()];
        for place in &tried {
            let below = format!("{place}/");
            let found = IMPORTS.iter().filter(|it| it.0 == place || it.0.starts_with(&below));
            let files: Vec<_> = found.map(|it| imported(it.0, it.1)).collect();
            if !files.is_empty() {
                return Imported::Files(files);
            }
        }
        match path {
            "open.bt" => Imported::Refused("anyone may write it".to_owned()),
            _ => Imported::Missing(tried[..if folder.is_empty() { 1 } else { 2 }].to_vec()),
        }
    }

    fn has_btf(&self) -> bool {
        true
    }

    fn kernel_type(&self, kind: TypeKind, name: &str, types: &mut TypeTable) -> Option<Ty> {
        match (kind, name) {
            (TypeKind::Struct, name) => struct_ty(name, types).filter(|_| !name.starts_with("qstr_")),
            (TypeKind::Enum, name) => enum_ty(name, types),
            (TypeKind::Typedef, "pid_t") => Some(Ty::I32),
            (TypeKind::Typedef, "size_t") => Some(Ty::U64),
            (TypeKind::Typedef | TypeKind::Union, _) => None,
        }
    }

    fn complete(&self, id: StructId, types: &mut TypeTable) {
        let Origin::Btf { id: index, .. } = types.struct_def(id).origin else { return };
        let Layout(_, _, _, members) = &STRUCTS[index as usize - 1];
        let fields = members
            .iter()
            .map(|Member(name, shape, offset, bits)| Field {
                name: (*name).to_owned(),
                ty: ty(*shape, types),
                offset: *offset,
                bits: bits.map(|(shift, width)| BitField { shift, width }),
                data_loc: false,
            })
            .collect();
        types.structs[id.0 as usize].fields = Some(fields);
    }

    fn function(&self, kind: ProbeKind, name: &str, types: &mut TypeTable) -> Option<FunctionTy> {
        let module = "vmlinux".to_owned();
        if kind == ProbeKind::RawTracepoint {
            let (_, params) = RAW_TRACEPOINTS.iter().find(|it| it.0 == name)?;
            return Some(FunctionTy { params: parameters(params, types), result: Ty::Void, module });
        }
        let Function(_, params, result, _) = FUNCTIONS.iter().find(|it| it.0 == name)?;
        Some(FunctionTy { params: parameters(params, types), result: ty(*result, types), module })
    }

    fn enumerator(&self, name: &str, types: &mut TypeTable) -> Option<(Ty, i64)> {
        let (tag, variants) = ENUMS.iter().find(|it| it.1.iter().any(|variant| variant.0 == name))?;
        let value = variants.iter().find(|it| it.0 == name)?.1;
        Some((enum_ty(tag, types)?, value))
    }

    fn cgroup_id(&self, path: &str) -> Option<u64> {
        (path == "/sys/fs/cgroup/case").then_some(42)
    }

    fn program_symbol(&self, path: &str, name: &str) -> Option<(u64, u64)> {
        (path == "/bin/case" && name == "counter").then_some((0x40_4000, 4))
    }

    fn kernel_symbol(&self, name: &str) -> Option<u64> {
        let variables = [("__per_cpu_offset", PER_CPU_OFFSETS), ("runqueues", 0x1000)];
        let variable = variables.into_iter().find(|it| it.0 == name).map(|it| it.1);
        variable.or_else(|| function_address(name))
    }

    fn kernel_version(&self) -> Option<(u32, u32, u32)> {
        Some((6, 12, 5))
    }
}
