//! Plans as text, the way a user sees them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tintype_model::retention::{GroupBy, Policy, PrunePlan, Snapshot, UNLIMITED};
use tintype_model::{ErrorKind, duration, retention};

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn snapshot(id: &str, time: &str) -> Snapshot {
    Snapshot {
        id: id.into(),
        time: at(time),
        host: "web1".into(),
        paths: vec!["/srv".into()],
        tags: BTreeSet::new(),
        expiry: None,
        held: Vec::new(),
        locked_until: None,
        is_complete: true,
    }
}

/// A night that failed must not push out the last good one.
#[test]
fn what_is_incomplete_does_not_take_the_place_of_the_last_complete_one() {
    let of = |id: &str, day: u8, is_complete: bool| Snapshot {
        is_complete,
        ..snapshot(id, &format!("2026-11-{day:02}T01:00:00Z"))
    };
    let all = [of("a", 1, true), of("b", 2, true), of("c", 3, false), of("d", 4, false)];
    let policy = Policy { last: 1, ..Policy::default() };
    let got = table(&all, &policy, "UTC");
    assert_table(
        &got,
        "host web1, paths /srv
          keep  d         2026-11-04 01:00  last snapshot
          drop  c         2026-11-03 01:00  no rule keeps it
          keep  b         2026-11-02 01:00  last complete snapshot
          drop  a         2026-11-01 01:00  no rule keeps it
        2 kept, 2 dropped",
    );
    // Its own time is the word of a person.
    let expired = Snapshot { expiry: Some(at("2026-11-20T00:00:00Z")), ..of("b", 2, true) };
    let got = table(&[of("d", 4, false), expired], &policy, "UTC");
    assert!(got.contains("drop  b"), "{got}");
}

fn table(snapshots: &[Snapshot], policy: &Policy, zone: &str) -> String {
    let zone = TimeZone::get(zone).unwrap();
    PrunePlan::new(snapshots, policy, at("2026-12-01T00:00:00Z"), &zone).to_string()
}

#[track_caller]
fn assert_table(got: &str, want: &str) {
    let want: Vec<&str> = want.lines().map(|l| l.strip_prefix("        ").unwrap_or(l)).collect();
    assert_eq!(got.trim_end(), want.join("\n").trim(), "\n{got}");
}

/// A host whose clock was ten years ahead: what is really new keeps its place.
#[test]
fn a_snapshot_of_the_future_takes_nobodys_place() {
    let snapshots = [
        snapshot("a0", "2036-11-20T22:00:00Z"),
        snapshot("a1", "2026-11-30T12:00:00Z"),
        snapshot("a2", "2026-11-29T12:00:00Z"),
        snapshot("a3", "2026-11-19T12:00:00Z"),
    ];
    let within = Some(duration::parse_span("2d").unwrap());
    for policy in [Policy { last: 2, ..Policy::default() }, Policy { within, ..Policy::default() }]
    {
        let table = table(&snapshots, &policy, "UTC");
        let kept: Vec<&str> = table.lines().filter(|line| line.starts_with("  keep")).collect();
        assert_eq!(kept.len(), 3, "{table}");
        assert!(kept[0].contains("a0") && kept[0].contains("dated in the future"), "{table}");
        assert!(table.contains("drop  a3"), "{table}");
    }
}

#[test]
fn each_period_keeps_its_newest() {
    let snapshots = [
        snapshot("a1", "2026-11-20T22:00:00Z"),
        snapshot("a2", "2026-11-20T12:00:00Z"),
        snapshot("a3", "2026-11-19T12:00:00Z"),
        snapshot("a4", "2026-11-13T12:00:00Z"),
        snapshot("a5", "2026-10-31T12:00:00Z"),
        snapshot("a6", "2025-06-01T12:00:00Z"),
        snapshot("a7", "2025-05-01T12:00:00Z"),
    ];
    let policy =
        Policy { last: 1, daily: 2, weekly: 2, monthly: 2, yearly: 2, ..Policy::default() };
    assert_table(
        &table(&snapshots, &policy, "UTC"),
        "host web1, paths /srv
          keep  a1        2026-11-20 22:00  last snapshot; daily snapshot 2026-11-20; weekly snapshot 2026-W47; monthly snapshot 2026-11; yearly snapshot 2026
          drop  a2        2026-11-20 12:00  no rule keeps it
          keep  a3        2026-11-19 12:00  daily snapshot 2026-11-19
          keep  a4        2026-11-13 12:00  weekly snapshot 2026-W46
          keep  a5        2026-10-31 12:00  monthly snapshot 2026-10
          keep  a6        2025-06-01 12:00  yearly snapshot 2025
          drop  a7        2025-05-01 12:00  no rule keeps it
        5 kept, 2 dropped",
    );
}

