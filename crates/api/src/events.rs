//! Server-sent events, as they come.

use std::io::{BufRead as _, BufReader, Read};

use tintype_model::{Error, Result};

use crate::run::Run;

/// A longer line is none of a manager's.
const LINE_BYTES: u64 = 16 << 20;

/// Ends with the run that it tells of, or with the session.
pub struct Events {
    pub(crate) base: String,
    pub(crate) lines: BufReader<Box<dyn Read + Send>>,
    /// Of the last event that came whole: to go on behind it.
    pub last_id: Option<String>,
}

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// `run`, `log`; `change`, `reset`.
    pub name: String,
    pub data: String,
}

impl Events {
    /// The run, whenever something of it changed.
    pub fn runs(self) -> impl Iterator<Item = Result<Run>> {
        let understood = |event: Event| {
            serde_json::from_str(&event.data)
                .map_err(|error| Error::unsupported(format!("an event of a run: {error}")))
        };
        self.filter_map(move |event| match event {
            Ok(event) if event.name != "run" => None,
            event => Some(event.and_then(understood)),
        })
    }

    fn line(&mut self) -> Result<Option<String>> {
        let mut line = Vec::new();
        let read = (&mut self.lines).take(LINE_BYTES).read_until(b'\n', &mut line);
        read.map_err(|error| Error::unavailable(format!("{}: {error}", self.base)))?;
        match line.pop() {
            None => Ok(None),
            Some(b'\n') => {
                let line = String::from_utf8_lossy(&line);
                Ok(Some(line.trim_end_matches('\r').to_owned()))
            }
            // Cut off, or too long.
            Some(_) => Err(Error::unavailable(format!("{}: an event was cut off", self.base))),
        }
    }

    fn event(&mut self) -> Result<Option<Event>> {
        let mut event = Event::default();
        let mut id = None;
        while let Some(line) = self.line()? {
            if line.is_empty() {
                self.last_id = id.take().or(self.last_id.take());
                if event != Event::default() {
                    return Ok(Some(event));
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => id = Some(value.to_owned()),
                "event" => value.clone_into(&mut event.name),
                "data" if event.data.is_empty() => value.clone_into(&mut event.data),
                "data" => {
                    event.data.push('\n');
                    event.data.push_str(value);
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

impl Iterator for Events {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        self.event().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_whole_and_comments_passed_over() {
        let text =
            ":keep\n\nevent: log\nid: 1\ndata: {\ndata: }\n\nevent:run\r\ndata: x\r\n\r\nevent";
        let lines = BufReader::new(Box::new(text.as_bytes()) as Box<dyn Read + Send>);
        let mut events = Events { base: "b".into(), lines, last_id: None };
        let found: Vec<Result<Event>> = events.by_ref().collect();
        let [first, second, third] = &found[..] else { panic!("{found:?}") };
        let of = |name: &str, data: &str| Event { name: name.into(), data: data.into() };
        assert_eq!(first.as_ref().unwrap(), &of("log", "{\n}"));
        assert_eq!(second.as_ref().unwrap(), &of("run", "x"));
        assert!(third.as_ref().unwrap_err().to_string().contains("cut off"));
        assert_eq!(events.last_id.as_deref(), Some("1"));
    }
}
