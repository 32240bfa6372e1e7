//! Loops whose number of rounds the verifier cannot know, and loops over maps: sums that a pencil
//! gives too. Which way a loop is compiled depends on the kernel, so these run on each.

use crate::harness::{Case, Need, Outcome};
use crate::tracer::{run, work};

/// The cases.
pub const CASES: &[Case] = &[
    Case { name: "loops of many rounds", needs: &[], run: many_rounds },
    Case { name: "loops in loops", needs: &[], run: nested },
    Case { name: "loops left in the middle", needs: &[], run: left },
    Case { name: "loops that the kernel ends", needs: &[], run: cut },
    Case { name: "loops over maps", needs: &[], run: maps },
    Case { name: "loops over counts of all processors", needs: &[], run: counts },
    Case { name: "loops with a tracepoint's arguments", needs: &[], run: tracepoint },
    Case { name: "loops with a function's arguments", needs: &[Need::Kprobes], run: kprobe },
];

/// Runs a script that begins with `$none`, a 0 that no compiler knows.
fn expect(script: &str, due: &str) -> Outcome {
    let script = format!("BEGIN {{ $none = (int64)nsecs & 0; {script} }}");
    let seen = run(&["-e", &script])?;
    seen.expect(seen.code == 0, "exit code 0")?;
    let right = seen.stdout == due || seen.stdout.strip_suffix("\n\n") == Some(due);
    seen.expect(right, &format!("{due:?} from {script}"))
}

fn many_rounds() -> Outcome {
    expect("$sum = 0; for ($i : $none..100000) { $sum += $i; } printf(\"%lld\\n\", $sum);", "4999950000\n")?;
    expect("$n = 0; while ($n < 100000 + $none) { $n++; } printf(\"%lld\\n\", $n);", "100000\n")?;
    expect("$n = 0; for ($i : -5..$none + 5) { $n += $i; } printf(\"%lld\\n\", $n);", "-5\n")?;
    expect("$n = 0; for ($i : 5..$none) { $n++; } printf(\"%lld\\n\", $n);", "0\n")?;
    // A comparison that tells the verifier what a counter is, in one round.
    for head in ["for ($i : $none..100000) {", "$i = -1; while ($i < 99999 + $none) { $i++;"] {
        let script = format!(
            "$n = 0; $m = 0; {head} $n++; if ($n == 999) {{ @hit = count(); }} \
             if ($i == 77) {{ @hit = count(); $m = $i; }} }} printf(\"%lld %lld %lld\\n\", $n, $m, (int64)@hit); clear(@hit);"
        );
        expect(&script, "100000 77 2\n")?;
    }
    expect(
        "$s = \"none\"; for ($i : 0..$none + 1000) { if ($i == 999) { $s = comm; } } printf(\"%s\\n\", $s);",
        "kscope\n",
    )
}

fn nested() -> Outcome {
    expect(
        "$n = 0; for ($i : 0..$none + 300) { for ($j : 0..$i) { for ($k : 0..3) { $n++; } } } \
         printf(\"%lld\\n\", $n);",
        "134550\n",
    )?;
    expect(
        "$n = 0; for ($i : 0..$none + 50) { $j = 0; while ($j < $i) { $j++; for ($k : $none..2) { $n += $k; } } } \
         printf(\"%lld\\n\", $n);",
        "1225\n",
    )
}

fn left() -> Outcome {
    expect(
        "$n = 0; for ($i : 0..$none + 1000) { if ($i % 2) { continue; } if ($i > 500) { break; } $n++; } \
         printf(\"%lld\\n\", $n);",
        "251\n",
    )?;
    expect(
        "for ($i : 3..$none + 300) { for ($j : 0..$none + 300) { \
         if ($i * $j == 600) { printf(\"%lld %lld\\n\", $i, $j); return; } } } printf(\"never\\n\");",
        "3 200\n",
    )?;
    let script = "BEGIN { $n = (int64)nsecs & 0; for ($i : 0..$n + 9) { for ($j : 0..$n + 9) { \
                  if ($i * $j == 42) { exit($i); } } } printf(\"never\\n\"); } END { printf(\"end\\n\"); }";
    let seen = run(&["-e", script])?;
    seen.expect(seen.code == 6 && seen.stdout.starts_with("end\n"), "exit code 6 and end")
}

