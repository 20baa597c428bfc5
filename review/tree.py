"""Reads a revision's files as data: from git's objects, never by a checkout, or from the work tree. Runs nothing of them."""

import hashlib
import re
import stat
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

WORK_TREE = "worktree"
MOST_BYTES = 16 * 2**20  # of one file; a manifest of 1 TB of weights has 1.3 MB
PLAIN, PROGRAM = "100644", "100755"
ENTRY = re.compile(rb"(?P<mode>\d+) (?P<kind>\w+) (?P<digest>[0-9a-f]+) +(?P<size>\d+|-)\t(?P<path>.+)", re.DOTALL)


class UsageError(Exception):
    """The command was not called with revisions of a repository. The message is a sentence for the operator."""


class UnfitFile(ValueError):
    """A file of a revision is not read. The message names it and says why."""


@dataclass(frozen=True)
class Entry:
    """One file of a revision. `digest` is git's of the content; `size` in bytes."""

    digest: str
    size: int
    executable: bool


class Tree(Protocol):
    """The files of one revision, by their paths relative to the project. `commit`: its full hash, or `worktree`."""

    name: str
    commit: str

    def has(self, path: str) -> bool:
        """Return whether there is such a plain file inside the project."""

    def text(self, path: str) -> str:
        """Return a file's text. Raises UnfitFile."""

    def below(self, folders: Sequence[str]) -> Mapping[str, Entry]:
        """Return the plain files of folders, or files named as such, by path."""

    def contents(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """Return contents by path. Raises UnfitFile."""


def open_tree(revision: str, project: Path) -> Tree:
    """Open a revision of the repository that the project's folder is in. Raises UsageError."""
    if revision == WORK_TREE:
        return WorkTree(project)
    found = _git(project, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found.returncode:
        raise UsageError(_unknown(revision, project, found.stderr))
    return GitTree(revision, found.stdout.decode().strip(), project)


class GitTree:
    """The files of a commit, from git's objects."""

    def __init__(self, name: str, commit: str, project: Path) -> None:
        self.name, self.commit, self._project = name, commit, project
        self._entries = _listed(project, commit)

    def has(self, path: str) -> bool:
        """Return whether the commit has such a plain file inside the project."""
        return inside(path) in self._entries

    def text(self, path: str) -> str:
        """Return a file's text. Raises UnfitFile."""
        return _text(path, self.contents([path])[path])

    def below(self, folders: Sequence[str]) -> Mapping[str, Entry]:
        """Return the plain files of folders, or files named as such, by path."""
        return {path: entry for path, entry in self._entries.items() if _is_below(path, folders)}

    def contents(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """Return contents by path. Raises UnfitFile."""
        wanted = {path: self._entry(path) for path in paths}
        asked = "".join(f"{entry.digest}\n" for entry in wanted.values()).encode()
        answer = _git(self._project, "cat-file", "--batch", stdin=asked).stdout
        found, place = {}, 0
        for path, entry in wanted.items():
            place = answer.index(b"\n", place) + 1
            found[path] = answer[place : place + entry.size]
            place += entry.size + 1
        return found

    def _entry(self, path: str) -> Entry:
        entry = self._entries.get(inside(path) or "")
        if entry is None:
            raise UnfitFile(f"{path} is no plain file of the project at {self.name}")
        _bounded(path, entry.size)
        return entry


class WorkTree:
    """The files of the project's folder as they are on the disk, committed or not."""

    name = commit = WORK_TREE

    def __init__(self, project: Path) -> None:
        self._project = project

    def has(self, path: str) -> bool:
        """Return whether there is such a plain file inside the project, and no link on the way to it."""
        return self._file(path) is not None

    def text(self, path: str) -> str:
        """Return a file's text. Raises UnfitFile."""
        return _text(path, self.contents([path])[path])

    def below(self, folders: Sequence[str]) -> Mapping[str, Entry]:
        """Return the plain files of folders, or files named as such, by path. Python's caches are left out."""
        found = {}
        for folder in folders:
            place = self._project / folder
            for file in [place] if place.is_file() else sorted(place.rglob("*")):
                path = file.relative_to(self._project).as_posix()
                if "__pycache__" not in file.parts and (plain := self._file(path)):
                    found[path] = _entry_of(plain)
        return found

    def contents(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """Return contents by path. Raises UnfitFile."""
        return {path: self._content(path) for path in paths}

    def _content(self, path: str) -> bytes:
        file = self._file(path)
        if file is None:
            raise UnfitFile(f"{path} is no plain file of the project")
        _bounded(path, file.stat().st_size)
        return file.read_bytes()

    def _file(self, path: str) -> Path | None:
        plain = inside(path)
        if plain is None:
            return None
        steps = [
            self._project.joinpath(*PurePosixPath(plain).parts[: count + 1]) for count in range(plain.count("/") + 1)
        ]
        if any(step.is_symlink() for step in steps) or not steps[-1].is_file():
            return None
        return steps[-1]


def inside(path: str) -> str | None:
    """Return a path in its plain form; None for one that may leave the project, or that no file can have."""
    one = PurePosixPath(path)
    if one.is_absolute() or ".." in one.parts or not one.parts or "\0" in path:
        return None
    return one.as_posix()


def git_digest(content: bytes) -> str:
    """Return git's digest of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _entry_of(file: Path) -> Entry:
    content, mode = file.read_bytes(), file.stat().st_mode
    return Entry(git_digest(content), len(content), bool(mode & stat.S_IXUSR))


def _listed(project: Path, commit: str) -> dict[str, Entry]:
    """Return the plain files of a commit. Links and submodules are none."""
    listed = _git(project, "ls-tree", "-r", "-l", "-z", commit)
    if listed.returncode:
        raise UsageError(f"the files of {commit[:12]} cannot be listed: {_last(listed.stderr)}")
    rows = (ENTRY.fullmatch(row) for row in listed.stdout.split(b"\0") if row)
    return {
        row["path"].decode(errors="surrogateescape"): Entry(
            row["digest"].decode(), int(row["size"]), row["mode"].decode() == PROGRAM
        )
        for row in rows
        if row and row["mode"].decode() in (PLAIN, PROGRAM)
    }


def _is_below(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _bounded(path: str, size: int) -> None:
    if size > MOST_BYTES:
        raise UnfitFile(f"{path} has {size} bytes; a review reads {MOST_BYTES} at most")


def _text(path: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise UnfitFile(f"{path} is no text in UTF-8") from None


def _git(project: Path, *arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(
            ["git", "--no-replace-objects", "-C", str(project), *arguments],
            input=stdin,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise UsageError(f"git cannot be started: {error.strerror}") from None


def _unknown(revision: str, project: Path, stderr: bytes) -> str:
    if b"not a git repository" in stderr:
        return f"{project.resolve()} is in no git repository; run it in the project's folder"
    return f"{revision!r} is no revision of this repository; fetch it first: git fetch origin {revision}"


def _last(stderr: bytes) -> str:
    return (stderr.decode(errors="replace").strip().splitlines() or ["git says nothing"])[-1]
