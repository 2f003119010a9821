//! Restores over what is there, on their bad days: who writes meanwhile, what breaks halfway, and
//! what the printed commands do then.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tintype_engine::env::Env;
use tintype_testkit::debian::need;
use tintype_testkit::volumes::Mounted;

use crate::support::{Lab, Ran, is_root};

/// A volume of one's own file system, described with hooks and captured once.
struct Shop {
    lab: Lab,
    mounted: Mounted,
}

impl Shop {
    fn new(hooks: &Value) -> Self {
        let shop = Self { lab: Lab::ready(), mounted: Mounted::new("ext4") };
        fs::create_dir_all(shop.volume().join("b")).unwrap();
        fs::write(shop.volume().join("a"), "captured").unwrap();
        fs::write(shop.volume().join("b/c"), "captured").unwrap();
        let files = json!({ "kind": "volume", "name": "files", "connector": "files",
                            "at": { "path": shop.volume() }, "hooks": hooks });
        let version = json!({ "command": ["cat", shop.lab.path("version")] });
        let app = json!({ "kind": "application", "name": "shop", "version": version,
                          "components": [{ "resource": "files" }] });
        let text = json!({ "version": 1, "resources": [files, app] });
        shop.lab.write("version", "2.0\n");
        shop.lab.write("resources.yaml", text.to_string());
        let file = shop.lab.text("resources.yaml");
        shop.lab.run(&["snapshot", "--resources", &file]).expect(0);
        fs::write(shop.volume().join("a"), "of today").unwrap();
        shop
    }

    fn volume(&self) -> PathBuf {
        self.mounted.path.join("volume")
    }

    fn now(&self) -> String {
        fs::read_to_string(self.volume().join("a")).unwrap()
    }

    fn restore(&self, of: &str, more: &[&str]) -> Ran {
        self.lab.run(&[&["restore", of, "--resources"], more].concat())
    }

    /// The command that was printed after some words, run as it stands.
    fn printed(&self, ran: &Ran, after: &str) -> Ran {
        let lines = ran.err.lines();
        let found = lines.clone().find_map(|line| line.split_once(after));
        let (_, line) = found.unwrap_or_else(|| panic!("{after}: {}", ran.err));
        let words = line.trim().strip_prefix("tintype repo ").unwrap();
        let words: Vec<&str> = words.split(' ').chain(["--yes"]).collect();
        self.lab.run(&words)
    }

    fn undo_points(&self) -> Vec<String> {
        let list = self.lab.run(&["list", "--json", "--tag", "pre-restore"]).expect(0);
        let events = list.events().into_iter().filter(|event| event["event"] == "snapshot");
        events.map(|event| event["id"].as_str().unwrap().to_owned()).collect()
    }

    /// What is beside the volume.
    fn beside(&self) -> Vec<String> {
        let names = fs::read_dir(&self.mounted.path).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("tintype-")).collect()
    }
}

fn hook(phase: &str, script: &str) -> Value {
    json!({ "phase": phase, "command": ["sh", "-c", script], "timeout_seconds": 60 })
}

/// What a hook does when it runs for the first time.
fn once(flag: &Path, script: &str) -> String {
    let flag = flag.display();
    format!("test -e {flag} && exit 0; touch {flag}; {script}")
}

fn skipped() -> bool {
    let skipped = !is_root();
    assert!(!skipped || std::env::var_os("CI").is_none(), "mounts need root");
    skipped
}

