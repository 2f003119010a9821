//! Capture of a machine of libvirt.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tintype_model::item::HookRun;
use tintype_model::resource::{Consistency, Hook, Resource};
use tintype_model::{Error, ErrorKind, Result};

use super::at::At;
use super::domain::{Domain, DomainDisk, autostarts};
use super::pull::Pull;
use super::sign::Sign;
use super::virsh::{Session, Virsh, is_gone};
use crate::connector::{CapturePlan, Context, Guarded, Part, Released, Source, View};
use crate::qemu::at::DiskAt;
use crate::qemu::mark::Mark;
use crate::qemu::off::{HELD, Off, WHY};
use crate::vm::agent::{self, FREEZE, run_hook};
use crate::vm::facts::{DiskFacts, Facts, NVRAM, WindowFacts};
use crate::vm::freeze::{NO_ANSWER, THAW, frozen_already, stayed, until_thawed};
use crate::vm::level::{self, FREEZES, Level, NOT_QUIESCED, NOTHING_TO_FREEZE, PAUSED};
use crate::vm::socket::Waits;

pub(crate) const DEFINITION: &str = "domain.xml";
const NVRAM_BYTES: u64 = 128 << 20;
/// In the window: less than the guard waits.
const BEGIN: Duration = Duration::from_secs(8);

/// What the guard must know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Guard {
    pub uri: String,
    pub domain: String,
}

impl Guard {
    pub(crate) fn thaw(&self, context: &Context) -> Result<()> {
        let virsh = Virsh::stubborn(&self.uri, context);
        until_thawed(context, || {
            let Err(error) = virsh.call_within(&["domfsthaw", &self.domain], THAW) else {
                return Ok(Ok(()));
            };
            // One that is paused is as frozen as before when it goes on.
            let state = virsh.call(&["domstate", &self.domain]);
            let is_off = |state: String| matches!(state.trim(), "shut off" | "crashed");
            let is_over = state.is_ok_and(is_off) || is_gone(&error);
            Ok(if is_over { Ok(()) } else { Err(error) })
        })
    }
}

/// The level that a machine can reach, and why not more.
pub(crate) fn reach(virsh: &Virsh, domain: &Domain, at: &At) -> Level {
    if let Some(why) = domain.out_of_reach(&[]) {
        return (Consistency::None, Some(why));
    }
    if domain.is_off() {
        return off_level(Some(domain));
    }
    match agent_answers(virsh, domain) {
        Ok(()) => level::frozen(at.application_hooks),
        Err(why) => level::crash(why),
    }
}

/// libvirt says "shutdown" of every end that came from within the guest, also of one without
/// anything written back.
fn off_level(domain: Option<&Domain>) -> Level {
    if domain.is_some_and(|domain| domain.is_saved) {
        return level::crash(SAVED);
    }
    level::crash(WHY)
}

const SAVED: &str = "the machine is off with its memory saved (virsh managedsave), which is not \
                     captured: what it held back is not on the disks; start it for more";

pub(super) fn agent_answers(virsh: &Virsh, domain: &Domain) -> Result<(), String> {
    if !domain.has_agent {
        return Err("the machine has no port for a guest agent: add a channel \
                    `org.qemu.guest_agent.0` and install qemu-guest-agent in the guest"
            .to_owned());
    }
    if !domain.is_running() {
        return Err(PAUSED.to_owned());
    }
    ask_agent(virsh, &domain.name, "guest-ping", Value::Null)
        .map(drop)
        .map_err(|error| format!("the guest agent does not answer (is it installed?): {error}"))
}

/// Whether the agent can freeze, or why not. An error if another program froze.
fn agent_freezes(virsh: &Virsh, domain: &str) -> Result<Result<(), String>> {
    let status = ask_agent(virsh, domain, "guest-fsfreeze-status", Value::Null);
    if status.as_ref().is_ok_and(|status| status.as_str() == Some("frozen")) {
        return Err(frozen_already("virsh domfsthaw"));
    }
    level::freezes(status.map(drop))
}

fn ask_agent(virsh: &Virsh, domain: &str, command: &str, arguments: Value) -> Result<Value> {
    let mut ask = json!({ "execute": command });
    if !arguments.is_null() {
        ask["arguments"] = arguments;
    }
    let said = virsh.call(&["qemu-agent-command", domain, &ask.to_string(), "--timeout", "5"])?;
    agent::reply(said.trim().as_bytes())
}

