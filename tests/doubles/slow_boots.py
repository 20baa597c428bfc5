"""Boots that come, and take their time: 5 to 35 minutes by a seed, with a frozen message and words that say little.

given_up(seed) == 0     # machines given back though they would have come
"""

import random
from dataclasses import replace

from bootstrap.services import Progress
from providers.vast.api.errors import RentalFailed
from providers.vast.api.instance import Instance
from providers.vast.create import Served, bring_online
from providers.vast.instance_request import InstanceRequest
from providers.vast.limits import Limits
from providers.vast.renting.renter import Renter
from providers.vast.search.requirements import Requirements
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket

SHORTEST, LONGEST = 5 * 60.0, 35 * 60.0
WORDS = ("loading", "loading", "loading", "unknown", "rebooting", "created", None)
LIMITS = replace(Limits(), boot_look_seconds=20.0)  # fewer looks, so that hundreds of boots take seconds
ORDER = InstanceRequest(
    "chat-0", "gpu-fleet/s/chat-0", Requirements(("RTX 4090",), 1, 0.5, 20, 16), "image", "true", 8443
)


class SlowBoots(FakeMarket):
    """A market whose machines boot slowly, each as its own draw says."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        super().__init__(FakeClock(), boot_seconds=self.chance.uniform(SHORTEST, LONGEST))

    def passes(self) -> None:
        super().passes()
        for row in self.rows.values():
            if row.runs:
                # Now and then the ports are missing for a moment.
                row.says({"ports": None} if self.chance.random() < 0.2 else {})
            else:
                row.says({"actual_status": self.chance.choice(WORDS), "status_msg": "3f4a5b6c7d8e: Extracting"})


class Serves:
    """A bootstrap that serves at once."""

    def serve(self, instance: Instance, host_key: str, _report_progress: Progress, _deadline: float) -> Served:
        return Served(instance, "https://203.0.113.7:48443", host_key, 0.0, {}, 0.1)


def given_up(seed: int, limits: Limits = LIMITS) -> int:
    """Bring one instance online and return how many boots were given up before it served."""
    market = SlowBoots(seed)
    try:
        return bring_online(Renter(market, market.clock, limits), ORDER, Serves(), lambda *_: None).attempts - 1
    except RentalFailed:
        return limits.attempts
