//! What helps, as commands: one line for each way out, and only for those that mend something that
//! was found.

use std::collections::BTreeMap;

use tintype_engine::id::SnapshotId;
use tintype_engine::verify::{Depth, Finding, Remedy};

use crate::show;

/// Objects that a line names; of the others it tells how many there are.
const MOST_NAMES: usize = 3;

/// Lines in the order in which they are to be followed.
pub(super) fn advice(findings: &[Finding], depth: Depth) -> Vec<String> {
    let mut by_remedy: BTreeMap<(Remedy, Option<SnapshotId>), Vec<&str>> = BTreeMap::new();
    for finding in findings {
        for remedy in &finding.remedies {
            let key = (*remedy, snapshot_of(*remedy, &finding.object));
            by_remedy.entry(key).or_default().push(&finding.object);
        }
    }
    let line = |((remedy, id), objects)| line(remedy, id, &named(objects), depth);
    by_remedy.into_iter().map(line).collect()
}

/// Where the command names a snapshot.
fn snapshot_of(remedy: Remedy, object: &str) -> Option<SnapshotId> {
    match remedy {
        Remedy::AcceptLostChanges | Remedy::GiveUp => object.split('/').nth(1)?.parse().ok(),
        _ => None,
    }
}

fn line(remedy: Remedy, id: Option<SnapshotId>, objects: &str, depth: Depth) -> String {
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    match remedy {
        Remedy::RepairIndex => format!(
            "`tintype repo verify{} --repair-index` makes anew what others tell, and no longer \
             takes for stored what is lost ({objects})",
            words(depth)
        ),
        Remedy::SnapshotAgain => format!(
            "`tintype repo snapshot --read-all …`, with the paths that it was taken of, then stores \
             again what the source still has, and makes old snapshots whole ({objects}); what it no \
             longer has is lost: once the rest is restored, `tintype repo delete` the snapshots that \
             stay damaged"
        ),
        Remedy::AcceptLostChanges => format!(
            "`tintype repo verify --accept-lost-changes {id}` goes on without what was changed, if \
             no copy of the store has it ({objects})"
        ),
        Remedy::GiveUp => format!(
            "`tintype repo gc --give-up {id}` (with `--despite-holds` if it is held) goes on \
             without this snapshot, if no copy of the store has {objects}"
        ),
        Remedy::RewriteDamaged => format!(
            "`tintype repo gc --rewrite-damaged` replaces packs that are damaged where nothing \
             needed is touched ({objects})"
        ),
        Remedy::ReplaceKey => format!(
            "`tintype repo key remove` with the start of its id, then `key add` with the same \
             secret, replace a key slot that is damaged ({objects})"
        ),
        Remedy::Gc => format!("`tintype repo gc` removes what nobody needs ({objects})"),
    }
}

/// The options that find the same again.
fn words(depth: Depth) -> String {
    match depth {
        Depth::Metadata => String::new(),
        Depth::Sample { percent, seed } => format!(" --sample {percent}% --seed {seed}"),
        Depth::All => " --all".to_owned(),
    }
}

fn named(mut objects: Vec<&str>) -> String {
    objects.sort_unstable();
    objects.dedup();
    let more = objects.len().saturating_sub(MOST_NAMES);
    let names: Vec<String> =
        objects.iter().take(MOST_NAMES).map(|name| show::name(name.as_bytes())).collect();
    match more {
        0 => names.join(", "),
        _ => format!("{} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use tintype_engine::verify::{Problem, Severity};

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn finding(object: impl Into<String>, remedies: &[Remedy]) -> Finding {
        Finding {
            severity: Severity::Damage,
            problem: Problem::Missing,
            object: object.into(),
            expected: String::new(),
            found: String::new(),
            affected: Vec::new(),
            affected_count: 0,
            remedies: remedies.to_vec(),
        }
    }

    #[test]
    fn each_way_out_is_one_line_with_what_it_mends() {
        use Remedy::{
            AcceptLostChanges, Gc, GiveUp, RepairIndex, ReplaceKey, RewriteDamaged, SnapshotAgain,
        };
        let findings = [
            finding(format!("fate/{ID}"), &[GiveUp]),
            finding("data/ab/x", &[RepairIndex, SnapshotAgain]),
            finding("config", &[RepairIndex]),
            finding("data/ab/y", &[RewriteDamaged]),
            finding(format!("annotation/{ID}/00000002"), &[AcceptLostChanges]),
            finding(format!("annotation/{ID}/00000001"), &[AcceptLostChanges]),
            finding("condemned/00000001/z", &[Gc]),
            finding("keys/a", &[ReplaceKey]),
            finding("beat/a", &[]),
        ];
        let lines = advice(&findings, Depth::All);
        let wanted = [
            ("verify --all --repair-index`", "(config, data/ab/x)"),
            ("snapshot --read-all …`", "(data/ab/x)"),
            (&format!("verify --accept-lost-changes {ID}`"), "/00000001, annotation/"),
            (&format!("gc --give-up {ID}`"), &format!("has fate/{ID}")),
            ("gc --rewrite-damaged`", "(data/ab/y)"),
            ("key add`", "(keys/a)"),
            ("repo gc`", "(condemned/00000001/z)"),
        ];
        assert_eq!(lines.len(), wanted.len(), "{lines:#?}");
        for (line, (command, objects)) in lines.iter().zip(wanted) {
            assert!(line.contains(command) && line.contains(objects), "{line}");
        }
    }

    #[test]
    fn nothing_is_advised_where_nothing_helps() {
        assert_eq!(advice(&[finding("beat/a", &[])], Depth::Metadata), [""; 0]);
        assert_eq!(advice(&[], Depth::All), [""; 0]);
    }

    #[test]
    fn many_objects_are_counted_and_the_depth_is_repeated() {
        let findings: Vec<_> = (0..5)
            .map(|number| finding(format!("index/{number}"), &[Remedy::RepairIndex]))
            .collect();
        let line = advice(&findings, Depth::Sample { percent: 2.5, seed: 7 }).remove(0);
        assert!(line.contains("verify --sample 2.5% --seed 7 --repair-index"), "{line}");
        assert!(line.contains("(index/0, index/1, index/2 and 2 more)"), "{line}");
    }
}
