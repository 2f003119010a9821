//! A document that says which story of the console shows something names one that is told.
//!
//! In `code spans`: `first.spec.ts: beginning of a title…`, a file of `console/stories` and a title of it.

use super::Finding;

const FOLDER: &str = "console/stories/";
const END: &str = ".spec.ts";

/// What is told in a file of stories.
pub(super) struct Stories {
    file: String,
    titles: Vec<String>,
}

impl Stories {
    /// Nothing where the file is none of stories.
    pub(super) fn of(path: &str, text: &str) -> Option<Self> {
        let file = path.strip_prefix(FOLDER)?;
        if !file.ends_with(END) {
            return None;
        }
        Some(Self { file: file.to_owned(), titles: titles(text) })
    }

    fn tells(&self, file: &str, title: &str) -> bool {
        let fits = |told: &String| match title.strip_suffix('…') {
            Some(beginning) => told.starts_with(beginning.trim_end()),
            None => told == title,
        };
        self.file == file && self.titles.iter().any(fits)
    }
}

/// The first argument of each `test(`.
fn titles(text: &str) -> Vec<String> {
    let begun = text.split("test(").skip(1);
    begun
        .filter_map(|rest| {
            let rest = rest.trim_start();
            let quote = rest.chars().next().filter(|first| "\"'`".contains(*first))?;
            let (title, _) = rest[1..].split_once(quote)?;
            Some(title.to_owned())
        })
        .collect()
}

pub(super) fn check(file: &str, text: &str, stories: &[Stories]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for span in line.split('`').skip(1).step_by(2) {
            let Some((place, title)) = named(span) else { continue };
            if stories.iter().any(|each| each.tells(place, title)) {
                continue;
            }
            let message = format!("`{span}` names a story, and there is none of that title");
            findings.push(Finding { file: file.to_owned(), line: number + 1, message });
        }
    }
    findings
}

/// The file and the title that a code span names; nothing where it is something else.
fn named(span: &str) -> Option<(&str, &str)> {
    span.split_once(": ").filter(|(place, _)| place.ends_with(END))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = "test(\"a snapshot is taken, and looked at\", async () => {});\n\
                        test(`every screen at ${width} px`, async () => {});\n\
                        const value = latest(other);";

    #[test]
    fn what_is_named_must_be_told() {
        let stories: Vec<Stories> =
            Stories::of("console/stories/first.spec.ts", TOLD).into_iter().collect();
        let missing = |text: &str| check("docs/coming-from-harness.md", text, &stories).len();
        let there = [
            "`first.spec.ts: a snapshot is taken, and looked at`",
            "`first.spec.ts: a snapshot is…`, `first.spec.ts: every screen at…`",
            "`first.spec.ts`, `tintype: a snapshot`",
        ];
        for text in there {
            assert_eq!(missing(text), 0, "{text}");
        }
        let absent = ["`first.spec.ts: a snapshot is`", "`other.spec.ts: a snapshot is…`"];
        for text in absent {
            assert_eq!(missing(text), 1, "{text}");
        }
    }

    #[test]
    fn only_stories_are_read() {
        assert!(Stories::of("console/stories/lab/index.ts", TOLD).is_none());
        assert!(Stories::of("console/src/first.spec.ts", TOLD).is_none());
    }
}
