"""Reads tests/fixtures/repo-v1 with the independent reader; run it as a script."""

import contextlib
import functools
import io
import itertools
import json
import os
import shutil
import stat
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote_to_bytes

import argon2.low_level
import pyrage
import tintype_reader
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from repo_v1.basics import CONTENT, LETTERS, LIST, PAGE, Refused, WrongKey, derive, keyed
from repo_v1.check import check
from repo_v1.keys import Keys, config_mac, key_encryption_key, slot_mac
from repo_v1.repository import Repository
from repo_v1.restore import restore
from repo_v1.sealed import Sealed
from repo_v1.tree import decode_inner, decode_leaf, decode_list

FIXTURE = Path(__file__).parents[1] / "fixtures/repo-v1"
STORE = FIXTURE / "repository"
ROOT = os.geteuid() == 0

# Hundreds of damaged copies are opened with the same passphrase.
argon2.low_level.hash_secret_raw = functools.cache(argon2.low_level.hash_secret_raw)


class Expected:
    """expected.txt; its first lines explain the fields."""

    def __init__(self):
        self.snapshots, self.passphrase, self.words, self.identity = {}, None, None, None
        for line in (FIXTURE / "expected.txt").read_text(encoding="utf-8").splitlines():
            first, _, rest = line.partition(" ")
            if first == "passphrase":
                self.passphrase = rest.encode()
            elif first == "recovery":
                self.words = rest
            elif first == "age":
                self.identity = rest
            elif first == "snapshot":
                id, standing, tags, note = rest.split(" ")
                entries = {}
                self.snapshots[id] = (standing, set(tags.split(",")), plain(note), entries)
            elif first != "#":
                fields = line.split(" ")
                entries[unquote_to_bytes(fields[8])] = fields


def plain(field):
    return "" if field == "-" else unquote_to_bytes(field).decode()


def escape(data):
    legal = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-"
    if data in (b"", b"-"):
        return "%2D" if data else "-"
    return "".join(chr(byte) if byte in legal else f"%{byte:02X}" for byte in data)


def shown_time(nanoseconds):
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09}"


def shown_xattrs(xattrs):
    pairs = sorted((name, blake3(value).hexdigest()) for name, value in xattrs)
    return ",".join(f"{escape(name)}={value}" for name, value in pairs) or "-"


def line_of_entry(repository, entry, first_links):
    """An entry as expected.txt shows it."""
    hasher = blake3()
    for length, data in repository.content(entry):
        hasher.update(bytes(length) if data is None else data)
    has_content = LETTERS[entry.kind] in "fIS"
    links = "-" if LETTERS[entry.kind] == "d" else str(entry.links)
    if entry.links > 1 and links != "-":
        links += "=" + escape(first_links.setdefault(entry.inode, entry.path))
    target = "-"
    if entry.target is not None:
        target = escape(entry.target)
    elif entry.device:
        target = "{}:{}".format(*entry.device)
    return [LETTERS[entry.kind], f"{entry.mode:04o}", f"{entry.uid}:{entry.gid}", str(entry.size),
            shown_time(entry.mtime), links, hasher.hexdigest() if has_content else "-",
            shown_xattrs(repository.xattrs(entry)), escape(entry.path), target]


def restored(directory):
    """Path and fields of everything below a directory; -, where the fields cannot be known."""
    found = {}
    for top, directories, files, parent in os.fwalk(os.fsencode(directory)):
        for name in directories + files:
            path = b"files/" + os.path.relpath(os.path.join(top, name), os.fsencode(directory))
            found[path] = line_of_file(parent, name, path)
    return found


