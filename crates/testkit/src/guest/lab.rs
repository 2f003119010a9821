//! The test's own line to a guest: JSON a line, over a Unix socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub(super) struct Lines {
    stream: BufReader<UnixStream>,
}

impl Lines {
    pub(super) fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("QEMU listens");
        Self { stream: BufReader::new(stream) }
    }

    pub(super) fn line(&mut self, limit: Duration) -> Value {
        self.stream.get_ref().set_read_timeout(Some(limit)).expect("a timeout can be set");
        let mut line = Vec::new();
        let length = self.stream.read_until(b'\n', &mut line).expect("QEMU answers in time");
        assert!(length > 0, "QEMU closed the connection");
        let begin = line.iter().rposition(|byte| *byte == 0xff).map_or(0, |at| at + 1);
        serde_json::from_slice(&line[begin..]).expect("QEMU speaks JSON")
    }

    pub(super) fn ask(&mut self, ask: &Value, limit: Duration) -> Value {
        self.send(format!("{ask}\n").as_bytes());
        loop {
            let reply = self.line(limit);
            if reply.get("event").is_none() {
                return reply;
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("QEMU listens");
    }

    pub(super) fn synchronise(&mut self, limit: Duration) {
        let ask = json!({"execute": "guest-sync-delimited", "arguments": {"id": 4711}});
        self.send(&[&[0xff], ask.to_string().as_bytes(), b"\n"].concat());
        while self.line(limit)["return"] != 4711 {}
    }

    pub(super) fn shell(&mut self, script: &str, limit: Duration) -> String {
        let begun = Instant::now();
        let run = json!({"execute": "guest-exec", "arguments":
            {"path": "/bin/sh", "arg": ["-c", script], "capture-output": true}});
        let started = self.ask(&run, limit);
        let process = &started["return"]["pid"];
        assert!(process.is_number(), "{script}: {started}");
        let ask = json!({"execute": "guest-exec-status", "arguments": {"pid": process}});
        loop {
            let state = self.ask(&ask, limit)["return"].take();
            if state["exited"] == true {
                return decoded(state["out-data"].as_str().unwrap_or_default());
            }
            assert!(begun.elapsed() < limit, "{script}: does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Base64.
pub(crate) fn decoded(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.bytes().filter_map(|byte| DIGITS.iter().position(|digit| *digit == byte));
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0, 0usize);
    for digit in digits {
        held = (held << 6 | digit) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
