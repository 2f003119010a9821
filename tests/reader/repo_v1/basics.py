"""Limits (§12), and the conventions of the document's first paragraphs."""

import functools
import json
import re
from pathlib import Path

import zstandard
from blake3 import blake3

DICTIONARY = Path(__file__).parents[3] / "crates/engine/src/format/page-dictionary-v1.bin"  # §15

# §6: object types by the first part of their name, and the frame kinds that each may hold.
CHUNK, PARCEL, LIST, PAGE, INDEX, JSON, TRAILER, PADDING = range(1, 9)
CONTENT = (CHUNK, PARCEL, LIST, PAGE)
OBJECT_TYPES = {"data": 1, "meta": 2, "index": 3, "session": 4, "fate": 5,
                "annotation": 6, "condemned": 7, "gc": 8, "retired": 9}
FRAMES_OF = {1: {CHUNK, PARCEL, TRAILER, PADDING}, 2: {LIST, PAGE, TRAILER, PADDING}, 3: {INDEX}}
HEADER, FOOTER = 80, 32

# §12
FRAME_LIMIT = 16_777_215
RAW_LIMIT = {CHUNK: 4_194_304, PARCEL: 4_194_304, LIST: 1_048_576, PAGE: 4_194_304,
             INDEX: 1_048_576, TRAILER: 50_331_648}
PACK_LIMIT, PACK_FRAMES = 1 << 32, 1_048_576
SEGMENT_RECORDS, SEGMENT_PACKS = 4_194_304, 262_144
JSON_LIMIT, PLAIN_JSON_LIMIT, JSON_DEPTH = 256 << 20, 64 << 10, 64
LEVELS, LEAF_ENTRIES, INNER_CHILDREN = 8, 65_536, 4_096
PATH_LIMIT, NAME_LIMIT, OWNER_LIMIT = 65_535, 255, 255
PAGE_PATHS = 16_777_216
REFERENCES, DEPTH, PAGE_PARTS = 4_096, 4, 131_072
XATTRS, XATTR_NAME, XATTR_VALUE, XATTR_INLINE = 4_096, 255, 1 << 20, 4_096

# §9.4
FILE, DIRECTORY, SYMLINK, FIFO, CHARACTER, BLOCK, SOCKET, IMAGE, STREAM, UNKNOWN = range(10)
LETTERS = "fdlpcbsISu"
CONTENT_KINDS = (FILE, IMAGE, STREAM)
UNREADABLE, METADATA = 1, 4
INCOMPLETE = (UNREADABLE, METADATA)


class Refused(Exception):
    """What §12 tells a reader to refuse; the message names the object."""


class WrongKey(Exception):
    """No key slot opens with this passphrase or these words."""


def need(condition, message):
    if not condition:
        raise Refused(message)


class Cursor:
    """Reads the conventions of the format's first paragraphs from bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        need(length <= len(self.data) - self.at, "ends early")
        self.at += length
        return self.data[self.at - length:self.at]

    def uint(self, size):
        return int.from_bytes(self.take(size), "little")

    def varint(self, limit=(1 << 64) - 1, what="number"):
        value = 0
        for position in range(10):
            byte = self.uint(1)
            value |= (byte & 127) << (7 * position)
            if byte < 128:
                need(byte or not position, "varint is not in its shortest form")
                need(value <= limit, f"{what} {value} exceeds {limit}")
                return value
        raise Refused("varint is longer than 10 bytes")

    def zigzag(self):
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def bytes(self, limit=FRAME_LIMIT, what="length"):
        return self.take(self.varint(limit, what))

    def rest(self):
        return self.take(len(self.data) - self.at)

    def end(self, what):
        need(self.at == len(self.data), f"{what} ends late")


def wrap(value):
    """Differences wrap modulo 2^64; the result is signed."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def derive(context, material):
    return blake3(material, derive_key_context=context).digest()


def keyed(key, data, length=32):
    return blake3(data, key=key).digest(length=length)


def up16(length):
    return (length + 15) & ~15


def parse_json(data, limit):
    """Refuses deep nesting before the parser sees it."""
    need(len(data) <= limit, f"{len(data)} bytes of JSON")
    depth = 0
    for sign in re.findall(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', data):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(sign, 0)
        need(depth <= JSON_DEPTH, "JSON is nested too deeply")
    try:
        value = json.loads(data.decode("utf-8"))
    except ValueError as error:
        raise Refused(f"not JSON: {error}") from error
    need(isinstance(value, dict), "JSON is not an object")
    return value


def decompress(codec, stored, raw_length):
    if codec == 0:
        need(len(stored) == raw_length, "raw and stored length differ without a codec")
        return stored
    words = None
    if codec == 2:
        words = zstandard.ZstdCompressionDict(
            page_dictionary(), dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    reader = zstandard.ZstdDecompressor(dict_data=words).stream_reader(stored)
    try:
        raw = reader.read(raw_length + 1)  # never more memory than the header announced
    except zstandard.ZstdError as error:
        raise Refused(f"does not decompress: {error}") from error
    need(len(raw) == raw_length, "decompressed length differs from the raw length")
    return raw


@functools.cache
def page_dictionary():
    return DICTIONARY.read_bytes()
