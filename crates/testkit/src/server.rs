//! A server process that does not outlive the test.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

pub struct Server {
    child: Child,
    /// Ends the thread that the process belongs to.
    _parent: mpsc::Sender<()>,
}

impl Server {
    /// Starts a program whose output goes to `log`. The kernel kills it when this process dies,
    /// or rather when the thread that started it ends; so that thread is one of its own.
    pub fn start(program: &Path, arguments: &[String], log: &Path) -> Self {
        Self::start_as(None, program, arguments, log)
    }

    /// As another user, which only root can.
    pub fn start_as(user: Option<&str>, program: &Path, arguments: &[String], log: &Path) -> Self {
        let mut command = Command::new("setpriv");
        if let Some(user) = user {
            command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
        }
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).args(arguments);
        let output = File::create(log).expect("the log can be made");
        let errors = output.try_clone().expect("the log can be shared");
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let (parent, parent_ends) = mpsc::channel::<()>();
        let (started, start) = mpsc::channel();
        std::thread::spawn(move || {
            // The receiver waits for this.
            let _ = started.send(command.spawn());
            let _ = parent_ends.recv();
        });
        let child = start.recv().expect("the thread answers");
        let child = child.expect("setpriv (package util-linux) can be run");
        Self { child, _parent: parent }
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub fn wait(&mut self) {
        self.child.wait().expect("the child can be waited for");
    }

    /// Waits until something listens. Panics with the log if the process ends before.
    pub fn wait_for(&mut self, address: SocketAddr, log: &Path) {
        self.wait_until(log, || TcpStream::connect(address).is_ok());
    }

    pub fn wait_until(&mut self, log: &Path, ready: impl Fn() -> bool) {
        let begun = Instant::now();
        while !ready() {
            let ended = self.child.try_wait().expect("the child can be asked");
            let patience = Duration::from_mins(1);
            if ended.is_some() || begun.elapsed() > patience {
                let log = std::fs::read_to_string(log).unwrap_or_default();
                panic!("the server did not start ({ended:?}):\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ports that nobody listens on now, all different.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a port is free"));
    listeners.map(|listener| listener.local_addr().expect("it is bound").port())
}
