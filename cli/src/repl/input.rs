//! Where entries come from: an editor at a terminal, or else lines.

use super::complete;
use super::highlight::highlight;
use crate::failure::Failure;
use crate::terminal;
use lang::entry::is_incomplete;
use rustyline::completion::Completer;
use rustyline::config::CompletionType;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, Helper};
use std::borrow::Cow;
use std::fs::DirBuilder;
use std::io::{self, BufRead, IsTerminal};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

const PROMPT: &str = "kscope> ";
const CONTINUATION: &str = "     .. ";

/// Entries that the history keeps.
const HISTORY_SIZE: usize = 10_000;

/// Where entries come from.
pub enum Input {
    /// A person.
    Terminal(Box<Terminal>),
    /// A file or a pipe.
    Lines,
}

/// An editor with a history.
pub struct Terminal {
    editor: Editor<Assistant, DefaultHistory>,
    /// Where the history is kept; `None` when it cannot be.
    history: Option<PathBuf>,
}

impl Input {
    /// A terminal where input and output are one; `quiet` leaves the greeting away.
    pub fn open(quiet: bool) -> Result<Input, Failure> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Ok(Input::Lines);
        }
        let terminal = Terminal::open().map_err(failed)?;
        if !quiet {
            terminal::line(concat!(
                "kscope ",
                env!("CARGO_PKG_VERSION"),
                ": enter a probe, Ctrl-C ends it, :help helps, Ctrl-D leaves"
            ));
        }
        Ok(Input::Terminal(Box::new(terminal)))
    }

    /// Whether a person types.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Input::Terminal(_))
    }

    /// The next entry, which takes as many lines as it needs; `None` when there are no more. `maps` are
    /// names that can be completed.
    pub fn entry<'a>(&mut self, maps: impl Iterator<Item = &'a str>) -> Result<Option<String>, Failure> {
        match self {
            Input::Lines => Ok(read_lines()?),
            Input::Terminal(terminal) => {
                if let Some(assistant) = terminal.editor.helper_mut() {
                    assistant.maps = maps.map(str::to_owned).collect();
                }
                terminal.entry()
            }
        }
    }
}

fn read_lines() -> io::Result<Option<String>> {
    let (mut stdin, mut text) = (io::stdin().lock(), Vec::new());
    while stdin.read_until(b'\n', &mut text)? > 0 {
        let entry = String::from_utf8_lossy(&text);
        if !is_incomplete(&entry) {
            break;
        }
    }
    // What lacks its end when the input ends is an error that the parser explains.
    Ok((!text.is_empty()).then(|| String::from_utf8_lossy(&text).into_owned()))
}

impl Terminal {
    fn open() -> rustyline::Result<Terminal> {
        let config =
            Config::builder().max_history_size(HISTORY_SIZE)?.completion_type(CompletionType::List).build();
        let mut editor = Editor::with_config(config)?;
        editor.set_helper(Some(Assistant::default()));
        let history = history_path();
        // There is none before the first session.
        let _ = history.as_ref().map(|path| editor.load_history(path));
        Ok(Terminal { editor, history })
    }

    fn entry(&mut self) -> Result<Option<String>, Failure> {
        let mut text = String::new();
        loop {
            let prompt = if text.is_empty() { PROMPT } else { CONTINUATION };
            if let Some(assistant) = self.editor.helper_mut() {
                assistant.before.clone_from(&text);
            }
            match self.editor.readline(prompt) {
                Ok(line) => text += &line,
                Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => {
                    text.clear();
                    continue;
                }
                Err(ReadlineError::Eof) => return Ok(None),
                Err(error) => return Err(failed(error)),
            }
            if !is_incomplete(&text) {
                self.remember(&text);
                return Ok(Some(text));
            }
            text.push('\n');
        }
    }

    /// Adds an entry to the history, at once: the session may end in any way.
    fn remember(&mut self, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        let added = self.editor.add_history_entry(text);
        let Some(path) = &self.history else { return };
        let written = added.and_then(|_| {
            let folder = path.parent().map(|it| DirBuilder::new().recursive(true).mode(0o700).create(it));
            folder.transpose()?;
            self.editor.append_history(path)
        });
        if let Err(error) = written {
            terminal::warning(&format!("the history cannot be kept in {}: {error}", path.display()));
            self.history = None;
        }
    }
}

fn failed(error: ReadlineError) -> Failure {
    Failure::machine(format!("cannot read from the terminal: {error}"))
}

/// `$XDG_STATE_HOME/kscope/history`, or the same in the place that stands for the variable.
fn history_path() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("kscope/history"))
}

/// Helps while a line is typed.
#[derive(Default)]
struct Assistant {
    /// The lines of the entry before this one.
    before: String,
    /// Names of kept maps.
    maps: Vec<String>,
}

impl Helper for Assistant {}
impl Hinter for Assistant {
    type Hint = String;
}
// Lines of an entry are read one by one.
impl Validator for Assistant {}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        Cow::Owned(highlight(&self.before, line))
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        kind != CmdKind::MoveCursor
    }
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let text = format!("{}{}", self.before, &line[..at]);
        let (start, candidates) = complete::complete(&text, &self.maps, &list);
        Ok(match start.checked_sub(self.before.len()) {
            Some(start) => (start, candidates),
            None => (at, Vec::new()),
        })
    }
}

/// Probes of this machine that match; none where it does not tell.
fn list(pattern: &str) -> Vec<String> {
    let mut text = Vec::new();
    let listed = runtime::linux::list::list(Some(pattern), false, &mut text);
    let lines = listed.map(|_| String::from_utf8_lossy(&text).into_owned());
    lines.unwrap_or_default().lines().map(str::to_owned).collect()
}
