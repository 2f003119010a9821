//! `disk serve`: a disk for every program that speaks NBD.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tintype_model::selector::Selector;
use tintype_runner::progress::Progress;
use tintype_source::connector::ReadImage;
use tintype_source::disk::{Export, Served, Server, Window, kind_of, partitions};

use super::{Disk, with_disk};
use crate::app::App;
use crate::exit::Exit;
use crate::pick;
use crate::progress::Watched;
use crate::report::Done;
use crate::show;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  tintype repo disk serve latest:/tenants/system/vms/shop/disks/vda.img --socket /run/disk.sock

Then, as root, with partition 1 an xfs (nbdfuse is in the package libnbd-bin):
  mkdir /run/disk
  nbdfuse /run/disk/nbd 'nbd+unix:///1?socket=/run/disk.sock' &
  mount -o ro,norecovery,loop /run/disk/nbd /mnt        (btrfs, NTFS: without norecovery)
  umount /mnt; fusermount3 -u /run/disk

or, where the kernel has nbd: nbd-client -unix /run/disk.sock /dev/nbd0 -N 1 -readonly
or a copy: qemu-img convert -O qcow2 'nbd+unix:///?socket=/run/disk.sock' disk.qcow2

The whole disk is the export without a name, each partition one by its number. LVM, RAID, LUKS and
file systems that were not unmounted cleanly: docs/disks.md.")]
pub(super) struct Args {
    /// A snapshot and a disk image in it
    #[arg(value_name = "SNAPSHOT:IMAGE", value_parser = pick::selector())]
    place: Selector,
    /// The socket that is made; only you can open it
    #[arg(long, value_name = "FILE")]
    socket: PathBuf,
    /// End a second after the last client has gone
    #[arg(long)]
    until_unused: bool,
}

/// A name, how long, and what it holds.
struct About {
    name: String,
    size: u64,
    kind: Option<&'static str>,
}

impl Args {
    pub(super) fn run(&self, app: &App) -> anyhow::Result<Done> {
        let socket = std::path::absolute(&self.socket)?;
        with_disk(app, &self.place, |disk| {
            let (clock, cancel) = (Arc::clone(&app.env.clock), app.cancel.clone());
            let (exports, about) = exports(disk);
            let server = Server::bind(&socket, exports, clock, cancel, self.until_unused)?;
            self.tell(app, disk, &socket, &about)?;
            let progress = Progress::default();
            let mut watched = Watched::new("serve", &progress, "clients");
            (watched.pin, watched.is_silent) = (disk.pin, true);
            Ok(finish(app, disk, app.watch(&watched, || server.run(&*app.env.tasks))))
        })
    }

    /// It listens.
    fn tell(
        &self,
        app: &App,
        disk: &Disk<'_>,
        socket: &Path,
        about: &[About],
    ) -> anyhow::Result<()> {
        let exports: Vec<_> = about
            .iter()
            .map(|About { name, size, kind }| json!({ "name": name, "size": size, "kind": kind }))
            .collect();
        let socket = socket.display();
        let fields = json!({ "socket": socket.to_string(), "exports": exports });
        app.report.event("serving", fields)?;
        app.report.text(format!("serving {}, read only:", disk.place))?;
        for About { name, size, kind } in about {
            let kind = if name.is_empty() { "the whole disk" } else { kind.unwrap_or("unknown") };
            let size = show::bytes(*size);
            app.report.text(format!("  nbd+unix:///{name}?socket={socket}  {size}  {kind}"))?;
        }
        let end = if self.until_unused { "when its last client has gone" } else { "with Ctrl-C" };
        app.report.note(format!("it ends {end}; --help has commands for mounting"));
        Ok(())
    }
}

/// The whole disk, and each partition by its number.
fn exports(disk: &Disk<'_>) -> (Vec<Export>, Vec<About>) {
    let (name, image) = (String::new(), Arc::clone(&disk.image));
    let mut about = vec![About { name: name.clone(), size: image.size_bytes(), kind: None }];
    let mut exports = vec![Export { name, image: Arc::clone(&image) }];
    // A disk that is damaged where its table is can still be served as a whole.
    let found = partitions(&*image).unwrap_or_default();
    for partition in found.into_iter().filter(|partition| partition.number != 0) {
        let kind = kind_of(&*image, &partition).unwrap_or_default();
        let name = partition.number.to_string();
        let image = Arc::new(Window::new(Arc::clone(&image), partition.range));
        about.push(About { name: name.clone(), size: image.size_bytes(), kind });
        exports.push(Export { name, image });
    }
    (exports, about)
}

fn finish(app: &App, disk: &Disk<'_>, served: Served) -> Done {
    let connections = show::counted(served.connections, "connection", "connections");
    app.report.note(format!("{connections}, {} read", show::bytes(served.bytes)));
    if served.failed > 0 {
        let requests = show::counted(served.failed, "request", "requests");
        app.report.note(format!("{requests} could not be answered: see above"));
    }
    let figures = json!({
        "snapshot": disk.snapshot.id, "connections": served.connections,
        "served_bytes": served.bytes, "failed": served.failed,
    });
    Done::of(Exit::of_outcome(served.failed > 0, served.damaged > 0), figures)
}
