//! Programs that follow one another and go on with each other's maps, on the user-space machine.

use codegen::target::KernelVersion;
use kscope_tests::cases::{FixtureClock, FixtureSymbols, Shared, target};
use kscope_tests::fixture::FixtureHost;
use kscope_tests::machine::{Input, Machine};
use lang::attach::{Point, Target};
use lang::probes::ProbeKind;
use lang::sema::{KnownMaps, Options};
use lang::{FileId, Sources, diagnostic, hir};
use runtime::backend::{Backend, Constants};
use runtime::dispatch::Dispatcher;
use runtime::kept::KeptMaps;
use runtime::output::{Format, Output};

const CPUS: usize = 2;

/// What `kscope repl` keeps from one entry to the next.
#[derive(Default)]
struct Prompt {
    kept: KeptMaps,
    known: KnownMaps,
}

impl Prompt {
    /// Runs a script whose `kprobe:vfs_read`, if it has one, fires once on each of `cpus`. Checks what
    /// a user sees: diagnostics, else what was lost of the maps and what the script prints.
    #[track_caller]
    fn enter(&mut self, script: &str, cpus: &[usize], expected: &str) {
        let seen = match self.typed(script) {
            Ok(program) => self.run(&program, cpus),
            Err(diagnostics) => diagnostics,
        };
        assert_eq!(seen.trim(), expected.trim(), "{script}");
    }

    fn typed(&self, script: &str) -> Result<hir::Program, String> {
        let mut sources = Sources::single("case.bt", script);
        let parsed = lang::parse::parse(script, FileId(0));
        let (script, _) = lang::expand::expand(parsed.script, &mut sources, &FixtureHost);
        let options = Options { known: self.known.clone(), ..Options::default() };
        let (program, found) = lang::sema::analyze(&script, &sources, &options, &FixtureHost);
        program.ok_or_else(|| found.iter().map(|it| diagnostic::render(it, &sources)).collect())
    }

    fn run(&mut self, program: &hir::Program, cpus: &[usize]) -> String {
        let object = codegen::compile(program, &target(KernelVersion(6, 12))).expect("the script compiles");
        let (manifest, stdout) = (&object.manifest, Shared::default());
        let output = Output::new(Format::Text, Box::new(stdout.clone()), Box::new(stdout.clone()));
        let mut dispatcher =
            Dispatcher::new(manifest.clone(), output, Box::new(FixtureSymbols), Box::new(FixtureClock));
        let mut machine = Machine::new(CPUS);
        machine.load(&object, Constants::default()).expect("the object loads");
        let losses = self.kept.restore(manifest, &mut machine).expect("maps can be filled");

        let begins = manifest
            .programs
            .iter()
            .enumerate()
            .filter(|(_, it)| it.points.iter().any(|point| point.kind == ProbeKind::Begin));
        begins.for_each(|(idx, _)| machine.run(idx).expect("begin runs"));
        for plan in machine.plan(&object).expect("every point can be attached") {
            machine.attach(&plan).expect("every point can be attached");
        }
        let target = Target::Function { module: None, name: "vfs_read".to_owned(), offset: 0 };
        let point = Point { kind: ProbeKind::Kprobe, target };
        for &cpu in cpus {
            machine.world.cpu = cpu;
            machine.fire(&point, &Input::Bytes(&[0; 168])).expect("the program runs");
        }
        dispatcher.finish(&mut machine).expect("maps can be read");
        self.kept.save(manifest, &mut machine).expect("maps can be read");
        self.known.learn(program);
        self.known.maps.retain(|it| self.kept.contains(&it.name));
        losses.join("\n") + "\n" + stdout.text().trim_start()
    }
}

#[test]
fn values_go_on() {
    let mut prompt = Prompt::default();
    let script = "kprobe:vfs_read { @n++; @by[cpu]++; @last = cpu; }";
    prompt.enter(script, &[0, 1, 1], "@by[0]: 1\n@by[1]: 2\n@last: 1\n@n: 3");
    prompt.enter(script, &[0], "@by[0]: 2\n@by[1]: 2\n@last: 0\n@n: 4");
}