/// Every file that somebody writes while it is restored is in the undo point, in what was replaced
/// and stays, or in what is there afterwards.
#[test]
fn what_is_written_while_it_is_restored_is_not_lost() {
    if skipped() {
        return;
    }
    let shop = Shop::new(&json!([]));
    let written = shop.lab.path("written");
    let script =
        "n=0; while :; do n=$((n+1)); echo $n > \"$0/w$n\" && echo $n >> \"$1\"; sleep 0.01; done";
    let mut writer = Command::new("sh");
    let mut writer = writer.args(["-c", script]).arg(shop.volume()).arg(&written).spawn().unwrap();
    while !written.exists() {
        std::thread::yield_now();
    }
    let done = shop.restore("latest", &["--in-place", "--yes", "--json"]);
    writer.kill().unwrap();
    writer.wait().unwrap();
    let done = done.expect(0);
    assert_eq!(shop.now(), "captured");
    let point = &shop.undo_points()[0];
    let plain = shop.lab.text("plain");
    shop.restore(point, &["--to", &plain]).expect(0);
    let kept = done.events().into_iter().find(|event| event["event"] == "kept");
    let kept = kept.map(|event| Path::new(event["place"].as_str().unwrap()).join("volume"));
    let mut places = vec![shop.volume(), shop.lab.path("plain/files")];
    places.extend(kept);
    let all = fs::read_to_string(written).unwrap();
    for number in all.lines() {
        let name = format!("w{number}");
        let is_there = places.iter().any(|dir| dir.join(&name).exists());
        assert!(is_there, "{name} of {} in {places:?}", all.lines().count());
    }
}

