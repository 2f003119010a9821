//! QMP: how QEMU is asked and told (its `docs/interop/qmp-spec`). One JSON value a line; replies
//! come in order, events in between.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tintype_model::{Error, ErrorKind, Result};

use super::socket::{Patience, Socket, Waits};

/// The graph of a machine with many disks and long chains fits well.
const LINE_BYTES: usize = 32 << 20;
/// Events that nobody waited for are forgotten, oldest first.
const MOST_EVENTS: usize = 1000;
const COMMAND: Duration = Duration::from_secs(30);
/// For a greeting: a socket that another program holds gives none.
const GREETING: Duration = Duration::from_secs(5);

/// What QEMU says.
#[derive(Debug, PartialEq)]
pub(crate) enum Message {
    Greeting { major: u64, minor: u64 },
    Event { name: String, data: Value },
    Reply { id: Option<u64>, result: Result<Value, Refusal> },
}

/// Why QEMU did not do it.
#[derive(Debug, PartialEq)]
pub(crate) struct Refusal {
    pub class: String,
    pub description: String,
}

/// Reads one line.
pub(crate) fn parse(line: &[u8]) -> Result<Message> {
    let strange = || Error::invalid("not a message of QMP");
    let value: Value = serde_json::from_slice(line).map_err(|_| strange())?;
    let Value::Object(mut value) = value else { return Err(strange()) };
    if let Some(greeting) = value.get("QMP") {
        let number = |name: &str| greeting["version"]["qemu"][name].as_u64();
        let (Some(major), Some(minor)) = (number("major"), number("minor")) else {
            return Err(strange());
        };
        return Ok(Message::Greeting { major, minor });
    }
    if let Some(name) = value.get("event").and_then(Value::as_str) {
        let name = name.to_owned();
        return Ok(Message::Event { name, data: value.remove("data").unwrap_or_default() });
    }
    let id = value.get("id").and_then(Value::as_u64);
    if let Some(error) = value.get("error") {
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        let refusal = Refusal { class: text("class"), description: text("desc") };
        return Ok(Message::Reply { id, result: Err(refusal) });
    }
    let result = value.remove("return").ok_or_else(strange)?;
    Ok(Message::Reply { id, result: Ok(result) })
}

pub(crate) struct Qmp {
    socket: Socket,
    path: PathBuf,
    waits: Waits,
    /// When what holds up a guest must be over.
    until: Option<Duration>,
    /// Of the last command.
    id: u64,
    events: VecDeque<(String, Value)>,
    version: (u64, u64),
}

impl Qmp {
    /// `NotFound` if no QEMU is there.
    pub(crate) fn connect(path: &Path, waits: Waits) -> Result<Self> {
        let patience = waits.within(GREETING);
        let socket = Socket::connect(path, &patience)?;
        let events = VecDeque::new();
        let path = path.to_owned();
        let mut qmp = Self { socket, path, waits, until: None, id: 0, events, version: (0, 0) };
        let greeting = qmp.receive(&patience).map_err(|error| {
            let advice = "a QMP socket serves one program at a time, and another seems to hold \
                          this one: give the machine a `-qmp` socket for Tintype alone";
            error.context(advice)
        })?;
        let Message::Greeting { major, minor } = greeting else {
            return Err(Error::invalid(format!("{}: is not a QMP socket", qmp.socket.name())));
        };
        qmp.version = (major, minor);
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    pub(crate) fn version(&self) -> (u64, u64) {
        self.version
    }

    pub(crate) fn process(&self) -> Option<i32> {
        self.socket.peer_process()
    }

    /// From now on commands may wait as `waits` does.
    pub(crate) fn wait_as(&mut self, waits: Waits) {
        self.waits = waits;
    }

    /// From now on all commands together take at most so long; none: each as long as it may.
    pub(crate) fn bound(&mut self, limit: Option<Duration>) {
        self.until = limit.map(|limit| self.waits.elapsed() + limit);
    }

    fn limit(&self) -> Duration {
        let left = self.until.map(|until| until.saturating_sub(self.waits.elapsed()));
        left.map_or(COMMAND, |left| left.min(COMMAND))
    }

    pub(crate) fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let patience = self.waits.within(self.limit());
        self.id += 1;
        let mut line = json!({ "execute": command, "arguments": arguments, "id": self.id });
        if line["arguments"] == Value::Object(Map::new()) {
            line.as_object_mut().expect("it is one").remove("arguments");
        }
        let mut line = line.to_string();
        line.push('\n');
        let context = |error: Error| error.context(format!("QEMU, {command}"));
        self.socket.send(line.as_bytes(), &patience).map_err(context)?;
        loop {
            match self.receive(&patience).map_err(context)? {
                Message::Event { name, data } => self.keep(name, data),
                Message::Reply { id: Some(id), result } if id == self.id => {
                    return result.map_err(|refusal| refused(&self.path, command, &refusal));
                }
                // A late reply to what was given up, or an error without the command.
                Message::Reply { id: None, result: Err(refusal) } => {
                    return Err(refused(&self.path, command, &refusal));
                }
                Message::Reply { .. } | Message::Greeting { .. } => {}
            }
        }
    }

