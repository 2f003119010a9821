//! An opened repository: backend, keys, cache. Small on purpose: each verb has its own module.
//!
//! The commit protocol (format.md §11) in files: [`session`] begins and decides sessions,
//! [`state`] reads what counts, [`annotate`] changes what may change, `crate::gc` deletes.

pub mod annotate;
pub mod cache;
pub mod keys;
pub mod objects;
pub mod open;
pub mod session;
pub mod snapshots;
pub mod state;

use std::sync::Arc;

use crate::backend::SharedBackend;
use crate::chunker::Chunker;
use crate::crypto::keys::Keys;
use crate::env::Env;
use crate::format::records::{Config, SessionRecord};
use crate::id::RandomId;
use cache::Cache;

/// Who we are: goes into sessions and manifests, for people and to see that a session's
/// process is gone.
#[derive(Clone)]
pub struct Identity {
    pub host: String,
    pub user: String,
    /// Tells hosts of one name apart, and boots of one host.
    pub host_id: String,
    pub pid: u32,
    pub process_start: String,
    pub program: String,
    /// Whether a session of this host was left by a process that no longer runs.
    pub is_gone: fn(&Identity, &SessionRecord) -> bool,
}

impl Identity {
    /// For tests and tools that never meet other processes.
    pub fn anonymous() -> Self {
        Self {
            host: "localhost".into(),
            user: "nobody".into(),
            host_id: String::new(),
            pid: 0,
            process_start: String::new(),
            program: concat!("tintype ", env!("CARGO_PKG_VERSION")).into(),
            is_gone: |_, _| false,
        }
    }
}

pub struct Repository {
    pub(crate) backend: SharedBackend,
    pub(crate) env: Env,
    pub(crate) keys: Arc<Keys>,
    pub(crate) config: Config,
    pub(crate) cache: Cache,
    pub(crate) identity: Identity,
    pub(crate) chunker: Arc<Chunker>,
}

impl Repository {
    pub fn id(&self) -> RandomId {
        self.config.id
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn env(&self) -> &Env {
        &self.env
    }

    pub fn backend(&self) -> &SharedBackend {
        &self.backend
    }

    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where this repository's cache lies, if there is one.
    pub fn cache_dir(&self) -> Option<&std::path::Path> {
        self.cache.dir()
    }

    pub fn chunker(&self) -> &Chunker {
        &self.chunker
    }
}
