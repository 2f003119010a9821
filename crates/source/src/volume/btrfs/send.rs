//! Reads the stream of `BTRFS_IOC_SEND`, version 1: a head, then commands, each with attributes
//! (fs/btrfs/send.h of Linux). Of the attributes only paths are kept.

use std::io::{self, Read};

/// One command, as far as names go. Paths are those of the moment at which a receiver, who does
/// command after command, comes to it; an empty path is the top of the subvolume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Something is made.
    Make(Vec<u8>),
    Rename {
        from: Vec<u8>,
        to: Vec<u8>,
    },
    /// A further name for a file.
    Link(Vec<u8>),
    Remove(Vec<u8>),
    /// Content or metadata.
    Change(Vec<u8>),
}

/// Commands of a stream, one after the other; ends after the command that ends the stream. One
/// that breaks off before is an error.
pub(super) struct Stream<R> {
    read: R,
    state: State,
    buffer: Vec<u8>,
}

#[derive(PartialEq, Eq)]
enum State {
    Start,
    Within,
    Over,
}

const MAGIC: &[u8; 13] = b"btrfs-stream\0";
/// Version 1 sends at most 64 KiB at once, plus heads.
const COMMAND_BYTES: usize = 128 << 10;
/// `PATH_MAX`.
const PATH_BYTES: usize = 4096;

const PATH: u16 = 15;
const PATH_TO: u16 = 16;

impl<R: Read> Stream<R> {
    pub(super) fn new(read: R) -> Self {
        Self { read, state: State::Start, buffer: Vec::new() }
    }

    fn begin(&mut self) -> io::Result<()> {
        let mut head = [0; 17];
        self.read.read_exact(&mut head)?;
        let version = u32::from_le_bytes([head[13], head[14], head[15], head[16]]);
        if &head[..13] != MAGIC || version != 1 {
            return Err(wrong(format!("no stream of version 1 ({version})")));
        }
        self.state = State::Within;
        Ok(())
    }

    /// The next command that names something.
    fn advance(&mut self) -> io::Result<Option<Command>> {
        if self.state == State::Start {
            self.begin()?;
        }
        while self.state == State::Within {
            let mut head = [0; 10];
            self.read.read_exact(&mut head)?;
            let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
            let number = u16::from_le_bytes([head[4], head[5]]);
            if length > COMMAND_BYTES {
                return Err(wrong(format!("command {number} of {length} bytes")));
            }
            self.buffer.resize(length, 0);
            self.read.read_exact(&mut self.buffer)?;
            if let Some(command) = self.command(number)? {
                return Ok(Some(command));
            }
        }
        Ok(None)
    }

    fn command(&mut self, number: u16) -> io::Result<Option<Command>> {
        let path = |kind| path(&self.buffer, kind, number);
        Ok(Some(match number {
            // The subvolume itself; its attributes are not those of a file in it.
            1 | 2 => return Ok(None),
            3..=8 => Command::Make(path(PATH)?),
            9 => Command::Rename { from: path(PATH)?, to: path(PATH_TO)? },
            10 => Command::Link(path(PATH)?),
            11 | 12 => Command::Remove(path(PATH)?),
            13..=20 | 22 => Command::Change(path(PATH)?),
            21 => {
                self.state = State::Over;
                return Ok(None);
            }
            _ => return Err(wrong(format!("unknown command {number}"))),
        }))
    }
}

impl<R: Read> Iterator for Stream<R> {
    type Item = io::Result<Command>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if matches!(next, Some(Err(_))) {
            self.state = State::Over;
        }
        next
    }
}

/// The attribute of a kind in a command's body.
fn path(mut body: &[u8], kind: u16, number: u16) -> io::Result<Vec<u8>> {
    let broken = || wrong(format!("command {number} is cut"));
    while !body.is_empty() {
        let (head, rest) = body.split_at_checked(4).ok_or_else(broken)?;
        let found = u16::from_le_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let (value, rest) = rest.split_at_checked(length).ok_or_else(broken)?;
        if found == kind {
            let is_path = value.len() <= PATH_BYTES
                && !value.contains(&0)
                && (value.is_empty() || value.split(|byte| *byte == b'/').all(is_name));
            return if is_path { Ok(value.to_vec()) } else { Err(wrong("no path".into())) };
        }
        body = rest;
    }
    Err(wrong(format!("command {number} has no path")))
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".."
}

fn wrong(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("btrfs send stream: {why}"))
}
