//! Connections that are open: so many, and so many from one place.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::auth::limiter::of_address;

/// Each takes a file handle and some memory, whoever asks.
const MOST: usize = 4096;
/// Behind one address may be a proxy, or all agents of a site.
const MOST_OF_ONE: usize = 1024;

#[derive(Clone, Default)]
pub struct Guests(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    all: usize,
    of: HashMap<String, usize>,
}

/// One that is open; its end makes room.
pub struct Guest {
    guests: Guests,
    from: String,
}

impl Guests {
    /// None where there is no room.
    pub fn admit(&self, address: IpAddr) -> Option<Guest> {
        let from = of_address(address);
        let mut open = self.0.lock().expect("no panic while held");
        let count = open.of.get(&from).copied().unwrap_or(0);
        if open.all >= MOST || count >= MOST_OF_ONE {
            return None;
        }
        open.all += 1;
        open.of.insert(from.clone(), count + 1);
        drop(open);
        Some(Guest { guests: self.clone(), from })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut open = self.guests.0.lock().expect("no panic while held");
        open.all -= 1;
        if let Some(count) = open.of.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                open.of.remove(&self.from);
            }
        }
    }
}

/// A connection, for as long as it is open.
pub struct Visit<S> {
    stream: S,
    _guest: Guest,
}

impl<S> Visit<S> {
    pub fn new(stream: S, guest: Guest) -> Self {
        Self { stream, _guest: guest }
    }

    pub fn stream(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Visit<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Visit<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_leaves_room_for_the_others_and_an_end_makes_room() {
        let guests = Guests::default();
        let address = |network: usize| format!("2001:db8:0:{network:x}::1").parse().unwrap();
        let mut open = Vec::new();
        for network in 0..MOST / MOST_OF_ONE {
            open.extend((0..MOST_OF_ONE).map(|_| guests.admit(address(network)).unwrap()));
            assert!(guests.admit(address(network)).is_none(), "it has all that one may have");
        }
        assert!(guests.admit(address(9)).is_none(), "there is no room at all");
        open.pop();
        assert!(guests.admit(address(0)).is_none(), "that one still has all");
        let other = guests.admit(address(9)).unwrap();
        open.clear();
        drop(other);
        assert!(guests.0.lock().unwrap().of.is_empty());
    }
}
