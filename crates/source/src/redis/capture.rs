//! A full synchronisation as a replica asks for it. Without `capa eof` the server forks at once,
//! and says so with `+FULLRESYNC`: the fork is the moment. It is held up for the fork only.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tintype_model::entry::{Kind, Node};
use tintype_model::resource::Consistency;
use tintype_model::{Error, Result};

use super::client::{Client, Stop, field};
use super::rdb::Check;
use super::{At, Facts, Names, STORED};
use crate::connector::{CapturePlan, Content, Context, Part, Released, Source, View};
use crate::host::{private, space};

/// A child process of the server that saves or rewrites already.
const BUSY: Duration = Duration::from_mins(30);
/// The server writes its dump before it sends it.
const SAVE: Duration = Duration::from_hours(2);
const IN_WINDOW: Duration = Duration::from_secs(8);
const TICK: Duration = Duration::from_millis(20);
/// Who reads notices at once that its connection is gone.
const STOPS_WITHIN: Duration = Duration::from_secs(10);

pub(super) struct RedisSource {
    name: String,
    at: At,
    context: Context,
    copy: PathBuf,
    facts: Option<Facts>,
    client: Option<Client>,
    receiving: Option<Receiving>,
    /// Of the dump, once it is whole.
    bytes: Option<u64>,
}

impl RedisSource {
    pub(super) fn new(name: &str, at: At, context: &Context) -> Self {
        let copy = context.scratch.join(format!("{}-{name}.rdb", context.label()));
        let context = context.clone();
        let (name, facts, client) = (name.to_owned(), None, None);
        Self { name, at, context, copy, facts, client, receiving: None, bytes: None }
    }

    fn connect(&self) -> Result<Client> {
        Client::connect(&self.name, &self.at, &self.context)
    }

    /// Refuses what has no data of its own to give.
    fn look(&self, client: &mut Client) -> Result<Facts> {
        let server = client.info("server")?;
        let version = field(&server, "redis_version").unwrap_or_default().to_owned();
        let replication = client.info("replication")?;
        let link = field(&replication, "master_link_status").unwrap_or("up");
        if link != "up" {
            return Err(Error::unavailable(format!(
                "{}: it is a replica without its master; capture the master, or wait for it",
                self.name
            )));
        }
        if client.info("persistence").is_ok_and(|info| field(&info, "loading") == Some("1")) {
            return Err(Error::locked(format!("{}: it is still loading its data", self.name)));
        }
        let mut setting = |name: &str| client.setting(name).map(Option::unwrap_or_default);
        let directory = PathBuf::from(setting("dir")?);
        let dump_file = Some(setting("dbfilename")?).filter(|name| !name.is_empty());
        let append_only = setting("appendonly")? == "yes";
        let append_directory = Some(setting("appenddirname")?).filter(|name| !name.is_empty());
        let append_file = Some(setting("appendfilename")?).filter(|name| !name.is_empty());
        Ok(Facts {
            version,
            bytes: 0,
            directory,
            names: Names {
                dump_file: dump_file.unwrap_or_else(|| STORED.to_owned()),
                append_only,
                append_directory,
                append_file: append_file.unwrap_or_else(|| "appendonly.aof".to_owned()),
            },
            stopped: None,
        })
    }

    /// A save for somebody else would be joined, whose moment is not ours.
    fn wait_until_idle(&self, client: &mut Client) -> Result<()> {
        let begun = self.context.clock.elapsed();
        loop {
            let info = client.info("persistence")?;
            let busy = ["rdb_bgsave_in_progress", "aof_rewrite_in_progress"];
            if busy.iter().all(|key| field(&info, key) != Some("1")) {
                return Ok(());
            }
            self.context.cancel.check()?;
            if self.context.clock.elapsed().saturating_sub(begun) > BUSY {
                return Err(Error::locked(format!(
                    "{}: it saves all the time; look at its log",
                    self.name
                )));
            }
            self.context.clock.sleep(TICK);
        }
    }
}

/// The dump on its way into scratch, from the fork on, whatever else the run does: a slow reader is
/// thrown out.
struct Receiving {
    told: Receiver<Result<u64>>,
    stop: Stop,
}

impl Receiving {
    fn start(name: &str, copy: &Path, client: Client, context: &Context) -> Result<Self> {
        let stop = client.stop()?;
        let (tell, told) = channel();
        let (name, copy, own) = (name.to_owned(), copy.to_owned(), context.clone());
        // Nobody need be there any more to hear it.
        let work = move || drop(tell.send(receive(&name, &copy, client, &own)));
        context.tasks.spawn(Box::new(work))?;
        Ok(Self { told, stop })
    }

    fn end(self) {
        self.stop.now();
        let _ = self.told.recv_timeout(STOPS_WITHIN);
    }
}

