//! Snapshots that leave as one file and come back, into the same repository and into another.

mod equal;
mod oddities;

use std::io::Write as _;

use tintype_engine::cancel::Cancel;
use tintype_engine::crypto::age_file::SealFor;
use tintype_engine::crypto::slot::{Passphrase, Secret};
use tintype_engine::format::records::Change;
use tintype_engine::repo::Repository;
use tintype_engine::repo::snapshots::Snapshot;
use tintype_model::entry::{Kind, Node, Problem, ProblemKind, Xattr};
use tintype_model::{ErrorKind, Result};
use tintype_runner::bundle::{
    self, Bundle, ExportOptions, Exported, Format, Found, ImportOptions, Imported,
};
use tintype_runner::progress::Progress;
use tintype_runner::restore::Request;
use tintype_runner::snapshot::Input;

use crate::support::{Lab, noise, tree_path};
use equal::assert_same;

/// What is asked of an export, most of the time.
#[derive(Clone, Copy)]
struct Ask<'a> {
    path: &'a [u8],
    format: Format,
    seal: Option<&'a SealFor>,
}

const PLAIN: Ask<'static> = Ask { path: b"", format: Format::Zip, seal: None };
const TAR: Ask<'static> = Ask { format: Format::Tar, ..PLAIN };

fn try_export(
    repository: &Repository,
    snapshot: &Snapshot,
    ask: Ask<'_>,
) -> Result<(Vec<u8>, Exported)> {
    let reader = repository.reader()?;
    let scratch = std::env::temp_dir();
    let cancel = Cancel::default();
    let Ask { path, format, seal } = ask;
    let options =
        ExportOptions { path, format, seal, workers: 2, scratch: &scratch, cancel: &cancel };
    let mut out = Vec::new();
    let done = bundle::export(&reader, snapshot, &options, &mut out, &Progress::default())?;
    assert_eq!(done.written_bytes, out.len() as u64);
    Ok((out, done))
}

fn export(repository: &Repository, snapshot: &Snapshot, ask: Ask<'_>) -> Vec<u8> {
    try_export(repository, snapshot, ask).unwrap().0
}

fn found(bytes: &[u8]) -> Found {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    bundle::open(bundle::in_file(file).unwrap()).unwrap()
}

fn take(repository: &Repository, bundle: Bundle) -> Result<Imported> {
    let options =
        ImportOptions { workers: 2, cancel: Cancel::default(), most_bytes: None, manager: None };
    bundle::import(repository, bundle, &options, &Progress::default())
}

fn import(repository: &Repository, bytes: &[u8]) -> Imported {
    match found(bytes) {
        Found::Plain(bundle) => take(repository, *bundle).unwrap(),
        Found::Sealed(_) => panic!("it is sealed"),
    }
}

fn snapshot(repository: &Repository, imported: &Imported) -> Snapshot {
    let all = repository.snapshots().unwrap().snapshots;
    all.into_iter().find(|snapshot| snapshot.id == imported.id).unwrap()
}

/// Everything that files can be.
#[test]
fn nothing_is_lost_on_the_way_through_a_zip_or_a_tar() {
    let lab = Lab::new();
    oddities::make(&lab.source());
    lab.take();
    let original = lab.latest().unwrap();
    for ask in [PLAIN, TAR] {
        let other = Lab::new();
        let bytes = export(&lab.repository, &original, ask);
        let imported = import(&other.repository, &bytes);
        assert_same(
            &lab.repository,
            &original,
            &other.repository,
            &snapshot(&other.repository, &imported),
        );
        let manifest = &imported.manifest;
        let before = &original.manifest;
        assert_eq!(
            (&manifest.time, &manifest.host, &manifest.roots, &manifest.scope, manifest.complete),
            (&before.time, &before.host, &before.roots, &before.scope, before.complete)
        );
        // What it is made of has no name of its own: the second import finds all of it there.
        let again = import(&other.repository, &bytes);
        assert_eq!(again.manifest.root, manifest.root);
        assert_ne!(again.id, imported.id);
        let request = Request { path: tree_path(&lab.source()), ..other.request("out") };
        other.apply(&other.plan(&request));
        let options = tintype_source::files::compare::CompareOptions {
            ignore_top: true,
            ..Default::default()
        };
        let compared =
            tintype_source::files::compare::compare(&lab.source(), &other.path("out"), &options);
        let differences = compared.unwrap().differences;
        assert!(differences.is_empty(), "{differences:#?}");
    }
}

