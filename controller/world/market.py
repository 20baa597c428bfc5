"""The market's status of slots' instances: there, failed or gone. One list for all of them."""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from config.slot_names import SlotName
from controller.ports import MarketStatus, SlotId
from providers.elastic.applied import Applied
from providers.vast.api.errors import VastError
from providers.vast.api.instance import Failed, Instance, classify
from providers.vast.api.label import Label
from providers.vast.api.market import Market
from providers.vast.api.rows import set_aside
from providers.vast.limits import Limits

EVERY_SECONDS = 10.0
OLDEST_SECONDS = 60.0  # an older list says nothing of now
GATE_PORT = 8443  # as the settings of an instance have it if they name none


@dataclass(frozen=True)
class Account:
    """The market as the controller sees it. `limits` are in our seconds; `time_scale` is market seconds in one of them."""

    market: Market
    limits: Limits
    time_scale: float = 1.0


class SlotLives:
    """Satisfies `Market`. A thread calls `read`, because the market may take a minute to answer, and no tick waits for it.

    `applied` returns what the main stack applied last, None while it is unknown.
    """

    def __init__(
        self,
        account: Callable[[], Account | None],
        applied: Callable[[], Applied | None],
        wait: Callable[[float], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._account, self._applied, self._wait, self._monotonic = account, applied, wait, monotonic
        self._guard = threading.Lock()
        self._last: tuple[float, Sequence[Instance]] | None = None

    def read(self) -> None:
        """Ask the market for its list. Raises VastError."""
        account = self._account()
        if account is None:
            return
        asked = self._monotonic()
        rows = account.market.instances(None, EVERY_SECONDS / account.time_scale)
        with self._guard:
            self._last = (asked, rows)

    def lives(self, places: Collection[SlotId], *, fresh: bool = False) -> Mapping[SlotId, MarketStatus]:
        """Return the market's status of each place. `fresh`: two new lists, apart in time, must agree that one is gone."""
        applied = self._applied()
        if applied is None or not places:
            return {}
        if not fresh:
            rows = self._recent()
            return {} if rows is None else _judged(applied, places, rows)
        try:
            account = self._account()
            if account is None:
                return {}
            found = _judged(applied, places, account.market.instances(None, 0.0))
            if MarketStatus.GONE in found.values():
                self._wait(account.limits.look_seconds)
                again = _judged(applied, places, account.market.instances(None, 0.0))
                found = {
                    place: life if life is again.get(place) else MarketStatus.UNKNOWN for place, life in found.items()
                }
        except VastError:
            return {}
        return found

    def others(self, places: Collection[SlotId]) -> float | None:
        """Return $/h of all that the account rents but these places; None if it is unknown."""
        applied, rows = self._applied(), self._recent()
        if applied is None or rows is None or set_aside(rows):
            return None
        ours = {label_of(applied, place) for place in places}
        return sum(row.dph_total or 0.0 for row in rows if row.label not in ours)

    def _recent(self) -> Sequence[Instance] | None:
        with self._guard:
            last = self._last
        return last[1] if last and self._monotonic() - last[0] <= OLDEST_SECONDS else None


def _judged(applied: Applied, places: Collection[SlotId], rows: Sequence[Instance]) -> dict[SlotId, MarketStatus]:
    by_label: dict[str | None, list[Instance]] = {}
    for row in rows:
        by_label.setdefault(row.label, []).append(row)
    odd = bool(set_aside(rows))
    return {place: _life(by_label.get(label_of(applied, place), []), odd, _port(applied, place)) for place in places}


def label_of(applied: Applied, place: SlotId) -> str:
    """Return the label of a slot's instance."""
    return str(Label(applied.stack_id, SlotName(applied.stack, place.fleet, place.slot).instance))


def _port(applied: Applied, place: SlotId) -> int:
    """Return the port of the gate inside the container."""
    fleet = applied.fleets.get(place.fleet)
    server = fleet.instance.get("server") if fleet else None
    return int((server or {}).get("port") or GATE_PORT)


def _life(rows: Collection[Instance], odd: bool, port: int) -> MarketStatus:
    """Judge the rows under one label. `odd`: the list has rows that could not be read."""
    if not rows:
        return MarketStatus.UNKNOWN if odd else MarketStatus.GONE
    if all(isinstance(classify(row, port), Failed) for row in rows):
        return MarketStatus.DEAD
    return MarketStatus.THERE
