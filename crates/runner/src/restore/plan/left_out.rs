//! What the options that a snapshot was taken with left out, as its manifest records them
//! (docs/format.md §11.2): no snapshot holds it, so it is not deleted because this one does not.

use serde_json::Value;
use tintype_source::files::{Excludes, ExcludesBuilder};

#[derive(Default)]
pub(super) struct LeftOut {
    pub excludes: Excludes,
    pub one_file_system: bool,
}

impl LeftOut {
    /// The error says why nobody knows what was left out.
    pub(super) fn of(options: &Value) -> Result<Self, String> {
        let mut builder = ExcludesBuilder::default();
        let patterns = match &options["exclude_patterns"] {
            Value::Null if has_items(&options["exclude_files"]) => {
                return Err(unknown("the patterns of its --exclude-file were not recorded"));
            }
            Value::Null => &options["exclude"],
            patterns => patterns,
        };
        for pattern in texts(patterns)? {
            builder.pattern(pattern, "the snapshot's options");
        }
        for name in texts(&options["exclude_if_present"])? {
            builder.if_present(name.as_ref());
        }
        builder.caches(is_set(&options["exclude_caches"])?);
        match &options["exclude_larger_than"] {
            Value::Null => {}
            size => {
                let size = size.as_u64().ok_or_else(unreadable)?;
                builder.larger_than(size);
            }
        }
        let excludes = builder.build().map_err(|error| unknown(&error.to_string()))?;
        Ok(Self { excludes, one_file_system: is_set(&options["one_file_system"])? })
    }
}

fn unknown(why: &str) -> String {
    format!("nobody knows what was left out when the snapshot was taken: {why}")
}

fn unreadable() -> String {
    unknown("its options are recorded in a way that this version does not know")
}

fn has_items(list: &Value) -> bool {
    list.as_array().is_none_or(|items| !items.is_empty()) && !list.is_null()
}

fn texts(list: &Value) -> Result<Vec<&str>, String> {
    if list.is_null() {
        return Ok(Vec::new());
    }
    // A name that was not UTF-8 is not recorded as it was.
    let text = |item| Value::as_str(item).filter(|text| !text.contains('\u{fffd}'));
    let items = list.as_array().ok_or_else(unreadable)?;
    items.iter().map(|item| text(item).ok_or_else(unreadable)).collect()
}

fn is_set(flag: &Value) -> Result<bool, String> {
    match flag {
        Value::Null => Ok(false),
        flag => flag.as_bool().ok_or_else(unreadable),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::LeftOut;

    #[test]
    fn what_is_not_recorded_is_not_guessed() {
        let why = |options| LeftOut::of(&options).err().unwrap_or_default();
        assert_eq!(why(json!(null)), "");
        assert_eq!(why(json!({ "exclude": ["*.o"], "exclude_files": [] })), "");
        assert_eq!(why(json!({ "exclude_files": ["list"], "exclude_patterns": ["*.o"] })), "");
        assert!(why(json!({ "exclude_files": ["list"] })).contains("--exclude-file"));
        assert!(why(json!({ "exclude": "*.o" })).contains("nobody knows"));
        assert!(why(json!({ "exclude_if_present": ["\u{fffd}"] })).contains("nobody knows"));
        assert!(why(json!({ "exclude_larger_than": "10M" })).contains("nobody knows"));
    }
}