pub(crate) struct DomainSource {
    at: At,
    name: String,
    resource: Resource,
    context: Context,
    virsh: Virsh,
    domain: Option<Domain>,
    session: Option<Session>,
    pull: Option<Pull>,
    off: Option<Off>,
    has_agent: bool,
    why_no_agent: Option<String>,
    asked: bool,
    sign: Sign,
    frozen: u64,
    window: WindowFacts,
}

impl DomainSource {
    pub(crate) fn new(at: At, resource: &Resource, context: &Context) -> Result<Self> {
        Ok(Self {
            name: at.domain()?.to_owned(),
            virsh: Virsh::new(&at.uri, context),
            at,
            resource: resource.clone(),
            context: context.clone(),
            domain: None,
            session: None,
            pull: None,
            off: None,
            has_agent: false,
            why_no_agent: None,
            asked: false,
            sign: Sign::default(),
            frozen: 0,
            window: WindowFacts::default(),
        })
    }

    /// Of a machine that is off, or not defined.
    fn disks_off(&self) -> BTreeMap<String, DiskAt> {
        match &self.domain {
            Some(domain) if !self.at.named_disks => disks_of_files(&self.disks(domain)),
            _ => self.at.disks.clone(),
        }
    }

    fn plan_off(&self) -> Result<CapturePlan> {
        Off::check(&self.disks_off())?;
        let (reaches, why_not_more) = off_level(self.domain.as_ref());
        Ok(CapturePlan { reaches, why_not_more, freezes: Some(HELD.to_owned()) })
    }

    fn disks(&self, domain: &Domain) -> Vec<DomainDisk> {
        let wanted = |disk: &&DomainDisk| !self.resource.excludes.contains(&disk.name);
        domain.disks.iter().filter(wanted).filter(|disk| disk.source.is_some()).cloned().collect()
    }

    /// In the window. Seconds, and what came of it.
    fn timed(&mut self, words: &[&str], limit: Duration) -> (f64, Result<String>) {
        let begun = self.context.clock.elapsed();
        let said = match &mut self.session {
            Some(session) => session.call(words, limit),
            None => Err(Error::internal("no session of virsh")),
        };
        if said.as_ref().is_err_and(|error| error.is(ErrorKind::Unavailable)) {
            // What it says later would be taken for an answer to something else.
            self.session = None;
        }
        let took = self.context.clock.elapsed().saturating_sub(begun);
        (took.as_secs_f64(), said)
    }

    fn thaw_anew(&mut self) -> Result<()> {
        let thawed = self.guard().thaw(&self.context);
        if thawed.is_ok() {
            self.is_thawed();
        }
        thawed
    }

    fn guard(&self) -> Guard {
        Guard { uri: self.at.uri.clone(), domain: self.name.clone() }
    }

    fn is_thawed(&mut self) {
        self.asked = false;
        self.sign.remove();
    }

    fn parts_of_definition(&self, domain: &Domain) -> Result<Vec<Part>> {
        // With what a restore needs and libvirt shows to nobody else.
        let show = ["dumpxml", &self.name, "--inactive", "--security-info"];
        let definition = self.virsh.call(&show).or_else(|_| self.virsh.call(&show[..2]))?;
        let mut parts = vec![Part::object(DEFINITION, definition)];
        if let Some(nvram) = domain.nvram.as_ref().filter(|nvram| nvram.exists()) {
            let size = std::fs::metadata(nvram).map_or(0, |nvram| nvram.len());
            if size > NVRAM_BYTES {
                return Err(Error::unsupported(format!("nvram of {size} bytes")));
            }
            let bytes = steady(nvram)?;
            parts.push(Part::object(NVRAM, bytes));
        }
        Ok(parts)
    }

    fn facts(&self, domain: Option<&Domain>, disks: Vec<DiskFacts>) -> Facts {
        let nvram = domain.and_then(|domain| domain.nvram.as_ref()).map(|file| DiskFacts {
            name: NVRAM.to_owned(),
            file: file.display().to_string(),
            format: "raw".to_owned(),
            size_bytes: 0,
            has_backing: false,
        });
        Facts {
            disks,
            nvram,
            uuid: domain.map(|domain| domain.uuid.clone()),
            running: domain.is_some_and(|domain| !domain.is_off()),
            autostart: domain.is_some()
                && autostarts(&self.virsh, "dominfo", &self.name).unwrap_or_default(),
            read_whole: self.pull.iter().flat_map(|pull| pull.read_whole.clone()).collect(),
            window: self.pull.as_ref().map(|_| self.window),
        }
    }
}