def line_of_file(parent, name, path):
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    letter = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFIFO: "p",
              stat.S_IFCHR: "c", stat.S_IFBLK: "b"}[stat.S_IFMT(status.st_mode)]
    place = f"/proc/self/fd/{parent}/".encode() + name
    content, target = "-", "-"
    if letter == "f":
        os.chmod(place, status.st_mode | 0o400)  # one has mode 0000
        with open(place, "rb") as file:
            content = blake3(file.read()).hexdigest()
    elif letter == "l":
        target = escape(os.readlink(place))
    elif letter in "cb":
        target = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    xattrs = [(os.fsencode(attribute), os.getxattr(place, attribute, follow_symlinks=False))
              for attribute in os.listxattr(place, follow_symlinks=False)]
    return [letter, f"{stat.S_IMODE(status.st_mode):04o}", f"{status.st_uid}:{status.st_gid}",
            str(status.st_size if letter == "f" else 0), shown_time(status.st_mtime_ns),
            "-" if letter == "d" else str(status.st_nlink), content, shown_xattrs(xattrs),
            escape(path), target]


class Reads(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.expected = Expected()
        cls.repository = Repository(STORE, cls.expected.passphrase)
        cls.repository.load_state()

    def test_lists_snapshots_with_their_standing(self):
        found = {snapshot.id: ("visible" if snapshot.visible else "deleted", snapshot.tags,
                               snapshot.note) for snapshot in self.repository.snapshots}
        expected = {id: tuple(fields[:3]) for id, fields in self.expected.snapshots.items()}
        self.assertEqual(found, expected)
        self.assertIn("held: court case 7", [part for snapshot in self.repository.snapshots
                                             for part in snapshot.standing.split(", ")])

    def test_every_object_is_sound(self):
        self.assertEqual(check(Repository(STORE, self.expected.passphrase)), [])

    def test_trees_are_as_expected(self):
        for snapshot in self.repository.snapshots:
            first_links = {}
            entries = self.expected.snapshots[snapshot.id][3]
            found = {entry.path: line_of_entry(self.repository, entry, first_links)
                     for entry in self.repository.walk(snapshot) if entry.path != b"files"}
            if snapshot.visible:
                self.assertEqual(list(found), list(entries))
                for path, fields in found.items():
                    self.assertEqual(fields, entries[path])

    def test_the_fixture_has_pages_and_lists_of_all_kinds(self):
        self.assertTrue(any(snapshot.manifest["level"] for snapshot in self.repository.snapshots))
        first = self.repository.snapshots[0]
        entries = {entry.path: entry for entry in self.repository.walk(first)}
        self.assertGreater(entries[b"files/tree/sparse"].references[0], 0)
        self.assertIn(LIST, {record.kind for record in self.repository.index.values()})

    def test_restores_what_was_there(self):
        for snapshot in self.repository.snapshots:
            if snapshot.visible:
                self.restore_and_compare(snapshot)

    def restore_and_compare(self, snapshot):
        with tempfile.TemporaryDirectory() as directory, \
                contextlib.redirect_stderr(io.StringIO()) as complaints:
            restore(self.repository, snapshot, directory)
            found = restored(directory)
            sparse = Path(directory, "tree/sparse")
            if sparse.exists():
                self.assertLess(sparse.stat().st_blocks * 512, 4 << 20)
        for path, fields in self.expected.snapshots[snapshot.id][3].items():
            fields = list(fields)
            if fields[0] == "s" or not ROOT and fields[0] in "cb":
                self.assertNotIn(path, found)
                continue
            fields[0] = fields[0].replace("I", "f").replace("S", "f")
            fields[5] = fields[5].split("=")[0]
            line = found.pop(path)
            if not ROOT:
                fields[2] = line[2]
            # Not every file system takes every attribute; the reader names what is missing.
            if path.decode("utf-8", "backslashreplace") + ": " in complaints.getvalue():
                fields[7] = line[7]
            self.assertEqual(line, fields)
        self.assertEqual(found, {})

    def test_the_command_lists_and_shows(self):
        os.environ["TINTYPE_PASSWORD"] = self.expected.passphrase.decode()
        for arguments, wanted in [
            (["list"], "court case 7"), (["ls", "latest"], "files/dump.sql"), (["check"], "sound"),
        ]:
            with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())) as output:
                status = tintype_reader.main(["-r", str(STORE), *arguments])
                output.seek(0)
                self.assertEqual(status, 0)
                self.assertIn(wanted, output.read())

    def test_recovery_words_open_it(self):
        repository = Repository(STORE, words=self.expected.words)
        self.assertEqual(repository.keys.master, self.repository.keys.master)

    def test_the_age_identity_opens_it(self):
        repository = Repository(STORE, identity=self.expected.identity)
        self.assertEqual(repository.keys.master, self.repository.keys.master)

    def test_another_secret_does_not(self):
        with self.assertRaises(WrongKey):
            Repository(STORE, b"wrong")
        with self.assertRaises(WrongKey):
            Repository(STORE, words="abandon " * 11 + "about")
        with self.assertRaises(WrongKey):
            Repository(STORE, identity=str(pyrage.x25519.Identity.generate()))


