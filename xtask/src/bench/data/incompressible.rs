//! A: a few large files of random bytes.

use super::rng::Rng;
use crate::interrupt;
use std::fs::File;
use std::io::Write;
use std::path::Path;

pub(super) struct Shape {
    files: u64,
    file_bytes: usize,
}

impl Shape {
    pub(super) fn describe(&self) -> String {
        format!("{} files of {} random bytes", self.files, self.file_bytes)
    }
}

pub(super) fn shape(smoke: bool) -> Shape {
    Shape { files: 8, file_bytes: if smoke { 1 << 20 } else { 256 << 20 } }
}

pub(super) fn make(root: &Path, shape: &Shape) -> anyhow::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    for number in 0..shape.files {
        let mut rng = Rng::new(0xA000 + number);
        let mut file = File::create(root.join(format!("random-{number}.bin")))?;
        for _ in 0..shape.file_bytes / buffer.len() {
            interrupt::check()?;
            rng.fill(&mut buffer);
            file.write_all(&buffer)?;
        }
    }
    Ok(())
}
