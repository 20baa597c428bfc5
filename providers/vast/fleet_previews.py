"""Collect the preview of each instance, and report it once for each fleet."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from providers.progress import print_progress
from providers.vast.api.instance import Instance
from providers.vast.changes import Changes
from providers.vast.charged_price import paid
from providers.vast.settings import InstanceSettings
from providers.vast.update_effects import REPLACED, effect
from providers.vast.update_impact import FleetImpact


class FleetPreviews:
    """Fleets of one engine's run, as this process sees them. A fleet that it sees only in part is not reported."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fleets: dict[str, FleetImpact] = {}
        self._there: set[str] = set()

    def is_replaced(self, settings: InstanceSettings, there: bool) -> bool:
        """Return whether an instance is checked for a second time, as its own replacement.

        `there`: the state has the instance.
        """
        with self._lock:
            if there:
                self._there.add(settings.name)
            return not there and settings.name in self._there

    def record_change(
        self, found: Changes, old: InstanceSettings, new: InstanceSettings, outs: Mapping[str, Any]
    ) -> None:
        """Record an update's effect on a running instance."""
        done = effect(found, old, new, outs) if found.replace or found.in_place else None
        with self._fleet(new) as fleet:
            fleet.record_running(new.name, done, paid(outs))

    def record_adopted(self, settings: InstanceSettings, instance: Instance) -> None:
        """Record an instance that carries its label already."""
        with self._fleet(settings) as fleet:
            fleet.record_adopted(settings.name, instance.dph_total)

    def record_rental(self, settings: InstanceSettings, offered: Sequence[float], replaced: bool) -> None:
        """Record an instance to rent, and the prices on offer in $/h."""
        with self._fleet(settings) as fleet:
            if replaced and settings.name not in fleet.effects:
                fleet.record_running(settings.name, REPLACED, None)  # a replacement that the command line asked for
            fleet.record_rental(settings.name, offered)

    @contextmanager
    def _fleet(self, settings: InstanceSettings) -> Iterator[FleetImpact]:
        rollout = settings.rollout
        name, most = (rollout.fleet, rollout.most_down) if rollout else (settings.name, 1)
        with self._lock:
            budget = settings.budget.by_period if settings.budget else {}
            members = settings.replicas if rollout else 1
            fleet = self._fleets.setdefault(name, FleetImpact(members, most, budget=budget))
            yield fleet
            if sentence := fleet.sentence():
                print_progress(f"{name}  effect  {sentence}")
