//! What every source and every target must do, whatever it speaks to: two suites that any connector
//! runs on its real part ([`World`]).

mod held;
mod image;
mod model;
mod source;
mod target;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};
use tintype_model::Result;
use tintype_model::cancel::Cancel;
use tintype_model::item::{Item, Outcome};
use tintype_model::resource::{Kind, Resource};
use tintype_source::connector::{Connector, Context, Destination, Living, session_of};
use tintype_testkit::env::{RealClock, Threads};

pub(crate) use held::{Ahead, Held, capture};
pub(crate) use model::Model;
pub(crate) use source::sources_conform;
pub(crate) use target::targets_conform;

/// A real part that a connector speaks to, with a resource on it.
pub(crate) trait World: Sync {
    fn resource(&self) -> Resource;

    /// Replaces what the resource holds by a state that is known by a number. It may be cut in two:
    /// what was half written then counts as the number before.
    fn write(&self, number: u64);

    /// The number that the living resource holds; a server that is stopped is started.
    fn now(&self) -> u64;

    /// The number that was captured. Panics if it is torn.
    fn captured(&self, held: &Held) -> u64;

    /// All of the living resource that a restore must bring back or leave alone, to be compared.
    fn state(&self) -> String;

    /// What bears a name of ours, wherever it may be, or is still held up; but for [`World::kept`].
    fn leftovers(&self) -> Vec<String>;

    /// Does what users must do before a restore over the living resource: stop a server, drop a
    /// database. Gives whether something is still there to be replaced.
    fn make_way(&self) -> bool {
        true
    }

    /// Whether a second capture at the same time is refused, instead of standing beside the first.
    fn one_at_a_time(&self) -> bool {
        false
    }

    /// Whether somebody can write while it is read; else it is kept from that.
    fn writes_meanwhile(&self) -> bool {
        true
    }

    /// Devices of which the context says that they are written to.
    fn written_devices(&self) -> Vec<u64> {
        Vec::new()
    }

    /// Where a new one can be made beside, and how its number is read there.
    fn as_new(&self) -> Option<AsNew> {
        None
    }
}

pub(crate) struct AsNew {
    pub destination: Destination,
    pub now: Box<dyn Fn() -> u64>,
}

/// A session, with scratch of its own.
pub(crate) struct Session {
    pub context: Context,
    _scratch: tempfile::TempDir,
}

/// Sessions of other tests and other programs, which run at the same time, live.
static KILLED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

struct AllButKilled;

impl Living for AllButKilled {
    fn is_alive(&self, session: &str) -> bool {
        !KILLED.lock().unwrap().contains(session)
    }
}

impl Session {
    pub(crate) fn new(written_devices: Vec<u64>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = u64::from(std::process::id()) << 32 | NEXT.fetch_add(1, Ordering::Relaxed);
        let session = format!("{number:016x}");
        let scratch = tempfile::tempdir().unwrap();
        let context = Context {
            clock: Arc::new(RealClock::start()),
            tasks: Arc::new(Threads),
            cancel: Cancel::default(),
            session,
            series: String::new(),
            living: Arc::new(AllButKilled),
            scratch: scratch.path().to_owned(),
            written_devices,
            passwords: tintype_source::connector::Passwords::default(),
            quiesce: true,
        };
        Self { context, _scratch: scratch }
    }

    pub(crate) fn of(world: &dyn World) -> Self {
        Self::new(world.written_devices())
    }

    /// From now on others take what it made for leftovers.
    pub(crate) fn kill(&self) {
        KILLED.lock().unwrap().insert(self.context.session.clone());
    }
}

/// Whether a session was killed that made something of this name.
pub(crate) fn was_killed(name: &str) -> bool {
    session_of(name).is_some_and(|session| !AllButKilled.is_alive(session))
}

pub(crate) fn connector(name: &str) -> Box<dyn Connector> {
    let mut all = tintype_source::connectors();
    let at = all.iter().position(|connector| connector.name() == name);
    all.swap_remove(at.unwrap_or_else(|| panic!("there is no connector {name}")))
}

/// What a connector says that it removed.
pub(crate) fn cleaned(
    connector: &dyn Connector,
    resources: &[&Resource],
    context: &Context,
) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    connector.clean(resources, context, &mut removed).map(|()| removed)
}

/// A resource of which only the place is said.
pub(crate) fn resource(kind: Kind, name: &str, connector: &str, at: &[(&str, Value)]) -> Resource {
    let at: Map<String, Value> =
        at.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    Resource {
        kind,
        name: name.to_owned(),
        connector: connector.to_owned(),
        at,
        tags: Vec::new(),
        version: None,
        consistency: None,
        hooks: Vec::new(),
        excludes: Vec::new(),
        components: Vec::new(),
    }
}

pub(crate) fn item(resource: &Resource, held: &Held) -> Item {
    Item {
        name: resource.name.clone(),
        kind: resource.kind,
        connector: resource.connector.clone(),
        place: "place".to_owned(),
        outcome: Outcome::Captured,
        reason: None,
        consistency: Some(held.consistency),
        version: None,
        entries: 1,
        bytes: 1,
        problems: 0,
        frozen_seconds: None,
        mark: held.mark.clone(),
        facts: held.facts.clone(),
        hooks: Vec::new(),
    }
}

pub(crate) fn path_at(path: impl Into<PathBuf>) -> Value {
    Value::String(path.into().into_os_string().into_string().unwrap())
}
