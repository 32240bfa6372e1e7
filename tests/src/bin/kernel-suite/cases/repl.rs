//! `kscope repl` as a person uses it: at a terminal, and with entries from a pipe.

use crate::harness::{Case, Need, Outcome};
use crate::terminal::Terminal;
use crate::tracer::{kscope, wait, work};
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// The cases.
pub const CASES: &[Case] = &[
    Case { name: "repl: Ctrl-C leads back to the prompt, maps are kept", needs: TERMINALS, run: prompt },
    Case { name: "repl: errors leave the session alive", needs: TERMINALS, run: errors },
    Case { name: "repl: history is kept for the next session", needs: TERMINALS, run: history },
    Case { name: "repl: entries from a pipe", needs: &[], run: pipe },
    Case { name: "repl: definitions stay for later entries", needs: &[], run: definitions },
    Case { name: "repl: -c starts for each entry with probes", needs: &[], run: command },
];

const TERMINALS: &[Need] = &[Need::Terminals];
const PROMPT: &str = "kscope> ";

/// A home folder that is gone when the case ends.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Result<Home, String> {
        let path = std::env::temp_dir().join(format!("kernel-suite-repl-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| error.to_string())?;
        Ok(Home(path))
    }

    /// `kscope repl` at a terminal, with its prompt.
    fn start(&self) -> Result<Terminal, String> {
        let mut command = Command::new(kscope());
        command.arg("repl").env("HOME", &self.0).env("TERM", "xterm").env("NO_COLOR", "1");
        let mut terminal = Terminal::start(command.env_remove("XDG_STATE_HOME"))?;
        terminal.wait_for(PROMPT)?;
        Ok(terminal)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn expect(right: bool, wanted: &str, seen: &str) -> Outcome {
    if right { Ok(()) } else { Err(format!("wanted {wanted}, saw {seen:?}")) }
}

fn prompt() -> Outcome {
    let home = Home::new("prompt")?;
    let mut terminal = home.start()?;
    // A probe over several lines.
    terminal.enter("interval:ms:10 {")?;
    terminal.wait_for("     .. ")?;
    terminal.enter("@n++; if (@n == 3) { printf(\"three\\n\") }")?;
    terminal.wait_for("     .. ")?;
    terminal.enter("}")?;
    terminal.wait_for("Attached 1 probe")?;
    terminal.wait_for("three\r\n")?;
    terminal.type_keys("\x03")?;
    let maps = terminal.wait_for(PROMPT)?;
    expect(maps.contains("\r\n@n: "), "the map after Ctrl-C", &maps)?;
    // Another entry reads the map, and goes on with it.
    terminal.enter("if (@n >= 3) { printf(\"still %s\\n\", \"there\"); @n = 1000 }")?;
    terminal.wait_for("still there\r\n")?;
    terminal.wait_for(PROMPT)?;
    terminal.enter("interval:ms:10 { @n++; if (@n == 1002) { exit() } }")?;
    let maps = terminal.wait_for(PROMPT)?;
    expect(maps.contains("@n: 1002\r\n"), "a count that goes on", &maps)?;
    terminal.enter("@n + 1")?;
    terminal.wait_for("1003\r\n")?;
    terminal.wait_for(PROMPT)?;
    terminal.enter(":clear @n")?;
    terminal.wait_for(PROMPT)?;
    terminal.enter("print(@n)")?;
    terminal.wait_for("`@n` never gets a value")?;
    terminal.wait_for(PROMPT)?;
    terminal.enter(":quit")?;
    expect(terminal.end()? == Some(0), "exit code 0", "another")
}

fn errors() -> Outcome {
    let home = Home::new("errors")?;
    let mut terminal = home.start()?;
    terminal.enter("@kept = 7")?;
    terminal.wait_for(PROMPT)?;
    for (entry, message) in [
        ("begin { @x = }", "ERROR: "),
        ("@kept = \"text\"", "ERROR: `@kept` holds `int8`, this is `string[5]`"),
        ("tracepoint:no:such { }", "ERROR: "),
        ("nonsense:f { }", "ERROR: "),
        (":nonsense", "ERROR: there is no command `:nonsense`"),
        ("begin { exit(3) }", "exit code 3"),
    ] {
        terminal.enter(entry)?;
        terminal.wait_for(message)?;
        terminal.wait_for(PROMPT)?;
    }
    // Ctrl-C at the prompt clears what is typed, also over several lines.
    terminal.enter("begin {")?;
    terminal.wait_for("     .. ")?;
    terminal.type_keys("\x03")?;
    terminal.wait_for(PROMPT)?;
    terminal.enter(":maps")?;
    let maps = terminal.wait_for(PROMPT)?;
    expect(maps.contains("@kept: 7\r\n"), "the kept map", &maps)?;
    terminal.type_keys("\x04")?;
    expect(terminal.end()? == Some(0), "exit code 0", "another")
}

fn history() -> Outcome {
    let home = Home::new("history")?;
    let mut terminal = home.start()?;
    terminal.enter("printf(\"%d\\n\", 41 + 1)")?;
    terminal.wait_for("42\r\n")?;
    terminal.wait_for(PROMPT)?;
    terminal.enter(":quit")?;
    terminal.end()?;
    let path = home.0.join(".local/state/kscope/history");
    let mode = std::fs::metadata(&path).map(|it| it.permissions().mode() & 0o777);
    expect(matches!(mode, Ok(0o600)), "a private history file", &format!("{mode:?}"))?;
    let mut terminal = home.start()?;
    // The last entry is `:quit`; the one before it comes with a second key.
    terminal.type_keys("\x1b[A\x1b[A\r")?;
    terminal.wait_for("\r\n42\r\n")?;
    terminal.wait_for(PROMPT)?;
    terminal.type_keys("\x04")?;
    terminal.end().map(|_| ())
}

/// Runs `kscope repl` with these entries and arguments, to its end.
fn piped(name: &str, entries: &str, arguments: &[&str]) -> Result<crate::tracer::Run, String> {
    let home = Home::new(name)?;
    let path = home.0.join("entries");
    std::fs::write(&path, entries).map_err(|error| error.to_string())?;
    let entries = File::open(&path).map_err(|error| error.to_string())?;
    wait(Command::new(kscope()).arg("repl").args(arguments).env("HOME", &home.0).stdin(entries))
}

fn pipe() -> Outcome {
    let entries =
        "begin {\n  @c = count(); @h = hist(5)\n}\n@c = count(); @h = hist(6)\nprint(@c)\nprint(@h)\n";
    let bar = "@".repeat(52);
    let run = piped("pipe", entries, &["-q"])?;
    let shown = |n| format!("@c: {n}\n@h:\n[4, 8)                 {n} |{bar}|\n\n");
    run.expect(run.stdout == format!("\n\n{}{}", shown(1), shown(2)), "counts that go on")?;
    run.expect(run.code == 0 && run.stderr.is_empty(), "exit code 0 and no prompt")?;
    let run = piped("pipe", "@x = \nprintf(\"on\\n\")\n", &["-q"])?;
    run.expect(run.stdout == "on\n" && run.code == 1, "the second entry, exit code 1")
}

fn definitions() -> Outcome {
    let entries = "macro twice(x) { x * 2 }\n#define N 5\nprint(twice(N))\nmacro twice(x) { x * 3 }\n\
                   macro broken(x, x) { x }\nprint(twice(N))\nprint(broken(1, 2))\n\
                   fn area($a: int64, $b: int64): int64 { @areas++; return $a * $b; }\nprint(area(N, 4))\n\
                   area(2, 3)\nlet @m = array(2);\n@m[1] = 7\n@m[1]\n@m[5] = 7\n@areas\n";
    let run = piped("definitions", entries, &["-q"])?;
    run.expect(
        run.stdout == "10\n15\n20\n6\n7\n@areas: 2\n" && run.code == 1,
        "the later definition, and none of a wrong one",
    )?;
    run.expect(run.stderr.contains("`x` is a parameter already"), "the mistake")
}

fn command() -> Outcome {
    let probe = "tracepoint:raw_syscalls:sys_enter /pid == cpid && args.id == 110/ { @ = count() }\n";
    let run = piped("command", &format!("{probe}{probe}@\n"), &["-q", "-c", &work("getppid 1000")])?;
    run.expect(run.stdout == "\n\n@: 1000\n\n\n@: 2000\n@: 2000\n", "1,000 calls and 1,000 more")
}
