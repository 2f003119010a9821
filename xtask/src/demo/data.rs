//! Picks a few hundred megabytes of real files that this machine has.

use crate::walk;
use crate::{interrupt, sh::Sh};
use anyhow::bail;
use std::path::Path;

const ENOUGH_BYTES: u64 = 200_000_000;
const MOST_BYTES: u64 = 700_000_000;

/// Documentation, headers, libraries: present on most systems, readable by everybody.
const CANDIDATES: [&str; 11] = [
    "/usr/share/doc",
    "/usr/include",
    "/usr/lib/python3",
    "/usr/lib/python3.11",
    "/usr/share/man",
    "/usr/share/perl",
    "/usr/share/locale",
    "/usr/lib/gcc",
    "/usr/share",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib",
];

/// Copies candidates below `data` until there is enough; returns their names for the reader.
pub(super) fn gather(data: &Path) -> anyhow::Result<String> {
    std::fs::create_dir(data)?;
    let mut taken: Vec<&str> = Vec::new();
    let mut sum = 0;
    for candidate in CANDIDATES {
        interrupt::check()?;
        let is_inside = taken.iter().any(|other| other.starts_with(candidate));
        if sum >= ENOUGH_BYTES || is_inside || !Path::new(candidate).is_dir() {
            continue;
        }
        let Ok(totals) = walk::totals(Path::new(candidate)) else { continue };
        if totals.bytes > 0 && sum + totals.bytes <= MOST_BYTES {
            let name = candidate.trim_start_matches('/').replace('/', "-");
            Sh::new("cp").arg("-a").arg(candidate).arg(data.join(name)).run()?;
            taken.push(candidate);
            sum += totals.bytes;
        }
    }
    if taken.is_empty() {
        bail!("none of {} can be read here", CANDIDATES.join(", "));
    }
    Ok(taken.join(", "))
}
