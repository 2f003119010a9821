//! A bucket instead of a directory; a store that ignores conditions.

use tintype_testkit::rclone;

use crate::support::{Lab, Ran, noise};

#[test]
fn a_store_that_ignores_conditions_is_seen_and_said() {
    let lab = Lab::new();
    let server = rclone::shared();
    let url = |prefix: &str| {
        format!("s3://{}/{prefix}?endpoint={}&region=us-east-1", server.bucket, server.endpoint)
    };
    let on = |args: &[&str], prefix: &str| {
        let mut command = lab.command(args);
        command
            .env("TINTYPE_REPOSITORY", url(prefix))
            .env("AWS_ACCESS_KEY_ID", server.access_key)
            .env("AWS_SECRET_ACCESS_KEY", server.secret_key);
        Ran::of(&command.output().unwrap())
    };
    let probed = on(&["probe"], "probe").expect(0).out;
    assert!(probed.contains("one process at a time"), "{probed}");
    let made = on(&["init", "--json"], "repository").expect(0);
    assert_eq!(made.summary()["single_writer"], true);
    lab.write("source/file", noise(10 << 20, "s3"));
    on(&["snapshot", &lab.text("source")], "repository").expect(0);
    on(&["snapshot", &lab.text("source")], "repository").expect(0);
    on(&["restore", "latest", "--to", &lab.text("out"), "--verify"], "repository").expect(0);
    assert!(lab.read("out/source/file") == noise(10 << 20, "s3"));
    on(&["prune", "--keep-last", "1", "--gc"], "repository").expect(0);
    on(&["verify", "--all"], "repository").expect(0);
    on(&["init"], "repository").expect(5);
    on(&["list"], "elsewhere").expect(1);
}
