//! Files out of ext4 and FAT, in partitions of each table.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::{GPT, MIB, disk, empty, ext4, machine, need_tools, tool, tree};
use crate::support::{Lab, damage, is_root, noise, objects};

/// A disk of FAT, ext4 and swap.
fn whole() -> (Lab, impl Fn(&str) -> String) {
    need_tools();
    let lab = Lab::ready();
    tree(&lab);
    symlink("/etc/fstab", lab.path("tree/link")).unwrap();
    fs::set_permissions(lab.path("tree/etc/fstab"), Permissions::from_mode(0o4711)).unwrap();
    let sparse = File::create(lab.path("tree/sparse")).unwrap();
    sparse.set_len(8 * MIB).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", 8 * MIB - 3).unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_001);
    File::open(lab.path("tree/etc/fstab")).unwrap().set_modified(old).unwrap();
    ext4(&lab, "ext4", "tree", 40 * MIB);
    empty(&lab, "fat", 40 * MIB);
    tool(&lab, "mkfs.vfat", &["-F", "32", "fat"]);
    tool(&lab, "mcopy", &["-s", "-m", "-i", "fat", "tree/etc", "tree/big", "::"]);
    empty(&lab, "swap", 8 * MIB);
    tool(&lab, "mkswap", &["swap"]);
    disk(&lab, "gpt", 96 * MIB, GPT, &[(2048, "fat"), (83968, "ext4"), (165_888, "swap")]);
    let place = machine(&lab, &["gpt", "ext4"]);
    (lab, place)
}

#[track_caller]
fn same(lab: &Lab, out: &str, name: &str) {
    let (old, new) = (format!("tree/{name}"), format!("{out}/{name}"));
    assert!(lab.read(&old) == lab.read(&new), "{name}");
}

#[test]
fn files_come_out_of_the_disks_of_a_machine() {
    let (lab, place) = whole();
    let gpt = place("gpt");
    let images = lab.run(&["disk", "ls", "--json"]).expect(0).events();
    assert_eq!(images[0]["path"], "tenants/system/vms/shop/disks/ext4.img");
    assert_eq!(images[1]["size"], 96 * MIB);
    let found = lab.run(&["disk", "ls", "--json", &gpt]).expect(0).events();
    let kinds: Vec<_> = found.iter().take(3).map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, [json!("fat"), json!("ext4"), json!("swap space")]);
    assert_eq!(found[1]["start"], 83968 * 512);

    let listed = lab.run(&["disk", "ls", "-l", &gpt, "2:/etc"]).expect(0).out;
    assert!(
        listed.contains("-rws--x--x") && listed.contains("2001-09-09 01:46:41 fstab"),
        "{listed}"
    );
    let all = lab.run(&["disk", "ls", "-R", &gpt, "2:/"]).expect(0).out;
    assert!(
        all.contains("/etc/deep/er/file\n") && all.contains("/name with\\x0anewline\n"),
        "{all}"
    );
    let cat = lab.run(&["disk", "cat", &gpt, "2:/link"]).expect(0).out;
    assert_eq!(cat.as_bytes(), lab.read("tree/etc/fstab"), "a link is followed on its own disk");

    let target = lab.text("out");
    let restored = lab.run(&["disk", "restore", "--json", &gpt, "2:/", "--to", &target]);
    // Without root the owners are those who restore, and that is told.
    let ours = is_root() || fs::metadata(lab.path("tree")).unwrap().uid() != 0;
    restored.expect(if ours { 0 } else { 3 });
    for name in ["etc/fstab", "etc/deep/er/file", "big", "empty", "name with\nnewline", "sparse"] {
        same(&lab, "out", name);
    }
    let found = |name: &str| fs::metadata(lab.path(name)).unwrap();
    let (old, new) = (found("tree/etc/fstab"), found("out/etc/fstab"));
    assert_eq!((old.mode(), old.mtime(), old.uid()), (new.mode(), new.mtime(), new.uid()));
    assert_eq!(fs::read_link(lab.path("out/link")).unwrap(), Path::new("/etc/fstab"));
    let sparse = fs::metadata(lab.path("out/sparse")).unwrap();
    assert!(sparse.blocks() * 512 < MIB, "holes stay holes");
    assert_eq!(fs::metadata(lab.path("out")).unwrap().mode() & 0o777, 0o700);

    // FAT, one file, and a disk without a table.
    lab.run(&["disk", "restore", &gpt, "1:/ETC/fstab", "--to", &lab.text("one")]).expect(0);
    assert_eq!(lab.read("one/fstab"), lab.read("tree/etc/fstab"));
    lab.run(&["disk", "restore", &gpt, "1:", "--to", &lab.text("fat-out")]).expect(0);
    same(&lab, "fat-out", "etc/deep/er/file");
    same(&lab, "fat-out", "big");
    let time = |name: &str| fs::metadata(lab.path(name)).unwrap().mtime();
    assert_eq!(time("fat-out/etc/fstab") - time("tree/etc/fstab"), -1, "two seconds, and UTC");
    lab.run(&["disk", "cat", &place("ext4"), "/etc/fstab"]).expect(0);
}

