//! The language on a real kernel: what the user-space machine checks, checked here again where
//! the kernel's verifier and helpers could differ.

use crate::harness::{Case, Outcome};
use crate::tracer::run;

/// The cases.
pub const CASES: &[Case] = &[
    Case { name: "scripts print what they should", needs: &[], run: scripts },
    Case { name: "a script file with a #! line and parameters", needs: &[], run: script_file },
    Case { name: "standard input as script", needs: &[], run: standard_input },
];

/// Script and its whole output.
const SCRIPTS: &[(&str, &str)] = &[
    ("BEGIN { $a = -7; printf(\"%d %d\\n\", $a / 2, $a % 2); }", "-3 -1\n"),
    ("BEGIN { $a = -16; printf(\"%d\\n\", $a >> 1); }", "-8\n"),
    ("BEGIN { $a = 0; for ($i : 0..10) { $a += $i; } printf(\"%d\\n\", $a); }", "45\n"),
    ("BEGIN { $i = 0; while ($i < 100) { $i++; if ($i == 42) { break; } } printf(\"%d\\n\", $i); }", "42\n"),
    ("BEGIN { unroll (3) { @x += 2; } printf(\"%d\\n\", @x); clear(@x); }", "6\n"),
    ("BEGIN { @a[1, \"x\"] = 5; @a[2, \"y\"] = 3; }", "\n\n@a[2, y]: 3\n@a[1, x]: 5\n"),
    (
        "BEGIN { @ = hist(5); @ = hist(6); @ = hist(0); }",
        "\n\n@:\n\
      [0]                    1 |@@@@@@@@@@@@@@@@@@@@@@@@@@                          |\n\
      [1]                    0 |                                                    |\n\
      [2, 4)                 0 |                                                    |\n\
      [4, 8)                 2 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|\n\n",
    ),
    ("BEGIN { if (comm == \"kscope\") { printf(\"me\\n\"); } else { printf(\"%s\\n\", comm); } }", "me\n"),
    (
        "BEGIN { $t = (1, \"two\", (3, 4)); printf(\"%s %d\\n\", $t.1, $t.2.1); print($t); }",
        "two 4\n(1, two, (3, 4))\n",
    ),
    (
        "BEGIN { @m[1] = 1; printf(\"%d %d %d\\n\", has_key(@m, 1), delete(@m, 1), has_key(@m, 1)); }",
        "1 1 0\n",
    ),
    ("BEGIN { @m[1] = 10; @m[2] = 20; printf(\"%d\\n\", len(@m)); clear(@m); }", "2\n"),
    (
        "let @a = array(4); BEGIN { @a[1] = 5; @a[3] = 6; @a[3]++; printf(\"%d %d\\n\", len(@a), has_key(@a, 4)); }",
        "4 0\n\n\n@a[1]: 5\n@a[3]: 7\n",
    ),
    ("let @a = array(64); BEGIN { @a[cpu * 0 + 9] = count(); @a[9] = count(); }", "\n\n@a[9]: 2\n"),
];

fn scripts() -> Outcome {
    for (script, due) in SCRIPTS {
        let seen = run(&["-e", script])?;
        // Scripts without maps still end with the two empty lines that precede maps.
        let wanted = format!("{due:?} from {script}");
        seen.expect(seen.code == 0, &wanted)?;
        let right = seen.stdout == *due || seen.stdout.strip_suffix("\n\n") == Some(*due);
        seen.expect(right, &wanted)?;
    }
    Ok(())
}

fn script_file() -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::temp_dir().join(format!("kernel-suite-{}.bt", std::process::id()));
    let text = format!(
        "#!{} -q\n// Adds its parameters.\nBEGIN\n{{\n\t$sum = $1 + $2;\n\tprintf(\"%d %s %d\\n\", $sum, str($3), $#);\n\texit(5);\n}}\n",
        crate::tracer::kscope()
    );
    std::fs::write(&path, text).map_err(|error| error.to_string())?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
        .map_err(|error| error.to_string())?;
    let seen = crate::tracer::wait(std::process::Command::new(&path).args(["40", "2", "word"]));
    let _ = std::fs::remove_file(&path);
    let seen = seen?;
    seen.expect(seen.code == 5 && seen.stdout.starts_with("42 word 3\n"), "42 word 3 and exit code 5")
}

fn standard_input() -> Outcome {
    let script = "printf '%s' 'BEGIN { printf(\"in\\n\"); }' | \"$0\" -";
    let seen =
        crate::tracer::wait(std::process::Command::new("sh").args(["-c", script, &crate::tracer::kscope()]))?;
    seen.expect(seen.code == 0 && seen.stdout.starts_with("in\n"), "in")
}
