//! Capture of one machine.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tintype_model::item::HookRun;
use tintype_model::resource::{Consistency, Hook, Resource};
use tintype_model::{Error, Result};

use super::at::At;
use super::capture::Capture;
use super::definition::{self, DEFINITION};
use super::freeze::{Guard, thaw_anew};
use super::mark::Mark;
use super::off::{HELD, Off, WHY};
use super::plan::{Found, Running, find};
use super::process::monitor;
use crate::connector::{CapturePlan, Context, Guarded, Part, Released, Source, View};
use crate::vm::agent::Agent;
use crate::vm::facts::{DiskFacts, Facts, NVRAM, WindowFacts};
use crate::vm::freeze::{NO_ANSWER, stayed};
use crate::vm::level::{self, NOTHING_TO_FREEZE};
use crate::vm::socket::Waits;

const NVRAM_BYTES: u64 = 128 << 20;
/// So long QEMU may take in the window, and as long to go on: with what the agent may take less than
/// the guard waits before it kills the run, with all its other members.
const WINDOW: Duration = Duration::from_secs(3);

pub(crate) struct QemuSource {
    at: At,
    resource: Resource,
    context: Context,
    found: Option<Found>,
    off: Option<Off>,
    capture: Option<Capture>,
    /// Whether the agent was asked to freeze and has not said since that it thawed, and what it froze.
    asked: bool,
    frozen: u64,
    window: WindowFacts,
}

impl QemuSource {
    pub(crate) fn new(resource: &Resource, context: &Context) -> Result<Self> {
        Ok(Self {
            at: At::of(resource)?,
            resource: resource.clone(),
            context: context.clone(),
            found: None,
            off: None,
            capture: None,
            asked: false,
            frozen: 0,
            window: WindowFacts::default(),
        })
    }

    fn running(&mut self) -> Option<&mut Running> {
        match &mut self.found {
            Some(Found::Running(running)) => Some(running),
            _ => None,
        }
    }

    fn seconds<T>(&self, since: Duration, result: T) -> (f64, T) {
        (self.context.clock.elapsed().saturating_sub(since).as_secs_f64(), result)
    }

    fn freeze_guest(&mut self) -> Result<()> {
        let (waits, quiesce) = (Waits::stubborn(&self.context), self.context.quiesce);
        let Some(running) = self.running() else { return Ok(()) };
        running.qmp.wait_as(waits.clone());
        if !quiesce {
            return Ok(());
        }
        let Some(mut agent) = running.agent.take() else { return Ok(()) };
        agent.wait_as(waits);
        self.asked = true;
        let begun = self.context.clock.elapsed();
        let (seconds, frozen) = self.seconds(begun, agent.freeze());
        self.window.agent_freeze = seconds;
        // One that did not answer might yet answer late: thawing then needs a connection anew.
        self.frozen =
            frozen.map_err(|error| error.context("the guest's file systems cannot be frozen"))?;
        if let Some(running) = self.running() {
            running.agent = Some(agent);
        }
        Ok(())
    }

    fn switch(&mut self) -> Result<()> {
        let begun = self.context.clock.elapsed();
        let (Some(Found::Running(running)), Some(capture)) = (&mut self.found, &mut self.capture)
        else {
            return Ok(());
        };
        running.qmp.bound(Some(WINDOW));
        let switched = capture.switch(running);
        self.window.switch = self.seconds(begun, ()).0;
        switched
    }

    fn thaw_guest(&mut self) -> Result<()> {
        let context = self.context.clone();
        let begun = context.clock.elapsed();
        let Some(path) = self.at.agent.clone().filter(|_| self.asked) else { return Ok(()) };
        let agent = self.running().and_then(|running| running.agent.take());
        let thawed = agent.ok_or_else(|| Error::unavailable("")).and_then(|mut agent| agent.thaw());
        self.window.agent_thaw = self.seconds(begun, ()).0;
        let Ok(count) = thawed else {
            self.thaw_anew(&path)?;
            return Err(Error::unavailable(NO_ANSWER));
        };
        self.asked = false;
        stayed(self.frozen, count)
    }

    fn thaw_anew(&mut self, path: &Path) -> Result<()> {
        let thawed = thaw_anew(path, &self.context);
        self.asked &= thawed.is_err();
        thawed
    }

    fn view_running(&mut self) -> Result<View> {
        let context = self.context.clone();
        let (Some(Found::Running(running)), Some(capture)) = (&mut self.found, &mut self.capture)
        else {
            return Err(Error::internal("a machine that runs was not captured"));
        };
        running.qmp.wait_as(Waits::of(&context));
        let definition = definition::read(running)?;
        let uuid = definition.uuid.clone();
        let version = definition.system["pretty-name"].as_str().map(str::to_owned);
        let text = serde_json::to_vec_pretty(&definition)
            .map_err(|error| Error::internal(error.to_string()))?;
        let mut parts = vec![Part::object(DEFINITION, text)];
        let (disks, read_whole) = capture.parts(running, &context)?;
        parts.extend(disks);
        let nvram = running.devices.nvram.clone();
        if let Some(nvram) = &nvram {
            let bytes = capture.small(&mut running.qmp, nvram, NVRAM_BYTES, &context);
            parts.push(Part::object(NVRAM, bytes.map_err(|error| error.context("nvram"))?));
        }
        let (consistency, why_not_more) = if self.frozen > 0 {
            running.with_agent(&self.at)
        } else {
            level::crash(running.why_no_agent.clone().unwrap_or(NOTHING_TO_FREEZE.to_owned()))
        };
        let facts = Facts {
            disks: running.devices.disks.iter().map(DiskFacts::from).collect(),
            nvram: nvram.as_ref().map(DiskFacts::from),
            uuid,
            running: running.is_going,
            autostart: false,
            read_whole,
            window: Some(self.window),
        };
        let mark = serde_json::to_value(capture.mark(running)).ok();
        let facts = serde_json::to_value(facts).unwrap_or_default();
        Ok(View { parts, consistency, why_not_more, mark, facts, version })
    }