#[test]
fn days_are_those_of_the_time_zone() {
    let snapshots =
        [snapshot("b1", "2026-11-20T22:00:00Z"), snapshot("b2", "2026-11-20T12:00:00Z")];
    let policy = Policy { daily: 1, ..Policy::default() };
    let auckland = Policy { daily: 2, ..Policy::default() };
    assert_table(
        &table(&snapshots, &policy, "UTC"),
        "host web1, paths /srv
          keep  b1        2026-11-20 22:00  daily snapshot 2026-11-20
          drop  b2        2026-11-20 12:00  no rule keeps it
        1 kept, 1 dropped",
    );
    assert_table(
        &table(
            &[snapshot("b1", "2026-11-20T10:30:00Z"), snapshot("b2", "2026-11-20T12:00:00Z")],
            &auckland,
            "Pacific/Auckland",
        ),
        "host web1, paths /srv
          keep  b2        2026-11-21 01:00  daily snapshot 2026-11-21
          keep  b1        2026-11-20 23:30  daily snapshot 2026-11-20
        2 kept, 0 dropped",
    );
}

#[test]
fn a_clock_change_makes_two_hours_of_one_name() {
    let snapshots =
        [snapshot("c1", "2026-10-25T01:30:00Z"), snapshot("c2", "2026-10-25T00:30:00Z")];
    let policy = Policy { hourly: 5, ..Policy::default() };
    assert_table(
        &table(&snapshots, &policy, "Europe/Berlin"),
        "host web1, paths /srv
          keep  c1        2026-10-25 02:30  hourly snapshot 2026-10-25 02:00+01:00
          keep  c2        2026-10-25 02:30  hourly snapshot 2026-10-25 02:00+02:00
        2 kept, 0 dropped",
    );
}

#[test]
fn the_oldest_stays_while_a_rule_asks_for_more() {
    let snapshots = [
        snapshot("d1", "2026-11-20T12:00:00Z"),
        snapshot("d2", "2026-11-20T11:00:00Z"),
        snapshot("d3", "2026-11-20T10:00:00Z"),
    ];
    let policy = Policy { daily: 7, ..Policy::default() };
    assert_table(
        &table(&snapshots, &policy, "UTC"),
        "host web1, paths /srv
          keep  d1        2026-11-20 12:00  daily snapshot 2026-11-20
          drop  d2        2026-11-20 11:00  no rule keeps it
          keep  d3        2026-11-20 10:00  oldest daily snapshot
        2 kept, 1 dropped",
    );
}

#[test]
fn within_counts_back_from_the_newest() {
    let snapshots = [
        snapshot("e1", "2025-03-31T12:00:00Z"),
        snapshot("e2", "2025-03-01T12:00:01Z"),
        snapshot("e3", "2025-02-28T12:00:00Z"),
    ];
    let within = Some(duration::parse_span("1m").unwrap());
    let policy = Policy { within, ..Policy::default() };
    assert_table(
        &table(&snapshots, &policy, "UTC"),
        "host web1, paths /srv
          keep  e1        2025-03-31 12:00  within 1m
          keep  e2        2025-03-01 12:00  within 1m
          drop  e3        2025-02-28 12:00  no rule keeps it
        2 kept, 1 dropped",
    );
    let within = Some(duration::parse_span("19000y").unwrap());
    let all = table(&snapshots, &Policy { within, ..Policy::default() }, "UTC");
    assert!(all.ends_with("3 kept, 0 dropped\n"), "{all}");
}

