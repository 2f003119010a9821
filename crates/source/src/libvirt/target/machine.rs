//! A machine is defined again over what is there while it is off, or as a new one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tintype_model::plan::{Check, Stage};
use tintype_model::resource::{Hook, HookPlace, Phase, Resource};
use tintype_model::{Error, ErrorKind, Result};
use xmltree::Element;

use super::network::called;
use super::renew::{Renewal, domain as renewed};
use super::{LibvirtStep, Plan, What};
use crate::connector::{Context, Destination, TargetPlan};
use crate::host::space::{Need, check_all};
use crate::libvirt::at::At;
use crate::libvirt::domain::{Domain, disk_names, macs, networks};
use crate::libvirt::source::DEFINITION;
use crate::libvirt::virsh::Virsh;
use crate::libvirt::xml::{parse, text, write};
use crate::qemu::at::DiskAt;
use crate::qemu::definition::{DISKS, DiskFacts, Facts, NVRAM};
use crate::qemu::target::renew::fresh_uuid;
use crate::vm::checks::{NOT_STARTED, OFF, guest_hooks, tools};
use crate::vm::place::{in_use, resolved};
use crate::vm::socket::Waits;
use crate::vm::steps::{FileStep, beside, keep_later, replaced};

pub(super) const START: Duration = Duration::from_mins(2);
const BOOT: Duration = Duration::from_mins(5);

pub(super) fn plan(
    mut plan: Plan<'_>,
    resource: &Resource,
    destination: &Destination,
) -> Result<TargetPlan> {
    let facts: Facts = serde_json::from_value(plan.item.facts.clone()).map_err(|error| {
        Error::invalid(format!("the snapshot does not say what it holds: {error}"))
    })?;
    match destination {
        Destination::InPlace => {
            in_place(&mut plan, &At::parse(&resource.at)?, &facts)?;
            hooks_in_place(&mut plan, &At::parse(&resource.at)?, resource)?;
        }
        Destination::AsNew { name, at, rules } => {
            let at = At::parse(at)?;
            let new = at.domain.as_deref().unwrap_or(name).to_owned();
            let rules = Rules::parse(rules, &facts)?;
            let hooks = guest_hooks(resource, Phase::PostRestore, NOT_STARTED);
            plan.result.checks.extend(hooks.filter(|_| !rules.start));
            as_new(&mut plan, &at, &new, &facts, rules)?;
        }
    }
    Ok(plan.result)
}

fn write_disk(plan: &mut Plan<'_>, disk: &DiskFacts, file: PathBuf, format: &str) {
    let mebibytes = disk.size_bytes >> 20;
    let text = format!("write disk {} ({mebibytes} MiB) to {}", disk.name, file.display());
    let at = format!("{DISKS}/{}.img", disk.name);
    let (format, size_bytes) = (format.to_owned(), disk.size_bytes);
    plan.file(Stage::Stage, text, FileStep::WriteDisk { at, file, format, size_bytes });
}

fn write_object(plan: &mut Plan<'_>, at: &str, file: PathBuf) {
    let text = format!("write {}", file.display());
    plan.file(Stage::Stage, text, FileStep::WriteObject { at: at.to_owned(), file });
}

fn in_place(plan: &mut Plan<'_>, at: &At, facts: &Facts) -> Result<()> {
    let name = at.domain()?.to_owned();
    let virsh = Virsh::new(&at.uri, plan.context);
    let before = match Domain::look(&virsh, &name) {
        Err(error) if error.is(ErrorKind::NotFound) => None,
        found => Some(found?),
    };
    let cure = "shut it down (virsh shutdown), and try again";
    plan.check(match &before {
        Some(domain) if !domain.is_off() => Check::block("running", "the machine runs", cure),
        Some(_) => Check::pass("running", "the machine is off"),
        None => Check::pass("running", "the machine is not defined"),
    });
    let is_another = |domain: &Domain| facts.uuid.as_ref().is_some_and(|uuid| *uuid != domain.uuid);
    if before.as_ref().is_some_and(is_another) {
        let reason = format!("there is another machine of the name {name}");
        plan.check(Check::block("identity", reason, "rename one of them, or restore as new"));
    }
    // An undo point of a machine that was not defined holds disks alone.
    let xml = match plan.definition(DEFINITION) {
        Err(error) if error.is(ErrorKind::NotFound) => None,
        xml => Some(xml?),
    };
    if let Some(xml) = &xml {
        let definition = parse(xml)?;
        check_identity(plan, &virsh, &definition, Some(&name))?;
        check_networks(plan, &virsh, &definition)?;
        tell_left_out(plan, &definition, facts, "it stays as it is now");
    }
    replace_files(plan, facts, before.as_ref())?;
    if let Some(xml) = xml {
        let show = ["dumpxml", &name, "--inactive", "--security-info"];
        let before = before.map(|_| virsh.call(&show)).transpose()?;
        define(plan, at, &name, xml, before);
        if facts.autostart {
            let text = format!("start the machine {name} with the host");
            let (uri, what) = (at.uri.clone(), What::Domain);
            plan.libvirt(Stage::Start, text, LibvirtStep::Autostart { uri, what, name });
        }
    }
    for (stage, text, action) in keep_later(std::mem::take(&mut plan.replaced)) {
        plan.file(stage, text, action);
    }
    Ok(())
}

