//! A machine that runs, kept at one moment.
//!
//! Before the window, each disk gets a filter that is not used yet, with a scratch file, and a new
//! bitmap that records from then on. In the window only one thing happens: the guest's devices are
//! put on the filters, and from then on the old content of what is overwritten is copied aside
//! first. With several disks the guest's processors stand still meanwhile, so that the disks are
//! of one moment also where no file system is frozen. After the window the old bitmap is switched
//! off. So the new bitmap holds at least what changes after the moment, the old one at least what
//! changed before: more than needed is read, never less.
//!
//! When scratch space runs out, a filter gives up the view and the guest goes on
//! (`on-cbw-error`); reading the view then fails.

use std::collections::BTreeSet;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tintype_model::entry::{Kind, Node, Time};
use tintype_model::{Error, ErrorKind, Result};

use super::machine::{Bitmap, Disk, is_running, put_on};
use super::mark::{GRANULE_BYTES, Mark, MarkedDisk, is_record, record_name};
use super::names::Names;
use super::plan::Running;
use super::sweep::{Fate, Made, add_bitmap, merge, remove_bitmap, sweep};
use crate::connector::{Changed, Content, Context, Part, ReadImage};
use crate::vm::nbd::{Nbd, NbdImage, dirty};
use crate::vm::qmp::Qmp;
use crate::vm::scratch::Scratch;
use crate::vm::socket::Waits;

/// The guest's write waits no longer for its old content to be copied; then the view is given up.
const COPY_SECONDS: u64 = 20;
const MOST_CANARIES: u64 = 16;
/// Less is as good as none.
const LITTLE_SPACE: u64 = 4 << 20;

pub(crate) struct Capture {
    pub names: Names,
    scratch: Scratch,
    socket: PathBuf,
    /// The mark of the parent, with what speaks against it per disk.
    mark: Option<Mark>,
    /// Name of the bitmap that a mark of this capture names.
    record: String,
    /// Disks whose device is on the filter now.
    inserted: Vec<usize>,
    stopped: bool,
}

impl Capture {
    /// All that is slow.
    pub(crate) fn prepare(
        running: &mut Running,
        mark: Option<Mark>,
        context: &Context,
    ) -> Result<Self> {
        let label = context.label();
        let names = Names(label);
        let qmp = &mut running.qmp;
        refuse_second(qmp, &names, context)?;
        let scratch = Scratch::make(owner_of(qmp), context)?;
        let socket = scratch.socket();
        let record = record_name(mark.as_ref(), context);
        let (inserted, stopped) = (Vec::new(), false);
        let capture = Self { names, scratch, socket, mark, record, inserted, stopped };
        let prepared = capture.lock(qmp).and_then(|()| {
            let prepared = capture.prepare_disks(running, context);
            if prepared.is_err() {
                // The first error is told; what stays is found by its name.
                let _ = capture.end(&mut running.qmp, false, context);
            }
            prepared
        });
        match prepared {
            Ok(()) => Ok(capture),
            Err(error) => {
                let _ = capture.remove_scratch();
                Err(error)
            }
        }
    }

    fn prepare_disks(&self, running: &mut Running, context: &Context) -> Result<()> {
        for (number, disk) in captured(&running.devices.disks) {
            let prepared = self.prepare_disk(&mut running.qmp, number, disk, context);
            prepared.map_err(|error| error.context(format!("disk {}", disk.name)))?;
        }
        Ok(())
    }

    /// QEMU has one server of exports, so starting it decides who captures.
    fn lock(&self, qmp: &mut Qmp) -> Result<()> {
        let lock = self.names.lock();
        add_sign(qmp, &lock)?;
        let address = json!({ "type": "unix", "data": { "path": self.socket } });
        let started = qmp.execute("nbd-server-start", json!({ "addr": address }));
        started.map(drop).map_err(|error| {
            // The first error is told.
            let _ = qmp.execute("blockdev-del", json!({ "node-name": lock }));
            let advice = "another program uses QEMU's NBD server; end that (nbd-server-stop)";
            if error.message().contains("already running") {
                Error::locked(format!("{advice}: {error}"))
            } else {
                error
            }
        })
    }

