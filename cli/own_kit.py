"""The kit that this computer makes, for commands that compare or measure it."""

import os
import tempfile
from pathlib import Path

from bootstrap.kit import KitError
from weights.manifest import Manifest


def made_kit(reports: bool) -> Manifest:
    """Build the kit and return its manifest; with `reports` and vmagent on PATH, one whose hosts report. Raises KitError."""
    from components.metrics_kit import make_kit, vmagent  # noqa: PLC0415 -- imports pulumi

    with tempfile.TemporaryDirectory(prefix="gpu-fleet-kit-") as folder:
        return make_kit(Path(folder), vmagent(os.environ.get("PATH")) if reports else None)


def kit_size(reports: bool) -> int | None:
    """Return the bytes of that kit; None if this computer cannot make it."""
    try:
        return made_kit(reports).total_bytes
    except (KitError, OSError):
        return None
