//! Sealed JSON objects in the repository.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tintype_model::{Error, Result};

use super::Repository;
use crate::format::frame::Kind;
use crate::format::limits;
use crate::format::object::{ObjectType, Place, open_bytes, seal_bytes};

impl Repository {
    pub(crate) fn place<'a>(&'a self, object_type: ObjectType, name: &'a str) -> Place<'a> {
        Place { keys: &self.keys, repository: self.config.id, object_type, name }
    }

    pub(crate) fn seal<T: Serialize>(
        &self,
        object_type: ObjectType,
        name: &str,
        value: &T,
    ) -> Result<Vec<u8>> {
        let text = serde_json::to_vec(value)
            .map_err(|e| Error::internal(format!("{name}: cannot encode")).with_source(e))?;
        seal_bytes(&self.place(object_type, name), Kind::Json, &text, &self.env)
    }

    /// Puts if absent.
    pub(crate) fn put_json<T: Serialize>(
        &self,
        object_type: ObjectType,
        name: &str,
        value: &T,
    ) -> Result<()> {
        self.backend.put(name, &self.seal(object_type, name, value)?)
    }

    pub(crate) fn get_json<T: DeserializeOwned>(
        &self,
        object_type: ObjectType,
        name: &str,
    ) -> Result<T> {
        let sealed = self.backend.get(name, limits::JSON_BYTES)?;
        self.open_json(object_type, name, sealed)
    }

    pub(crate) fn open_json<T: DeserializeOwned>(
        &self,
        object_type: ObjectType,
        name: &str,
        sealed: Vec<u8>,
    ) -> Result<T> {
        let text = open_bytes(&self.place(object_type, name), Kind::Json, sealed)?;
        serde_json::from_slice(&text)
            .map_err(|e| Error::corrupt(format!("{name}: is not what it should be")).with_source(e))
    }
}
