//! Tests of the whole back end: what small functions become, and random functions whose code
//! must compute what the IR says.

mod evaluate;
mod random;
mod world;

use super::*;
use crate::ir::text::parse;
use lang::Sources;
use world::{CTX, World};

const ALL: [Isa; 4] = [Isa::V1, Isa::V2, Isa::V3, Isa::V4];

fn emit_for(module: &ir::Module, isa: Isa) -> bpf::Module {
    ir::verify::verify(module).expect("sound IR");
    let functions = module.functions.iter().map(|it| emit_function(module, it, isa)).collect();
    let globals = module.globals.clone();
    bpf::Module {
        functions,
        maps: module.maps.clone(),
        accesses: module.accesses.clone(),
        failures: vec![],
        globals,
    }
}

/// The instructions of a one-function module, one a line, without their numbers.
fn instructions(text: &str, isa: Isa) -> Vec<String> {
    let module = parse(text).expect("well-formed IR");
    let listing = bpf::text::print(&emit_for(&module, isa), &Sources::default());
    let lines = listing.lines().skip(1).filter_map(|it| it.split_once(": "));
    lines.map(|(_, text)| text.to_owned()).collect()
}

const MAPS: &str = "map data: array key 4 value 64 entries 1 flags 0
map counts: hash key 8 value 8 entries 4096 flags 0
access core0: byte_offset 3.2 = 48
";

/// Checks what a body becomes; `v0` and `v1` are numbers.
fn check(isa: Isa, body: &str, expected: &[&str]) {
    let text = format!(
        "{MAPS}function f {{\nslot s0 16 align 8\nb0(v0: i64, v1: i64):\n{}\n}}",
        body.replace("; ", "\n")
    );
    assert_eq!(instructions(&text, isa), expected, "{isa:?}: {body}");
}

#[test]
fn arithmetic_takes_two_operands_and_immediates() {
    let isa = Isa::V3;
    check(isa, "v2 = add v0, v1; return v2", &["r0 = r1", "r0 += r2", "exit"]);
    check(isa, "v2 = const 5; v3 = add v2, v0; return v3", &["r0 = r1", "r0 += 5", "exit"]);
    check(isa, "v2 = const 5; v3 = sub v0, v2; return v3", &["r0 = r1", "r0 += -5", "exit"]);
    check(isa, "v2 = const 5; v3 = sub v2, v0; return v3", &["r0 = 5", "r0 -= r1", "exit"]);
    check(isa, "v2 = const 68; v3 = shl v0, v2; return v3", &["r0 = r1", "r0 <<= 4", "exit"]);
    check(isa, "v2 = const 0; v3 = udiv v0, v2; return v3", &["r0 = 0", "exit"]);
    check(isa, "v2 = const 0; v3 = umod v0, v2; return v3", &["r0 = r1", "exit"]);
    check(isa, "v2 = not v0; v3 = neg v2; return v3", &["r0 = r1", "r0 ^= -1", "r0 = -r0", "exit"]);
    let big = "v2 = const 4294967296; v3 = or v0, v2; return v3";
    check(isa, big, &["r0 = r1", "r5 = 4294967296 ll", "r0 |= r5", "exit"]);
    let field = "v2 = field_offset core0; v3 = add v0, v2; return v3";
    check(isa, field, &["r0 = r1", "r0 += 48 /* core0 */", "exit"]);
}

#[test]
fn instruction_sets_differ() {
    let sext = "v2 = sext16 v0; return v2";
    check(Isa::V4, sext, &["r0 = (s16)r1", "exit"]);
    check(Isa::V3, sext, &["r0 = r1", "r0 <<= 48", "r0 s>>= 48", "exit"]);
    let zext = "v2 = zext32 v0; return v2";
    check(Isa::V3, zext, &["w0 = w1", "exit"]);
    check(Isa::V2, zext, &["r0 = r1", "r0 <<= 32", "r0 >>= 32", "exit"]);
    let swap = "v2 = bswap32 v0; return v2";
    check(Isa::V4, swap, &["r0 = r1", "r0 = bswap32 r0", "exit"]);
    check(Isa::V3, swap, &["r0 = r1", "r0 = be32 r0", "exit"]);
    check(Isa::V4, "v2 = sdiv v0, v1; return v2", &["r0 = r1", "r0 s/= r2", "exit"]);
    let narrow = "v2 = mul v0, v1; v3 = zext32 v2; return v3";
    check(Isa::V3, narrow, &["r0 = r1", "w0 *= w2", "exit"]);
    let less = "v2 = compare ult v0, v1; return v2";
    check(Isa::V2, less, &["r0 = 1", "if r1 < r2 goto 3", "r0 = 0", "exit"]);
    check(Isa::V1, less, &["r0 = 0", "if r1 >= r2 goto 3", "r0 = 1", "exit"]);
}

