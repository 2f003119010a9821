//! The guest agent of QEMU, through its Unix socket (QEMU's `qga/qapi-schema.json`).

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tintype_model::env::Clock;
use tintype_model::item::HookRun;
use tintype_model::resource::Hook;
use tintype_model::{Error, ErrorKind, Result};

use super::socket::{Patience, Socket, Waits};
use crate::connector::Context;

/// It keeps at most 16 MiB of the output of a command, and sends it in base64.
const LINE_BYTES: usize = 48 << 20;
/// So much of what a hook prints is kept.
const OUTPUT_BYTES: usize = 16 << 10;
const COMMAND: Duration = Duration::from_secs(10);
/// For a guest that runs and has an agent that listens.
const SYNC: Duration = Duration::from_secs(5);
/// Less than the guard's deadline: while this end holds the socket, the guard gets no answer.
pub(crate) const FREEZE: Duration = Duration::from_secs(7);

pub(crate) struct Agent {
    socket: Socket,
    waits: Waits,
}

impl Agent {
    /// `NotFound` if nothing listens; `Unavailable` if the guest does not answer.
    pub(crate) fn connect(path: &Path, context: &Context, waits: Waits) -> Result<Self> {
        Self::connect_within(path, &*context.clock, waits, SYNC)
    }

    pub(crate) fn connect_within(
        path: &Path,
        clock: &dyn Clock,
        waits: Waits,
        limit: Duration,
    ) -> Result<Self> {
        let patience = waits.within(limit);
        let mut agent = Self { socket: Socket::connect(path, &patience)?, waits };
        agent.synchronise(clock, &patience).map_err(|error| {
            error.context("the guest agent does not answer (is it installed and running?)")
        })?;
        Ok(agent)
    }

    /// What was said before this connection is skipped. Asked once: nobody reads the socket before
    /// the guest has opened its end, and what is sent twice is answered twice.
    fn synchronise(&mut self, clock: &dyn Clock, patience: &Patience) -> Result<()> {
        let id = clock.elapsed().as_nanos() as u64 & 0x7fff_ffff;
        let ask = json!({ "execute": "guest-sync-delimited", "arguments": { "id": id } });
        // The first byte, which is no text, makes the agent forget a half command before it.
        let ask = [&[0xff], ask.to_string().as_bytes(), b"\n"].concat();
        self.socket.send(&ask, patience)?;
        loop {
            let line = self.socket.line(LINE_BYTES, patience)?;
            let begin = line.iter().rposition(|byte| *byte == 0xff).map_or(0, |at| at + 1);
            let reply: Value = serde_json::from_slice(&line[begin..]).unwrap_or_default();
            if reply["return"].as_u64() == Some(id) {
                return Ok(());
            }
        }
    }

    /// From now on commands may wait as `waits` does.
    pub(crate) fn wait_as(&mut self, waits: Waits) {
        self.waits = waits;
    }

    fn execute(&mut self, command: &str, arguments: Value, limit: Duration) -> Result<Value> {
        let patience = self.waits.within(limit);
        let mut ask = json!({ "execute": command });
        if !arguments.is_null() {
            ask["arguments"] = arguments;
        }
        let context = |error: Error| error.context(format!("guest agent, {command}"));
        self.socket.send(format!("{ask}\n").as_bytes(), &patience).map_err(context)?;
        let line = self.socket.line(LINE_BYTES, &patience).map_err(context)?;
        reply(&line).map_err(context)
    }

    /// How many file systems it froze.
    pub(crate) fn freeze(&mut self) -> Result<u64> {
        self.count("guest-fsfreeze-freeze", FREEZE)
    }

    /// How many file systems it thawed; none if none was frozen.
    pub(crate) fn thaw(&mut self) -> Result<u64> {
        self.count("guest-fsfreeze-thaw", FREEZE)
    }

    fn count(&mut self, command: &str, limit: Duration) -> Result<u64> {
        let count = self.execute(command, Value::Null, limit)?;
        let strange = || Error::invalid(format!("guest agent, {command}: answers no number"));
        count.as_u64().ok_or_else(strange)
    }

    pub(crate) fn is_frozen(&mut self) -> Result<bool> {
        let status = self.execute("guest-fsfreeze-status", Value::Null, COMMAND)?;
        Ok(status.as_str() == Some("frozen"))
    }

