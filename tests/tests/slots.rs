//! Runs of preemptible programs that find others in their way, on the user-space machine.

use codegen::target::KernelVersion;
use kscope_tests::cases::{FixtureClock, FixtureSymbols, Shared, target};
use kscope_tests::fixture::FixtureHost;
use kscope_tests::machine::memory::Kind;
use kscope_tests::machine::{Input, Machine};
use lang::sema::Options;
use lang::{FileId, Sources};
use runtime::backend::{Backend, Constants};
use runtime::dispatch::Dispatcher;
use runtime::output::{Format, Output};

/// What a user sees of a uprobe that runs three times with `held` slots of its CPU taken, and how
/// many slots there are.
fn run_with(held: usize) -> (String, usize) {
    let script = "uprobe:/bin/app:work { @[str(arg0)] = count(); }";
    let sources = Sources::single("case.bt", script);
    let parsed = lang::parse::parse(script, FileId(0));
    let (program, _) = lang::sema::analyze(&parsed.script, &sources, &Options::default(), &FixtureHost);
    let program = program.expect("the script is right");
    let object = codegen::compile(&program, &target(KernelVersion(6, 12))).expect("the script compiles");
    let stdout = Shared::default();
    let output = Output::new(Format::Text, Box::new(stdout.clone()), Box::new(stdout.clone()));
    let (symbols, clock) = (Box::new(FixtureSymbols), Box::new(FixtureClock));
    let mut dispatcher = Dispatcher::new(object.manifest.clone(), output, symbols, clock);
    let mut machine = Machine::new(2);
    machine.load(&object, Constants::default()).expect("the object loads");
    let plans = machine.plan(&object).expect("every point can be attached");
    machine.attach(&plans[0]).expect("every point can be attached");

    let n_slots = machine.hold_slots(held).expect("the program has slots");
    let text = machine.world.memory.add(Kind::User, b"text\0".to_vec());
    let mut registers = vec![0; 168];
    registers[112..120].copy_from_slice(&text.to_le_bytes());
    for _ in 0..3 {
        machine.fire(&plans[0].points[0], &Input::Bytes(&registers)).expect("the program runs");
    }
    dispatcher.finish(&mut machine).expect("maps can be read");
    (stdout.text(), n_slots)
}

#[test]
fn a_run_takes_the_next_free_slot() {
    let (seen, n_slots) = run_with(0);
    assert_eq!((seen.trim(), n_slots), ("@[text]: 3", 63));
    for held in [1, n_slots - 1] {
        assert_eq!(run_with(held).0.trim(), "@[text]: 3");
    }
}

#[test]
fn a_run_without_a_slot_is_a_lost_event() {
    let (_, n_slots) = run_with(0);
    assert_eq!(run_with(n_slots).0.trim(), "Lost 3 events");
}
