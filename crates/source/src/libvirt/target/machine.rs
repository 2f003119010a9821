//! A machine is defined again over what is there while it is off, or as a new one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use tintype_model::plan::{Check, Stage};
use tintype_model::resource::{Hook, HookPlace, Phase, Resource};
use tintype_model::{Error, ErrorKind, Result};
use xmltree::Element;

use super::network::called;
use super::renew::{Renewal, domain as renewed};
use super::{LibvirtStep, Plan, What, shared};
use crate::connector::{Context, Destination};
use crate::libvirt::at::At;
use crate::libvirt::domain::{Domain, disk_names, has_agent, macs, networks};
use crate::libvirt::source::{DEFINITION, agent_answers};
use crate::libvirt::virsh::Virsh;
use crate::libvirt::xml::{children, parse, text, write};
use crate::qemu::at::DiskAt;
use crate::qemu::target::renew::fresh_uuid;
use crate::vm::checks::{NOT_STARTED, OFF, guest_hooks, has_guest_hooks};
use crate::vm::facts::{Facts, NVRAM};
use crate::vm::place::resolved;
use crate::vm::rules::{Rules, check_replaced};
use crate::vm::socket::Waits;
use crate::vm::steps::beside;

pub(super) const START: Duration = Duration::from_mins(2);
const BOOT: Duration = Duration::from_mins(5);

pub(super) fn plan(
    plan: &mut Plan<'_>,
    resource: &Resource,
    destination: &Destination,
) -> Result<()> {
    let facts = Facts::of(plan.item)?;
    match destination {
        Destination::InPlace => {
            let at = At::parse(&resource.at)?;
            in_place(plan, &at, &facts)?;
            hooks_in_place(plan, &at, resource)
        }
        Destination::AsNew { name, at, rules } => {
            let at = At::parse(at)?;
            let new = at.domain.as_deref().unwrap_or(name).to_owned();
            let rules = Rules::parse(rules, &facts, true)?;
            hooks_as_new(plan, resource, &rules)?;
            as_new(plan, &at, &new, &facts, rules)
        }
    }
}

