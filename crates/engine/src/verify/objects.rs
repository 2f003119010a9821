//! Opens every small object under its own name, and tells where one lies under a wrong name.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::de::DeserializeOwned;
use tintype_model::{Error, ErrorKind, Result};

use super::VerifyOptions;
use super::protocol::is_there;
use super::report::{Findings, Problem, Severity};
use crate::backend::Listed;
use crate::crypto::slot::Slot;
use crate::format::limits;
use crate::format::object::{FOOTER_BYTES, ObjectType, Opener};
use crate::format::records::{
    Annotation, Condemned, Config, Fate, GcRecord, Retired, SessionKind, SessionRecord, names,
};
use crate::id::{RandomId, SnapshotId};
use crate::index::PackId;
use crate::parallel;
use crate::repo::Repository;

/// Small objects that are read before the results are taken.
const BATCH: usize = 256;

/// What a name says that an object is (format.md §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Config,
    Slot(RandomId),
    Pack(PackId),
    Segment,
    Session(RandomId),
    Fate(RandomId),
    Annotation(SnapshotId, u32),
    Condemned,
    Gc(u32),
    Retired,
    Beat,
    Unknown,
}

impl Name {
    pub(super) fn of(name: &str) -> Self {
        Self::parse(name).unwrap_or(Self::Unknown)
    }

    fn parse(name: &str) -> Option<Self> {
        if name == names::CONFIG || name == names::CONFIG_COPY {
            return Some(Self::Config);
        }
        let (kind, rest) = name.split_once('/')?;
        let id = rest.split('/').next().and_then(|id| id.parse::<RandomId>().ok());
        let number = names::parse_number(name);
        // Names are made anew and compared, so that each thing has one name only.
        let (parsed, made) = match kind {
            "keys" => (Self::Slot(id?), names::slot(id?)),
            "session" => (Self::Session(id?), names::session(id?)),
            "fate" => (Self::Fate(id?), names::fate(id?)),
            "retired" => (Self::Retired, names::retired(id?)),
            "gc" => (Self::Gc(number?), names::gc(number?)),
            "beat" => (Self::Beat, names::beat(id?, number?)),
            "annotation" => (Self::Annotation(id?, number?), names::annotation(id?, number?)),
            "index" => {
                let (session, number) = names::parse_segment(name)?;
                let of_gc = names::is_gc_segment(name);
                let kind = if of_gc { SessionKind::Gc } else { SessionKind::Snapshot };
                (Self::Segment, names::segment(session, kind, number))
            }
            "condemned" => {
                let (seq, id) = rest.split_once('/')?;
                (Self::Condemned, names::condemned(seq.parse().ok()?, id.parse().ok()?))
            }
            _ => {
                let pack = PackId::parse(name)?;
                (Self::Pack(pack), pack.object_name())
            }
        };
        (made == name).then_some(parsed)
    }

    fn object_type(self) -> Option<ObjectType> {
        match self {
            Self::Session(_) => Some(ObjectType::Session),
            Self::Fate(_) => Some(ObjectType::Fate),
            Self::Annotation(..) => Some(ObjectType::Annotation),
            Self::Condemned => Some(ObjectType::Condemned),
            Self::Gc(_) => Some(ObjectType::GcRecord),
            Self::Retired => Some(ObjectType::Retired),
            Self::Segment => Some(ObjectType::IndexSegment),
            _ => None,
        }
    }
}

/// Everything small that could be read.
#[derive(Default)]
pub(super) struct Inventory {
    /// All listed objects and their lengths.
    pub sizes: BTreeMap<String, u64>,
    /// By number; the highest counts.
    pub records: BTreeMap<u32, Option<GcRecord>>,
    pub fates: BTreeMap<RandomId, Fate>,
    pub damaged_fates: BTreeSet<RandomId>,
    /// `None`: it is there and cannot be read.
    pub sessions: BTreeMap<RandomId, Option<SessionRecord>>,
    pub retired: HashSet<RandomId>,
    pub annotations: BTreeMap<SnapshotId, BTreeMap<u32, Option<Annotation>>>,
}

#[expect(clippy::large_enum_variant, reason = "lives for one object")]
enum Opened {
    Nothing,
    Session(Option<SessionRecord>),
    Fate(Option<Fate>),
    Annotation(Option<Annotation>),
    Gc(Option<GcRecord>),
    Retired(Retired),
}