#[test]
fn an_import_into_the_same_repository_is_the_same_tree() {
    let lab = Lab::new();
    oddities::make(&lab.source());
    lab.take();
    let original = lab.latest().unwrap();
    for ask in [PLAIN, TAR] {
        let imported = import(&lab.repository, &export(&lab.repository, &original, ask));
        let reader = lab.repository.reader().unwrap();
        let (old, new) = (
            tintype_engine::tree::Root::of(&original.manifest),
            tintype_engine::tree::Root::of(&imported.manifest),
        );
        let mut differences = Vec::new();
        tintype_engine::tree::diff::diff(
            &reader,
            old,
            new,
            tintype_engine::tree::span::Span::Within(b""),
            &mut |difference| {
                differences.push(format!("{difference:?}"));
                Ok(())
            },
        )
        .unwrap();
        assert!(differences.is_empty(), "{differences:#?}");
    }
}

#[test]
fn the_same_snapshot_gives_the_same_bytes() {
    let lab = Lab::new();
    oddities::make(&lab.source());
    lab.take();
    let original = lab.latest().unwrap();
    for ask in [PLAIN, TAR] {
        let (a, b) =
            (export(&lab.repository, &original, ask), export(&lab.repository, &original, ask));
        assert!(a == b);
    }
}

#[test]
fn a_sealed_bundle_opens_with_its_passphrase_alone() {
    let lab = Lab::new();
    lab.write("secret", b"the plain text of a secret");
    lab.take();
    let original = lab.latest().unwrap();
    let passphrase = |text: &str| Passphrase::new(text.into()).unwrap();
    let seal = SealFor::Passphrase(passphrase("horse battery"));
    for ask in [PLAIN, TAR] {
        let bytes = export(&lab.repository, &original, Ask { seal: Some(&seal), ..ask });
        assert!(!bytes.windows(14).any(|w| w == b"the plain text"));
        let open = |bytes: &[u8], text: &str| match found(bytes) {
            Found::Sealed(sealed) => {
                assert!(sealed.wants_passphrase());
                sealed.unlock(&Secret::Passphrase(passphrase(text)))
            }
            Found::Plain(_) => panic!("it is not sealed"),
        };
        let other = Lab::new();
        let imported = take(&other.repository, open(&bytes, "horse battery").unwrap()).unwrap();
        assert_same(
            &lab.repository,
            &original,
            &other.repository,
            &snapshot(&other.repository, &imported),
        );
        let wrong = open(&bytes, "something else").err().unwrap();
        assert!(wrong.is(ErrorKind::WrongKey), "{wrong}");
        if ask.format == Format::Tar {
            // Cut: the end is authenticated before anything is believed.
            assert!(open(&bytes[..bytes.len() - 20], "horse battery").is_err());
        }
    }
}

#[test]
fn tags_note_expiry_and_holds_go_with_it_and_a_lock_does_not() {
    let lab = Lab::new();
    lab.write("file", b"x");
    let taken = lab.take();
    let (id, manifest) = (taken.outcome.id, &taken.outcome.manifest);
    let until: jiff::Timestamp = "2999-01-01T00:00:00Z".parse().unwrap();
    for change in [
        Change::Tag { add: vec!["kept".into()], remove: Vec::new() },
        Change::Note("said later".into()),
        Change::Expiry(Some(until)),
        Change::Hold("legal".into()),
        Change::Lock(until),
    ] {
        lab.repository.annotate(id, manifest, "test", change).unwrap();
    }
    let original = lab.latest().unwrap();
    let other = Lab::new();
    let imported = import(&other.repository, &export(&lab.repository, &original, PLAIN));
    assert_eq!(imported.lock_left, Some(until));
    let standing = snapshot(&other.repository, &imported).standing;
    let before = &original.standing;
    assert_eq!(
        (&standing.tags, &standing.note, standing.expiry, &standing.holds),
        (&before.tags, &before.note, before.expiry, &before.holds)
    );
    assert_eq!(standing.locked_until, None);
    // By that a copy would leave out the original.
    assert!(imported.manifest.origin.is_none());
    assert_eq!(imported.manifest.options["bundle"]["snapshot"], id.to_string());
}

#[test]
fn a_path_comes_with_the_directories_above_it() {
    let lab = Lab::new();
    lab.write("keep/a", b"a");
    lab.write("keep/deep/b", &noise(1, 600_000));
    lab.write("leave", b"not this");
    lab.take();
    let original = lab.latest().unwrap();
    let path = tree_path(&lab.source().join("keep"));
    for ask in [PLAIN, TAR] {
        let other = Lab::new();
        let bytes = export(&lab.repository, &original, Ask { path: &path, ..ask });
        assert!(!bytes.windows(8).any(|w| w == b"not this"));
        let imported = import(&other.repository, &bytes);
        let paths = equal::paths(&other.repository, &snapshot(&other.repository, &imported));
        let above = path.iter().filter(|byte| **byte == b'/').count();
        assert_eq!(paths.len(), above + 4, "{paths:?}");
        assert_eq!(imported.manifest.root_paths(), std::slice::from_ref(&path));
        assert_eq!(imported.manifest.paths, [lab.source().join("keep").display().to_string()]);
        assert!(imported.manifest.complete);
    }
    let missing = Ask { path: b"files/not/there", ..PLAIN };
    let error = try_export(&lab.repository, &original, missing).unwrap_err();
    assert!(error.is(ErrorKind::NotFound), "{error}");
}

