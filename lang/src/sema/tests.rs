//! Scripts against a small kernel: what comes out as a typed program, and what is reported.

use super::{Allow, Options, analyze};
use crate::attach::{Point, Target};
use crate::diagnostic;
use crate::hir;
use crate::host::{FunctionTy, Host, Matches, TypeKind};
use crate::probes::ProbeKind;
use crate::source::{FileId, Sources};
use crate::ty::{BitField, EnumDef, Field, IntTy, Origin, Space, StructDef, StructId, Ty, TypeTable};

/// A kernel with three structs, a few functions and tracepoints.
struct Fixture;

/// Names of structs by their id in BTF.
const STRUCTS: [&str; 4] = ["task_struct", "file", "dentry", "qstr"];

const FORMATS: [(&str, &str, &str); 4] = [
    (
        "raw_syscalls",
        "sys_enter",
        "\tfield:long id;\toffset:8;\tsize:8;\tsigned:1;\n\
         \tfield:unsigned long args[6];\toffset:16;\tsize:48;\tsigned:0;\n",
    ),
    (
        "syscalls",
        "sys_enter_openat",
        "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n\
         \tfield:const char * filename;\toffset:24;\tsize:8;\tsigned:0;\n",
    ),
    (
        "syscalls",
        "sys_exit_read",
        "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n\
         \tfield:long ret;\toffset:16;\tsize:8;\tsigned:1;\n",
    ),
    (
        "sched",
        "sched_process_exec",
        "\tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;\n\
         \tfield:pid_t pid;\toffset:12;\tsize:4;\tsigned:1;\n",
    ),
];

const FUNCTIONS: [&str; 3] = ["vfs_open", "vfs_read", "vfs_write"];

impl Fixture {
    fn structure(&self, name: &str, types: &mut TypeTable) -> Option<StructId> {
        let id = STRUCTS.iter().position(|it| *it == name)? as u32;
        let origin = Origin::Btf { module: "vmlinux".to_owned(), id };
        if let Some(known) = types.structs.iter().position(|it| it.origin == origin) {
            return Some(StructId(known as u32));
        }
        Some(types.add_struct(StructDef {
            name: name.to_owned(),
            union: false,
            size: 64,
            origin,
            fields: None,
        }))
    }

    fn pointer(&self, name: &str, types: &mut TypeTable) -> Ty {
        let to = self.structure(name, types).map_or(Ty::Void, Ty::Struct);
        Ty::Ptr(Box::new(to), Space::Kernel)
    }
}

fn field(name: &str, ty: Ty, offset: u32) -> Field {
    Field { name: name.to_owned(), ty, offset, bits: None, data_loc: false }
}

impl Host for Fixture {
    fn matches(&self, point: &Point) -> Matches {
        let with = |target| Point { target, ..point.clone() };
        Matches::Points(match &point.target {
            Target::Tracepoint { category, event } => {
                let like = event.trim_end_matches('*');
                let matching = FORMATS.iter().filter(|it| it.0 == category);
                let matching =
                    matching.filter(|it| it.1 == event || (like != event && it.1.starts_with(like)));
                matching
                    .map(|it| with(Target::Tracepoint { category: it.0.to_owned(), event: it.1.to_owned() }))
                    .collect()
            }
            Target::Function { name, module, offset } => {
                let like = name.trim_end_matches('*');
                let matching =
                    FUNCTIONS.iter().filter(|it| *it == name || (like != name && it.starts_with(like)));
                let with_name = |it: &&str| {
                    with(Target::Function { module: module.clone(), name: (*it).to_owned(), offset: *offset })
                };
                matching.map(with_name).collect()
            }
            _ => vec![point.clone()],
        })
    }

    fn similar(&self, point: &Point) -> Vec<String> {
        FUNCTIONS.iter().map(|it| format!("{}:{it}", point.kind.name())).collect()
    }

