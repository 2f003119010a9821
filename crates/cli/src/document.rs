//! Files that describe something.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;

use crate::exit::usage;

/// The text of one; `-` is standard input.
pub(crate) fn read(path: &Path, most_bytes: u64) -> anyhow::Result<String> {
    let name = path.display();
    let mut text = String::new();
    let read: Box<dyn std::io::Read> = match path.as_os_str() == "-" {
        true => Box::new(std::io::stdin()),
        false => {
            Box::new(std::fs::File::open(path).with_context(|| format!("cannot read {name}"))?)
        }
    };
    read.take(most_bytes + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {name}"))?;
    if text.len() as u64 > most_bytes {
        return Err(usage(format!("{name} is longer than {} MiB", most_bytes >> 20)));
    }
    Ok(text)
}
