//! Adding and removing key slots. Changing a passphrase is adding one and removing one; the
//! repository key stays, so a removed slot that somebody copied before still opens it.

use tintype_model::{Error, Result};

use super::Repository;
use super::open::{SlotInfo, put_slot, read_slots, write_slot};
use crate::crypto::age::AgeRecipient;
use crate::crypto::slot::{Secret, Slot};
use crate::format::records::names;
use crate::id::RandomId;

impl Repository {
    /// Oldest first, then those that are damaged.
    pub fn key_slots(&self) -> Result<Vec<SlotInfo>> {
        let slots = read_slots(&self.backend)?;
        let usable = slots.usable.into_iter().map(|(id, slot)| {
            let problem = slot.verify(&self.keys, id).and_then(|()| slot.check()).err();
            SlotInfo {
                id,
                kind: slot.kind(),
                label: slot.label,
                created: Some(slot.created),
                problem: problem.map(|error| error.to_string()),
            }
        });
        let damaged = slots.damaged.into_iter().map(|(id, error)| SlotInfo {
            id,
            kind: "damaged",
            label: String::new(),
            created: None,
            problem: Some(error.to_string()),
        });
        Ok(usable.chain(damaged).collect())
    }

    pub fn add_key(&self, secret: &Secret, label: &str) -> Result<RandomId> {
        self.allow_write()?;
        put_slot(&self.backend, secret, &self.keys, self.config.id, label, &self.env)
    }

    /// A slot that the recipient's identity opens; it need not be here.
    pub fn add_age_recipient(&self, recipient: &AgeRecipient, label: &str) -> Result<RandomId> {
        self.allow_write()?;
        let id = RandomId(self.env.bytes());
        let slot = Slot::seal_for(recipient, &self.keys, id, label, &self.env)?;
        write_slot(&self.backend, id, &slot)
    }

    /// Refuses to remove the last slot that can be used: nobody could ever open the repository
    /// again.
    pub fn remove_key(&self, id: RandomId) -> Result<()> {
        self.allow_write()?;
        let slots = self.key_slots()?;
        if !slots.iter().any(|slot| slot.id == id) {
            return Err(Error::not_found(format!("there is no key slot {id}")));
        }
        if !slots.iter().any(|other| other.id != id && other.is_usable()) {
            return Err(Error::invalid(
                "this is the last key slot; add another before you remove it",
            ));
        }
        self.backend.delete(&names::slot(id))
    }

    /// Which slot a secret opens.
    pub fn slot_of(&self, secret: &Secret) -> Result<Option<RandomId>> {
        Ok(self.slots_of(secret)?.first().copied())
    }

    /// All slots that a secret opens. One that is damaged opens nothing.
    pub fn slots_of(&self, secret: &Secret) -> Result<Vec<RandomId>> {
        let mut slots = read_slots(&self.backend)?.usable;
        slots.retain(|(id, slot)| {
            slot.open(secret, self.config.id, *id).is_ok_and(|opened| opened.is_some())
        });
        Ok(slots.into_iter().map(|(id, _)| id).collect())
    }
}
