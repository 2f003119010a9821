//! Configuration that lies outside of the data directory in more files than one: which files a
//! server reads, kept under their numbers, and how a copy reads its own of them.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where the copies lie in a data directory.
pub(super) const DIRECTORY: &str = "tintype-included";

/// A file that another one includes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Included {
    pub(super) path: PathBuf,
    /// Its name among the copies; none if this user might not read it.
    pub(super) name: Option<String>,
}

/// A configuration that reads the copies where it read the files, and nothing else: `file` is where
/// it was, `included` says for each file where its copy is.
pub(super) fn redirected(text: &str, file: &Path, included: &BTreeMap<PathBuf, String>) -> String {
    let directory = file.parent().unwrap_or(Path::new("/"));
    let mut out = String::new();
    for line in text.lines() {
        let Some((word, value)) = directive(line) else {
            out.extend([line, "\n"]);
            continue;
        };
        out.extend(["# ", line, "\n"]);
        let path = normal(&directory.join(value));
        let is_meant = |found: &&PathBuf| match word {
            // As the server does, by name and without hidden ones.
            Word::Directory => found.parent() == Some(&path),
            Word::File => **found == path,
        };
        for found in included.keys().filter(is_meant) {
            out.extend(["include '", &included[found], "'\n"]);
        }
    }
    out
}

/// As the server names files: without `.` and `..`, whatever they lead through.
fn normal(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(clean.pop()),
            Component::CurDir => {}
            other => clean.push(other),
        }
    }
    clean
}

#[derive(Clone, Copy, PartialEq)]
enum Word {
    File,
    Directory,
}

/// `include_dir = 'conf.d'  # remark`, with or without `=` and quotes.
fn directive(line: &str) -> Option<(Word, String)> {
    let line = line.trim_start();
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(line.len());
    let word = match &line[..end].to_ascii_lowercase()[..] {
        "include" | "include_if_exists" => Word::File,
        "include_dir" => Word::Directory,
        _ => return None,
    };
    let rest = line[end..].trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    let value = match rest.strip_prefix('\'') {
        Some(quoted) => quoted.replace("''", "\0").split('\'').next()?.replace('\0', "'"),
        None => rest.split(|c: char| c.is_whitespace() || c == '#').next()?.to_owned(),
    };
    (!value.is_empty()).then_some((word, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_where_their_copies_are() {
        let paths =
            ["/etc/pg/conf.d/b.conf", "/etc/pg/conf.d/a.conf", "/x/it's.conf", "/etc/other"];
        let included =
            paths.iter().enumerate().map(|(number, path)| (path.into(), format!("at/{number}")));
        let included: BTreeMap<PathBuf, String> = included.collect();
        let text = "port = 1\ninclude_dir = 'conf.d' # all\n include '/x/it''s.conf'\n#include 'y'\n\
                    INCLUDE_IF_EXISTS ../other\nincluded = 1\n";
        let want = "port = 1\n# include_dir = 'conf.d' # all\ninclude 'at/1'\ninclude 'at/0'\n\
                    #  include '/x/it''s.conf'\ninclude 'at/2'\n#include 'y'\n\
                    # INCLUDE_IF_EXISTS ../other\ninclude 'at/3'\nincluded = 1\n";
        assert_eq!(redirected(text, Path::new("/etc/pg/postgresql.conf"), &included), want);
    }
}
