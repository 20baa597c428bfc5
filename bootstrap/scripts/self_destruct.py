"""End this host when nobody was served for long, when its lease lapsed, or after its whole lifetime.

self_destruct_rules.py decides. This file looks at the host and acts: it closes the gate, leaves word of the end in the
store, and asks the market to destroy the instance by the instance's own key. It asks until this host is gone, and keeps
the gate closed meanwhile, also after a restart of the machine.

Standard library only; Python 3.10 or later; the supervisor runs it. /run/gpu-fleet/self-destruct.json says what it does.
"""

import fcntl
import json
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import self_destruct_rules as rules

ROOT = Path("/")
GATE_METRICS = "http://127.0.0.1:9180/metrics"
ENGINE = "http://127.0.0.1:8000"
GPU_BUSY_PERCENT = 5
GPU_SECONDS = 20
MARKET_SECONDS, STORE_SECONDS = 30, 10
SAMPLES, BETWEEN_SECONDS = 3, 0.3  # of the gauge: a look at /health counts in it for a millisecond
LOG_SECONDS = 0.05  # the gate writes a request's line a moment after the request has left the gauge
SAVE_SECONDS = 60.0
WORD_BYTES = 512  # the length that the store's URL is signed for
USER_AGENT = "gpu-fleet"


class Host:
    """This host. `root` is the folder that stands for `/`; clock, pauses and answers are handed in by tests."""

    def __init__(self, root=ROOT, monotonic=time.monotonic, sleep=time.sleep, ask=None, run=subprocess.run):
        self.etc, self.runs = root / "opt/gpu-fleet/etc", root / "run/gpu-fleet"
        self._proc = root / "proc"
        self._monotonic, self._sleep, self._run = monotonic, sleep, run
        self._ask = ask or answer_of
        self.wanted = json.loads((self.etc / "self-destruct.wanted").read_text())
        self._saved_at = float("-inf")
        self._lived = 0.0

    @property
    def limits(self):
        return rules.Limits(*(self.wanted.get(name) for name in ("idle", "lifetime", "lease")))

    def begin(self):
        """Return the state at a start: a host that was ending itself goes on with that.

        A service that was killed before it judged a gate that it had closed opens it again.
        """
        why = (text_of(self.etc / "self-destruct.ending") or "").strip()
        closed = text_of(self.runs / "self-destruct.closed")
        if closed == str(mark_of(self.etc / "attended")) and not why:
            self.reopen()
        return rules.begin(self.look(), why)

    def look(self):
        attended, renewed = mark_of(self.etc / "attended"), self._lease()
        is_open, answers = (self.runs / "open").is_file(), self._ask(f"{ENGINE}/health") is not None
        busy = self.busy()
        # Last, because it shows what happened until now.
        admitted = mark_of(self.runs / "admitted.log")
        now = self._monotonic()
        return rules.Look(now, self.lived(now), is_open, answers, busy, admitted, renewed, attended)

    def busy(self):
        """Return whether a request is under way or a GPU works; None if a witness does not answer."""
        under_way = self._in_flight()
        for _again in range(SAMPLES - 1):
            if not under_way:
                break
            self._sleep(BETWEEN_SECONDS)
            under_way = self._in_flight()
        if under_way:
            return True
        self._sleep(LOG_SECONDS)
        witnesses = (under_way, self._engine(), self._gpus())
        if any(witnesses):
            return True
        return None if None in witnesses else False

    def close(self, attended):
        """Close the gate, unless an operator began to work on this host since the look."""
        if mark_of(self.etc / "attended") == attended and (self.runs / "open").exists():
            write(self.runs / "self-destruct.closed", str(attended))
            (self.runs / "open").unlink(missing_ok=True)
            note("the gate is closed")

    def reopen(self):
        (self.runs / "open").touch()
        (self.runs / "self-destruct.closed").unlink(missing_ok=True)
        note("somebody came; the gate is open again")

    def end(self, why, idle, lived):
        """Say why this host ends, leave word of it, and ask the market to destroy it."""
        write(self.etc / "self-destruct.ending", why)
        self._leave_word({"version": 1, "why": why, "idle_seconds": round(idle), "lived_seconds": round(lived)})
        note(f"{why}: the market is asked to destroy this instance")
        note(f"the market says: {self._destroy()}")

    def report(self, state):
        """Write what goes on, for the agent. Times are on the monotonic clock."""
        lease = self.limits.lease
        since = state.fence.at if state.fence else state.last.at
        known = {"ending": state.why if state.phase == rules.ENDING else "", "since": since}
        write(self.runs / "self-destruct.json", json.dumps({**known, "lease_until": lease and state.renewed + lease}))

    def lived(self, now):
        """Return the seconds since the rent: what this host counted, or what the last visitor said if that is more."""
        file, boot = self.etc / "self-destruct.lived", text_of(self._proc / "sys/kernel/random/boot_id")
        was = loaded(file, [boot, now, 0.0])
        seconds = max(rules.lived(was, boot, now), self._lived, float(self._visit().get("age") or 0))
        if now - self._saved_at >= SAVE_SECONDS or seconds - self._lived > SAVE_SECONDS:
            write(file, json.dumps([boot, now, seconds]))
            self._saved_at = now
        self._lived = seconds
        return seconds

    def _visit(self):
        return loaded(self.etc / "self-destruct.visit", {})

    def _lease(self):
        return mark_of(self.etc / "self-destruct.visit"), mark_of(self.runs / "lease.log")

    def _in_flight(self):
        """Return the requests under way; None if the gate does not answer."""
        return total(self._ask(GATE_METRICS), "caddy_http_requests_in_flight{", 'server="door"')

    def _engine(self):
        """Return the requests in vLLM. It may still work on one that its client has left."""
        text = self._ask(f"{ENGINE}/metrics")
        counts = [total(text, f"vllm:num_requests_{state}") for state in ("running", "waiting")]
        return None if None in counts else sum(counts)

    def _gpus(self):
        """Return whether a GPU works; a GPU that reports no use is left out."""
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        try:
            printed = self._run(command, capture_output=True, text=True, timeout=GPU_SECONDS, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            return None
        return any(float(word) > GPU_BUSY_PERCENT for word in printed.split() if word.replace(".", "", 1).isdigit())

    def _leave_word(self, word):
        """Write the word of the end to the store. An end never waits for a store that does not answer."""
        url = self._visit().get("word")
        if not url:
            return
        body = json.dumps(word).encode().ljust(WORD_BYTES)
        try:
            asked(urllib.request.Request(url, body, {"User-Agent": USER_AGENT}, method="PUT"), STORE_SECONDS)
        except (OSError, ValueError) as error:
            note(f"no word could be left: {getattr(error, 'code', type(error).__name__)}")  # its text may hold the URL

    def _destroy(self):
        """Ask the market to destroy this instance; return its answer in a word."""
        found = (self._proc / "1/environ").read_bytes().split(b"\0")
        own = dict(pair.decode(errors="replace").split("=", 1) for pair in found if b"=" in pair)
        try:
            key, number = own["CONTAINER_API_KEY"], own["CONTAINER_ID"]
            url = f"{self.wanted['market']}/api/v0/instances/{number}/"
            headers = {
                "Authorization": f"Bearer {key}",
                "Content-Type": "application/json",
                "User-Agent": USER_AGENT,
            }
            return asked(urllib.request.Request(url, b"{}", headers, method="DELETE"), MARKET_SECONDS)
        except KeyError as error:
            return f"nothing, because {error} is not set"
        except urllib.error.HTTPError as error:
            return error.code
        except (OSError, ValueError) as error:
            return type(error).__name__


def answer_of(url):
    """Return what a service on loopback answers with 200; None without such an answer."""
    try:
        with urllib.request.urlopen(url, timeout=3) as reply:
            return reply.read().decode(errors="replace") if reply.status == 200 else None
    except (OSError, ValueError):
        return None


def asked(request, seconds):
    with urllib.request.urlopen(request, timeout=seconds) as reply:
        return reply.status


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


def text_of(path):
    try:
        return path.read_text()
    except OSError:
        return None


def loaded(path, otherwise):
    """Return the JSON of a file, or `otherwise` if it is missing, damaged or of another shape."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return otherwise
    return found if type(found) is type(otherwise) and len(found) >= len(otherwise) else otherwise


def write(path, text):
    """Write a file whole. A full disk must not keep this host from ending."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text)
        part.chmod(0o600)
        part.replace(path)
    except OSError as error:
        note(f"{path}: {error}")


def note(text):
    print(time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()), text, flush=True)


def main():
    host = Host()
    with (host.runs / "self-destruct.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # an older process of this service may still be about to end
        state = host.begin()
        while True:
            state, seconds = rules.turn(state, host, host.limits)
            host.report(state)
            time.sleep(seconds)


if __name__ == "__main__":
    main()
