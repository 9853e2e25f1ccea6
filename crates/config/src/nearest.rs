//! The nearest of some known names: "did you mean".

/// Longer names are not compared; the cost grows with the square.
const LONGEST: usize = 40;
/// At most so many names are compared.
const COMPARED: usize = 1_000;

/// The known name that `written` was probably meant to be.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if written.len() > LONGEST {
        return None;
    }
    let folded = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let wanted = folded(written);
    let scored = known.into_iter().take(COMPARED).filter(|name| name.len() <= LONGEST);
    let scored = scored.map(|name| (distance(&wanted, &folded(name)), name));
    let (distance, name) = scored.min_by_key(|(distance, _)| *distance)?;
    // About one slip for every three characters.
    (distance <= (wanted.chars().count() / 3).max(1)).then_some(name)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one to the other
/// (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let known = ["idle_timeout", "half_closed_timeout", "listen", "pool"];
        assert_eq!(nearest("idle_timout", known), Some("idle_timeout"));
        assert_eq!(nearest("idle-timeout", known), Some("idle_timeout"));
        assert_eq!(nearest("Listen", known), Some("listen"));
        assert_eq!(nearest("lisetn", known), Some("listen"));
        assert_eq!(nearest("poool", known), Some("pool"));
        assert_eq!(nearest("masters", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn distances_are_symmetric() {
        for (a, b, expected) in [("abc", "acb", 1), ("abc", "", 3), ("kitten", "sitting", 3)] {
            assert_eq!(distance(a, b), expected);
            assert_eq!(distance(b, a), expected);
        }
    }
}