#[test]
fn locks_holds_expiry_and_minimum_win_over_rules() {
    let mut snapshots: Vec<Snapshot> = (1..=7)
        .map(|i| snapshot(&format!("f{i}"), &format!("2026-11-{:02}T12:00:00Z", 28 - i)))
        .collect();
    snapshots[0].expiry = Some(at("2026-11-30T00:00:00Z"));
    snapshots[2].locked_until = Some(at("2027-01-01T00:00:00Z"));
    snapshots[2].expiry = Some(at("2026-11-26T00:00:00Z"));
    snapshots[3].held = vec!["legal".into(), "sync".into()];
    snapshots[4].expiry = Some(at("2027-06-01T00:00:00Z"));
    snapshots[5].locked_until = Some(at("2026-11-30T00:00:00Z"));
    snapshots[6].tags = BTreeSet::from(["release".into(), "signed".into()]);
    let tags = vec![BTreeSet::from(["release".to_owned(), "signed".to_owned()])];
    let mut policy = Policy { last: 1, tags, ..Policy::default() };
    assert_table(
        &table(&snapshots, &policy, "UTC"),
        "host web1, paths /srv
          drop  f1        2026-11-27 12:00  expired 2026-11-30T00:00:00Z
          keep  f2        2026-11-26 12:00  last snapshot
          keep  f3        2026-11-25 12:00  locked until 2027-01-01T00:00:00Z
          keep  f4        2026-11-24 12:00  hold legal; hold sync
          keep  f5        2026-11-23 12:00  keep until 2027-06-01T00:00:00Z
          drop  f6        2026-11-22 12:00  no rule keeps it
          keep  f7        2026-11-21 12:00  tag release,signed
        5 kept, 2 dropped",
    );
    policy.minimum = 6;
    assert!(
        table(&snapshots, &policy, "UTC")
            .contains("keep  f6        2026-11-22 12:00  minimum count 6")
    );
    policy.minimum = 9;
    assert!(table(&snapshots, &policy, "UTC").ends_with("7 kept, 0 dropped\n"));
}

#[test]
fn groups_are_hosts_and_paths() {
    let mut snapshots =
        vec![snapshot("g1", "2026-11-20T12:00:00Z"), snapshot("g2", "2026-11-19T12:00:00Z")];
    snapshots[1].host = "web2".into();
    let mut paths = snapshot("g3", "2026-11-18T12:00:00Z");
    paths.paths = vec!["/srv".into(), "/etc".into()];
    snapshots.push(paths);
    let mut policy = Policy { last: 1, ..Policy::default() };
    assert_table(
        &table(&snapshots, &policy, "UTC"),
        "host web1, paths /etc /srv
          keep  g3        2026-11-18 12:00  last snapshot
        host web1, paths /srv
          keep  g1        2026-11-20 12:00  last snapshot
        host web2, paths /srv
          keep  g2        2026-11-19 12:00  last snapshot
        3 kept, 0 dropped",
    );
    policy.group_by = GroupBy::parse("").unwrap();
    assert!(table(&snapshots, &policy, "UTC").ends_with("1 kept, 2 dropped\n"));
    policy.group_by = GroupBy::parse("host").unwrap();
    assert!(table(&snapshots, &policy, "UTC").ends_with("2 kept, 1 dropped\n"));
    assert!(GroupBy::parse("host,size").unwrap_err().to_string().contains("\"size\""));
}

#[test]
fn a_policy_without_a_rule_keeps_everything_and_is_refused() {
    let snapshots = [snapshot("h1", "2026-11-20T12:00:00Z")];
    let policy = Policy { minimum: 3, ..Policy::default() };
    assert!(table(&snapshots, &policy, "UTC").contains("no rule given\n1 kept, 0 dropped"));
    assert_eq!(policy.check().unwrap_err().kind(), ErrorKind::Invalid);
    let empty_tags = Policy { tags: vec![BTreeSet::new()], ..Policy::default() };
    assert_eq!(empty_tags.check().unwrap_err().kind(), ErrorKind::Invalid);
    Policy { yearly: UNLIMITED, ..Policy::default() }.check().unwrap();
    assert_eq!(retention::parse_count("all").unwrap(), UNLIMITED);
    assert_eq!(retention::parse_count("7").unwrap(), 7);
    assert!(retention::parse_count("-1").unwrap_err().to_string().contains("\"-1\""));
}