impl Inventory {
    pub(super) fn newest(&self) -> Option<&GcRecord> {
        self.records.last_key_value().and_then(|(_, record)| record.as_ref())
    }

    /// Reads and opens all objects but packs and index segments.
    pub(super) fn read(
        repository: &Repository,
        listed: &[Listed],
        options: &VerifyOptions<'_>,
        findings: &mut Findings,
    ) -> Result<Self> {
        let sizes = listed.iter().map(|l| (l.name.clone(), l.size_bytes)).collect();
        let mut inventory = Self { sizes, ..Self::default() };
        let small: Vec<(&str, Name)> = listed
            .iter()
            .map(|l| (&l.name[..], Name::of(&l.name)))
            .filter(|(_, name)| !matches!(name, Name::Pack(_) | Name::Segment | Name::Beat))
            .collect();
        let env = repository.env();
        for batch in small.chunks(BATCH) {
            options.cancel.check()?;
            let opened = parallel::map(
                env,
                options.workers,
                batch,
                || Ok(()),
                |(), (name, kind)| open(repository, name, *kind),
            )?;
            for ((name, kind), (opened, error)) in batch.iter().zip(opened) {
                inventory.keep(*kind, opened);
                if let Some(error) = error {
                    report(repository, name, *kind, &error, listed, findings)?;
                }
            }
        }
        inventory.check_beats_and_config(repository, listed, findings);
        Ok(inventory)
    }

    fn keep(&mut self, name: Name, opened: Opened) {
        match (name, opened) {
            (Name::Session(id), Opened::Session(record)) => {
                self.sessions.insert(id, record);
            }
            (Name::Fate(id), Opened::Fate(Some(fate))) => {
                self.fates.insert(id, fate);
            }
            (Name::Fate(id), Opened::Fate(None)) => {
                self.damaged_fates.insert(id);
            }
            (Name::Annotation(id, number), Opened::Annotation(annotation)) => {
                self.annotations.entry(id).or_default().insert(number, annotation);
            }
            (Name::Gc(seq), Opened::Gc(record)) => {
                self.records.insert(seq, record);
            }
            (_, Opened::Retired(list)) => self.retired.extend(list.sessions),
            _ => {}
        }
    }

    fn check_beats_and_config(
        &self,
        repository: &Repository,
        listed: &[Listed],
        findings: &mut Findings,
    ) {
        for object in listed {
            if Name::of(&object.name) == Name::Beat && object.size_bytes > 0 {
                let found = format!("{} bytes", object.size_bytes);
                let (severity, problem) = (Severity::Damage, Problem::WrongLength);
                findings.add(severity, problem, &object.name, "an empty object", found);
            }
        }
        for name in [names::CONFIG, names::CONFIG_COPY] {
            if self.sizes.contains_key(name) || is_there(repository, name) {
                continue;
            }
            let found = "it does not exist: if the other copy is lost too, nobody can open the \
                         repository any more; `verify --repair-index` writes it again";
            let (severity, problem) = (Severity::Damage, Problem::Missing);
            findings.add(severity, problem, name, "the repository's configuration", found);
        }
    }
}

/// Opens one object; the error says what is wrong with it.
fn open(repository: &Repository, name: &str, kind: Name) -> (Opened, Option<Error>) {
    fn split<T>(result: Result<T>, keep: fn(Option<T>) -> Opened) -> (Opened, Option<Error>) {
        match result {
            Ok(value) => (keep(Some(value)), None),
            Err(error) => (keep(None), Some(error)),
        }
    }
    fn json<T: DeserializeOwned>(
        repository: &Repository,
        name: &str,
        object_type: ObjectType,
        keep: fn(Option<T>) -> Opened,
    ) -> (Opened, Option<Error>) {
        split(repository.get_json::<T>(object_type, name), keep)
    }
    let nothing = |result: Result<()>| (Opened::Nothing, result.err());
    match kind {
        Name::Config => nothing(check_config(repository, name)),
        Name::Slot(id) => nothing(check_slot(repository, name, id)),
        Name::Session(_) => json(repository, name, ObjectType::Session, Opened::Session),
        Name::Fate(_) => json(repository, name, ObjectType::Fate, Opened::Fate),
        Name::Annotation(..) => json(repository, name, ObjectType::Annotation, Opened::Annotation),
        Name::Gc(seq) => {
            let record = repository.get_json::<GcRecord>(ObjectType::GcRecord, name);
            let record = record.and_then(|record| match record.seq == seq {
                true => Ok(record),
                false => Err(Error::corrupt(format!("{name}: says it is {}", record.seq))),
            });
            split(record, Opened::Gc)
        }
        Name::Condemned => {
            json::<Condemned>(repository, name, ObjectType::Condemned, |_| Opened::Nothing)
        }
        Name::Retired => json::<Retired>(repository, name, ObjectType::Retired, |list| {
            list.map_or(Opened::Nothing, Opened::Retired)
        }),
        Name::Pack(_) | Name::Segment | Name::Beat | Name::Unknown => (Opened::Nothing, None),
    }
}