fn in_place(plan: &mut Plan<'_>, at: &At, facts: &Facts) -> Result<()> {
    let name = at.domain()?.to_owned();
    let virsh = Virsh::new(&at.uri, plan.draft.context);
    let before = match Domain::look(&virsh, &name) {
        Err(error) if error.is(ErrorKind::NotFound) => None,
        found => Some(found?),
    };
    let cure = "shut it down (virsh shutdown), and try again";
    plan.check(match &before {
        Some(domain) if domain.is_saved => Check::block("running", SAVED, drop_saved(&name)),
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
        check_programs(plan, &parse(&xml)?, before.as_deref().map(parse).transpose()?.as_ref());
        define(plan, at, &name, xml, before);
        if facts.autostart {
            let text = format!("start the machine {name} with the host");
            let (uri, what) = (at.uri.clone(), What::Domain);
            plan.libvirt(Stage::Start, text, LibvirtStep::Autostart { uri, what, name });
        }
    }
    Ok(())
}

/// Disks and firmware variables, and what the undo point must name of them: `before` names what is
/// captured without that.
fn replace_files(plan: &mut Plan<'_>, facts: &Facts, before: Option<&Domain>) -> Result<()> {
    let is_off = before.is_none_or(Domain::is_off);
    let mut replaced = BTreeMap::new();
    let mut are_named = before.is_some();
    for disk in &facts.disks {
        let file = resolved(Path::new(&disk.file));
        let new = plan.draft.beside(&file, is_off);
        plan.draft.write_disk(disk, new.clone(), &file, &disk.format)?;
        if plan.draft.replace(new, file.clone()) {
            are_named &= before.is_some_and(|domain| domain.has_disk(&disk.name, &file));
            replaced.insert(disk.name.clone(), DiskAt { file, format: disk.format.clone() });
        }
    }
    let stored_nvram = has_stored_nvram(plan);
    if let Some(nvram) = facts.nvram.as_ref().filter(|_| stored_nvram) {
        let file = resolved(Path::new(&nvram.file));
        let new = plan.draft.beside(&file, is_off);
        plan.draft.write_nvram(new.clone());
        let is_named = before.is_some_and(|domain| domain.has_nvram(&file));
        if plan.draft.replace(new, file.clone()) && !is_named {
            are_named = false;
            replaced.insert(NVRAM.to_owned(), DiskAt { file, format: "raw".to_owned() });
        }
    }
    if !are_named && !replaced.is_empty() {
        let disks = serde_json::to_value(replaced);
        let disks = disks.map_err(|error| Error::internal(error.to_string()))?;
        let undo_at = &mut plan.draft.result.undo_at;
        undo_at.extend([("disks".to_owned(), disks), ("named_disks".to_owned(), true.into())]);
    }
    Ok(())
}

fn has_stored_nvram(plan: &Plan<'_>) -> bool {
    plan.draft.stored.object(NVRAM.as_bytes(), 1 << 30).is_ok()
}

/// Disks that were excluded, or could not be captured then.
fn tell_left_out(plan: &mut Plan<'_>, definition: &Element, facts: &Facts, what: &str) {
    let is_captured = |name: &String| facts.disks.iter().any(|disk| disk.name == *name);
    for name in disk_names(definition).into_iter().filter(|name| !is_captured(name)) {
        let reason = format!("disk {name} is not in the snapshot: {what}");
        plan.check(Check::warn("disks", reason, "bring it back by itself, if it is needed"));
    }
    let has_nvram = children(definition, "os").any(|os| os.get_child("nvram").is_some());
    if has_nvram && !has_stored_nvram(plan) {
        let reason = format!("the firmware's variables are not in the snapshot: {what}");
        let cure = "see in its firmware that it still knows what to boot from";
        plan.check(Check::warn("nvram", reason, cure));
    }
}

/// A hook in the guest after the restore needs one that runs; otherwise its owner starts it.
fn hooks_in_place(plan: &mut Plan<'_>, at: &At, resource: &Resource) -> Result<()> {
    plan.draft.result.checks.extend(guest_hooks(resource, Phase::PreRestore, OFF));
    let in_it = |hook: &Hook| hook.place == HookPlace::Guest && hook.phase == Phase::PostRestore;
    if resource.hooks.iter().any(in_it) {
        start(plan, at, at.domain()?);
    }
    Ok(())
}

/// Those before the restore run in the machine that was captured, those after it in the new one.
fn hooks_as_new(plan: &mut Plan<'_>, resource: &Resource, rules: &Rules) -> Result<()> {
    if has_guest_hooks(resource, Phase::PreRestore) {
        let original = At::parse(&resource.at)?;
        let virsh = Virsh::new(&original.uri, plan.draft.context);
        let found = Domain::look(&virsh, original.domain()?).map_err(|error| error.to_string());
        match found.and_then(|domain| agent_answers(&virsh, &domain)) {
            Ok(()) => plan.check(Check::pass("agent", "the guest agent of the original answers")),
            Err(why) => {
                let hook = guest_hooks(resource, Phase::PreRestore, &why);
                plan.draft.result.checks.extend(hook);
            }
        }
    }
    let why = match (rules.start, has_agent(&parse(&plan.definition(DEFINITION)?)?)) {
        (false, _) => NOT_STARTED,
        (true, false) => "the machine has no port for a guest agent",
        (true, true) => return Ok(()),
    };
    plan.draft.result.checks.extend(guest_hooks(resource, Phase::PostRestore, why));
    Ok(())
}

fn start(plan: &mut Plan<'_>, at: &At, name: &str) {
    let (uri, what, name) = (at.uri.clone(), What::Domain, name.to_owned());
    let start = LibvirtStep::Start { uri: uri.clone(), what, name: name.clone() };
    plan.libvirt(Stage::Start, "start the machine", start);
    let health = LibvirtStep::Health { uri, name };
    plan.libvirt(Stage::Health, "see that it runs and its agent answers", health);
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

/// What libvirt runs because the definition says so: `now` is what it says of the machine that is
/// there.
fn check_programs(plan: &mut Plan<'_>, new: &Element, now: Option<&Element>) {
    if let Some(program) = shared::no_qemu(new) {
        let reason = format!("the machine would be run by {program}, which is no QEMU");
        let cure = "restore its disks alone (--to), and define it by hand";
        plan.check(Check::block("program", reason, cure));
    }
    let known = now.map(shared::commands).unwrap_or_default();
    let new = shared::commands(new).into_iter().filter(|command| !known.contains(command));
    plan.draft.result.commands.extend(new);
}

const SAVED: &str = "the machine is saved with its memory (virsh managedsave): its next start would \
                     go on with that, over other disks";

fn drop_saved(name: &str) -> String {
    format!(
        "start it and shut it down in the guest, or give its memory up \
         (virsh managedsave-remove {name}), and try again"
    )
}

/// Nor was it meanwhile.
pub(super) fn not_saved(virsh: &Virsh, name: &str) -> Result<()> {
    match Domain::look(virsh, name) {
        Ok(domain) if domain.is_saved => {
            Err(Error::locked(format!("{SAVED}; {}", drop_saved(name))))
        }
        Err(error) if !error.is(ErrorKind::NotFound) => Err(error),
        _ => Ok(()),
    }
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

fn as_new(plan: &mut Plan<'_>, at: &At, name: &str, facts: &Facts, rules: Rules) -> Result<()> {
    let virsh = Virsh::new(&at.uri, plan.draft.context);
    let stored = parse(&plan.definition(DEFINITION)?)?;
    rules.check_known(&macs(&stored), &networks(&stored))?;
    let missing = "the rule `directory` is needed: where the disks go, a whole path";
    let directory = rules.directory.clone().ok_or_else(|| Error::invalid(missing))?;
    plan.draft.make_directory(&directory);
    let mut disks = BTreeMap::new();
    for disk in facts.disks.iter().filter(|disk| rules.takes(disk)) {
        let format = rules.format_of(disk).unwrap_or(&disk.format).clone();
        let file = directory.join(format!("{name}-{}.{format}", disk.name));
        plan.draft.check_free(&file);
        let new = beside(&file, "new", plan.draft.context);
        plan.draft.write_disk(disk, new.clone(), &file, &format)?;
        plan.draft.put(new, file.clone());
        disks.insert(disk.name.clone(), (file.display().to_string(), format));
    }
    let nvram = has_stored_nvram(plan).then(|| directory.join(format!("{name}-{NVRAM}")));
    if let Some(file) = &nvram {
        plan.draft.new_nvram(file.clone());
    }
    let renewal = Renewal {
        name: name.to_owned(),
        uuid: rules.uuid.unwrap_or_else(|| fresh_uuid(&plan.draft.context.session, name)),
        disks,
        nvram: nvram.map(|file| file.display().to_string()),
        macs: rules.macs,
        networks: rules.networks,
        replace: rules.replace,
        session: plan.draft.context.session.clone(),
    };
    tell_left_out(plan, &stored, facts, "the new machine has none of it");
    let definition = renewed(stored.clone(), &renewal);
    let made = |replace| renewed(stored.clone(), &Renewal { replace, ..renewal.clone() });
    if let Some(check) = check_replaced(&renewal.replace, made) {
        plan.check(check);
    }
    check_identity(plan, &virsh, &definition, None)?;
    check_programs(plan, &definition, None);
    let shared = shared::places(&stored, &definition);
    if !shared.is_empty() {
        let reason = format!("the original has these places too: {}", shared.join("; "));
        let cure = "map them with rules `replace:TEXT`; both machines cannot run at once else";
        plan.check(Check::warn("places", reason, cure));
    }
    check_networks(plan, &virsh, &definition)?;
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
