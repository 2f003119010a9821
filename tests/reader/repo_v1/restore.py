"""Puts a snapshot's entries below a directory."""

import os
import stat
import sys

from .basics import BLOCK, CHARACTER, CONTENT_KINDS, DIRECTORY, FIFO, SYMLINK, Refused, need


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
            except OSError as error:
                raise Refused(f"{path!r} lies below what is no directory") from error
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
        elif entry.kind in CONTENT_KINDS:
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
