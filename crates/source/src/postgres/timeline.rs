//! Timelines of a restored cluster, and the archive that its log goes to: a recovery takes the first
//! number that it does not know to be taken, and an archive refuses what it has already.

use std::io::Read as _;
use std::path::Path;

use tintype_model::plan::Check;
use tintype_model::{Error, Result};

use super::place::Place;
use super::unpack;
use crate::host::account::acting;

const MOST_BYTES: u64 = 1 << 20;

impl Place {
    /// A new timeline takes the first number that nobody has. An archive is not asked, but what
    /// stands there knows its own ones.
    pub(super) fn check_archive(&self) -> Option<Check> {
        let known = self.histories();
        let next = (self.timeline + 1..=u32::MAX).find(|timeline| !known.contains(timeline))?;
        (self.archives && !self.is_new).then(|| {
            let reason = format!(
                "the server will archive its log on timeline {next}: where an earlier restore did, \
                 too, whose data directory is gone, archiving will fail"
            );
            let cure = format!(
                "if the archive has {next:08X}.history or {next:08X}…, move these aside, or give \
                 archive_command a new directory"
            );
            Check::warn("archive", reason, cure)
        })
    }

    /// Timelines later than that of the snapshot, of which what stands there has the history.
    fn histories(&self) -> Vec<u32> {
        let log = self.data.join("pg_wal");
        let names = acting(self.account, || std::fs::read_dir(&log)).into_iter().flatten();
        let names = names.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let timelines = names.filter_map(|name| {
            let digits = name.strip_suffix(".history").filter(|digits| digits.len() == 8)?;
            u32::from_str_radix(digits, 16).ok()
        });
        timelines.filter(|timeline| !self.is_new && *timeline > self.timeline).collect()
    }

    /// So that the recovery does not take the number of a timeline that was there already.
    pub(super) fn keep_histories(&self, staged: &Path) -> Result<()> {
        for timeline in self.histories() {
            let name = format!("pg_wal/{timeline:08X}.history");
            let path = staged.join(&name);
            let from = self.data.join(&name);
            let copied = acting(self.account, || std::fs::File::open(&from))
                .and_then(|file| unpack::file(&path, self.account, &mut file.take(MOST_BYTES)));
            copied.map_err(|error| Error::io(error, from.display()))?;
        }
        Ok(())
    }

    /// The captured server has archived this part of the log, or will: a second one of its name would
    /// be refused by the archive, and nothing would be archived after it.
    pub(super) fn mark_archived(&self, segment: &Path) -> Result<()> {
        let name = segment.file_name().unwrap_or_default().to_string_lossy();
        let done = segment.with_file_name(format!("archive_status/{name}.done"));
        self.write(&done, "")
    }

    /// The server that recovers does not archive; the one that goes on has to begin with where its
    /// timeline comes from.
    pub(super) fn announce_history(&self, staged: &Path, timeline: u32) -> Result<()> {
        if self.is_new || !self.archives {
            return Ok(());
        }
        let ready = format!("pg_wal/archive_status/{timeline:08X}.history.ready");
        self.write(&staged.join(ready), "")
    }
}
