//! Putting an entry's metadata onto what was made for it.
//!
//! The order matters: the owner first, because a change of owner clears set-uid bits and
//! capabilities; attributes; the mode; ACLs, because the mode would change their mask; times;
//! and inode flags last of all, because an immutable file takes nothing more.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, CWD, Gid, IFlags, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, chmodat,
    chownat, fchmod, fchown, fremovexattr, fsetxattr, futimens, ioctl_getflags, ioctl_setflags,
    removexattr, setxattr, utimensat,
};
use rustix::io::Errno;
use tintype_model::count::counted;
use tintype_model::entry::{Node, Problem, ProblemKind, Time, Xattr, flags};

use crate::files::extras::{Reach, unsupported, xattrs};
use crate::files::owners::Accounts;
use crate::files::problems::{cause, metadata};

/// Whose an entry becomes.
#[derive(Clone, Debug, Default)]
pub enum Owners {
    /// The recorded numbers.
    #[default]
    Numbers,
    /// By recorded name where these accounts know it, else by number.
    Names(Accounts),
    /// Everything stays with who restores.
    Keep,
}

/// How what was made is reached.
#[derive(Clone, Copy)]
pub(super) enum Made<'a> {
    /// Opened for reading or writing.
    Open(BorrowedFd<'a>),
    /// Opened with `O_PATH`: a symlink, fifo or device. The flag: it is a symlink.
    Path(BorrowedFd<'a>, bool),
}

/// What an entry may have had or inherited before its own metadata.
#[derive(Clone, Copy, Default)]
pub(super) struct Before {
    /// ACLs from the parent's default.
    pub acl: bool,
    /// It stood there before: all its attributes are replaced.
    pub existed: bool,
    /// Inode flags.
    pub flags: bool,
}

#[derive(Debug)]
pub(super) struct Applier {
    pub owners: Owners,
    /// Entries whose owner could not be set because we may not.
    refused_owners: AtomicU64,
}

impl Applier {
    pub(super) fn new(owners: Owners) -> Self {
        Self { owners, refused_owners: AtomicU64::new(0) }
    }

    /// Everything but inode flags.
    pub(super) fn apply(&self, made: Made<'_>, node: &Node, before: Before) -> Vec<Problem> {
        let mut problems = Vec::new();
        let withheld = self.owner(made, node, &mut problems);
        let wanted = node.extras.as_ref().map_or(&[][..], |extras| &extras.xattrs);
        if before.existed {
            // What nobody could read when it was captured is no reason to take away what is here.
            if node.extras_are_whole() {
                made.remove_others(wanted, &mut problems);
            }
        } else if before.acl {
            made.remove_inherited(wanted, &mut problems);
        }
        for xattr in wanted.iter().filter(|xattr| !is_acl(&xattr.name)) {
            made.set_xattr(xattr, &mut problems);
        }
        let mode = Mode::from_raw_mode(u32::from(node.mode & !withheld));
        note(made.chmod(mode), "mode not restored", &mut problems);
        for xattr in wanted.iter().filter(|xattr| is_acl(&xattr.name)) {
            made.set_xattr(xattr, &mut problems);
        }
        note(made.times(node.mtime), "times not restored", &mut problems);
        problems
    }

    /// Sets the owner; gives the set-uid and set-gid bits that must not be set, because they
    /// would lend rights of somebody else than was recorded. Also without root: one's own files
    /// may be given to oneself, and to one's groups.
    fn owner(&self, made: Made<'_>, node: &Node, problems: &mut Vec<Problem>) -> u16 {
        let (uid, gid) = match &self.owners {
            // Asked for, so no problem.
            Owners::Keep => return 0o6000,
            Owners::Numbers => (node.owner.uid, node.owner.gid),
            Owners::Names(accounts) => accounts.numbers_of(&node.owner),
        };
        if uid == u32::MAX || gid == u32::MAX {
            problems.push(metadata("owner not restored", Errno::INVAL));
            return withhold(0o6000, node, problems);
        }
        let (user, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
        match made.chown(Some(user), Some(group)) {
            Ok(()) => return 0,
            Err(Errno::PERM | Errno::ACCESS) => {}
            Err(errno) => {
                problems.push(metadata("owner not restored", errno));
                return withhold(0o6000, node, problems);
            }
        }
        self.refused_owners.fetch_add(1, Ordering::Relaxed);
        let user_bit = if made.chown(Some(user), None).is_ok() { 0 } else { 0o4000 };
        let group_bit = if made.chown(None, Some(group)).is_ok() { 0 } else { 0o2000 };
        withhold(user_bit | group_bit, node, problems)
    }

    /// One problem for all entries whose owner could not be set.
    pub(super) fn refused_owners(&self) -> Option<Problem> {
        let count = self.refused_owners.load(Ordering::Relaxed);
        let why =
            if rustix::process::geteuid().is_root() { "not permitted here" } else { "not root" };
        (count > 0).then(|| Problem {
            kind: ProblemKind::Metadata,
            message: format!("owner of {} not restored: {why}", counted(count, "entry", "entries")),
        })
    }
}

/// Those of the bits that the entry has, with a problem if there are any.
fn withhold(bits: u16, node: &Node, problems: &mut Vec<Problem>) -> u16 {
    let withheld = bits & node.mode;
    if withheld != 0 {
        let message = format!("set-id bits {withheld:04o} not restored without the owner");
        problems.push(Problem { kind: ProblemKind::Metadata, message });
    }
    withheld
}

impl Made<'_> {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Made::Open(fd) | Made::Path(fd, _) => *fd,
        }
    }

    fn proc_path(self) -> String {
        format!("/proc/self/fd/{}", self.fd().as_raw_fd())
    }

    fn chown(self, user: Option<Uid>, group: Option<Gid>) -> Result<(), Errno> {
        match self {
            Made::Open(fd) => fchown(fd, user, group),
            Made::Path(fd, _) => chownat(fd, c"", user, group, AtFlags::EMPTY_PATH),
        }
    }

    fn chmod(self, mode: Mode) -> Result<(), Errno> {
        match self {
            Made::Open(fd) => fchmod(fd, mode),
            Made::Path(_, true) => Ok(()), // A symlink has no mode.
            Made::Path(_, false) => chmodat(CWD, self.proc_path(), mode, AtFlags::empty()),
        }
    }

    fn times(self, mtime: Time) -> Result<(), Errno> {
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec {
                tv_sec: mtime.seconds,
                tv_nsec: mtime.nanoseconds.into(),
            },
        };
        match self {
            Made::Open(fd) => futimens(fd, &times),
            Made::Path(fd, _) => utimensat(fd, c"", &times, AtFlags::EMPTY_PATH),
        }
    }

    fn set_xattr(self, xattr: &Xattr, problems: &mut Vec<Problem>) {
        let result = match self {
            Made::Open(fd) => fsetxattr(fd, &*xattr.name, &xattr.value, XattrFlags::empty()),
            Made::Path(..) => {
                setxattr(self.proc_path(), &*xattr.name, &xattr.value, XattrFlags::empty())
            }
        };
        let what = || format!("xattr {} not restored", String::from_utf8_lossy(&xattr.name));
        if let Err(errno) = result {
            problems.push(metadata(&what(), errno));
        }
    }

    fn remove_xattr(self, name: &[u8], problems: &mut Vec<Problem>) {
        let result = match self {
            Made::Open(fd) => fremovexattr(fd, name),
            Made::Path(..) => removexattr(self.proc_path(), name),
        };
        match result {
            Ok(()) | Err(Errno::NODATA) => {}
            Err(errno) if unsupported(errno) => {}
            Err(errno) => {
                let what = format!("xattr {} not removed", String::from_utf8_lossy(name));
                problems.push(metadata(&what, errno));
            }
        }
    }

    fn remove_inherited(self, wanted: &[Xattr], problems: &mut Vec<Problem>) {
        for acl in [&b"system.posix_acl_access"[..], b"system.posix_acl_default"] {
            if !wanted.iter().any(|xattr| xattr.name == acl) {
                self.remove_xattr(acl, problems);
            }
        }
    }

    /// Security labels stay: they belong to the system's policy, not to the entry, unless the
    /// entry has its own.
    fn remove_others(self, wanted: &[Xattr], problems: &mut Vec<Problem>) {
        let (present, problem) = match self {
            Made::Open(fd) => xattrs(Reach::Fd(fd)),
            Made::Path(..) => return,
        };
        problems.extend(problem);
        for xattr in present {
            let label = xattr.name.starts_with(b"security.");
            if !label && !wanted.iter().any(|other| other.name == xattr.name) {
                self.remove_xattr(&xattr.name, problems);
            }
        }
    }
}

