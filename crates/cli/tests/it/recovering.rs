//! A manager that runs is put back in place, with its applications, and brought back from that.

#![expect(clippy::disallowed_methods, reason = "somebody has to see that a process ends")]

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::manager::{Served, run, serve, serve_at};
use crate::support::{Lab, Ran};

fn login(lab: &Lab, served: &Served) {
    let authority = lab.text("data/tls/authority.pem");
    let login = ["login", &served.url, "--authority", &authority, "--password-file"];
    run(lab, &[&login[..], &[&lab.text("chosen")]].concat()).expect(0);
}

#[test]
fn a_manager_is_restored_over_itself_while_it_runs() {
    let lab = Lab::new();
    let [port] = tintype_testkit::server::free_ports();
    let mut served = serve_at(&lab, None, &format!("127.0.0.1:{port}"));
    served.login(&lab);
    lab.write("shop/orders", "1, 2, 3");
    let shop = lab.text("shop");
    lab.write(
        "resources.yaml",
        format!(
            "version: 1\nresources:\n- {{ kind: volume, name: shop, connector: files, at: {{ path: \
             {shop} }} }}\n"
        ),
    );
    run(&lab, &["resource", "apply", &lab.text("resources.yaml")]).expect(0);
    let vault = lab.text("vault");
    run(&lab, &["storage", "add", "vault", "--url", &vault, "--default"]).expect(0);
    run(&lab, &["snapshot", "create", "--full"]).expect(0);
    let listed = run(&lab, &["snapshot", "list", "--json"]).expect(0).events();
    let id = listed[0]["id"].as_str().unwrap().to_owned();
    run(&lab, &["snapshot", "create", "--manager", "--exclude-logs"]).expect(0);
    the_sheet_is_printed(&lab);
    run(&lab, &["tenant", "create", "later"]).expect(0);
    lab.write("shop/orders", "broken");
    // The console shows the line; the manager alone comes by nothing else.
    let ran = run(&lab, &["restore", &id, "--dry-run"]).expect(0);
    let line = format!("tintype recover --from '{vault}' --snapshot {id} --in-place");
    assert!(ran.err.contains(&line), "{}", ran.err);
    let data = lab.text("data");
    let recover = ["recover", "--from", &vault, "--snapshot", &id, "--in-place", "--data", &data];
    let ran = run(&lab, &recover).expect(2);
    assert!(ran.out.contains("replace tenant: later, system"), "{}", ran.out);
    assert!(ran.err.contains(&format!("--confirm {}", &id[..8])), "{}", ran.err);
    run(&lab, &["tenant", "show", "later"]).expect(0);
    let ran = run(&lab, &[&recover[..], &["--confirm", &id[..8]]].concat()).expect(0);
    assert!(ran.err.contains("the manager has started again"), "{}", ran.err);
    assert!(ran.err.contains("all sessions have ended: log in again"), "{}", ran.err);
    let undo = ran.err.lines().find_map(|line| line.split("comes back with: ").nth(1)).unwrap();
    let applications = ran.err.lines().find_map(|line| line.split("restored by run ").nth(1));
    let applications = applications.unwrap().split(':').next().unwrap().to_owned();
    served.again();
    let ran = run(&lab, &["tenant", "list"]);
    assert!(ran.code != 0 && ran.err.contains("log in"), "{}", ran.err);
    login(&lab, &served);
    run(&lab, &["tenant", "show", "later"]).expect(1);
    run(&lab, &["run", "follow", &applications]).expect(0);
    assert_eq!(lab.read("shop/orders"), b"1, 2, 3");
    // The command that was told, as it was told.
    assert_eq!(served.stop(), 0);
    let words: Vec<&str> = undo.split_whitespace().map(|word| word.trim_matches('\'')).collect();
    run(&lab, &words[1..]).expect(0);
    let served = serve(&lab, None);
    login(&lab, &served);
    run(&lab, &["tenant", "show", "later"]).expect(0);
    let ran = run(&lab, &["recover", "--from", &vault, "--list"]).expect(0);
    assert!(ran.out.contains("internal, vault"), "{}", ran.out);
}

/// What is on paper is what `recover` asks for: read back by other programs.
fn the_sheet_is_printed(lab: &Lab) {
    let programs = ["pdftotext", "pdftoppm", "zbarimg"];
    tintype_testkit::debian::need(&programs, &["poppler-utils", "zbar-tools"]);
    let (data, pdf) = (lab.text("data"), lab.text("sheet.pdf"));
    let sheet = run(lab, &["manager", "recovery-sheet", "--data", &data]).expect(0).out;
    let words = sheet.lines().rev().find_map(|line| line.trim().strip_prefix("words: ")).unwrap();
    let key = lab.read_text("data/master.key");
    run(lab, &["manager", "recovery-sheet", "--data", &data, "--pdf", &pdf]).expect(0);
    let mode = std::fs::metadata(&pdf).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    run(lab, &["manager", "recovery-sheet", "--data", &data, "--pdf", &pdf]).expect(5);
    let other = |program: &str, arguments: &[&str]| {
        let ran = Ran::of(&Command::new(program).args(arguments).output().unwrap());
        ran.expect(0).out
    };
    let text = other("pdftotext", &["-layout", &pdf, "-"]);
    assert_eq!(text.matches('\u{c}').count(), 1, "one page");
    assert!(text.contains(words) && text.contains(key.trim()), "{text}");
    other("pdftoppm", &["-r", "200", "-png", &pdf, &lab.text("page")]);
    let code = other("zbarimg", &["--quiet", "--raw", &lab.text("page-1.png")]);
    let vault = lab.text("vault");
    for part in [format!("from: {vault}"), format!("words: {words}"), format!("master key: {key}")]
    {
        assert!(code.contains(part.trim()), "{part} is not in {code}");
    }
}

/// Its settings are read anew at each start: with these it does not.
#[test]
fn a_manager_that_does_not_start_again_is_brought_back_by_the_printed_command() {
    let lab = Lab::new();
    let served = serve(&lab, None);
    served.login(&lab);
    let (vault, data) = (lab.text("vault"), lab.text("data"));
    run(&lab, &["storage", "add", "vault", "--url", &vault, "--default"]).expect(0);
    run(&lab, &["snapshot", "create", "--manager"]).expect(0);
    let listed = run(&lab, &["snapshot", "list", "--json"]).expect(0).events();
    let id = listed[0]["id"].as_str().unwrap().to_owned();
    run(&lab, &["tenant", "create", "later"]).expect(0);
    lab.write("data/tintype.toml", "lisen = '127.0.0.1:0'\n");
    lab.write("good.toml", "");
    let good = lab.text("good.toml");
    let recover = ["recover", "--from", &vault, "--snapshot", &id, "--in-place", "--data", &data];
    let more = ["--config", &good, "--confirm", &id[..8]];
    // It ends by itself, and somebody has to see that.
    let ended = std::thread::spawn(move || served.ended());
    let ran = run(&lab, &[&recover[..], &more].concat()).expect(0);
    assert_eq!(ended.join().unwrap(), 2);
    assert!(ran.err.contains("the manager did not start again"), "{}", ran.err);
    let undo = ran.err.lines().find_map(|line| line.split("comes back with: ").nth(1)).unwrap();
    let words: Vec<&str> = undo.split_whitespace().map(|word| word.trim_matches('\'')).collect();
    std::fs::remove_file(lab.path("data/tintype.toml")).unwrap();
    run(&lab, &words[1..]).expect(0);
    let served = serve(&lab, None);
    login(&lab, &served);
    run(&lab, &["tenant", "show", "later"]).expect(0);
    assert_eq!(served.stop(), 0);
}
