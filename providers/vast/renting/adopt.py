"""One instance a label: what carries it is taken over before anything is rented, and looked up once more at the end.

Two creators of one instance may be at work: on two computers, or one whose engine was killed beside the next. The first to
serve writes a lasting mark, and both go by it; where there is no place for marks, the lowest id decides. So neither gives
back what the other holds. A mark that cannot be read gives back nothing that is sound.
"""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from providers.vast.api import errors
from providers.vast.api.instance import Instance, unsound
from providers.vast.api.market import Market
from providers.vast.api.patient_market import PatientMarket
from providers.vast.renting.give_back import give_back, give_back_all
from providers.vast.renting.look import by_id, is_absent
from providers.vast.renting.renter import Renter
from providers.vast.renting.serving_marks import Held, Marks, MarkUnknown, forget
from providers.vast.renting.unlabelled import under_label
from providers.vast.search.requirements import Requirements

Say = Callable[[str, str], None]  # phase, text
WRITES = 3  # of a mark that others write at the same time


def would_adopt(
    rows: Iterable[Instance],
    label: str,
    image: str,
    wishes: Requirements,
    mark: Callable[[], Held | None] = lambda: None,
) -> Instance | None:
    """Return the instance out of a list that would be taken over under a label; None where something must be rented.

    `mark` reads that of the label, None while nobody knows it; it is asked only where something is sound.
    """
    sound = [one for one in by_id(rows) if one.label == label and not _flaws(one, image, wishes)]
    held = mark() if sound else None
    return _kept([one for one in sound if not (held and not held.by and one.id == held.instance)], held)


@dataclass
class LeftToAnother(errors.VastError):
    """An instance that was not given back, because another create has seen it serve; `cause` is why ours ended."""

    instance_id: int
    usd_per_hour: float | None
    cause: str

    def __str__(self) -> str:
        """Sentence for the operator."""
        price = errors.format_price(self.usd_per_hour)
        return (
            f"{self.cause}. INSTANCE {self.instance_id} IS STILL RENTED at {price}: another create has brought it online "
            "under the same label, so it was left to that one. If another update is running, let it end; then run "
            "`pulumi up --refresh`. If none is, it was killed: end the instance with "
            f"`vastai destroy instance {self.instance_id} -y`, then run `pulumi up` again."
        )


@dataclass
class Adoption:
    """One creator's dealings with its label. `by` is the creator's name in marks."""

    renter: Renter
    label: str
    marks: Marks
    say: Say
    by: str = field(default_factory=lambda: secrets.token_hex(8))

    def adopt(self, market: Market, image: str, wishes: Requirements) -> Instance | None:
        """Take over what carries the label: the marked instance, else the lowest sound one; give back the others.

        `market` is asked, and waited for. While the mark is not known, only what is unsound is given back.
        """
        known, held = self._mark()
        labelled = under_label(replace(self.renter, market=market), self.label, image, wishes.gpu_names, self.say)
        under = by_id(labelled)
        if held and held.instance not in {one.id for one in under}:
            hidden = market.show(held.instance)
            under += [hidden] if hidden and hidden.label == self.label else []
        flaws = {one.id: _flaws(one, image, wishes) for one in under}
        if held and not held.by and held.instance in flaws:
            flaws[held.instance].append("is being given back")
        sound = [one for one in under if not flaws[one.id]]
        kept = _kept(sound, held)
        doomed = [one for one in under if one is not kept and (known or flaws[one.id])]
        for one in doomed:
            why = ", ".join(flaws[one.id]) or "is surplus"
            self.say("give back", f"instance {one.id} under our label {why}")
        give_back_all(self.renter, doomed)
        if kept:
            self.say("adopt", f"instance {kept.id} under our label goes on from {kept.actual_status or 'scheduled'}")
        return kept

    def keep(self, instance_id: int) -> None:
        """Hold the label with an instance that serves, unless another one holds it; give back all others.

        What serves is given back for one reason alone: another holds the label. A mark that is not known is asked for again
        until a fresh instance shows. A market or a mark that stays unknown, and another that cannot be given back, are told;
        the next refresh finds what is surplus.
        Raises RentalFailed where another stays; the caller gives ours back and adopts that one.
        """
        until = self.renter.clock.monotonic() + self.renter.limits.outage_seconds
        patient = PatientMarket(self.renter.market, self.renter.clock, self.renter.limits, until, self.say)
        try:
            under = by_id(patient.instances(self.label))
            holder = self._known_holder(patient, instance_id, [one.id for one in under])
        except errors.RentalFailed:
            raise
        except (errors.VastError, MarkUnknown) as error:
            self.say(
                "market", f"instance {instance_id} serves; nobody knows whether another carries its label: {error}"
            )
            return
        if holder != instance_id:
            raise errors.RentalFailed(instance_id, "surplus", f"instance {holder} holds this label already")
        try:
            give_back_all(self.renter, [one for one in under if one.id != instance_id])
        except errors.StillRented as error:
            self.say("give back", str(error))

    def give_back(self, instance_id: int, usd_per_hour: float | None, rented_at: float, error: BaseException) -> None:
        """Give back an instance whose attempt ended in an error; returns once the market confirms it.

        Works on without an engine, the mark included. Raises LeftToAnother where it serves for another creator, StillRented.
        """
        with self.renter.clock.patient():
            self._withdraw(instance_id, usd_per_hour, error)
            give_back(self.renter, instance_id, usd_per_hour, rented_at)
            forget(self.marks, self.label, instance_id)

    def _withdraw(self, instance_id: int, usd_per_hour: float | None, error: BaseException) -> None:
        """Write that an instance is given back, so that nobody counts on it from now on.

        Raises LeftToAnother where another creator has seen it serve, who may have it in state.
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
                self.marks.write(self.label, Held(instance_id), seen)
        except MarkUnknown as unknown:
            self.say("give back", f"{unknown}; instance {instance_id} is given back all the same")

    def _mark(self) -> tuple[bool, Held | None]:
        """Return whether the mark is known, and it."""
        try:
            return True, self.marks.read(self.label)
        except MarkUnknown as unknown:
            self.say("market", f"{unknown}; nothing sound is given back for that")
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
        """Write our mark where no other holds, and return who does. Raises MarkUnknown, and what the market raises."""
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
            self.marks.write(self.label, Held(instance_id, (*before, self.by)), seen)
        raise MarkUnknown("its mark is written by others again and again")

    def _is_gone(self, market: Market, instance_id: int, under: list[int]) -> bool:
        return instance_id not in under and is_absent(replace(self.renter, market=market), instance_id, self.label)


def _kept(sound: list[Instance], held: Held | None) -> Instance | None:
    return next((one for one in sound if held and one.id == held.instance), sound[0] if sound else None)


def _flaws(instance: Instance, image: str, wishes: Requirements) -> list[str]:
    return unsound(instance, image, wishes.gpu_names, wishes.gpu_count, wishes.disk_gb)
