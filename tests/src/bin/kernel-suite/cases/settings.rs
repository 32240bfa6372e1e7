//! What is given beside the script: options of its own, and settings that show in a kernel only.

use crate::harness::{Case, Outcome};
use crate::tracer::{kscope, run, wait};
use std::process::{Command, Stdio};

/// The cases.
pub const CASES: &[Case] = &[
    Case { name: "a script's options are given, listed and checked", needs: &[], run: options },
    Case { name: "a built object has its options from when it was built", needs: &[], run: built },
    Case { name: "missing probes stop, warn or are passed over", needs: &[], run: missing_probes },
    Case { name: "settings of memory change no result", needs: &[], run: memory },
    Case { name: "log_size is checked, and asked for by refused programs only", needs: &[], run: log_size },
    Case {
        name: "debug information, stack modes and map sizes are set by the script",
        needs: &[],
        run: in_script,
    },
    Case { name: "the environment's settings win", needs: &[], run: environment },
    Case { name: "LINUX_VERSION_CODE is this kernel's", needs: &[], run: version },
];

const OPTIONS: &str = "BEGIN { print((getopt(\"limit\", 10, \"most lines\"), getopt(\"who\", \"any\"), getopt(\"quick\"), $#)); }";

fn options() -> Outcome {
    for (arguments, due) in [
        (&["-q", "-e", OPTIONS][..], "(10, any, false, 0)\n"),
        (&["-q", "-e", OPTIONS, "--", "--limit=0x10", "--who=me", "--quick"], "(16, me, true, 0)\n"),
        (&["-q", "-e", OPTIONS, "one", "--", "--quick=0", "two", "-3"], "(10, any, false, 3)\n"),
    ] {
        let seen = run(arguments)?;
        seen.expect(seen.code == 0 && seen.stdout.trim_end() == due.trim_end(), due)?;
    }
    let help = "Options of this script:\n  --limit=NUMBER        most lines [default: 10]\n  \
                --who=TEXT            [default: \"any\"]\n  --quick[=true|false]\n";
    let seen = run(&["-e", OPTIONS, "--", "--help"])?;
    seen.expect(seen.code == 0 && seen.stdout == help, help)?;
    for (option, part) in [
        ("--limt=5", "did you mean `--limit`?"),
        ("--nonsense", "`kscope SCRIPT -- --help` lists those that it has"),
        ("--limit=3k", "`--limit` takes a number, not `3k`"),
        ("--limit", "`--limit` takes a number, nothing is given"),
        ("--quick=maybe", "`--quick` takes `true` or `false`, not `maybe`"),
    ] {
        let seen = run(&["-e", OPTIONS, "--", option])?;
        seen.expect(seen.code == 2 && seen.stderr.contains(part), part)?;
    }
    Ok(())
}

fn built() -> Outcome {
    let object = std::env::temp_dir().join(format!("kernel-suite-options-{}.o", std::process::id()));
    let path = object.to_string_lossy().into_owned();
    let built = run(&["build", "-o", &path, "-e", OPTIONS, "--", "--limit=3"])?;
    built.expect(built.code == 0, "an object file")?;
    let (plain, more) = (run(&["run", &path, "-q"]), run(&["run", &path, "--", "--limit=5"]));
    let _ = std::fs::remove_file(&object);
    let (plain, more) = (plain?, more?);
    plain.expect(plain.stdout.starts_with("(3, any, false, 0)\n"), "the option's value")?;
    let part = "`--limit=5` cannot be given any more";
    more.expect(more.code == 2 && more.stderr.contains(part), part)
}

fn missing_probes() -> Outcome {
    let script = |value: &str| {
        format!("config = {{ missing_probes = {value} }} tracepoint:no:such {{ }} BEGIN {{ print(1); }}")
    };
    for (value, code, printed, told) in
        [("error", 1, "", true), ("warn", 0, "1", true), ("ignore", 0, "1", false)]
    {
        let seen = run(&["-q", "-e", &script(value)])?;
        let right = (seen.code, seen.stdout.trim_end(), seen.stderr.contains("tracepoint:no:such"));
        seen.expect(right == (code, printed, told), value)?;
    }
    Ok(())
}

