//! Snapshots of a volume's subvolume and of those inside of it.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{AtFlags, fstat, statat, syncfs};
use rustix::io::Errno;
use serde_json::{Value, json};
use tintype_model::resource::{Consistency, Resource};
use tintype_model::{Error, Result};

use super::mark::{self, Mark, Marked, hex};
use super::shelf::{self, Kept, MOST_TRIES, Shelf};
use super::subvolume::{self, Located, below, refused};
use super::{changed, join};
use crate::connector::{
    CapturePlan, Changed, Content, Context, Part, Released, Source, View, session_of,
};
use crate::files::Excludes;
use crate::volume::escape::{escaped, plain};
use crate::volume::ioctl::{self, Subvolume};
use crate::volume::place::{At, excludes};
use crate::volume::{layers, mounts, opened};

/// Ends the names of copies that are walked.
const WALKED: &str = "-walked";

pub(super) struct Snapshots {
    name: String,
    at: At,
    excludes: Arc<Excludes>,
    context: Context,
    located: Option<Located>,
    shelf: Option<Shelf>,
    old: Option<Mark>,
    /// The volume's own first.
    made: Vec<Made>,
    left_out: Vec<(Vec<u8>, &'static str)>,
    /// Names of copies that are walked in their place, see [`Snapshots::copied`].
    walked: Vec<String>,
    /// What the parts are read from.
    open: Vec<OwnedFd>,
    new: Option<Mark>,
}

type Grafts = Vec<(Vec<u8>, PathBuf)>;

/// A snapshot that was made.
struct Made {
    /// Path of its subvolume below the outermost.
    at: Vec<u8>,
    of: Subvolume,
    name: String,
}

impl Snapshots {
    pub(super) fn new(resource: &Resource, context: &Context) -> Result<Self> {
        Ok(Self {
            name: resource.name.clone(),
            at: At::of(&resource.name, &resource.at)?,
            excludes: excludes(resource)?,
            context: context.clone(),
            located: None,
            shelf: None,
            old: None,
            made: Vec::new(),
            left_out: Vec::new(),
            walked: Vec::new(),
            open: Vec::new(),
            new: None,
        })
    }

    fn locate(&self) -> Result<Located> {
        subvolume::locate(&self.name, self.at.open(&self.name)?)
    }

    fn shelf(&self) -> Result<&Shelf> {
        self.shelf.as_ref().ok_or_else(|| Error::internal("not prepared"))
    }

    fn located(&self) -> Result<&Located> {
        self.located.as_ref().ok_or_else(|| Error::internal("not prepared"))
    }

