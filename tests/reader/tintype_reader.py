#!/usr/bin/env python3
"""An independent reader of Tintype repositories, written from docs/format.md alone.

It exists to prove the document, so it is plain rather than fast, and each part names the section
that it follows (written as "§6"). It never writes into the repository: it puts no session, so run
it only where no gc runs at the same time.
"""

import argparse
import os
import sys
from pathlib import Path

from repo_v1.basics import Refused, WrongKey
from repo_v1.check import check
from repo_v1.repository import Repository
from repo_v1.restore import restore
from repo_v1.tree import show


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
                  f"[{','.join(sorted(snapshot.tags))}]", f"({snapshot.standing})", snapshot.note)
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
    parser.add_argument("--age-identity", help="a file with one AGE-SECRET-KEY-1…")
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
    words, identity, passphrase = None, None, os.environ.get("TINTYPE_PASSWORD", "").encode() or None
    if options.recovery_file:
        words = Path(options.recovery_file).read_text(encoding="ascii")
    if options.age_identity:
        lines = Path(options.age_identity).read_text(encoding="ascii").splitlines()
        identity = next(line for line in lines if line.startswith("AGE-SECRET-KEY-1"))
    if options.password_file:
        passphrase = Path(options.password_file).read_bytes().removesuffix(b"\n")
    try:
        return run(options, Repository(options.repository, passphrase, words, identity))
    except Refused as error:
        print(f"refused: {error}", file=sys.stderr)
        return 4
    except WrongKey as error:
        print(error, file=sys.stderr)
        return 6


if __name__ == "__main__":
    sys.exit(main())