    fn tracepoint_format(&self, category: &str, event: &str) -> Option<String> {
        let (.., fields) = FORMATS.iter().find(|it| it.0 == category && it.1 == event)?;
        Some(format!("name: {event}\nID: 1\nformat:\n{fields}\nprint fmt: \"\"\n"))
    }

    fn include(&self, _: &str) -> Option<String> {
        None
    }

    fn has_btf(&self) -> bool {
        true
    }

    fn kernel_type(&self, kind: TypeKind, name: &str, types: &mut TypeTable) -> Option<Ty> {
        match (kind, name) {
            (TypeKind::Struct, name) => self.structure(name, types).map(Ty::Struct),
            (TypeKind::Typedef, "pid_t") => Some(Ty::I32),
            _ => None,
        }
    }

    fn complete(&self, id: StructId, types: &mut TypeTable) {
        let fields = match types.struct_def(id).name.as_str() {
            "task_struct" => {
                let parent = self.pointer("task_struct", types);
                let flag = BitField { shift: 3, width: 1 };
                vec![
                    field("tgid", Ty::I32, 0),
                    field("comm", Ty::Array(Box::new(Ty::I8), 16), 8),
                    field("real_parent", parent, 24),
                    Field { bits: Some(flag), ..field("in_execve", Ty::U32, 32) },
                ]
            }
            "file" => {
                let dentry = self.pointer("dentry", types);
                vec![field("dentry", dentry, 0), field("f_mode", Ty::U32, 8)]
            }
            "dentry" => {
                let name = self.structure("qstr", types).map_or(Ty::Void, Ty::Struct);
                vec![field("d_name", name, 16)]
            }
            "qstr" => {
                vec![field("len", Ty::U32, 4), field("name", Ty::Ptr(Box::new(Ty::U8), Space::Kernel), 8)]
            }
            _ => return,
        };
        types.structs[id.0 as usize].fields = Some(fields);
    }

    fn function(&self, _: ProbeKind, _: &str, types: &mut TypeTable) -> Option<FunctionTy> {
        let file = self.pointer("file", types);
        let params = vec![("file".to_owned(), file), ("count".to_owned(), Ty::U64)];
        Some(FunctionTy { params, result: Ty::I32, module: "vmlinux".to_owned() })
    }

    fn enumerator(&self, name: &str, types: &mut TypeTable) -> Option<(Ty, i64)> {
        if name != "TASK_DEAD" {
            return None;
        }
        let variants = vec![("TASK_DEAD".to_owned(), 128)];
        let id = types.add_enum(EnumDef { name: "states".to_owned(), int: IntTy::new(4, false), variants });
        Some((Ty::Enum(id), 128))
    }

    fn kernel_symbol(&self, name: &str) -> Option<u64> {
        (name == "jiffies").then_some(0xffff_0000)
    }
}

/// The typed program as text behind all messages.
fn analyzed(script: &str, options: &Options) -> String {
    let sources = Sources::single("stdin", script);
    let parsed = crate::parse::parse(script, FileId(0));
    assert_eq!(parsed.diagnostics, [], "{script}");
    let (program, diagnostics) = analyze(&parsed.script, &sources, options, &Fixture);
    assert_eq!(program.is_none(), diagnostic::has_errors(&diagnostics), "{script}");
    let mut out = String::new();
    for it in diagnostics {
        out += &format!("{}: {}\n", sources.text(it.span), it.message);
        it.hints.iter().for_each(|hint| out += &format!("  {hint}\n"));
    }
    out + &program.map_or(String::new(), |it| hir::text::print(&it))
}

#[track_caller]
fn check(script: &str, expected: &str) {
    check_with(&Options::default(), script, expected);
}

#[track_caller]
fn check_with(options: &Options, script: &str, expected: &str) {
    let trim =
        |text: &str| text.lines().map(str::trim).filter(|it| !it.is_empty()).collect::<Vec<_>>().join("\n");
    assert_eq!(trim(&analyzed(script, options)), trim(expected), "{script}");
}

