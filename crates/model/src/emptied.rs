//! A volume that is empty all at once: perhaps its disk is not mounted.

/// What the last snapshot that captured it held of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// As people name it.
    pub snapshot: String,
    /// With the directory itself.
    pub entries: u64,
}

/// Why a volume that is empty now does not count as captured; none if it does. `entries`: with the
/// directory itself. `before` is asked of those that are empty and need not be.
pub fn why_not(
    entries: u64,
    may_be_empty: bool,
    before: impl FnOnce() -> Option<Held>,
) -> Option<String> {
    if entries > 1 || may_be_empty {
        return None;
    }
    let held = before().filter(|held| held.entries > 1)?;
    let count = held.entries - 1;
    let what = if count == 1 { "entry" } else { "entries" };
    Some(format!(
        "is empty, and snapshot {} of it holds {count} {what}: is its disk mounted? Where it is meant \
         to be empty, say `may_be_empty: true` in its `at`",
        held.snapshot
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_held_something_and_must_not_be_empty_is_doubted() {
        let held = |entries| Some(Held { snapshot: "3f2a".to_owned(), entries });
        for (entries, may_be_empty, before, is_doubted) in [
            (1, false, held(8), true),
            (0, false, held(2), true),
            (2, false, held(800), false),
            (1, true, held(8), false),
            (1, false, held(1), false),
            (1, false, None, false),
        ] {
            let why = why_not(entries, may_be_empty, || before.clone());
            assert_eq!(why.is_some(), is_doubted, "{entries} {may_be_empty} {before:?}");
            if let Some(why) = why {
                assert!(why.contains("3f2a") && why.contains("`may_be_empty: true`"), "{why}");
            }
        }
        assert!(why_not(1, false, || held(2)).unwrap().contains("holds 1 entry:"));
    }
}
