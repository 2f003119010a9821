//! Restores what was captured of a server. A cluster is unpacked and recovered beside its place by
//! a server that nobody else can reach; only when it has come to the moment of the snapshot is it
//! switched for what stands there, which is captured as the files that it is and stays aside until the
//! restore is done.

use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tintype_model::item::Item;
use tintype_model::plan::{Check, Stage, Step};
use tintype_model::resource::Resource;
use tintype_model::{Error, Result};

use super::client::{Client, Purpose};
use super::cluster::ClusterFacts;
use super::physical::MAINTENANCE;
use super::place::{Place, RECOVERY_DIRECTORY, RECOVERY_PORT, Recovery};
use super::programs;
use super::restore_logical::{self, LogicalAction};
use super::wire::literal;
use super::{At, Facts, stopped, unpack, written};
use crate::connector::{Context, Destination, Stored, Target, TargetPlan, action, step};
use crate::host::account::{Account, acting, give};
use crate::host::moment;
use crate::host::moves::Moves;

const TICK: Duration = Duration::from_millis(100);
/// What the server says until somebody else starts it, if it keeps no log by itself.
const START_LOG: &str = "tintype-start.log";

pub(super) struct PostgresTarget {
    context: Context,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Action {
    Unpack(Place),
    /// What was captured of a stopped cluster.
    Copy(Place),
    Watch(Place),
    Recover {
        place: Place,
        recovery: Recovery,
    },
    Switch {
        place: Place,
        moves: Moves,
    },
    Start(Place),
    Health {
        place: Place,
        databases: Vec<String>,
    },
    Clean {
        place: Place,
        replaces: bool,
    },
    Logical(LogicalAction),
}

impl PostgresTarget {
    pub(super) fn new(context: &Context) -> Self {
        Self { context: context.clone() }
    }
}

impl Target for PostgresTarget {
    fn plan(
        &mut self,
        item: &Item,
        resource: &Resource,
        destination: &Destination,
        stored: &dyn Stored,
    ) -> Result<TargetPlan> {
        match Facts::of(item)? {
            Facts::Logical(facts) => {
                restore_logical::plan(item, resource, destination, &facts, stored, &self.context)
            }
            Facts::Physical(facts) => {
                let (place, mut checks) =
                    Place::choose(item, resource, destination, &facts, &self.context)?;
                checks.extend(whole(&place.at.databases));
                let replaces = !place.is_new && stopped::is_cluster(&place.data);
                let undo_at = if replaces { stopped::undo_at(&place.data) } else { Map::new() };
                let spaces = place.tablespaces.iter().map(|space| space.location.clone());
                let places = std::iter::once(place.data.clone()).chain(spaces).collect();
                let steps = steps(&place, &facts, replaces);
                Ok(TargetPlan { checks, steps, replaces, undo_at, places, ..TargetPlan::default() })
            }
        }
    }

    fn apply(&mut self, step: &Step, stored: &dyn Stored) -> Result<Value> {
        let context = &self.context;
        match action(step)? {
            Action::Unpack(place) => unpack_all(&place, stored, context)?,
            Action::Copy(place) => copy_all(&place, stored, context)?,
            Action::Watch(place) => place.replaced().watch()?,
            Action::Recover { place, recovery } => recover(&place, &recovery, context)?,
            Action::Switch { place, moves } => {
                if !moves.is_placed() {
                    unused(&place)?;
                    written::note(&place)?;
                }
                let there =
                    if place.staged().exists() { place.staged() } else { place.data.clone() };
                unpack::link(&there, &place.final_tablespaces(), place.account)?;
                moves.apply()?;
                place.remove_empty()?;
            }
            Action::Start(place) => start(&place, context)?,
            Action::Health { place, databases } => health(&place, &databases, context)?,
            Action::Clean { place, replaces } => {
                written::forget(&place)?;
                if replaces {
                    return place.remove_replaced();
                }
            }
            Action::Logical(action) => return action.apply(stored, context),
        }
        Ok(Value::Null)
    }

