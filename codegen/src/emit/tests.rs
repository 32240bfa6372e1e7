//! Tests of the whole back end: code for small functions as listings, and random functions whose
//! code must compute what the IR says.

use super::*;
use crate::ir::text::parse;
use lang::Sources;

fn listing(text: &str, isa: Isa) -> String {
    let module = parse(text).expect("well-formed IR");
    ir::verify::verify(&module).expect("sound IR");
    let target = Target { isa, ..Target::portable() };
    let code = emit(&module, &target).expect("code");
    bpf::text::print(&code, &Sources::default())
}

#[test]
fn show() {
    let text = "map counts: hash key 8 value 8 entries 4096 flags 0
function probe0 probe 0 {
    slot s0 8 align 8
    slot s1 8 align 8
b0(v0: ctx):
    v1 = call get_current_pid_tgid()
    v10 = const 32
    v11 = lshr v1, v10
    v12 = zext32 v11
    v2 = slot_addr s0
    store.64 v2+0, v12
    v3 = map_addr counts
    v4 = call map_lookup_elem(v3, v2)
    v5 = const 0
    branch eq v4, v5, b2, b1
b1:
    v6 = non_null v4
    v7 = const 1
    atomic_add.64 v6+0, v7
    jump b4
b2:
    v8 = slot_addr s1
    v9 = const 1
    store.64 v8+0, v9
    v13 = call map_update_elem(v3, v2, v8, v9)
    branch slt v13, v5, b3, b4
b3:
    v14 = load.u64 v0+16
    v15 = compare ult v14, v13
    jump b5(v15)
b4:
    jump b5(v5)
b5(v20: i64):
    return v20
}
";
    println!("{}", listing(text, Isa::V3));
    println!("{}", listing(text, Isa::V1));
}
