"""Prepares hosts of an ordinary user, whose namespace has one user id and sees the machine's files as nobody's."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

# sshd and apt switch to these users; in a user namespace of one id only root exists.
AS_ROOT = ("sshd", "_apt", "nobody")
# Each host gets a copy, because programs edit files in it in place.
COPIED = ("etc",)
DEEP = ("var", "opt", "usr/local")
SHALLOW = ("usr",)
EDITION = "1"


def skeleton(cache: Path) -> Path:
    """Return a folder that mirrors the machine's directories as empty directories of the user, made once.

    An overlay of it on the machine's folders gives those directories to the host's root, who may then write in them.
    """
    folder = cache / "hosts" / f"skeleton-{EDITION}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".skeleton-", dir=folder.parent))
        try:
            for top in DEEP:
                for path, names, _ in os.walk(f"/{top}"):
                    _mirror(made, path, names)
            for top in SHALLOW:
                path, names, _ = next(os.walk(f"/{top}"))
                _mirror(made, path, names)
            made.chmod(0o755)
            with contextlib.suppress(OSError):  # another emulator was faster
                made.rename(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return folder


def passwd(text: str) -> str:
    """Return /etc/passwd with root's ids for the users that services switch to."""
    return "".join(_as_root(line) for line in text.splitlines(keepends=True))


def _mirror(made: Path, path: str, names: list[str]) -> None:
    target = made / path.lstrip("/")
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        # A link of the machine stays a link: a directory over it would hide its target.
        if not Path(path, name).is_symlink():
            (target / name).mkdir(exist_ok=True)


def _as_root(line: str) -> str:
    fields = line.split(":")
    if fields[0] in AS_ROOT and len(fields) > 4:
        fields[2:4] = ["0", "0"]
    return ":".join(fields)
