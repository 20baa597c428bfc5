"""A market that says something odd of a healthy instance for ten minutes, in each way that was seen, from a phase on.

machines_given_back(LIVES["rebooting"], "refresh") == 0
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from bootstrap.errors import BootstrapError
from providers.ledger.ledger import NoLedger
from providers.store.client import Keys
from providers.vast import lifecycle
from providers.vast.api import errors
from providers.vast.lifecycle import OperationContext
from providers.vast.settings import InstanceSettings
from tests.doubles.scheduled_host import Host, settings_of
from tests.doubles.scheduled_market import Clock, Market

SECONDS = 600.0
NULLABLE = (
    "actual_status",
    "intended_status",
    "cur_state",
    "status_msg",
    "label",
    "image_uuid",
    "machine_id",
    "gpu_name",
    "num_gpus",
    "gpu_ram",
    "disk_space",
    "dph_total",
    "inet_down",
    "inet_down_cost",
    "geolocation",
    "start_date",
    "end_date",
    "public_ipaddr",
)
# Life -> what the market says in place of the truth.
LIVES: Mapping[str, Mapping[str, Any]] = {
    "unknown, and it recovers": {"actual_status": "unknown"},
    "unknown with an error of before": {"actual_status": "unknown", "status_msg": "Error response from daemon"},
    "loading after a reboot": {"actual_status": "loading", "ports": None},
    "rebooting": {"actual_status": "rebooting", "ports": None},
    "created after a reboot": {"actual_status": "created", "ports": None, "status_msg": "3f4a: Extracting"},
    "no ports": {"ports": None},
    "a port without a number": {"ports": {"22/tcp": [{"HostIp": "0.0.0.0", "HostPort": ""}]}},
    "ports of another form": {"ports": {"22/tcp": [{"HostPort": "many"}]}},
    **{f"{field} null": {field: None} for field in NULLABLE},
}
PHASES = ("boot", "running", "last look", "refresh", "up")


class OddMarket(Market):
    """`says` is what every row says for ten minutes: from `begin` on, or by itself from when `phase` is reached."""

    def __init__(self, says: Mapping[str, Any], phase: str) -> None:
        super().__init__(Clock())
        self.says, self.phase = says, phase
        self.serving: dict[int, InstanceSettings] = {}
        self.until: float | None = None
        self.rents = 0

    def rent(self, offer_id: int, body: dict[str, Any]) -> int:
        self.rents += 1
        return super().rent(offer_id, body)

    def begin(self) -> None:
        self.until = self.clock.now + SECONDS

    def passes(self) -> None:
        super().passes()
        for number, row in self.rows.items():
            starts = {"boot": not row.runs, "running": row.runs, "last look": number in self.serving}
            if self.until is None and starts.get(self.phase):
                self.begin()
            row.says(self.says if self.until is not None and self.clock.now < self.until else {})


def machines_given_back(says: Mapping[str, Any], phase: str) -> int:
    """Return how many of the machines that a stack of one instance rented it does not have in the end.

    Phases of a create: what boots, what runs, and the last look. `refresh`: an instance that serves is read and then taken
    through an unchanged `up`; `up`: read, and changed in place.
    """
    market = OddMarket(says, phase)
    context = OperationContext(market, market.clock, Keys("", ""), lambda *_: None, NoLedger(), _hosting(market))
    old = settings_of("chat-0", 0)
    try:
        outs = lifecycle.create(old, context)
    except errors.RentalFailed:
        return market.rents - len(market.rows)
    number = int(outs["instanceId"])
    if phase in ("refresh", "up"):
        market.begin()
        with suppress(*errors.DOUBTS):
            found = lifecycle.read(number, old, outs, context)
            assert found is not None, "an instance that is there is not gone"
            outs = found
        new = old if phase == "refresh" else settings_of("chat-0", 1)
        if lifecycle.compare(old, new, outs).replace:
            return 1
        with suppress(errors.VastError, BootstrapError):
            lifecycle.update(number, old, new, outs, context)
    assert market.until is not None, "the market said nothing odd"
    return market.rents - (list(market.rows) == [number])


def _hosting(market: OddMarket) -> Any:
    return lambda settings, *_more: Host(market, market.serving, settings)
