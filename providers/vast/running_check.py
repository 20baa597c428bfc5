"""Classify the market's report of an instance that served: a named failure, or a silence that passes.

Healthy instances show `unknown`, `loading` or `rebooting`, or no port or address, for minutes. This follows a missed
heartbeat, or a reboot of their host. If an account runs out of credit, the market stops all its instances. A host that
was offline comes back. So an update waits for either, and starts stopped instances.

Only a failure that the market names replaces a machine, and only after a while; see `down_check`.
"""

import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from bootstrap.services import Progress
from providers.vast.api import errors
from providers.vast.api.instance import DOWN, Failed, Instance, Pending, Running, classify
from providers.vast.api.market import Market
from providers.vast.charged_price import paid
from providers.vast.limits import Limits
from providers.vast.renting.look import find, is_absent, look_up
from providers.vast.renting.renter import Renter
from providers.vast.settings import InstanceSettings

STATUS_DRIFT, WAITING_DRIFT = "status", "waiting"
STARTED_AGAIN = ("stopped", "offline")  # failure reasons that a start may end
START_LOOKS = 12  # looks between two start requests: a stopped instance shows its old state for a while
# Older versions wrote a silence into state as a status, too, in these words.
OLD_SILENCE = re.compile(rf"{STATUS_DRIFT}: the market reports it as (?!(?:{'|'.join(DOWN)})\b)")


def standing_drift(state: Pending | Failed) -> str:
    """Return the line of `drift` for an instance that is not up."""
    return f"{STATUS_DRIFT if isinstance(state, Failed) else WAITING_DRIFT}: {_describe(state)}"


def is_down(drift: str) -> bool:
    """Return whether a line of `drift` is a failure that the market named."""
    return drift.startswith(f"{STATUS_DRIFT}:") and not OLD_SILENCE.match(drift)


def is_standing(drift: str) -> bool:
    """Return whether a line of `drift` comes from the market alone, and not from a look at the host."""
    return drift.startswith((f"{STATUS_DRIFT}:", f"{WAITING_DRIFT}:"))


class Answering(Protocol):
    """Can ask an endpoint; `instance_bootstrap.InstanceBootstrap` is one."""

    def answers(self, endpoint: str) -> bool:
        """Return whether an endpoint answers a completion, with a certificate of our CA."""


def serves_all_the_same(
    market: Market,
    instance_id: int,
    settings: InstanceSettings,
    outs: dict[str, Any],
    host: Answering,
) -> bool:
    """Return whether drift holds only a claim of the market that still stands, while the endpoint answers."""
    drift = [str(one) for one in outs.get("drift") or []]
    if not drift or not all(map(is_standing, drift)):
        return False
    instance = look_up(market, instance_id, settings.label)
    if instance is None or isinstance(classify(instance, settings.server.port), Running):
        return False
    return host.answers(str(outs.get("endpoint")))


@dataclass(frozen=True)
class Downtime:
    """For how long to wait for an instance that is down.

    `since`: unix seconds since which state records it as down, None if state does not. `usd_per_hour`: its cost while
    it runs.
    """

    since: float | None = None
    usd_per_hour: float | None = None

    @staticmethod
    def of(outs: dict[str, Any]) -> "Downtime":
        """Return the downtime that outputs in state record."""
        return Downtime(outs.get("downSince"), paid(outs))

    def left(self, now: float, limits: Limits) -> float:
        """Return the remaining seconds to wait for a machine that is down."""
        return limits.down_seconds - (0.0 if self.since is None else max(0.0, now - self.since))


def wait_until_back(
    renter: Renter,
    instance_id: int,
    settings: InstanceSettings,
    gate_port: int,
    absence: Downtime,
    report_progress: Progress,
) -> Instance:
    """Wait until the market reports a rented instance as up; start it if it is stopped; return its row.

    A silent instance gets `limits.outage_seconds`. A down one gets the time until another machine may replace it.
    Raises RentalFailed if the instance is gone, or not up in time. Nothing is given back in either case.
    """
    began = renter.clock.monotonic()
    least = min(renter.limits.down_seconds, START_LOOKS * renter.limits.boot_look_seconds)
    longest = {
        Pending: renter.limits.outage_seconds,
        Failed: max(absence.left(renter.clock.time(), renter.limits), least),
    }
    chance = random.Random(instance_id)  # spreads the waiting callers in time
    instance = look_up(renter.market, instance_id, settings.label)
    reported, start_at = "", began
    while True:
        state = classify(instance, gate_port) if instance is not None else Pending("missing")
        if instance is not None and isinstance(state, Running):
            return instance
        assert not isinstance(state, Running)
        if instance is None and is_absent(renter, instance_id, settings.label):
            raise errors.RentalFailed(
                instance_id,
                "lost",
                "it is not rented any more, so nothing can be changed on it; run `pulumi refresh`, then `pulumi up`",
            )
        waited = renter.clock.monotonic() - began
        if waited >= longest[type(state)]:
            raise _not_back(instance_id, settings.name, state, waited, absence, renter.limits)
        if reported != (reported := type(state).__name__):
            report_progress(
                "wait", f"{_describe(state)}; waiting for {(longest[type(state)] - waited) / 60:.0f} min at most"
            )
        if isinstance(state, Failed) and state.reason in STARTED_AGAIN and renter.clock.monotonic() >= start_at:
            _start(renter.market, instance_id, report_progress)
            start_at = renter.clock.monotonic() + START_LOOKS * renter.limits.boot_look_seconds
        renter.clock.sleep(renter.limits.boot_look_seconds * chance.uniform(1, 2))
        instance = find(
            renter.market, instance_id, settings.label, renter.limits.boot_look_seconds
        ) or renter.market.show(instance_id)


def _start(market: Market, instance_id: int, report_progress: Progress) -> None:
    try:
        market.start(instance_id)
    except errors.VastError as error:
        report_progress("wait", f"instance {instance_id} cannot be started now: {error}")
    else:
        report_progress("wait", f"instance {instance_id} was stopped, and is started again")


def _not_back(
    instance_id: int, name: str, state: Pending | Failed, seconds: float, absence: Downtime, limits: Limits
) -> errors.RentalFailed:
    price = errors.format_price(absence.usd_per_hour)
    costs = f"It goes on costing {price}, and it may serve"
    later = "Run `pulumi up` again later"
    if isinstance(state, Failed):
        costs = f"It costs its disk at least, and {price} at most"
        later = "Run `pulumi up --refresh` again"
        if absence.since is not None:
            until = f"{datetime.fromtimestamp(absence.since + limits.down_seconds, UTC):%H:%M} UTC"
            later = (
                f"If it is still down at {until} and its endpoint is silent, the next `pulumi up` takes another machine"
            )
    return errors.RentalFailed(
        instance_id,
        "lost",
        f"for {seconds:.0f} s {_describe(state)}, so nothing was changed on it. {costs}. {later}. "
        f"Another machine at once: `pulumi up --replace '**{name}'`",
    )


def _describe(state: Pending | Failed) -> str:
    if isinstance(state, Failed):
        return state.message
    missing = ", without its address or ports" if state.status == "running" else ""
    return f"the market reports it as {state.status}{missing}"
