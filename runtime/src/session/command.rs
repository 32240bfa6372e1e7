//! The command of `-c`: one text, split into words as a shell would, without its expansions.

use crate::backend::{Error, Result};
use crate::linux::sys::Errno;
use crate::linux::sys::process::Child;
use std::ffi::CString;

/// Starts the command's process, which waits to be released.
pub fn hold(command: &str) -> Result<Child> {
    let words = split(command)?;
    if words.is_empty() {
        return Err(Error::new("the command of -c is empty"));
    }
    let words: std::result::Result<Vec<CString>, _> = words.into_iter().map(CString::new).collect();
    let words = words.map_err(|_| Error::new("the command of -c holds a NUL byte"))?;
    Child::hold(&words).map_err(|errno| Error::new(format!("cannot start a process for -c: {errno}")))
}

/// The error for a command that could not be executed.
pub fn failed(command: Option<&str>, errno: Errno) -> Error {
    let words = split(command.unwrap_or_default()).unwrap_or_default();
    let name = words.into_iter().next().unwrap_or_default();
    match errno.code {
        libc::ENOENT if !name.contains('/') => Error::new(format!("the command `{name}` was not found"))
            .hint("it must be in PATH, or named by its path"),
        libc::ENOENT => Error::new(format!("there is no file `{name}` to execute")),
        libc::EACCES => Error::new(format!("`{name}` is not executable")),
        libc::ENOEXEC => Error::new(format!("`{name}` is neither a program nor a script with `#!`")),
        _ => Error::new(format!("cannot execute `{name}`: {errno}")),
    }
}

/// Words are separated by white space. Quotes of both kinds keep it; inside double quotes and
/// outside of quotes a backslash takes the next character as it stands.
fn split(text: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let next = chars.next().ok_or_else(|| Error::new("the command of -c ends in a backslash"))?;
                word.get_or_insert_default().push(next);
            }
            (None, _) if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    if let Some(quote) = quote {
        return Err(Error::new(format!("the command of -c has no closing {quote}")));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let cases: [(&str, &[&str]); 9] = [
            ("", &[]),
            ("  ls   -l\t/tmp ", &["ls", "-l", "/tmp"]),
            ("sh -c 'exit 7'", &["sh", "-c", "exit 7"]),
            (r#"echo "a 'b' c""#, &["echo", "a 'b' c"]),
            (r#"echo 'a "b" \ c'"#, &["echo", r#"a "b" \ c"#]),
            (r#"echo "a \"b\"""#, &["echo", r#"a "b""#]),
            (r"echo a\ b", &["echo", "a b"]),
            (r#"echo x"y"'z'"#, &["echo", "xyz"]),
            (r#"echo "" ''"#, &["echo", "", ""]),
        ];
        for (text, expected) in cases {
            assert_eq!(split(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn unfinished_words() {
        for text in ["'", "a \"b", "a\\"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
