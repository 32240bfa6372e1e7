//! The table of constants that BTF cannot give, because headers define them as macros.

/// Lines of `NAME VALUE` in order of bytes; comments begin with `#`, which is before all names.
const TABLE: &str = include_str!("../../../stdlib/constants.txt");

/// The value of a constant. Nothing is read before it is asked for: this is a binary search in the
/// text itself.
pub(crate) fn value(name: &str) -> Option<i64> {
    let (mut low, mut high) = (0, TABLE.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = TABLE.as_bytes()[..middle].iter().rposition(|it| *it == b'\n').map_or(0, |it| it + 1);
        let end = TABLE.as_bytes()[middle..]
            .iter()
            .position(|it| *it == b'\n')
            .map_or(TABLE.len(), |it| middle + it);
        let (found, value) = TABLE[start..end].split_once(' ')?;
        match found.as_bytes().cmp(name.as_bytes()) {
            std::cmp::Ordering::Equal => return number(value),
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    None
}

/// Unsigned ones keep their bits.
fn number(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| text.parse::<u64>().ok().map(|it| it as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_line() {
        let mut last = "";
        for line in TABLE.lines().filter(|it| !it.starts_with('#')) {
            let (name, text) = line.split_once(' ').unwrap();
            assert!(last < name, "{last} {name}");
            assert_eq!(value(name), number(text), "{line}");
            assert!(number(text).is_some(), "{line}");
            last = name;
        }
    }

    #[test]
    fn knows_what_scripts_use() {
        for (name, expected) in [
            ("AF_INET", Some(2)),
            ("AF_INET6", Some(10)),
            ("EPERM", Some(1)),
            ("ETH_P_IP", Some(0x0800)),
            ("S_IFMT", Some(0o170000)),
            ("O_CREAT", Some(0o100)),
            ("SIGKILL", Some(9)),
            ("CLONE_NEWNS", Some(0x20000)),
            ("IPPROTO_TCP", Some(6)),
            ("", None),
            ("#", None),
            ("AF_", None),
            ("zzz", None),
        ] {
            assert_eq!(value(name), expected, "{name}");
        }
    }
}
