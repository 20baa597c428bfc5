"""Renew the leases of slots through their gates: `POST /lease` with the instance's token, over TLS of the fleet's CA alone.

A slot that leaves is renewed too: it must not end itself while its requests run. A host that does not answer is asked again
a minute later; its lease lasts fifteen.
"""

import ssl
import threading
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from bootstrap.lease import renew
from config.slot_names import SlotName
from controller.ports import SlotId
from controller.slots import Slot, State
from providers.elastic.applied import Applied
from providers.elastic.slot_output import SlotOutput

EVERY_SECONDS = 60.0
ANSWER_SECONDS = 10.0
AT_ONCE = 16
LEASED = frozenset({State.RENTING, State.READY, State.LEAVING, State.ENDING})


@dataclass(frozen=True)
class LeaseEndpoint:
    """Where a slot's lease is renewed. `token` opens its gate."""

    place: SlotId
    endpoint: str
    token: str = field(repr=False)
    ca_certificate: str = field(repr=False)


@dataclass
class Leases:
    """Renew leases, many at once; safe for one thread. `renewed` and `failed` count over the life of the process."""

    renew: Callable[[str, ssl.SSLContext, str, float], bool] = renew
    renewed: int = 0
    failed: int = 0
    _trusted: dict[str, ssl.SSLContext] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def all(self, doors: Collection[LeaseEndpoint]) -> tuple[SlotId, ...]:
        """Renew at all doors; return the places that did not answer."""
        if not doors:
            return ()
        with ThreadPoolExecutor(min(AT_ONCE, len(doors)), thread_name_prefix="lease") as pool:
            successes = dict(zip(doors, pool.map(self._one, doors), strict=True))
        self.renewed += sum(successes.values())
        self.failed += len(successes) - sum(successes.values())
        return tuple(door.place for door, good in successes.items() if not good)

    def _one(self, door: LeaseEndpoint) -> bool:
        with self._guard:
            if door.ca_certificate not in self._trusted:
                self._trusted = {door.ca_certificate: ssl.create_default_context(cadata=door.ca_certificate)}
            trusted = self._trusted[door.ca_certificate]
        return self.renew(door.endpoint, trusted, door.token, ANSWER_SECONDS)


def doors(
    rows: Iterable[tuple[str, Slot]], output_of: Callable[[SlotId], SlotOutput | None], applied: Applied | None
) -> list[LeaseEndpoint]:
    """Return the doors of all slots that may serve and whose endpoint is known. `rows` are fleets with their slots."""
    if applied is None:
        return []
    found = []
    for fleet, slot in rows:
        place = SlotId(fleet, slot.index)
        output = output_of(place) if slot.state in LEASED else None
        if output is not None:
            token = applied.token(SlotName(applied.stack, fleet, slot.index).instance)
            found.append(LeaseEndpoint(place, output.endpoint, token, applied.ca_certificate))
    return found