    fn prepare_disk(
        &self,
        qmp: &mut Qmp,
        number: usize,
        disk: &Disk,
        context: &Context,
    ) -> Result<()> {
        let path = self.scratch.place().join(format!("disk-{number}"));
        let file = File::create_new(&path).and_then(|file| file.set_len(disk.size_bytes));
        file.map_err(|error| Error::io(error, path.display()))?;
        self.scratch.give(&path)?;
        let scratch = self.names.scratch(number);
        let node = json!({ "driver": "file", "node-name": scratch, "filename": path });
        qmp.execute("blockdev-add", node)?;
        qmp.execute(
            "blockdev-add",
            json!({
                "driver": "copy-before-write",
                "node-name": self.names.filter(number),
                "file": disk.node,
                "target": scratch,
                "on-cbw-error": "break-snapshot",
                "cbw-timeout": COPY_SECONDS,
            }),
        )?;
        // One that another switched off has a gap; nobody may switch it on again with those that
        // this capture switches off.
        let has_gap = |bitmap: &&Bitmap| is_record(&bitmap.name) && !bitmap.recording;
        for bitmap in disk.bitmaps.iter().filter(has_gap).filter(|bitmap| !bitmap.busy) {
            remove_bitmap(qmp, &disk.node, &bitmap.name)?;
        }
        let new = self.names.new_bitmap();
        add_bitmap(qmp, &disk.node, &new)?;
        self.set_canary(qmp, number, disk, context)
    }

    /// Marks some blocks as changed. They stay so in this bitmap for ever: where one is not, the
    /// bitmap was cleared by somebody, and what changed is not known.
    fn set_canary(
        &self,
        qmp: &mut Qmp,
        number: usize,
        disk: &Disk,
        context: &Context,
    ) -> Result<()> {
        let (node, export) = (self.names.canary(number), self.names.export(number));
        let nothing = json!({ "driver": "null-co", "node-name": node, "size": disk.size_bytes });
        qmp.execute("blockdev-add", nothing)?;
        let bitmap = json!({ "node": node, "name": "canary", "granularity": GRANULE_BYTES });
        qmp.execute("block-dirty-bitmap-add", bitmap)?;
        let ask = json!({ "type": "nbd", "id": export, "node-name": node, "name": export,
            "writable": true });
        qmp.execute("block-export-add", ask)?;
        let mut nbd = Nbd::connect(&self.socket, &export, None, Waits::of(context))?;
        for at in canaries(&self.record, disk.size_bytes) {
            nbd.write(at, &[0; 512])?;
        }
        drop(nbd);
        super::sweep::end_export(qmp, &export)?;
        let canary = json!({ "node": node, "name": "canary" });
        merge(qmp, &disk.node, &self.names.new_bitmap(), &[canary])
    }

    /// The moment. In the window; nothing else is.
    pub(crate) fn switch(&mut self, running: &mut Running) -> Result<()> {
        let numbers: Vec<usize> =
            captured(&running.devices.disks).map(|(number, _)| number).collect();
        if numbers.len() > 1 {
            self.stop(running)?;
        }
        let mut switched = Ok(());
        for number in numbers {
            let disk = &running.devices.disks[number];
            switched = put_on(&mut running.qmp, &disk.device, &self.names.filter(number))
                .map_err(|error| error.context(format!("disk {}", disk.name)));
            if switched.is_err() {
                break;
            }
            self.inserted.push(number);
        }
        switched.and(self.resume(running))
    }

