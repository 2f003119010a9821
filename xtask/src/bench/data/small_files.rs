//! C: half a million small files in folders of a thousand. E: a million tiny files in one folder.

use super::super::sets::Set;
use super::rng::Rng;
use crate::interrupt;
use std::path::Path;

pub(super) struct Shape {
    seed: u64,
    files: u64,
    files_per_folder: u64,
    min_bytes: u64,
    max_bytes: u64,
}

impl Shape {
    pub(super) fn describe(&self) -> String {
        format!(
            "{} files of {} to {} bytes, half words, half random, {} in a folder",
            self.files, self.min_bytes, self.max_bytes, self.files_per_folder
        )
    }
}

pub(super) fn shape(set: Set, smoke: bool) -> Shape {
    let shrink = if smoke { 500 } else { 1 };
    if set == Set::C {
        let (files, files_per_folder) = (500_000 / shrink, 1_000 / shrink.min(10));
        return Shape { seed: 0xC000, files, files_per_folder, min_bytes: 100, max_bytes: 4096 };
    }
    let files = 1_000_000 / shrink;
    Shape { seed: 0xE000, files, files_per_folder: files, min_bytes: 16, max_bytes: 64 }
}

const WORDS: [&str; 32] = [
    "server", "value", "of", "the", "error", "config", "index", "path", "name", "true", "false",
    "and", "return", "list", "state", "user", "time", "request", "with", "data", "version", "not",
    "found", "size", "key", "table", "file", "update", "read", "write", "open", "close",
];

pub(super) fn make(root: &Path, shape: &Shape) -> anyhow::Result<()> {
    let mut rng = Rng::new(shape.seed);
    let mut content = Vec::new();
    let mut folder = root.to_owned();
    for number in 0..shape.files {
        if number % shape.files_per_folder == 0 {
            interrupt::check()?;
            folder = root.join(format!("folder-{:04}", number / shape.files_per_folder));
            std::fs::create_dir(&folder)?;
        }
        fill(&mut rng, shape, &mut content);
        std::fs::write(folder.join(format!("file-{number:07}.dat")), &content)?;
    }
    Ok(())
}

fn fill(rng: &mut Rng, shape: &Shape, content: &mut Vec<u8>) {
    let length = (shape.min_bytes + rng.below(shape.max_bytes - shape.min_bytes + 1)) as usize;
    content.clear();
    while content.len() < length / 2 {
        content.extend_from_slice(WORDS[rng.below(WORDS.len() as u64) as usize].as_bytes());
        content.push(if rng.below(10) == 0 { b'\n' } else { b' ' });
    }
    content.resize(length.max(content.len()), 0);
    let words = length / 2;
    rng.fill(&mut content[words..]);
    content.truncate(length);
}
