"""The stand-in of k3s as one executable file: a zip of sandbox/hetzner/k3s and of the node's files that it needs."""

import hashlib
import io
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent / "k3s"
PACKAGES = ("sandbox", "sandbox/hetzner", "sandbox/hetzner/k3s", "sandbox/node")
OF_NODE = ("files", "objects", "order", "plan", "programs", "site")  # how each node here runs pods
MAIN = """import sys

from sandbox.hetzner.k3s.main import main

sys.exit(main(sys.argv[1:], {version!r}))
"""
VERSION = "v1.34.2+k3s1"  # the one that `status` names; each other version is served as well
WRITTEN = (1980, 1, 1, 0, 0, 0)  # the same bytes at each call


def build(version: str) -> bytes:
    """Return the program that calls itself by this version. It differs from that of another version."""
    files = {f"{package}/__init__.py": b"" for package in PACKAGES}
    parts = [*sorted(FOLDER.glob("*.py")), *(REPOSITORY / "sandbox" / "node" / f"{name}.py" for name in OF_NODE)]
    files |= {str(file.relative_to(REPOSITORY)): file.read_bytes() for file in parts}
    files["__main__.py"] = MAIN.format(version=version).encode()
    made = io.BytesIO()
    made.write(b"#!/usr/bin/python3\n")
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, WRITTEN), content)
    return made.getvalue()


def sha256(version: str) -> str:
    """Return the digest that a stack pins."""
    return hashlib.sha256(build(version)).hexdigest()
