//! A backup job of libvirt in pull mode: it keeps the old content of what the guest overwrites in
//! scratch files, and shows the disks as they were as exports. A checkpoint begins with it, from
//! which the next one asks for changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tintype_model::{Error, ErrorKind, Result};
use xmltree::{Element, XMLNode};

use super::canary::{Monitor, doubt};
use super::domain::{Domain, DomainDisk};
use super::job::{end_job, let_go_on};
use super::virsh::Virsh;
use super::watch::Watched;
use super::xml::{children, parse, write};
use crate::connector::{Changed, Content, Context, Part, ReadImage as _};
use crate::qemu::capture::{explained, holds, image_node};
use crate::qemu::mark::{Mark, MarkedDisk, is_record, outdated, record_name};
use crate::vm::disk_file;
use crate::vm::facts::{DISKS, DiskFacts};
use crate::vm::nbd::{NbdImage, dirty};
use crate::vm::scratch::Scratch;
use crate::vm::socket::Waits;

pub(crate) struct Pull {
    scratch: Scratch,
    pub job: PathBuf,
    /// None if no disk can record changes.
    pub checkpoint: Option<PathBuf>,
    /// What is made bears it.
    label: String,
    /// The checkpoint that begins with the job.
    record: String,
    /// Disks of which only changes are asked, from this checkpoint.
    since: Option<Mark>,
    changed_only: Vec<String>,
    /// The new checkpoint can be told from one that somebody cleared.
    is_proven: bool,
    pub read_whole: Vec<String>,
    disks: Vec<DomainDisk>,
    sizes: BTreeMap<String, u64>,
    virsh: Virsh,
    domain: String,
    watch: Watched,
    /// Whether the guest ran before.
    was_running: bool,
}

impl Pull {
    pub(crate) fn prepare(
        virsh: &Virsh,
        domain: &Domain,
        disks: Vec<DomainDisk>,
        mark: Option<Mark>,
        context: &Context,
    ) -> Result<Self> {
        if virsh.call(&["backup-dumpxml", &domain.name]).is_ok() {
            return Err(Error::locked(
                "a backup job is at work on this machine, of another snapshot or program: wait \
                 for its end, or end it (virsh domjobabort)",
            ));
        }
        let scratch = Scratch::make(domain.owner, context)?;
        let mut pull = Self {
            watch: Watched::new(&domain.name, virsh.uri(), scratch.place(), context)?,
            was_running: domain.is_running(),
            job: scratch.place().join("job.xml"),
            checkpoint: None,
            scratch,
            label: context.label(),
            record: record_name(mark.as_ref(), context),
            since: None,
            changed_only: Vec::new(),
            is_proven: false,
            read_whole: Vec::new(),
            sizes: sizes(virsh, &domain.name, &disks)?,
            disks,
            virsh: virsh.clone(),
            domain: domain.name.clone(),
        };
        pull.forget_broken(context)?;
        if let Some(mark) = mark {
            pull.use_mark(mark);
        }
        pull.write_job()?;
        pull.make_scratch()?;
        Ok(pull)
    }

    /// Else libvirt makes the files itself, with a job of QEMU for each, while the guest is frozen.
    fn make_scratch(&self) -> Result<()> {
        for disk in &self.disks {
            let size = self.sizes.get(&disk.name).copied();
            let size = size.ok_or_else(|| {
                Error::unsupported(format!("libvirt does not say how large disk {} is", disk.name))
            })?;
            let file = self.scratch(disk);
            disk_file::create(&file, "qcow2", size)?;
            self.scratch.give(&file)?;
        }
        Ok(())
    }

    fn scratch(&self, disk: &DomainDisk) -> PathBuf {
        self.scratch.place().join(format!("{}-{}.qcow2", self.label, disk.name))
    }

    fn facts(&self, disk: &DomainDisk) -> DiskFacts {
        disk.facts(self.sizes.get(&disk.name).copied().unwrap_or_default())
    }

    fn marked(&self, disk: &DomainDisk) -> MarkedDisk {
        let facts = self.facts(disk);
        MarkedDisk::new(facts.size_bytes, facts.file)
    }