/// Disks and firmware variables, and what the undo point must name of them: `before` names what is
/// captured without that.
fn replace_files(plan: &mut Plan<'_>, facts: &Facts, before: Option<&Domain>) -> Result<()> {
    let is_off = before.is_none_or(Domain::is_off);
    let (mut places, mut replaced) = (Vec::new(), BTreeMap::new());
    let mut are_named = before.is_some();
    for disk in &facts.disks {
        let file = resolved(Path::new(&disk.file));
        let new = check_place(plan, &file, is_off);
        write_disk(plan, disk, new.clone(), &disk.format);
        places.push(disk.need(plan.stored, &file)?);
        if replace(plan, new, file.clone()) {
            are_named &= before.is_some_and(|domain| domain.has_disk(&disk.name, &file));
            replaced.insert(disk.name.clone(), DiskAt { file, format: disk.format.clone() });
        }
    }
    let stored_nvram = plan.stored.object(NVRAM.as_bytes(), 1 << 30).is_ok();
    if let Some(nvram) = facts.nvram.as_ref().filter(|_| stored_nvram) {
        let file = resolved(Path::new(&nvram.file));
        let new = check_place(plan, &file, is_off);
        write_object(plan, NVRAM, new.clone());
        let is_named = before.is_some_and(|domain| domain.has_nvram(&file));
        if replace(plan, new, file.clone()) && !is_named {
            are_named = false;
            replaced.insert(NVRAM.to_owned(), DiskAt { file, format: "raw".to_owned() });
        }
    }
    if !are_named && !replaced.is_empty() {
        let disks = serde_json::to_value(replaced);
        let disks = disks.map_err(|error| Error::internal(error.to_string()))?;
        plan.result.undo_at.insert("disks".to_owned(), disks);
    }
    finish_checks(plan, &facts.disks.iter().map(|disk| disk.format.clone()).collect(), &places);
    Ok(())
}

/// Disks that were excluded, or could not be captured then.
fn tell_left_out(plan: &mut Plan<'_>, definition: &Element, facts: &Facts, what: &str) {
    let is_captured = |name: &String| facts.disks.iter().any(|disk| disk.name == *name);
    for name in disk_names(definition).into_iter().filter(|name| !is_captured(name)) {
        let reason = format!("disk {name} is not in the snapshot: {what}");
        plan.check(Check::warn("disks", reason, "bring it back by itself, if it is needed"));
    }
}

/// A hook in the guest after the restore needs one that runs; otherwise its owner starts it.
fn hooks_in_place(plan: &mut Plan<'_>, at: &At, resource: &Resource) -> Result<()> {
    plan.result.checks.extend(guest_hooks(resource, Phase::PreRestore, OFF));
    let in_it = |hook: &Hook| hook.place == HookPlace::Guest && hook.phase == Phase::PostRestore;
    if resource.hooks.iter().any(in_it) {
        start(plan, at, at.domain()?);
    }
    Ok(())
}

fn start(plan: &mut Plan<'_>, at: &At, name: &str) {
    let (uri, what, name) = (at.uri.clone(), What::Domain, name.to_owned());
    let start = LibvirtStep::Start { uri: uri.clone(), what, name: name.clone() };
    plan.libvirt(Stage::Start, "start the machine", start);
    let health = LibvirtStep::Health { uri, name };
    plan.libvirt(Stage::Health, "see that it runs and its agent answers", health);
}

