"""Read and write pins of compile caches, pure: a file beside the manifest lists archives that any machine may use.

{"<key>": "<sha256 of the archive>"}          models/<name>.warm.json
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

DIGEST = re.compile(r"[0-9a-f]{64}\Z")


def pins_file(manifest: Path) -> Path:
    """Return the path of a model's pins, given the path of its manifest."""
    return manifest.with_suffix(".warm.json")


def read_pins(text: str) -> dict[str, str]:
    """Parse the file's text. Raises ValueError if it does not map digests to digests."""
    found = json.loads(text)
    if not isinstance(found, dict) or not all(DIGEST.match(str(part)) for pair in found.items() for part in pair):
        raise ValueError("it must map keys of 64 hex digits to SHA-256 digests")
    return {str(key): str(digest) for key, digest in found.items()}


def with_pin(text: str, warm: Mapping[str, str]) -> str:
    """Return the file's text with one more pin; `warm` holds `key` and `sha256`. Raises ValueError."""
    pins = {**(read_pins(text) if text.strip() else {}), warm["key"]: warm["sha256"]}
    return json.dumps(read_pins(json.dumps(pins)), indent=2, sort_keys=True) + "\n"
