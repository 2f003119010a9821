//! What a walk leaves out, and how often it did.
//!
//! Patterns are those of gitignore(5), with one difference: there is no `.gitignore` whose
//! directory they could be relative to. So a pattern that begins with `/` is an absolute
//! path, and any other pattern matches at every depth, also when it has a `/` inside
//! (`target/debug`). As in gitignore a later pattern wins, `!` brings back, a trailing `/`
//! means directories only, and nothing below an excluded directory can be brought back.
//! A root that the user named is never excluded itself.
//!
//! What a killed restore of ours left behind (`.tintype-<16 hex digits>-<16 hex digits>`, no
//! directory) is always left out: it is a part of a file that was to have another name.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{Mode, OFlags, openat};
use tintype_model::entry::{Kind, Node};
use tintype_model::{Error, Result};

use super::names::Names;
use super::target::is_temporary;

/// What the first bytes of a `CACHEDIR.TAG` must be (<https://bford.info/cachedir/>).
const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";
const CACHE_TAG: &[u8] = b"CACHEDIR.TAG";

/// Collects what is to be left out; [`ExcludesBuilder::build`] checks it.
#[derive(Debug, Default)]
pub struct ExcludesBuilder {
    lines: Vec<(String, String)>,
    caches: bool,
    markers: Vec<Vec<u8>>,
    larger_than_bytes: Option<u64>,
}

impl ExcludesBuilder {
    /// One pattern; `from` says where it stands, for messages: `--exclude`.
    pub fn pattern(&mut self, line: &str, from: &str) -> &mut Self {
        self.lines.push((line.to_owned(), from.to_owned()));
        self
    }

    /// A file of patterns, with `#` comments and empty lines.
    pub fn file(&mut self, path: &Path) -> Result<&mut Self> {
        let name = path.display();
        let bytes = std::fs::read(path)
            .map_err(|error| Error::io(error, format_args!("exclude file {name}")))?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let from = format!("{name}, line {}", number + 1);
            let line =
                std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).map_err(|_| {
                    Error::invalid(format!("{from}: a pattern must be UTF-8 (use ? for a byte)"))
                })?;
            self.pattern(line, &from);
        }
        Ok(self)
    }

    /// Directories with a valid `CACHEDIR.TAG`: only the directory and the tag are kept.
    pub fn caches(&mut self, on: bool) -> &mut Self {
        self.caches = on;
        self
    }

    /// Directories that hold an entry of this name: only they and the entry are kept.
    pub fn if_present(&mut self, name: &OsStr) -> &mut Self {
        self.markers.push(name.as_bytes().to_vec());
        self
    }

    /// Files whose size is above this.
    pub fn larger_than(&mut self, size_bytes: u64) -> &mut Self {
        self.larger_than_bytes = Some(size_bytes);
        self
    }

    pub fn build(&self) -> Result<Excludes> {
        let mut builder = GitignoreBuilder::new("/");
        // Else `a[` is taken for a name, and nobody is told that nothing is left out.
        builder.allow_unclosed_class(false);
        for (line, from) in &self.lines {
            let anywhere = unanchored(line);
            builder.add_line(None, &anywhere).map_err(|error| {
                Error::invalid(format!("{from}: pattern {line:?}")).with_source(error)
            })?;
        }
        for marker in &self.markers {
            if marker.is_empty() || marker.contains(&b'/') {
                return Err(Error::invalid("a marker file is a name without slashes"));
            }
        }
        let patterns = builder
            .build()
            .map_err(|error| Error::invalid("exclude patterns").with_source(error))?;
        Ok(Excludes {
            lines: self.lines.iter().map(|(line, _)| line.clone()).collect(),
            patterns: (!patterns.is_empty()).then_some(patterns),
            caches: self.caches,
            markers: self.markers.clone(),
            larger_than_bytes: self.larger_than_bytes,
            counts: Counts::default(),
        })
    }
}

/// Lets a pattern with a slash inside match at every depth (see the module's head).
fn unanchored(line: &str) -> String {
    let (sign, pattern) = line.strip_prefix('!').map_or(("", line), |rest| ("!", rest));
    let inner = pattern.trim_end().trim_end_matches('/');
    let free = pattern.starts_with('/')
        || pattern.starts_with('#')
        || pattern.starts_with("**/")
        || !inner.contains('/');
    if free { line.to_owned() } else { format!("{sign}**/{pattern}") }
}

/// What is left out of a walk. Shared by its threads.
#[derive(Debug, Default)]
pub struct Excludes {
    lines: Vec<String>,
    patterns: Option<Gitignore>,
    caches: bool,
    markers: Vec<Vec<u8>>,
    larger_than_bytes: Option<u64>,
    counts: Counts,
}

/// How many entries were left out; what lies below an excluded directory is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Excluded {
    pub by_pattern: u64,
    pub by_size: u64,
    /// Cache directories whose content was left out.
    pub caches: u64,
    /// Directories with a marker file whose content was left out.
    pub marked: u64,
    /// Temporary files of killed restores.
    pub leftovers: u64,
}

#[derive(Debug, Default)]
struct Counts {
    by_pattern: AtomicU64,
    by_size: AtomicU64,
    caches: AtomicU64,
    marked: AtomicU64,
    leftovers: AtomicU64,
}

