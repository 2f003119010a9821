//! Downloads: into a file beside, which gets its name when all of it is there; one that was
//! interrupted goes on where it ended.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tintype_api::client::Incoming;
use tintype_engine::env::Env;
use tintype_engine::{Error, ErrorKind, Result};

use crate::report::Report;

/// So often it is begun again without a byte that came.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
const PIECE_BYTES: usize = 1 << 20;

/// Asks for it from a byte on, of the version with that tag.
pub(super) type Ask<'a> = dyn Fn(u64, Option<&str>) -> Result<Incoming> + 'a;

/// How far it is, for a person at a terminal.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(what: &'static str, report: &Report) -> Self {
        let bar = match report.is_json() {
            true => ProgressBar::hidden(),
            false => ProgressBar::new(0),
        };
        let style =
            "{prefix} {bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_prefix(what);
        Self(bar)
    }

    pub(super) fn at(&self, bytes: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(bytes);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// What was downloaded.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) bytes: u64,
    /// There already when it was begun.
    pub(super) resumed_bytes: u64,
    pub(super) problem: Option<String>,
}

/// A download that is not whole yet: `.NAME.TAG.part`.
struct Part {
    path: PathBuf,
    tag: String,
}

impl Part {
    fn of(to: &Path, tag: &str) -> Self {
        let mut name = prefix(to);
        name.push(tag);
        name.push(".part");
        Self { path: to.with_file_name(name), tag: tag.to_owned() }
    }

    /// What an earlier attempt left.
    fn left(to: &Path) -> Option<Self> {
        let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty());
        let entries = std::fs::read_dir(directory.unwrap_or(Path::new("."))).ok()?;
        let prefix = prefix(to);
        entries.flatten().find_map(|entry| {
            let name = entry.file_name();
            let tag = name.as_bytes().strip_prefix(prefix.as_bytes())?.strip_suffix(b".part")?;
            let tag = std::str::from_utf8(tag).ok().filter(|tag| is_tag(tag))?;
            Some(Self::of(to, tag))
        })
    }

    fn open(&self) -> Result<File> {
        let mut options = File::options();
        let file = options.create(true).truncate(false).write(true).mode(0o600).open(&self.path);
        file.map_err(|error| Error::io(error, self.path.display()))
    }
}

fn prefix(to: &Path) -> OsString {
    let mut name = OsString::from(".");
    name.push(to.file_name().unwrap_or_default());
    name.push(".");
    name
}

