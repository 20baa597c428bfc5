"""What an instance runs at every start, before anybody can log in: let our key in, and say which host key is true.

The public key comes this way and not as an account-level key, because that would open every other instance of the
account. The fingerprint is printed into the instance's log, which the market serves over TLS to the account's owner; it
is pinned before the first login. Runs again after each restart, so every line may be repeated.
"""

import re
import shlex

HOST_KEY_MARK = "gpu-fleet host key"
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
LIMIT = 4048  # characters; the market documents 4048 in one place and 4096 in another
KIT_BOOT = "/opt/gpu-fleet/kit/boot.sh"


def script(public_key: str) -> str:
    """Return the start script for an OpenSSH public key line."""
    key = shlex.quote(public_key.strip())
    lines = [
        "umask 077",
        "mkdir -p /root/.ssh",
        f"grep -qxF {key} /root/.ssh/authorized_keys 2>/dev/null || echo {key} >> /root/.ssh/authorized_keys",
        "ssh-keygen -A >/dev/null 2>&1",
        f'echo "{HOST_KEY_MARK} $(ssh-keygen -lf {HOST_KEY} | cut -d" " -f2)"',
        f"[ -x {KIT_BOOT} ] && {KIT_BOOT}",
        "true",
    ]
    return "\n".join(lines) + "\n"


def fingerprint(log: str) -> str | None:
    """Read the host key's fingerprint (`SHA256:...`) of the last start from an instance's log; None while it is not there."""
    found = re.findall(rf"^.*{HOST_KEY_MARK} (SHA256:[A-Za-z0-9+/]{{43}})", log, flags=re.MULTILINE)
    return found[-1] if found else None
