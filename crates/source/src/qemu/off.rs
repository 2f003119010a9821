//! Disks of a machine that is off: read as files, of any format, through `qemu-nbd`, which refuses
//! while a QEMU holds them.
//!
//! All are opened before the moment, and each is let go when it is read: until the last one is, the
//! machine cannot be started, so that all show it as it was at one moment. Were a disk opened only when
//! its turn comes, one that was started and ended meanwhile would leave disks of two moments.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use tintype_model::resource::Resource;
use tintype_model::{Error, Result};

use super::at::DiskAt;
use super::capture::image_node;
use crate::connector::{Changed, Content, Context, Part, ReadImage};
use crate::vm::facts::DiskFacts;
use crate::vm::nbd::NbdImage;
use crate::vm::server::{DiskServer, Mode};
use crate::vm::socket::Waits;

pub(crate) struct Off {
    disks: Vec<(DiskFacts, DiskServer)>,
}

pub(crate) const WHY: &str = "the machine is off; whether it was shut down cleanly is not known";

/// What reading it holds up.
pub(crate) const HELD: &str = "keeps the machine, which is off, from being started until its disks \
                               are read";

impl Off {
    pub(crate) fn check(disks: &BTreeMap<String, DiskAt>) -> Result<()> {
        for (name, disk) in disks {
            std::fs::metadata(&disk.file).map_err(|error| {
                Error::io(error, format!("disk {name}: {}", disk.file.display()))
            })?;
        }
        Ok(())
    }

    pub(crate) fn open(
        disks: &BTreeMap<String, DiskAt>,
        resource: &Resource,
        context: &Context,
    ) -> Result<Self> {
        let mut opened = Vec::new();
        for (name, disk) in disks.iter().filter(|(name, _)| !resource.excludes.contains(name)) {
            let server = DiskServer::start(&disk.file, &disk.format, Mode::Read, context)
                .map_err(|error| error.context(format!("disk {name}")))?;
            let facts = DiskFacts {
                name: name.clone(),
                file: disk.file.display().to_string(),
                format: disk.format.clone(),
                size_bytes: 0,
                has_backing: false,
            };
            opened.push((facts, server));
        }
        Ok(Self { disks: opened })
    }

    /// One part a disk, in order, and what they are. Whoever drops a part lets its disk go.
    pub(crate) fn into_parts(self, context: &Context) -> Result<(Vec<Part>, Vec<DiskFacts>)> {
        let (mut parts, mut facts) = (Vec::new(), Vec::new());
        for (disk, server) in self.disks {
            let name = disk.name.clone();
            let explain = Box::new(move |error: Error| error.context(format!("disk {name}")));
            let image = NbdImage::open(server.socket(), "", Waits::of(context), explain)?;
            let size_bytes = image.size_bytes();
            facts.push(DiskFacts { size_bytes, ..disk.clone() });
            let image = Arc::new(Served { image, _server: server });
            let node = image_node(size_bytes, context);
            let at = disk.place().into_bytes();
            let content = Content::Image { node, image, changed: Changed::Unknown };
            parts.push(Part { at, content });
        }
        parts.sort_by(|a, b| a.at.cmp(&b.at));
        Ok((parts, facts))
    }
}

/// A disk with its server, which ends after its last reader.
struct Served {
    image: NbdImage,
    _server: DiskServer,
}

impl ReadImage for Served {
    fn size_bytes(&self) -> u64 {
        self.image.size_bytes()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.image.read_at(offset, buffer)
    }

    fn extent(&self, range: Range<u64>) -> Result<(u64, bool)> {
        self.image.extent(range)
    }

    fn is_served(&self) -> bool {
        true
    }
}
