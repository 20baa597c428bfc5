"""The control socket between the commands and the daemon: HTTP over a unix socket that only its user can open.

This is the commands' end, which imports no more than it needs, because every command starts with it. The daemon's end is in
control_socket.py.
"""

import os
from pathlib import Path
from typing import Any

import httpx

NAME = "control.sock"
TIMEOUT_SECONDS = 60.0
JOIN_SECONDS = 240.0  # each program of monitoring has a minute to get ready, and the controller
JOINING = ("monitoring", "controller", "hetzner")


class Unreachable(Exception):
    """No daemon answers on the control socket."""


def ask(state: Path, word: str, **options: object) -> dict[str, Any]:
    """Send one command to the daemon of this folder and return its reply. Raises Unreachable."""
    try:
        folder = os.open(state, os.O_PATH)
    except OSError as error:
        raise Unreachable(str(error)) from error
    try:
        patience = JOIN_SECONDS if word in JOINING else TIMEOUT_SECONDS
        with httpx.Client(transport=httpx.HTTPTransport(uds=short_path(folder)), timeout=patience) as http:
            answered: dict[str, Any] = http.post(f"http://sandbox/{word}", json=options).raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        raise Unreachable(str(error)) from error
    finally:
        os.close(folder)
    return answered


def short_path(folder: int) -> str:
    """Return the socket's path through its open folder: the kernel accepts at most 107 bytes of a path."""
    return f"/proc/self/fd/{folder}/{NAME}"
