//! SeaweedFS on loopback: the object store of the S3 measurements.

use super::tools::{S3_ACCESS_KEY, S3_SECRET_KEY};
use crate::clock::{self, Stopwatch};
use crate::interrupt;
use anyhow::{Context, bail};
use std::fs::File;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(super) const BUCKET: &str = "bench";
const START_SECONDS: f64 = 60.0;

/// A running store; it ends when this is dropped.
pub(super) struct Store {
    process: Child,
    pub(super) endpoint: String,
}

impl Drop for Store {
    fn drop(&mut self) {
        // Nothing can be done about a process that is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Store {
    pub(super) fn start(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let weed = tintype_testkit::seaweedfs::program();
        let config = folder.join("s3.json");
        std::fs::write(&config, identities())?;
        let ports: [u16; 8] = tintype_testkit::server::free_ports();
        let [s3, _, master, master_grpc, filer, filer_grpc, ..] = ports;
        let names = ["s3", "master", "filer", "volume"].into_iter();
        let names = names.flat_map(|name| [format!("{name}.port"), format!("{name}.port.grpc")]);
        let log = File::create(folder.join("log"))?;
        let process = Command::new(&weed)
            .arg("server")
            .arg(format!("-dir={}", folder.display()))
            .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.volumeSizeLimitMB=1024"])
            .args(["-volume.max=20", "-filer", "-s3"])
            .args(names.zip(ports).map(|(name, port)| format!("-{name}={port}")))
            .arg(format!("-s3.config={}", config.display()))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", weed.display()))?;
        let mut store = Self { process, endpoint: format!("http://127.0.0.1:{s3}") };
        store.wait_for(s3, &folder.join("log"))?;
        store.make_bucket(&weed, (master, master_grpc), (filer, filer_grpc))?;
        Ok(store)
    }

    fn wait_for(&mut self, port: u16, log: &PathBuf) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            interrupt::check()?;
            if self.process.try_wait()?.is_some() || watch.seconds() > START_SECONDS {
                let text = std::fs::read_to_string(log).unwrap_or_default();
                bail!("SeaweedFS does not start:\n{text}");
            }
            clock::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// The store's own shell makes the bucket; it needs no signature.
    fn make_bucket(
        &self,
        weed: &Path,
        master: (u16, u16),
        filer: (u16, u16),
    ) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        loop {
            interrupt::check()?;
            let output = Command::new(weed)
                .arg("shell")
                .arg(format!("-master=127.0.0.1:{}.{}", master.0, master.1))
                .arg(format!("-filer=127.0.0.1:{}.{}", filer.0, filer.1))
                .stdin(script(&format!("s3.bucket.create -name {BUCKET}\ns3.bucket.list\n"))?)
                .output()?;
            if String::from_utf8_lossy(&output.stdout).contains(&format!("  {BUCKET}\t")) {
                return Ok(());
            }
            if watch.seconds() > START_SECONDS {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                bail!("SeaweedFS does not make the bucket at {}: {text}", self.endpoint);
            }
            clock::sleep(Duration::from_millis(300));
        }
    }
}

/// A readable file with `text`, to serve as standard input.
fn script(text: &str) -> anyhow::Result<File> {
    use std::io::{Seek, Write};
    let mut file = tempfile::tempfile()?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

fn identities() -> String {
    let actions = ["Admin", "Read", "Write", "List", "Tagging"];
    let keys = serde_json::json!([{ "accessKey": S3_ACCESS_KEY, "secretKey": S3_SECRET_KEY }]);
    let who = serde_json::json!({ "name": "bench", "credentials": keys, "actions": actions });
    serde_json::json!({ "identities": [who] }).to_string()
}
