"""Adopt the instance that already carries a label, and keep at most one instance a label.

A creator adopts before it rents anything, and looks the label up once more at the end. Two creators of one instance may
be at work: on two computers, or on one if a new engine starts beside a killed one. The first to serve writes a lasting
mark, and both obey it. Without a place for marks, the lowest id decides. So neither creator gives back the instance
that the other holds. If the mark cannot be read, no creator gives back a sound instance.
"""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from bootstrap.services import Progress
from providers.ledger.instance_end import NOT_KEPT, SURPLUS, row_ended
from providers.ledger.ledger import Ledger, NoLedger
from providers.vast.api import errors
from providers.vast.api.instance import Instance, unsound
from providers.vast.api.market import Market
from providers.vast.api.patient_market import PatientMarket
from providers.vast.renting.give_back import give_back, give_back_all
from providers.vast.renting.look import by_id, is_absent
from providers.vast.renting.renter import Renter
from providers.vast.renting.serving_marks import Marks, MarkUnknown, ServingMark, forget
from providers.vast.renting.unlabelled import under_label
from providers.vast.search.requirements import Requirements

WRITES = 3  # writes of one mark, if others write it at the same time


def would_adopt(
    rows: Iterable[Instance],
    label: str,
    image: str,
    requirements: Requirements,
    mark: Callable[[], ServingMark | None] = lambda: None,
) -> Instance | None:
    """Return the listed instance that a create would adopt under a label, or None if a create must rent.

    `mark` reads the label's mark; it returns None if the mark is unknown. It is called only if an instance is sound.
    """
    sound = [one for one in by_id(rows) if one.label == label and not _flaws(one, image, requirements)]
    held = mark() if sound else None
    return _kept([one for one in sound if not (held and not held.by and one.id == held.instance)], held)


@dataclass
class LeftToAnother(errors.VastError):
    """An instance left rented, because another create has seen it serve.

    `cause` is the reason why our own create ended.
    """

    instance_id: int
    usd_per_hour: float | None
    cause: str

    def __str__(self) -> str:
        """Return the sentence for the operator."""
        price = errors.format_price(self.usd_per_hour)
        return (
            f"{self.cause}. INSTANCE {self.instance_id} IS STILL RENTED at {price}: another create has brought it online "
            "under the same label, so it was left to that one. If another update is running, let it end; then run "
            "`pulumi up --refresh`. If none is, it was killed: end the instance with "
            f"`vastai destroy instance {self.instance_id} -y`, then run `pulumi up` again."
        )


