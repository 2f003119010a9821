//! Decides a restore.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tintype_model::item::Item;
use tintype_model::plan::{Check, Stage};
use tintype_model::resource::{Phase, Resource};
use tintype_model::{Error, ErrorKind, Result};

use super::renew::{Renewal, fresh_mac, fresh_uuid, names, renewed, script};
use super::{Action, MachineStep};
use crate::connector::step;
use crate::connector::{Context, Destination, Stored, TargetPlan};
use crate::host::replaced::Replaced;
use crate::host::space::check_all;
use crate::qemu::at::{At, DiskAt};
use crate::qemu::definition::{DEFINITION, DISKS, Definition, DiskFacts, Facts, NVRAM};
use crate::qemu::process;
use crate::vm::checks::{NOT_STARTED, OFF, guest_hooks, tools};
use crate::vm::place::{in_use, resolved};
use crate::vm::qmp::Qmp;
use crate::vm::socket::Waits;
use crate::vm::steps::{FileStep, beside, keep_later, replaced};

const DEFINITION_BYTES: u64 = 64 << 20;

pub(super) fn plan(
    item: &Item,
    resource: &Resource,
    destination: &Destination,
    stored: &dyn Stored,
    context: &Context,
) -> Result<TargetPlan> {
    let facts: Facts = serde_json::from_value(item.facts.clone()).map_err(|error| {
        Error::invalid(format!("the snapshot does not say what it holds: {error}"))
    })?;
    let definition = definition(stored)?;
    let mut plan = Plan {
        facts,
        definition,
        stored,
        context,
        result: TargetPlan::default(),
        replaced: Vec::new(),
    };
    match destination {
        Destination::InPlace => plan.in_place(resource)?,
        Destination::AsNew { name, at, rules } => {
            let rules = Rules::parse(rules, &plan.facts)?;
            let hooks = guest_hooks(resource, Phase::PostRestore, NOT_STARTED);
            plan.result.checks.extend(hooks.filter(|_| !rules.start));
            plan.as_new(name, &At::parse(at)?, &rules)?;
        }
    }
    plan.result.steps.sort_by_key(|step| step.stage);
    Ok(plan.result)
}

fn definition(stored: &dyn Stored) -> Result<Option<Definition>> {
    let bytes = match stored.object(DEFINITION.as_bytes(), DEFINITION_BYTES) {
        Err(error) if error.is(ErrorKind::NotFound) => return Ok(None),
        bytes => bytes?,
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| Error::invalid(format!("{DEFINITION}: {error}")))
}

/// Rules of a restore as new.
#[derive(Debug, Default)]
struct Rules {
    directory: Option<PathBuf>,
    disks: Option<BTreeSet<String>>,
    uuid: Option<String>,
    start: bool,
    formats: BTreeMap<String, String>,
    macs: BTreeMap<String, String>,
    replace: BTreeMap<String, String>,
}

impl Rules {
    fn parse(rules: &BTreeMap<String, String>, facts: &Facts) -> Result<Self> {
        let mut parsed = Self::default();
        for (rule, value) in rules {
            let value = value.clone();
            match rule.split_once(':').unwrap_or((rule, "")) {
                ("directory", "") => parsed.directory = Some(value.into()),
                ("disks", "") => {
                    let names: BTreeSet<_> =
                        value.split(',').map(|n| n.trim().to_owned()).collect();
                    let known = |name: &&String| facts.disks.iter().any(|disk| disk.name == **name);
                    if let Some(unknown) = names.iter().find(|name| !known(name)) {
                        return Err(Error::invalid(format!("the snapshot has no disk {unknown}")));
                    }
                    parsed.disks = Some(names);
                }
                ("uuid", "") => parsed.uuid = Some(value),
                ("start", "") => parsed.start = value == "yes",
                ("format", disk) => drop(parsed.formats.insert(disk.to_owned(), value)),
                ("mac", old) => drop(parsed.macs.insert(old.to_ascii_lowercase(), value)),
                ("replace", old) => drop(parsed.replace.insert(old.to_owned(), value)),
                _ => {
                    return Err(Error::invalid(format!(
                        "there is no rule {rule:?}: there are `directory`, `disks`, `uuid`, \
                         `start`, `format:DISK`, `mac:ADDRESS` and `replace:TEXT`"
                    )));
                }
            }
        }
        Ok(parsed)
    }
}