/// Sets the kept inode flags to exactly `wanted`, leaving the others.
pub(super) fn set_flags(fd: &OwnedFd, wanted: u32) -> Option<Problem> {
    let present = match ioctl_getflags(fd.as_fd()) {
        Ok(present) => present.bits(),
        Err(errno) if wanted == 0 && unsupported(errno) => return None,
        Err(errno) => return Some(flags_problem(wanted, errno)),
    };
    if present & flags::KEPT == wanted {
        return None;
    }
    let new = IFlags::from_bits_retain((present & !flags::KEPT) | wanted);
    let missing = match ioctl_setflags(fd.as_fd(), new) {
        Ok(()) => wanted & !ioctl_getflags(fd.as_fd()).map_or(wanted, |now| now.bits()),
        Err(errno) => return Some(flags_problem(wanted, errno)),
    };
    // Some file systems accept flags that they do not keep.
    (missing != 0).then(|| flags_problem(missing, Errno::OPNOTSUPP))
}

fn flags_problem(wanted: u32, errno: Errno) -> Problem {
    let letters: String = [
        (flags::IMMUTABLE, 'i'),
        (flags::APPEND, 'a'),
        (flags::NODUMP, 'd'),
        (flags::NOATIME, 'A'),
        (flags::NOCOW, 'C'),
    ]
    .into_iter()
    .filter_map(|(flag, letter)| (wanted & flag != 0).then_some(letter))
    .collect();
    Problem {
        kind: ProblemKind::Metadata,
        message: format!("inode flags {letters} not restored: {}", cause(errno)),
    }
}

fn is_acl(name: &[u8]) -> bool {
    name.starts_with(b"system.")
}

fn note(result: Result<(), Errno>, what: &str, problems: &mut Vec<Problem>) {
    if let Err(errno) = result {
        problems.push(metadata(what, errno));
    }
}
