//! What scripts import: files and folders of them, read from where scripts lie.
//!
//! Whoever may write a file decides what root runs of it, so files and folders that anyone may
//! write are refused.

use super::reason;
use lang::host::{Imported, ImportedFile};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The permission to write of those who are neither the owner nor in the group.
const ANYONE_WRITES: u32 = 0o002;

/// Largest file that is read: far more than a script may have.
const LARGEST: u64 = 1 << 24;

/// What `path` means in the file called `from`: beside it, else in one of `folders`.
pub(super) fn import(path: &str, from: &str, folders: &[PathBuf]) -> Imported {
    let beside = Path::new(from).parent().unwrap_or(Path::new("")).join(path);
    let mut tried: Vec<PathBuf> = Vec::new();
    for place in [beside].into_iter().chain(folders.iter().map(|it| it.join(path))) {
        let place = match place.strip_prefix(".") {
            Ok(inner) if !inner.as_os_str().is_empty() => inner.to_path_buf(),
            _ => place,
        };
        if tried.contains(&place) {
            continue;
        }
        match read(&place) {
            Ok(Some(files)) => return Imported::Files(files),
            Ok(None) => tried.push(place),
            Err(reason) => return Imported::Refused(reason),
        }
    }
    Imported::Missing(tried.iter().map(|it| it.display().to_string()).collect())
}

/// The file, or those of the folder; nothing where there is neither.
fn read(place: &Path) -> Result<Option<Vec<ImportedFile>>, String> {
    let found = match fs::metadata(place) {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(reason::of(&error)),
    };
    if !found.is_dir() {
        let folder = place.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        refuse_open(folder)?;
        return Ok(Some(vec![read_file(place)?]));
    }
    refuse_open(place)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(place).map_err(|error| reason::of(&error))? {
        let path = entry.map_err(|error| reason::of(&error))?.path();
        let is_code = path.extension().is_some_and(|it| it == "bt" || it == "h");
        if is_code && path.is_file() {
            names.push(path);
        }
    }
    names.sort();
    names.iter().map(|it| read_file(it)).collect::<Result<_, _>>().map(Some)
}

fn read_file(path: &Path) -> Result<ImportedFile, String> {
    let of = |error: &std::io::Error| format!("`{}`: {}", path.display(), reason::of(error));
    refuse_open(path)?;
    let found = fs::metadata(path).map_err(|error| of(&error))?;
    if !found.is_file() || found.len() > LARGEST {
        return Err(format!("`{}` is not a file of a script's size", path.display()));
    }
    let identity = fs::canonicalize(path).map_err(|error| of(&error))?;
    let bytes = fs::read(path).map_err(|error| of(&error))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("`{}` is not UTF-8 text", path.display()))?;
    let name = path.display().to_string();
    Ok(ImportedFile { name, identity: identity.to_string_lossy().into_owned(), text })
}

/// Refuses what anyone may write.
fn refuse_open(path: &Path) -> Result<(), String> {
    let found =
        fs::metadata(path).map_err(|error| format!("`{}`: {}", path.display(), reason::of(&error)))?;
    match found.permissions().mode() & ANYONE_WRITES {
        0 => Ok(()),
        _ => Err(format!("anyone may write `{}`", path.display())),
    }
}