struct Plan<'a> {
    facts: Facts,
    definition: Option<Definition>,
    stored: &'a dyn Stored,
    context: &'a Context,
    result: TargetPlan,
    /// Where what is replaced stays until the end.
    replaced: Vec<Replaced>,
}

impl Plan<'_> {
    fn check(&mut self, check: Check) {
        self.result.checks.push(check);
    }

    fn step(&mut self, stage: Stage, text: impl Into<String>, action: FileStep) {
        self.result.places.extend(action.place().map(Path::to_path_buf));
        self.result.steps.push(step(stage, text, &Action::File(action)));
    }

    /// Where QEMU had a file; what is not a whole path is from its directory.
    fn place_of(&self, disk: &DiskFacts) -> PathBuf {
        match &self.definition {
            Some(definition) => definition.directory.join(&disk.file),
            None => PathBuf::from(&disk.file),
        }
    }

    fn write_disk(&mut self, disk: &DiskFacts, file: PathBuf, format: &str) {
        let mebibytes = disk.size_bytes >> 20;
        let text = format!("write disk {} ({mebibytes} MiB) to {}", disk.name, file.display());
        let at = format!("{DISKS}/{}.img", disk.name);
        let (format, size_bytes) = (format.to_owned(), disk.size_bytes);
        self.step(Stage::Stage, text, FileStep::WriteDisk { at, file, format, size_bytes });
    }

    fn in_place(&mut self, resource: &Resource) -> Result<()> {
        self.check_off(&At::of(resource)?.qmp)?;
        let hooks = [(Phase::PreRestore, OFF), (Phase::PostRestore, "you start the machine")];
        for (phase, why) in hooks {
            self.result.checks.extend(guest_hooks(resource, phase, why));
        }
        let nvram = self.facts.nvram.clone();
        let disks = self.facts.disks.clone();
        let formats: BTreeSet<_> = disks.iter().map(|disk| disk.format.clone()).collect();
        self.check(tools(&formats));
        let mut places = Vec::new();
        for (disk, is_nvram) in
            disks.iter().map(|disk| (disk, false)).chain(nvram.iter().map(|nvram| (nvram, true)))
        {
            let file = resolved(&self.place_of(disk));
            let is_there = std::fs::metadata(&file).is_ok();
            self.check_file(&file);
            self.check_chain(disk);
            let new = beside(&file, "new", self.context);
            if is_nvram {
                let text = format!("write the firmware's variables to {}", new.display());
                let at = NVRAM.to_owned();
                self.step(Stage::Stage, text, FileStep::WriteObject { at, file: new.clone() });
            } else {
                self.write_disk(disk, new.clone(), &disk.format.clone());
                places.push(disk.need(self.stored, &file)?);
            }
            self.replace(disk, new, file, is_there)?;
        }
        self.check(check_all(&places));
        for (stage, text, action) in keep_later(std::mem::take(&mut self.replaced)) {
            self.step(stage, text, action);
        }
        Ok(())
    }

    fn replace(
        &mut self,
        disk: &DiskFacts,
        new: PathBuf,
        file: PathBuf,
        is_there: bool,
    ) -> Result<()> {
        let kept = is_there.then(|| replaced(&file, self.context));
        if is_there {
            self.result.replaces = true;
            // The machine is off: what is replaced is captured as files, the firmware's variables
            // as a disk of their own.
            let format = disk.format.clone();
            let place = serde_json::to_value(DiskAt { file: file.clone(), format })
                .map_err(|error| Error::internal(error.to_string()))?;
            let disks = self.result.undo_at.entry("disks").or_insert_with(|| json!({}));
            disks[&disk.name] = place;
        }
        let text = format!("put it in the place of {}", file.display());
        let old = kept.as_ref().and_then(|kept| Some(kept.files.first()?.0.clone()));
        self.step(Stage::Switch, text, FileStep::Place { new, file, old });
        self.replaced.extend(kept);
        Ok(())
    }

    fn check_off(&mut self, qmp: &Path) -> Result<()> {
        let cure = "shut the guest down, so that QEMU ends, and try again";
        let check = match Qmp::connect(qmp, Waits::of(self.context)) {
            Err(error) if error.is(ErrorKind::Canceled) => return Err(error),
            Err(error) if error.is(ErrorKind::NotFound) => {
                Check::pass("running", "the machine is off")
            }
            Err(error) => Check::block("running", error.to_string(), cure),
            Ok(_) => Check::block("running", "the machine runs", cure),
        };
        self.check(check);
        Ok(())
    }

    /// Of a file that is replaced.
    fn check_file(&mut self, file: &Path) {
        let shown = file.display();
        self.result.checks.extend(in_use(file, self.context));
        let directory = file.parent().unwrap_or(Path::new("/"));
        match std::fs::metadata(file) {
            Ok(found) if found.file_type().is_block_device() => {
                let reason = format!("{shown} is a block device, which cannot be written beside");
                let cure = "restore as new, then copy the image to the device";
                self.check(Check::block("device", reason, cure));
            }
            Err(_) if file.symlink_metadata().is_ok() => {
                let reason = format!("{shown} is a link that leads nowhere");
                self.check(Check::block("place", reason, "remove it, or restore as new"));
            }
            _ if !directory.is_dir() => {
                let reason = format!("{} is no directory", directory.display());
                self.check(Check::block("place", reason, "make it, or restore as new"));
            }
            _ => {}
        }
    }

    /// An image that was one of a chain is restored whole.
    fn check_chain(&mut self, disk: &DiskFacts) {
        if !disk.has_backing {
            return;
        }
        let mut words = self.definition.iter().flat_map(|definition| &definition.command);
        let named = words.any(|word| word.contains("backing=") || word.contains("\"backing\""));
        let reason = format!("disk {} had another image below it; it is restored whole", disk.name);
        self.check(if named {
            let cure = "take `backing` out of the definition and restore as new";
            Check::block("chain", format!("{reason}, but the definition names that image"), cure)
        } else {
            Check::warn("chain", reason, "it takes more room than before")
        });
    }

    fn check_free(&mut self, file: &Path) {
        if file.symlink_metadata().is_ok() {
            let reason = format!("{} exists", file.display());
            self.check(Check::block("name", reason, "give another place, or move it away"));
        }
    }

    fn as_new(&mut self, name: &str, at: &At, rules: &Rules) -> Result<()> {
        let mut paths = BTreeMap::new();
        let mut places = Vec::new();
        let mut formats = BTreeSet::new();
        for disk in self.facts.disks.clone() {
            if rules.disks.as_ref().is_some_and(|disks| !disks.contains(&disk.name)) {
                continue;
            }
            let (file, format) = place_of_new(&disk, at, rules)?;
            self.check_free(&file);
            let new = beside(&file, "new", self.context);
            self.write_disk(&disk, new.clone(), &format);
            let text = format!("put it at {}", file.display());
            let place = FileStep::Place { new, file: file.clone(), old: None };
            self.step(Stage::Switch, text, place);
            paths.insert(disk.file.clone(), file.display().to_string());
            places.push(disk.need(self.stored, &file)?);
            formats.insert(format);
            self.check_chain(&disk);
        }
        self.check(tools(&formats));
        self.check(check_all(&places));
        if let Some(directory) = rules.directory.as_ref().filter(|_| self.definition.is_some()) {
            self.machine(name, at, rules, directory, paths)?;
        } else if rules.start {
            let cure = "the rule `directory` says where its definition goes";
            self.check(Check::block("definition", "there is nothing to start", cure));
        }
        Ok(())
    }

    /// Its definition, and its start if that is asked for.
    fn machine(
        &mut self,
        name: &str,
        at: &At,
        rules: &Rules,
        directory: &Path,
        mut paths: BTreeMap<String, String>,
    ) -> Result<()> {
        let Some(old) = self.definition.clone() else { return Ok(()) };
        if old.command.is_empty() {
            let reason = "it could not be read how the machine was started";
            self.check(Check::warn("definition", reason, "only its disks are restored"));
            return Ok(());
        }
        let parsed = process::parse(&old.command, &old.directory);
        if !directory.is_dir() {
            let text = format!("make {}", directory.display());
            let make = FileStep::MakeDirectory { path: directory.to_owned() };
            self.result.steps.insert(0, step(Stage::Stage, text, &Action::File(make)));
        }
        if let Some(nvram) = self.facts.nvram.clone() {
            let file = directory.join(NVRAM);
            self.check_free(&file);
            paths.insert(nvram.file.clone(), file.display().to_string());
            let text = format!("write the firmware's variables to {}", file.display());
            self.step(Stage::Stage, text, FileStep::WriteObject { at: NVRAM.into(), file });
        }
        let text = |path: &Path| path.display().to_string();
        paths.extend(parsed.qmp.first().map(|qmp| (text(qmp), text(&at.qmp))));
        let agents = parsed.agent.iter().zip(&at.agent);
        paths.extend(agents.map(|(old, new)| (text(old), text(new))));
        let session = &self.context.session;
        let macs = parsed.macs.iter().map(|old| {
            let given = rules.macs.get(&old.to_ascii_lowercase()).cloned();
            (old.clone(), given.unwrap_or_else(|| fresh_mac(session, old)))
        });
        let renewal = Renewal {
            name: name.to_owned(),
            uuid: rules.uuid.clone().unwrap_or_else(|| fresh_uuid(session, name)),
            macs: macs.collect(),
            paths,
            replace: rules.replace.clone(),
        };
        let command = renewed(&old.command, &renewal);
        self.check_identity(&old, &command, directory);
        for file in left_behind(&old, &command, directory) {
            let reason = format!(
                "{file} is a disk of the original that is not restored: the new machine would \
                 write to it"
            );
            let cure = format!(
                "restore it too, or map it to another file with the rule `replace:{file}`; for \
                 disks alone name their files in `disks`, and leave the rule `directory` out"
            );
            self.check(Check::block("disks", reason, cure));
        }
        self.definition_steps(&old, &renewal, command, directory)?;
        if rules.start {
            self.start_steps(at, directory);
        }
        Ok(())
    }

    fn definition_steps(
        &mut self,
        old: &Definition,
        renewal: &Renewal,
        command: Vec<String>,
        directory: &Path,
    ) -> Result<()> {
        let start = script(&command);
        let new = Definition {
            name: Some(renewal.name.clone()),
            uuid: old.uuid.as_ref().map(|_| renewal.uuid.clone()),
            command,
            directory: directory.to_owned(),
            block: Value::Null,
            ..old.clone()
        };
        let text = serde_json::to_string_pretty(&new)
            .map_err(|error| Error::internal(error.to_string()))?;
        for (name, text, executable) in [(DEFINITION, text, false), ("start.sh", start, true)] {
            let file = directory.join(name);
            self.check_free(&file);
            let what = format!("write {}", file.display());
            self.step(Stage::Stage, what, FileStep::WriteText { file, text, executable });
        }
        Ok(())
    }

    fn start_steps(&mut self, at: &At, directory: &Path) {
        let start = MachineStep::Start {
            script: directory.join("start.sh"),
            directory: directory.to_owned(),
            qmp: at.qmp.clone(),
        };
        let steps = &mut self.result.steps;
        steps.push(step(Stage::Start, "start the machine", &Action::Machine(start)));
        let health = MachineStep::Health { qmp: at.qmp.clone(), agent: at.agent.clone() };
        let text = "see that it runs and its agent answers";
        steps.push(step(Stage::Health, text, &Action::Machine(health)));
    }

    /// Two machines of one identity disturb each other, and everybody who speaks with them.
    fn check_identity(&mut self, old: &Definition, command: &[String], directory: &Path) {
        let new = process::parse(command, directory);
        let was = process::parse(&old.command, &old.directory);
        let same_uuid = new.uuid.is_some() && new.uuid == was.uuid;
        let same_mac = new.macs.iter().find(|mac| was.macs.contains(mac));
        let cure = "change the rule, or leave it out: then a new one is made";
        if same_uuid {
            self.check(Check::block("identity", "the new uuid is that of the original", cure));
        }
        if let Some(mac) = same_mac {
            let reason = format!("the network address {mac} is that of the original");
            self.check(Check::block("identity", reason, cure));
        }
        for (number, (_, running)) in process::all() {
            let shares = (new.uuid.is_some() && new.uuid == running.uuid)
                || (new.name.is_some() && new.name == running.name)
                || new.macs.iter().any(|mac| running.macs.contains(mac))
                || new.qmp.iter().any(|qmp| running.qmp.contains(qmp));
            if shares {
                let reason = format!(
                    "a machine that runs (process {number}) has the same name, uuid, network \
                     address or monitor"
                );
                self.check(Check::block("identity", reason, "choose others, by name and rules"));
            }
        }
        let shared = shared_places(&old.command, command);
        if !shared.is_empty() {
            let reason = format!("the original has these places too: {}", shared.join("; "));
            let cure = "map them with rules `replace:TEXT`; both machines cannot run at once else";
            self.check(Check::warn("places", reason, cure));
        }
    }
}

