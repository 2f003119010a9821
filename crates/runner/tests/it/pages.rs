//! Pages of the tree that cannot be read, or only now and then.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use tintype_engine::backend::count::Op;
use tintype_engine::backend::faults::Effect;
use tintype_engine::backend::{Backend as _, list_all};
use tintype_engine::cancel::Cancel;
use tintype_model::ErrorKind;
use tintype_runner::restore::{Destination, Overwrite, Plan, Request};
use tintype_runner::snapshot::{Input, Labels, SnapshotOptions};
use tintype_source::files::WalkOptions;

use crate::support::{Lab, noise, patterns, tree_path};

const FILES: u64 = 9000;

/// Long enough that files are written before the end of the tree is reached.
fn name(number: u64) -> String {
    format!("dir/sub/{}{number:05}", "long".repeat(55))
}

/// A tree of several pages.
fn lab() -> Lab {
    let lab = Lab::new();
    for number in 0..FILES {
        lab.write(&name(number), number.to_string().as_bytes());
    }
    lab
}

/// A place in a pack of pages, whole and damaged.
struct Flip {
    pack: String,
    whole: Vec<u8>,
    damaged: Vec<u8>,
}

impl Flip {
    /// One bit that makes the plan what is wanted. The pack stays whole.
    fn find(lab: &Lab, request: &Request, wanted: impl Fn(&Plan) -> bool) -> Self {
        let pack = list_all(&lab.backend, "meta/").unwrap().remove(0).name;
        let whole = lab.backend.get(&pack, u64::MAX).unwrap();
        for at in (40..whole.len()).step_by(whole.len() / 64) {
            let mut damaged = whole.clone();
            damaged[at] ^= 4;
            let flip = Self { pack: pack.clone(), whole: whole.clone(), damaged };
            flip.damage(lab);
            let plan = lab.plan(request);
            flip.heal(lab);
            if plan.damaged == 1 && wanted(&plan) {
                return flip;
            }
        }
        panic!("no page can be damaged so");
    }

    fn damage(&self, lab: &Lab) {
        lab.backend.overwrite(&self.pack, self.damaged.clone());
    }

    fn heal(&self, lab: &Lab) {
        lab.backend.overwrite(&self.pack, self.whole.clone());
    }
}

/// The damaged page begins with a file, so others come before it.
fn later_page(plan: &Plan) -> bool {
    plan.refused.iter().any(|(path, _)| path.windows(9).any(|part| part == b"/dir/sub/"))
}

/// An action belongs to its entry: a page that is unreadable in one of two readings must not let
/// those that follow fall on other entries.
#[test]
fn a_page_that_is_unreadable_once_moves_no_action_to_another_file() {
    let lab = lab();
    lab.take();
    lab.restore("out");
    let is_newer = |number: u64| noise(number, 1)[0] < 64;
    for number in 0..FILES {
        let path = lab.path("out").join(name(number));
        fs::write(&path, b"mine").unwrap();
        let seconds = if is_newer(number) { 4_000_000_000 } else { 1_000_000_000 };
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }
    let older = Request { overwrite: Overwrite::Older, ..lab.request("out") };
    let flip = Flip::find(&lab, &older, later_page);
    let assert_kept = |plan: &Plan| {
        let error = lab.try_apply(plan, Cancel::default()).unwrap_err();
        assert!(error.is(ErrorKind::Corrupt), "{error}");
        assert!(error.message().contains("run it again"), "{error}");
        for number in (0..FILES).filter(|number| is_newer(*number)) {
            let live = fs::read(lab.path("out").join(name(number))).unwrap();
            assert_eq!(live, b"mine", "{}", name(number));
        }
    };
    flip.damage(&lab);
    let without = lab.plan(&older);
    flip.heal(&lab);
    assert_kept(&without);
    let with = lab.plan(&older);
    flip.damage(&lab);
    assert_kept(&with);
}

/// A page belongs to the root that it was read for.
#[test]
fn a_page_that_two_roots_share_moves_no_action_from_one_to_the_other() {
    let lab = Lab::new();
    let roots = ["a", "b"].map(|root| lab.source().join(root));
    let labels =
        Labels { roots: roots.iter().map(|r| tree_path(r)).collect(), ..Labels::default() };
    let options = SnapshotOptions {
        labels,
        parent: None,
        workers: 2,
        most_workers: 2,
        cancel: Cancel::default(),
        read_all: false,
    };
    let link = |to: &str| {
        for root in &roots {
            fs::create_dir_all(root).unwrap();
            let _ = fs::remove_file(root.join("link"));
            symlink(to, root.join("link")).unwrap();
        }
    };
    link("captured");
    let walk = Box::new(WalkOptions::default());
    lab.take_as(Input::Files { roots: roots.to_vec(), options: walk }, &options).unwrap();
    link("mine");
    let of_a = format!("{}/*", roots[0].display());
    let always = Request {
        path: Vec::new(),
        destination: Destination::InPlace,
        overwrite: Overwrite::Always,
        exclude: patterns(&[&of_a]),
        ..lab.request("")
    };
    // After the head of the pack: the page, for the first root.
    lab.faults.on(Op::Read, 2, "meta/", Effect::FlipBit(77));
    let plan = lab.plan(&always);
    lab.faults.heal();
    assert_eq!((plan.damaged, plan.counts.merge, plan.counts.replace), (1, 1, 1), "only of b");
    let error = lab.try_apply(&plan, Cancel::default()).unwrap_err();
    assert!(error.message().contains("run it again"), "{error}");
    let live = fs::read_link(roots[0].join("link")).unwrap();
    assert_eq!(live.as_os_str(), "mine", "it is excluded");
}

/// What lies below a directory whose own entry is lost may be whole.
#[test]
fn a_lost_directory_does_not_cost_what_lies_below_it() {
    let lab = lab();
    lab.take();
    let request = lab.request("out");
    let flip = Flip::find(&lab, &request, |plan| {
        plan.refused.iter().any(|(path, _)| path == b"files") && plan.counts.create > FILES / 2
    });
    flip.damage(&lab);
    let plan = lab.plan(&request);
    let report = lab.apply(&plan);
    assert_eq!(report.failed.first(), None);
    let restored = fs::read_dir(lab.path("out/dir/sub")).unwrap().count() as u64;
    assert_eq!(restored, plan.counts.create);
    let last = fs::read(lab.path("out").join(name(FILES - 1))).unwrap();
    assert_eq!(last, (FILES - 1).to_string().as_bytes());
    for made in ["dir", "dir/sub"] {
        assert!(report.imperfect.iter().any(|(path, _)| path == made.as_bytes()), "{made}");
        let mode = fs::metadata(lab.path("out").join(made)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700, "{made}");
    }
}

/// The next restore finds a directory that only leads somewhere, and leaves it as it is.
#[test]
fn an_interrupted_restore_leaves_ways_as_they_were_captured() {
    let lab = lab();
    fs::set_permissions(lab.source().join("dir"), PermissionsExt::from_mode(0o751)).unwrap();
    lab.take();
    let include = Some(patterns(&[&name(0)]));
    let request = Request { include, ..lab.request("out") };
    let flip = Flip::find(&lab, &lab.request("out"), later_page);
    let plan = lab.plan(&request);
    flip.damage(&lab);
    lab.try_apply(&plan, Cancel::default()).unwrap_err();
    let mode = fs::metadata(lab.path("out/dir")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o751);
}
