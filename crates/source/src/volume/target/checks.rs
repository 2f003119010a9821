//! What is looked at before a restore.

use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};
use tintype_model::item::Item;
use tintype_model::plan::Check;

use super::layout::Layout;
use super::shares_of;
use crate::connector::Context;
use crate::host::{processes, space};
use crate::volume::escape::escaped;
use crate::volume::exports::Export;
use crate::volume::place::{At, is_mount_point};
use crate::volume::{btrfs, ioctl, mounts, opened, place};

/// What is there.
pub(super) struct Look {
    pub exists: bool,
    is_directory: bool,
    is_empty: bool,
    /// Why the directory itself cannot be exchanged.
    pub must_stay: Option<&'static str>,
    shares: Vec<Export>,
    mounted_below: Vec<PathBuf>,
    /// It was to be a mount point and is none.
    is_not_mounted: bool,
    subvolumes: usize,
}

pub(super) fn look(path: &Path, at: &At, context: &Context) -> Look {
    let found = path.symlink_metadata();
    let exists = found.is_ok();
    let is_directory = found.is_ok_and(|found| found.is_dir());
    let shares = shares_of(path, context);
    let directory = if is_directory { place::open(path).ok() } else { None };
    let is_mount = exists && is_mount_point(path).unwrap_or(true);
    let subvolume = directory.as_ref().filter(|directory| btrfs::is_btrfs(directory));
    let subvolume = subvolume.filter(|directory| {
        rustix::fs::fstat(directory).is_ok_and(|found| found.st_ino == btrfs::TOP_INODE)
    });
    let must_stay = if is_mount {
        Some("something is mounted there")
    } else if subvolume.is_some() {
        Some("it is a subvolume")
    } else if shares.iter().any(|share| share.path == path) {
        Some("clients of its share hold it")
    } else {
        None
    };
    let names = directory.as_ref().map(opened::names);
    let all = mounts::all().unwrap_or_default();
    Look {
        exists,
        is_directory,
        is_empty: matches!(names, Some(Ok(names)) if names.is_empty()),
        must_stay,
        shares,
        mounted_below: mounts::below(&all, path),
        is_not_mounted: at.mounted && !is_mount,
        subvolumes: subvolume.map_or(0, |top| ioctl::children(top).map_or(0, |found| found.len())),
    }
}

pub(super) fn checks(item: &Item, layout: &Layout, look: &Look, in_place: bool) -> Vec<Check> {
    let mut checks = vec![
        target(layout, look, in_place),
        space::check(existing(layout), item.bytes),
        permissions(layout),
        writable(layout),
    ];
    checks.extend(mounted(layout, look));
    checks.extend(attached(layout, look, in_place));
    checks.extend(shared_below(layout, look, in_place));
    checks.extend(writers(layout, look, in_place));
    checks.extend(nested(look, in_place));
    checks.extend(copies(layout, in_place));
    checks.extend(problems(item));
    checks
}

fn target(layout: &Layout, look: &Look, in_place: bool) -> Check {
    let volume = layout.volume();
    let volume = volume.display();
    let parent = layout.live.display();
    let name = "target";
    if look.is_not_mounted {
        let cure = "mount it, or remove `mounted: true`";
        return Check::block(name, format!("nothing is mounted at {volume}"), cure);
    }
    if !look.exists {
        return if layout.live.is_dir() {
            Check::pass(name, format!("{volume} does not exist and is made"))
        } else {
            Check::block(name, format!("there is no directory {parent}"), format!("make {parent}"))
        };
    }
    if !look.is_directory {
        let cure = "move it away, or choose another path";
        return Check::block(name, format!("{volume} is no directory"), cure);
    }
    match (in_place, look.is_empty) {
        (true, _) => Check::pass(name, format!("{volume} is there and is replaced")),
        (false, true) => Check::pass(name, format!("{volume} is an empty directory")),
        (false, false) => Check::block(
            name,
            format!("{volume} is not empty"),
            "choose a path where nothing is, or restore in place",
        ),
    }
}

fn existing(layout: &Layout) -> &Path {
    let above = layout.live.ancestors().find(|path| path.is_dir());
    above.unwrap_or(Path::new("/"))
}

fn permissions(layout: &Layout) -> Check {
    let name = "permissions";
    let place = existing(layout);
    let shown = place.display();
    if rustix::process::geteuid().is_root() {
        return Check::pass(name, "root may restore owners and all attributes");
    }
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    match rustix::fs::access(place, access) {
        Ok(()) => Check::warn(
            name,
            "without root files of others become your own",
            "run as root to restore owners",
        ),
        Err(errno) => Check::block(name, format!("{shown}: {errno}"), "run as root"),
    }
}

