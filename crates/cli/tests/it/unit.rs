//! packaging/tintype.service: as systemd reads it, and under a real systemd, which runs as process 1 of
//! namespaces of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use tintype_testkit::debian::need;
use tintype_testkit::keeper::Keeper;

use crate::agents::until;
use crate::support::{Lab, Ran};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tintype");

fn unit() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/tintype.service");
    std::fs::read_to_string(file).unwrap()
}

#[test]
fn the_unit_is_understood_and_takes_away_what_is_not_needed() {
    need(&["systemd-analyze"], &["systemd"]);
    let lab = Lab::new();
    // Where the program is now.
    lab.write("tintype.service", unit().replace("/usr/bin/tintype", PROGRAM));
    let file = lab.text("tintype.service");
    let analyze = |words: &[&str]| {
        let output = Command::new("systemd-analyze").args(words).arg(&file).output();
        Ran::of(&output.unwrap()).expect(0)
    };
    let ran = analyze(&["verify"]);
    assert_eq!(ran.err, "", "no word is unknown");
    // Of 100: a service of root that must see all of its host.
    analyze(&["security", "--offline=true", "--threshold=80"]);
}

/// Debian's own system above a layer in memory, with nothing to start but the service. It has one
/// hierarchy of control groups, in which its own is the root.
const BOOT: &str = "\
set -e
mount -t tmpfs tmpfs \"$1\"
cd \"$1\"
mkdir upper work root
mount -t overlay overlay -o \"lowerdir=/,upperdir=$1/upper,workdir=$1/work\" root
cd root
rm -rf etc/systemd/system var/lib/tintype
mkdir -p etc/systemd/system/tintype.service.d etc/systemd/system/multi-user.target.wants
ln -s /lib/systemd/system/multi-user.target etc/systemd/system/default.target
ln -s ../tintype.service etc/systemd/system/multi-user.target.wants/
for unit in systemd-udevd systemd-udev-trigger systemd-logind getty@ console-getty; do
  ln -s /dev/null etc/systemd/system/$unit.service
done
cp \"$2\" etc/systemd/system/tintype.service
printf '[Service]\\nEnvironment=TINTYPE_LISTEN=127.0.0.1:0\\n' \
  > etc/systemd/system/tintype.service.d/here.conf
: > usr/bin/tintype
mount --bind \"$3\" usr/bin/tintype
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
if [ -e \"$4/cgroup.controllers\" ]; then
  mount -t cgroup2 cgroup2 sys/fs/cgroup
else
  mount -t tmpfs tmpfs sys/fs/cgroup
  mkdir sys/fs/cgroup/systemd
  mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
fi
exec env -i container=tests PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . \
  /lib/systemd/systemd --system --log-target=console";
/// Into a control group of its own, which becomes the root of what comes then.
const ENTER: &str = "echo $$ > \"$0\"/cgroup.procs && exec \"$@\"";

struct System {
    unshare: Child,
    /// Process 1 of its own, as everybody else knows it.
    process: u32,
    _group: Keeper,
}

impl Drop for System {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

impl System {
    fn boot(lab: &Lab) -> Self {
        need(&["systemd-analyze", "nsenter"], &["systemd", "util-linux"]);
        let hybrid = Path::new("/sys/fs/cgroup/systemd");
        let above = if hybrid.exists() { hybrid } else { Path::new("/sys/fs/cgroup") };
        let name = lab.path("").parent().unwrap().file_name().unwrap().to_owned();
        let own = above.join(format!("tintype-{}", name.display()));
        std::fs::create_dir(&own).unwrap();
        let remove = "for n in 1 2 3 4 5 6 7 8 9; do find \"$1\" -depth -type d -exec rmdir {} + \
                      2>/dev/null; [ -e \"$1\" ] || break; sleep 0.2; done";
        let group = Keeper::new(remove, &[own.as_os_str()]);
        lab.write("tintype.service", unit());
        std::fs::create_dir(lab.path("system")).unwrap();
        let log = std::fs::File::create(lab.path("log")).unwrap();
        let mut unshare = Command::new("sh");
        unshare.args(["-c", ENTER]).arg(&own).arg("unshare");
        unshare.args(["--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child"]);
        unshare.args(["--", "sh", "-c", BOOT, "boot"]);
        unshare.args([
            lab.path("system"),
            lab.path("tintype.service"),
            PROGRAM.into(),
            above.into(),
        ]);
        unshare.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let unshare = unshare.spawn().unwrap();
        let mut system = Self { process: 0, _group: group, unshare };
        let children = format!("/proc/{0}/task/{0}/children", system.unshare.id());
        until("process 1 begins", || {
            let told = std::fs::read_to_string(&children).unwrap_or_default();
            system.process = told.split_whitespace().next().map_or(0, |id| id.parse().unwrap());
            system.process != 0
        });
        system
    }

    fn inside(&self, words: &[&str]) -> Ran {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.process.to_string(), "--mount", "--pid"]);
        command.args(["--root", "--wd=/", "--"]).args(words);
        Ran::of(&command.output().unwrap())
    }

    fn property(&self, name: &str) -> String {
        let ran = self.inside(&["systemctl", "show", "--value", "-p", name, "tintype"]);
        ran.out.trim().to_owned()
    }
}

/// As systemd tells it, and as the kernel does.
#[test]
fn a_real_systemd_starts_guards_restarts_and_stops_it() {
    let lab = Lab::new();
    let system = System::boot(&lab);
    let log = || lab.read_text("log");
    until("the service is ready", || {
        let state = system.property("ActiveState");
        assert_ne!(state, "failed", "{}", log());
        state == "active"
    });
    let first = system.property("MainPID");
    assert_eq!(system.property("Type"), "notify");
    let status = system.inside(&["cat", &format!("/proc/{first}/status")]).expect(0).out;
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{status}");
    }
    let modes = ["stat", "-c", "%a", "/var/lib/tintype", "/run/tintype"];
    assert_eq!(system.inside(&modes).expect(0).out, "700\n700\n");
    system.inside(&["kill", "-KILL", &first]).expect(0);
    until("it is started again", || {
        system.property("MainPID") != first && system.property("ActiveState") == "active"
    });
    assert_eq!(system.property("NRestarts"), "1");
    system.inside(&["systemctl", "stop", "tintype"]).expect(0);
    let ended = ["ActiveState", "Result", "ExecMainStatus"].map(|name| system.property(name));
    assert_eq!(ended, ["inactive", "success", "0"], "{}", log());
    let left = system.inside(&["ls", "/var/lib/tintype"]).expect(0).out;
    assert!(left.contains("catalog.sqlite") && left.contains("master.key"), "{left}");
}