#[test]
fn accesses_take_offsets() {
    let isa = Isa::V4;
    let slot = "v2 = slot_addr s0; v3 = const 8; v4 = ptr_add v2, v3; store.32 v4+4, v0; \
                v5 = load.s32 v4+4; return v5";
    check(isa, slot, &["*(u32 *)(r10 - 4) = r1", "r0 = *(s32 *)(r10 - 4)", "exit"]);
    let immediate = "v2 = slot_addr s0; v3 = const -1; store.64 v2+0, v3; store.8 v2+8, v3; return v3";
    check(isa, immediate, &["*(u64 *)(r10 - 16) = -1", "*(u8 *)(r10 - 8) = -1", "r0 = -1", "exit"]);
    let global = "v2 = map_value_addr data+8; v3 = load.u64 v2+0; v4 = add v3, v0; store.64 v2+0, v4; \
                  v5 = map_value_addr data+16; atomic_add.64 v5+0, v1; return v3";
    let expected = [
        "r5 = data+0 ll",
        "r0 = *(u64 *)(r5 + 8)",
        "r1 += r0",
        "*(u64 *)(r5 + 8) = r1",
        "lock *(u64 *)(r5 + 16) += r2",
        "exit",
    ];
    check(isa, global, &expected);
    let fetch = "v2 = map_value_addr data+0; v3 = atomic_fetch_add.64 v2+0, v0; return v3";
    let expected = ["r0 = r1", "r5 = data+0 ll", "r0 = atomic_fetch_add((u64 *)(r5 + 0), r0)", "exit"];
    check(isa, fetch, &expected);
    let swap = "v2 = map_value_addr data+0; v3 = atomic_swap.64 v2+0, v0; return v3";
    let expected = ["r0 = r1", "r5 = data+0 ll", "r0 = xchg((u64 *)(r5 + 0), r0)", "exit"];
    check(isa, swap, &expected);
}

#[test]
fn branches_compare() {
    let branch =
        |test: &str| format!("{test}, b1, b2; b1:; v8 = const 1; return v8; b2:; v9 = const 2; return v9");
    let both = |jump| [jump, "r0 = 1", "exit", "r0 = 2", "exit"];
    let isa = Isa::V3;
    check(isa, &branch("branch slt v0, v1"), &both("if r1 s>= r2 goto 3"));
    check(isa, &branch("v2 = const 7; branch ult v2, v0"), &both("if r1 <= 7 goto 3"));
    let fused = "v2 = const 0; v3 = compare eq v0, v1; branch eq v3, v2";
    check(isa, &branch(fused), &both("if r1 == r2 goto 3"));
    let test = ["if r1 & 64 goto 2", "goto 4", "r0 = 1", "exit", "r0 = 2", "exit"];
    check(isa, &branch("v2 = const 64; v3 = and v0, v2; v4 = const 0; branch ne v3, v4"), &test);
    let wide = "v2 = zext32 v0; v3 = const 4294967295; branch eq v2, v3";
    check(isa, &branch(wide), &["w0 = w1", "if w0 != -1 goto 4", "r0 = 1", "exit", "r0 = 2", "exit"]);
}

