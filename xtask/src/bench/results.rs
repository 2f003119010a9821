//! Figures, kept in the cache per machine, so that peers need not run each time.

use super::machine::Machine;
use super::measure::Usage;
use super::sets::{Medium, Op, Set};
use super::sources::Figure;
use crate::paths;
use crate::walk::Totals;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One measured command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Sample {
    #[serde(flatten)]
    pub(super) usage: Usage,
    /// Idle share of the machine right before, in percent.
    pub(super) idle_percent: f64,
    /// Size of the repository afterwards; unknown for a repository in an object store.
    pub(super) stored_bytes: Option<u64>,
    /// What the tool says it sent, and in how many requests.
    pub(super) written_bytes: Option<u64>,
    pub(super) requests: Option<u64>,
}

/// All samples of one operation of one tool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) set: Set,
    pub(super) medium: Medium,
    pub(super) op: Op,
    pub(super) tool: String,
    pub(super) version: String,
    /// Identifies the data; see [`super::data::recipe`].
    pub(super) recipe: String,
    pub(super) totals: Totals,
    pub(super) date: String,
    pub(super) samples: Vec<Sample>,
}

impl Record {
    fn is_same_place(&self, other: &Self) -> bool {
        let place = |of: &Self| (of.set, of.medium, of.op);
        place(self) == place(other) && self.tool == other.tool
    }

    pub(super) fn median(&self, value: impl Fn(&Sample) -> f64) -> f64 {
        let mut values: Vec<f64> = self.samples.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        match (values.len(), values.len() / 2) {
            (0, _) => f64::NAN,
            (length, middle) if length % 2 == 1 => values[middle],
            (_, middle) => f64::midpoint(values[middle - 1], values[middle]),
        }
    }

    pub(super) fn seconds(&self) -> f64 {
        self.median(|sample| sample.usage.seconds)
    }

    pub(super) fn peak_rss_mib(&self) -> f64 {
        self.samples.iter().map(|sample| sample.usage.peak_rss_kib).max().unwrap_or(0) as f64
            / 1024.0
    }

    pub(super) fn last(&self, value: impl Fn(&Sample) -> Option<u64>) -> Option<u64> {
        self.samples.last().and_then(value)
    }
}

/// Figures of the synthetic index (set F).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct IndexRecord {
    pub(super) chunks: u64,
    pub(super) open_seconds: f64,
    pub(super) peak_rss_kib: u64,
    pub(super) lookups_per_second: f64,
}

/// How fast the machine does the same without a repository (goals of the engine's bars).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Floor {
    pub(super) set: Set,
    pub(super) recipe: String,
    pub(super) walk_seconds: f64,
    pub(super) create_seconds: f64,
}

/// Everything known about one machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Results {
    pub(super) machine: Machine,
    pub(super) records: Vec<Record>,
    pub(super) floors: Vec<Floor>,
    pub(super) index: Option<IndexRecord>,
    /// Of set P.
    #[serde(default)]
    pub(super) figures: Vec<Figure>,
}

impl Results {
    /// Stored figures of this machine, or none yet.
    pub(super) fn load() -> anyhow::Result<Self> {
        let machine = Machine::here();
        let file = file(&machine)?;
        if !file.exists() {
            let (records, floors, figures) = (Vec::new(), Vec::new(), Vec::new());
            return Ok(Self { machine, records, floors, index: None, figures });
        }
        serde_json::from_slice(&std::fs::read(&file)?)
            .with_context(|| format!("{} is damaged; remove it", file.display()))
    }

    pub(super) fn save(&self) -> anyhow::Result<PathBuf> {
        let file = file(&self.machine)?;
        let beside = file.with_extension("json.new");
        std::fs::write(&beside, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&beside, &file)?;
        Ok(file)
    }

    /// Adds a record; the older one of the same tool at the same place goes.
    pub(super) fn put(&mut self, record: Record) {
        self.records.retain(|old| !old.is_same_place(&record));
        self.records.push(record);
    }

    pub(super) fn put_floor(&mut self, floor: Floor) {
        self.floors.retain(|old| old.set != floor.set);
        self.floors.push(floor);
    }

    /// In the place of the one of that name, or at the end.
    pub(super) fn put_figure(&mut self, figure: Figure) {
        match self.figures.iter_mut().find(|old| old.name == figure.name) {
            Some(old) => *old = figure,
            None => self.figures.push(figure),
        }
    }

    pub(super) fn get(&self, set: Set, medium: Medium, op: Op, tool: &str) -> Option<&Record> {
        let mut records = self.records.iter();
        records.find(|r| (r.set, r.medium, r.op) == (set, medium, op) && r.tool == tool)
    }

    pub(super) fn floor(&self, set: Set) -> Option<&Floor> {
        self.floors.iter().find(|floor| floor.set == set)
    }
}

fn file(machine: &Machine) -> anyhow::Result<PathBuf> {
    let folder = paths::cache()?.join("bench-results");
    std::fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("{}.json", machine.slug())))
}
