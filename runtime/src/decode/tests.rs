use super::*;
use crate::clock::Zone;
use crate::clock::tests::Fixed;
use crate::symbols::tests::Table;
use lang::ty::{Agg, BitField, Origin, Space, StackMode, StackTy, StructDef};

fn check(ty: &Ty, bytes: &[u8], expected: Value) {
    check_with(ty, bytes, &TypeTable::default(), expected);
}

fn check_with(ty: &Ty, bytes: &[u8], types: &TypeTable, expected: Value) {
    let clock = Fixed { now: 0, zone: Zone::utc() };
    let config = Config { max_strlen: 8, ..Config::default() };
    let mut symbols = Table;
    let mut cx = Context { types, symbols: &mut symbols, clock: &clock, config: &config };
    assert_eq!(decode(bytes, ty, &mut cx), expected, "{ty:?} {bytes:?}");
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn scalars() {
    check(&Ty::Bool, &[1], Value::Bool(true));
    check(&Ty::Bool, &[], Value::Bool(false));
    check(&Ty::I8, &[0xfb], Value::Int(-5, 1));
    check(&Ty::I32, &[0xff, 0xff, 0xff], Value::Int(0xff_ffff, 4));
    check(&Ty::I64, &[0xff; 9], Value::Int(-1, 8));
    check(&Ty::U16, &[0x34, 0x12], Value::Uint(0x1234, 2));
    check(&Ty::U64, &[0xff; 8], Value::Uint(u64::MAX, 8));
    check(&Ty::Ptr(Box::new(Ty::Void), Space::Kernel), &[0xec, 3], Value::Pointer(1004));
    check(&Ty::Agg(Agg::Sum { signed: true }), &words(&[-3i64 as u64]), Value::Int(-3, 8));
}

#[test]
fn strings_end_at_the_nul_and_know_when_they_are_cut() {
    let whole = |bytes: &[u8]| Value::text(bytes);
    let cut = |bytes: &[u8]| Value::Str { bytes: bytes.to_vec(), cut: true };
    check(&Ty::Str(4), b"hi\0x", whole(b"hi"));
    check(&Ty::Str(4), b"hi", whole(b"hi"));
    check(&Ty::Str(4), b"abc\0", whole(b"abc"));
    check(&Ty::Str(4), b"abcd", cut(b"abcd"));
    check(&Ty::Str(4), b"abc\xff", cut(b"abc"));
    check(&Ty::Str(9), b"12345678\0", cut(b"12345678"));
    check(&Ty::Str(9), b"12345678", cut(b"12345678"));
    check(&Ty::Str(9), b"1234567\0", whole(b"1234567"));
    check(&Ty::Str(16), b"12345678\0", whole(b"12345678"));
    check(&Ty::Str(0), b"", whole(b""));
}

#[test]
fn buffers_are_as_long_as_they_say_but_within_their_capacity() {
    check(&Ty::Buf(4), &[2, 0, 0, 0, 7, 8, 9, 9], Value::Buf(vec![7, 8]));
    check(&Ty::Buf(4), &[3, 0, 0, 0, 7], Value::Buf(vec![7, 0, 0]));
    check(&Ty::Buf(4), &[0xff; 20], Value::Buf(vec![0xff; 4]));
}

#[test]
fn aggregates_follow_the_layout() {
    let items = vec![Ty::U8, Ty::U32, Ty::Str(3)];
    let values = vec![Value::Uint(1, 1), Value::Uint(2, 4), Value::text(*b"ab")];
    let bytes = [1, 9, 9, 9, 2, 0, 0, 0, b'a', b'b', 0, 0];
    check(&Ty::Tuple(items.clone()), &bytes, Value::Tuple(values.clone()));
    let names = ["a", "b", "c"].map(str::to_owned);
    let record = Ty::Record(names.clone().into_iter().zip(items).collect());
    check(&record, &bytes, Value::Record(names.into_iter().zip(values).collect()));
    let array = Ty::Array(Box::new(Ty::U16), 3);
    check(&array, &[1, 0, 2, 0, 3], Value::Array((1..=3).map(|n| Value::Uint(n, 2)).collect()));
    // A struct's member of this type is text, a value that a script makes is numbers.
    check(
        &Ty::Array(Box::new(Ty::I8), 2),
        &[0xfe, 0],
        Value::Array(vec![Value::Int(-2, 1), Value::Int(0, 1)]),
    );
}

#[test]
fn structs_show_their_members() {
    let field =
        |name: &str, ty, offset| Field { name: name.to_owned(), ty, offset, bits: None, data_loc: false };
    let def = |fields| StructDef {
        name: String::new(),
        union: false,
        size: 16,
        origin: Origin::Script,
        fields: Some(fields),
    };
    let mut types = TypeTable::default();
    let inner = types.add_struct(def(vec![field("x", Ty::U8, 0), field("y", Ty::U8, 1)]));
    let low = Field { bits: Some(BitField { shift: 0, width: 3 }), ..field("low", Ty::U32, 4) };
    let high = Field { bits: Some(BitField { shift: 3, width: 5 }), ..field("high", Ty::I32, 4) };
    let name = Field { data_loc: true, ..field("name", Ty::Str(16), 8) };
    let fields = vec![field("", Ty::Struct(inner), 0), field("in", Ty::Struct(inner), 2), low, high, name];
    let outer = types.add_struct(def(fields));
    let number = |name: &str, n| (name.to_owned(), Value::Uint(n, 1));
    let bytes = [1, 2, 3, 4, 0b1111_0101, 0, 0, 0, 12, 0, 3, 0, b'h', b'i', 0, 0];
    let expected = Value::Record(vec![
        number("x", 1),
        number("y", 2),
        ("in".to_owned(), Value::Record(vec![number("x", 3), number("y", 4)])),
        ("low".to_owned(), Value::Uint(5, 4)),
        ("high".to_owned(), Value::Int(-2, 4)),
        ("name".to_owned(), Value::text(*b"hi")),
    ]);
    check_with(&Ty::Struct(outer), &bytes, &types, expected);
}

#[test]
fn enums_are_named() {
    let mut types = TypeTable::default();
    let variants = vec![("A".to_owned(), 1), ("B".to_owned(), -1)];
    let id = types.add_enum(EnumDef { name: "E".to_owned(), int: IntTy::new(4, true), variants });
    check_with(&Ty::Enum(id), &[1, 0, 0, 0], &types, Value::Enum(1, Some("A".to_owned())));
    check_with(&Ty::Enum(id), &[0xff; 4], &types, Value::Enum(-1, Some("B".to_owned())));
    check_with(&Ty::Enum(id), &[5], &types, Value::Enum(5, None));
}

#[test]
fn addresses_and_times() {
    let address = |text: &str, bytes: &[u8]| Value::Address { text: text.to_owned(), bytes: bytes.to_vec() };
    check(&Ty::Ipv4, &[1, 0, 0, 127], address("127.0.0.1", &[127, 0, 0, 1]));
    let mut ipv6 = [0; 16];
    (ipv6[0], ipv6[1], ipv6[15]) = (0x20, 0x01, 1);
    check(&Ty::Ipv6, &ipv6, address("2001::1", &ipv6));
    check(&Ty::Inet, &[2, 0, 0, 0, 10, 0, 0, 1], address("10.0.0.1", &[10, 0, 0, 1]));
    check(&Ty::Inet, &[10], address("::", &[0; 16]));
    check(&Ty::Inet, &[99], address("", &[]));
    let mac = [0, 0x1b, 0xab, 0xcd, 0xef, 0];
    check(&Ty::Mac, &mac[..5], address("00:1B:AB:CD:EF:00", &mac));
    let format = "%Y-%m-%d %H:%M:%S.%f".to_owned();
    let boot = Ty::Timestamp(TimestampTy { format: format.clone(), tai: false });
    check(&boot, &words(&[1_000_002_000]), text("2023-11-14 22:13:21.000002"));
    let tai = Ty::Timestamp(TimestampTy { format, tai: true });
    check(&tai, &words(&[37_000_000_000]), text("1970-01-01 00:00:00.000000"));
}

#[test]
fn symbols_are_names_or_hexadecimal() {
    check(&Ty::Ksym, &words(&[0x1010]), text("vfs_read"));
    check(&Ty::Ksym, &words(&[0x1]), text("0x1"));
    check(&Ty::Ksym, &[], text("0"));
    check(&Ty::Usym, &words(&[0x2008, 7]), text("main"));
    check(&Ty::Usym, &words(&[0x2008, 8]), text("0x2008"));
}

#[test]
fn stacks_in_all_modes() {
    let stack = |user, mode| Ty::Stack(StackTy { user, mode, limit: 3 });
    let lines = |lines: &[&str]| Value::Stack(lines.iter().map(|&line| line.to_owned()).collect());
    let kernel = words(&[0x1010, 0x9, 0, 0x1010]);
    let user = words(&[7, 0x2008, 0x3000, 0x9, 0x2008]);
    for (ty, bytes, expected) in [
        (stack(false, StackMode::Bpftrace), &kernel, lines(&["        vfs_read+16", "        0x9"])),
        (stack(false, StackMode::Perf), &kernel, lines(&["\t1010 vfs_read+16", "\t9 0x9 ([unknown])"])),
        (stack(false, StackMode::Raw), &kernel, lines(&["1010", "9"])),
        (
            stack(true, StackMode::Bpftrace),
            &user,
            lines(&[
                "        main+8@src/main.c:3",
                "        [inlined] inner",
                "        [inlined] middle",
                "        outer+0",
                "        0x9",
            ]),
        ),
        (
            stack(true, StackMode::Perf),
            &user,
            lines(&[
                "\t2008 main+8 (/bin/app)",
                "\t3000 inner (inlined)",
                "\t3000 middle (inlined)",
                "\t3000 outer+0 (/lib/it.so)",
                "\t9 0x9 ([unknown])",
            ]),
        ),
        (stack(true, StackMode::Raw), &user, lines(&["2008", "3000", "9"])),
        (stack(true, StackMode::BuildId), &user, lines(&["abcd 0x2008", "3000", "9"])),
    ] {
        check(&ty, bytes, expected);
    }
    check(&stack(true, StackMode::Bpftrace), &[], lines(&[]));
}
