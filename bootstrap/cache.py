"""Locate this machine's cache folder, for files that can be made again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the project's folder in the user's cache (XDG); it may not exist yet."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "gpu-fleet"
