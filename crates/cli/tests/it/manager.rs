//! `serve`, and the commands that speak to it.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};

use crate::support::{Lab, Ran};

pub(crate) struct Served {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    pub(crate) url: String,
    password: Option<String>,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn program(lab: &Lab, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tintype"));
    command.args(args);
    lab.prepare(&mut command);
    command
}

pub(crate) fn run(lab: &Lab, args: &[&str]) -> Ran {
    Ran::of(&program(lab, args).output().expect("the program starts"))
}

pub(crate) fn serve(lab: &Lab, notified: Option<&UnixDatagram>) -> Served {
    serve_at(lab, notified, "127.0.0.1:0")
}

pub(crate) fn serve_at(lab: &Lab, notified: Option<&UnixDatagram>, address: &str) -> Served {
    let data = lab.text("data");
    let mut command = program(lab, &["serve", "--data", &data, "--listen", address]);
    if let Some(socket) = notified {
        let address = socket.local_addr().unwrap();
        command.env("NOTIFY_SOCKET", address.as_pathname().unwrap());
    }
    serve_by(command)
}

/// However it is started, it says where it listens.
pub(crate) fn serve_by(mut command: Command) -> Served {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (url, password) = greeted(&mut lines);
    Served { child, lines, url, password }
}

/// What it says when it has started.
fn greeted(lines: &mut impl Iterator<Item = std::io::Result<String>>) -> (String, Option<String>) {
    let (mut url, mut password) = (None, None);
    for line in lines {
        let line = line.unwrap();
        if let Some(told) = line.strip_prefix("first login: user admin, password ") {
            password = Some(told.to_owned());
        }
        url = url.or(line.strip_prefix("listens on ").map(str::to_owned));
        if line.contains("--authority") {
            break;
        }
    }
    (url.expect("it listens"), password)
}

impl Served {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn login(&self, lab: &Lab) {
        let password = self.password.as_ref().expect("it was made just now");
        for (name, text) in [("one-time", &**password), ("chosen", "a password of mine")] {
            lab.write(name, text);
            std::fs::set_permissions(lab.path(name), <_ as PermissionsExt>::from_mode(0o600))
                .unwrap();
        }
        let authority = lab.text("data/tls/authority.pem");
        let login = ["login", &self.url, "--authority", &authority, "--password-file"];
        let files = [&lab.text("one-time"), "--new-password-file", &lab.text("chosen")];
        let ran = run(lab, &[&login[..], &files[..]].concat()).expect(0);
        assert!(ran.out.contains("as admin, administrator of system"), "{}", ran.out);
    }

    /// The same process says again that it has started.
    pub(crate) fn again(&mut self) {
        (self.url, self.password) = greeted(&mut self.lines);
    }

