"""Describe a model or a kit by its files' sizes and digests, and compare a folder with that description.

A manifest is committed to git and reviewed. Upload, fetch and refresh check against it, so that neither an accident nor a
change in the store makes a host serve other weights than the reviewed ones. Parts of 64 MiB have digests of their own, so
that a broken download is fetched again in parts and not as a whole.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from weights.hashing import digests
from weights.model_info import ModelInfo

PART_BYTES = 64 * 2**20
EMPTY = hashlib.sha256().hexdigest()
# Paths reach scripts on the host, so they hold nothing that a shell would quote or expand.
SEGMENT = re.compile(r"[A-Za-z0-9_.+=@,-]+\Z")

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]


class ManifestError(ValueError):
    """No manifest can describe a folder; the message names the file and says what to do."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Record):
    """Describe one file. `path` is relative and posix, `size` in bytes, `parts` the SHA-256 of each 64 MiB part."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=240)]
    size: Annotated[int, Field(ge=0, le=2**50)]
    sha256: Digest
    parts: tuple[Digest, ...]

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        for segment in path.split("/"):
            if segment in {"", ".", ".."} or not SEGMENT.match(segment):
                raise ValueError(
                    f"{path!r} is not a plain relative path of letters, digits and _.+=@,- between slashes"
                )
        return path

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        expected = -(-self.size // PART_BYTES)
        if len(self.parts) != expected:
            raise ValueError(f"{self.path} of {self.size} bytes has {len(self.parts)} part digests, not {expected}")
        alone = {0: EMPTY, 1: self.parts[0] if self.parts else ""}.get(expected, self.sha256)
        if alone != self.sha256:
            raise ValueError(f"{self.path} is empty or of one part, and its digest is not the digest of that")
        return self


class Source(_Record):
    """Name a model's origin: a repository of a hub and the commit."""

    repo: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$")]
    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]


class Manifest(_Record):
    """List all files of one model or kit, sorted by path, with facts about the model. Equal files have equal digests."""

    name: Name
    files: Annotated[tuple[File, ...], Field(min_length=1)]
    about: ModelInfo | None = None
    source: Source | None = None

    @field_validator("files")
    @classmethod
    def _one_of_each(cls, files: tuple[File, ...]) -> tuple[File, ...]:
        taken: dict[str, str] = {}
        for file in files:
            folded = file.path.lower()
            if folded in taken:
                raise ValueError(f"{file.path!r} and {taken[folded]!r} are the same file, or differ in case only")
            taken[folded] = file.path
        for file in files:
            for folder in PurePosixPath(file.path.lower()).parents:
                if str(folder) in taken:
                    raise ValueError(f"{taken[str(folder)]!r} is a file and also the folder of {file.path!r}")
        return tuple(sorted(files, key=lambda file: file.path))

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the canonical JSON of all files, without name, `about` and `source`."""
        files = [file.model_dump(mode="json") for file in self.files]
        return hashlib.sha256(json.dumps(files, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def total_bytes(self) -> int:
        """Return the size of all files together."""
        return sum(file.size for file in self.files)

    def to_props(self) -> dict[str, Any]:
        """Return it as plain values, without unknown ones."""
        return self.model_dump(mode="json", exclude_none=True)

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Parse a committed manifest. Raises pydantic.ValidationError, a ValueError, which names every bad field."""
        return cls.model_validate_json(text)

    def to_json(self) -> str:
        """Return the text to commit: indented, one line a part, ending in a newline."""
        return json.dumps(self.to_props(), indent=2) + "\n"


def blob_key(sha256: str) -> str:
    """Return the object key of the blob with this digest."""
    return f"blobs/sha256/{sha256}"


def of_folder(
    name: str,
    folder: Path,
    known: Mapping[str, File] | None = None,
    read: Callable[[int], None] = lambda _: None,
    done: Callable[[File], None] = lambda _: None,
) -> Manifest:
    """Hash every file under `folder` on all cores, and return its manifest.

    `known` holds files by path that need not be read again. `read` gets the bytes of each read, `done` each finished file.
    Hidden files are left out, because download tools keep their own records there. Raises ManifestError if the folder is
    missing or empty, or holds a symlink or a path that no manifest can carry.
    """
    paths = paths_of(folder)
    if not paths:
        raise ManifestError(f"{folder} holds no files, so there is nothing to put into a manifest.")
    files = [file for path, file in (known or {}).items() if path in paths]
    kept = {file.path for file in files}
    try:
        for file in _of_files(folder, [path for path in paths if path not in kept], read):
            files.append(file)
            done(file)
        return Manifest(name=name, files=tuple(files))
    except OSError as error:
        raise ManifestError(f"{error.filename}: {error.strerror}.") from None
    except ValidationError as error:
        raise ManifestError("; ".join(row["msg"] for row in error.errors())) from None


def mismatches(manifest: Manifest, folder: Path, *, contents: bool = True) -> list[str]:
    """Return one sentence for each difference between `folder` and `manifest`.

    `contents=False` compares names and sizes only: instant, and enough to notice a wrong or half-copied folder.
    """
    try:
        present = set(paths_of(folder))
    except ManifestError as error:
        return [str(error)]
    expected = {file.path: file for file in manifest.files}
    found = [f"{path} is in {folder} but not in the manifest." for path in sorted(present - expected.keys())]
    for path, file in expected.items():
        if path not in present:
            found.append(f"{path} is in the manifest but not in {folder}.")
        elif (size := (folder / path).stat().st_size) != file.size:
            found.append(f"{path} has {size} bytes, and the manifest says {file.size}.")
        elif contents and list(_of_files(folder, [path], lambda _: None)) != [file]:
            found.append(f"{path} has the right size but another content than the manifest says.")
    return found


def paths_of(folder: Path) -> list[str]:
    """Return the relative paths of all files that are not hidden. Raises ManifestError on symlinks and other things."""
    return list(_paths(folder))


def _paths(folder: Path) -> Iterator[str]:
    if not folder.is_dir():
        raise ManifestError(f"{folder} is not a folder.")
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.is_symlink():
            raise ManifestError(
                f"{entry.path} is a symlink. A manifest holds plain files only; download the model into a "
                "folder of its own instead of using a cache that links into another place."
            )
        if entry.is_dir():
            yield from (f"{entry.name}/{path}" for path in _paths(Path(entry.path)))
        elif entry.is_file():
            yield entry.name
        else:
            raise ManifestError(f"{entry.path} is neither a file nor a folder.")


def _of_files(folder: Path, paths: Sequence[str], read: Callable[[int], None]) -> Iterator[File]:
    sizes = [(path, (folder / path).stat().st_size) for path in paths]
    for path, size, whole, parts in digests(folder, sizes, PART_BYTES, read):
        yield File(path=path, size=size, sha256=whole, parts=parts)
