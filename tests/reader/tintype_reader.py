#!/usr/bin/env python3
"""An independent reader of Tintype repositories, written from docs/format.md alone.

It exists to prove the document, so it is plain rather than fast, and each part names the section
that it follows (written as "§6"). It never writes into the repository: it puts no session, so run
it only where no gc runs at the same time.
"""

import argparse
import functools
import json
import os
import re
import stat
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import argon2.low_level
import zstandard
from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from mnemonic import Mnemonic

DICTIONARY = Path(__file__).parents[2] / "crates/engine/src/format/page-dictionary-v1.bin"  # §15

# §6: object types by the first part of their name, and the frame kinds that each may hold.
CHUNK, PARCEL, LIST, PAGE, INDEX, JSON, TRAILER, PADDING = range(1, 9)
OBJECT_TYPES = {"data": 1, "meta": 2, "index": 3, "session": 4, "fate": 5,
                "annotation": 6, "condemned": 7, "gc": 8, "retired": 9}
FRAMES_OF = {1: {CHUNK, PARCEL, TRAILER, PADDING}, 2: {LIST, PAGE, TRAILER, PADDING}, 3: {INDEX}}
HEADER, FOOTER = 80, 32

# §12
FRAME_LIMIT = 16_777_215
RAW_LIMIT = {CHUNK: 4_194_304, PARCEL: 4_194_304, LIST: 1_048_576, PAGE: 4_194_304,
             INDEX: 1_048_576}
PACK_LIMIT, PACK_FRAMES = 1 << 32, 1_048_576
SEGMENT_RECORDS, SEGMENT_PACKS = 4_194_304, 262_144
JSON_LIMIT, PLAIN_JSON_LIMIT, JSON_DEPTH = 256 << 20, 64 << 10, 64
LEVELS, LEAF_ENTRIES, INNER_CHILDREN = 8, 65_536, 4_096
PATH_LIMIT, NAME_LIMIT, OWNER_LIMIT = 65_535, 255, 255
REFERENCES, DEPTH = 4_096, 4
XATTRS, XATTR_NAME, XATTR_VALUE, XATTR_INLINE = 4_096, 255, 1 << 20, 4_096

# §9.4
FILE, DIRECTORY, SYMLINK, FIFO, CHARACTER, BLOCK, SOCKET, IMAGE, STREAM, UNKNOWN = range(10)
LETTERS = "fdlpcbsISu"
UNREADABLE = 1


class Refused(Exception):
    """What §12 tells a reader to refuse; the message names the object."""


class WrongKey(Exception):
    """No key slot opens with this passphrase or these words."""


def need(condition, message):
    if not condition:
        raise Refused(message)


# ---------------------------------------------------------------------------------- primitives

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


# ---------------------------------------------------------------------------- §2, §4, §5: keys

class Keys:
    def __init__(self, master):
        self.master = master
        self.id = derive("tintype v1 chunk id", master)
        self.digest = derive("tintype v1 file digest", master)
        self.config = derive("tintype v1 config", master)

    @functools.cache
    def epoch(self, number):
        return derive("tintype v1 epoch", self.master + number.to_bytes(4, "little"))

    def frame_id(self, kind, raw):
        """§7: chunks and parcels share the id key; lists and pages have one each."""
        key = self.id if kind in (CHUNK, PARCEL) else keyed(self.id, bytes([kind]))
        return keyed(key, raw)


def key_encryption_key(slot, passphrase, words):
    """None where the slot is of a kind for which the caller gave no secret."""
    if slot["kind"] == "passphrase" and passphrase is not None:
        kdf = slot["kdf"]
        need(kdf["name"] == "argon2id", f"key derivation {kdf['name']} is not known")
        need(kdf["memory_kib"] <= 4_194_304 and kdf["passes"] <= 64 and kdf["lanes"] <= 64,
             "key slot asks for too much work")
        return argon2.low_level.hash_secret_raw(
            passphrase, bytes.fromhex(kdf["salt"]), time_cost=kdf["passes"],
            memory_cost=kdf["memory_kib"], parallelism=kdf["lanes"], hash_len=32,
            type=argon2.low_level.Type.ID, version=0x13)
    if slot["kind"] == "recovery" and words is not None:
        entropy = bytes(Mnemonic("english").to_entropy(words.split()))
        return derive("tintype v1 recovery", entropy + bytes.fromhex(slot["salt"]))
    if slot["kind"] not in ("passphrase", "recovery"):
        print(f"skipped a key slot of unknown kind {slot['kind']!r}", file=sys.stderr)
    return None