/// Where a file is written beside another. `is_off`: its own machine does not use it.
fn check_place(plan: &mut Plan<'_>, file: &Path, is_off: bool) -> PathBuf {
    use std::os::unix::fs::FileTypeExt;
    let directory = file.parent().unwrap_or(Path::new("/"));
    if !file.is_absolute() || !directory.is_dir() {
        let reason = format!("{} is no file in a directory of this host", file.display());
        plan.check(Check::block("place", reason, "restore as new, with the rule `directory`"));
    } else if std::fs::metadata(file).is_ok_and(|found| found.file_type().is_block_device()) {
        let reason =
            format!("{} is a block device, which cannot be written beside", file.display());
        plan.check(Check::block("device", reason, "restore as new, with the rule `directory`"));
    } else if !file.exists() && file.symlink_metadata().is_ok() {
        let reason = format!("{} is a link that leads nowhere", file.display());
        plan.check(Check::block("place", reason, "remove it, or restore as new"));
    }
    plan.result.checks.extend(in_use(file, plan.context).filter(|_| is_off));
    beside(file, "new", plan.context)
}

/// Whether something is there that is replaced.
fn replace(plan: &mut Plan<'_>, new: PathBuf, file: PathBuf) -> bool {
    let is_there = std::fs::metadata(&file).is_ok();
    plan.result.replaces |= is_there;
    let kept = is_there.then(|| replaced(&file, plan.context));
    let old = kept.as_ref().and_then(|kept| Some(kept.files.first()?.0.clone()));
    let text = format!("put it in the place of {}", file.display());
    plan.file(Stage::Switch, text, FileStep::Place { new, file, old });
    plan.replaced.extend(kept);
    is_there
}

fn finish_checks(plan: &mut Plan<'_>, formats: &BTreeSet<String>, places: &[Need]) {
    plan.check(tools(formats));
    plan.check(check_all(places));
}

fn define(plan: &mut Plan<'_>, at: &At, name: &str, xml: String, before: Option<String>) {
    let (uri, name) = (at.uri.clone(), name.to_owned());
    let text = format!("define the machine {name}");
    let step = LibvirtStep::Define { uri, what: What::Domain, name, xml, before };
    plan.libvirt(Stage::Switch, text, step);
}

/// No other machine has its uuid or hardware addresses.
fn check_identity(
    plan: &mut Plan<'_>,
    virsh: &Virsh,
    new: &Element,
    own: Option<&str>,
) -> Result<()> {
    let names = virsh.call(&["list", "--all", "--name"])?;
    let (uuid, addresses) = (text(new, &["uuid"]), macs(new));
    for name in names.lines().map(str::trim).filter(|name| !name.is_empty() && Some(*name) != own) {
        let Ok(other) = virsh.call(&["dumpxml", name]).and_then(|other| parse(&other)) else {
            continue;
        };
        let cure = "change the rule, or leave it out: then a new one is made";
        if uuid.is_some() && uuid == text(&other, &["uuid"]) {
            let reason = format!("the machine {name} has the same uuid");
            plan.check(Check::block("identity", reason, cure));
        }
        if let Some(mac) = addresses.intersection(&macs(&other)).next() {
            let reason = format!("the machine {name} has the network address {mac} too");
            plan.check(Check::block("identity", reason, cure));
        }
        if text(new, &["name"]).as_deref() == Some(name) {
            let reason = format!("there is a machine {name}");
            plan.check(Check::block("name", reason, "choose another name"));
        }
    }
    Ok(())
}

fn check_networks(plan: &mut Plan<'_>, virsh: &Virsh, new: &Element) -> Result<()> {
    let there = virsh.call(&["net-list", "--all", "--name"])?;
    let there: BTreeSet<&str> = there.lines().map(str::trim).collect();
    for network in networks(new).iter().filter(|network| !there.contains(&network[..])) {
        let reason = format!("there is no network {network}");
        let cure = "restore the network too, or map it with the rule `network:NAME`";
        let missing = Check::block("network", reason, cure);
        plan.check(missing.unless(called(network, virsh.uri())));
    }
    Ok(())
}

fn check_free(plan: &mut Plan<'_>, file: &Path) {
    if file.symlink_metadata().is_ok() {
        let reason = format!("{} exists", file.display());
        plan.check(Check::block("place", reason, "give another place, or move it away"));
    }
}

/// Rules of a restore as new.
#[derive(Debug, Default)]
struct Rules {
    directory: PathBuf,
    disks: Option<BTreeSet<String>>,
    uuid: Option<String>,
    start: bool,
    formats: BTreeMap<String, String>,
    macs: BTreeMap<String, String>,
    networks: BTreeMap<String, String>,
    replace: BTreeMap<String, String>,
}

