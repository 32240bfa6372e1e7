//! Static probes of user programs, against those of this very program.

use crate::harness::{Case, Outcome};
use crate::tracer::{run, work};

/// The cases.
pub const CASES: &[Case] = &[
    Case { name: "usdt reads arguments of every width", needs: &[], run: widths },
    Case { name: "usdt reads constants and memory", needs: &[], run: places },
    Case { name: "usdt raises the semaphore of a guarded probe", needs: &[], run: guarded },
    Case { name: "usdt attaches to every place of a probe", needs: &[], run: several_places },
    Case { name: "usdt wildcards and lists", needs: &[], run: wildcards },
    Case { name: "usdt says what does not exist", needs: &[], run: missing },
];

const FIRED: u64 = 50;

/// This program's path.
fn program() -> Result<String, String> {
    let path = std::env::current_exe().map_err(|error| error.to_string())?;
    Ok(path.to_string_lossy().into_owned())
}

/// Runs a script in which `PROGRAM` is this program, over its static probes.
fn traced(script: &str) -> Result<crate::tracer::Run, String> {
    let script = script.replace("PROGRAM", &program()?);
    let seen = run(&["-e", &script, "-c", &work(&format!("static-probes {FIRED}"))])?;
    seen.expect(seen.code == 0, "exit code 0")?;
    Ok(seen)
}

fn widths() -> Outcome {
    let seen =
        traced("usdt:PROGRAM:suite:widths { @[arg0, arg1, arg2, arg3, arg4, arg5, arg6, arg7] = count(); }")?;
    let due = "@[200, -56, 65534, -2, 4294967293, -3, 9223372036854775808, -9223372036854775808]";
    seen.expect(seen.map(due) == Some("50"), due)
}

fn places() -> Outcome {
    let seen = traced("usdt:PROGRAM:places { @[arg0, arg1, arg3] = sum(arg2); }")?;
    // 50 × 1000 and the sum of 0 to 49.
    seen.expect(seen.map("@[77, -9, -16]") == Some("51225"), "@[77, -9, -16]: 51225")
}

fn guarded() -> Outcome {
    let seen = traced("U:PROGRAM:suite:guarded { @ = sum(arg0); @calls = count(); }")?;
    seen.expect(seen.map("@") == Some("1225") && seen.map("@calls") == Some("50"), "50 calls, sum 1225")?;
    let seen = traced("usdt:PROGRAM:suite:guarded,usdt:PROGRAM:suite:twice { @[probe] = count(); }")?;
    let guarded = seen.map(&format!("@[usdt:{}:suite:guarded]", program()?));
    seen.expect(guarded == Some("50"), "50 by a probe attached among others")
}

fn several_places() -> Outcome {
    let seen = traced("usdt:PROGRAM:suite:twice { @[(int64)arg0 < 0] = count(); @sum = sum((int64)arg0); }")?;
    seen.expect(seen.map("@[true]") == Some("50") && seen.map("@[false]") == Some("50"), "both places")?;
    seen.expect(seen.map("@sum") == Some("775"), "1225 less 50 × 9")
}

fn wildcards() -> Outcome {
    let seen = traced("usdt:PROGRAM:sui*:*e* { @[probe] = count(); }")?;
    for (name, due) in [("places", "50"), ("guarded", "50"), ("twice", "100")] {
        let key = format!("@[usdt:{}:suite:{name}]", program()?);
        seen.expect(seen.map(&key) == Some(due), &format!("{key}: {due}"))?;
    }
    let listed = run(&["-lv", &format!("usdt:{}:suite:*", program()?)])?;
    let path = program()?;
    for line in [
        format!(
            "usdt:{path}:suite:places\n    uint64 arg0\n    int32 arg1\n    uint64 arg2\n    int16 arg3\n"
        ),
        format!("usdt:{path}:suite:guarded\n    uint64 arg0\n"),
    ] {
        listed.expect(listed.stdout.contains(&line), &line)?;
    }
    listed.expect(listed.stdout.matches(":suite:twice\n").count() == 1, "each probe once")
}

fn missing() -> Outcome {
    let script = format!("usdt:{}:suite:place {{ }}", program()?);
    let seen = run(&["-e", &script])?;
    seen.expect(seen.code == 1 && seen.stderr.contains(":suite:places`?"), "the nearest name")?;
    let script = format!("usdt:{}:suite:places {{ print(arg4); }}", program()?);
    let seen = run(&["-e", &script])?;
    seen.expect(seen.code == 1 && seen.stderr.contains("has the arguments `arg0` to `arg3`"), "its arguments")
}
