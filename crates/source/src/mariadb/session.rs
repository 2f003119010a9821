//! One connection that stays, held by the command line client: what must keep a lock is asked
//! over its pipes.

use std::io::{Read as _, Write as _};
use std::process::ChildStdin;
use std::time::Duration;

use tintype_model::{Error, ErrorKind, Result};

use super::At;
use super::programs::Login;
use crate::connector::Context;
use crate::host::program::Running;

const PATIENCE: Duration = Duration::from_mins(1);
const MOST_BYTES: usize = 64 << 20;

pub(super) struct Session {
    name: String,
    running: Running,
    input: ChildStdin,
    asked: u64,
    read: Vec<u8>,
    /// How long an answer may take.
    patience: Duration,
    _login: Login,
}

pub(super) type Row = Vec<String>;

impl Session {
    pub(super) fn start(name: &str, at: &At, context: &Context) -> Result<Self> {
        let login = Login::new(&format!("{name}-session"), at, context)?;
        let mut command = login.command("mariadb", "mysql")?;
        command.args(["--batch", "--skip-column-names", "--unbuffered", "--no-auto-rehash"]);
        command.args(["--connect-timeout=10", "--default-character-set=utf8mb4"]);
        let (running, input) = Running::start_with_input(context, &mut command)?;
        let name = name.to_owned();
        let mut session = Self {
            name,
            running,
            input,
            asked: 0,
            read: Vec::new(),
            patience: PATIENCE,
            _login: login,
        };
        session.ask("SET SESSION wait_timeout = 86400").map_err(|error| {
            let message = format!(
                "{}; is MariaDB at {} running, and may {} log in?",
                error.message(),
                at.shown(),
                at.user
            );
            Error::new(error.kind(), message)
        })?;
        Ok(session)
    }

    /// The rows that a statement gives. An error ends the session, and with it what it holds.
    pub(super) fn ask(&mut self, sql: &str) -> Result<Vec<Row>> {
        self.asked += 1;
        let end = format!("tintype-answer-{}", self.asked);
        let text = format!("{sql};\nSELECT '{end}';\n");
        // If it is gone, reading says why.
        let _ = self.input.write_all(text.as_bytes()).and_then(|()| self.input.flush());
        let mut rows = Vec::new();
        let mut bytes = 0;
        loop {
            let line = self.line()?;
            if line == end {
                return Ok(rows);
            }
            bytes += line.len();
            if bytes > MOST_BYTES {
                return Err(Error::corrupt(format!("{}: an answer without an end", self.name)));
            }
            rows.push(line.split('\t').map(unescaped).collect());
        }
    }

    /// The same, of one that may read everything.
    pub(super) fn ask_patiently(&mut self, sql: &str) -> Result<Vec<Row>> {
        self.patience = super::MOST;
        let rows = self.ask(sql);
        self.patience = PATIENCE;
        rows
    }

    pub(super) fn value(&mut self, sql: &str) -> Result<String> {
        let first = self.ask(sql)?.into_iter().next().and_then(|row| row.into_iter().next());
        first.ok_or_else(|| Error::corrupt(format!("{}: no answer to {sql}", self.name)))
    }

    fn line(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            let mut buffer = [0; 8192];
            self.running.wait_at_most(self.patience);
            match self.running.read(&mut buffer) {
                Ok(0) => return Err(self.ended()),
                Ok(read) if self.read.len() < MOST_BYTES => self.read.extend(&buffer[..read]),
                Ok(_) => {
                    return Err(Error::corrupt(format!("{}: a line without an end", self.name)));
                }
                Err(error) => return Err(Error::io(error, format_args!("{}: MariaDB", self.name))),
            }
        }
    }

    /// Why the client ended, by the code that the server gave.
    fn ended(&mut self) -> Error {
        let error = self.running.finish().err();
        let error = error.unwrap_or_else(|| Error::unavailable("the client ended by itself"));
        let says = |code: &str| error.message().contains(&format!("ERROR {code} "));
        let kind = if ["1045", "1044", "1227", "1142", "1698"].into_iter().any(says) {
            ErrorKind::Denied
        } else if says("1205") {
            ErrorKind::Locked
        } else {
            error.kind()
        };
        Error::new(kind, format!("{}: {}", self.name, error.message()))
    }
}

/// As `--batch` writes values.
fn unescaped(value: &str) -> String {
    let mut out = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('0') => out.push('\0'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            (c, false) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        assert_eq!(unescaped(r"a\tb\\c\n"), "a\tb\\c\n");
        assert_eq!(unescaped("a"), "a");
        assert_eq!(unescaped("\\"), "\\");
    }

    proptest::proptest! {
        #[test]
        fn changed_values_come_back(text in tintype_testkit::hostile::changed_text(&[
            "a\\tb\\nc\\\\d\\0e", "\\", "NULL",
        ])) {
            assert!(unescaped(&text).len() <= text.len());
        }
    }
}