    /// What the guest runs, where the agent can tell.
    pub(crate) fn system(&mut self) -> Result<Value> {
        self.execute("guest-get-osinfo", Value::Null, COMMAND)
    }

    pub(crate) fn run(&mut self, hook: &Hook) -> Result<HookRun> {
        let waits = self.waits.clone();
        run_hook(hook, &waits, |command, arguments| self.execute(command, arguments, COMMAND))
    }
}

/// Runs a hook in a guest to its end, or to that of its time, by what executes commands of the
/// agent.
pub(crate) fn run_hook(
    hook: &Hook,
    waits: &Waits,
    mut execute: impl FnMut(&str, Value) -> Result<Value>,
) -> Result<HookRun> {
    let patience = waits.within(Duration::from_secs(hook.timeout_seconds.into()));
    let [path, arguments @ ..] = &hook.command[..] else {
        return Err(Error::invalid("a command for the guest has no program"));
    };
    let ask = json!({ "path": path, "arg": arguments, "capture-output": true });
    let started = execute("guest-exec", ask)?;
    let ask = json!({ "pid": started["pid"] });
    let ran = |exit: Option<i32>, output: String, failure: Option<String>| HookRun {
        phase: hook.phase,
        command: hook.command.clone(),
        exit,
        output,
        failure,
    };
    loop {
        let state = execute("guest-exec-status", ask.clone())?;
        if state["exited"].as_bool() == Some(true) {
            let exit = state["exitcode"].as_i64().and_then(|code| i32::try_from(code).ok());
            let failure = match exit {
                Some(0) => None,
                Some(code) => Some(format!("exit code {code}")),
                None => Some("ended by a signal".to_owned()),
            };
            return Ok(ran(exit, output(&state), failure));
        }
        if let Err(error) = patience.pause() {
            let failure = format!("{error}; it goes on in the guest, whose agent ends nothing");
            return Ok(ran(None, String::new(), Some(failure)));
        }
    }
}

/// The last of what a program printed.
fn output(state: &Value) -> String {
    let bytes =
        |name: &str| STANDARD.decode(state[name].as_str().unwrap_or_default()).unwrap_or_default();
    let all = [bytes("out-data"), bytes("err-data")].concat();
    String::from_utf8_lossy(&all[all.len().saturating_sub(OUTPUT_BYTES)..]).into_owned()
}

/// Reads one line of an answer.
pub(crate) fn reply(line: &[u8]) -> Result<Value> {
    let begin = line.iter().position(|byte| *byte != 0xff).unwrap_or(line.len());
    let mut reply: Value = serde_json::from_slice(&line[begin..])
        .map_err(|_| Error::invalid("the answer is not JSON"))?;
    if let Some(error) = reply.get("error") {
        let kind = match error["class"].as_str() {
            Some("CommandNotFound") => ErrorKind::Unsupported,
            _ => ErrorKind::Invalid,
        };
        let description = error["desc"].as_str().unwrap_or("refused without a reason");
        return Err(Error::new(kind, description));
    }
    match reply.get_mut("return") {
        Some(value) => Ok(value.take()),
        None => Err(Error::invalid("the answer holds neither a result nor an error")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        assert_eq!(reply(b"{\"return\": 2}").unwrap(), json!(2));
        assert_eq!(reply(b"\xff{\"return\": {}}\r").unwrap(), json!({}));
        let refused = reply(b"{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"x\"}}");
        assert!(refused.unwrap_err().is(ErrorKind::Unsupported));
        for bad in [&b""[..], b"{}", b"1", b"\xff\xff"] {
            assert!(reply(bad).is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn changed_answers_are_read_or_refused(bytes in tintype_testkit::hostile::changed([
            "\u{ff}{\"return\": 4711}",
            r#"{"return":{"exited":true,"exitcode":0,"out-data":"YQo=","err-data":"!"}}"#,
            r#"{"error":{"class":"CommandNotFound","desc":"x"}}"#,
        ])) {
            if let Ok(state) = reply(&bytes) {
                assert!(output(&state).len() <= 3 * OUTPUT_BYTES);
            }
        }
    }
}
