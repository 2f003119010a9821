//! What the manager deletes, and what a changed retention would.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use tintype_model::profile::Retention;
use tintype_model::retention::{ExpiryPlan, PeriodKey, Reason, Taken, preview};

use crate::schedule_tables::{at, daily, period, zones};

const NOW: &str = "2026-12-01T00:00:00Z";

fn key(period: &str) -> PeriodKey {
    PeriodKey { profile: "01J".into(), period: period.into() }
}

/// Taken by the period `daily`, whole.
fn taken(id: &str, time: &str, expiry: &str, resources: &[&str]) -> Taken {
    Taken {
        id: id.into(),
        time: at(&format!("{time}T02:00:00Z")),
        period: Some(key("daily")),
        expiry: (expiry != "never").then(|| at(&format!("{expiry}T02:00:00Z"))),
        held: Vec::new(),
        locked_until: None,
        is_complete: true,
        resources: resources.iter().map(|r| (*r).to_owned()).collect(),
    }
}

fn minimums(count: u32) -> BTreeMap<PeriodKey, u32> {
    BTreeMap::from([(key("daily"), count)])
}

fn known() -> BTreeSet<String> {
    ["db", "vm"].map(String::from).into()
}

fn plan(snapshots: &[Taken], minimum: u32) -> ExpiryPlan {
    ExpiryPlan::new(snapshots, &minimums(minimum), &known(), at(NOW))
}

#[track_caller]
fn assert_table(got: &str, want: &str) {
    let want: Vec<&str> = want.lines().map(str::trim).collect();
    let got: Vec<&str> = got.lines().map(str::trim).collect();
    assert_eq!(got, want, "\n{}", got.join("\n"));
}

#[test]
fn it_stays_until_the_latest_of_expiry_lock_and_holds() {
    let mut snapshots = vec![
        taken("a", "2026-11-30", "2026-12-30", &["db", "vm"]),
        taken("b", "2026-10-05", "2026-11-05", &[]),
        taken("c", "2026-10-04", "2026-11-04", &[]),
        taken("d", "2026-10-03", "2026-11-03", &[]),
        taken("e", "2026-10-02", "never", &[]),
        taken("f", "2026-10-01", "2026-12-01", &[]),
    ];
    snapshots[1].locked_until = Some(at("2026-12-02T00:00:00Z"));
    snapshots[2].held = vec!["legal".into()];
    snapshots[3].locked_until = Some(at("2026-11-30T00:00:00Z"));
    assert_table(
        &plan(&snapshots, 1).to_string(),
        "keep    a  2026-11-30T02:00:00Z  keep until 2026-12-30T02:00:00Z; minimum count 1; last good snapshot of db, vm
        keep    b  2026-10-05T02:00:00Z  locked until 2026-12-02T00:00:00Z
        keep    c  2026-10-04T02:00:00Z  hold legal
        delete  d  2026-10-03T02:00:00Z  expired 2026-11-03T02:00:00Z
        keep    e  2026-10-02T02:00:00Z  never expires
        keep    f  2026-10-01T02:00:00Z  keep until 2026-12-01T02:00:00Z
        5 kept, 1 deleted",
    );
    assert_eq!(snapshots[1].end(), Some(at("2026-12-02T00:00:00Z")));
    assert_eq!(snapshots[3].end(), snapshots[3].locked_until);
    assert_eq!(snapshots[0].end(), snapshots[0].expiry);
    assert_eq!(snapshots[4].end(), None);
}

/// The machine fails since a month: its last whole copy stays, and what is older goes.
#[test]
fn a_schedule_never_expires_the_last_good_snapshot_of_a_resource() {
    let mut snapshots = vec![
        taken("a", "2026-10-20", "2026-11-20", &["db"]),
        taken("b", "2026-10-10", "2026-11-10", &["db"]),
        taken("c", "2026-10-05", "2026-11-05", &["db", "vm"]),
        taken("d", "2026-10-04", "2026-11-04", &["db", "vm"]),
    ];
    snapshots[0].is_complete = false;
    snapshots[1].is_complete = false;
    // Also when the profile is gone.
    for minimums in [minimums(0), BTreeMap::new()] {
        let plan = ExpiryPlan::new(&snapshots, &minimums, &known(), at(NOW));
        assert_table(
            &plan.to_string(),
            "keep    a  2026-10-20T02:00:00Z  last good snapshot of db
            delete  b  2026-10-10T02:00:00Z  expired 2026-11-10T02:00:00Z
            keep    c  2026-10-05T02:00:00Z  last good snapshot of vm
            delete  d  2026-10-04T02:00:00Z  expired 2026-11-04T02:00:00Z
            2 kept, 2 deleted",
        );
    }
    // What an administrator removed holds nothing back.
    let plan = ExpiryPlan::new(&snapshots, &minimums(0), &["db".to_owned()].into(), at(NOW));
    assert_eq!(plan.kept().count(), 1);
}

