//! Tests of the whole back end: code for small functions as listings, and random functions whose
//! code must compute what the IR says.

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
    bpf::Module { functions, maps: module.maps.clone(), accesses: module.accesses.clone(), globals }
}

fn listing(text: &str, isa: Isa) -> String {
    let module = parse(text).expect("well-formed IR");
    bpf::text::print(&emit_for(&module, isa), &Sources::default())
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
    let n_seeds = std::env::var("SEEDS").map_or(200, |it| it.parse().unwrap());
    let first = std::env::var("FIRST").map_or(0, |it| it.parse().unwrap());
    for seed in first..first + n_seeds {
        check_random(seed);
    }
}

#[test]
fn stats() {
    let (mut insns, mut spill, mut blocks, mut calls) = (0, 0, 0, 0);
    for seed in 0..100 {
        let m = random::module(seed);
        let c = emit_for(&m, Isa::V4);
        blocks += m.functions.iter().map(|f| f.blocks.len()).sum::<usize>();
        for f in &c.functions {
            insns += f.insns.len();
            spill += f
                .insns
                .iter()
                .filter(|i| i.code == 0x7b && i.dst.0 == 10 || i.code == 0x79 && i.src.0 == 10)
                .count();
            calls += f.insns.iter().filter(|i| i.code == 0x85).count();
        }
    }
    println!("insns {insns} stack accesses {spill} blocks {blocks} calls {calls}");
    let m = random::module(7);
    println!("{}", bpf::text::print(&emit_for(&m, Isa::V4), &Sources::default()));
}
