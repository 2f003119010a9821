//! Whether the objects of the commit protocol fit together (format.md §11): who is missing,
//! and what an unfinished or lost step left.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::objects::{Inventory, Name};
use super::report::{Findings, Problem, Severity};
use crate::format::records::{FateState, GcRecord, SessionKind, SessionRecord, names};
use crate::id::{RandomId, SnapshotId};
use crate::repo::Repository;
use crate::repo::annotate::Standing;
use crate::tree::Root;

impl Inventory {
    /// Index segments in force, as far as can be known. Without a readable gc record: all.
    pub(super) fn segments_in_force(&self) -> Vec<String> {
        let Some(newest) = self.newest() else {
            return self.all_segments().map(str::to_owned).collect();
        };
        let absorbed: HashSet<&RandomId> =
            newest.absorbed.iter().chain(&newest.delete.retire).collect();
        let counts = |id: &RandomId| !absorbed.contains(id) && !self.retired.contains(id);
        let mut segments: BTreeSet<String> = newest.base.iter().cloned().collect();
        for (_, fate) in self.fates.iter().filter(|(id, _)| counts(id)) {
            segments.extend(fate.segments.iter().cloned());
        }
        segments.extend(
            self.all_segments()
                .filter(|name| {
                    names::parse_segment(name)
                        .is_some_and(|(id, _)| self.damaged_fates.contains(&id) && counts(&id))
                })
                .map(str::to_owned),
        );
        segments.into_iter().collect()
    }

    pub(super) fn all_segments(&self) -> impl Iterator<Item = &str> {
        self.sizes.keys().map(String::as_str).filter(|name| Name::of(name) == Name::Segment)
    }

    /// Visible snapshots, oldest first.
    pub(super) fn snapshots(&self, repository: &Repository) -> Vec<(SnapshotId, Root)> {
        let now = repository.env.clock.now();
        let mut visible = Vec::new();
        for (id, fate) in &self.fates {
            let (FateState::Committed, Some(manifest)) = (fate.state, &fate.manifest) else {
                continue;
            };
            let mut standing = Standing::of(manifest);
            let annotations = self.annotations.get(id).into_iter().flat_map(BTreeMap::values);
            annotations.flatten().for_each(|annotation| standing.apply(annotation));
            if !self.retired.contains(id) && !standing.is_dead(now) {
                visible.push((manifest.time, *id, Root::of(manifest)));
            }
        }
        visible.sort_by_key(|(time, id, _)| (*time, *id));
        visible.into_iter().map(|(_, id, root)| (id, root)).collect()
    }

    /// What the newest gc record says must go, and may be gone in part.
    pub(super) fn leaving(&self) -> HashSet<&str> {
        let objects = self.newest().into_iter().flat_map(|record| &record.delete.objects);
        objects.map(String::as_str).collect()
    }

    /// Everything that can be seen without reading packs.
    pub(super) fn check_protocol(&self, repository: &Repository, findings: &mut Findings) {
        let leaving = self.leaving();
        self.check_records(repository, findings);
        self.check_annotations(repository, findings);
        self.check_fates(repository, &leaving, findings);
        self.check_sessions(repository, &leaving, findings);
        self.check_lost_fates(repository, &leaving, findings);
        for name in self.sizes.keys().filter(|name| Name::of(name) == Name::Unknown) {
            let found = "no name that this version of the format knows";
            findings.add(Severity::Info, Problem::UnknownName, name, "nothing", found);
        }
    }

