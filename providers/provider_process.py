"""What every provider of ours does to the process that it finds itself in, once, before its first call is answered."""

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

# Command lines of libraries, which these import where they find them: a twelfth of what a create imports.
NOT_NEEDED = ("httpx._main", "invoke")
OPEN_FILES = 65_536  # a hundred creates at once hold some ten files and sockets each; many systems begin with 1024


def take_over(watch: EngineWatch, busy: Callable[[], bool]) -> None:
    """Let this process serve all calls at once, and end with its engine as soon as nobody in it is `busy`.

    After a second Ctrl-C a busy process outlives the five seconds that the engine grants, because it gives back.
    """
    mark_as_called()
    leave_out()
    widen()
    allow_open_files()
    end_with_engine(watch, busy)
    when_interrupted(lambda: _outlive(busy))
    threading.Thread(target=end_orphans, daemon=True).start()


def leave_out(names: Sequence[str] = NOT_NEEDED) -> None:
    """Let later imports of these modules fail, as if they were not installed: httpx and paramiko do without them."""
    for name in names:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # as Python documents it


def allow_open_files(most: int = OPEN_FILES) -> None:
    """Raise the soft bound of open files towards the hard one, at most to `most`; it is never lowered."""
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
    """A pool whose first task is told to `notice`, too."""

    def __init__(self, notice: Callable[[], None]) -> None:
        super().__init__(max_workers=1)
        self._notice = notice

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        threading.Thread(target=self._notice, daemon=True).start()
        return super().submit(*args, **kwargs)


def on_cancel(notice: Callable[[], None]) -> None:
    """Call `notice` when the engine cancels: after the first Ctrl-C. The SDK itself does nothing then.

    gRPC for Python runs a handler in the pool that the handler names; where it does not, nothing is noticed.
    """
    servicer = getattr(sys.modules.get("__main__"), "DynamicResourceProviderServicer", None)
    if handler := getattr(servicer, "Cancel", None):
        handler.experimental_thread_pool = _Noticing(notice)
