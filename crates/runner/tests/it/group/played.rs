//! A platform that does what it is told to.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tintype_engine::cancel::Cancel;
use tintype_engine::env::Env;
use tintype_model::entry::{Kind as EntryKind, Node};
use tintype_model::item::Item;
use tintype_model::plan::{Check, Need, Stage as StepStage, Step};
use tintype_model::resource::{Component, Consistency, Kind, Resource};
use tintype_model::{Error, Result};
use tintype_source::connector::{
    CapturePlan, Changed, Connector, Content, Context, Destination, Discovered, Guarded, KEPT,
    Part, ReadImage, Released, Source, Stored, Target, TargetPlan, View,
};

use crate::support::noise;

pub(super) type Log = Arc<Mutex<Vec<String>>>;

/// A platform whose resources do what `at.does` says.
pub(super) struct Played {
    pub(super) log: Log,
    pub(super) world: Arc<Mutex<World>>,
}

/// What restores change: which resources run, and on what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct World {
    /// What stands in the place of each, and whether it runs.
    pub(super) live: BTreeMap<String, (&'static str, bool)>,
    /// What was replaced.
    pub(super) aside: BTreeMap<String, &'static str>,
    pub(super) staged: BTreeMap<String, Vec<u8>>,
    /// The step, counted over all, that fails; or in which the run is cancelled.
    pub(super) fails_at: Option<usize>,
    pub(super) cancel_at: Option<(usize, Canceled)>,
    /// Taking back the switch of this one fails.
    pub(super) stuck: Option<&'static str>,
    /// Somebody writes to what is restored.
    pub(super) is_written: bool,
    pub(super) steps: usize,
}

#[derive(Clone)]
pub(super) struct Canceled(pub(super) Cancel);

impl PartialEq for Canceled {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Canceled {}

impl std::fmt::Debug for Canceled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cancel")
    }
}

/// What a guard watches: one freezes for longer than the deadline, the other never thaws.
const HELD: [&str; 2] = ["guarded", "held"];

struct PlayedSource {
    name: String,
    does: String,
    log: Log,
    env: Env,
    mark: Option<Value>,
}

impl Connector for Played {
    fn name(&self) -> &'static str {
        "played"
    }

    fn schema(&self) -> Value {
        json!({ "type": "object" })
    }

    fn discover(&self, _: &Context) -> Result<Vec<Discovered>> {
        Ok(Vec::new())
    }

    fn check(&self, _: &Resource) -> Result<()> {
        Ok(())
    }

    fn source(&self, resource: &Resource, _: &Context) -> Result<Box<dyn Source>> {
        let does = resource.at.get("does").and_then(Value::as_str).unwrap_or_default();
        Ok(Box::new(PlayedSource {
            name: resource.name.clone(),
            does: does.into(),
            log: Arc::clone(&self.log),
            env: Env::system(),
            mark: None,
        }))
    }

    fn target(&self, _: &Context) -> Result<Box<dyn Target>> {
        Ok(Box::new(PlayedTarget { log: Arc::clone(&self.log), world: Arc::clone(&self.world) }))
    }

    fn thaw(&self, guarded: &Value, _: &Context) -> Result<()> {
        // In the guard's process: only files reach the test.
        let file = std::path::Path::new(guarded["file"].as_str().unwrap());
        if guarded["held"] == true && !file.with_extension("answers").exists() {
            return Err(Error::unavailable("it does not answer"));
        }
        std::fs::write(file, "thawed").unwrap();
        Ok(())
    }
}

impl PlayedSource {
    fn log(&self, what: &str) {
        self.log.lock().unwrap().push(format!("{what} {}", self.name));
    }

    fn fails(&self, at: &str) -> Result<()> {
        self.log(at);
        if self.does == format!("fails-{at}") {
            return Err(Error::unavailable(format!("{at} does not work today")));
        }
        if self.does == format!("hangs-{at}") {
            self.env.clock.sleep(Duration::from_millis(1500));
        }
        Ok(())
    }
}

impl PlayedSource {
    /// Waits until another one gets ready to be read, too.
    fn meets(&self) -> Result<()> {
        let viewed = |line: &String| line.starts_with("view ");
        for _ in 0..200 {
            if self.log.lock().unwrap().iter().filter(|line| viewed(line)).count() > 1 {
                return Ok(());
            }
            self.env.clock.sleep(Duration::from_millis(50));
        }
        Err(Error::unavailable("nobody else is made ready at the same time"))
    }
}

