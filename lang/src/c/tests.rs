//! Layouts as gcc has them, preprocessing, and mistakes.

use super::{Block, Meaning, read};
use crate::attach::Point;
use crate::diagnostic;
use crate::host::{FunctionTy, Host, Matches, TypeKind};
use crate::probes::ProbeKind;
use crate::source::{FileId, Sources};
use crate::ty::{Field, IntTy, Origin, StructDef, StructId, Ty, TypeTable};

/// A kernel with one struct, one typedef and a few headers.
struct Fixture;

const HEADERS: [(&str, &str); 6] = [
    ("once.h", "#pragma once\nstruct once { int a; };\n#define ONCE 1\n"),
    ("loop.h", "#include \"loop.h\"\n"),
    ("open.h", "#if 1\n"),
    ("lib/outer.h", "#include \"inner.h\"\n"),
    ("lib/inner.h", "struct inner { char c[INNER]; };\n"),
    ("wrong.h", "\nstruct wrong {\n  int a;\n  nothing b;\n};\n"),
];

impl Host for Fixture {
    fn matches(&self, point: &Point) -> Matches {
        Matches::Points(vec![point.clone()])
    }

    fn similar(&self, _: &Point) -> Vec<String> {
        Vec::new()
    }

    fn tracepoint_format(&self, _: &str, _: &str) -> Option<String> {
        None
    }

    fn include(&self, path: &str) -> Option<String> {
        HEADERS.iter().find(|it| it.0 == path).map(|it| it.1.to_owned())
    }

    fn has_btf(&self) -> bool {
        true
    }

    fn kernel_type(&self, kind: TypeKind, name: &str, types: &mut TypeTable) -> Option<Ty> {
        match (kind, name) {
            (TypeKind::Typedef, "pid_t") => Some(Ty::I32),
            (TypeKind::Struct, "list_head") => {
                let origin = Origin::Btf { module: "vmlinux".to_owned(), id: 1 };
                let def = StructDef { name: name.to_owned(), union: false, size: 12, origin, fields: None };
                Some(Ty::Struct(types.add_struct(def)))
            }
            _ => None,
        }
    }

    fn complete(&self, id: StructId, types: &mut TypeTable) {
        let field = |name: &str, offset| Field {
            name: name.to_owned(),
            ty: Ty::U32,
            offset,
            bits: None,
            data_loc: false,
        };
        types.structs[id.0 as usize].fields = Some(vec![field("a", 0), field("b", 4), field("c", 8)]);
    }

    fn function(&self, _: ProbeKind, _: &str, _: &mut TypeTable) -> Option<FunctionTy> {
        None
    }

    fn enumerator(&self, name: &str, types: &mut TypeTable) -> Option<(Ty, i64)> {
        let _ = types;
        (name == "KERNEL_TWELVE").then_some((Ty::I32, 12))
    }

    fn kernel_symbol(&self, _: &str) -> Option<u64> {
        None
    }
}

/// What a script's C code defines, and what is wrong with it.
fn read_text(text: &str) -> (Block, TypeTable, String) {
    let sources = Sources::single("c.bt", format!("{text}\n"));
    let parsed = crate::parse::parse(&sources.get(FileId(0)).text, FileId(0));
    let mut types = TypeTable::default();
    let (block, found) = read(&parsed.script, &sources, &Fixture, &mut types);
    let found = parsed.diagnostics.iter().chain(&found);
    let found = found.map(|it| diagnostic::render(it, &sources)).collect();
    (block, types, found)
}

/// `size/align` of `struct s` or `union s`, and of each named member its offset, or its first bit
/// and its width.
fn layout(text: &str) -> String {
    let (block, types, found) = read_text(
        &format!("{text}\nstruct probe_ {{ char c; SELF s; }};")
            .replace("SELF", if text.contains("union s ") { "union s" } else { "struct s" }),
    );
    let find = |kind, name| match block.type_named(kind, name) {
        Some(Ty::Struct(id)) => Some(types.struct_def(id)),
        _ => None,
    };
    let Some(def) = find(TypeKind::Struct, "s").or(find(TypeKind::Union, "s")) else { return found };
    let probe =
        find(TypeKind::Struct, "probe_").and_then(|it| it.fields.as_ref()).map_or(0, |it| it[1].offset);
    let mut text = format!("{}/{probe}", def.size);
    let (mut plain, mut bits) = (String::new(), String::new());
    members(def, 0, &types, &mut plain, &mut bits);
    text += &plain;
    text += &bits;
    text + &found
}

