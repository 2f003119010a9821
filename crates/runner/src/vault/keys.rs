//! Key slots of a repository: what opens it.

use jiff::Timestamp;
use tintype_engine::crypto::age::AgeRecipient;
use tintype_engine::crypto::keys::MasterKey;
use tintype_engine::crypto::slot::{Passphrase, RecoveryKey, Secret};
use tintype_model::{Error, Result};

use super::{Host, Place, Vault};

/// What is known of a slot without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySlot {
    pub id: String,
    /// `passphrase`, `recovery`, `age`, `unknown`; `damaged` where it cannot be read.
    pub kind: String,
    pub label: String,
    pub created: Option<Timestamp>,
    /// Why it cannot be used.
    pub problem: Option<String>,
}

impl Vault {
    /// Oldest first, then those that are damaged.
    pub fn key_slots(&self) -> Result<Vec<KeySlot>> {
        let slots = self.repository.key_slots()?.into_iter().map(|slot| KeySlot {
            id: slot.id.to_string(),
            kind: slot.kind.to_owned(),
            label: slot.label,
            created: slot.created,
            problem: slot.problem,
        });
        Ok(slots.collect())
    }

    /// With a passphrase that one of its slots takes.
    pub fn unlock_with_passphrase(
        place: &Place,
        passphrase: Passphrase,
        host: &Host,
    ) -> Result<Self> {
        Self::unlock_with(place, &Secret::Passphrase(passphrase), host)
    }

    pub fn add_passphrase(&self, passphrase: Passphrase, label: &str) -> Result<String> {
        let id = self.repository.add_key(&Secret::Passphrase(passphrase), label)?;
        Ok(id.to_string())
    }

    /// A slot that the recipient's identity opens.
    pub fn add_recipient(&self, recipient: &AgeRecipient, label: &str) -> Result<String> {
        Ok(self.repository.add_age_recipient(recipient, label)?.to_string())
    }

    /// A slot that new words open: its id, and the words.
    pub fn add_recovery(&self, label: &str) -> Result<(String, String)> {
        let recovery = RecoveryKey::generate(self.repository.env());
        let words = recovery.words().to_string();
        let id = self.repository.add_key(&Secret::Recovery(recovery), label)?;
        Ok((id.to_string(), words))
    }

    /// Slots that these words open, or the key of the system's repository.
    pub fn slots_of(&self, words: Option<&str>, parent: Option<&MasterKey>) -> Result<Vec<String>> {
        let words = words.map(RecoveryKey::parse).transpose()?.map(Secret::Recovery);
        let mut slots = match words {
            Some(words) => self.repository.slots_of(&words)?,
            None => Vec::new(),
        };
        if let Some(parent) = parent {
            slots.extend(self.repository.slots_of(&Secret::Parent(parent.clone()))?);
        }
        Ok(slots.iter().map(ToString::to_string).collect())
    }

    /// Refuses to remove the last slot that can be used.
    pub fn remove_key(&self, id: &str) -> Result<()> {
        let slots = self.repository.key_slots()?;
        let slot = slots.iter().find(|slot| slot.id.to_string() == id);
        let slot = slot.ok_or_else(|| Error::not_found(format!("there is no key slot {id}")))?;
        self.repository.remove_key(slot.id)
    }
}
