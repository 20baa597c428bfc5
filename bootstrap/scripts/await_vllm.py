"""Wait until vLLM answers one completion, ends, or the time is over; print which. Sent on stdin.

The order, in ORDER: {"seconds": number, "model": name}. /health alone proves nothing: an engine that cannot infer
answers it with 200 and dies at the first request.
"""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path

BASE = "http://127.0.0.1:8000"
ENDS = Path("/run/gpu-fleet/vllm.ends")
LOG = Path("/var/log/gpu-fleet/vllm.log")


def healthy():
    try:
        return urllib.request.urlopen(BASE + "/health", timeout=2).status == 200
    except OSError:
        return False


def completes():
    body = json.dumps({"model": ORDER["model"], "prompt": "Hello", "max_tokens": 1}).encode()
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
    try:
        return LOG.read_bytes()[-6000:].decode(errors="replace")
    except OSError:
        return ""


deadline = time.monotonic() + ORDER["seconds"]
ready = False
while time.monotonic() < deadline and not ready and not ends():
    ready = healthy() and completes()
    if not ready:
        time.sleep(0.1)
print(json.dumps({"ready": ready and not ends(), "ends": ends(), "log": "" if ready else tail()}))
