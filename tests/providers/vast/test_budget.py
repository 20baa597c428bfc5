"""A create under a budget: its money is reserved before the rent, and a cheaper offer comes before a refusal."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bootstrap import errors as host_errors
from providers.budget.errors import OverBudget
from providers.engine_watch import EngineGone
from providers.vast.api import errors
from providers.vast.changes import changes
from providers.vast.create import Served, bring_online
from providers.vast.instance_budget import terms_of
from providers.vast.instance_request import InstanceRequest
from providers.vast.limits import Limits
from providers.vast.machine_facts import machine_of
from providers.vast.renting.renter import Renter
from providers.vast.search.requirements import Requirements
from providers.vast.settings import BudgetSettings, InstanceSettings
from tests.doubles.budget import FakeBook, budget_of
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer, raising
from tests.doubles.scheduled_market import Clock as ScheduledClock
from tests.doubles.scheduled_market import Killed
from tests.doubles.settings import PROPS
from tests.providers.vast.test_create import FakeBootstrap

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()
REQUIREMENTS = Requirements(("RTX 4090",), 1, max_usd_per_hour=0.5, disk_gb=20, weights_gb=1)
ORDER = InstanceRequest("chat-0", "gpu-fleet/s/chat-0", REQUIREMENTS, "image", "true", 8443)


class World:
    """One account, and a book over it that a test looks into."""

    def __init__(self, usd_per_day: float, *offers: Any, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock(NOON)
        self.market = FakeMarket(self.clock, list(offers) or None)
        self.book, self.usd_per_day = FakeBook(), usd_per_day
        self.lines: list[str] = []

    def up(self, *outcomes: BaseException | None) -> Served:
        return bring_online(
            Renter(self.market, self.clock, Limits(attempts=2)),
            ORDER,
            FakeBootstrap(*outcomes),
            lambda phase, text: self.lines.append(f"{phase}  {text}"),
            budget=budget_of(self.clock, self.usd_per_day, self.book),
        )

    @property
    def rents(self) -> list[int]:
        return [argument for call, argument in self.market.calls if call == "rent"]

    @property
    def open(self) -> list[int | None]:
        """The instances of the reservations whose end nobody has seen."""
        return [
            one.instance_id
            for one in self.book.book.reservations.values()
            if one.instance_id is None or one.instance_id not in self.book.book.ended
        ]


def test_the_money_of_a_rent_is_reserved_before_the_rent_call() -> None:
    world = World(10)
    seen: list[int] = []
    world.market.before["rent"] = [lambda _offer: seen.append(len(world.book.book.reservations))]

    served = world.up()

    assert seen == [1]
    assert world.open == [served.instance.id]


def test_over_budget_nothing_is_rented_and_the_message_names_the_key() -> None:
    world = World(0.5)

    with pytest.raises(OverBudget, match=r"gpu-fleet:budget\.usdPerDay"):
        world.up()

    assert (world.rents, world.open, dict(world.market.rows)) == ([], [], {})


def test_a_cheaper_offer_that_fits_is_rented_before_a_rent_is_refused() -> None:
    better = offer(1, dph_base=0.40, inet_down=5000)
    world = World(0.36 * 12, better, offer(2, dph_base=0.32), offer(3, dph_base=0.39))
    ranked_first = World(100, better, offer(2, dph_base=0.39), offer(3, dph_base=0.395))

    served = world.up()

    assert ranked_first.up().instance.machine_id is not None
    assert served.instance.machine_id == 1002
    assert all(call != 1 for call in world.rents)


def test_an_offer_that_was_taken_frees_its_money() -> None:
    world = World(10)
    world.market.before["rent"] = [raising(errors.OfferGone(1, "taken"))]

    served = world.up()

    assert world.open == [served.instance.id]


def test_a_failed_attempt_frees_its_money_for_the_next() -> None:
    world = World(4.2)  # one machine until midnight, and not two

    served = world.up(host_errors.HostUnreachable("port 22 is closed"))

    assert served.attempts == 2
    assert world.open == [served.instance.id]


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (errors.NoCredit("no credit"), False),
        (errors.RequestInvalid("no such image"), False),
        (errors.CredentialsRefused("wrong key"), False),
        (EngineGone("gone"), False),
        (KeyboardInterrupt(), True),
        (OSError("the disk is full"), True),
    ],
)
def test_only_a_rent_of_unknown_outcome_keeps_its_money(error: BaseException, kept: bool) -> None:
    world = World(10)
    world.market.before["rent"] = [raising(error)]

    with pytest.raises(type(error)):
        world.up()

    assert bool(world.open) == kept


def test_a_reply_that_is_lost_for_good_keeps_its_money() -> None:
    world = World(10)
    world.market.before["rent"] = [raising(errors.OutcomeUnknown("rent", "a timeout"))] * 2

    with pytest.raises(errors.OutcomeUnknown):
        world.up()

    assert world.open == [None]


def test_an_instance_is_not_lost_because_its_note_is() -> None:
    world = World(10)
    world.market.after["rent"] = [lambda _number: setattr(world.book, "unknown", True)]

    served = world.up()

    assert list(world.market.rows) == [served.instance.id]
    assert world.open == [None], "the list will tell by the label"


def test_an_instance_that_is_there_already_costs_no_reservation() -> None:
    world = World(0.01)
    world.market.add(ORDER.label, offer(1), image="image")

    assert world.up().instance.id in world.market.rows
    assert world.open == []


@pytest.mark.parametrize("seam", ["reserving", "renting", "rented", "noting"])
def test_a_process_that_dies_at_any_seam_leaves_at_most_a_reservation_that_expires(seam: str) -> None:
    clock = ScheduledClock(NOON)
    world = World(4.2, clock=clock)  # one machine until midnight, and not two
    dies = _dying(world, clock, seam)

    with pytest.raises(Killed):
        world.up()

    assert dies, "the process died at that seam"
    clock.dead, world.book.before = False, lambda _step: None
    held = world.book.book.reservations
    assert len(held) == (0 if seam == "reserving" else 1), "what may be rented is reserved"
    clock.now += Limits().total_seconds * 2
    assert world.book.book.pruned(clock.time()).reservations == {}
    served = world.up()  # goes on with what carries the label, or rents now
    assert list(world.market.rows) == [served.instance.id]


def _dying(world: World, clock: ScheduledClock, seam: str) -> list[str]:
    """Let the process die before a change of the book, or before or after the rent call; say where it died."""
    dies: list[str] = []

    def die(*_words: object) -> None:
        dies.append(seam)
        clock.dead = True
        raise Killed

    steps = iter(("reserving", "noting"))

    def before(_step: str) -> None:
        if next(steps, "") == seam:
            die()

    world.book.before = before
    if seam == "renting":
        world.market.before["rent"] = [die]
    if seam == "rented":
        world.market.after["rent"] = [die]
    return dies


# -- inputs


def settings(**more: Any) -> InstanceSettings:
    return InstanceSettings.from_props({**PROPS, **more})


def test_a_state_without_a_budget_enforces_none_and_an_edit_is_only_recorded() -> None:
    budget = {"usdPerDay": 5.0, "usdPerMonth": 0.0}
    old = settings()

    assert old.budget is None
    for before, after in (({}, {"budget": budget}), ({"budget": budget}, {"budget": {**budget, "usdPerDay": 9.0}})):
        found = changes(settings(**before), settings(**after), machine_of({}))
        assert (found.replace, found.in_place, found.recorded) == ([], [], ["budget"])


def test_with_a_shared_book_everybody_has_the_whole_budget_and_else_a_part_of_it() -> None:
    budget = BudgetSettings.model_validate({"usdPerDay": 10, "controllerShare": 0.2, "elastic": ["burst"]})

    both = [terms_of(budget, is_slot, 30.0, is_shared=True) for is_slot in (True, False)]
    slots, people = (terms_of(budget, is_slot, 30.0, is_shared=False) for is_slot in (True, False))

    assert {(one.share, one.time_scale, tuple(one.usd.items())) for one in both} == {(1.0, 30.0, (("day", 10.0),))}
    assert (slots.share, people.share) == (0.2, 0.8)
    assert [one.holds("burst-s0") for one in (slots, people)] == [True, False]
    assert [one.holds("chat-0") for one in (slots, people)] == [False, True]
    alone = BudgetSettings.model_validate({"usdPerDay": 10})
    assert terms_of(alone, False, 1.0, is_shared=False).share == 1.0, "a stack's lock keeps people on one computer"