@dataclass
class Adoption:
    """One creator's work on its label: adopt, keep and give back. `by` is the creator's name in marks."""

    renter: Renter
    label: str
    marks: Marks
    report_progress: Progress
    by: str = field(default_factory=lambda: secrets.token_hex(8))
    ledger: Ledger = field(default_factory=NoLedger)

    def adopt(self, market: Market, image: str, requirements: Requirements) -> Instance | None:
        """Adopt the marked instance, else the sound one with the lowest id; give back the others.

        Asks `market`, and waits for its answers. While the mark is unknown, gives back unsound instances only.
        """
        known, held = self._mark()
        labelled = under_label(
            replace(self.renter, market=market), self.label, image, requirements.gpu_names, self.report_progress
        )
        under = by_id(labelled)
        if held and held.instance not in {one.id for one in under}:
            unlisted = market.show(held.instance)
            under += [unlisted] if unlisted and unlisted.label == self.label else []
        flaws = {one.id: _flaws(one, image, requirements) for one in under}
        if held and not held.by and held.instance in flaws:
            flaws[held.instance].append("is being given back")
        sound = [one for one in under if not flaws[one.id]]
        kept = _kept(sound, held)
        to_give_back = [one for one in under if one is not kept and (known or flaws[one.id])]
        why = {one.id: ", ".join(flaws[one.id]) or "is surplus" for one in to_give_back}
        for one in to_give_back:
            self.report_progress("give back", f"instance {one.id} under our label {why[one.id]}")
        give_back_all(self.renter, to_give_back, lambda gone: self._record(gone, f"{NOT_KEPT} {why[gone.id]}"))
        if kept:
            self.report_progress(
                "adopt", f"instance {kept.id} under our label goes on from {kept.actual_status or 'scheduled'}"
            )
        return kept

    def keep(self, instance_id: int) -> None:
        """Hold the label for a serving instance, unless another instance holds it; give back all others.

        A serving instance is given back for one reason alone: another instance holds the label. An unknown mark is read
        again for as long as a fresh instance may be missing from reads. If the market or the mark stays unknown, the
        operator is told. The operator is also told if another instance cannot be given back. The next refresh finds
        surplus instances.

        Raises RentalFailed if another instance stays; the caller then gives ours back and adopts the other one.
        """
        until = self.renter.clock.monotonic() + self.renter.limits.outage_seconds
        patient = PatientMarket(self.renter.market, self.renter.clock, self.renter.limits, until, self.report_progress)
        try:
            under = by_id(patient.instances(self.label))
            holder = self._known_holder(patient, instance_id, [one.id for one in under])
        except errors.RentalFailed:
            raise
        except (errors.VastError, MarkUnknown) as error:
            self.report_progress(
                "market", f"instance {instance_id} serves; whether another carries its label is unknown: {error}"
            )
            return
        if holder != instance_id:
            raise errors.RentalFailed(instance_id, "surplus", f"instance {holder} holds this label already")
        try:
            others = [one for one in under if one.id != instance_id]
            give_back_all(self.renter, others, lambda gone: self._record(gone, SURPLUS))
        except errors.StillRented as error:
            self.report_progress("give back", str(error))

    def give_back(self, instance_id: int, usd_per_hour: float | None, rented_at: float, error: BaseException) -> None:
        """Give back an instance whose attempt ended in an error; return once the market confirms it.

        Continues without an engine, the mark included. Raises LeftToAnother if the instance serves for another creator,
        and StillRented.
        """
        with self.renter.clock.without_engine():
            self._withdraw(instance_id, usd_per_hour, error)
            give_back(self.renter, instance_id, usd_per_hour, rented_at)
            forget(self.marks, self.label, instance_id)

    def _record(self, gone: Instance, why: str) -> None:
        row_ended(self.ledger, self.renter.clock.time(), gone, why)

    def _withdraw(self, instance_id: int, usd_per_hour: float | None, error: BaseException) -> None:
        """Mark an instance as being given back, so that no creator counts on it any more.

        Raises LeftToAnother if another creator has seen it serve: that creator may have it in state.
        """
        if not self.marks.lasting:
            return
        try:
            for _write in range(WRITES):
                seen = self.marks.read(self.label)
                if seen and (seen.instance != instance_id or not seen.by):
                    return
                if seen and set(seen.by) - {self.by}:
                    raise LeftToAnother(instance_id, usd_per_hour, str(error) or type(error).__name__)
                self.marks.write(self.label, ServingMark(instance_id), seen)
        except MarkUnknown as unknown:
            self.report_progress("give back", f"{unknown}; instance {instance_id} is given back all the same")

    def _mark(self) -> tuple[bool, ServingMark | None]:
        """Return whether the mark is known, and the mark."""
        try:
            return True, self.marks.read(self.label)
        except MarkUnknown as unknown:
            self.report_progress("market", f"{unknown}; nothing sound is given back for that")
            return False, None

    def _known_holder(self, market: Market, instance_id: int, under: list[int]) -> int:
        until = self.renter.clock.monotonic() + self.renter.limits.settle_seconds
        while True:
            try:
                return self._holder(market, instance_id, under)
            except MarkUnknown:
                if self.renter.clock.monotonic() >= until:
                    raise
            self.renter.clock.sleep(self.renter.limits.look_seconds)

    def _holder(self, market: Market, instance_id: int, under: list[int]) -> int:
        """Write our mark if no other instance holds the label, and return the holder's id.

        Raises MarkUnknown, and the market's errors.
        """
        if not self.marks.lasting:
            return min([instance_id, *under])
        for _write in range(WRITES):
            seen = self.marks.read(self.label)
            ours = seen is not None and seen.instance == instance_id
            if seen and ours and not seen.by:
                raise errors.RentalFailed(instance_id, "surplus", "another create gives it back")
            if seen and ours and self.by in seen.by:
                return instance_id
            if seen and seen.by and not ours and not self._is_gone(market, seen.instance, under):
                return seen.instance
            before = seen.by if seen and ours else ()
            self.marks.write(self.label, ServingMark(instance_id, (*before, self.by)), seen)
        raise MarkUnknown("its mark is written by others again and again")

    def _is_gone(self, market: Market, instance_id: int, under: list[int]) -> bool:
        return instance_id not in under and is_absent(replace(self.renter, market=market), instance_id, self.label)


def _kept(sound: list[Instance], held: ServingMark | None) -> Instance | None:
    return next((one for one in sound if held and one.id == held.instance), sound[0] if sound else None)


def _flaws(instance: Instance, image: str, requirements: Requirements) -> list[str]:
    return unsound(instance, image, requirements.gpu_names, requirements.gpu_count, requirements.disk_gb)
