//! The log from the start of the base backup to past the freeze, as whole segment files, over
//! `START_REPLICATION`.

use tintype_model::{Error, Result};

use super::client::Client;
use super::lsn::{Lsn, Segments};
use super::reader::{InOrder, out_of_order};
use super::wire::{Fields, message};

/// Kind, position, end of the log, time.
const HEADER_BYTES: usize = 1 + 8 + 8 + 8;

pub(super) struct WalStream {
    client: Option<Client>,
    slot: String,
    segments: Segments,
    started: bool,
    /// Up to where it was handed out.
    at: Lsn,
    pending: Vec<u8>,
    taken: usize,
}

impl WalStream {
    /// Nothing is asked for before the first read: until then the slot keeps it.
    pub(super) fn new(client: Client, slot: &str, segments: Segments) -> Self {
        let at = segments.begin(segments.first);
        let slot = slot.to_owned();
        let client = Some(client);
        Self { client, slot, segments, started: false, at, pending: Vec::new(), taken: 0 }
    }

    /// Ends the connection, and its slot with it.
    pub(super) fn close(&mut self) {
        self.client = None;
    }

    fn client(&mut self) -> Result<&mut Client> {
        self.client.as_mut().ok_or_else(out_of_order)
    }

    fn start(&mut self) -> Result<()> {
        let (slot, at, timeline) = (&self.slot, self.at, self.segments.timeline);
        let command = format!("START_REPLICATION SLOT {slot} PHYSICAL {at} TIMELINE {timeline}");
        self.client()?.send_query(&command)?;
        // The log that a slot keeps may be removed after all, if the server is told to.
        let answer = self.client()?.receive()?;
        if answer.tag != b'W' {
            return Err(strange());
        }
        self.started = true;
        Ok(())
    }

    fn receive(&mut self) -> Result<()> {
        let received = self.client()?.receive()?;
        if received.tag != b'd' {
            return Err(strange());
        }
        let mut fields = Fields(&received.body);
        match fields.u8()? {
            b'w' => {
                let position = Lsn(fields.u64()?);
                if position != self.at || received.body.len() < HEADER_BYTES {
                    return Err(Error::corrupt(format!(
                        "the log goes on at {position}, not at {}",
                        self.at
                    )));
                }
                self.pending = received.body;
                self.taken = HEADER_BYTES;
            }
            b'k' => {
                fields.take(16)?;
                if fields.u8()? == 1 {
                    self.reply()?;
                }
            }
            _ => return Err(strange()),
        }
        Ok(())
    }

    /// Written, flushed and applied up to here; the time and a request for an answer are nothing.
    fn reply(&mut self) -> Result<()> {
        let mut body = vec![b'r'];
        for _ in 0..3 {
            body.extend(self.at.0.to_be_bytes());
        }
        body.extend([0; 9]);
        self.client()?.write(&message(Some(b'd'), &body))
    }
}

impl InOrder for WalStream {
    fn read(&mut self, number: usize, buffer: &mut [u8]) -> Result<usize> {
        let begin = self.segments.begin(self.segments.first + number as u64);
        let end = Lsn(begin.0 + self.segments.bytes);
        if self.at >= end || buffer.is_empty() {
            return Ok(0);
        }
        if self.at < begin {
            return Err(out_of_order());
        }
        if !self.started {
            self.start()?;
        }
        while self.taken == self.pending.len() {
            self.receive()?;
        }
        let waiting = &self.pending[self.taken..];
        let length = waiting.len().min(buffer.len()).min((end.0 - self.at.0) as usize);
        buffer[..length].copy_from_slice(&waiting[..length]);
        self.taken += length;
        self.at.0 += length as u64;
        Ok(length)
    }

    fn ended(&mut self, number: usize) -> Result<()> {
        let next = self.segments.first + number as u64 + 1;
        if self.at < self.segments.begin(next) {
            return Err(out_of_order());
        }
        if next > self.segments.last {
            // The server need not keep its log any longer, whatever else is still to be read.
            self.close();
        }
        Ok(())
    }
}

fn strange() -> Error {
    Error::corrupt("an answer to START_REPLICATION that PostgreSQL 15 does not give")
}
