//! `stats`: how much the repository holds.

use serde_json::json;

use crate::app::App;
use crate::exit::Exit;
use crate::report::Done;
use crate::show::{self, Table};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo stats
  tintype repo stats --snapshots        what each adds, and what its deletion would free")]
pub(crate) struct Args {
    /// What each snapshot adds and holds alone; reads all trees
    #[arg(long)]
    snapshots: bool,
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let repository = app.open()?;
        let workers = app.readers()?;
        let stats = app.busy("stats", || repository.stats(self.snapshots, workers, &app.cancel))?;
        app.report.event("stats", json!(stats))?;
        let mut objects = Table::new(["objects", "number", "size"], &[1, 2]);
        for (kind, amount) in &stats.objects {
            objects.row([kind.clone(), show::count(amount.count), show::bytes(amount.bytes)]);
        }
        let total = stats.total;
        objects.row(["all".into(), show::count(total.count), show::bytes(total.bytes)]);
        let mut frames = Table::new(["content", "number", "size", "compressed"], &[1, 2, 3]);
        for (kind, amount) in &stats.frames {
            let sizes = [amount.raw_bytes, amount.stored_bytes].map(show::bytes);
            let [raw, stored] = sizes;
            frames.row([(*kind).to_owned(), show::count(amount.count), raw, stored]);
        }
        for line in objects.lines().iter().chain([&String::new()]).chain(&frames.lines()) {
            app.report.text(line)?;
        }
        if self.snapshots {
            let mut table =
                Table::new(["snapshot", "entries", "size", "adds", "holds alone"], &[1, 2, 3, 4]);
            let optional = |bytes: Option<u64>| bytes.map(show::bytes).unwrap_or_default();
            for snapshot in &stats.snapshots {
                table.row([
                    snapshot.id.short(),
                    show::count(snapshot.entries),
                    show::bytes(snapshot.bytes),
                    optional(snapshot.new_bytes),
                    optional(snapshot.unique_bytes),
                ]);
            }
            app.report.text("")?;
            for line in table.lines() {
                app.report.text(line)?;
            }
        }
        let ratio = stats.ratio.map(|ratio| format!(", {ratio:.1} times what is stored"));
        app.report.text(format!(
            "\n{} {}{}",
            show::counted(stats.snapshots.len() as u64, "snapshot holds", "snapshots hold"),
            show::bytes(stats.logical_bytes),
            ratio.unwrap_or_default()
        ))?;
        let figures = json!({
            "snapshots": stats.snapshots.len(), "stored_bytes": total.bytes,
            "logical_bytes": stats.logical_bytes,
        });
        Ok(Done::of(Exit::Complete, figures))
    }
}
