//! `disk`: looking into disk images that snapshots hold.

mod cat;
pub(crate) mod inside;
mod ls;
mod restore;
mod serve;

use std::sync::Arc;

use tintype_engine::repo::Repository;
use tintype_engine::repo::session::Session;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_engine::tree::Root;
use tintype_engine::tree::cursor::Cursor;
use tintype_engine::{Error, ErrorKind};
use tintype_model::selector::Selector;
use tintype_runner::disk::{Chosen, StoredImage, choose};
use tintype_source::connector::ReadImage;
use tintype_source::disk::{self, DiskFiles, Partition};

use self::inside::Inside;
use crate::app::App;
use crate::exit::usage;
use crate::report::Done;
use crate::show;

#[derive(clap::Args)]
#[command(arg_required_else_help = true, subcommand_required = true)]
#[command(after_help = "\
Examples:
  tintype repo disk ls latest                              the disk images of a snapshot
  tintype repo disk ls latest:/tenants/system/vms/shop/disks/vda.img            its partitions
  tintype repo disk ls latest:/tenants/system/vms/shop/disks/vda.img 2:/etc     files on one
  tintype repo disk restore latest:/…/vda.img 2:/etc --to /tmp/etc
  tintype repo disk serve latest:/…/vda.img --socket /run/disk.sock     for every other file system

Files are read out of ext2, ext3, ext4 and FAT, without root and without mounting anything; `serve`
hands a disk to programs that read the others.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List disk images, the partitions of one, or files on it
    Ls(ls::Args),
    /// Print a file that lies on a disk
    Cat(cat::Args),
    /// Bring files back that lie on a disk
    Restore(restore::Args),
    /// Serve a disk, read only, to programs that speak NBD
    Serve(serve::Args),
}

impl Args {
    pub(crate) fn run(self, app: &App) -> anyhow::Result<Done> {
        match self.command {
            Command::Ls(args) => args.run(app),
            Command::Cat(args) => args.run(app),
            Command::Restore(args) => args.run(app),
            Command::Serve(args) => args.run(app),
        }
    }
}

/// A disk image of a snapshot that stays as long as it is looked into.
struct Disk<'d> {
    image: Arc<dyn ReadImage>,
    snapshot: &'d Snapshot,
    /// As it is written on a command line.
    place: String,
    pin: Option<&'d Session<'d>>,
}

/// Opens the repository and the image, and works on it.
fn with_disk(
    app: &App,
    place: &Selector,
    work: impl FnOnce(&Disk<'_>) -> anyhow::Result<Done>,
) -> anyhow::Result<Done> {
    let path = place.path.clone().unwrap_or_default();
    if path.is_empty() {
        return Err(usage(
            "which image? write it like latest:/tenants/system/vms/shop/disks/vda.img; `tintype \
             repo disk ls SNAPSHOT` lists them",
        ));
    }
    let repository = Arc::new(app.open()?);
    let snapshot = app.pick(&repository, place)?;
    app.pinned(&repository, snapshot.id, |pin| {
        let image = open(app, &repository, &snapshot, &path)?;
        let place = format!("{}:{}", snapshot.id.short(), show::path(&path));
        work(&Disk { image, snapshot: &snapshot, place, pin })
    })
}

fn open(
    app: &App,
    repository: &Arc<Repository>,
    snapshot: &Snapshot,
    path: &[u8],
) -> anyhow::Result<Arc<dyn ReadImage>> {
    let reader = repository.shared_reader()?;
    let found = Cursor::new(&reader, Root::of(&snapshot.manifest))?.get(path)?;
    let Some(entry) = found else {
        let shown = show::path(path);
        let id = snapshot.id.short();
        let message = format!(
            "snapshot {id} holds no {shown}; `tintype repo disk ls {id}` lists its disk images"
        );
        return Err(Error::not_found(message).into());
    };
    let name = show::path(path);
    if let Some(problem) = entry.node.problem() {
        app.report.warn(format!("{name} was not captured whole: {}", problem.message));
    }
    Ok(Arc::new(StoredImage::open(reader, &entry, name, app.cancel.clone())?))
}

impl Disk<'_> {
    /// The file system that a path lies on.
    fn files(&self, inside: &Inside) -> anyhow::Result<(Partition, Box<dyn DiskFiles>)> {
        let partition = self.partition(inside)?;
        let files = disk::open(Arc::clone(&self.image), &partition);
        Ok((partition, files.map_err(|error| self.way_on(error))?))
    }

    fn partition(&self, inside: &Inside) -> anyhow::Result<Partition> {
        match choose(&*self.image, inside.partition)? {
            Chosen::One(partition) => Ok(partition),
            Chosen::Absent(number) => {
                let place = &self.place;
                let message = format!(
                    "there is no partition {number}; `tintype repo disk ls {place}` lists them"
                );
                Err(Error::not_found(message).into())
            }
            Chosen::Unreadable => Err(self
                .way_on(Error::unsupported(
                    "none of its partitions holds a file system that is read out of an image",
                ))
                .into()),
            Chosen::Several(several) => {
                let shown: Vec<String> = several
                    .iter()
                    .map(|(partition, kind)| {
                        let size = show::bytes(partition.range.end - partition.range.start);
                        format!("{} ({kind}, {size})", partition.number)
                    })
                    .collect();
                let (first, path) = (several[0].0.number, show::path(&inside.path));
                Err(usage(format!(
                    "on which partition, {}? write it like {first}:{path}",
                    shown.join(" or ")
                )))
            }
        }
    }

    /// What is not read here can be read elsewhere.
    fn way_on(&self, error: Error) -> Error {
        if !error.is(ErrorKind::Unsupported) {
            return error;
        }
        let place = &self.place;
        Error::unsupported(format!(
            "{error}; a program that reads it gets the disk by `tintype repo disk serve {place} \
             --socket FILE` (its --help shows how)"
        ))
    }
}