class Refuses(unittest.TestCase):
    """Damage of each object, one at a time, in a copy."""

    def setUp(self):
        self.expected = Expected()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.store = Path(directory.name, "repository")
        shutil.copytree(STORE, self.store)
        self.names = sorted(path.relative_to(self.store).as_posix()
                            for path in self.store.rglob("*") if path.is_file())

    def problems(self):
        """What the reader says of the copy, as one text."""
        with contextlib.redirect_stderr(io.StringIO()) as complaints:
            try:
                found = check(Repository(self.store, self.expected.passphrase))
            except (Refused, WrongKey) as error:
                found = [str(error)]
        return "\n".join(found) + complaints.getvalue()

    def damaged(self, name, content):
        path = self.store / name
        whole = path.read_bytes()
        path.write_bytes(content)
        try:
            return self.problems()
        finally:
            path.write_bytes(whole)

    def test_the_copy_is_sound(self):
        self.assertEqual(self.problems(), "")

    def test_a_flipped_byte(self):
        kinds = set()
        for name in self.names:
            whole = (self.store / name).read_bytes()
            kinds.add(name.split("/")[0])
            for position in positions(name, whole):
                changed = bytearray(whole)
                changed[position] ^= 1
                with self.subTest(name=name, position=position):
                    self.assertIn(name, self.damaged(name, changed))
        self.assertLessEqual({"config", "config-copy", "keys", "data", "meta", "index", "session", "fate",
                              "annotation", "gc", "retired"}, kinds)

    def test_a_longer_or_shorter_object(self):
        for name in self.names:
            whole = (self.store / name).read_bytes()
            with self.subTest(name=name):
                if not name.startswith(("config", "keys/")):
                    self.assertIn(name, self.damaged(name, whole + b"x"))
                if whole:
                    self.assertIn(name, self.damaged(name, whole[:-1]))

    def test_one_of_two_configurations_is_enough(self):
        for name in ("config", "config-copy"):
            with self.subTest(name=name):
                self.assertIn(name, self.damaged(name, b"{"))
                Repository(self.store, self.expected.passphrase)

    def test_what_the_gc_record_names_is_missed(self):
        name = max(name for name in self.names if name.startswith("gc/"))
        record = Repository(self.store, self.expected.passphrase).json(name)
        for retired in record["retired"]:
            whole = (self.store / retired).read_bytes()
            (self.store / retired).unlink()
            self.assertIn(f"{retired}: is missing", self.problems())
            (self.store / retired).write_bytes(whole)
        for id, count in record["annotations"].items():
            (self.store / f"annotation/{id}/{count:08}").unlink()
            self.assertIn("annotations are missing", self.problems())
        self.assertTrue(record["retired"] and record["annotations"])

    def test_an_object_under_the_name_of_another(self):
        for kind in ("data", "meta", "index", "keys", "session", "fate", "annotation"):
            first, second = [name for name in self.names if name.startswith(kind + "/")][:2]
            content = (self.store / second).read_bytes()
            with self.subTest(kind=kind):
                self.assertIn(first, self.damaged(first, content))


