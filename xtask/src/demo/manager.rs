//! The same application under a manager: an upgrade that fails, then the loss of everything.

use super::application::Shop;
use super::{Demo, title};
use crate::clock::Stopwatch;
use crate::{interrupt, sh::Sh};
use anyhow::{Context, ensure};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What the upgrade is to find, and breaks.
const ORDERS: &str = "select count(*) || ' ' || md5(string_agg(id || what, ',' order by id)) from \
                      orders";

/// A manager that runs.
struct Served {
    child: Child,
    url: String,
    password: Option<String>,
    keep: bool,
}

impl Drop for Served {
    fn drop(&mut self) {
        if !self.keep {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Demo {
    /// What was done and found, in words.
    pub(super) fn managed(&self, shop: &mut Shop) -> anyhow::Result<String> {
        title("the same application under a manager");
        fs::create_dir(&self.managed)?;
        shop.orders.resume(&[]);
        let served = self.serve()?;
        let password = served.password.clone().context("its first password is not told")?;
        self.secret("one-time", &password)?;
        self.secret("password", "a password of the demo")?;
        let authority = self.managed.join("data/tls/authority.pem");
        let files = ["one-time", "password"].map(|name| self.managed.join(name));
        let login = self.tintype(&["login", &served.url]);
        let login = login.arg("--authority").arg(&authority);
        let login = login.arg("--password-file").arg(&files[0]);
        login.arg("--new-password-file").arg(&files[1]).run()?;
        let described = self.managed.join("shop.json");
        fs::write(&described, serde_json::to_string_pretty(&shop.description())?)?;
        self.tintype(&["resource", "apply"]).arg(&described).run()?;
        let vault = self.managed.join("vault");
        self.tintype(&["storage", "add", "vault", "--default", "--url"]).arg(&vault).run()?;

        let before = shop.orders.sql(ORDERS);
        let document = shop.volume.path.join("orders/1");
        let seconds = self.upgrade(shop, &before, &document)?;

        title("a full snapshot, then everything is lost");
        self.tintype(&["snapshot", "create", "--full"]).run()?;
        drop(served);
        let words = self.words()?;
        shop.orders.stop("immediate");
        fs::remove_dir_all(&shop.orders.data)?;
        fs::remove_dir_all(shop.volume.path.join("orders"))?;
        fs::remove_dir_all(self.managed.join("data"))?;
        println!("   the manager's data directory, the cluster and the documents are deleted");
        let watch = Stopwatch::start();
        // It did not end, it is gone: whoever takes over says so.
        let installation = self.installation(&vault)?;
        let recover = self.tintype(&["recover", "--take-over", &installation, "--from"]);
        let recover = recover.arg(&vault);
        let recover = recover.arg("--words-file").arg(&words);
        recover.arg("--data").arg(self.managed.join("data")).run()?;
        let served = self.serve()?;
        let login = self.tintype(&["login", &served.url]);
        let login = login.arg("--authority").arg(&authority);
        login.arg("--password-file").arg(&files[1]).run()?;
        let back =
            ["restore", "latest", "--app", "shop", "--without-undo-point", "--confirm", "shop"];
        self.tintype(&back).run()?;
        let recovered = watch.seconds();
        ensure!(shop.orders.sql(ORDERS) == before, "other orders came back");
        ensure!(fs::read_to_string(&document)? == "order 1\n", "another document came back");
        self.tintype(&["snapshot", "list"]).run()?;
        let kept = match self.keep {
            true => format!(
                "\nThe manager is left running at {} (user admin, password in {}).",
                served.url,
                files[1].display()
            ),
            false => String::new(),
        };
        Ok(format!(
            "Under a manager: after the upgrade that failed the application was back in {seconds:.1} \
             s;\nafter the loss of everything the manager and the application were back in \
             {recovered:.1} s, from\nthe store and twelve words. No difference.{kept}"
        ))
    }

    /// Takes a snapshot, breaks the application, brings it back; gives the seconds of that.
    fn upgrade(&self, shop: &mut Shop, before: &str, document: &Path) -> anyhow::Result<f64> {
        title("a partial snapshot before an upgrade, which fails");
        let failing = format!("echo lost > {}; exit 1", document.display());
        let update = ["snapshot", "create", "--app", "shop", "--before-update", "--", "sh", "-c"];
        let failed = self.tintype(&update).arg(&failing).run();
        ensure!(failed.is_err(), "the upgrade was to fail");
        shop.orders.sql("delete from orders");
        println!("   the upgrade failed: the orders are gone, a document is wrong");
        shop.orders.stop("immediate");
        let watch = Stopwatch::start();
        let back =
            ["restore", "latest", "--app", "shop", "--without-undo-point", "--confirm", "shop"];
        self.tintype(&back).run()?;
        let seconds = watch.seconds();
        ensure!(shop.orders.sql(ORDERS) == *before, "other orders came back");
        ensure!(fs::read_to_string(document)? == "order 1\n", "another document came back");
        Ok(seconds)
    }

    /// The program, speaking to this manager and no other.
    fn tintype(&self, args: &[&str]) -> Sh {
        let shown: Vec<&str> = args.iter().take(4).copied().collect();
        println!("   $ tintype {} …", shown.join(" "));
        Sh::new(&self.program).args(args).env("XDG_CONFIG_HOME", self.managed.join("config"))
    }

    fn secret(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        use std::io::Write as _;
        let path = self.managed.join(name);
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        writeln!(file, "{text}")?;
        Ok(path)
    }

    fn serve(&self) -> anyhow::Result<Served> {
        interrupt::check()?;
        println!("   $ tintype serve");
        let mut command = Command::new(&self.program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]);
        let log = fs::File::create(self.managed.join("manager.log"))?;
        command.arg(self.managed.join("data")).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().context("the manager cannot be started")?;
        let out = child.stdout.take().context("its output")?;
        let mut served = Served { child, url: String::new(), password: None, keep: self.keep };
        for line in BufReader::new(out).lines() {
            let line = line?;
            if let Some(told) = line.strip_prefix("first login: user admin, password ") {
                served.password = Some(told.to_owned());
            }
            if let Some(url) = line.strip_prefix("listens on ") {
                url.clone_into(&mut served.url);
            }
            if line.contains("--authority") {
                break;
            }
        }
        ensure!(!served.url.is_empty(), "the manager ended: see {}", log_of(&self.managed));
        println!("   it listens on {}", served.url);
        Ok(served)
    }

    /// The one that has snapshots there.
    fn installation(&self, vault: &Path) -> anyhow::Result<String> {
        let listed = self.tintype(&["recover", "--list", "--json", "--from"]).arg(vault).read()?;
        let mut events =
            listed.lines().filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok());
        let id = events.find_map(|event| event["id"].as_str().map(str::to_owned));
        id.context("no installation is listed")
    }

    /// The twelve words, as they stand on the recovery sheet.
    fn words(&self) -> anyhow::Result<PathBuf> {
        let sheet = self.tintype(&["manager", "recovery-sheet", "--data"]);
        let sheet = sheet.arg(self.managed.join("data")).read()?;
        let words = sheet.lines().find_map(|line| line.trim().strip_prefix("words: "));
        self.secret("words", words.context("there are no words on the recovery sheet")?)
    }
}

fn log_of(folder: &Path) -> String {
    folder.join("manager.log").display().to_string()
}