impl Source for PlayedSource {
    fn plan(&mut self) -> Result<CapturePlan> {
        self.fails("plan")?;
        let (reaches, why_not_more, freezes) = (Consistency::Crash, None, None);
        Ok(CapturePlan { reaches, why_not_more, freezes })
    }

    fn prepare(&mut self, mark: Option<&Value>) -> Result<()> {
        self.mark = mark.cloned();
        self.fails("prepare")
    }

    fn guarded(&self) -> Option<Guarded> {
        let (how, file) = self.does.split_once(' ').filter(|(how, _)| HELD.contains(how))?;
        let what = json!({ "file": file, "held": how == "held" });
        Some(Guarded { connector: "played".into(), name: self.name.clone(), what })
    }

    fn ahead(&mut self) -> Result<Vec<Part>> {
        self.fails("ahead")?;
        Ok(vec![stream("b-ahead", b"read before", None)])
    }

    fn freeze(&mut self) -> Result<()> {
        let file = self.does.strip_prefix("guarded ").map(str::to_owned);
        if let Some(file) = file {
            // Longer than the deadline: the guard does it.
            let is_thawed = || std::fs::exists(&file).unwrap();
            (0..200).take_while(|_| !is_thawed()).for_each(|_| {
                self.env.clock.sleep(Duration::from_millis(50));
            });
        }
        self.fails("freeze")
    }

    fn thaw(&mut self) -> Result<()> {
        self.fails("thaw")?;
        if self.is_held() {
            return Err(Error::unavailable("it does not answer"));
        }
        Ok(())
    }

    fn is_held(&self) -> bool {
        self.does.starts_with("held ")
    }

    fn view(&mut self) -> Result<View> {
        self.fails("view")?;
        if self.does == "meets" {
            self.meets()?;
        }
        let broken = (self.does == "fails-stream").then_some("the wire was cut");
        let changed = match &self.mark {
            Some(_) => Changed::Only(vec![5 << 20..(5 << 20) + 1, 7 << 20..(7 << 20) + 9]),
            None => Changed::Unknown,
        };
        let image = Disk { fails: self.does == "fails-image", log: Arc::clone(&self.log) };
        let node = Node { mode: 0o600, ..Node::new(EntryKind::Image) };
        let image = Content::Image { node, image: Arc::new(image), changed };
        Ok(View {
            parts: vec![
                Part::object("a.json", "{}"),
                stream("c-stream", &noise(3, 400_000), broken),
                Part { at: b"disk.img".to_vec(), content: image },
            ],
            consistency: Consistency::Crash,
            why_not_more: None,
            mark: Some(json!({ "of": self.name })),
            facts: json!({ "size": 1 }),
            version: Some("7".into()),
        })
    }

    fn release(&mut self, released: Released) -> Result<()> {
        self.fails(match released {
            Released::Committed => "committed",
            Released::Failed => "failed",
        })
    }
}

pub(super) const DISK: u64 = 9 << 20;

struct Disk {
    fails: bool,
    log: Log,
}

impl ReadImage for Disk {
    fn size_bytes(&self) -> u64 {
        DISK
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        if self.fails && offset >= 4 << 20 {
            return Err(Error::unavailable("bad sector"));
        }
        self.log.lock().unwrap().push(format!("read {}", offset >> 20));
        buffer.copy_from_slice(&noise(offset + 1, buffer.len()));
        Ok(())
    }

    fn extent(&self, range: Range<u64>) -> Result<(u64, bool)> {
        Ok((range.end, range.start == 2 << 20))
    }
}

fn stream(at: &str, bytes: &[u8], broken: Option<&'static str>) -> Part {
    let node = Node { mode: 0o600, ..Node::new(EntryKind::Stream) };
    let read: Box<dyn Read + Send> = Box::new(std::io::Cursor::new(bytes.to_vec()));
    let end = Box::new(move || broken.map_or(Ok(()), |text| Err(Error::unavailable(text))));
    Part { at: at.into(), content: Content::Stream { node, read, end } }
}

pub(super) fn resource(name: &str, does: &str) -> Resource {
    Resource {
        kind: Kind::Vm,
        name: name.into(),
        connector: "played".into(),
        at: Map::from_iter([("does".to_owned(), json!(does))]),
        tags: Vec::new(),
        version: None,
        consistency: None,
        hooks: Vec::new(),
        excludes: Vec::new(),
        components: Vec::new(),
    }
}

