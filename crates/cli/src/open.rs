//! From options to a storage and to an opened repository.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tintype_engine::backend::local::is_remote;
use tintype_engine::backend::url::Location;
use tintype_engine::backend::{BackendOptions, RetryPolicy, SharedBackend, open_backend};
use tintype_engine::repo::Repository;
use tintype_engine::repo::open::{OpenOptions, read_config};
use tintype_engine::{Error, ErrorKind};
use tintype_runner::identity;

use crate::app::App;
use crate::exit::usage;
use crate::global::Budget;
use crate::interrupt;
use crate::meter::MeteredBackend;
use crate::secret::{self, Sources};

impl App {
    pub(crate) fn url(&self) -> anyhow::Result<&str> {
        self.global.repository.as_deref().ok_or_else(|| {
            usage("which repository? use -r URL (--repository) or TINTYPE_REPOSITORY")
        })
    }

    fn location(url: &str) -> anyhow::Result<Location> {
        Location::parse(url).map_err(usage)
    }

    /// The repository's own directory, where it is one.
    pub(crate) fn local_directory(&self) -> anyhow::Result<Option<PathBuf>> {
        Ok(match Self::location(self.url()?)? {
            Location::Directory(path) => Some(path),
            _ => None,
        })
    }

    fn is_near(&self) -> anyhow::Result<bool> {
        Ok(self.local_directory()?.is_some_and(|directory| {
            rustix::fs::statfs(&directory).is_ok_and(|found| !is_remote(&found))
        }))
    }

    /// Threads that read from the repository: one that is far away serves several at once.
    pub(crate) fn readers(&self) -> anyhow::Result<usize> {
        Ok(if self.is_near()? { self.budget.workers } else { self.budget.most_workers })
    }

    /// What may be used to write into the repository.
    pub(crate) fn writer_budget(&self) -> anyhow::Result<Budget> {
        let uploads = Self::location(self.url()?)?.is_cloud();
        Ok(if uploads { self.budget.of_uploader() } else { self.budget })
    }

    pub(crate) fn cache_root(&self) -> Option<PathBuf> {
        if self.global.no_cache {
            return None;
        }
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let default = || {
            let base = set("XDG_CACHE_HOME").map(PathBuf::from);
            let base = base.or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")))?;
            Some(base.join("tintype"))
        };
        self.global.cache_dir.clone().or_else(default)
    }

    /// The storage at `url`; `create` makes its directory.
    pub(crate) fn storage(
        &self,
        url: &str,
        create: bool,
        single_writer: bool,
    ) -> anyhow::Result<SharedBackend> {
        let usual = match Self::location(url)? {
            Location::Directory(_) => RetryPolicy::DIRECTORY,
            _ => RetryPolicy::NETWORK,
        };
        let retry = self.global.tries.map(|attempts| RetryPolicy { attempts, ..usual });
        let limit = |rate: Option<crate::global::Rate>| rate.and_then(|rate| rate.0);
        let options = BackendOptions {
            limit_upload_bytes_per_second: limit(self.global.limit_upload),
            limit_download_bytes_per_second: limit(self.global.limit_download),
            retry,
            single_writer,
            create,
            ..BackendOptions::default()
        };
        let opened = open_backend(url, &options, &self.env).map_err(|error| {
            if !error.is(ErrorKind::NotFound) {
                return error;
            }
            let message = format!("{url}: there is no such directory, so no repository either");
            Error::not_found(message).with_source(error)
        })?;
        self.count(opened.counters);
        Ok(Arc::new(MeteredBackend::new(opened.backend, self.meter.clone())))
    }

    pub(crate) fn open_options(&self, host: Option<&str>) -> OpenOptions {
        let mut identity = identity::of_this_process();
        if let Some(host) = host {
            host.clone_into(&mut identity.host);
        }
        OpenOptions { cache_root: self.cache_root(), identity, env: self.env.clone() }
    }

    /// Where the secret of the repository comes from.
    pub(crate) fn sources(&self) -> Sources<'_> {
        let global = &self.global;
        Sources {
            recovery_prompt: global.recovery_key,
            recovery_file: global.recovery_key_file.as_deref(),
            age_file: global.age_identity.as_deref(),
            file: global.password_file.as_deref(),
            command: global.password_command.as_deref(),
            variable: "TINTYPE_PASSWORD",
            age_variable: "TINTYPE_AGE_IDENTITY_FILE",
            options: "--password-file, --password-command, TINTYPE_PASSWORD, --recovery-key-file or --age-identity",
        }
    }

    /// From now on Ctrl-C asks the work to stop. Not before all prompts are answered.
    pub(crate) fn catch_interrupts(&self) -> anyhow::Result<()> {
        interrupt::install(self.cancel.clone(), self.report.is_quiet())
    }

    pub(crate) fn open(&self) -> anyhow::Result<Repository> {
        self.open_as(None)
    }

    /// Opens the repository; `host` stands in for this host's name.
    pub(crate) fn open_as(&self, host: Option<&str>) -> anyhow::Result<Repository> {
        let repository = self.open_at(self.url()?, &self.sources(), host)?;
        self.catch_interrupts()?;
        Ok(repository)
    }

    pub(crate) fn open_at(
        &self,
        url: &str,
        sources: &Sources<'_>,
        host: Option<&str>,
    ) -> anyhow::Result<Repository> {
        let mut backend = self.storage(url, false, false)?;
        // Before anybody is asked for a passphrase: is there a repository at all?
        let config = read_config(&backend)?;
        if config.single_writer {
            backend = self.storage(url, false, true)?;
        }
        let secret = secret::existing(sources, &backend.describe(), &self.report)?;
        Ok(Repository::open(backend, &secret, self.open_options(host))?)
    }
}
