"""Loaded by Python itself in a provider process under test: every call that leaves the process is a seam, counted and named.

    SEAMS_FILE      one line a seam, its name; `struck` follows where the victim was killed
    SEAMS_KILL_AT   <n>:<name>, at the n-th seam of that name ...
    SEAMS_VICTIM    ... this process is killed: a process id, or `self`
    SEAMS_MOMENT    `before` the call, or `after` it

Found by instrumenting the libraries that do all I/O and not by a list, so that new code is covered by itself.
"""

import collections
import os
import re
import signal
import threading
import time

import botocore.client
import httpx
import paramiko

_lock = threading.Lock()
_counts: collections.Counter[str] = collections.Counter()


def _seam(name, call, *words, **named):
    with _lock:
        _counts[name] += 1
        mine = os.environ.get("SEAMS_KILL_AT") == f"{_counts[name]}:{name}"
        _note(name)
    if mine and os.environ["SEAMS_MOMENT"] == "before":
        _strike()
    done = call(*words, **named)
    if mine and os.environ["SEAMS_MOMENT"] == "after":
        _strike()
    return done


def _note(text):
    with open(os.environ["SEAMS_FILE"], "a") as file:
        file.write(f"{text}\n")


def _strike():
    _note("struck")
    victim = os.environ["SEAMS_VICTIM"]
    os.kill(os.getpid() if victim == "self" else int(victim), signal.SIGKILL)
    time.sleep(0.01)


def _patched(owner, method, name_of):
    original = getattr(owner, method)

    def replacement(self, *words, **named):
        return _seam(name_of(self, *words, **named), original, self, *words, **named)

    setattr(owner, method, replacement)


def _plain(text):
    return re.sub(r"[0-9a-f]{16,}|\d+", "N", text)[:70].strip().splitlines()[0]


def _command(text):
    """Return the command inside the marks that bootstrap.shell_marks puts around it."""
    inner = re.search(r"\n\(\n(.*?)\n\)\nstatus=", text, re.DOTALL)
    return inner[1].replace("""'"'"'""", "'") if inner else text


if "SEAMS_FILE" in os.environ:
    _patched(httpx.Client, "send", lambda _self, request, **_n: f"http {request.method} {_plain(request.url.path)}")
    _patched(paramiko.Transport, "start_client", lambda *_w, **_n: "ssh connect")
    _patched(paramiko.Channel, "exec_command", lambda _self, command: f"ssh {_plain(_command(command))}")
    _patched(botocore.client.BaseClient, "_make_api_call", lambda _self, name, *_w: f"store {name}")
