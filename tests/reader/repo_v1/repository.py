"""§8 and §11: what is in a repository, and frames by their id."""

import functools
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .basics import (
    CHUNK,
    JSON_LIMIT,
    LIST,
    PARCEL,
    PLAIN_JSON_LIMIT,
    SEGMENT_PACKS,
    SEGMENT_RECORDS,
    Cursor,
    Refused,
    WrongKey,
    keyed,
    need,
    parse_json,
)
from .keys import Keys, check_config, config_mac, key_encryption_key, open_age, slot_mac
from .sealed import Sealed, naming
from .tree import decode_list, walk_page


@dataclass
class Record:
    """§8: where a frame lies."""
    pack: str
    offset: int
    stored: int
    raw: int
    kind: int


CONFIGS = ("config", "config-copy")


class Repository:
    def __init__(self, root, passphrase=None, words=None, identity=None):
        self.root = Path(root)
        present = [name for name in CONFIGS if (self.root / name).is_file()]
        need(present, f"{root}: not a repository")
        self.keys = self.open(present, passphrase, words, identity)
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

    def open(self, names, passphrase, words, identity):
        """§4: the keys by the first copy of the configuration that is right; others are named."""
        keys, failure, tried = None, None, None
        for name in names:
            text = (self.root / name).read_bytes()
            if text == tried:
                continue
            tried = text
            try:
                config = self.plain_json(name)
                check_config(config)
                if keys is None:
                    self.id = bytes.fromhex(config["id"])
                    keys = self.unlock(config, passphrase, words, identity)
                else:
                    need(config["mac"] == config_mac(config, keys).hex(), "mac is wrong")
            except (Refused, WrongKey, KeyError, TypeError, ValueError) as error:
                print(f"configuration: {name}: {error}", file=sys.stderr)
                failure = failure or error
        if keys is None:
            raise failure
        return keys

    def unlock(self, config, passphrase, words, identity):
        """§5: the keys of the first slot that opens to one which fits the configuration."""
        misfit = False
        for name in self.names("keys"):
            master = None
            try:
                master = self.try_slot(name, passphrase, words, identity)
                if master is None:
                    continue
                keys = Keys(master)
                if config_mac(config, keys).hex() != config["mac"]:
                    misfit = True
                    continue
                self.check_slot(name, keys)
            except Refused as error:
                print(f"key slot: {error}", file=sys.stderr)
                if master is None or self.plain_json(name)["kind"] == "age":
                    continue
            return keys
        need(not misfit, "config: mac is wrong")
        raise WrongKey("no key slot opens with this secret")

    @naming
    def check_slot(self, name, keys):
        slot = self.plain_json(name)
        need(slot.get("mac") == slot_mac(name, slot, keys).hex(), "mac is wrong")

    @naming
    def try_slot(self, name, passphrase, words, identity):
        slot = self.plain_json(name)
        if slot["kind"] == "age":
            return None if identity is None else open_age(slot, identity)
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
        return parse_json(text, JSON_LIMIT)

    @naming
    def segment(self, name):
        """§8: the packs {name: length} and the records {id: Record} of one index segment."""
        sealed = Sealed(self, name)
        cursor = Cursor(b"".join(sealed.body(frame) for frame in sealed.frames()))
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
        need(records, "there is no gc record")
        newest = self.json(records[-1])
        segments = set(newest["base"])
        for name in newest["retired"]:
            need(name in self.names("retired"), f"{name}: is missing, {records[-1]} names it")
        for session, fate in fates.items():
            merged = session in newest["absorbed"] or session in newest["delete"]["retire"]
            if not merged and session not in retired:
                segments.update(fate["segments"])
        for name in sorted(segments):
            self.index.update(self.segment(name)[1])
        committed = {session: fate["manifest"] for session, fate in fates.items()
                     if fate["state"] == "committed" and session not in retired
                     and fate.get("manifest")}
        self.annotated = newest["annotations"]
        found = (self.snapshot(id, manifest) for id, manifest in committed.items())
        self.snapshots = sorted(found, key=lambda snapshot: snapshot.time)
        return sorted(segments)

    @naming
    def snapshot(self, id, manifest):
        snapshot = Snapshot(id, manifest)
        for number, name in enumerate(self.names(f"annotation/{id}"), 1):
            need(name == f"annotation/{id}/{number:08}", "annotations are not numbered in order")
            snapshot.annotate(self.json(name))
        need(len(self.names(f"annotation/{id}")) >= self.annotated.get(id, 0),
             "annotations are missing that the newest gc record names")
        return snapshot

    def find(self, prefix):
        visible = [snapshot for snapshot in self.snapshots if snapshot.visible]
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
    tags: set = field(default_factory=set)
    holds: set = field(default_factory=set)
    note: str = ""
    expiry: str = None
    lock: datetime = None
    deleted: str = None

    def __post_init__(self):
        self.tags = set(self.manifest["tags"])
        self.note = self.manifest.get("note") or ""
        self.expiry = self.manifest.get("expiry")

    @property
    def time(self):
        return datetime.fromisoformat(self.manifest["time"])

    def annotate(self, annotation):
        """§11.3: merges the next change."""
        for name, value in annotation["change"].items():
            if name == "tag":
                self.tags = (self.tags | set(value.get("add", []))) - set(value.get("remove", []))
            elif name == "note":
                self.note = value
            elif name == "expiry":
                self.expiry = value
            elif name == "hold":
                self.holds.add(value)
            elif name == "release":
                self.holds.discard(value)
            elif name == "lock":
                until = datetime.fromisoformat(value)
                self.lock = max(self.lock or until, until)
            elif name == "deleted":
                self.deleted = value

    @property
    def visible(self):
        """§11: whoever deleted has asked for locks and holds."""
        return self.deleted is None

    @property
    def standing(self):
        words = ["visible" if self.visible else "deleted"]
        words += [f"held: {reason}" for reason in sorted(self.holds)]
        words += [f"locked until {self.lock.isoformat()}"] if self.lock else []
        words += [] if self.manifest["complete"] else ["incomplete"]
        return ", ".join(words)
