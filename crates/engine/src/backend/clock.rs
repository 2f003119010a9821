//! What time a store says it is, in the words of HTTP.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;

/// The last that was said.
#[derive(Clone, Debug, Default)]
pub(super) struct Dates(Arc<Mutex<Option<Timestamp>>>);

impl Dates {
    pub(super) fn forget(&self) {
        *self.0.lock().expect("no holder panics") = None;
    }

    pub(super) fn last(&self) -> Option<Timestamp> {
        *self.0.lock().expect("no holder panics")
    }

    pub(super) fn saw(&self, header: Option<&[u8]>) {
        if let Some(date) = date_of(header) {
            *self.0.lock().expect("no holder panics") = Some(date);
        }
    }
}

/// The value of a `Date` header (RFC 9110, section 5.6.7).
fn date_of(header: Option<&[u8]>) -> Option<Timestamp> {
    let date = jiff::fmt::rfc2822::parse(std::str::from_utf8(header?).ok()?).ok()?;
    Some(date.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http() {
        let date = date_of(Some(b"Sun, 06 Nov 1994 08:49:37 GMT")).unwrap();
        assert_eq!(date.to_string(), "1994-11-06T08:49:37Z");
        for bad in [None, Some(&b""[..]), Some(b"yesterday"), Some(b"\xff")] {
            assert_eq!(date_of(bad), None);
        }
    }
}
