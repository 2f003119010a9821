//! Every tool that is measured, one small definition each: how it makes a repository, takes a
//! snapshot and restores one. `docs/benchmarks.md` prints these command lines.

use super::measure::Cmd;
use super::peers;
use super::sets::Set;
use crate::paths;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub(super) const PASSWORD: &str = "benchmark";

/// Where a repository is.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Folder(PathBuf),
    S3 { endpoint: String, bucket: &'static str, prefix: String },
}

pub(super) const S3_ACCESS_KEY: &str = "benchmark";
pub(super) const S3_SECRET_KEY: &str = "benchmark-secret";
const S3_REGION: &str = "us-east-1";

/// One tool at work on one data set.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) set: Set,
    pub(super) place: Place,
    pub(super) source: PathBuf,
    pub(super) target: PathBuf,
    /// Configuration and caches; fresh for each repository.
    pub(super) state: PathBuf,
    /// Number of the snapshot, for tools which want a name for each.
    pub(super) sequence: u32,
}

impl Job {
    fn folder(&self) -> &Path {
        match &self.place {
            Place::Folder(folder) => folder,
            Place::S3 { .. } => Path::new(""),
        }
    }

    fn is_sparse(&self) -> bool {
        self.set == Set::D
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tool {
    Tintype,
    Restic,
    Kopia,
    Rustic,
    Borg,
}

pub(super) const PEERS: [Tool; 4] = [Tool::Restic, Tool::Kopia, Tool::Rustic, Tool::Borg];

impl Tool {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tintype => "tintype",
            Self::Restic => "restic",
            Self::Kopia => "kopia",
            Self::Rustic => "rustic",
            Self::Borg => "borg",
        }
    }

    pub(crate) fn program(self) -> anyhow::Result<PathBuf> {
        match self {
            Self::Tintype => Ok(paths::target()?.join("release/tintype")),
            peer => peers::program(peer),
        }
    }

    pub(super) fn version_word(self) -> &'static str {
        if self == Self::Restic { "version" } else { "--version" }
    }

    pub(super) fn can_use(self, place: &Place) -> bool {
        matches!(place, Place::Folder(_)) || self != Self::Borg
    }

    pub(super) fn init(self, program: &Path, job: &Job) -> Vec<Cmd> {
        match self {
            Self::Tintype => vec![tintype(program, job, "init")],
            Self::Restic => vec![restic(program, job).arg("init")],
            Self::Kopia => kopia_init(program, job),
            Self::Rustic => vec![rustic(program, job).arg("init")],
            Self::Borg => vec![borg(program, job).arg("init").arg("--encryption=repokey")],
        }
    }

    pub(super) fn snapshot(self, program: &Path, job: &Job) -> Cmd {
        let source = &job.source;
        match self {
            Self::Tintype => tintype(program, job, "snapshot").arg(source).arg("--json"),
            Self::Restic => restic(program, job).arg("backup").arg("--quiet").arg(source),
            Self::Kopia => {
                kopia(program, job).arg("snapshot").arg("create").arg("--no-progress").arg(source)
            }
            Self::Rustic => rustic(program, job).arg("backup").arg(source),
            Self::Borg => borg(program, job)
                .arg("create")
                .arg("--compression=lz4")
                .arg(format!("::run-{}", job.sequence))
                .arg(source),
        }
    }

    /// Puts the content of the source's folder, as the last snapshot has it, into the target.
    pub(super) fn restore(self, program: &Path, job: &Job) -> Cmd {
        let latest = |prefix: &str| {
            let mut word = OsString::from(prefix);
            word.push(&job.source);
            word
        };
        let sparse = |cmd: Cmd, option: &str| if job.is_sparse() { cmd.arg(option) } else { cmd };
        match self {
            Self::Tintype => tintype(program, job, "restore")
                .arg(latest("latest:/files"))
                .arg("--to")
                .arg(&job.target),
            Self::Restic => {
                let cmd = restic(program, job).arg("restore").arg("--quiet");
                let cmd = sparse(cmd, "--sparse");
                cmd.arg(latest("latest:")).arg("--target").arg(&job.target)
            }
            Self::Kopia => {
                let cmd = kopia(program, job).arg("restore").arg("--no-progress");
                sparse(cmd, "--write-sparse-files").arg(&job.source).arg(&job.target)
            }
            Self::Rustic => {
                rustic(program, job).arg("restore").arg(latest("latest:")).arg(&job.target)
            }
            Self::Borg => {
                let depth = job.source.components().count() - 1;
                let cmd = borg(program, job).arg("extract");
                let mut cmd = sparse(cmd, "--sparse")
                    .arg(format!("--strip-components={depth}"))
                    .arg(format!("::run-{}", job.sequence));
                cmd.dir = Some(job.target.clone());
                cmd
            }
        }
    }
}

