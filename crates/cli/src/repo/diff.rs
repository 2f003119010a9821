//! `diff`: what changed between two snapshots, without reading contents.

use serde_json::{Value, json};
use tintype_engine::tree::Root;
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::diff::{Difference, What, diff};
use tintype_engine::tree::span::Span;
use tintype_model::selector::Selector;

use super::browse;
use crate::app::App;
use crate::exit::{Exit, usage};
use crate::pick;
use crate::report::{Done, with_bytes};
use crate::show;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo diff latest~1 latest
  tintype repo diff 3f2a latest:/files/etc        only below /files/etc
  tintype repo diff latest~1 latest --metadata    and what differs in mode, owner or time only

+ added, - removed, M content changed, m only metadata changed, T another kind.")]
pub(crate) struct Args {
    /// The older one
    #[arg(value_name = "SNAPSHOT[:PATH]", value_parser = pick::selector())]
    old: Selector,
    /// The newer one
    #[arg(value_name = "SNAPSHOT[:PATH]", value_parser = pick::selector(), default_value = "latest")]
    new: Selector,
    /// Name also what differs in metadata alone
    #[arg(long, short)]
    metadata: bool,
    /// Only the figures
    #[arg(long)]
    summary: bool,
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        let path = self.path()?;
        let repository = app.open()?;
        let listing = app.listing(&repository)?;
        let old = pick::pick(&listing, &self.old)?;
        let new = pick::pick(&listing, &self.new)?;
        let counts = app.pinned(&repository, old.id, |_| {
            app.pinned(&repository, new.id, |_| {
                let reader = repository.reader()?;
                let (a, b) = (Root::of(&old.manifest), Root::of(&new.manifest));
                let is_in = |root| {
                    Ok::<_, anyhow::Error>(Cursor::new(&reader, root)?.get(&path)?.is_some())
                };
                if !path.is_empty() && !is_in(a)? && !is_in(b)? {
                    return Err(pick::no_such_path(new, &path));
                }
                let mut failed = None;
                let counted = diff(&reader, a, b, Span::Within(&path), &mut |difference| {
                    app.cancel.check()?;
                    self.tell(app, &difference).map_err(|error| {
                        failed = Some(error);
                        tintype_engine::Error::canceled("nobody reads the differences")
                    })
                });
                counted.map_err(|error| failed.unwrap_or_else(|| error.into()))
            })
        })?;
        let mut figures = json!(counts);
        app.report.text(show::differences(&figures))?;
        if let Value::Object(figures) = &mut figures {
            figures.insert("old".into(), json!(old.id));
            figures.insert("new".into(), json!(new.id));
        }
        Ok(Done::of(Exit::Complete, figures))
    }

    /// The same path of both; it may be written once.
    fn path(&self) -> anyhow::Result<Vec<u8>> {
        match (&self.old.path, &self.new.path) {
            (Some(a), Some(b)) if a != b => {
                Err(usage("the same path of two snapshots is compared; write it once"))
            }
            (a, b) => Ok(a.clone().or_else(|| b.clone()).unwrap_or_default()),
        }
    }

    fn tell(&self, app: &App, difference: &Difference) -> anyhow::Result<()> {
        let is_minor = matches!(difference, Difference::Changed { what: What::Metadata, .. });
        if self.summary || (is_minor && !self.metadata && !app.report.is_json()) {
            return Ok(());
        }
        let (sign, what, old, new) = match difference {
            Difference::Added(entry) => ('+', json!("added"), None, Some(entry)),
            Difference::Removed(entry) => ('-', json!("removed"), Some(entry), None),
            Difference::Changed { what, old, new } => {
                let sign = match what {
                    What::Metadata => 'm',
                    What::Content => 'M',
                    What::Type => 'T',
                };
                (sign, json!(what), Some(old), Some(new))
            }
        };
        let fields = json!({
            "change": what,
            "old": old.map(browse::fields),
            "new": new.map(browse::fields),
        });
        app.report.event("difference", with_bytes(fields, "path", difference.path()))?;
        app.report.text(format!("{sign} {}", show::path(difference.path())))
    }
}
