//! Where passphrases come from, and that they never show.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Lab, PASSWORD, Ran};

#[test]
fn a_file_a_command_or_the_environment() {
    let lab = Lab::ready();
    lab.write("secret", format!("{PASSWORD}\n"));
    let file = lab.text("secret");
    let without = |args: &[&str]| {
        let mut command = lab.command(args);
        Ran::of(&command.env_remove("TINTYPE_PASSWORD").output().unwrap())
    };
    let open = |mode| std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    open(0o644);
    let told = without(&["list", "--password-file", &file]).expect(0).err;
    assert!(told.contains("can be read by other users"), "{told}");
    open(0o600);
    assert!(!without(&["list", "--password-file", &file]).expect(0).err.contains("warning"));
    without(&["list", "--password-command", &format!("cat {file}")]).expect(0);
    without(&["list", "--password-command", "exit 3"]).expect(1);
    let nobody = without(&["list"]).expect(2);
    assert!(nobody.err.contains("--password-file"), "{}", nobody.err);
    without(&["list", "--password-file", &lab.text("nowhere")]).expect(1);
    lab.write("secret", "two\nlines\n");
    without(&["list", "--password-file", &file]).expect(2);
}

#[test]
fn a_wrong_key_says_so_and_shows_nothing() {
    let lab = Lab::ready();
    let mut command = lab.command(&["list"]);
    let wrong = Ran::of(&command.env("TINTYPE_PASSWORD", "hunter2-hunter2").output().unwrap());
    let wrong = wrong.expect(6);
    assert!(!wrong.err.contains("hunter2") && wrong.err.contains("hint: "), "{}", wrong.err);
    let help = lab.run(&["list", "--help"]).expect(0);
    assert!(!help.out.contains(PASSWORD), "the help shows the environment");
}

#[test]
fn the_recovery_key_opens_and_slots_come_and_go() {
    let lab = Lab::new();
    let sheet = lab.text("sheet");
    lab.run(&["init", "--no-probe", "--recovery-key-out", &sheet]).expect(0);
    assert_eq!(std::fs::metadata(&sheet).unwrap().permissions().mode() & 0o777, 0o600);
    let mut list = lab.command(&["list", "--recovery-key-file", &sheet]);
    assert!(list.env_remove("TINTYPE_PASSWORD").output().unwrap().status.success());
    lab.write("bad", "abandon abandon abandon\n");
    let words = String::from_utf8(lab.read("sheet")).unwrap();
    lab.write("lines", words.split_whitespace().collect::<Vec<_>>().join("\n"));
    lab.run(&["list", "--recovery-key-file", &lab.text("lines")]).expect(0);
    let bad = lab.run(&["list", "--recovery-key-file", &lab.text("bad")]);
    assert_eq!(bad.code, 1, "{}", bad.err);
    assert!(bad.err.contains("12 words"), "{}", bad.err);

    let mut change = lab.command(&["key", "change-passphrase", "--label", "on-call"]);
    let change = change.env("TINTYPE_NEW_PASSWORD", "between");
    assert!(change.output().unwrap().status.success());
    let mut change = lab.command(&["key", "change-passphrase"]);
    change.env("TINTYPE_PASSWORD", "between").env("TINTYPE_NEW_PASSWORD", "a new passphrase");
    assert!(change.output().unwrap().status.success());
    lab.run(&["list"]).expect(6);
    let mut keys = lab.command(&["key", "list", "--json"]);
    let keys = Ran::of(&keys.env("TINTYPE_PASSWORD", "a new passphrase").output().unwrap());
    let keys = keys.expect(0).events();
    let kinds: Vec<_> = keys.iter().filter_map(|event| event["kind"].as_str()).collect();
    assert_eq!(kinds, ["recovery", "passphrase"]);
    assert_eq!(keys[1]["label"], "on-call");

    // The last slot stays, whatever happens.
    let remove = |id: &str| {
        let mut remove = lab.command(&["key", "remove", id, "--recovery-key-file", &sheet]);
        Ran::of(&remove.env_remove("TINTYPE_PASSWORD").output().unwrap())
    };
    remove(keys[1]["id"].as_str().unwrap()).expect(0);
    let last = remove(keys[0]["id"].as_str().unwrap()).expect(1);
    assert!(last.err.contains("last key slot"), "{}", last.err);
}

/// A change that could not remove the old slot leaves two that the passphrase opens, after the
/// next one.
#[test]
fn a_changed_passphrase_opens_none_of_its_slots_any_more() {
    let lab = Lab::ready();
    let mut add = lab.command(&["key", "add", "--label", "rest"]);
    assert!(add.env("TINTYPE_NEW_PASSWORD", PASSWORD).output().unwrap().status.success());
    let change = |new: &str| {
        let mut change = lab.command(&["key", "change-passphrase"]);
        Ran::of(&change.env("TINTYPE_NEW_PASSWORD", new).output().unwrap())
    };
    let same = change(PASSWORD).expect(0);
    assert!(same.err.contains("still opens key") && !same.out.contains("nothing"), "{}", same.err);
    let mut add = lab.command(&["key", "add", "--label", "rest"]);
    assert!(add.env("TINTYPE_NEW_PASSWORD", PASSWORD).output().unwrap().status.success());
    let changed = change("a new passphrase").expect(0);
    assert!(changed.out.contains("opens nothing any more"), "{}", changed.out);
    lab.run(&["list"]).expect(6);
    let mut keys = lab.command(&["key", "list", "--json"]);
    let keys = Ran::of(&keys.env("TINTYPE_PASSWORD", "a new passphrase").output().unwrap());
    assert_eq!(keys.expect(0).summary()["keys"], 2);
}

