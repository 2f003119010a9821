//! What stands in restored directories and is not in the snapshot.

use std::collections::{BTreeSet, HashSet};

use tintype_model::Result;
use tintype_model::entry::{Kind, Problem};
use tintype_source::files::Target;

use super::{Planner, Standing, advice, captured, is_selected, join};

/// A path and what is told about it.
type Told = (Vec<u8>, String);

/// Paths in the target: those to delete, and those that stay, with all directories above them.
#[derive(Default)]
pub(super) struct Extra {
    paths: Vec<Vec<u8>>,
    /// Directories that hold something that stays.
    needed: HashSet<Vec<u8>>,
    /// What stays and is told, with the reason.
    spared: Vec<Told>,
    /// How many of these might have been deleted.
    undeleted: u64,
    /// How many stay because the snapshot was taken without them.
    left_out: u64,
}

impl Extra {
    fn add(&mut self, path: Vec<u8>) {
        self.paths.push(path);
    }

    /// It stays, and so do the directories that it lies in.
    fn keep(&mut self, path: Vec<u8>) {
        let slashes = path.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/');
        for (at, _) in slashes {
            if !self.needed.insert(path[..at].to_vec()) {
                break;
            }
        }
        self.needed.insert(path);
    }

    /// Like [`Self::keep`], for what somebody would wonder about.
    pub(super) fn tell(&mut self, path: Vec<u8>, why: String) {
        self.keep(path.clone());
        self.spared.push((path, why));
    }

    /// Like [`Self::tell`], for what might have been deleted.
    pub(super) fn spare(&mut self, path: Vec<u8>, why: String) {
        self.undeleted += 1;
        self.tell(path, why);
    }

    /// Like [`Self::keep`], for what the snapshot's own options leave out: there may be a lot.
    fn leave_out(&mut self, path: Vec<u8>) {
        self.keep(path);
        self.left_out += 1;
    }

    pub(super) fn into_found(self) -> Found {
        let Self { mut paths, needed, mut spared, undeleted, left_out } = self;
        if left_out > 0 {
            let why = format!(
                "not deleted: {left_out} that the options of the snapshot leave out (--exclude and \
                 the like, --one-file-system), with all below"
            );
            spared.push((Vec::new(), why));
        }
        paths.retain(|path| !needed.contains(path));
        paths.sort();
        paths.reverse();
        Found { paths, spared, undeleted }
    }
}

pub(super) struct Found {
    /// What to delete, deepest first.
    pub paths: Vec<Vec<u8>>,
    pub spared: Vec<Told>,
    /// How many of `spared` might have been deleted.
    pub undeleted: u64,
}

impl Found {
    pub(super) fn without_paths(self) -> Self {
        Self { paths: Vec::new(), ..self }
    }

    /// Nothing is deleted unless all comes back: under a name that the snapshot does not hold may
    /// stand the only copy of what does not.
    pub(super) fn if_all_comes(self, refused: u64, lost: u64) -> Self {
        if refused + lost == 0 || self.paths.is_empty() {
            return self;
        }
        let mut found = self.without_paths();
        let why = format!(
            "nothing is deleted, because not everything comes back ({refused} refused, {lost} not \
             whole in the snapshot): it may stand there under another name"
        );
        found.spared.push((Vec::new(), why));
        found.undeleted += 1;
        found
    }
}

/// What becomes of something that the snapshot does not hold.
enum Fate {
    Deleted,
    /// Not selected.
    Kept,
    /// No snapshot with these options would hold it.
    LeftOut,
    Mounted,
    /// It belongs to the repository.
    Ours,
    Spared(String),
}

