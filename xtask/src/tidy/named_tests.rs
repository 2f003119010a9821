//! A document that says which test shows something names one that is there.
//!
//! In `code spans`: `file.rs::name`, `folder/file.rs::{one, beginning_of_another…}`, `module::name`, and
//! a bare `beginning_of_a_name…`. All before the name are folders, files, modules or types of it; a name
//! may be that of a module, too: then all of it is meant.

use super::Finding;

const DOCUMENTS: [&str; 2] = ["docs/promises.md", "docs/coming-from-"];

pub(super) fn is_checked(path: &str) -> bool {
    std::path::Path::new(path).extension().is_some_and(|end| end == "md")
        && DOCUMENTS.iter().any(|start| path.starts_with(start))
}

/// A source file as names are looked up in it.
pub(super) struct Source {
    /// Folders, the file's own name, modules and types.
    parts: Vec<String>,
    functions: Vec<String>,
}

impl Source {
    /// `code` is without comments and texts.
    pub(super) fn new(path: &str, code: &str) -> Self {
        let stem = path.trim_end_matches(".rs");
        let mut parts: Vec<String> = stem.split('/').map(str::to_owned).collect();
        let mut functions = Vec::new();
        let words: Vec<&str> = code
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .filter(|w| !w.is_empty())
            .collect();
        for pair in words.windows(2) {
            match pair[0] {
                "fn" => functions.push(pair[1].to_owned()),
                "mod" | "struct" | "enum" | "trait" | "impl" => parts.push(pair[1].to_owned()),
                _ => {}
            }
        }
        Self { parts, functions }
    }

    fn has(&self, wanted: &Wanted) -> bool {
        let Wanted { parts, name, is_beginning } = wanted;
        let fits = |function: &String| match is_beginning {
            true => function.starts_with(name),
            false => function == name,
        };
        let is_there = self.functions.iter().any(fits) || self.parts.iter().any(fits);
        is_there && parts.iter().all(|part| self.parts.contains(part))
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    parts: Vec<String>,
    name: String,
    is_beginning: bool,
}

pub(super) fn check(file: &str, text: &str, sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for span in line.split('`').skip(1).step_by(2) {
            let missing = named(span);
            let missing = missing.iter().filter(|wanted| !sources.iter().any(|s| s.has(wanted)));
            findings.extend(missing.map(|wanted| Finding {
                file: file.to_owned(),
                line: number + 1,
                message: format!("`{span}` names {}, and there is none of that name", wanted.name),
            }));
        }
    }
    findings
}

/// What a code span names; nothing where it is something else.
fn named(span: &str) -> Vec<Wanted> {
    let (place, names) = match span.rsplit_once("::") {
        Some(split) => split,
        None if span.ends_with('…') && span.contains('_') => ("", span),
        None => return Vec::new(),
    };
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let place = place.replace(".rs", "");
    let parts: Vec<String> =
        place.split(['/', ':']).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let names = names.trim_start_matches('{').trim_end_matches('}');
    let mut wanted = Vec::new();
    for name in names.split(',').map(str::trim) {
        let (name, is_beginning) = match name.strip_suffix('…') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let is_plain = |text: &str| !text.is_empty() && text.chars().all(is_word);
        if !is_plain(name) || !parts.iter().all(|part| is_plain(&part.replace('-', "_"))) {
            return Vec::new();
        }
        wanted.push(Wanted { parts: parts.clone(), name: name.to_owned(), is_beginning });
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_must_be_there() {
        let code = "mod tests { fn a_test_that_is_there() {} } struct Change; fn commit() {}";
        let sources = [Source::new("crates/manager/tests/it/lost.rs", code)];
        let missing = |text: &str| check("docs/promises.md", text, &sources).len();
        let there = [
            "`lost.rs::a_test_that_is_there`",
            "`manager/tests/it/lost.rs::a_test…`",
            "`lost::{a_test…, commit}`, `lost::Change::commit`",
            "`a_test_that…`",
            "`it::lost`",
            "`tintype restore ID`, `lost.rs`, `run_log`, `{a, b}::c d`",
        ];
        for text in there {
            assert_eq!(missing(text), 0, "{text}");
        }
        let absent = [
            ("`lost.rs::a_test`", 1),
            ("`found::a_test…`", 1),
            ("`lost::{a_test…, another…}`", 1),
            ("`no_such_test…` and `lost::none`", 2),
        ];
        for (text, count) in absent {
            assert_eq!(missing(text), count, "{text}");
        }
    }
}
