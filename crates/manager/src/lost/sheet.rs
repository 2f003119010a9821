//! All that one needs on the day when the manager is gone, for one page of paper.

use std::fmt::Write as _;

use jiff::Timestamp;
use tintype_api::storage::{StorageKind, StorageSpec};
use tintype_model::identifier::Id;
use tintype_model::{Error, Result};
use zeroize::Zeroizing;

use crate::catalog::objects;
use crate::catalog::repositories::{self, KIND, WORDS};
use crate::catalog::secrets::{self, Of};
use crate::state::State;

/// What stands on the page.
pub struct Sheet {
    installation: Id,
    printed: Timestamp,
    storages: Vec<Told>,
    /// The file's text.
    master_key: Zeroizing<String>,
    key_file: String,
}

/// One storage that holds full snapshots.
struct Told {
    name: String,
    is_internal: bool,
    /// May hold credentials of its own.
    url: Zeroizing<String>,
    words: Zeroizing<String>,
}

/// A picture that a camera reads.
pub struct Code {
    pub title: String,
    pub text: Zeroizing<String>,
}

/// Of each storage that holds full snapshots: where it is, and the words that open it. `master_key`
/// is the file's text.
pub async fn sheet(state: &State, master_key: &str) -> Result<Sheet> {
    let mut on = state.catalog.read().await?;
    let mut storages = Vec::new();
    for repository in repositories::list(&mut on, None).await? {
        if repository.tenant != state.system {
            continue;
        }
        let storage = objects::get::<StorageSpec>(&mut on, &repository.storage).await?;
        let of = Of { kind: KIND, id: &repository.id, name: WORDS };
        let words = secrets::need(&mut on, of, &state.key).await?;
        let words = std::str::from_utf8(&words).map_err(|_| Error::corrupt("recovery words"))?;
        let is_internal = storage.spec.kind == StorageKind::Internal;
        let url = match is_internal {
            true => state.data.join("repositories").display().to_string(),
            false => storage.spec.url.clone(),
        };
        storages.push(Told {
            name: storage.name,
            is_internal,
            url: Zeroizing::new(url),
            words: Zeroizing::new(words.to_owned()),
        });
    }
    if storages.is_empty() {
        return Err(Error::not_found(
            "there is no full snapshot yet, so nothing to recover from: take one (`tintype \
             snapshot create --full`), then print this sheet",
        ));
    }
    Ok(Sheet {
        installation: state.installation.clone(),
        printed: state.now(),
        storages,
        master_key: Zeroizing::new(master_key.trim().to_owned()),
        key_file: state.data.join("master.key").display().to_string(),
    })
}

impl Sheet {
    pub fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        let _ = write!(
            text,
            "TINTYPE RECOVERY SHEET\ninstallation {}\nprinted {}\n\n\
             Whoever has this page can read every snapshot. Keep it where the manager is not.\n\n\
             When the manager is lost: install Tintype on an empty machine, give it access to the \
             storage, and type\n\n",
            self.installation, self.printed,
        );
        for told in &self.storages {
            let _ = writeln!(text, "  tintype recover --from '{}'", told.url.as_str());
        }
        let _ = write!(text, "\nIt asks for the twelve words of that storage.\n\n");
        for Told { name, is_internal, url, words } in &self.storages {
            let note = match is_internal {
                true => " (on the manager's own host: lost together with it)",
                false => "",
            };
            let (url, words) = (url.as_str(), words.as_str());
            let _ = write!(text, "Storage {name}{note}\n  {url}\n  words: {words}\n\n");
        }
        let _ = write!(
            text,
            "Master key of the manager's database ({}), for the case that only the key is lost:\n  \
             {}\n",
            self.key_file,
            self.master_key.as_str()
        );
        text
    }

    /// The same for a camera: of each storage all that `tintype recover` asks for.
    pub fn codes(&self) -> Vec<Code> {
        let code = |told: &Told| {
            let text = format!(
                "tintype recovery\ninstallation: {}\nfrom: {}\nwords: {}\nmaster key: {}\n",
                self.installation,
                told.url.as_str(),
                told.words.as_str(),
                self.master_key.as_str()
            );
            Code { title: format!("Storage {}", told.name), text: Zeroizing::new(text) }
        };
        self.storages.iter().map(code).collect()
    }
}
