"""Programs built from pinned Go modules, for machines that cannot download them ready-made."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.steps import SetupError, run

VERSION = (1, 26)
OWN = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}  # whatever the operator has set


@dataclass(frozen=True)
class Program:
    """One main package of a module. `stamp` is the variable that the program prints as its version, and its value."""

    command: str
    stamp: tuple[str, str]


def find_go(environ: Mapping[str, str], lacks: str, instead: str) -> Path:
    """Return a Go that can build, from PATH or its usual place.

    Raises SetupError: `lacks` says what there is none of, `instead` what the operator may install to do without Go.
    """
    wanted = ".".join(map(str, VERSION))
    advice = f"install {instead}, or Go {wanted} or later to have it built."
    found = shutil.which("go", path=environ.get("PATH")) or shutil.which("go", path="/usr/local/go/bin")
    if not found:
        raise SetupError(f"{lacks} and no Go to build it with: {advice}")
    said = run([found, "env", "GOVERSION"], "Asking Go for its version", dict(environ) | {"GOTOOLCHAIN": "local"})
    version = parse_version(said)
    if version is None or version[:2] < VERSION:
        raise SetupError(f"{lacks} and {found} is {said.strip()}, too old to build it: {advice}")
    return Path(found)


def build(go: Path, module: Path, program: Program, target: Path, environ: Mapping[str, str]) -> None:
    """Build one program under another name and rename it when it is whole. The caller holds set-up's lock."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f"{target.name}.*"):  # of a set-up that was killed
        left.unlink()
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    flags = ["-trimpath", "-mod=readonly", "-ldflags", f"-s -w -X {'='.join(program.stamp)}"]
    env = dict(environ) | OWN
    try:
        run([go, "build", *flags, "-o", fresh, program.command], f"Building {target.name}", env, module)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def parse_version(text: str) -> tuple[int, int, int] | None:
    """Read `v3.259.0` or `3.260.1-dev+x`; None where there is no such number.

    >>> parse_version("v3.259.0")
    (3, 259, 0)
    """
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def on_path(name: str, environ: Mapping[str, str], built: Path) -> Path | None:
    """Return the operator's own program; one that set-up built below `built` does not count, wherever PATH has it from."""
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        found = shutil.which(name, path=folder) if folder else None
        if found and not Path(found).resolve().is_relative_to(built.resolve()):
            return Path(found)
    return None


def missing(folder: Path, names: Sequence[str]) -> list[str]:
    """Return which programs a folder lacks."""
    return [name for name in names if not (folder / name).is_file()]
