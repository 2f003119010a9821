//! What holds for every plan.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use proptest::prelude::*;
use tintype_model::retention::{GroupBy, Policy, PrunePlan, Snapshot};

/// Seconds; snapshots lie within two years before it.
const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn zone() -> TimeZone {
    TimeZone::get("America/New_York").unwrap()
}

prop_compose! {
    fn snapshot()(
        ago in prop_oneof![0..3 * DAY, 0..60 * DAY, 0..800 * DAY],
        host in 0..2u8,
        tag in 0..3u8,
        expiry in proptest::option::weighted(0.2, -50 * DAY..50 * DAY),
        is_held in proptest::bool::weighted(0.1),
        lock in proptest::option::weighted(0.15, -50 * DAY..50 * DAY),
        is_complete in proptest::bool::weighted(0.8),
    ) -> Snapshot {
        Snapshot {
            id: String::new(),
            time: time(NOW - ago),
            host: format!("host{host}"),
            paths: vec!["/srv".into()],
            tags: BTreeSet::from([format!("tag{tag}")]),
            expiry: expiry.map(|e| time(NOW + e)),
            held: if is_held { vec!["legal".into()] } else { vec![] },
            locked_until: lock.map(|l| time(NOW + l)),
            is_complete,
        }
    }
}

fn snapshots() -> impl Strategy<Value = Vec<Snapshot>> {
    proptest::collection::vec(snapshot(), 0..40).prop_map(|mut list| {
        for (i, snapshot) in list.iter_mut().enumerate() {
            snapshot.id = format!("{i:04}");
        }
        list
    })
}

prop_compose! {
    fn policy()(
        last in 0..4u32, hourly in 0..6u32, daily in 0..6u32, weekly in 0..4u32,
        monthly in 0..4u32, yearly in 0..3u32,
        within in proptest::option::of(1..90i64),
        tag in proptest::option::weighted(0.2, 0..3u8),
        minimum in 0..8usize,
        by_host: bool,
    ) -> Policy {
        Policy {
            last, hourly, daily, weekly, monthly, yearly, minimum,
            within: within.map(|days| Span::new().days(days)),
            tags: tag.map(|t| BTreeSet::from([format!("tag{t}")])).into_iter().collect(),
            group_by: GroupBy { host: by_host, ..GroupBy::default() },
        }
    }
}

fn plan(snapshots: &[Snapshot], policy: &Policy) -> PrunePlan {
    PrunePlan::new(snapshots, policy, time(NOW), &zone())
}

fn kept(plan: &PrunePlan) -> BTreeSet<String> {
    plan.kept().map(|d| d.snapshot.id.clone()).collect()
}

/// The policy with one rule that asks for more.
fn more(policy: &Policy, rule: u8) -> Policy {
    let mut more = policy.clone();
    match rule {
        0 => more.last += 1,
        1 => more.hourly += 2,
        2 => more.daily += 1,
        3 => more.weekly += 1,
        4 => more.monthly += 3,
        5 => more.yearly += 1,
        6 => more.tags.push(BTreeSet::from(["tag0".into()])),
        _ => more.within = more.within.map(|w| w.days(i64::from(w.get_days()) + 9)),
    }
    more
}

proptest! {
    #[test]
    fn every_snapshot_gets_one_decision_with_a_reason(list in snapshots(), policy in policy()) {
        let plan = plan(&list, &policy);
        let decisions: Vec<_> = plan.kept().chain(plan.dropped()).collect();
        let ids: BTreeSet<&str> = decisions.iter().map(|d| d.snapshot.id.as_str()).collect();
        prop_assert_eq!(decisions.len(), list.len());
        prop_assert_eq!(ids.len(), list.len());
        prop_assert!(decisions.iter().all(|d| !d.reasons.is_empty()));
    }

    #[test]
    fn a_second_prune_drops_nothing(list in snapshots(), policy in policy()) {
        let first = plan(&list, &policy);
        let left: Vec<Snapshot> = first.kept().map(|d| d.snapshot.clone()).collect();
        let second = plan(&left, &policy);
        prop_assert_eq!(second.dropped().count(), 0, "{}\n{}", first, second);
    }

    #[test]
    fn asking_for_more_drops_no_more(list in snapshots(), policy in policy(), rule in 0..8u8) {
        prop_assume!(!policy.is_empty());
        let more = more(&policy, rule);
        prop_assert!(plan(&list, &policy).kept().count() <= plan(&list, &more).kept().count());
        // Snapshot by snapshot it holds for the rules; the minimum count only fills up.
        let (less, more) = (Policy { minimum: 0, ..policy }, Policy { minimum: 0, ..more });
        let (less, more) = (kept(&plan(&list, &less)), kept(&plan(&list, &more)));
        prop_assert!(less.is_subset(&more), "{:?} {:?}", less, more);
    }

    #[test]
    fn locked_held_and_unexpired_stay(list in snapshots(), policy in policy()) {
        for decision in plan(&list, &policy).dropped() {
            let snapshot = &decision.snapshot;
            prop_assert!(!snapshot.is_locked(time(NOW)));
            prop_assert!(snapshot.held.is_empty());
            prop_assert!(snapshot.expiry.is_none() || snapshot.is_expired(time(NOW)));
        }
    }

    #[test]
    fn expired_ones_go_unless_something_stronger_keeps_them(list in snapshots(), policy in policy()) {
        let policy = Policy { minimum: 0, ..policy };
        for decision in plan(&list, &policy).kept() {
            let snapshot = &decision.snapshot;
            let is_kept_by_force = snapshot.is_locked(time(NOW)) || !snapshot.held.is_empty();
            prop_assert!(!snapshot.is_expired(time(NOW)) || is_kept_by_force);
        }
    }

    #[test]
    fn the_minimum_count_stays(list in snapshots(), policy in policy()) {
        for group in plan(&list, &policy).groups {
            let kept = group.decisions.iter().filter(|d| d.keep).count();
            prop_assert!(kept >= policy.minimum.min(group.decisions.len()));
        }
    }

    #[test]
    fn the_order_of_the_input_does_not_matter(list in snapshots(), policy in policy()) {
        let mut reversed = list.clone();
        reversed.reverse();
        prop_assert_eq!(plan(&list, &policy), plan(&reversed, &policy));
    }

    #[test]
    fn an_empty_policy_keeps_what_has_not_expired(list in snapshots()) {
        for decision in plan(&list, &Policy::default()).dropped() {
            prop_assert!(decision.snapshot.is_expired(time(NOW)));
        }
    }
}