    fn undo(&mut self, step: &Step, _: &Value) -> Result<Value> {
        let context = &self.context;
        match action(step)? {
            Action::Unpack(place) | Action::Copy(place) => {
                stop(&place, &place.staged(), "immediate", context)?;
                place.remove_staged()?;
            }
            Action::Recover { place, .. } => stop(&place, &place.staged(), "immediate", context)?,
            Action::Watch(place) => moment::forget(&place.replaced().moment)?,
            Action::Switch { place, moves } => {
                if moves.is_placed() {
                    unused(&place)?;
                }
                place.make_empty()?;
                moves.undo()?;
                let given = place.take_back(written::is_changed(&place))?;
                written::forget(&place)?;
                return Ok(given);
            }
            Action::Start(place) => stop(&place, &place.data, "fast", context)?,
            Action::Health { .. } => {}
            Action::Clean { place, replaces } => {
                if replaces {
                    place.replaced().is_there()?;
                }
            }
            Action::Logical(action) => return action.undo(context),
        }
        Ok(Value::Null)
    }
}

/// The files of a cluster belong together.
fn whole(databases: &[String]) -> Option<Check> {
    let reason = format!(
        "the snapshot holds the files of the whole cluster: {} cannot be restored alone",
        databases.join(", ")
    );
    let cure = "restore the cluster beside (`--as-new NAME=NEW --set NAME.data_directory=DIR --set \
                NAME.port=PORT --rule NAME.identity=keep`) and move the database from there with \
                pg_dump and pg_restore; of a resource with `mode: logical` each can be restored alone";
    (!databases.is_empty()).then(|| Check::block("databases", reason, cure))
}

fn steps(place: &Place, facts: &ClusterFacts, replaces: bool) -> Vec<Step> {
    let shown = place.data.display();
    let own = || place.clone();
    let mib = (facts.bytes + facts.segments * facts.segment_bytes) >> 20;
    let mut steps = Vec::new();
    let mut add = |stage, text: String, action| steps.push(step(stage, text, &action));
    if facts.stopped {
        add(Stage::Stage, format!("write {mib} MiB beside {shown}"), Action::Copy(own()));
    } else {
        let recovery = Recovery::new(facts, place);
        let unpack = format!("unpack {mib} MiB beside {shown}");
        add(Stage::Stage, unpack, Action::Unpack(own()));
        let (moment, more) = (&facts.restore_point, recovery.text());
        let text = format!("recover it there up to {moment}, unreachable for others{more}");
        add(Stage::Stage, text, Action::Recover { place: own(), recovery });
    }
    if replaces {
        let text = format!("note the moment: what {shown} gets from here on is not removed");
        add(Stage::Watch, text, Action::Watch(own()));
    }
    let stays = place.data.exists() && !replaces;
    let aside = format!("; what stands there stays as {}", place.old().display());
    let aside = if stays { aside } else { String::new() };
    let switch = Action::Switch { place: own(), moves: place.moves() };
    add(Stage::Switch, format!("put it at {shown}{aside}"), switch);
    let text = format!(
        "start the server of {shown}; where it keeps no log of its own, it writes {START_LOG} there \
         until you start it anew"
    );
    add(Stage::Start, text, Action::Start(own()));
    let text = format!("ask it on port {} for its databases", place.at.port);
    let databases = facts.databases.clone();
    add(Stage::Health, text, Action::Health { place: own(), databases });
    let clean = match replaces {
        true => format!("remove what stood at {shown} before"),
        false => format!("{shown} is done"),
    };
    add(Stage::Clean, clean, Action::Clean { place: own(), replaces });
    steps
}

/// Hours may have passed since the plan, and somebody may have started a server meanwhile.
fn unused(place: &Place) -> Result<()> {
    if programs::running(&place.data).is_none() {
        return Ok(());
    }
    Err(Error::locked(format!(
        "{}: a server runs in {}, which is to be moved; stop it and run the restore again",
        place.name,
        place.data.display()
    )))
}

fn stop(place: &Place, data: &Path, mode: &str, context: &Context) -> Result<()> {
    programs::stop(&place.pg_ctl, place.account, data, mode, context)
}

fn unpack_all(place: &Place, stored: &dyn Stored, context: &Context) -> Result<()> {
    let staged = place.staged();
    // What an interrupted attempt left may be running.
    stop(place, &staged, "immediate", context)?;
    unpack::fresh_directory(&staged, place.account)?;
    unpack::archive("base.tar", &staged, place.account, stored, context)?;
    for tablespace in &place.tablespaces {
        if !tablespace.location.exists() {
            let made = std::fs::create_dir_all(&tablespace.location);
            made.and_then(|()| give(&tablespace.location, place.account))
                .map_err(|error| Error::io(error, tablespace.location.display()))?;
        }
        unpack::fresh_directory(&tablespace.staged, place.account)?;
        let archive = format!("{}.tar", tablespace.oid);
        unpack::archive(&archive, &tablespace.staged, place.account, stored, context)?;
        unpack::sync(&tablespace.staged)?;
    }
    unpack::link(&staged, &place.staged_tablespaces(), place.account)?;
    for entry in stored.list(b"wal")?.into_iter().filter(|entry| entry.at != b"wal") {
        let path = segment(&staged, &entry.at)?;
        put(&entry.at, &path, place.account, stored)?;
        place.mark_archived(&path)?;
    }
    place.keep_histories(&staged)?;
    put(b"backup_manifest", &staged.join("backup_manifest"), place.account, stored)?;
    place.configure(&staged, stored)?;
    unpack::sync(&staged)
}

/// As it was, but for where its tablespaces are.
fn copy_all(place: &Place, stored: &dyn Stored, context: &Context) -> Result<()> {
    let staged = place.staged();
    stop(place, &staged, "immediate", context)?;
    unpack::fresh_directory(&staged, place.account)?;
    copy(stopped::DATA.to_owned(), &staged, stored)?;
    for (oid, space, inside) in place.spaces_of_stopped() {
        unpack::fresh_directory(&space, place.account)?;
        unpack::fresh_directory(&inside, place.account)?;
        copy(format!("{}/{oid}", stopped::SPACES), &inside, stored)?;
        unpack::sync(&space)?;
    }
    unpack::link(&staged, &place.staged_tablespaces(), place.account)?;
    unpack::sync(&staged)
}

fn copy(at: String, to: &Path, stored: &dyn Stored) -> Result<()> {
    let done = stored.files(at.as_bytes(), to)?;
    match done.failed.first() {
        None => Ok(()),
        Some((path, why)) => Err(Error::unavailable(format!(
            "{}: {}: {why}",
            to.display(),
            String::from_utf8_lossy(path)
        ))),
    }
}

/// The log goes to where the server looks for it by itself.
fn segment(staged: &Path, at: &[u8]) -> Result<PathBuf> {
    let name = at.strip_prefix(b"wal/").and_then(|name| std::str::from_utf8(name).ok());
    let is_log =
        |name: &&str| name.bytes().all(|b| b.is_ascii_hexdigit() || b".history".contains(&b));
    let name = name.filter(is_log).filter(|name| !name.starts_with('.') && !name.contains('/'));
    let name = name.ok_or_else(|| Error::corrupt("a file that is no log among the log"))?;
    Ok(staged.join("pg_wal").join(name))
}

fn put(at: &[u8], path: &Path, account: Account, stored: &dyn Stored) -> Result<()> {
    stored.read(at, &mut |read| {
        unpack::file(path, account, read).map_err(|error| Error::io(error, path.display()))
    })
}

/// A server of our own on what is staged, until it has come to the restore point and is whole.
fn recover(place: &Place, recovery: &Recovery, context: &Context) -> Result<()> {
    let staged = place.staged();
    let sockets = staged.join(RECOVERY_DIRECTORY);
    stop(place, &staged, "immediate", context)?;
    unpack::fresh_directory(&sockets, place.account)?;
    let recovered = recover_with(place, recovery, &staged, &sockets, context);
    let stopped =
        stop(place, &staged, if recovered.is_ok() { "fast" } else { "immediate" }, context);
    let removed = std::fs::remove_dir_all(&sockets);
    recovered.and(stopped)?;
    removed.map_err(|error| Error::io(error, sockets.display()))
}

fn recover_with(
    place: &Place,
    recovery: &Recovery,
    staged: &Path,
    sockets: &Path,
    context: &Context,
) -> Result<()> {
    let failed = |error| Error::io(error, sockets.display());
    let write = |name: &str, text: &str| {
        unpack::file(&sockets.join(name), place.account, &mut text.as_bytes())
    };
    write("postgresql.conf", "").map_err(failed)?;
    write("pg_hba.conf", "local all all trust\n").map_err(failed)?;
    write("pg_ident.conf", "").map_err(failed)?;
    // Until the backup label is read, it is the signal that tells a recovery from a crash.
    if staged.join("backup_label").exists() {
        let signal = staged.join("recovery.signal");
        let made = unpack::file(&signal, place.account, &mut &b""[..]);
        made.map_err(|error| Error::io(error, signal.display()))?;
    }
    let options = programs::options(recovery.settings(sockets));
    let log = sockets.join("log");
    programs::start(&place.pg_ctl, place.account, staged, &log, &options, context)?;
    // Paths of sockets are at most 107 bytes, those of data directories are not.
    let directory = std::fs::File::open(sockets).map_err(failed)?;
    let at = At {
        host: format!("/proc/self/fd/{}", directory.as_raw_fd()),
        port: RECOVERY_PORT,
        user: recovery.user.clone(),
        password_file: None,
        ..place.at.clone()
    };
    let mut sql = wait_until_recovered(place, &at, staged, &log, context)?;
    if sql.value("SELECT pg_is_in_recovery()")? == "t" {
        return Err(Error::corrupt(format!("{}: did not come to its restore point", place.name)));
    }
    let segment = sql.value("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")?;
    let timeline = segment.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let timeline = timeline
        .ok_or_else(|| Error::corrupt(format!("{}: no timeline in {segment:?}", place.name)))?;
    place.announce_history(staged, timeline)?;
    for (setting, value) in &recovery.kept {
        sql.query(&format!("ALTER SYSTEM SET {setting} = {}", literal(value)))?;
    }
    Ok(())
}

/// It lets nobody in before; `pg_ctl` does not wait for that.
fn wait_until_recovered(
    place: &Place,
    at: &At,
    staged: &Path,
    log: &Path,
    context: &Context,
) -> Result<Client> {
    let begun = context.clock.elapsed();
    loop {
        let error = match Client::connect(&place.name, at, Purpose::Database(MAINTENANCE), context)
        {
            Ok(sql) => return Ok(sql),
            Err(error) => error,
        };
        context.cancel.check()?;
        let late = context.clock.elapsed().saturating_sub(begun) > programs::MOST;
        if programs::running(staged).is_none() || late {
            return Err(programs::with_log(error, log, place.account));
        }
        context.clock.sleep(TICK);
    }
}

fn start(place: &Place, context: &Context) -> Result<()> {
    if programs::running(&place.data).is_some() {
        return Ok(());
    }
    let log = place.data.join(START_LOG);
    let configuration = place.configuration.as_ref();
    let file = configuration.map(|file| ("config_file", file.display().to_string()));
    let given = place.command_line.iter().map(|(name, value)| (&name[..], value.clone()));
    let options = programs::options(file.into_iter().chain(given));
    programs::start(&place.pg_ctl, place.account, &place.data, &log, &options, context)
}

fn health(place: &Place, databases: &[String], context: &Context) -> Result<()> {
    let mut sql = Client::connect(&place.name, &place.at, Purpose::Database(MAINTENANCE), context)?;
    let found = sql.query("SELECT datname FROM pg_database WHERE NOT datistemplate")?;
    let found: Vec<String> = found.into_iter().flatten().flatten().collect();
    let missing: Vec<&String> = databases.iter().filter(|name| !found.contains(name)).collect();
    if !missing.is_empty() {
        let name = &place.name;
        return Err(Error::corrupt(format!("{name}: the restored server has no {missing:?}")));
    }
    if sql.value("SHOW logging_collector")? == "on" {
        let log = place.data.join(START_LOG);
        match acting(place.account, || std::fs::remove_file(&log)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(error, log.display()));
            }
            _ => {}
        }
    }
    Ok(())
}