pub(super) fn disks_of_files(disks: &[DomainDisk]) -> BTreeMap<String, DiskAt> {
    let disks = disks.iter().filter_map(|disk| {
        let file = PathBuf::from(disk.source.as_ref()?);
        Some((disk.name.clone(), DiskAt { file, format: disk.format.clone() }))
    });
    disks.collect()
}

/// What is not there: one that never ran has none yet.
fn without_nvram(domain: &Domain) -> Option<String> {
    let place = match &domain.nvram {
        _ if !domain.has_nvram => return None,
        Some(file) => format!("{} is not there", file.display()),
        None => "they are in no file of this host".to_owned(),
    };
    Some(format!("the firmware's variables are not captured: {place}"))
}

/// Firmware writes rarely and little; the same twice was not read in the middle of it.
fn steady(nvram: &Path) -> Result<Vec<u8>> {
    let read = || std::fs::read(nvram).map_err(|error| Error::io(error, nvram.display()));
    let mut bytes = read()?;
    for _ in 0..10 {
        let again = read()?;
        if again == bytes {
            return Ok(bytes);
        }
        bytes = again;
    }
    Err(Error::unavailable("nvram: the firmware writes its variables all the time"))
}

/// `Froze 2 filesystem(s)`
fn count(said: &str, word: &str) -> u64 {
    let line = said.lines().find_map(|line| line.split(word).nth(1));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

impl Source for DomainSource {
    fn plan(&mut self) -> Result<CapturePlan> {
        self.domain = match Domain::look(&self.virsh, &self.name) {
            Err(error) if error.is(ErrorKind::NotFound) && !self.at.disks.is_empty() => None,
            domain => Some(domain?),
        };
        let Some(domain) = &self.domain else { return self.plan_off() };
        if let Some(why) = domain.out_of_reach(&self.resource.excludes) {
            return Err(Error::unsupported(why));
        }
        if domain.is_off() {
            return self.plan_off();
        }
        if domain.has_threads {
            return Err(Error::unsupported(
                "its disks are served by threads of their own (iothread): QEMU 7.2 ends, with its \
                 guest, when an export of such a disk is closed; take the iothreads from its \
                 definition, or snapshot it while it is off",
            ));
        }
        let answers = agent_answers(&self.virsh, domain);
        let freezes = match answers {
            // Nothing is asked of it.
            Ok(()) if !self.context.quiesce => Ok(()),
            Ok(()) => agent_freezes(&self.virsh, &self.name)?,
            Err(why) => Err(why),
        };
        self.has_agent = freezes.is_ok();
        self.why_no_agent = freezes.err();
        if self.has_agent && !self.context.quiesce {
            self.why_no_agent = Some(NOT_QUIESCED.to_owned());
        }
        let (reaches, why_not_more) = match &self.why_no_agent {
            Some(why) => level::crash(why),
            None => level::frozen(self.at.application_hooks),
        };
        let is_held = self.has_agent && self.context.quiesce;
        let freezes = is_held.then(|| FREEZES.to_owned());
        Ok(CapturePlan { reaches, why_not_more, freezes })
    }

    fn prepare(&mut self, mark: Option<&Value>) -> Result<()> {
        if self.domain.is_none() {
            self.plan()?;
        }
        let Some(domain) = self.domain.clone().filter(|domain| !domain.is_off()) else {
            self.off = Some(Off::open(&self.disks_off(), &self.resource, &self.context)?);
            return Ok(());
        };
        let disks = self.disks(&domain);
        let mark = mark.and_then(|mark| serde_json::from_value::<Mark>(mark.clone()).ok());
        self.pull = Some(Pull::prepare(&self.virsh, &domain, disks, mark, &self.context)?);
        self.session = Some(self.virsh.session()?);
        Ok(())
    }

    fn guarded(&self) -> Option<Guarded> {
        let what = serde_json::to_value(self.guard()).ok().filter(|_| self.has_agent)?;
        Some(Guarded { connector: super::NAME.into(), name: self.resource.name.clone(), what })
    }

    fn freeze(&mut self) -> Result<()> {
        let name = self.name.clone();
        if let Some(session) = &mut self.session {
            session.wait_as(Waits::stubborn(&self.context));
        }
        if self.has_agent && self.context.quiesce && self.pull.is_some() {
            self.sign.write(&self.guard(), &self.context)?;
            self.asked = true;
            let (seconds, said) = self.timed(&["domfsfreeze", &name], FREEZE);
            self.window.agent_freeze = seconds;
            if said.as_ref().is_err_and(|error| error.is(ErrorKind::Locked)) {
                // Another's freeze is not ended here.
                self.is_thawed();
            }
            self.frozen = count(&said?, "Froze");
        }
        let Some(pull) = &self.pull else { return Ok(()) };
        let job = pull.job.display().to_string();
        let checkpoint = pull.checkpoint.as_ref().map(|path| path.display().to_string());
        let mut words = vec!["backup-begin", &name, &job];
        words.extend(checkpoint.as_deref());
        words.push("--reuse-external");
        let (seconds, said) = self.timed(&words, BEGIN);
        self.window.switch = seconds;
        said?;
        match &self.pull {
            Some(pull) => pull.begun(&self.context),
            None => Ok(()),
        }
    }

    fn thaw(&mut self) -> Result<()> {
        if !self.asked {
            return Ok(());
        }
        let name = self.name.clone();
        let (seconds, said) = self.timed(&["domfsthaw", &name], THAW);
        self.window.agent_thaw = seconds;
        match said.map(|said| count(&said, "Thawed")) {
            Ok(count) => {
                self.is_thawed();
                stayed(self.frozen, count)
            }
            Err(error) => {
                self.thaw_anew()?;
                Err(error.context(NO_ANSWER))
            }
        }
    }

    fn is_held(&self) -> bool {
        self.asked
    }

    fn view(&mut self) -> Result<View> {
        let domain = self.domain.clone();
        let mut parts = match &domain {
            Some(domain) => self.parts_of_definition(domain)?,
            None => Vec::new(),
        };
        let (disks, facts, (consistency, why_not_more)) = match (self.off.take(), &mut self.pull) {
            (Some(off), _) => {
                let (disks, facts) = off.into_parts(&self.context)?;
                (disks, facts, off_level(domain.as_ref()))
            }
            (None, Some(pull)) => {
                let level = if self.frozen > 0 {
                    level::frozen(self.at.application_hooks)
                } else {
                    let why = self.why_no_agent.clone();
                    level::crash(why.unwrap_or_else(|| NOTHING_TO_FREEZE.to_owned()))
                };
                (pull.parts(&self.context)?, pull.disk_facts(), level)
            }
            (None, None) => return Err(Error::internal("nothing was prepared")),
        };
        let has_nvram = parts.iter().any(|part| part.at == NVRAM.as_bytes());
        let no_nvram = domain.as_ref().filter(|_| !has_nvram).and_then(without_nvram);
        let whys: Vec<String> = why_not_more.into_iter().chain(no_nvram).collect();
        let why_not_more = (!whys.is_empty()).then(|| whys.join("; "));
        parts.extend(disks);
        parts.sort_by(|a, b| a.at.cmp(&b.at));
        let facts = serde_json::to_value(self.facts(domain.as_ref(), facts)).unwrap_or_default();
        let mark = self.pull.as_ref().and_then(Pull::mark);
        let mark = mark.and_then(|mark| serde_json::to_value(mark).ok());
        Ok(View { parts, consistency, why_not_more, mark, facts, version: None })
    }

    fn run_in_guest(&mut self, hook: &Hook) -> Result<HookRun> {
        let name = self.name.clone();
        let virsh = match hook.phase.is_owed() {
            true => Virsh::stubborn(&self.at.uri, &self.context),
            false => self.virsh.clone(),
        };
        let waits = Waits::of_hook(hook, &self.context);
        run_hook(hook, &waits, |command, arguments| ask_agent(&virsh, &name, command, arguments))
    }

    fn release(&mut self, released: Released) -> Result<()> {
        drop(self.off.take());
        // Only if nobody did.
        self.session = None;
        let thawed = if self.asked { self.thaw_anew() } else { Ok(()) };
        let Some(pull) = self.pull.take() else { return thawed };
        let virsh = Virsh::stubborn(&self.at.uri, &self.context);
        let ended = match Domain::look(&virsh, &self.name) {
            // What it held went with it; a checkpoint is found broken the next time.
            Ok(domain) if domain.is_off() => Ok(()),
            Err(error) if is_gone(&error) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => pull.end(&virsh, released == Released::Committed, &self.context),
        };
        // QEMU writes there until the job is ended.
        thawed.and(ended.and_then(|()| pull.remove_scratch()))
    }
}
