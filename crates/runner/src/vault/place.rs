//! Where a repository lies, and how one gets in.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tintype_engine::backend::url::Location;
use tintype_engine::backend::{
    AccessKey, BackendOptions, Limit, Listed, SharedBackend, list_all, open_backend,
};
use tintype_engine::env::Env;
use tintype_model::{Error, ErrorKind, Result};

/// Of a storage.
const NOTES: &str = "installations/";
const LEADS: &str = "leads/";
const NOTICES: &str = "moves/";
const CARDS: &str = "written/";
const SIGNS: &str = "alive/";
const NOTE_BYTES: u64 = 64 << 10;
const CONFIG_BYTES: u64 = 1 << 20;
const MOST_NOTES: usize = 100_000;

/// A storage, or a place below it.
#[derive(Clone, Debug)]
pub struct Place {
    /// As `tintype repo -r` takes it; holds no credentials.
    pub url: String,
    /// None: from the environment of the process.
    pub access: Option<AccessKey>,
    /// What may go to and from it, together with all who share this.
    pub limit: Option<Arc<Limit>>,
}

impl Place {
    /// Without asking anybody.
    pub fn parse(url: &str, access: Option<AccessKey>) -> Result<Self> {
        if let Location::Directory(path) = Location::parse(url)?
            && !path.is_absolute()
        {
            return Err(Error::invalid(format!("{url}: a storage is named by its whole path")));
        }
        Ok(Self { url: url.to_owned(), access, limit: None })
    }