    fn check_records(&self, repository: &Repository, findings: &mut Findings) {
        let Some((seq, newest)) = self.records.last_key_value() else {
            findings.add(
                Severity::Damage,
                Problem::Missing,
                "gc/…",
                "a gc record: there is one from the beginning on",
                "none: nothing can be listed or read before it is back",
            );
            return;
        };
        let Some(newest) = newest else { return };
        if *seq > 0 && !newest.delete.retire.is_empty() {
            let gone = newest.delete.retire.iter().filter(|id| !self.retired.contains(*id)).count();
            if gone > 0 {
                findings.add(
                    Severity::Warning,
                    Problem::Missing,
                    names::retired(newest.session),
                    format!("a list that retires {gone} sessions, as {} says", names::gc(*seq)),
                    "not there: a gc was interrupted before it wrote it, or it was lost; the \
                     next gc writes it again",
                );
            }
        }
        for name in newest.retired.iter().filter(|name| !self.sizes.contains_key(*name)) {
            if !is_there(repository, name) {
                let expected = format!("a list of retired sessions: {} names it", names::gc(*seq));
                let (severity, problem) = (Severity::Damage, Problem::Missing);
                findings.add(severity, problem, name, expected, "it does not exist");
            }
        }
    }

    fn check_annotations(&self, repository: &Repository, findings: &mut Findings) {
        let newest = self.newest();
        let known = |id: &SnapshotId| newest.and_then(|n| n.annotations.get(id)).copied();
        let of_record = newest.into_iter().flat_map(|newest| newest.annotations.keys());
        let ids: BTreeSet<&SnapshotId> = self.annotations.keys().chain(of_record).collect();
        for id in ids {
            let found = self.annotations.get(id);
            let last = found.and_then(|found| found.last_key_value()).map_or(0, |(n, _)| *n);
            let last = last.max(known(id).unwrap_or(0));
            let is_missing = |n: &u32| found.is_none_or(|found| !found.contains_key(n));
            // A hostile name may carry any number: holes are named, but not millions of them.
            let holes = (1..=last).filter(is_missing).take(64);
            for name in holes.map(|number| names::annotation(*id, number)) {
                if is_there(repository, &name) {
                    continue;
                }
                findings.add(
                    Severity::Damage,
                    Problem::Missing,
                    name,
                    "a change of this snapshot: there are later ones, or the newest gc record \
                     knows it",
                    "it does not exist",
                );
            }
        }
    }

    fn check_fates(
        &self,
        repository: &Repository,
        leaving: &HashSet<&str>,
        findings: &mut Findings,
    ) {
        for (id, fate) in &self.fates {
            let name = names::fate(*id);
            if (fate.state == FateState::Committed) != fate.manifest.is_some() {
                let found = format!("state {:?} with the wrong thing", fate.state);
                let (severity, problem) = (Severity::Damage, Problem::Disagrees);
                findings.add(severity, problem, &name, "a manifest where it committed", found);
            }
            let session = names::session(*id);
            let goes = leaving.contains(&session[..]) || leaving.contains(&name[..]);
            let expected_there = !goes && !self.retired.contains(id);
            if expected_there && !self.sessions.contains_key(id) && !is_there(repository, &session)
            {
                let expected = format!("the session that {name} decided");
                let (severity, problem) = (Severity::Damage, Problem::Missing);
                findings.add(severity, problem, session, expected, "it does not exist");
            }
        }
    }

    fn is_decided(&self, id: &RandomId) -> bool {
        let retires = |record: &GcRecord| record.delete.retire.contains(id);
        self.fates.contains_key(id)
            || self.damaged_fates.contains(id)
            || self.retired.contains(id)
            || self.newest().is_some_and(retires)
    }

    fn check_sessions(
        &self,
        repository: &Repository,
        leaving: &HashSet<&str>,
        findings: &mut Findings,
    ) {
        for (id, record) in &self.sessions {
            let name = names::session(*id);
            if self.is_decided(id) || leaving.contains(&name[..]) {
                continue;
            }
            let Some(record) = record else { continue };
            let is_gc = record.kind == SessionKind::Gc;
            if is_gc && self.newest().is_some_and(|newest| newest.seq > record.base_seq) {
                continue;
            }
            let severity = match record.kind {
                SessionKind::Snapshot => Severity::Warning,
                SessionKind::Read | SessionKind::Gc => Severity::Info,
            };
            let fate = names::fate(*id);
            if is_there(repository, &fate) {
                continue;
            }
            let expected = format!("the fate of a {} session", kind_name(record.kind));
            let found = self.undecided(repository, *id, record);
            findings.add(severity, Problem::Undecided, fate, expected, found);
        }
    }