#[test]
fn a_look_up_needs_few_moves() {
    let text = format!(
        "{MAPS}function probe0 probe 0 {{
            slot s0 8 align 8
            slot s1 8 align 8
        b0(v0: ctx):
            v1 = call get_current_pid_tgid()
            v2 = const 32
            v3 = lshr v1, v2
            v4 = slot_addr s0
            store.64 v4+0, v3
            v5 = map_addr counts
            v6 = call map_lookup_elem(v5, v4)
            v7 = const 0
            branch eq v6, v7, b2, b1
        b1:
            v8 = non_null v6
            v9 = const 1
            atomic_add.64 v8+0, v9
            jump b3
        b2:
            v10 = slot_addr s1
            v11 = load.u64 v0+16
            store.64 v10+0, v11
            v12 = call map_update_elem(v5, v4, v10, v7)
            jump b3
        b3:
            return v7
        }}"
    );
    let expected = [
        "r6 = r1",
        "call bpf_get_current_pid_tgid",
        "r0 >>= 32",
        "*(u64 *)(r10 - 8) = r0",
        "r1 = map counts ll",
        "r2 = r10",
        "r2 += -8",
        "call bpf_map_lookup_elem",
        "if r0 == 0 goto 14",
        "r5 = 1",
        "lock *(u64 *)(r0 + 0) += r5",
        "r0 = 0",
        "exit",
        "r0 = *(u64 *)(r6 + 16)",
        "*(u64 *)(r10 - 16) = r0",
        "r1 = map counts ll",
        "r2 = r10",
        "r2 += -8",
        "r3 = r10",
        "r3 += -16",
        "r4 = 0",
        "call bpf_map_update_elem",
        "r0 = 0",
        "exit",
    ];
    assert_eq!(instructions(&text, Isa::V3), expected);
}

#[test]
fn a_loop_stays_in_registers() {
    let body = "v2 = const 0; jump b1(v2, v1); b1(v3: i64, v4: i64):; loop_guard b2, b4; b2:; \
                v5 = add v4, v3; v6 = const 1; v7 = add v3, v6; branch ult v7, v0, b3, b4; b3:; \
                jump b1(v7, v5); b4:; return v4";
    let expected = [
        "r0 = r2",
        "r5 = 0",
        "may_goto 9",
        "r4 = r0",
        "r4 += r5",
        "r5 += 1",
        "if r5 >= r1 goto 9",
        "r0 = r4",
        "goto 2",
        "exit",
    ];
    check(Isa::V3, body, &expected);
}

#[test]
fn a_loop_tests_at_its_end() {
    let body = "v2 = const 0; jump b1(v2); b1(v3: i64):; branch ult v3, v0, b2, b3; b2:; \
                v4 = add v3, v1; jump b1(v4); b3:; return v3";
    let expected = ["r0 = 0", "if r0 >= r1 goto 4", "r0 += r2", "if r0 < r1 goto 2", "exit"];
    check(Isa::V3, body, &expected);
}

#[test]
fn loads_stay_out_of_loops_that_do_not_use_them() {
    // Eight values outlive the calls of the loop, which uses three of them.
    let values = ["v30", "v31", "v32", "v33", "v34"];
    let calls: String = values.iter().map(|it| format!("{it} = call ktime_get_ns()\n")).collect();
    let sums: String = (0..5).map(|it| format!("v{} = add v{}, v3{it}\n", 41 + it, 40 + it)).collect();
    let text = format!(
        "function f {{\nb0(v0: i64):\n{calls}v1 = const 0\njump b1(v1, v1)
        b1(v2: i64, v3: i64):\nv4 = const 9\nbranch ult v2, v4, b2, b3
        b2:\nv5 = call get_prandom_u32()\nv6 = xor v5, v0\nv7 = add v3, v6\nv8 = const 1\nv9 = add v2, v8
        jump b1(v9, v7)\nb3:\nv40 = add v3, v0\n{sums}return v45\n}}"
    );
    let lines = instructions(&text, Isa::V3);
    let start = lines.iter().position(|it| it == "call bpf_get_prandom_u32").expect("the loop's call");
    let test = lines[start..].iter().position(|it| it.starts_with("if")).expect("the loop's test");
    let from_stack = |it: &&String| it.contains("(r10");
    assert_eq!(lines[start..start + test].iter().find(from_stack), None, "{lines:#?}");
    assert!(lines[start + test..].iter().any(|it| it.contains("(r10")), "{lines:#?}");
}

