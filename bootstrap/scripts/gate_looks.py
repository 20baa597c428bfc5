"""Look at this host's gate and at vLLM. What ends the host and what tells its load to a controller share this.

Standard library only; Python 3.10 or later.
"""

import urllib.request

GATE_METRICS = "http://127.0.0.1:9180/metrics"
ENGINE = "http://127.0.0.1:8000"
SAMPLES, BETWEEN_SECONDS = 3, 0.3  # of the gauge: a look at /health counts in it for a millisecond
LOG_SECONDS = 0.05  # the gate writes a request's line a moment after the request has left the gauge
OPEN, LEFT = (
    "open",
    "leaving.closed",
)  # files of /run/gpu-fleet: the gate is open; a controller closed it to end this host
ADMITTED = "admitted.log"


def under_way(ask, sleep):
    """Return the requests under way at the gate; None if the gate does not answer."""
    found = in_flight(ask)
    for _again in range(SAMPLES - 1):
        if not found:
            break
        sleep(BETWEEN_SECONDS)
        found = in_flight(ask)
    return found


def in_flight(ask):
    """Return the gate's gauge of requests; None if the gate does not answer."""
    return total(ask(GATE_METRICS), "caddy_http_requests_in_flight{", 'server="door"')


def engine(ask):
    """Return the requests in vLLM, which may still work on one that its client has left; None without an answer."""
    text = ask(f"{ENGINE}/metrics")
    counts = [total(text, f"vllm:num_requests_{state}") for state in ("running", "waiting")]
    return None if None in counts else sum(counts)


def serves(ask):
    """Return whether vLLM answers."""
    return ask(f"{ENGINE}/health") is not None


def answer_of(url):
    """Return what a service on loopback answers with 200; None without such an answer."""
    try:
        with urllib.request.urlopen(url, timeout=3) as reply:
            return reply.read().decode(errors="replace") if reply.status == 200 else None
    except (OSError, ValueError):
        return None


def total(text, name, label=""):
    """Return the sum of a metric's values, 0 if it has none; None without a text."""
    if text is None:
        return None
    rows = [row for row in text.splitlines() if row.startswith(name) and label in row]
    return sum(float(row.rsplit(" ", 1)[1]) for row in rows)


def mark_of(path):
    """Return a mark that changes with each write of a file; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
