//! `kscope fmt`: scripts in one form, in place or from standard input to standard output.

use crate::cli::FmtArgs;
use crate::failure::Failure;
use crate::script::read_file;
use crate::terminal;
use lang::{Sources, fmt};
use runtime::linux::reason;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

/// Exit code when `--check` finds a file that is not formatted.
const WOULD_CHANGE: u8 = 1;

/// Formats what the arguments name. A wrong script is reported and left as it is; the others are
/// still formatted.
pub fn fmt(args: &FmtArgs) -> Result<u8, Failure> {
    let stdin = ["-".to_owned()];
    let files = if args.files.is_empty() { &stdin[..] } else { &args.files };
    let mut code = 0;
    let mut failure = None;
    for file in files {
        match format(file, args.check) {
            Ok(changes) if changes && args.check => code = WOULD_CHANGE,
            Ok(_) => {}
            Err(Failure::Script) => failure = failure.or(Some(Failure::Script)),
            Err(other) => return Err(other),
        }
    }
    failure.map_or(Ok(code), Err)
}

/// Formats one file; whether that changes it. With `check` only its name is printed if so.
fn format(file: &str, check: bool) -> Result<bool, Failure> {
    let source = read_file(file)?;
    let formatted = match fmt::format(&source.text) {
        Ok(formatted) => formatted,
        Err(diagnostics) => {
            let sources = Sources::of(source);
            diagnostics.iter().for_each(|it| terminal::diagnostic(it, &sources));
            return Err(Failure::Script);
        }
    };
    let changes = formatted != source.text;
    let mut stdout = std::io::stdout().lock();
    if check {
        if changes {
            writeln!(stdout, "{}", source.name)?;
        }
    } else if file == "-" {
        stdout.write_all(formatted.as_bytes())?;
    } else if changes {
        replace(Path::new(file), &formatted)
            .map_err(|error| Failure::machine(format!("cannot write {file}: {}", reason::of(&error))))?;
    }
    Ok(changes)
}

/// Puts `text` in the place of a file at once: nobody sees half of it, and it keeps its mode and,
/// where allowed, its owner. A link stays a link.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = fs::canonicalize(path)?;
    let before = fs::metadata(&path)?;
    let (beside, mut file) = create_beside(&path)?;
    // Only root may give files away; for others the owner is who formats.
    let _ = fchown(&file, Some(before.uid()), Some(before.gid()));
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.set_permissions(before.permissions()))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&beside, &path));
    written.inspect_err(|_| {
        // The error that led here says more than that of removing what is left.
        let _ = fs::remove_file(&beside);
    })
}

/// A new file in the folder of `path`.
fn create_beside(path: &Path) -> std::io::Result<(PathBuf, fs::File)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    for number in 0..100 {
        let beside = path.with_file_name(format!(".{name}.{}.{number}", std::process::id()));
        match fs::File::create_new(&beside) {
            Ok(file) => return Ok((beside, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}
