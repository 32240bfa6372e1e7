//! Patterns of `strmatch`: text in, parts out.
//!
//! `*` stands for any bytes, `?` for one byte, `\` takes the special meaning from what follows. `[` begins
//! a set in most shells; there are none here, so it must be written `\[`.

/// A byte of a pattern; `None` is `?`.
pub type Byte = Option<u8>;

/// Takes a pattern apart at its stars: one part more than there are stars. `Err` is the place of a `[`
/// or of a `\` with nothing behind it.
pub fn parse(pattern: &[u8]) -> Result<Vec<Vec<Byte>>, usize> {
    let mut parts = vec![Vec::new()];
    let mut bytes = pattern.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        let byte = match byte {
            b'*' => {
                parts.push(Vec::new());
                continue;
            }
            b'?' => None,
            b'[' => return Err(at),
            b'\\' => Some(*bytes.next().ok_or(at)?.1),
            byte => Some(byte),
        };
        if let Some(part) = parts.last_mut() {
            part.push(byte);
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_come_apart_at_their_stars() {
        let shown = |pattern: &str| {
            let byte = |it: &Byte| it.map_or("<any>".to_owned(), |it| char::from(it).to_string());
            let part = |it: &Vec<Byte>| it.iter().map(byte).collect::<String>();
            parse(pattern.as_bytes()).map(|parts| parts.iter().map(part).collect::<Vec<_>>().join("|"))
        };
        let cases = [
            ("", Ok("")),
            ("abc", Ok("abc")),
            ("*", Ok("|")),
            ("a*b*c", Ok("a|b|c")),
            ("**", Ok("||")),
            ("?x*", Ok("<any>x|")),
            (r"\*\?\\\[", Ok(r"*?\[")),
            ("a[b]", Err(1)),
            (r"ab\", Err(2)),
        ];
        for (pattern, expected) in cases {
            assert_eq!(shown(pattern), expected.map(str::to_owned), "{pattern}");
        }
    }
}
