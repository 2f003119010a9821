//! Care of a repository: deletion, gc, verification.

use std::collections::HashSet;

use tintype_engine::cancel::Cancel;
use tintype_engine::format::records::Change;
use tintype_engine::gc::{GcOptions, GcReport};
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::verify::{Depth, Severity, VerifyEvent, VerifyOptions, VerifyReport};
use tintype_model::Result;

use super::{Vault, WAITING_WORKERS, processors};
use crate::progress::Progress;

/// For pieces of packs that are read at the same time.
const VERIFY_BYTES: u64 = 128 << 20;

impl Vault {
    /// Frees what no snapshot needs.
    pub fn gc(&self, cancel: &Cancel) -> Result<GcReport> {
        self.repository.close_abandoned()?;
        self.repository.gc(&GcOptions { cancel: cancel.clone(), ..GcOptions::default() })
    }

    /// Looks at everything, and reads `percent` of the packs whole, others each time. The result is
    /// noted at every snapshot.
    pub fn verify(
        &self,
        percent: f64,
        by: &str,
        cancel: &Cancel,
        progress: &Progress,
    ) -> Result<VerifyReport> {
        let seed = u64::from_le_bytes(self.host.env.bytes());
        let depth = match percent {
            _ if percent <= 0.0 => Depth::Metadata,
            _ if percent >= 100.0 => Depth::All,
            percent => Depth::Sample { percent, seed },
        };
        let known = HashSet::new();
        let plan = self.repository.plan_verify(depth, &known)?;
        Progress::add(&progress.total_bytes, plan.whole_bytes);
        let on_event = |event| {
            if let VerifyEvent::Done { count, bytes } = event {
                Progress::add(&progress.entries, count);
                Progress::add(&progress.bytes, bytes);
            }
        };
        let options = VerifyOptions {
            depth,
            verified: &known,
            secret: None,
            workers: processors().max(WAITING_WORKERS),
            memory_bytes: VERIFY_BYTES,
            cancel,
            on_event: &on_event,
        };
        let report = self.repository.verify(&plan, &options)?;
        if report.complete {
            let listing = self.snapshots()?;
            self.note_verified(&listing.snapshots, percent, &report, by)?;
        }
        Ok(report)
    }

    fn note_verified(
        &self,
        snapshots: &[Snapshot],
        percent: f64,
        report: &VerifyReport,
        by: &str,
    ) -> Result<()> {
        for snapshot in snapshots {
            let touched = report.findings.iter().filter(|finding| {
                finding.severity == Severity::Damage
                    && finding.affected.iter().any(|a| a.snapshots.contains(&snapshot.id))
            });
            let data_percent = percent.clamp(0.0, 100.0) as u8;
            let damaged = touched.count() as u64;
            self.change(snapshot, by, Change::Verified { data_percent, damaged })?;
        }
        Ok(())
    }
}
