//! Imports from real files, and the library's macros over the real kernel's tasks.

use crate::harness::{Case, Outcome};
use crate::tracer::{kscope, run, wait};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// The cases.
pub const CASES: &[Case] = &[
    Case { name: "imports are looked for beside the importing file", needs: &[], run: beside },
    Case { name: "what anyone may write is not imported", needs: &[], run: writable },
    Case { name: "an object needs nothing of what its script imports", needs: &[], run: object },
    Case { name: "the library reads the kernel's tasks", needs: &[], run: library },
];

/// A folder with files that is gone when the case ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Result<Folder, String> {
        let folder = std::env::temp_dir().join(format!("kernel-suite-{name}-{}", std::process::id()));
        let folder = Folder(folder);
        for (path, text) in files {
            let path = folder.0.join(path);
            let parent = path.parent().unwrap_or(&folder.0);
            std::fs::create_dir_all(parent).map_err(|error| error.to_string())?;
            std::fs::write(&path, text).map_err(|error| error.to_string())?;
        }
        Ok(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn allow(&self, name: &str, mode: u32) -> Outcome {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.0.join(name), mode).map_err(|error| error.to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const FILES: &[(&str, &str)] = &[
    ("main.bt", "import \"lib/sum.bt\"; import \"shared\"; begin { print((sum_of(2, 3), ANSWER, one)); }"),
    ("lib/sum.bt", "import \"plus.bt\"; macro sum_of(a, b) { plus(a, b) }"),
    ("lib/plus.bt", "import \"../main.bt\"; import \"sum.bt\"; macro plus(a, b) { a + b }"),
    ("shared/answer.h", "#define ANSWER 42\n"),
    ("shared/one.bt", "macro one() { 1 }"),
    ("shared/notes.txt", "not code"),
    ("shared/deeper/wrong.bt", "this is no script"),
];

/// The main file is an import of an import, and its probe runs once nevertheless; from elsewhere it is
/// one more file.
fn beside() -> Outcome {
    let folder = Folder::new("imports", FILES)?;
    let seen = run(&["-q", &folder.path("main.bt")])?;
    seen.expect(seen.stdout.trim_end() == "(5, 42, 1)" && seen.code == 0, "what all the files define")?;
    let seen = run(&["check", &folder.path("lib/sum.bt")])?;
    seen.expect(seen.code == 0, "an imported file that is right")?;
    let seen = wait(Command::new(kscope()).args(["-q", "-e", FILES[0].1]).current_dir(&folder.0))?;
    seen.expect(seen.stdout.trim_end() == "(5, 42, 1)\n(5, 42, 1)", "files beside where the script was typed")
}

fn writable() -> Outcome {
    let folder = Folder::new("writable", &[("a/one.bt", "macro one() { 1 }")])?;
    let script = format!("import \"{}\"; begin {{ print(one); }}", folder.path("a/one.bt"));
    let refused = |part: &str| -> Outcome {
        let seen = run(&["-q", "-e", &script])?;
        seen.expect(seen.code == 1 && seen.stderr.contains(part), part)
    };
    folder.allow("a/one.bt", 0o666)?;
    refused(&format!("anyone may write `{}`", folder.path("a/one.bt")))?;
    folder.allow("a/one.bt", 0o644)?;
    folder.allow("a", 0o777)?;
    refused(&format!("anyone may write `{}`", folder.path("a")))?;
    folder.allow("a", 0o755)?;
    let seen = run(&["-q", "-e", &script])?;
    seen.expect(seen.stdout.trim_end() == "1", "a file that only its owner may write")
}

fn object() -> Outcome {
    let folder = Folder::new("object", FILES)?;
    let object = folder.path("main.o");
    let seen = run(&["build", "-o", &object, &folder.path("main.bt")])?;
    seen.expect(seen.code == 0, "an object")?;
    for name in ["lib", "shared"] {
        std::fs::remove_dir_all(folder.0.join(name)).map_err(|error| error.to_string())?;
    }
    let seen = run(&["run", "-q", &object])?;
    seen.expect(seen.stdout.trim_end() == "(5, 42, 1)", "what the script printed")
}

/// What the macros say of a task is what `/proc` says of it.
fn library() -> Outcome {
    let script = "begin { printf(\"%d %s %d %s %d %d\\n\", ppid, pcomm, leader_tid, leader_comm, pid, is_err(curtask)); }";
    let seen = run(&["-q", "-e", script])?;
    let parent = std::process::id();
    let of = |path: &str| std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let name = of("/proc/self/comm")?;
    let words: Vec<&str> = seen.stdout.split_whitespace().collect();
    let [ppid, pcomm, leader, comm, pid, is_err] = words.as_slice() else {
        return seen.expect(false, "six words");
    };
    let right = *ppid == parent.to_string() && *pcomm == name.trim() && leader == pid;
    seen.expect(right && comm.starts_with("kscope") && *is_err == "0", "this process and its child")
}
