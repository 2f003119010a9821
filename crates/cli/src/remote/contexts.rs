//! The managers that one is logged in to: `contexts.json` among the user's settings, for its owner
//! only, because sessions stand in it.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tintype_api::client::Client;

use crate::exit::usage;

/// More is not read.
const FILE_BYTES: u64 = 16 << 20;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Contexts {
    current: Option<String>,
    contexts: Vec<Context>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Context {
    pub(super) name: String,
    pub(super) url: String,
    /// PEM.
    pub(super) authority: Option<String>,
    pub(super) session: String,
}

fn set(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn file() -> anyhow::Result<PathBuf> {
    let base = set("XDG_CONFIG_HOME").map(PathBuf::from);
    let base = base.or_else(|| set("HOME").map(|home| Path::new(&home).join(".config")));
    let base = base.ok_or_else(|| usage("neither HOME nor XDG_CONFIG_HOME is set"))?;
    Ok(base.join("tintype/contexts.json"))
}

/// For programs, which do not log in.
pub(super) fn of_environment() -> anyhow::Result<Option<Client>> {
    let Some(url) = set("TINTYPE_URL") else { return Ok(None) };
    let url = url.into_string().map_err(|_| usage("TINTYPE_URL is not UTF-8"))?;
    let token = std::env::var("TINTYPE_TOKEN").ok().filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| usage("TINTYPE_URL is set, and TINTYPE_TOKEN is not"))?;
    let authority = set("TINTYPE_AUTHORITY").map(PathBuf::from);
    let authority = authority.map(|file| read_authority(&file)).transpose()?;
    let authority = authority.as_deref().map(str::as_bytes);
    Ok(Some(Client::new(&url, authority, Some(token))?))
}

pub(super) fn read_authority(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

impl Contexts {
    pub(super) fn load() -> anyhow::Result<Self> {
        let file = file()?;
        let name = file.display();
        let found = match std::fs::metadata(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            found => found.with_context(|| format!("cannot read {name}"))?,
        };
        if found.len() > FILE_BYTES {
            anyhow::bail!("{name} is longer than {} MiB", FILE_BYTES >> 20);
        }
        let text = std::fs::read(&file).with_context(|| format!("cannot read {name}"))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{name} is not understood; remove it, and log in again"))
    }

    /// Whole or not at all.
    pub(super) fn save(&self) -> anyhow::Result<()> {
        let file = file()?;
        let name = file.display();
        let folder = file.parent().context("the file lies in no directory")?;
        let mut made = std::fs::DirBuilder::new();
        made.recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let part = file.with_extension(format!("part-{}", std::process::id()));
        let mut options = std::fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let text = serde_json::to_string_pretty(self).context("the contexts")?;
        let written = options.open(&part).and_then(|mut out| {
            writeln!(out, "{text}")?;
            out.sync_all()
        });
        written.with_context(|| format!("cannot write {}", part.display()))?;
        std::fs::rename(&part, &file).with_context(|| format!("cannot write {name}"))
    }

    /// From now on the one that is spoken to.
    pub(super) fn add(&mut self, context: Context) {
        self.contexts.retain(|other| other.name != context.name);
        self.current = Some(context.name.clone());
        self.contexts.push(context);
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.contexts.retain(|context| context.name != name);
        if self.current.as_deref() == Some(name) {
            self.current = self.contexts.last().map(|context| context.name.clone());
        }
    }

    pub(super) fn get(&self, name: Option<&str>) -> anyhow::Result<&Context> {
        let wanted = name.or(self.current.as_deref());
        let wanted = wanted.ok_or_else(|| {
            usage("which manager? log in first (`tintype login URL`), or set TINTYPE_URL and TINTYPE_TOKEN")
        })?;
        self.contexts.iter().find(|context| context.name == wanted).ok_or_else(|| {
            let known: Vec<&str> = self.contexts.iter().map(|context| &*context.name).collect();
            usage(format!("there is no login `{wanted}`; there are: {}", known.join(", ")))
        })
    }

    pub(super) fn client(&self, name: Option<&str>) -> anyhow::Result<Client> {
        let Context { url, authority, session, .. } = self.get(name)?;
        let authority = authority.as_deref().map(str::as_bytes);
        Ok(Client::new(url, authority, Some(session.clone()))?)
    }
}
