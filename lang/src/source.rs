//! Script texts and places in them.
//!
//! Comes in: the text of every file of one compilation. Goes out: line and column of any place.
//!
//! Text that stands in the script a further time because a macro was used there has spans of its
//! own, so that no two places of the tree share one. Their file is an [`Expansion`]: the text is
//! that of the macro's file, and from each place a trail leads to what was written in the script.

use serde::{Deserialize, Serialize};

/// A file of one compilation: the script itself is `FileId(0)`, imports and stdlib files follow.
/// Ids from [`FileId::FIRST_EXPANSION`] on are those of expansions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileId(pub u16);

impl FileId {
    /// The first expansion.
    pub const FIRST_EXPANSION: FileId = FileId(1 << 15);

    /// The rank among expansions; nothing for a file.
    fn expansion(self) -> Option<usize> {
        self.0.checked_sub(Self::FIRST_EXPANSION.0).map(usize::from)
    }
}

/// A range of bytes in one file.
///
/// Invariant: `start <= end`, both on character boundaries of the file's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The span of `start..end` in `file`.
    pub fn new(file: FileId, start: usize, end: usize) -> Self {
        Span { file, start: start as u32, end: end as u32 }
    }

    /// The smallest span that holds both; this one when the other is in another file.
    pub fn to(self, other: Span) -> Span {
        if self.file != other.file {
            return self;
        }
        Span { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The empty span at the end of this one.
    pub fn tail(self) -> Span {
        Span { start: self.end, ..self }
    }
}

/// One file's name and text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// As diagnostics show it: a path, or `stdin` for `-e` and `-` (bpftrace's word).
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// A place as people count it, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Source {
    /// The position of byte `offset` (clamped to the text's end).
    pub fn position(&self, offset: u32) -> Position {
        let offset = (offset as usize).min(self.text.len());
        let before = &self.text.as_bytes()[..offset];
        let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
        let column = 1 + String::from_utf8_lossy(&before[line_start..]).chars().count();
        Position { line, column }
    }

    /// The text of line `line` (from 1), without its line end; empty when there is no such line.
    pub fn line(&self, line: usize) -> &str {
        self.text.split('\n').nth(line.saturating_sub(1)).unwrap_or("").trim_end_matches('\r')
    }
}

/// A text that stands in the script once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expansion {
    /// The file that has the text.
    pub text: FileId,
    /// What it stands for: a macro's call, or a parameter in a macro.
    pub from: Span,
    /// Whose `$variables` its names are: those of the macro, or for an argument those of the caller.
    pub names: FileId,
}

/// All files of one compilation, indexed by [`FileId`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    files: Vec<Source>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    expansions: Vec<Expansion>,
}

impl Sources {
    /// Most files, and most expansions.
    pub const MOST: usize = 1 << 15;

    /// The sources of a single script.
    pub fn single(name: impl Into<String>, text: impl Into<String>) -> Self {
        Sources::of(Source { name: name.into(), text: text.into() })
    }

    /// The sources of a single file.
    pub fn of(source: Source) -> Self {
        Sources { files: vec![source], expansions: Vec::new() }
    }

    /// Adds a file; nothing when there are too many.
    pub fn add(&mut self, source: Source) -> Option<FileId> {
        let id = u16::try_from(self.files.len()).ok().filter(|_| self.files.len() < Self::MOST)?;
        self.files.push(source);
        Some(FileId(id))
    }

    /// Adds an expansion of the text of file `text`, which may be one itself. Its names are those of
    /// `names`, or its own. Nothing when there are too many.
    pub fn expand(&mut self, text: FileId, from: Span, names: Option<FileId>) -> Option<FileId> {
        let rank = self.expansions.len();
        let id = u16::try_from(rank).ok().filter(|_| rank < Self::MOST)?;
        let id = FileId(FileId::FIRST_EXPANSION.0 + id);
        let text = self.file_of(text);
        self.expansions.push(Expansion { text, from, names: names.unwrap_or(id) });
        Some(id)
    }

    /// Every file, in the order of their ids.
    pub fn files(&self) -> &[Source] {
        &self.files
    }

    /// Whether there is a file or an expansion of that id.
    pub fn has(&self, file: FileId) -> bool {
        match file.expansion() {
            Some(rank) => rank < self.expansions.len(),
            None => usize::from(file.0) < self.files.len(),
        }
    }

    /// Whether every expansion has its text from a file and leads out of all expansions: what was
    /// read from outside may be anything.
    pub fn is_sound(&self) -> bool {
        self.expansions.iter().enumerate().all(|(rank, it)| {
            let earlier = it.from.file.expansion().is_none_or(|from| from < rank);
            usize::from(it.text.0) < self.files.len()
                && self.has(it.from.file)
                && earlier
                && self.has(it.names)
        })
    }

    /// The file that has the text.
    pub fn get(&self, file: FileId) -> &Source {
        &self.files[usize::from(self.file_of(file).0)]
    }

    /// The file that an expansion has its text from; any other file itself.
    pub fn file_of(&self, file: FileId) -> FileId {
        self.expansion(file).map_or(file, |it| it.text)
    }

    /// The expansion of that id; nothing for a file.
    pub fn expansion(&self, file: FileId) -> Option<&Expansion> {
        self.expansions.get(file.expansion()?)
    }

    /// Whose `$variables` the names in this file are.
    pub fn names_of(&self, file: FileId) -> FileId {
        self.expansion(file).map_or(file, |it| it.names)
    }

    /// The places that `span` was expanded from, the innermost first.
    pub fn trail(&self, span: Span) -> impl Iterator<Item = Span> {
        let from = |it: &Span| self.expansion(it.file).map(|it| it.from);
        std::iter::successors(from(&span), from)
    }

    /// What was written that led to this place, outside all macros: the last of its trail, or itself;
    /// and the text itself in its file. Places that agree in both look the same to a reader.
    pub fn written(&self, span: Span) -> (Span, Span) {
        let text = Span { file: self.file_of(span.file), ..span };
        (self.trail(span).last().unwrap_or(span), text)
    }

    /// The text that `span` covers.
    pub fn text(&self, span: Span) -> &str {
        self.get(span.file).text.get(span.start as usize..span.end as usize).unwrap_or("")
    }
}
