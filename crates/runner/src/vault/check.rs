//! Whether a place can be a storage: named checks, each with what was found and what helps.

use std::path::{Path, PathBuf};

use tintype_engine::backend::probe::{Answer, Finding};
use tintype_engine::backend::{Backend, Listed, probe};
use tintype_engine::env::Env;
use tintype_engine::id::encode_hex;
use tintype_model::plan::Check;
use tintype_model::{Error, ErrorKind, Result};
use tintype_model::{clock, size};

use super::Place;

/// Where objects lie for a moment that are put to see whether they can be.
const PROBES: &str = "tintype-trial/";

/// A longer one is none of ours.
const CONFIG_BYTES: u64 = 1 << 20;

/// What a storage must be beyond a place that keeps objects.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Something must be mounted there: an empty directory below it is not the storage.
    pub mount_point: Option<PathBuf>,
    /// What is known to come that is not there yet; none: not known.
    pub needed_bytes: Option<u64>,
    /// Repositories that it holds, by where they lie below it: without them it is another place, or
    /// an empty one under the same name.
    pub repositories: Vec<String>,
    /// It is not in use: what would be no more than a warning later is a reason to refuse it.
    pub is_new: bool,
}

/// Of a place: reach, rights, put-if-absent, clock, space. What could not be looked at, because something
/// before it failed, is left out. Writes small objects and removes them.
pub fn check(place: &Place, expected: &Expected, env: &Env) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(point) = &expected.mount_point {
        checks.push(mount(point, place.directory().as_deref()));
    }
    if checks.iter().any(is_blocked) {
        return checks;
    }
    checks.extend(gone(place, &expected.repositories, env));
    if checks.iter().any(is_blocked) {
        return checks;
    }
    match look(place, expected, env) {
        Ok(found) => checks.extend(found),
        Err(error) => checks.push(failed(Some(error.kind()), error.to_string())),
    }
    checks
}

/// By why something there could not be done; none: it was done, and wrong.
fn failed(why: Option<ErrorKind>, what: String) -> Check {
    let (name, cure) = match why {
        Some(ErrorKind::Denied) => (
            "rights",
            "give this user, or this access key, the right to put, get, list and delete there",
        ),
        Some(ErrorKind::NoSpace) => ("space", "make room, or choose another storage"),
        Some(ErrorKind::NotFound) => ("reach", "make it first, or correct the name"),
        Some(_) => {
            ("reach", "see that the address is right and that it can be reached from this host")
        }
        None => (
            "behaviour",
            "see that it is what its address says, and that nothing between changes what is put \
             there; or choose another storage",
        ),
    };
    Check::block(name, what, cure)
}

/// A repository that was there and is not: nothing is made in its place.
fn gone(place: &Place, repositories: &[String], env: &Env) -> Option<Check> {
    let is_gone = |name: &&String| {
        let found = place.below(name).open(env, false, false);
        let found = found.and_then(|backend| backend.get("config", CONFIG_BYTES));
        found.is_err_and(|error| error.is(ErrorKind::NotFound))
    };
    let missing: Vec<&str> = repositories.iter().filter(is_gone).map(|name| &name[..]).collect();
    let (first, all) = (missing.first()?, repositories.len());
    let message = format!(
        "{} of the {all} repositories that were here are gone, among them {first}: no snapshot of \
         them can be restored",
        missing.len()
    );
    let cure = "bring back what was moved or deleted, or mount what was mounted here; nothing is \
                written to it until then";
    Some(Check::block("content", message, cure))
}

/// The access key that agents get: it must put, get and list, and needs not delete. `own` is the
/// storage's, which removes what was put.
pub fn check_key_of_agents(agents: &Place, own: &Place, env: &Env) -> Check {
    const NAME: &str = "agents-key";
    let name = format!("{PROBES}{}", encode_hex(&env.bytes::<16>()));
    let tried = try_key(agents, &name, env);
    if let Err(error) = own.open(env, false, false).and_then(|backend| backend.delete(&name)) {
        tracing::warn!(%name, %error, "what was put for a trial could not be removed");
    }
    match tried {
        Ok(false) => Check::pass(NAME, "agents can put, get and list with theirs, and not delete"),
        Ok(true) => Check::warn(
            NAME,
            "the access key of agents can delete: whoever takes over one host deletes snapshots",
            "take the right to delete from it",
        ),
        Err(error) => Check::block(
            NAME,
            format!("the access key of agents: {error}"),
            "give it the right to put, get and list there",
        ),
    }
}

