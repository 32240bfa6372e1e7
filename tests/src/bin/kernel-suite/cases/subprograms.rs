//! Functions of scripts: the kernel's verifier takes them, and they compute what they say.

use crate::harness::{Case, Need, Outcome, find_program};
use crate::tracer::{run, wait, work};
use std::process::Command;

/// The cases.
pub const CASES: &[Case] = &[
    Case { name: "functions of every width, with strings, from two probes", needs: &[], run: widths },
    Case { name: "functions in functions, with memory of their own", needs: &[], run: nested },
    Case { name: "functions that read kernel structs", needs: &[], run: pointers },
    Case { name: "exit in a function ends the program", needs: &[], run: exits },
    Case { name: "bpftool loads functions", needs: &[Need::Program("bpftool")], run: bpftool },
    Case { name: "llvm-objdump shows functions", needs: &[Need::Program("llvm-objdump")], run: objdump },
];

/// Each is too much to be inlined, and called more than once.
const WIDTHS: &str = r#"
fn less8($x: int8): int8 { @seen = count(); if ($x == -128) { @edge++; } return $x - 1; }
fn lessu8($x: uint8): uint8 { @seen = count(); if ($x == 0) { @edge++; } return $x - 1; }
fn less16($x: int16): int16 { @seen = count(); if ($x == -32768) { @edge++; } return $x - 1; }
fn lessu16($x: uint16): uint16 { @seen = count(); if ($x == 0) { @edge++; } return $x - 1; }
fn less32($x: int32): int32 { @seen = count(); if ($x == -2147483648) { @edge++; } return $x - 1; }
fn lessu32($x: uint32): uint32 { @seen = count(); if ($x == 0) { @edge++; } return $x - 1; }
fn less64($x: int64): int64 { @seen = count(); if ($x == -1) { @edge++; } return $x - 1; }
fn lessu64($x: uint64): uint64 { @seen = count(); if ($x == 0) { @edge++; } return $x - 1; }
fn many($a: int8, $b: uint8, $c: int16, $d: uint16, $e: int32, $f: uint32, $g: int64, $h: bool): int64 {
    @seen = count();
    return $a + $b + $c + $d + $e + $f + $g + $h;
}
fn label($who: string[16], $n: int64, $at: (int64, string[8])): string[32] {
    @seen = count();
    if ($n < 0) { return $at.1; }
    return $n == 0 ? "nothing" : $who;
}
fn all($by: int64) {
    printf("%d %d %d %d\n", less8((int8)(-128 + $by)), lessu8((uint8)$by),
        less16((int16)(-32768 + $by)), lessu16((uint16)$by));
    printf("%d %u %lld %llu\n", less32((int32)(-2147483648 + $by)), lessu32((uint32)$by),
        less64($by - 1), lessu64((uint64)$by));
    printf("%lld\n", many(-1, 255, -2, 65535, -3, 4294967295, $by, true));
    printf("%s %s %s\n", label(comm, $by, (1, "at")), label(comm, $by - 1, (2, "below")),
        label("x", -$by, (3, "above")));
}
BEGIN { all(0); all(1); }
tracepoint:raw_syscalls:sys_enter /pid == cpid && args.id == 110 && @done == 0/ { @done = 1; all(1); }
"#;

const WIDTHS_OUTPUT: &str = "\
127 255 32767 65535
2147483647 4294967295 -2 18446744073709551615
4295033080
nothing below nothing
-128 0 -32768 0
-2147483648 0 -1 0
4295033081
kscope nothing above
-128 0 -32768 0
-2147483648 0 -1 0
4295033081
kernel-suite nothing above
";

fn widths() -> Outcome {
    let seen = run(&["-e", WIDTHS, "-c", &work("getppid 3")])?;
    seen.expect(seen.code == 0 && seen.stdout.starts_with(WIDTHS_OUTPUT), WIDTHS_OUTPUT)?;
    // Twelve calls in each round; eight edges in the first, none later.
    seen.expect(seen.map("@seen") == Some("36"), "@seen: 36")?;
    seen.expect(seen.map("@edge") == Some("8"), "@edge: 8")
}