#[test]
fn an_undo_point_reads_only_what_changed_since_the_last_snapshot() {
    if skipped() {
        return;
    }
    let shop = Shop::new(&json!([]));
    let noise: Vec<u8> =
        (0..1 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(shop.volume().join("large"), &noise).unwrap();
    // What is younger than that is read again, whatever a parent says.
    Env::system().clock.sleep(Duration::from_millis(2100));
    let file = shop.lab.text("resources.yaml");
    let ran = shop.lab.run(&["snapshot", "--json", "--resources", &file]).expect(0);
    let before = ran.summary()["snapshot"].clone();
    fs::write(shop.volume().join("a"), "of tomorrow").unwrap();
    shop.restore("latest", &["--in-place", "--yes"]).expect(0);
    assert_eq!(shop.now(), "of today");
    let point = &shop.undo_points()[0];
    let shown = shop.lab.run(&["show", "--json", point]).expect(0).events().swap_remove(0);
    assert_eq!(shown["parent"], before, "{shown}");
    let read = |name: &str| shown["stats"][name].as_u64().unwrap();
    assert!(read("new_bytes") + read("known_bytes") < 1 << 18, "{shown}");
    shop.restore(point, &["--in-place", "--yes"]).expect(0);
    assert_eq!(
        (shop.now(), fs::read(shop.volume().join("large")).unwrap()),
        ("of tomorrow".into(), noise)
    );
}

/// The undo point is the newest snapshot by then, and not what `latest` means.
#[test]
fn an_interrupted_restore_of_the_latest_goes_on_and_back() {
    if skipped() {
        return;
    }
    for goes_back in [false, true] {
        let flag = tempfile::tempdir().unwrap();
        let stops = once(&flag.path().join("flag"), "kill -INT $PPID; sleep 30");
        let shop = Shop::new(&json!([hook("post-restore", &stops)]));
        let in_place = ["--in-place", "--yes"];
        let stopped = shop.restore("latest", &in_place).expect(130);
        assert_eq!(shop.undo_points().len(), 1);
        assert_eq!(shop.now(), "captured", "switched already");
        assert!(stopped.err.contains("to go back: tintype repo restore "), "{}", stopped.err);
        let ended = match goes_back {
            false => shop.printed(&stopped, "to go on: "),
            true => shop.restore("latest", &["--undo"]),
        };
        ended.expect(0);
        assert_eq!(shop.now(), if goes_back { "of today" } else { "captured" });
        assert_eq!(shop.beside(), Vec::<String>::new());
        assert_eq!(shop.undo_points().len(), 1);
        // And once more, of the same snapshot.
        fs::write(shop.volume().join("a"), "broken").unwrap();
        shop.restore("latest", &in_place).expect(0);
        assert_eq!(shop.now(), "captured");
        let none = shop.restore("latest", &["--undo"]).expect(1);
        assert!(none.err.contains("none was interrupted"), "{}", none.err);
    }
}

/// A directory that cannot be moved: what is left in the journal brings the old data back.
#[test]
fn an_undo_that_failed_is_tried_again_by_the_printed_command() {
    if skipped() {
        return;
    }
    need(&["chattr"], &["e2fsprogs"]);
    let flag = tempfile::tempdir().unwrap();
    let script = once(&flag.path().join("flag"), "chattr +i \"$(cat $0/volume)\"; exit 1");
    let hook = json!({ "phase": "post-restore", "command": ["sh", "-c", script, flag.path()] });
    let shop = Shop::new(&json!([hook]));
    fs::write(flag.path().join("volume"), shop.volume().as_os_str().as_encoded_bytes()).unwrap();
    let failed = shop.restore("latest", &["--in-place", "--yes"]).expect(1);
    assert!(failed.err.contains("could not be taken back"), "{}", failed.err);
    assert_eq!(shop.now(), "captured");
    let still = shop.printed(&failed, "once its cause is gone: ").expect(3);
    assert!(still.err.contains("could not be taken back"), "{}", still.err);
    let forward = shop.restore("latest", &["--in-place", "--yes"]).expect(5);
    assert!(forward.err.contains("--undo"), "{}", forward.err);
    assert!(Command::new("chattr").arg("-i").arg(shop.volume()).status().unwrap().success());
    shop.printed(&failed, "once its cause is gone: ").expect(0);
    assert_eq!(shop.now(), "of today");
    assert_eq!(shop.beside(), Vec::<String>::new());
    shop.restore("latest", &["--in-place", "--yes"]).expect(0);
    assert_eq!(shop.now(), "captured");
}

/// Something is mounted in what was replaced, so that it cannot be removed.
#[test]
fn a_restore_that_was_not_cleaned_up_is_ended_by_the_printed_command() {
    if skipped() {
        return;
    }
    let flag = tempfile::tempdir().unwrap();
    let script = once(
        &flag.path().join("flag"),
        "b=$(echo \"$(cat $0/beside)\"/tintype-*-restore-files/new/volume/b); mount --bind $b $b",
    );
    let hook = json!({ "phase": "post-restore", "command": ["sh", "-c", script, flag.path()] });
    let shop = Shop::new(&json!([hook]));
    fs::write(flag.path().join("beside"), shop.mounted.path.as_os_str().as_encoded_bytes())
        .unwrap();
    let failed = shop.restore("latest", &["--in-place", "--yes"]).expect(1);
    assert!(failed.err.contains("restored, but not cleaned up"), "{}", failed.err);
    assert_eq!(shop.now(), "captured");
    let undo = shop.restore("latest", &["--undo"]).expect(1);
    assert!(undo.err.contains("run the restore again"), "{}", undo.err);
    let held = shop.mounted.path.join(&shop.beside()[0]).join("new/volume/b");
    assert!(Command::new("umount").arg(held).status().unwrap().success());
    shop.printed(&failed, "remove what only helped: ").expect(0);
    assert_eq!((shop.now(), shop.beside().len()), ("captured".into(), 0));
    // Then the undo point can be restored as its id says.
    let point = &shop.undo_points()[0];
    shop.restore(point, &["--in-place", "--yes", "files"]).expect(0);
    assert_eq!(shop.now(), "of today");
}

/// Whoever can write to a repository could have put them there.
#[test]
fn what_a_snapshot_names_runs_after_it_was_shown_and_agreed_to() {
    if skipped() {
        return;
    }
    let ran = tempfile::tempdir().unwrap();
    let at = |name: &str| ran.path().join(name).display().to_string();
    let hooks = json!([
        hook("pre-restore", &format!("env > {}", at("environment"))),
        hook("pre-quiesce", &format!("touch {}", at("quiesced"))),
    ]);
    let shop = Shop::new(&hooks);
    let _ = fs::remove_file(at("quiesced"));
    let version = format!("touch {}; echo 3.0", at("asked"));
    let mut text: Value = serde_json::from_slice(&shop.lab.read("resources.yaml")).unwrap();
    text["resources"][1]["version"] = json!({ "command": ["sh", "-c", version] });
    shop.lab.write("resources.yaml", text.to_string());
    shop.lab.run(&["snapshot", "--resources", &shop.lab.text("resources.yaml")]).expect(0);
    fs::remove_file(at("asked")).unwrap();
    fs::remove_file(at("quiesced")).unwrap();
    let nothing = || fs::read_dir(ran.path()).unwrap().count() == 0;

    let plan = shop.restore("latest", &["--in-place", "--dry-run"]).expect(0);
    for told in ["pre-restore: sh -c env", "pre-quiesce: sh -c touch", "for shop: version: sh -c"] {
        assert!(plan.out.contains(told), "{told}: {}", plan.out);
    }
    assert!(plan.out.contains("version unknown → 3.0 (what it is now"), "{}", plan.out);
    assert!(plan.out.contains("taken on "), "{}", plan.out);
    let without = ["--in-place", "--dry-run", "--without-undo-point"];
    let plan = shop.restore("latest", &without).expect(0);
    assert!(!plan.out.contains("pre-quiesce"), "no snapshot is taken: {}", plan.out);
    assert!(nothing(), "a preview runs nothing");
    let set = format!("files.path={}", shop.mounted.path.join("copy").display());
    let as_new = ["--as-new", "files=copy", "--set", &set];
    shop.restore("latest", &as_new).expect(2);
    shop.restore("latest", &["--in-place"]).expect(2);
    assert!(nothing() && !shop.mounted.path.join("copy").exists(), "nobody agreed");

    let done = shop.restore("latest", &["--in-place", "--yes"]).expect(0);
    assert!(done.out.contains("version 3.0 → 3.0"), "{}", done.out);
    assert!(Path::new(&at("asked")).exists() && Path::new(&at("quiesced")).exists());
    let environment = fs::read_to_string(at("environment")).unwrap();
    assert!(environment.contains("TINTYPE_PHASE=pre-restore"), "{environment}");
    let ours = environment.lines().filter(|line| line.starts_with("TINTYPE_")).count();
    assert_eq!(ours, 2, "no passphrase, no repository: {environment}");
}

/// What its server reads stands in its usual place, for one process only.
#[test]
fn a_share_inside_of_a_volume_is_not_taken_from_its_clients() {
    if skipped() {
        return;
    }
    need(&["ganesha.nfsd"], &["nfs-ganesha-vfs"]);
    let shop = Shop::new(&json!([]));
    let conf = tempfile::tempdir().unwrap();
    let plan = |path: &Path| {
        let export = format!(
            "EXPORT {{ Export_Id = 1; Path = \"{}\"; Pseudo = /export; FSAL {{ Name = VFS; }} }}\n",
            path.display()
        );
        fs::write(conf.path().join("ganesha.conf"), export).unwrap();
        let args = ["restore", "latest", "--resources", "--in-place", "--dry-run"];
        let inner = shop.lab.command(&args);
        let mut command = Command::new("unshare");
        let script = "mount --bind \"$0\" /etc/ganesha && exec \"$@\"";
        command.args(["--mount", "sh", "-c", script]).arg(conf.path());
        command.arg(inner.get_program()).args(inner.get_args());
        shop.lab.prepare(&mut command);
        Ran::of(&command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap())
    };
    let below = plan(&shop.volume().join("b")).expect(1);
    assert!(below.out.contains("check block  shares-below:"), "{}", below.out);
    assert!(below.out.contains("volume/b lies in it"), "{}", below.out);
    let above = plan(&shop.mounted.path).expect(0);
    assert!(above.out.contains("check warn   clients:"), "{}", above.out);
    let itself = plan(&shop.volume()).expect(0);
    assert!(itself.out.contains("itself stays, because clients"), "{}", itself.out);
    let elsewhere = plan(shop.lab.path("source").as_path()).expect(0);
    assert!(!elsewhere.out.contains("clients"), "{}", elsewhere.out);
}

/// The only copy of everything must not go with what is replaced.
#[test]
fn a_volume_in_which_the_repository_lies_is_not_replaced() {
    let lab = Lab::ready();
    lab.write("source/a", "captured");
    let files = json!({ "kind": "volume", "name": "all", "connector": "files",
                        "at": { "path": lab.path("source").parent().unwrap() } });
    lab.write("all.yaml", json!({ "version": 1, "resources": [files] }).to_string());
    lab.run(&["snapshot", "--resources", &lab.text("all.yaml")]).expect(0);
    let restore = ["restore", "latest", "--resources", "--in-place", "all", "--yes"];
    let ran = lab.run(&restore).expect(1);
    assert!(ran.out.contains("check block  repository: "), "{}", ran.out);
    assert_eq!(lab.ids().len(), 1, "the repository is where it was");
}