    fn view_off(&self, off: Off) -> Result<View> {
        let (parts, disks) = off.into_parts(&self.context)?;
        let facts = Facts { disks, ..Facts::default() };
        Ok(View {
            parts,
            consistency: Consistency::Crash,
            why_not_more: Some(why_off()),
            mark: None,
            facts: serde_json::to_value(facts).unwrap_or_default(),
            version: None,
        })
    }

    /// Whether QEMU is there to be cleaned, by the connection that is or a new one.
    fn end(&mut self, capture: &Capture, committed: bool) -> Result<()> {
        let waits = Waits::stubborn(&self.context);
        let Some(Found::Running(mut running)) = self.found.take() else { return Ok(()) };
        running.qmp.wait_as(waits.clone());
        let first = capture.end(&mut running.qmp, committed, &self.context);
        drop(running);
        let Err(first) = first else { return Ok(()) };
        let Some(mut qmp) = monitor(&self.at.qmp, waits).map_err(|_| first)? else {
            // What was in QEMU went with it.
            return Ok(());
        };
        capture.end(&mut qmp, committed, &self.context)
    }
}

/// Of a machine that is off only the disks are known.
fn why_off() -> String {
    format!(
        "{WHY}; its definition and its firmware's variables are known only while it runs and are not \
         captured: the last snapshot that was taken while it ran holds them"
    )
}

impl Source for QemuSource {
    fn plan(&mut self) -> Result<CapturePlan> {
        // The sockets of before take one program at a time, also this one.
        self.found = None;
        let found = find(&self.at, &self.resource, &self.context)?;
        let plan = match &found {
            Found::Running(running) => running.plan(&self.at),
            Found::Off => {
                Off::check(&self.at.disks)?;
                let why_not_more = Some(why_off());
                let freezes = Some(HELD.to_owned());
                CapturePlan { reaches: Consistency::Crash, why_not_more, freezes }
            }
        };
        self.found = Some(found);
        Ok(plan)
    }

    fn prepare(&mut self, mark: Option<&Value>) -> Result<()> {
        if self.found.is_none() {
            self.plan()?;
        }
        let context = self.context.clone();
        match &mut self.found {
            Some(Found::Running(running)) => {
                // A mark of another program's making is as good as none.
                let mark = mark.and_then(|mark| serde_json::from_value::<Mark>(mark.clone()).ok());
                // What fails halfway is taken out at once.
                self.capture = Some(Capture::prepare(running, mark, &context)?);
            }
            _ => self.off = Some(Off::open(&self.at.disks, &self.resource, &context)?),
        }
        Ok(())
    }

    fn guarded(&self) -> Option<Guarded> {
        let running = matches!(&self.found, Some(Found::Running(running)) if running.is_going);
        let what = Guard {
            qmp: self.at.qmp.clone(),
            agent: self.at.agent.clone(),
            label: self.context.label(),
        };
        let what = serde_json::to_value(what).ok().filter(|_| running)?;
        Some(Guarded { connector: super::NAME.into(), name: self.resource.name.clone(), what })
    }

    fn freeze(&mut self) -> Result<()> {
        self.freeze_guest()?;
        self.switch()
    }

    fn thaw(&mut self) -> Result<()> {
        let resumed = match (&mut self.found, &mut self.capture) {
            (Some(Found::Running(running)), Some(capture)) => {
                running.qmp.bound(Some(WINDOW));
                let resumed = capture.resume(running);
                running.qmp.bound(None);
                resumed
            }
            _ => Ok(()),
        };
        self.thaw_guest().and(resumed)
    }

    fn is_held(&self) -> bool {
        self.asked || self.capture.as_ref().is_some_and(Capture::is_stopped)
    }

    fn view(&mut self) -> Result<View> {
        match self.off.take() {
            Some(off) => self.view_off(off),
            None => self.view_running(),
        }
    }

    fn release(&mut self, released: Released) -> Result<()> {
        drop(self.off.take());
        // Only if nobody did.
        let thawed = if self.is_held() { self.thaw() } else { Ok(()) };
        // By whatever connection.
        let thawed = if self.is_held() { thawed } else { Ok(()) };
        let Some(capture) = self.capture.take() else {
            self.found = None;
            return thawed;
        };
        let ended = self.end(&capture, released == Released::Committed);
        // QEMU writes there until it is ended.
        thawed.and(ended.and_then(|()| capture.remove_scratch()))
    }

    fn run_in_guest(&mut self, hook: &Hook) -> Result<HookRun> {
        let path = self.at.agent.as_ref().ok_or_else(|| {
            Error::invalid("no guest agent is named in `at`, so nothing can be run in the guest")
        })?;
        let waits = Waits::of_hook(hook, &self.context);
        if let Some(Found::Running(running)) = &mut self.found
            && let Some(agent) = &mut running.agent
        {
            agent.wait_as(waits);
            return agent.run(hook);
        }
        Agent::connect(path, &self.context, waits)?.run(hook)
    }
}
