//! B: source code, from the two registries that carry exact versions for ever.
//!
//! `corpus/crates.{toml,lock}` pin the crates, [`GO_MODULES`] the Go modules; both come through
//! the ordinary clients (`cargo vendor`, `go mod download`), which check what they receive.

use super::rng::Rng;
use crate::sh::{Sh, which};
use crate::{interrupt, walk};
use anyhow::{Context, bail};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

const MANIFEST: &str = include_str!("corpus/crates.toml");
const LOCK: &str = include_str!("corpus/crates.lock");

const GO_MODULES: [&str; 8] = [
    "github.com/hashicorp/terraform@v1.13.3",
    "github.com/kopia/kopia@v0.22.3",
    "github.com/prometheus/prometheus@v0.316.0",
    "github.com/restic/restic@v0.18.1",
    "go.etcd.io/etcd/server/v3@v3.7.3",
    "golang.org/x/tools@v0.52.0",
    "google.golang.org/grpc@v1.85.0",
    "k8s.io/kubernetes@v1.36.3",
];

pub(super) fn describe(smoke: bool) -> String {
    if smoke {
        return "the sources of xtask".to_owned();
    }
    let crates = LOCK.matches("[[package]]").count() - 1;
    format!("{crates} crates of corpus/crates.lock, Go modules {}", GO_MODULES.join(" "))
}

pub(super) fn make(root: &Path, smoke: bool) -> anyhow::Result<()> {
    if smoke {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        return Sh::new("cp").arg("-r").arg(sources).arg(root.join("src")).run();
    }
    crates(root)?;
    go_modules(root)
}

fn crates(root: &Path) -> anyhow::Result<()> {
    let project = tempfile::Builder::new().prefix("corpus-").tempdir_in(root)?;
    fs::write(project.path().join("Cargo.toml"), MANIFEST)?;
    fs::write(project.path().join("Cargo.lock"), LOCK)?;
    fs::write(project.path().join("lib.rs"), "")?;
    let folder = root.join("crates");
    let sh = Sh::cargo()?.args(["vendor", "--quiet", "--locked"]).arg(&folder);
    // It prints a configuration that nobody here needs.
    sh.dir(project.path()).read().context("cannot fetch the crates")?;
    Ok(())
}

fn go_modules(root: &Path) -> anyhow::Result<()> {
    if which("go").is_none() {
        bail!("Go is needed to fetch the modules of data set B and is not installed");
    }
    let folder = root.join("go");
    for module in GO_MODULES {
        interrupt::check()?;
        Sh::new("go")
            .args(["mod", "download", module])
            .env("GOMODCACHE", &folder)
            .env("GOFLAGS", "-modcacherw")
            .dir(root)
            .read()
            .with_context(|| format!("cannot fetch {module}"))?;
    }
    // The downloads as they came; the unpacked modules lie beside them.
    fs::remove_dir_all(folder.join("cache"))?;
    Ok(())
}

/// Inverts the first bytes of every hundredth file; sizes stay. Twice is as before, but for times.
pub(super) fn toggle_change(root: &Path) -> anyhow::Result<()> {
    let mut rng = Rng::new(0xB000);
    walk::each(root, |relative, metadata| {
        let is_chosen = metadata.is_file() && metadata.len() > 0 && rng.below(100) == 0;
        if is_chosen {
            let path = root.join(relative);
            let file = OpenOptions::new().read(true).write(true).open(&path);
            let file = file.with_context(|| format!("cannot change {}", path.display()))?;
            let mut bytes = [0; 64];
            let length = file.read_at(&mut bytes, 0)?;
            for byte in &mut bytes {
                *byte = !*byte;
            }
            file.write_all_at(&bytes[..length], 0)?;
        }
        Ok(())
    })
}
