//! Names of users and groups.
//!
//! `/etc/passwd` and `/etc/group` are read once. Users that only a name service knows (LDAP,
//! systemd-homed) keep their number and have an empty name: asking the name service needs
//! the C library's loader, and a snapshot must not wait for a directory server.

use std::collections::HashMap;
use std::sync::Arc;

use tintype_model::entry::Owner;

/// The accounts of a system.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    users: HashMap<u32, Vec<u8>>,
    groups: HashMap<u32, Vec<u8>>,
}

impl Accounts {
    /// Of this host. A file that cannot be read knows no names.
    pub fn of_host() -> Self {
        let read = |path| std::fs::read(path).unwrap_or_default();
        Self::parse(&read("/etc/passwd"), &read("/etc/group"))
    }

    /// Of the text of a passwd and a group file.
    pub fn parse(passwd: &[u8], group: &[u8]) -> Self {
        Self { users: names_by_number(passwd), groups: names_by_number(group) }
    }

    pub fn owner(&self, uid: u32, gid: u32) -> Owner {
        let name = |map: &HashMap<u32, Vec<u8>>, id| map.get(&id).cloned().unwrap_or_default();
        Owner { uid, gid, user: name(&self.users, uid), group: name(&self.groups, gid) }
    }

    /// The numbers here of an owner that was recorded elsewhere: by name where the name is
    /// known here, else its number.
    pub fn numbers_of(&self, owner: &Owner) -> (u32, u32) {
        let by_name = |map: &HashMap<u32, Vec<u8>>, name: &[u8], id: u32| {
            if name.is_empty() || map.get(&id).is_some_and(|known| known == name) {
                return id;
            }
            map.iter().filter(|(_, known)| *known == name).map(|(id, _)| *id).min().unwrap_or(id)
        };
        (
            by_name(&self.users, &owner.user, owner.uid),
            by_name(&self.groups, &owner.group, owner.gid),
        )
    }
}

/// Both files are `name:password:number:…`; the first line of a number counts.
fn names_by_number(text: &[u8]) -> HashMap<u32, Vec<u8>> {
    let mut names = HashMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b':');
        let (Some(name), Some(_), Some(number)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let number = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
        if let (Some(number), false) = (number, name.is_empty()) {
            names.entry(number).or_insert_with(|| name.to_vec());
        }
    }
    names
}

/// Shares one [`Owner`] among all entries that have it.
#[derive(Debug)]
pub(crate) struct OwnerCache {
    accounts: Accounts,
    known: HashMap<(u32, u32), Arc<Owner>>,
    last: Option<Arc<Owner>>,
}

impl OwnerCache {
    pub(crate) fn new(accounts: Accounts) -> Self {
        Self { accounts, known: HashMap::new(), last: None }
    }

    pub(crate) fn get(&mut self, uid: u32, gid: u32) -> Arc<Owner> {
        if let Some(last) = &self.last
            && last.uid == uid
            && last.gid == gid
        {
            return Arc::clone(last);
        }
        let owner =
            self.known.entry((uid, gid)).or_insert_with(|| Arc::new(self.accounts.owner(uid, gid)));
        self.last = Some(Arc::clone(owner));
        Arc::clone(owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_mapped_by_name_and_fall_back_to_numbers() {
        let accounts = Accounts::parse(
            b"root:x:0:0::/:/bin/sh\nann:x:1000:1000::/:\nbroken\n\xffx:x:7:7::/:",
            b"root:x:0:\nstaff:x:50:\n",
        );
        assert_eq!(accounts.owner(7, 50).user, b"\xffx");
        assert_eq!(accounts.owner(9, 50).user, b"");
        let mut owner = Owner { uid: 5, gid: 6, user: b"ann".to_vec(), group: b"none".to_vec() };
        assert_eq!(accounts.numbers_of(&owner), (1000, 6));
        owner.user.clear();
        assert_eq!(accounts.numbers_of(&owner), (5, 6));
    }
}
