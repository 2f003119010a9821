//! A machine that is off: its disks are read as files, of any format, through `qemu-nbd`, which
//! refuses while a QEMU holds them.

use std::sync::Arc;

use serde_json::json;
use tintype_model::resource::{Consistency, Resource};
use tintype_model::{Error, Result};

use super::at::At;
use super::capture::image_node;
use super::definition::{DISKS, DiskFacts, Facts};
use crate::connector::{CapturePlan, Changed, Content, Context, Part, ReadImage, View};
use crate::vm::nbd::NbdImage;
use crate::vm::server::{DiskServer, Mode};
use crate::vm::socket::Waits;

pub(crate) struct Off {
    disks: Vec<(DiskFacts, DiskServer)>,
}

const WHY: &str = "the machine is off; whether it was shut down cleanly is not known";

impl Off {
    pub(crate) fn plan(at: &At) -> Result<CapturePlan> {
        for (name, disk) in &at.disks {
            std::fs::metadata(&disk.file).map_err(|error| {
                Error::io(error, format!("disk {name}: {}", disk.file.display()))
            })?;
        }
        let why_not_more = Some(WHY.to_owned());
        Ok(CapturePlan { reaches: Consistency::Crash, why_not_more, freezes: None })
    }

    pub(crate) fn open(at: &At, resource: &Resource, context: &Context) -> Result<Self> {
        let mut disks = Vec::new();
        for (name, disk) in &at.disks {
            if resource.excludes.contains(name) {
                continue;
            }
            let server = DiskServer::start(&disk.file, &disk.format, Mode::Read, context)
                .map_err(|error| error.context(format!("disk {name}")))?;
            let facts = DiskFacts {
                name: name.clone(),
                file: disk.file.display().to_string(),
                format: disk.format.clone(),
                size_bytes: 0,
                has_backing: false,
            };
            disks.push((facts, server));
        }
        Ok(Self { disks })
    }

    pub(crate) fn view(&self, context: &Context) -> Result<View> {
        let (mut parts, mut facts) = (Vec::new(), Vec::new());
        for (disk, server) in &self.disks {
            let name = disk.name.clone();
            let explain = Box::new(move |error: Error| error.context(format!("disk {name}")));
            let image = NbdImage::open(server.socket(), "", Waits::of(context), explain)?;
            let size_bytes = image.size_bytes();
            facts.push(DiskFacts { size_bytes, ..disk.clone() });
            let (node, image) = (image_node(size_bytes, context), Arc::new(image));
            let at = format!("{DISKS}/{}.img", disk.name).into_bytes();
            let content = Content::Image { node, image, changed: Changed::Unknown };
            parts.push(Part { at, content });
        }
        parts.sort_by(|a, b| a.at.cmp(&b.at));
        Ok(View {
            parts,
            consistency: Consistency::Crash,
            why_not_more: Some(WHY.to_owned()),
            mark: None,
            facts: json!(Facts {
                disks: facts,
                nvram: None,
                uuid: None,
                running: false,
                read_whole: Vec::new(),
                window: None,
            }),
            version: None,
        })
    }
}
