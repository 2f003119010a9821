//! The client of this crate reads what the server serves.
#![expect(clippy::disallowed_methods, reason = "real sockets live in real time")]

use std::ops::Range;

use super::*;
use crate::vm::nbd::NbdImage;
use tintype_testkit::env::{RealClock, Threads};

/// Cells of 64 KiB, of which every third is a hole, and the last is cut.
struct Striped;

const CELL: u64 = 64 << 10;
const SIZE: u64 = 100 * CELL + 1000;

fn is_hole(at: u64) -> bool {
    (at / CELL).is_multiple_of(3)
}

impl ReadImage for Striped {
    fn size_bytes(&self) -> u64 {
        SIZE
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        for (at, byte) in (offset..).zip(buffer) {
            *byte = if is_hole(at) { 0 } else { (at % 251) as u8 };
        }
        // As a damaged chunk is.
        if offset <= 50 * CELL + 7 && 50 * CELL + 7 < offset + 1 {
            return Err(Error::corrupt("chunk 4711 is missing"));
        }
        Ok(())
    }

    fn extent(&self, range: Range<u64>) -> Result<(u64, bool)> {
        let end = (range.start / CELL + 1) * CELL;
        Ok((end.min(range.end), is_hole(range.start)))
    }
}

#[test]
fn the_client_reads_what_the_server_serves() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let clock: Arc<dyn Clock> = Arc::new(RealClock::start());
    let cancel = Cancel::default();
    let export = Export { name: "disk".into(), image: Arc::new(Striped) };
    let server = Server::bind(&socket, vec![export], clock.clone(), cancel.clone(), false);
    let server = server.unwrap();
    let served = std::thread::scope(|scope| {
        let serving = scope.spawn(|| server.run(&Threads));
        let waits = Waits::new(clock, Cancel::default());
        let explain = Box::new(|error: Error| error.context("disk"));
        let open = |name: &str, explain| NbdImage::open(&socket, name, waits.clone(), explain);
        let none = open("other", Box::new(|error| error)).err().unwrap();
        assert!(none.is(ErrorKind::NotFound), "{none}");
        let image = open("disk", explain).unwrap();
        assert_eq!(image.size_bytes(), SIZE);
        let mut expected = vec![0; SIZE as usize];
        Striped.read_at(0, &mut expected).unwrap();
        std::thread::scope(|readers| {
            for _ in 0..4 {
                readers.spawn(|| {
                    let mut bytes = vec![1; SIZE as usize];
                    image.read_at(0, &mut bytes).unwrap();
                    assert!(bytes == expected);
                });
            }
        });
        for (range, is_zero) in [(0..CELL, true), (0..CELL + 1, false), (CELL..3 * CELL, false)] {
            assert_eq!(image.is_zero(range.clone()).unwrap(), is_zero, "{range:?}");
        }
        assert_eq!(image.extent(CELL..SIZE).unwrap(), (3 * CELL, false));
        let mut one = [0];
        let error = image.read_at(50 * CELL + 7, &mut one).unwrap_err();
        assert!(error.to_string().contains("chunk 4711 is missing"), "{error}");
        image.read_at(50 * CELL + 8, &mut one).unwrap();
        cancel.cancel();
        serving.join().unwrap()
    });
    assert_eq!((served.failed, served.damaged), (1, 1));
    assert!(served.bytes >= 4 * SIZE && served.connections >= 2, "{served:?}");
    drop(server);
    assert!(!socket.exists());
}