fn members(def: &StructDef, base: u32, types: &TypeTable, plain: &mut String, bits: &mut String) {
    for field in def.fields.iter().flatten() {
        let offset = base + field.offset;
        match (&field.ty, field.bits) {
            (_, Some(it)) => {
                let first = offset * 8 + u32::from(it.shift);
                *bits += &format!(" {}@{first}:{}", field.name, it.width);
            }
            (Ty::Struct(id), None) if field.name.is_empty() => {
                members(types.struct_def(*id), offset, types, plain, bits);
            }
            _ => *plain += &format!(" {}@{offset}", field.name),
        }
    }
}

/// Definitions and what gcc 12 makes of them on x86_64.
const LAYOUTS: &[(&str, &str)] = &[
    ("struct s { char a; int b; short c; };", "12/4 a@0 b@4 c@8"),
    ("struct s { char a; int b; short c; } __attribute__((packed));", "7/1 a@0 b@1 c@5"),
    ("struct __attribute__((packed, aligned(4))) s { char a; long b; };", "12/4 a@0 b@1"),
    ("struct s { char a; double d; float f; _Bool b; long double l; };", "48/16 a@0 d@8 f@16 b@20 l@32"),
    ("struct s { char a; __int128 w; unsigned char z[3]; };", "48/16 a@0 w@16 z@32"),
    ("struct s { char a __attribute__((aligned(8))); short b; };", "8/8 a@0 b@2"),
    (
        "struct s { int a; short b __attribute__((packed)); long c __attribute__((packed)); };",
        "16/4 a@0 b@4 c@6",
    ),
    ("struct s { char a; } __attribute__((aligned(64)));", "64/64 a@0"),
    ("struct s { unsigned a:3; unsigned b:5; unsigned c:30; char d; };", "12/4 d@8 a@0:3 b@3:5 c@32:30"),
    ("struct s { char x; int a:4; long b:40; int c:20; };", "16/8 x@0 a@8:4 b@12:40 c@64:20"),
    ("struct s { unsigned a:3; unsigned :0; unsigned b:3; };", "8/4 a@0:3 b@32:3"),
    ("struct s { char a; int :5; char b; };", "3/1 a@0 b@2"),
    ("struct s { char a:4; short b:9; char c:7; };", "4/2 a@0:4 b@4:9 c@16:7"),
    (
        "struct s { unsigned a:17; unsigned b:20; unsigned long c:30; } __attribute__((packed));",
        "9/1 a@0:17 b@17:20 c@37:30",
    ),
    ("struct s { _Bool a:1; unsigned char b:7; unsigned long long c:33; };", "8/8 a@0:1 b@1:7 c@8:33"),
    ("union s { char a; int b[3]; long c; unsigned d:7; };", "16/8 a@0 b@0 c@0 d@0:7"),
    ("union s { char a[5]; short b; } __attribute__((packed));", "5/1 a@0 b@0"),
    (
        "struct s { char tag; union { int i; struct { char c; short h; }; }; int end; };",
        "12/4 tag@0 i@4 c@4 h@6 end@8",
    ),
    (
        "struct s { struct { int x, y; } p[2]; char *name, letters[10], **more; };",
        "48/8 p@0 name@16 letters@24 more@40",
    ),
    (
        "struct s { int (*call)(int, void *); void (*table[4])(void); int (*grid)[3]; int *list[3]; };",
        "72/8 call@0 table@8 grid@40 list@48",
    ),
    ("struct s { int n; char rest[]; };", "4/4 n@0 rest@4"),
    ("struct s { short n; struct { long v; } rest[0]; };", "8/8 n@0 rest@8"),
    ("enum e { A, B = 7 }; struct s { char c; enum e e; enum e f:4; };", "12/4 c@0 e@4 f@64:4"),
    ("enum big { L = 0x100000000 }; struct s { char c; enum big e; };", "16/8 c@0 e@8"),
    (
        "enum __attribute__((packed)) tiny { T0, T1 = 200 }; struct s { enum tiny t; short u; };",
        "4/2 t@0 u@2",
    ),
    (
        "typedef struct { char a; long b; } pair; struct s { char c; pair p; pair q[2]; };",
        "56/8 c@0 p@8 q@24",
    ),
    (
        "typedef unsigned long long int big_t; typedef char name_t[7]; struct s { name_t n; big_t b; const volatile short int h; };",
        "24/8 n@0 b@8 h@16",
    ),
    (
        "struct inner { char a; int b; } __attribute__((packed)); struct s { char x; struct inner i; long y; };",
        "16/8 x@0 i@1 y@8",
    ),
    ("struct s { _Alignas(16) char a; int b; };", "16/16 a@0 b@4"),
    (
        "struct s { char a[sizeof(long) * 2 - 1]; char b[(3 > 2) ? 4 : 5]; char c[1 << 3 | 'A' % 2]; };",
        "28/1 a@0 b@15 c@19",
    ),
    ("enum { N = 3, M = N * 2 }; struct s { int a[N][M]; char z; };", "76/4 a@0 z@72"),
    ("struct node; struct s { struct node *a; struct s *next; }; struct node { int v; };", "16/8 a@0 next@8"),
    (
        "struct s { long unsigned a; signed char b; unsigned short int c; long int long d; };",
        "24/8 a@0 b@8 c@10 d@16",
    ),
];

