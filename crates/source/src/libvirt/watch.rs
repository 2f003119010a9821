//! Free space for what a guest overwrites while it is read.
//!
//! libvirt's job stops the guest when scratch space runs out (unlike a bare QEMU, which is told to
//! give up the view). So free space is looked at for as long as the job is there, whether somebody
//! reads or not, and the job is ended while there still is some. A guest that was faster than that
//! is started again with the end of the job.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tintype_model::env::Clock;
use tintype_model::{Error, Result};

use super::job::{end_job, let_go_on};
use super::virsh::Virsh;
use crate::connector::{Context, ReadImage};
use crate::host::space::free_bytes;
use crate::vm::nbd::NbdImage;

/// The job ends when less than this is free, or half of what was free when it began.
const LEAST_FREE: u64 = 1 << 30;
const GLANCE: Duration = Duration::from_millis(100);

/// Ends the job before it stops the guest.
struct Watch {
    virsh: Virsh,
    domain: String,
    label: String,
    place: PathBuf,
    least_free: u64,
    clock: Arc<dyn Clock>,
    /// The view is read, or given up: there is nothing to look at any more.
    is_over: AtomicBool,
    /// Why the job was ended before that.
    ended: OnceLock<String>,
}

impl Watch {
    fn look_on(&self) {
        let _poison = Poison(self);
        while !self.is_over.load(Ordering::Acquire) {
            // What cannot be ended now is tried again.
            if self.is_low() && self.end().is_ok() {
                return;
            }
            self.clock.sleep(GLANCE);
        }
    }

    /// A place that is gone belongs to a run that is over.
    fn is_low(&self) -> bool {
        free_bytes(&self.place).is_ok_and(|free| free < self.least_free)
    }

    fn end(&self) -> Result<()> {
        self.ended.get_or_init(|| {
            format!(
                "the scratch space at {} is nearly full: the guest overwrites more than fits there \
                 while it is read, and its backup job was ended so that it goes on; give scratch \
                 more room, or snapshot at a quieter time",
                self.place.display()
            )
        });
        end_job(&self.virsh, &self.domain, |name| name.starts_with(&self.label))?;
        let_go_on(&self.virsh, &self.domain)
    }

    fn check(&self) -> Result<()> {
        self.ended.get().map_or(Ok(()), |why| Err(Error::no_space(why)))
    }
}

/// What watches must not end in silence.
struct Poison<'w>(&'w Watch);

impl Drop for Poison<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.ended.get_or_init(|| "nothing watches the scratch space any more".to_owned());
        }
    }
}

/// Looks on until it is dropped.
pub(crate) struct Watched(Arc<Watch>);

impl Watched {
    /// Of a job that is about to begin.
    pub(crate) fn new(domain: &str, uri: &str, place: &Path, context: &Context) -> Result<Self> {
        Ok(Self(Arc::new(Watch {
            virsh: Virsh::stubborn(uri, context),
            domain: domain.to_owned(),
            label: context.label(),
            place: place.to_owned(),
            least_free: LEAST_FREE.min(free_bytes(place)? / 2),
            clock: context.clock.clone(),
            is_over: AtomicBool::new(false),
            ended: OnceLock::new(),
        })))
    }

    /// The job has begun.
    pub(crate) fn begin(&self, context: &Context) -> Result<()> {
        let watch = self.0.clone();
        context.tasks.spawn(Box::new(move || watch.look_on()))
    }

    /// Whether the job was ended before its time.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.ended.get().is_some()
    }

    pub(crate) fn image(&self, image: NbdImage) -> WatchedImage {
        WatchedImage { image, watch: self.0.clone() }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Release);
    }
}

/// An export of a job that is watched.
pub(crate) struct WatchedImage {
    image: NbdImage,
    watch: Arc<Watch>,
}

impl WatchedImage {
    /// The export goes with the job: why that ended says more.
    fn told<T>(&self, read: Result<T>) -> Result<T> {
        self.watch.check()?;
        read
    }
}

impl ReadImage for WatchedImage {
    fn size_bytes(&self) -> u64 {
        self.image.size_bytes()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.watch.check()?;
        self.told(self.image.read_at(offset, buffer))
    }

    fn extent(&self, range: Range<u64>) -> Result<(u64, bool)> {
        self.watch.check()?;
        self.told(self.image.extent(range))
    }

    fn is_served(&self) -> bool {
        true
    }
}
