"""A host that nobody attends to ends itself: the marks by which its timer knows that somebody does.

The timer itself is armed by the start script of the rent call (providers/vast/onstart.py), because it must run before
anybody can log in. It counts in seconds of uptime, which a host whose clock is wrong counts right.
"""

import math

from bootstrap.host import Host
from bootstrap.scripting import ETC, shell

ATTENDED = f"{ETC}/attended"  # uptime, in whole seconds, from which the timer counts; later than now gives it more time
TIMER = "/root/gpu-fleet-timer.sh"
ONLINE = f"{ETC}/online"  # the host has served a completion: the timer is over for good
UPTIME = "cut -d. -f1 /proc/uptime"


def attend(host: Host, name: str, seconds: float) -> None:
    """Give the host so many seconds from now on. Raises StepFailed, HostLost.

    An instance that is adopted may have been rented by an older version, or with a smaller `limits.totalMinutes`: the limit
    in its timer's text stays what it was, so the mark is set as much later as that limit is shorter.
    """
    wanted = math.ceil(seconds)
    limit = f"$(sed -n 's/.* -gt \\([0-9][0-9]*\\) ].*/\\1/p' {TIMER} 2>/dev/null | head -n 1)"
    later = f"limit < {wanted} ? {wanted} - limit : 0"
    command = (
        f"mkdir -p {ETC} && limit={limit} && : ${{limit:={wanted}}} && echo $(($({UPTIME}) + ({later}))) > {ATTENDED}"
    )
    shell(host, command, f"{name}: the timer could not be set back")


def report_online(host: Host, name: str) -> None:
    """End the host's timer. Raises StepFailed, HostLost."""
    shell(host, f"touch {ONLINE}", f"{name}: the timer could not be ended")