#[test]
fn what_a_person_took_goes_when_that_person_said() {
    let mut snapshots = vec![
        taken("a", "2026-11-20", "2026-11-21", &["db", "vm"]),
        taken("b", "2026-10-10", "2026-11-10", &["db", "vm"]),
    ];
    snapshots[0].period = None;
    let plan = plan(&snapshots, 0);
    let ids = |list: Vec<&tintype_model::retention::Expiring>| -> Vec<String> {
        list.iter().map(|d| d.id.clone()).collect()
    };
    // And no schedule counted on it.
    assert_eq!(ids(plan.kept().collect()), ["b"]);
    assert_eq!(ids(plan.deleted().collect()), ["a"]);
}

#[test]
fn the_minimum_count_is_of_complete_ones_and_of_each_resource() {
    let mut snapshots: Vec<Taken> = (10..16)
        .rev()
        .map(|day| {
            taken(&format!("d{day}"), &format!("2026-10-{day}"), "2026-11-01", &["db", "vm"])
        })
        .collect();
    // The newest has no whole copy of the machine.
    snapshots[0].is_complete = false;
    snapshots[0].resources.remove("vm");
    let kept = |minimum| -> Vec<String> {
        plan(&snapshots, minimum).kept().map(|d| d.id.clone()).collect()
    };
    assert_eq!(kept(0), ["d15", "d14"]);
    assert_eq!(kept(1), ["d15", "d14"]);
    assert_eq!(kept(2), ["d15", "d14", "d13"]);
    assert_eq!(kept(4), ["d15", "d14", "d13", "d12", "d11"]);
    // The count ends with the period; the last good stays.
    let plan = ExpiryPlan::new(&snapshots, &BTreeMap::new(), &known(), at(NOW));
    assert_eq!(plan.kept().count(), 2);
}

