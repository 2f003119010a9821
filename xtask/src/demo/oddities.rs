//! A few entries of the kinds that ordinary data rarely shows and backups easily lose.

use anyhow::Context;
use rustix::fs::{
    CWD, FileType, IFlags, Mode, XattrFlags, ioctl_setflags, makedev, mknodat, setxattr,
};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

pub(super) fn add(data: &Path) -> anyhow::Result<()> {
    let folder = data.join("oddities");
    make(&folder).with_context(|| format!("cannot prepare {}", folder.display()))
}

fn make(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir(folder)?;
    let file = |name: &str, content: &str| fs::write(folder.join(name), content);
    file("empty", "")?;
    file("one name", "one content, two names")?;
    fs::hard_link(folder.join("one name"), folder.join("another name"))?;
    file("setuid", "#!/bin/sh\n")?;
    fs::set_permissions(folder.join("setuid"), fs::Permissions::from_mode(0o4755))?;
    symlink("../nowhere", folder.join("dangling link"))?;
    fs::write(folder.join(OsStr::from_bytes(b"not \xff utf-8")), "name of any bytes")?;
    file(&"n".repeat(255), "the longest name")?;
    let mut sparse = fs::File::create(folder.join("sparse"))?;
    sparse.seek(SeekFrom::Start(64 << 20))?;
    sparse.write_all(b"after 64 MiB of nothing")?;
    let (fifo, null) = (folder.join("fifo"), folder.join("device"));
    mknodat(CWD, fifo, FileType::Fifo, Mode::from(0o640), 0)?;
    if rustix::process::geteuid().is_root() {
        mknodat(CWD, null, FileType::CharacterDevice, Mode::from(0o666), makedev(1, 3))?;
    }
    for (name, attribute, value) in [
        ("labelled", "user.demo", &b"a value"[..]),
        ("shared by ACL", "system.posix_acl_access", &ACL),
        ("capable", "security.capability", &CAPABILITY),
    ] {
        file(name, "has an extended attribute")?;
        match setxattr(folder.join(name), attribute, value, XattrFlags::empty()) {
            // Some file systems hold none, and capabilities are root's; the result counts them.
            Ok(()) | Err(Errno::NOTSUP | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    file("not for dump", "has an inode flag")?;
    match ioctl_setflags(fs::File::open(folder.join("not for dump"))?, IFlags::NODUMP) {
        Ok(()) | Err(Errno::NOTTY | Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// `user::rw- user:65534:r-- group::r-- mask::r-- other::r--` (linux/posix_acl_xattr.h).
const ACL: [u8; 44] = [
    2, 0, 0, 0, // Version.
    1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, //
    2, 0, 4, 0, 0xfe, 0xff, 0, 0, //
    4, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, //
    16, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, //
    32, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,
];

/// `cap_net_bind_service=ep`, revision 2 (linux/capability.h).
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
