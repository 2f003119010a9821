//! Second copies, bandwidth and locks by the command line.

use crate::agents::until;
use crate::manager::{run, serve, serve_at};
use crate::support::{Lab, noise};

const RULE: &str = "\
name: off-site
from: internal
to: vault
period:
  name: nightly
  frequency: { daily: { time: \"04:30\" } }
  time_zone: UTC
  retention: 1y
  immutable: { unlock_delay_days: 3 }
";

/// Of one snapshot in `internal`; gives its copy's id.
fn copied(lab: &Lab) -> String {
    lab.write("web/file", "of web");
    let web = lab.text("web");
    lab.write(
        "resources.yaml",
        format!(
            "version: 1\nresources:\n- {{ kind: volume, name: web, connector: files, at: {{ path: \
             {web} }} }}\n"
        ),
    );
    run(lab, &["resource", "apply", &lab.text("resources.yaml")]).expect(0);
    run(lab, &["snapshot", "create", "--app", "web"]).expect(0);
    run(lab, &["storage", "add", "vault", "--url", &lab.text("vault")]).expect(0);
    lab.write("rule.yaml", RULE);
    let file = lab.text("rule.yaml");
    let ran = run(lab, &["sync", "apply", &file]).expect(0);
    assert!(ran.out.contains("off-site"), "{}", ran.out);
    let ran = run(lab, &["sync", "run", "off-site"]).expect(0);
    assert!(ran.out.contains("1 snapshot copied, 0 there already"), "{}", ran.out);
    let ran = run(lab, &["sync", "run", "off-site", "--json"]).expect(0);
    let over = ran.events().into_iter().rfind(|event| event["event"] == "run").unwrap();
    assert_eq!((&over["result"]["copied"], &over["result"]["there"]), (&0.into(), &1.into()));
    let ran = run(lab, &["sync", "run", "off-site", "--no-wait"]).expect(0);
    assert!(ran.out.contains("is queued"), "{}", ran.out);
    let all = run(lab, &["snapshot", "list", "--json"]).expect(0).events();
    let copy = all.iter().find(|one| one["trigger"] == "sync").expect("it is listed");
    copy["id"].as_str().unwrap().to_owned()
}

fn the_rule_is_shown_and_changed(lab: &Lab) {
    let listed = run(lab, &["sync", "list"]).expect(0).out;
    let line = listed.lines().find(|line| line.starts_with("off-site")).unwrap();
    for word in ["yes", "internal", "vault", "1y"] {
        assert!(line.split_whitespace().any(|cell| cell == word), "{word}: {listed}");
    }
    let shown = run(lab, &["sync", "show", "off-site"]).expect(0).out;
    lab.write("shown.yaml", &shown);
    let ran = run(lab, &["sync", "apply", &lab.text("shown.yaml")]).expect(0);
    assert!(ran.out.contains("sync off-site is as described"), "{}", ran.out);
    lab.write("noted.yaml", format!("{shown}note: on purpose\n"));
    let ran = run(lab, &["sync", "apply", &lab.text("noted.yaml")]).expect(0);
    assert!(ran.out.contains("sync off-site changed"), "{}", ran.out);
    let ran = run(lab, &["sync", "apply", &lab.text("shown.yaml")]).expect(0);
    assert!(ran.out.contains("sync off-site changed"), "{}", ran.out);
    let again = run(lab, &["sync", "show", "off-site"]).expect(0).out;
    assert_eq!(again, shown, "what is shown can be applied");
    run(lab, &["sync", "disable", "off-site"]).expect(0);
    let rules = run(lab, &["sync", "list", "--json"]).expect(0).events();
    assert_eq!(
        (&rules[0]["name"], &rules[0]["spec"]["enabled"]),
        (&"off-site".into(), &false.into())
    );
    run(lab, &["sync", "enable", "off-site"]).expect(0);
    for (text, said) in [
        (RULE.replace("to: vault", "to: nowhere"), "there is no storage nowhere"),
        (RULE.replace("to: vault", "to: internal"), "the same storage"),
        (RULE.replace("retention: 1y", "retention: 1s"), "m months"),
    ] {
        lab.write("wrong.yaml", text);
        let ran = run(lab, &["sync", "apply", &lab.text("wrong.yaml")]);
        assert!(ran.code != 0 && ran.err.contains(said), "{said}: {}", ran.err);
    }
    lab.write("wrong.yaml", "nothing of a rule");
    let ran = run(lab, &["sync", "apply", &lab.text("wrong.yaml")]).expect(2);
    assert!(ran.err.contains("describes no sync rule"), "{}", ran.err);
    assert!(ran.err.contains("`tintype sync --help` shows examples"), "{}", ran.err);
    run(lab, &["sync", "run", "unknown"]).expect(1);
}

fn an_immutable_copy_is_unlocked_and_that_is_taken_back(lab: &Lab, copy: &str) {
    let kept = |said: &str| {
        let listed = run(lab, &["snapshot", "list"]).expect(0).out;
        let line = listed.lines().find(|line| line.starts_with(&copy[..8]));
        assert!(line.is_some_and(|line| line.contains(said)), "{said}: {listed}");
    };
    kept("immutable, until 3 days after");
    let locked = run(lab, &["snapshot", "delete", copy]);
    assert!(locked.code != 0 && locked.err.contains("locked"), "{}", locked.err);
    run(lab, &["snapshot", "unlock", copy]).expect(0);
    kept("locked until");
    run(lab, &["snapshot", "unlock", copy, "--take-back"]).expect(0);
    kept("immutable, until 3 days after");
    let ran = run(lab, &["snapshot", "unlock", copy, "--json"]).expect(0);
    assert_eq!(ran.events()[0]["is_unlocking"], true, "{}", ran.out);
    // One that is not immutable has no lock to ask the end of.
    let all = run(lab, &["snapshot", "list", "--json"]).expect(0).events();
    let first = all.iter().find(|one| one["trigger"] == "manual").unwrap();
    let refused = run(lab, &["snapshot", "unlock", first["id"].as_str().unwrap()]);
    assert!(refused.code != 0 && refused.err.contains("immutable"), "{}", refused.err);
    run(lab, &["snapshot", "unlock", "0000"]).expect(1);
}

fn bandwidth_is_set_and_taken_away(lab: &Lab) {
    let of = || run(lab, &["storage", "show", "vault", "--json"]).expect(0).events().remove(0);
    lab.write(
        "bandwidth.yaml",
        "time_zone: Europe/Berlin\nwindows:\n- { from: \"08:00\", to: \"18:00\", rate: 20MiB }\n",
    );
    let file = lab.text("bandwidth.yaml");
    run(lab, &["storage", "bandwidth", "vault", &file]).expect(0);
    let spec = of()["spec"].clone();
    assert_eq!(spec["bandwidth"]["windows"][0]["from"], "08:00", "{spec}");
    let ran = run(lab, &["storage", "bandwidth", "vault", "--none", "--json"]).expect(0);
    assert!(ran.events()[0]["spec"]["bandwidth"].is_null(), "{}", ran.out);
    assert!(of()["spec"]["bandwidth"].is_null());
    run(lab, &["storage", "bandwidth", "vault"]).expect(2);
    run(lab, &["storage", "bandwidth", "vault", &file, "--none"]).expect(2);
    for (text, code, said) in [
        ("windows: 7\n", 2, "describes no bandwidth"),
        ("time_zone: Nowhere/None\nwindows: []\n", 1, "Nowhere/None"),
    ] {
        lab.write("bandwidth.yaml", text);
        let ran = run(lab, &["storage", "bandwidth", "vault", &file]).expect(code);
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
}

#[test]
fn copies_locks_and_bandwidth_by_the_command_line() {
    let lab = Lab::new();
    let served = serve(&lab, None);
    served.login(&lab);
    let copy = copied(&lab);
    the_rule_is_shown_and_changed(&lab);
    an_immutable_copy_is_unlocked_and_that_is_taken_back(&lab, &copy);
    bandwidth_is_set_and_taken_away(&lab);
    assert_eq!(served.stop(), 0);
}

/// Slow enough that it is in the middle for a while.
#[test]
fn a_copy_whose_manager_was_killed_goes_on_where_it_was() {
    let lab = Lab::new();
    let served = serve(&lab, None);
    served.login(&lab);
    let web = lab.text("web");
    lab.write("web/file", noise(1 << 20, "first"));
    let volume = format!("kind: volume, name: web, connector: files, at: {{ path: {web} }}");
    lab.write("resources.yaml", format!("version: 1\nresources:\n- {{ {volume} }}\n"));
    run(&lab, &["resource", "apply", &lab.text("resources.yaml")]).expect(0);
    run(&lab, &["snapshot", "create", "--app", "web"]).expect(0);
    lab.write("web/file", noise(2 << 20, "second"));
    run(&lab, &["snapshot", "create", "--app", "web"]).expect(0);
    run(&lab, &["storage", "add", "vault", "--url", &lab.text("vault")]).expect(0);
    lab.write("rule.yaml", RULE);
    run(&lab, &["sync", "apply", &lab.text("rule.yaml")]).expect(0);
    lab.write("slow.yaml", "windows:\n- { from: \"00:00\", to: \"00:00\", rate: 512KiB }\n");
    run(&lab, &["storage", "bandwidth", "vault", &lab.text("slow.yaml")]).expect(0);
    run(&lab, &["sync", "run", "off-site", "--no-wait"]).expect(0);
    let synced = || {
        let runs = run(&lab, &["run", "list", "--json"]).expect(0).events();
        runs.into_iter().find(|run| run["kind"] == "sync").unwrap()
    };
    let of_vault = || {
        let all = run(&lab, &["snapshot", "list", "--json"]).expect(0).events();
        all.into_iter().filter(|one| one["trigger"] == "sync").collect::<Vec<_>>()
    };
    // The first is whole there, and the second has begun.
    until("the second copy goes on", || synced()["progress"]["bytes"].as_u64() > Some(2 << 20));
    assert!(of_vault().is_empty(), "nothing is shown before it is whole");
    let address = served.url.strip_prefix("https://").unwrap().to_owned();
    drop(served);
    let served = serve_at(&lab, None, &address);
    run(&lab, &["storage", "bandwidth", "vault", "--none"]).expect(0);
    until("it goes on by itself", || synced()["state"] == "succeeded");
    let result = synced()["result"].clone();
    assert_eq!((&result["copied"], &result["there"]), (&1.into(), &1.into()), "{result}");
    let copies = of_vault();
    assert_eq!(copies.len(), 2, "{copies:?}");
    for (copy, wanted) in copies.iter().zip([noise(2 << 20, "second"), noise(1 << 20, "first")]) {
        assert_eq!(copy["is_complete"], true, "{copy}");
        let (id, file) = (copy["id"].as_str().unwrap(), lab.text("got"));
        let path = format!("{id}:/tenants/system/volumes/web/file");
        run(&lab, &["snapshot", "get", &path, "-o", &file, "--overwrite"]).expect(0);
        assert!(lab.read("got") == wanted, "{id} holds what its first holds");
    }
    assert_eq!(served.stop(), 0);
}
