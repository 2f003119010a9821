//! A machine's disk of 100 GiB, of which the image of set D is used: how fast it is read the first
//! time, and how much of it is read again.

use super::super::sets::Set;
use super::super::tools::Tool;
use super::super::{Args, data};
use super::lab::Lab;
use super::{Figure, median};
use crate::sh::Sh;
use crate::table::bytes;
use anyhow::Context;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tintype_testkit::guest::{self, Guest, Options};

const ROUNDS: usize = 3;
/// What the repository keeps of an image as one piece, and reads again as a whole.
const CELL_BYTES: u64 = 1 << 20;

pub(super) fn measure(args: &Args, _: &[Tool], scratch: &Path) -> anyhow::Result<Vec<Figure>> {
    let lab = Lab::new(args, scratch)?;
    let image = data::ensure(Set::D, args.smoke)?.root.join(data::IMAGE);
    let parts = guest::parts();
    let disk = |name: &str| lab.path(&format!("{name}.qcow2"));
    std::fs::copy(&parts.root, disk("vda"))?;
    Sh::new("qemu-img").args(["convert", "-O", "qcow2"]).arg(&image).arg(disk("vdb")).read()?;
    Sh::new("qemu-img").arg("resize").arg(disk("vdb")).arg("100G").read()?;
    let disks = ["vda", "vdb"].map(|name| (name.to_owned(), disk(name), "qcow2".to_owned()));
    let words = "nowriter".to_owned();
    let guest = Guest::boot(&Options { words, disks: Some(disks.into()), ..Options::default() });
    let resource = json!({ "kind": "vm", "name": "guest", "connector": "qemu",
        "at": { "qmp": guest.qmp, "agent": guest.agent }, "excludes": ["vda"] });
    let mut bench = Bench { args, lab, guest, resource, image };
    let mut figures = vec![bench.first()?];
    figures.extend(bench.unchanged()?);
    let whole = bench.used_bytes() / 100;
    figures.push(bench.changed("64 KiB pieces", 64 << 10, whole)?);
    figures.push(bench.changed("4 MiB pieces", 4 << 20, whole)?);
    Ok(figures)
}

struct Bench<'a> {
    args: &'a Args,
    lab: Lab<'a>,
    guest: Guest,
    resource: Value,
    image: PathBuf,
}

impl Bench<'_> {
    fn used_bytes(&self) -> u64 {
        data::image_used_bytes(self.args.smoke)
    }

    /// Beside the same as a plain file and as a disk image that is read without QEMU, in turn, each
    /// time into an empty repository. The faster of both counts.
    fn first(&mut self) -> anyhow::Result<Figure> {
        let (mut plain, mut image, mut machine) = (Vec::new(), Vec::new(), Vec::new());
        let mut memory = String::new();
        for _ in 0..if self.args.smoke { 1 } else { ROUNDS } {
            self.lab.fresh_repository()?;
            plain.push(self.lab.snapshot(Tool::Tintype, &self.image)?.seconds);
            self.lab.fresh_repository()?;
            image.push(self.lab.image(&self.image)?.seconds);
            self.lab.fresh_repository()?;
            let taken = self.lab.capture(&self.resource)?;
            machine.push(taken.usage.seconds);
            memory = taken.memory();
        }
        let (plain, image, machine) = (median(plain), median(image), median(machine));
        let used = bytes(self.used_bytes());
        let beside = format!(
            "{used}: plain file {plain:.2} s, image {image:.2} s, machine {machine:.2} s, {memory}"
        );
        let name = "first capture of a disk: rate of the same image";
        let figure = Figure::new(name, plain.min(image) / machine * 100.0, "%").at_least(80.0);
        Ok(figure.beside(beside).quiet(self.lab.was_quiet()))
    }

    fn unchanged(&mut self) -> anyhow::Result<[Figure; 2]> {
        let (mut seconds, mut read) = (Vec::new(), 0);
        for _ in 0..ROUNDS {
            let before = self.read_bytes()?;
            seconds.push(self.lab.capture(&self.resource)?.usage.seconds);
            read = self.read_bytes()? - before;
        }
        let quiet = self.lab.was_quiet();
        let name = "100 GiB disk, unchanged";
        let time = Figure::new(format!("{name}: time"), median(seconds), "s").at_most(2.0);
        let mebibytes = read as f64 / f64::from(1 << 20);
        let read = Figure::new(format!("{name}: read of the disk"), mebibytes, "MiB");
        Ok([time.quiet(quiet), read.beside("metadata of its format").quiet(quiet)])
    }

    /// The guest writes so many bytes, in pieces of a size at places far from each other.
    fn changed(&mut self, title: &str, piece: u64, total: u64) -> anyhow::Result<Figure> {
        let pieces = (total / piece).max(1);
        let places = data::image_places(self.args.smoke, pieces, piece);
        let list: Vec<String> = places.iter().map(|place| (place / piece).to_string()).collect();
        self.guest.shell(&format!(
            "for at in {}; do dd if=/dev/urandom of=/dev/vdb bs={piece} count=1 seek=$at \
             conv=notrunc iflag=fullblock; done; sync",
            list.join(" ")
        ));
        let before = self.read_bytes()?;
        let taken = self.lab.capture(&self.resource)?;
        let read = self.read_bytes()? - before;
        let used = self.used_bytes() as f64;
        let changed = pieces * piece;
        let percent = |bytes: f64| bytes * 100.0 / used;
        let granularity = pieces * CELL_BYTES;
        let name = format!("1 % of a disk changed, {title}: read");
        let beside = format!(
            "of {} used {} changed in {pieces} places, {} read; a place costs up to {} more; {:.2} s",
            bytes(self.used_bytes()),
            bytes(changed),
            bytes(read),
            bytes(CELL_BYTES),
            taken.usage.seconds,
        );
        let bar = percent(changed as f64 * 1.1 + granularity as f64);
        let figure = Figure::new(name, percent(read as f64), "%").at_most(bar);
        Ok(figure.beside(beside).quiet(self.lab.was_quiet()))
    }

    /// What QEMU read since it began, also from the page cache (proc(5), /proc/pid/io).
    fn read_bytes(&self) -> anyhow::Result<u64> {
        let file = format!("/proc/{}/io", self.guest.process);
        let text = std::fs::read_to_string(&file)?;
        let line = text.lines().find_map(|line| line.strip_prefix("rchar: "));
        line.and_then(|number| number.parse().ok()).with_context(|| format!("{file}: no rchar"))
    }
}
