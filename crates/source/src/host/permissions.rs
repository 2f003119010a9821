//! Whether what a restore writes may be written: asked of the kernel, for the account that does it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat};
use tintype_model::plan::Check;

use super::account::{Account, acting};

const NAME: &str = "permissions";

/// Whether files can be made and renamed in a directory; in one that is not there, whether it can
/// be made.
pub(crate) fn check(directory: &Path, account: Account) -> Check {
    let there = directory.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    // What is made on the way is ours, and given to the account.
    let account = account.filter(|_| there == directory);
    let who = account.map_or(rustix::process::geteuid().as_raw(), |(uid, _)| uid);
    let shown = there.display();
    let how = Access::WRITE_OK | Access::EXEC_OK;
    let may = acting(account, || Ok(accessat(CWD, there, how, AtFlags::EACCESS)?));
    match may {
        Ok(()) => Check::pass(NAME, format!("user {who} may write in {shown}")),
        Err(error) => Check::block(
            NAME,
            format!("user {who} may not write in {shown}: {error}"),
            "restore as root, let that user write there, or choose another place",
        ),
    }
}

/// Whether a file that is replaced keeps its owner.
pub(crate) fn check_owner(file: &Path) -> Option<Check> {
    let own = rustix::process::geteuid();
    let owner = file.metadata().ok()?.uid();
    let changes = !own.is_root() && owner != own.as_raw();
    changes.then(|| {
        let reason = format!(
            "{} belongs to user {owner}, and will belong to user {}",
            file.display(),
            own.as_raw()
        );
        Check::warn(NAME, reason, "restore as root, or as that user")
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tintype_model::plan::Verdict;

    use super::*;
    use crate::host::account::find;

    #[test]
    fn who_may_not_write_is_told_before() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("a/b");
        assert_eq!(check(directory.path(), None).outcome, Verdict::Pass);
        assert_eq!(check(&inside, None).outcome, Verdict::Pass, "it can be made");
        assert_eq!(check(Path::new("/proc/1/fd"), find("nobody")).outcome, Verdict::Block);
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let nobody = find("nobody");
        let refused = check(directory.path(), nobody);
        assert_eq!(refused.outcome, Verdict::Block);
        assert!(refused.message.contains(&format!("user {}", nobody.unwrap().0)), "{refused:?}");
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(directory.path(), open).unwrap();
        assert_eq!(check(directory.path(), nobody).outcome, Verdict::Pass);
        assert_eq!(check(&inside, nobody).outcome, Verdict::Pass, "root makes it");
    }
}