/// Whether it can delete, too.
fn try_key(agents: &Place, name: &str, env: &Env) -> Result<bool> {
    let backend = agents.open(env, false, false)?;
    let content = b"tintype";
    backend.put(name, content).map_err(|error| error.context("put"))?;
    let read = backend.get(name, 64).map_err(|error| error.context("get"))?;
    let mut is_listed = false;
    let mut each = |listed: Listed| {
        is_listed |= listed.name == name;
        Ok(())
    };
    backend.list(PROBES, &mut each).map_err(|error| error.context("list"))?;
    if read != content || !is_listed {
        return Err(Error::unsupported("what was put is not what is read and listed"));
    }
    match backend.delete(name) {
        Ok(()) => Ok(true),
        Err(error) if error.is(ErrorKind::Denied) => Ok(false),
        Err(error) => Err(error.context("delete")),
    }
}

/// Before anything is opened or made there.
pub fn check_mount(expected: &Expected, place: &Place) -> Result<()> {
    let Some(point) = &expected.mount_point else { return Ok(()) };
    let check = mount(point, place.directory().as_deref());
    match (is_blocked(&check), check.cure) {
        (false, _) => Ok(()),
        (true, cure) => {
            let cure = cure.unwrap_or_default();
            Err(Error::unavailable(format!("{}: {cure}", check.message)))
        }
    }
}

fn is_blocked(check: &Check) -> bool {
    check.outcome == tintype_model::plan::Verdict::Block
}

fn look(place: &Place, expected: &Expected, env: &Env) -> Result<Vec<Check>> {
    let backend = place.open(env, true, false)?;
    let report = probe(&*backend, env)?;
    let latencies = report.latencies;
    let mut checks = vec![Check::pass(
        "reach",
        format!(
            "an object is put in {} ms and read in {} ms",
            latencies.put_milliseconds, latencies.get_milliseconds
        ),
    )];
    let wrong = |finding: &&Finding| finding.outcome != Answer::Yes;
    let of = |name: &str| report.findings.iter().find(|finding| finding.name == name);
    let needed = ["put-get", "range-reads", "list-after-put", "list-many", "streams"];
    match needed.iter().filter_map(|name| of(name)).find(wrong) {
        None => checks.push(Check::pass("rights", "objects can be put, read, listed and deleted")),
        Some(finding) => {
            let why = finding.why.filter(|_| finding.outcome == Answer::Unknown);
            checks.push(failed(why, format!("{}: {}", finding.name, finding.detail)));
        }
    }
    checks.push(match report.many_writers() {
        true => Check::pass("put-if-absent", "several hosts may write at the same time"),
        false => Check::warn(
            "put-if-absent",
            "this store cannot tell writers apart",
            "only one process will write at a time; for agents choose a store with conditional \
             writes",
        ),
    });
    checks.push(clock(&*backend, expected, env)?);
    checks.push(space(&*backend, expected));
    Ok(checks)
}

fn clock(backend: &dyn Backend, expected: &Expected, env: &Env) -> Result<Check> {
    let before = env.clock.now();
    let told = backend.now()?;
    let after = env.clock.now();
    let Some(told) = told else {
        return Ok(Check::pass("clock", "the store does not tell what time it is"));
    };
    Ok(match clock::too_far(clock::ahead(before, told, after)) {
        None => Check::pass("clock", "the store's clock and this host's agree"),
        Some(what) => refused_if_new(
            "clock",
            what,
            "set both by the time of the network (`timedatectl set-ntp true`): when snapshots are due, \
             and until when they are kept and locked, goes by these clocks",
            expected,
        ),
    })
}

/// One that is in use goes on being used.
fn refused_if_new(name: &str, what: String, cure: &str, expected: &Expected) -> Check {
    match expected.is_new {
        true => Check::block(name, what, cure),
        false => Check::warn(name, what, cure),
    }
}

fn space(backend: &dyn Backend, expected: &Expected) -> Check {
    let Some(free) = backend.store_features().ok().and_then(|features| features.free_bytes) else {
        return Check::pass("space", "the store does not tell how much is free");
    };
    let told = format!("{} are free", size::format(free));
    match expected.needed_bytes {
        Some(needed) if needed > free => refused_if_new(
            "space",
            format!("{told}, and about {} will be needed", size::format(needed)),
            "make room, keep snapshots for a shorter time, or choose another storage",
            expected,
        ),
        Some(needed) if needed > free / 10 * 8 => Check::warn(
            "space",
            format!("{told}, and about {} will be needed", size::format(needed)),
            "plan for more room",
        ),
        _ if free < LEAST_FREE_BYTES => {
            Check::block("space", told, "make room, or choose another storage")
        }
        _ => Check::pass("space", told),
    }
}

