"""Opens every object and every entry."""

from .basics import CONTENT_KINDS, PADDING, TRAILER, UNREADABLE, Refused, need
from .sealed import Sealed, naming
from .tree import add_totals


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
        need(entry.problem == UNREADABLE or entry.kind not in CONTENT_KINDS
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
        attempt(repository.check_slot, name, repository.keys)
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
        if snapshot.visible:
            attempt(check_tree, repository, snapshot)
    return problems
