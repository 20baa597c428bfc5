"""Finds the files that make hosts report metrics: vmagent, our agent, and the agent's Python libraries."""

import os
import shutil
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

import pulumi

from bootstrap.kit import build_kit, installed_programs
from components.agent_files import FOLDER, LIBRARIES, is_agent_file
from weights.manifest import Manifest

ROOT = Path(__file__).resolve().parent.parent
MISSING = (
    "Hosts will not report their metrics: vmagent, which ships them, is not on PATH. `make setup` builds it; then run this "
    'in a shell with `eval "$(make -s env)"`.'
)


def vmagent(path: str | None) -> Path | None:
    """Return the program that ships metrics, if PATH has it."""
    found = shutil.which("vmagent", path=path)
    return Path(found) if found else None


def find_shipper() -> Path | None:
    """Return vmagent. Warn if it is not on PATH, because hosts do not report without it.

    With GPU_FLEET_KUBERNETES=off the run leaves monitoring out, and no warning is due.
    """
    found = vmagent(os.environ.get("PATH"))
    if found is None and os.environ.get("GPU_FLEET_KUBERNETES") != "off":
        pulumi.log.warn(MISSING)
    return found


def make_kit(folder: Path, shipper: Path | None) -> Manifest:
    """Build the kit into a folder; with vmagent as the `shipper`, one that makes hosts report. Raises KitError."""
    if shipper is None:
        return build_kit(folder)
    return build_kit(folder, {**installed_programs(), "vmagent": shipper}, extra=libraries())


def libraries() -> Mapping[str, Path]:
    """Return the files of the kit's folder lib/ by name: the agent's package, and the libraries that it imports."""
    return dict(sorted([*_agent(), *_packages()]))


def _agent() -> Iterator[tuple[str, Path]]:
    for file in (ROOT / FOLDER).rglob("*.py"):
        name = file.relative_to(ROOT).as_posix()
        if is_agent_file(name):
            yield name, file


def _packages() -> Iterator[tuple[str, Path]]:
    for package, prefix in LIBRARIES.items():
        for file in metadata.files(package) or []:
            if str(file).startswith(prefix) and file.suffix == ".py":
                yield str(file), Path(str(file.locate()))