const IDENTITY: &str = "AGE-SECRET-KEY-1V7SSL3KMDCYZJ8EU8ZET3UGWWMSK8ESGGHAPG6UWYKXK6LDSVUWQ3APWWW";
const RECIPIENT: &str = "age13cyz75y95jvauv4hqyd0w6vzs75zwst825r0ah9yt9knpmeg8cjscdhjlh";
const OTHER: &str = "AGE-SECRET-KEY-1039LAVQCZ8MT6L03Q3VTLR9TE6GR3N64MW4870WG2HSECP80A92Q39C0QC";

#[test]
fn an_age_identity_opens_what_its_recipient_was_added_to() {
    let lab = Lab::new();
    lab.run(&["init", "--no-probe", "--age", RECIPIENT]).expect(0);
    lab.write("source/a", "kept");
    lab.snapshot(&[&lab.text("source")]);
    lab.write("identity", format!("# created: today\n# public key: {RECIPIENT}\n{IDENTITY}\n"));
    lab.write("other", format!("{OTHER}\n"));
    let private = Permissions::from_mode(0o600);
    std::fs::set_permissions(lab.path("identity"), private).unwrap();
    let without = |args: &[&str], variable: &str| {
        let mut command = lab.command(args);
        command.env_remove("TINTYPE_PASSWORD").env("TINTYPE_AGE_IDENTITY_FILE", variable);
        Ran::of(&command.output().unwrap())
    };
    let identity = lab.text("identity");
    let listed = without(&["list", "--age-identity", &identity], "").expect(0);
    assert!(!listed.err.contains("warning"), "{}", listed.err);
    let to = lab.text("restored");
    without(&["restore", "latest", "--to", &to], &identity).expect(0);
    assert_eq!(lab.read("restored/source/a"), b"kept");
    without(&["list", "--age-identity", &lab.text("other")], "").expect(6);
    assert!(lab.run(&["key", "add", "--age", "age1nonsense"]).expect(2).err.contains("age1"));

    // Only the mac says that an age file is for this repository: a changed slot does not open.
    lab.run(&["key", "add", "--age", RECIPIENT, "--label", "second"]).expect(0);
    let slots = lab.run(&["key", "list", "--json"]).expect(0).events();
    let kinds = slots.iter().filter(|slot| slot["kind"] == "age").count();
    assert_eq!(kinds, 2);
    for slot in slots.iter().filter(|slot| slot["kind"] == "age") {
        let name = format!("repository/keys/{}", slot["id"].as_str().unwrap());
        let text = String::from_utf8(lab.read(&name)).unwrap();
        let label = slot["label"].as_str().unwrap();
        lab.write(&name, text.replace(label, "a label of somebody else"));
    }
    without(&["list"], &identity).expect(4);
    lab.run(&["verify"]).expect(4);
}

#[test]
fn the_key_in_use_is_not_removed_unasked() {
    let lab = Lab::ready();
    let events = lab.run(&["key", "list", "--json"]).expect(0).events();
    let own = events.iter().find(|event| event["kind"] == "passphrase").unwrap();
    let id = own["id"].as_str().unwrap();
    let refused = lab.run(&["key", "remove", id]).expect(2);
    assert!(refused.err.contains("opened the repository just now"), "{}", refused.err);
    lab.run(&["list"]).expect(0);
    lab.run(&["key", "remove", id, "--yes"]).expect(0);
    lab.run(&["list"]).expect(6);
}

#[test]
fn the_last_recovery_key_is_not_removed_unasked() {
    let lab = Lab::ready();
    let events = lab.run(&["key", "list", "--json"]).expect(0).events();
    let recovery = events.iter().find(|event| event["kind"] == "recovery").unwrap();
    let id = recovery["id"].as_str().unwrap();
    let refused = lab.run(&["key", "remove", id]).expect(2);
    assert!(refused.err.contains("last recovery key"), "{}", refused.err);
    assert!(refused.err.contains("(passphrase)"), "{}", refused.err);
    lab.run(&["key", "add", "--recovery"]).expect(0);
    let removed = lab.run(&["key", "remove", id]).expect(0);
    assert!(!removed.err.contains("last recovery key"), "{}", removed.err);
    let events = lab.run(&["key", "list", "--json"]).expect(0).events();
    let recovery = events.iter().find(|event| event["kind"] == "recovery").unwrap();
    let id = recovery["id"].as_str().unwrap();
    let removed = lab.run(&["key", "remove", id, "--yes"]).expect(0);
    assert!(removed.err.contains("last recovery key"), "{}", removed.err);
}