/// Lines of the body of a single probe.
#[track_caller]
fn check_body(body: &str, expected: &str) {
    let text = analyzed(&format!("BEGIN {{ {body} }}"), &Options::default());
    let lines: Vec<_> = text.lines().map(str::trim).filter(|it| !matches!(*it, "begin {" | "}")).collect();
    let expected: Vec<_> = expected.lines().map(str::trim).filter(|it| !it.is_empty()).collect();
    assert_eq!(lines, expected, "{body}");
}

#[test]
fn a_syscall_count() {
    check(
        "tracepoint:raw_syscalls:sys_enter /pid == cpid/ { @[args.id] = count(); }",
        "map @[int64]: count_t = hash(4096)
         tracepoint:raw_syscalls:sys_enter {
           if pid == cpid {
             @[args.id] <- count
           }
         }",
    );
}

#[test]
fn user_strings_of_system_calls() {
    check(
        r#"tracepoint:syscalls:sys_enter_openat { printf("%s %s\n", comm, str(args.filename)); }"#,
        r#"tracepoint:syscalls:sys_enter_openat {
             printf("%s %s\n", comm: string[16], str@user (args.filename, most 1025): string[1025])
           }"#,
    );
}

#[test]
fn aggregations_take_the_sign_of_their_argument() {
    check(
        "tracepoint:syscalls:sys_exit_read /args.ret > 0/ { @b[comm] = hist(args.ret); @s = stats(pid); }",
        "map @b[string[16]]: hist_t = hash(4096)
         map @s: ustats_t = scalar
         tracepoint:syscalls:sys_exit_read {
           if args.ret > 0 {
             @b[comm] <- hist args.ret
             @s <- stats (uint64)pid
           }
         }",
    );
}

#[test]
fn latencies() {
    check(
        "kprobe:vfs_read { @start[tid] = nsecs; }
         kretprobe:vfs_read /@start[tid]/ { @ns = hist(nsecs - @start[tid]); delete(@start[tid]); }",
        "map @ns: hist_t = scalar
         map @start[uint32]: uint64 = hash(4096)
         kprobe:vfs_read {
           @start[tid] = nsecs(0)
         }
         kretprobe:vfs_read {
           if @start[tid] {
             @ns <- hist (int64)nsecs(0) - (int64)@start[tid]
             delete(@start[tid])
           }
         }",
    );
}

#[test]
fn targets_that_look_alike_share_a_program() {
    check(
        "tracepoint:syscalls:sys_* { @[args.__syscall_nr] = count(); }",
        "map @[int32]: count_t = hash(4096)
         tracepoint:syscalls:sys_enter_openat, tracepoint:syscalls:sys_exit_read {
           @[args.__syscall_nr] <- count
         }",
    );
    check(
        "kprobe:vfs_* { @[func] = count(); }",
        "map @[ksym_t]: count_t = hash(4096)
         kprobe:vfs_open, kprobe:vfs_read, kprobe:vfs_write {
           @[func] <- count
         }",
    );
    check(
        "kprobe:vfs_o*, kprobe:vfs_write { @[probe] = count(); }",
        r#"map @[string[17]]: count_t = hash(4096)
           kprobe:vfs_open {
             @["kprobe:vfs_open"] <- count
           }
           kprobe:vfs_write {
             @["kprobe:vfs_write"] <- count
           }"#,
    );
}

#[test]
fn members_through_pointers_and_nested_structs() {
    check(
        "fentry:vfs_open { print(str(args.file->dentry->d_name.name)); @p = args.file; @c = args.count; }
         fexit:vfs_open { print(retval); }",
        "map @c: uint64 = scalar
         map @p: struct file * = scalar
         fentry:vfs_open {
           print(str((*(*argument(0)).dentry).d_name.name, most 1025): string[1025])
           @p = argument(0)
           @c = argument(1)
         }
         fexit:vfs_open {
           print(argument(2): int32)
         }",
    );
    check_body(
        "print(curtask->real_parent->tgid); print(((struct task_struct *)curtask).comm); print(curtask->in_execve)",
        "print((*(*curtask).real_parent).tgid: int32)
         print((*curtask).comm: string[16])
         print((*curtask).in_execve: uint32)",
    );
}