/// What comes after the dump is what changes; nobody needs it.
fn receive(name: &str, copy: &Path, mut client: Client, context: &Context) -> Result<u64> {
    client.set_patience(SAVE);
    let length = client.line()?;
    let length = length.strip_prefix('$').and_then(|length| length.parse::<u64>().ok());
    let length = length.ok_or_else(|| {
        Error::unavailable(format!("{name}: Redis could not save; look at its log and its disk"))
    })?;
    space::require(name, &context.scratch, length)?;
    let mut file = private::create(copy)?;
    let mut buffer = vec![0; 256 << 10];
    let mut check = Check::new();
    let mut left = length;
    while left > 0 {
        let piece = &mut buffer[..left.min(256 << 10) as usize];
        client.read_exact(piece)?;
        check.update(piece);
        file.write_all(piece).map_err(|error| Error::io(error, copy.display()))?;
        left -= piece.len() as u64;
    }
    check.finish(name)?;
    Ok(length)
}

impl Source for RedisSource {
    fn plan(&mut self) -> Result<CapturePlan> {
        self.look(&mut self.connect()?)?;
        let freezes = Some("the server forks, which holds it up for some milliseconds".to_owned());
        Ok(CapturePlan { reaches: Consistency::Application, why_not_more: None, freezes })
    }

    fn prepare(&mut self, _: Option<&Value>) -> Result<()> {
        let mut client = self.connect()?;
        self.facts = Some(self.look(&mut client)?);
        // What a replica says of itself; old servers know neither.
        for words in [["REPLCONF", "listening-port", "0"], ["REPLCONF", "capa", "psync2"]] {
            match client.ask(&words) {
                Err(error) if error.is(tintype_model::ErrorKind::Denied) => return Err(error),
                _ => {}
            }
        }
        self.wait_until_idle(&mut client)?;
        self.client = Some(client);
        Ok(())
    }

    fn freeze(&mut self) -> Result<()> {
        let mut client = self.client.take().ok_or_else(|| {
            Error::internal(format!("{}: frozen before it was prepared", self.name))
        })?;
        let offset = |info: &str| {
            field(info, "master_repl_offset").and_then(|offset| offset.parse::<u64>().ok())
        };
        let before = offset(&client.info("replication")?).unwrap_or_default();
        client.set_patience(IN_WINDOW);
        client.send(&["PSYNC", "?", "-1"])?;
        let said = match client.reply()? {
            super::client::Reply::Text(said) => said,
            super::client::Reply::Many(_) => return Err(client.strange()),
        };
        let mut words = said.split(' ');
        let begun = (words.next(), words.nth(1).and_then(|offset| offset.parse::<u64>().ok()));
        let (Some("FULLRESYNC"), Some(forked)) = begun else { return Err(client.strange()) };
        if forked < before {
            return Err(Error::locked(format!(
                "{}: another replica's save was joined, which is of an earlier moment; try again",
                self.name
            )));
        }
        self.client = Some(client);
        Ok(())
    }

    fn thaw(&mut self) -> Result<()> {
        if let Some(client) = self.client.take() {
            let receiving = Receiving::start(&self.name, &self.copy, client, &self.context)?;
            self.receiving = Some(receiving);
        }
        Ok(())
    }

    fn view(&mut self) -> Result<View> {
        let mut facts = self
            .facts
            .clone()
            .ok_or_else(|| Error::internal(format!("{}: shown before it was frozen", self.name)))?;
        if let Some(receiving) = self.receiving.take() {
            let told = receiving.told.recv();
            let ended = |_| Error::internal(format!("{}: nobody received its dump", self.name));
            self.bytes = Some(told.map_err(ended)??);
        }
        facts.bytes = self
            .bytes
            .ok_or_else(|| Error::internal(format!("{}: shown before it was frozen", self.name)))?;
        let file = File::open(&self.copy).map_err(|error| Error::io(error, self.copy.display()))?;
        let node = Node { size: facts.bytes, ..Node::new(Kind::Stream) };
        let content = Content::Stream { node, read: Box::new(file), end: Box::new(|| Ok(())) };
        Ok(View {
            parts: vec![Part { at: STORED.into(), content }],
            consistency: Consistency::Application,
            why_not_more: None,
            mark: None,
            version: Some(facts.version.clone()),
            facts: serde_json::to_value(facts).expect("it has texts and numbers only"),
        })
    }

    fn release(&mut self, _: Released) -> Result<()> {
        self.client = None;
        self.receiving.take().into_iter().for_each(Receiving::end);
        match std::fs::remove_file(&self.copy) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(error, self.copy.display()))
            }
            _ => Ok(()),
        }
    }
}
