//! Hostile bundles: everything is right but the one thing that is tried.

use std::sync::{Arc, LazyLock, Mutex};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tintype_engine::backend::MemoryBackend;
use tintype_engine::cancel::Cancel;
use tintype_engine::crypto::slot::{RecoveryKey, Secret};
use tintype_engine::env::Env;
use tintype_engine::format::records::Manifest;
use tintype_engine::id::{ContentId, RandomId};
use tintype_engine::repo::open::OpenOptions;
use tintype_engine::repo::{Identity, Repository};
use tintype_model::{Error, ErrorKind, Result};

use super::archive::Archive as _;
use super::end::{Counts, End};
use super::header::Header;
use super::read_at::{ReadAt, Window};
use super::spool::Spool;
use super::zip::layout::{self, Meta};
use super::zip::write::ZipWriter;
use super::{
    END, ENTRIES, ExportOptions, Format, Found, HEADER, ImportOptions, Imported, export, import,
    open,
};
use crate::progress::Progress;

impl ReadAt for Vec<u8> {
    fn size_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> std::io::Result<usize> {
        let rest = self.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(out.len());
        out[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

fn repository() -> Repository {
    let env = Env::system();
    let secret = Secret::Recovery(RecoveryKey::generate(&env));
    let options = OpenOptions { cache_root: None, identity: Identity::anonymous(), env };
    let backend = Arc::new(MemoryBackend::new());
    Repository::init(backend, &[(&secret, "test")], false, options).unwrap().0
}

fn taken(repository: &Repository, bytes: Vec<u8>) -> Result<Imported> {
    let Found::Plain(bundle) = open(Arc::new(bytes))? else {
        return Err(Error::invalid("sealed"));
    };
    let options =
        ImportOptions { workers: 1, cancel: Cancel::default(), most_bytes: None, manager: None };
    import(repository, *bundle, &options, &Progress::default())
}

/// A member: its name in the directory, and its content.
type Forged<'f> = (&'f str, &'f [u8]);

/// Lines and what their members are.
#[derive(Clone)]
struct Forgery {
    lines: Vec<String>,
    members: Vec<(String, Vec<u8>)>,
}

fn directory(path: &str) -> String {
    format!(
        "{{\"entry\":{{\"path\":\"{path}\",\"kind\":\"directory\",\"mode\":493,\"links\":1}}}}\n"
    )
}

fn file(path: &str, size: usize) -> String {
    format!(
        "{{\"entry\":{{\"path\":\"{path}\",\"kind\":\"file\",\"mode\":420,\"links\":1,\"size\":{size},\
         \"content\":\"parcel\"}}}}\n"
    )
}

/// `files`, `files/a` with "hello", `files/b` with 300,000 bytes.
fn good() -> Forgery {
    let large = vec![7; 300_000];
    Forgery {
        lines: vec![
            directory("files"),
            file("files/a", 5),
            file("files/b", large.len()).replace("parcel", "chunks"),
        ],
        members: vec![
            ("files/".into(), Vec::new()),
            ("files/a".into(), b"hello".to_vec()),
            ("files/b".into(), large),
        ],
    }
}

fn header(counts: Counts) -> Vec<u8> {
    let manifest = Manifest {
        scope: "partial".into(),
        time: "2026-01-02T03:04:05Z".parse().unwrap(),
        host: "host".into(),
        user: String::new(),
        program: "test".into(),
        paths: vec!["/".into()],
        roots: Vec::new(),
        tags: Vec::new(),
        note: String::new(),
        parent: None,
        expiry: None,
        root: ContentId([0; 32]),
        level: 0,
        entries: counts.entries,
        bytes: counts.bytes,
        problems: counts.problems,
        complete: true,
        options: serde_json::Value::Null,
        stats: serde_json::Value::Null,
        origin: None,
    };
    let (id, standing) =
        (RandomId([1; 16]), tintype_engine::repo::annotate::Standing::of(&manifest));
    Header::new("test", id, id, b"", manifest, &standing).to_json().unwrap()
}

/// Everything that is counted and hashed is right.
fn forge(forgery: &Forgery) -> Vec<u8> {
    let content: Vec<&[u8]> = forgery
        .members
        .iter()
        .filter(|(name, _)| !name.ends_with('/') && !name.contains("link"))
        .map(|(_, bytes)| &bytes[..])
        .collect();
    let counts = Counts {
        entries: forgery.lines.iter().filter(|line| line.starts_with("{\"entry")).count() as u64,
        bytes: content.iter().map(|bytes| bytes.len() as u64).sum(),
        problems: 0,
    };
    let lines = forgery.lines.concat();
    let header = header(counts);
    let hash = *blake3::hash(&content.concat()).as_bytes();
    let end = End::new(
        counts,
        forgery.members.len() as u64,
        &header,
        *blake3::hash(lines.as_bytes()).as_bytes(),
        hash,
    );
    let own: Vec<Forged<'_>> = vec![(HEADER, &header), (ENTRIES, lines.as_bytes())];
    let members = forgery.members.iter().map(|(name, bytes)| (&name[..], &bytes[..]));
    let end = end.to_json().unwrap();
    zip(own.into_iter().chain(members).chain([(END, &end[..])]))
}

fn zip<'f>(members: impl IntoIterator<Item = Forged<'f>>) -> Vec<u8> {
    let env = Env::system();
    let scratch = std::env::temp_dir();
    let mut out = Vec::new();
    {
        let mut sink: &mut (dyn std::io::Write + Send) = &mut out;
        let mut writer = ZipWriter::new(&mut sink, Spool::new(&scratch, &env));
        for (name, bytes) in members {
            if bytes.len() < 256 << 10 {
                writer.own(name, bytes).unwrap();
                continue;
            }
            writer.begin_streamed(Meta::own(name), layout::DEFLATED, false).unwrap();
            writer.piece(bytes, None).unwrap();
            writer.end().unwrap();
        }
        writer.finish().unwrap();
    }
    out
}

/// Refused, with the name of the member, and nothing to be seen of it.
#[track_caller]
fn refused(bytes: Vec<u8>, names: &str) -> String {
    let repository = repository();
    let error = taken(&repository, bytes).expect_err("it must be refused");
    let message = error.to_string();
    assert!(message.contains(names), "{message}");
    let told = [ErrorKind::Corrupt, ErrorKind::Unsupported, ErrorKind::Invalid];
    assert!(told.contains(&error.kind()), "{:?}: {message}", error.kind());
    assert!(repository.snapshots().unwrap().snapshots.is_empty());
    message
}

#[test]
fn what_is_right_is_taken() {
    let repository = repository();
    let imported = taken(&repository, forge(&good())).unwrap();
    assert_eq!((imported.manifest.entries, imported.manifest.bytes), (3, 300_005));
    assert_eq!(imported.manifest.host, "host");
    assert!(imported.manifest.complete && imported.manifest.origin.is_none());
    assert_eq!(imported.manifest.options["bundle"]["snapshot"], RandomId([1; 16]).to_string());
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in ["/etc/passwd", "../../etc/passwd", "files/../../x", "files//x", "files/./x", ""] {
        let mut forgery = good();
        forgery.lines[1] = file(name, 5);
        forgery.members[1].0 = name.into();
        refused(forge(&forgery), name);
        // Only the member: the line is harmless.
        let mut forgery = good();
        forgery.members[1].0 = name.into();
        refused(forge(&forgery), "files/a");
    }
}

#[test]
fn a_member_below_a_symlink_or_a_file_is_refused() {
    let link = "{\"entry\":{\"path\":\"files/link\",\"kind\":\"symlink\",\"mode\":511,\"links\":1,\
                \"target\":\"/etc\"}}\n";
    let mut forgery = good();
    forgery.lines.push(link.into());
    forgery.members.push(("files/link".into(), b"/etc".to_vec()));
    assert!(taken(&repository(), forge(&forgery)).is_ok());
    forgery.lines.push(file("files/link/passwd", 4));
    forgery.members.push(("files/link/passwd".into(), b"root".to_vec()));
    refused(forge(&forgery), "/files/link/passwd");
    let mut forgery = good();
    forgery.lines.insert(2, file("files/a/x", 1));
    forgery.members.insert(2, ("files/a/x".into(), b"x".to_vec()));
    refused(forge(&forgery), "/files/a/x");
    // The symlink leads elsewhere than its line says.
    let mut forgery = good();
    forgery.lines.push(link.into());
    forgery.members.push(("files/link".into(), b"/usr".to_vec()));
    refused(forge(&forgery), "files/link");
}

#[test]
fn duplicates_and_what_is_missing_or_too_much_are_refused() {
    let mut twice = good();
    twice.members.insert(1, twice.members[1].clone());
    refused(forge(&twice), "files/a");
    let mut lines = good();
    lines.lines.insert(1, lines.lines[1].clone());
    lines.members.insert(1, lines.members[1].clone());
    refused(forge(&lines), "files/a");
    let mut more = good();
    more.members.push(("files/c".into(), b"more".to_vec()));
    refused(forge(&more), "files/c");
    let mut fewer = good();
    fewer.members.remove(1);
    refused(forge(&fewer), "files/b");
    let mut swapped = good();
    swapped.members.swap(1, 2);
    refused(forge(&swapped), "files/b");
}

#[test]
fn lying_sizes_and_lines_that_contradict_members_are_refused() {
    for (size, form) in [(4, "parcel"), (6, "parcel"), (4, "chunks"), (1 << 40, "chunks"), (0, "")]
    {
        let mut forgery = good();
        forgery.lines[1] = file("files/a", size).replace("parcel", form);
        if form.is_empty() {
            forgery.lines[1] = file("files/a", 0).replace(",\"size\":0,\"content\":\"parcel\"", "");
        }
        refused(forge(&forgery), "files/a");
    }
    let mut holes = good();
    holes.lines.push("{\"holes\":[[0,4096]]}\n".into());
    refused(forge(&holes), "files/b");
    holes.members[2].1[..4096].fill(0);
    // The hash of the content leaves holes out, and this one does not.
    refused(forge(&holes), END);
    let mut outside = good();
    outside.lines.push("{\"holes\":[[299999,2]]}\n".into());
    refused(forge(&outside), "files/b");
}

#[test]
fn hashes_and_counts_at_the_end_are_compared() {
    let end = |text: &str| {
        let forgery = good();
        let lines = forgery.lines.concat();
        let header = header(Counts { entries: 3, bytes: 300_005, problems: 0 });
        let own: Vec<Forged<'_>> = vec![(HEADER, &header), (ENTRIES, lines.as_bytes())];
        let members = forgery.members.iter().map(|(name, bytes)| (&name[..], &bytes[..]));
        zip(own.into_iter().chain(members).chain([(END, text.as_bytes())]))
    };
    for text in ["", "{}", "[]", "{\"counts\":{\"entries\":3,\"bytes\":300005,\"problems\":0}}"] {
        refused(end(text), END);
    }
}

#[test]
fn every_cut_is_seen() {
    let bytes = forge(&good());
    for length in (0..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
        refused(bytes[..length].to_vec(), "");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    refused(longer, "");
    refused([b"MZ".to_vec(), bytes].concat(), "");
}

/// One member, and a million records of the directory that name it.
#[test]
fn an_overlap_bomb_is_refused_at_its_second_record() {
    let bytes = forge(&good());
    let directory = layout::read_end(&mut window(&bytes)).unwrap();
    let mut records = window(&bytes);
    records.go_to(directory.offset);
    let mut ends = vec![directory.offset];
    while records.at() < directory.offset + directory.size {
        layout::read_central(&mut records).unwrap();
        ends.push(records.at());
    }
    let record = |n: usize| &bytes[ends[n] as usize..ends[n + 1] as usize];
    // Header, entries, `files/`, and `files/a` again and again.
    let mut bomb = bytes[..ends[3] as usize].to_vec();
    let count = 1_000_000;
    (0..count).for_each(|_| bomb.extend_from_slice(record(3)));
    let size = bomb.len() as u64 - directory.offset;
    bomb.extend_from_slice(&layout::end(3 + count, size, directory.offset));
    let message = refused(bomb, "files/a");
    assert!(message.contains("overlap"), "{message}");
}

fn window(bytes: &[u8]) -> Window {
    Window::new(Arc::new(bytes.to_vec()), 0, 4096)
}

#[test]
fn members_that_overlap_are_refused() {
    let bytes = forge(&good());
    // The record of files/b, whose offset is made that of files/a.
    let find = |needle: &[u8], from: usize| {
        from + bytes[from..].windows(needle.len()).position(|w| w == needle).unwrap()
    };
    let directory = find(b"PK\x01\x02", 0);
    let at = |name: &str| find(name.as_bytes(), directory) - 46;
    let (a, b) = (at("files/a"), at("files/b"));
    let mut changed = bytes.clone();
    changed.copy_within(a + 42..a + 46, b + 42);
    let message = refused(changed, "files/b");
    assert!(message.contains("overlap"), "{message}");
}

#[test]
fn what_is_announced_bounds_what_is_taken() {
    let repository = repository();
    let Found::Plain(bundle) = open(Arc::new(forge(&good()))).unwrap() else { panic!("sealed") };
    let options = ImportOptions {
        workers: 1,
        cancel: Cancel::default(),
        most_bytes: Some(300_004),
        manager: None,
    };
    let error = import(&repository, *bundle, &options, &Progress::default()).unwrap_err();
    assert!(error.to_string().contains("--max-size"), "{error}");
}

#[test]
fn what_tintype_did_not_make_is_refused_with_the_cure() {
    for bytes in [zip([("x", &b"y"[..])]), b"hello".to_vec(), Vec::new(), vec![0; 2048]] {
        let message = refused(bytes, "");
        assert!(message.contains("repo snapshot"), "{message}");
    }
}

fn whole() -> (Repository, Imported) {
    let repository = repository();
    let whole = taken(&repository, forge(&good())).unwrap();
    (repository, whole)
}

/// Ids are keyed, so what is compared is taken into one repository. A new one now and then: each
/// import leaves something that the next ones look at.
fn recent() -> Arc<(Repository, Imported)> {
    type Whole = Arc<(Repository, Imported)>;
    static RECENT: Mutex<(u32, Option<Whole>)> = Mutex::new((0, None));
    let mut recent = RECENT.lock().unwrap();
    recent.0 += 1;
    if recent.0 % 100 == 1 {
        recent.1 = None;
    }
    recent.1.get_or_insert_with(|| Arc::new(whole())).clone()
}

/// The same snapshot as a tar.
static TAR: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (repository, whole) = whole();
    let all = repository.snapshots().unwrap().snapshots;
    let snapshot = all.into_iter().find(|snapshot| snapshot.id == whole.id).unwrap();
    let (scratch, cancel) = (std::env::temp_dir(), Cancel::default());
    let options = ExportOptions {
        path: b"",
        format: Format::Tar,
        seal: None,
        workers: 1,
        scratch: &scratch,
        cancel: &cancel,
    };
    let mut out = Vec::new();
    let reader = repository.reader().unwrap();
    export(&reader, &snapshot, &options, &mut out, &Progress::default()).unwrap();
    out
});

/// More take too long: each writes and reads a repository.
const MOST_CASES: u32 = 3000;

/// Whatever is changed: it is refused, or nothing that counts was changed.
#[test]
fn changed_bundles_are_refused_or_are_the_same() {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    // The macro would take the variable's number whatever the configuration says.
    let cases = MOST_CASES.min(asked.unwrap_or(150));
    let mut runner = TestRunner::new(ProptestConfig {
        source_file: Some(file!()),
        ..ProptestConfig::with_cases(cases)
    });
    let change = (any::<prop::sample::Index>(), any::<u8>());
    let cut = prop::option::of(any::<prop::sample::Index>());
    let all = (prop::collection::vec(change, 1..4), cut, any::<bool>());
    let tried = runner.run(&all, |(changes, cut, is_tar)| {
        let (repository, whole) = &*recent();
        let mut changed = if is_tar { TAR.clone() } else { forge(&good()) };
        for (at, value) in changes {
            let at = at.index(changed.len());
            changed[at] = value;
        }
        if let Some(cut) = cut {
            let length = cut.index(changed.len());
            changed.truncate(length);
        }
        if let Ok(imported) = taken(repository, changed) {
            prop_assert_eq!(imported.manifest.root, whole.manifest.root);
            prop_assert_eq!(&imported.manifest.host, &whole.manifest.host);
        }
        Ok(())
    });
    tried.unwrap();
}
