//! Writing `config` or its copy again from the other (format.md §4).

use tintype_model::{ErrorKind, Result};

use crate::format::limits;
use crate::format::records::names;
use crate::repo::Repository;

impl Repository {
    /// Gives the names that were written again. The configuration in hand has proven itself
    /// against the key; one of the two stays while the other is replaced.
    pub(super) fn mend_config(&self) -> Result<Vec<String>> {
        let text = serde_json::to_vec(&self.config).expect("plain data");
        let mut damaged = Vec::new();
        for name in [names::CONFIG, names::CONFIG_COPY] {
            match self.backend.get(name, limits::PLAIN_JSON_BYTES) {
                Ok(found) if found == text => {}
                Err(error) if error.is(ErrorKind::Unavailable) => return Err(error),
                _ => damaged.push(name.to_owned()),
            }
        }
        for name in &damaged {
            self.backend.delete(name)?;
            match self.backend.put(name, &text) {
                // Somebody else repaired it at the same moment.
                Err(error) if !error.is(ErrorKind::AlreadyExists) => return Err(error),
                _ => {}
            }
        }
        Ok(damaged)
    }
}