/// Some clock was ten years ahead: what is really new keeps its place.
#[test]
fn a_snapshot_of_the_future_is_nobodys_last_good_one() {
    let snapshots = [
        taken("a", "2036-11-20", "2026-11-30", &["db", "vm"]),
        taken("b", "2026-10-10", "2026-11-10", &["db", "vm"]),
    ];
    let plan = plan(&snapshots, 1);
    assert_eq!(plan.kept().map(|d| &d.id[..]).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_changed_retention_is_previewed_and_stamped() {
    let mut snapshots = vec![
        taken("a", "2026-11-30", "2026-12-30", &["db", "vm"]),
        taken("b", "2026-11-20", "2026-12-20", &["db", "vm"]),
        taken("c", "2026-11-10", "2026-12-10", &["db", "vm"]),
        taken("d", "2026-11-09", "2026-12-09", &["db", "vm"]),
        taken("x", "2026-11-08", "2026-12-08", &["db", "vm"]),
    ];
    snapshots[2].held = vec!["legal".into()];
    snapshots[3].locked_until = Some(at("2026-12-05T00:00:00Z"));
    snapshots[4].period = Some(key("weekly"));
    let mut changed = period(daily("02:00"), "UTC");
    changed.retention = Retention::try_from("7d".to_owned()).unwrap();
    let previewed =
        preview(&snapshots, &key("daily"), &changed, &minimums(1), &known(), at(NOW), &zones())
            .unwrap();
    assert_table(
        &previewed.to_string(),
        "a  goes 2026-12-30T02:00:00Z or later: minimum count 1; last good snapshot of db, vm  would go 2026-12-07T02:00:00Z or later: minimum count 1; last good snapshot of db, vm
        b  goes 2026-12-20T02:00:00Z  would go 2026-11-27T02:00:00Z
        c  goes 2026-12-10T02:00:00Z or later: hold legal  would go 2026-11-17T02:00:00Z or later: hold legal
        d  goes 2026-12-09T02:00:00Z  would go 2026-12-05T00:00:00Z
        1 would go now",
    );
    assert_eq!(previewed.would_go().map(|c| &c.id[..]).collect::<Vec<_>>(), ["b"]);
    // Stamped so, exactly that goes.
    for change in &previewed.changes {
        let snapshot = snapshots.iter_mut().find(|s| s.id == change.id).unwrap();
        snapshot.expiry = change.after.expiry;
    }
    assert_eq!(plan(&snapshots, 1).deleted().map(|d| &d.id[..]).collect::<Vec<_>>(), ["b"]);
    // A higher minimum count holds it.
    changed.minimum_count = 2;
    let args = (&minimums(1), &known());
    let held =
        preview(&snapshots, &key("daily"), &changed, args.0, args.1, at(NOW), &zones()).unwrap();
    assert_eq!(held.would_go().count(), 0);
    assert_eq!(held.changes[1].after.waits_for, [Reason::Minimum(2)]);
}

prop_compose! {
    fn any_taken()(
        ago in -20..900i64,
        life in proptest::option::weighted(0.9, 1..600i64),
        period in proptest::option::weighted(0.8, 0..3u8),
        is_held in proptest::bool::weighted(0.1),
        lock in proptest::option::weighted(0.2, -300..300i64),
        is_complete: bool,
        resources in proptest::sample::subsequence(vec!["db", "vm", "gone"], 0..=3),
    ) -> Taken {
        let day = |days: i64| -> Timestamp { at(NOW) + (days * 24).hours() };
        Taken {
            id: String::new(),
            time: day(-ago),
            period: period.map(|number| key(&format!("p{number}"))),
            expiry: life.map(|days| day(days - ago)),
            held: if is_held { vec!["legal".into()] } else { vec![] },
            locked_until: lock.map(day),
            is_complete,
            resources: resources.into_iter().map(String::from).collect(),
        }
    }
}

fn list() -> impl Strategy<Value = Vec<Taken>> {
    proptest::collection::vec(any_taken(), 0..40).prop_map(|mut list| {
        for (number, snapshot) in list.iter_mut().enumerate() {
            snapshot.id = format!("{number:04}");
        }
        list
    })
}

proptest! {
    #[test]
    fn locked_held_unexpired_and_last_good_ones_stay(list in list(), minimum in 0..4u32) {
        let now = at(NOW);
        let minimums = BTreeMap::from([(key("p0"), minimum), (key("p1"), 1)]);
        let plan = ExpiryPlan::new(&list, &minimums, &known(), now);
        prop_assert_eq!(plan.decisions.len(), list.len());
        prop_assert!(plan.decisions.iter().all(|d| !d.reasons.is_empty()));
        let kept: BTreeSet<&str> = plan.kept().map(|d| &d.id[..]).collect();
        for snapshot in list.iter().filter(|s| !kept.contains(&s.id[..])) {
            prop_assert!(snapshot.held.is_empty());
            prop_assert!(snapshot.locked_until.is_none_or(|until| until <= now));
            prop_assert!(snapshot.expiry.is_some_and(|expiry| expiry <= now));
        }
        let real = |s: &&Taken| s.time <= now + 24.hours();
        for resource in known() {
            let newest = list
                .iter()
                .filter(real)
                .filter(|s| s.period.is_some() && s.resources.contains(&resource))
                .max_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
            prop_assert!(newest.is_none_or(|s| kept.contains(&s.id[..])), "{}", plan);
        }
        let complete = |s: &&Taken| s.period == Some(key("p0")) && s.is_complete;
        let count = |list: Vec<&Taken>| list.len() as u32;
        let all = count(list.iter().filter(real).filter(complete).collect());
        let stay = count(
            list.iter().filter(real).filter(complete).filter(|s| kept.contains(&s.id[..])).collect(),
        );
        prop_assert!(stay >= minimum.min(all));
    }

    #[test]
    fn what_is_left_stays_left(list in list(), minimum in 0..4u32) {
        let minimums = BTreeMap::from([(key("p0"), minimum)]);
        let first = ExpiryPlan::new(&list, &minimums, &known(), at(NOW));
        let kept: BTreeSet<&str> = first.kept().map(|d| &d.id[..]).collect();
        let mut left: Vec<Taken> =
            list.iter().filter(|s| kept.contains(&s.id[..])).cloned().collect();
        left.reverse();
        let second = ExpiryPlan::new(&left, &minimums, &known(), at(NOW));
        prop_assert_eq!(second.deleted().count(), 0, "{}\n{}", first, second);
    }
}