impl Rules {
    fn parse(rules: &BTreeMap<String, String>, facts: &Facts) -> Result<Self> {
        let mut parsed = Self::default();
        for (rule, value) in rules {
            let value = value.clone();
            match rule.split_once(':').unwrap_or((rule, "")) {
                ("directory", "") => parsed.directory = value.into(),
                ("disks", "") => {
                    parsed.disks =
                        Some(value.split(',').map(|name| name.trim().to_owned()).collect());
                }
                ("uuid", "") => parsed.uuid = Some(value),
                ("start", "") => parsed.start = value == "yes",
                ("format", disk) => drop(parsed.formats.insert(disk.to_owned(), value)),
                ("mac", old) => drop(parsed.macs.insert(old.to_ascii_lowercase(), value)),
                ("network", old) => drop(parsed.networks.insert(old.to_owned(), value)),
                ("replace", old) => drop(parsed.replace.insert(old.to_owned(), value)),
                _ => {
                    return Err(Error::invalid(format!(
                        "there is no rule {rule:?}: there are `directory`, `disks`, `uuid`, \
                         `start`, `format:DISK`, `mac:ADDRESS`, `network:NAME` and `replace:TEXT`"
                    )));
                }
            }
        }
        let known = |name: &&String| facts.disks.iter().any(|disk| disk.name == **name);
        if let Some(unknown) = parsed.disks.iter().flatten().find(|name| !known(name)) {
            return Err(Error::invalid(format!("the snapshot has no disk {unknown}")));
        }
        let plain = |text: &String| text.chars().all(|c| c.is_ascii_alphanumeric());
        if let Some(format) = parsed.formats.values().find(|format| !plain(format)) {
            return Err(Error::invalid(format!("{format:?} is no format of a disk")));
        }
        if !parsed.directory.is_absolute() {
            return Err(Error::invalid(
                "the rule `directory` is needed: where the disks go, a whole path",
            ));
        }
        Ok(parsed)
    }
}

fn as_new(plan: &mut Plan<'_>, at: &At, name: &str, facts: &Facts, rules: Rules) -> Result<()> {
    let virsh = Virsh::new(&at.uri, plan.context);
    let directory = rules.directory.clone();
    if !directory.is_dir() {
        let text = format!("make {}", directory.display());
        plan.file(Stage::Stage, text, FileStep::MakeDirectory { path: directory.clone() });
    }
    let (mut disks, mut places, mut formats) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
    for disk in &facts.disks {
        if rules.disks.as_ref().is_some_and(|wanted| !wanted.contains(&disk.name)) {
            continue;
        }
        let format = rules.formats.get(&disk.name).unwrap_or(&disk.format).clone();
        let file = directory.join(format!("{name}-{}.{format}", disk.name));
        check_free(plan, &file);
        write_disk(plan, disk, file.clone(), &format);
        disks.insert(disk.name.clone(), (file.display().to_string(), format.clone()));
        places.push(disk.need(plan.stored, &file)?);
        formats.insert(format);
    }
    let stored_nvram = plan.stored.object(NVRAM.as_bytes(), 1 << 30).is_ok();
    let nvram = stored_nvram.then(|| directory.join(format!("{name}-{NVRAM}")));
    if let Some(file) = &nvram {
        check_free(plan, file);
        write_object(plan, NVRAM, file.clone());
    }
    let renewal = Renewal {
        name: name.to_owned(),
        uuid: rules.uuid.unwrap_or_else(|| fresh_uuid(&plan.context.session, name)),
        disks,
        nvram: nvram.map(|file| file.display().to_string()),
        macs: rules.macs,
        networks: rules.networks,
        replace: rules.replace,
        session: plan.context.session.clone(),
    };
    let stored = parse(&plan.definition(DEFINITION)?)?;
    tell_left_out(plan, &stored, facts, "the new machine has none");
    let definition = renewed(stored, &renewal);
    check_identity(plan, &virsh, &definition, None)?;
    check_networks(plan, &virsh, &definition)?;
    finish_checks(plan, &formats, &places);
    define(plan, at, name, write(&definition)?, None);
    if rules.start {
        start(plan, at, name);
    }
    Ok(())
}

/// Of one that was started; one without an agent runs, and that is all that can be seen.
pub(super) fn wait_for_agent(uri: &str, name: &str, context: &Context) -> Result<()> {
    let virsh = Virsh::new(uri, context);
    let patience = Waits::of(context).within(BOOT);
    loop {
        let domain = Domain::look(&virsh, name)?;
        if !domain.is_running() {
            let state = &domain.state;
            return Err(Error::unavailable(format!("the machine was started and is {state}")));
        }
        let ping = ["qemu-agent-command", name, r#"{"execute":"guest-ping"}"#, "--timeout", "2"];
        if !domain.has_agent || virsh.call(&ping).is_ok() {
            return Ok(());
        }
        patience.pause().map_err(|error| error.context("no guest agent comes up"))?;
    }
}