fn memory() -> Outcome {
    for setting in
        ["on_stack_limit = 0", "on_stack_limit = 256", "perf_rb_pages = 1", "license = \"Dual MIT/GPL\""]
    {
        let script = format!(
            "config = {{ {setting} }} BEGIN {{ $t = (1, comm, (uint8[8])5); print(($t.0, $t.2)); \
             for ($i : 0..10) {{ @[$i, \"a key\"] = (\"a value\", $i); }} print(len(@)); clear(@); }}"
        );
        let seen = run(&["-q", "-e", &script])?;
        let due = "(1, [5,0,0,0,0,0,0,0])\n10";
        seen.expect(seen.code == 0 && seen.stdout.trim_end() == due, &format!("{due} with {setting}"))?;
    }
    Ok(())
}

/// A program that is accepted needs no log, however small it may be.
fn log_size() -> Outcome {
    let script = "config = { log_size = 128 } BEGIN { print(1); }";
    let seen = run(&["-q", "-v", "-e", script])?;
    seen.expect(seen.code == 0 && seen.stdout.starts_with("1\n"), "1")?;
    let script = "config = { log_size = 100 } BEGIN { print(1); }";
    let seen = run(&["-q", "-e", script])?;
    seen.expect(seen.code == 1 && seen.stderr.contains("from 128"), "what log_size may be")
}

/// The frame of a stack of `kscope` itself shows the mode; the file and line come with one setting only.
fn in_script() -> Outcome {
    for (setting, debug, perf) in [
        ("stack_mode = bpftrace", false, false),
        ("stack_mode = perf", false, true),
        ("show_debug_info = true", true, false),
    ] {
        let script =
            format!("config = {{ {setting} }} BEGIN {{ print(config.show_debug_info); print(kstack(3)); }}");
        let seen = run(&["-q", "-e", &script])?;
        let frame = seen.stdout.lines().find(|it| it.starts_with([' ', '\t']) && !it.trim().is_empty());
        let frame = frame.ok_or_else(|| format!("no frame with {setting}: {}", seen.stdout))?;
        // perf puts the address in front of the symbol.
        let addressed = frame.split_whitespace().next().is_some_and(|it| u64::from_str_radix(it, 16).is_ok());
        let right = seen.stdout.starts_with(&debug.to_string()) && addressed == perf;
        seen.expect(seen.code == 0 && right, setting)?;
    }
    let script = "config = { max_map_keys = 2 } BEGIN { for ($i : 0..5) { @[$i] = $i; } printf(\"%d\\n\", len(@)); clear(@); }";
    let seen = run(&["-q", "-e", script])?;
    let right =
        seen.stdout.trim_end() == "2" && seen.stderr.contains("it holds 2 keys: 3 updates were refused");
    seen.expect(right, "two keys, three updates refused")
}

fn environment() -> Outcome {
    let script =
        "config = { max_strlen = 5; } BEGIN { print((config.max_strlen, config.max_map_keys)); @ = 1; }";
    let seen = wait(
        Command::new(kscope())
            .args(["-q", "-e", script])
            .env("BPFTRACE_MAX_STRLEN", "7")
            .env("KSCOPE_MAX_STRLEN", "9")
            .env("BPFTRACE_MAX_MAP_KEYS", "3")
            .env("KSCOPE_PRINT_MAPS_ON_EXIT", "false")
            .stdin(Stdio::null()),
    )?;
    seen.expect(seen.stdout.trim_end() == "(9, 3)", "(9, 3)")?;
    let wrong = wait(
        Command::new(kscope()).args(["-q", "-e", script]).env("KSCOPE_MAX_STRLEN", "x").stdin(Stdio::null()),
    )?;
    wrong.expect(wrong.code == 1 && wrong.stderr.contains("max_strlen"), "the variable's name")
}

fn version() -> Outcome {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").map_err(|error| error.to_string())?;
    let mut numbers = release.split(|it: char| !it.is_ascii_digit()).map(|it| it.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let due = (next() << 16) + (next() << 8) + next().min(255);
    let seen = run(&["-q", "-e", "#include <linux/version.h>\nBEGIN { print(LINUX_VERSION_CODE); }"])?;
    seen.expect(seen.stdout.trim_end() == due.to_string(), &due.to_string())
}
