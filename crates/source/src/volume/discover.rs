//! The volumes of this host: what is mounted, subvolumes of btrfs, and what is exported. For each
//! the connector is chosen that reaches most, and asked why not more.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tintype_model::Result;
use tintype_model::resource::{Consistency, Kind, NAME_BYTES, Resource};

use super::{Btrfs, Reflink, btrfs, exports, ioctl, live, mounts, place, reflink};
use crate::connector::{Connector, Context, Discovered};

/// File systems of the kernel's own state, of packages, or that live in memory.
const NO_DATA: [&str; 31] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.portal",
    "fuse.snapfuse",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nfsd",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
];

/// Where there are more subvolumes in one, a program uses them for its own ends; they are captured
/// with it.
const MOST_SUBVOLUMES: usize = 64;

/// A directory to be told.
#[derive(Debug, Default)]
struct Candidate {
    name: Option<String>,
    tags: BTreeSet<String>,
    is_mount: bool,
    /// It is a subvolume that is found inside of another one.
    is_subvolume: bool,
}

/// Volumes whose best connector is the one that is asked.
pub(super) fn volumes(connector: &str, context: &Context) -> Result<Vec<Discovered>> {
    let mut found = all(context)?;
    found.retain(|one| one.resource.connector == connector);
    Ok(found)
}

fn all(context: &Context) -> Result<Vec<Discovered>> {
    let mut candidates: BTreeMap<PathBuf, Candidate> = BTreeMap::new();
    for mount in data_mounts(mounts::all()?) {
        candidates.entry(mount).or_default().is_mount = true;
    }
    for path in subvolumes(&candidates.keys().cloned().collect::<Vec<_>>()) {
        candidates.entry(path).or_default().is_subvolume = true;
    }
    for export in exports::of_this_host(context) {
        let candidate = candidates.entry(export.path).or_default();
        candidate.name.get_or_insert(export.name);
        candidate.tags.insert(export.kind.name().to_owned());
    }
    let mut names = BTreeSet::new();
    let mut found = Vec::new();
    for (path, candidate) in &candidates {
        // Names and paths are text in the description.
        let Some(text) = path.to_str().filter(|text| !text.contains('\n')) else { continue };
        let wanted = candidate.name.as_deref().unwrap_or(text);
        let name = name(wanted, &mut names);
        let mut at = Map::new();
        at.insert("path".into(), text.into());
        if candidate.is_mount {
            at.insert("mounted".into(), Value::Bool(true));
        }
        let tags = candidate.tags.iter().cloned().collect();
        let excludes = told_apart(path, &candidates);
        found.push(best(base(name, at, tags, excludes), context));
    }
    Ok(found)
}

fn base(
    name: String,
    at: Map<String, Value>,
    tags: Vec<String>,
    excludes: Vec<String>,
) -> Resource {
    Resource {
        kind: Kind::Volume,
        name,
        connector: String::new(),
        at,
        tags,
        version: None,
        consistency: None,
        hooks: Vec::new(),
        excludes,
        components: Vec::new(),
    }
}

/// Asks the connectors for one that reaches more than `none`.
fn best(resource: Resource, context: &Context) -> Discovered {
    let path = resource.at["path"].as_str().unwrap_or_default();
    let kind = place::open(Path::new(path)).ok();
    let kind = kind.and_then(|directory| mounts::of(&directory, Path::new(path)).ok());
    let kind = kind.map(|mount| mount.kind).unwrap_or_default();
    let (connector, name): (&dyn Connector, _) =
        if kind == "btrfs" { (&Btrfs, btrfs::NAME) } else { (&Reflink, reflink::NAME) };
    let tried = Resource { connector: name.to_owned(), ..resource.clone() };
    let planned = connector.source(&tried, context).and_then(|mut source| source.plan());
    match planned {
        Ok(plan) => {
            let why_not_more = plan.why_not_more;
            Discovered { resource: tried, reaches: plan.reaches, why_not_more }
        }
        Err(error) => {
            let mut resource = Resource { connector: live::NAME.to_owned(), ..resource };
            resource.at.insert("one_file_system".into(), json!(true));
            let why = match &kind[..] {
                "cifs" | "smb3" | "nfs" | "nfs4" => format!(
                    "it is a share of another host, read while others write; protect it there, \
                     where it can be frozen ({kind})"
                ),
                _ => error.to_string(),
            };
            let why_not_more = Some(format!("read while others write: {why}"));
            Discovered { resource, reaches: Consistency::None, why_not_more }
        }
    }
}

/// Where data is mounted, each file system once: bind mounts show what is told elsewhere.
fn data_mounts(all: Vec<mounts::Mount>) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    // What was mounted last on a point hides the others.
    let mut points = BTreeMap::new();
    for mount in &all {
        points.insert(&mount.point, mount.id);
    }
    for mount in &all {
        let is_visible = points.get(&mount.point) == Some(&mount.id);
        let is_data = !NO_DATA.contains(&&*mount.kind) || mount.point == Path::new("/");
        let is_whole = mount.kind == "btrfs" || mount.root == b"/";
        let Ok(status) = mount.point.symlink_metadata() else { continue };
        let is_new = |seen: &mut BTreeSet<_>| seen.insert((status.dev(), status.ino()));
        if is_visible && is_data && is_whole && status.is_dir() && is_new(&mut seen) {
            found.push(mount.point.clone());
        }
    }
    found
}

