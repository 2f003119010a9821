//! `--keep-tag a,b`: all that have every tag of the list; of several lists any one does.

use std::collections::BTreeSet;

use super::{Candidate, Reason, Verdicts};

pub(super) fn keep(candidates: &[Candidate<'_>], lists: &[BTreeSet<String>]) -> Verdicts {
    candidates
        .iter()
        .map(|c| {
            let list = lists.iter().find(|list| list.is_subset(&c.snapshot.tags))?;
            Some(Reason::Tags(list.iter().cloned().collect()))
        })
        .collect()
}
