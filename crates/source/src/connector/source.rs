//! Capture: plan, prepare, freeze, thaw, view, release, called in this order by the runner.

use serde_json::Value;
use tintype_model::item::HookRun;
use tintype_model::resource::{Consistency, Hook};
use tintype_model::{Error, Result};

use super::{Guarded, Part};

/// When in a window a source freezes: those of earlier turns have frozen, or failed, by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// Holds writers up once what they have begun is over: nothing else stands still meanwhile.
    Waits,
    /// Holds writers up at once.
    Holds,
    /// Holds up nobody. These freeze one after the other, the last member of the group first, so
    /// that none is ahead of one that its writers write to before it.
    Passes,
}

/// One resource, for one snapshot. What it makes bears the session's name
/// ([`Context::label`](super::Context::label)).
pub trait Source: Send {
    /// Reads, changes nothing. An error refuses this resource and says what helps.
    fn plan(&mut self) -> Result<CapturePlan>;

    /// All that is slow and can be done before anything is frozen: scratch files, servers,
    /// connections, checkpoints. `mark`: what [`View::mark`] of the parent was, if there is one.
    fn prepare(&mut self, mark: Option<&Value>) -> Result<()>;

    /// What the guard must know; asked after `prepare`. None if nothing is ever held up.
    fn guarded(&self) -> Option<Guarded> {
        None
    }

    /// Asked after `prepare`, as [`guarded`](Self::guarded) is.
    fn turn(&self) -> Turn {
        if self.guarded().is_some() { Turn::Holds } else { Turn::Passes }
    }

    /// What must be read to its end before the window, since the view continues it: a base backup
    /// whose log goes on to the moment of the freeze. Paths as those of [`View::parts`].
    fn ahead(&mut self) -> Result<Vec<Part>> {
        Ok(Vec::new())
    }

    /// Right before the hooks and the window: what was prepared may be hours old by now.
    fn renew(&mut self) -> Result<()> {
        Ok(())
    }

    /// Short: the moment that the view shows lies between this call and its return.
    fn freeze(&mut self) -> Result<()>;

    /// Ends the window; called exactly once after each `freeze`, also one that failed. An error
    /// says that the view is worth nothing.
    fn thaw(&mut self) -> Result<()>;

    /// Whether it may still be frozen: asked after `thaw` and `release`. The guard goes on then.
    fn is_held(&self) -> bool {
        false
    }

    /// What was frozen; readable until `release`. Parts sorted by [`Part::at`].
    fn view(&mut self) -> Result<View>;

    /// What the description names and was not there at the freeze, or is not what it should be; asked
    /// after `view`. The item is captured without it, or as it is; each counts as a problem of it, and
    /// the snapshot is incomplete.
    fn missing(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether to hold nothing at all is nothing strange. Else an item that is empty fails where the
    /// last snapshot that captured it held something.
    fn may_be_empty(&self) -> bool {
        true
    }

    /// A hook inside of a machine; called between `prepare` and `release`, or by a restore on one
    /// of which nothing else is asked.
    fn run_in_guest(&mut self, hook: &Hook) -> Result<HookRun> {
        let _ = hook;
        Err(Error::unsupported("there is no guest agent that could run a command"))
    }

    /// Always called, whatever happened before. Removes what was made, but for what the mark of a
    /// committed snapshot needs; the old mark's then goes.
    fn release(&mut self, released: Released) -> Result<()>;
}

/// What a source will do.
#[derive(Clone, Debug, PartialEq)]
pub struct CapturePlan {
    pub reaches: Consistency,
    /// Why not more, and what would help.
    pub why_not_more: Option<String>,
    /// What will be held up, for people: `freezes the file systems of the guest`.
    pub freezes: Option<String>,
}

pub struct View {
    pub parts: Vec<Part>,
    /// What was reached, never what was wished.
    pub consistency: Consistency,
    /// Why not more.
    pub why_not_more: Option<String>,
    /// What the next snapshot must know to read only changes; it counts once this one is committed.
    /// It names what it belongs to: one that does not fit exactly what is found means a full read.
    pub mark: Option<Value>,
    /// What a restore must know: versions, names, sizes.
    pub facts: Value,
    /// Version of what was captured, where the platform knows it.
    pub version: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The snapshot is committed and holds this item whole: the new mark counts.
    Committed,
    /// The old mark still counts: nothing came of the snapshot, or it belongs to another series
    /// than the mark.
    Failed,
}
