"""A host that nobody attends to ends itself: the marks by which its timer knows that somebody does.

The timer itself is armed by the start script of the rent call (providers/vast/onstart.py), because it must run before
anybody can log in. It counts in seconds of uptime, which a host whose clock is wrong counts right.
"""

from bootstrap.host import Host
from bootstrap.scripting import ETC, shell

ATTENDED = f"{ETC}/attended"  # uptime, in whole seconds, when somebody last began to work on the host
ONLINE = f"{ETC}/online"  # the host has served a completion: the timer is over for good
UPTIME = "cut -d. -f1 /proc/uptime"


def attend(host: Host, name: str) -> None:
    """Give the host its whole time from now on. Raises StepFailed, HostLost."""
    shell(host, f"mkdir -p {ETC} && {UPTIME} > {ATTENDED}", f"{name}: the timer could not be set back")


def report_online(host: Host, name: str) -> None:
    """End the host's timer. Raises StepFailed, HostLost."""
    shell(host, f"touch {ONLINE}", f"{name}: the timer could not be ended")
