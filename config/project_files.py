"""The committed files that stack config names: of a folder, or of any other place that can read a path."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class ProjectFiles(Protocol):
    """Files by their path relative to the project."""

    def has(self, path: str) -> bool:
        """Return whether there is such a file."""

    def text(self, path: str) -> str:
        """Return a file's text. Raises ValueError if it cannot be read as text."""


@dataclass(frozen=True)
class FolderFiles:
    """The files of a folder."""

    folder: Path

    def has(self, path: str) -> bool:
        """Return whether there is such a file."""
        return (self.folder / path).is_file()

    def text(self, path: str) -> str:
        """Return a file's text. Raises ValueError if it is no text."""
        return (self.folder / path).read_text()


def files_of(project: Path | ProjectFiles) -> ProjectFiles:
    """Return the files of a project, which may be given by its folder."""
    return FolderFiles(project) if isinstance(project, Path) else project
