//! File systems that hold no data but the kernel's own state, by the number that `statfs`
//! gives. They are recorded as directories and not descended into, unless the user named
//! them as a root.
//!
//! tmpfs, devtmpfs and ramfs are not among them: people keep data there.

use std::os::fd::AsFd;

use rustix::fs::fstatfs;

/// `f_type` numbers from `linux/magic.h` and the file systems' own sources.
const PSEUDO: [(u32, &str); 21] = [
    (0x0000_9fa0, "proc"),
    (0x6265_6572, "sysfs"),
    (0x0027_e0eb, "cgroup"),
    (0x6367_7270, "cgroup2"),
    (0x0000_1cd1, "devpts"),
    (0x7363_6673, "securityfs"),
    (0x6462_6720, "debugfs"),
    (0x7472_6163, "tracefs"),
    (0x6165_676c, "pstore"),
    (0xcafe_4a11, "bpf"),
    (0x6265_6570, "configfs"),
    (0xde5e_81e4, "efivarfs"),
    (0x4249_4e4d, "binfmt_misc"),
    (0x1980_0202, "mqueue"),
    (0xf97c_ff8c, "selinuxfs"),
    (0x6573_5543, "fusectl"),
    (0x9584_58f6, "hugetlbfs"),
    (0x6e73_6673, "nsfs"),
    (0x6759_6969, "rpc_pipefs"),
    (0x6e66_7364, "nfsd"),
    (0x0000_0187, "autofs"),
];

/// The name of the pseudo file system that `fd` lies on.
pub(crate) fn pseudo_name(fd: impl AsFd) -> Option<&'static str> {
    let number = fstatfs(fd).ok()?.f_type as u32;
    PSEUDO.iter().find(|(magic, _)| *magic == number).map(|(_, name)| *name)
}