#[test]
fn dynamic_strings_of_tracepoints() {
    check(
        "tracepoint:sched:sched_process_exec { print(str(args.filename)); @[args.filename] = args.pid; }",
        "map @[string[1025]]: int32 = hash(4096)
         tracepoint:sched:sched_process_exec {
           print(args.filename: string[1025])
           @[args.filename] = args.pid
         }",
    );
}

#[test]
fn types_widen_over_the_whole_script() {
    check_body(
        "@x = 1; @x = 256; @y = 0; @y = nsecs; @z++; @s = \"a\"; @s = \"abc\";",
        "
        map @s: string[4] = scalar
        map @x: int16 = scalar
        map @y: uint64 = scalar
        map @z: int64 = scalar
        @x = 1
        @x = 256
        @y = 0
        @y = nsecs(0)
        @z++
        @s = \"a\"
        @s = \"abc\"",
    );
    check_body(
        "@a = @b; @b = @c; @c = pid; @m = @m == 0 || pid < @m ? pid : @m;",
        "
        map @a: uint32 = scalar
        map @b: uint32 = scalar
        map @c: uint32 = scalar
        map @m: uint32 = scalar
        @a = @b
        @b = @c
        @c = pid
        @m = ((@m == 0) || (pid < @m)) ? pid : @m",
    );
}

#[test]
fn arithmetic_is_64_bits_wide() {
    check_body(
        "$a = pid + 1; $b = pid - 1; $c = -7; $d = $c / 2; $e = -7 / 2; $f = ~5; $g = 1 << 3; $h = -pid;",
        "
        let $a: uint64
        let $b: int64
        let $c: int8
        let $d: int64
        let $e: int8
        let $f: uint64
        let $g: int8
        let $h: uint64
        $a = (uint64)pid + 1
        $b = (int64)pid - 1
        $c = -7
        $d = (int64)$c / 2
        $e = -3
        $f = 18446744073709551610
        $g = 8
        $h = -(uint64)pid",
    );
    check_body(
        "$x = (uint8)1; $x += 300; let $y : uint8 = 255; $y += 1; @s += pid; @t -= 2",
        "
        map @s: uint64 = scalar
        map @t: int64 = scalar
        let $x: uint64
        let $y: uint8
        $x = (uint64)(uint8)1
        $x = $x + 300
        $y = 255
        $y = (uint8)((uint64)$y + 1)
        @s += (uint64)pid
        @t += -2",
    );
}

