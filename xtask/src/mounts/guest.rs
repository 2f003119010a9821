//! A tiny guest: Debian's kernel with the modules of network file systems, busybox, and the
//! program. The machines that this runs on have no such modules themselves.

use crate::paths;
use crate::sh::Sh;
use anyhow::{Context, ensure};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

const INIT: &str = include_str!("init.sh");

/// Where in a kernel's modules the ones are that the guest may need.
const MODULES: [&str; 12] = [
    "arch/x86/crypto",
    "crypto",
    "drivers/net/net_failover.ko",
    "drivers/net/virtio_net.ko",
    "drivers/virtio",
    "fs/fscache",
    "fs/lockd",
    "fs/netfs",
    "fs/nfs",
    "fs/nfs_common",
    "fs/smb",
    "lib",
];
const NETWORK: [&str; 4] = ["net/core", "net/dns_resolver", "net/sunrpc", "fs/nls"];

/// Debian's kernel package, unpacked into the cache once.
pub(super) fn kernel() -> anyhow::Result<PathBuf> {
    let depends = Sh::new("apt-cache").args(["depends", "linux-image-cloud-amd64"]).read()?;
    let name = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let name = name.context("apt knows no kernel; `apt-get update` first")?;
    let place = paths::cache()?.join("guest").join(name);
    if place.exists() {
        return Ok(place);
    }
    println!("   downloading {name} into {}", place.display());
    let unfinished = place.with_extension("unfinished");
    std::fs::remove_dir_all(&unfinished).ok();
    std::fs::create_dir_all(&unfinished)?;
    let download = ["download", "-qq", "-o", "APT::Sandbox::User=root", name];
    Sh::new("apt-get").args(download).dir(&unfinished).run()?;
    let package = std::fs::read_dir(&unfinished)?.next().context("apt downloaded nothing")??;
    Sh::new("dpkg-deb").arg("-x").arg(package.path()).arg(&unfinished).run()?;
    std::fs::remove_file(package.path())?;
    std::fs::rename(&unfinished, &place)?;
    Ok(place)
}

/// An initial ramdisk with everything in it.
pub(super) fn ramdisk(
    work: &Path,
    kernel: &Path,
    program: &Path,
    ports: [u16; 2],
) -> anyhow::Result<PathBuf> {
    let root = work.join("root");
    for folder in ["bin", "sbin", "lib64", "lib/x86_64-linux-gnu", "proc", "sys", "dev", "tmp"] {
        std::fs::create_dir_all(root.join(folder))?;
    }
    std::fs::copy("/bin/busybox", root.join("bin/busybox"))?;
    for applet in Sh::new("/bin/busybox").arg("--list").read()?.lines() {
        symlink("/bin/busybox", root.join("bin").join(applet)).ok();
    }
    // The kernel itself asks for modules by this name.
    symlink("/bin/busybox", root.join("sbin/modprobe"))?;
    Sh::new("strip").arg("-g").arg("-o").arg(root.join("bin/tintype")).arg(program).run()?;
    libraries(&root, program)?;
    modules(&root, kernel)?;
    std::fs::write(root.join("ports"), format!("{} {}\n", ports[0], ports[1]))?;
    std::fs::write(root.join("init"), INIT)?;
    std::fs::set_permissions(root.join("init"), std::fs::Permissions::from_mode(0o755))?;
    let ramdisk = work.join("ramdisk");
    let pack = "find . | cpio --create --format=newc --owner=0:0 --quiet > ../ramdisk";
    Sh::new("sh").args(["-c", pack]).dir(&root).run()?;
    Ok(ramdisk)
}

fn libraries(root: &Path, program: &Path) -> anyhow::Result<()> {
    let needed = Sh::new("ldd").arg(program).read()?;
    for path in needed.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new) {
        let name = path.file_name().context("a library has a name")?;
        std::fs::copy(path, root.join("lib64").join(name))?;
    }
    Ok(())
}

fn modules(root: &Path, kernel: &Path) -> anyhow::Result<()> {
    let versions = kernel.join("lib/modules");
    let version = std::fs::read_dir(&versions)?.next().context("the kernel has modules")??;
    let place = root.join("lib/modules").join(version.file_name());
    for part in MODULES.iter().chain(&NETWORK).map(|part| format!("kernel/{part}")) {
        let (from, to) = (version.path().join(&part), place.join(&part));
        ensure!(from.exists(), "this kernel has no {part}; look into {}", versions.display());
        std::fs::create_dir_all(to.parent().context("it lies in a folder")?)?;
        Sh::new("cp").arg("-r").arg(from).arg(to).run()?;
    }
    for list in ["modules.builtin", "modules.order"] {
        std::fs::copy(version.path().join(list), place.join(list))?;
    }
    Sh::new("/bin/busybox").args(["depmod", "-b"]).arg(root).arg(version.file_name()).run()
}

/// Boots, waits for the end, and gives what the console showed. Emulated, because hardware
/// virtualisation is not everywhere.
pub(super) fn boot(kernel: &Path, ramdisk: &Path) -> anyhow::Result<String> {
    let images = std::fs::read_dir(kernel.join("boot"))?.flatten().map(|entry| entry.path());
    let is_image = |path: &PathBuf| path.to_string_lossy().contains("/vmlinuz-");
    let image = images.into_iter().find(is_image).context("the package holds a kernel")?;
    let machine = "-M pc -cpu max -accel tcg,thread=multi -smp 2 -m 1024 -nographic -no-reboot";
    let mut command = Sh::new("timeout")
        .args(["300", "qemu-system-x86_64"])
        .args(machine.split(' '))
        .args(["-nic", "user,model=virtio", "-append", "console=ttyS0 quiet panic=-1", "-kernel"])
        .arg(image)
        .arg("-initrd")
        .arg(ramdisk)
        .into_command();
    let output = command.stdin(Stdio::null()).output().context("cannot start QEMU")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
