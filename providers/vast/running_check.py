"""What the market says of an instance that served: a failure that it names, or a silence that passes.

Healthy instances show `unknown`, `loading` or `rebooting`, or no port or address, for minutes: after a missed heartbeat,
after a reboot of their host. An account without credit has all of its instances stopped, and a host that was offline comes
back. So an update waits for either, and starts what was stopped. Only a failure that the market names replaces a machine,
and that only after a while; see `judging`.
"""

import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from providers.vast.api import errors
from providers.vast.api.instance import DOWN, Failed, Instance, Pending, Running, classify
from providers.vast.api.market import Market
from providers.vast.charged_price import paid
from providers.vast.create import Progress
from providers.vast.limits import Limits
from providers.vast.renting.look import find, is_absent, look_up
from providers.vast.renting.renter import Renter
from providers.vast.settings import InstanceSettings

STATUS_DRIFT, WAITING_DRIFT = "status", "waiting"
STARTED_AGAIN = ("stopped", "offline")  # reasons of a failure that a start may end
START_LOOKS = 12  # between two requests to start what is stopped: it shows its old state for a while
# Older versions wrote a silence into state as a status, too, in these words.
OLD_SILENCE = re.compile(rf"{STATUS_DRIFT}: the market reports it as (?!(?:{'|'.join(DOWN)})\b)")


def standing_drift(state: Pending | Failed) -> str:
    """Say of an instance that is not up what `drift` holds of it."""
    return f"{STATUS_DRIFT if isinstance(state, Failed) else WAITING_DRIFT}: {_told(state)}"


def is_down(drift: str) -> bool:
    """Say whether a line of `drift` is a failure that the market named."""
    return drift.startswith(f"{STATUS_DRIFT}:") and not OLD_SILENCE.match(drift)


def is_standing(drift: str) -> bool:
    """Say whether a line of `drift` is the market's word alone, and nothing that was seen on the host."""
    return drift.startswith((f"{STATUS_DRIFT}:", f"{WAITING_DRIFT}:"))


class Answering(Protocol):
    """What asks an endpoint; `serving.InstanceBootstrap` is one."""

    def answers(self, endpoint: str) -> bool:
        """Say whether an endpoint answers a completion, with a certificate of our CA."""


def serves_all_the_same(
    market: Market,
    instance_id: int,
    settings: InstanceSettings,
    outs: dict[str, Any],
    host: Answering,
) -> bool:
    """Say whether all that drift holds is the market's word, which still stands and which the endpoint gives the lie."""
    drift = [str(one) for one in outs.get("drift") or []]
    if not drift or not all(map(is_standing, drift)):
        return False
    instance = look_up(market, instance_id, settings.label)
    if instance is None or isinstance(classify(instance, settings.server.port), Running):
        return False
    return host.answers(str(outs.get("endpoint")))


@dataclass(frozen=True)
class Absence:
    """For how long an instance is waited for. `since`: unix seconds from which state knows that it is down, None where state
    does not; `usd_per_hour` is what it costs while it runs.
    """

    since: float | None = None
    usd_per_hour: float | None = None

    @staticmethod
    def of(outs: dict[str, Any]) -> "Absence":
        """Return what the outputs in state say."""
        return Absence(outs.get("downSince"), paid(outs))

    def left(self, now: float, limits: Limits) -> float:
        """Return for how many seconds more a machine that is down is waited for."""
        return limits.down_seconds - (0.0 if self.since is None else max(0.0, now - self.since))


def wait_until_back(
    renter: Renter,
    instance_id: int,
    settings: InstanceSettings,
    gate_port: int,
    absence: Absence,
    say: Progress,
) -> Instance:
    """Wait until the market reports a rented instance as up, and start it where it is stopped; return its row.

    What is silent is waited for `limits.outage_seconds`, what is down until another machine may take its place.
    Raises RentalFailed if the instance is gone, or if it is not up in time. Nothing is given back in either case.
    """
    began = renter.clock.monotonic()
    least = min(renter.limits.down_seconds, START_LOOKS * renter.limits.boot_look_seconds)
    longest = {
        Pending: renter.limits.outage_seconds,
        Failed: max(absence.left(renter.clock.time(), renter.limits), least),
    }
    chance = random.Random(instance_id)  # spreads those who wait
    instance = look_up(renter.market, instance_id, settings.label)
    told, start_at = "", began
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
        if told != (told := type(state).__name__):
            say("wait", f"{_told(state)}; waiting for {(longest[type(state)] - waited) / 60:.0f} min at most")
        if isinstance(state, Failed) and state.reason in STARTED_AGAIN and renter.clock.monotonic() >= start_at:
            _start(renter.market, instance_id, say)
            start_at = renter.clock.monotonic() + START_LOOKS * renter.limits.boot_look_seconds
        renter.clock.sleep(renter.limits.boot_look_seconds * chance.uniform(1, 2))
        instance = find(
            renter.market, instance_id, settings.label, renter.limits.boot_look_seconds
        ) or renter.market.show(instance_id)


def _start(market: Market, instance_id: int, say: Progress) -> None:
    try:
        market.start(instance_id)
    except errors.VastError as error:
        say("wait", f"instance {instance_id} cannot be started now: {error}")
    else:
        say("wait", f"instance {instance_id} was stopped, and is started again")


def _not_back(
    instance_id: int, name: str, state: Pending | Failed, seconds: float, absence: Absence, limits: Limits
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
        f"for {seconds:.0f} s {_told(state)}, so nothing was changed on it. {costs}. {later}. "
        f"Another machine at once: `pulumi up --replace '**{name}'`",
    )


def _told(state: Pending | Failed) -> str:
    if isinstance(state, Failed):
        return state.message
    missing = ", without its address or ports" if state.status == "running" else ""
    return f"the market reports it as {state.status}{missing}"
