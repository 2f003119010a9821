//! `BASE_BACKUP`: archives and the manifest over one connection
//! (<https://www.postgresql.org/docs/15/protocol-replication.html>).

use std::time::Duration;

use tintype_model::{Error, Result};

use super::client::Client;
use super::lsn::Lsn;
use super::reader::{InOrder, out_of_order};
use super::wire::{Fields, Row, literal, row};

/// A checkpoint comes before the first answer; on a large and busy server it takes its time.
const PATIENCE: Duration = Duration::from_hours(1);
pub(super) const MANIFEST: &str = "backup_manifest";

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Archive {
    /// `base.tar`, or `<oid>.tar` of a tablespace; last the manifest.
    pub(super) name: String,
    /// About, as the server counted before.
    pub(super) bytes: u64,
    /// Number and directory of a tablespace.
    pub(super) tablespace: Option<(u32, String)>,
}

pub(super) struct BaseBackup {
    client: Client,
    pub(super) start: Lsn,
    pub(super) timeline: u32,
    /// In the order in which they come.
    pub(super) archives: Vec<Archive>,
    /// The one that comes now; none before the first.
    current: Option<usize>,
    pending: Vec<u8>,
    taken: usize,
    done: bool,
    bytes: u64,
}

impl BaseBackup {
    /// Returns when the server begins to send.
    pub(super) fn start(mut client: Client, label: &str) -> Result<Self> {
        client.patience = PATIENCE;
        client.send_query(&format!(
            "BASE_BACKUP (LABEL {}, CHECKPOINT 'fast', WAIT false, WAL false, PROGRESS true, \
             TABLESPACE_MAP true, MANIFEST 'yes')",
            literal(label)
        ))?;
        let mut results: Vec<Vec<Row>> = Vec::new();
        loop {
            let message = client.receive()?;
            match message.tag {
                b'T' => results.push(Vec::new()),
                b'D' => {
                    let of = results.last_mut().ok_or_else(strange)?;
                    of.push(row(&message.body)?);
                }
                b'C' => {}
                b'H' => break,
                _ => return Err(strange()),
            }
        }
        let [position, spaces] = &results[..] else { return Err(strange()) };
        let (start, timeline) = position_of(position)?;
        let mut archives = spaces.iter().map(archive).collect::<Result<Vec<_>>>()?;
        archives.push(Archive { name: MANIFEST.to_owned(), bytes: 0, tablespace: None });
        let (current, pending, taken) = (None, Vec::new(), 0);
        Ok(Self {
            client,
            start,
            timeline,
            archives,
            current,
            pending,
            taken,
            done: false,
            bytes: 0,
        })
    }

    /// The connection, when all was read: its replication slot goes on to keep the log.
    pub(super) fn finish(self) -> Result<Client> {
        if self.done { Ok(self.client) } else { Err(out_of_order()) }
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Goes on to the next bytes, or to the next archive.
    fn advance(&mut self) -> Result<()> {
        let message = self.client.receive()?;
        match message.tag {
            b'd' => {
                let mut fields = Fields(&message.body);
                match fields.u8()? {
                    b'n' => self.begin(&fields.text()?),
                    b'm' => self.begin(MANIFEST),
                    b'd' => {
                        self.pending = message.body;
                        self.taken = 1;
                        self.bytes += self.pending.len() as u64 - 1;
                        Ok(())
                    }
                    b'p' => Ok(()),
                    _ => Err(strange()),
                }
            }
            b'c' => {
                // What follows says whether the server took it for a success.
                while self.client.receive()?.tag != b'Z' {}
                self.current = Some(self.archives.len());
                self.done = true;
                Ok(())
            }
            _ => Err(strange()),
        }
    }

    fn begin(&mut self, name: &str) -> Result<()> {
        let next = self.current.map_or(0, |current| current + 1);
        if self.archives.get(next).is_none_or(|expected| expected.name != name) {
            return Err(Error::corrupt(format!("{name} came out of its order in a base backup")));
        }
        self.current = Some(next);
        Ok(())
    }
}

impl InOrder for BaseBackup {
    fn read(&mut self, number: usize, buffer: &mut [u8]) -> Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let waiting = &self.pending[self.taken..];
            if self.current > Some(number) {
                return Ok(0);
            }
            if !waiting.is_empty() {
                if self.current != Some(number) {
                    return Err(out_of_order());
                }
                let length = waiting.len().min(buffer.len());
                buffer[..length].copy_from_slice(&waiting[..length]);
                self.taken += length;
                return Ok(length);
            }
            self.advance()?;
        }
    }

    fn ended(&mut self, number: usize) -> Result<()> {
        if self.current > Some(number) { Ok(()) } else { Err(out_of_order()) }
    }
}

fn strange() -> Error {
    Error::corrupt("an answer to BASE_BACKUP that PostgreSQL 15 does not give")
}

fn position_of(rows: &[Row]) -> Result<(Lsn, u32)> {
    let Some([Some(lsn), Some(timeline)]) = rows.first().map(|row| &row[..]) else {
        return Err(strange());
    };
    Ok((Lsn::parse(lsn)?, timeline.parse().map_err(|_| strange())?))
}

/// Number, directory and size in KiB; the cluster's own directory has no number.
fn archive(row: &Row) -> Result<Archive> {
    let [oid, location, size] = &row[..] else { return Err(strange()) };
    let kib = size.as_ref().and_then(|size| size.parse::<u64>().ok()).unwrap_or_default();
    let tablespace = match (oid, location) {
        (Some(oid), Some(at)) => Some((oid.parse().map_err(|_| strange())?, at.clone())),
        _ => None,
    };
    let name = tablespace.as_ref().map_or("base.tar".to_owned(), |(oid, _)| format!("{oid}.tar"));
    Ok(Archive { name, bytes: kib << 10, tablespace })
}