    /// Decides which disks need not be read whole. libvirt knows the checkpoint; whether QEMU has
    /// its bitmaps shows only when it is asked how much has changed.
    fn use_mark(&mut self, mark: Mark) {
        let Ok(known) = self.recorded(&mark.bitmap) else {
            let why = "the checkpoint of the snapshot before is gone or was broken: QEMU was killed, \
                       or it was removed, by another program or to make room for those of other \
                       series of snapshots";
            self.read_whole.push(format!("all disks are read whole: {why}"));
            return;
        };
        let known: Vec<String> = children(&known, "disks")
            .flat_map(|disks| children(disks, "disk"))
            .filter(|disk| disk.attributes.contains_key("size"))
            .filter_map(|disk| disk.attributes.get("name").cloned())
            .collect();
        for disk in &self.disks {
            let name = &disk.name;
            let why = match mark.disks.get(name) {
                None => "it is new, or cannot record changes",
                Some(was) if *was != self.marked(disk) => "it is another file, or of another size",
                Some(_) if !known.contains(name) => "its checkpoint is gone",
                Some(_) => {
                    self.changed_only.push(name.clone());
                    continue;
                }
            };
            self.read_whole.push(format!("disk {name} is read whole: {why}"));
        }
        self.since = Some(mark);
    }

    /// How much each disk has changed since a checkpoint; an error if its bitmaps are not there.
    fn recorded(&self, name: &str) -> Result<Element> {
        let ask = ["checkpoint-dumpxml", &self.domain, name, "--size", "--no-domain"];
        parse(&self.virsh.call(&ask)?)
    }

