//! An NFS and an SMB server of this machine's users, on loopback and free ports.

use crate::clock;
use crate::sh::Sh;
use anyhow::{Context, bail};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Killed with the value.
pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Server {
    fn start(sh: Sh, port: u16, log: &Path) -> anyhow::Result<Self> {
        let line = sh.line();
        let output = std::fs::File::create(log)?;
        let mut command = sh.into_command();
        command.stdin(Stdio::null()).stderr(output.try_clone()?).stdout(output);
        let child = command.spawn().with_context(|| format!("cannot start `{line}`"))?;
        let server = Self { child, port };
        for _ in 0..300 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(server);
            }
            clock::sleep(Duration::from_millis(100));
        }
        let said = std::fs::read_to_string(log).unwrap_or_default();
        bail!("`{line}` does not listen on port {port}:\n{said}");
    }
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Exports `work/nfs` as `/export`, NFS 4 only.
pub(super) fn nfs(work: &Path) -> anyhow::Result<Server> {
    let port = free_port()?;
    let at = |name: &str| work.join(name).display().to_string();
    for folder in ["nfs", "nfs-state"] {
        std::fs::create_dir(work.join(folder))?;
    }
    let settings = format!(
        "NFS_CORE_PARAM {{ NFS_Protocols = 4; NFS_Port = {port}; Bind_addr = 127.0.0.1; \
         Enable_NLM = false; Enable_RQUOTA = false; }}\n\
         NFSv4 {{ Graceless = true; RecoveryRoot = {}; }}\n\
         EXPORT {{ Export_Id = 1; Path = {}; Pseudo = /export; Access_Type = RW; \
         Squash = No_Root_Squash; SecType = sys; FSAL {{ Name = VFS; }} }}\n",
        at("nfs-state"),
        at("nfs")
    );
    std::fs::write(work.join("nfs.conf"), settings)?;
    let sh = Sh::new("ganesha.nfsd").args(["-F", "-f", &at("nfs.conf")]);
    let sh = sh.args(["-L", &at("nfs.log"), "-p", &at("nfs.pid")]);
    Server::start(sh, port, &work.join("nfs.out"))
}

/// Exports `work/smb/data` as `export`, to root with the password `guest`.
pub(super) fn smb(work: &Path) -> anyhow::Result<Server> {
    let port = free_port()?;
    let state = work.join("smb");
    std::fs::create_dir_all(state.join("data"))?;
    let place = state.display();
    let mut settings = format!(
        "[global]\nserver role = standalone server\ninterfaces = 127.0.0.1\n\
         bind interfaces only = yes\nsmb ports = {port}\ndisable netbios = yes\n\
         log file = {place}/log\n"
    );
    for folder in ["private dir", "lock directory", "state directory", "cache directory"] {
        settings += &format!("{folder} = {place}\n");
    }
    settings += &format!("pid directory = {place}\nncalrpc dir = {place}/rpc\n");
    settings += &format!("[export]\npath = {place}/data\nread only = no\n");
    let file = work.join("smb.conf");
    std::fs::write(&file, settings)?;
    let file = file.display().to_string();
    let add = format!("printf 'guest\\nguest\\n' | smbpasswd -c '{file}' -s -a root");
    Sh::new("sh").args(["-c", &add]).run()?;
    let sh = Sh::new("smbd").args(["-F", "--no-process-group", "-s", &file]);
    Server::start(sh, port, &work.join("smb.out"))
}
