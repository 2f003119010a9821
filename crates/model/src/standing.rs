//! How one resource stands: whether it can be restored, and what is to be looked at.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::item::Outcome;

/// How a resource stands, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Health {
    /// No snapshot holds it whole: it cannot be restored.
    Never,
    /// The newest snapshot that should hold it does not.
    Failed,
    /// The newest one lacks something, is late, or nothing takes another one by itself.
    Attention,
    /// Snapshots of it are switched off.
    Unprotected,
    Good,
}

impl Health {
    pub const ALL: [Self; 5] =
        [Self::Never, Self::Failed, Self::Attention, Self::Unprotected, Self::Good];

    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Failed => "failed",
            Self::Attention => "attention",
            Self::Unprotected => "unprotected",
            Self::Good => "good",
        }
    }
}

/// The newest word of a snapshot about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newest {
    pub outcome: Outcome,
    /// What of it could not be read.
    pub problems: u64,
}

/// What is known of a resource.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    pub is_protected: bool,
    pub newest: Option<Newest>,
    /// When the newest snapshot was taken that holds it whole.
    pub last_good: Option<Timestamp>,
    /// Whether an enabled profile takes it.
    pub is_scheduled: bool,
    /// A moment of such a profile that passed long enough ago: there should be something since.
    pub expected: Option<Timestamp>,
}

pub fn health(known: &Known) -> Health {
    let is_whole = |newest: &Newest| newest.outcome == Outcome::Captured && newest.problems == 0;
    let is_late = known.expected.is_some_and(|expected| known.last_good < Some(expected));
    match (&known.newest, known.last_good) {
        _ if !known.is_protected => Health::Unprotected,
        (_, None) | (None, _) => Health::Never,
        (Some(newest), _) if newest.outcome != Outcome::Captured => Health::Failed,
        (Some(newest), _) if !is_whole(newest) || is_late || !known.is_scheduled => {
            Health::Attention
        }
        _ => Health::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_that_is_known_counts() {
        use Health::{Attention, Failed, Good, Never, Unprotected};
        use Outcome::{Captured, Failed as Missed, Skipped};
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        let newest = |outcome, problems| Some(Newest { outcome, problems });
        let good = Known {
            is_protected: true,
            newest: newest(Captured, 0),
            last_good: at(10),
            is_scheduled: true,
            expected: at(9),
        };
        for (known, want) in [
            (good, Good),
            (Known { expected: at(10), ..good }, Good),
            (Known { expected: at(11), ..good }, Attention),
            (Known { expected: None, is_scheduled: false, ..good }, Attention),
            (Known { newest: newest(Captured, 1), ..good }, Attention),
            (Known { newest: newest(Captured, 1), last_good: None, ..good }, Never),
            (Known { newest: newest(Missed, 0), ..good }, Failed),
            (Known { newest: newest(Skipped, 0), ..good }, Failed),
            (Known { newest: newest(Missed, 0), last_good: None, ..good }, Never),
            (Known { newest: None, last_good: None, ..good }, Never),
            (Known { is_protected: false, ..good }, Unprotected),
            (Known { is_protected: false, newest: None, last_good: None, ..good }, Unprotected),
        ] {
            assert_eq!(health(&known), want, "{known:?}");
        }
        assert!(Health::ALL.is_sorted(), "the worst first");
    }
}
