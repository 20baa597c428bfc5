"""Judges what the next `up` does with each instance, by the rules of `up` itself. Pure.

The inputs of both revisions come from the program's own builder, with a stand-in for the stack's identity.
`providers.vast.changes` compares them, and `providers.vast.update_effects` tells the effect on clients.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from config.fleets import FleetConfig
from config.rotation import RotationConfig
from providers.vast.changes import Changes, changes
from providers.vast.update_effects import Effect, effect
from review.applied import as_recorded
from review.assumed import assumed_machine
from review.causes import ConfigTexts, causes
from review.marks import reports_nothing
from review.report import Action, Cause, InstanceReview, Price
from review.revision import StackRevision
from review.standing import Standing, StandingInstance


@dataclass(frozen=True)
class InstancePlace:
    """One instance by name: its fleet, its number, and whether it is a slot of an elastic fleet."""

    name: str
    fleet: str
    index: int
    slot: bool = False


@dataclass(frozen=True)
class Judge:
    """Judges instances by both revisions, `base` None for a new stack, and by `standing`, None if unknown."""

    base: StackRevision | None
    head: StackRevision
    standing: Standing | None = None

    def instances(self) -> tuple[InstanceReview, ...]:
        """Return the verdict on each instance, those of removed fleets last. Prices are today's charges."""
        return tuple(self._of(place) for place in self._places())

    @property
    def _may_lack_rows(self) -> bool:
        """Whether an instance may run that the file of what runs does not show: an unreadable row is not gone."""
        return self.standing is None or self.standing.unreadable > 0

    def _places(self) -> Iterator[InstancePlace]:
        bases = self.base.config.fleets if self.base else {}
        standing = self.standing.instances if self.standing else ()
        for fleet in dict.fromkeys([*self.head.config.fleets, *bases, *(one.fleet for one in standing)]):
            before = self.base.names(fleet) if self.base else {}
            known = {one.name: _index(one.name) for one in standing if one.fleet == fleet and not one.slot}
            fixed = {**(before if self._may_lack_rows else {}), **known, **self.head.names(fleet)}
            yield from (
                InstancePlace(name, fleet, index) for name, index in sorted(fixed.items(), key=lambda pair: pair[1])
            )
            slots = {one.name: _index(one.name) for one in standing if one.fleet == fleet and one.slot}
            yield from (
                InstancePlace(name, fleet, index, True)
                for name, index in sorted(slots.items(), key=lambda pair: pair[1])
            )

    def _of(self, place: InstancePlace) -> InstanceReview:
        runs = self.standing.by_name.get(place.name) if self.standing else None
        by_base = self.base is not None and place.name in self.base.names(place.fleet)
        is_there = runs is not None or (self._may_lack_rows and by_base)
        section = self.head.config.fleets.get(place.fleet)
        wanted = section is not None and (
            section.elastic is not None if place.slot else place.name in self.head.names(place.fleet)
        )
        found = InstanceReview(
            name=place.name,
            fleet=place.fleet,
            action=Action.UNCHANGED,
            usd_per_hour=Price(now=runs.pays if runs else None),
            place=runs.country if runs else "",
        )
        if is_there and wanted:
            return self._changed(place, runs, found)
        action = Action.RENTED if wanted else Action.GIVEN_BACK
        return found.model_copy(update={"action": action, "because": self._counted(place, is_there)})

    def _changed(self, place: InstancePlace, runs: StandingInstance | None, found: InstanceReview) -> InstanceReview:
        reports = self._reports()
        new = self.head.settings(place.fleet, place.name, place.index, slot=place.slot, reports=reports)
        known = self.base if self.base and place.fleet in self.base.config.fleets else self.head
        rotation = _rotation(self.standing, known)
        old = known.settings(place.fleet, place.name, place.index, slot=place.slot, rotation=rotation, reports=reports)
        kit = self.standing.kit if self.standing else ""
        old, lacking = as_recorded(old, new, runs.recorded if runs else None, kit)
        judged = changes(old, new, runs.machine if runs else assumed_machine(old, new))
        _add(judged, lacking)
        if runs and runs.replaced_by_drift:
            judged.replace.append("drift")
        if runs and runs.mended_by_drift:
            judged.in_place.append("drift")
        if not judged.any:
            return found
        action, rules = _decided(judged)
        does = effect(judged, old, new, {"phases": runs.phases} if runs else {})
        because = causes(rules, ConfigTexts(old, known, rotation), ConfigTexts(new, self.head))
        update = {"action": action, "because": because, **_down(does)}
        return found.model_copy(update=update)

    def _reports(self) -> bool:
        """Return whether instances report metrics if config says so.

        If both revisions say it and no instance does, the computer that applies lacks the program for it.
        """
        recorded = [one.recorded for one in self.standing.instances if one.recorded] if self.standing else []
        wanted = self.head.config.metrics is not None and self.base is not None and self.base.config.metrics is not None
        return not (wanted and recorded and all(reports_nothing(one.marks) for one in recorded))

    def _counted(self, place: InstancePlace, is_there: bool) -> tuple[Cause, ...]:
        """Return why an instance comes or goes."""
        bases = self.base.config.fleets if self.base else {}
        before, after = bases.get(place.fleet), self.head.config.fleets.get(place.fleet)
        if before is None or after is None:
            return (Cause(key=f"fleets.{place.fleet}", old=_described(before), new=_described(after)),)
        found = []
        if (before.elastic is None) != (after.elastic is None) or before.most != after.most:
            found.append(Cause(key="replicas", old=_count(before), new=_count(after)))
        if before.without != after.without:
            texts = [", ".join(map(str, one.without)) or "none" for one in (before, after)]
            found.append(Cause(key="without", old=texts[0], new=texts[1]))
        return tuple(found) or (Cause(key="not as on the base branch", old="there" if is_there else "not there"),)


def _decided(found: Changes) -> tuple[Action, list[str]]:
    if found.replace:
        return Action.ANOTHER_MACHINE, found.replace
    if found.in_place:
        return Action.IN_PLACE, found.in_place
    return Action.RECORDED, found.recorded


def _down(does: Effect) -> Mapping[str, object]:
    if not does.closes:
        return {}
    return {"down_seconds": does.seconds, "down_why": does.why}


def _add(found: Changes, lacking: Changes) -> None:
    found.replace.extend(lacking.replace)
    found.in_place.extend(lacking.in_place)
    found.recorded.extend(lacking.recorded)


def _rotation(standing: Standing | None, base: StackRevision) -> RotationConfig:
    return RotationConfig.model_validate(
        {**base.config.rotation.model_dump(), **(standing.rotation if standing else {})}
    )


def _index(name: str) -> int:
    digits = name.rpartition("-")[2].removeprefix("s")
    return int(digits) if digits.isdigit() else 0


def _described(fleet: FleetConfig | None) -> str | None:
    return None if fleet is None else f"a fleet of {_count(fleet)}"


def _count(fleet: FleetConfig) -> str:
    return f"{fleet.elastic.min} to {fleet.elastic.max}" if fleet.elastic else str(fleet.most)