/// Three deep, each with a string in scratch memory that the others must leave alone.
const NESTED: &str = r#"
fn outer($n: int64, $s: string[64]): string[64] {
    $mine = $s;
    $theirs = middle($n + 1, "of middle");
    @[$n] = ($mine, $theirs);
    return $mine;
}
fn middle($n: int64, $s: string[64]): string[64] {
    $mine = $s;
    $theirs = inner($n + 1, "of inner");
    $again = inner($n + 2, "of inner, again");
    @[$n] = ($mine, $theirs);
    @[$n + 10] = ($mine, $again);
    return $mine;
}
fn inner($n: int64, $s: string[64]): string[64] { @[$n] = ($s, comm); @calls++; return $s; }
BEGIN { printf("%s\n", outer(1, "of outer")); printf("%s\n", outer(21, outer(41, "of probe"))); }
END { printf("%s\n", middle(61, "of end")); }
"#;

fn nested() -> Outcome {
    let seen = run(&["-e", NESTED, "-c", "true"])?;
    seen.expect(seen.stdout.starts_with("of outer\nof probe\nof end\n"), "the strings that went in")?;
    seen.expect(seen.map("@calls") == Some("8"), "@calls: 8")?;
    for (entry, value) in [
        ("@[1]", "(of outer, of middle)"),
        ("@[2]", "(of middle, of inner)"),
        ("@[12]", "(of middle, of inner, again)"),
        ("@[3]", "(of inner, kscope)"),
        ("@[4]", "(of inner, again, kscope)"),
        ("@[21]", "(of probe, of middle)"),
        ("@[41]", "(of probe, of middle)"),
        ("@[61]", "(of end, of inner)"),
    ] {
        seen.expect(seen.map(entry) == Some(value), &format!("{entry}: {value}"))?;
    }
    Ok(())
}

fn pointers() -> Outcome {
    let script = "fn group($t: struct task_struct *): int32 { @reads++; return $t->tgid; } \
        fn parent($t: struct task_struct *): struct task_struct * { @reads++; return $t->real_parent; } \
        tracepoint:raw_syscalls:sys_enter /pid == cpid && args.id == 110/ { \
            $t = (struct task_struct *)curtask; \
            @same[group($t) == pid] = count(); @same[group($t) == cpid] = count(); \
            @parent[group(parent($t)) == group(parent(parent($t)))] = count(); }";
    let seen = run(&["-e", script, "-c", &work("getppid 100")])?;
    seen.expect(seen.map("@same[true]") == Some("200"), "@same[true]: 200")?;
    seen.expect(seen.map("@parent[false]") == Some("100"), "@parent[false]: 100")?;
    seen.expect(seen.map("@reads") == Some("700"), "@reads: 700")
}

fn exits() -> Outcome {
    let script = "fn last($n: int64): int64 { @calls++; if ($n == 3) { exit(7); } return $n; } \
        fn twice($n: int64) { last($n); @between++; last($n); @after++; } \
        BEGIN { for ($i : 0..10) { twice($i); @rounds++; } twice(9); }";
    let seen = run(&["-e", script])?;
    seen.expect(seen.code == 7, "exit code 7")?;
    for (map, value) in [("@calls", "7"), ("@between", "3"), ("@after", "3"), ("@rounds", "3")] {
        seen.expect(seen.map(map) == Some(value), &format!("{map}: {value}"))?;
    }
    Ok(())
}

/// Builds [`WIDTHS`], runs a shell command with the object as `$0`.
fn with_object(command: &mut Command) -> Result<crate::tracer::Run, String> {
    let path = std::env::temp_dir().join(format!("kernel-suite-{}-functions.o", std::process::id()));
    let name = path.to_string_lossy().into_owned();
    let built = run(&["build", "-o", &name, "-e", WIDTHS])?;
    built.expect(built.code == 0, "an object file")?;
    let run = wait(command.arg(&name));
    let _ = std::fs::remove_file(&path);
    run
}

fn bpftool() -> Outcome {
    let script = "mount -t bpf bpf /sys/fs/bpf && bpftool prog loadall \"$0\" /sys/fs/bpf/suite && \
                  bpftool prog dump xlated pinned /sys/fs/bpf/suite/probe0 && rm -r /sys/fs/bpf/suite";
    let run = with_object(Command::new("unshare").args(["-m", "sh", "-c", script]))?;
    let lines = ["fn_label(s64 n, void * frame):", "if ($n < 0) { return $at.1; }"];
    let shown = lines.iter().all(|it| run.stdout.contains(it));
    run.expect(run.code == 0 && shown, "bpftool to load and show the functions")
}

fn objdump() -> Outcome {
    let program = find_program("llvm-objdump").ok_or("no llvm-objdump")?;
    let run = with_object(Command::new(program).args(["-d", "-S"]))?;
    let shown = run.stdout.contains("<fn_label>:") && run.stdout.contains("if ($n < 0) { return $at.1; }");
    run.expect(run.code == 0 && shown, "the functions with their lines")
}
