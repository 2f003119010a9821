//! libvirt, spoken to through its own `virsh`: the protocol below it is private to libvirt and
//! changes, and its library is in C. A call is a process; what must be quick goes to one that is
//! there already.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tintype_model::{Error, ErrorKind, Result};

use crate::connector::Context;
use crate::host;
use crate::vm::socket::{Patience, Socket, Waits};

/// A definition is some kilobytes.
const OUTPUT_BYTES: usize = 8 << 20;
const CALL: Duration = Duration::from_secs(30);
/// Ends what is said of a command in a session.
const MARKER: &str = "tintype-end";

#[derive(Clone)]
pub(crate) struct Virsh {
    uri: String,
    waits: Waits,
}

impl Virsh {
    pub(crate) fn new(uri: &str, context: &Context) -> Self {
        Self { uri: uri.to_owned(), waits: Waits::of(context) }
    }

    /// Goes on after a request to stop.
    pub(crate) fn stubborn(uri: &str, context: &Context) -> Self {
        Self { uri: uri.to_owned(), waits: Waits::stubborn(context) }
    }

    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    pub(crate) fn patience(&self, limit: Duration) -> Patience {
        self.waits.within(limit)
    }

    fn command(&self) -> Command {
        let mut command = host::command("virsh");
        command.args(["--quiet", "--connect", &self.uri]);
        // Its words are read.
        command.env("LC_ALL", "C");
        command
    }

    /// What it prints. `NotFound` where libvirt or the named thing is not there.
    pub(crate) fn call(&self, words: &[&str]) -> Result<String> {
        self.call_within(words, CALL)
    }

    pub(crate) fn call_within(&self, words: &[&str], limit: Duration) -> Result<String> {
        let patience = self.waits.within(limit);
        let name = format!("virsh {}", words.first().unwrap_or(&""));
        let pair = |what: &str| pair(&format!("{name}{what}"));
        let ((mut output, to_output), (mut errors, to_errors)) = (pair("")?, pair(" (errors)")?);
        let mut command = self.command();
        command.arg("--").args(words).stdin(Stdio::null());
        let child = command.stdout(Stdio::from(to_output)).stderr(Stdio::from(to_errors)).spawn();
        // Its ends of the pairs go with it.
        drop(command);
        let mut child = Owned(child.map_err(not_there)?);
        let said = output.read_to_end(OUTPUT_BYTES, &patience)?;
        let complaint = errors.read_to_end(OUTPUT_BYTES, &patience)?;
        let status = child.end(&patience)?;
        if status.success() {
            return Ok(String::from_utf8_lossy(&said).into_owned());
        }
        Err(refused(&name, &String::from_utf8_lossy(&complaint)))
    }

    /// One that waits for commands.
    pub(crate) fn session(&self) -> Result<Session> {
        let (socket, theirs) = pair("virsh")?;
        let copy = |fd: &OwnedFd| fd.try_clone().map_err(|error| Error::io(error, "virsh"));
        let (output, errors) = (copy(&theirs)?, copy(&theirs)?);
        let mut command = host::command("virsh");
        // Not quiet: how many file systems were frozen is said to people only.
        command.args(["--connect", &self.uri]).env("LC_ALL", "C");
        command.stdin(Stdio::from(theirs)).stdout(Stdio::from(output)).stderr(Stdio::from(errors));
        let child = command.spawn().map_err(not_there)?;
        drop(command);
        let mut session = Session { socket, _child: Owned(child), waits: self.waits.clone() };
        // Connected, and ready.
        session.call(&["uri"], CALL)?;
        Ok(session)
    }
}

fn pair(name: &str) -> Result<(Socket, OwnedFd)> {
    let (ours, theirs) = UnixStream::pair().map_err(|error| Error::io(error, name))?;
    Ok((Socket::of(ours, name.to_owned())?, OwnedFd::from(theirs)))
}

fn not_there(error: std::io::Error) -> Error {
    Error::io(error, "virsh (of the package libvirt-clients) cannot be started")
}

fn refused(name: &str, complaint: &str) -> Error {
    let complaint = complaint.trim().replace("error: ", "");
    let missing = [NO_DOMAIN, "failed to get network", "Failed to connect socket"];
    // The last is what the guest's agent says of every command while another freezes.
    let busy = ["already has a", "another job", "the agent is in frozen state"];
    let kind = if missing.iter().any(|text| complaint.contains(text)) {
        ErrorKind::NotFound
    } else if busy.iter().any(|text| complaint.contains(text)) {
        ErrorKind::Locked
    } else {
        ErrorKind::Invalid
    };
    Error::new(kind, format!("{name}: {complaint}"))
}

const NO_DOMAIN: &str = "failed to get domain";

/// Whether libvirt says that there is no such machine; one that does not answer says nothing.
pub(crate) fn is_gone(error: &Error) -> bool {
    error.is(ErrorKind::NotFound) && error.message().contains(NO_DOMAIN)
}

/// Killed when it is dropped.
struct Owned(Child);

impl Owned {
    fn end(&mut self, patience: &Patience) -> Result<std::process::ExitStatus> {
        loop {
            let status = self.0.try_wait().map_err(|error| Error::io(error, "virsh"))?;
            match status {
                Some(status) => return Ok(status),
                None => patience.pause()?,
            }
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct Session {
    socket: Socket,
    _child: Owned,
    waits: Waits,
}

impl Session {
    pub(crate) fn wait_as(&mut self, waits: Waits) {
        self.waits = waits;
    }

    /// Runs a command and gives what it says; an error is what it says of one.
    pub(crate) fn call(&mut self, words: &[&str], limit: Duration) -> Result<String> {
        let patience = self.waits.within(limit);
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        if words.iter().any(|word| word.contains(['\'', '\n', '\\'])) {
            return Err(Error::invalid("a name or path with a quote, which virsh cannot take"));
        }
        // It repeats what it reads, after its prompt; the marker alone on a line is what it prints.
        let line = format!("{}\necho {MARKER}\n", quoted.join(" "));
        self.socket.send(line.as_bytes(), &patience)?;
        let (mut said, mut complaint) = (String::new(), String::new());
        loop {
            let line = self.socket.line(OUTPUT_BYTES, &patience)?;
            let line = String::from_utf8_lossy(&line);
            if line.trim_end() == MARKER {
                break;
            }
            let to = if line.starts_with("error: ") { &mut complaint } else { &mut said };
            to.push_str(&line);
            to.push('\n');
        }
        if complaint.is_empty() {
            return Ok(said);
        }
        Err(refused(&format!("virsh {}", words.first().unwrap_or(&"")), &complaint))
    }
}
