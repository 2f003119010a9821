//! Which of the words that are known somebody meant.

/// The known word that is the fewest changes away; none if none is known.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known.into_iter().min_by_key(|one| distance(word, one))
}

/// Levenshtein's.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<_> = to.chars().collect();
    let mut row: Vec<_> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_changes_win() {
        let known = ["files", "btrfs", "postgres", "mariadb"];
        for (word, meant) in [("file", "files"), ("btrf", "btrfs"), ("postgresql", "postgres")] {
            assert_eq!(nearest(word, known), Some(meant));
        }
        assert_eq!(nearest("files", []), None);
    }
}
