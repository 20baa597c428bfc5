"""Prepare the provider process once, before its first call is answered. Every provider of ours does this."""

import contextlib
import os
import resource
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from providers.engine_watch import EngineWatch, end_with_engine, when_interrupted
from providers.orphans import end_orphans, mark_as_called
from providers.wide_pool import widen

# Command lines of libraries. The libraries import them if installed: a twelfth of all imports of a create.
NOT_NEEDED = ("httpx._main", "invoke")
OPEN_FILES = 65_536  # each of a hundred creates at once holds some ten files and sockets; many systems start with 1024


def take_over(watch: EngineWatch, busy: Callable[[], bool]) -> None:
    """Let this process serve all calls at once, and end with its engine as soon as no provider in it is `busy`.

    The engine grants five seconds after a second Ctrl-C. A busy process outlives them, because it gives back.
    """
    mark_as_called()
    leave_out()
    widen()
    allow_open_files()
    end_with_engine(watch, busy)
    when_interrupted(lambda: _outlive(busy))
    threading.Thread(target=end_orphans, daemon=True).start()


def leave_out(names: Sequence[str] = NOT_NEEDED) -> None:
    """Make later imports of these modules fail, as if not installed. httpx and paramiko work without them."""
    for name in names:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # Python documents None for this


def allow_open_files(most: int = OPEN_FILES) -> None:
    """Raise the soft limit of open files to `most` or to the hard limit, if that is lower. Never lowers the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _outlive(busy: Callable[[], bool]) -> None:
    """Leave the process group, which gets a SIGKILL five seconds after the SIGINT of a second Ctrl-C."""
    if busy():
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)


class _Noticing(ThreadPoolExecutor):
    """A pool that also calls `notice` when a task arrives."""

    def __init__(self, notice: Callable[[], None]) -> None:
        super().__init__(max_workers=1)
        self._notice = notice

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        threading.Thread(target=self._notice, daemon=True).start()
        return super().submit(*args, **kwargs)


def on_cancel(notice: Callable[[], None]) -> None:
    """Call `notice` when the engine cancels, after the first Ctrl-C. The SDK itself ignores the cancel.

    gRPC for Python runs a handler in the pool that the handler names. If it does not, `notice` is never called.
    """
    servicer = getattr(sys.modules.get("__main__"), "DynamicResourceProviderServicer", None)
    if handler := getattr(servicer, "Cancel", None):
        handler.experimental_thread_pool = _Noticing(notice)
