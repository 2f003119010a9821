//! `disk ls`: the images of a snapshot, the partitions of one, the files on one.

use serde_json::json;
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::tree::{Content, Root, TreeEntry};
use tintype_model::entry::{Kind, file_name};
use tintype_model::selector::Selector;
use tintype_source::disk::{DiskEntry, Visit, can_be_read, kind_of, partitions, walk};

use super::inside::{self, Inside};
use super::{Disk, with_disk};
use crate::app::App;
use crate::exit::Exit;
use crate::pick;
use crate::repo::browse;
use crate::report::{Done, with_bytes};
use crate::show::{self, Table};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo disk ls latest                                        disk images
  tintype repo disk ls latest:/tenants/system/vms/shop/disks/vda.img               partitions
  tintype repo disk ls -l latest:/tenants/system/vms/shop/disks/vda.img 2:/etc     files

Any file that is a raw disk image can be named, also one that was captured as a file.")]
pub(super) struct Args {
    /// A snapshot, and perhaps a disk image in it
    #[arg(value_name = "SNAPSHOT[:IMAGE]", value_parser = pick::selector())]
    #[arg(default_value = "latest")]
    place: Selector,
    /// A directory on it, with the number of its partition
    #[arg(value_name = "[PARTITION:]PATH", value_parser = inside::parser())]
    inside: Option<Inside>,
    /// Everything below, not only what is directly inside
    #[arg(short = 'R', long, requires = "inside")]
    recursive: bool,
    /// Mode, owner, size and time too
    #[arg(short, long, requires = "inside")]
    long: bool,
}

impl Args {
    pub(super) fn run(&self, app: &App) -> anyhow::Result<Done> {
        if self.place.path.as_ref().is_none_or(Vec::is_empty) && self.inside.is_none() {
            return self.images(app);
        }
        with_disk(app, &self.place, |disk| match &self.inside {
            Some(inside) => self.files(app, disk, inside),
            None => table(app, disk),
        })
    }

    fn images(&self, app: &App) -> anyhow::Result<Done> {
        let repository = app.open()?;
        let snapshot = app.pick(&repository, &self.place)?;
        let reader = repository.reader()?;
        let mut cursor = Cursor::new(&reader, Root::of(&snapshot.manifest))?;
        let (mut images, id) = (0u64, snapshot.id.short());
        while cursor.next_leaf()? {
            app.cancel.check()?;
            for entry in cursor.rest_of_leaf() {
                if entry.node.kind != Kind::Image {
                    continue;
                }
                images += 1;
                let fields = json!({ "size": entry.node.size });
                app.report.event("image", with_bytes(fields, "path", &entry.path))?;
                let (path, size) = (show::path(&entry.path), show::bytes(entry.node.size));
                app.report.text(format!("{id}:{path}  {size}"))?;
            }
        }
        if images == 0 {
            app.report.note(format!(
                "snapshot {id} holds no disk images; one that was captured as a file can be named: \
                 {id}:/files/…"
            ));
        }
        Ok(Done::of(Exit::Complete, json!({ "snapshot": snapshot.id, "images": images })))
    }

    fn files(&self, app: &App, disk: &Disk<'_>, inside: &Inside) -> anyhow::Result<Done> {
        let (partition, files) = disk.files(inside)?;
        let path = &inside.path;
        let (mut count, mut unread) = (0u64, 0u64);
        let mut each = |path: &[u8], entry: &DiskEntry| {
            app.cancel.check()?;
            count += 1;
            unread += u64::from(entry.node.problem().is_some());
            self.line(app, path, entry)
        };
        let found = files.stat(path).map_err(|error| disk.way_on(error))?;
        if found.node.kind == Kind::File {
            each(path, &found)?;
        } else if self.recursive {
            let size = partition.range.end - partition.range.start;
            let mut failed = None;
            let mut broken = 0;
            let walked = walk(&*files, path, size, &mut |visit| {
                let told = match visit {
                    Visit::Entry(path, entry) | Visit::Enter(path, entry) => each(path, entry),
                    Visit::Leave(..) => Ok(()),
                    Visit::Failed(path, error) => {
                        broken += 1;
                        app.report.problem("unreadable", path, &error.to_string())
                    }
                };
                told.map(|()| true).map_err(|error| {
                    failed = Some(error);
                    tintype_engine::Error::canceled("the listing ends")
                })
            });
            walked.map_err(|error| failed.take().unwrap_or_else(|| error.into()))?;
            unread += broken;
        } else {
            // A link to a directory shows what that holds, as a mounted disk would.
            let listed = files.list(path).map_err(|error| disk.way_on(error))?;
            for entry in &listed {
                each(&join(path, &entry.name), entry)?;
            }
        }
        let exit = Exit::of_outcome(unread > 0, false);
        let figures = json!({ "snapshot": disk.snapshot.id, "partition": partition.number,
                              "entries": count });
        Ok(Done::of(exit, figures))
    }

    fn line(&self, app: &App, path: &[u8], entry: &DiskEntry) -> anyhow::Result<()> {
        let node = entry.node.clone();
        let (content, large_xattrs) = (Content::None, Vec::new());
        let entry = TreeEntry { path: path.to_vec(), node, content, large_xattrs };
        app.report.event("entry", browse::fields(&entry))?;
        if app.report.is_json() {
            return Ok(());
        }
        let mut name = if self.recursive { show::path(path) } else { show::name(file_name(path)) };
        if entry.node.kind == Kind::Directory {
            name.push('/');
        }
        app.report.text(if self.long { browse::long_line(&entry, &name) } else { name })
    }
}

fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}

fn table(app: &App, disk: &Disk<'_>) -> anyhow::Result<Done> {
    let found = partitions(&*disk.image)?;
    let mut table = Table::new(["partition", "holds", "size", "files"], &[0, 2]);
    for partition in &found {
        let kind = kind_of(&*disk.image, partition)?;
        let size = partition.range.end - partition.range.start;
        let can_be_read = kind.is_some_and(can_be_read);
        app.report.event(
            "partition",
            json!({ "number": partition.number, "start": partition.range.start, "size": size,
                    "kind": kind, "can_be_read": can_be_read }),
        )?;
        table.row([
            partition.number.to_string(),
            kind.unwrap_or("nothing that is known").to_owned(),
            show::bytes(size),
            if can_be_read { "are read here" } else { "disk serve" }.to_owned(),
        ]);
    }
    for line in table.lines() {
        app.report.text(line)?;
    }
    if found[0].number == 0 {
        app.report.note("it has no partition table: 0 is the whole disk");
    }
    let figures = json!({ "snapshot": disk.snapshot.id, "partitions": found.len(),
                          "size": disk.image.size_bytes() });
    Ok(Done::of(Exit::Complete, figures))
}
