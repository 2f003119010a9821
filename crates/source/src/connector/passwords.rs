//! Passwords that are told with a run and stand in no file: those of a manager's connectors.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tintype_model::{Error, Result};
use zeroize::Zeroizing;

/// A `password_file` that begins so is none: the id of a manager's connector follows.
const PREFIX: &str = "connector:";

/// By the id of the connector.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Passwords(BTreeMap<String, String>);

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Passwords {
    /// What stands in `password_file` for that of a connector.
    pub fn named(connector: &str) -> String {
        format!("{PREFIX}{connector}")
    }

    /// Whose password a `password_file` names.
    pub fn connector_of(password_file: &str) -> Option<&str> {
        password_file.strip_prefix(PREFIX)
    }

    pub fn insert(&mut self, connector: &str, password: String) {
        self.0.insert(connector.to_owned(), password);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `None` where it is a file.
    pub(crate) fn find(&self, password_file: &Path) -> Option<Result<Zeroizing<String>>> {
        let connector = Self::connector_of(password_file.to_str()?)?;
        let found = self.0.get(connector).cloned().map(Zeroizing::new);
        Some(found.ok_or_else(|| {
            Error::denied(format!(
                "the password of connector {connector} is the manager's, which gives it only for \
                 the place that the connector names; say in `password_file` in which file it stands"
            ))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_found_by_its_connector_and_never_shown() {
        let mut passwords = Passwords::default();
        passwords.insert("01h", "canary".to_owned());
        assert!(!format!("{passwords:?}").contains("canary"));
        let find = |file: &str| passwords.find(Path::new(file));
        assert!(find("/etc/password").is_none());
        assert_eq!(find(&Passwords::named("01h")).unwrap().unwrap().as_str(), "canary");
        let unknown = find("connector:02h").unwrap().unwrap_err();
        assert!(unknown.message().contains("password_file"), "{unknown}");
    }
}
