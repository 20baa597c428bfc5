"""Read the result of the main stack's last `up` again and again: bounds for the loop, offers for the API, keys for both."""

import threading
from collections.abc import Callable, Mapping

from controller.api.applied_offers import offers_of
from controller.offers import Offers, OffersUnknown
from controller.ports import Fleet, WorldUnavailable
from providers.elastic.applied import Applied

EVERY_SECONDS = 20.0
OLD_SECONDS = 300.0  # older bounds decide nothing

Read = Callable[[], Applied | None]  # None: the stack exports nothing of elastic fleets; raises if it cannot be read


class MainStack:
    """Satisfies `Fleets`. `read` takes seconds, so a thread calls `refresh`, and a rent asks anew."""

    def __init__(self, read: Read, monotonic: Callable[[], float]) -> None:
        self._read, self._monotonic = read, monotonic
        self._guard = threading.Lock()
        self._known: Applied | None = None
        self._at: float | None = None
        self._problem = "it has not been read yet"

    def refresh(self) -> bool:
        """Read once; say whether it could be read."""
        began = self._monotonic()
        try:
            found = self._read()
        except Exception as error:  # noqa: BLE001 -- after any error the applied config is unknown
            with self._guard:
                self._problem = str(error) or type(error).__name__
            return False
        with self._guard:
            self._known, self._at, self._problem = found, began, ""
        return True

    def now(self) -> Applied | None:
        """Return the applied elastic fleets; None if there are none. Raises WorldUnavailable."""
        with self._guard:
            if self._at is None or self._monotonic() - self._at > OLD_SECONDS:
                raise WorldUnavailable(f"what the main stack has applied is not known: {self._problem}")
            return self._known

    def last(self) -> Applied | None:
        """Return the elastic fleets of the last read that succeeded; None if none did, or none are applied."""
        with self._guard:
            return self._known

    def applied(self, *, fresh: bool = False) -> Mapping[str, Fleet]:
        """Return the elastic fleets. Raises WorldUnavailable."""
        if fresh and not self.refresh():
            with self._guard:
                raise WorldUnavailable(f"what the main stack has applied is not known: {self._problem}")
        found = self.now()
        return {} if found is None else {name: fleet_of(found, name) for name in found.fleets}

    def offers(self) -> Offers:
        """Return what clients may ask for. Raises OffersUnknown."""
        try:
            found = self.now()
        except WorldUnavailable as error:
            raise OffersUnknown(str(error)) from error
        if found is None:
            raise OffersUnknown(
                "the main stack has no elastic fleet and no client; its operator has to run `pulumi up`"
            )
        return offers_of(found)


def fleet_of(applied: Applied, name: str) -> Fleet:
    """Return a fleet as the loop takes it."""
    one = applied.fleets[name]
    limits = one.instance.get("selfDestruct") or {}
    hours = limits.get("maxHours")
    return Fleet(one.bounds, one.ceiling, one.digest, float(hours) if hours else None, one.rollout)
