//! Memory-mapped local files: the one `unsafe` of the engine.
//!
//! A mapping is undefined behaviour if somebody truncates or changes the file meanwhile. These
//! files are private to one user (0600 in a 0700 directory), are written under another name,
//! renamed into place complete, and never written again; deleting them does not affect a
//! mapping. Repository files are never mapped.
#![allow(unsafe_code)]

use std::fs::File;

use memmap2::{Advice, Mmap};
use tintype_model::{Error, Result};

pub(super) fn map(file: &File, what: &str) -> Result<Mmap> {
    // SAFETY: see the module's head.
    let map = unsafe { Mmap::map(file) }.map_err(|e| Error::io(e, what))?;
    // Lookups are random; reading ahead would only fill memory. A refusal costs nothing.
    let _ = map.advise(Advice::Random);
    Ok(map)
}
