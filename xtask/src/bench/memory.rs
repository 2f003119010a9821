//! On a virtual machine whose hypervisor takes back freed memory, the first touch of a page may
//! cost ten times what later ones cost, and hits whichever command comes next.

use crate::walk::Totals;
use anyhow::Context;
use std::io::Write;
use std::path::Path;

const BLOCK_BYTES: usize = 1 << 20;
const PAGE_BYTES: u64 = 4096;
const MOST_BYTES: u64 = 8 << 30;

/// Touches as much memory as a command on such data may take, and frees it again, so that every
/// command finds memory that is really there. To be called right before it.
pub(super) fn touch(folder: &Path, data: &Totals) -> anyhow::Result<()> {
    let needed = data.bytes.max(data.files * (PAGE_BYTES + 1024)) + (512 << 20);
    let block = vec![1; BLOCK_BYTES];
    let mut file = tempfile::tempfile_in(folder)?;
    for _ in 0..needed.min(MOST_BYTES) / BLOCK_BYTES as u64 {
        file.write_all(&block).context("not enough memory to measure in")?;
    }
    Ok(())
}