/// The file and format of a disk of a new machine.
fn place_of_new(disk: &DiskFacts, at: &At, rules: &Rules) -> Result<(PathBuf, String)> {
    let asked = rules.formats.get(&disk.name);
    if let Some(named) = at.disks.get(&disk.name) {
        return Ok((named.file.clone(), asked.unwrap_or(&named.format).clone()));
    }
    let format = asked.unwrap_or(&disk.format).clone();
    let plain = |c: char| c.is_ascii_alphanumeric();
    if format.is_empty() || !format.chars().all(plain) {
        return Err(Error::invalid(format!("{format:?} is no format of a disk")));
    }
    let directory = rules.directory.as_ref().ok_or_else(|| {
        Error::invalid(format!(
            "where does disk {} go? name it in `disks`, or give the rule `directory`",
            disk.name
        ))
    })?;
    if !directory.is_absolute() {
        return Err(Error::invalid("the rule `directory` is a whole path, from `/` on"));
    }
    Ok((directory.join(format!("{}.{format}", disk.name)), format))
}

/// What the original writes to and the new machine still names.
fn left_behind<'o>(old: &'o Definition, new: &[String], directory: &Path) -> BTreeSet<&'o str> {
    let nodes = old.block.as_array().into_iter().flatten().filter(|node| node["ro"] == false);
    let files = nodes.filter_map(|node| node["file"].as_str());
    let is_same = |file: &&str| old.directory.join(file) == directory.join(file);
    files.filter(is_same).filter(|file| names(new, file)).collect()
}

/// Sockets, ports, logs and devices of the host that both command lines name.
fn shared_places(old: &[String], new: &[String]) -> Vec<String> {
    let with_place = |flag: &str, word: &str| match flag.trim_start_matches('-') {
        "qmp" | "qmp-pretty" | "monitor" | "serial" | "parallel" | "pidfile" | "vnc" | "spice"
        | "gdb" => !["none", "null", "stdio", "mon:stdio"].contains(&word),
        "chardev" => word.contains("path=") || word.contains("port="),
        "netdev" | "nic" => word.contains("hostfwd=") || word.contains("ifname="),
        _ => false,
    };
    let pairs = new.windows(2).filter(|pair| with_place(&pair[0], &pair[1]));
    pairs.map(|pair| pair[1].clone()).filter(|word| old.contains(word)).collect()
}
