"""Loaded by Python itself in a controller process under test: what it writes, locks and does is a seam, counted and named.

    SEAMS_FILE   one line a seam, its name; `struck` follows where the controller was killed
    SEAMS_ARM    a file that a test may write at any time: `<n>:<name> before` or `after` kills the controller at the n-th
                 seam of that name from then on

A seam is a commit of a write, a statement on a connection of a lock, a command of Pulumi, an act on a gate, or a call over
HTTP, of the market or of a lease. The libraries that do all I/O are instrumented, so that new code is covered by itself.
Children do not inherit it.
"""

import collections
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

_notes, _arm = (os.environ.pop(name, "") for name in ("SEAMS_FILE", "SEAMS_ARM"))
_lock = threading.Lock()
_counts: collections.Counter[str] = collections.Counter()
_armed = ""
WRITE = re.compile(r"\s*(insert into|update|delete from) (\S+)|.*(pg_try_advisory_lock|pg_advisory_unlock)", re.DOTALL)


def _seam(name, call, *words, **named):
    when = _when(name)
    if when == "before":
        _strike()
    done = call(*words, **named)
    if when == "after":
        _strike()
    return done


def _when(name):
    """Count and note a seam; return when to strike at it, if at all."""
    global _armed  # noqa: PLW0603 -- one process, one arming
    with _lock:
        armed = Path(_arm).read_text() if Path(_arm).exists() else ""
        if armed != _armed:
            _armed = armed
            _counts.clear()
        _counts[name] += 1
        _note(name)
        seam, _, when = armed.rpartition(" ")
        return when if seam == f"{_counts[name]}:{name}" else ""


def _note(text):
    with Path(_notes).open("a") as file:
        file.write(f"{text}\n")


def _strike():
    _note("struck")
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def _patched(owner, method, name_of):
    original = getattr(owner, method)

    def replacement(self, *words, **named):
        name = name_of(self, *words, **named)
        if name is None:
            return original(self, *words, **named)
        return _seam(name, original, self, *words, **named)

    setattr(owner, method, replacement)


def _plain(text):
    return re.sub(r"[0-9a-f]{16,}|\d+", "N", text)[:60]


def _statement(connection, query, *_words, **_named):
    """Name a statement on a lock's connection at once; one of a transaction becomes the name of its commit."""
    text = query.decode() if isinstance(query, bytes) else str(query)
    found = WRITE.match(text)
    if found is None:
        return None
    if connection.autocommit:
        return found[3] and f"lock {found[3]}"
    if found[1] and getattr(connection, "gpu_fleet_written", None) is None:
        connection.gpu_fleet_written = f"{found[1]} {found[2]}"
    return None


def _commit(connection, *_words, **_named):
    written = getattr(connection, "gpu_fleet_written", None)
    connection.gpu_fleet_written = None
    return written and f"commit {written}"


def _command(_self, words, *_more, **_named):
    if "pulumi" not in words:
        return None
    own = list(words)[list(words).index("pulumi") + 2 :]
    return "pulumi " + " ".join(word for word in own[:2] if not word.startswith("--"))


def _ended(process, *_words, **_named):
    name = _command(None, process.args)
    return name and f"ended {name}"


def _act(_self, data, *_more, **_named):
    found = re.search(rb'"act\\*": \\*"(look|close|open)', bytes(data))
    return f"gate {found[1].decode()}" if found else None


if _notes:
    import httpx
    import paramiko
    import psycopg

    _patched(psycopg.Connection, "execute", _statement)
    _patched(psycopg.Connection, "commit", _commit)
    _patched(subprocess.Popen, "__init__", _command)
    _patched(subprocess.Popen, "wait", _ended)
    _patched(paramiko.Channel, "send", _act)
    _patched(httpx.Client, "send", lambda _self, request, **_n: f"http {request.method} {_plain(request.url.path)}")