fn writable(layout: &Layout) -> Check {
    let place = existing(layout);
    let shown = place.display();
    match statvfs(place) {
        Ok(found) if found.f_flag.contains(StatVfsMountFlags::RDONLY) => Check::block(
            "read-only",
            format!("{shown} is mounted read-only"),
            "remount it for writing, or choose another path",
        ),
        _ => Check::pass("read-only", format!("{shown} can be written to")),
    }
}

fn mounted(layout: &Layout, look: &Look) -> Vec<Check> {
    let volume = layout.volume();
    let volume = volume.display();
    let mut checks = Vec::new();
    match look.must_stay.filter(|_| look.exists) {
        Some(why) => checks.push(Check::pass(
            "whole",
            format!("{volume} itself stays, because {why}; what it holds is exchanged one by one"),
        )),
        None => checks.push(Check::pass("whole", format!("{volume} is exchanged by one rename"))),
    }
    if let Some(first) = look.mounted_below.first() {
        let count = look.mounted_below.len();
        checks.push(Check::block(
            "mounts-below",
            format!("{} is mounted below {volume} ({count} in all)", first.display()),
            "unmount what is mounted below, or restore as new",
        ));
    }
    checks
}

fn attached(layout: &Layout, look: &Look, in_place: bool) -> Option<Check> {
    let volume = layout.volume();
    let held = |share: &&Export| volume.starts_with(&share.path);
    let shares: Vec<&Export> = look.shares.iter().filter(held).collect();
    let share = shares.first().filter(|_| in_place && look.exists)?;
    let names = names(&shares);
    let reason = if share.path == volume {
        format!(
            "clients may be attached to {names}: they keep {}, and what they have open stays what \
             it was",
            volume.display()
        )
    } else {
        format!(
            "clients of {names} may have {} or something in it open: that stays what it was, until \
             they look for it again",
            volume.display()
        )
    };
    Some(Check::warn("clients", reason, "let clients close their files before"))
}

/// Clients of a share hold its directory itself. Inside of the volume it would be another one
/// afterwards: they would write to the old one, until that is removed.
fn shared_below(layout: &Layout, look: &Look, in_place: bool) -> Option<Check> {
    let volume = layout.volume();
    let is_below = |share: &&Export| share.path != volume && share.path.starts_with(&volume);
    let shares: Vec<&Export> = look.shares.iter().filter(is_below).collect();
    let first = shares.first().filter(|_| in_place && look.exists)?;
    let names = names(&shares);
    Some(Check::block(
        "shares-below",
        format!(
            "{} lies in it, whose clients would go on in what is replaced: {names}",
            first.path.display()
        ),
        "stop that share until the restore is done; or describe its directory as a volume of its \
         own, which keeps its clients",
    ))
}

fn names(shares: &[&Export]) -> String {
    let names = shares.iter().map(|share| format!("{} ({})", share.name, share.kind.name()));
    names.collect::<Vec<_>>().join(", ")
}

/// Whoever has a file open goes on writing to what is replaced.
fn writers(layout: &Layout, look: &Look, in_place: bool) -> Option<Check> {
    let volume = layout.volume();
    let writing =
        if in_place && look.exists { processes::writing_below(&volume) } else { Vec::new() };
    (!writing.is_empty()).then(|| {
        let (names, volume) = (processes::names(&writing), volume.display());
        Check::warn(
            "writers",
            format!("files below {volume} are open for writing in {names}"),
            "stop them before: what they write to after the undo point stays beside, and is not in \
             what was restored",
        )
    })
}

fn nested(look: &Look, in_place: bool) -> Option<Check> {
    (in_place && look.subvolumes > 0).then(|| {
        Check::warn(
            "subvolumes",
            format!("{} subvolumes inside of it become plain directories", look.subvolumes),
            "restore as new, and make them subvolumes before files are moved there",
        )
    })
}

/// Read-only snapshots cannot be moved to what takes the place of what they lie in.
fn copies(layout: &Layout, in_place: bool) -> Option<Check> {
    if !in_place {
        return None;
    }
    let stays = super::carry::staying(layout);
    let volume = layout.volume();
    let copies = btrfs::copies_inside(&volume);
    let moves = |path: &&Vec<u8>| {
        let top = path.split(|byte| *byte == b'/').next().unwrap_or_default();
        !stays.contains(top)
    };
    let first = copies.iter().find(moves)?;
    let shown = escaped(first);
    Some(Check::block(
        "snapshots-inside",
        format!("{} holds a read-only snapshot, {shown}, which cannot be moved", volume.display()),
        "restore as new, or exclude the directory that holds it, at the top of the volume",
    ))
}

fn problems(item: &Item) -> Option<Check> {
    (item.problems > 0).then(|| {
        Check::warn(
            "whole-capture",
            format!("{} entries could not be read as a whole when it was captured", item.problems),
            "look at them with ls, or take another snapshot",
        )
    })
}
