"""Drain a host before it is given back: its gate closes, and the requests that it let in end."""

from collections.abc import Callable

from bootstrap.errors import BootstrapError
from bootstrap.host import Host
from bootstrap.remote_scripts import KIT
from bootstrap.services import Progress

DRAIN_SECONDS = 30


def drain(log_in: Callable[[], Host], report_progress: Progress) -> None:
    """Close the gate and wait for admitted requests, so long at most. Host errors are only reported: giving back goes on."""
    try:
        host = log_in()
        try:
            done = host.run(f"{KIT}/drain.sh {DRAIN_SECONDS}", timeout=DRAIN_SECONDS + 15)
        finally:
            host.close()
        report_progress(
            "drain", "no request is under way" if done.status == 0 else "gave up waiting for requests under way"
        )
    except BootstrapError as error:
        report_progress("drain", f"left out: {error}")