#[test]
fn damage_ends_an_export_with_the_path() {
    use tintype_engine::backend::Backend as _;
    let lab = Lab::new();
    lab.write("file", &noise(3, 900_000));
    lab.take();
    let original = lab.latest().unwrap();
    let packs = tintype_engine::backend::list_all(&lab.backend, "data/").unwrap();
    for pack in packs {
        let mut bytes = lab.backend.get(&pack.name, 1 << 30).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        lab.backend.delete(&pack.name).unwrap();
        lab.backend.put(&pack.name, &bytes).unwrap();
    }
    for ask in [PLAIN, TAR] {
        let error = try_export(&lab.repository, &original, ask).unwrap_err();
        assert!(error.is(ErrorKind::Corrupt) && error.to_string().contains("/file"), "{error}");
    }
}

#[test]
fn what_was_canceled_leaves_no_snapshot() {
    let lab = Lab::new();
    lab.write("file", &noise(3, 900_000));
    lab.take();
    let bytes = export(&lab.repository, &lab.latest().unwrap(), PLAIN);
    let other = Lab::new();
    let Found::Plain(bundle) = found(&bytes) else { panic!("it is not sealed") };
    let cancel = Cancel::default();
    cancel.cancel();
    let options = ImportOptions { workers: 1, cancel, most_bytes: None, manager: None };
    let error =
        bundle::import(&other.repository, *bundle, &options, &Progress::default()).unwrap_err();
    assert!(error.is(ErrorKind::Canceled), "{error}");
    assert!(other.latest().is_none());
}

/// Through a zip and a tar into a repository of its own.
fn there_and_back(lab: &Lab) -> Vec<Vec<u8>> {
    let original = lab.latest().unwrap();
    let through = [PLAIN, TAR].map(|ask| {
        let bytes = export(&lab.repository, &original, ask);
        let other = Lab::new();
        let imported = import(&other.repository, &bytes);
        let copy = snapshot(&other.repository, &imported);
        assert_same(&lab.repository, &original, &other.repository, &copy);
        assert_eq!(imported.manifest.complete, original.manifest.complete);
        bytes
    });
    through.to_vec()
}

#[test]
fn an_image_keeps_its_cells_and_its_holes() {
    let lab = Lab::new();
    let path = lab.path("disk.img");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(40 << 20).unwrap();
    let write = |bytes: &[u8], offset: u64| {
        std::os::unix::fs::FileExt::write_all_at(&file, bytes, offset).unwrap();
    };
    write(&noise(1, 3_000_000), 5 << 20);
    write(&noise(2, 100), (39 << 20) + 5000);
    lab.take_with(Input::Images(vec![path])).unwrap();
    let bundles = there_and_back(&lab);
    assert!(bundles.iter().all(|bytes| bytes.len() < 6 << 20), "holes take next to no room");
}

#[test]
fn what_was_not_read_to_its_end_is_not_at_its_place() {
    let lab = Lab::new();
    let mut node = Node { mode: 0o600, ..Node::new(Kind::Stream) };
    let message = "input/output error".to_owned();
    node.extras_mut().problem = Some(Problem { kind: ProblemKind::Unreadable, message });
    // So long that it is a frame of its own.
    node.extras_mut().xattrs = vec![Xattr { name: b"user.long".to_vec(), value: noise(4, 60_000) }];
    let read: Box<dyn std::io::Read + Send> = Box::new(std::io::Cursor::new(noise(1, 700_000)));
    let end = Box::new(|| Ok(()));
    lab.take_with(Input::Stream { path: b"files/half".to_vec(), node, read, end }).unwrap();
    assert!(!lab.latest().unwrap().manifest.complete);
    for bytes in there_and_back(&lab) {
        let holds = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
        assert!(holds(b"tintype-incomplete/files/half"));
    }
}

#[test]
fn a_tree_of_many_pages_comes_back() {
    let lab = Lab::new();
    for number in 0..4000 {
        lab.write(&format!("{}/{number}", number % 40), format!("{number}").as_bytes());
    }
    lab.take();
    there_and_back(&lab);
}