    fn undecided(&self, repository: &Repository, id: RandomId, record: &SessionRecord) -> String {
        let segments = self
            .all_segments()
            .filter(|name| names::parse_segment(name).is_some_and(|(session, _)| session == id))
            .count();
        let beats = format!("beat/{id}/");
        let beats = self.sizes.keys().filter(|name| name.starts_with(&beats)).count();
        let state = if (repository.identity.is_gone)(&repository.identity, record) {
            "its process is gone: it was interrupted, or its fate was lost"
        } else {
            "it runs, was interrupted, or its fate was lost"
        };
        format!(
            "none; begun {} by process {} of {:?}, {beats} heartbeats, {segments} index segments; \
             {state}",
            record.started, record.pid, record.host
        )
    }

    /// Fates that must have existed, because others speak of them.
    fn check_lost_fates(
        &self,
        repository: &Repository,
        leaving: &HashSet<&str>,
        findings: &mut Findings,
    ) {
        let mut witnesses: BTreeMap<RandomId, String> = BTreeMap::new();
        for id in self.annotations.keys() {
            witnesses.insert(*id, format!("annotation/{id}/"));
        }
        for (session, record) in &self.sessions {
            for pin in record.iter().flat_map(|record| &record.pins) {
                witnesses.entry(*pin).or_insert_with(|| names::session(*session));
            }
        }
        if let Some(newest) = self.newest() {
            for id in &newest.absorbed {
                witnesses.entry(*id).or_insert_with(|| names::gc(newest.seq));
            }
        }
        for (child, fate) in &self.fates {
            let committed = fate.state == FateState::Committed;
            if let Some(parent) =
                fate.manifest.as_ref().filter(|_| committed).and_then(|m| m.parent)
            {
                witnesses.entry(parent).or_insert_with(|| names::fate(*child));
            }
        }
        // Without a record every segment is in force.
        let segments = self.newest().into_iter().flat_map(|_| self.all_segments());
        let base = self.newest().into_iter().flat_map(|newest| &newest.base);
        let base: HashSet<&str> = base.map(String::as_str).collect();
        for segment in segments.filter(|name| !names::is_gc_segment(name)) {
            let expected = base.contains(segment) || leaving.contains(segment);
            let owner = names::parse_segment(segment).map(|(id, _)| id);
            if let Some(id) = owner.filter(|id| !expected && !self.sessions.contains_key(id))
                && !is_there(repository, &names::session(id))
            {
                witnesses.entry(id).or_insert_with(|| segment.to_owned());
            }
        }
        for (id, witness) in witnesses {
            let name = names::fate(id);
            // Sessions live longer than the snapshots that they pinned.
            let pinned_only = witness.starts_with("session/");
            if self.is_decided(&id) || leaving.contains(&name[..]) || is_there(repository, &name) {
                continue;
            }
            let severity = if pinned_only && !self.sessions.contains_key(&id) {
                continue;
            } else if pinned_only {
                Severity::Warning
            } else {
                Severity::Damage
            };
            let expected = format!("a decided session: {witness} speaks of it");
            findings.add(severity, Problem::Missing, name, expected, "it does not exist");
        }
    }
}

/// A listing is no snapshot of the store: what was put while it ran may be in it or not, so
/// whatever looks missing is asked for once more.
pub(super) fn is_there(repository: &Repository, name: &str) -> bool {
    repository.backend.stat(name).is_ok()
}

fn kind_name(kind: SessionKind) -> &'static str {
    match kind {
        SessionKind::Snapshot => "snapshot",
        SessionKind::Read => "read",
        SessionKind::Gc => "gc",
    }
}