    /// Its owner may have paused it since it was planned; then it is not this that stopped it.
    fn stop(&mut self, running: &mut Running) -> Result<()> {
        if is_running(&mut running.qmp)? {
            add_sign(&mut running.qmp, &self.names.stop())?;
            self.stopped = true;
            running.qmp.execute("stop", json!({}))?;
        }
        Ok(())
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Lets the guest run on, if this stopped it.
    pub(crate) fn resume(&mut self, running: &mut Running) -> Result<()> {
        if self.stopped {
            running.qmp.execute("cont", json!({}))?;
            self.stopped = false;
            let sign = json!({ "node-name": self.names.stop() });
            running.qmp.execute("blockdev-del", sign)?;
        }
        Ok(())
    }

    /// Opens what was kept. Gives one part a disk, and why disks are read whole that need not be.
    pub(crate) fn parts(
        &self,
        running: &mut Running,
        context: &Context,
    ) -> Result<(Vec<Part>, Vec<String>)> {
        let (mut parts, mut whole) = (Vec::new(), Vec::new());
        for (number, disk) in running.devices.disks.iter().enumerate() {
            let part = self.part(&mut running.qmp, number, disk, context, &mut whole);
            // A filter may have given up before anybody read.
            let place = self.scratch.place();
            parts.push(part.map_err(|error| explained(error, &disk.name, place))?);
        }
        parts.sort_by(|a, b| a.at.cmp(&b.at));
        Ok((parts, whole))
    }

    fn part(
        &self,
        qmp: &mut Qmp,
        number: usize,
        disk: &Disk,
        context: &Context,
        whole: &mut Vec<String>,
    ) -> Result<Part> {
        let known = match self.mark.as_ref().map(|mark| mark.fits(disk).map(|()| &mark.bitmap)) {
            Some(Ok(bitmap)) if self.inserted.contains(&number) => Some(bitmap),
            Some(Err(why)) => {
                whole.push(format!("disk {} is read whole: {why}", disk.name));
                None
            }
            _ => None,
        };
        let node = if self.inserted.contains(&number) {
            let (view, filter) = (self.names.view(number), self.names.filter(number));
            let ask = json!({ "driver": "snapshot-access", "node-name": view, "file": filter });
            qmp.execute("blockdev-add", ask)?;
            view
        } else {
            disk.node.clone()
        };
        let export = self.names.export(number);
        let mut ask = json!({ "type": "nbd", "id": export, "node-name": node, "name": export,
            "writable": false });
        if let Some(bitmap) = known {
            let old = json!({ "node": disk.node, "name": bitmap });
            qmp.execute("block-dirty-bitmap-disable", old.clone())?;
            ask["bitmaps"] = json!([old]);
        }
        qmp.execute("block-export-add", ask)?;
        let changed = match known {
            Some(bitmap) => self.changed(&export, bitmap, disk, context, whole)?,
            None => Changed::Unknown,
        };
        let image = self.image(&export, disk, context)?;
        let node = image_node(image.size_bytes(), context);
        let at = format!("disks/{}.img", disk.name).into_bytes();
        Ok(Part { at, content: Content::Image { node, image: Arc::new(image), changed } })
    }

    fn changed(
        &self,
        export: &str,
        bitmap: &str,
        disk: &Disk,
        context: &Context,
        whole: &mut Vec<String>,
    ) -> Result<Changed<Vec<Range<u64>>>> {
        let ranges = dirty(&self.socket, export, bitmap, Waits::of(context))?;
        if canaries(bitmap, disk.size_bytes).into_iter().all(|at| holds(&ranges, at)) {
            return Ok(Changed::Only(ranges));
        }
        whole.push(format!(
            "disk {} is read whole: its record of changes was cleared by another program",
            disk.name
        ));
        Ok(Changed::Unknown)
    }

    fn image(&self, export: &str, disk: &Disk, context: &Context) -> Result<NbdImage> {
        let (name, place) = (disk.name.clone(), self.scratch.place().to_owned());
        let explain = Box::new(move |error: Error| explained(error, &name, &place));
        NbdImage::open(&self.socket, export, Waits::of(context), explain)
    }

    /// The bitmap that a mark of this capture names, and the disks that have it.
    pub(crate) fn mark(&self, running: &Running) -> Mark {
        let disks = captured(&running.devices.disks);
        let disks = disks.map(|(_, disk)| (disk.name.clone(), MarkedDisk::of(disk)));
        Mark { bitmap: self.record.clone(), disks: disks.collect() }
    }

    /// Content of a small device that is not captured with the disks: firmware variables.
    pub(crate) fn small(
        &self,
        qmp: &mut Qmp,
        disk: &Disk,
        most_bytes: u64,
        context: &Context,
    ) -> Result<Vec<u8>> {
        if disk.size_bytes > most_bytes {
            return Err(Error::unsupported(format!("{} bytes of firmware", disk.size_bytes)));
        }
        let export = self.names.export(999);
        let ask = json!({ "type": "nbd", "id": export, "node-name": disk.node, "name": export,
            "writable": false });
        qmp.execute("block-export-add", ask)?;
        let mut nbd = Nbd::connect(&self.socket, &export, None, Waits::of(context))?;
        let mut bytes = vec![0; nbd.size_bytes() as usize];
        let mut again = bytes.clone();
        nbd.read(0, &mut bytes)?;
        // Firmware writes rarely and little; the same twice was not read in the middle of it.
        for _ in 0..10 {
            nbd.read(0, &mut again)?;
            if again == bytes {
                return Ok(bytes);
            }
            bytes.copy_from_slice(&again);
        }
        Err(Error::unavailable("the firmware writes its variables all the time"))
    }

    /// Takes everything out again.
    pub(crate) fn end(&self, qmp: &mut Qmp, committed: bool, context: &Context) -> Result<()> {
        let fate = match committed {
            true => Fate::Committed { record: self.record.clone() },
            false => Fate::Failed,
        };
        sweep(qmp, &self.names, &fate, context).map(drop)
    }

    /// QEMU holds it no more, or is gone.
    pub(crate) fn remove_scratch(&self) -> Result<()> {
        self.scratch.remove()
    }
}

/// Disks that the guest can write to, with their numbers; of others nothing must be kept.
fn captured(disks: &[Disk]) -> impl Iterator<Item = (usize, &Disk)> {
    disks.iter().enumerate().filter(|(_, disk)| !disk.read_only && disk.size_bytes > 0)
}

/// A node that only says something, by being there.
fn add_sign(qmp: &mut Qmp, name: &str) -> Result<()> {
    let node = json!({ "driver": "null-co", "node-name": name, "size": 512 });
    qmp.execute("blockdev-add", node).map(drop)
}

fn refuse_second(qmp: &mut Qmp, names: &Names, context: &Context) -> Result<()> {
    let made = Made::read(qmp)?;
    let other = made.at_work().find(|name| !context.is_dead(name) && !name.starts_with(&names.0));
    let own = made.at_work().find(|name| name.starts_with(&names.0));
    match other.or(own) {
        Some(name) => Err(Error::locked(format!(
            "another snapshot of this machine is at work ({name}): wait for its end; if none is, \
             because it was killed where this host does not see it, `tintype discover --clean --all`"
        ))),
        None => Ok(()),
    }
}

/// Whom QEMU runs as.
fn owner_of(qmp: &Qmp) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let process = qmp.process()?;
    std::fs::metadata(format!("/proc/{process}")).ok().map(|process| process.uid())
}