    /// No new checkpoint can follow one without its bitmaps. Only what Tintype made is touched.
    fn forget_broken(&self, context: &Context) -> Result<()> {
        for name in checkpoints(&self.virsh, &self.domain)? {
            if !is_record(&name) || context.is_alive(&name) {
                continue;
            }
            match self.recorded(&name) {
                Err(error) if is_broken(&error) => self.forget(&self.virsh, &name)?,
                // It says nothing of the checkpoint, on which other series may rely.
                Err(error) => tracing::warn!(checkpoint = name, %error, "it is not known whether \
                    this checkpoint is whole"),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    fn forget(&self, virsh: &Virsh, name: &str) -> Result<()> {
        let ask = ["checkpoint-delete", &self.domain, name];
        let whole = virsh.call(&ask);
        whole.or_else(|_| virsh.call(&[&ask[..], &["--metadata"]].concat())).map(drop)
    }

    fn write_job(&mut self) -> Result<()> {
        let mut disks = Element::new("disks");
        let mut recorded = Element::new("disks");
        let mut records = false;
        for disk in &self.disks {
            let can = disk.format == "qcow2";
            records |= can;
            let how = if can { "bitmap" } else { "no" };
            let disk_name = ("name", &disk.name[..]);
            let record = element("disk", &[disk_name, ("checkpoint", how)]);
            recorded.children.push(XMLNode::Element(record));
            let scratch = self.scratch(disk).display().to_string();
            let mut job =
                element("disk", &[("name", &disk.name), ("backup", "yes"), ("type", "file")]);
            if let Some(mark) =
                self.since.as_ref().filter(|_| self.changed_only.contains(&disk.name))
            {
                job.attributes.insert("backupmode".into(), "incremental".into());
                job.attributes.insert("incremental".into(), mark.bitmap.clone());
            } else {
                job.attributes.insert("backupmode".into(), "full".into());
            }
            job.children.push(XMLNode::Element(element("driver", &[("type", "qcow2")])));
            job.children.push(XMLNode::Element(element("scratch", &[("file", &scratch)])));
            disks.children.push(XMLNode::Element(job));
        }
        let socket = self.socket().display().to_string();
        let mut job = Element::new("domainbackup");
        job.attributes.insert("mode".into(), "pull".into());
        let server = element("server", &[("transport", "unix"), ("socket", &socket)]);
        job.children.push(XMLNode::Element(server));
        job.children.push(XMLNode::Element(disks));
        write_to(&self.job, &job)?;
        if records {
            let mut checkpoint = Element::new("domaincheckpoint");
            let mut name = Element::new("name");
            name.children.push(XMLNode::Text(self.record.clone()));
            let why = XMLNode::Text("Tintype: changes since a snapshot".into());
            let mut description = Element::new("description");
            description.children.push(why);
            checkpoint.children = [name, description, recorded].map(XMLNode::Element).into();
            let path = self.scratch.place().join("checkpoint.xml");
            write_to(&path, &checkpoint)?;
            self.checkpoint = Some(path);
        }
        Ok(())
    }

    fn socket(&self) -> PathBuf {
        self.scratch.socket()
    }

    /// The job has begun; from now on the guest overwrites what is kept aside.
    pub(crate) fn begun(&self, context: &Context) -> Result<()> {
        self.watch.begin(context)
    }

    /// What the job shows.
    pub(crate) fn parts(&mut self, context: &Context) -> Result<Vec<Part>> {
        if self.checkpoint.is_some() {
            let monitor = Monitor { virsh: &self.virsh, domain: &self.domain };
            let proven = monitor.prove(&self.record, &self.label, &self.socket(), context);
            if let Err(error) = &proven {
                tracing::warn!(machine = self.domain, %error, "the next snapshot reads all");
            }
            self.is_proven = proven.is_ok();
        }
        let mut parts = Vec::new();
        for disk in self.disks.clone() {
            let name = &disk.name;
            let part = self.part(name, context);
            parts.push(part.map_err(|error| error.context(format!("disk {name}")))?);
        }
        parts.sort_by(|a, b| a.at.cmp(&b.at));
        Ok(parts)
    }

    fn part(&mut self, name: &str, context: &Context) -> Result<Part> {
        let (disk, place) = (name.to_owned(), self.scratch.place().to_owned());
        let explain = Box::new(move |error: Error| explained(error, &disk, &place));
        let image = NbdImage::open(&self.socket(), name, Waits::of(context), explain)?;
        let changed = if self.changed_only.iter().any(|disk| disk == name) {
            let bitmap = format!("backup-{name}");
            let ranges = dirty(&self.socket(), name, &bitmap, Waits::of(context))?;
            let (size, since) = (image.size_bytes(), self.since.as_ref());
            let record = since.map(|mark| mark.bitmap.as_str()).unwrap_or_default();
            match doubt(record, size, |at| holds(&ranges, at)) {
                Ok(()) => Changed::Only(ranges),
                Err(why) => {
                    self.read_whole.push(format!("disk {name} is read whole: {why}"));
                    Changed::Unknown
                }
            }
        } else {
            Changed::Unknown
        };
        let node = image_node(image.size_bytes(), context);
        let image = Arc::new(self.watch.image(image));
        let at = format!("{DISKS}/{name}.img").into_bytes();
        Ok(Part { at, content: Content::Image { node, image, changed } })
    }

    pub(crate) fn disk_facts(&self) -> Vec<DiskFacts> {
        self.disks.iter().map(|disk| self.facts(disk)).collect()
    }

    /// What the next snapshot must know, if a checkpoint began.
    pub(crate) fn mark(&self) -> Option<Mark> {
        self.checkpoint.as_ref().filter(|_| self.is_proven)?;
        let disks = self.disks.iter().filter(|disk| disk.format == "qcow2");
        let disks = disks.map(|disk| (disk.name.clone(), self.marked(disk))).collect();
        Some(Mark { bitmap: self.record.clone(), disks })
    }

    /// Removes the job, and the checkpoint that does not count any more. What a checkpoint that
    /// goes has recorded stays with the one before it.
    pub(crate) fn end(&self, virsh: &Virsh, committed: bool, context: &Context) -> Result<()> {
        let was_there = end_job(virsh, &self.domain, |name| name.starts_with(&self.label))?;
        if self.was_running && (was_there || self.watch.has_ended()) {
            let_go_on(virsh, &self.domain)?;
        }
        let names = checkpoints(virsh, &self.domain)?;
        let goes = match committed {
            true => {
                let names = names.iter().map(String::as_str);
                outdated(names, &self.record, |name| context.is_alive(name))
            }
            false => names.iter().map(String::as_str).filter(|name| *name == self.record).collect(),
        };
        goes.into_iter().try_for_each(|name| self.forget(virsh, name))
    }

    pub(crate) fn remove_scratch(&self) -> Result<()> {
        self.scratch.remove()
    }
}

/// Whether libvirt says that QEMU has not all bitmaps of a checkpoint.
fn is_broken(error: &Error) -> bool {
    let said = error.to_string();
    error.is(ErrorKind::Invalid)
        && ["inconsistent", "bitmap"].iter().any(|word| said.contains(word))
}

fn checkpoints(virsh: &Virsh, domain: &str) -> Result<Vec<String>> {
    let list = virsh.call(&["checkpoint-list", domain, "--name"])?;
    let names = list.lines().map(str::trim).filter(|name| !name.is_empty());
    Ok(names.map(str::to_owned).collect())
}

fn write_to(path: &Path, element: &Element) -> Result<()> {
    std::fs::write(path, write(element)?).map_err(|error| Error::io(error, path.display()))
}

fn element(name: &str, attributes: &[(&str, &str)]) -> Element {
    let mut element = Element::new(name);
    let attributes = attributes.iter().map(|(name, value)| ((*name).into(), (*value).to_owned()));
    element.attributes = attributes.collect();
    element
}

fn sizes(virsh: &Virsh, domain: &str, disks: &[DomainDisk]) -> Result<BTreeMap<String, u64>> {
    let mut sizes = BTreeMap::new();
    for disk in disks {
        let said = virsh.call(&["domblkinfo", domain, &disk.name])?;
        let line = said.lines().find_map(|line| line.strip_prefix("Capacity:"));
        sizes.extend(line.and_then(|size| Some((disk.name.clone(), size.trim().parse().ok()?))));
    }
    Ok(sizes)
}
