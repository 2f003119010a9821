//! No file over 1 MiB, except fixtures: a repository is cloned often and never shrinks.

use super::Finding;
use super::tracked::File;

const LIMIT_BYTES: usize = 1 << 20;

pub(super) fn check(file: &File) -> Option<Finding> {
    if file.bytes.len() <= LIMIT_BYTES || file.path.starts_with("tests/fixtures/") {
        return None;
    }
    let message =
        format!("{} bytes; the limit is {LIMIT_BYTES} outside tests/fixtures", file.bytes.len());
    Some(Finding { file: file.path.clone(), line: 1, message })
}