#[test]
fn what_stands_in_the_way_is_told() {
    let (lab, place) = whole();
    let gpt = place("gpt");
    let which = lab.run(&["disk", "ls", &gpt, "/etc"]).expect(2).err;
    assert!(which.contains("1 (fat, 40 MiB) or 2 (ext4, 40 MiB)"), "{which}");
    let swap = lab.run(&["disk", "ls", &gpt, "3:/"]).expect(1).err;
    assert!(swap.contains("partition 3 holds swap space") && swap.contains("disk serve"), "{swap}");
    let none = lab.run(&["disk", "cat", &gpt, "4:/x"]).expect(1).err;
    assert!(none.contains("there is no partition 4"), "{none}");
    let (_, id) = gpt.split_once(':').unwrap();
    let missing = lab.run(&["disk", "ls", &format!("latest:{id}x")]).expect(1).err;
    assert!(missing.contains("lists its disk images"), "{missing}");
    let target = lab.text("out");
    for path in ["2:/etc/none", "1:/none"] {
        let ran = lab.run(&["disk", "restore", &gpt, path, "--to", &target]).expect(1);
        assert!(ran.err.contains("none"), "{}", ran.err);
        assert!(!lab.path("out").exists(), "nothing is made for nothing");
    }
    lab.run(&["disk", "cat", &gpt, "2:/etc"]).expect(1);
    lab.run(&["disk", "cat", "--json", &gpt, "2:/etc/fstab"]).expect(2);
    lab.run(&["disk", "restore", &gpt, "2:/", "--to", &lab.text("repository/x")]).expect(2);

    // What is there stays, unless that was said; a directory is not replaced by a file.
    lab.write("out/fstab", "mine");
    lab.write("out/big/precious", "mine");
    let args = ["disk", "restore", &gpt, "2:/etc/fstab", "--no-owner", "--to", &target];
    let kept = lab.run(&args).expect(3).err;
    assert!(kept.contains("/fstab") && kept.contains("--overwrite"), "{kept}");
    assert_eq!(lab.read("out/fstab"), b"mine");
    lab.run(&[&args[..], &["--overwrite"]].concat()).expect(0);
    assert_eq!(lab.read("out/fstab"), lab.read("tree/etc/fstab"));
    assert_eq!(fs::metadata(lab.path("out/fstab")).unwrap().mode() & 0o7777, 0o711);
    let args = ["disk", "restore", &gpt, "2:/big", "--overwrite", "--to", &target];
    lab.run(&args).expect(3);
    assert_eq!(lab.read("out/big/precious"), b"mine");
}

#[test]
fn a_file_of_a_directory_can_be_a_disk_with_an_old_table() {
    need_tools();
    let lab = Lab::ready();
    tree(&lab);
    ext4(&lab, "ext4", "tree", 20 * MIB);
    let table = "label: dos\nstart=2048, size=2048, type=c\nstart=6144, type=5\n\
                 start=8192, size=40960, type=83\n";
    disk(&lab, "source/disk.raw", 32 * MIB, table, &[(8192, "ext4")]);
    lab.snapshot(&[&lab.text("source")]);
    let place = format!("latest:{}", lab.tree("source/disk.raw"));
    lab.run(&["disk", "restore", &place, "/", "--to", &lab.text("out"), "--no-owner"]).expect(0);
    same(&lab, "out", "etc/deep/er/file");
    let shown = lab.run(&["disk", "ls"]).expect(0);
    assert!(shown.out.is_empty() && shown.err.contains("captured as a file"), "{}", shown.err);
    // So small that it shares a parcel with others.
    lab.write("source/tiny", "no disk");
    lab.snapshot(&[&lab.text("source")]);
    let tiny = format!("latest:{}", lab.tree("source/tiny"));
    let ran = lab.run(&["disk", "ls", &tiny, "/"]).expect(1);
    assert!(ran.err.contains("the disk holds no file system that is known"), "{}", ran.err);
}

#[test]
fn a_damaged_chunk_loses_one_file_of_a_disk() {
    need_tools();
    let lab = Lab::ready();
    lab.write("tree/large", noise(24_000_000, "large"));
    lab.write("tree/small", "small");
    ext4(&lab, "ext4", "tree", 40 * MIB);
    let place = machine(&lab, &["ext4"])("ext4");
    // By far the most of it is the large file.
    let packs = objects(&lab, "data");
    let largest = packs.iter().max_by_key(|pack| fs::metadata(pack).unwrap().len());
    damage(largest.unwrap());
    let out = lab.text("out");
    let ran = lab.run(&["disk", "restore", &place, "/", "--to", &out, "--no-owner"]).expect(4);
    assert!(ran.err.contains("/large") && ran.err.contains("disks/ext4.img, byte"), "{}", ran.err);
    assert_eq!(lab.read("out/small"), b"small", "the others come out");
    assert!(!lab.path("out/large").exists(), "half a file is none");
}
