"""Drain the hosts of slots before the end of their main stack gives them back.

Each host's key is in the state of its slot's stack. A state that cannot be read, or a host that does not answer, holds
nothing up: its requests are cut, and a line says so.
"""

import functools
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from bootstrap.connect import connect
from bootstrap.draining import drain
from bootstrap.host import Host
from bootstrap.services import Progress
from providers.engine_watch import RentingClock
from providers.vast.api.instance import SSH_PORT, Instance
from providers.vast.pulumi_state import INSTANCE, BackendError, Run, unwrapped

AT_ONCE = 16
LogIn = Callable[[tuple[str, int], str, str], Host]  # address, private key, pinned fingerprint; raises bootstrap errors


class _Access(BaseModel):
    model_config = ConfigDict(frozen=True)

    ssh_private_key: SecretStr = Field(alias="sshPrivateKey")


class _Opened(BaseModel):
    """How a slot's host is logged in to. It ignores all other outputs."""

    model_config = ConfigDict(frozen=True)

    host_key: str = Field(alias="hostKey", min_length=1)
    access: _Access


def drain_slots(
    slots: Mapping[str, Instance],
    run: Run,
    clock: RentingClock,
    report_progress: Progress,
    log_in: LogIn | None = None,
) -> None:
    """Drain the hosts of these instances side by side, by the names of their slots' stacks. Never raises for a host."""
    enter = log_in or functools.partial(_logged_in, clock)

    def drain_one(stack: str, instance: Instance) -> None:
        def report(phase: str, text: str) -> None:
            report_progress(phase, f"instance {instance.id} ({instance.label}): {text}")

        address, opened = instance.address(SSH_PORT), _opened(run, stack)
        if address is None or opened is None:
            report("drain", "left out: the state of its slot does not tell how its host is reached")
            return
        key = opened.access.ssh_private_key.get_secret_value()
        with clock.without_engine():  # a host whose gate closed for good must not stay rented
            drain(lambda: enter(address, key, opened.host_key), report)

    if slots:
        with ThreadPoolExecutor(min(AT_ONCE, len(slots))) as pool:
            list(pool.map(drain_one, slots, slots.values()))


def _opened(run: Run, stack: str) -> _Opened | None:
    try:
        deployment = json.loads(run(["stack", "export", "--show-secrets", "--stack", stack])).get("deployment") or {}
        rows = [row.get("outputs") for row in deployment.get("resources") or [] if row.get("type") == INSTANCE]
        return _Opened.model_validate(unwrapped(rows[0])) if rows else None
    except (BackendError, ValidationError, ValueError):
        return None


def _logged_in(clock: RentingClock, address: tuple[str, int], key: str, host_key: str) -> Host:
    return connect(*address, key, host_key, clock, 0, lambda _phase, _text: None)
