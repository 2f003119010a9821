use std::path::PathBuf;
use std::sync::Arc;
use tintype_engine::{
    backend::*,
    crypto::slot::{Passphrase, Secret},
    env::Env,
    repo::{Identity, Repository, open::OpenOptions},
};
use tintype_runner::{progress::Progress, restore::*, snapshot::*};
use tintype_source::files::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let env = Env::system();
    let dir = PathBuf::from(&a[2]);
    let opts = || OpenOptions {
        cache_root: Some(PathBuf::from("/dev/shm/ttcache")),
        identity: Identity::anonymous(),
        env: Env::system(),
    };
    let secret = Secret::Passphrase(Passphrase::new("x".into()).unwrap());
    let t = std::time::Instant::now();
    let p = Progress::default();
    if a[1] == "init" {
        let b = LocalBackend::create(&dir).unwrap();
        Repository::init(Arc::new(b), &secret, "", false, opts()).unwrap();
        return;
    }
    let b: SharedBackend = Arc::new(LocalBackend::open(&dir).unwrap());
    let r = Repository::open(b, &secret, opts()).unwrap();
    eprintln!("open {:?}", t.elapsed());
    let list = r.snapshots().unwrap();
    if a[1] == "snap" {
        let roots = vec![PathBuf::from(&a[3])];
        let so = SnapshotOptions {
            labels: Labels {
                roots: vec![format!("files{}", a[3]).into_bytes()],
                ..Default::default()
            },
            parent: list.snapshots.last().cloned(),
            workers: 2,
            cancel: Default::default(),
            read_all: false,
        };
        let o = run(&r, Input::Files { roots, options: Box::new(WalkOptions::default()) }, &so, &p)
            .unwrap();
        eprintln!(
            "{} {} {:?} notes {}",
            o.manifest.entries,
            o.manifest.stats,
            t.elapsed(),
            o.notes.len()
        );
    } else {
        let reader = r.reader().unwrap();
        let s = list.snapshots.last().unwrap();
        let req = Request {
            path: vec![],
            destination: Destination::Directory(PathBuf::from(&a[3])),
            include: None,
            exclude: Excludes::default(),
            overwrite: Overwrite::Never,
            delete_extra: false,
        };
        let pl = plan(&reader, s, &req).unwrap();
        eprintln!("plan {:?} {:?}", pl.counts, t.elapsed());
        let rep = apply(
            &reader,
            &pl,
            &ApplyOptions {
                workers: 2,
                cancel: Default::default(),
                owners: Owners::default(),
                verify: false,
                sync: true,
            },
            &p,
        )
        .unwrap();
        eprintln!(
            "{} files {} failed {} imperfect {:?}",
            rep.files,
            rep.failed.len(),
            rep.imperfect.len(),
            t.elapsed()
        );
        for f in rep.failed.iter().take(3) {
            eprintln!("{:?}", (String::from_utf8_lossy(&f.0), &f.1));
        }
    }
    let st = std::fs::read_to_string("/proc/self/status").unwrap();
    eprintln!("{}", st.lines().find(|l| l.starts_with("VmHWM")).unwrap());
}