impl Excludes {
    pub fn counted(&self) -> Excluded {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Excluded {
            by_pattern: get(&self.counts.by_pattern),
            by_size: get(&self.counts.by_size),
            caches: get(&self.counts.caches),
            marked: get(&self.counts.marked),
            leftovers: get(&self.counts.leftovers),
        }
    }

    /// The patterns in the order in which they count, as they were written.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    pub(crate) fn has_patterns(&self) -> bool {
        self.patterns.is_some()
    }

    /// Whether patterns leave out `path`, which is absolute but has no leading slash.
    pub(crate) fn by_pattern(&self, path: &[u8], is_directory: bool) -> bool {
        count(&self.counts.by_pattern, self.ignores(path, is_directory))
    }

    fn ignores(&self, path: &[u8], is_directory: bool) -> bool {
        let Some(patterns) = &self.patterns else { return false };
        patterns.matched(OsStr::from_bytes(path), is_directory).is_ignore()
    }

    /// Whether a walk would leave out what stands at an absolute path (leading slash or not) in
    /// a directory that it enters. Counts nothing.
    pub fn leaves_out(&self, path: &[u8], node: &Node) -> bool {
        let path = path.strip_prefix(b"/").unwrap_or(path);
        let is_large = || self.larger_than_bytes.is_some_and(|limit| node.size > limit);
        self.ignores(path, node.kind == Kind::Directory) || (node.kind == Kind::File && is_large())
    }

    /// Whether something of this name may be all that a walk keeps of its directory.
    pub fn is_marker(&self, name: &[u8]) -> bool {
        (self.caches && name == CACHE_TAG) || self.markers.iter().any(|marker| marker == name)
    }

    pub(crate) fn has_markers(&self) -> bool {
        self.caches || !self.markers.is_empty()
    }

    /// Whether patterns match an absolute path (leading slash or not) or a directory above it.
    /// Counts nothing: for selections other than a walk's.
    pub fn matches(&self, path: &[u8], is_directory: bool) -> bool {
        let Some(patterns) = &self.patterns else { return false };
        let path = path.strip_prefix(b"/").unwrap_or(path);
        !path.is_empty()
            && patterns
                .matched_path_or_any_parents(OsStr::from_bytes(path), is_directory)
                .is_ignore()
    }

    pub(crate) fn by_size(&self, size_bytes: u64) -> bool {
        let out = self.larger_than_bytes.is_some_and(|limit| size_bytes > limit);
        count(&self.counts.by_size, out)
    }

    pub(crate) fn is_leftover(&self, name: &[u8]) -> bool {
        count(&self.counts.leftovers, is_temporary(name))
    }

    /// The one name that is kept of a directory whose content is left out.
    pub(crate) fn sole_name(&self, directory: impl AsFd, names: &Names) -> Option<u32> {
        if self.caches
            && let Some(tag) = names.find(CACHE_TAG)
            && has_signature(directory)
        {
            count(&self.counts.caches, true);
            return Some(tag);
        }
        let marker = self.markers.iter().find_map(|marker| names.find(marker))?;
        count(&self.counts.marked, true);
        Some(marker)
    }
}

fn count(counter: &AtomicU64, happened: bool) -> bool {
    if happened {
        counter.fetch_add(1, Ordering::Relaxed);
    }
    happened
}

fn has_signature(directory: impl AsFd) -> bool {
    // Non-blocking: the tag may be a fifo.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let Ok(file) = openat(directory, CACHE_TAG, flags, Mode::empty()) else { return false };
    let mut start = [0u8; CACHE_SIGNATURE.len()];
    let mut filled = 0;
    while filled < start.len() {
        match rustix::io::read(&file, &mut start[filled..]) {
            Ok(0) | Err(_) => return false,
            Ok(length) => filled += length,
        }
    }
    start == CACHE_SIGNATURE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excludes(lines: &[&str]) -> Excludes {
        let mut builder = ExcludesBuilder::default();
        for line in lines {
            builder.pattern(line, "--exclude");
        }
        builder.build().unwrap()
    }

    #[test]
    fn patterns_follow_gitignore_and_match_at_every_depth() {
        let out = excludes(&["*.o", "!keep.o", "target/debug", "/home/*/tmp", "cache/"]);
        for (path, directory, want) in [
            (&b"a/b/x.o"[..], false, true),
            (b"a/keep.o", false, false),
            (b"deep/er/target/debug", true, true),
            (b"home/ann/tmp", true, true),
            (b"x/home/ann/tmp", true, false),
            (b"a/cache", false, false),
            (b"a/cache", true, true),
            (b"a/\xff.o", false, true),
        ] {
            assert_eq!(out.by_pattern(path, directory), want, "{path:?}");
        }
        assert_eq!(out.counted().by_pattern, 5);
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let mut builder = ExcludesBuilder::default();
        builder.pattern("[z-a]", "list, line 3");
        let error = builder.build().unwrap_err();
        assert!(error.message().contains("list, line 3"), "{error}");
    }

    #[test]
    fn sizes_and_nothing() {
        let mut builder = ExcludesBuilder::default();
        let out = builder.larger_than(10).build().unwrap();
        assert!(!out.by_size(10));
        assert!(out.by_size(11));
        assert!(!out.by_pattern(b"a", false));
    }
}
