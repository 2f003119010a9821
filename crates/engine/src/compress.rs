//! zstd with bounds (format.md §6, codecs).

use std::sync::LazyLock;

use tintype_model::{Error, Result};
use zstd::bulk;
use zstd::dict::{DecoderDictionary, EncoderDictionary};

use crate::format::frame::{Codec, FrameHead};

/// format.md §15.
pub const PAGE_DICTIONARY: &[u8] = include_bytes!("format/page-dictionary-v1.bin");
/// Level of metadata pages: few bytes, kept for long, read often.
const PAGE_LEVEL: i32 = 3;

static PAGE_ENCODER: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(PAGE_DICTIONARY, PAGE_LEVEL));
static PAGE_DECODER: LazyLock<DecoderDictionary<'static>> =
    LazyLock::new(|| DecoderDictionary::copy(PAGE_DICTIONARY));

fn failed(error: std::io::Error) -> Error {
    Error::internal("zstd failed").with_source(error)
}

/// Buffers and contexts of one thread.
pub struct Compressor {
    plain: bulk::Compressor<'static>,
    pages: Option<bulk::Compressor<'static>>,
    level: i32,
    buffer: Vec<u8>,
}

/// Bytes looked at in each of three places before a chunk is compressed whole.
const PROBE_BYTES: usize = 4096;

impl Compressor {
    pub fn new() -> Result<Self> {
        let level = 1;
        let plain = bulk::Compressor::new(level).map_err(failed)?;
        Ok(Self { plain, pages: None, level, buffer: Vec::new() })
    }

    /// Compresses file content at `level`, or gives it back where that does not help.
    pub fn compress<'a>(&'a mut self, raw: &'a [u8], level: i32) -> Result<(Codec, &'a [u8])> {
        if level != self.level {
            self.plain.set_compression_level(level).map_err(failed)?;
            self.level = level;
        }
        if raw.len() < 64 || !self.probe(raw)? {
            return Ok((Codec::None, raw));
        }
        let length = Self::run(&mut self.plain, raw, &mut self.buffer)?;
        Ok(Self::choose(Codec::Zstd, raw, &self.buffer[..length]))
    }

    /// Compresses a tree page with the page dictionary.
    pub fn compress_page<'a>(&'a mut self, raw: &'a [u8]) -> Result<(Codec, &'a [u8])> {
        let pages = match &mut self.pages {
            Some(pages) => pages,
            none => {
                let made = bulk::Compressor::with_prepared_dictionary(&PAGE_ENCODER);
                none.insert(made.map_err(failed)?)
            }
        };
        let length = Self::run(pages, raw, &mut self.buffer)?;
        Ok(Self::choose(Codec::ZstdPage, raw, &self.buffer[..length]))
    }

    fn choose<'a>(codec: Codec, raw: &'a [u8], stored: &'a [u8]) -> (Codec, &'a [u8]) {
        // Not worth the time to decompress, later, for less than two percent.
        if stored.len() + raw.len() / 50 < raw.len() { (codec, stored) } else { (Codec::None, raw) }
    }

    /// Whether a few KiB out of `raw` shrink.
    fn probe(&mut self, raw: &[u8]) -> Result<bool> {
        if raw.len() < 8 * PROBE_BYTES {
            return Ok(true);
        }
        for at in [0, raw.len() / 2, raw.len() - PROBE_BYTES] {
            let piece = &raw[at..at + PROBE_BYTES];
            let length = Self::run(&mut self.plain, piece, &mut self.buffer)?;
            if length < PROBE_BYTES - PROBE_BYTES / 32 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn run(with: &mut bulk::Compressor<'_>, raw: &[u8], buffer: &mut Vec<u8>) -> Result<usize> {
        let bound = zstd::zstd_safe::compress_bound(raw.len());
        if buffer.len() < bound {
            buffer.resize(bound, 0);
        }
        with.compress_to_buffer(raw, &mut buffer[..]).map_err(failed)
    }
}

/// Contexts of one thread.
pub struct Decompressor {
    plain: bulk::Decompressor<'static>,
    pages: bulk::Decompressor<'static>,
}

impl Decompressor {
    pub fn new() -> Result<Self> {
        Ok(Self {
            plain: bulk::Decompressor::new().map_err(failed)?,
            pages: bulk::Decompressor::with_prepared_dictionary(&PAGE_DECODER).map_err(failed)?,
        })
    }

    /// Appends the raw bytes of a frame to `out`. Grows `out` by exactly `head.raw_bytes`,
    /// which was checked against the format's limits; longer output is refused.
    pub fn append(&mut self, head: &FrameHead, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        let with = match head.codec {
            Codec::None => {
                out.extend_from_slice(stored);
                return Ok(());
            }
            Codec::Zstd => &mut self.plain,
            Codec::ZstdPage => &mut self.pages,
        };
        out.resize(start + head.raw_bytes as usize, 0);
        match with.decompress_to_buffer(stored, &mut out[start..]) {
            Ok(length) if length == head.raw_bytes as usize => Ok(()),
            _ => {
                out.truncate(start);
                Err(Error::corrupt("does not decompress to the length that it claims"))
            }
        }
    }
}
