"""Who was given back is shut out after a while, and nobody of whom that is not known for sure."""

import time
from pathlib import Path

import pytest

from monitoring.prometheus import Prometheus
from monitoring.receiver.__main__ import rented
from monitoring.receiver.admission import Sender
from monitoring.receiver.rentals import GRACE_SECONDS, Rentals, Rented, Unknown
from tests.doubles.prometheus import with_series

ONE, NEIGHBOUR, STRANGER = Sender("7", "chat-0", "abc"), Sender("8", "chat-1", "abc"), Sender("9", "chat-0", "other")


class World:
    """What is rented, or None where nobody can say; and the time."""

    def __init__(self) -> None:
        self.rented: Rented | None = Rented({"abc"}, {"7", "8"})
        self.now = 1000.0
        self.rentals = Rentals(self._ask, lambda: self.now)

    def _ask(self) -> Rented:
        if self.rented is None:
            raise Unknown
        return self.rented

    def look(self, later: float = 0.0) -> list[bool]:
        self.now += later
        self.rentals.learn()
        return [self.rentals.ended(sender) for sender in (ONE, NEIGHBOUR, STRANGER)]


def test_a_host_that_was_given_back_may_finish_what_it_has_to_say_and_no_more() -> None:
    world = World()
    assert world.look() == [False, False, False]

    world.rented = Rented({"abc"}, {"8"})

    assert world.look(1) == [False, False, False]
    assert world.look(GRACE_SECONDS) == [False, False, False]
    assert world.look(1) == [True, False, False]


def test_what_was_not_known_for_a_moment_counts_anew() -> None:
    world = World()
    world.rented = Rented({"abc"}, {"8"})
    world.look()
    for unknown in (None, Rented(), Rented({"other"}, {"8"})):
        known, world.rented = world.rented, unknown
        assert world.look(GRACE_SECONDS + 1)[:2] == [False, False]
        world.rented = known
        assert world.look(1)[0] is False

    assert world.look(GRACE_SECONDS + 1)[0] is True
    world.rented = Rented({"abc"}, {"7", "8"})
    assert world.look()[0] is False


def test_nobody_is_shut_out_before_anything_was_learnt() -> None:
    assert not Rentals(lambda: Rented({"abc"}, ())).ended(ONE)


@pytest.mark.monitoring
@pytest.mark.xdist_group("monitoring")
def test_prometheus_says_what_exporters_know(tmp_path: Path) -> None:
    now = int(time.time())
    rows = []
    for host, stack_id, learnt in (("a", "fresh", now), ("b", "stale", now - 600)):
        exporter = f'job="exporter",instance="{host}"'
        rows.append(f'vast_exporter_last_success_timestamp_seconds{{{exporter},source="inventory"}} {learnt} {now}')
        rows.append(f'vast_exporter_stack_info{{{exporter},stack_id="{stack_id}"}} 1 {now}')
        rows.append(f'vast_instance_info{{{exporter},instance_id="{stack_id}-1"}} 1 {now}')

    with with_series(tmp_path, "".join(f"{row}\n" for row in sorted(rows))) as url:
        found = rented(Prometheus(url))

    assert found == Rented({"fresh"}, {"fresh-1", "stale-1"})


def test_a_prometheus_that_cannot_be_asked_knows_nothing() -> None:
    with pytest.raises(Unknown):
        rented(Prometheus("http://127.0.0.1:9"))
