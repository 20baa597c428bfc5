"""What the market says of an instance that served: a failure that it names, or a silence that passes.

Healthy instances show `unknown`, `loading` or `rebooting`, or no port or address, for minutes: after a missed heartbeat,
after a reboot of their host. Only a failure that the market names replaces a machine; for anything else an update waits.
"""

import random
import re

from providers.engine_watch import RentingClock
from providers.vast import errors
from providers.vast.instances import DOWN, Failed, Instance, Pending, Running, classify
from providers.vast.limits import Limits
from providers.vast.online import Say
from providers.vast.renting import Market, find, is_absent, look_up
from providers.vast.settings import InstanceSettings

STATUS_DRIFT, WAITING_DRIFT = "status", "waiting"
# Older versions wrote a silence into state as a status, too, in these words.
OLD_SILENCE = re.compile(rf"{STATUS_DRIFT}: the market reports it as (?!(?:{'|'.join(DOWN)})\b)")


def standing_drift(state: Pending | Failed) -> str:
    """Say of an instance that is not up what `drift` holds of it."""
    return f"{STATUS_DRIFT}: {state.message}" if isinstance(state, Failed) else f"{WAITING_DRIFT}: {_told(state)}"


def is_down(drift: str) -> bool:
    """Say whether a line of `drift` is a failure that the market named."""
    return drift.startswith(f"{STATUS_DRIFT}:") and not OLD_SILENCE.match(drift)


def wait_until_back(
    market: Market,
    clock: RentingClock,
    limits: Limits,
    instance_id: int,
    settings: InstanceSettings,
    gate_port: int,
    usd_per_hour: float | None,
    say: Say,
) -> Instance:
    """Wait until the market reports a rented instance as up, for `limits.outage_seconds` at most; return its row.

    Raises RentalFailed if the market names a failure, if the instance is gone, or if it is not up in time. Nothing is
    given back in any of these.
    """
    began = clock.monotonic()
    chance = random.Random(instance_id)  # spreads those who wait
    instance = look_up(market, instance_id, settings.label)
    told = False
    while True:
        seen = classify(instance, gate_port) if instance is not None else None
        if instance is not None and isinstance(seen, Running):
            return instance
        state = seen if isinstance(seen, Pending | Failed) else Pending("missing")
        gone = instance is None and is_absent(market, clock, limits, instance_id, settings.label)
        if isinstance(state, Failed) or gone:
            raise errors.RentalFailed(
                instance_id,
                "lost",
                "it is not running, so nothing can be changed on it; run `pulumi refresh`, then `pulumi up`",
            )
        if clock.monotonic() - began >= limits.outage_seconds:
            raise _silent(instance_id, settings.name, state, clock.monotonic() - began, usd_per_hour)
        if not told:
            say("wait", f"{_told(state)}; waiting for {limits.outage_seconds / 60:.0f} min at most")
            told = True
        clock.sleep(limits.boot_look_seconds * chance.uniform(1, 2))
        instance = find(market, instance_id, settings.label, limits.boot_look_seconds) or market.show(instance_id)


def _silent(
    instance_id: int, name: str, state: Pending, seconds: float, usd_per_hour: float | None
) -> errors.RentalFailed:
    price = errors.told_price(usd_per_hour)
    return errors.RentalFailed(
        instance_id,
        "lost",
        f"for {seconds:.0f} s {_told(state)}, so nothing was changed on it. It goes on costing {price}, and it may serve. "
        f"Run `pulumi up` again later. Another machine: `pulumi up --replace '**{name}'`",
    )


def _told(state: Pending) -> str:
    missing = ", without its address or ports" if state.status == "running" else ""
    return f"the market reports it as {state.status}{missing}"
