//! What in a snapshot is likely to be secret: said before it is exported plain.

use tintype_engine::reader::ContentReader;
use tintype_engine::tree::Root;
use tintype_engine::tree::cursor::Cursor;
use tintype_model::Result;
use tintype_model::entry::is_within;

/// Tree paths, and what lies there.
const KNOWN: [(&[u8], &str); 8] = [
    (b"manager", "settings, users, tokens and keys of the manager"),
    (b"settings", "settings of the host"),
    (b"tenants", "applications, databases and machines with all their data"),
    (b"files/etc/shadow", "hashes of passwords"),
    (b"files/etc/ssh", "keys of this host"),
    (b"files/etc/ssl/private", "private keys of certificates"),
    (b"files/etc/letsencrypt", "private keys of certificates"),
    (b"files/root/.ssh", "keys of root"),
];

/// Those that an export of `path` shows: tree path and what it is.
pub fn secrets(
    reader: &ContentReader<'_>,
    root: Root,
    path: &[u8],
) -> Result<Vec<(&'static [u8], &'static str)>> {
    let mut cursor = Cursor::new(reader, root)?;
    let mut found = Vec::new();
    for (place, what) in KNOWN {
        let is_met = is_within(place, path) || is_within(path, place);
        if is_met && cursor.get(place)?.is_some() {
            found.push((place, what));
        }
    }
    Ok(found)
}
