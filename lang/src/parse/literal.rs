//! The values of literals: numbers, durations, strings and addresses.
//!
//! Comes in: one token's text. Goes out: its value, or what is wrong with it.

/// A number's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    /// Nanoseconds for a duration.
    pub value: u64,
    /// Whether it had a unit of time.
    pub is_duration: bool,
}

/// Units of time and their nanoseconds.
const UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// `42`, `0x2a`, `052`, `4_2`, `1e6`, `42ul`, `5ms`.
pub(crate) fn number(text: &str) -> Result<Number, String> {
    let (base, body) = match text.get(..2) {
        Some("0x" | "0X") => (16, &text[2..]),
        _ if text.len() > 1 && text.starts_with('0') => (8, &text[1..]),
        _ => (10, text),
    };
    // Digits beyond the base still belong to the number: `08` is wrong, not `0` with a suffix.
    let is_digit = |it: char| it == '_' || it.is_digit(base.max(10));
    let end = body.find(|it| !is_digit(it)).unwrap_or(body.len());
    let (digits, suffix) = body.split_at(end);
    let value = match digits.replace('_', "").as_str() {
        "" if base == 8 => 0,
        "" => return Err(format!("{} has no digits", super::quote(text))),
        digits if base == 8 && digits.contains(['8', '9']) => {
            return Err(format!(
                "{} is octal because of its leading zero, and has the digit 8 or 9",
                super::quote(text)
            ));
        }
        digits => u64::from_str_radix(digits, base).map_err(|_| too_large(text))?,
    };
    let factor = factor(suffix, base).ok_or_else(|| format!("{} is not a number", super::quote(text)))??;
    let value = value.checked_mul(factor.0).ok_or_else(|| too_large(text))?;
    Ok(Number { value, is_duration: factor.1 })
}

/// What a suffix multiplies by, and whether it is a unit of time. `None`: there is no such suffix.
fn factor(suffix: &str, base: u32) -> Option<Result<(u64, bool), String>> {
    let lower = suffix.to_ascii_lowercase();
    if matches!(lower.as_str(), "" | "u" | "l" | "ul" | "lu" | "ll" | "ull" | "llu") {
        return Some(Ok((1, false)));
    }
    if let Some((_, factor)) = UNITS.iter().find(|(unit, _)| base != 16 && *unit == suffix) {
        return Some(Ok((*factor, true)));
    }
    let exponent = lower.strip_prefix('e').filter(|it| base == 10 && !it.is_empty())?;
    let exponent = exponent.trim_end_matches(['u', 'l']);
    if !exponent.bytes().all(|it| it.is_ascii_digit()) || exponent.is_empty() {
        return None;
    }
    let power = exponent.parse().ok().and_then(|it| 10_u64.checked_pow(it));
    Some(
        power
            .map(|it| (it, false))
            .ok_or_else(|| format!("the exponent {} is too large", super::quote(exponent))),
    )
}

fn too_large(text: &str) -> String {
    format!("number {} is too large: the largest is {}", super::quote(text), u64::MAX)
}

/// A wrong escape sequence in a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadEscape {
    /// First byte in the string token.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// What is wrong with it.
    pub message: String,
}

/// A string token with its quotes, escapes resolved; wrong escapes are left as they stand.
pub(crate) fn string(token: &str) -> (Vec<u8>, Vec<BadEscape>) {
    let body = token.strip_prefix('"').unwrap_or(token);
    let body = body.strip_suffix('"').unwrap_or(body);
    let mut bytes = Vec::with_capacity(body.len());
    let mut wrong = Vec::new();
    let mut rest = body;
    while let Some(backslash) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..backslash]);
        let sequence = &rest[backslash..];
        let length = match escape(sequence) {
            Ok((byte, length)) => {
                bytes.push(byte);
                length
            }
            Err((message, length)) => {
                bytes.extend_from_slice(&sequence.as_bytes()[..length]);
                let start = token.len() - 1 - sequence.len();
                wrong.push(BadEscape { start, end: start + length, message });
                length
            }
        };
        rest = &sequence[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    (bytes, wrong)
}

