//! Results and events: text for people, or one JSON object per line (docs/json.md).
//! Standard output carries results only; everything else goes to standard error.

use std::borrow::Cow;
use std::io::Write as _;

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use tintype_engine::id::encode_hex;

use crate::exit::{self, Exit};
use crate::terminal;

pub(crate) struct Report {
    json: bool,
    quiet: bool,
    verbose: bool,
}

/// How a command ended, and the figures of its last event.
pub(crate) struct Done {
    pub(crate) exit: Exit,
    pub(crate) figures: Map<String, Value>,
}

impl Done {
    /// `figures` is a JSON object.
    pub(crate) fn of(exit: Exit, figures: Value) -> Self {
        let figures = if let Value::Object(figures) = figures { figures } else { Map::new() };
        Self { exit, figures }
    }
}

impl Report {
    pub(crate) fn new(json: bool, quiet: bool, verbose: bool) -> Self {
        Self { json, quiet, verbose }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// A line of the result, for people.
    pub(crate) fn text(&self, line: impl AsRef<str>) -> anyhow::Result<()> {
        if self.json {
            return Ok(());
        }
        raw(format!("{}\n", crate::show::harmless(line.as_ref())).as_bytes())
    }

    /// An event for programs; `fields` is a JSON object. Nothing without `--json`.
    pub(crate) fn event(&self, event: &str, fields: Value) -> anyhow::Result<()> {
        if !self.json {
            return Ok(());
        }
        let mut line = Map::new();
        line.insert("event".into(), event.into());
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        raw(text.as_bytes())
    }

    /// Something to know; not with `--quiet`.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        if !self.quiet && !self.json {
            terminal::line(text.as_ref());
        }
    }

    /// Something to know for those who asked for more.
    pub(crate) fn detail(&self, text: impl AsRef<str>) {
        if self.verbose {
            self.note(text);
        }
    }

    /// Something that should not be so, while work goes on.
    pub(crate) fn warn(&self, text: impl AsRef<str>) {
        if self.json {
            let _ = self.event("warning", json!({ "message": text.as_ref() }));
        } else {
            terminal::line(&format!("warning: {}", text.as_ref()));
        }
    }

    /// A path with what is wrong with it.
    pub(crate) fn problem(&self, kind: &str, path: &[u8], message: &str) -> anyhow::Result<()> {
        self.problem_at(kind, path, &crate::show::path(path), message)
    }

    /// The same, where people know the path by another name than programs.
    pub(crate) fn problem_at(
        &self,
        kind: &str,
        path: &[u8],
        shown: &str,
        message: &str,
    ) -> anyhow::Result<()> {
        if self.json {
            let fields = json!({ "kind": kind, "message": message });
            return self.event("problem", with_bytes(fields, "path", path));
        }
        terminal::line(&format!("{kind}: {shown}: {message}"));
        Ok(())
    }

    /// Why a command failed.
    pub(crate) fn failure(&self, error: &anyhow::Error, code: Exit) {
        let causes: Vec<String> = causes(error);
        let hint = exit::hint(error);
        if self.json {
            let kind = exit::kind_of(error).map(|kind| format!("{kind:?}"));
            let kind = kind.unwrap_or_else(|| "Usage".to_owned());
            let _ = self.event(
                "error",
                json!({
                    "kind": kebab(&kind), "message": error.to_string(), "causes": causes,
                    "hint": hint, "exit_code": code.code(),
                }),
            );
        }
        terminal::line(&format!("error: {error}"));
        for cause in causes {
            terminal::line(&format!("  because: {cause}"));
        }
        if let Some(hint) = hint {
            terminal::line(&format!("hint: {hint}"));
        }
    }
}

/// Bytes that are the result.
pub(crate) fn raw(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    written.context("cannot write to standard output")
}

/// What stands behind an error, without what its message says already.
fn causes(error: &anyhow::Error) -> Vec<String> {
    let mut said = error.to_string();
    let mut causes = Vec::new();
    for cause in error.chain().skip(1) {
        let text = cause.to_string();
        if !said.contains(&text) {
            said.clone_from(&text);
            causes.push(text);
        }
    }
    causes
}

fn kebab(name: &str) -> String {
    let mut out = String::new();
    for (at, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && at > 0 {
            out.push('-');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// Adds bytes that should be text, a path or a name, to the fields of an event. What is not UTF-8
/// is U+FFFD in the text, and the bytes themselves are beside it: `path_hex` beside `path`.
pub(crate) fn with_bytes(mut fields: Value, name: &str, bytes: &[u8]) -> Value {
    let Value::Object(map) = &mut fields else { return fields };
    let text = String::from_utf8_lossy(bytes);
    if matches!(text, Cow::Owned(_)) {
        map.insert(format!("{name}_hex"), encode_hex(bytes).into());
    }
    map.insert(name.to_owned(), text.into());
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let error = anyhow::anyhow!("disk on fire").context("cannot write: disk on fire");
        assert!(causes(&error).is_empty());
        assert_eq!(causes(&anyhow::anyhow!("a").context("b")), ["a"]);
        assert_eq!(kebab("WrongKey"), "wrong-key");
    }

    #[test]
    fn bytes_that_are_no_text_are_beside_the_text() {
        let fields = |bytes| with_bytes(json!({ "size": 1 }), "path", bytes);
        assert_eq!(fields(b"a/b"), json!({ "size": 1, "path": "a/b" }));
        let both = json!({ "size": 1, "path": "a\u{fffd}", "path_hex": "61ff" });
        assert_eq!(fields(b"a\xff"), both);
    }
}
