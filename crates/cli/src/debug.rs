//! Measurements for developers: `tintype debug …`.

mod catalog;
mod due;
mod load;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::json;
use tintype_engine::env::Env;
use tintype_engine::format::frame::Kind;
use tintype_engine::id::{ContentId, RandomId};
use tintype_engine::index::local::LocalSegment;
use tintype_engine::index::segment::{PackRow, Record, Segment};
use tintype_engine::index::{Index, PackClass, PackId};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Open and search an index of synthetic chunks
    IndexBench(IndexBench),
    /// Fill the catalog of a manager that does not run
    FillCatalog(catalog::Fill),
    /// Ask a manager at a steady rate, and tell how long its answers take
    Load(load::Load),
    /// Make profiles of all tenants due in one minute, and count what came of it
    Due(due::Due),
}

#[derive(clap::Args)]
struct IndexBench {
    /// How many
    #[arg(long)]
    chunks: u64,
    /// Where the index lies; made unless it is there
    #[arg(long)]
    dir: PathBuf,
    /// How many are looked up, half of them unknown
    #[arg(long, default_value_t = 200_000)]
    lookups: u64,
    /// Do not make anything: be the process that is measured
    #[arg(long, hide = true)]
    measure: bool,
}

/// Records of one segment.
const SLICE: u64 = 4 << 20;
/// Chunks of one synthetic pack.
const PACK_CHUNKS: u64 = 64;

impl Args {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            What::IndexBench(bench) if bench.measure => bench.measure(),
            What::IndexBench(bench) => bench.run(),
            What::FillCatalog(fill) => fill.run(),
            What::Load(load) => load.run(),
            What::Due(due) => due.run(),
        }
    }
}

impl IndexBench {
    /// Makes what is missing, then measures in a process that has done nothing else.
    fn run(&self) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.dir)
            .with_context(|| format!("cannot make {}", self.dir.display()))?;
        for number in 0..self.slices() {
            let path = self.path(number);
            let records = self.records(number);
            let is_there =
                LocalSegment::open(&path).is_ok_and(|s| u64::from(s.records()) == records);
            if !is_there {
                LocalSegment::build(&synthetic(number, records), Some(&path))?;
            }
        }
        let program = std::env::current_exe().context("cannot find this program")?;
        let status = Command::new(program)
            .args(["debug", "index-bench", "--measure", "--dir"])
            .arg(&self.dir)
            .args(["--chunks", &self.chunks.to_string(), "--lookups", &self.lookups.to_string()])
            .status()
            .context("cannot start the measured process")?;
        anyhow::ensure!(status.success(), "the measured process failed ({status})");
        Ok(())
    }

    fn measure(&self) -> anyhow::Result<()> {
        let clock = Env::system().clock;
        let start = clock.elapsed();
        let open = |number| LocalSegment::open(&self.path(number)).map(std::sync::Arc::new);
        let segments = (0..self.slices()).map(open).collect::<Result<Vec<_>, _>>()?;
        let index = Index { segments, ..Index::default() };
        let opened = clock.elapsed();
        let mut found = 0u64;
        let wanted: Vec<ContentId> = (0..self.lookups).map(|n| self.wanted(n)).collect();
        let searching = clock.elapsed();
        for id in &wanted {
            found += u64::from(index.is_reusable(id)?);
        }
        let seconds = clock.elapsed().saturating_sub(searching).as_secs_f64();
        anyhow::ensure!(
            found == self.lookups.div_ceil(2) || self.chunks == 0,
            "{found} of {} were found",
            self.lookups
        );
        let figures = json!({
            "open_seconds": opened.saturating_sub(start).as_secs_f64(),
            "peak_rss_kib": peak_rss_kib()?,
            "lookups_per_second": self.lookups as f64 / seconds,
            "segments": self.slices(),
            "chunks": self.chunks,
            "lookups": self.lookups,
        });
        println!("{figures}");
        Ok(())
    }

    fn slices(&self) -> u64 {
        self.chunks.div_ceil(SLICE)
    }

    fn records(&self, number: u64) -> u64 {
        SLICE.min(self.chunks - number * SLICE)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("segment-{number}"))
    }

    /// Every second one exists; they are spread over all segments.
    fn wanted(&self, n: u64) -> ContentId {
        let at = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % self.chunks.max(1);
        if n.is_multiple_of(2) { id_at(at) } else { id_at(self.chunks + at) }
    }
}

/// The id of synthetic chunk number `n`: a position in one long seeded stream.
fn id_at(n: u64) -> ContentId {
    let mut id = [0; 32];
    let mut stream = stream();
    stream.set_position(n * 32);
    stream.fill(&mut id);
    ContentId(id)
}

fn stream() -> blake3::OutputReader {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"tintype index bench");
    hasher.finalize_xof()
}

fn synthetic(number: u64, count: u64) -> Segment {
    let mut ids = vec![0u8; count as usize * 32];
    let mut stream = stream();
    stream.set_position(number * SLICE * 32);
    stream.fill(&mut ids);
    let records = ids.as_chunks::<32>().0.iter().enumerate().map(|(n, id)| Record {
        id: ContentId(*id),
        pack: (n as u64 / PACK_CHUNKS) as u32,
        offset: (n as u64 % PACK_CHUNKS) << 20,
        stored_bytes: 900_000,
        raw_bytes: 1 << 20,
        kind: Kind::Chunk,
    });
    let records = records.collect();
    let packs = (0..count.div_ceil(PACK_CHUNKS)).map(|n| {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_le_bytes());
        id[8..].copy_from_slice(&n.to_le_bytes());
        PackRow { pack: PackId { class: PackClass::Data, id: RandomId(id) }, size_bytes: 64 << 20 }
    });
    Segment::new(packs.collect(), records)
}

/// The most memory that this process ever used.
fn peak_rss_kib() -> anyhow::Result<u64> {
    let path = Path::new("/proc/self/status");
    let text = std::fs::read_to_string(path).context("cannot read /proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let figure = line.and_then(|line| line.split_whitespace().next()).context("no VmHWM")?;
    Ok(figure.parse()?)
}