#[test]
fn members_lie_where_gcc_puts_them() {
    for (text, expected) in LAYOUTS {
        assert_eq!(layout(text), *expected, "{text}");
    }
}

#[test]
fn kernel_types_are_members() {
    assert_eq!(
        layout("struct s { char a; struct list_head l; pid_t p; __be16 port; };"),
        "24/4 a@0 l@4 p@16 port@20"
    );
    let (block, types, found) =
        read_text("struct s { struct list_head *kernel; struct later *own; }; struct later { int a; };");
    assert_eq!(found, "");
    let Some(Ty::Struct(later)) = block.type_named(TypeKind::Struct, "later") else { panic!() };
    assert_eq!(types.struct_def(later).size, 4);
    assert!(types.structs.iter().any(|it| it.name == "list_head" && it.origin != Origin::Script));
}

#[test]
fn enumerators_have_values_and_their_enum() {
    let text = "#define BASE 10\nenum e { A, B = BASE + 2, C, D = -1, E = KERNEL_TWELVE, F = AF_INET6 };";
    let (block, types, found) = read_text(text);
    assert_eq!(found, "");
    let values = ["A", "B", "C", "D", "E", "F"].map(|it| block.enumerator(it).unwrap());
    assert_eq!(values.clone().map(|it| it.1), [0, 12, 13, -1, 12, 10]);
    let Ty::Enum(id) = values[0].0 else { panic!() };
    assert_eq!(types.enum_def(id).int, IntTy::new(4, true));
}

/// A macro as a script sees it.
fn macro_of(text: &str, name: &str) -> String {
    let (block, _, found) = read_text(text);
    let found = if found.contains("ERROR") { found } else { String::new() };
    match block.meaning(name) {
        Some(Meaning::Int(value)) => format!("{value}{found}"),
        Some(Meaning::Str(text)) => format!("{:?}{found}", String::from_utf8_lossy(text)),
        Some(Meaning::Expr(_)) => format!("expression{found}"),
        Some(Meaning::Function(params, _)) => format!("function of {}{found}", params.join(", ")),
        Some(Meaning::Word(word)) => format!("word {word}{found}"),
        Some(Meaning::Tag(kind, tag)) => format!("{} {tag}{found}", kind.keyword()),
        Some(Meaning::Other(reason)) => format!("{reason}{found}"),
        None => format!("nothing{found}"),
    }
}

