"""Pinned compile caches, pure: a committed file beside a model's manifest says which archives may start it on any machine.

{"<key>": "<sha256 of the archive>"}          models/<name>.warm.json
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

DIGEST = re.compile(r"[0-9a-f]{64}\Z")


def pins_file(manifest: Path) -> Path:
    """Return where the pins of a model lie, whose manifest lies here."""
    return manifest.with_suffix(".warm.json")


def read_pins(text: str) -> dict[str, str]:
    """Read the file's text. Raises ValueError where it is anything else than digests by digests."""
    found = json.loads(text)
    if not isinstance(found, dict) or not all(DIGEST.match(str(part)) for pair in found.items() for part in pair):
        raise ValueError("it must map keys of 64 hex digits to SHA-256 digests")
    return {str(key): str(digest) for key, digest in found.items()}


def with_pin(text: str, warm: Mapping[str, str]) -> str:
    """Return the file's text with one more pin; `warm` holds `key` and `sha256`. Raises ValueError."""
    pins = {**(read_pins(text) if text.strip() else {}), warm["key"]: warm["sha256"]}
    return json.dumps(read_pins(json.dumps(pins)), indent=2, sort_keys=True) + "\n"