/// Positions that a bitmap has marked from its birth: spread over the disk by its name, so that no
/// guest writes to all of them after somebody has cleared it, unless it writes to nearly all.
pub(crate) fn canaries(bitmap: &str, size_bytes: u64) -> BTreeSet<u64> {
    let granules = size_bytes / GRANULE_BYTES;
    let count = (granules / 16).clamp(1, MOST_CANARIES);
    let mut state = bitmap.bytes().fold(0xcbf2_9ce4_8422_2325u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut positions = BTreeSet::new();
    for _ in 0..count {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        positions.insert((mixed ^ (mixed >> 31)) % granules.max(1) * GRANULE_BYTES);
    }
    positions
}

/// Whether a position lies in one of sorted ranges.
pub(crate) fn holds(ranges: &[Range<u64>], at: u64) -> bool {
    let next = ranges.partition_point(|range| range.end <= at);
    ranges.get(next).is_some_and(|range| range.start <= at)
}

pub(crate) fn image_node(size_bytes: u64, context: &Context) -> Node {
    let now = context.clock.now();
    let mut node = Node::new(Kind::Image);
    node.mode = 0o600;
    node.size = size_bytes;
    node.mtime =
        Time { seconds: now.as_second(), nanoseconds: now.subsec_nanosecond().unsigned_abs() };
    node.ctime = node.mtime;
    node
}

/// A filter that has no room for old content gives up the view; NBD says only that it cannot read.
pub(crate) fn explained(error: Error, name: &str, place: &Path) -> Error {
    let error = error.context(format!("disk {name}"));
    let space = rustix::fs::statvfs(place).map(|space| space.f_bavail * space.f_frsize);
    if error.is(ErrorKind::Canceled) || space.is_ok_and(|bytes| bytes > LITTLE_SPACE) {
        return error;
    }
    let place = place.display();
    Error::no_space(format!(
        "{error}; the scratch space at {place} is full: the guest overwrote more than fits there \
         while it was read, and goes on; give scratch more room, or snapshot at a quieter time"
    ))
}