class Bounds(unittest.TestCase):
    """§12: pages that no writer makes."""

    def test_paths_that_share_a_long_beginning(self):
        prefix = (b"d" * 250 + b"/") * 240
        self.assertEqual(len(decode_inner(inner_page(prefix, 278), 1)), 278)
        with self.assertRaisesRegex(Refused, "together"):
            decode_inner(inner_page(prefix, 279), 1)

    def test_holes_of_many_entries(self):
        self.assertEqual(len(decode_leaf(leaf_page([4096] * 32))), 32)
        with self.assertRaisesRegex(Refused, "references"):
            decode_leaf(leaf_page([4096] * 32 + [1]))


def inner_page(prefix, count):
    """Children whose first paths are `prefix` and three digits."""
    shared = varint(0) + varint(len(prefix)) * (count - 1)
    lengths = varint(len(prefix) + 3) + varint(3) * (count - 1)
    rest = prefix + b"".join(b"%03d" % number for number in range(count))
    numbers = [varint(0) * count] * 3
    columns = [shared, lengths, rest, bytes(32 * count), *numbers]
    head = b"N\x01" + varint(1) + varint(count)
    return head + b"".join(varint(len(column)) + column for column in columns)


def leaf_page(holes):
    """Files 000, 001, … with so many holes of one byte each."""
    count = len(holes)
    zeros = bytes(count)
    names = b"".join(b"%03d" % number for number in range(count))
    lists = b"".join(b"\0" + varint(number) + varint(3) * number for number in holes)
    sizes = b"".join(map(varint, holes))
    columns = [zeros, varint(3) * count, names, b"\x40" * count, zeros, zeros, zeros,
               zeros * 4, zeros, zeros, zeros, zeros, zeros, sizes, b"", b"", lists, b""]
    tables = varint(1) + bytes(4) + varint(1) + bytes(1) + varint(0)
    head = b"L\x01" + varint(count) + tables
    return head + b"".join(varint(len(column)) + column for column in columns)


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


