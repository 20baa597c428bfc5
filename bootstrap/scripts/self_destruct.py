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

import gate_looks as looks
import self_destruct_rules as rules
from gate_looks import mark_of

ROOT = Path("/")
GPU_BUSY_PERCENT = 5
GPU_SECONDS = 20
MARKET_SECONDS, STORE_SECONDS = 30, 10
SAVE_SECONDS = 60.0
WORD_BYTES = 512  # the length that the store's URL is signed for
USER_AGENT = "gpu-fleet"


class Host:
    """This host. `root` is the folder that stands for `/`; clock, pauses and answers are handed in by tests."""

    def __init__(self, root=ROOT, monotonic=time.monotonic, sleep=time.sleep, ask=None, run=subprocess.run):
        self.etc, self.runs = root / "opt/gpu-fleet/etc", root / "run/gpu-fleet"
        self._proc = root / "proc"
        self._monotonic, self._sleep, self._run = monotonic, sleep, run
        self._ask = ask or looks.answer_of
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
        is_open, answers = (self.runs / looks.OPEN).is_file(), looks.serves(self._ask)
        left = (self.runs / looks.LEFT).is_file()
        busy = self.busy()
        # Last, because it shows what happened until now.
        admitted = mark_of(self.runs / looks.ADMITTED)
        now = self._monotonic()
        return rules.Look(now, self.lived(now), is_open, answers, busy, admitted, renewed, attended, left)

    def busy(self):
        """Return whether a request is under way or a GPU works; None if a witness does not answer."""
        under_way = looks.under_way(self._ask, self._sleep)
        if under_way:
            return True
        self._sleep(looks.LOG_SECONDS)
        witnesses = (under_way, looks.engine(self._ask), self._gpus())
        if any(witnesses):
            return True
        return None if None in witnesses else False

    def close(self, attended):
        """Close the gate, unless an operator began to work on this host since the look."""
        if mark_of(self.etc / "attended") == attended and (self.runs / looks.OPEN).exists():
            write(self.runs / "self-destruct.closed", str(attended))
            (self.runs / looks.OPEN).unlink(missing_ok=True)
            note("the gate is closed")

    def reopen(self):
        if not (self.runs / "self-destruct.closed").exists():
            return  # a controller closed it, and opens it
        (self.runs / looks.OPEN).touch()
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
        known |= {"idle": state.idle, "at": state.last.at}
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


def asked(request, seconds):
    with urllib.request.urlopen(request, timeout=seconds) as reply:
        return reply.status


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
