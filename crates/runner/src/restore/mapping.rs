//! From tree paths to target paths.

use tintype_model::entry::{file_name, is_within, path_order};
use tintype_model::{Error, Result};

/// One subtree and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// In the tree; everything at and below it.
    pub from: Vec<u8>,
    /// Relative to the target's base; empty: its content goes directly into the base.
    pub to: Vec<u8>,
}

/// Rules in tree order that do not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub rules: Vec<Rule>,
}

const CAPTURED: &[u8] = b"files";

impl Mapping {
    /// Each captured root below the target by its last name. Of several with one name the
    /// later get a number; those that are symlinks (`links`) come after all others.
    pub fn by_name(roots: &[Vec<u8>], links: &[Vec<u8>]) -> Self {
        let mut roots = outermost(roots);
        roots.sort_by_key(|root| links.contains(root));
        let mut rules: Vec<Rule> = Vec::new();
        for from in roots {
            let name = if from == CAPTURED { &b""[..] } else { file_name(&from) };
            let numbered = (2..).map(|number| [name, format!("-{number}").as_bytes()].concat());
            let to = std::iter::once(name.to_vec())
                .chain(numbered)
                .find(|to| rules.iter().all(|rule| rule.to != *to))
                .expect("numbers do not end");
            rules.push(Rule { from, to });
        }
        rules.sort_by(|a, b| path_order(&a.from, &b.from));
        Self { rules }
    }

    /// Each captured root where it was; the base is `/`.
    pub fn in_place(roots: &[Vec<u8>]) -> Result<Self> {
        let rules = outermost(roots).into_iter().map(|from| {
            let to = match from.strip_prefix(CAPTURED) {
                Some(b"") => Vec::new(),
                Some(rest) if rest[0] == b'/' => rest[1..].to_vec(),
                _ => {
                    return Err(Error::unsupported(format!(
                        "{} was not captured as files of a path: what a snapshot holds of resources \
                         is restored in place with --resources --in-place; --to DIR restores files",
                        String::from_utf8_lossy(&from)
                    )));
                }
            };
            Ok(Rule { from, to })
        });
        Ok(Self { rules: rules.collect::<Result<_>>()? })
    }

    /// One path: the content of a directory into the base, anything else by its name.
    pub fn of_path(from: &[u8], is_directory: bool) -> Self {
        let to = if is_directory { Vec::new() } else { file_name(from).to_vec() };
        Self { rules: vec![Rule { from: from.to_vec(), to }] }
    }

    /// Where `path` goes under `rule`; `None` for the root of a rule whose content goes into
    /// the base: the base is the user's.
    pub fn target(rule: &Rule, path: &[u8]) -> Option<Vec<u8>> {
        let rest = &path[rule.from.len()..];
        match (rule.to.is_empty(), rest.is_empty()) {
            (true, true) => None,
            (true, false) => Some(rest[1..].to_vec()),
            (false, _) => Some([&rule.to, rest].concat()),
        }
    }
}

fn outermost(roots: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut sorted = roots.to_vec();
    sorted.sort_by(|a, b| path_order(a, b));
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for root in sorted {
        if !kept.last().is_some_and(|last| is_within(&root, last)) {
            kept.push(root);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(paths: &[&str]) -> Vec<Vec<u8>> {
        paths.iter().map(|p| p.as_bytes().to_vec()).collect()
    }

    #[test]
    fn roots_go_below_the_target_by_name() {
        let named = |paths: &[&str], links: &[&str]| {
            let mapping = Mapping::by_name(&roots(paths), &roots(links));
            let to = mapping.rules.iter().map(|r| String::from_utf8_lossy(&r.to).into_owned());
            to.collect::<Vec<_>>()
        };
        assert_eq!(named(&["files/home/a", "files/etc", "files/home/a/b"], &[]), ["etc", "a"]);
        assert_eq!(named(&["files/x/a", "files/y/a", "files/z/a-2"], &[]), ["a", "a-2", "a-2-2"]);
        assert_eq!(named(&["files/x/a", "files/y/a"], &["files/x/a"]), ["a-2", "a"]);
    }

    #[test]
    fn the_whole_system_goes_into_the_target_itself() {
        let mapping = Mapping::by_name(&roots(&["files"]), &[]);
        assert_eq!(Mapping::target(&mapping.rules[0], b"files"), None);
        assert_eq!(Mapping::target(&mapping.rules[0], b"files/etc"), Some(b"etc".to_vec()));
    }
}
