//! How much lies in a storage, and how much room there is.

use tintype_engine::backend::list_all;
use tintype_engine::env::Env;
use tintype_model::{ErrorKind, Result};

use super::Place;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// What lies there.
    pub used_bytes: u64,
    /// Where the store tells.
    pub free_bytes: Option<u64>,
    /// Of the whole store, with what others keep there.
    pub total_bytes: Option<u64>,
}

impl Place {
    /// Of a place at which nothing was put yet nothing is known.
    pub fn room(&self, env: &Env) -> Result<Room> {
        let backend = match self.open(env, false, false) {
            Err(error) if error.is(ErrorKind::NotFound) => return Ok(Room::default()),
            backend => backend?,
        };
        let features = backend.store_features()?;
        let used_bytes = list_all(&*backend, "")?.iter().map(|listed| listed.size_bytes).sum();
        let (free_bytes, total_bytes) = (features.free_bytes, features.total_bytes);
        Ok(Room { used_bytes, free_bytes, total_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_there_is_added_up() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::parse(&dir.path().join("s").display().to_string(), None).unwrap();
        let env = Env::system();
        assert_eq!(place.room(&env).unwrap(), Room::default());
        place.leave_note("a/b", b"12345", &env).unwrap();
        place.leave_note("a/c", b"123", &env).unwrap();
        let room = place.room(&env).unwrap();
        assert_eq!(room.used_bytes, 8);
        assert!(room.free_bytes.unwrap() <= room.total_bytes.unwrap());
        assert_eq!(place.below("installations").room(&env).unwrap().used_bytes, 8);
    }
}
