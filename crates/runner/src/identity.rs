//! Who this process is, and whether another one still lives.

use std::fs;

use tintype_engine::format::records::SessionRecord;
use tintype_engine::repo::Identity;

/// The identity of this process. The host id changes with each boot, so that a process number
/// is never taken for one of an earlier boot.
pub fn of_this_process() -> Identity {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let pid = std::process::id();
    let machine = read("/etc/machine-id");
    let boot = read("/proc/sys/kernel/random/boot_id");
    let uid = rustix::process::geteuid().as_raw();
    let set = |name| std::env::var(name).ok().filter(|user| !user.is_empty());
    let user = set("USER").or_else(|| set("LOGNAME"));
    Identity {
        host: read("/proc/sys/kernel/hostname"),
        user: user.unwrap_or_else(|| if uid == 0 { "root".into() } else { uid.to_string() }),
        host_id: format!("{machine}/{boot}/{}", pid_namespace()),
        pid,
        process_start: start_of(pid).unwrap_or_default(),
        program: concat!("tintype ", env!("CARGO_PKG_VERSION")).into(),
        is_gone,
    }
}

/// Process numbers mean something only within their namespace.
fn pid_namespace() -> String {
    fs::read_link("/proc/self/ns/pid")
        .map(|link| link.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Clock ticks after boot when the process started: field 22 of `/proc/<pid>/stat`.
fn start_of(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    after_name.split_whitespace().nth(19).map(str::to_owned)
}

fn is_gone(identity: &Identity, session: &SessionRecord) -> bool {
    !session.host_id.is_empty()
        && session.host_id == identity.host_id
        && session.pid != 0
        && start_of(session.pid).as_ref() != Some(&session.process_start)
}
