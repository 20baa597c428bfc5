"""A host that nobody attends to ends itself: the marks by which its timer knows that somebody does.

The timer itself is armed by the start script of the rent call (providers/vast/renting/onstart.py), because it must run before
anybody can log in. Whoever works on the host gives a sign of attention at least once a minute, so the timer measures a
silence and not the length of the work. It counts in seconds of uptime, which a host whose clock is wrong counts right.
"""

import math

from bootstrap.host import Host
from bootstrap.remote_scripts import ETC, shell

ATTENDED = f"{ETC}/attended"  # uptime, in whole seconds, from which the timer counts; later than now gives it more time
TIMER = "/root/gpu-fleet-timer.sh"
ONLINE = f"{ETC}/online"  # the host serves, and its creator hands it to state: the timer is over for good
UPTIME = "cut -d. -f1 /proc/uptime"


def sign_of_attention(seconds: float) -> str:
    """Return the command that is a sign of attention: the host's timer ends it so many seconds from now, unless another
    sign comes.

    An instance that is adopted may have been rented by another version, or with other limits: the limit in its timer's
    text stays what it was, so the mark is set as much later, or earlier, as that limit is shorter, or longer.
    """
    wanted = math.ceil(seconds)
    limit = f"$(sed -n 's/.* -gt \\([0-9][0-9]*\\) ].*/\\1/p' {TIMER} 2>/dev/null | head -n 1)"
    mark = f"echo $(($({UPTIME}) + {wanted} - limit)) > {ATTENDED}"
    return f"mkdir -p {ETC} && limit={limit} && : ${{limit:={wanted}}} && {mark}"


def attend(host: Host, name: str, seconds: float) -> None:
    """Give a sign of attention. Raises StepFailed, HostLost."""
    shell(host, sign_of_attention(seconds), f"{name}: the timer could not be set back")


def report_online(host: Host, name: str) -> None:
    """End the host's timer. Raises StepFailed, HostLost."""
    shell(host, f"touch {ONLINE}", f"{name}: the timer could not be ended")
