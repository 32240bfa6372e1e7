use super::*;
use crate::clock::Zone;
use crate::clock::tests::Fixed;
use crate::fake::Memory;
use crate::output::Format;
use crate::symbols::tests::Table;
use codegen::Target;
use codegen::failure::{Failure, FailureKind};
use codegen::helpers::Helper;
use codegen::manifest::{Globals, Storage};
use lang::FileId;
use lang::hir::{self, Action, Config, Conversion, Map, MapKind, Piece, Width};
use lang::source::{Sources, Span};
use lang::ty::Agg;
use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

/// A writer that the test can look at, and that can be closed at the other end.
#[derive(Clone, Default)]
struct Pipe {
    bytes: Rc<RefCell<Vec<u8>>>,
    closed: bool,
}

impl Pipe {
    fn take(&self) -> String {
        String::from_utf8(self.bytes.take()).unwrap()
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed { Err(io::ErrorKind::BrokenPipe.into()) } else { self.bytes.borrow_mut().write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A script with two maps and one action of each kind; ids are the places in this list.
fn manifest() -> Manifest {
    let span = Span::default();
    let map = |name: &str, key, value, storage, full| MapEntry {
        map: Map { name: name.to_owned(), key, value, kind: MapKind::Hash, max_entries: 4, span },
        storage,
        full,
    };
    let keyed = Storage::Keyed { map: "kernel_b".to_owned(), short: None, per_cpu: true };
    let maps = vec![
        map("@b", Some(Ty::U8), Ty::Agg(Agg::Count), keyed, Some(24)),
        map("@a", None, Ty::I64, Storage::Global { offset: 0, set: 8 }, None),
    ];
    let conversion = |letter: &str, length| {
        Piece::Conversion(Conversion {
            left: false,
            plus: false,
            space: false,
            alternate: false,
            zero: false,
            width: Width::None,
            precision: None,
            length,
            letter: letter.to_owned(),
        })
    };
    let text = |text: &str| Piece::Text(text.to_owned());
    let format = hir::Format { pieces: vec![conversion("d", 4), text(" "), conversion("s", 4), text("\n")] };
    let actions = [
        (ActionKind::Printf(format), vec![Ty::I32, Ty::Str(16)]),
        (ActionKind::PrintValue, vec![Ty::Tuple(vec![Ty::U8, Ty::Str(8)])]),
        (ActionKind::PrintMap(MapId(0)), vec![Ty::I8]),
        (ActionKind::PrintMap(MapId(1)), vec![]),
        (ActionKind::PrintEntry(MapId(0)), vec![Ty::U8]),
        (ActionKind::PrintEntry(MapId(0)), vec![Ty::U8, Ty::I64]),
        (ActionKind::Clear(MapId(0)), vec![]),
        (ActionKind::Zero(MapId(0)), vec![]),
        (ActionKind::Exit, vec![Ty::I32]),
        (ActionKind::Time("%H:%M:%S\n".to_owned()), vec![]),
        (ActionKind::Join(",".to_owned()), vec![Ty::Buf(64)]),
        (ActionKind::Clear(MapId(9)), vec![]),
    ];
    Manifest {
        version: codegen::manifest::VERSION,
        target: Target::portable(),
        programs: Vec::new(),
        maps,
        actions: actions.map(|(kind, args)| Action { kind, args, span }).into(),
        failures: Vec::new(),
        types: TypeTable::default(),
        config: Config::default(),
        sources: Sources::default(),
        globals: Globals { lost: Some(16), bss_size: 32, ..Globals::default() },
    }
}

struct Run {
    dispatcher: Dispatcher,
    memory: Memory,
    stdout: Pipe,
    stderr: Pipe,
}

impl Run {
    fn new(manifest: Manifest, closed: bool) -> Self {
        let (stdout, stderr) = (Pipe { closed, ..Pipe::default() }, Pipe::default());
        let output = Output::new(Format::Text, Box::new(stdout.clone()), Box::new(stderr.clone()));
        let clock = Fixed { now: 3_723_000_000_000, zone: Zone::utc() };
        let dispatcher = Dispatcher::new(manifest, output, Box::new(Table), Box::new(clock));
        let count = |n: u64| vec![n.to_le_bytes().to_vec(), 1u64.to_le_bytes().to_vec()];
        let maps = [("kernel_b".to_owned(), [(vec![1], count(9)), (vec![2], count(4))].into())].into();
        let memory = Memory { bss: vec![0; 32], maps, ..Memory::default() };
        Run { dispatcher, memory, stdout, stderr }
    }

    fn send(&mut self, id: u64, args: &[u8]) {
        self.memory.records.push([&id.to_le_bytes(), args].concat());
    }

    fn drain(&mut self) -> String {
        self.dispatcher.drain(&mut self.memory).unwrap();
        self.stdout.take()
    }
}

#[test]
fn records_become_output() {
    for (id, args, expected) in [
        (0, &b"\xfb\xff\xff\xffhi\0"[..], "-5 hi\n"),
        (0, b"\x07\0\0\0", "7 \n"),
        (1, b"\x01ab", "(1, ab)\n"),
        (2, b"\x00", "@b[2]: 5\n@b[1]: 10\n"),
        (2, b"\x01", "@b[1]: 10\n"),
        (3, b"", "@a: 0\n"),
        (4, b"\x02", "5\n"),
        (4, b"\x03", "0\n"),
        (5, b"\x02\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0", "7\n"),
        (9, b"", "01:02:03\n"),
        (10, b"\x0a\0\0\0/bin/ls\0a\0", "/bin/ls,a\n"),
        (10, b"\x00\0\0\0", "\n"),
    ] {
        let mut run = Run::new(manifest(), false);
        run.send(id, args);
        assert_eq!(run.drain(), expected, "action {id} with {args:?}");
    }
}

#[test]
fn actions_on_maps_keep_their_place_among_the_others() {
    let mut run = Run::new(manifest(), false);
    for (id, args) in [(9, &b""[..]), (2, b"\0"), (7, b""), (2, b"\0"), (9, b""), (6, b""), (2, b"\0")] {
        run.send(id, args);
    }
    let expected = "01:02:03\n@b[2]: 5\n@b[1]: 10\n@b[1]: 0\n@b[2]: 0\n01:02:03\n";
    assert_eq!(run.drain(), expected);
}

#[test]
fn the_first_exit_counts_and_what_follows_is_dropped() {
    let mut run = Run::new(manifest(), false);
    assert_eq!(run.dispatcher.exit_code(), None);
    run.send(8, &300i32.to_le_bytes());
    run.send(9, b"");
    run.send(8, &7i32.to_le_bytes());
    assert_eq!(run.drain(), "");
    assert_eq!(run.dispatcher.exit_code(), Some(44));
}

#[test]
fn records_that_make_no_sense_are_errors() {
    for (record, expected) in [
        (&b"\x01\0\0"[..], "a record of 3 bytes has no action"),
        (&[0xff; 8], "a record asks for action 18446744073709551615, which does not exist"),
        (b"\x63\0\0\0\0\0\0\0", "a record asks for action 99, which does not exist"),
        (b"\0\0\0\0\0\0\0\0\x01\0", "a record for action 0 has 10 bytes instead of 12"),
        (b"\x08\0\0\0\0\0\0\0\x01", "a record for action 8 has 9 bytes instead of 12"),
        (b"\x0b\0\0\0\0\0\0\0", "an action names map @m9, which does not exist"),
    ] {
        let mut run = Run::new(manifest(), false);
        run.memory.records.push(record.to_vec());
        let error = run.dispatcher.drain(&mut run.memory).unwrap_err();
        assert_eq!(error.message, expected);
    }
}

#[test]
fn losses_are_reported_once() {
    let mut run = Run::new(manifest(), false);
    let mut report = |lost: u8, full: u8| {
        (run.memory.bss[16], run.memory.bss[24]) = (lost, full);
        run.dispatcher.report_losses(&mut run.memory).unwrap();
        assert_eq!(run.stdout.take(), "");
        run.stderr.take().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let full = |updates: &str| format!("WARNING: map @b is full, it holds 4 keys: {updates} refused");
    let hint = "HINT: raise max_map_keys, or declare the map's size: `let @b = hash(8)`".to_owned();
    assert_eq!(report(0, 0), Vec::<String>::new());
    assert_eq!(report(3, 0), ["Lost 3 events"]);
    assert_eq!(report(3, 1), [full("1 update was"), hint.clone()]);
    assert_eq!(report(3, 1), Vec::<String>::new());
    assert_eq!(report(5, 9), ["Lost 2 events".to_owned(), full("8 updates were"), hint]);
}

#[test]
fn the_end_prints_what_waits_and_then_all_maps_by_name() {
    let mut run = Run::new(manifest(), false);
    (run.memory.bss[0], run.memory.bss[8]) = (5, 1);
    run.send(9, b"");
    run.dispatcher.finish(&mut run.memory).unwrap();
    assert_eq!(run.stdout.take(), "01:02:03\n\n\n@a: 5\n@b[2]: 5\n@b[1]: 10\n");

    let mut run = Run::new(manifest(), false);
    run.send(6, b"");
    run.dispatcher.finish(&mut run.memory).unwrap();
    assert_eq!(run.stdout.take(), "\n\n");

    let config = Config { print_maps_on_exit: false, ..Config::default() };
    let mut run = Run::new(Manifest { config, ..manifest() }, false);
    run.dispatcher.finish(&mut run.memory).unwrap();
    assert_eq!(run.stdout.take(), "\n\n");
}

#[test]
fn failures_are_told_at_their_place() {
    let sources = Sources::single("a.bt", "BEGIN { @ = 1 / 0; str(0) }");
    let place = |kind, start, end| Failure { kind, span: Span::new(FileId(0), start, end) };
    let failures = vec![
        place(FailureKind::DivisionByZero, 12, 17),
        place(FailureKind::Helper(Helper::ProbeReadKernelStr), 19, 25),
    ];
    let mut run = Run::new(Manifest { sources, failures, ..manifest() }, false);
    run.send(13, &(-14i64).to_le_bytes());
    (0..102).for_each(|_| run.send(12, &[0; 8]));
    run.dispatcher.finish(&mut run.memory).unwrap();
    let told = run.stderr.take();
    let helper = "a.bt:1:20-26: WARNING: Bad address\n\
                  Additional Info - helper: probe_read_kernel_str, retcode: -14\n\
                  BEGIN { @ = 1 / 0; str(0) }\n                   ~~~~~~\n";
    assert!(told.starts_with(helper), "{told}");
    assert_eq!(told.matches("a.bt:1:13-18: WARNING: Divide or modulo by 0").count(), 101);
    assert_eq!(told.matches("(2 more times, not shown one by one)\n").count(), 1);

    run.send(14, &[0; 8]);
    let error = run.dispatcher.drain(&mut run.memory).unwrap_err();
    assert_eq!(error.message, "a record asks for action 14, which does not exist");
}

#[test]
fn the_number_of_probes_is_said_on_stderr() {
    let mut run = Run::new(manifest(), false);
    run.dispatcher.attached(2).unwrap();
    assert_eq!((run.stdout.take(), run.stderr.take()), (String::new(), "Attached 2 probes\n".to_owned()));
}

#[test]
fn a_reader_that_is_gone_ends_the_run_in_silence() {
    let mut run = Run::new(manifest(), true);
    run.send(9, b"");
    run.dispatcher.drain(&mut run.memory).unwrap();
    assert_eq!(run.dispatcher.exit_code(), Some(0));
    run.send(2, b"\0");
    run.dispatcher.finish(&mut run.memory).unwrap();
    assert_eq!(run.stderr.take(), "");
}
