"""Runs a plugin's program in this process, and ends the process with its engine, however early the engine is killed.

    python with_engine.py -m pulumi.dynamic 127.0.0.1:4711      a module
    python with_engine.py language_host.py 127.0.0.1:4711       a file; the last word is the engine's address

Two signs show that the engine is gone: the parent is another one, or the address refuses twice. The parent alone does
not do. If the engine is killed while this interpreter starts, the parent is another one from the beginning. And the
launcher of dynamic providers is a shell in between, which outlives the engine.

A process of dynamic providers that a call has reached is left alone: it may hold machines, and gives them back itself.
"""

from __future__ import annotations

import os
import runpy
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence

LOOK_SECONDS = 0.5
REFUSALS = 2
PATIENCE_SECONDS = 5.0  # for a plugin that handles SIGTERM
DYNAMIC = "pulumi.dynamic"


def main(words: Sequence[str]) -> None:
    """Watch the engine in a thread, and run the module or the file that the words name."""
    parent = os.getppid()
    is_module = words[0] == "-m"
    name, arguments = words[is_module], words[is_module + 1 :]
    host, _, port = arguments[-1].rpartition(":") if arguments else ("", "", "")
    address = (host, int(port)) if host and port.isdigit() else None
    threading.Thread(target=end_with_engine, args=(parent, address, name == DYNAMIC), daemon=True).start()
    sys.argv = [name, *arguments]
    if is_module:
        if not sys.flags.safe_path:
            sys.path[0] = os.getcwd()  # as `python -m` has it  # noqa: PTH109
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(name, run_name="__main__")


def end_with_engine(parent: int, address: tuple[str, int] | None, is_dynamic: bool) -> None:
    """End this process when the engine is gone; return as soon as a call has reached dynamic providers."""
    refused = 0
    while os.getppid() == parent and refused < REFUSALS:
        time.sleep(LOOK_SECONDS)
        refused = refused + 1 if refuses(address) else 0
        if is_dynamic and was_called():
            return
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE_SECONDS)
    os._exit(1)


def refuses(address: tuple[str, int] | None) -> bool:
    """Say whether nothing listens at the engine's address any more. A slow engine is not gone."""
    if address is None:
        return False
    try:
        with socket.create_connection(address, timeout=LOOK_SECONDS):
            return False
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def was_called() -> bool:
    """Say whether a call has reached the SDK's process of dynamic providers. In doubt it has."""
    process = sys.modules["__main__"]
    if not hasattr(process, "DynamicResourceProviderServicer"):
        return False  # the SDK is still being imported
    lock, known = getattr(process, "_PROVIDER_LOCK", None), getattr(process, "_PROVIDER_CACHE", None)
    return lock is None or known is None or lock.locked() or bool(known)


if __name__ == "__main__":
    main(sys.argv[1:])
