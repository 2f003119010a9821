//! A few entries of the kinds that ordinary data rarely shows and backups easily lose.

use anyhow::Context;
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
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from(0o640),
        0,
    )?;
    file("labelled", "has an extended attribute")?;
    let flags = rustix::fs::XattrFlags::empty();
    match rustix::fs::setxattr(folder.join("labelled"), "user.demo", b"a value", flags) {
        // Some file systems hold none; then there is none to compare.
        Ok(()) | Err(rustix::io::Errno::NOTSUP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