impl Planner<'_> {
    /// The names that stand in a restored directory. None are given of one that the snapshot
    /// does not know as a whole: what it seems not to hold may only not have been read.
    pub(super) fn names(&mut self, path: &[u8], problem: Option<&Problem>) -> BTreeSet<Vec<u8>> {
        let Some(target) = self.target.as_ref().filter(|_| self.deletes) else {
            return BTreeSet::new();
        };
        if let Some(problem) = problem {
            let why = format!(
                "nothing is deleted in it: it could not be looked into when the snapshot was \
                 taken ({})",
                problem.message
            );
            self.extra.spare(path.to_vec(), why);
            return BTreeSet::new();
        }
        let is_marked = target.is_marked(path, &self.left_out.excludes);
        let names = is_marked.and_then(|is_marked| Ok((is_marked, target.list_dir(path)?)));
        match names {
            // Leftovers go anyway.
            Ok((false, names)) => names
                .into_iter()
                .filter(|name| !self.leftovers.contains(&join(path, name)))
                .collect(),
            Ok((true, _)) => {
                self.extra.leave_out(path.to_vec());
                BTreeSet::new()
            }
            Err(error) => {
                self.extra.spare(path.to_vec(), format!("not looked into: {}", advice(&error)));
                BTreeSet::new()
            }
        }
    }

    /// Notes what stands under a name that the listing did not give: where upper and lower case
    /// are the same, it gave another spelling, which must not pass for something else.
    pub(super) fn note_spelling(&mut self, path: &[u8]) {
        let inside = self.open.last().expect("the base stays");
        if inside.unnamed.is_empty() {
            return;
        }
        if let Ok(Some(found)) = self.look(path, inside.is_new) {
            let inside = self.open.last_mut().expect("the base stays");
            inside.respelled.insert((found.device, found.inode));
        }
    }

    /// What a directory that was gone through holds beside the snapshot.
    pub(super) fn add_extra(&mut self, done: Standing) -> Result<()> {
        if done.is_mount && done.held == 0 && !done.is_covered {
            // Mounted here, and left out when the snapshot was taken.
            return Ok(());
        }
        for name in &done.unnamed {
            let path = join(&done.path, name);
            if done.is_left_out() {
                self.extra.leave_out(path);
                continue;
            }
            if !done.respelled.is_empty()
                && let Ok(Some(found)) = self.look(&path, false)
                && done.respelled.contains(&(found.device, found.inode))
            {
                continue;
            }
            if done.is_covered {
                let why = "nothing is deleted in it: something is mounted there, or above, that was \
                           not when the snapshot was taken";
                self.extra.spare(done.path, why.into());
                break;
            }
            self.add_all(path, join(&done.from, name), done.device)?;
        }
        Ok(())
    }

    /// A name that the snapshot does not hold, with all below it that the selection covers.
    fn add_all(&mut self, path: Vec<u8>, from: Vec<u8>, device: Option<u64>) -> Result<()> {
        let mut waiting = vec![(path, from)];
        while let Some((path, from)) = waiting.pop() {
            self.cancel.check()?;
            let Some(target) = &self.target else { return Ok(()) };
            let mut below = Vec::new();
            let fate =
                self.fate(target, &path, &from, device, &mut below).unwrap_or_else(|error| {
                    Some(Fate::Spared(format!("not deleted: {}", advice(&error))))
                });
            waiting.extend(below.iter().map(|name| (join(&path, name), join(&from, name))));
            match fate {
                None => {}
                Some(Fate::Deleted) => self.extra.add(path),
                Some(Fate::Kept) => self.extra.keep(path),
                Some(Fate::LeftOut) => self.extra.leave_out(path),
                Some(Fate::Spared(why)) => self.extra.spare(path, why),
                Some(Fate::Mounted) => {
                    self.extra.spare(path, "not deleted: something is mounted there".into());
                }
                Some(Fate::Ours) => {
                    let why = "not deleted: it belongs to the repository that is read";
                    self.extra.tell(path, why.into());
                }
            }
        }
        Ok(())
    }

    /// None: it is gone. What is mounted there is never touched, nor is the repository.
    fn fate(
        &self,
        target: &Target,
        path: &[u8],
        from: &[u8],
        device: Option<u64>,
        below: &mut Vec<Vec<u8>>,
    ) -> Result<Option<Fate>> {
        let Some(node) = target.stat(path)? else { return Ok(None) };
        let is_directory = node.kind == Kind::Directory;
        if self.request.exclude.matches(captured(from), is_directory) {
            return Ok(Some(Fate::Kept));
        }
        if self.left_out.excludes.leaves_out(captured(from), &node) {
            return Ok(Some(Fate::LeftOut));
        }
        let is_elsewhere = is_directory && device.is_some_and(|device| device != node.device);
        if is_elsewhere || target.is_mount(path)? {
            return Ok(Some(Fate::Mounted));
        }
        if is_directory {
            if self.is_untouchable(&node) {
                return Ok(Some(Fate::Ours));
            }
            if target.is_marked(path, &self.left_out.excludes)? {
                return Ok(Some(Fate::LeftOut));
            }
            *below = target.list_dir(path)?;
        }
        let is_selected = is_selected(self.request, from, is_directory);
        Ok(Some(if is_selected { Fate::Deleted } else { Fate::Kept }))
    }
}
