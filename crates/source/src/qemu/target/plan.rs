//! Decides a restore.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tintype_model::item::Item;
use tintype_model::plan::{Check, Stage};
use tintype_model::resource::{Phase, Resource};
use tintype_model::{Error, ErrorKind, Result};

use super::MachineStep;
use super::renew::{Renewal, fresh_mac, fresh_uuid, names, renewed, script};
use crate::connector::{Context, Destination, Stored, TargetPlan};
use crate::qemu::at::{At, DiskAt};
use crate::qemu::definition::{DEFINITION, Definition};
use crate::qemu::process;
use crate::vm::agent::Agent;
use crate::vm::checks::{NO_AGENT, NOT_STARTED, OFF, guest_hooks, has_guest_hooks};
use crate::vm::draft::Draft;
use crate::vm::facts::{DiskFacts, Facts, NVRAM};
use crate::vm::place::resolved;
use crate::vm::qmp::Qmp;
use crate::vm::rules::{Rules, check_replaced};
use crate::vm::socket::Waits;
use crate::vm::steps::{FileStep, beside};

const DEFINITION_BYTES: u64 = 64 << 20;

pub(super) fn plan(
    item: &Item,
    resource: &Resource,
    destination: &Destination,
    stored: &dyn Stored,
    context: &Context,
) -> Result<TargetPlan> {
    let facts = Facts::of(item)?;
    let definition = definition(stored)?;
    let parsed = definition.iter().map(|old| process::parse(&old.command, &old.directory));
    let macs: BTreeSet<String> = parsed.flat_map(|old| old.macs).collect();
    let mut plan = Plan { facts, definition, draft: Draft::new(context, stored) };
    match destination {
        Destination::InPlace => plan.in_place(resource)?,
        Destination::AsNew { name, at, rules } => {
            let (at, rules) = (At::parse(at)?, Rules::parse(rules, &plan.facts, false)?);
            rules.check_known(&macs, &BTreeSet::new())?;
            plan.check_hooks(resource, &at, &rules)?;
            plan.as_new(name, &at, &rules)?;
        }
    }
    Ok(plan.draft.finish())
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

struct Plan<'a> {
    facts: Facts,
    definition: Option<Definition>,
    draft: Draft<'a>,
}

