//! How long a machine's file systems stand still: what its agent needs, and what we add.

use super::super::Args;
use super::super::tools::Tool;
use super::lab::Lab;
use super::{Figure, median};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::path::Path;
use tintype_testkit::guest::{Guest, Options};
use tintype_testkit::libvirt::Libvirt;

const TIMES: usize = 10;
const MUST_MILLISECONDS: f64 = 10.0;

/// A guest that writes all the time, through its monitor.
pub(super) fn qemu(args: &Args, _: &[Tool], scratch: &Path) -> anyhow::Result<Vec<Figure>> {
    let lab = Lab::new(args, scratch)?;
    lab.wait()?;
    let guest = Guest::boot(&Options::default());
    let at = json!({ "qmp": guest.qmp, "agent": guest.agent });
    let [median, worst] = windows(args, &lab, "QEMU", "qemu", &at)?;
    Ok(vec![median.at_most(MUST_MILLISECONDS), worst.at_most(MUST_MILLISECONDS)])
}

/// The same by libvirt. Its `backup-begin` is one call, of which no part can be moved out of the
/// window (docs/sources.md, section 4): it is shown by itself.
pub(super) fn libvirt(args: &Args, _: &[Tool], scratch: &Path) -> anyhow::Result<Vec<Figure>> {
    let lab = Lab::new(args, scratch)?;
    lab.wait()?;
    let libvirt = Libvirt::start();
    libvirt.define("bench", "", "");
    libvirt.start_and_wait("bench");
    let at = json!({ "domain": "bench", "uri": libvirt.uri });
    let [median, worst] = windows(args, &lab, "libvirt", "libvirt", &at)?;
    Ok(vec![median.at_most(MUST_MILLISECONDS), worst.at_most(MUST_MILLISECONDS)])
}

/// Milliseconds of one window.
struct Window {
    own: f64,
    agent: f64,
    /// libvirt's own call that begins the backup.
    begin: f64,
}

fn windows(
    args: &Args,
    lab: &Lab<'_>,
    title: &str,
    connector: &str,
    at: &Value,
) -> anyhow::Result<[Figure; 2]> {
    let resource = json!({ "kind": "vm", "name": "guest", "connector": connector, "at": at });
    let mut windows = Vec::new();
    for _ in 0..if args.smoke { 2 } else { TIMES } {
        // The guest writes, so that the machine is never quiet.
        let item = lab.capture_now(&resource)?.item;
        let seconds = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let facts = &item["facts"]["window"];
        let agent = seconds(&facts["agent_freeze"]) + seconds(&facts["agent_thaw"]);
        let begin = if connector == "libvirt" { seconds(&facts["switch"]) } else { 0.0 };
        let own = seconds(&item["frozen_seconds"]) - agent - begin;
        let [own, agent, begin] = [own, agent, begin].map(|seconds| seconds * 1000.0);
        windows.push(Window { own, agent, begin });
    }
    let quiet = lab.was_quiet();
    let count = windows.len();
    let figure = |what: &str, found: &Window| {
        let name = format!("window of {title}: own part, {what} of {count}");
        let mut beside = format!("{:.0} ms of the guest agent", found.agent);
        if found.begin > 0.0 {
            beside += &format!(", {:.0} ms of libvirt's backup-begin", found.begin);
        }
        Figure::new(name, found.own, "ms").beside(beside).quiet(quiet)
    };
    let of = |value: fn(&Window) -> f64| median(windows.iter().map(value));
    let middle = Window { own: of(|w| w.own), agent: of(|w| w.agent), begin: of(|w| w.begin) };
    let worst = windows.iter().max_by(|a, b| a.own.total_cmp(&b.own));
    let worst = worst.context("nothing was measured")?;
    Ok([figure("median", &middle), figure("worst", worst)])
}
