//! All that one needs on the day when the manager is gone, for one page of paper.

use std::fmt::Write as _;

use tintype_api::storage::{StorageKind, StorageSpec};
use tintype_model::{Error, Result};
use zeroize::Zeroizing;

use crate::catalog::objects;
use crate::catalog::repositories::{self, KIND, WORDS};
use crate::catalog::secrets::{self, Of};
use crate::state::State;

/// Of each storage that holds full snapshots: where it is, and the words that open it. `master_key`
/// is the file's text.
pub async fn sheet(state: &State, master_key: &str) -> Result<Zeroizing<String>> {
    let mut on = state.catalog.read().await?;
    let mut text = Zeroizing::new(String::new());
    let mut told = String::new();
    for repository in repositories::list(&mut on, None).await? {
        if repository.tenant != state.system {
            continue;
        }
        let storage = objects::get::<StorageSpec>(&mut on, &repository.storage).await?;
        let of = Of { kind: KIND, id: &repository.id, name: WORDS };
        let words = secrets::need(&mut on, of, &state.key).await?;
        let words = std::str::from_utf8(&words).map_err(|_| Error::corrupt("recovery words"))?;
        let (url, note) = match storage.spec.kind {
            StorageKind::Internal => (
                state.data.join("repositories").display().to_string(),
                " (on the manager's own host: lost together with it)",
            ),
            _ => (storage.spec.url.clone(), ""),
        };
        let url = Zeroizing::new(url);
        let _ = write!(
            text,
            "Storage {}{note}\n  {}\n  words: {words}\n\n",
            storage.name,
            url.as_str()
        );
        let _ = writeln!(told, "  tintype recover --from '{}'", url.as_str());
    }
    if told.is_empty() {
        return Err(Error::not_found(
            "there is no full snapshot yet, so nothing to recover from: take one (`tintype \
             snapshot create --full`), then print this sheet",
        ));
    }
    let mut sheet = Zeroizing::new(String::new());
    let _ = write!(
        sheet,
        "TINTYPE RECOVERY SHEET\ninstallation {}\nprinted {}\n\n\
         Whoever has this page can read every snapshot. Keep it where the manager is not.\n\n\
         When the manager is lost: install Tintype on an empty machine, give it access to the \
         storage, and type\n\n{told}\nIt asks for the twelve words of that storage.\n\n{}\
         Master key of the manager's database ({}/master.key), for the case that only the key is \
         lost:\n  {}\n",
        state.installation,
        state.now(),
        text.as_str(),
        state.data.display(),
        master_key.trim()
    );
    Ok(sheet)
}