/// The byte of the escape that `text` begins with, and its length.
fn escape(text: &str) -> Result<(u8, usize), (String, usize)> {
    let Some(letter) = text[1..].chars().next() else {
        return Err(("unfinished escape".to_owned(), 1));
    };
    let simple = |byte| Ok((byte, 2));
    match letter {
        'n' => simple(b'\n'),
        't' => simple(b'\t'),
        'r' => simple(b'\r'),
        '"' => simple(b'"'),
        '\\' => simple(b'\\'),
        'x' => digits(&text[2..], 16, 2).map_or_else(
            || Err(("`\\x` needs one or two hexadecimal digits".to_owned(), 2)),
            |(value, length)| Ok((value as u8, 2 + length)),
        ),
        '0'..='7' => match digits(&text[1..], 8, 3) {
            Some((value @ 0..=255, length)) => Ok((value as u8, 1 + length)),
            _ => Err((format!("`{}` is more than a byte", &text[..4]), 4)),
        },
        other => Err((format!("unknown escape `\\{other}`"), 1 + other.len_utf8())),
    }
}

/// The value of the first `most` digits or fewer, and how many there are.
fn digits(text: &str, base: u32, most: usize) -> Option<(u32, usize)> {
    let length = text.chars().take(most).take_while(|it| it.is_digit(base)).count();
    u32::from_str_radix(&text[..length], base).ok().map(|value| (value, length))
}

/// Four decimal numbers with dots between them, in host order.
pub(crate) fn ipv4(text: &str) -> Option<u32> {
    text.parse::<std::net::Ipv4Addr>().ok().map(u32::from)
}

/// Six pairs of hexadecimal digits with colons between them.
pub(crate) fn mac(text: &str) -> Option<[u8; 6]> {
    let mut bytes = [0; 6];
    let mut pairs = text.split(':');
    for byte in &mut bytes {
        *byte = u8::from_str_radix(pairs.next()?, 16).ok()?;
    }
    pairs.next().is_none().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, value) in [
            ("0", 0),
            ("42", 42),
            ("1_000_000", 1_000_000),
            ("0x2A", 42),
            ("0XffffFFFFffffffff", u64::MAX),
            ("010", 8),
            ("00", 0),
            ("1e6", 1_000_000),
            ("5E0", 5),
            ("42u", 42),
            ("42ULL", 42),
            ("0xful", 15),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(number(text), Ok(Number { value, is_duration: false }), "{text}");
        }
        for (text, value) in [
            ("5ns", 5),
            ("5us", 5_000),
            ("5ms", 5_000_000),
            ("1s", 1_000_000_000),
            ("1m", 60_000_000_000),
            ("2h", 7_200_000_000_000),
            ("3d", 259_200_000_000_000),
        ] {
            assert_eq!(number(text), Ok(Number { value, is_duration: true }), "{text}");
        }
    }

    #[test]
    fn wrong_numbers() {
        for (text, message) in [
            ("18446744073709551616", "too large"),
            ("1e20", "the exponent `20` is too large"),
            ("999999999d", "too large"),
            ("08", "octal"),
            ("0x", "no digits"),
            ("12abc", "not a number"),
            ("1e", "not a number"),
            ("0xg", "no digits"),
            ("1k", "not a number"),
        ] {
            let error = number(text).expect_err(text);
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn strings() {
        for (token, bytes) in [
            (r#""""#, &b""[..]),
            (r#""a\n\t\r\"\\b""#, b"a\n\t\r\"\\b"),
            (r#""\0\33[\101\x41\xf\xff""#, b"\0\x1b[AA\x0f\xff"),
            (r#""\1234""#, b"S4"),
            ("\"é\"", "é".as_bytes()),
        ] {
            assert_eq!(string(token), (bytes.to_vec(), vec![]), "{token}");
        }
        for (token, start, end, message) in [
            (r#""ab\q""#, 3, 5, "unknown escape `\\q`"),
            (r#""\xg""#, 1, 3, "`\\x` needs one or two hexadecimal digits"),
            (r#""\400""#, 1, 5, "`\\400` is more than a byte"),
        ] {
            let bad = BadEscape { start, end, message: message.to_owned() };
            assert_eq!(string(token).1, [bad], "{token}");
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(ipv4("10.0.0.1"), Some(0x0a00_0001));
        assert_eq!(ipv4("10.0.0.256"), None);
        assert_eq!(ipv4("10.0.0"), None);
        assert_eq!(mac("02:00:00:00:00:fF"), Some([2, 0, 0, 0, 0, 255]));
        assert_eq!(mac("02:00"), None);
    }
}
