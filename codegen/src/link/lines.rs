//! Script places as line information has them: line, column, and the line's text as printable
//! ASCII (the kernel prints it in its log, and loaders take that log for UTF-8).

use lang::{FileId, Sources, Span};

/// Longer lines are cut; the kernel's log needs no more to show where it is.
const LONGEST: usize = 200;

/// The lines of all files, for finding many places in little time.
pub struct Lines<'a> {
    sources: &'a Sources,
    /// For each file, the first byte of each line.
    starts: Vec<Vec<u32>>,
}

/// A place, both from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: FileId,
    /// Line.
    pub line: u32,
    /// Column, at most [`Place::LAST_COLUMN`].
    pub column: u32,
}

impl Place {
    /// The largest column that BTF can hold.
    pub const LAST_COLUMN: u32 = (1 << 10) - 1;
}

impl<'a> Lines<'a> {
    /// Finds the lines of every file.
    pub fn new(sources: &'a Sources) -> Self {
        let starts = sources.files().iter().map(|it| line_starts(&it.text)).collect();
        Lines { sources, starts }
    }

    /// Where a span begins.
    pub fn place(&self, span: Span) -> Place {
        let file = self.sources.file_of(span.file);
        let starts = &self.starts[usize::from(file.0)];
        let line = starts.partition_point(|&it| it <= span.start);
        let text = self.sources.get(file).text.as_bytes();
        let before = text.get(starts[line - 1] as usize..span.start as usize).unwrap_or_default();
        // A character is counted at its first byte.
        let characters = before.iter().filter(|&&it| it & 0xc0 != 0x80);
        let column = 1 + characters.take(Place::LAST_COLUMN as usize - 1).count();
        Place { file, line: line as u32, column: column as u32 }
    }

    /// The text of a place's line, printable.
    pub fn text(&self, place: Place) -> String {
        let starts = &self.starts[usize::from(place.file.0)];
        let text = &self.sources.get(place.file).text;
        let end = starts.get(place.line as usize).map_or(text.len(), |&it| it as usize);
        let line = text.get(starts[place.line as usize - 1] as usize..end).unwrap_or_default();
        printable(line.trim())
    }

    /// A file's name, printable.
    pub fn file_name(&self, file: FileId) -> String {
        printable(&self.sources.get(file).name)
    }

    /// A file's whole text.
    pub fn file_text(&self, file: FileId) -> &'a str {
        &self.sources.get(file).text
    }

    /// Every file.
    pub fn files(&self) -> impl Iterator<Item = FileId> {
        (0..self.starts.len()).map(|idx| FileId(idx as u16))
    }
}

fn line_starts(text: &str) -> Vec<u32> {
    let ends = text.bytes().enumerate().filter(|&(_, it)| it == b'\n').map(|(idx, _)| idx as u32 + 1);
    std::iter::once(0).chain(ends).collect()
}

/// Everything but printable ASCII is escaped, and what is too long is cut.
fn printable(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if out.len() >= LONGEST {
            out.push_str("...");
            break;
        }
        match byte {
            b'\t' => out.push(' '),
            b' '..=b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_their_lines() {
        let sources = Sources::single("a\u{e9}.bt", "begin {\n\tprint(\"\u{e9}\"); exit() }\r\n");
        let lines = Lines::new(&sources);
        let cases = [(0, 1, 1, "begin {"), (9, 2, 2, "print(\"\\xc3\\xa9\"); exit() }"), (21, 2, 13, "")];
        for (start, line, column, text) in cases {
            let place = lines.place(Span::new(FileId(0), start, start));
            assert_eq!((place.line, place.column), (line, column), "at byte {start}");
            if !text.is_empty() {
                assert_eq!(lines.text(place), text);
            }
        }
        assert_eq!(lines.file_name(FileId(0)), "a\\xc3\\xa9.bt");
    }

    #[test]
    fn long_lines_are_cut_and_columns_limited() {
        let sources = Sources::single("x", "a".repeat(5000));
        let lines = Lines::new(&sources);
        let place = lines.place(Span::new(FileId(0), 4000, 4001));
        assert_eq!(place.column, Place::LAST_COLUMN);
        assert_eq!(lines.text(place).len(), 203);
    }
}