    /// The place of that name in it; `name` has lower case letters, digits, `.`, `_`, `-`, `/`.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        let is_directory = self.directory().is_some();
        let (place, query) = match self.url.split_once('?').filter(|_| !is_directory) {
            Some((place, query)) => (place, format!("?{query}")),
            None => (&self.url[..], String::new()),
        };
        let url = format!("{}/{name}{query}", place.trim_end_matches('/'));
        Self { url, access: self.access.clone(), limit: self.limit.clone() }
    }

    /// Where it is one of this host.
    pub fn directory(&self) -> Option<PathBuf> {
        match Location::parse(&self.url) {
            Ok(Location::Directory(path)) => Some(path),
            _ => None,
        }
    }

    /// Leaves a small note beside the repositories: it is read without a key, and stays.
    pub fn leave_note(&self, name: &str, text: &[u8], env: &Env) -> Result<()> {
        self.leave(&format!("{NOTES}{name}"), text, env)
    }

    /// Notes in a storage, by name.
    pub fn notes(&self, env: &Env) -> Result<Vec<(String, Vec<u8>)>> {
        self.small(NOTES, env)
    }

    /// Leaves word of where the manager is, for whoever can read the storage.
    pub fn leave_notice(&self, name: &str, text: &[u8], env: &Env) -> Result<()> {
        self.leave(&format!("{NOTICES}{name}"), text, env)
    }

    /// What was left so, by anybody.
    pub fn notices(&self, env: &Env) -> Result<Vec<Vec<u8>>> {
        Ok(self.small(NOTICES, env)?.into_iter().map(|(_, text)| text).collect())
    }

    /// Leaves word of when an installation wrote last, in place of what it said before.
    pub fn leave_card(&self, installation: &str, now: &str, text: &[u8], env: &Env) -> Result<()> {
        let below = format!("{CARDS}{}/", installation.to_lowercase());
        let own = format!("{below}{now}");
        let backend = self.open(env, true, false)?;
        match backend.put(&own, text) {
            Err(error) if !error.is(ErrorKind::AlreadyExists) => return Err(error),
            _ => {}
        }
        for older in list_all(&*backend, &below)?.into_iter().filter(|one| one.name < own) {
            backend.delete(&older.name)?;
        }
        Ok(())
    }

    /// What installations said last: of each its id in lower case, and the text.
    pub fn cards(&self, env: &Env) -> Result<Vec<(String, Vec<u8>)>> {
        let id = |name: String| name.split('/').next().unwrap_or_default().to_owned();
        let all = self.small(CARDS, env)?.into_iter();
        Ok(all.map(|(name, text)| (id(name), text)).collect())
    }

    /// Leaves a sign of life of an installation's manager, in place of all others; makes no directory.
    pub fn leave_sign(&self, installation: &str, name: &str, text: &[u8], env: &Env) -> Result<()> {
        let below = format!("{SIGNS}{}/", installation.to_lowercase());
        let own = format!("{below}{name}");
        let backend = self.open(env, false, false)?;
        match backend.put(&own, text) {
            Err(error) if !error.is(ErrorKind::AlreadyExists) => return Err(error),
            _ => {}
        }
        for other in list_all(&*backend, &below)?.into_iter().filter(|one| one.name != own) {
            backend.delete(&other.name)?;
        }
        Ok(())
    }

    /// Those that are there.
    pub fn signs(&self, installation: &str, env: &Env) -> Result<Vec<Vec<u8>>> {
        let below = format!("{SIGNS}{}/", installation.to_lowercase());
        Ok(self.small(&below, env)?.into_iter().map(|(_, text)| text).collect())
    }

    /// Deletes those that are `own`.
    pub fn take_signs(
        &self,
        installation: &str,
        own: impl Fn(&[u8]) -> bool,
        env: &Env,
    ) -> Result<()> {
        let below = format!("{SIGNS}{}/", installation.to_lowercase());
        let backend = self.open(env, false, false)?;
        for (name, text) in self.small(&below, env)? {
            if own(&text) {
                backend.delete(&format!("{below}{name}"))?;
            }
        }
        Ok(())
    }

    /// The first word stays.
    fn leave(&self, name: &str, text: &[u8], env: &Env) -> Result<()> {
        match self.open(env, true, false)?.put(name, text) {
            Err(error) if error.is(ErrorKind::AlreadyExists) => Ok(()),
            done => done,
        }
    }

    fn small(&self, below: &str, env: &Env) -> Result<Vec<(String, Vec<u8>)>> {
        let backend = self.open(env, false, false)?;
        let listed = list_all(&*backend, below)?;
        if listed.len() > MOST_NOTES {
            return Err(Error::unsupported(format!("{}: too many notes", self.url)));
        }
        let read = |listed: Listed| {
            let text = backend.get(&listed.name, NOTE_BYTES)?;
            Ok((listed.name[below.len()..].to_owned(), text))
        };
        listed.into_iter().map(read).collect()
    }

    /// Whether anything can lie there: of a directory, whether it is there.
    pub fn is_there(&self) -> bool {
        self.directory().is_none_or(|directory| directory.is_dir())
    }

    /// Whether it is a repository itself, and not a storage in which some lie.
    pub fn is_repository(&self, env: &Env) -> bool {
        let found = self.open(env, false, false);
        found.and_then(|backend| backend.get("config", CONFIG_BYTES)).is_ok()
    }

    /// The numbers that managers of an installation took to lead it, each with the seals beside it.
    pub fn leads(&self, installation: &str, env: &Env) -> Result<BTreeMap<u64, Vec<String>>> {
        let backend = match self.open(env, false, false) {
            Err(error) if error.is(ErrorKind::NotFound) => return Ok(BTreeMap::new()),
            backend => backend?,
        };
        let below = format!("{LEADS}{}/", installation.to_lowercase());
        let listed = list_all(&*backend, &below)?;
        if listed.len() > MOST_NOTES {
            return Err(Error::unsupported(format!("{}: too many notes", self.url)));
        }
        let (mut numbers, mut seals) = (BTreeMap::<u64, Vec<String>>::new(), Vec::new());
        for name in listed.iter().map(|listed| &listed.name[below.len()..]) {
            let (digits, seal) = name.split_once('.').map_or((name, None), |(n, s)| (n, Some(s)));
            let number = digits.parse::<u64>().ok();
            match (number.filter(|number| format!("{number:010}") == digits), seal) {
                (Some(number), None) => drop(numbers.entry(number).or_default()),
                (Some(number), Some(seal)) => seals.push((number, seal)),
                (None, _) => {}
            }
        }
        for (number, seal) in seals {
            numbers.entry(number).and_modify(|known| known.push(seal.to_owned()));
        }
        Ok(numbers)
    }

    /// What is said of one of them.
    pub fn lead(&self, installation: &str, number: u64, env: &Env) -> Result<Vec<u8>> {
        let name = format!("{LEADS}{}/{number:010}", installation.to_lowercase());
        self.open(env, false, false)?.get(&name, NOTE_BYTES)
    }

    /// `AlreadyExists` where somebody has that number.
    pub fn leave_lead(
        &self,
        installation: &str,
        number: u64,
        text: &[u8],
        env: &Env,
    ) -> Result<()> {
        let name = format!("{LEADS}{}/{number:010}", installation.to_lowercase());
        self.open(env, true, false)?.put(&name, text)
    }

    /// Beside a number; the seal is the name, so that nobody is there before it.
    pub fn seal_lead(&self, installation: &str, number: u64, seal: &str, env: &Env) -> Result<()> {
        let name = format!("{LEADS}{}/{number:010}.{seal}", installation.to_lowercase());
        self.leave(&name, b"sealed", env)
    }

    pub(super) fn open(
        &self,
        env: &Env,
        create: bool,
        single_writer: bool,
    ) -> Result<SharedBackend> {
        if create && let Some(directory) = self.directory() {
            let made = std::fs::create_dir_all(&directory);
            made.map_err(|error| Error::io(error, directory.display()))?;
        }
        let access_key = self.access.clone();
        let limit = self.limit.clone();
        let options =
            BackendOptions { create, single_writer, access_key, limit, ..Default::default() };
        let opened = open_backend(&self.url, &options, env).map_err(|error| {
            match error.is(ErrorKind::NotFound) {
                true => Error::not_found(format!("{}: there is nothing", self.url)),
                false => error,
            }
        })?;
        Ok(opened.backend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below() {
        let below =
            |url: &str| Place { url: url.into(), access: None, limit: None }.below("a/b").url;
        assert_eq!(below("/srv/x"), "/srv/x/a/b");
        assert_eq!(below("/srv/x?y/"), "/srv/x?y/a/b");
        assert_eq!(below("file:///srv"), "file:///srv/a/b");
        assert_eq!(below("s3://bucket?endpoint=http://h:1"), "s3://bucket/a/b?endpoint=http://h:1");
        assert_eq!(below("gs://b?ca=/x"), "gs://b/a/b?ca=/x");
        assert_eq!(below("azure://a/c"), "azure://a/c/a/b");
        assert_eq!(below("s3://bucket/p/?region=eu"), "s3://bucket/p/a/b?region=eu");
    }

    #[test]
    fn a_storage_has_a_whole_path() {
        assert!(Place::parse("srv/x", None).is_err());
        assert!(Place::parse("gs:x", None).is_err());
        assert!(Place::parse("gs://x", None).is_ok());
        assert!(Place::parse("/srv/x", None).is_ok());
    }
}