pub(super) fn application(name: &str, parts: &[&str]) -> Resource {
    let component = |part: &&str| Component { resource: (*part).into(), order: None, group: None };
    let components = parts.iter().map(component).collect();
    let (kind, connector) = (Kind::Application, String::new());
    Resource { kind, connector, at: Map::new(), components, ..resource(name, "") }
}

/// Stages, stops, switches, starts, looks, cleans: a step each.
struct PlayedTarget {
    log: Log,
    world: Arc<Mutex<World>>,
}

const STAGES: [StepStage; 7] = [
    StepStage::Stage,
    StepStage::Watch,
    StepStage::Stop,
    StepStage::Switch,
    StepStage::Start,
    StepStage::Health,
    StepStage::Clean,
];

impl Target for PlayedTarget {
    fn plan(
        &mut self,
        item: &Item,
        resource: &Resource,
        _: &Destination,
        stored: &dyn Stored,
    ) -> Result<TargetPlan> {
        let listed = stored.list(b"")?;
        assert!(listed.iter().any(|entry| entry.at == b"c-stream"), "{listed:?}");
        let mut checks = vec![Check::pass("world", "it is there")];
        let does = resource.at["does"].as_str().unwrap();
        if let Some((bytes, path)) = does.strip_prefix("needs ").and_then(|n| n.split_once(' ')) {
            let bytes = bytes.parse().unwrap();
            let need = Need { path: path.into(), certain: bytes, most: bytes };
            checks.push(tintype_source::host::check_room(&[need]));
        }
        let step = |stage| Step { stage, text: format!("{stage:?}"), action: json!(item.name) };
        let steps = STAGES.into_iter().map(step).collect();
        let commands = vec![vec!["play".to_owned(), item.name.clone()]];
        Ok(TargetPlan { checks, steps, replaces: true, commands, ..TargetPlan::default() })
    }

    fn apply(&mut self, step: &Step, stored: &dyn Stored) -> Result<Value> {
        let name = step.action.as_str().unwrap().to_owned();
        self.log.lock().unwrap().push(format!("{:?} {name}", step.stage));
        let mut world = self.world.lock().unwrap();
        world.steps += 1;
        let at = world.steps;
        let fails = world.fails_at == Some(at);
        // One that fails has done half of its work.
        match step.stage {
            StepStage::Stage => {
                let mut bytes = Vec::new();
                stored.read(b"c-stream", &mut |read| {
                    read.read_to_end(&mut bytes).map_err(|e| Error::io(e, "stored"))?;
                    Ok(())
                })?;
                world.staged.insert(name, bytes);
            }
            StepStage::Stop => world.live.get_mut(&name).unwrap().1 = false,
            StepStage::Switch => {
                if world.live[&name].0 == "old" {
                    world.aside.insert(name.clone(), "old");
                    world.live.get_mut(&name).unwrap().0 = "new";
                }
            }
            StepStage::Start => world.live.get_mut(&name).unwrap().1 = true,
            StepStage::Watch | StepStage::Health => {}
            StepStage::Clean => {
                world.aside.remove(&name);
                world.staged.remove(&name);
            }
        }
        if let Some((_, Canceled(cancel))) = world.cancel_at.clone().filter(|(n, _)| *n == at) {
            cancel.cancel();
            return Err(Error::canceled("stopped by request"));
        }
        // Some steps have nothing to tell.
        let gives = if at.is_multiple_of(2) { json!(at) } else { Value::Null };
        if fails { Err(Error::unavailable("it broke")) } else { Ok(gives) }
    }

    fn undo(&mut self, step: &Step, _: &Value) -> Result<Value> {
        let name = step.action.as_str().unwrap().to_owned();
        let mut world = self.world.lock().unwrap();
        if step.stage == StepStage::Switch && world.stuck == Some(&name) {
            return Err(Error::unavailable("it is busy"));
        }
        match step.stage {
            StepStage::Stage => {
                world.staged.remove(&name);
            }
            StepStage::Stop => world.live.get_mut(&name).unwrap().1 = true,
            StepStage::Switch => {
                if let Some(old) = world.aside.remove(&name) {
                    world.live.get_mut(&name).unwrap().0 = old;
                }
                if world.is_written {
                    return Ok(json!({ KEPT: format!("beside {name}") }));
                }
            }
            StepStage::Start => world.live.get_mut(&name).unwrap().1 = false,
            StepStage::Watch | StepStage::Health => {}
            StepStage::Clean => return Err(Error::unsupported("what was replaced is gone")),
        }
        Ok(Value::Null)
    }
}