impl Plan<'_> {
    fn check(&mut self, check: Check) {
        self.draft.check(check);
    }

    /// Where QEMU had a file; what is not a whole path is from its directory.
    fn place_of(&self, disk: &DiskFacts) -> PathBuf {
        match &self.definition {
            Some(definition) => definition.directory.join(&disk.file),
            None => PathBuf::from(&disk.file),
        }
    }

    fn in_place(&mut self, resource: &Resource) -> Result<()> {
        self.check_off(&At::of(resource)?.qmp)?;
        let hooks = [(Phase::PreRestore, OFF), (Phase::PostRestore, "you start the machine")];
        for (phase, why) in hooks {
            self.draft.result.checks.extend(guest_hooks(resource, phase, why));
        }
        for disk in self.facts.disks.clone() {
            let file = resolved(&self.place_of(&disk));
            let new = self.draft.beside(&file, true);
            self.check_chain(&disk);
            self.draft.write_disk(&disk, new.clone(), &file, &disk.format)?;
            self.replace(&disk, new, file)?;
        }
        if let Some(nvram) = self.facts.nvram.clone() {
            let file = resolved(&self.place_of(&nvram));
            let new = self.draft.beside(&file, true);
            self.draft.write_nvram(new.clone());
            self.replace(&nvram, new, file)?;
        }
        Ok(())
    }

    fn replace(&mut self, disk: &DiskFacts, new: PathBuf, file: PathBuf) -> Result<()> {
        if self.draft.replace(new, file.clone()) {
            // The machine is off: what is replaced is captured as files, the firmware's variables
            // as a disk of their own.
            let format = disk.format.clone();
            let place = serde_json::to_value(DiskAt { file, format })
                .map_err(|error| Error::internal(error.to_string()))?;
            let disks = self.draft.result.undo_at.entry("disks").or_insert_with(|| json!({}));
            disks[&disk.name] = place;
        }
        Ok(())
    }

    fn check_off(&mut self, qmp: &Path) -> Result<()> {
        let cure = "shut the guest down, so that QEMU ends, and try again";
        let check = match Qmp::connect(qmp, Waits::of(self.draft.context)) {
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

    /// Those before the restore run in the machine that was captured, those after it in the new one.
    fn check_hooks(&mut self, resource: &Resource, at: &At, rules: &Rules) -> Result<()> {
        if has_guest_hooks(resource, Phase::PreRestore) {
            let original = At::of(resource)?;
            let agent = original.agent.ok_or_else(|| Error::not_found(NO_AGENT));
            let waits = Waits::of(self.draft.context);
            match agent.and_then(|agent| Agent::connect(&agent, self.draft.context, waits)) {
                Ok(_) => {
                    self.check(Check::pass("agent", "the guest agent of the original answers"));
                }
                Err(error) if error.is(ErrorKind::Canceled) => return Err(error),
                Err(error) => {
                    let hook = guest_hooks(resource, Phase::PreRestore, &error.to_string());
                    self.draft.result.checks.extend(hook);
                }
            }
        }
        let why = match (rules.start, &at.agent) {
            (false, _) => NOT_STARTED,
            (true, None) => NO_AGENT,
            (true, Some(_)) => return Ok(()),
        };
        self.draft.result.checks.extend(guest_hooks(resource, Phase::PostRestore, why));
        Ok(())
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

    fn as_new(&mut self, name: &str, at: &At, rules: &Rules) -> Result<()> {
        let mut paths = BTreeMap::new();
        for disk in self.facts.disks.clone() {
            if !rules.takes(&disk) {
                continue;
            }
            let (file, format) = place_of_new(&disk, at, rules)?;
            self.draft.check_free(&file);
            let new = beside(&file, "new", self.draft.context);
            self.draft.write_disk(&disk, new.clone(), &file, &format)?;
            self.draft.put(new, file.clone());
            paths.insert(disk.file.clone(), file.display().to_string());
            self.check_chain(&disk);
        }
        if let Some(directory) = rules.directory.as_ref().filter(|_| self.definition.is_some()) {
            self.machine(name, at, rules, directory, paths)?;
            return Ok(());
        }
        if rules.start {
            let cure = "the rule `directory` says where its definition goes";
            self.check(Check::block("definition", "there is nothing to start", cure));
        }
        if let Some(check) = check_replaced(&rules.replace, |_| ()) {
            self.check(check);
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
        self.draft.make_directory(directory);
        if let Some(nvram) = self.facts.nvram.clone() {
            let file = directory.join(NVRAM);
            paths.insert(nvram.file.clone(), file.display().to_string());
            self.draft.new_nvram(file);
        }
        let text = |path: &Path| path.display().to_string();
        paths.extend(parsed.qmp.first().map(|qmp| (text(qmp), text(&at.qmp))));
        let agents = parsed.agent.iter().zip(&at.agent);
        paths.extend(agents.map(|(old, new)| (text(old), text(new))));
        let session = &self.draft.context.session;
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
        let made = |replace| renewed(&old.command, &Renewal { replace, ..renewal.clone() });
        if let Some(check) = check_replaced(&rules.replace, made) {
            self.check(check);
        }
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
        if rules.start {
            self.start_steps(at, directory, &command);
        }
        self.definition_steps(&old, &renewal, command, directory)?;
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
            self.draft.check_free(&file);
            let new = beside(&file, "new", self.draft.context);
            let what = format!("write {}", file.display());
            let write = FileStep::WriteText { file: new.clone(), text, executable };
            self.draft.file(Stage::Stage, what, &write);
            self.draft.put(new, file);
        }
        Ok(())
    }

    /// The command line comes out of the snapshot, whoever wrote that.
    fn start_steps(&mut self, at: &At, directory: &Path, command: &[String]) {
        let program = command.first().map_or("", String::as_str);
        if !process::is_qemu(program) {
            let reason = format!("the machine would be started by {program}, which is no QEMU");
            let cure = "leave the rule `start` out, and look at the command in its start.sh";
            self.check(Check::block("program", reason, cure));
        }
        self.draft.result.commands.push(command.to_vec());
        let start = MachineStep::Start {
            script: directory.join("start.sh"),
            directory: directory.to_owned(),
            qmp: at.qmp.clone(),
        };
        self.draft.step(Stage::Start, "start the machine", &start);
        let health = MachineStep::Health { qmp: at.qmp.clone(), agent: at.agent.clone() };
        self.draft.step(Stage::Health, "see that it runs and its agent answers", &health);
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
        let shared = shared_words(&old.command, command);
        if !shared.is_empty() {
            let reason = format!("the original has these places too: {}", shared.join("; "));
            let cure = "map them with rules `replace:TEXT`; both machines cannot run at once else";
            self.check(Check::warn("places", reason, cure));
        }
    }
}

/// The file and format of a disk of a new machine.
fn place_of_new(disk: &DiskFacts, at: &At, rules: &Rules) -> Result<(PathBuf, String)> {
    let asked = rules.format_of(disk);
    if let Some(named) = at.disks.get(&disk.name) {
        return Ok((named.file.clone(), asked.unwrap_or(&named.format).clone()));
    }
    let format = asked.unwrap_or(&disk.format).clone();
    let directory = rules.directory_for(disk)?;
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
pub(crate) fn shared_words(old: &[String], new: &[String]) -> Vec<String> {
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
