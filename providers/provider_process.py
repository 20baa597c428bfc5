"""What every provider of ours does to the process that it finds itself in, once, before its first call is answered."""

import contextlib
import resource
from collections.abc import Callable

from providers.engine_watch import EngineWatch, end_with_engine
from providers.wide_pool import widen

OPEN_FILES = 65_536  # a hundred creates at once hold some ten files and sockets each; many systems begin with 1024


def take_over(watch: EngineWatch, busy: Callable[[], bool]) -> None:
    """Let this process serve all calls at once, and end with its engine as soon as nobody in it is `busy`."""
    widen()
    allow_open_files()
    end_with_engine(watch, busy)


def allow_open_files(most: int = OPEN_FILES) -> None:
    """Raise the soft bound of open files towards the hard one, at most to `most`; it is never lowered."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
