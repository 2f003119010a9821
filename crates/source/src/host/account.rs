//! Accounts of servers. What root makes among their files it makes with their rights: whoever owns
//! a directory can put a link in the way at any moment, and must not gain by it.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

use rustix::fs::{Gid, OFlags, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// User and group to act as; none is whoever we are.
pub(crate) type Account = Option<(u32, u32)>;

/// Number of a user and of its first group, as `/etc/passwd` has them.
pub(crate) fn find(user: &str) -> Option<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(user))?;
    let mut numbers = line.split(':').skip(2).map(|field| field.parse::<u32>().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Does one thing with the rights of an account. Only this thread is changed, and only meanwhile.
pub(crate) fn acting<T>(account: Account, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let Some((uid, gid)) = account else { return call() };
    let _back = Acting::begin(Uid::from_raw(uid), Gid::from_raw(gid))?;
    call()
}

/// What the thread was.
struct Acting {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

const KEEP_UID: Option<Uid> = None;
const KEEP_GID: Option<Gid> = None;

impl Acting {
    fn begin(uid: Uid, gid: Gid) -> io::Result<Self> {
        let groups = rustix::process::getgroups()?;
        let back =
            Self { uid: rustix::process::geteuid(), gid: rustix::process::getegid(), groups };
        set_thread_groups(&[gid])?;
        set_thread_res_gid(KEEP_GID, gid, KEEP_GID)?;
        set_thread_res_uid(KEEP_UID, uid, KEEP_UID)?;
        Ok(back)
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        let back = set_thread_res_uid(KEEP_UID, self.uid, KEEP_UID)
            .and_then(|()| set_thread_res_gid(KEEP_GID, self.gid, KEEP_GID))
            .and_then(|()| set_thread_groups(&self.groups));
        back.expect("the real user is still root, who may do this");
    }
}

/// Makes a directory that we just made belong to an account.
pub(crate) fn give(directory: &Path, account: Account) -> io::Result<()> {
    let Some((uid, gid)) = account else { return Ok(()) };
    let flags = (OFlags::NOFOLLOW | OFlags::DIRECTORY).bits() as i32;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(directory)?;
    if opened.metadata()?.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "somebody replaced it"));
    }
    fchown(opened, Some(uid), Some(gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_acts_as_another_and_comes_back() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (uid, gid) = find("nobody").expect("every host has it");
        let directory = tempfile::tempdir().unwrap();
        let refused = acting(Some((uid, gid)), || std::fs::write(directory.path().join("a"), ""));
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        give(directory.path(), Some((uid, gid))).unwrap();
        give(directory.path(), Some((uid, gid))).unwrap_err();
        let file = directory.path().join("a");
        acting(Some((uid, gid)), || std::fs::write(&file, "")).unwrap();
        let meta = file.metadata().unwrap();
        assert_eq!((meta.uid(), meta.gid()), (uid, gid));
        assert!(rustix::process::geteuid().is_root() && rustix::process::getegid().is_root());
    }
}