    /// It ends by itself.
    pub(crate) fn ended(mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    pub(crate) fn stop(mut self) -> i32 {
        let pid = i32::try_from(self.child.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

#[test]
fn a_manager_is_served_and_spoken_to() {
    let lab = Lab::new();
    let socket = UnixDatagram::bind(lab.path("notify")).unwrap();
    let served = serve(&lab, Some(&socket));
    let mut told = [0; 64];
    let length = socket.recv(&mut told).unwrap();
    assert_eq!(&told[..length], b"READY=1");
    let ran = run(&lab, &["tenant", "list"]).expect(2);
    assert!(ran.err.contains("log in first"), "{}", ran.err);
    served.login(&lab);
    let contexts = std::fs::metadata(lab.path("home/.config/tintype/contexts.json")).unwrap();
    assert_eq!(contexts.permissions().mode() & 0o777, 0o600);
    let quota = ["tenant", "create", "acme", "--quota", "2TiB", "--may-restore", "false"];
    run(&lab, &quota).expect(0);
    let ran = run(&lab, &["tenant", "list"]).expect(0);
    let line = ran.out.lines().find(|line| line.starts_with("acme")).unwrap().to_owned();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>()[2..5], ["yes", "yes", "no"]);
    run(&lab, &["tenant", "create", "acme"]).expect(5);
    run(&lab, &["tenant", "show", "nobody"]).expect(1);
    let user = ["user", "create", "eve", "--role", "viewer", "--tenant", "acme"];
    let file = lab.text("chosen");
    run(&lab, &[&user[..], &["--password-file", &file]].concat()).expect(0);
    run(&lab, &["user", "change", "eve", "--enabled", "false"]).expect(0);
    run(&lab, &["tenant", "delete", "acme"]).expect(5);
    let token = ["token", "create", "ci", "--role", "viewer", "--tenant", "acme"];
    let secret = run(&lab, &token).expect(0).out.trim().to_owned();
    let mut command = program(&lab, &["tenant", "list", "--json"]);
    command.env("TINTYPE_URL", &served.url).env("TINTYPE_TOKEN", &secret);
    command.env("TINTYPE_AUTHORITY", lab.path("data/tls/authority.pem"));
    let ran = Ran::of(&command.output().unwrap()).expect(0);
    let events = ran.events();
    assert_eq!((events.len(), &events[0]["name"]), (2, &serde_json::json!("acme")));
    let ran = run(&lab, &["audit", "check"]).expect(0);
    assert!(ran.out.contains("whole"), "{}", ran.out);
    let ran = run(&lab, &["audit", "list"]).expect(0);
    assert!(ran.out.contains("token.create") && !ran.out.contains(&secret), "{}", ran.out);
    run(&lab, &["logout"]).expect(0);
    assert_eq!(served.stop(), 0);
    let length = socket.recv(&mut told).unwrap();
    assert_eq!(&told[..length], b"STOPPING=1");
    let again = serve(&lab, None);
    assert!(again.password.is_none());
}

#[test]
fn settings_that_are_wrong_stop_it() {
    let lab = Lab::new();
    lab.write("tintype.toml", "lisen = '127.0.0.1:0'\n");
    let file = lab.text("tintype.toml");
    let data = lab.text("data");
    let ran = run(&lab, &["serve", "--data", &data, "--config", &file]).expect(2);
    assert!(ran.err.contains("did you mean `listen`?"), "{}", ran.err);
    let ran = run(&lab, &["serve", "--data", &data, "--config", &lab.text("none")]).expect(1);
    assert!(ran.err.contains("there is no"), "{}", ran.err);
    std::fs::create_dir(lab.path("open")).unwrap();
    std::fs::set_permissions(lab.path("open"), <_ as PermissionsExt>::from_mode(0o755)).unwrap();
    let ran = run(&lab, &["serve", "--data", &lab.text("open")]).expect(1);
    assert!(ran.err.contains("chmod 700"), "{}", ran.err);
}

#[test]
fn a_second_manager_of_one_data_directory_is_refused() {
    let lab = Lab::new();
    let served = serve(&lab, None);
    let second = ["serve", "--data", &lab.text("data"), "--listen", "127.0.0.1:0"];
    let ran = run(&lab, &second).expect(5);
    assert!(ran.err.contains("a manager runs with this data directory"), "{}", ran.err);
    // So is whatever else works with it.
    let sheet = ["manager", "rebuild-catalog", "--data", &lab.text("data")];
    assert!(run(&lab, &sheet).expect(5).err.contains("stop it first"));
    served.login(&lab);
    assert_eq!(served.stop(), 0);
}

/// From nothing to a protected application, its upgrade that fails, and the loss of everything.
#[test]
fn a_platform_is_protected_broken_lost_and_brought_back() {
    let lab = Lab::new();
    let served = serve(&lab, None);
    served.login(&lab);
    std::fs::create_dir(lab.path("shop")).unwrap();
    lab.write("shop/orders", "1, 2, 3");
    let shop = lab.text("shop");
    lab.write(
        "resources.yaml",
        format!(
            "version: 1\nresources:\n- {{ kind: application, name: shop, components: [ {{ resource: \
             orders }} ] }}\n- {{ kind: volume, name: orders, connector: files, at: {{ path: {shop} \
             }}, tags: [ protected ] }}\n"
        ),
    );
    let file = lab.text("resources.yaml");
    run(&lab, &["resource", "apply", &file]).expect(0);
    what_is_wrong_is_told(&lab, &file);
    let vault = lab.text("vault");
    run(&lab, &["storage", "add", "vault", "--url", &vault, "--default", "--shared"]).expect(0);
    let ran = run(&lab, &["storage", "check", "vault"]).expect(0);
    assert!(ran.out.contains("put-if-absent"), "{}", ran.out);
    let nas = lab.text("nas");
    let refused = run(&lab, &["storage", "add", "nas", "--url", &nas, "--mounted-at", &nas]);
    assert!(refused.expect(1).err.contains("nothing is mounted"), "an empty directory is no mount");
    let update = ["snapshot", "create", "--app", "shop", "--before-update", "--"];
    let script = format!("echo broken > {shop}/orders; exit 7");
    let ran = run(&lab, &[&update[..], &["sh", "-c", &script]].concat()).expect(1);
    assert!(ran.err.contains("`tintype restore "), "the way back is said: {}", ran.err);
    let ran = run(&lab, &["restore", "latest", "--app", "shop", "--dry-run"]).expect(0);
    assert!(ran.out.contains("orders: "), "{}", ran.out);
    assert_eq!(lab.read("shop/orders"), b"broken\n");
    let asked = run(&lab, &["restore", "latest", "--app", "shop"]).expect(2);
    assert!(asked.err.contains("--confirm shop"), "{}", asked.err);
    run(&lab, &["restore", "latest", "--app", "shop", "--confirm", "shop"]).expect(0);
    assert_eq!(lab.read("shop/orders"), b"1, 2, 3");
    schedules(&lab);
    run(&lab, &["snapshot", "create", "--full", "--note", "all of it"]).expect(0);
    let status = run(&lab, &["status"]).expect(0);
    assert!(!status.out.contains("NEVER"), "{}", status.out);
    assert!(status.err.contains("every full snapshot lies on this host"), "{}", status.err);
    let listed = run(&lab, &["snapshot", "list"]).expect(0).out;
    assert_eq!(listed.lines().count(), 4, "head, partial, undo point, full: {listed}");
    let runs = run(&lab, &["run", "list"]).expect(0).out;
    assert!(runs.contains("restore") && runs.contains("succeeded"), "{runs}");
    assert_eq!(served.stop(), 0);
    come_back(&lab, &listed);
}

#[test]
fn a_snapshot_is_looked_into_and_carried_away_and_back() {
    let lab = Lab::new();
    let served = serve(&lab, None);
    served.login(&lab);
    lab.write("web/index.html", "<h1>one</h1>");
    lab.write("web/deep/conf.ini", vec![b'x'; 300_000]);
    let web = lab.text("web");
    lab.write(
        "resources.yaml",
        format!(
            "version: 1\nresources:\n- {{ kind: volume, name: web, connector: files, at: {{ path: \
             {web} }} }}\n"
        ),
    );
    run(&lab, &["resource", "apply", &lab.text("resources.yaml")]).expect(0);
    run(&lab, &["snapshot", "create", "--app", "web"]).expect(0);
    let place = "tenants/system/volumes/web";
    let ran = run(&lab, &["snapshot", "ls", &format!("latest:/{place}")]).expect(0);
    assert_eq!(ran.out, "deep/\nindex.html\n");
    let ran = run(&lab, &["snapshot", "ls", &format!("latest:/{place}"), "--json"]).expect(0);
    assert_eq!(ran.events()[1]["path"], format!("{place}/index.html"));
    let ran = run(&lab, &["snapshot", "find", "latest", "*.ini"]).expect(0);
    assert_eq!(ran.out, format!("/{place}/deep/conf.ini\n"));
    let index = format!("latest:/{place}/index.html");
    assert_eq!(run(&lab, &["snapshot", "cat", &index]).expect(0).out, "<h1>one</h1>");
    run(&lab, &["snapshot", "cat", &format!("latest:/{place}/none")]).expect(1);
    lab.write("web/index.html", "<h1>two</h1>");
    run(&lab, &["snapshot", "create", "--app", "web"]).expect(0);
    let ran = run(&lab, &["snapshot", "versions", &format!("/{place}/index.html")]).expect(0);
    assert_eq!(ran.out.lines().count(), 3, "{}", ran.out);
    assert!(ran.out.lines().nth(1).unwrap().ends_with("content"), "{}", ran.out);
    let listed = run(&lab, &["snapshot", "list", "--json"]).expect(0).events();
    let older = listed[1]["id"].as_str().unwrap().to_owned();
    let ran = run(&lab, &["snapshot", "diff", &older]).expect(0);
    assert!(ran.out.contains(&format!("M /{place}/index.html")), "{}", ran.out);
    // What an interrupted download left is not fetched again.
    let file = lab.text("conf.ini");
    let conf = format!("latest:/{place}/deep/conf.ini");
    run(&lab, &["snapshot", "get", &conf, "-o", &file]).expect(0);
    assert_eq!(lab.read("conf.ini"), vec![b'x'; 300_000]);
    run(&lab, &["snapshot", "get", &conf, "-o", &file]).expect(5);
    let ran = run(&lab, &["snapshot", "get", &conf, "-o", &file, "--overwrite"]).expect(0);
    assert!(!ran.out.contains("already"), "{}", ran.out);
    overview(&lab);
    carried(&lab);
    assert_eq!(served.stop(), 0);
}

/// What is asked of everything at once.
fn overview(lab: &Lab) {
    let ran = run(lab, &["snapshot", "search", "*.ini"]).expect(0);
    assert!(
        ran.out.trim_end().ends_with("/tenants/system/volumes/web/deep/conf.ini"),
        "{}",
        ran.out
    );
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.out);
    let ran = run(lab, &["snapshot", "recovery", "latest"]).expect(0);
    assert!(ran.out.contains("chosen resources only"), "{}", ran.out);
    let ran = run(lab, &["status", "--name", "WE"]).expect(0);
    let line = ran.out.lines().find(|line| line.starts_with("web")).unwrap();
    assert!(line.trim_end().ends_with("++"), "the last two: {line}");
    let days = run(lab, &["status", "--days", "2", "--json"]).expect(0).events();
    let complete = days.iter().filter_map(|day| day["complete"].as_u64()).sum::<u64>();
    assert_eq!(complete, 2, "{days:?}");
    let until = run(lab, &["events", "--once", "--json"]).expect(0).events();
    let from = until[0]["id"].as_str().unwrap().to_owned();
    let ran = run(lab, &["storage", "key", "add", "internal", "--recovery", "--label", "safe"]);
    let ran = ran.expect(0);
    let words = ran.out.lines().find(|line| line.trim().split(' ').count() == 12);
    assert!(words.is_some() && ran.out.contains("tintype recover --from"), "{}", ran.out);
    run(lab, &["tenant", "create", "acme"]).expect(0);
    let told = run(lab, &["events", "--once", "--after", &from]).expect(0).out;
    assert!(told.starts_with("tenant ") && told.contains(" created"), "{told}");
}

/// Out as a file, back as a snapshot.
fn carried(lab: &Lab) {
    let file = lab.text("web.zip");
    let password = lab.text("chosen");
    let export = ["snapshot", "export", "latest", "-o", &file, "--password-file", &password];
    let ran = run(lab, &export).expect(0);
    assert!(ran.err.contains("/tenants (applications"), "what is secret is said: {}", ran.err);
    let left = std::fs::read_dir(lab.path("data/bundles")).unwrap().count();
    assert_eq!(left, 0, "the manager's copy is deleted");
    let import = ["snapshot", "import", &file, "--keep", "7d", "--password-file", &password];
    let ran = run(lab, &import).expect(0);
    let id = ran.out.lines().last().unwrap().strip_prefix("snapshot ").unwrap().to_owned();
    let place = format!("{id}:/tenants/system/volumes/web/index.html");
    assert_eq!(run(lab, &["snapshot", "cat", &place]).expect(0).out, "<h1>two</h1>");
    let ran = run(lab, &["snapshot", "import", "http://127.0.0.1:1/web.zip"]).expect(1);
    assert!(ran.err.contains("no public address"), "{}", ran.err);
    let plain = lab.text("plain.zip");
    let ran = run(lab, &["snapshot", "export", &id, "-o", &plain, "--plain"]).expect(0);
    assert!(ran.err.contains("not encrypted"), "{}", ran.err);
    let add = ["storage", "key", "add", "internal", "--label", "spare", "--password-file"];
    run(lab, &[&add[..], &[&password]].concat()).expect(0);
    let slots = run(lab, &["storage", "key", "list", "internal", "--json"]).expect(0).events();
    let spare = slots.iter().find(|slot| slot["label"] == "spare").unwrap()["id"].clone();
    let remove = ["storage", "key", "remove", "internal", &spare.as_str().unwrap()[..8]];
    run(lab, &remove).expect(0);
    lab.write(
        "hourly.yaml",
        "name: hourly\nscope: full\nperiods:\n- { name: h, frequency: { hourly: { minute: 5 } }, \
         time_zone: UTC }\n",
    );
    run(lab, &["profile", "apply", &lab.text("hourly.yaml")]).expect(0);
    let preview = ["profile", "preview", "hourly", "--on", "2031-12-24"];
    let ran = run(lab, &preview).expect(0);
    assert!(ran.out.contains("h: 0 would go at once"), "{}", ran.out);
}

/// Descriptions are checked when they are given, and what is shown can be given again.
fn what_is_wrong_is_told(lab: &Lab, file: &str) {
    let ran = run(lab, &["resource", "apply", file]).expect(0);
    assert!(ran.out.contains("resource orders is as described"), "{}", ran.out);
    lab.write("typo.yaml", lab.read_text("resources.yaml").replace("path:", "paht:"));
    let typo = run(lab, &["resource", "apply", &lab.text("typo.yaml")]).expect(2);
    assert!(typo.err.contains("orders: at: connector files knows no `paht`"), "{}", typo.err);
    let shown = run(lab, &["resource", "show", "orders"]).expect(0).out;
    lab.write("shown.yaml", shown);
    let ran = run(lab, &["resource", "apply", &lab.text("shown.yaml")]).expect(0);
    assert!(ran.out.contains("resource orders is as described"), "{}", ran.out);
    let status = run(lab, &["status"]).expect(0);
    assert!(status.out.contains("NEVER CAPTURED"), "{}", status.out);
    assert!(status.err.contains("there is no full snapshot"), "{}", status.err);
    let within = lab.text("data/inside");
    let refused = run(lab, &["storage", "add", "inside", "--url", &within]).expect(1);
    assert!(refused.err.contains("own data directory"), "{}", refused.err);
}

fn schedules(lab: &Lab) {
    lab.write(
        "nightly.yaml",
        "name: nightly\nscope: full\nperiods:\n- { name: daily, frequency: { daily: { time: \
         \"02:30\" } }, time_zone: Europe/Berlin }\n",
    );
    run(lab, &["profile", "apply", &lab.text("nightly.yaml")]).expect(0);
    let ran = run(lab, &["profile", "next", "nightly"]).expect(0);
    assert!(ran.out.lines().count() > 10 && ran.out.contains("02:30"), "{}", ran.out);
    let made = run(lab, &["profile", "ready-made", "sox", "--time-zone", "Europe/Berlin"]);
    lab.write("sox.yaml", made.expect(0).out);
    run(lab, &["profile", "apply", &lab.text("sox.yaml")]).expect(0);
    let shown = run(lab, &["profile", "show", "sox"]).expect(0).out;
    assert_eq!(shown, lab.read_text("sox.yaml"), "what is shown can be applied");
    lab.write(
        "unknown.yaml",
        lab.read_text("nightly.yaml")
            .replace("scope: full", "scope: { partial: { resources: [ nobody ] } }"),
    );
    let refused = run(lab, &["profile", "apply", &lab.text("unknown.yaml")]).expect(1);
    assert!(refused.err.contains("there is no resource nobody"), "{}", refused.err);
}

/// All but the storage is lost.
fn come_back(lab: &Lab, listed: &str) {
    let vault = lab.text("vault");
    let data = lab.text("data");
    let sheet = run(lab, &["manager", "recovery-sheet", "--data", &data]).expect(0).out;
    let words = sheet.lines().find_map(|line| line.trim().strip_prefix("words: ")).unwrap();
    lab.write("words", words);
    let ran = run(lab, &["manager", "rebuild-catalog", "--data", &data]).expect(0);
    assert!(ran.out.contains("3 snapshots of 1 repository"), "{}", ran.out);
    std::fs::remove_dir_all(lab.path("data")).unwrap();
    std::fs::remove_dir_all(lab.path("shop")).unwrap();
    let ran = run(lab, &["recover", "--from", &vault, "--list"]).expect(0);
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.out);
    let file = lab.text("words");
    let recover = ["recover", "--from", &vault, "--words-file", &file, "--data", &data];
    let ran = run(lab, &recover).expect(0);
    assert!(ran.out.contains("is back") && ran.err.contains("tintype serve"), "{}", ran.out);
    run(lab, &recover).expect(5);
    let served = serve(lab, None);
    assert!(served.password.is_none(), "the users are those that there were");
    let authority = lab.text("data/tls/authority.pem");
    let login = ["login", &served.url, "--authority", &authority, "--password-file"];
    run(lab, &[&login[..], &[&lab.text("chosen")]].concat()).expect(0);
    assert_eq!(run(lab, &["snapshot", "list"]).expect(0).out, *listed);
    run(lab, &["restore", "latest", "--confirm", "orders"]).expect(0);
    assert_eq!(lab.read("shop/orders"), b"1, 2, 3");
    assert_eq!(served.stop(), 0);
}

#[test]
fn a_first_start_that_cannot_listen_makes_nothing() {
    let lab = Lab::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = lab.text("data");
    let ran = run(&lab, &["serve", "--data", &data, "--listen", &address]).expect(1);
    assert!(ran.err.contains(&address), "{}", ran.err);
    // The password is still to be told, once.
    let served = serve(&lab, None);
    assert!(served.password.is_some());
    assert_eq!(served.stop(), 0);
}
