//! Which of the waiting runs begin now. Pure: what runs, what waits, and limits go in.

use std::collections::{BTreeMap, BTreeSet};

/// Something of which one run at a time has hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hold {
    /// Every resource of every tenant.
    Everything,
    /// Every resource of a tenant.
    Tenant(String),
    /// One resource of a tenant.
    Resource(String, String),
    /// Maintenance of a repository.
    Repository(String),
}

impl Hold {
    fn conflicts(&self, other: &Self) -> bool {
        use Hold::{Everything, Repository, Resource, Tenant};
        match (self, other) {
            (Repository(a), Repository(b))
            | (Tenant(a), Tenant(b) | Resource(b, _))
            | (Resource(b, _), Tenant(a)) => a == b,
            (Repository(_), _) | (_, Repository(_)) => false,
            (Everything, _) | (_, Everything) => true,
            (Resource(..), Resource(..)) => self == other,
        }
    }
}

/// A run, as far as the queue goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    pub id: String,
    pub tenant: String,
    /// Where it writes to; empty: nowhere.
    pub storage: String,
    pub holds: BTreeSet<Hold>,
    /// It writes or reads a whole snapshot as one file on the manager's host.
    pub is_bundle: bool,
    /// It asks whether its storage answers again: one does, for all that wait for it.
    pub asks: bool,
}

/// How many at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub of_host: usize,
    pub of_storage: usize,
    pub of_bundles: usize,
    /// By tenant; who is not named has [`Limits::of_other_tenants`].
    pub of_tenants: BTreeMap<String, usize>,
    pub of_other_tenants: usize,
}

/// Why a run does not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// For this run, which has hold of what it needs.
    For(String),
    Host,
    Storage,
    Bundles,
    Tenant,
}

/// For each of `waiting`, in their order: `None` if it begins now, else what it waits for. One that
/// waits for a run keeps what it needs from those behind it: it is not overtaken for ever.
pub fn decide(running: &[Slot], waiting: &[Slot], limits: &Limits) -> Vec<Option<Wait>> {
    let mut going: Vec<&Slot> = running.iter().collect();
    let mut reserved: Vec<&Slot> = Vec::new();
    let mut decided = Vec::with_capacity(waiting.len());
    for slot in waiting {
        let wait = wait_of(slot, &going, &reserved, limits);
        match &wait {
            None => going.push(slot),
            Some(Wait::For(_)) => reserved.push(slot),
            Some(_) => {}
        }
        decided.push(wait);
    }
    decided
}

