//! Second copies, bandwidth and locks by the command line.

use crate::manager::{run, serve};
use crate::support::Lab;

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
    let ran = run(lab, &["sync", "apply", &file]).expect(0);
    assert!(ran.out.contains("as described"), "{}", ran.out);
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
    assert!(ran.out.contains("as described"), "what is shown can be applied: {}", ran.out);
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
    run(lab, &["sync", "run", "unknown"]).expect(1);
}

fn an_immutable_copy_is_unlocked_and_that_is_taken_back(lab: &Lab, copy: &str) {
    let kept = |said: &str| {
        let shown = run(lab, &["snapshot", "show", copy]).expect(0).out;
        assert!(shown.contains(said), "{said}: {shown}");
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
