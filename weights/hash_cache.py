"""Keep digests for an interrupted `gpu-fleet manifest`, so that it does not read an unchanged file again.

They lie in the user's cache, one line a file. A digest counts only for the same size, time of change and inode.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from weights.manifest import File


@dataclass(frozen=True)
class HashCache:
    """Keep one folder's digests in one file of the cache. A cache that cannot be read or written only costs time."""

    folder: Path
    cache: Path

    def files(self) -> Mapping[str, File]:
        """Return by path the files whose digests are known and still valid."""
        try:
            lines = self.cache.read_text().splitlines()
        except OSError:
            return {}
        found = {}
        for line in lines:
            try:
                row = json.loads(line)
                file = File.model_validate(row["file"])
                if row["print"] == self._print(file.path):
                    found[file.path] = file
            except (ValueError, KeyError, TypeError, OSError, ValidationError):
                continue
        return found

    def keep(self, file: File) -> None:
        """Add a file with its digests."""
        try:
            row = {"print": self._print(file.path), "file": file.model_dump(mode="json")}
            self.cache.parent.mkdir(parents=True, exist_ok=True)
            with self.cache.open("a") as stream:
                stream.write(f"{json.dumps(row)}\n")
        except OSError:
            return

    def _print(self, path: str) -> list[int]:
        status = (self.folder / path).stat()
        return [status.st_size, status.st_mtime_ns, status.st_ino]
