"""§6: sealed objects."""

import functools
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .basics import (
    CONTENT,
    FOOTER,
    FRAME_LIMIT,
    FRAMES_OF,
    HEADER,
    JSON,
    OBJECT_TYPES,
    PACK_FRAMES,
    PACK_LIMIT,
    RAW_LIMIT,
    TRAILER,
    Cursor,
    Refused,
    decompress,
    keyed,
    need,
    up16,
)


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
        self.path = repository.root / name
        self.length = self.path.stat().st_size
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

    def read(self, offset, length):
        with open(self.path, "rb", buffering=0) as file:
            data = os.pread(file.fileno(), length, offset)
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
        limit = RAW_LIMIT.get(kind, FRAME_LIMIT)
        need(stored <= max(FRAME_LIMIT, limit) and raw <= limit
             and stored <= raw + 1024, f"frame at {offset} is too long")
        need(kind in CONTENT or frame.id == bytes(32), "frame has an id")
        need(frame.end + FOOTER <= self.length, f"frame at {offset} ends outside the object")
        return frame

    def body(self, frame):
        """The raw bytes, checked against the id where the kind has one."""
        begin = frame.offset + 64
        sealed = self.read(begin, frame.end - begin)
        padded = self.open(frame.offset, frame.offset // 8 + 1, sealed, frame.header)
        need(not any(padded[frame.stored:]), "filling is not zero")
        raw = decompress(frame.codec, padded[:frame.stored], frame.raw)
        if frame.kind in CONTENT:
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