#[test]
fn macros_mean_what_they_expand_to() {
    let cases = [
        ("#define X 42", "42"),
        ("#define X 0x10UL", "16"),
        ("#define X (1 << 31)", "2147483648"),
        ("#define X -7 / 2", "-3"),
        ("#define X ~0U", "4294967295"),
        ("#define X ~0", "-1"),
        ("#define X (unsigned char)-1", "255"),
        ("#define X (int)sizeof(long)", "8"),
        ("#define X 2 \\\n  + 3", "5"),
        ("#define X 2 /* two */ + 3 // three", "5"),
        ("#define Y 3\n#define X Y * Y", "9"),
        ("#define X Y\n#define Y 3", "word Y"),
        ("#define F(a, b) ((a) + (b))\n#define X F(1, F(2, 3))", "6"),
        ("#define CAT(a, b) a ## b\n#define X CAT(1, 2) + 0", "12"),
        ("#define F(...) sizeof((char[]){__VA_ARGS__})\n#define X 1", "1"),
        ("#define X \"a\\tb\"", "\"a\\tb\""),
        ("#define X 'A'", "65"),
        ("#define X comm", "word comm"),
        ("#define X struct task_struct", "struct task_struct"),
        ("#define X ((struct task_struct *)curtask)->pid", "expression"),
        ("#define X pid == 1 ? 2 : 3", "expression"),
        ("#define X", "stands for nothing"),
        ("#define X(a) a", "function of a"),
        ("#define X(a) #a", "makes words of its arguments, which only works in C definitions"),
        ("#define X {", "is no expression"),
        ("#define X X + 1", "expression"),
        ("#define X 1\n#undef X", "nothing"),
        ("#define X AF_INET + EPERM", "3"),
        ("#include \"once.h\"\n#include \"once.h\"\n#define X ONCE + 0", "1"),
    ];
    for (text, expected) in cases {
        assert_eq!(macro_of(text, "X"), expected, "{text}");
    }
}

#[test]
fn conditions_choose_one_branch() {
    let cases = [
        ("#if 1\n#define X 1\n#else\n#define X 2\n#endif", "1"),
        (
            "#if 0\n#define X 1\n#elif 3 > 2\n#define X 2\n#elif 1\n#define X 3\n#else\n#define X 4\n#endif",
            "2",
        ),
        ("#ifdef BPFTRACE_HAVE_BTF\n#define X 1\n#endif", "1"),
        ("#ifndef __KSCOPE__\n#define X 1\n#else\n#define X 2\n#endif", "2"),
        ("#if defined(A) || !defined B && __x86_64__\n#define X 5\n#endif", "5"),
        ("#if 0\n#if 1\n#define X 1\n#endif\n#error never\n#else\n#define X 2\n#endif", "2"),
        ("#define V 3\n#if V >= 2 && (V & 1)\n#define X V + 0\n#endif", "3"),
        ("#if unknown\n#define X 1\n#else\n#define X 0\n#endif", "0"),
        ("#if 1 ? 0 : 1\n#define X 1\n#else\n#define X 0\n#endif", "0"),
        ("#if 0\n#elif 1\n#define X 6\n#elif 1 / 0\n#endif", "6"),
    ];
    for (text, expected) in cases {
        assert_eq!(macro_of(text, "X"), expected, "{text}");
    }
    assert_eq!(layout("struct s {\n#ifdef WIDE\n long a;\n#else\n int a;\n#endif\n};"), "4/4 a@0");
}

