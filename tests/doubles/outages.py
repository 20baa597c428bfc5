"""A market that is in trouble from a given call on: every call fails for ten minutes, in each of the ways that were seen."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from bootstrap.services import Progress
from providers.ledger.ledger import Ledger
from providers.vast.api import errors
from providers.vast.api.error_responses import refusal
from providers.vast.api.instance import Instance
from providers.vast.api.offer import Offer
from providers.vast.api.rows import Listing
from providers.vast.create import Served, bring_online
from providers.vast.instance_request import InstanceRequest
from providers.vast.limits import Limits
from providers.vast.renting.renter import Renter
from providers.vast.search.requirements import Requirements
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket

OUTAGE_SECONDS = 600.0
LABEL = "gpu-fleet/abc/chat-0"
ORDER = InstanceRequest("chat-0", LABEL, Requirements(("RTX 4090",), 1, 0.5, 20, 1), "image", "true", 8443)
CLIENT_SECONDS = 31.0  # that the client has tried for by itself before it raises
# What the client makes of it, by the trouble's name.
TROUBLES: Mapping[str, Callable[[str], errors.VastError]] = {
    "a 403 page of the edge": lambda call: refusal(call, 403, None, {}),
    "a 502 page of the proxy": lambda call: refusal(call, 502, None, {}),
    "a 503 object": lambda call: refusal(call, 503, None, {"success": False, "error": "unavailable", "msg": "later"}),
    "a time-out": lambda call: errors.OutcomeUnknown(call, "ReadTimeout at market"),
    "a 429": lambda call: refusal(call, 429, None, {}),
    "a 429 with a hint": lambda call: refusal(call, 429, "7", {}),
}
# Phase of a create -> the call that finds the trouble: its kind, and how many of it come before.
PHASES: Mapping[str, tuple[str, int]] = {
    "adopt": ("list", 0),
    "search": ("search", 0),
    "rent": ("rent", 0),
    "wait": ("look", 0),
    "late in wait": ("look", 2),
    "log": ("log", 0),
    "last look": ("list", 1),
}


class TroubledMarket(FakeMarket):
    """Satisfies `Market`. `begins`: kind of call and how many of it are answered before; `seconds` it lasts."""

    def __init__(
        self,
        clock: FakeClock,
        trouble: Callable[[str], errors.VastError],
        begins: tuple[str, int],
        seconds: float = OUTAGE_SECONDS,
    ) -> None:
        super().__init__(clock)
        self._trouble, self._begins, self._seconds = trouble, begins, seconds
        self._until: float | None = None
        self._seen: Counter[str] = Counter()
        self.rents = 0

    def rent(self, offer_id: int, body: dict[str, Any]) -> int:
        self._meet("rent")
        self.rents += 1
        return super().rent(offer_id, body)

    def search(self, query: dict[str, Any]) -> Listing[Offer]:
        self._meet("search")
        return super().search(query)

    def show(self, instance_id: int) -> Instance | None:
        self._meet("look")
        return super().show(instance_id)

    def instances(self, label: str | None = None, age_seconds: float = 0.0) -> Listing[Instance]:
        self._meet("list" if not age_seconds else "look" if label else "all")
        return super().instances(label, age_seconds)

    def destroy(self, instance_id: int) -> None:
        self._meet("destroy")
        super().destroy(instance_id)

    def log(self, instance_id: int, lines: int = 1000) -> str:
        self._meet("log")
        return super().log(instance_id, lines)

    def last_log(self, instance_id: int, daemon: bool, seconds: float) -> str:
        self._meet("last log")
        return super().last_log(instance_id, daemon, seconds)

    def _meet(self, call: str) -> None:
        kind, before = self._begins
        self._seen[call] += 1
        if self._until is None and call == kind and self._seen[call] > before:
            self._until = self.clock.now + self._seconds
        if self._until is not None and self.clock.now < self._until:
            self.clock.sleep(CLIENT_SECONDS)
            raise self._trouble(call)


class Serving:
    """A bootstrap that succeeds at once."""

    def serve(self, instance: Instance, host_key: str, _report_progress: Progress, _deadline: float) -> Served:
        return Served(instance, "https://203.0.113.7:48443", host_key, 0.0, {"start": 1.0}, 0.1)


def bring(
    market: TroubledMarket, report_progress: Progress = lambda _phase, _text: None, ledger: Ledger | None = None
) -> Served:
    """Bring one instance online in a market that is in trouble."""
    return bring_online(Renter(market, market.clock, Limits()), ORDER, Serving(), report_progress, ledger)


def machines_given_back(trouble: str, phase: str) -> int:
    """Return how many of the machines that a create rented do not serve in the end."""
    market = TroubledMarket(FakeClock(), TROUBLES[trouble], PHASES[phase])
    served = bring(market)
    return market.rents - (list(market.rows) == [served.instance.id])
