"""Measure the disk: write a file for a bounded time and wait until it is on the disk. Standard library only.

REQUEST: {"folder": path, "bytes": at most, "seconds": at most}. Prints one JSON line {"bytes", "seconds"}.
"""

import json
import os
import time
from pathlib import Path

BLOCK = os.urandom(4 << 20)  # random, because a disk that compresses writes zeros too fast

path = Path(REQUEST["folder"]) / ".gpu-fleet-disk-speed"
path.parent.mkdir(parents=True, exist_ok=True)
began = time.monotonic()
written = 0
try:
    with path.open("wb", buffering=0) as stream:
        while written < REQUEST["bytes"] and time.monotonic() - began < REQUEST["seconds"]:
            written += stream.write(BLOCK)
            os.fdatasync(stream.fileno())
    print(json.dumps({"bytes": written, "seconds": round(time.monotonic() - began, 3)}))
finally:
    path.unlink(missing_ok=True)