pub(super) fn tintype(program: &Path, job: &Job, command: &str) -> Cmd {
    let url: OsString = match &job.place {
        Place::Folder(folder) => folder.into(),
        Place::S3 { endpoint, bucket, prefix } => {
            format!("s3://{bucket}/{prefix}?endpoint={endpoint}&region={S3_REGION}").into()
        }
    };
    s3_keys(
        Cmd::new([program.as_os_str(), "repo".as_ref(), "--repository".as_ref()])
            .arg(url)
            .arg("--password-file")
            .arg(job.state.join("password"))
            .arg(command)
            .env("XDG_CACHE_HOME", job.state.join("cache")),
        job,
    )
}

fn restic(program: &Path, job: &Job) -> Cmd {
    let repository = match &job.place {
        Place::Folder(folder) => folder.clone().into_os_string(),
        Place::S3 { endpoint, bucket, prefix } => format!("s3:{endpoint}/{bucket}/{prefix}").into(),
    };
    let cmd = Cmd::new([program])
        .env("RESTIC_REPOSITORY", repository)
        .env("RESTIC_PASSWORD", PASSWORD)
        .env("RESTIC_CACHE_DIR", job.state.join("cache"));
    s3_keys(cmd, job)
}

fn kopia(program: &Path, job: &Job) -> Cmd {
    Cmd::new([program])
        .arg(format!("--config-file={}", job.state.join("kopia.config").display()))
        .env("KOPIA_PASSWORD", PASSWORD)
        .env("KOPIA_LOG_DIR", job.state.join("log"))
        .env("KOPIA_CHECK_FOR_UPDATES", "false")
}

fn kopia_init(program: &Path, job: &Job) -> Vec<Cmd> {
    let cache = format!("--cache-directory={}", job.state.join("cache").display());
    let create = kopia(program, job).arg("repository").arg("create");
    let create = match &job.place {
        Place::Folder(folder) => {
            create.arg("filesystem").arg(format!("--path={}", folder.display()))
        }
        Place::S3 { endpoint, bucket, prefix } => create
            .arg("s3")
            .arg(format!("--endpoint={}", endpoint.trim_start_matches("http://")))
            .arg("--disable-tls")
            .arg(format!("--bucket={bucket}"))
            .arg(format!("--prefix={prefix}/"))
            .arg(format!("--access-key={S3_ACCESS_KEY}"))
            .arg(format!("--secret-access-key={S3_SECRET_KEY}")),
    };
    let policy = kopia(program, job)
        .arg("policy")
        .arg("set")
        .arg("--global")
        .arg("--compression=zstd-fastest");
    vec![create.arg(cache), policy]
}

fn rustic(program: &Path, job: &Job) -> Cmd {
    let cmd = Cmd::new([program])
        .env("RUSTIC_PASSWORD", PASSWORD)
        .env("RUSTIC_CACHE_DIR", job.state.join("cache"))
        .env("RUSTIC_NO_PROGRESS", "true")
        .env("HOME", &job.state);
    match &job.place {
        Place::Folder(folder) => cmd.env("RUSTIC_REPOSITORY", folder),
        Place::S3 { endpoint, bucket, prefix } => cmd
            .env("RUSTIC_REPOSITORY", "opendal:s3")
            .env("OPENDAL_BUCKET", *bucket)
            .env("OPENDAL_ROOT", prefix)
            .env("OPENDAL_ENDPOINT", endpoint)
            .env("OPENDAL_REGION", S3_REGION)
            .env("OPENDAL_ACCESS_KEY_ID", S3_ACCESS_KEY)
            .env("OPENDAL_SECRET_ACCESS_KEY", S3_SECRET_KEY),
    }
}

fn borg(program: &Path, job: &Job) -> Cmd {
    Cmd::new([program])
        .env("BORG_REPO", job.folder())
        .env("BORG_PASSPHRASE", PASSWORD)
        .env("BORG_BASE_DIR", &job.state)
}

fn s3_keys(cmd: Cmd, job: &Job) -> Cmd {
    match job.place {
        Place::Folder(_) => cmd,
        Place::S3 { .. } => {
            cmd.env("AWS_ACCESS_KEY_ID", S3_ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", S3_SECRET_KEY)
        }
    }
}