def check_config(config):
    need(config.get("tintype") == "repository", "config: not a repository")
    need(config.get("version") == 1, f"config: version {config.get('version')} is not known")
    for operation in ("read", "check"):
        unknown = config["features"].get(operation, [])
        need(not unknown, f"config: needs the features {', '.join(unknown)} to {operation}")


def config_mac(config, keys):
    plain = {name: config[name] for name in
             ("tintype", "version", "id", "created", "single_writer")}
    plain["features"] = {name: config["features"][name] for name in
                         ("read", "write", "delete", "check")}
    text = json.dumps(plain, separators=(",", ":"), ensure_ascii=False)
    return keyed(keys.config, text.encode())


# --------------------------------------------------------------------------- §6: sealed objects

@dataclass
class Frame:
    kind: int
    codec: int
    offset: int
    stored: int
    raw: int
    id: bytes
    header: bytes

    @property
    def end(self):
        return self.offset + 64 + up16(self.stored) + 16


class Sealed:
    """One sealed object; reads only the parts it is asked for."""

    def __init__(self, repository, name):
        self.name, self.repository = name, repository
        self.file = open(repository.root / name, "rb")
        self.length = os.fstat(self.file.fileno()).st_size
        self.type = OBJECT_TYPES[name.split("/")[0]]
        need(HEADER + FOOTER <= self.length <= PACK_LIMIT, f"{self.length} bytes long")
        header = Cursor(self.read(0, HEADER))
        need(header.take(8) == b"TINTYPE1", "magic is wrong")
        need(header.uint(1) == self.type, "object type does not fit the name")
        need(header.uint(1) == 1, "version is not known")
        need(header.uint(2) == 0, "reserved field is not zero")
        epoch, salt, commitment = header.uint(4), header.take(32), header.take(32)
        expanded = keyed(repository.keys.epoch(epoch), salt, 64)
        need(expanded[32:] == commitment, "key commitment is wrong")
        self.aead = AESGCM(expanded[:32])

    def close(self):
        self.file.close()

    def read(self, offset, length):
        data = os.pread(self.file.fileno(), length, offset)
        need(len(data) == length, "ends early")
        return data

    def open(self, offset, counter, sealed, more=b""):
        name = self.name.encode()
        data = (self.repository.id + bytes([self.type]) + len(name).to_bytes(2, "little") + name
                + offset.to_bytes(8, "little") + more)
        try:
            return self.aead.decrypt(counter.to_bytes(8, "little") + bytes(4), sealed, data)
        except InvalidTag:
            raise Refused(f"tag is wrong at {offset}") from None

    def frame(self, offset):
        need(offset % 16 == 0 and offset + 64 + FOOTER <= self.length, f"no frame at {offset}")
        plain = self.open(offset, offset // 8, self.read(offset, 64))
        cursor = Cursor(plain)
        kind, codec, zero = cursor.uint(1), cursor.uint(1), cursor.uint(2)
        stored, raw, zero = cursor.uint(4), cursor.uint(4), zero | cursor.uint(4)
        frame = Frame(kind, codec, offset, stored, raw, cursor.take(32), plain)
        need(kind in FRAMES_OF.get(self.type, {JSON}), f"frame kind {kind} at {offset}")
        need(codec <= 2 and zero == 0, f"codec {codec} or reserved field at {offset}")
        need(stored <= FRAME_LIMIT and raw <= RAW_LIMIT.get(kind, FRAME_LIMIT)
             and stored <= raw + 1024, f"frame at {offset} is too long")
        need(kind in RAW_LIMIT and kind != INDEX or frame.id == bytes(32), "frame has an id")
        need(frame.end + FOOTER <= self.length, f"frame at {offset} ends outside the object")
        return frame

    def body(self, frame):
        """The raw bytes, checked against the id where the kind has one."""
        begin = frame.offset + 64
        sealed = self.read(begin, frame.end - begin)
        padded = self.open(frame.offset, frame.offset // 8 + 1, sealed, frame.header)
        need(not any(padded[frame.stored:]), "filling is not zero")
        raw = decompress(frame.codec, padded[:frame.stored], frame.raw)
        if frame.id != bytes(32) or frame.kind in (CHUNK, PARCEL, LIST, PAGE):
            need(self.repository.keys.frame_id(frame.kind, raw) == frame.id,
                 f"content of the frame at {frame.offset} does not have its id")
        return raw

    def footer(self):
        at = self.length - FOOTER
        cursor = Cursor(self.open(at, (1 << 64) - 1, self.read(at, FOOTER)))
        need(cursor.uint(8) == self.length, "total length is wrong")
        return cursor.uint(4), cursor.uint(4) * 16

    def frames(self):
        """All frames in order; checks that they fill the object and what the footer says."""
        count, trailer_offset = self.footer()
        need(count <= PACK_FRAMES, f"{count} frames")
        offset, seen, trailer = HEADER, 0, 0
        while offset < self.length - FOOTER:
            need(not trailer, "a frame follows the trailer")
            frame = self.frame(offset)
            trailer = offset if frame.kind == TRAILER else 0
            offset, seen = frame.end, seen + 1
            yield frame
        need(offset == self.length - FOOTER, "frames do not fill the object")
        need(seen == count and trailer == trailer_offset, "footer counts otherwise")


def naming(method):
    """Puts the object's name in front of a refusal."""
    @functools.wraps(method)
    def wrapper(self, name, *rest):
        try:
            return method(self, name, *rest)
        except Refused as error:
            text = name if isinstance(name, str) else name.hex()
            raise Refused(f"{text}: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Refused(f"{name}: a field is missing or of the wrong type: {error}") from error
    return wrapper


# ------------------------------------------------------------------------------- the repository

@dataclass
class Record:
    """§8: where a frame lies."""
    pack: str
    offset: int
    stored: int
    raw: int
    kind: int


class Repository:
    def __init__(self, root, passphrase=None, words=None):
        self.root = Path(root)
        need((self.root / "config").is_file(), f"{root}: not a repository")
        config = self.plain_json("config")
        check_config(config)
        self.id = bytes.fromhex(config["id"])
        self.keys = Keys(self.unlock(passphrase, words))
        need(config_mac(config, self.keys).hex() == config["mac"], "config: mac is wrong")
        self.index = {}
        self.sealed = functools.lru_cache(maxsize=256)(lambda name: Sealed(self, name))
        self.parcel = functools.lru_cache(maxsize=8)(lambda id: self.load(id, PARCEL))

    def names(self, prefix):
        base = self.root / prefix
        found = (path for path in base.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.root).as_posix() for path in found)

    @naming
    def plain_json(self, name):
        with open(self.root / name, "rb") as file:
            return parse_json(file.read(PLAIN_JSON_LIMIT + 1), PLAIN_JSON_LIMIT)

    def unlock(self, passphrase, words):
        for name in self.names("keys"):
            master = self.try_slot(name, passphrase, words)
            if master is not None:
                return master
        raise WrongKey("no key slot opens with this secret")

    @naming
    def try_slot(self, name, passphrase, words):
        slot = self.plain_json(name)
        key = key_encryption_key(slot, passphrase, words)
        if key is None:
            return None
        wrapped = bytes.fromhex(slot["wrapped"])
        need(len(wrapped) == 60, "wrapped key has the wrong length")
        data = b"tintype v1 slot" + self.id + bytes.fromhex(name.split("/")[1])
        try:
            return AESGCM(key).decrypt(wrapped[:12], wrapped[12:], data)
        except InvalidTag:
            return None

    @naming
    def json(self, name):
        """§11: the concatenated JSON frames of one object."""
        sealed, text = Sealed(self, name), b""
        for frame in sealed.frames():
            text += sealed.body(frame)
            need(len(text) <= JSON_LIMIT, "too much JSON")
        sealed.close()
        return parse_json(text, JSON_LIMIT)

    @naming
    def segment(self, name):
        """§8: the packs {name: length} and the records {id: Record} of one index segment."""
        sealed = Sealed(self, name)
        cursor = Cursor(b"".join(sealed.body(frame) for frame in sealed.frames()))
        sealed.close()
        pack_count, count = cursor.uint(4), cursor.uint(4)
        need(pack_count <= SEGMENT_PACKS and count <= SEGMENT_RECORDS, "too many records")
        packs, names, records, last = {}, [], {}, b""
        for _ in range(pack_count):
            id, kind, zero, length = (cursor.take(16).hex(), cursor.uint(1), cursor.uint(7),
                                      cursor.uint(8))
            need(kind in (1, 2) and zero == 0, f"pack of class {kind}")
            names.append(f"{'data' if kind == 1 else 'meta'}/{id[:2]}/{id}")
            packs[names[-1]] = length
        for _ in range(count):
            id, pack, offset, stored, packed = (cursor.take(32), *[cursor.uint(4)
                                                                   for _ in range(4)])
            need(id > last and pack < pack_count, "records are not sorted, or name no pack")
            records[id] = Record(names[pack], offset * 16, stored, packed & 0xFFFFFF, packed >> 24)
            last = id
        cursor.end("segment")
        return packs, records

    # -------------------------------------------------------------- §11: sessions and snapshots

    def load_state(self):
        """Reads the index state and the snapshots."""
        fates = {name.split("/")[1]: self.json(name) for name in self.names("fate")}
        retired = set()
        for name in self.names("retired"):
            retired.update(self.json(name)["sessions"])
        records = self.names("gc")
        newest = self.json(records[-1]) if records else {"base": [], "absorbed": []}
        segments = set(newest["base"])
        for session, fate in fates.items():
            if session not in newest["absorbed"] and session not in retired:
                segments.update(fate["segments"])
        for name in sorted(segments):
            self.index.update(self.segment(name)[1])
        committed = {session: fate["manifest"] for session, fate in fates.items()
                     if fate["state"] == "committed" and session not in retired
                     and fate.get("manifest")}
        found = (self.snapshot(id, manifest) for id, manifest in committed.items())
        self.snapshots = sorted(found, key=lambda snapshot: snapshot.time)
        return sorted(segments)

    @naming
    def snapshot(self, id, manifest):
        snapshot = Snapshot(id, manifest)
        for number, name in enumerate(self.names(f"annotation/{id}"), 1):
            need(name == f"annotation/{id}/{number:08}", "annotations are not numbered in order")
            snapshot.annotate(self.json(name))
        return snapshot

    def find(self, prefix):
        visible = [snapshot for snapshot in self.snapshots if not snapshot.deleted]
        if prefix == "latest" and visible:
            return visible[-1]
        found = [snapshot for snapshot in visible if snapshot.id.startswith(prefix)]
        need(len(found) == 1, f"{len(found)} snapshots begin with {prefix!r}")
        return found[0]

    # --------------------------------------------------------------------- frames by their id

    @naming
    def load(self, id, *kinds):
        record = self.index.get(id)
        need(record is not None, "no index segment names this id")
        sealed = self.sealed(record.pack)
        frame = sealed.frame(record.offset)
        need((frame.id, frame.stored, frame.raw, frame.kind)
             == (id, record.stored, record.raw, record.kind),
             f"{record.pack} and its index segment disagree")
        need(frame.kind in kinds, f"a frame of kind {frame.kind} where {kinds} are expected")
        return sealed.body(frame)

    def walk(self, snapshot):
        """All entries of a snapshot in path order."""
        root = snapshot.manifest
        return walk_page(self, bytes.fromhex(root["root"]), root["level"], None, None)

    def content(self, entry):
        """Pieces (length, bytes); None instead of bytes is a hole. Everything is checked."""
        if entry.slot is not None:
            parcel, offset, raw_length = entry.slot
            data = self.parcel(parcel)
            need(len(data) == raw_length, f"parcel {parcel.hex()} has another length")
            data = data[offset:offset + entry.size]
            need(len(data) == entry.size, f"{entry.shown}: slot lies outside its parcel")
            need(keyed(self.keys.digest, data, 16) == entry.digest,
                 f"{entry.shown}: digest is wrong")
            yield len(data), data
        elif entry.references is not None:
            yield from self.pieces(entry.references)

    def pieces(self, references):
        depth, items = references
        for length, id in items:
            if id is None:
                yield length, None
            elif depth == 0:
                data = self.load(id, CHUNK)
                need(len(data) == length, f"chunk {id.hex()} has another length")
                yield length, data
            else:
                inner = decode_list(id, self.load(id, LIST), depth - 1)
                need(sum(part for part, _ in inner) == length,
                     f"list {id.hex()}: lengths do not add up")
                yield from self.pieces((depth - 1, inner))

    def xattrs(self, entry):
        for name, value, external in entry.xattrs:
            if external is not None:
                value = self.load(external[1], LIST)
                need(len(value) == external[0], f"{entry.shown}: xattr has another length")
            yield name, value


@dataclass
class Snapshot:
    id: str
    manifest: dict
    tags: list = field(default_factory=list)
    holds: list = field(default_factory=list)
    note: str = ""
    expiry: str = None
    lock: datetime = None
    deleted: str = None

    def __post_init__(self):
        self.tags = list(self.manifest["tags"])
        self.note = self.manifest.get("note") or ""
        self.expiry = self.manifest.get("expiry")

    @property
    def time(self):
        return datetime.fromisoformat(self.manifest["time"])

    def annotate(self, annotation):
        """§11.3: merges the next change."""
        time = datetime.fromisoformat(annotation["time"])
        for name, value in annotation["change"].items():
            if name == "tag":
                kept = [tag for tag in self.tags if tag not in value.get("remove", [])]
                added = [tag for tag in value.get("add", []) if tag not in kept]
                self.tags = kept + added
            elif name == "note":
                self.note = value
            elif name == "expiry":
                self.expiry = value
            elif name == "hold":
                self.holds.append(value)
            elif name == "release":
                self.holds = []
            elif name == "lock":
                until = datetime.fromisoformat(value)
                self.lock = max(self.lock or until, until)
            elif name == "deleted":
                if not self.holds and (self.lock is None or self.lock <= time):
                    self.deleted = value

    @property
    def standing(self):
        words = ["deleted" if self.deleted is not None else "visible"]
        words += ["held"] * bool(self.holds)
        words += [f"locked until {self.lock.isoformat()}"] if self.lock else []
        words += [] if self.manifest["complete"] else ["incomplete"]
        return ", ".join(words)


# ------------------------------------------------------------------------------------ §9: trees

@dataclass
class Entry:
    path: bytes
    kind: int
    mode: int
    uid: int
    gid: int
    mtime: int  # nanoseconds
    inode: tuple  # device, inode
    links: int
    size: int
    slot: tuple = None  # parcel id, offset, raw length of the parcel
    digest: bytes = None
    references: tuple = None  # depth, [(length, id or None)]
    xattrs: list = field(default_factory=list)
    target: bytes = None
    device: tuple = None
    problem: int = 0

    @property
    def shown(self):
        return self.path.decode("utf-8", "backslashreplace")


def order(path):
    """`/` is smaller than every other byte; NUL does not occur."""
    return path.replace(b"/", b"\0")


def check_path(path):
    need(0 < len(path) <= PATH_LIMIT and b"\0" not in path, "path is empty, too long or has a NUL")
    for name in path.split(b"/"):
        need(name not in (b"", b".", b"..") and len(name) <= NAME_LIMIT, f"path {path!r}")


def paths(shared, lengths, rest, count):
    """Columns 1 to 3; checks that the paths ascend."""
    last, found = b"", []
    for _ in range(count):
        keep = shared.varint(len(last), "shared")
        path = last[:keep] + rest.take(lengths.varint(PATH_LIMIT, "path"))
        check_path(path)
        need(not found or order(path) > order(last), f"path {path!r} is not in order")
        found.append(path)
        last = path
    return found


def columns(cursor, count):
    return [Cursor(cursor.bytes()) for _ in range(count)]


def finish(cursor, parts):
    for number, part in enumerate(parts, 1):
        part.end(f"column {number}")
    cursor.end("page")


def walk_page(repository, id, level, key, next_key):
    need(level <= LEVELS, f"level {level}")
    raw = repository.load(id, PAGE)
    try:
        if level == 0:
            found = decode_leaf(raw)
            check_range([entry.path for entry in found], key, next_key)
            children = []
        else:
            children = decode_inner(raw, level)
            check_range([child[0] for child in children], key, next_key)
    except Refused as error:
        raise Refused(f"page {id.hex()}: {error}") from None
    if level == 0:
        yield from found
    for position, (path, child, *totals) in enumerate(children):
        end = children[position + 1][0] if position + 1 < len(children) else next_key
        sums = [0, 0, 0]
        for entry in walk_page(repository, child, level - 1, path, end):
            add_totals(sums, entry)
            yield entry
        need(sums == totals, f"page {id.hex()}: counts of child {child.hex()} are wrong")


def add_totals(sums, entry):
    sums[0] += 1
    sums[1] += entry.size if entry.kind in (FILE, IMAGE, STREAM) else 0
    sums[2] += entry.problem != 0


def check_range(found, key, next_key):
    if key is not None:
        need(found and found[0] == key, "first path is not the key in the parent")
    if next_key is not None and found:
        need(order(found[-1]) < order(next_key), "a path lies beyond the next key")


def decode_inner(raw, level):
    """§9.2: [(first path, id, entries, bytes, problems)]."""
    cursor = Cursor(raw)
    need(cursor.take(2) == b"N\x01", "not an inner page of version 1")
    need(cursor.varint() == level, "level is wrong")
    count = cursor.varint(INNER_CHILDREN, "children")
    need(count >= 1, "no children")
    parts = columns(cursor, 7)
    found = paths(*parts[:3], count)
    ids, *totals = parts[3:]
    children = [(path, ids.take(32), *[total.varint() for total in totals]) for path in found]
    finish(cursor, parts)
    return children


def decode_leaf(raw):
    """§9.1"""
    cursor = Cursor(raw)
    need(cursor.take(2) == b"L\x01", "not a leaf page of version 1")
    count = cursor.varint(LEAF_ENTRIES, "entries")
    owners = [(cursor.varint((1 << 32) - 1), cursor.varint((1 << 32) - 1),
               cursor.bytes(OWNER_LIMIT), cursor.bytes(OWNER_LIMIT))
              for _ in range(cursor.varint(LEAF_ENTRIES, "owners"))]
    devices = [cursor.varint() for _ in range(cursor.varint(LEAF_ENTRIES, "devices"))]
    parcels = [(cursor.take(32), cursor.varint(RAW_LIMIT[PARCEL]), cursor.varint())
               for _ in range(cursor.varint(LEAF_ENTRIES, "parcels"))]
    parts = columns(cursor, 18)
    (kind, mode, owner, mtime, mtime_ns, ctime, ctime_ns, inode, device, links, size, slots,
     digests, references, extras) = parts[3:]
    entries, seconds, last_inode, last_slot = [], 0, 0, (0, 0)
    for path in paths(*parts[:3], count):
        bits, bits_mode = kind.uint(1), mode.varint(0o7777, "mode")
        form = bits >> 5
        need(bits & 15 <= UNKNOWN and form <= 2, f"kind {bits}")
        uid, gid = owners[owner.varint(len(owners) - 1, "owner")][:2]
        seconds = wrap(seconds + mtime.zigzag())
        nanoseconds = mtime_ns.uint(4)
        need(nanoseconds < 1_000_000_000, "nanoseconds")
        need(0 <= nanoseconds + ctime_ns.zigzag() < 1_000_000_000, "nanoseconds")
        ctime.zigzag()
        last_inode = wrap(last_inode + inode.zigzag())
        entry = Entry(path, bits & 15, bits_mode, uid, gid, seconds * 10**9 + nanoseconds,
                      (devices[device.varint(len(devices) - 1, "device")], last_inode),
                      links.varint(), size.varint((1 << 63) - 1, "size"))
        if form == 1:
            last_slot = take_slot(entry, slots, parcels, last_slot)
            entry.digest = digests.take(16)
        if form == 2:
            entry.references = (references.varint(DEPTH, "depth"), take_references(references))
        if bits & 16:
            take_extras(entry, Cursor(extras.bytes()))
        check_content(entry)
        entries.append(entry)
    finish(cursor, parts)
    return entries


def take_slot(entry, slots, parcels, last):
    """Returns the parcel's index and the offset that is expected next in it."""
    index = last[0] + slots.zigzag()
    need(0 <= index < len(parcels), "slot names no parcel")
    offset = slots.zigzag() + (last[1] if index == last[0] else 0)
    id, raw_length, _ = parcels[index]
    need(0 <= offset <= raw_length - entry.size, "slot lies outside its parcel")
    entry.slot = (id, offset, raw_length)
    return index, offset + entry.size


def take_references(cursor):
    """§9.3: [(length, id or None for a hole)]."""
    found = []
    for _ in range(cursor.varint(REFERENCES, "references")):
        word = cursor.varint()
        found.append((word >> 1, None if word & 1 else cursor.take(32)))
    return found


def decode_list(id, raw, depth):
    try:
        cursor = Cursor(raw)
        need(cursor.take(2) == b"R\x01" and cursor.varint() == depth, "not a list of this depth")
        found = take_references(cursor)
        cursor.end("list")
        return found
    except Refused as error:
        raise Refused(f"list {id.hex()}: {error}") from None


def take_extras(entry, cursor):
    last = 0
    while cursor.at < len(cursor.data):
        tag, value = cursor.uint(1), Cursor(cursor.bytes())
        need(tag > last, "extras do not ascend")
        last = tag
        if tag == 1:
            for _ in range(value.varint(XATTRS, "xattrs")):
                entry.xattrs.append(take_xattr(value))
        elif tag == 3:
            entry.target = value.rest()
            need(len(entry.target) <= PATH_LIMIT, "symlink target is too long")
        elif tag == 4:
            entry.device = (value.varint(), value.varint())
        elif tag == 5:
            entry.problem = value.uint(1)
            value.rest()
        else:
            value.rest()
        value.end("extras")


def take_xattr(cursor):
    """name, value, None or name, None, (length, id of a frame with the value)."""
    name = cursor.bytes(XATTR_NAME, "xattr name")
    word = cursor.varint(2 * XATTR_VALUE + 1, "xattr")
    length = word >> 1
    need(bool(word & 1) == (length > XATTR_INLINE), "xattr lies in the wrong place")
    return (name, None, (length, cursor.take(32))) if word & 1 else (name, cursor.take(length), None)


def check_content(entry):
    has_content = entry.slot is not None or entry.references is not None
    need(not has_content or entry.kind in (FILE, IMAGE, STREAM), f"{entry.shown}: has content")
    if entry.references is not None and entry.problem != UNREADABLE:
        total = sum(length for length, _ in entry.references[1])
        need(total == entry.size, f"{entry.shown}: lengths do not add up")
    if not has_content and entry.kind in (FILE, IMAGE, STREAM):
        need(entry.size == 0 or entry.problem == UNREADABLE, f"{entry.shown}: content is missing")
    need((entry.kind == SYMLINK) == (entry.target is not None), f"{entry.shown}: target")


# -------------------------------------------------------------------------------------- restore

class Target:
    """Puts entries below a directory. Every step goes through directories opened without
    following symlinks, so a hostile tree cannot leave it, and paths may be of any length."""

    def __init__(self, root):
        os.makedirs(root, exist_ok=True)
        need(not os.listdir(root), f"{root}: is not empty")
        self.root = os.open(root, os.O_DIRECTORY | os.O_RDONLY)
        self.links, self.directories = {}, []

    def parent(self, path):
        """An open directory and the last name of the path."""
        *names, last = path.split(b"/")
        current = os.dup(self.root)
        for name in names:
            try:
                following = os.open(name, os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
            except FileNotFoundError:
                os.mkdir(name, 0o700, dir_fd=current)
                following = os.open(name, os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
            os.close(current)
            current = following
        return current, last

    def put(self, repository, entry, path):
        parent, name = self.parent(path)
        try:
            first = self.links.get(entry.inode) if entry.links > 1 else None
            if first and entry.kind != DIRECTORY:
                other, other_name = self.parent(first)
                os.link(other_name, name, src_dir_fd=other, dst_dir_fd=parent,
                        follow_symlinks=False)
                os.close(other)
                return
            if not self.make(repository, entry, parent, name):
                print(f"left out: {entry.shown}", file=sys.stderr)
                return
            if entry.links > 1:
                self.links[entry.inode] = path
            if entry.kind == DIRECTORY:
                self.directories.append((entry, path))
            else:
                dress(repository, entry, parent, name)
        finally:
            os.close(parent)

    def make(self, repository, entry, parent, name):
        if entry.kind == DIRECTORY:
            os.mkdir(name, 0o700, dir_fd=parent)
        elif entry.kind == SYMLINK:
            os.symlink(entry.target, name, dir_fd=parent)
        elif entry.kind == FIFO:
            os.mkfifo(name, 0o600, dir_fd=parent)
        elif entry.kind in (CHARACTER, BLOCK) and os.geteuid() == 0 and entry.device:
            kind = stat.S_IFCHR if entry.kind == CHARACTER else stat.S_IFBLK
            os.mknod(name, kind | 0o600, os.makedev(*entry.device), dir_fd=parent)
        elif entry.kind in (FILE, IMAGE, STREAM):
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW
            with open(os.open(name, flags, 0o600, dir_fd=parent), "wb") as file:
                for length, data in repository.content(entry):
                    file.seek(length, os.SEEK_CUR) if data is None else file.write(data)
                file.truncate(entry.size)
        else:
            return False
        return True

    def finish(self, repository):
        """Metadata of directories comes last: their content changes times."""
        for entry, path in reversed(self.directories):
            parent, name = self.parent(path)
            dress(repository, entry, parent, name)
            os.close(parent)
        os.close(self.root)


def dress(repository, entry, parent, name):
    """Owner first (it clears setuid and capabilities), the time last."""
    if os.geteuid() == 0:
        os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
    path = f"/proc/self/fd/{parent}/".encode() + name
    for attribute, value in repository.xattrs(entry):
        try:
            os.setxattr(path, attribute, value, follow_symlinks=False)
        except OSError as error:
            print(f"{entry.shown}: {attribute!r}: {error.strerror}", file=sys.stderr)
    if entry.kind != SYMLINK:
        os.chmod(name, entry.mode, dir_fd=parent)
    os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=parent, follow_symlinks=False)


def restore(repository, snapshot, directory):
    """Entries below `files/` get their path without it; anything else keeps its own."""
    target = Target(directory)
    for entry in repository.walk(snapshot):
        path = entry.path.removeprefix(b"files/")
        if entry.path != b"files":
            target.put(repository, entry, path)
    target.finish(repository)


# ---------------------------------------------------------------------------------------- check

def check_pack(repository, name, expected):
    """Opens every frame of a pack; `expected` maps offsets to the segment's records."""
    sealed, records = Sealed(repository, name), []
    padding = False
    for frame in sealed.frames():
        raw = sealed.body(frame)
        if frame.kind == TRAILER:
            need(raw == b"".join(records), "trailer does not list the frames")
        elif frame.kind == PADDING:
            padding = True
            need(not any(raw), "padding is not zero")
        else:
            need(not padding, "content follows padding")
            records.append(frame.header[:4] + (frame.offset // 16).to_bytes(4, "little")
                           + frame.header[4:12] + frame.id)
            record = expected.pop(frame.offset, None)
            need(record is None or (record.stored, record.raw, record.kind)
                 == (frame.stored, frame.raw, frame.kind), "pack and segment disagree")
    need(sealed.footer()[1] != 0, "no trailer")
    need(not expected, "segment names frames that the pack does not hold")
    sealed.close()


def check_segments(repository):
    """Opens all segments. Returns what they say of each pack: its length, records by offset."""
    lengths, records = {}, {}
    for name in repository.names("index"):
        packs, found = repository.segment(name)
        lengths.update(packs)
        for record in found.values():
            records.setdefault(record.pack, {})[record.offset] = record
    return lengths, records


def check_tree(repository, snapshot):
    """Reads every entry with its content; returns how many."""
    sums = [0, 0, 0]
    for entry in repository.walk(snapshot):
        add_totals(sums, entry)
        total = sum(length for length, _ in repository.content(entry))
        need(entry.problem == UNREADABLE or entry.kind not in (FILE, IMAGE, STREAM)
             or total == entry.size, f"{entry.shown}: content has another length")
        for _ in repository.xattrs(entry):
            pass
    manifest = snapshot.manifest
    need(sums == [manifest["entries"], manifest["bytes"], manifest["problems"]],
         f"snapshot {snapshot.id}: counts {sums} differ from the manifest")
    return sums[0]


def check(repository):
    """Opens every object and returns the refusals as text."""
    problems = []

    def attempt(action, *arguments):
        try:
            return action(*arguments)
        except (Refused, OSError) as error:
            problems.append(str(error))
            return None

    for kind in ("session", "fate", "annotation", "condemned", "gc", "retired"):
        for name in repository.names(kind):
            attempt(repository.json, name)
    for name in repository.names("keys"):
        attempt(repository.plain_json, name)
    for name in repository.names("beat"):
        attempt(need, (repository.root / name).stat().st_size == 0, f"{name}: is not empty")
    attempt(repository.load_state)
    lengths, records = attempt(check_segments, repository) or ({}, {})
    for name in repository.names("data") + repository.names("meta"):
        size = (repository.root / name).stat().st_size
        attempt(need, lengths.get(name, size) == size, f"{name}: length differs from the segment's")
        attempt(naming(lambda _, name: check_pack(repository, name, records.get(name, {}))),
                None, name)
    for snapshot in getattr(repository, "snapshots", []):
        if snapshot.deleted is None:
            attempt(check_tree, repository, snapshot)
    return problems


# -------------------------------------------------------------------------------------- command

def show(entry):
    text = f"{LETTERS[entry.kind]} {entry.mode:04o} {entry.uid}:{entry.gid} {entry.size:>10} "
    text += f"{entry.mtime // 10**9}.{entry.mtime % 10**9:09} {entry.shown}"
    return text + (f" -> {os.fsdecode(entry.target)!r}" if entry.target else "")


def run(options, repository):
    if options.command == "check":
        problems = check(repository)
        print("\n".join(problems) or "every object is sound")
        return 4 if problems else 0
    repository.load_state()
    if options.command == "list":
        for snapshot in repository.snapshots:
            manifest = snapshot.manifest
            print(snapshot.id, manifest["time"], manifest["host"], ",".join(manifest["paths"]),
                  f"[{','.join(snapshot.tags)}]", f"({snapshot.standing})", snapshot.note)
        return 0
    snapshot = repository.find(options.snapshot)
    if options.command == "restore":
        restore(repository, snapshot, options.directory)
        return 0
    wanted = os.fsencode(options.path).strip(b"/")
    for entry in repository.walk(snapshot):
        if not wanted or entry.path == wanted or entry.path.startswith(wanted + b"/"):
            print(show(entry))
    return 0


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-r", "--repository", default=os.environ.get("TINTYPE_REPOSITORY"))
    parser.add_argument("--password-file", help="or the environment: TINTYPE_PASSWORD")
    parser.add_argument("--recovery-file", help="a file with the twelve words")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="snapshots with their time, paths, tags and standing")
    commands.add_parser("check", help="opens every object")
    ls = commands.add_parser("ls", help="entries of a snapshot")
    ls.add_argument("snapshot")
    ls.add_argument("path", nargs="?", default="")
    put = commands.add_parser("restore", help="puts a snapshot into an empty directory")
    put.add_argument("snapshot")
    put.add_argument("directory")
    options = parser.parse_args(arguments)
    if not options.repository:
        parser.error("name the repository with -r")
    return options


def main(arguments=None):
    sys.stdout.reconfigure(errors="backslashreplace")
    options = parse_arguments(arguments)
    words, passphrase = None, os.environ.get("TINTYPE_PASSWORD", "").encode() or None
    if options.recovery_file:
        words = Path(options.recovery_file).read_text(encoding="ascii")
    if options.password_file:
        passphrase = Path(options.password_file).read_bytes().removesuffix(b"\n")
    try:
        return run(options, Repository(options.repository, passphrase, words))
    except Refused as error:
        print(f"refused: {error}", file=sys.stderr)
        return 4
    except WrongKey as error:
        print(error, file=sys.stderr)
        return 6


if __name__ == "__main__":
    sys.exit(main())