    /// Waits for an event that came since the connection was made.
    pub(crate) fn event(
        &mut self,
        name: &str,
        limit: Duration,
        is_it: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let patience = self.waits.within(limit);
        loop {
            let found = self.events.iter().position(|(kind, data)| kind == name && is_it(data));
            if let Some((_, data)) = found.and_then(|index| self.events.remove(index)) {
                return Ok(data);
            }
            let context = |error: Error| error.context(format!("waiting for {name} of QEMU"));
            if let Message::Event { name, data } = self.receive(&patience).map_err(context)? {
                self.keep(name, data);
            }
        }
    }

    fn keep(&mut self, name: String, data: Value) {
        if self.events.len() == MOST_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back((name, data));
    }

    fn receive(&mut self, patience: &Patience) -> Result<Message> {
        let line = self.socket.line(LINE_BYTES, patience)?;
        parse(&line).map_err(|error| error.context(self.socket.name()))
    }
}

fn refused(path: &Path, command: &str, refusal: &Refusal) -> Error {
    let kind = match &refusal.class[..] {
        "DeviceNotFound" => ErrorKind::NotFound,
        "CommandNotFound" => ErrorKind::Unsupported,
        _ => ErrorKind::Invalid,
    };
    let path = path.display();
    Error::new(kind, format!("QEMU at {path} refuses {command}: {}", refusal.description))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        let greeting = br#"{"QMP":{"version":{"qemu":{"micro":22,"minor":2,"major":7},"package":""},"capabilities":["oob"]}}"#;
        assert_eq!(parse(greeting).unwrap(), Message::Greeting { major: 7, minor: 2 });
        let event = parse(br#"{"event":"STOP","timestamp":{"seconds":1}}"#).unwrap();
        assert_eq!(event, Message::Event { name: "STOP".into(), data: Value::Null });
        let reply = parse(br#"{"return":{"a":1},"id":7}"#).unwrap();
        assert_eq!(reply, Message::Reply { id: Some(7), result: Ok(json!({"a": 1})) });
        let refusal = parse(br#"{"id":8,"error":{"class":"GenericError","desc":"no"}}"#).unwrap();
        let expected = Refusal { class: "GenericError".into(), description: "no".into() };
        assert_eq!(refusal, Message::Reply { id: Some(8), result: Err(expected) });
    }

    /// Each look at it takes a second.
    struct Ticking(std::sync::atomic::AtomicU64);

    impl tintype_model::env::Clock for Ticking {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }

        fn elapsed(&self) -> Duration {
            Duration::from_secs(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        }

        fn sleep(&self, _: Duration) {}
    }

    /// A QEMU that is stopped itself answers nothing: one member of a group fails, and not the run.
    #[test]
    fn what_holds_up_a_guest_is_bounded_as_a_whole() {
        let (ours, _qemu) = std::os::unix::net::UnixStream::pair().unwrap();
        let waits = Waits::by(std::sync::Arc::new(Ticking(0.into())));
        let mut qmp = Qmp {
            socket: Socket::of(ours, "a monitor".to_owned()).unwrap(),
            path: PathBuf::from("a monitor"),
            waits: waits.clone(),
            until: None,
            id: 0,
            events: VecDeque::new(),
            version: (7, 2),
        };
        let begun = waits.elapsed();
        qmp.bound(Some(Duration::from_secs(8)));
        for command in ["query-status", "stop", "cont"] {
            let error = qmp.execute(command, json!({})).unwrap_err();
            assert!(error.is(ErrorKind::Unavailable), "{error}");
        }
        assert!(waits.elapsed().saturating_sub(begun) < COMMAND, "three commands together");
        qmp.bound(None);
        let begun = waits.elapsed();
        qmp.execute("cont", json!({})).unwrap_err();
        assert!(waits.elapsed().saturating_sub(begun) >= COMMAND);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bad in [&b""[..], b"[]", b"{}", b"\xff", br#"{"QMP":{}}"#, br#"{"event":1}"#] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn changed_messages_are_read_or_refused(bytes in tintype_testkit::hostile::changed([
            r#"{"QMP":{"version":{"qemu":{"micro":22,"minor":2,"major":7}},"capabilities":[]}}"#,
            r#"{"event":"STOP","data":{"a":[1]},"timestamp":{"seconds":1,"microseconds":2}}"#,
            r#"{"return":{"a":1},"id":7}"#,
            r#"{"id":8,"error":{"class":"GenericError","desc":"no"}}"#,
        ])) {
            let _ = parse(&bytes);
        }
    }
}
