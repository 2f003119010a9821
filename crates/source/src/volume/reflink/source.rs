//! Freeze, share, thaw, walk the copy.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{fstat, syncfs};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tintype_model::resource::{Consistency, Resource};
use tintype_model::{Error, Result};

use super::NAME;
use super::below::Below;
use super::clone::Clone;
use crate::connector::{CapturePlan, Content, Context, Guarded, Part, Released, Source, View};
use crate::files::Excludes;
use crate::volume::layers::{self, Freezing};
use crate::volume::place::{At, excludes};
use crate::volume::{ioctl, mounts, opened, place};

const WHY: &str = "the programs that write to it are not asked; hooks can do that";

pub(super) struct Shared {
    name: String,
    at: At,
    excludes: Arc<Excludes>,
    context: Context,
    ready: Option<Ready>,
    frozen: Option<Freezing>,
    /// The copy was taken and the file system thawed by ourselves.
    is_taken: bool,
    /// The volume in the copy, and the mount of the copy.
    open: Option<(OwnedFd, OwnedFd)>,
}

/// What the window needs.
struct Ready {
    below: Below,
    clone: Clone,
    /// The top of what is frozen.
    directory: OwnedFd,
    layers: BTreeSet<u64>,
}

/// What the guard must know.
#[derive(Serialize, Deserialize)]
struct Thaw {
    path: PathBuf,
    device: u64,
}

/// Thaws, if the same file system is still mounted there.
pub(super) fn thaw_guarded(guarded: &Value) -> Result<()> {
    let Thaw { path, device } = Thaw::deserialize(guarded)
        .map_err(|error| Error::invalid(format!("what is to be thawed: {error}")))?;
    let failed = |errno: Errno| Error::io(errno.into(), path.display());
    let directory = place::open(&path).map_err(failed)?;
    if fstat(&directory).map_err(failed)?.st_dev != device {
        return Ok(());
    }
    match ioctl::thaw(&directory) {
        Ok(()) | Err(Errno::INVAL) => Ok(()),
        Err(errno) => Err(failed(errno)),
    }
}

impl Shared {
    pub(super) fn new(resource: &Resource, context: &Context) -> Result<Self> {
        Ok(Self {
            name: resource.name.clone(),
            at: At::of(&resource.name, &resource.at)?,
            excludes: excludes(resource)?,
            context: context.clone(),
            ready: None,
            frozen: None,
            is_taken: false,
            open: None,
        })
    }

    fn below(&self) -> Result<Below> {
        let place = self.at.open(&self.name)?;
        Below::find(&self.name, &place, &self.context.written_devices)
    }

    fn ready(&self) -> Result<&Ready> {
        self.ready.as_ref().ok_or_else(|| Error::internal("not prepared"))
    }

    fn failed(&self, errno: Errno) -> Error {
        let path = self.at.path.display();
        let name = &self.name;
        match errno {
            Errno::BUSY => Error::locked(format!(
                "volume {name}: {path} is frozen already by somebody else; thaw it with fsfreeze \
                 --unfreeze if it is a leftover"
            )),
            Errno::PERM | Errno::ACCESS => Error::denied(format!(
                "volume {name}: {path}: freezing needs root ({errno}); run as root, or use the \
                 connector files"
            )),
            Errno::OPNOTSUPP => Error::unsupported(format!(
                "volume {name}: {path}: this file system cannot be frozen; use the connector files"
            )),
            errno => Error::io(errno.into(), format_args!("volume {name}: {path}")),
        }
    }
}

impl Source for Shared {
    fn plan(&mut self) -> Result<CapturePlan> {
        let below = self.below()?;
        if !rustix::process::geteuid().is_root() {
            return Err(self.failed(Errno::PERM));
        }
        Ok(CapturePlan {
            reaches: Consistency::Filesystem,
            why_not_more: Some(WHY.into()),
            freezes: Some(format!("freezes {}", below.mount.point.display())),
        })
    }

    fn prepare(&mut self, _: Option<&Value>) -> Result<()> {
        let below = self.below()?;
        let directory = below.directory()?;
        let layers = layers::at_and_below(below.device, &mounts::all()?);
        let clone = Clone::make(&below, &self.context)?;
        // So that the freeze has less to write.
        let synced = syncfs(&directory);
        self.ready = Some(Ready { below, clone, directory, layers });
        synced.map_err(|errno| self.failed(errno))
    }

    fn guarded(&self) -> Option<Guarded> {
        let below = &self.ready.as_ref()?.below;
        let what = Thaw { path: below.mount.point.clone(), device: below.device };
        Some(Guarded {
            connector: NAME.into(),
            name: self.name.clone(),
            what: serde_json::to_value(what).ok()?,
        })
    }

    fn freeze(&mut self) -> Result<()> {
        let ready = self.ready()?;
        let freezing = layers::begin_freezing(&self.name, ready.below.device, &ready.layers)?;
        ioctl::freeze(&ready.directory).map_err(|errno| self.failed(errno))?;
        // From here on `thaw` must thaw.
        self.frozen = Some(freezing);
        let ready = self.ready()?;
        ready
            .clone
            .take(&ready.below)
            .map_err(|error| error.context(format_args!("volume {}", self.name)))?;
        self.is_taken = true;
        Ok(())
    }

    fn thaw(&mut self) -> Result<()> {
        // Nothing was frozen, or somebody else did it.
        if self.frozen.is_none() {
            return Ok(());
        }
        let thawed = ioctl::thaw(&self.ready()?.directory);
        if thawed.is_err() {
            self.is_taken = false;
        }
        if matches!(thawed, Ok(()) | Err(Errno::INVAL)) {
            self.frozen = None;
        }
        match thawed {
            Ok(()) => self.ready()?.clone.remove_name(),
            Err(Errno::INVAL) => Err(Error::unavailable(format!(
                "volume {}: {} was thawed before its image was shared; try again when the disk is \
                 less busy",
                self.name,
                self.at.path.display()
            ))),
            Err(errno) => Err(self.failed(errno)),
        }
    }

    fn is_held(&self) -> bool {
        self.frozen.is_some()
    }

    fn view(&mut self) -> Result<View> {
        if !self.is_taken {
            return Err(Error::internal("nothing was frozen"));
        }
        let Ready { below, clone, .. } = self.ready()?;
        let mount = clone.mount(below);
        let mount = mount.map_err(|e| e.context(format_args!("volume {}", self.name)))?;
        let root = below.open_in(&mount)?;
        let facts = json!({
            "path": self.at.path,
            "filesystem": below.mount.kind,
            "image": below.loop_device.image,
        });
        let content = Content::directory(opened::path_of(&root), Arc::clone(&self.excludes));
        self.open = Some((root, mount));
        Ok(View {
            parts: vec![Part { at: Vec::new(), content }],
            consistency: Consistency::Filesystem,
            why_not_more: Some(WHY.into()),
            mark: None,
            facts,
            version: None,
        })
    }

    fn release(&mut self, _: Released) -> Result<()> {
        self.open = None;
        let thawed = self.thaw();
        match self.ready.take() {
            Some(ready) => ready.clone.remove_name().and(thawed),
            None => thawed,
        }
    }
}
