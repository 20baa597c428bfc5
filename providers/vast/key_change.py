"""Change the SSH key of a host in two steps: admit the new key beside the old one, and lock the old one out later.

The process that changes the key may be killed before state has the new key. So both keys open the host at first. When
an update finds the new key in state, that is the proof, and it locks the others out. A login tries all keys that may
open the host.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bootstrap.connect import public_line
from bootstrap.errors import BootstrapError
from bootstrap.host import Host
from bootstrap.remote_scripts import ETC, shell
from bootstrap.services import Progress
from providers.vast.api import errors
from providers.vast.api.attached_keys import KeyRing
from providers.vast.api.instance import Instance
from providers.vast.charged_price import paid
from providers.vast.renting.key_attachment import attach, detach
from providers.vast.settings import AccessSettings

DRIFT = "previous SSH key"
LEFT = f"{DRIFT}: the one of before the change still opens the host"
KEYS = "/root/.ssh/authorized_keys"
KEPT = f"{ETC}/authorized_keys"  # restored at every start of the host, see bootstrap/scripts/boot.sh
MOST = 8  # most keys to detach: the host controls the file, and may write anything into it
ADD = """umask 077; mkdir -p {folder} && touch {file} && { [ -z "$(tail -c 1 {file})" ] || echo >> {file}; } &&
while read -r line; do grep -qF "$line" {file} || echo "$line" >> {file} || exit 1; done"""

Login = Callable[[tuple[str, ...]], Host]  # private keys, in the order of trying


@dataclass
class KeyUnchanged(errors.VastError):
    """Failed change of the SSH key on an instance that serves.

    `admitted`: the new key opens the instance already.
    """

    instance_id: int
    usd_per_hour: float | None
    cause: str
    admitted: bool

    def __str__(self) -> str:
        """Return the sentence for the operator."""
        left = (
            "the new SSH key opens it, but the one of before could not be locked out"
            if self.admitted
            else "the key of before goes on opening it, because the new SSH key could not be let in"
        )
        return (
            f"Instance {self.instance_id} serves with its new settings, and {left}: {self.cause}\n"
            f"It goes on costing {errors.format_price(self.usd_per_hour)}. Run `pulumi up` again."
        )


class Bootstrap(Protocol):
    """Calls that reach the host; `instance_bootstrap.InstanceBootstrap` has them."""

    def change_key(self, instance: Instance, host_key: str, access: AccessSettings, report_progress: Progress) -> None:
        """Admit another SSH key beside those that open the host. Raises bootstrap errors."""

    def retire_keys(self, instance: Instance, host_key: str, report_progress: Progress) -> None:
        """Lock out every SSH key except the one in state. Raises bootstrap errors."""


def go_on(
    bootstrap: Bootstrap,
    instance: Instance,
    old: AccessSettings,
    new: AccessSettings,
    outs: Mapping[str, Any],
    report_progress: Progress,
) -> list[str]:
    """Do the next step by state, if any, on an instance that serves; return the remaining step as drift.

    Raises KeyUnchanged.
    """
    changes, host_key = old.ssh_public_key != new.ssh_public_key, str(outs.get("hostKey"))
    try:
        if changes:
            bootstrap.change_key(instance, host_key, new, report_progress)
        elif is_left(outs):
            bootstrap.retire_keys(instance, host_key, report_progress)
    except BootstrapError as error:
        raise KeyUnchanged(instance.id, paid(outs), str(error), admitted=not changes) from error
    return [LEFT] if changes else []


def left(outs: Mapping[str, Any]) -> list[str]:
    """Return the remaining step by outputs in state, as drift."""
    return [LEFT] if is_left(outs) else []


def is_left(outs: Mapping[str, Any]) -> bool:
    """Return whether outputs in state say that a key must still be locked out."""
    return any(str(one).startswith(DRIFT) for one in outs.get("drift") or [])


def admit(
    login: Login,
    market: KeyRing,
    instance_id: int,
    opening: tuple[str, ...],
    wanted: str,
    name: str,
    report_progress: Progress,
) -> None:
    """Admit the private key `wanted` beside those of `opening`, restarts included, and prove it by a login.

    Raises bootstrap errors. Keys that opened the host before still open it.
    """
    attach(market, instance_id, public_line(wanted), report_progress)
    lines = "".join(f"{public_line(key)}\n" for key in dict.fromkeys((*opening, wanted))).encode()
    with contextlib.closing(login((*opening, wanted))) as host:
        for file in (KEYS, KEPT):
            command = ADD.replace("{folder}", file.rpartition("/")[0]).replace("{file}", file)
            shell(host, command, f"{name}: the new SSH key could not be added to {file}", lines)
    login((wanted,)).close()
    report_progress(
        "connect", "the new SSH key opens the host, and the one of before until the next `pulumi up` locks it out"
    )


def retire(login: Login, market: KeyRing, instance_id: int, wanted: str, name: str, report_progress: Progress) -> None:
    """Lock out every key except the private key `wanted`, for good, restarts included. Raises bootstrap errors."""
    line = public_line(wanted)
    with contextlib.closing(login((wanted,))) as host:
        found = shell(host, f"cat {KEPT} 2>/dev/null || true", f"{name}: the SSH keys could not be read").stdout
        for file in (KEYS, KEPT):
            host.put(f"{line}\n".encode(), file, 0o600)
    others = {" ".join(row.split()[:2]) for row in found.splitlines() if row.startswith("ssh-")} - {line}
    for other in sorted(others)[:MOST]:
        detach(market, instance_id, other, report_progress)
    report_progress("connect", "the SSH key was changed; the old one does not open the host any more")
