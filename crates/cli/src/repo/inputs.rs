//! What `snapshot` captures, from its options to the runner's input.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tintype_engine::Error;
use tintype_model::entry::{Kind, Node, Time};
use tintype_runner::snapshot::Input;
use tintype_source::files::{Accounts, Excludes, ExcludesBuilder, WalkOptions};

use super::snapshot::{Args, resolve_roots, stream_path};
use super::stream::{CommandStream, Interruptible};
use crate::app::App;
use crate::exit::usage;

pub(super) enum Source {
    Files { roots: Vec<PathBuf>, options: Box<WalkOptions> },
    Images(Vec<PathBuf>),
    Stdin(Vec<u8>),
    Command { path: Vec<u8>, words: Vec<std::ffi::OsString> },
}

impl Source {
    pub(super) fn of(args: &Args, app: &App) -> anyhow::Result<Self> {
        if let Some(name) = &args.stdin {
            return Ok(Self::Stdin(stream_path(name)?));
        }
        if let Some(name) = &args.from_command {
            return Ok(Self::Command { path: stream_path(name)?, words: args.paths.clone() });
        }
        if !args.block.is_empty() {
            return images(&args.block);
        }
        let excludes = excludes(args)?;
        let options = WalkOptions {
            excludes: Arc::new(excludes),
            one_file_system: args.one_file_system,
            never_enter: own_places(app)?,
            ahead_bytes: app.budget.ahead_bytes,
            ..WalkOptions::default()
        };
        Ok(Self::Files { roots: resolve_roots(&args.paths)?, options: Box::new(options) })
    }

    /// Tree paths of what is captured.
    pub(super) fn roots(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Files { roots, .. } | Self::Images(roots) => {
                roots.iter().map(|root| tree_path(root)).collect()
            }
            Self::Stdin(path) | Self::Command { path, .. } => vec![path.clone()],
        }
    }

    /// For people.
    pub(super) fn paths(&self) -> Vec<String> {
        match self {
            Self::Files { roots, .. } | Self::Images(roots) => {
                roots.iter().map(|root| root.to_string_lossy().into_owned()).collect()
            }
            Self::Stdin(path) | Self::Command { path, .. } => {
                let name = path.strip_prefix(b"files").unwrap_or(path);
                vec![String::from_utf8_lossy(name).into_owned()]
            }
        }
    }

    /// To ask later how much was left out.
    pub(super) fn excludes(&self) -> Option<Arc<Excludes>> {
        match self {
            Self::Files { options, .. } => Some(Arc::clone(&options.excludes)),
            _ => None,
        }
    }

    pub(super) fn into_input(self, app: &App) -> anyhow::Result<Input<'static>> {
        Ok(match self {
            Self::Files { roots, options } => Input::Files { roots, options },
            Self::Images(paths) => Input::Images(paths),
            Self::Stdin(path) => Input::Stream {
                path,
                node: stream_node(app),
                read: Box::new(Interruptible::stdin(app.cancel.clone())?),
                end: Box::new(|| Ok(())),
            },
            Self::Command { path, words } => {
                let command = CommandStream::start(&words)?;
                let (read, end) = command.split(app.cancel.clone());
                Input::Stream { path, node: stream_node(app), read, end }
            }
        })
    }
}

fn tree_path(root: &Path) -> Vec<u8> {
    let mut path = b"files".to_vec();
    let rest = root.as_os_str().as_bytes();
    if rest != b"/" {
        path.extend_from_slice(rest);
    }
    path
}

/// Devices as they were named, symlinks and all: /dev/disk/by-id/… means something.
fn images(paths: &[PathBuf]) -> anyhow::Result<Source> {
    let working =
        std::env::current_dir().map_err(|e| Error::io(e, "the working directory is not known"))?;
    let mut images = Vec::new();
    for path in paths {
        let absolute = working.join(path);
        std::fs::metadata(&absolute).map_err(|e| Error::io(e, absolute.display()))?;
        let (parent, name) = absolute
            .parent()
            .zip(absolute.file_name())
            .with_context(|| format!("{} names no device", path.display()))?;
        let parent = parent.canonicalize().map_err(|e| Error::io(e, parent.display()))?;
        images.push(parent.join(name));
    }
    images.sort();
    images.dedup();
    Ok(Source::Images(images))
}

fn excludes(args: &Args) -> anyhow::Result<Excludes> {
    let mut builder = ExcludesBuilder::default();
    for file in &args.exclude_file {
        builder.file(file)?;
    }
    for pattern in &args.exclude {
        if pattern.is_empty() {
            return Err(usage("an empty --exclude leaves out nothing"));
        }
        builder.pattern(pattern, "--exclude");
    }
    builder.caches(args.exclude_caches);
    for name in &args.exclude_if_present {
        builder.if_present(name);
    }
    if let Some(size) = args.exclude_larger_than {
        builder.larger_than(size);
    }
    builder.build().map_err(usage)
}

/// The repository itself and its cache change while they are read: never entered.
fn own_places(app: &App) -> anyhow::Result<Vec<(u64, u64)>> {
    let places = app.local_directory()?.into_iter().chain(app.cache_root());
    let known = places.filter_map(|place| std::fs::metadata(place).ok());
    Ok(known.map(|metadata| (metadata.dev(), metadata.ino())).collect())
}

/// The same as patterns: with them a later restore knows what was not looked into.
pub(super) fn own_patterns(app: &App) -> anyhow::Result<Vec<String>> {
    let places = app.local_directory()?.into_iter().chain(app.cache_root());
    let known = places.filter_map(|place| place.canonicalize().ok());
    Ok(known.map(|place| format!("{}/**", escaped(&place.to_string_lossy()))).collect())
}

fn escaped(path: &str) -> String {
    let escape = |letter| matches!(letter, '\\' | '*' | '?' | '[' | ']' | '{' | '}');
    path.chars().flat_map(|c| escape(c).then_some('\\').into_iter().chain([c])).collect()
}

/// A stream has no owner and no times of its own: those of the run.
fn stream_node(app: &App) -> Node {
    let now = app.env.clock.now();
    let now = Time { seconds: now.as_second(), nanoseconds: now.subsec_nanosecond().max(0) as u32 };
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    Node {
        mode: 0o600,
        owner: Arc::new(Accounts::of_host().owner(uid, gid)),
        mtime: now,
        ctime: now,
        ..Node::new(Kind::Stream)
    }
}