fn wait_of(slot: &Slot, going: &[&Slot], reserved: &[&Slot], limits: &Limits) -> Option<Wait> {
    let conflicts = |other: &&&Slot| {
        slot.holds.iter().any(|own| other.holds.iter().any(|theirs| own.conflicts(theirs)))
    };
    if let Some(other) = going.iter().chain(reserved).find(conflicts) {
        return Some(Wait::For(other.id.clone()));
    }
    if going.len() >= limits.of_host {
        return Some(Wait::Host);
    }
    let same_storage = going.iter().filter(|o| !o.storage.is_empty() && o.storage == slot.storage);
    let is_asked = same_storage.clone().any(|other| other.asks);
    if same_storage.count() >= limits.of_storage || (slot.asks && is_asked) {
        return Some(Wait::Storage);
    }
    let bundles = going.iter().filter(|other| other.is_bundle).count();
    if slot.is_bundle && bundles >= limits.of_bundles {
        return Some(Wait::Bundles);
    }
    let of_tenant = limits.of_tenants.get(&slot.tenant).copied();
    let same_tenant = going.iter().filter(|other| other.tenant == slot.tenant).count();
    (same_tenant >= of_tenant.unwrap_or(limits.of_other_tenants)).then_some(Wait::Tenant)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(id: &str, tenant: &str, holds: &[Hold]) -> Slot {
        Slot {
            id: id.into(),
            tenant: tenant.into(),
            storage: "s".into(),
            holds: holds.iter().cloned().collect(),
            is_bundle: false,
            asks: false,
        }
    }

    fn resource(tenant: &str, name: &str) -> Hold {
        Hold::Resource(tenant.into(), name.into())
    }

    fn limits(of_host: usize, of_storage: usize, of_tenant: usize) -> Limits {
        let of_tenants = BTreeMap::new();
        Limits { of_host, of_storage, of_bundles: 9, of_tenants, of_other_tenants: of_tenant }
    }

    #[test]
    fn the_same_resource_is_captured_by_one_run_at_a_time() {
        let running = [slot("1", "a", &[resource("a", "x")])];
        let waiting = [
            slot("2", "a", &[resource("a", "x")]),
            slot("3", "a", &[resource("a", "y")]),
            slot("4", "b", &[resource("b", "x")]),
            slot("5", "a", &[Hold::Tenant("a".into())]),
            slot("6", "c", &[Hold::Everything]),
        ];
        let decided = decide(&running, &waiting, &limits(9, 9, 9));
        let waits = |id: &str| Some(Wait::For(id.into()));
        assert_eq!(decided, [waits("1"), None, None, waits("1"), waits("1")]);
    }

    #[test]
    fn who_waits_for_much_is_not_overtaken_for_ever() {
        let running = [slot("1", "a", &[resource("a", "x")])];
        let waiting = [slot("2", "s", &[Hold::Everything]), slot("3", "b", &[resource("b", "y")])];
        let decided = decide(&running, &waiting, &limits(9, 9, 9));
        assert_eq!(decided, [Some(Wait::For("1".into())), Some(Wait::For("2".into()))]);
    }

    #[test]
    fn files_of_whole_snapshots_wait_for_each_other_and_for_nothing_else() {
        let bundle = |id: &str| Slot { is_bundle: true, ..slot(id, id, &[]) };
        let waiting = [bundle("a"), bundle("b"), slot("c", "c", &[])];
        let limits = Limits { of_bundles: 1, ..limits(9, 9, 9) };
        assert_eq!(decide(&[], &waiting, &limits), [None, Some(Wait::Bundles), None]);
    }

    #[test]
    fn one_asks_a_storage_for_all_that_wait_for_it() {
        let asks = |id: &str, storage: &str| Slot {
            asks: true,
            storage: storage.into(),
            ..slot(id, id, &[])
        };
        let waiting = [asks("a", "s"), asks("b", "s"), asks("c", "other"), slot("d", "d", &[])];
        let decided = decide(&[], &waiting, &limits(9, 9, 9));
        assert_eq!(decided, [None, Some(Wait::Storage), None, None]);
    }

    #[test]
    fn limits_hold_for_host_storage_and_tenant() {
        let waiting: Vec<_> = ["a", "a", "b", "c"].map(|t| slot(t, t, &[])).into_iter().collect();
        let of = |limits: &Limits| decide(&[], &waiting, limits);
        assert_eq!(of(&limits(9, 9, 1)), [None, Some(Wait::Tenant), None, None]);
        assert!(of(&limits(9, 1, 9))[1..].iter().all(|wait| *wait == Some(Wait::Storage)));
        assert_eq!(of(&limits(2, 9, 9))[2..], [Some(Wait::Host), Some(Wait::Host)]);
        let more = Limits { of_tenants: [("a".into(), 2)].into(), ..limits(9, 9, 1) };
        assert_eq!(of(&more), [None, None, None, None]);
    }

    #[test]
    fn maintenance_and_capture_go_together_and_two_of_one_repository_do_not() {
        let repository = Hold::Repository("r".into());
        let running = [slot("1", "a", std::slice::from_ref(&repository))];
        let waiting = [slot("2", "b", &[repository]), slot("3", "c", &[Hold::Everything])];
        let decided = decide(&running, &waiting, &limits(9, 9, 9));
        assert_eq!(decided, [Some(Wait::For("1".into())), None]);
    }

    proptest::proptest! {
        #[test]
        fn no_limit_is_ever_exceeded(
            slots in proptest::collection::vec((0..4u8, 0..3u8, 0..5u8), 0..30),
            of_host in 1..6usize, of_storage in 1..4usize, of_tenant in 1..4usize,
        ) {
            let slots: Vec<Slot> = slots.iter().enumerate().map(|(n, (tenant, storage, hold))| Slot {
                id: n.to_string(),
                tenant: tenant.to_string(),
                storage: storage.to_string(),
                holds: [resource(&tenant.to_string(), &hold.to_string())].into(),
                is_bundle: false,
                asks: false,
            }).collect();
            let decided = decide(&[], &slots, &limits(of_host, of_storage, of_tenant));
            let begun: Vec<&Slot> = slots.iter().zip(&decided)
                .filter(|(_, wait)| wait.is_none()).map(|(slot, _)| slot).collect();
            proptest::prop_assert!(begun.len() <= of_host);
            for one in &begun {
                let same = |f: &dyn Fn(&Slot) -> bool| begun.iter().filter(|o| f(o)).count();
                proptest::prop_assert!(same(&|o| o.storage == one.storage) <= of_storage);
                proptest::prop_assert!(same(&|o| o.tenant == one.tenant) <= of_tenant);
                proptest::prop_assert!(same(&|o| o.holds == one.holds) == 1);
            }
            // The first is never held up by nothing.
            proptest::prop_assert!(slots.is_empty() || decided[0].is_none());
        }
    }
}
