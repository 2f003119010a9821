//! What verify found: each damaged thing by name, and whom it touches.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use tintype_model::{Error, ErrorKind, Result};

use super::remedy::Remedy;
use crate::id::{RandomId, SnapshotId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing is wrong; somebody may want to know.
    Info,
    /// Perhaps something was lost; no stored byte is known to be wrong.
    Warning,
    Damage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Problem {
    /// Its bytes are not what was written.
    Unreadable,
    Missing,
    /// It holds what belongs under another name.
    Misplaced,
    WrongLength,
    /// Two parts of the repository contradict each other.
    Disagrees,
    /// A session without a fate.
    Undecided,
    /// A pack that no index segment names, a segment that nobody names.
    Orphan,
    UnknownName,
}

/// Paths that a finding touches, and in which snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affected {
    /// Tree path; empty: from the beginning.
    pub path: Vec<u8>,
    /// `None`: this path alone. Else everything from `path` up to but not this one, which is
    /// empty where it goes to the end.
    pub until: Option<Vec<u8>>,
    pub snapshots: Vec<SnapshotId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    pub problem: Problem,
    /// Name of the object, or `chunk <id>` for content that no segment names.
    pub object: String,
    pub expected: String,
    pub found: String,
    /// Bytes, which whoever shows them makes text of.
    #[serde(skip)]
    pub affected: Vec<Affected>,
    /// All of them, also those that were too many to be listed.
    pub affected_count: u64,
    /// What mends it, in this order.
    pub remedies: Vec<Remedy>,
}

#[derive(Clone, Debug, Serialize)]
pub struct VerifyReport {
    pub repository: RandomId,
    pub started: Timestamp,
    pub seconds: f64,
    /// False if it was stopped: what follows is what was seen until then.
    pub complete: bool,
    pub objects: u64,
    pub snapshots: u64,
    /// Distinct pages of all trees.
    pub pages: u64,
    /// Entries of these pages.
    pub entries: u64,
    pub packs: u64,
    /// Packs that were read whole, and how many bytes that were.
    pub packs_read: u64,
    pub bytes_read: u64,
    /// Packs that would have been read whole but were verified before.
    pub packs_skipped: u64,
    /// A gc ran meanwhile: objects that it removed are not reported as missing.
    pub gc_meanwhile: bool,
    /// Damage first.
    pub findings: Vec<Finding>,
    /// What no reader of this format version can see.
    pub blind_spots: Vec<&'static str>,
}

impl VerifyReport {
    pub fn damaged(&self) -> usize {
        self.findings.iter().filter(|f| f.severity == Severity::Damage).count()
    }
}

/// format.md, version 1.
pub(super) const BLIND_SPOTS: &[&str] = &[
    "nothing names the key slots that there are: a removed one, or an earlier one that was put \
     back, cannot be seen",
    "nothing names annotations that were put since the last gc: if the last ones are removed, \
     the snapshot looks as it did before them",
    "a snapshot of which session, fate and index segments were all removed leaves no trace, \
     unless annotations, a later gc record or another session name it; its packs show as orphans",
    "condemned lists and heartbeats can be removed unseen; what they forbade is over already",
];

/// Affected paths that are kept over all findings.
const MOST_AFFECTED: usize = 1 << 20;
/// Errors of the store, not of its content, after which verify gives up.
const MOST_FAILURES: u32 = 64;

/// Collects findings; one for each object and problem.
#[derive(Default)]
pub(super) struct Findings {
    all: Vec<Finding>,
    numbers: HashMap<(String, Problem), usize>,
    affected: usize,
    failures: u32,
}

impl Findings {
    /// Adds a finding, or gives the number of the one that is there already.
    pub(super) fn add(
        &mut self,
        severity: Severity,
        problem: Problem,
        object: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> usize {
        let object = object.into();
        let all = &mut self.all;
        *self.numbers.entry((object.clone(), problem)).or_insert_with(|| {
            all.push(Finding {
                severity,
                problem,
                object,
                expected: expected.into(),
                found: found.into(),
                affected: Vec::new(),
                affected_count: 0,
                remedies: Vec::new(),
            });
            all.len() - 1
        })
    }

    /// An object that could not be read or opened. Fails if the store itself does not answer
    /// any more: then nothing is known about its content.
    pub(super) fn unreadable(
        &mut self,
        object: &str,
        expected: &str,
        error: &Error,
    ) -> Result<usize> {
        if error.is(ErrorKind::Canceled) {
            return Err(Error::canceled(error.message()));
        }
        if error.is(ErrorKind::Unavailable) {
            self.failures += 1;
            if self.failures > MOST_FAILURES {
                return Err(Error::unavailable(format!(
                    "{MOST_FAILURES} objects could not be read; the last was {object}: {error}"
                )));
            }
        }
        let (problem, found) = if error.is(ErrorKind::NotFound) {
            (Problem::Missing, "it does not exist".to_owned())
        } else {
            (Problem::Unreadable, error.to_string())
        };
        Ok(self.add(Severity::Damage, problem, object, expected, found))
    }

    pub(super) fn add_detail(&mut self, finding: usize, detail: &str) {
        let found = &mut self.all[finding].found;
        *found = format!("{found}; {detail}");
    }

    /// It turned out to be no damage to anything; `why` is said.
    pub(super) fn lessen(&mut self, finding: usize, why: &str) {
        self.all[finding].severity = Severity::Info;
        self.add_detail(finding, why);
    }

    pub(super) fn affects(&mut self, finding: usize, affected: Affected) {
        let finding = &mut self.all[finding];
        finding.affected_count += 1;
        if let Some(last) = finding.affected.last_mut()
            && last.until.as_ref() == Some(&affected.path)
            && affected.until.is_some()
            && last.snapshots == affected.snapshots
        {
            last.until = affected.until;
        } else if self.affected < MOST_AFFECTED {
            self.affected += 1;
            finding.affected.push(affected);
        }
    }

    pub(super) fn drop_missing(&mut self) {
        self.all.retain(|finding| finding.problem != Problem::Missing);
        self.numbers.clear();
    }

    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.all.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.object.cmp(&b.object)));
        self.all
    }
}
