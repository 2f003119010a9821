//! What an administrator should know before the worst day: decided here, from what was found.

use jiff::Timestamp;
use tintype_api::status::{Health, Warning, WarningCode};

use crate::standings::Row;

/// So many names are told.
const NAMED: usize = 5;

/// What was found of one tenant, or of everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Of `system`: full snapshots are its.
    pub(crate) is_system: bool,
    pub(crate) replaced_since: Option<Timestamp>,
    pub(crate) full: usize,
    /// Full ones in a storage that is not lost together with this host.
    pub(crate) full_elsewhere: usize,
    /// Of those: whole and undamaged, with all their parts.
    pub(crate) safe: usize,
    /// Storages that cannot be used: name, and why.
    pub(crate) bad_storages: Vec<(String, String)>,
    /// What is to be said of storages: name, what, cure.
    pub(crate) storages_warn: Vec<(String, String, String)>,
    pub(crate) resources: Vec<Row>,
    pub(crate) enabled_profiles: usize,
}

/// The worst first.
pub(crate) fn warnings(found: &Found) -> Vec<Warning> {
    let mut all = Vec::new();
    let mut warn = |code, what: String, cure: &str| {
        all.push(Warning { code, what, cure: cure.to_owned() });
    };
    if let Some(since) = found.replaced_since {
        let what = format!("another manager leads this installation since {since}");
        warn(WarningCode::Replaced, what, "stop this one, and use the other");
    }
    match (found.is_system, found.full, found.full_elsewhere, found.safe) {
        (true, 0, ..) => warn(
            WarningCode::NoFull,
            "there is no full snapshot: if this host is lost, all is lost".to_owned(),
            "take one (`tintype snapshot create --full`) into a storage off this host",
        ),
        (true, _, 0, _) => warn(
            WarningCode::NoFullElsewhere,
            "every full snapshot lies on this host, and is lost together with it".to_owned(),
            "add a storage elsewhere (`tintype storage add`), and take a full snapshot into it",
        ),
        (true, _, _, 0) => warn(
            WarningCode::NoFullElsewhere,
            "no full snapshot off this host is complete, undamaged and has all its parts there: if \
             this host is lost, something is lost"
                .to_owned(),
            "look at its items and its last verification, and take a full one into that storage",
        ),
        _ => {}
    }
    for (name, why) in &found.bad_storages {
        let what = format!("storage {name} cannot be used: {why}");
        warn(WarningCode::Storage, what, &format!("mend it, then `tintype storage check {name}`"));
    }
    let all_that_are = |health| -> Vec<&Row> {
        found.resources.iter().filter(|row| row.health == health).collect()
    };
    let never = all_that_are(Health::Never);
    if !never.is_empty() {
        let what = format!("no snapshot holds {}", names(&never));
        let cure = "take one, and look why it fails (`tintype snapshot create`)";
        warn(WarningCode::NeverCaptured, what, cure);
    }
    let off = all_that_are(Health::Unprotected);
    if !off.is_empty() {
        let what = format!("not protected: {}", names(&off));
        warn(WarningCode::NotProtected, what, "`tintype resource protect` switches them on");
    }
    if found.enabled_profiles == 0 && off.len() < found.resources.len() {
        warn(
            WarningCode::NoSchedule,
            "no profile is enabled: nothing is taken by itself".to_owned(),
            "`tintype profile ready-made` shows some to begin with",
        );
    }
    for (name, what, cure) in &found.storages_warn {
        warn(WarningCode::StorageWarns, format!("storage {name}: {what}"), cure);
    }
    all
}

fn names(all: &[&Row]) -> String {
    let shown: Vec<&str> = all.iter().take(NAMED).map(|resource| &resource.name[..]).collect();
    match all.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(found: &Found) -> Vec<WarningCode> {
        warnings(found).into_iter().map(|warning| warning.code).collect()
    }

    fn resource(name: &str, health: Health) -> Row {
        let id: tintype_model::identifier::Id = "0".repeat(26).parse().unwrap();
        Row {
            tenant: id.clone(),
            id,
            name: name.to_owned(),
            kind: tintype_model::resource::Kind::Volume,
            health,
            why_not: None,
            last_good: None,
            next: None,
        }
    }

    #[test]
    fn a_warning_stays_while_no_full_snapshot_lies_elsewhere() {
        let full = |full, full_elsewhere, safe| Found {
            is_system: true,
            full,
            full_elsewhere,
            safe,
            ..Found::default()
        };
        assert_eq!(codes(&full(0, 0, 0)), [WarningCode::NoFull]);
        assert_eq!(codes(&full(3, 0, 0)), [WarningCode::NoFullElsewhere]);
        assert_eq!(codes(&full(3, 2, 0)), [WarningCode::NoFullElsewhere], "damaged, or in part");
        assert_eq!(codes(&full(3, 2, 1)), []);
        assert_eq!(
            codes(&Found { is_system: false, ..full(0, 0, 0) }),
            [],
            "not a tenant's matter"
        );
    }

    #[test]
    fn each_has_its_place() {
        let found = Found {
            is_system: true,
            replaced_since: Some(Timestamp::UNIX_EPOCH),
            bad_storages: vec![("nas".into(), "nothing is mounted".into())],
            storages_warn: vec![("vault".into(), "91 % full".into(), "make room".into())],
            resources: vec![
                resource("b", Health::Never),
                resource("c", Health::Unprotected),
                resource("a", Health::Good),
            ],
            ..Found::default()
        };
        use WarningCode::{
            NeverCaptured, NoFull, NoSchedule, NotProtected, Replaced, Storage, StorageWarns,
        };
        let want =
            [Replaced, NoFull, Storage, NeverCaptured, NotProtected, NoSchedule, StorageWarns];
        assert_eq!(codes(&found), want);
        assert!(want.is_sorted_by(|a, b| a <= b), "the worst first");
        let words: Vec<String> = warnings(&found).into_iter().map(|w| w.what).collect();
        assert_eq!(words[3], "no snapshot holds b");
        assert_eq!(words[4], "not protected: c");
    }

    #[test]
    fn many_names_are_counted() {
        let resources = (0..8).map(|n| resource(&format!("r{n}"), Health::Never)).collect();
        let found = Found { resources, enabled_profiles: 1, ..Found::default() };
        assert_eq!(warnings(&found)[0].what, "no snapshot holds r0, r1, r2, r3, r4 and 3 more");
    }
}