#[test]
fn mistakes_are_told_at_their_place() {
    let cases = [
        ("struct s { nothing a; };", "c.bt:1:12-19: ERROR: unknown type `nothing`"),
        ("struct s { struct later a; };", "c.bt:1:25-26: ERROR: the type of `a` has no known size"),
        ("struct s { int a; long a; };", "c.bt:1:24-25: ERROR: `a` is a member already"),
        ("struct s { int a; }; struct s { int b; };", "c.bt:1:29-30: ERROR: `s` is defined twice"),
        ("struct s { int a:33; };", "c.bt:1:16-17: ERROR: 33 bits are more than the type has (32)"),
        ("struct s { int a[-1]; };", "c.bt:1:18-19: ERROR: an array cannot have -1 elements"),
        ("struct s { int a[1 / 0]; };", "c.bt:1:20-21: ERROR: division by zero"),
        ("struct s { int a[n]; };", "c.bt:1:18-19: ERROR: `n` is no constant"),
        ("struct s { int a[100000][100000]; };", "c.bt:1:17-18: ERROR: the array is too large"),
        ("struct s { long short a; };", "c.bt:1:12-16: ERROR: these words are no type of C"),
        (
            "struct s { int a __attribute__((aligned(3))); };",
            "c.bt:1:41-42: ERROR: an alignment is a power of two up to 4096",
        ),
        ("typedef int;", "c.bt:1:12-13: ERROR: expected the new type's name, found `;`"),
        ("enum e { A B };", "c.bt:1:12-13: ERROR: expected `,` or `}`, found `B`"),
        ("#error stop here", "c.bt:1:1-2: ERROR: #error: stop here"),
        ("#warning look", "c.bt:1:1-2: WARNING: #warning: look"),
        ("#if 1", "c.bt:1:1-2: ERROR: this `#if` has no `#endif`"),
        ("#endif", "c.bt:1:2-7: ERROR: `#endif` without `#if`"),
        ("#if (1\n#endif", "c.bt:1:2-4: ERROR: expected `)`, the definition ends"),
        ("#frob", "c.bt:1:2-6: ERROR: unknown directive `#frob`"),
        ("#define F(a) a\n#if F(1, 2)\n#endif", "c.bt:2:5-6: ERROR: `F` takes 1 argument, 2 are given"),
        ("#include \"nope.h\"", "c.bt:1:1-2: ERROR: there is no header `nope.h`"),
        (
            "#include \"loop.h\"",
            "c.bt:1:1-2: ERROR: in `loop.h`, line 1: `loop.h` is one header too many: they include each other too often",
        ),
        ("#include \"open.h\"", "c.bt:1:1-2: ERROR: `open.h` leaves an `#if` open"),
        ("#include \"wrong.h\"", "c.bt:1:1-2: ERROR: in `wrong.h`, line 4: unknown type `nothing`"),
        ("#include <linux/tcp.h>\n#include <stdio.h>", ""),
        ("#if 0\nBEGIN { }\n#endif", "c.bt:2:1-6: ERROR: `#if` leaves out C definitions only, this is none"),
    ];
    for (text, expected) in cases {
        let (_, _, found) = read_text(text);
        assert_eq!(found.lines().next().unwrap_or(""), expected, "{text}");
    }
    assert_eq!(layout("#define INNER 3\n#include \"lib/outer.h\"\nstruct s { struct inner i; };"), "3/1 i@0");
}

#[test]
fn operators_outside_parentheses_are_warned_of() {
    let cases = [
        ("1 + 2", true),
        ("(1) + (2)", true),
        ("pid == 1", true),
        ("(1 + 2)", false),
        ("-1", false),
        ("(unsigned char)-1", false),
        ("((struct task_struct *)curtask)->pid", false),
        ("&@", false),
        ("ntop(args.a)", false),
        ("~(1 << 3)", false),
    ];
    for (body, expected) in cases {
        let (_, _, found) = read_text(&format!("#define X {body}"));
        assert_eq!(found.contains("WARNING: `X` is one value here"), expected, "{body}: {found}");
    }
}

/// Small texts that ask for much work, and broken ones.
#[test]
fn hostile_texts_end_soon() {
    let mut doubling = String::from("#define X0 1 + 1\n");
    for n in 1..60 {
        doubling += &format!("#define X{n} X{0} + X{0}\n", n - 1);
    }
    doubling += "struct s { int a[X59]; };";
    let deep = |open: &str, close: &str| {
        format!("struct s {{ int a[{}1{}]; }};", open.repeat(5000), close.repeat(5000))
    };
    let nested = format!("{}int a;{}", "struct s { ".repeat(3000), " };".repeat(3000));
    let pieces = [
        "struct",
        "s",
        "{",
        "}",
        "int",
        "a",
        ":",
        "3",
        ";",
        "[",
        "]",
        "(",
        ")",
        "*",
        "#if",
        "\n",
        "__attribute__",
        "\"x",
        "'",
        ",",
    ];
    let mut texts = vec![
        doubling,
        deep("(", ")"),
        deep("-", ""),
        nested,
        format!("struct s {{ int {}a{}; }};", "(*".repeat(4000), ")".repeat(4000)),
        format!("#define F(a) F(a a)\nstruct s {{ int a[{}1{}]; }};", "F(".repeat(500), ")".repeat(500)),
    ];
    let mut seed = 1u64;
    for _ in 0..500 {
        let mut text = String::from("struct ");
        for _ in 0..30 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            text += pieces[(seed >> 33) as usize % pieces.len()];
            text.push(' ');
        }
        texts.push(text);
    }
    for text in texts {
        read_text(&text);
    }
}
