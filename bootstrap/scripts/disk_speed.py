"""Write a file for a bounded time, wait until it is on the disk, and say how fast that was. Standard library only.

The order, in ORDER: {"folder": path, "bytes": how much at most, "seconds": how long at most}.
Ends with one JSON line {"bytes", "seconds"}.
"""

import json
import os
import time
from pathlib import Path

BLOCK = os.urandom(4 << 20)  # a disk that compresses does not get away with zeros

path = Path(ORDER["folder"]) / ".gpu-fleet-disk-speed"
path.parent.mkdir(parents=True, exist_ok=True)
began = time.monotonic()
written = 0
try:
    with path.open("wb", buffering=0) as stream:
        while written < ORDER["bytes"] and time.monotonic() - began < ORDER["seconds"]:
            written += stream.write(BLOCK)
            os.fdatasync(stream.fileno())
    print(json.dumps({"bytes": written, "seconds": round(time.monotonic() - began, 3)}))
finally:
    path.unlink(missing_ok=True)
