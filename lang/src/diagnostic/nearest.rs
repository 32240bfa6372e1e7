//! The name that someone most likely meant.

/// Longer words are not compared: nobody mistypes them by hand.
const LONGEST: usize = 64;

pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters: Vec<char> = word.chars().take(LONGEST + 1).collect();
    if letters.is_empty() || letters.len() > LONGEST {
        return None;
    }
    // One slip in three letters still looks like the same word; short words allow one.
    let allowed = (letters.len() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if candidate.eq_ignore_ascii_case(word) {
            return Some(candidate);
        }
        let limit = best.map_or(allowed + 1, |(distance, _)| distance);
        if let Some(distance) = distance(&letters, candidate, limit) {
            best = Some((distance, candidate));
        }
    }
    // Replacing every letter is not a slip.
    best.filter(|&(distance, _)| distance < letters.len()).map(|(_, candidate)| candidate)
}

/// The number of letters to insert, remove, replace or swap, when it is less than `limit`.
/// Letters that differ only in case count as equal.
fn distance(word: &[char], candidate: &str, limit: usize) -> Option<usize> {
    let candidate: Vec<char> = candidate.chars().take(LONGEST + 1).collect();
    if candidate.len().abs_diff(word.len()) >= limit {
        return None;
    }
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=candidate.len()).collect();
    for (row, letter) in word.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in candidate.iter().enumerate() {
            let replace = last[column] + usize::from(!letter.eq_ignore_ascii_case(other));
            let mut cost = replace.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped =
                row > 0 && column > 0 && *letter == candidate[column - 1] && word[row - 1] == *other;
            if swapped {
                cost = cost.min(before_last[column - 1] + 1);
            }
            current.push(cost);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().filter(|&distance| distance < limit)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let names = ["printf", "print", "pid", "tid", "strftime", "kprobe", "count", "Comm"];
        for (word, expected) in [
            ("prinft", Some("printf")),
            ("Printf", Some("printf")),
            ("comm", Some("Comm")),
            ("pritn", Some("print")),
            ("kprobes", Some("kprobe")),
            ("strtime", Some("strftime")),
            ("cuont", Some("count")),
            ("pdi", Some("pid")),
            ("xyz", None),
            ("q", None),
            ("", None),
            ("something_else", None),
        ] {
            assert_eq!(nearest(word, names), expected, "{word}");
        }
        assert_eq!(nearest(&"a".repeat(100_000), ["a"]), None);
    }
}
