"""Keep the boot timer of a host from ending it: a host that gets no heartbeat ends itself.

The start script of the rent call (providers/vast/renting/onstart.py) starts the timer, because it must run before the first
login. A process that works on the host sends a heartbeat at least once a minute. So the timer measures silence, not the
length of the work. It counts seconds of uptime, which a wrong clock does not change.
"""

import math

from bootstrap.host import Host
from bootstrap.remote_scripts import ETC, shell

ATTENDED = f"{ETC}/attended"  # uptime in whole seconds from which the timer counts; a later one than now adds time
TIMER = "/root/gpu-fleet-timer.sh"
ONLINE = f"{ETC}/online"  # the host serves and its creator hands it to state: the timer never ends it any more
UPTIME = "cut -d. -f1 /proc/uptime"


def heartbeat_command(seconds: float) -> str:
    """Return the command for a heartbeat: the timer ends the host in `seconds`, unless another heartbeat comes.

    Another version, or other limits, may have rented an adopted instance. The limit in its timer's text stays as it was,
    so that the mark is moved by the difference: later for a shorter limit, earlier for a longer one.
    """
    wanted = math.ceil(seconds)
    limit = f"$(sed -n 's/.* -gt \\([0-9][0-9]*\\) ].*/\\1/p' {TIMER} 2>/dev/null | head -n 1)"
    mark = f"echo $(($({UPTIME}) + {wanted} - limit)) > {ATTENDED}"
    return f"mkdir -p {ETC} && limit={limit} && : ${{limit:={wanted}}} && {mark}"


def send_heartbeat(host: Host, name: str, seconds: float) -> None:
    """Send the host a heartbeat. Raises StepFailed, HostLost."""
    shell(host, heartbeat_command(seconds), f"{name}: the timer could not be set back")


def disable_timer(host: Host, name: str) -> None:
    """Mark the host as online, so that its timer never ends it. Raises StepFailed, HostLost."""
    shell(host, f"touch {ONLINE}", f"{name}: the timer could not be ended")