/// It becomes part of a file's name.
fn is_tag(tag: &str) -> bool {
    (1..=64).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether something may be written there.
pub(super) fn check(to: &Path, overwrite: bool) -> Result<()> {
    match std::fs::symlink_metadata(to) {
        Ok(found) if found.is_dir() => {
            Err(Error::invalid(format!("{} is a directory; name a file in it", to.display())))
        }
        Ok(_) if !overwrite => {
            let what = format!("{} exists; --overwrite replaces it", to.display());
            Err(Error::already_exists(what))
        }
        _ => Ok(()),
    }
}

/// All of it into that file.
pub(super) fn into_file(
    to: &Path,
    overwrite: bool,
    report: &Report,
    ask: &Ask<'_>,
) -> Result<Fetched> {
    check(to, overwrite)?;
    let bar = Bar::new("download", report);
    let mut part = Part::left(to);
    let (mut resumed, mut failures) = (None, 0);
    loop {
        let from = match &part {
            Some(part) => part.open()?.metadata().map_or(0, |found| found.len()),
            None => 0,
        };
        let began = attempt(to, &mut part, from, ask, &bar, &mut resumed);
        let error = match began {
            Ok((bytes, problem)) => {
                let part = part.as_ref().map(|part| &part.path);
                let part = part.ok_or_else(|| Error::internal("a download without a file"))?;
                finish(part, to, overwrite)?;
                return Ok(Fetched { bytes, resumed_bytes: resumed.unwrap_or(0), problem });
            }
            Err(error) => error,
        };
        let now = part.as_ref().and_then(|part| std::fs::metadata(&part.path).ok());
        let grew = now.is_some_and(|now| now.len() > from);
        failures = if grew { 0 } else { failures + 1 };
        if !error.is(ErrorKind::Unavailable) || failures == ATTEMPTS {
            return Err(error);
        }
        Env::system().clock.sleep(PAUSE);
    }
}

fn attempt(
    to: &Path,
    part: &mut Option<Part>,
    from: u64,
    ask: &Ask<'_>,
    bar: &Bar,
    resumed: &mut Option<u64>,
) -> Result<(u64, Option<String>)> {
    let tag = part.as_ref().map(|part| part.tag.clone());
    let mut incoming = match ask(from, tag.as_deref()) {
        // All of it is there, or more: what that is tells the next answer.
        Err(error) if from > 0 && error.is(ErrorKind::Invalid) => ask(from - 1, tag.as_deref())?,
        incoming => incoming?,
    };
    if !is_tag(&incoming.tag) {
        return Err(Error::unsupported("the manager sends no tag that is understood"));
    }
    if tag.as_ref() != Some(&incoming.tag) {
        // Of another version: it does not fit.
        if let Some(old) = part.replace(Part::of(to, &incoming.tag)) {
            let _ = std::fs::remove_file(old.path);
        }
    }
    let part = part.as_ref().ok_or_else(|| Error::internal("a download without a file"))?;
    let failed = |error| Error::io(error, part.path.display());
    let mut file = part.open()?;
    file.set_len(incoming.from).map_err(failed)?;
    file.seek(SeekFrom::Start(incoming.from)).map_err(failed)?;
    resumed.get_or_insert(incoming.from);
    let (mut at, mut piece) = (incoming.from, vec![0; PIECE_BYTES]);
    while at < incoming.size_bytes {
        let length = incoming.body.read(&mut piece).map_err(|error| {
            Error::unavailable(format!("the download broke off after {at} bytes: {error}"))
        })?;
        if length == 0 {
            return Err(Error::unavailable(format!("the download broke off after {at} bytes")));
        }
        file.write_all(&piece[..length]).map_err(failed)?;
        at += length as u64;
        bar.at(at, incoming.size_bytes);
    }
    file.sync_all().map_err(failed)?;
    Ok((at, incoming.problem))
}

fn finish(part: &Path, to: &Path, overwrite: bool) -> Result<()> {
    check(to, overwrite)?;
    std::fs::rename(part, to).map_err(|error| Error::io(error, to.display()))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn bytes() -> Vec<u8> {
        (0..3000u32).map(|n| (n % 251) as u8).collect()
    }

    /// What is asked for, and how it is answered: as a manager does that has all bytes with one tag,
    /// and whose first answer breaks off after so many.
    struct Asked {
        calls: RefCell<Vec<(u64, Option<String>)>>,
        breaks_after: usize,
    }

    impl Asked {
        fn new(breaks_after: usize) -> Self {
            Self { calls: RefCell::default(), breaks_after }
        }

        fn fetch(&self, to: &Path) -> Result<Fetched> {
            let report = Report::new(true, false, false);
            into_file(to, false, &report, &|from, tag| self.answer(from, tag))
        }

        fn answer(&self, from: u64, tag: Option<&str>) -> Result<Incoming> {
            let mut calls = self.calls.borrow_mut();
            calls.push((from, tag.map(str::to_owned)));
            let all = bytes();
            if from >= all.len() as u64 {
                return Err(Error::invalid("none of those"));
            }
            let from = if from > 0 && tag != Some("aa") { 0 } else { from };
            let mut rest = all[from as usize..].to_vec();
            if calls.len() == 1 {
                rest.truncate(self.breaks_after);
            }
            Ok(Incoming {
                size_bytes: all.len() as u64,
                from,
                tag: "aa".to_owned(),
                problem: None,
                body: Box::new(std::io::Cursor::new(rest)),
            })
        }

        fn from(&self) -> Vec<u64> {
            self.calls.borrow().iter().map(|(from, _)| *from).collect()
        }
    }

    /// All that is in a directory.
    fn names(directory: &Path) -> Vec<OsString> {
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn what_broke_off_goes_on_where_it_ended() {
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("x");
        let asked = Asked::new(1000);
        let fetched = asked.fetch(&to).unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), bytes());
        assert_eq!((fetched.bytes, fetched.resumed_bytes), (3000, 0));
        assert_eq!(asked.from(), [0, 1000]);
        assert_eq!(names(directory.path()), ["x"]);
    }

    #[test]
    fn what_an_earlier_attempt_left_is_used_if_it_is_of_the_same() {
        // How much is there, of which version; how much of that is used, and what is asked for.
        let table: [(usize, &str, u64, &[u64]); 4] = [
            (10, "aa", 10, &[10]),
            (3000, "aa", 2999, &[3000, 2999]),
            (10, "bb", 0, &[10]),
            (0, "aa", 0, &[0]),
        ];
        for (length, tag, used, expected) in table {
            let directory = tempfile::tempdir().unwrap();
            let to = directory.path().join("x");
            let part = directory.path().join(format!(".x.{tag}.part"));
            std::fs::write(part, &bytes()[..length]).unwrap();
            let asked = Asked::new(usize::MAX);
            let fetched = asked.fetch(&to).unwrap();
            assert_eq!(std::fs::read(&to).unwrap(), bytes(), "{length} of {tag}");
            assert_eq!((fetched.resumed_bytes, &asked.from()[..]), (used, expected));
            assert_eq!(names(directory.path()), ["x"]);
        }
    }

    #[test]
    fn what_stands_there_stays() {
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("x");
        std::fs::write(&to, "mine").unwrap();
        let asked = Asked::new(usize::MAX);
        assert_eq!(asked.fetch(&to).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&to).unwrap(), b"mine");
        assert!(asked.from().is_empty());
        assert!(check(directory.path(), true).is_err());
    }
}
