//! The one error type of the libraries: a kind that says what to do, and a message that
//! names the thing. Messages are lower case and do not repeat their source.

use std::error::Error as StdError;
use std::fmt;

use serde::{Deserialize, Serialize};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The named thing does not exist.
    NotFound,
    /// The name is taken (put-if-absent lost).
    AlreadyExists,
    /// A lock, hold or other run forbids it for now.
    Locked,
    /// The input is wrong; retrying cannot help.
    Invalid,
    /// The store or the operating system refuses it to us.
    Denied,
    /// No key slot opens with the key that was given.
    WrongKey,
    /// May work later: network, busy store. The only kind that is retried.
    Unavailable,
    /// The store is full. Nothing that was committed is lost.
    NoSpace,
    /// Stored bytes are not what was written.
    Corrupt,
    /// This machine computes wrongly: nothing that it makes can be trusted.
    Faulty,
    /// Understood, but this version or this store cannot do it.
    Unsupported,
    /// The user or the caller asked to stop.
    Canceled,
    /// A bug.
    Internal,
}

/// On its way between processes it is its kind and what it says; of its sources their words remain.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

#[derive(Serialize, Deserialize)]
struct Told {
    kind: ErrorKind,
    message: String,
}

impl Serialize for Error {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut message = self.message.clone();
        let mut below = StdError::source(self);
        while let Some(one) = below {
            message = format!("{message}: {one}");
            below = one.source();
        }
        Told { kind: self.kind, message }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Error {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Told { kind, message } = Told::deserialize(deserializer)?;
        Ok(Self::new(kind, message))
    }
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts what was being done in front: `context: message`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// Maps an error of the operating system, naming what it happened to. One of ours that went
    /// through a reader or writer keeps its kind.
    pub fn io(error: std::io::Error, what: impl fmt::Display) -> Self {
        if let Some(own) = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            return Self::new(own.kind, &own.message[..]).context(what);
        }
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::AlreadyExists => ErrorKind::AlreadyExists,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::Denied,
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => ErrorKind::NoSpace,
            Io::InvalidInput | Io::InvalidFilename => ErrorKind::Invalid,
            Io::Unsupported => ErrorKind::Unsupported,
            _ => ErrorKind::Unavailable,
        };
        Self { kind, message: format!("{what}: {error}"), source: None }
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub fn is(&self, kind: ErrorKind) -> bool {
        self.kind == kind
    }

    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|s| &**s as &(dyn StdError + 'static))
    }
}

macro_rules! constructors {
    ($($name:ident $kind:ident),* $(,)?) => {
        impl Error {
            $(pub fn $name(message: impl Into<String>) -> Self {
                Self::new(ErrorKind::$kind, message)
            })*
        }
    };
}

constructors! {
    not_found NotFound, already_exists AlreadyExists, locked Locked, invalid Invalid,
    denied Denied, unavailable Unavailable, no_space NoSpace, corrupt Corrupt,
    unsupported Unsupported, canceled Canceled, internal Internal, wrong_key WrongKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_ours_keeps_its_kind_and_its_sources_words_on_its_way() {
        let below = Error::no_space("the disk is full");
        let error = Error::unavailable("a volume").with_source(below);
        let text = serde_json::to_string(&error).unwrap();
        let read: Error = serde_json::from_str(&text).unwrap();
        let told = (read.kind(), read.message());
        assert_eq!(told, (ErrorKind::Unavailable, "a volume: the disk is full"));
    }

    #[test]
    fn an_error_of_ours_keeps_its_kind_through_a_reader() {
        let through = std::io::Error::other(Error::canceled("stopped by request"));
        let error = Error::io(through, "a stream");
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::Canceled, "a stream: stopped by request")
        );
    }
}
