//! Symlinks that want a restore to write somewhere else.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tintype_model::ErrorKind;
use tintype_model::entry::{Kind, Node, Owner, Time};
use tintype_source::files::{Put, Target, TargetOptions};

pub(crate) fn node(kind: Kind, size: usize) -> Node {
    let owner = Owner {
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        ..Owner::default()
    };
    Node {
        mode: 0o644,
        owner: Arc::new(owner),
        mtime: Time { seconds: 1, nanoseconds: 2 },
        size: size as u64,
        ..Node::new(kind)
    }
}

#[test]
fn symlinks_in_the_way_are_refused() {
    for by_component in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (top, outside) = (dir.path().join("top"), dir.path().join("outside"));
        fs::create_dir_all(top.join("real")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("victim"), b"whole").unwrap();
        symlink(&outside, top.join("absolute")).unwrap();
        symlink("../outside", top.join("relative")).unwrap();
        symlink("real", top.join("inside")).unwrap();
        symlink(outside.join("victim"), top.join("file")).unwrap();
        let target =
            Target::open(&top, TargetOptions { by_component, ..TargetOptions::default() }).unwrap();
        let file = node(Kind::File, 1);
        for path in ["absolute/new", "relative/new", "inside/new", "relative/victim"] {
            let path = path.as_bytes();
            let mut errors = vec![
                target.write_small(path, b"x", &file, Put::Replace).unwrap_err(),
                target.make_dir(path).unwrap_err(),
                target.symlink(path, &node(Kind::Symlink, 0), Put::New).unwrap_err(),
                target.special(path, &node(Kind::Fifo, 0), Put::New).unwrap_err(),
                target.remove(path).unwrap_err(),
                target.stat(path).unwrap_err(),
                target.read(path).unwrap_err(),
            ];
            errors.push(target.hard_link(b"file", path, Put::New).unwrap_err());
            errors.push(target.hard_link(path, b"new", Put::New).unwrap_err());
            for error in errors {
                let kinds = [ErrorKind::Denied, ErrorKind::AlreadyExists];
                assert!(kinds.contains(&error.kind()), "{error:?}");
            }
        }
        for path in ["absolute", "inside"] {
            assert!(target.finish_dir(path.as_bytes(), &node(Kind::Directory, 0)).is_err());
            assert!(target.make_dir(path.as_bytes()).is_err());
            assert!(target.list_dir(path.as_bytes()).is_err());
        }
        // A symlink as the last component is replaced itself.
        assert!(target.read(b"file").is_err());
        target.write_small(b"file", b"x", &file, Put::Replace).unwrap();
        assert_eq!(fs::read(top.join("file")).unwrap(), b"x");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        assert_eq!(fs::read(outside.join("victim")).unwrap(), b"whole");
        for path in ["../outside/new", "/etc/new", "a/../../b", ".", "..", "a//b", "", "a\0b"] {
            let error = target.write_small(path.as_bytes(), b"x", &file, Put::New).unwrap_err();
            assert!(error.is(ErrorKind::Invalid), "{path:?}: {error:?}");
        }
    }
}

/// Somebody exchanges a directory for a symlink all the time while we restore into it.
#[test]
fn a_race_with_symlinks_is_never_lost() {
    for by_component in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (top, outside) = (dir.path().join("top"), dir.path().join("outside"));
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::create_dir_all(outside.join("b")).unwrap();
        symlink(&outside, top.join("link")).unwrap();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let how = rustix::fs::RenameFlags::EXCHANGE;
                let cwd = rustix::fs::CWD;
                let (a, link) = (top.join("a"), top.join("link"));
                while !stop.load(Ordering::Relaxed) {
                    rustix::fs::renameat_with(cwd, &a, cwd, &link, how).unwrap();
                }
            });
            let mut outcomes = [0; 2];
            for number in 0..3000 {
                // A target of its own each time, so that nothing is resolved from its cache.
                let options =
                    TargetOptions { by_component, nonce: number, ..TargetOptions::default() };
                let target = Target::open(&top, options).unwrap();
                let path = format!("a/b/file-{number}");
                let put = target.write_small(path.as_bytes(), b"x", &node(Kind::File, 1), Put::New);
                outcomes[usize::from(put.is_ok())] += 1;
                let mut link = node(Kind::Symlink, 0);
                link.extras_mut().target = b"x".to_vec();
                let _ =
                    target.symlink(format!("a/b/link-{number}").as_bytes(), &link, Put::Replace);
                let _ = target.make_dir(b"a/b");
                let _ =
                    target.finish_dir(b"a/b", &Node { mode: 0o755, ..node(Kind::Directory, 0) });
                let _ = target.remove(format!("a/b/link-{number}").as_bytes());
            }
            stop.store(true, Ordering::Relaxed);
            assert!(outcomes[0] > 0 && outcomes[1] > 0, "no race took place: {outcomes:?}");
        });
        assert_eq!(fs::read_dir(outside.join("b")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }
}