/// Less holds no repository worth the name.
const LEAST_FREE_BYTES: u64 = 64 << 20;

/// Something is mounted exactly there, and the storage lies in it.
fn mount(point: &Path, directory: Option<&Path>) -> Check {
    let name = point.display();
    let cure = format!("mount it (`mount {name}`, or see that /etc/fstab does), then try again");
    if !directory.is_some_and(|directory| directory.starts_with(point)) {
        let what = format!("the storage does not lie below the mount point {name}");
        return Check::block("mount", what, "name a directory below it");
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let is_there = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .any(|mounted| unescaped(mounted) == point.as_os_str().as_encoded_bytes());
    match is_there {
        true => Check::pass("mount", format!("something is mounted at {name}")),
        false => Check::block("mount", format!("nothing is mounted at {name}"), cure),
    }
}

/// Spaces and the like stand as `\040` in the kernel's lists (proc(5)).
fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                out.push(byte);
                rest = &after[3..];
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::{SignedDuration, Timestamp};
    use tintype_model::env::Clock;
    use tintype_model::plan::Verdict;

    use super::*;

    fn verdicts(place: &Place, expected: &Expected) -> Vec<(String, Verdict)> {
        let checks = check(place, expected, &Env::system());
        checks.into_iter().map(|check| (check.name, check.outcome)).collect()
    }

    #[test]
    fn an_empty_directory_is_no_mount() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { url: dir.path().display().to_string(), access: None, limit: None };
        let missing = Expected { mount_point: Some(dir.path().to_owned()), ..Expected::default() };
        assert_eq!(verdicts(&place, &missing), [("mount".to_owned(), Verdict::Block)]);
        let outside = Expected { mount_point: Some("/proc".into()), ..Expected::default() };
        assert_eq!(verdicts(&place, &outside), [("mount".to_owned(), Verdict::Block)]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_full_store_is_no_matter_of_rights() {
        for (why, name, cure) in [
            (Some(ErrorKind::NoSpace), "space", "make room"),
            (Some(ErrorKind::Denied), "rights", "right to put"),
            (Some(ErrorKind::Unavailable), "reach", "can be reached"),
            (Some(ErrorKind::NotFound), "reach", "make it first"),
            (None, "behaviour", "choose another storage"),
        ] {
            let check = failed(why, "streams: 8 MiB could not be put".into());
            assert_eq!((&check.name[..], check.outcome), (name, Verdict::Block));
            assert!(check.cure.is_some_and(|told| told.contains(cure)), "{why:?}");
        }
    }

    #[test]
    fn a_directory_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { url: dir.path().display().to_string(), access: None, limit: None };
        let found = verdicts(&place, &Expected::default());
        let names: Vec<&str> = found.iter().map(|(name, _)| &name[..]).collect();
        assert_eq!(names, ["reach", "rights", "put-if-absent", "clock", "space"]);
        assert!(found.iter().all(|(_, verdict)| *verdict == Verdict::Pass), "{found:?}");
        for (is_new, expected) in [(true, Verdict::Block), (false, Verdict::Warn)] {
            let much = Expected { needed_bytes: Some(u64::MAX), is_new, ..Expected::default() };
            let found = verdicts(&place, &much);
            assert_eq!(found.last(), Some(&("space".to_owned(), expected)));
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    /// The real one, and six minutes.
    struct Fast(Env);

    impl Clock for Fast {
        fn now(&self) -> Timestamp {
            self.0.clock.now() + SignedDuration::from_mins(6)
        }

        fn elapsed(&self) -> Duration {
            self.0.clock.elapsed()
        }

        fn sleep(&self, duration: Duration) {
            self.0.clock.sleep(duration);
        }
    }

    #[test]
    fn a_store_whose_clock_is_off_is_refused_and_one_in_use_is_warned_of() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { url: dir.path().display().to_string(), access: None, limit: None };
        let env = Env { clock: Arc::new(Fast(Env::system())), ..Env::system() };
        for (is_new, expected) in [(true, Verdict::Block), (false, Verdict::Warn)] {
            let checks = check(&place, &Expected { is_new, ..Expected::default() }, &env);
            let clock = checks.iter().find(|check| check.name == "clock").unwrap();
            assert_eq!(clock.outcome, expected);
            assert!(clock.message.contains("behind this host's"), "{}", clock.message);
            assert!(clock.cure.as_ref().unwrap().contains("timedatectl"));
        }
    }

    #[test]
    fn names_of_mounts_are_read_as_the_kernel_writes_them() {
        assert_eq!(unescaped(r"/a\040b\134c"), b"/a b\\c");
        assert_eq!(unescaped(r"/a\04"), b"/a\\04");
    }
}
