"""§9: trees."""

from dataclasses import dataclass, field

from .basics import (
    CONTENT_KINDS,
    DEPTH,
    INCOMPLETE,
    INNER_CHILDREN,
    LEAF_ENTRIES,
    LETTERS,
    LEVELS,
    NAME_LIMIT,
    OWNER_LIMIT,
    PAGE,
    PAGE_PARTS,
    PAGE_PATHS,
    PARCEL,
    PATH_LIMIT,
    RAW_LIMIT,
    REFERENCES,
    SYMLINK,
    UNKNOWN,
    UNREADABLE,
    XATTR_INLINE,
    XATTR_NAME,
    XATTR_VALUE,
    XATTRS,
    Cursor,
    Refused,
    need,
    wrap,
)


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
    names = path.split(b"/")
    fine = all(name not in (b"", b".", b"..") and len(name) <= NAME_LIMIT for name in names)
    need(fine, f"path {path!r}")


def paths(shared, lengths, rest, count):
    """Columns 1 to 3; checks that the paths ascend."""
    last, found, total = b"", [], 0
    for _ in range(count):
        keep = shared.varint(len(last), "shared")
        length = lengths.varint(PATH_LIMIT, "path")
        total += keep + length
        need(total <= PAGE_PATHS, f"paths are longer than {PAGE_PATHS} bytes together")
        path = last[:keep] + rest.take(length)
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
    sums[1] += entry.size
    sums[2] += entry.problem in INCOMPLETE


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
              for _ in range(cursor.varint(count, "owners"))]
    devices = [cursor.varint() for _ in range(cursor.varint(count, "devices"))]
    parcels = [(cursor.take(32), cursor.varint(RAW_LIMIT[PARCEL]), cursor.varint())
               for _ in range(cursor.varint(count, "parcels"))]
    parts = columns(cursor, 18)
    (kind, mode, owner, mtime, mtime_ns, ctime, ctime_ns, inode, device, links, size, slots,
     digests, references, extras) = parts[3:]
    entries, seconds, last_inode, last_slot, parts_left = [], 0, 0, (0, 0), PAGE_PARTS
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
            entry.references = (references.varint(DEPTH, "depth"),
                                take_references(references, parts_left))
            parts_left -= len(entry.references[1])
        if bits & 16:
            take_extras(entry, Cursor(extras.bytes()), parts_left)
            parts_left -= len(entry.xattrs)
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


def take_references(cursor, left=REFERENCES):
    """§9.3: [(length, id or None for a hole)]."""
    found = []
    for _ in range(cursor.varint(min(REFERENCES, left), "references")):
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


def take_extras(entry, cursor, left):
    last = 0
    while cursor.at < len(cursor.data):
        tag, value = cursor.uint(1), Cursor(cursor.bytes())
        need(tag > last, "extras do not ascend")
        last = tag
        if tag == 1:
            for _ in range(value.varint(min(XATTRS, left), "xattrs")):
                entry.xattrs.append(take_xattr(value))
        elif tag == 3:
            entry.target = value.rest()
            need(len(entry.target) <= PATH_LIMIT, "symlink target is too long")
        elif tag == 4:
            entry.device = (value.varint(), value.varint())
        elif tag == 5:
            entry.problem = value.uint(1)
            need(len(value.rest()) <= PATH_LIMIT, "message is too long")
        else:
            value.rest()
        value.end("extras")


def take_xattr(cursor):
    """name, value, None or name, None, (length, id of a frame with the value)."""
    name = cursor.bytes(XATTR_NAME, "xattr name")
    word = cursor.varint(2 * XATTR_VALUE + 1, "xattr")
    length = word >> 1
    need(bool(word & 1) == (length > XATTR_INLINE), "xattr lies in the wrong place")
    if word & 1:
        return name, None, (length, cursor.take(32))
    return name, cursor.take(length), None


def check_content(entry):
    has_content = entry.slot is not None or entry.references is not None
    need(not has_content or entry.kind in CONTENT_KINDS, f"{entry.shown}: has content")
    if entry.references is not None and entry.problem != UNREADABLE:
        total = sum(length for length, _ in entry.references[1])
        need(total == entry.size, f"{entry.shown}: lengths do not add up")
    if not has_content and entry.kind in CONTENT_KINDS:
        need(entry.size == 0 or entry.problem == UNREADABLE, f"{entry.shown}: content is missing")
    need((entry.kind == SYMLINK) == (entry.target is not None), f"{entry.shown}: target")


def show(entry):
    text = f"{LETTERS[entry.kind]} {entry.mode:04o} {entry.uid}:{entry.gid} {entry.size:>10} "
    text += f"{entry.mtime // 10**9}.{entry.mtime % 10**9:09} {entry.shown}"
    if entry.target is not None:
        text += " -> " + entry.target.decode("utf-8", "backslashreplace")
    return text
