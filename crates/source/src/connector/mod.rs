//! What speaks to one kind of platform (docs/sources.md). A connector discovers resources and
//! gives each a [`Source`] and a [`Target`]; `tintype_runner` carries both out against a
//! repository, which a connector never sees.

pub mod described;
mod guard;
mod part;
mod passwords;
mod source;
mod step;
mod target;

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tintype_model::cancel::Cancel;
use tintype_model::env::{Clock, Tasks};
use tintype_model::resource::{Consistency, Resource};
use tintype_model::{Error, Result};

pub use guard::Guarded;
pub use part::{Changed, Content, EndOfStream, Part, ReadImage};
pub use passwords::Passwords;
pub use source::{CapturePlan, Released, Source, Turn, View};
pub(crate) use step::{action, step};
pub use target::{
    Destination, FilesDone, ImageSink, KEPT, Stored, StoredEntry, Target, TargetPlan,
};

pub trait Connector: Send + Sync {
    /// As `connector:` names it.
    fn name(&self) -> &'static str;

    /// JSON Schema of `at:`.
    fn schema(&self) -> Value;

    /// What there is on this host, each with the consistency that it can reach and why not more.
    /// Changes nothing, and finds nothing, without an error, where its platform is not there.
    fn discover(&self, context: &Context) -> Result<Vec<Discovered>>;

    /// `Invalid` if what describes it does not say what is needed; looks at nothing on any host.
    fn check(&self, resource: &Resource) -> Result<()>;

    /// Whether the server of `resource` is there and lets in whom it names, as far as a capture
    /// needs it: what a capture would reach. Changes nothing. `Unsupported` where there is no server.
    fn reach(&self, resource: &Resource, context: &Context) -> Result<CapturePlan> {
        let _ = (resource, context);
        let name = self.name();
        Err(Error::unsupported(format!(
            "{name} reaches no server: its resources need no connector of the manager"
        )))
    }

    /// The same, and what captures it.
    fn source(&self, resource: &Resource, context: &Context) -> Result<Box<dyn Source>>;

    /// For what an item of this connector holds.
    fn target(&self, context: &Context) -> Result<Box<dyn Target>>;

    /// Ends a freeze, told by what [`Source::guarded`] gave: called by the guard, in another
    /// process, when the one that froze is dead or late. Thawing what is not frozen is no error.
    fn thaw(&self, guarded: &Value, context: &Context) -> Result<()> {
        let _ = (guarded, context);
        Ok(())
    }

    /// Whether what its sources make stays when the process that made it is killed: a process of its
    /// own cleans then.
    fn outlives(&self) -> bool {
        false
    }

    /// Removes whatever bears the name of a session that [is dead](Context::is_dead), thawing it
    /// first: jobs, nodes, exports, bitmaps, subvolumes, scratch files. `resources`: where to look,
    /// beside what can be found without. `removed`: it is added in words for people what went, also
    /// where something else could not be removed, which is the error.
    fn clean(
        &self,
        resources: &[&Resource],
        context: &Context,
        removed: &mut Vec<String>,
    ) -> Result<()> {
        let _ = (resources, context, removed);
        Ok(())
    }
}

/// What a connector finds on a host.
#[derive(Clone, Debug, PartialEq)]
pub struct Discovered {
    pub resource: Resource,
    pub reaches: Consistency,
    /// Why not more, and what would help.
    pub why_not_more: Option<String>,
}

/// What a run gives to its connectors.
#[derive(Clone)]
pub struct Context {
    pub clock: Arc<dyn Clock>,
    pub tasks: Arc<dyn Tasks>,
    pub cancel: Cancel,
    /// Of this run: 16 hexadecimal digits, the first eight those of all runs that know of each
    /// other. See [`Context::label`].
    pub session: String,
    pub living: Arc<dyn Living>,
    /// A private directory that a run may fill, on a file system with room. Made by the runner,
    /// named [`Context::label`], removed with the run.
    pub scratch: PathBuf,
    /// Devices (`st_dev`) that this process writes to and that must not freeze: repository, cache
    /// and scratch.
    pub written_devices: Vec<u64>,
    pub passwords: Passwords,
    /// Workloads take part. Without it no guest is held still: its copy is as after a power failure.
    pub quiesce: bool,
    /// Of the snapshots that a capture's mark is for: 16 hexadecimal digits, other ones for each
    /// repository. Empty: not known.
    pub series: String,
}

/// Which sessions are at work, asked at the moment: a session is known before it makes anything, so
/// what bears the name of one of ours that is not known was left behind.
pub trait Living: Send + Sync {
    /// Whether it is known to be at work.
    fn is_alive(&self, session: &str) -> bool;

    /// Whether it would be known if it were: of one of a container that shares a file system with
    /// this host nobody here knows whether it lives.
    fn is_ours(&self, session: &str) -> bool {
        let _ = session;
        true
    }
}

impl Living for BTreeSet<String> {
    fn is_alive(&self, session: &str) -> bool {
        self.contains(session)
    }
}

/// What all names begin with of what connectors make.
pub const LABEL: &str = "tintype-";

impl Context {
    /// What is made beside users' data bears this name and perhaps a suffix, so that it is
    /// recognised when nobody is left who made it: `tintype-0123456789abcdef`.
    pub fn label(&self) -> String {
        format!("{LABEL}{}", self.session)
    }

    /// For what must be done also after a request to stop; it has bounds of its own.
    pub(crate) fn stubborn(&self) -> Self {
        Self { cancel: Cancel::default(), ..self.clone() }
    }

    /// Whether something of this name was left behind by a session that is no more.
    pub fn is_dead(&self, name: &str) -> bool {
        session_of(name)
            .is_some_and(|session| self.living.is_ours(session) && !self.living.is_alive(session))
    }

    /// Private directories of sessions of this user that are no more.
    pub fn dead_scratch(&self) -> Vec<PathBuf> {
        let above = self.scratch.parent().into_iter().flat_map(std::fs::read_dir);
        let entries = above.flatten().flatten();
        let dead = entries.filter(|entry| self.is_dead(&entry.file_name().to_string_lossy()));
        // Of other users' sessions nobody else knows whether they live.
        let own = rustix::process::geteuid().as_raw();
        let places = dead.map(|entry| entry.path());
        let is_own = |place: &PathBuf| place.symlink_metadata().is_ok_and(|at| at.uid() == own);
        places.filter(is_own).collect()
    }

    /// Whether something of this name belongs to a session that is known to be at work. Asked of what
    /// many may have made and that is worth little: records of changes.
    pub(crate) fn is_alive(&self, name: &str) -> bool {
        session_of(name).is_some_and(|session| self.living.is_alive(session))
    }
}

/// The session in a name that [`Context::label`] made.
pub fn session_of(name: &str) -> Option<&str> {
    let session = name.strip_prefix(LABEL)?.get(..16)?;
    let rest = &name[LABEL.len() + 16..];
    let is_ours = session.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        && (rest.is_empty() || rest.starts_with(['-', '.']));
    is_ours.then_some(session)
}
