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
    let bad = lab.run(&["list", "--recovery-key-file", &lab.text("bad")]);
    assert_eq!(bad.code, 1, "{}", bad.err);
    assert!(bad.err.contains("12 words"), "{}", bad.err);

    let mut change = lab.command(&["key", "change-passphrase"]);
    let change = change.env("TINTYPE_NEW_PASSWORD", "a new passphrase");
    assert!(change.output().unwrap().status.success());
    lab.run(&["list"]).expect(6);
    let mut keys = lab.command(&["key", "list", "--json"]);
    let keys = Ran::of(&keys.env("TINTYPE_PASSWORD", "a new passphrase").output().unwrap());
    let keys = keys.expect(0).events();
    let kinds: Vec<_> = keys.iter().filter_map(|event| event["kind"].as_str()).collect();
    assert_eq!(kinds, ["recovery", "passphrase"]);

    // The last slot stays, whatever happens.
    let remove = |id: &str| {
        let mut remove = lab.command(&["key", "remove", id, "--recovery-key-file", &sheet]);
        Ran::of(&remove.env_remove("TINTYPE_PASSWORD").output().unwrap())
    };
    remove(keys[1]["id"].as_str().unwrap()).expect(0);
    let last = remove(keys[0]["id"].as_str().unwrap()).expect(1);
    assert!(last.err.contains("last key slot"), "{}", last.err);
}
