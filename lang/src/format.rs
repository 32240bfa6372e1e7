//! `printf` formats: text in, pieces out.
//!
//! The conversions are `%[-+ #0][width][.precision][hh h l ll z j t L]letter`. What is no
//! conversion stands as text, as bpftrace prints it.

use crate::hir::{Conversion, Format, Piece, Width};

/// Letters of conversions; the longer ones first, so that `%rx` is not `%r` and `x`.
const LETTERS: [&str; 13] = ["rx", "rh", "gr", "r", "d", "i", "u", "o", "x", "X", "c", "p", "s"];

/// Length modifiers and the bytes that they mean; the longer ones first.
const LENGTHS: [(&str, u8); 8] =
    [("hh", 1), ("ll", 8), ("h", 2), ("l", 8), ("z", 8), ("j", 8), ("t", 8), ("L", 8)];

/// Bytes of an integer without a length modifier, as in C.
const DEFAULT_LENGTH: u8 = 4;

/// Takes a format apart.
pub fn parse(text: &str) -> Format {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        plain.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        if let Some(behind) = percent(behind) {
            plain.push('%');
            rest = behind;
        } else if let Some((conversion, behind)) = conversion(behind) {
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Conversion(conversion));
            rest = behind;
        } else {
            plain.push('%');
            rest = behind;
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Format { pieces }
}

/// What follows a `%%`, also one with flags and widths between, which mean nothing for it.
fn percent(text: &str) -> Option<&str> {
    text.trim_start_matches(|it: char| it.is_ascii_digit() || "-+ #.".contains(it)).strip_prefix('%')
}

/// The conversion at the start of `text`, behind its `%`, and what follows it.
fn conversion(text: &str) -> Option<(Conversion, &str)> {
    let flags = &text[..text.len() - text.trim_start_matches(['-', '+', ' ', '#', '0']).len()];
    let rest = &text[flags.len()..];
    let (width, rest) = width(rest);
    let (precision, rest) = match rest.strip_prefix('.') {
        Some(rest) => match self::width(rest) {
            // `%.d` is `%.0d`.
            (Width::None, rest) => (Some(Width::Fixed(0)), rest),
            (width, rest) => (Some(width), rest),
        },
        None => (None, rest),
    };
    let modifier = LENGTHS.iter().find(|it| rest.starts_with(it.0));
    let (length, rest) = modifier.map_or((DEFAULT_LENGTH, rest), |it| (it.1, &rest[it.0.len()..]));
    let letter = LETTERS.into_iter().find(|it| rest.starts_with(it))?;
    let conversion = Conversion {
        left: flags.contains('-'),
        plus: flags.contains('+'),
        space: flags.contains(' '),
        alternate: flags.contains('#'),
        zero: flags.contains('0'),
        width,
        precision,
        length,
        letter: letter.to_owned(),
    };
    Some((conversion, &rest[letter.len()..]))
}

/// Digits or a `*`.
fn width(text: &str) -> (Width, &str) {
    if let Some(rest) = text.strip_prefix('*') {
        return (Width::Argument, rest);
    }
    let rest = text.trim_start_matches(|it: char| it.is_ascii_digit());
    let digits = &text[..text.len() - rest.len()];
    match digits.parse() {
        Ok(width) => (Width::Fixed(width), rest),
        // No digits, or more than any terminal is wide.
        Err(_) => (Width::None, rest),
    }
}

/// The format's conversions, in order.
pub fn conversions(format: &Format) -> impl Iterator<Item = &Conversion> {
    format.pieces.iter().filter_map(|piece| match piece {
        Piece::Conversion(conversion) => Some(conversion),
        Piece::Text(_) => None,
    })
}

/// A conversion as a format writes it.
pub fn conversion_text(conversion: &Conversion) -> String {
    let flags = [
        (conversion.left, "-"),
        (conversion.plus, "+"),
        (conversion.space, " "),
        (conversion.alternate, "#"),
        (conversion.zero, "0"),
    ];
    let flags: String = flags.into_iter().filter(|it| it.0).map(|it| it.1).collect();
    let width = |width| match width {
        Width::None => String::new(),
        Width::Fixed(n) => n.to_string(),
        Width::Argument => "*".to_owned(),
    };
    let precision = conversion.precision.map_or(String::new(), |it| format!(".{}", width(it)));
    let length = match conversion.length {
        1 => "hh",
        2 => "h",
        8 => "ll",
        _ => "",
    };
    format!("%{flags}{}{precision}{length}{}", width(conversion.width), conversion.letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text as it stands, conversions in angle brackets.
    fn shown(format: &str) -> String {
        let shown = |piece| match piece {
            Piece::Text(text) => text,
            Piece::Conversion(conversion) => format!("<{}>", conversion_text(&conversion)),
        };
        parse(format).pieces.into_iter().map(shown).collect()
    }

    #[test]
    fn formats_come_apart() {
        let cases = [
            ("", ""),
            ("plain", "plain"),
            ("%s %d\n", "<%s> <%d>\n"),
            ("100%%", "100%"),
            ("%5%|%-5%|%.2%|% d", "%|%|%|<% d>"),
            ("%-16s|%08.3lx|", "<%-16s>|<%08.3llx>|"),
            ("%hhd%hd%ld%lld%zu%ju%tu", "<%hhd><%hd><%lld><%lld><%llu><%llu><%llu>"),
            ("%*d", "<%*d>"),
            ("%.d", "<%.0d>"),
            ("%rx%rh%r%gr", "<%rx><%rh><%r><%gr>"),
            ("%+ #x", "<%+ #x>"),
            ("%z", "%z"),
            ("%", "%"),
            ("%é", "%é"),
            ("a%-", "a%-"),
        ];
        for (format, expected) in cases {
            assert_eq!(shown(format), expected, "{format:?}");
        }
    }
}