class Golden(unittest.TestCase):
    """The vectors of §14, made by the engine, against the document."""

    def setUp(self):
        self.keys = Keys(bytes(range(32)))

    def vectors(self, name):
        folder = FIXTURE.parents[2] / "crates/engine/tests/golden"
        text = (folder / f"{name}.snap").read_text(encoding="utf-8")
        return json.loads(text.split("---\n", 2)[2])

    def gear_table(self):
        words = keyed(derive("tintype v1 gear table", self.keys.master), b"", 2048)
        return [int.from_bytes(words[at:at + 8], "little") for at in range(0, 2048, 8)]

    def test_keys(self):
        golden = self.vectors("keys")
        self.assertEqual(golden["id key"], self.keys.id.hex())
        self.assertEqual(golden["digest key"], self.keys.digest.hex())
        self.assertEqual(golden["config key"], self.keys.config.hex())
        self.assertEqual(golden["gear table, first words"],
                         [f"{word:016x}" for word in self.gear_table()[:8]])
        self.assertEqual(golden['ids of "abc" as chunk, parcel, list, page'],
                         [self.keys.frame_id(kind, b"abc").hex() for kind in CONTENT])
        for epoch, name in enumerate(["commitment of an object with salt 07…07",
                                      "the same in epoch 1"]):
            expanded = keyed(self.keys.epoch(epoch), bytes([7] * 32), 64)
            self.assertEqual(golden[name], expanded[32:].hex())

    def test_cut_points(self):
        """§10: the gear hash, byte for byte."""
        (lengths,) = self.vectors("cut-points").values()
        data = blake3(b"tintype golden stream").digest(length=16 << 20)
        table, start, found = self.gear_table(), 0, []
        while start < len(data):
            end = start + cut(table, data[start:start + 4194304])
            found.append(end - start)
            start = end
        self.assertEqual(found, lengths)

    def test_marks(self):
        golden = self.vectors("cut-marks")
        key = derive("tintype v1 cut", self.keys.master)

        def marks(modulus, material):
            found = (number for number in range(4000) if int.from_bytes(
                keyed(key, material(number))[:8], "little") % modulus == 0)
            return list(itertools.islice(found, 8))

        self.assertEqual(list(golden.values()), [
            marks(192, lambda n: blake3(n.to_bytes(4, "little")).digest()),
            marks(256, lambda n: f"files/file-{n}".encode()),
            marks(512, lambda n: blake3(n.to_bytes(4, "little")).digest()),
            marks(64, lambda n: f"file-{n}".encode() + n.to_bytes(8, "little")),
        ])

    def test_configuration_and_slots(self):
        golden = self.vectors("config-and-key-slots")
        config = json.loads(golden["config"])
        self.assertEqual(config_mac(config, self.keys).hex(), config["mac"])
        for text in golden["slots"]:
            slot = json.loads(text)
            words = "abandon " * 11 + "about"
            self.assertEqual(slot_mac("keys/" + "03" * 16, slot, self.keys).hex(), slot["mac"])
            key = key_encryption_key(slot, b"correct horse battery staple", words)
            wrapped = bytes.fromhex(slot["wrapped"])
            data = b"tintype v1 slot" + bytes.fromhex(config["id"]) + bytes([3] * 16)
            self.assertEqual(AESGCM(key).decrypt(wrapped[:12], wrapped[12:], data),
                             self.keys.master)

    def test_sealed_objects(self):
        with tempfile.TemporaryDirectory() as directory:
            for vector in (self.vectors("sealed-object"), self.vectors("pack")):
                path = Path(directory, vector["name"])
                path.parent.mkdir(parents=True)
                path.write_bytes(bytes.fromhex(vector["object"]))
                place = SimpleNamespace(root=Path(directory), keys=self.keys, id=b"R" * 16)
                sealed = Sealed(place, vector["name"])
                bodies = [sealed.body(frame) for frame in sealed.frames()]
                self.assertEqual(bodies[0].decode(), vector.get("raw", "a chunk"))

    def test_pages_and_lists(self):
        golden = self.vectors("pages-and-lists")
        raw = {name: bytes.fromhex(vector["raw"]) for name, vector in golden.items()}
        for name, vector in golden.items():
            kind = LIST if name == "list" else PAGE
            self.assertEqual(self.keys.frame_id(kind, raw[name]).hex(), vector["id"])
        entries = decode_leaf(raw["leaf"])
        self.assertEqual([entry.path for entry in entries][::6], [b"files", b"files/f"])
        self.assertEqual((entries[0].mtime, entries[-1].device), (-5 * 10**9 + 123456789, (8, 1)))
        self.assertEqual(decode_leaf(raw["empty leaf"]), [])
        self.assertEqual([child[2:] for child in decode_inner(raw["inner page"], 2)],
                         [(number * 1000, 1 << 40, number) for number in (1, 2, 3)])
        self.assertEqual([length for length, _ in decode_list(b"", raw["list"], 1)],
                         [1 << 20, 1 << 40, 5])


def cut(table, data):
    """Length of the first chunk of data."""
    value = 0
    for position in range(262144 - 64, len(data)):
        value = (value << 1) + table[data[position]] & 0xFFFFFFFFFFFFFFFF
        length = position + 1
        if length >= 262144 and value >> (42 if length < 1048576 else 46) == 0:
            return length
    return len(data)


def positions(name, content):
    """Where to flip a byte."""
    if not content:
        return []
    if name in ("config", "config-copy"):
        return [content.index(b'"created":"') + 12, content.index(b'"mac":"') + 8]
    if name.startswith("keys/"):
        return [0, content.index(b'"label":"') + 10, content.index(b'"mac":"') + 8]
    step = max(1, len(content) // 4)
    return [0, 8, 20, 60, *range(80, len(content), step), len(content) - 20]


if __name__ == "__main__":
    unittest.main()