#[test]
fn comparisons_have_one_type() {
    check_body(
        "$a = pid > -1; $b = comm == \"bash\"; $c = (1, \"a\") == (pid, comm); $d = cpu == pid; $e = 3 > 2;",
        "
        let $a: bool
        let $b: bool
        let $c: bool
        let $d: bool
        let $e: bool
        $a = (int64)pid > -1
        $b = comm == \"bash\"
        $c = (1, \"a\") == ((int64)pid, comm)
        $d = cpu == (uint64)pid
        $e = true",
    );
}

#[test]
fn blocks_scope_variables() {
    check_body(
        "if (pid) { $x = 1; } else { $x = \"a\"; } for $i : 0..10 { if ($i == 5) { break; } } let $s; $s = comm;",
        "let $x#0: int8
         let $x#1: string[2]
         let $i: int64
         let $s: string[16]
         if pid {
         $x#0 = 1
         } else {
         $x#1 = \"a\"
         for $i : 0..10 {
         if $i == 5 {
         break
         $s = \"\"
         $s = comm",
    );
}

#[test]
fn packets() {
    let options = Options { allow: Allow { verdict: true }, ..Options::default() };
    check_with(
        &options,
        "xdp:veth0 /icmp/ { @drop[ip.saddr] = count(); drop; }
         xdp:veth0 /tcp.dport == 80 && !(ip.saddr in 10.0.0.0/8) || pkt.len > 100/ { @[eth.src, tcp.flags.syn] = count(); }",
        "map @[(macaddr_t, bool)]: count_t = hash(4096)
         map @drop[ipv4]: count_t = hash(4096)
         xdp:veth0 {
           if icmp {
             @drop[ip.saddr] <- count
             drop
           }
         }
         xdp:veth0 {
           if ((tcp && (tcp.dport == 80)) && (!(ip && (((uint64)ip.saddr & 4278190080) == 167772160)))) || (pkt.len > 100) {
             @[(eth.src, tcp.flags.syn)] <- count
           }
         }",
    );
}

#[test]
fn a_process_filter_comes_first() {
    let options = Options { pid: Some(7), ..Options::default() };
    check_with(
        &options,
        "kprobe:vfs_read { @ = count(); } interval:s:1 { print(@); }",
        "map @: count_t = scalar
         kprobe:vfs_read {
           if pid != 7 {
             return
           }
           @ <- count
         }
         interval:s:1 {
           print(@)
         }",
    );
}

#[test]
fn positional_parameters() {
    let options = Options { params: vec!["12".to_owned(), "bash".to_owned()], ..Options::default() };
    check_with(
        &options,
        "BEGIN { print(($1, str($1), $2, $#)); print(str($3)); }",
        r#"$3: `$3` is not given (2 parameters are), so it is 0 or an empty string
           begin {
             print((12, "12", "bash", 2): (int8, string[3], string[5], int8))
             print("": string[1])
           }"#,
    );
}

#[test]
fn what_is_wrong_is_said_where_it_is() {
    let cases = [
        ("BEGIN { print(@x); }", "@x: `@x` never gets a value\n  assign it somewhere, for example `@x = 0`"),
        ("BEGIN { @x = 1; @x = comm; }", "comm: `@x` holds `int8`, this is `string[16]`"),
        (
            "BEGIN { @x = 1; @x[1] = 2; }",
            "@x[1]: `@x` is used with a key here and without one elsewhere\n  a map has a key in all of its uses or in none; use two maps",
        ),
        ("BEGIN { @x[1] = 1; @x[comm] = 1; }", "comm: the key of `@x` is `int8`, this is `string[16]`"),
        ("BEGIN { @x = 1; @x = count(); }", "count(): `@x` holds `int8`, it cannot also be a `count`"),
        (
            "BEGIN { $x = count(); }",
            "count(): `count` only works as the value of a map\n  write `@ = count()`",
        ),
        ("BEGIN { print($x); }", "$x: `$x` is read before it is assigned"),
        (
            "BEGIN { if (1) { $x = 1; } print($x); }",
            "$x: `$x` is read before it is assigned\n  declare it before the block: `let $x;`",
        ),
        (
            "BEGIN { $x = 1; let $x = 2; }",
            "$x: `$x` exists already\n  give one of them another name, or assign without `let`",
        ),
        ("BEGIN { $x = 1; $x = comm; }", "comm: `$x` holds `int8`, this is `string[16]`"),
        ("BEGIN { let $x : uint8 = 256; }", "256: the literal does not fit in `uint8` (0 to 255)"),
        ("BEGIN { print(pidd); }", "pidd: unknown name `pidd`\n  did you mean `pid`?"),
        ("BEGIN { prinft(1); }", "prinft: unknown function `prinft`\n  did you mean `printf`?"),
        ("BEGIN { print(strlen(comm)); }", "strlen: `strlen` is not supported yet"),
        ("BEGIN { printf(\"%d %s\\n\", pid); }", "\"%d %s\\n\": the format wants 2 arguments, 1 is given"),
        ("BEGIN { printf(\"%d\\n\", comm); }", "comm: `%d` does not print `string[16]`\n  use `%s`"),
        ("BEGIN { print(7 / 0); }", "7 / 0: division by zero"),
        ("BEGIN { print(1 << 64); }", "1 << 64: the shift is not in 0 to 63"),
        (
            "BEGIN { print(comm < \"a\"); }",
            "comm < \"a\": `string[16]` and `string[2]` have no order\n  strings compare with `==` and `!=` only",
        ),
        (
            "BEGIN /comm/ { }",
            "comm: `string[16]` is neither true nor false\n  compare it, for example with `!= \"\"`",
        ),
        (
            "BEGIN { print(curtask->tgi); }",
            "tgi: `struct task_struct` has no member `tgi`\n  did you mean `tgid`?",
        ),
        (
            "BEGIN { print(pid.x); }",
            "x: `uint32` has no member `x`\n  cast it to a pointer first, for example `((struct task_struct *)x).pid`",
        ),
        ("BEGIN { print(args.x); }", "args: `args` is not available in a `begin` probe"),
        ("BEGIN { break; }", "break: `break` outside a loop"),
        (
            "BEGIN { unroll (101) { } }",
            "(101): `unroll` takes 1 to 100 copies, not 101\n  write `for $i : 0..n { … }`",
        ),
        ("BEGIN { @ = lhist(1, 10, 0, 1); }", "0: the largest value must be above the smallest one, 10"),
        ("BEGIN { exit(1, 2); }", "2: `exit` takes 0 to 1 argument, 2 were given\n  `exit([code])`"),
        (
            "BEGIN { drop; }",
            "drop: `drop` is a verdict on a packet, a `begin` probe has none\n  packets are in `xdp:INTERFACE` probes",
        ),
        (
            "xdp:lo { drop; }",
            "drop: `drop` changes what happens to packets, which is not allowed\n  run with `--allow verdict`",
        ),
        ("xdp:lo { print(ip.sadr); }", "sadr: `ip` has no field `sadr`\n  did you mean `ip.saddr`?"),
        (
            "xdp:lo { print(pid); }",
            "pid: `pid` is not available in an `xdp` probe\n  a packet arrives before any process is known",
        ),
        (
            "kprobe:vfs_raed { }",
            "kprobe:vfs_raed: `kprobe:vfs_raed` does not exist on this machine\n  did you mean `kprobe:vfs_read`?",
        ),
        (
            "kprobe:vfs_read { print(retval); }",
            "retval: `retval` is not available in a `kprobe` probe\n  a `kretprobe` has it",
        ),
        (
            "fentry:vfs_read { print(args.fiel); }",
            "fiel: `fentry:vfs_read` has no argument `fiel`\n  did you mean `args.file`?",
        ),
        (
            "tracepoint:syscalls:sys_exit_read { print(args.rett); }",
            "rett: `tracepoint:syscalls:sys_exit_read` has no member `rett`\n  did you mean `ret`?",
        ),
        ("BEGIN { print((struct tsk *)0); }", "struct tsk *: the kernel has no `struct tsk`"),
        (
            "config = { max_strln = 5; } BEGIN { }",
            "max_strln: unknown setting `max_strln`\n  did you mean `max_strlen`?",
        ),
        ("config = { max_strlen = 0; } BEGIN { }", "0: `max_strlen` must be a number from 1 to 65536"),
    ];
    for (script, expected) in cases {
        assert_eq!(analyzed(script, &Options::default()).trim_end(), expected, "{script}");
    }
}

#[test]
fn one_mistake_is_one_error() {
    let script = "kprobe:vfs_read, kretprobe:vfs_read { $x = nope; $y = $x + 1; @[nope2] = $y; print(@); }";
    let text = analyzed(script, &Options::default());
    assert_eq!(
        text,
        "nope: unknown name `nope`\nnope2: unknown name `nope2`\n  did you mean `nope`?\n"
            .replace("\n  did you mean `nope`?", "")
    );
}

#[test]
fn types_that_contain_themselves_are_refused() {
    let text = analyzed("BEGIN { @x = 1; @y = (@y, @y, @x); }", &Options::default());
    assert!(text.contains("`@y` holds"), "{text}");
    let text = analyzed("BEGIN { @y = (1, 1); @y = (@y, @y); }", &Options::default());
    assert!(text.contains("`@y` holds"), "{text}");
}

#[test]
fn settings_and_declared_maps() {
    let options =
        Options { environment: vec![("max_strlen".to_owned(), "64".to_owned())], ..Options::default() };
    check_with(
        &options,
        "config = { max_strlen = 8; stack_mode = perf; } let @m = lruhash(10);
         uprobe:/bin/bash:readline { @m[kstack(3)] = str(arg0); @c[ustack] = count(); }",
        "map @c[ustack(perf, 127)]: count_t = hash(4096)
         map @m[kstack(perf, 3)]: string[65] = lruhash(10)
         uprobe:/bin/bash:readline {
           @m[kstack(perf, 3)] = str@user ((int8 *)arg0, most 65)
           @c[ustack(perf, 127)] <- count
         }",
    );
}

#[test]
fn actions() {
    check(
        r#"interval:s:1 { time(); print(@x, 5); print(@x[1]); clear(@x); zero(@x); cpid ? print((a=1, b="x")) : exit(3); @x[1] = sum(-1); }"#,
        r#"map @x[int8]: sum_t = hash(4096)
           interval:s:1 {
             time("%H:%M:%S\n")
             print(@x, 5: int64)
             print(@x[…], 1: int8, value(@x[1]): int64)
             clear(@x)
             zero(@x)
             if cpid {
               print((1, "x"): (a: int8, b: string[2]))
             } else {
               exit(3: int64)
               return
             }
             @x[1] <- sum -1
           }"#,
    );
}

#[test]
fn pointers_keep_their_memory() {
    check(
        "kprobe:vfs_read {
           $f = (struct file *)arg0; @m[$f->f_mode & 0xf] = avg(arg2); print(*(uint32 *)uptr(arg1));
           let $t: struct task_struct * = curtask; $t++; $next = $t + 1; print(str(arg1, 16)); print($f->dentry);
         }",
        "map @m[uint64]: uavg_t = hash(4096)
         kprobe:vfs_read {
           let $f: struct file *
           let $t: struct task_struct *
           let $next: struct task_struct *
           $f = (struct file *)arg0
           @m[(uint64)(*$f).f_mode & 15] <- avg arg2
           print(*@user (uint32 *)uptr(arg1): uint32)
           $t = curtask
           $t++ by 64
           $next = $t + 1 elements
           print(str((int8 *)arg1, most 16): string[16])
           print((*$f).dentry: struct dentry *)
         }",
    );
}

#[test]
fn doubtful_things_are_warned_about() {
    let text = analyzed(
        "BEGIN { @u = nsecs; @u = -1; $n = nsecs; printf(\"%d %s\", $n, (int8 *)0); print($n > (int64)-1); }",
        &Options::default(),
    );
    let warnings: Vec<_> = text.lines().take_while(|it| !it.starts_with("map")).collect();
    assert_eq!(
        warnings,
        [
            "-1: `@u` holds both `uint64` and signed values, so it is `int64`",
            "  values from 2^63 on will show as negative",
            "$n: `%d` prints the low 32 bits of a 64-bit value",
            "  use `%lld`",
            "(int8 *)0: `%s` prints the pointer, not the text that it points to",
            "  use `str(…)`",
            "$n > (int64)-1: `uint64` is compared with a signed value, both as `int64`",
            "  cast one side, for example `(uint64)…`",
        ]
    );
}

/// A machine that shows nothing of its tracepoints, and cannot have kprobes.
struct Blind;

impl Host for Blind {
    fn matches(&self, point: &Point) -> Matches {
        match point.kind {
            ProbeKind::Tracepoint | ProbeKind::Kprobe => Matches::Unavailable("it is hidden".to_owned()),
            _ => Matches::Points(vec![point.clone()]),
        }
    }

    fn similar(&self, _: &Point) -> Vec<String> {
        Vec::new()
    }

    fn tracepoint_format(&self, _: &str, _: &str) -> Option<String> {
        None
    }

    fn has_btf(&self) -> bool {
        false
    }

    fn kernel_type(&self, _: TypeKind, _: &str, _: &mut TypeTable) -> Option<Ty> {
        None
    }

    fn complete(&self, _: StructId, _: &mut TypeTable) {}

    fn function(&self, _: ProbeKind, _: &str, _: &mut TypeTable) -> Option<FunctionTy> {
        None
    }

    fn enumerator(&self, _: &str, _: &mut TypeTable) -> Option<(Ty, i64)> {
        None
    }

    fn kernel_symbol(&self, _: &str) -> Option<u64> {
        None
    }

    fn include(&self, _path: &str) -> Option<String> {
        None
    }
}

/// Script, whether there is a program, all messages.
const ASSUMED: [(&str, bool, &[&str]); 5] = [
    ("kprobe:f { @ = arg0; }", true, &["Warning: `kprobe:f` is taken as it stands: it is hidden"]),
    ("kprobe:f* { @ = arg0; }", false, &["Warning: `kprobe:f*` is taken as it stands: it is hidden"]),
    ("tracepoint:a:b { @ = 1; }", true, &["Warning: `tracepoint:a:b` is taken as it stands: it is hidden"]),
    (
        "tracepoint:a:b { $x = args.c; @[$x, str(args.d)] = hist(args.c); let $y; @z = @z + $x; }",
        false,
        &[
            "Warning: `tracepoint:a:b` is taken as it stands: it is hidden",
            "Warning: the arguments of `tracepoint:a:b` are not checked",
        ],
    ),
    (
        "fentry:f { @ = args.c; @x = 1; @x = \"a\"; }",
        false,
        &[
            "Warning: the arguments of `fentry:f` are not checked",
            "Error: `@x` holds `int8`, this is `string[2]`",
        ],
    ),
];

#[test]
fn what_is_hidden_is_assumed_on_request() {
    for (script, is_program, expected) in ASSUMED {
        let parsed = crate::parse::parse(script, FileId(0));
        let options = Options { assume: true, ..Options::default() };
        let (program, diagnostics) =
            analyze(&parsed.script, &Sources::single("stdin", script), &options, &Blind);
        let told: Vec<_> =
            diagnostics.iter().map(|it| format!("{:?}: {}", it.severity, it.message)).collect();
        assert_eq!(told, expected, "{script}");
        assert_eq!(program.is_some(), is_program, "{script}");
    }
}

#[test]
fn what_is_too_large_is_refused_at_once() {
    let chain: String = (0..40).map(|it| format!("$t{} = ($t{it}, $t{it}); ", it + 1)).collect();
    for (script, expected) in [
        ("BEGIN { @x = 1; }\n".repeat(1025), "1025 probes are more than `max_probes` allows (1024)"),
        (format!("{}BEGIN {{ @x = 1; }}", "BEGIN, ".repeat(1025)), "1026 probes are more than"),
        (format!("BEGIN {{ $t0 = (1, 2); {chain}}}"), "a tuple of more than 1024 values"),
    ] {
        let text = analyzed(&script, &Options::default());
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn settings_have_the_names_of_the_environment_too() {
    let script = "config = { BPFTRACE_MAX_STRLEN = 9; } BEGIN { @x = str(curtask.comm); @y = str(0); }";
    let text = analyzed(script, &Options::default());
    assert!(text.contains("map @y: string[10]"), "{text}");
}
