//! Wildcards in attach points: `*` stands for any text, everything else for itself.

/// Whether a pattern has a wildcard.
pub fn is_pattern(text: &str) -> bool {
    text.contains('*')
}

/// Whether `text` matches all of `pattern`.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, pattern)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = pattern.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    // To take the first place where a part fits leaves most for those behind it.
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_is_any_text() {
        for (pattern, text, expected) in [
            ("vfs_read", "vfs_read", true),
            ("vfs_read", "vfs_readv", false),
            ("vfs_*", "vfs_", true),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("*read", "vfs_read", true),
            ("*read", "vfs_readv", false),
            ("v*s*d", "vfs_read", true),
            ("a*a", "a", false),
            ("a*b*b", "ab", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*ab*ab", "abab", true),
            ("*ab*ab", "aab", false),
            ("**", "x", true),
            ("é*", "école", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