fn cut() -> Outcome {
    let script = "BEGIN { while (1) { @ = 1; } printf(\"behind\\n\"); clear(@); }";
    let seen = run(&["-e", script])?;
    seen.expect(seen.code == 0 && seen.stdout.starts_with("behind\n"), "behind")?;
    let warned = "Loop stopped at the kernel's limit";
    seen.expect(seen.stderr.contains(warned), "a warning")?;
    let script = "BEGIN { for ($i : 0..(int64)nsecs) { if ($i == 9) { print($i); break; } } }";
    let seen = run(&["-e", script])?;
    seen.expect(
        seen.code == 0 && seen.stdout.starts_with("9\n") && !seen.stderr.contains(warned),
        "9, no warning",
    )
}

fn maps() -> Outcome {
    expect(
        "for ($i : 0..$none + 1000) { @[$i, \"key\"] = 2 * $i; } $keys = 0; $values = 0; \
         for ($kv : @) { $keys += $kv.0.0; $values += $kv.1; delete(@, $kv.0); } \
         printf(\"%lld %lld %lld\\n\", $keys, $values, len(@));",
        "499500 999000 0\n",
    )?;
    expect(
        "@[1] = 1; @[2] = 1; @[3] = 1; $n = 0; for ($a : @) { for ($b : @) { \
         if ($b.0 == $a.0) { continue; } $n += 10 * $a.0 + $b.0; } } clear(@); printf(\"%lld\\n\", $n);",
        "132\n",
    )?;
    expect(
        "@[1] = 1; @[2] = 1; @[3] = 1; $n = 0; for ($a : @) { $n++; if ($n == 2) { break; } } \
         for ($a : @) { $n += 100; if ($n > 200) { printf(\"%lld\\n\", $n); clear(@); return; } } \
         printf(\"never\\n\");",
        "202\n",
    )?;
    expect(
        "@[\"short\"] = 1; @[\"a string with more than the sixty-three characters that short ones have\"] = 2; \
         $n = 0; for ($kv : @) { $n += $kv.1; @[$kv.0] = 5; } for ($kv : @) { $n += $kv.1; } \
         printf(\"%lld %lld\\n\", $n, len(@)); clear(@);",
        "13 2\n",
    )
}

fn counts() -> Outcome {
    let script = "tracepoint:raw_syscalls:sys_enter /pid == cpid/ { @[args.id] = count(); @s[args.id] = sum(2); \
                  @a[args.id] = avg(args.id); @h[args.id] = max(args.id); @l[args.id] = min(args.id); } \
                  END { for ($kv : @) { if ($kv.0 == 110) { print($kv); } } \
                  for ($kv : @s) { if ($kv.0 == 110) { print($kv); } } \
                  for ($kv : @a) { if ($kv.1 == 110) { print($kv); } } \
                  for ($kv : @h) { if ($kv.1 == 110) { print($kv); } } \
                  for ($kv : @l) { if ($kv.1 == 110) { print($kv); } } \
                  clear(@); clear(@s); clear(@a); clear(@h); clear(@l); }";
    let seen = run(&["-e", script, "-c", &work("getppid 1000")])?;
    let due = "(110, 1000)\n(110, 2000)\n(110, 110)\n(110, 110)\n(110, 110)\n";
    seen.expect(seen.code == 0 && seen.stdout.starts_with(due), due)
}

fn tracepoint() -> Outcome {
    let script = "BEGIN { @[1] = 1; @[2] = 1; } tracepoint:raw_syscalls:sys_enter /pid == cpid && args.id == 110/ { \
                  for ($i : 0..args.id) { @rounds[args.id, pid == cpid] = count(); } \
                  for ($kv : @) { @sum += $kv.0 * args.id; } } END { clear(@); }";
    let seen = run(&["-e", script, "-c", &work("getppid 100")])?;
    let right = seen.map("@rounds[110, true]") == Some("11000") && seen.map("@sum") == Some("33000");
    seen.expect(seen.code == 0 && right, "@rounds[110, true]: 11000 and @sum: 33000")
}

fn kprobe() -> Outcome {
    let script = "BEGIN { @[1] = 1; @[2] = 1; } kprobe:vfs_read /pid == cpid && comm == \"reader\"/ { \
                  $n = 0; for ($i : 0..(int64)arg2) { $n++; if ($i == 999) { @name[func, comm] = count(); } } \
                  @rounds = sum($n); for ($kv : @) { @sizes[$kv.0] = sum(arg2); } } END { clear(@); }";
    let seen = run(&["-e", script, "-c", &work("read 10x1000 5x64")])?;
    let right = seen.map("@rounds") == Some("10320")
        && seen.map("@name[vfs_read, reader]") == Some("10")
        && seen.map("@sizes[1]") == Some("10320")
        && seen.map("@sizes[2]") == Some("10320");
    seen.expect(seen.code == 0 && right, "10 reads of 1000 bytes, 5 of 64")
}
