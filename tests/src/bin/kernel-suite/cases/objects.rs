//! Built objects: other tools load and show them, other kernels run them.

use crate::harness::{Case, Need, Outcome};
use crate::tracer::{Run, kscope, run, wait, work};
use std::path::PathBuf;
use std::process::Command;

/// The cases.
pub const CASES: &[Case] = &[
    Case { name: "a built object runs", needs: &[], run: build_and_run },
    Case { name: "the same script gives the same bytes", needs: &[], run: deterministic },
    Case { name: "bpftool loads a built object", needs: &[Need::Program("bpftool")], run: bpftool },
    Case { name: "an object from another kernel runs here", needs: &[Need::Objects], run: foreign },
    Case { name: "wrong object files are refused", needs: &[], run: wrong_files },
    Case { name: "damaged objects are refused", needs: &[], run: damaged },
];

/// Counts the child's calls and reads a chain of kernel structs: the parent of the child is kscope.
pub const SCRIPT: &str = "tracepoint:raw_syscalls:sys_enter /pid == cpid && args.id == 110/ { \
    @calls = count(); \
    @parent[((struct task_struct *)curtask)->real_parent->tgid] = count(); \
    @name[str(((struct task_struct *)curtask)->comm)] = count(); \
}";

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("kernel-suite-{}-{name}", std::process::id()))
}

/// Builds the script, hands the object's path on, removes it.
fn with_object<T>(then: impl FnOnce(&str) -> Result<T, String>) -> Result<T, String> {
    let path = path("x.o");
    let name = path.to_string_lossy().into_owned();
    let built = run(&["build", "-o", &name, "-e", SCRIPT])?;
    built.expect(built.code == 0 && path.exists(), "an object file")?;
    let result = then(&name);
    let _ = std::fs::remove_file(&path);
    result
}

fn check(run: &Run) -> Outcome {
    run.expect(run.map("@calls") == Some("1000"), "@calls: 1000")?;
    run.expect(run.map("@name[kernel-suite]") == Some("1000"), "the child's name 1000 times")?;
    let parents: Vec<&str> = run.stdout.lines().filter(|it| it.starts_with("@parent[")).collect();
    run.expect(matches!(parents[..], [one] if one.ends_with("]: 1000")), "one parent, 1000 times")
}

fn build_and_run() -> Outcome {
    with_object(|name| check(&run(&["run", name, "-c", &work("getppid 1000")])?))
}

fn deterministic() -> Outcome {
    let bytes = |name: &str| std::fs::read(name).map_err(|error| error.to_string());
    if with_object(bytes)? == with_object(bytes)? { Ok(()) } else { Err("the bytes differ".to_owned()) }
}

fn bpftool() -> Outcome {
    with_object(|name| {
        let script = "mount -t bpf bpf /sys/fs/bpf && bpftool prog loadall \"$0\" /sys/fs/bpf/suite && \
                      bpftool prog show pinned /sys/fs/bpf/suite/probe0 && rm -r /sys/fs/bpf/suite";
        let run = wait(Command::new("unshare").args(["-m", "sh", "-c", script, name]))?;
        run.expect(run.code == 0 && run.stdout.contains("probe0"), "bpftool to load the object")
    })
}

fn foreign() -> Outcome {
    let folder = std::env::var("OBJECTS").map_err(|error| error.to_string())?;
    let object = format!("{folder}/suite.o");
    check(&run(&["run", &object, "-c", &work("getppid 1000")])?)
}

fn wrong_files() -> Outcome {
    let run = run(&["run", &kscope()])?;
    run.expect(
        run.code == 2 && run.stderr.contains("ERROR: "),
        "a refusal of an ELF file that is no object",
    )?;
    let path = path("text.o");
    std::fs::write(&path, "not an object").map_err(|error| error.to_string())?;
    let run = crate::tracer::run(&["run", &path.to_string_lossy()]);
    let _ = std::fs::remove_file(&path);
    let run = run?;
    run.expect(run.code == 2 && run.stderr.contains("ERROR: "), "a refusal of a text file")
}

/// One byte of an object is changed at a time, all over the file.
fn damaged() -> Outcome {
    /// A run takes some milliseconds, so not every byte has its turn.
    const TURNS: usize = 50;
    with_object(|name| {
        let whole = std::fs::read(name).map_err(|error| error.to_string())?;
        for at in (0..whole.len()).step_by(whole.len() / TURNS) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x11;
            std::fs::write(name, bytes).map_err(|error| error.to_string())?;
            let seen = run(&["run", name])?;
            let told = seen.stderr.starts_with("ERROR: ") && seen.stdout.is_empty();
            seen.expect(seen.code == 2 && told, &format!("a refusal, byte {at} being wrong"))?;
        }
        Ok(())
    })
}
