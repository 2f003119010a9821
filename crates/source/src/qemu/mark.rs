//! What a snapshot leaves for the next one: a bitmap on each disk, and what the disk was.
//!
//! Several series of snapshots may be taken of one machine, into repositories that know nothing of
//! each other. So the name of a record says which series it belongs to: one that is committed ends
//! those before it in its own series, and no other's.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use super::machine::{Bitmap, Disk};
use crate::connector::{Context, LABEL};

/// Granularity of bitmaps.
pub(crate) const GRANULE_BYTES: u64 = 64 << 10;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Name of the bitmap on each disk ([`record_name`]): no other series of snapshots has the same.
    pub bitmap: String,
    pub disks: BTreeMap<String, MarkedDisk>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MarkedDisk {
    pub size_bytes: u64,
    pub file: String,
    /// Device and inode of the file, where it is one.
    pub identity: Option<(u64, u64)>,
}

/// Of other series so many records are kept, the newest: a series may have ended for good.
const MOST_OTHERS: usize = 8;
const SUFFIX: &str = "mark";

/// `tintype-<session>-<series>-<seconds>-mark`: the first session of the series, and when this one
/// was at work.
pub(crate) fn record_name(parent: Option<&Mark>, context: &Context) -> String {
    let series = parent.and_then(|mark| Some(record_of(&mark.bitmap)?.0));
    let series = series.unwrap_or(&context.session);
    let seconds = context.clock.now().as_second().max(0);
    format!("{}-{series}-{seconds:x}-{SUFFIX}", context.label())
}

/// Series and time in a name that [`record_name`] made.
fn record_of(name: &str) -> Option<(&str, u64)> {
    let (_session, rest) = name.strip_prefix(LABEL)?.split_once('-')?;
    let (series, rest) = rest.split_once('-')?;
    let (seconds, suffix) = rest.split_once('-')?;
    let seconds = u64::from_str_radix(seconds, 16).ok()?;
    (suffix == SUFFIX && !series.is_empty()).then_some((series, seconds))
}

/// Whether it is the record of a snapshot that was committed, or may have been.
pub(crate) fn is_record(name: &str) -> bool {
    record_of(name).is_some()
}

/// Which records go when one is committed: all others of its series, and of other series those that
/// are too many. What belongs to a session that is known to be at work stays.
pub(crate) fn outdated<'n>(
    names: impl Iterator<Item = &'n str>,
    committed: &str,
    is_alive: impl Fn(&str) -> bool,
) -> BTreeSet<&'n str> {
    let series = |name: &str| record_of(name).map(|(series, _)| series.to_owned());
    let others = names.filter(|name| *name != committed && is_record(name) && !is_alive(name));
    let (mut goes, others): (BTreeSet<&str>, BTreeSet<&str>) =
        others.partition(|name| series(name) == series(committed));
    let mut others: Vec<_> = others.into_iter().map(|name| (record_of(name), name)).collect();
    others.sort_by_key(|(record, _)| std::cmp::Reverse(record.map(|(_, seconds)| seconds)));
    goes.extend(others.iter().skip(MOST_OTHERS).map(|(_, name)| *name));
    goes
}

impl MarkedDisk {
    pub(crate) fn of(disk: &Disk) -> Self {
        Self::new(disk.size_bytes, disk.file.clone())
    }

    pub(crate) fn new(size_bytes: u64, file: String) -> Self {
        let identity = std::fs::metadata(&file).ok().map(|file| (file.dev(), file.ino()));
        Self { size_bytes, file, identity }
    }
}

impl Mark {
    /// Whether what changed on a disk since the mark can be told; else why not.
    pub(crate) fn fits(&self, disk: &Disk) -> Result<(), &'static str> {
        let marked = self.disks.get(&disk.name).ok_or("the disk is new")?;
        let now = MarkedDisk::of(disk);
        if marked.size_bytes != now.size_bytes {
            return Err("the disk has another size");
        }
        if *marked != now {
            return Err("the disk is another file");
        }
        let bitmap = disk.bitmaps.iter().find(|bitmap| bitmap.name == self.bitmap);
        let bitmap = bitmap.ok_or(
            "its record of changes is gone: QEMU was killed, the record was removed by another \
             program, or to make room for those of other series of snapshots",
        )?;
        match bitmap {
            Bitmap { inconsistent: true, .. } => {
                Err("its record of changes was cut: QEMU was killed")
            }
            Bitmap { busy: true, .. } => Err("its record of changes is used by another program"),
            Bitmap { recording: false, .. } => Err("its record of changes was switched off"),
            Bitmap { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> Disk {
        let bitmap = Bitmap {
            name: "m".into(),
            recording: true,
            busy: false,
            inconsistent: false,
            granularity: GRANULE_BYTES,
        };
        Disk {
            name: "vda".into(),
            device: "/machine/peripheral/vda".into(),
            node: "n".into(),
            size_bytes: 1 << 20,
            format: "qcow2".into(),
            file: "/nowhere/disk".into(),
            has_backing: false,
            read_only: false,
            bitmaps: vec![bitmap],
        }
    }

    #[test]
    fn a_record_ends_those_of_its_own_series_and_the_oldest_of_too_many_others() {
        let name = |session: usize, series: &str, seconds: usize| {
            format!("{LABEL}{session:016x}-{series}-{seconds:x}-{SUFFIX}")
        };
        let mut names: Vec<String> =
            (0..10).map(|number| name(number, &format!("{number:016x}"), 100 + number)).collect();
        let (new, before, killed, alive) =
            (name(20, "own", 9), name(21, "own", 1), name(22, "own", 2), name(23, "own", 3));
        names.extend([new.clone(), before.clone(), killed.clone(), alive.clone()]);
        names.push(format!("{LABEL}0000000000000001-new"));
        names.push("of-another-program".to_owned());
        let is_alive = |name: &str| name == alive;
        let goes = outdated(names.iter().map(String::as_str), &new, is_alive);
        let expected = [&names[0], &names[1], &before, &killed].map(String::as_str);
        assert_eq!(goes, BTreeSet::from(expected));
    }

    #[test]
    fn only_what_fits_exactly_is_trusted() {
        let marked = disk();
        let disks = BTreeMap::from([("vda".to_owned(), MarkedDisk::of(&marked))]);
        let mark = Mark { bitmap: "m".into(), disks };
        assert_eq!(mark.fits(&marked), Ok(()));
        let changes: [fn(&mut Disk); 7] = [
            |disk| disk.name = "vdb".into(),
            |disk| disk.size_bytes += 512,
            |disk| disk.file = "/nowhere/other".into(),
            |disk| disk.bitmaps.clear(),
            |disk| disk.bitmaps[0].inconsistent = true,
            |disk| disk.bitmaps[0].busy = true,
            |disk| disk.bitmaps[0].recording = false,
        ];
        for change in changes {
            let mut other = disk();
            change(&mut other);
            assert!(mark.fits(&other).is_err(), "{other:?}");
        }
    }
}
