//! A small application of three parts, used while it is captured, destroyed and brought back:
//! orders in PostgreSQL, a document for each on a volume, and a machine that counts.

use super::{Demo, title};
use crate::clock::Stopwatch;
use crate::compare::{self, Depth};
use crate::table::bytes;
use crate::{interrupt, sh::Sh};
use anyhow::{Context, bail, ensure};
use serde_json::json;
use std::ffi::OsStr;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tintype_testkit::guest::{self, Guest};
use tintype_testkit::postgres::{self, Postgres};
use tintype_testkit::volumes::Mounted;

/// Real files that lie on the volume beside the documents.
const PAPERS: &str = "/usr/share/doc";
const PAPERS_BYTES: u64 = 24 << 20;
/// Orders before the snapshot begins.
const FIRST_ORDERS: u64 = 20;
/// What is compared of the orders up to one.
const DIGEST: &str = "select count(*) || ' ' || md5(coalesce(string_agg(id || what, ',' order by \
                      id), '')) from orders where id <= ";

/// Why there can be no such application on this machine.
pub(super) fn lacking() -> Option<&'static str> {
    // Bit 21 is CAP_SYS_ADMIN (capabilities(7)).
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    if !rustix::process::geteuid().is_root() || effective.is_none_or(|mask| mask >> 21 & 1 == 0) {
        return Some("installing PostgreSQL and mounting a file system need root");
    }
    (!Path::new("/dev/loop-control").exists()).then_some("there are no loop devices")
}

/// Whether QEMU is here or can be installed.
fn has_machines() -> bool {
    let package = Sh::new("apt-cache").args(["policy", "qemu-system-x86"]).read();
    let can_come = package.is_ok_and(|text| {
        text.lines().any(|line| line.contains("Candidate:") && !line.contains("(none)"))
    });
    cfg!(target_arch = "x86_64") && (Path::new("/usr/bin/qemu-system-x86_64").exists() || can_come)
}

/// The parts, running.
pub(super) struct Shop {
    pub(super) orders: Postgres,
    pub(super) volume: Mounted,
    machine: Option<Guest>,
    /// Holds the machine's disks and sockets.
    place: PathBuf,
    /// A second copy of the papers, to compare with.
    papers: PathBuf,
}

impl Demo {
    /// Captures, destroys and restores it; what was found, in words.
    pub(super) fn application(&self) -> anyhow::Result<String> {
        let place = &self.application;
        title("a small application: orders in PostgreSQL, documents on a volume, a machine");
        fs::create_dir(place)?;
        let mut shop = Shop::open(place)?;
        let file = place.join("shop.json");
        fs::write(&file, serde_json::to_string_pretty(&shop.description())?)?;
        println!("   {}", file.display());

        let stop = AtomicBool::new(false);
        let written = AtomicU64::new(0);
        let counted = shop.count()?;
        let before = shop.while_used(&stop, &written, || {
            wait_for(&written, FIRST_ORDERS)?;
            let before = written.load(Ordering::SeqCst);
            let args = [OsStr::new("snapshot"), "--resources".as_ref(), file.as_ref()];
            self.step("one snapshot of all, while orders come in", &args)?;
            Ok(before)
        })?;
        let possible = before..=written.load(Ordering::SeqCst);
        let counted = counted..=shop.count()?;
        let digest = shop.digests(*possible.end());

        title("a bad day");
        shop.destroy()?;
        println!("   the cluster, the documents and the disks are deleted");
        let args =
            ["restore", "latest", "--resources", "--in-place", "--without-undo-point", "--yes"];
        let seconds = self.step("bring it back", &args.map(OsStr::new))?;
        let found = shop.found(&possible, &counted, &digest)?;
        let managed = self.managed(&mut shop)?;
        Ok(format!("{found}\nBrought back in {seconds:.1} s.\n\n{managed}"))
    }
}

impl Shop {
    fn open(place: &Path) -> anyhow::Result<Self> {
        let orders = Postgres::start();
        // Where it is found must be written in the cluster itself: who restores it starts it so.
        orders.sql(&format!("alter system set port = {}", orders.port));
        orders.sql(&format!("alter system set unix_socket_directories = '{}'", orders.host()));
        orders.sql("create table orders(id bigint primary key, what text not null)");
        let volume = Mounted::new("btrfs");
        fs::create_dir(volume.path.join("orders"))?;
        let papers = place.join("papers");
        let found = gather(&papers)?;
        Sh::new("cp").arg("-a").arg(&papers).arg(volume.path.join("papers")).run()?;
        println!("   a PostgreSQL cluster, {} on btrfs", bytes(found));
        let place = place.join("machine");
        fs::create_dir(&place)?;
        let machine = match has_machines() {
            true => Some(Guest::boot_in(&place, &guest::Options::default())),
            false => None,
        };
        println!(
            "   {}",
            match machine {
                Some(_) => "a machine of QEMU with a guest agent and two disks",
                None => "no machine: QEMU cannot be installed here",
            }
        );
        Ok(Self { orders, volume, machine, place, papers })
    }

    pub(super) fn description(&self) -> serde_json::Value {
        let at = json!({ "host": self.orders.host(), "port": self.orders.port });
        let mut resources = vec![
            json!({ "kind": "database", "name": "orders", "connector": "postgres", "at": at }),
            json!({ "kind": "volume", "name": "documents", "connector": "btrfs",
                    "at": { "path": self.volume.path } }),
        ];
        let mut parts = vec!["orders", "documents"];
        if let Some(machine) = &self.machine {
            let disk = |(name, file, format): &(String, PathBuf, String)| {
                (name.clone(), json!({ "file": file, "format": format }))
            };
            let disks: serde_json::Map<_, _> = machine.disks.iter().map(disk).collect();
            resources.push(json!({ "kind": "vm", "name": "counter", "connector": "qemu",
                "at": { "qmp": machine.qmp, "agent": machine.agent, "disks": disks } }));
            parts.push("counter");
        }
        let components: Vec<_> = parts.iter().map(|name| json!({ "resource": name })).collect();
        resources.push(json!({ "kind": "application", "name": "shop", "version": "1.0",
                               "components": components }));
        json!({ "version": 1, "resources": resources })
    }