/// Subvolumes inside of what is mounted, but for those that are mounted themselves, read-only
/// snapshots, and our own.
fn subvolumes(points: &[PathBuf]) -> Vec<PathBuf> {
    let of = |path: &Path| {
        let directory = place::open(path).ok().filter(|directory| btrfs::is_btrfs(directory))?;
        let is_top =
            rustix::fs::fstat(&directory).is_ok_and(|found| found.st_ino == btrfs::TOP_INODE);
        let info = is_top.then(|| ioctl::subvolume(&directory).ok()).flatten()?;
        Some((directory, info))
    };
    let mounted: BTreeSet<[u8; 16]> =
        points.iter().filter_map(|point| of(point)).map(|(_, info)| info.uuid).collect();
    let mut found = BTreeMap::new();
    for point in points {
        let Some((top, _)) = of(point) else { continue };
        let children = ioctl::children(&top).unwrap_or_default();
        if children.len() > MOST_SUBVOLUMES {
            continue;
        }
        for (id, directory) in children {
            let Ok(path) = ioctl::child_path(&top, id, directory) else { continue };
            let path = point.join(std::ffi::OsStr::from_bytes(&path));
            let is_ours = path.iter().any(|name| name == btrfs::SHELF);
            let Some((_, info)) = of(&path).filter(|_| !is_ours) else { continue };
            let is_copy = info.is_read_only && info.parent_uuid != [0; 16];
            if info.id == id && !is_copy && !mounted.contains(&info.uuid) {
                found.entry(info.uuid).or_insert(path);
            }
        }
    }
    found.into_values().collect()
}

/// Patterns of what lies below a directory and is a volume of its own, so that nothing is captured
/// twice: subvolumes and exports. What is mounted is no part of it anyway.
fn told_apart(path: &Path, candidates: &BTreeMap<PathBuf, Candidate>) -> Vec<String> {
    let is_below = |(other, candidate): &(&PathBuf, &Candidate)| {
        *other != path && !candidate.is_mount && other.starts_with(path)
    };
    let nearest = |other: &Path| {
        let above = other.ancestors().skip(1).find(|above| candidates.contains_key(*above));
        above == Some(path)
    };
    let below = candidates.iter().filter(is_below).filter(|(other, _)| nearest(other));
    below.filter_map(|(other, _)| pattern(other.strip_prefix(path).ok()?.to_str()?)).collect()
}

/// A pattern of gitignore that means exactly this directory.
fn pattern(path: &str) -> Option<String> {
    if path.contains('\n') || path.ends_with(' ') {
        return None;
    }
    let mut pattern = String::from("/");
    for letter in path.chars() {
        if "*?[]\\!#{}".contains(letter) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('/');
    Some(pattern)
}

/// A name for a resource that none has yet, like a path or the name of a share.
fn name(wanted: &str, taken: &mut BTreeSet<String>) -> String {
    let plain: String = wanted
        .trim_matches('/')
        .chars()
        .map(
            |letter| {
                if letter.is_ascii_alphanumeric() || "._".contains(letter) { letter } else { '-' }
            },
        )
        .collect();
    let plain = plain.trim_start_matches(['-', '.', '_']);
    // Room for a number behind it.
    let plain = &plain[..plain.len().min(NAME_BYTES - 8)];
    let plain = if plain.is_empty() { "root" } else { plain };
    let mut name = plain.to_owned();
    let mut number = 1;
    while !taken.insert(name.clone()) {
        number += 1;
        name = format!("{plain}-{number}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_differ() {
        let mut taken = BTreeSet::new();
        let mut name = |wanted: &str| name(wanted, &mut taken);
        assert_eq!(name("/"), "root");
        assert_eq!(name("/srv/my data"), "srv-my-data");
        assert_eq!(name("srv-my data"), "srv-my-data-2");
        assert_eq!(name("/.snap"), "snap");
        assert_eq!(name("Ärger$"), "rger-");
        let long = name(&"x".repeat(300));
        assert!(tintype_model::resource::check_name(&long).is_ok());
    }

    #[test]
    fn bind_mounts_and_the_kernels_own_are_left_out() {
        let text = b"1 0 254:0 / / rw - ext4 /dev/vda rw\n\
            2 1 0:5 / /proc rw - proc proc rw\n\
            3 1 254:0 /etc /usr rw - ext4 /dev/vda rw\n\
            4 1 0:9 / /tmp rw - tmpfs tmpfs rw\n";
        assert_eq!(data_mounts(mounts::parse(text)), [PathBuf::from("/")]);
    }

    #[test]
    fn what_is_a_volume_of_its_own_is_left_out_of_the_one_above() {
        let mut all = BTreeMap::new();
        for path in ["/", "/srv/a*b", "/srv/a*b/inner", "/mnt"] {
            all.insert(PathBuf::from(path), Candidate::default());
        }
        all.get_mut(Path::new("/mnt")).unwrap().is_mount = true;
        assert_eq!(told_apart(Path::new("/"), &all), ["/srv/a\\*b/"]);
        assert_eq!(told_apart(Path::new("/srv/a*b"), &all), ["/inner/"]);
    }
}
