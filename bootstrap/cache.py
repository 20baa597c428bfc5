"""Where this machine keeps what can be made again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the project's folder in the user's cache (XDG); it may not be there yet."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "gpu-fleet"