#[test]
fn slots_that_are_never_live_at_once_share_memory() {
    let call = |slot, value| {
        format!(
            "v{slot}0 = slot_addr s{slot}\nstore.64 v{slot}0+0, {value}\nv{slot}1 = call send_signal(v{slot}0)\n"
        )
    };
    let text = |first: &str, second: &str| {
        let slots = "slot s0 200 align 8\nslot s1 200 align 8\nslot s2 200 align 8";
        format!(
            "function probe0 probe 0 {{\n{slots}\nb0(v9: i64):\n{first}{second}{}return v9\n}}",
            call(2, "v9")
        )
    };
    let apart = parse(&text(&call(0, "v9"), &call(1, "v9"))).expect("well-formed IR");
    assert_eq!(emit(&apart, &Target::portable()).expect("it fits").functions[0].stack, 200);
    let mixed = call(1, "v9").replace("send_signal(v10)", "get_current_comm(v00, v9)");
    let two = parse(&text(&call(0, "v9"), &mixed)).expect("well-formed IR");
    assert_eq!(emit(&two, &Target::portable()).expect("it fits").functions[0].stack, 400);
    let all = call(2, "v9").replace("send_signal(v20)", "probe_read_user(v00, v10, v20)");
    let three = parse(&text(&call(0, "v9"), &call(1, "v9")).replace(&call(2, "v9"), &all));
    let diagnostics = emit(&three.expect("well-formed IR"), &Target::portable()).unwrap_err();
    assert_eq!(diagnostics[0].message, "the program needs 600 bytes of stack, eBPF has 512");
}

#[test]
fn stacks_and_frames_add_up_over_calls() {
    let function = |name: &str, size: u32, calls: &str| {
        format!(
            "function {name} {{\nslot s0 {size} align 8\nb0(v0: i64):\nv1 = slot_addr s0\n\
             v2 = call send_signal(v1)\n{calls}return v0\n}}\n"
        )
    };
    let program = |size, calls: &str| function("probe0 probe 0", size, calls);
    let wrong = |text: &str| {
        let module = parse(text).expect("well-formed IR");
        let diagnostics = emit(&module, &Target::portable()).err().unwrap_or_default();
        diagnostics.into_iter().map(|it| (it.message, it.labels.len())).collect::<Vec<_>>()
    };
    // Each is counted in steps of 32 bytes.
    let small = function("small", 8, "");
    let two = |size| program(size, "call f1(v0)\ncall f2(v0)\n") + &small + &function("large", 248, "");
    assert_eq!(wrong(&two(256)), []);
    let message = "the program needs 544 bytes of stack, eBPF has 512".to_owned();
    assert_eq!(wrong(&two(264)), [(message, 1)]);
    let chain = |n: u32| {
        let callers = (1..n).map(|it| function(&format!("f{it}"), 8, &format!("call f{}(v0)\n", it + 1)));
        program(8, "call f1(v0)\n") + &callers.collect::<String>() + &function("last", 8, "")
    };
    assert_eq!(wrong(&chain(7)), []);
    let message = "the program calls more than 8 functions deep".to_owned();
    assert_eq!(wrong(&chain(8)), [(message, 8)]);
}

fn check_random(seed: u64) {
    let module = random::module(seed);
    let mut expected = World::new(seed, 0);
    let result = evaluate::run_ir(&module, 0, &[CTX], &mut expected, 0);
    for isa in ALL {
        let code = emit_for(&module, isa);
        let mut world = World::new(seed, 0x5a);
        let text = || {
            let sources = Sources::default();
            format!("{}\n{}", ir::text::print(&module, &sources), bpf::text::print(&code, &sources))
        };
        let got = evaluate::run_code(&code, 0, &[CTX], &mut world, 0);
        assert_eq!(got, result, "seed {seed}, {isa:?}\n{}", text());
        assert_eq!(world.outcome(), expected.outcome(), "seed {seed}, {isa:?}\n{}", text());
    }
}

#[test]
fn code_computes_what_the_ir_says() {
    (0..100).for_each(check_random);
}

#[test]
fn passes_keep_what_functions_compute() {
    for seed in 0..200 {
        let module = random::module(seed);
        let mut expected = World::new(seed, 0);
        let result = evaluate::run_ir(&module, 0, &[CTX], &mut expected, 0);
        let optimized = crate::opt::optimize(module.clone(), &Target::portable());
        let mut world = World::new(seed, 0);
        let got = evaluate::run_ir(&optimized, 0, &[CTX], &mut world, 0);
        let text = || {
            let sources = Sources::default();
            format!("{}\n{}", ir::text::print(&module, &sources), ir::text::print(&optimized, &sources))
        };
        assert_eq!(got, result, "seed {seed}\n{}", text());
        assert_eq!(world.outcome(), expected.outcome(), "seed {seed}\n{}", text());
    }
}