#[test]
fn aggregations_go_on_on_each_cpu() {
    let mut prompt = Prompt::default();
    let script = "kprobe:vfs_read { @c = count(); @by[cpu] = count(); @low = min(cpu + 3); \
                  @mean = avg(cpu * 10); @s = stats(cpu); @t[1] = sum(cpu); }";
    prompt.enter(
        script,
        &[0, 1, 1],
        "@by[0]: 1\n@by[1]: 2\n@c: 3\n@low: 3\n@mean: 6\n@s: { .count = 3, .average = 0, .total = 2 }\n@t[1]: 2",
    );
    prompt.enter(
        script,
        &[1, 1],
        "@by[0]: 1\n@by[1]: 4\n@c: 5\n@low: 3\n@mean: 8\n@s: { .count = 5, .average = 0, .total = 4 }\n@t[1]: 4",
    );
}

#[test]
fn histograms_go_on() {
    let mut prompt = Prompt::default();
    let script = "kprobe:vfs_read { @h[1] = hist(cpu + 4); @l = lhist(cpu, 0, 4, 2); }";
    let bar = "@".repeat(52);
    let expected =
        |n| format!("@h[1]:\n[4, 8)                 {n} |{bar}|\n\n@l:\n[0, 2)                 {n} |{bar}|");
    prompt.enter(script, &[0, 1], &expected(2));
    prompt.enter(script, &[1, 1, 0], &expected(5));
}

#[test]
fn maps_that_are_not_mentioned_stay() {
    let mut prompt = Prompt::default();
    prompt.enter("begin { @a = 1; }", &[], "@a: 1");
    prompt.enter("begin { @b = 2; }", &[], "@b: 2");
    prompt.enter("begin { print(@a + @b); }", &[], "3\n\n\n@a: 1\n@b: 2");
    assert!(prompt.kept.names().eq(["@a", "@b"]));
}

#[test]
fn wider_types_take_what_was_kept() {
    let mut prompt = Prompt::default();
    prompt.enter(
        "begin { @s = \"ab\"; @n = -5; @k[\"x\", 1] = 1; @t = (1, \"a\"); }",
        &[],
        "@k[x, 1]: 1\n@n: -5\n@s: ab\n@t: (1, a)",
    );
    prompt.enter(
        "begin { printf(\"%s %d %s\\n\", @s, @n, @t.1); @s = \"longer\"; @n = @n + 100000; \
         @k[\"a long one\", 70000] = 70000; @t = (70000, \"as long\"); }",
        &[],
        "ab -5 a\n\n\n@k[x, 1]: 1\n@k[a long one, 70000]: 70000\n@n: 99995\n@s: longer\n@t: (70000, as long)",
    );
}

#[test]
fn pointers_stay_typed() {
    let mut prompt = Prompt::default();
    prompt.enter("begin { @task = (struct task_struct *)0; }", &[], "@task: 0x0");
    let program = prompt.typed("begin { @pid = @task->pid; }").expect("the member is known");
    let pid = program.maps.iter().find(|it| it.name == "@pid").expect("the map is used");
    assert_eq!(pid.value, lang::ty::Ty::I32);
}

#[test]
fn other_uses_are_errors() {
    let mut prompt = Prompt::default();
    prompt.enter("begin { @x = 1; @c[1] = count(); }", &[], "@c[1]: 1\n@x: 1");
    prompt.enter(
        "begin { @x = \"a\"; }",
        &[],
        "case.bt:1:14-17: ERROR: `@x` holds `int8`, this is `string[2]`\nbegin { @x = \"a\"; }\n             ~~~\n\
         HINT: it was filled before; use another name, or forget it with `:clear @x`",
    );
    prompt.enter(
        "begin { @x[1] = 1; }",
        &[],
        "case.bt:1:9-14: ERROR: `@x` is used with a key here and without one before\nbegin { @x[1] = 1; }\n        ~~~~~\n\
         HINT: it was filled before; use another name, or forget it with `:clear @x`",
    );
}

#[test]
fn empty_maps_are_forgotten() {
    let mut prompt = Prompt::default();
    prompt.enter("begin { @x = 1; @k[1] = 1; delete(@k[1]); clear(@x); }", &[], "");
    prompt.enter("begin { @x = \"a\"; @k = 2; }", &[], "@k: 2\n@x: a");
}

#[test]
fn declarations_can_change() {
    let mut prompt = Prompt::default();
    prompt.enter(
        "let @m = percpuhash(8); begin { @m[1] = 1; @k[1] = 1; @k[2] = 2; }",
        &[],
        "@k[1]: 1\n@k[2]: 2\n@m[1]: 1",
    );
    prompt.enter(
        "let @m = hash(8); let @k = hash(1); begin { @m[2] = 2; @z = len(@k); }",
        &[],
        "@k now holds 1 of its 2 keys\n@m starts empty: what it held does not fit its new type\n@k[1]: 1\n@m[2]: 2\n@z: 1",
    );
}
