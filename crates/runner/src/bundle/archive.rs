//! What zip and tar have in common, for whoever writes one.

use std::ops::Range;

use tintype_engine::tree::TreeEntry;
use tintype_model::Result;

use super::zip::deflate::Packed;

/// Takes members in order. Nothing is sought.
pub(super) trait Archive {
    /// Whether content comes deflated.
    fn is_zip(&self) -> bool;

    /// One of our own members, whole.
    fn own(&mut self, name: &str, bytes: &[u8]) -> Result<()>;

    /// One of our own members, in pieces; tar must know its length.
    fn begin_own(&mut self, name: &str, size_bytes: u64) -> Result<()>;

    /// What has no content; whether there is a member for it.
    fn bare(&mut self, entry: &TreeEntry) -> Result<bool>;

    /// Another name of a file that is there already as `first`.
    fn link(&mut self, entry: &TreeEntry, first: &[u8]) -> Result<()>;

    /// Content at hand, without holes.
    fn whole(&mut self, entry: &TreeEntry, raw: &[u8], packed: Option<Packed>) -> Result<()>;

    /// Content that follows in pieces. `data`: where it is not holes, which a tar must know.
    fn begin(&mut self, entry: &TreeEntry, data: Option<&[Range<u64>]>) -> Result<()>;

    fn piece(&mut self, raw: &[u8], packed: Option<Packed>) -> Result<()>;

    fn hole(&mut self, length: u64) -> Result<()>;

    /// After the last piece.
    fn end(&mut self) -> Result<()>;

    /// After the last member.
    fn finish(&mut self) -> Result<()>;
}
