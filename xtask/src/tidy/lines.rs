//! A source file that cannot be read in one sitting is split.

use super::Finding;

const LIMIT: usize = 800;

pub(super) fn check(file: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    (lines > LIMIT).then(|| Finding {
        file: file.to_owned(),
        line: LIMIT + 1,
        message: format!("{lines} lines; the limit is {LIMIT}"),
    })
}
