"""Build the script that an instance runs at every start: it admits our key and prints the host key's fingerprint.

The script runs before the first login. It also arms a timer. The creator may be killed, together with every process
that could give the instance back. Then the instance destroys itself, unless the bootstrap reported it online in time.
It uses its own key for that (`CONTAINER_API_KEY`, which opens only this instance). The account's key never reaches a
host.

The script carries the public key because an account-level key would open every other instance of the account. The
script prints the fingerprint into the instance's log, which the market serves over TLS to the account's owner. We pin
it before the first login.

If the image lacks an SSH server, the market installs one while this script runs. So the host key may be minutes late,
and the script prints only the key of a listening server. It needs no ssh-keygen. Until our first login it prints the
key again every minute, and at once if the key changes. It also writes to the container's own output, because the log
does not always contain this script's output.

The script runs again after each restart, so every line may be repeated.
"""

import json
import math
import re
import shlex

from bootstrap.boot_timer import ATTENDED, ONLINE, TIMER, UPTIME
from bootstrap.remote_scripts import ETC

HOST_KEY_MARK = "gpu-fleet host key"
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
LIMIT = 4048  # characters; the market documents 4048 in one place and 4096 in another
KIT_BOOT = "/opt/gpu-fleet/kit/boot.sh"
USER_AGENT = "gpu-fleet"  # the edge in front of the market refuses Python's default agent
HOST_KEY_PRINTER = "/root/gpu-fleet-teller.sh"
LOOK_SECONDS, AGAIN_SECONDS = 10, 60
LISTEN_SECONDS, CHANGE_SECONDS = 0.2, 1
WITHOUT_SERVER = 600  # looks until a key is printed without a listening server: two minutes
MOST_LOOKS = WITHOUT_SERVER + 86400 // CHANGE_SECONDS  # and one day more


def script(public_key: str, market_url: str, unattended_seconds: float) -> str:
    """Return the start script for an OpenSSH public key line.

    `market_url` is the market's URL as hosts reach it. `unattended_seconds` bounds the time between two heartbeats.
    """
    key = shlex.quote(public_key.strip())
    lines = [
        "umask 077",
        "mkdir -p /root/.ssh",
        f"grep -qxF {key} /root/.ssh/authorized_keys 2>/dev/null || echo {key} >> /root/.ssh/authorized_keys",
        _timer(market_url, math.ceil(unattended_seconds)),
        _host_key_printer(),
        f"[ -x {KIT_BOOT} ] && {KIT_BOOT}",
        "true",
    ]
    return "\n".join(lines) + "\n"


def _timer(market_url: str, seconds: int) -> str:
    # The timer uses the host's own Python, which the bootstrap needs anyway. The key stays in the environment, so that
    # no list of processes shows it. A destroy that fails is tried again.
    url = f"{market_url.rstrip('/')}/api/v0/instances/"
    return f"""mkdir -p {ETC} && {UPTIME} > {ATTENDED}
cat > {TIMER} <<'END'
while [ ! -e {ONLINE} ]; do
  sleep {min(LOOK_SECONDS, seconds)}
  [ $(($({UPTIME}) - $(cat {ATTENDED}))) -gt {seconds} ] || continue
  python3 -S -c '
import os, urllib.request
headers = {{"Authorization": "Bearer " + os.environ["CONTAINER_API_KEY"], "Content-Type": "application/json",
  "User-Agent": "{USER_AGENT}"}}
url = {json.dumps(url)} + os.environ["CONTAINER_ID"] + "/"
urllib.request.urlopen(urllib.request.Request(url, b"{{}}", headers, method="DELETE"), timeout=60)'
  sleep {min(AGAIN_SECONDS, seconds)}
done
END
[ -e {ONLINE} ] || setsid sh {TIMER} </dev/null >/dev/null 2>&1 &"""


def _host_key_printer() -> str:
    # :0016 is port 22, and 0A means listening. Our first heartbeat changes the mark.
    return f"""cat > {HOST_KEY_PRINTER} <<'END'
was=$(cat {ATTENDED}) n=0 said=
while [ $n -lt {MOST_LOOKS} ] && [ "$was" = "$(cat {ATTENDED})" ]; do
  n=$((n + 1)) pause={LISTEN_SECONDS}
  if grep -qs ':0016 [0-9A-F]*:0000 0A' /proc/net/tcp /proc/net/tcp6 || [ $n -gt {WITHOUT_SERVER} ]; then
    now=$(cat {HOST_KEY})
    if [ "$now" != "$said" ] || [ $((n % {AGAIN_SECONDS // CHANGE_SECONDS})) = 0 ]; then
      key=$(echo "$now" | python3 -S -c '
import base64, hashlib
key = base64.b64decode(input().split()[1])
print("SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("="))')
      if [ "$key" ]; then
        said=$now
        echo "{HOST_KEY_MARK} $key"
        echo "{HOST_KEY_MARK} $key" >>/proc/1/fd/1
      fi
    fi
    [ "$said" ] && pause={CHANGE_SECONDS}
  fi
  sleep $pause
done
END
setsid sh {HOST_KEY_PRINTER} </dev/null 2>/dev/null &"""


def fingerprint(log: str) -> str | None:
    """Return the host key's fingerprint (`SHA256:...`) from an instance's log, or None if the log lacks it.

    The last line counts: if the host makes another key at a later start, it prints that one later. Text around the
    words is ignored.
    """
    found = re.findall(rf"{HOST_KEY_MARK} (SHA256:[A-Za-z0-9+/]{{43}})(?![A-Za-z0-9+/])", log)
    return found[-1] if found else None
