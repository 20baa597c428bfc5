"""What an instance runs at every start, before anybody can log in: let our key in, and say which host key is true.

It also arms a timer: an instance whose creator was killed, together with everybody who could give it back, ends itself
with its own key (`CONTAINER_API_KEY`, which opens nothing but this instance) unless the bootstrap reported it online in
time. The account's key never reaches a host.

The public key comes this way and not as an account-level key, because that would open every other instance of the
account. The fingerprint is printed into the instance's log, which the market serves over TLS to the account's owner; it
is pinned before the first login. Where the image lacks an SSH server the market installs one while this runs, so the key
may be minutes late: only that of a server which listens is printed. It needs no ssh-keygen. Until our first login it is
printed again every minute, and at once if it changes. The container's own output gets it, too, because that of this
script is not always in the log.
Runs again after each restart, so every line may be repeated.
"""

import json
import math
import re
import shlex

from bootstrap.remote_scripts import ETC
from bootstrap.self_destruct import ATTENDED, ONLINE, TIMER, UPTIME

HOST_KEY_MARK = "gpu-fleet host key"
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
LIMIT = 4048  # characters; the market documents 4048 in one place and 4096 in another
KIT_BOOT = "/opt/gpu-fleet/kit/boot.sh"
USER_AGENT = "gpu-fleet"  # the edge in front of the market refuses Python's own
TELLER = "/root/gpu-fleet-teller.sh"
LOOK_SECONDS, AGAIN_SECONDS = 10, 60
LISTEN_SECONDS, CHANGE_SECONDS = 0.2, 1
WITHOUT_SERVER = 600  # looks after which a key is printed though no server is seen to listen: two minutes
MOST_LOOKS = WITHOUT_SERVER + 86400 // CHANGE_SECONDS  # and a day


def script(public_key: str, market_url: str, unattended_seconds: float) -> str:
    """Return the start script for an OpenSSH public key line.

    `market_url` is the market as hosts reach it; `unattended_seconds` may pass between two signs of attention.
    """
    key = shlex.quote(public_key.strip())
    lines = [
        "umask 077",
        "mkdir -p /root/.ssh",
        f"grep -qxF {key} /root/.ssh/authorized_keys 2>/dev/null || echo {key} >> /root/.ssh/authorized_keys",
        _timer(market_url, math.ceil(unattended_seconds)),
        _teller(),
        f"[ -x {KIT_BOOT} ] && {KIT_BOOT}",
        "true",
    ]
    return "\n".join(lines) + "\n"


def _timer(market_url: str, seconds: int) -> str:
    # The host's own Python, which the bootstrap needs anyway; the key stays in the environment, where no list of
    # processes shows it. A destroy that fails is tried again.
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


def _teller() -> str:
    # :0016 is port 22, 0A is listening. The mark of attention changes with our first login.
    return f"""cat > {TELLER} <<'END'
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
setsid sh {TELLER} </dev/null 2>/dev/null &"""


def fingerprint(log: str) -> str | None:
    """Read the host key's fingerprint (`SHA256:...`) from an instance's log; None while it is not there.

    The last line counts: a start after which the host made another key prints later than the one before. Whatever stands
    around the words does not matter.
    """
    found = re.findall(rf"{HOST_KEY_MARK} (SHA256:[A-Za-z0-9+/]{{43}})(?![A-Za-z0-9+/])", log)
    return found[-1] if found else None
