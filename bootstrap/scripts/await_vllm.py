"""Wait until vLLM answers one completion, ends, or the time is over; print which. Sent on stdin.

REQUEST: {"seconds": number, "model": name}. /health alone proves nothing: a vLLM that cannot infer answers it with 200
and dies at the first request.
"""

import json
import os
import time
import urllib.error
import urllib.request
from pathlib import Path

BASE = "http://127.0.0.1:8000"
ENDS = Path("/run/gpu-fleet/vllm.ends")
LOG = Path("/var/log/gpu-fleet/vllm.log")
LAST = Path("/run/gpu-fleet/vllm.last")
START = "=== gpu-fleet starts vLLM"


def healthy():
    try:
        return urllib.request.urlopen(BASE + "/health", timeout=2).status == 200
    except OSError:
        return False


def completes():
    body = json.dumps({"model": REQUEST["model"], "prompt": "Hello", "max_tokens": 1}).encode()
    request = urllib.request.Request(BASE + "/v1/completions", body, {"Content-Type": "application/json"})
    try:
        return bool(json.load(urllib.request.urlopen(request, timeout=60))["choices"])
    except (OSError, ValueError, KeyError):
        return False


def ends():
    try:
        return ENDS.read_text().split("\n")[:-1]
    except OSError:
        return []


def tail():
    """Return the log of this start, or of the one that ended last; older lines belong to another configuration."""
    try:
        with (LAST if ends() else LOG).open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - 20000))
            return stream.read().decode(errors="replace").rpartition(START)[2].partition("\n")[2][-16000:]
    except OSError:
        return ""


deadline = time.monotonic() + REQUEST["seconds"]
ready = False
while time.monotonic() < deadline and not ready and not ends():
    ready = healthy() and completes()
    if not ready:
        time.sleep(0.1)
print(json.dumps({"ready": ready and not ends(), "ends": ends(), "log": "" if ready else tail()}))
