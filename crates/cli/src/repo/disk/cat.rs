//! `disk cat`: the bytes of one file that lies on a disk.

use serde_json::json;
use tintype_model::selector::Selector;

use super::inside::{self, Inside};
use super::with_disk;
use crate::app::App;
use crate::exit::{Exit, usage};
use crate::pick;
use crate::report::{Done, raw};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo disk cat latest:/tenants/system/vms/shop/disks/vda.img 2:/etc/fstab
  tintype repo disk cat latest:/files/srv/usb.img /letter.odt > letter.odt")]
pub(super) struct Args {
    /// A snapshot and a disk image in it
    #[arg(value_name = "SNAPSHOT:IMAGE", value_parser = pick::selector())]
    place: Selector,
    /// A file on it, with the number of its partition
    #[arg(value_name = "[PARTITION:]PATH", value_parser = inside::parser())]
    inside: Inside,
}

impl Args {
    pub(super) fn run(&self, app: &App) -> anyhow::Result<Done> {
        if app.report.is_json() {
            return Err(usage("cat prints bytes, which are no JSON; leave --json away"));
        }
        with_disk(app, &self.place, |disk| {
            let (_, files) = disk.files(&self.inside)?;
            let mut failed = None;
            let read = files.read(&self.inside.path, &mut |bytes| {
                raw(bytes).map_err(|error| {
                    failed = Some(error);
                    tintype_engine::Error::canceled("nobody reads the output")
                })
            });
            let bytes = read.map_err(|error| match failed.take() {
                Some(error) => error,
                None => disk.way_on(error).into(),
            })?;
            Ok(Done::of(Exit::Complete, json!({ "bytes": bytes })))
        })
    }
}