    /// Why no more than a file system that was quiesced, and what is not in it.
    fn why(nested: usize, left_out: &[(Vec<u8>, &'static str)]) -> String {
        let mut why = vec!["the programs that write to it are not asked; hooks can do that".into()];
        if nested > 0 {
            why.push(format!(
                "{nested} subvolumes inside of it are snapshotted one after the other, not at one \
                 moment"
            ));
        }
        if !left_out.is_empty() {
            let shown = left_out.iter().take(3);
            let shown: Vec<_> = shown.map(|(at, why)| format!("{} ({why})", escaped(at))).collect();
            let more = if left_out.len() > 3 { ", …" } else { "" };
            let (count, shown) = (left_out.len(), shown.join(", "));
            why.push(format!("{count} subvolumes inside of it are left out: {shown}{more}"));
        }
        why.join("; ")
    }

    fn snapshot(&mut self, top: &OwnedFd, at: Vec<u8>, of: Subvolume) -> Result<()> {
        let name = shelf::used_name(&self.context, of.id, &self.name);
        let mut path = self.at.path.clone();
        if !at.is_empty() {
            path.push(escaped(&at));
        }
        let mut taken = self.shelf()?.snapshot(top, &name);
        // Whoever cleans at this moment removes a shelf that is empty.
        for _ in 0..MOST_TRIES {
            if taken != Err(Errno::NOENT) {
                break;
            }
            let shelf = Shelf::make(&self.located()?.mount.point)?;
            taken = shelf.snapshot(top, &name);
            self.shelf = Some(shelf);
        }
        taken.map_err(|errno| refused(&self.name, &path, errno))?;
        self.made.push(Made { at, of, name });
        Ok(())
    }

    /// Copies of the snapshots, to be walked as a whole. They go when this run ends, and with them
    /// all inodes that the kernel remembers of a walk: those of millions of files, which would else
    /// fill its memory, and hold up the next run when that removes the snapshot.
    fn copied(&mut self, tops: &[OwnedFd]) -> Result<Vec<OwnedFd>> {
        let mut copies = Vec::new();
        for (made, top) in self.made.iter().zip(tops) {
            let name = format!("{}{WALKED}", made.name);
            let shelf = self.shelf.as_ref().ok_or_else(|| Error::internal("not prepared"))?;
            let copy = shelf.snapshot(top, &name);
            self.walked.push(name.clone());
            let copy = copy.and_then(|()| shelf.open_snapshot(&name));
            copies.push(copy.map_err(|errno| refused(&self.name, &self.at.path, errno))?.0);
        }
        Ok(copies)
    }

    /// What may differ from the parent's view, if that can be told.
    fn changed(&self, new: &Mark, tops: &[OwnedFd]) -> Changed<Vec<Vec<u8>>> {
        let Some(old) = self.old.as_ref().filter(|old| old.agrees_with(new)) else {
            return Changed::Unknown;
        };
        match self.names(old, tops) {
            Ok(names) => Changed::Only(names),
            Err(why) => {
                tracing::info!(volume = self.name, %why, "all is looked at");
                Changed::Unknown
            }
        }
    }

    fn names(&self, old: &Mark, tops: &[OwnedFd]) -> std::io::Result<Vec<Vec<u8>>> {
        let gone = || std::io::Error::other("the parent's snapshot is not there or was changed");
        let shelf = self.shelf().map_err(std::io::Error::other)?;
        let located = self.located().map_err(std::io::Error::other)?;
        let mut all = BTreeSet::new();
        let kept = old.kept(shelf);
        for (((marked, kept), made), top) in
            old.subvolumes.iter().zip(kept).zip(&self.made).zip(tops)
        {
            let (parent, info) = shelf.open_snapshot(&kept.ok_or_else(gone)?)?;
            let fits = info.is_read_only
                && info.parent_uuid == made.of.uuid
                && info.generation == marked.generation;
            if !fits {
                return Err(gone());
            }
            let names = changed::between((&parent, &info), top, &self.context.scratch)?;
            let is_left_out = |name: &[u8], path: &[u8]| {
                [&parent, top].into_iter().all(|view| {
                    let is_directory = changed::is_directory(view, name);
                    is_directory
                        .is_none_or(|is_directory| self.excludes.matches(path, is_directory))
                })
            };
            for name in names {
                let whole = join(&made.at, &name);
                let path = below(&located.inside, &whole);
                if path.is_some_and(|path| !is_left_out(&name, path)) {
                    all.insert(whole);
                }
            }
        }
        let left_out = self.left_out.iter().map(|(at, _)| at.clone());
        all.extend(left_out.chain(old.left_out.iter().map(|at| plain(at))));
        let inside = all.iter().filter_map(|name| below(&located.inside, name));
        Ok(inside.map(<[u8]>::to_vec).collect())
    }

    /// The mark of what was made.
    fn mark(&self, infos: &[Subvolume]) -> Result<Mark> {
        let located = self.located()?;
        let old = self.old.as_ref().map_or(&self.context.session, |old| &old.chain);
        let series = Some(&self.context.series).filter(|series| !series.is_empty());
        let marked = |(made, info): (&Made, &Subvolume)| Marked {
            at: escaped(&made.at),
            uuid: hex(&made.of.uuid),
            snapshot: hex(&info.uuid),
            generation: info.generation,
        };
        Ok(Mark {
            format: mark::FORMAT,
            chain: series.unwrap_or(old).clone(),
            inside: escaped(&located.inside),
            inode: located.inode,
            excludes: self.excludes.lines().to_vec(),
            subvolumes: self.made.iter().zip(infos).map(marked).collect(),
            left_out: self.left_out.iter().map(|(at, _)| escaped(at)).collect(),
        })
    }

    /// What stands in the snapshots where other subvolumes are: empty directories.
    fn placeholders(&self, tops: &[OwnedFd]) -> Vec<(u64, u64)> {
        let mut found = BTreeSet::new();
        let paths = self.made[1..].iter().map(|made| &made.at);
        for path in paths.chain(self.left_out.iter().map(|(at, _)| at)) {
            for (made, top) in self.made.iter().zip(tops) {
                let stat = below(&made.at, path)
                    .and_then(|path| statat(top, path, AtFlags::SYMLINK_NOFOLLOW).ok());
                // A copy of one has this number, in whatever snapshot.
                found.extend(stat.filter(|stat| stat.st_ino == 2).map(|s| (s.st_dev, s.st_ino)));
            }
        }
        found.into_iter().collect()
    }

    fn open_view(&mut self, tops: Vec<OwnedFd>) -> Result<(PathBuf, Grafts)> {
        let inside = self.located()?.inside.clone();
        let root = opened::below(&tops[0], &inside)
            .map_err(|errno| refused(&self.name, &self.at.path, errno))?;
        let inode = fstat(&root).map_err(|errno| refused(&self.name, &self.at.path, errno))?.st_ino;
        if inode != self.located()?.inode {
            let path = self.at.path.display();
            return Err(Error::unavailable(format!(
                "volume {}: {path} became another directory meanwhile; try again",
                self.name
            )));
        }
        let path = opened::path_of(&root);
        let mut grafts = Vec::new();
        for (made, top) in self.made.iter().zip(&tops).skip(1) {
            if let Some(at) = below(&inside, &made.at) {
                grafts.push((at.to_vec(), opened::path_of(top)));
            }
        }
        self.open = tops;
        self.open.push(root);
        Ok((path, grafts))
    }
}

impl Source for Snapshots {
    fn plan(&mut self) -> Result<CapturePlan> {
        let located = self.locate()?;
        if !rustix::process::geteuid().is_root() {
            let errno = Errno::PERM;
            return Err(refused(&self.name, &self.at.path, errno));
        }
        if located.mount.is_read_only() {
            return Err(refused(&self.name, &self.at.path, Errno::ROFS));
        }
        let inside = subvolume::inside(&self.name, &located, &self.excludes)?;
        Ok(CapturePlan {
            reaches: Consistency::Filesystem,
            why_not_more: Some(Self::why(inside.nested.len(), &inside.left_out)),
            freezes: None,
        })
    }

    fn prepare(&mut self, mark: Option<&Value>) -> Result<()> {
        self.old = mark.and_then(Mark::read);
        let located = self.locate()?;
        self.shelf = Some(Shelf::make(&located.mount.point)?);
        // So that the snapshot has less to write.
        syncfs(&located.top).map_err(|errno| refused(&self.name, &located.path, errno))?;
        self.located = Some(located);
        Ok(())
    }

    fn freeze(&mut self) -> Result<()> {
        let located = self.locate()?;
        let device = fstat(&located.top).map_err(|e| refused(&self.name, &located.path, e))?.st_dev;
        let below = layers::at_and_below(device, &mounts::all()?);
        layers::nothing_frozen_below(&self.name, &below)?;
        let inside = subvolume::inside(&self.name, &located, &self.excludes)?;
        self.snapshot(&located.top, Vec::new(), located.info.clone())?;
        for nested in inside.nested {
            self.snapshot(&nested.top, nested.at, nested.info)?;
        }
        self.left_out = inside.left_out;
        self.located = Some(located);
        Ok(())
    }

    /// Nothing is held up.
    fn thaw(&mut self) -> Result<()> {
        Ok(())
    }

    fn view(&mut self) -> Result<View> {
        if self.made.is_empty() {
            return Err(Error::internal("nothing was snapshotted"));
        }
        let shelf = self.shelf()?;
        let open = self.made.iter().map(|made| shelf.open_snapshot(&made.name));
        let open = open.collect::<Result<Vec<_>, _>>();
        let open = open.map_err(|errno| refused(&self.name, &self.at.path, errno))?;
        let (tops, infos): (Vec<_>, Vec<_>) = open.into_iter().unzip();
        let mut new = self.mark(&infos)?;
        let changed = self.changed(&new, &tops);
        let tops = match changed {
            Changed::Unknown => {
                let copies = self.copied(&tops)?;
                // To copy one is a change of it, of which its generation tells.
                let infos = tops.iter().map(ioctl::subvolume).collect::<Result<Vec<_>, _>>();
                let infos = infos.map_err(|errno| refused(&self.name, &self.at.path, errno))?;
                new = self.mark(&infos)?;
                copies
            }
            Changed::Only(_) => tops,
        };
        let never_enter = self.placeholders(&tops);
        let (root, grafts) = self.open_view(tops)?;
        let content = Content::Files {
            root,
            excludes: Arc::clone(&self.excludes),
            one_file_system: false,
            never_enter,
            grafts,
            changed,
        };
        let nested = self.made.len() - 1;
        let facts = json!({
            "path": self.at.path,
            "filesystem": "btrfs",
            "is_subvolume": new.inside.is_empty(),
            "subvolumes": new.subvolumes.iter().map(|one| &one.at).collect::<Vec<_>>(),
            "left_out": new.left_out,
        });
        let mark = serde_json::to_value(&new).map_err(|e| Error::internal(e.to_string()))?;
        self.new = Some(new);
        Ok(View {
            parts: vec![Part { at: Vec::new(), content }],
            consistency: Consistency::Filesystem,
            why_not_more: Some(Self::why(nested, &self.left_out)),
            mark: Some(mark),
            facts,
            version: None,
        })
    }

    fn may_be_empty(&self) -> bool {
        self.at.may_be_empty
    }

    fn release(&mut self, released: Released) -> Result<()> {
        self.open.clear();
        let Some(shelf) = self.shelf.take() else { return Ok(()) };
        let mut first = Ok(());
        let mut note = |result: Result<()>| {
            if first.is_ok() {
                first = result;
            }
        };
        for name in std::mem::take(&mut self.walked) {
            note(shelf.remove(&name));
        }
        let new = self.new.take().filter(|_| released == Released::Committed);
        for made in std::mem::take(&mut self.made) {
            match &new {
                None => note(shelf.remove(&made.name)),
                Some(mark) => {
                    let kept = Kept {
                        chain: mark.chain.clone(),
                        session: session_of(&made.name).unwrap_or_default().to_owned(),
                        subvolume: made.of.id,
                        resource: self.name.clone(),
                    };
                    note(shelf.keep(&made.name, &kept.name()));
                }
            }
        }
        if let (Some(_), Some(old)) = (new, self.old.take()) {
            for kept in old.kept(&shelf).into_iter().flatten() {
                note(shelf.remove(&kept));
            }
        }
        shelf.tidy();
        first
    }
}