    /// The machine's number; 0 without one.
    fn count(&mut self) -> anyhow::Result<u64> {
        interrupt::check()?;
        Ok(self.machine.as_mut().map_or(0, Guest::sequence))
    }

    /// Orders come in until `act` is done: each a row, then a document.
    #[expect(clippy::disallowed_methods, reason = "the customers are a thread of their own")]
    fn while_used<T>(
        &self,
        stop: &AtomicBool,
        written: &AtomicU64,
        act: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        std::thread::scope(|scope| {
            let customers = scope.spawn(|| self.order(stop, written));
            let done = act();
            stop.store(true, Ordering::SeqCst);
            customers.join().expect("orders can be written")?;
            done
        })
    }

    fn order(&self, stop: &AtomicBool, written: &AtomicU64) -> anyhow::Result<()> {
        for id in 1u64.. {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            self.orders.sql(&format!("insert into orders values ({id}, 'order {id}')"));
            // Whole or not at all, whenever the volume is frozen.
            let (new, document) = (self.volume.path.join("new"), format!("orders/{id}"));
            fs::write(&new, format!("order {id}\n"))?;
            fs::rename(new, self.volume.path.join(document))?;
            written.store(id, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Of all orders up to each number.
    fn digests(&self, most: u64) -> Vec<String> {
        (0..=most).map(|id| self.orders.sql(&format!("{DIGEST}{id}"))).collect()
    }

    fn destroy(&mut self) -> anyhow::Result<()> {
        self.orders.stop("immediate");
        fs::remove_dir_all(&self.orders.data)?;
        for entry in fs::read_dir(&self.volume.path)? {
            let path = entry?.path();
            if path.is_dir() && path.file_name() != Some(OsStr::new(".tintype-snapshots")) {
                fs::remove_dir_all(path)?;
            }
        }
        if let Some(machine) = self.machine.take() {
            let disks = machine.disks.clone();
            machine.kill();
            disks.iter().try_for_each(|(_, file, _)| fs::remove_file(file))?;
        }
        Ok(())
    }

    /// What came back is of one moment of the snapshot, and whole.
    fn found(
        &self,
        possible: &RangeInclusive<u64>,
        counted: &RangeInclusive<u64>,
        digests: &[String],
    ) -> anyhow::Result<String> {
        title("compare what came back");
        let (host, port) = (self.orders.host(), self.orders.port);
        let ask = |sql: &str| postgres::query(&host, port, "postgres", sql);
        let rows: u64 = ask("select count(*) from orders").parse()?;
        ensure!(possible.contains(&rows), "{rows} orders came back, not {possible:?}");
        let digest = ask(&format!("{DIGEST}{rows}"));
        ensure!(digests.get(usize::try_from(rows)?) == Some(&digest), "other orders came back");
        let documents = self.documents()?;
        // One may have been between its row and its document.
        ensure!(
            documents == rows || documents + 1 == rows,
            "{documents} documents came back with {rows} orders"
        );
        let report =
            compare::trees(&self.papers, &self.volume.path.join("papers"), Depth::Everything)?;
        if !report.is_equal() {
            bail!("the papers differ: {}", report.shown.join("; "));
        }
        postgres::stop(&self.orders.data, "fast");
        let mut told = format!(
            "Compared: {rows} orders by digest, {documents} documents (of one moment: no document \
             without its\norder), {} files beside them, {} byte by byte with all metadata",
            report.files,
            bytes(report.bytes),
        );
        if self.place.join("root.qcow2").exists() {
            let mut machine = Guest::boot_in(
                &self.place,
                &guest::Options { words: "nowriter".into(), ..guest::Options::default() },
            );
            let number = machine.sequence();
            ensure!(counted.contains(&number), "the machine says {number}, not {counted:?}");
            told += &format!(
                "; the machine starts and goes on at {number}\n(it was at {} before \
                the snapshot and at {} after it)",
                counted.start(),
                counted.end()
            );
            machine.kill();
        }
        Ok(told + ". No difference.")
    }

    fn documents(&self) -> anyhow::Result<u64> {
        let mut count = 0;
        for entry in fs::read_dir(self.volume.path.join("orders"))? {
            let path = entry?.path();
            let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path)?;
            ensure!(text == format!("order {id}\n"), "{} holds {text:?}", path.display());
            count += 1;
        }
        Ok(count)
    }
}

fn wait_for(written: &AtomicU64, number: u64) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    while written.load(Ordering::SeqCst) < number {
        interrupt::check()?;
        ensure!(watch.seconds() < 60.0, "no orders come in");
        std::thread::yield_now();
    }
    Ok(())
}

/// Copies real files; gives their bytes.
fn gather(papers: &Path) -> anyhow::Result<u64> {
    fs::create_dir(papers)?;
    let mut found = 0;
    for entry in fs::read_dir(PAPERS).with_context(|| PAPERS.to_owned())? {
        if found >= PAPERS_BYTES {
            break;
        }
        interrupt::check()?;
        let from = entry?.path();
        Sh::new("cp").arg("-a").arg(&from).arg(papers).run()?;
        found = crate::walk::totals(papers)?.bytes;
    }
    Ok(found)
}