fn check_config(repository: &Repository, name: &str) -> Result<()> {
    let text = repository.backend.get(name, limits::PLAIN_JSON_BYTES)?;
    let config = Config::parse(&text)?;
    config.verify(&repository.keys)?;
    let canonical = serde_json::to_vec(&config).expect("plain data");
    // Unknown fields are not under the MAC: where there are some, a changed name could hide.
    if config != repository.config || canonical != text {
        return Err(Error::corrupt(format!("{name} has fields that it was not written with")));
    }
    Ok(())
}

fn check_slot(repository: &Repository, name: &str, id: RandomId) -> Result<()> {
    let text = repository.backend.get(name, limits::PLAIN_JSON_BYTES)?;
    let slot: Slot = serde_json::from_slice(&text)
        .map_err(|e| Error::corrupt(format!("{name}: is no key slot")).with_source(e))?;
    let canonical = serde_json::to_vec(&slot).expect("plain data");
    if slot.kind() == "unknown" {
        return Err(Error::unsupported(format!(
            "{name}: a key slot of a kind that this version does not know, or damaged"
        )));
    }
    if canonical != text {
        return Err(Error::corrupt(format!("{name}: has fields that it was not written with")));
    }
    // A limit that is exceeded because of a flipped bit is damage.
    slot.verify(&repository.keys, id)?;
    slot.check()
}

fn report(
    repository: &Repository,
    name: &str,
    kind: Name,
    error: &Error,
    listed: &[Listed],
    findings: &mut Findings,
) -> Result<()> {
    if kind == Name::Unknown {
        return Ok(());
    }
    let misplaced = match (kind, kind.object_type()) {
        _ if !error.is(ErrorKind::Corrupt) => None,
        (Name::Slot(_), _) => true_name_of_slot(repository, name, listed),
        (_, Some(object_type)) => true_name(repository, name, object_type, listed),
        _ => None,
    };
    match misplaced {
        Some(other) => {
            let (severity, problem) = (Severity::Damage, Problem::Misplaced);
            let found = format!("the object that belongs at {other}");
            findings.add(severity, problem, name, "the object of this name", found);
        }
        None if error.is(ErrorKind::Unsupported) && matches!(kind, Name::Slot(_)) => {
            let (severity, problem) = (Severity::Warning, Problem::Unreadable);
            findings.add(severity, problem, name, "a key slot", error.to_string());
        }
        None => {
            findings.unreadable(name, "a whole object of this repository and name", error)?;
        }
    }
    Ok(())
}

/// As [`true_name`], of a key slot.
fn true_name_of_slot(repository: &Repository, name: &str, listed: &[Listed]) -> Option<String> {
    let text = repository.backend.get(name, limits::PLAIN_JSON_BYTES).ok()?;
    let slot: Slot = serde_json::from_slice(&text).ok()?;
    let belongs = |other: &&Listed| match Name::of(&other.name) {
        Name::Slot(id) => slot.verify(&repository.keys, id).is_ok(),
        _ => false,
    };
    listed.iter().find(belongs).map(|other| other.name.clone()).filter(|other| other != name)
}

/// The name under which an object was written, if it is one of those that are there.
pub(super) fn true_name(
    repository: &Repository,
    name: &str,
    object_type: ObjectType,
    listed: &[Listed],
) -> Option<String> {
    let object = repository.backend.get(name, limits::JSON_BYTES).ok()?;
    let footer: &[u8; FOOTER_BYTES] = object.last_chunk()?;
    let directory = name.split('/').next()?;
    let candidates = listed.iter().filter(|l| l.name.split('/').next() == Some(directory));
    for candidate in candidates {
        let opener = Opener::new(&repository.place(object_type, &candidate.name), &object).ok()?;
        if opener.footer(object.len() as u64, footer).is_some() {
            return (candidate.name != name).then(|| candidate.name.clone());
        }
    }
    None
}
